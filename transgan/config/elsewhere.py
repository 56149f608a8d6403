"""What other programs call an option: the words of StyleGAN, Lightning, diffusers, timm and others -> those of here."""

from collections.abc import Collection

RATES = ("algorithm.generator_lr", "algorithm.discriminator_lr", "algorithm.lr")

# Keys, of which the first that a command has is named, and of RATES all -> words for them, without signs or capitals.
WORDS = {
    ("kimg",): "epochs maxepochs numepochs iterations iters niter maxsteps totalkimg",
    ("minutes", "trainer.max_time"): "time duration maxtime",
    RATES: "lr learningrate baselr",
    ("algorithm.generator_lr",): "glr lrg generatorlr",
    ("algorithm.discriminator_lr",): "dlr lrd discriminatorlr",
    ("resolution",): "imagesize imgsize size res imageresolution",
    ("trainer.devices", "device"): "gpus numgpus ngpus gpu devices nproc",
    ("trainer.accelerator", "device"): "accelerator",
    ("num_workers",): "workers numworkers nworkers",
    ("batch_size",): "batch bs batchsize trainbatchsize mbs",
    ("data.path", "against"): "dataset datadir dataroot datapath traindatadir images input",
    ("out", "runs"): "outdir outputdir output logdir savedir dest",
    ("generator", "run"): "network model arch",
    ("run", "checkpoint"): "networkpkl ckpt weights load",
    ("init_from",): "resume resumefrom resumefromcheckpoint pretrained",
    ("generator.latent_dim", "latent"): "zdim nz latentsize latentdim latents",
    ("checkpoint_every",): "snap snapshot saveevery savesteps checkpointingsteps",
    ("precision",): "fp16 fp32 bf16 amp dtype mixedprecision",
    ("conditional",): "cond classconditional",
    ("mirror",): "flip hflip xflip horizontalflip",
    ("augmentation", "algorithm.augment"): "aug augment",
    ("algorithm.gamma",): "gamma r1gamma lambdagp gpweight",
    ("algorithm.n_critic",): "ncritic ndis dsteps",
    ("algorithm.clip",): "gradientclipval maxgradnorm clip",
    ("holdout",): "valsplit testsize valfraction validationsplit",
    ("psi",): "trunc truncation truncationpsi",
    ("seeds", "num_samples", "metrics.num_samples"): "num n count numimages nsamples numsamples",
    ("class",): "label labels classidx y",
    ("guidance",): "cfg cfgscale guidancescale",
    ("temperature",): "temp",
    ("steps", "algorithm.steps"): "numsteps numinferencesteps samplingsteps",
    ("solver", "algorithm.solver"): "sampler scheduler",
    ("to",): "format type",
    ("patience",): "earlystopping",
    ("name",): "experimentname runname desc",
}
KEYS = {word: keys for keys, words in WORDS.items() for word in words.split()}

MEANINGS = {"kimg": "thousands of images shown in training", "seeds": "an image each", "runs": "the folder of all runs"}


def called_here(key: str, known: Collection[str]) -> str | None:
    """What a key that there is not is called here, in words; None where nothing is known of it.

    known: the keys and groups of the command.
    """
    word = key.lstrip("-").replace("_", "").replace("-", "").lower()
    names, found = KEYS.get(word, ()), list[str]()
    if names[:1] == ("data.path",) and {"data", "kimg"} <= set(known):  # `train`, some of whose data have a path
        return "data.path, with data=folder or zip; or give the folder or zip alone: `transgan train PATH`"
    for name in names:
        inner = [each for each in (f"{name}.start",) if each in known]
        found += inner or [name] * (name in known)
    if not found:
        return None
    if names is RATES:
        return " and ".join(found)
    meaning = f" ({MEANINGS[found[0]]})" if found[0] in MEANINGS else ""
    return found[0] + meaning

"""What other programs call an option: the words of StyleGAN, Lightning, diffusers, timm and others -> those of here."""

from collections.abc import Collection

RATES = ("algorithm.generator_lr", "algorithm.discriminator_lr", "algorithm.lr")

# Word, without signs and in lower case -> keys it may mean; those that the command has are named, the first ones first.
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("epochs", "maxepochs", "numepochs", "iterations", "iters", "niter", "maxsteps", "totalkimg"),
                    ("kimg",)),
    **dict.fromkeys(("time", "duration", "maxtime"), ("minutes", "trainer.max_time")),
    **dict.fromkeys(("lr", "learningrate", "baselr"), RATES),
    **dict.fromkeys(("glr", "lrg", "generatorlr"), ("algorithm.generator_lr",)),
    **dict.fromkeys(("dlr", "lrd", "discriminatorlr"), ("algorithm.discriminator_lr",)),
    **dict.fromkeys(("imagesize", "imgsize", "size", "res", "imageresolution"), ("resolution",)),
    **dict.fromkeys(("gpus", "numgpus", "ngpus", "gpu", "devices", "nproc"), ("trainer.devices", "device")),
    **dict.fromkeys(("accelerator",), ("trainer.accelerator", "device")),
    **dict.fromkeys(("workers", "numworkers", "nworkers"), ("num_workers",)),
    **dict.fromkeys(("batch", "bs", "batchsize", "trainbatchsize", "mbs"), ("batch_size",)),
    **dict.fromkeys(("dataset", "datadir", "dataroot", "datapath", "traindatadir", "images", "input"),
                    ("data.path", "against")),
    **dict.fromkeys(("outdir", "outputdir", "output", "logdir", "savedir", "dest"), ("out", "runs")),
    **dict.fromkeys(("network", "model", "arch"), ("generator", "run")),
    **dict.fromkeys(("networkpkl", "ckpt", "weights", "load"), ("run", "checkpoint")),
    **dict.fromkeys(("resume", "resumefrom", "resumefromcheckpoint", "pretrained"), ("init_from",)),
    **dict.fromkeys(("zdim", "nz", "latentsize", "latentdim", "latents"), ("generator.latent_dim", "latent")),
    **dict.fromkeys(("snap", "snapshot", "saveevery", "savesteps", "checkpointingsteps"), ("checkpoint_every",)),
    **dict.fromkeys(("fp16", "fp32", "bf16", "amp", "dtype", "mixedprecision"), ("precision",)),
    **dict.fromkeys(("cond", "classconditional"), ("conditional",)),
    **dict.fromkeys(("flip", "hflip", "xflip", "horizontalflip"), ("mirror",)),
    **dict.fromkeys(("aug", "augment"), ("augmentation", "algorithm.augment")),
    **dict.fromkeys(("gamma", "r1gamma", "lambdagp", "gpweight"), ("algorithm.gamma",)),
    **dict.fromkeys(("ncritic", "ndis", "dsteps"), ("algorithm.n_critic",)),
    **dict.fromkeys(("gradientclipval", "maxgradnorm", "clip"), ("algorithm.clip",)),
    **dict.fromkeys(("valsplit", "testsize", "valfraction", "validationsplit"), ("holdout",)),
    **dict.fromkeys(("trunc", "truncation", "truncationpsi"), ("psi",)),
    **dict.fromkeys(("num", "n", "count", "numimages", "nsamples", "numsamples"),
                    ("seeds", "num_samples", "metrics.num_samples")),
    **dict.fromkeys(("label", "labels", "classidx", "y"), ("class",)),
    **dict.fromkeys(("cfg", "cfgscale", "guidancescale"), ("guidance",)),
    **dict.fromkeys(("temp",), ("temperature",)),
    **dict.fromkeys(("numsteps", "numinferencesteps", "samplingsteps"), ("steps", "algorithm.steps")),
    **dict.fromkeys(("sampler", "scheduler"), ("solver", "algorithm.solver")),
    **dict.fromkeys(("format", "type"), ("to",)),
    **dict.fromkeys(("earlystopping"), ("patience",)),
    **dict.fromkeys(("experimentname", "runname", "desc"), ("name",)),
}  # fmt: skip

MEANINGS = {"kimg": "thousands of images shown in training", "seeds": "an image each", "runs": "the folder of all runs"}


def called_here(key: str, known: Collection[str]) -> str | None:
    """What a key that there is not is called here, in words; None where nothing is known of it.

    known: the keys and groups of the command.
    """
    word = key.lstrip("-").replace("_", "").replace("-", "").lower()
    names, found = WORDS.get(word, ()), list[str]()
    if names[:1] == ("data.path",) and {"data", "kimg"} <= set(known):  # `train`, some of whose data have a path
        return "data.path, with data=folder or zip; or give the folder or zip alone: `transgan train PATH`"
    for name in names:
        inner = [each for each in (f"{name}.start",) if each in known]
        found += inner or [name] * (name in known)
    if not found:
        return None
    if word in ("lr", "learningrate", "baselr"):
        return " and ".join(found)
    meaning = f" ({MEANINGS[found[0]]})" if found[0] in MEANINGS else ""
    return found[0] + meaning

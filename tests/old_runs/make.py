"""Makes the files of this folder: run with the code of transgan before its names changed, in an empty folder.

    git worktree add ../transgan-0.0 0dfb5dc
    mkdir ../old && cd ../old && PYTHONPATH=../transgan-0.0 python .../tests/old_runs/make.py

Of the run `gan`, stopped amid, everything is kept; of the others the weights and the configuration.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import torch

COMMON = "runs=runs logger=none threads=1 batch_size=16 seed=0".split()
QUIET = "metrics=none kimg=0.064 sample_every=100 evaluate_at_start=false".split()
GPT = "experiment=digits_gpt holdout=0 algorithm.network.dim=8 algorithm.network.num_heads=2 algorithm.network.depth=1"
GAN = (
    "experiment=digits generator.dim=[8] generator.num_heads=[2] generator.depth=[1] generator.latent_dim=8 "
    "generator.style_dim=8 discriminator.dim=[8] discriminator.num_heads=[2] discriminator.depth=[1] "
    "discriminator.stem_dim=8"
)
SMALL_TRANSGAN = (
    "data=digits resolution=8 channels=1 metrics=none extractor=classifier generator.latent_dim=8 generator.dim=[8,2] "
    "generator.depth=[1,1] generator.num_heads=[2,2] "
    "generator.upsample=[{_target_:transgan.layers.patch.PixelShuffle,smooth:false}] discriminator.dim=[8,12] "
    "discriminator.depth=[1,1] discriminator.num_heads=[2,2] algorithm.generator_batch_size=32"
)
LARGE_TRANSGAN = (
    "experiment=digits generator=transgan_celebahq256 generator.dim=[8,8,2] generator.depth=[0,1,1] "
    "generator.num_heads=[2,2,2] generator.window_size=[null,null,4] generator.latent_dim=8 "
    "generator.upsample=[{_target_:transgan.layers.patch.Bicubic},"
    "{_target_:transgan.layers.patch.PixelShuffle,smooth:true}] "
    "discriminator=transgan_celebahq256 discriminator.patch_size=[2,4] discriminator.dim=[8,12] "
    "discriminator.depth=[1,1] discriminator.num_heads=[2,2] discriminator.window_size=[2,null] conditional=false "
    "penalty=fd_central"
)
RUNS = {  # name: what trains it besides COMMON and QUIET
    "image_gpt": f"{GPT} tokens=pixels",
    "image_gpt_palette": f"{GPT} tokens=palette tokens.colours=17 channels=3",
    "image_gpt_patches": f"{GPT} tokens=patches tokens.components=2",
    "masked": f"{GPT} algorithm=masked tokens=patches tokens.components=2",
    "pixel_rnn": "experiment=digits_rnn holdout=0 algorithm.network.dim=8 algorithm.network.depth=2",
    "row_lstm": "experiment=digits_row_lstm holdout=0 algorithm.network.dim=8 algorithm.network.depth=2",
    "vae": "experiment=digits_vae autoencoder.num_latents=4 autoencoder.encoder.dim=[8,8] autoencoder.decoder.dim=[8,8] "
    "algorithm.bound_draws=2 algorithm.draw_pixels=true",
    "vit_vae": "experiment=digits_vit_vae autoencoder.num_latents=4 autoencoder.encoder.dim=8 autoencoder.decoder.dim=8 "
    "autoencoder.encoder.num_heads=2 autoencoder.decoder.num_heads=2",
    "vitgan": f"{GAN} generator=vitgan discriminator=vitgan discriminator.stem_dim=1 generator.output.hidden_dim=8 "
    "penalty=r1_lazy consistency=bcr augmentation=shift",
    "dcgan": "experiment=digits generator=dcgan discriminator=dcgan generator.dim=[8,8] discriminator.dim=[8,8] "
    "generator.latent_dim=8 penalty=gp loss=wasserstein",
    "resnet": "experiment=digits generator=resnet discriminator=sngan generator.dim=[8,8] discriminator.dim=[8,8] "
    "generator.latent_dim=8 penalty=none loss=hinge augmentation=quarter_turns",
    "transgan_large": LARGE_TRANSGAN,
    "transgan_official": f"experiment=transgan_cifar10_official {SMALL_TRANSGAN}",
    "from_gpt": "experiment=digits generator=from_gpt discriminator=from_gpt checkpoint=runs/image_gpt_patches "
    "generator.latent_dim=8 generator.style_dim=8 discriminator.stem_dim=8 penalty=r1_r2_part",
    "adaptive": f"{GAN} adaptive=heldout_gap holdout=0.1 augmentation=ada penalty=fd",
    "noise_guidance": f"{GAN} supervision=noise_guidance generator.depth=[2] discriminator=hybrid discriminator.patch_size=1 "
    "discriminator.stem_dim=8 adaptive=pair_signs augmentation=diffaugment",
    "scale_wise": f"{GAN} supervision=scale_wise penalty=jvp generator.depth=[2]",
}  # fmt: skip


def transgan(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "transgan", *arguments]


def run(*arguments: str) -> str:
    return subprocess.run(transgan(*arguments), check=True, stdout=subprocess.PIPE, text=True).stdout


def stopped_amid(arguments: list[str], path: Path) -> None:
    process = subprocess.Popen(transgan(*arguments))
    while not path.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.wait()


def sampled(folder: Path, out: Path, *options: str) -> np.ndarray:
    run("sample", str(folder), "seeds=0-7", "to=npz", f"out={out}", "checkpoint=last", *options)
    with np.load(out) as arrays:
        return arrays["images"]


def options() -> dict[str, dict]:
    """Every option of every group of the configuration as its file has it, `group/option`."""
    from omegaconf import OmegaConf

    import transgan

    conf = Path(transgan.__file__).parents[1] / "conf"
    paths = sorted(conf.glob("*/*.yaml"))
    return {str(path.relative_to(conf).with_suffix("")): OmegaConf.to_container(OmegaConf.load(path)) for path in paths}


def digest(state: dict[str, torch.Tensor]) -> str:
    """SHA-256 of all weights, in the order of their values and not of their names, which may change."""
    sha256 = hashlib.sha256()
    for value in sorted(tensor.numpy().tobytes() for tensor in state.values()):
        sha256.update(value)
    return sha256.hexdigest()


def gan(made: Path, images: dict[str, np.ndarray]) -> dict:
    """The run that was stopped amid, what it gives, and what becomes of it when it goes on to its end."""
    words = [*COMMON, "name=gan", *GAN.split(), "kimg=2", "checkpoint_every=1"]
    if not (made / "gan").exists():
        stopped_amid(["train", *words], Path("runs/gan/checkpoints/last.ckpt"))
        for name in ("config.yaml", "metrics.jsonl", "stats.csv", "checkpoints/last.ckpt"):
            (made / "gan" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f"runs/gan/{name}", made / "gan" / name)
    shutil.rmtree("runs/gan", ignore_errors=True)
    shutil.copytree(made / "gan", "runs/gan")
    images["gan"] = sampled(Path("runs/gan"), Path("gan.npz"))
    images["gan_truncated"] = sampled(Path("runs/gan"), Path("gan.npz"), "psi=0.5")
    run("evaluate", "runs/gan", "checkpoint=last", "num_samples=256", "bounds=false", "out=evaluation.json")
    run("train", *words)
    images["gan_continued"] = sampled(Path("runs/gan"), Path("gan.npz"))
    final = torch.load("runs/gan/checkpoints/last.ckpt", weights_only=True)
    return {
        "command": words,
        "evaluation": json.loads(Path("evaluation.json").read_text()),
        "weights": digest(final["state_dict"]),
        "metrics": [json.loads(line) for line in Path("runs/gan/metrics.jsonl").read_text().splitlines()],
        "stats": Path("runs/gan/stats.csv").read_text().splitlines(),
    }


def main() -> None:
    made, images, commands = Path(__file__).parent, {}, {}
    facts = {"torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability(), "gan": gan(made, images)}
    with tarfile.open(made / "others.tar.xz", "w:xz", preset=9) as archive:
        for name, arguments in RUNS.items():
            words = [*COMMON, *QUIET, f"name={name}", *arguments.split()]
            commands[name] = " ".join(words)
            run("train", *words)
            images[name] = sampled(Path("runs", name), Path(f"{name}.npz"))
            saved = torch.load(f"runs/{name}/checkpoints/last.ckpt", weights_only=True)
            del saved["optimizer_states"]
            torch.save(saved, f"{name}.ckpt")
            archive.add(f"{name}.ckpt")
    np.savez_compressed(made / "images.npz", **images)
    (made / "options.json").write_text(json.dumps(options(), indent=1) + "\n")
    (made / "expected.json").write_text(json.dumps(facts | {"commands": commands}, indent=1) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

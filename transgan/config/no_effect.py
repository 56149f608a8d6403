"""Keys that would have no effect, or contradict what another key says: refused, with the key to use instead."""

LENGTH = "kimg=N sets the length of a run, and trainer.max_time=DD:HH:MM:SS ends it earlier"
OWN_LOOP = "give evaluate_every=KIMG; a run has no validation loop of Lightning's"
SHOWN = "leave it out; a run shows and keeps these things itself"
# What transgan train sets, or what its training loop does not look at, by the argument of Lightning's Trainer.
TRAINER = {
    "max_steps": LENGTH, "max_epochs": LENGTH, "min_steps": LENGTH, "min_epochs": LENGTH,
    "fast_dev_run": "give a short length, such as kimg=1", "overfit_batches": "give data.limit=N",
    "limit_train_batches": "kimg=N sets the length of a run, and data.limit=N takes so many images",
    "precision": "give precision=bf16-mixed or 32-true",
    "logger": "give logger=tensorboard, csv, wandb, mlflow, trackio or none",
    "callbacks": "give +callbacks.NAME={_target_: package.Callback}, or callbacks.samples=null to leave one out",
    "gradient_clip_val": "give algorithm.clip=X, the largest gradient norm of a network",
    "gradient_clip_algorithm": "give algorithm.clip=X, the largest gradient norm of a network",
    "accumulate_grad_batches": "give batch_size=N",
    "limit_val_batches": OWN_LOOP, "limit_test_batches": OWN_LOOP, "limit_predict_batches": OWN_LOOP,
    "val_check_interval": OWN_LOOP, "check_val_every_n_epoch": OWN_LOOP, "num_sanity_val_steps": OWN_LOOP,
    "inference_mode": OWN_LOOP, "log_every_n_steps": "give log_every=KIMG",
    "enable_checkpointing": "give checkpoint_every=KIMG", "enable_progress_bar": SHOWN, "enable_model_summary": SHOWN,
    "enable_autolog_hparams": SHOWN, "model_registry": SHOWN, "barebones": SHOWN,
    "default_root_dir": "the run is the folder runs/NAME: give runs=FOLDER and name=NAME", "plugins": SHOWN,
    "use_distributed_sampler": "leave it out: the images are one endless stream, which the processes share",
    "reload_dataloaders_every_n_epochs": "leave it out: the images are one endless stream",
}  # fmt: skip
# Of Hydra's own keys those that one run has no use for.
SEVERAL = "it is for several runs; add -m"
KEPT = "leave it out: a run keeps its configuration and its log itself, in config.yaml and log.txt"
HYDRA = {
    "sweep": SEVERAL, "sweeper": SEVERAL, "launcher": SEVERAL, "output_subdir": KEPT, "job_logging": KEPT,
    "hydra_logging": KEPT, "verbose": "give debug=true",
    "job.chdir": "leave it out: paths are relative to the folder in which the command was started",
    "callbacks": "give callbacks=, which are called while training",
}  # fmt: skip
RATES = "give algorithm.generator_lr= and algorithm.discriminator_lr=, or algorithm.lr= where there is one network"
# Keys whose values are references to these, because they must be the same.
SAME = (
    "img_size",
    "in_chans",
    "resolution",
    "channels",
    "batch_size",
    "micro_batch",
    "seed",
    "mirror",
    "compile",
    "num_classes",
)


def instead(command: str, key: str, text: str, default: object) -> str | None:
    """Why `key` would have no effect, or contradict another key, and what to give instead; None if it is fine.

    `default` is its value so far, in which ${...} refers to other keys.
    """
    parts = key.split(".")
    if parts[0] == "trainer" and len(parts) > 1 and parts[1] in TRAINER:
        return f"transgan train sets it or has no use for it; {TRAINER[parts[1]]}"
    if parts[-2:] == ["optimizer", "lr"]:
        return f"the algorithm sets the learning rate; {RATES}"
    if command == "train" and key == "num_classes":
        return "the data says how many classes there are; conditional=false trains without them"
    if command in ("train", "summary") and key == "warm_start.source":
        return "it is filled in; give checkpoint=RUN"
    if parts[-1] == "num_classes" and len(parts) == 2 and parts[0] != "algorithm":
        return None if text == "0" else "it takes 0, for a network that knows no classes, or is the data's number"
    default = str(default)
    follows = default.startswith("${")
    if follows and parts[-1] in SAME:
        return f"it must be what {origin(default)} says; give {origin(default)}="
    if follows and parts[-1] in (origin(default), "network") and origin(default) != "kimg":
        return f"it is what {origin(default)}= says; choose there, or give a key below it, {origin(default)}.KEY="
    if follows and key.endswith(("generator_pretrained", "discriminator_pretrained")):
        return f"it is what {origin(default)} says; give a key below that"
    return None


def origin(reference: str) -> str:
    """`channels` of ${channels} and of ${product:${channels},2}."""
    return reference.rsplit("${product:", 1)[-1].lstrip("${").partition("}")[0]


def of_hydra(key: str) -> str | None:
    """Why a key under `hydra`, or a choice of hydra/GROUP, has no effect on one run; None if it has one."""
    parts = key.replace("/", ".").split(".")[1:]
    return HYDRA.get(".".join(parts[:2])) or HYDRA.get(parts[0] if parts else "")

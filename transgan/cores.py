"""How many CPU cores there are for this process."""


def cores() -> int:
    """CPU cores that this process may use: those of the machine, of its affinity, or the quota of its container, the
    fewest; LOKY_MAX_CPU_COUNT in the environment is an upper bound, too."""
    from joblib import cpu_count  # scikit-learn needs it, too

    return int(cpu_count())


def keep_to_cores() -> None:
    """Gives torch no more threads than there are cores; of a container's quota it knows nothing."""
    import torch

    if torch.get_num_threads() > (count := cores()):
        torch.set_num_threads(count)

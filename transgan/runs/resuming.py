"""What a run that goes on does otherwise than until now: schedules that end with the run follow its new length."""

from transgan.instantiation import make
from transgan.schedules import schedule

LEAST = 0.03  # of a schedule's range, or of the value: less than that is no jump


def jumps(previous: dict, config: dict) -> str | None:
    """A sentence about the schedules that jump where a run goes on, with the words that keep them; None if none does.

    previous: the checkpoint, with "config" and "images_seen". config: the resolved configuration it goes on with.
    """
    images, before = previous["images_seen"], previous["config"]
    last = max(0, images - before["batch_size"])  # what the last step was taken at
    old, new = (dict(schedules(each["algorithm"], "algorithm")) for each in (before, config))
    found, words = [], []
    for key in [key for key in new if key in old and dict in (type(old[key]), type(new[key]))]:
        one, other = (schedule(make(each) if isinstance(each, dict) else each) for each in (old[key], new[key]))
        values = [each(round(images * i / 16)) for each in (one, other) for i in range(33)]
        size = min(max(abs(one(images)), abs(other(images))), max(values) - min(values))
        if abs(other(images) - one(images)) <= LEAST * size:
            continue
        back = "back up " if other(images) > one(images) and key.endswith("lr") else ""
        found.append(f"{key} goes from {one(last):.3g} {back}to {other(images):.3g}")
        lengths = [each.get("kimg") for each in (old[key], new[key]) if isinstance(each, dict)]
        if len(set(lengths)) == 2:
            words.append(f"{key}.kimg={lengths[0]:g}")
    if not found:
        return None
    why = f"kimg was {before['kimg']:g} and is {config['kimg']:g}, and schedules that end with the run follow it: "
    stay = f"; to go on along the old schedules, add {' '.join(words)}" if words else ""
    return why * bool(words) + ", ".join(found) + stay


def schedules(node, place: str):
    """(key, schedule's group of keys or number) of everything in nested groups where a schedule may stand."""
    if isinstance(node, dict) and str(node.get("_target_", "")).startswith("transgan.schedules."):
        yield place, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from schedules(value, f"{place}.{key}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield place, node

"""Floor and ceiling: what a Frechet distance is for real images, and for a generator that has learned nothing."""

from typing import Any

from torch import Tensor

from transgan.metrics.frechet import frechet_distance
from transgan.metrics.moments import Moments
from transgan.metrics.reference import Reference
from transgan.metrics.sampling import shuffled


def ceiling(features: Tensor, reference: Reference) -> dict[str, Any]:
    """Of the images of an untrained generator."""
    value = frechet_distance(Moments.of(features), reference.moments, root=reference.root)
    return {"ceiling": value, "ceiling_num": len(features)}


def floor(reference: Reference, heldout: Reference | None, most: int) -> dict[str, Any]:
    """Held-out images against the reference, or without held-out ones two halves of the real images, `most` of them at
    most; empty where there are neither."""
    if heldout is not None:
        assert heldout.extracted is not None
        chosen = shuffled(len(heldout.extracted))[:most]
        features, moments = heldout.extracted.features[chosen], reference.moments
        of = "held-out real images"
    elif reference.extracted is not None and len(reference.extracted) >= 4:
        order = shuffled(len(reference.extracted))
        half = len(order) // 2
        features = reference.extracted.features[order[:half]][:most]
        moments = Moments.of(reference.extracted.features[order[half:]])
        of = "two halves of the real images"
    else:
        return {}
    return {
        "floor_of": of, "floor": frechet_distance(Moments.of(features), moments), "floor_num": len(features),
    }  # fmt: skip

"""RowMetric, what all metrics of feature rows share: rows (N, D) extracted elsewhere, kept in order, checked once."""

from functools import partial

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors


def checked(rows: Tensor, name: str, first: int = 0) -> Tensor:
    """`rows` without their gradient. ValueError unless they are a float matrix (N, D) of finite numbers; it names the
    first bad row, counted from `first`."""
    if rows.ndim != 2 or not rows.is_floating_point():
        raise ValueError(f"{name} rows must be a float matrix (N, D), not {rows.dtype} of shape {tuple(rows.shape)}")
    bad = (~rows.isfinite().all(1)).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{name} row {first + int(bad[0])} holds a number that is not finite, and so do {len(bad)} of "
            f"these {len(rows)} rows: nothing can be computed from them"
        )
    return rows.detach()


def gather_rows(rows: Tensor, group=None, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """The rows of every process, in the order of the ranks. One without rows takes part, though it knows no width."""
    parts = gather_all_tensors(rows if rows.ndim > 1 else rows.new_empty(0, 0, dtype=dtype), group)
    width = max(part.shape[1] for part in parts)
    return [part.reshape(len(part), width) for part in parts]


class RowMetric(Metric):
    """Keeps the rows (N, D) of some sides until compute(), or their sums; over processes, in the order of the ranks.

    Calling the metric is the same as update(): a batch has no value of its own. Rows are kept without a copy, so a
    buffer that is filled again later must be cloned. With several processes compute() is for all of them; where only
    one has the rows, give `sync_on_compute=False` (or use the plain function). `kwargs` are those of torchmetrics.

    Raises ValueError at update() for rows that are no float matrix or not finite, or whose width changes.
    """

    full_state_update = False

    def __init__(self, *sides: str, dtype: torch.dtype = torch.float32, **kwargs):
        super().__init__(dist_sync_fn=partial(gather_rows, dtype=dtype), **kwargs)
        self.rows_dtype = dtype
        for side in sides:
            self.add_state(side, [], dist_reduce_fx="cat")

    @property
    def update_called(self) -> bool:
        """A process with an empty share is no mistake; compute() itself says what is missing."""
        return True

    def forward(self, *args, **kwargs) -> None:
        self.update(*args, **kwargs)

    def keep(self, side: str, rows: Tensor, first: int = 0) -> None:
        """Adds rows to a side; their numbers in messages count on from `first` and what is kept already."""
        held = getattr(self, side)
        rows = checked(rows, side, first + sum(map(len, held)))
        if held and held[0].shape[1] != rows.shape[1]:
            raise ValueError(f"{side} rows had {held[0].shape[1]} features and now have {rows.shape[1]}")
        if len(rows):
            held.append(rows.to(self.device, self.rows_dtype))

    def rows(self, side: str) -> Tensor:
        """All rows of a side (N, D); (0, 0) when there are none."""
        held = getattr(self, side)
        if isinstance(held, Tensor):  # gathered
            return held
        if len(held) > 1:
            held[:] = [torch.cat(held)]  # in its place, or 50,000 rows would be held twice
        return held[0] if held else torch.empty(0, 0, dtype=self.rows_dtype, device=self.device)

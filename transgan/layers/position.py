"""Positions of tokens: sin-cos tables, rotary embedding of queries and keys, relative position bias.

H W token grid, T = H * W tokens after `num_prefix_tokens` tokens without a position (a class token), D head width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.layers.derivatives import call, closed_forms, needed


def sincos_table(dim: int, grid_size: tuple[int, int]) -> Tensor:
    """Fixed 2-D sin-cos table (T, dim); a quarter of `dim` each for sin y, cos y, sin x, cos x (as in MAE, 2021)."""
    if dim % 4:
        raise ValueError(f"a sin-cos position table needs dim divisible by 4, not {dim}")
    frequency = 10000.0 ** (-torch.arange(dim // 4) / (dim // 4))
    y, x = torch.meshgrid(torch.arange(grid_size[0]), torch.arange(grid_size[1]), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequency for axis in (y, x)]  # (T, dim/4) each
    return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], dim=1)


def rotated(x: Tensor, weight: Tensor | None, table: Tensor) -> Tensor:
    """Each pair (i, i + D/2) of y = x * weight rotated by its angle; `table` has the cosines beside the sines.

    x (..., D), table (..., 2 D) and weight (..., D) broadcast; weight may be None. The first D numbers of the table are
    (cos, cos), the others (-sin, sin).
    """
    if closed_forms():
        return call(Rotate, x, weight, table, 1)
    y = x if weight is None else x * weight
    cos, sin = table.chunk(2, dim=-1)
    return y * cos + y.roll(y.shape[-1] // 2, -1) * sin


class Rotate(torch.autograd.Function):
    """See `rotated`, in three kernels; `turn` is 1, or -1 for the inverse."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor | None, table: Tensor, turn: int) -> Tensor:
        half = x.shape[-1] // 2
        if weight is not None:
            table = table * torch.cat([weight, weight[..., half:], weight[..., :half]], dim=-1)
        cos, sin = table.chunk(2, dim=-1)
        out = torch.mul(x, cos, out=torch.empty_like(x) if x.dim() < 5 else heads_first(x))
        out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=turn)
        out[..., half:].addcmul_(x[..., :half], sin[..., half:], value=turn)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.turn = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, table = ctx.saved_tensors
        back = call(Rotate, gradient, None, table, -ctx.turn)
        if weight is None:
            return back, None, None, None
        to_weight = (back * x).sum_to_size(weight.shape) if needed(ctx, 1) else None
        return back * weight.to(back.dtype), to_weight, None, None


def heads_first(x: Tensor) -> Tensor:
    """New memory for queries and keys (N, T, 2, H, D), laid out as (2, N, H, T, D), as the products to come read it."""
    return x.new_empty(*(x.shape[i] for i in (2, 0, 3, 1, 4))).permute(1, 3, 0, 2, 4)


class Rotary(nn.Module):
    """Rotates queries and keys by their position in a 2-D grid, so that logits depend on offsets (Su et al., 2021).

    Half of the angles follow y and half x. A sequence of tokens is the grid (1, T), where only x varies.
    """

    table: Tensor

    def __init__(self, head_dim: int, grid_size: tuple[int, int], num_prefix_tokens: int = 0, theta: float = 100.0):
        super().__init__()
        if head_dim % 4:
            raise ValueError(f"rotary positions need a head width (dim / num_heads) divisible by 4, not {head_dim}")
        self.num_prefix_tokens = num_prefix_tokens
        frequency = theta ** (-torch.arange(head_dim // 4) / (head_dim // 4))
        y, x = torch.meshgrid(torch.arange(grid_size[0]), torch.arange(grid_size[1]), indexing="ij")
        angle = torch.cat([axis.reshape(-1, 1) * frequency for axis in (y, x)], dim=1)  # (T, D/2)
        angle = torch.cat([angle.new_zeros(num_prefix_tokens, angle.shape[1]), angle])  # (P + T, D/2)
        cos, sin = angle.cos(), angle.sin()
        self.register_buffer("table", torch.cat([cos, cos, -sin, sin], dim=1), persistent=False)  # (P + T, 2 D)

    def forward(self, x: Tensor, positions: slice = slice(None)) -> Tensor:
        """(N, heads, P + T, D) -> the same shape; channels i and i + D/2 are rotated together by angle i.

        `positions` selects which of the P + T tokens these are.
        """
        return rotated(x, None, self.table[positions])

    def of_packed(self, qk: Tensor, weight: Tensor | None = None) -> Tensor:
        """Queries and keys (N, P + T, 2, heads, D), multiplied by a weight (2, 1, D) and rotated."""
        return rotated(qk, weight, self.table[:, None, None])


class RelativePositionBias(nn.Module):
    """A learned number per head and displacement, added to the attention logits (Liu et al., 2021, section 3.2).

    Prefix tokens have no position: their rows and columns get no bias.
    """

    index: Tensor

    def __init__(self, num_heads: int, window_size: tuple[int, int], num_prefix_tokens: int = 0):
        super().__init__()
        self.num_prefix_tokens = num_prefix_tokens
        h, w = window_size
        self.table = nn.Parameter(torch.empty((2 * h - 1) * (2 * w - 1), num_heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        y, x = y.flatten(), x.flatten()
        index = (y[:, None] - y[None] + h - 1) * (2 * w - 1) + (x[:, None] - x[None] + w - 1)  # (T, T)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Tensor:
        """The bias (1, heads, P + T, P + T)."""
        t = len(self.index)
        bias = self.table.t().index_select(1, self.index.flatten()).view(1, -1, t, t)
        p = self.num_prefix_tokens
        return nn.functional.pad(bias, (p, 0, p, 0)) if p else bias

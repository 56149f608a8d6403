"""PixelRNN: recurrent layers predict an image token by token (after van den Oord et al., 2016); a baseline.

Tokens, positions, likelihood and sampling are those of the image GPT, with LSTMs in place of its Transformer.

N batch, T tokens, D width, h w token grid.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.norm import RMSNorm
from transgan.models.token_by_token import TokenByToken
from transgan.models.tokens import Tokens


class PixelRNN(TokenByToken):
    """Recurrent layers; images and labels to nats, as in token_by_token.py.

    Args:
        img_size, in_chans, num_classes, tokens: as in token_by_token.py.
        dim, depth: width of the recurrent layers and how many.
        layer: makes one from (dim, grid_size): LSTM or RowLSTM. norm_layer: makes the norms before each and after the
            last.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        tokens: Callable[[int, int, int], Tokens],
        dim: int,
        depth: int,
        layer: Callable[..., nn.Module],
        norm_layer: Callable[[int], nn.Module] = RMSNorm,
    ):
        super().__init__(img_size, in_chans, num_classes, tokens, dim)
        self.stages = nn.ModuleList([Recurrent(dim, depth, partial(layer, grid_size=self.grid_size), norm_layer)])
        self.norm = norm_layer(dim)
        if self.label_embed is not None:
            nn.init.normal_(self.label_embed.weight, std=0.5)


class Recurrent(nn.Module):
    """x + layer(norm(x)), `depth` times."""

    def __init__(self, dim: int, depth: int, layer: Callable[[int], nn.Module], norm_layer: Callable[[int], nn.Module]):
        super().__init__()
        self.norms = nn.ModuleList(norm_layer(dim) for _ in range(depth))
        self.layers = nn.ModuleList(layer(dim) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:  # (N, T, D)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return x

    def caches(self) -> list["State"]:
        """The initial state of each layer, for `decode`."""
        return [State() for _ in self.layers]

    def decode(self, x: Tensor, caches: list["State"]) -> Tensor:
        """The output of `forward` for tokens (N, t, D) that follow those in the caches."""
        for norm, layer, cache in zip(self.norms, cast(Iterable[LSTM | RowLSTM], self.layers), caches, strict=True):
            x = x + layer.decode(norm(x), cache)
        return x


class State:
    """The state of one layer after the tokens so far; None before the first."""

    def __init__(self) -> None:
        self.value: Any = None


class LSTM(nn.Module):
    """An LSTM over the tokens in raster order (Hochreiter and Schmidhuber, 1997)."""

    def __init__(self, dim: int, grid_size: tuple[int, int]):
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)
        nn.init.xavier_uniform_(self.lstm.get_parameter("weight_ih_l0"))
        nn.init.orthogonal_(self.lstm.get_parameter("weight_hh_l0"))
        open_forget_gate(self.lstm.get_parameter("bias_ih_l0"))
        nn.init.zeros_(self.lstm.get_parameter("bias_hh_l0"))

    def forward(self, x: Tensor) -> Tensor:  # (N, T, D)
        return self.lstm(x)[0]

    def decode(self, x: Tensor, state: State) -> Tensor:
        x, state.value = self.lstm(x, state.value)
        return x


class RowLSTM(nn.Module):
    """An LSTM down the image that processes a row of tokens at once (van den Oord et al., 2016, section 3.1).

    The gates of a position depend on its own token and the two before it in the row, and on the states above, above
    left and above right. So the receptive field is a triangle above; more layers see more of the row.
    """

    def __init__(self, dim: int, grid_size: tuple[int, int]):
        super().__init__()
        self.grid_size = grid_size
        self.row = nn.Conv1d(dim, 4 * dim, 3)  # padded on the left: causal
        self.above = nn.Conv1d(dim, 4 * dim, 3, padding=1, bias=False)
        for part in (self.row, self.above):
            nn.init.xavier_uniform_(part.weight)
        open_forget_gate(self.row.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:  # (N, T, D)
        x = x.unflatten(1, self.grid_size).transpose(2, 3)  # (N, h, D, w)
        gates = self.row(F.pad(x.flatten(0, 1), (2, 0))).unflatten(0, x.shape[:2])  # (N, h, 4 D, w)
        hidden = cell = torch.zeros_like(x[:, 0])  # (N, D, w)
        rows = []
        for each in gates.unbind(1):
            hidden, cell = lstm_step(each + self.above(hidden), cell)
            rows.append(hidden)
        return torch.stack(rows, 1).transpose(2, 3).flatten(1, 2)

    def decode(self, x: Tensor, state: State) -> Tensor:
        return torch.stack([self.step(each, state) for each in x.unbind(1)], 1)

    def step(self, x: Tensor, state: State) -> Tensor:  # (N, D)
        """The next token; the state is (tokens of this row, its hidden states and cells, those of the row above)."""
        width = self.grid_size[1]
        if state.value is None:
            zeros = x.new_zeros(*x.shape, width)
            state.value = ([], [], [], zeros, zeros)
        tokens, hidden, cells, above, cell_above = state.value
        column = len(tokens)
        tokens.append(x)
        window = torch.stack(([torch.zeros_like(x)] * 2 + tokens)[-3:], 2)  # (N, D, 3)
        gates = self.row(window) + F.conv1d(F.pad(above, (1, 1))[..., column : column + 3], self.above.weight)
        h, c = (each.squeeze(2) for each in lstm_step(gates, cell_above[..., column : column + 1]))
        hidden.append(h)
        cells.append(c)
        if column + 1 == width:
            state.value = ([], [], [], torch.stack(hidden, 2), torch.stack(cells, 2))
        return h


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:  # (N, 4 D, w), (N, D, w)
    """One step of LSTM cells: the new hidden states and cells."""
    input_gate, forget, new, out = gates.chunk(4, 1)
    cell = forget.sigmoid() * cell + input_gate.sigmoid() * new.tanh()
    return out.sigmoid() * cell.tanh(), cell


def open_forget_gate(bias: Tensor) -> None:
    """A bias of 1 in the second of the four gates, so that cells are initially kept (Jozefowicz et al., 2015)."""
    nn.init.zeros_(bias)
    with torch.no_grad():
        bias.view(4, -1)[1] = 1.0

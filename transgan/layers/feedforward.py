"""Feed-forward layers of a block: Mlp and SwiGLU."""

from torch import Tensor, nn
from torch.nn import functional as F


class Mlp(nn.Module):
    """Linear, activation, Linear."""

    def __init__(self, dim: int, hidden_dim: int, act_layer: type[nn.Module] = nn.GELU):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = act_layer()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class SwiGLU(nn.Module):
    """fc2(silu(gate) * value) (Shazeer, 2020), 2/3 of `hidden_dim` wide, so that it costs as much as Mlp."""

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        hidden_dim = max(1, 2 * hidden_dim // 3)
        self.fc1 = nn.Linear(dim, 2 * hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(F.silu(gate) * value)

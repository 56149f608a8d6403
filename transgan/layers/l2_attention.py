"""L2 attention: weights fall with distance, which makes the layer Lipschitz continuous (Kim et al., 2021).

N batch, T tokens, C channels, H heads, D head width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.layers.attention import Full
from transgan.layers.norm import RMSNorm
from transgan.layers.precision import wide, without_autocast


class L2Attention(nn.Module):
    """softmax(-|q_i - q_j|^2 / sqrt(D) + bias) v, where one projection q serves as queries and as keys.

    The attention of ViTGAN's discriminator (2021, section 3.2). Tying the projections is what bounds its gradient:
    neither dot products nor distances between two projections have a bound (Kim et al., 2021, section 3). With one head
    the bound holds for all tokens, with narrower heads for tokens of bounded norm, which the norm before a branch
    ensures. It takes the arguments of `Attention`; `qk_norm` is a single RMSNorm.

    |q_i|^2 is constant along a row and drops out of its softmax, so the logits are 2 q_i q_j - |q_j|^2: attention with
    a bias per key. Computed in float32 and relative to the tokens' mean, since a distance is a small difference of
    large numbers.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        qk_norm: bool = False,
        pattern: Full | None = None,
        rotary: nn.Module | None = None,
        bias: nn.Module | None = None,
    ):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads {num_heads} does not divide dim {dim}")
        self.num_heads = num_heads
        self.pattern = pattern or Full()
        self.qk = nn.Linear(dim, dim, bias=qkv_bias)
        self.v = nn.Linear(dim, dim, bias=qkv_bias)
        self.norm = RMSNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.rotary = rotary or nn.Identity()
        self.bias = bias
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:  # (N, T, C)
        x = self.pattern.fold(x)
        n, t, c = x.shape
        q, v = (layer(x).view(n, t, self.num_heads, -1).transpose(1, 2) for layer in (self.qk, self.v))  # (N, H, T, D)
        q = self.rotary(self.norm(q))
        with without_autocast(x):
            q, v = wide(q), wide(v)
            q = q - q.mean(2, keepdim=True)
            mask = -q.square().sum(-1).unsqueeze(2) / q.shape[-1] ** 0.5  # (N, H, 1, T)
            if self.bias is not None:
                mask = mask + self.bias().to(q.dtype)  # (N, H, T, T)
            if self.pattern.is_causal:
                mask = mask.masked_fill(torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1), float("-inf"))
            # all T rows, even if identical: GPU kernels do not broadcast the rows of a mask
            mask = mask.expand(-1, -1, t, -1)
            out = F.scaled_dot_product_attention(q, q, v, attn_mask=mask, scale=2 / q.shape[-1] ** 0.5)
        return self.pattern.unfold(self.proj(out.transpose(1, 2).reshape(n, t, c)))

"""Image GPT: the Transformer, made causal, predicts an image token by token (after Chen et al., 2020).

N batch, T tokens, D width, K classes.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from transgan.layers.block import Transformer
from transgan.layers.linear import xavier
from transgan.layers.norm import RMSNorm, ScaledNorm
from transgan.models.token_by_token import TokenByToken
from transgan.models.tokens import Tokens


class ImageGPT(TokenByToken):
    """A causal Transformer; images and labels to nats, as in token_by_token.py.

    Args:
        img_size, in_chans, num_classes, tokens: as in token_by_token.py.
        dim, depth, num_heads: of the stack. mlp_ratio: hidden width of the feed-forward layers over dim.
        init_values: initial LayerScale, or None. transformer, norm_layer: as in the discriminator.
    """

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        tokens: Callable[[int, int, int], Tokens],
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        init_values: float | None = None,
        transformer: Callable[..., nn.Module] = Transformer,
        norm_layer: Callable[[int], nn.Module] = RMSNorm,
    ):
        super().__init__(img_size, in_chans, num_classes, tokens, dim)
        # a list of one, so that its weights are named as in the generator and the discriminator
        norm = partial(ScaledNorm, norm_layer=norm_layer, init_values=init_values)
        self.stages = nn.ModuleList(
            [transformer(dim, depth, num_heads, self.grid_size, mlp_ratio, norm=norm, causal=True)]
        )
        self.norm = norm_layer(dim)
        self.initialise()

    def initialise(self) -> None:
        """Xavier in the stack; tokens initialise their own layers."""
        xavier(self.stages)
        if self.label_embed is not None:
            nn.init.normal_(self.label_embed.weight, std=0.5)

"""Features to a logit, with projection conditioning on the class.

N batch, C channels, K classes.
"""

from torch import Tensor, nn

from transgan.layers.precision import wide, without_autocast


class ProjectionHead(nn.Module):
    """<w, f> + <e_y, f> in float32, without a bias (Miyato and Koyama, 2018); <w, f> alone for num_classes=0."""

    def __init__(self, dim: int, num_classes: int):
        super().__init__()
        # no bias: in a loss of differences its gradient is only rounding noise, which Adam would turn into steps
        self.linear = nn.Linear(dim, 1, bias=False)
        self.label_embed = nn.Embedding(num_classes, dim) if num_classes else None
        nn.init.xavier_uniform_(self.linear.weight)
        if self.label_embed is not None:  # <f, e> initially has the variance of f
            nn.init.normal_(self.label_embed.weight, std=dim**-0.5)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # (N, C), (N,)
        with without_autocast(x):
            x = wide(x)
            logits = self.linear(x).squeeze(1)  # (N,)
            if self.label_embed is not None:
                logits = logits + (x * self.label_embed(labels)).sum(1)
        return logits

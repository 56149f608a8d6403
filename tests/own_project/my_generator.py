"""A generator of one's own: two linear layers."""

from torch import Tensor, nn


class TwoLayers(nn.Module):
    def __init__(self, img_size: int, in_chans: int, num_classes: int, latent_dim: int = 8, width: int = 32):
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.shape = (in_chans, img_size, img_size)
        self.classes = nn.Embedding(max(num_classes, 1), latent_dim)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, in_chans * img_size**2), nn.Tanh()
        )

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            latent = latent + self.classes(labels)
        return self.layers(latent).unflatten(1, self.shape)

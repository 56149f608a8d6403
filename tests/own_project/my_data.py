import torch

from transgan.data.dataset import ImageDataset


class Discs(ImageDataset):
    def __init__(self, resolution: int, channels: int, count: int = 256):
        super().__init__("discs", resolution, channels)
        y, x = torch.meshgrid(*2 * [torch.arange(resolution)], indexing="ij")
        random = torch.Generator().manual_seed(0)
        centre = torch.rand(count, 2, generator=random) * resolution
        labels = torch.arange(count) % 2
        radius = (1 + 2 * labels).reshape(-1, 1, 1)
        inside = (y - centre[:, 0].reshape(-1, 1, 1)) ** 2 + (x - centre[:, 1].reshape(-1, 1, 1)) ** 2 < radius**2
        images = (255 * inside).to(torch.uint8)[:, None].expand(-1, channels, -1, -1)
        self.hold(images.contiguous(), labels.tolist(), ["small", "large"], [(resolution, resolution)] * count)

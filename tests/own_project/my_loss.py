from torch import Tensor


class Distance:
    relativistic = False
    boundary = 0.0

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.scale * ((real - 1) ** 2 + (fake + 1) ** 2)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return self.scale * (fake - 1) ** 2

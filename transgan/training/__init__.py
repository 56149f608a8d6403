"""Lightning modules, for `transgan train` and for any Trainer. None of them imports a network.

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset
from transgan.models.style_transformer import StyleTransformer
from transgan.models.vit_discriminator import ViTDiscriminator
from transgan.training import Adversarial

images = torch.randint(0, 256, (256, 1, 8, 8), dtype=torch.uint8)
labels = torch.randint(0, 10, (256,))
stack = dict(dim=[16], depth=[1], num_heads=[2], window_size=None, mlp_ratio=2.0)
shape = dict(img_size=8, in_chans=1, num_classes=10, patch_size=2)
generator = StyleTransformer(**shape, **stack, latent_dim=8, style_dim=16, mapping_depth=2)
discriminator = ViTDiscriminator(**shape, **stack, stem_dim=8, init_values=0.1)

module = Adversarial(generator, discriminator, num_classes=10)
save = ModelCheckpoint(dirpath="checkpoints", monitor="loss_g")
trainer = Trainer(max_epochs=1, callbacks=[save])
trainer.fit(module, DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True, drop_last=True))
print(module.generate([0, 1, 2]).shape)  # uint8 (3, 1, 8, 8), by the EMA weights
"""

from transgan.training.adversarial import Adversarial
from transgan.training.autoregressive import Autoregressive
from transgan.training.drifting import Drifting
from transgan.training.flow import Flow
from transgan.training.masked import Masked
from transgan.training.student import Student
from transgan.training.variational import Variational

__all__ = ["Adversarial", "Autoregressive", "Drifting", "Flow", "Masked", "Student", "Variational"]

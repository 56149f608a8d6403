"""PixelRNN under the module that trains image GPTs: it learns, and an image is a function of seed and class alone."""

from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer

from transgan.models.pixel_rnn import LSTM, PixelRNN, RowLSTM
from transgan.models.tokens import Pixels
from transgan.training.autoregressive import Autoregressive


def autoregressive(layer):
    torch.manual_seed(0)
    return Autoregressive(
        PixelRNN(8, 1, 3, partial(Pixels, levels=17), dim=16, depth=1, layer=layer),
        optimizer=partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.1), lr=1e-2, ema_halflife=0.01, clip=1.0,
        max_nonfinite=3, batch_size=4, num_classes=3,
    )  # fmt: skip


def pictures(count):
    """Slopes, each class in a direction of its own."""
    line = torch.arange(8) / 7
    slopes = torch.stack([line.expand(8, 8), line.flip(0).expand(8, 8), line.view(8, 1).expand(8, 8)])
    return ((slopes[torch.arange(count) % 3].unsqueeze(1) * 16).round() * 255 / 16).round().to(torch.uint8)


@pytest.mark.parametrize("layer", [LSTM, RowLSTM])
def test_it_learns_and_draws_by_seed_and_class(layer):
    module = autoregressive(layer)
    labels = torch.arange(24) % 3
    fresh = module.bits_per_dim(pictures(24), labels)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    batches = [(pictures(4), labels[:4])] * 60
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    assert (module.bits_per_dim(pictures(24), labels) < 0.6 * fresh).all()
    seeds = list(range(24))
    images = module.generate(seeds, labels)
    assert torch.equal(images, torch.cat([module.generate([s], labels[s : s + 1]) for s in seeds]))
    assert torch.equal(
        images, torch.cat([module.generate(seeds[i : i + 7], labels[i : i + 7]) for i in range(0, 24, 7)])
    )
    assert len(images.flatten(1).unique(dim=0)) > 12
    given = module.complete(pictures(6), 4, seeds[:6], labels[:6])
    assert torch.equal(given[:, :, :4], pictures(6)[:, :, :4])


def test_matrices_decay_and_biases_do_not():
    module = autoregressive(LSTM)
    groups = module.configure_optimizers().param_groups
    names = {id(p): name for name, p in module.network.named_parameters()}
    assert {names[id(p)] for p in groups[0]["params"]} == {
        "tokens.head.weight", *(f"stages.0.layers.0.lstm.weight_{kind}_l0" for kind in ("ih", "hh"))
    }  # fmt: skip
    assert sum(len(group["params"]) for group in groups) == len(names)

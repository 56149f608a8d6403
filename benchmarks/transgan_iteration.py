"""What one CIFAR-10 iteration of TransGAN costs on a CPU: `python benchmarks/transgan_iteration.py [--checkpointing]`.

Full size: a discriminator step with 32 images and the gradient penalty, then a generator step with 64, both with
clipping and Adam, and the average. CPU-seconds, with the rate of a float32 matrix product beside them, because machines
differ.
"""

import argparse
import os
import resource
import time
from copy import deepcopy

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a waiting thread should cost nothing

import torch
from hydra.utils import instantiate
from torch.nn.utils import clip_grad_norm_

from transgan.config.compose import compose
from transgan.ema import update_ema
from transgan.training.objectives import (
    DiscriminatorInputs,
    GeneratorInputs,
    discriminator_objective,
    generator_objective,
)
from transgan.training.two_networks import frozen


def measured(name, work, times):
    """Runs it `times` times and prints the least CPU-seconds and the largest memory so far."""
    spent = []
    for _ in range(times):
        begin = time.process_time()
        work()
        spent.append(time.process_time() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name:28s} {min(spent):7.2f} CPU-s (of {times}: {', '.join(f'{s:.2f}' for s in spent)})   peak {peak:.1f} GB"
    )


def gigaflops():
    """Of all threads together, by CPU-seconds: what else runs on the machine does not count."""
    a, best = torch.randn(2048, 2048), 0.0
    for _ in range(5):
        begin = time.process_time()
        a @ a
        best = max(best, 2 * 2048**3 / (time.process_time() - begin) / 1e9)
    return best * torch.get_num_threads()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    again = str(options.checkpointing).lower()
    config = compose("train", [
        "experiment=transgan_cifar10", f"generator.checkpointing={again}", f"discriminator.checkpointing={again}",
    ])  # fmt: skip
    config.num_classes = 0
    generator, discriminator, loss, penalty, consistency, augmentation, supervision, optimizer = (
        instantiate(config[part], _convert_="all")
        for part in ("generator", "discriminator", "loss", "penalty", "consistency", "augmentation", "supervision",
                     "optimizer")
    )  # fmt: skip
    ema = deepcopy(generator).eval().requires_grad_(False)
    optimizers = [optimizer(network.parameters(), lr=1e-4) for network in (generator, discriminator)]
    real = torch.rand(32, 3, 32, 32) * 2 - 1
    one, gamma = torch.tensor(1.0), torch.tensor(20.0)

    def step_optimizer(value, network, its):
        value.backward()
        clip_grad_norm_(network.parameters(), 5.0)
        its.step()
        its.zero_grad()

    def forward():
        with torch.no_grad():
            ema(torch.randn(32, 256))

    def discriminator_step():
        with torch.no_grad():
            fake = generator(torch.randn(32, 256))
        random, noise = torch.rand(2, 32, augmentation.num_random), torch.rand(32, 1, 1, 1)
        inputs = DiscriminatorInputs(real, fake, labels=None, random=random, noise=noise, strength=one, gamma=gamma)
        value, *_ = discriminator_objective(discriminator, loss, penalty, consistency, augmentation, inputs)
        step_optimizer(value, discriminator, optimizers[1])

    def generator_step():
        random, noise = torch.rand(2, 64, augmentation.num_random), torch.empty(64, 0)
        inputs = GeneratorInputs(real, torch.randn(64, 256), labels=None, random=random, noise=noise, strength=one)
        with frozen(discriminator):
            value = generator_objective(generator, discriminator, loss, supervision, augmentation, inputs)
            step_optimizer(value, generator, optimizers[0])
        update_ema(ema, generator, 0.99)

    def iteration():
        discriminator_step()
        generator_step()

    print(f"{options.threads} threads, {gigaflops():.0f} GFLOP/s before", end="")
    print(f", checkpointing {'on' if options.checkpointing else 'off'}")
    measured("generator forward, 32 images", forward, options.times)
    measured("iteration, 32 and 64 images", iteration, options.times)
    print(f"{gigaflops():.0f} GFLOP/s after")


if __name__ == "__main__":
    main()

"""A training step of `pix2pix --preset paper` and of `cyclegan --preset paper` at 256 pixels against the plain loops.

    python benchmarks/translation_speed.py

The plain loops are what tutorials print: the same networks in fp32 and in torch's usual layout, torch's own norms
(batch norm in pix2pix, instance norm in cyclegan), the discriminator called for real and for fake pictures one after
the other, frozen by hand while the generator learns, an Adam that is not fused, losses printed at every step. ganvas
is the step that `ganvas train` takes. Both learn from the same pictures, batch 1, and take turns in one run.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import report
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas import methods
from ganvas.data.batch import Pairs, Spec
from ganvas.nets.translators import ResNet, UNet, patch_discriminator, unet_widths
from ganvas.runtime import autocast, choose_precision

SIZE = 256
CPU = torch.device("cpu")
Step = Callable[[Tensor, Tensor], None]


def torch_norms(network: nn.Module) -> nn.Module:
    """The network with torch's own instance norm in place of ganvas's."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                setattr(parent, name, nn.InstanceNorm2d(child.num_features, affine=True))
    return network


def plain_adam(*networks: nn.Module) -> torch.optim.Optimizer:
    weights = [weight for network in networks for weight in network.parameters()]
    return torch.optim.Adam(weights, lr=2e-4, betas=(0.5, 0.999))


def freeze(frozen: bool, *networks: nn.Module) -> None:
    for network in networks:
        network.requires_grad_(not frozen)


def plain_pix2pix() -> Step:
    generator = UNet(3, 3, widths=unet_widths(64, 8), norm="batch", upsample="deconv", dropout=0.5)
    discriminator = patch_discriminator(6, patch="70", width=64, norm="batch", size=SIZE)
    generator_adam, discriminator_adam = plain_adam(generator), plain_adam(discriminator)
    criterion = nn.BCEWithLogitsLoss()

    def step(source: Tensor, target: Tensor) -> None:
        fake = generator(source)
        freeze(False, discriminator)
        discriminator_adam.zero_grad()
        of_fake = discriminator(torch.cat([source, fake.detach()], 1))
        of_real = discriminator(torch.cat([source, target], 1))
        loss = 0.5 * (criterion(of_fake, torch.zeros_like(of_fake)) + criterion(of_real, torch.ones_like(of_real)))
        loss.backward()
        discriminator_adam.step()
        freeze(True, discriminator)
        generator_adam.zero_grad()
        of_fake = discriminator(torch.cat([source, fake], 1))
        generator_loss = criterion(of_fake, torch.ones_like(of_fake)) + 100 * F.l1_loss(fake, target)
        generator_loss.backward()
        generator_adam.step()
        loss.item(), generator_loss.item()

    return step


def plain_cyclegan() -> Step:
    there, back = (torch_norms(ResNet(3, 3, width=64, blocks=9, norm="instance", upsample="deconv")) for _ in range(2))
    judge_a, judge_b = (
        torch_norms(patch_discriminator(3, patch="70", width=64, norm="instance", size=SIZE)) for _ in range(2)
    )
    generators_adam, judges_adam = plain_adam(there, back), plain_adam(judge_a, judge_b)

    def step(a: Tensor, b: Tensor) -> None:
        freeze(True, judge_a, judge_b)
        generators_adam.zero_grad()
        fake_b, fake_a = there(a), back(b)
        cycled_a, cycled_b = back(fake_b), there(fake_a)
        of_b, of_a = judge_b(fake_b), judge_a(fake_a)
        loss = F.mse_loss(of_b, torch.ones_like(of_b)) + F.mse_loss(of_a, torch.ones_like(of_a))
        loss = loss + 10 * (F.l1_loss(cycled_a, a) + F.l1_loss(cycled_b, b))
        loss.backward()
        generators_adam.step()
        freeze(False, judge_a, judge_b)
        judges_adam.zero_grad()
        for judge, real, fake in ((judge_a, a, fake_a), (judge_b, b, fake_b)):
            of_real, of_fake = judge(real), judge(fake.detach())
            judged = F.mse_loss(of_real, torch.ones_like(of_real)) + F.mse_loss(of_fake, torch.zeros_like(of_fake))
            (judged / 2).backward()
        judges_adam.step()
        loss.item(), judged.item()

    return step


def ganvas_step(name: str, precision: str) -> Step:
    method = methods.get(name)(methods.config(name, "paper"), Spec(SIZE, 3, target_channels=3)).train()
    count = 0

    def step(source: Tensor, target: Tensor) -> None:
        nonlocal count
        with autocast(CPU, precision):
            method.training_step(Pairs(source, target), count)
        count += 1

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    precision = choose_precision(CPU)
    rows = []
    for name, plain in (("pix2pix", plain_pix2pix), ("cyclegan", plain_cyclegan)):
        steps = {
            "plain loop, fp32": plain(),
            "ganvas, fp32": ganvas_step(name, "fp32"),
            f"ganvas as shipped ({precision})": ganvas_step(name, precision),
        }
        source, target = torch.rand(2, 1, 3, SIZE, SIZE) * 2 - 1
        for step in steps.values():
            step(source, target)  # warm up
        rounds = []
        for _ in range(options.rounds):
            seconds = {}
            for loop, step in steps.items():
                start = time.perf_counter()
                step(source, target)
                seconds[loop] = time.perf_counter() - start
            rounds.append(seconds)
        for loop in steps:
            ratios = [r["plain loop, fp32"] / r[loop] for r in rounds]
            rows.append(
                f"| `{name} --preset paper` | {loop} | {statistics.median(r[loop] for r in rounds):.2f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
            )
            print(rows[-1])
    report.write(
        "translation-speed.md",
        f"# A training step of the translators, {SIZE} pixels, batch 1\n\n"
        "The same networks; `benchmarks/translation_speed.py` says what the plain loops are. "
        f"{options.rounds} rounds, in each of which every loop took a step.\n\n"
        "| | loop | seconds a step (median) | times as quick as the plain loop (median, range) |\n|---|---|---|---|\n"
        + "\n".join(rows),
    )


if __name__ == "__main__":
    main()

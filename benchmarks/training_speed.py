"""`gan --preset book` in ganvas against the loop that textbooks print, interleaved in one run.

    python benchmarks/training_speed.py --data-root DIR        (DIR holds MNIST/raw)

Both train the same networks on batches of 512 digits. The plain loop reads PIL pictures through a DataLoader
with ToTensor and Normalize, computes in fp32, calls the discriminator once for real and once for fake, has a
sigmoid and BCELoss, and an Adam that is not fused. ganvas is the loop that `ganvas train` runs: log, sample
sheets and saves included.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import report
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from ganvas import methods, training
from ganvas.data import open_source
from ganvas.facts import Facts
from ganvas.methods.gan import Gan
from ganvas.runtime import choose_precision

BATCH = 512
CPU = torch.device("cpu")


def plain_loop(root: Path, gan: Gan) -> Generator[int, None, None]:
    """Train as the textbooks do; yields the number of pictures after each step."""
    to_range = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    loader = DataLoader(datasets.MNIST(root, train=True, transform=to_range), batch_size=BATCH, shuffle=True)
    generator, discriminator = gan.generator, nn.Sequential(gan.discriminator, nn.Sigmoid())
    criterion = nn.BCELoss()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4)
    while True:
        for real, _ in loader:
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            z = torch.randn(len(real), gan.config.latent)

            discriminator_optimizer.zero_grad()
            fake = generator(z)
            loss = criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)
            loss.backward()
            discriminator_optimizer.step()

            generator_optimizer.zero_grad()
            loss = criterion(discriminator(fake), ones)
            loss.backward()
            generator_optimizer.step()
            loss.item()
            yield len(real)


def ganvas_loop(root: Path, run: Path, precision: str) -> Generator[int, None, None]:
    """Train as `ganvas train gan --preset book --data mnist` does; yields the pictures since the last event."""
    source = open_source("mnist", root=root)
    facts = Facts(
        method="gan", config=methods.config("gan", "book"), spec=source.spec, data="mnist", pictures=len(source),
        seed=0, flip=False, precision=precision,
    )  # fmt: skip
    method = training.start(run, source, facts)
    step = 0
    for event in training.train(run, source, method, facts=facts, device=CPU, budget=training.Budget(steps=10**9)):
        yield (event.step - step) * BATCH
        step = event.step


def speed(loop: Iterator[int], seconds: float) -> float:
    """Pictures a second over at least `seconds` of a loop."""
    start, pictures = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        pictures += next(loop)
    return pictures / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5, help="of each loop in a round")
    options = parser.parse_args()
    precision = choose_precision(CPU)
    source_spec = open_source("mnist", root=options.data_root).spec
    with tempfile.TemporaryDirectory() as folder:
        loops = {
            "plain loop, fp32": plain_loop(options.data_root, Gan(methods.config("gan", "book"), source_spec)),
            "ganvas, fp32": ganvas_loop(options.data_root, Path(folder) / "fp32", "fp32"),
            f"ganvas as shipped ({precision})": ganvas_loop(options.data_root, Path(folder) / "auto", precision),
        }
        for loop in loops.values():
            speed(loop, 2)  # warm up
        rounds = [{name: speed(loop, options.seconds) for name, loop in loops.items()} for _ in range(options.rounds)]
        for loop in loops.values():
            loop.close()
    rows = []
    for name in loops:
        ratios = [r[name] / r["plain loop, fp32"] for r in rounds]
        rows.append(
            f"| {name} | {statistics.median(r[name] for r in rounds):,.0f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
        print(rows[-1])
    report.write(
        "training-speed.md",
        "# Training speed: `gan --preset book` on MNIST\n\n"
        "The same networks and batches of 512; `benchmarks/training_speed.py` says what the plain loop is. "
        f"{options.rounds} rounds, in each of which every loop ran for {options.seconds:g} seconds.\n\n"
        "| loop | pictures a second (median) | ratio to the plain loop (median, range) |\n|---|---|---|\n"
        + "\n".join(rows),
    )


if __name__ == "__main__":
    main()

"""Train the digit network that comes with ganvas, and write docs/results/digit-network.md.

    python benchmarks/digit_network.py --data-root DIR       (DIR holds MNIST/raw; 20 minutes on one core)

Trains on the 60,000 training images, with small random rotations, translations, scalings and shears, and tests once, at
the end, on the 10,000 test images. Writes src/ganvas/weights/digits.safetensors, in 16 bits.
"""

import argparse
import math
import time
from pathlib import Path

import report
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F

import ganvas
from ganvas.core.device import autocast, choose_precision, find_device
from ganvas.core.optim import evaluating
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import ImageBatch
from ganvas.imaging.images import to_signed
from ganvas.metrics.features import DigitNetwork

EPOCHS, BATCH, LEARNING_RATE = 14, 250, 4e-3
WEIGHTS = Path(ganvas.__file__).parent / "weights" / "digits.safetensors"


def distorted(images: Tensor) -> Tensor:
    """Rotate, translate, scale and shear each image (N, 1, H, W) in -1..1 at random, as the result page says."""
    n = len(images)
    angle, shear = torch.empty(2, n).uniform_(-1, 1) * torch.tensor([[math.radians(15)], [0.1]])
    across, down = 1 + torch.empty(2, n).uniform_(-0.1, 0.1)
    move = torch.empty(n, 2).uniform_(-3, 3) / 14
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([cos * across, shear - sin * down, sin * across, cos * down], 1).view(n, 2, 2)
    grid = F.affine_grid(torch.cat([matrix, move[:, :, None]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1  # padding is black


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    options = parser.parse_args()
    train, test = (open_data(Data("mnist", root=options.data_root), split=split).images for split in ("train", "test"))
    assert isinstance(train, ImageBatch)
    assert isinstance(test, ImageBatch)

    torch.manual_seed(0)
    device = find_device("cpu")
    precision = choose_precision(device)
    network = DigitNetwork().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.02)
    steps = len(train) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=EPOCHS * steps)
    start = time.perf_counter()
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(train)).split(BATCH):
            images = distorted(to_signed(train.images[rows]))
            with autocast(device, precision):
                loss = F.cross_entropy(network(images).float(), train.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.perf_counter() - start:.0f} s", flush=True)
    minutes = (time.perf_counter() - start) / 60

    network.half().float()  # evaluated as it is shipped
    with evaluating(network):
        judged = torch.cat([network(to_signed(part)).argmax(1) for part in test.images.split(1000)])
    right = int((judged == test.labels).sum())
    WEIGHTS.parent.mkdir(exist_ok=True)
    weights = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    safetensors.torch.save_file(weights, WEIGHTS, {"test accuracy": f"{right / len(test):.4f}"})
    report.write(
        "digit-network.md",
        "# The digit network\n\n"
        f"`benchmarks/digit_network.py` trained it for {EPOCHS} epochs ({minutes:.0f} minutes) on the 60,000 training "
        "images of MNIST, each rotated by up to 15 degrees, translated by up to 3 pixels, scaled and sheared by up "
        "to a tenth, at random.\n\n"
        "| | |\n|---|---|\n"
        f"| test images classified correctly | {right:,} of {len(test):,} ({right / len(test):.2%}) |\n"
        f"| parameters | {sum(weight.numel() for weight in network.parameters()):,} |\n"
        f"| file, 16 bits | {WEIGHTS.stat().st_size / 2**20:.2f} MB |\n",
    )
    print(f"{right / len(test):.2%} of {len(test):,} test images; {WEIGHTS}")


if __name__ == "__main__":
    main()

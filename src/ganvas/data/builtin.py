"""Well-known data sets by name: digits (scikit-learn), mnist, fashion-mnist, kmnist and cifar10 (torchvision)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganvas.core.sources import DATA_SETS
from ganvas.data.batch import RESIDENT_BYTES, ImageBatch, Source, Spec
from ganvas.data.decode import How
from ganvas.errors import DataError
from ganvas.imaging import images

Split = Literal["train", "test"]


_IDX = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or .gz)"
_FILES = {  # the files that torchvision reads, and their folder below the root
    "mnist": (_IDX, "MNIST/raw"),
    "fashion-mnist": (_IDX, "FashionMNIST/raw"),
    "kmnist": (_IDX, "KMNIST/raw"),
    "cifar10": ("cifar-10-python.tar.gz", "."),
}
NAMES = DATA_SETS

_DIGITS_HELD_OUT = 252  # of 1797; the last two of the fourteen parts, each written by one person


def open_named(
    name: str, *, root: Path, size: int | None = None, split: Split = "train", random_crop: bool = False
) -> Source[ImageBatch]:
    """Open the data set `name` under `root`, downloading it if it is missing; an eighth larger for random crops.

    Raises:
        DataError: if it is missing and cannot be downloaded, saying which files to put where.
    """
    pixels, labels, classes = _digits(split) if name == "digits" else _from_torchvision(name, root, split)
    spec = Spec(size or max(16, pixels.shape[-1]), pixels.shape[1], classes)
    margin = How(random_crop=random_crop).margin(spec.size)
    scaled = LazilyScaled(ImageBatch(pixels, labels), spec.size + margin)
    kept = scaled if spec.bytes * len(pixels) > RESIDENT_BYTES else scaled.all()
    return Source(name, spec, kept, part=split, margin=margin)


@dataclass(frozen=True)
class LazilyScaled:
    """Images kept at their own size, and scaled to another on access."""

    images: ImageBatch
    size: int

    @property
    def batch(self) -> type[ImageBatch]:
        """The type of its rows."""
        return ImageBatch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[ImageBatch, None]:
        """Row `index`; none can be broken."""
        row = self.images.over(lambda t: t[index : index + 1])
        return replace(row, images=images.resize(row.images, self.size)), None

    def all(self) -> ImageBatch:
        """Every row at once."""
        return replace(self.images, images=images.resize(self.images.images, self.size))


def _digits(split: Split) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    from sklearn.datasets import load_digits  # a second to import, for this set alone

    digits = load_digits()
    rows = slice(None, -_DIGITS_HELD_OUT) if split == "train" else slice(-_DIGITS_HELD_OUT, None)
    pixels = torch.from_numpy((digits.images[rows] * (255 / 16)).round().astype(np.uint8))  # ink of 0..16
    return pixels[:, None], torch.from_numpy(digits.target[rows]).long(), tuple("0123456789")


def _from_torchvision(name: str, root: Path, split: Split) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    from torchvision.datasets import CIFAR10, KMNIST, MNIST, FashionMNIST  # seconds to import, for these sets alone

    dataset = {"mnist": MNIST, "fashion-mnist": FashionMNIST, "kmnist": KMNIST, "cifar10": CIFAR10}[name]
    try:
        try:
            found = dataset(root, train=split == "train", download=False)
        except RuntimeError:  # raised where the files are missing
            found = dataset(root, train=split == "train", download=True)
    except Exception as error:  # a broken copy, no network, no permission to write: torchvision raises many types
        files, folder = _FILES[name]
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{name} is incomplete under {root} and cannot be downloaded ({reason}); put {files} into {root / folder}"
        ) from error
    pixels = torch.as_tensor(found.data)
    pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    classes = tuple(name.split(" - ")[0] for name in found.classes)  # MNIST says "0 - zero"
    return pixels, torch.as_tensor(found.targets).long(), classes

"""Well-known data sets by name: digits (scikit-learn), mnist, fashion-mnist, kmnist and cifar10 (torchvision)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganvas import images
from ganvas.data.batch import Images, Source, Spec
from ganvas.errors import DataError

Split = Literal["train", "test"]


@dataclass(frozen=True)
class _Torchvision:
    """Where torchvision keeps a data set: its class, and the files it looks for below the root."""

    cls: str
    folder: str
    files: str


_IDX = (
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or their .gz)"
)
_TORCHVISION = {
    "mnist": _Torchvision("MNIST", "MNIST/raw", _IDX),
    "fashion-mnist": _Torchvision("FashionMNIST", "FashionMNIST/raw", _IDX),
    "kmnist": _Torchvision("KMNIST", "KMNIST/raw", _IDX),
    "cifar10": _Torchvision("CIFAR10", ".", "cifar-10-python.tar.gz"),
}
NAMES = ("digits", *_TORCHVISION)

_DIGITS_HELD_OUT = 297  # of 1797; the last ones, written by people whose hands the others do not show


def open_named(name: str, *, root: Path, size: int | None = None, split: Split = "train") -> Source:
    """The data set `name`, from the copy under `root`, else downloaded to there.

    Raises:
        DataError: if it is neither there nor to be had, saying which files to put where.
    """
    pixels, labels, classes = _digits(split) if name == "digits" else _from_torchvision(_TORCHVISION[name], root, split)
    native = pixels.shape[-1]
    size = size or max(16, native)
    spec = Spec(size, pixels.shape[1], classes)
    return Source(name, spec, Images(images.resize(pixels, size), labels))


def _digits(split: Split) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    from sklearn.datasets import load_digits  # a second to import, for this set alone

    digits = load_digits()
    rows = slice(None, -_DIGITS_HELD_OUT) if split == "train" else slice(-_DIGITS_HELD_OUT, None)
    pixels = torch.from_numpy((digits.images[rows] * (255 / 16)).round().astype(np.uint8))  # ink of 0..16
    return pixels[:, None], torch.from_numpy(digits.target[rows]).long(), tuple("0123456789")


def _from_torchvision(known: _Torchvision, root: Path, split: Split) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    import torchvision.datasets  # seconds to import, for these sets alone

    cls = getattr(torchvision.datasets, known.cls)
    try:
        try:
            found = cls(root, train=split == "train", download=False)
        except RuntimeError:  # its way of saying that the files are not there
            found = cls(root, train=split == "train", download=True)
    except Exception as error:  # a broken copy, no network, no right to write: torchvision raises about anything
        place = root / known.folder
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{known.cls} is not whole under {root} and cannot be downloaded ({reason}); put {known.files} into {place}"
        ) from error
    pixels = torch.as_tensor(found.data)
    pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    classes = tuple(name.split(" - ")[0] for name in found.classes)  # MNIST says "0 - zero"
    return pixels, torch.as_tensor(found.targets).long(), classes

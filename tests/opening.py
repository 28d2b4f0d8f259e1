"""Opening data in tests, in one line."""

from pathlib import Path

from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import ImageBatch


def open_for(batches, name, *, split="train", like=None, least=2, **data):
    """What a method that learns from these batches opens."""
    return open_data(Data(name, **data), batches, split=split, like=like, least=least)


def open_source(name, *, root=Path("/nowhere"), size=None, split="train"):
    """Single images."""
    return open_for((ImageBatch,), name, root=root, size=size, split=split)

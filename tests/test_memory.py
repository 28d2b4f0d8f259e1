"""Images in memory, and torch data sets, are data like a folder."""

import numpy as np
import pytest
import torch
from conftest import noise_images, photograph
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from ganvas.core.options import Data
from ganvas.data import name_of, open_data
from ganvas.data.batch import ImageBatch, PairBatch
from ganvas.data.decode import LazyRows
from ganvas.errors import DataError, UsageError

PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8))


class Listed(Dataset):
    """A data set of whatever is in a list."""

    def __init__(self, items, classes=None):
        self.items = items
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def opened(source, batches=(ImageBatch,), **data):
    return open_data(Data(source, **data), batches)


def as_arrays():
    return PIXELS.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
    "source",
    [
        PIXELS,
        PIXELS.float() / 255,
        PIXELS.float() / 127.5 - 1,
        PIXELS.numpy(),
        as_arrays(),
        as_arrays().astype(np.float64) / 255,
        list(as_arrays()),
        [Image.fromarray(pixels) for pixels in as_arrays()],
        TensorDataset(PIXELS),
        Listed([{"image": Image.fromarray(pixels)} for pixels in as_arrays()]),
    ],
    ids=["uint8", "0..1", "-1..1", "array", "channels last", "float64", "list", "PIL", "TensorDataset", "by name"],
)
def test_every_way_to_hold_them_gives_the_same_images(source):
    found = opened(source)
    assert (found.spec.size, found.spec.channels, found.spec.classes) == (32, 3, ())
    assert torch.equal(found.rows(range(6)).images, PIXELS)


def test_labels_are_classes_with_the_names_that_the_data_set_has():
    labels = torch.tensor([2, 0, 1, 2, 0, 1])
    found = opened(TensorDataset(PIXELS, labels))
    assert found.spec.classes == ("0", "1", "2")
    assert found.rows(range(6)).labels.tolist() == labels.tolist()
    named = opened(Listed([(image, int(k)) for image, k in zip(PIXELS, labels, strict=True)], classes=["a", "b", "c"]))
    assert named.spec.classes == ("a", "b", "c")


def test_images_of_any_shape_become_squares_of_the_size_asked_for():
    many = [photograph(seed=i, width=40 + i, height=33) for i in range(4)]
    found = opened(many)
    assert found.spec.size == 64
    small = opened(many, size=16, random_crop=True)
    assert small.raw([0]).images.shape == (1, 3, 18, 18)
    assert opened(PIXELS[:, :1]).spec.channels == 1
    assert opened(PIXELS[:, 0]).spec.channels == 1  # (N, H, W)


def test_pairs_are_for_methods_that_learn_from_pairs():
    found = opened(TensorDataset(PIXELS[:, :1], PIXELS), (PairBatch,))
    assert (found.spec.channels, found.spec.target_channels) == (1, 3)
    assert torch.equal(found.rows(range(6)).target, PIXELS)
    made = opened(PIXELS, (PairBatch,), task="colorize")
    assert (made.spec.channels, made.spec.target_channels) == (1, 2)
    with pytest.raises(UsageError, match=r"holds pairs.*single images"):
        opened(TensorDataset(PIXELS, PIXELS))
    with pytest.raises(UsageError, match=r"single images.*`task`"):
        opened(PIXELS, (PairBatch,))
    with pytest.raises(UsageError, match="`side`"):
        opened(PIXELS, (PairBatch,), side="ab")


def test_what_is_held_out_is_no_part_of_what_is_learned():
    many = PIXELS.repeat(20, 1, 1, 1)
    train, test = (open_data(Data(many, holdout=0.25), (ImageBatch,), split=part) for part in ("train", "test"))
    assert len(train) + len(test) == 120
    assert 10 < len(test) < 50
    assert not set(train.names) & set(test.names)


def test_a_large_set_is_read_item_by_item(monkeypatch):
    whole = opened(PIXELS)
    monkeypatch.setattr("ganvas.data.memory.RESIDENT_BYTES", 0)
    found = opened(PIXELS)
    assert isinstance(found.images, LazyRows)
    assert torch.equal(found.rows([3, 1]).images, whole.rows([3, 1]).images)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (torch.zeros(3, 2), "shape"),
        (torch.zeros(4, 5, 16, 16), "channels"),
        (torch.full((4, 3, 16, 16), 200.0), "0..1, -1..1, or uint8"),
        (torch.full((4, 3, 16, 16), float("nan")), "0..1, -1..1, or uint8"),
        (torch.zeros(4, 3, 16, 16, dtype=torch.int64), "int64"),
        (torch.zeros(1, 3, 16, 16), "expected 2 or more"),
        ([1, 2, 3], "int is no image"),
        (["a.png", "b.png"], "str is no image"),
        ({"a": 1}, "dict is no data"),
        (iter([1]), "torch Dataset"),
        (Listed([(PIXELS[0], 0), (PIXELS[1], "x")]), "no whole number"),
        (Listed([(PIXELS[0], 0), (PIXELS[1],)]), "has no label"),
        (Listed([(PIXELS[0], 0), (PIXELS[1], 5)], classes=["a", "b"]), "label 5"),
        (Listed([(PIXELS[0], PIXELS[0]), (PIXELS[1],)]), "image"),
        (Listed([(PIXELS[0], 0.5), (PIXELS[1], 1.5)]), "no whole number"),
        (Listed([{"nothing": 1}, {"nothing": 2}]), "cannot be read|no image"),
        (Listed([PIXELS[0, :1]] * 70 + [PIXELS[1]]), "is in colour"),
        (torch.zeros(4, 3, 16, 16, dtype=torch.complex64), "complex64|cannot be read"),
    ],
)
def test_what_is_no_image_is_one_sentence(source, words):
    with pytest.raises(DataError, match=words) as error:
        opened(source, (ImageBatch, PairBatch))
    assert str(error.value).startswith("`data`")


def test_a_value_a_hair_below_zero_is_still_zero():
    near = PIXELS.float() / 255
    near[0, 0, 0, 0] = -1e-6
    assert torch.equal(opened(near).rows(range(6)).images[1:], PIXELS[1:])


def test_what_a_data_set_raises_is_one_sentence_wherever_it_is_first_read():
    class Raising(Listed):
        def __getitem__(self, index):
            raise OSError("the disk is gone")

    for read in (opened, lambda source: name_of(Data(source))):
        with pytest.raises(DataError, match="the disk is gone"):
            read(Raising([1, 2, 3]))


# --- two arrays -----------------------------------------------------------------------------------------------------


def test_an_array_of_images_beside_its_labels_is_a_labelled_set():
    images = np.random.default_rng(0).integers(0, 256, (12, 20, 20), dtype=np.uint8)
    for labels in (np.arange(12) % 3, torch.arange(12) % 3, [n % 3 for n in range(12)]):
        source = open_data(Data((images, labels)))
        assert source.spec.classes == ("0", "1", "2")
        assert source.images.labels.tolist() == [n % 3 for n in range(12)]
    assert source.spec.size == 28  # the next size of small squares
    assert open_data(Data(images[:, :8, :8])).spec.size == 16


def test_two_arrays_of_images_are_pairs():
    sources, targets = (noise_images(6, size=16, channels=3, seed=seed).numpy() for seed in (0, 1))
    source = open_data(Data((sources, targets)), (PairBatch,))
    assert source.batch is PairBatch
    assert torch.equal(source.images.target, torch.from_numpy(targets))

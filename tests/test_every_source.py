"""Every source: its length, shapes and range, the same each time, and the error for a folder without images."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photograph
from opening import open_source
from PIL import Image

from ganvas.data import builtin, decode
from ganvas.data.batch import ImageBatch
from ganvas.data.decode import How, LazyRows
from ganvas.data.folder import open_folder
from ganvas.errors import DataError, SettingError

NOWHERE = Path("nowhere")


def write_idx(path, array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def data_root(tmp_path):
    """A local copy of mnist, fashion-mnist and kmnist: sixty random images for training, and sixty for testing."""
    rng = np.random.default_rng(0)
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        raw = tmp_path / "root" / name / "raw"
        raw.mkdir(parents=True)
        for part in ("train", "t10k"):
            write_idx(raw / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (60, 28, 28)))
            write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(60) % 10)
    return tmp_path / "root"


def class_folders(tmp_path):
    for i, name in enumerate(["cat", "dog", "cat", "dog", "dog"]):
        (tmp_path / "animals" / name).mkdir(parents=True, exist_ok=True)
        photograph(seed=i, width=40, height=50).save(tmp_path / "animals" / name / f"{i}.png")
    return tmp_path / "animals"


@pytest.fixture(params=["digits", "mnist", "fashion-mnist", "kmnist", "flat", "classes", "streamed"])
def opened(request, data_root, photos, tmp_path, monkeypatch):
    """Each source, opened twice, with its expected length, channels and classes."""
    known = {"digits": (1545, 1, 10), "flat": (12, 3, 0), "classes": (5, 3, 2), "streamed": (5, 3, 2)}
    if request.param == "streamed":
        monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    name = {"flat": photos, "classes": class_folders(tmp_path), "streamed": tmp_path / "animals"}.get(
        request.param, request.param
    )
    twice = [open_source(str(name), root=data_root, size=32) for _ in range(2)]
    return *twice, *known.get(request.param, (60, 1, 10))


def test_a_named_set_too_large_for_the_memory_is_scaled_when_asked_for(data_root, monkeypatch):
    resident = open_source("mnist", root=data_root, size=64)
    monkeypatch.setattr(builtin, "RESIDENT_BYTES", 0)
    streamed = open_source("mnist", root=data_root, size=64)
    assert not isinstance(streamed.images, ImageBatch)
    row, complaint = streamed.images[3]
    assert complaint is None
    assert torch.equal(row.images[0], resident.images.images[3])
    assert row.labels.tolist() == [3]


def everything(source):
    return source.some(len(source))


def test_a_source_is_what_it_says(opened):
    source, again, length, channels, classes = opened
    images = everything(source)
    assert len(source) == len(images) == length
    assert source.batch is ImageBatch
    assert (source.spec.size, source.spec.channels, len(source.spec.classes)) == (32, channels, classes)
    assert images.images.shape == (length, channels, 32, 32)
    assert images.images.dtype == torch.uint8
    assert images.images.max() > 128 > images.images.min()
    assert torch.equal(everything(again).images, images.images)


def test_labels_are_indices_of_class_names(opened):
    source, _, length, _, classes = opened
    if not classes:
        assert source.images.labels is None
    elif isinstance(source.images, ImageBatch):
        assert source.images.labels.shape == (length,)
        assert set(source.images.labels.tolist()) == set(range(classes))


def test_digits_are_the_digits_they_are_labelled(tmp_path):
    train, test = (builtin.open_named("digits", root=NOWHERE, split=split) for split in ("train", "test"))
    assert (len(train), len(test), train.spec.size) == (1545, 252, 16)
    means = torch.stack([train.images.images[train.images.labels == k].float().mean(0) for k in range(10)])
    nearest = (test.images.images.float()[:, None] - means).square().sum((2, 3, 4)).argmin(1)
    assert (nearest == test.images.labels).float().mean() > 0.8


def test_classes_of_a_folder_are_its_folders(tmp_path):
    source = open_folder(class_folders(tmp_path))
    assert source.spec.classes == ("cat", "dog")
    assert source.images.labels.tolist() == [0, 0, 1, 1, 1]


def test_cifar10_is_colour_with_named_classes(tmp_path, monkeypatch):
    """Through torchvision's own reading and checksum, on a small copy."""
    import hashlib
    import pickle

    from torchvision.datasets import CIFAR10

    base = tmp_path / CIFAR10.base_folder
    base.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    (base / "part").write_bytes(pickle.dumps({"data": rows, "labels": [0, 1, 2, 3, 4, 5]}))
    (base / "meta").write_bytes(pickle.dumps({"label_names": ["airplane", "automobile", "bird", "cat", "deer", "dog"]}))
    sums = {name: hashlib.md5((base / name).read_bytes()).hexdigest() for name in ("part", "meta")}
    monkeypatch.setattr(CIFAR10, "train_list", [["part", sums["part"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "meta", "key": "label_names", "md5": sums["meta"]})
    source = builtin.open_named("cifar10", root=tmp_path)
    assert (source.spec.size, source.spec.channels, source.spec.classes[5]) == (32, 3, "dog")
    assert torch.equal(source.images.images.flatten(1), torch.from_numpy(rows))


def test_data_that_cannot_be_had_says_which_files_to_put_where(tmp_path, monkeypatch):
    import torchvision.datasets.mnist as module

    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(module, "download_and_extract_archive", no_network)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*MNIST/raw") as error:
        builtin.open_named("mnist", root=tmp_path)
    assert "\n" not in str(error.value)


def test_a_broken_local_copy_is_said(data_root):
    (data_root / "MNIST/raw/train-images-idx3-ubyte").write_bytes(b"short")
    with pytest.raises(DataError, match="mnist is incomplete"):
        builtin.open_named("mnist", root=data_root)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(DataError, match=r"nosuch.*digits"):
        open_source("nosuch", root=NOWHERE)


@pytest.mark.parametrize("size", [0, 17, 513, -16])
def test_a_size_that_is_none_is_refused_before_reading(size):
    with pytest.raises(SettingError, match=f"`size` (is )?{size}"):
        open_source("digits", root=NOWHERE, size=size)


def test_grey_files_make_a_grey_set_and_small_ones_keep_their_size(tmp_path):
    for i in range(3):
        Image.fromarray(np.full((28, 28), 80 * i, np.uint8)).save(tmp_path / f"{i}.png")
    source = open_folder(tmp_path)
    assert (source.spec.size, source.spec.channels) == (28, 1)
    assert source.images.images[:, 0, 0, 0].tolist() == [0, 80, 160]
    Image.new("RGB", (28, 30)).save(tmp_path / "4.png")
    assert (open_folder(tmp_path).spec.size, open_folder(tmp_path).spec.channels) == (64, 3)


def empty(tmp_path):
    return tmp_path


def text_files(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def one_image(tmp_path):
    Image.new("L", (16, 16)).save(tmp_path / "x.png")
    return tmp_path


def one_pixel(tmp_path):
    Image.new("L", (1, 1)).save(tmp_path / "x.png")
    return tmp_path


def images_and_folders(tmp_path):
    Image.new("L", (16, 16)).save(class_folders(tmp_path) / "x.png")
    return tmp_path / "animals"


def parts(tmp_path):
    animals = class_folders(tmp_path)
    (animals / "cat").rename(animals / "train")
    (animals / "dog").rename(animals / "val")
    return animals


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (empty, "no images"),
        (text_files, "no images"),
        (one_image, "holds 1 image"),
        (one_pixel, "1 of 1 files"),
        (images_and_folders, "images and folders of images"),
        (parts, "holds the parts train, val"),
    ],
)
def test_a_folder_that_cannot_be_learned_from_is_refused(tmp_path, fill, words):
    with pytest.raises(DataError, match=words) as error:
        open_folder(fill(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("resident", [True, False])
def test_a_broken_file_among_many_is_left_out_and_named(tmp_path, monkeypatch, resident):
    if not resident:
        monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    for i in range(120):
        photograph(seed=i, width=32, height=32).save(tmp_path / f"{i:03d}.jpg", quality=95)
    broken = tmp_path / "060.jpg"
    broken.write_bytes(broken.read_bytes()[:-100])
    source = open_folder(tmp_path)
    if resident:
        assert len(source) == 119
        assert "060.jpg" in source.left_out[0]
    else:
        row, complaint = source.images[60]
        assert "060.jpg" in complaint
        assert torch.equal(row.images, source.images[61][0].images)


def test_more_than_a_tenth_broken_is_an_error(photos):
    (photos / "0.png").write_bytes(b"broken")
    assert len(open_folder(photos)) == 11
    (photos / "1.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"2 of 12 files.*0\.png"):
        open_folder(photos)


def test_names_with_spaces_hangul_and_emoji_are_names(tmp_path):
    for name in ("a b", "사진", "🖼"):
        Image.new("L", (16, 16), 200).save(tmp_path / f"{name}.png")
    assert len(open_folder(tmp_path)) == 3


def test_a_large_set_is_decoded_when_asked_for(photos, monkeypatch):
    resident = open_folder(photos, How(size=32))
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    streamed = open_folder(photos, How(size=32))
    assert isinstance(streamed.images, LazyRows)
    assert torch.equal(streamed.images[3][0].images[0], resident.images.images[3])

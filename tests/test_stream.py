"""Batch k is a function of (seed, k) alone."""

import itertools

import pytest
import torch
from conftest import noise_source
from PIL import Image

from ganvas.data import folder
from ganvas.data.stream import batches, indices
from ganvas.errors import DataError

CPU = torch.device("cpu")


def take(n, source, **options):
    return list(itertools.islice(batches(source, **{"batch": 5, "seed": 3, "device": CPU, **options}), n))


@pytest.mark.parametrize(("n", "batch"), [(12, 5), (12, 12), (7, 3), (64, 8)])
def test_every_picture_comes_once_an_epoch(n, batch):
    rows = torch.cat([indices(k, n=n, batch=batch, seed=1) for k in range(n * 3 // batch)])
    for epoch in rows[: len(rows) // n * n].split(n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_epochs_and_seeds_differ_in_their_order():
    first, second = (indices(k, n=50, batch=50, seed=1) for k in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, indices(0, n=50, batch=50, seed=2))


def test_a_stream_entered_later_gives_what_it_would_have_given():
    source = noise_source(n=12)
    whole = take(9, source, flip=True)
    for a, b in zip(whole[4:], take(5, source, first=4, flip=True), strict=True):
        assert torch.equal(a.images, b.images)


def test_batches_are_what_networks_see():
    (batch,) = take(1, noise_source(classes=("a", "b")))
    assert batch.images.shape == (5, 1, 16, 16)
    assert batch.images.dtype == torch.float32
    assert -1 <= batch.images.min() < -0.9 < 0.9 < batch.images.max() <= 1
    assert batch.labels.shape == (5,)


def test_only_when_asked_half_are_mirrored():
    source = noise_source(n=40)
    straight, turned = (torch.cat([b.images for b in take(8, source, flip=flip)]) for flip in (False, True))
    mirrored = [torch.equal(a.flip(-1), b) for a, b in zip(straight, turned, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(straight, turned, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 8 <= sum(mirrored) <= 32


def test_workers_give_the_same_batches_as_memory(photos, monkeypatch):
    resident = take(6, folder.open_folder(photos, size=16))
    monkeypatch.setattr(folder, "RESIDENT_BYTES", 0)
    streamed = take(6, folder.open_folder(photos, size=16))
    later = take(2, folder.open_folder(photos, size=16), first=4)
    for a, b in zip(resident, streamed, strict=True):
        assert torch.equal(a.images, b.images)
    assert torch.equal(later[1].images, resident[5].images)


def test_a_streamed_set_with_too_many_broken_files_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "RESIDENT_BYTES", 0)
    for i in range(10):
        Image.new("L", (32, 32), i).save(tmp_path / f"{i}.jpg")
    source = folder.open_folder(tmp_path)
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes((tmp_path / f"{i}.jpg").read_bytes()[:-40])
    with pytest.raises(DataError, match="of 10 files cannot be read"):
        take(10, source)

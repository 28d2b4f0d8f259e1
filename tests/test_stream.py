"""Batches: what changes all tensors of one; and that batch k is a function of (seed, k) alone."""

import dataclasses
import itertools

import pytest
import torch
from conftest import labelled_source, noise_images, noise_source, pairs_source, unpaired_source
from PIL import Image

from ganvas.core.accumulation import Share
from ganvas.data import decode, folder, tasks
from ganvas.data.batch import ImageBatch, PairBatch, Source, Spec, UnpairedBatch
from ganvas.data.decode import How
from ganvas.data.loader import batches, indices
from ganvas.data.tasks._pairs import pairs_from
from ganvas.data.unpaired import unpaired
from ganvas.data.webdataset.shard_order import Order, Shards
from ganvas.errors import DataError

CPU = torch.device("cpu")


def take(n, source, **options):
    return list(itertools.islice(batches(source, **{"batch": 5, "seed": 3, "device": CPU, **options}), n))


def twins(n=12, *, size=16, margin=0):
    """A source of pairs of identical images: a change of one side only shows at once."""
    images = noise_images(n, size=size + margin)
    return Source("twins", Spec(size, 1, target_channels=1), PairBatch(images, images.clone()), margin=margin)


def numbers(images):
    """The upper left bytes of images in -1..1."""
    return ((images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


# --- batches --------------------------------------------------------------------------------------------------------


def test_windows_are_slices_of_both_sides():
    pairs = PairBatch(noise_images(4, size=12, channels=3), noise_images(4, size=12, seed=1))
    top, left = torch.tensor([0, 4, 1, 2]), torch.tensor([4, 0, 3, 2])
    cut = pairs.windows(top, left, 8)
    for ours, whole in ((cut.source, pairs.source), (cut.target, pairs.target)):
        assert ours.is_contiguous()
        for i, (y, x) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
            assert torch.equal(ours[i], whole[i, :, y : y + 8, x : x + 8])


def test_both_sides_are_mirrored_where_it_says_so_and_labels_are_left_alone():
    which = torch.tensor([True, False, True])
    pairs = PairBatch(noise_images(3), noise_images(3, channels=3, seed=1))
    turned = pairs.mirrored(which)
    for ours, whole in ((turned.source, pairs.source), (turned.target, pairs.target)):
        assert torch.equal(ours[0], whole[0].flip(-1))
        assert torch.equal(ours[1], whole[1])
    labelled = ImageBatch(noise_images(3), torch.tensor([5, 6, 7]))
    assert torch.equal(labelled.mirrored(which).labels, labelled.labels)


def test_images_are_changed_and_labels_are_not():
    batch = labelled_source().some(4)
    changed = batch.over_images(lambda t: t.float() + 1)
    assert torch.equal(changed.images, batch.images.float() + 1)
    assert torch.equal(changed.labels, batch.labels)
    assert changed.over(lambda t: t[:2]).labels.tolist() == batch.labels[:2].tolist()


@pytest.mark.parametrize("source", [labelled_source(), noise_source(), pairs_source(channels=3, target_channels=1)])
def test_rows_put_together_are_the_batch(source):
    whole = source.some(6)
    parts = [whole.over(lambda t, i=i: t[i : i + 2]) for i in (0, 2, 4)]
    again = type(whole).together(parts)
    assert type(again) is type(whole)
    for field in dataclasses.fields(whole):
        one, other = getattr(again, field.name), getattr(whole, field.name)
        assert (one is other is None) or torch.equal(one, other)


@pytest.mark.parametrize(("make", "wanted"), [(noise_source, "images"), (pairs_source, "target")])
def test_what_is_to_be_made_is_the_image_or_the_target(make, wanted):
    rows = make().some(3)
    assert torch.equal(rows.images, getattr(rows, wanted))
    assert len(rows) == 3
    signed = rows.signed().images
    torch.testing.assert_close(signed, rows.images.float() / 127.5 - 1)


# --- streams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch"), [(12, 5), (12, 12), (7, 3), (64, 8)])
def test_every_image_comes_once_an_epoch(n, batch):
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
    resident = take(6, folder.open_folder(photos, How(size=16)))
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    streamed = take(6, folder.open_folder(photos, How(size=16)))
    later = take(2, folder.open_folder(photos, How(size=16)), first=4)
    for a, b in zip(resident, streamed, strict=True):
        assert torch.equal(a.images, b.images)
    assert torch.equal(later[1].images, resident[5].images)


def test_a_streamed_set_of_which_less_than_a_batch_is_left_stops(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    for i in range(12):
        Image.new("L", (32, 32), i).save(tmp_path / f"{i:02d}.jpg")
    source = folder.open_folder(tmp_path)
    (tmp_path / "03.jpg").write_bytes((tmp_path / "03.jpg").read_bytes()[:-40])
    assert len(take(5, source, batch=11)) == 5  # one in twelve is left out, and named
    assert "left out" in caplog.text
    assert "03.jpg" in caplog.text
    with pytest.raises(DataError, match=r"1 of 12 files cannot be read .*03\.jpg"):
        take(5, source, batch=12)


def test_a_streamed_set_with_too_many_broken_files_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    for i in range(10):
        Image.new("L", (32, 32), i).save(tmp_path / f"{i}.jpg")
    source = folder.open_folder(tmp_path)
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes((tmp_path / f"{i}.jpg").read_bytes()[:-40])
    with pytest.raises(DataError, match="of 10 files cannot be read"):
        take(10, source)


# --- pairs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"flip": True}])
@pytest.mark.parametrize("margin", [0, 4])
def test_both_sides_of_a_pair_are_cut_and_mirrored_alike(options, margin):
    for batch in take(6, twins(margin=margin), **options):
        assert isinstance(batch, PairBatch)
        assert batch.source.shape == (5, 1, 16, 16)
        assert torch.equal(batch.source, batch.target)


def test_windows_are_taken_by_chance_of_seed_and_number_alone_and_reach_every_place():
    def corners(source, n=40, **options):
        return list(itertools.chain(*[numbers(batch.images) for batch in take(n, source, **options)]))

    ramp = (torch.arange(20 * 20) % 256).to(torch.uint8).view(1, 1, 20, 20)  # a corner says where its crop began
    images = ImageBatch(ramp.expand(12, -1, -1, -1).clone())
    source = Source("ramp", Spec(16, 1), images, margin=4)
    places = corners(source)
    assert places == corners(source)
    assert places[5 * 7 :] == corners(source, 33, first=7)
    assert places != corners(source, seed=4)
    other = Source("other", Spec(16, 1), ImageBatch(images.images.clone()[:7]), margin=4)
    assert places == corners(other)  # whatever the images are
    assert set(places) == {20 * y + x for y in range(5) for x in range(5)}


def test_rows_are_the_middle_window_every_time():
    source = twins(margin=4)
    assert torch.equal(source.rows([3, 5]).source, source.images.source[[3, 5], :, 2:18, 2:18])


@pytest.mark.parametrize("name", ["denoise:0.2", "inpaint", "hidden-digit"])
def test_chance_is_anew_in_every_batch_and_the_same_every_time_for_a_row(name):
    source = pairs_from(noise_source(n=5), tasks.task(name))
    rows = source.rows([0, 1, 2, 3, 4])
    for again in (source.rows([0, 1, 2, 3, 4]), PairBatch.together([source.rows([i]) for i in range(5)])):
        assert torch.equal(rows.source, again.source)
        assert torch.equal(rows.target, again.target)
    assert torch.equal(PairBatch.together(list(source.parts(2))).source, rows.source)
    assert not torch.equal(rows.source[:1], source.rows([1, 0]).source[:1])

    first, second = (sorted(map(tuple, batch.source.flatten(1).tolist())) for batch in take(2, source))
    assert first != second  # each holds all five, with other noise
    later = take(3, source, first=1)
    assert torch.equal(later[0].source, take(2, source)[1].source)
    assert not torch.equal(later[0].source, take(2, source, seed=4)[1].source)


def test_noise_is_added_after_a_window_is_cut_and_mirrored():
    clean = noise_source(n=12, size=32)
    source = dataclasses.replace(clean, spec=Spec(28, 1), margin=4)
    plain, noisy = (pairs_from(source, tasks.task(name)) for name in ("reconstruct", "denoise:0.05"))
    for a, b in zip(take(4, plain, flip=True), take(4, noisy, flip=True), strict=True):
        assert torch.equal(a.target, b.target)
        assert 0.02 < (b.source - b.target).abs().mean() < 0.1


# --- two sets -------------------------------------------------------------------------------------------------------


def numbered(n, size=16):
    """Images (n, 1, size, size), each filled with its number."""
    return torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, size, size).contiguous()


def two_sets(n, m):
    sides = (Source(name, Spec(16, 1), ImageBatch(numbered(k))) for name, k in (("a", n), ("b", m)))
    return unpaired(*sides)


def test_each_set_has_its_own_order_and_the_shorter_one_begins_anew():
    source = two_sets(12, 5)
    assert len(source) == 12
    assert source.batch is UnpairedBatch
    taken = take(12, source)  # five of each kind in each: five times through the one, twelve times through the other
    assert all(type(batch) is UnpairedBatch for batch in taken)
    ours, theirs = (list(itertools.chain(*[numbers(getattr(b, side)) for b in taken])) for side in ("source", "target"))
    for order, n in ((ours, 12), (theirs, 5)):
        for start in range(0, 60, n):
            assert sorted(order[start : start + n]) == list(range(n))
    equal = two_sets(12, 12)
    assert any(numbers(batch.source) != numbers(batch.target) for batch in take(3, equal))


def test_two_sets_entered_later_give_what_they_would_have_given():
    source = unpaired_source(n=12)
    whole = take(9, source, flip=True)
    for a, b in zip(whole[4:], take(5, source, first=4, flip=True), strict=True):
        assert torch.equal(a.source, b.source)
        assert torch.equal(a.target, b.target)


def test_two_sets_are_mirrored_each_by_its_own_chance():
    ramp = torch.arange(16, dtype=torch.uint8).expand(12, 1, 16, 16).contiguous()
    sides = [Source(name, Spec(16, 1), ImageBatch(ramp)) for name in "ab"]
    turned = [
        [image[0, 0, 0] > image[0, 0, 1] for image in torch.cat([getattr(b, side) for b in taken])]
        for taken in [take(8, unpaired(*sides), flip=True)]
        for side in ("source", "target")
    ]
    assert turned[0] != turned[1]
    assert all(8 <= sum(map(bool, side)) <= 32 for side in turned)


def test_rows_of_two_sets_go_round_the_shorter_one():
    rows = two_sets(7, 3).rows([0, 2, 4, 6])
    assert rows.source[:, 0, 0, 0].tolist() == [0, 2, 4, 6]
    assert rows.target[:, 0, 0, 0].tolist() == [0, 2, 1, 0]


# --- shares ---------------------------------------------------------------------------------------------------------


def noisy(task):
    """A source with random crops and random changes."""
    images = dataclasses.replace(noise_source(n=90, size=32), spec=Spec(28, 1), margin=4)
    return pairs_from(images, tasks.task(task))


class OneByOne:
    """Rows in memory, given one by one as lazy rows are."""

    batch = ImageBatch

    def __init__(self, n):
        self.rows = ImageBatch(numbered(n), torch.arange(n))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows.over(lambda t: t[index : index + 1]), None


def in_shards(*counts, largest=0, far=False):
    n = sum(counts)
    spec = Spec(16, 1, tuple(map(str, range(n))))
    return Source("shards", spec, OneByOne(n), shards=Shards(counts, largest, far))


SHARED = {
    "labelled": lambda photos: labelled_source(n=90),
    "pairs": lambda photos: twins(90, margin=4),
    "two sets": lambda photos: unpaired_source(n=90),
    "folder": lambda photos: folder.open_folder(photos, How(size=16, random_crop=True)),
    "shards": lambda photos: in_shards(20, 3, 0, 31, 36),
    "denoise": lambda photos: noisy("denoise:0.2"),
    "inpaint": lambda photos: noisy("inpaint"),
    "hidden-digit": lambda photos: noisy("hidden-digit"),
}


@pytest.mark.parametrize("kind", SHARED)
def test_the_shares_of_a_batch_are_the_batch_to_the_bit(kind, photos, monkeypatch):
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    source = SHARED[kind](photos)
    options = {"batch": 12 if kind == "folder" else 72, "flip": True, "first": 1}  # 72: two whole blocks and a part
    whole = take(2, source, **options)
    for of in (2, 4):
        parts = [take(2, source, share=Share(index, of), **options) for index in range(of)]
        for batch, pieces in zip(whole, zip(*parts, strict=True), strict=True):
            assert {len(piece) for piece in pieces} == {len(batch) // of}
            again = type(batch).together(pieces)
            for field in dataclasses.fields(batch):
                one, other = getattr(batch, field.name), getattr(again, field.name)
                assert (one is other is None) or torch.equal(one, other)


def test_no_two_rows_of_a_batch_meet_the_same_chance():
    grey = Source("grey", Spec(16, 1), ImageBatch(torch.full((72, 1, 16, 16), 128, dtype=torch.uint8)))
    (batch,) = take(1, pairs_from(grey, tasks.task("denoise:0.2")), batch=72)
    assert len(batch.source.unique(dim=0)) == 72


def test_a_share_decodes_its_own_rows_only(monkeypatch):
    monkeypatch.setattr("ganvas.data.loader.cores", lambda: 0)  # no workers: what is decoded is seen here
    source, decoded = in_shards(*[10] * 8), []
    original = OneByOne.__getitem__
    monkeypatch.setattr(OneByOne, "__getitem__", lambda self, i: (decoded.append(i), original(self, i))[1])
    (batch,) = take(1, dataclasses.replace(source, shards=None), batch=16, share=Share(1, 4))
    assert decoded == batch.labels.tolist()
    assert len(batch) == 4


class ReadNumber:
    """Reads a number, in place of a file; odd ones are broken."""

    batch = ImageBatch

    def __call__(self, number):
        if number % 2:
            raise DataError(f"{number}: broken")
        return ImageBatch(torch.tensor([[[[number]]]]))


def test_a_row_costs_the_same_however_many_there_are():
    rows = decode.LazyRows(range(10**12), ReadNumber())  # a list of these would fit nowhere
    assert rows[10**11][0].images.item() == 10**11
    row, complaint = rows[10**12 - 1]
    assert (row.images.item(), complaint) == (0, f"{10**12 - 1}: broken")


# --- shards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(48,), (12, 12, 12, 12), (1, 20, 0, 3, 24), (3,) * 16])
@pytest.mark.parametrize("batch", [1, 8, 16, 48])
def test_every_row_of_every_shard_comes_once_an_epoch(counts, batch):
    order = Order(Shards(counts), batch=batch, seed=1)
    rows = [row for k in range(2 * 48 // batch) for row in order.rows(k, slice(0, batch))]
    first, second = rows[:48], rows[48:]
    assert sorted(first) == sorted(second) == list(range(48))
    assert first != second
    assert first != [
        row for k in range(48 // batch) for row in Order(Shards(counts), batch=batch, seed=2).rows(k, slice(0, batch))
    ]


def test_where_a_batch_does_not_divide_the_set_no_row_is_lost_for_long():
    order = Order(Shards((7, 9, 15)), batch=4, seed=0)
    rows = [row for k in range(31) for row in order.rows(k, slice(0, 4))]  # four epochs
    assert all(3 <= rows.count(row) <= 5 for row in range(31))


def test_a_lane_goes_through_one_shard_after_the_other():
    shards = Shards((100,) * 8)
    assert shards.lanes(16) == list(range(0, 17, 2))
    order = Order(shards, batch=16, seed=0)
    of_a_lane = [row // 100 for k in range(100) for row in order.rows(k, slice(4, 6))]
    assert len([a for a, b in itertools.pairwise(of_a_lane) if a != b]) <= 2
    side_by_side = {row // 100 for row in order.rows(3, slice(0, 16))}
    assert side_by_side == set(range(8))


def test_large_shards_are_read_few_at_a_time():
    assert len(Shards((1000,) * 200, largest=2**20).lanes(256)) - 1 == 64
    assert len(Shards((1000,) * 200, largest=2**30).lanes(256)) - 1 == 4
    assert len(Shards((1000,) * 200, largest=2**34).lanes(256)) - 1 == 1


def test_workers_share_the_lanes_of_what_is_far_and_no_two_have_one_in_common():
    far, near = (Shards((100,) * 4, far=far) for far in (True, False))
    assert far.pieces(slice(0, 16), batch=16, most=8) == [slice(i, i + 4) for i in range(0, 16, 4)]
    assert far.pieces(slice(4, 8), batch=16, most=8) == [slice(4, 8)]
    assert far.pieces(slice(0, 16), batch=16, most=3) == [slice(0, 4), slice(4, 8), slice(8, 16)]
    assert near.pieces(slice(0, 16), batch=16, most=8) == [slice(i, i + 2) for i in range(0, 16, 2)]
    assert near.pieces(slice(3, 5), batch=16, most=8) == [slice(3, 4), slice(4, 5)]

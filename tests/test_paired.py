"""Where pairs come from: two in one image, two folders, two sets, or a task; and what is held out from training."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import noise_source, photograph
from opening import open_for, open_source
from PIL import Image

from ganvas.data import decode, paired, tasks
from ganvas.data.batch import ImageBatch, PairBatch, Spec, UnpairedBatch
from ganvas.data.decode import How
from ganvas.data.folder import held_out, open_folder
from ganvas.data.tasks import _pairs
from ganvas.data.tasks._pairs import pairs_from
from ganvas.errors import DataError, SettingError, UsageError

NOWHERE = Path("nowhere")
SINGLE, PAIRED, TWO_SETS = (ImageBatch,), (PairBatch,), (UnpairedBatch, PairBatch)


def plain(path, value, *, width=16, height=16, mode="L"):
    """Write an image of one grey value, by which it is recognised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height), value if mode == "L" else (value,) * 3).save(path)


def values(images):
    return images[:, 0, 0, 0].tolist()


def refused(error):
    """Check that an error is one line, and return it."""
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.fixture
def halves(tmp_path):
    """Images side by side, the left one of value 10 i and the right one of value 10 i + 5."""
    for i in range(6):
        grid = np.full((16, 32), 10 * i, np.uint8)
        grid[:, 16:] += 5
        (tmp_path / "halves").mkdir(exist_ok=True)
        Image.fromarray(grid).save(tmp_path / f"halves/{i}.png")
    return tmp_path / "halves"


@pytest.fixture
def folders(tmp_path):
    """Two folders whose files sort differently, with partners of value v and v + 100, and another ending."""
    for i, stem in enumerate(["b", "a 1", "사진", "c.d"]):
        plain(tmp_path / "one" / f"{stem}.png", 10 * i)
        plain(tmp_path / "two" / f"{stem}.bmp", 10 * i + 100)
    return tmp_path / "one", tmp_path / "two"


@pytest.fixture
def many(tmp_path):
    """Two folders of 120 partners."""
    for i in range(120):
        for name, shift in (("one", 0), ("two", 100)):
            plain(tmp_path / name / f"{i:03d}.bmp", i + shift)
    return tmp_path / "one", tmp_path / "two"


# --- side by side ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "source", "target"), [("ab", 0, 5), ("ba", 5, 0)])
def test_halves_go_from_left_to_right_or_back(halves, side, source, target):
    opened = open_for(PAIRED, str(halves), root=NOWHERE, side=side)
    assert opened.batch is PairBatch
    assert (opened.spec.size, opened.spec.channels, opened.spec.target_channels) == (16, 1, 1)
    assert values(opened.images.source) == [10 * i + source for i in range(6)]
    assert values(opened.images.target) == [10 * i + target for i in range(6)]


def test_halves_in_colour_keep_each_its_own_side(tmp_path):
    for i in range(3):
        grid = Image.new("RGB", (80, 40), "red")
        grid.paste("blue", (40, 0, 80, 40))
        grid.save(tmp_path / f"{i}.png")
    opened = open_for(PAIRED, str(tmp_path), root=NOWHERE, side="ab", size=32)
    assert opened.spec.channels == opened.spec.target_channels == 3
    assert opened.images.source[0, :, 5, 31].tolist() == [255, 0, 0]
    assert opened.images.target[0, :, 5, 0].tolist() == [0, 0, 255]


def test_an_odd_width_cannot_be_halved(tmp_path):
    for i in range(3):
        plain(tmp_path / f"{i}.png", 9, width=33)
    with pytest.raises(DataError, match=r"33x16 pixels.*even width") as error:
        open_for(PAIRED, str(tmp_path), root=NOWHERE, side="ab")
    refused(error)


# --- two folders ----------------------------------------------------------------------------------------------------


def test_partners_are_those_of_the_same_name(folders):
    one, two = folders
    opened = paired.open_two_folders(one, two)
    assert len(opened) == 4
    assert [v + 100 for v in values(opened.images.source)] == values(opened.images.target)
    assert {(a.stem, b.stem) for a, b in paired.match(one, two).pairs} == {(s, s) for s in ("b", "a 1", "사진", "c.d")}


def test_a_missing_partner_is_named_and_nothing_is_matched_by_position(folders):
    one, two = folders
    (two / "사진.bmp").rename(two / "그림.bmp")  # as many files as before
    with pytest.raises(DataError, match=r"1 of 5 images have no partner.*two holds nothing named like 사진") as error:
        paired.open_two_folders(one, two)
    refused(error)
    (one / "사진.png").unlink()
    with pytest.raises(DataError, match=r"one holds nothing named like 그림"):
        paired.open_two_folders(one, two)


def test_of_many_missing_partners_a_few_are_named(many):
    one, two = many
    for i in range(60, 120):
        (two / f"{i:03d}.bmp").unlink()
    with pytest.raises(DataError, match=r"60 of 120 .*060, 061, 062, 063, 064 and 55 more") as error:
        paired.open_two_folders(one, two)
    refused(error)


def test_names_written_by_another_system_are_the_same_names(tmp_path):
    """macOS may decompose Hangul: names that look the same are the same."""
    for i, stem in enumerate(["사진", "é"]):
        plain(tmp_path / "one" / f"{unicodedata.normalize('NFC', stem)}.png", i)
        plain(tmp_path / "two" / f"{unicodedata.normalize('NFD', stem)}.png", i)
    opened = paired.open_two_folders(tmp_path / "one", tmp_path / "two")
    assert values(opened.images.source) == values(opened.images.target)
    composed, apart = (Path(unicodedata.normalize(form, "사진.png")) for form in ("NFC", "NFD"))
    assert [held_out(composed, share / 50) for share in range(50)] == [
        held_out(apart, share / 50) for share in range(50)
    ]


def test_two_files_with_one_name_are_refused(folders):
    one, two = folders
    plain(two / "b.png", 3)
    with pytest.raises(DataError, match=r"b\.bmp and b\.png have one name") as error:
        paired.open_two_folders(one, two)
    refused(error)


@pytest.mark.parametrize("kind", [PAIRED, TWO_SETS])
def test_the_same_folder_twice_is_refused(folders, kind):
    one, _ = folders
    for again in (one, one / ".." / "one"):
        with pytest.raises(DataError, match="same folder") as error:
            open_for(kind, str(one), root=NOWHERE, target=str(again))
        refused(error)


def test_partners_of_another_shape_are_refused_and_of_another_scale_accepted(folders):
    one, two = folders
    plain(two / "b.bmp", 100, width=32, height=32)
    opened = paired.open_two_folders(one, two)
    assert [v + 100 for v in values(opened.images.source)] == values(opened.images.target)
    plain(two / "b.bmp", 100, width=32, height=24)
    with pytest.raises(DataError, match=r"b\.png has 16x16 pixels and its partner .*32x24") as error:
        paired.open_two_folders(one, two)
    refused(error)


def test_a_pixel_of_rounding_is_no_other_shape(folders):
    one, two = folders
    plain(one / "b.png", 0, width=200, height=150)
    plain(two / "b.bmp", 100, width=101, height=75)
    assert len(paired.open_two_folders(one, two, How(size=16))) == 4


def test_class_folders_are_matched_by_folder_and_name(tmp_path):
    for i, name in enumerate(["cat/1", "cat/2", "dog/1"]):
        plain(tmp_path / "one" / f"{name}.png", i)
        plain(tmp_path / "two" / f"{name}.png", i)
    opened = paired.open_two_folders(tmp_path / "one", tmp_path / "two")
    assert values(opened.images.source) == values(opened.images.target) == [0, 1, 2]
    assert opened.spec.classes == ()


def test_sides_may_differ_in_channels(folders):
    one, two = folders
    plain(two / "b.bmp", 100, mode="RGB")
    spec = paired.open_two_folders(one, two).spec
    assert (spec.channels, spec.target_channels) == (1, 3)


@pytest.mark.parametrize("side", ["one", "two"])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("how", ["header", "pixels"])
def test_a_broken_partner_is_left_out_and_no_pair_is_shifted(many, monkeypatch, side, resident, how):
    one, two = many
    if not resident:
        monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    broken = {"one": one, "two": two}[side] / "060.bmp"
    content = broken.read_bytes()
    broken.write_bytes(b"broken" if how == "header" else content[:-100])
    opened = paired.open_two_folders(one, two)
    rows = opened.some(len(opened))
    assert [v + 100 for v in values(rows.source)] == values(rows.target)
    if resident or how == "header":
        assert len(opened) == 119
        assert 60 not in values(rows.source)
        assert len(opened.left_out) == 1
        assert "060.bmp" in opened.left_out[0]
    else:
        assert values(rows.source)[60] == 61  # the next one in its place
        assert "060.bmp" in opened.images[60][1]
    for i in range(13):
        (one / f"{70 + i:03d}.bmp").write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        opened = paired.open_two_folders(one, two)


def test_pairs_too_many_for_the_memory_are_read_when_asked_for(folders, halves, monkeypatch):
    opened = {
        "folders": lambda: paired.open_two_folders(*folders, How(size=32, random_crop=True)),
        "halves": lambda: paired.open_side_by_side(halves, How(size=32, random_crop=True), side="ba"),
    }
    resident = {name: make() for name, make in opened.items()}
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    for name, make in opened.items():
        streamed = make()
        assert streamed.batch is PairBatch
        assert not isinstance(streamed.images, PairBatch)
        assert streamed.margin == resident[name].margin == 4
        for i in range(len(streamed)):
            ours, theirs = streamed.raw([i]), resident[name].raw([i])
            assert ours.source.shape == (1, 1, 36, 36)
            assert torch.equal(ours.source, theirs.source)
            assert torch.equal(ours.target, theirs.target)


# --- two sets of other things ---------------------------------------------------------------------------------------


def test_two_sets_need_no_partners_and_take_the_colour_of_both(tmp_path):
    for i in range(5):
        plain(tmp_path / "one" / f"{i}.png", i)
    for i in range(3):
        plain(tmp_path / "two" / f"x{i}.png", 200 + i, width=28, height=28, mode="RGB")
    opened = open_for(TWO_SETS, str(tmp_path / "one"), root=NOWHERE, target=str(tmp_path / "two"))
    assert opened.batch is UnpairedBatch
    assert len(opened) == 5
    assert (opened.spec.size, opened.spec.channels, opened.spec.target_channels) == (28, 3, 3)
    rows = opened.some(5)
    assert rows.source.shape == rows.target.shape == (5, 3, 28, 28)
    assert values(rows.target) == [200, 201, 202, 200, 201]


def test_two_sets_held_in_part_have_each_its_own_part(many):
    one, two = many
    kept = {}
    for part in ("train", "test"):
        opened = open_for(TWO_SETS, str(one), root=NOWHERE, target=str(two), holdout=0.3, split=part)
        rows = opened.some(len(opened))
        kept[part] = (set(values(rows.source)), {value - 100 for value in values(rows.target)})
        assert opened.part == part
    for ours, theirs in zip(*kept.values(), strict=True):
        assert not ours & theirs
        assert ours | theirs == set(range(120))


# --- what is held out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_what_is_held_out_is_about_the_share_and_never_moves(share):
    files = [Path(f"somewhere/{i:04d}.jpg") for i in range(2000)]
    kept = {file.stem for file in files if held_out(file, share)}
    assert abs(len(kept) / 2000 - share) < 0.04
    assert {f.stem for f in files if held_out(Path("elsewhere") / f"{f.stem}.png", share)} == kept
    assert {f.stem for f in files if held_out(f, share / 2)} < kept  # a smaller fraction is a subset of a larger one


def test_nothing_is_held_out_where_nobody_asks(many):
    assert len(open_for(SINGLE, str(many[0]), root=NOWHERE, split="test")) == 120
    assert open_for(SINGLE, str(many[0]), root=NOWHERE).part == ""


WAYS = [{}, {"task": "denoise"}, {"target": "two"}, {"side": "ab"}]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way), "single"))
def test_parts_share_nothing_and_leave_nothing_and_stay_when_files_are_added(many, way):
    one, two = many
    if way.get("side"):
        for i in range(120):
            plain(one / f"{i:03d}.bmp", i, width=32)
    way = {name: str(two) if name == "target" else value for name, value in way.items()}
    kinds = (ImageBatch, PairBatch)

    def parts():
        opened = {p: open_for(kinds, str(one), root=NOWHERE, holdout=0.25, split=p, **way) for p in ("train", "test")}
        assert {source.part for source in opened.values()} == {"train", "test"}
        rows = {part: source.images for part, source in opened.items()}
        return {p: set(values(r.source if isinstance(r, PairBatch) else r.images)) for p, r in rows.items()}

    before = parts()
    assert not before["train"] & before["test"]
    assert before["train"] | before["test"] == set(range(120))
    assert 18 <= len(before["test"]) <= 42
    for i in range(120, 150):
        plain(one / f"{i:03d}.bmp", i, width=32 if way.get("side") else 16)
        plain(two / f"{i:03d}.bmp", i)
    after = parts()
    assert all(before[part] <= after[part] for part in before)


def test_an_empty_part_is_said(folders):
    with pytest.raises(DataError, match=r"`holdout` 0\.001 leaves none to test") as error:
        open_for(SINGLE, str(folders[0]), root=NOWHERE, holdout=0.001, split="test")
    refused(error)


def test_a_single_image_may_be_held_out(tmp_path):
    for i in range(4):
        plain(tmp_path / f"{i}.png", i)
    share = next(k / 100 for k in range(100) if any(held_out(path, k / 100) for path in tmp_path.iterdir()))
    test = open_for(SINGLE, str(tmp_path), root=NOWHERE, holdout=share, split="test", least=1)
    assert len(test) == 1
    with pytest.raises(DataError, match="holds 1 image"):
        open_for(SINGLE, str(tmp_path), root=NOWHERE, holdout=0.8, split="train")


def test_a_named_set_has_a_test_part_of_its_own():
    with pytest.raises(UsageError, match=r"`holdout` 0\.2: digits has a test part"):
        open_for(SINGLE, "digits", root=NOWHERE, holdout=0.2)


# --- tasks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tasks.names())
@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize("resident", [True, False])
def test_every_task_makes_pairs_of_a_folder(photos, monkeypatch, name, jitter, resident):
    if not resident:
        monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    source = open_for((PairBatch,), str(photos), root=NOWHERE, size=32, task=name, random_crop=jitter)
    task = tasks.task(name)
    assert source.batch is PairBatch
    assert isinstance(source.images, PairBatch) == resident
    assert source.margin == (4 if jitter else 0)
    rows = source.some(3)
    assert rows.source.shape == (3, source.spec.channels, 32, 32)
    assert rows.target.shape == (3, source.spec.target_channels, 32, 32)
    assert rows.source.dtype == rows.target.dtype == torch.uint8
    assert source.spec.channels == (task.channels or 3)
    assert source.spec.target_channels == (task.target_channels or 3)
    assert (source.afresh is not None) == task.fresh
    if not task.fresh:
        single = open_folder(photos, How(size=32, random_crop=jitter), channels=task.read_channels)
        pair = task.pair(single.raw([4]).images[0])
        assert torch.equal(source.raw([4]).source, pair.source)
        assert torch.equal(source.raw([4]).target, pair.target)


def test_a_named_set_makes_pairs_by_a_task_too(monkeypatch):
    resident = open_for((PairBatch,), "digits", root=NOWHERE, task="hidden-digit")
    assert (len(resident), resident.spec.channels, resident.spec.target_channels) == (1545, 3, 1)
    assert resident.spec.classes == ()
    test = open_for((PairBatch,), "digits", root=NOWHERE, task="hidden-digit", split="test")
    assert (len(test), test.part) == (252, "test")
    monkeypatch.setattr(_pairs, "RESIDENT_BYTES", 0)
    streamed = open_for((PairBatch,), "digits", root=NOWHERE, task="hidden-digit")
    assert not isinstance(streamed.images, PairBatch)
    ours, theirs = streamed.rows([3, 700]), resident.rows([3, 700])
    assert torch.equal(ours.source, theirs.source)
    assert torch.equal(ours.target, theirs.target)


def test_single_images_are_made_colour_where_the_task_wants_it():
    made = pairs_from(noise_source(n=4), tasks.task("colorize-rgb"))
    assert (made.spec.channels, made.spec.target_channels) == (1, 3)
    assert torch.equal(made.images.target[:, 0], made.images.target[:, 2])


def test_images_in_colour_are_refused_where_grey_is_wanted():
    with pytest.raises(DataError, match="hidden-digit takes grey images, and noise is in colour") as error:
        pairs_from(noise_source(channels=3), tasks.task("hidden-digit"))
    refused(error)


@pytest.mark.parametrize("task", ["colorize", "colorize-rgb"])
def test_grey_images_are_counted_where_colours_are_to_be_learned(photos, task):
    assert not open_for((PairBatch,), str(photos), root=NOWHERE, task=task, size=32).notes
    for i in range(2):
        photograph(seed=i, width=40, height=40).convert("L").save(photos / f"grey{i}.png")
    photograph(seed=9, width=40, height=40).convert("L").convert("RGB").save(photos / "grey-in-colour.jpg")
    (note,) = open_for((PairBatch,), str(photos), root=NOWHERE, task=task, size=32).notes
    assert note.startswith(f"3 of the 15 images of {photos} are grey")
    assert not open_for((PairBatch,), str(photos), root=NOWHERE, task="denoise", size=32).notes


def test_pairs_are_larger_than_single_images_where_nobody_says(photos):
    assert open_source(str(photos), root=NOWHERE).spec.size == 64
    assert open_for((PairBatch,), str(photos), root=NOWHERE, task="denoise").spec.size == 128


# --- what a method takes, and the messages --------------------------------------------------------------------------


def test_what_is_opened_is_what_the_method_and_the_words_say(folders):
    one, two = map(str, folders)
    options = {"root": NOWHERE}
    assert open_for((PairBatch, ImageBatch), one, **options).batch is ImageBatch
    assert open_for((PairBatch, ImageBatch), one, task="reconstruct", **options).batch is PairBatch
    assert open_for((PairBatch, ImageBatch), one, target=two, **options).batch is PairBatch
    assert open_for(TWO_SETS, one, target=two, **options).batch is UnpairedBatch
    assert open_for(TWO_SETS, one, task="denoise", **options).batch is PairBatch


@pytest.mark.parametrize(
    ("kinds", "words", "error", "said"),
    [
        (PAIRED, {}, UsageError, "learns from pairs: add `side` ab"),
        (TWO_SETS, {}, UsageError, "`target` FOLDER"),
        (SINGLE, {"task": "denoise"}, UsageError, "`task` denoise: this method learns from single images"),
        (SINGLE, {"side": "ab"}, UsageError, "`side` ab: this method"),
        (SINGLE, {"target": "two"}, UsageError, "`target` two: this method"),
        (PAIRED, {"side": "ab", "task": "denoise"}, UsageError, "`side` and `task` are two ways"),
        (PAIRED, {"target": "two", "side": "ab"}, UsageError, "`target` and `side` are two ways"),
        (PAIRED, {"side": "left"}, UsageError, "`side` is 'left'; expected one of ab, ba"),
        (PAIRED, {"target": "nosuch"}, DataError, "`target` nosuch: no folder of that name"),
        (TWO_SETS, {"target": "nosuch"}, DataError, "`target` nosuch: no folder of that name"),
        (PAIRED, {"task": "nosuch"}, SettingError, "`task` nosuch"),
        (PAIRED, {"task": "denoise", "size": 17}, SettingError, "`size` 17"),
        (PAIRED, {"side": "ab", "size": 17}, SettingError, "`size` 17"),
    ],
)
def test_what_cannot_be_opened_is_one_line(folders, kinds, words, error, said):
    with pytest.raises(error, match=said) as caught:
        open_for(kinds, str(folders[0]), root=NOWHERE, **words)
    refused(caught)


def test_a_data_folder_that_is_not_there_is_named_as_such(folders):
    for words in ({"target": str(folders[1])}, {"side": "ab"}, {"task": "denoise"}):
        with pytest.raises(DataError, match="`data` nosuch: no folder of that name"):
            open_for(PAIRED, "nosuch", root=NOWHERE, **words)


def test_an_empty_target_is_said(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    for kind in (PAIRED, TWO_SETS):
        with pytest.raises(DataError, match="empty: no images"):
            open_for(kind, str(folders[0]), root=NOWHERE, target=str(tmp_path / "empty"))


def test_both_parts_of_a_folder_have_one_shape_whatever_is_held_out(tmp_path):
    """The training images are in colour, and all images held out happen to be grey."""
    for i in range(30):
        image = photograph(seed=i, width=32, height=32)
        name = f"{i}.png"
        (image.convert("L") if held_out(Path(name), 0.3) else image).save(tmp_path / name)
    options = {"root": Path(), "task": "denoise", "holdout": 0.3}
    learned = open_for((PairBatch,), str(tmp_path), **options)
    kept = open_for((PairBatch,), str(tmp_path), split="test", least=1, **options)
    assert learned.spec == kept.spec
    assert (kept.spec.channels, len(learned) + len(kept)) == (3, 30)


@pytest.mark.parametrize("task", ["colorize", "edges", "denoise:0.1", "hidden-digit"])
def test_other_images_are_read_in_the_shape_that_a_model_knows(task, tmp_path):
    """One grey image of another size, for a model of colour images."""
    photograph(seed=0, width=40, height=50).convert("L").save(tmp_path / "one.png")
    made = tasks.task(task)
    like = Spec(32, made.channels or 3, target_channels=made.target_channels or 3)
    assert open_for((PairBatch,), str(tmp_path), root=Path(), task=task, like=like, least=1).spec == like


def test_grey_images_are_counted_for_colour_also_where_they_are_decoded_later(tmp_path, monkeypatch):
    for i in range(5):
        image = photograph(seed=i, width=32, height=32)
        (image.convert("L") if i < 2 else image).save(tmp_path / f"{i}.png")
    for limit in (2**30, 0):
        monkeypatch.setattr("ganvas.data.decode.RESIDENT_BYTES", limit)
        (note,) = open_for((PairBatch,), str(tmp_path), root=Path(), task="colorize").notes
        assert note.startswith("2 of the 5 images")

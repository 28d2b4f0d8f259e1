"""Seeded mutations of folders, indexes and shards: each is read, or refused in one line, in bounded time."""

import contextlib
import io
import os
import random
import tarfile
import unicodedata

import numpy as np
import pytest
import safetensors.numpy
from conftest import photograph
from opening import open_for

from ganvas.data.batch import ImageBatch, PairBatch, UnpairedBatch
from ganvas.data.webdataset import index, pack
from ganvas.doctor import Plan, check
from ganvas.errors import GanvasError
from ganvas.inference.places import plan

pytestmark = pytest.mark.timeout(120)

NAMES = [
    "a", "b.c", "[x]*", "~", "{0}", "%s", "$HOME", "-rf", "pipe:touch ran; x", "http:x", "file:a", "a b", "고양이", "é",
    "\u202e", "\n", "\x1b[31m", "x" * 240, "\udcff", "con", "index", "classes", "@eaDir", "lost+found", "..a", "'; #",
]  # fmt: skip
ENDINGS = [".png", ".jpg", ".JPG", ".jfif", ".tif", ".gif", ".txt", ".tar", ".json", ".safetensors", ".heic", "", "."]
WORLD = ["", "train", "a/b", "deep/er"]


def encoded(seed, form="JPEG"):
    content = io.BytesIO()
    photograph(seed=seed % 5, width=24, height=16).save(content, form)
    return content.getvalue()


IMAGES = [encoded(seed, form) for seed, form in enumerate(("JPEG", "PNG", "TIFF", "GIF", "WEBP"))]


@contextlib.contextmanager
def one_line(*paths):
    """Within the block nothing fails but with one short line."""
    try:
        yield
    except GanvasError as error:
        said = str(error)
        assert "\n" not in said, said
        for path in sorted(map(str, paths), key=len, reverse=True):
            said = said.replace(path, "")
        assert len(said) < 700, said  # 300, and the longest name that a file may have


# --- folders ----------------------------------------------------------------------------------------------------------


def damaged(content, rng):
    """The bytes with some changed, cut off, or put twice."""
    content = bytearray(content)
    for _ in range(rng.choice((0, 1, 1, 3, 20))):
        way, at = rng.randrange(4), rng.randrange(max(1, len(content)))
        if way == 0 and content:
            content[at] = rng.randrange(256)
        elif way == 1 and rng.random() < 0.3:
            del content[at:]
        elif way == 2:
            content[at:at] = content[at : at + rng.choice((1, 8, 512))]
        elif way == 3 and content:
            content[at : at + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7))
    return bytes(content)


def archive(rng):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as tar:
        for number in range(rng.randrange(14)):
            data, name = rng.choice(IMAGES), f"{rng.choice(NAMES)[:90]}{number}".replace("\n", "").replace(".", "")
            for ending, part in (("jpg", data), ("cls", str(rng.choice((0, 1, 2) * 30 + (2**26, 10**40))).encode())):
                header = tarfile.TarInfo(f"{name}.{ending}")
                header.size = len(part)
                tar.addfile(header, io.BytesIO(part))
    return damaged(content.getvalue(), rng)


def add(folder, rng):
    """Something that may lie in a folder, under some name."""
    name = rng.choice(NAMES) + rng.choice(ENDINGS)
    if rng.random() < 0.2:
        name = rng.choice(("classes.json", "index.safetensors", "0.tar", "p.sh"))
    path = folder / unicodedata.normalize(rng.choice(("NFC", "NFD")), name)[:200]
    if os.path.lexists(path):
        return
    way = rng.randrange(12)
    if way == 0:
        os.mkfifo(path)
    elif way == 1:
        path.symlink_to(rng.choice((path.name, ".", "..", "/nonexistent", "/dev/zero", "a.jpg")))
    elif way == 2:
        path.mkdir()
    elif way == 3 or path.suffix == ".tar":
        path.write_bytes(archive(rng))
    elif way == 4:
        path.write_bytes(rng.choice((b"", b"[]", b'["a"]', b"[" * 9000, b"{}", rng.randbytes(90))))
    else:
        path.write_bytes(rng.choice(IMAGES) if rng.random() < 0.7 else damaged(rng.choice(IMAGES), rng))


def made_up(root, rng):
    """A folder with folders of all kinds of things."""
    places = [root / rng.choice(WORLD) for _ in range(2)]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    for number in range(rng.choice((0, 3, 12))):
        (places[0] / f"{number}.jpg").write_bytes(IMAGES[0])
    for _ in range(rng.randrange(10)):
        add(rng.choice(places), rng)
    return root


@pytest.mark.parametrize("part", range(4))
def test_whatever_lies_in_a_folder_is_read_or_refused_in_one_line(tmp_path, monkeypatch, part):
    for seed in range(part * 30, part * 30 + 30):
        rng = random.Random(seed)
        folder, other = (made_up(tmp_path / f"{seed}{name}", rng) for name in "ab")
        monkeypatch.chdir(folder)
        ways = [
            lambda: open_for((ImageBatch,), ".", root=tmp_path, size=16).some(2),
            lambda f=folder: check(Plan(f)),
            lambda f=folder: plan([f], tmp_path / "out", format="keep"),
            lambda f=folder, o=other: open_for((PairBatch,), str(f), target=str(o), root=tmp_path, size=16),
            lambda f=folder, o=other: open_for((UnpairedBatch,), str(f), target=str(o), root=tmp_path, size=16),
            lambda f=folder: pack.pack_folder(f, tmp_path / f"{seed}out"),  # noqa: B023  # called at once
        ]
        for way in ways:
            with one_line(folder, other, *folder.rglob("*"), *other.rglob("*")):
                way()
        assert not list(tmp_path.rglob("ran"))


# --- indexes ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Two shards of two classes, with their index."""
    root = tmp_path_factory.mktemp("packed")
    for number in range(8):
        (root / "images" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        (root / "images" / "ab"[number % 2] / f"{number}.jpg").write_bytes(IMAGES[0])
    pack.pack_folder(root / "images", root / "shards", per_shard=4)
    return root / "shards"


EXTREMES = [-1, 0, 1, 2, 2**16, 2**26, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31)]


def rewritten(content, rng):
    """An index with another number in a column, or in its metadata."""
    columns = {name: column.copy() for name, column in safetensors.numpy.load(content).items()}
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    said = index.schema.parse(index.schema.parse(header)["__metadata__"]["ganvas"])
    way = rng.randrange(4)
    if way == 0:
        column = columns[rng.choice(sorted(columns))]
        value = rng.choice(EXTREMES)
        if column.dtype != np.bool_ and np.iinfo(column.dtype).min <= value <= np.iinfo(column.dtype).max:
            column[rng.randrange(len(column))] = value
    elif way == 1:
        name = rng.choice(sorted(columns))
        columns[name] = columns[name][: rng.randrange(len(columns[name]))].astype(rng.choice(("f4", "i8", "u1", "i4")))
    elif way == 2:
        shard = rng.choice(said["shards"])
        shard[rng.randrange(len(shard))] = rng.choice([*EXTREMES, None, "x", [], [2**70, -1], 1.5])
    else:
        said[rng.choice(sorted(said))] = rng.choice([*EXTREMES, None, "x", [], {}, [["a"]], ["x"] * 70_000])
    return bytes(safetensors.numpy.save(columns, {"ganvas": index.json.dumps(said)}))


@pytest.mark.parametrize("change", [damaged, rewritten])
def test_whatever_an_index_says_its_numbers_have_bounds(packed, change):
    whole = (packed / "index.safetensors").read_bytes()
    read = 0
    for seed in range(150):
        content, found = change(whole, random.Random(seed)), index.Index({}, {})
        with one_line():
            found = index.Index.unpacked(content)
            read += 1
        for name, table in found.tables.items():
            end = (table.columns["offset"] + table.columns["size"]).max(initial=0)
            assert 0 <= end <= found.stamps[name].size
            assert table.columns["label"].max(initial=0) < 2**16
            assert all(len(table.name(row)) <= 2**16 for row in range(len(table)))
    assert 0 < read < 100


def test_shards_are_read_whatever_their_index_says(packed, tmp_path):
    content = (packed / "index.safetensors").read_bytes()
    for seed in range(40):
        (packed / "index.safetensors").write_bytes(rewritten(content, random.Random(seed)))
        with one_line(packed):
            source = open_for((ImageBatch,), str(packed), root=tmp_path, size=16)
            assert len(source.spec.classes) <= 2**16
            source.some(4)


# --- shards -----------------------------------------------------------------------------------------------------------


def test_whatever_a_shard_holds_it_is_read_or_refused_in_one_line(tmp_path):
    read = 0
    for seed in range(150):
        rng = random.Random(seed)
        (tmp_path / "shards").mkdir(exist_ok=True)
        (tmp_path / "shards/0.tar").write_bytes(archive(rng))
        os.utime(tmp_path / "shards/0.tar", (0, seed))  # tests are faster than the seconds that archives keep
        with one_line(tmp_path / "shards"):
            read += len(open_for((ImageBatch,), str(tmp_path / "shards"), root=tmp_path, size=16).some(4)) > 0
        with one_line(tmp_path / "shards"):
            check(Plan(tmp_path / "shards"))
    assert 15 < read < 135
    assert {path.name for path in tmp_path.iterdir()} == {"shards"}

"""Shards give the batches of the folder they were made from, with any number of readers; and what can go wrong."""

import contextlib
import dataclasses
import functools
import http.server
import io
import itertools
import json
import multiprocessing
import os
import re
import socketserver
import tarfile
import threading

import pytest
import torch
from conftest import manifest_of, photograph, same_weights, train_to
from opening import open_for
from PIL import Image

from ganvas.cli import main
from ganvas.core.accumulation import Share
from ganvas.data import decode
from ganvas.data.batch import ImageBatch, PairBatch
from ganvas.data.decode import How, LazyRows
from ganvas.data.folder import open_folder
from ganvas.data.loader import batches
from ganvas.data.webdataset import index, pack, reader
from ganvas.doctor import Plan, check
from ganvas.errors import DataError, GanvasError, UsageError

CPU = torch.device("cpu")
WRITTEN = itertools.count(1_000_000_000)  # seconds, of archives


def jpeg(seed, *, width=40, height=32):
    content = io.BytesIO()
    photograph(seed=seed, width=width, height=height).save(content, "JPEG")
    return content.getvalue()


def write_tar(path, files, *, form=tarfile.PAX_FORMAT):
    """Write a tar archive of (name, content) as another program would."""
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in files:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    os.utime(path, (0, next(WRITTEN)))  # tests are faster than the seconds that archives keep


def opened(name, tmp_path, *, batches=(ImageBatch,), **options):
    return open_for(batches, str(name), root=tmp_path / "root", **{"size": 16, **options})


def take(n, source, **options):
    return list(itertools.islice(batches(source, **{"batch": 8, "seed": 3, "device": CPU, **options}), n))


@pytest.fixture
def animals(tmp_path):
    """Forty photographs in two classes."""
    for i in range(40):
        folder = tmp_path / "animals" / ("cat" if i % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:02d}.jpg").write_bytes(jpeg(i))
    return tmp_path / "animals"


@pytest.fixture
def packed(animals, tmp_path):
    """The photographs in five shards."""
    pack.pack_folder(animals, tmp_path / "packed", per_shard=9)
    return tmp_path / "packed"


@pytest.fixture
def streaming(monkeypatch):
    """Stream all images, as if the memory were small."""
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)


def by_name(source):
    rows = source.rows(range(len(source)))
    labels = rows.labels.tolist() if rows.labels is not None else [None] * len(rows)
    return {source.name_of(i): (rows.images[i].numpy().tobytes(), labels[i]) for i in range(len(source))}


# --- writing and reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resident", [True, False])
def test_shards_hold_the_images_and_the_classes_of_the_folder(animals, packed, tmp_path, monkeypatch, resident):
    if not resident:
        monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    folder, shards = open_folder(animals, How(size=16)), opened(packed, tmp_path)
    assert isinstance(shards.images, ImageBatch if resident else LazyRows)
    assert (shards.spec, len(shards)) == (folder.spec, 40)
    assert by_name(shards) == by_name(folder)
    assert shards.name == str(packed.resolve())


def test_files_are_copied_as_they_are_mixed_and_read_by_webdataset_too(animals, packed):
    import webdataset.tariterators

    with contextlib.ExitStack() as files:
        shards = [
            {"url": str(path), "stream": files.enter_context(path.open("rb"))} for path in sorted(packed.glob("*.tar"))
        ]
        found = webdataset.tariterators.tar_file_expander(shards)
        samples = list(webdataset.tariterators.group_by_keys(found))
    originals = {f"{path.parent.name}/{path.stem}": path for path in animals.rglob("*.jpg")}
    assert len(samples) == 40
    for sample in samples:
        path = originals.pop(sample["__key__"])
        assert sample["jpg"] == path.read_bytes()
        assert sample["cls"] == str(["cat", "dog"].index(path.parent.name)).encode()
    first = [sample["__key__"].split("/")[0] for sample in samples[:9]]
    assert {"cat", "dog"} == set(first)


def test_packing_again_writes_the_same_bytes(animals, packed, tmp_path):
    pack.pack_folder(animals, tmp_path / "again", per_shard=9)
    for path in packed.iterdir():
        if path.name != "index.safetensors":  # it holds the time of writing
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_size_makes_large_images_smaller_and_leaves_small_ones(tmp_path):
    for name, width, height in (("large", 128, 64), ("small", 20, 24)):
        (tmp_path / "mixed").mkdir(exist_ok=True)
        photograph(seed=1, width=width, height=height).save(tmp_path / "mixed" / f"{name}.png")
    pack.pack_folder(tmp_path / "mixed", tmp_path / "out", size=32)
    found = reader.look_through(str(tmp_path / "out"), root=tmp_path)
    sizes = {}
    for sample in found.samples("")[0]:
        with Image.open(io.BytesIO(found.shelf.encoded(sample).content)) as image:
            sizes[sample.name] = image.size
    assert sizes == {"large.png": (64, 32), "small.png": (20, 24)}
    whole = open_folder(tmp_path / "mixed", How(size=32)).rows([0]).images.float()
    again = opened(tmp_path / "out", tmp_path, size=32)
    row = [again.name_of(i) for i in range(2)].index("large.png")
    assert (again.rows([row]).images.float() - whole).abs().mean() < 2


def test_what_cannot_be_read_is_left_out_and_too_much_of_it_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for i in range(150):
        (folder / f"{i}.jpg").write_bytes(jpeg(i % 3))
    (folder / "150.jpg").write_bytes(b"no image")
    packed = pack.pack_folder(folder, tmp_path / "out")
    assert (packed.images, packed.shards) == (150, 1)
    assert "150.jpg" in packed.left_out[0]
    for i in range(20):
        (folder / f"{i}.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read"):
        pack.pack_folder(folder, tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "out"}
    with pytest.raises(UsageError, match="is there already"):
        pack.pack_folder(folder, tmp_path / "out")


def test_names_that_share_what_is_before_the_dot_stay_apart(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    names = ["a.jpg", "a.jpeg", "a.b.jpg", "a_b.jpg", "x" * 150 + ".jpg", "ü €.jpg"]
    for i, name in enumerate(names):
        (folder / name).write_bytes(jpeg(i))
    pack.pack_folder(folder, tmp_path / "out")
    source = opened(tmp_path / "out", tmp_path)
    assert len(set(source.names)) == len(source) == len(names)
    pixels = {row[0] for row in by_name(open_folder(folder, How(size=16))).values()}
    assert {row[0] for row in by_name(source).values()} == pixels
    assert "x" * 150 + ".jpg" in source.names
    assert "ü €.jpg" in source.names


# --- the order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [1, 2, 4])
def test_however_many_processes_and_workers_read_the_batches_are_the_same(packed, tmp_path, streaming, monkeypatch, of):
    source = opened(packed, tmp_path, random_crop=True)
    whole = take(6, source, flip=True)
    monkeypatch.setattr("ganvas.data.loader.cores", lambda: 1)
    parts = [take(4, source, flip=True, first=2, share=Share(index, of)) for index in range(of)]
    for batch, pieces in zip(whole[2:], zip(*parts, strict=True), strict=True):
        again = ImageBatch.together(pieces)
        assert torch.equal(again.images, batch.images)
        assert torch.equal(again.labels, batch.labels)


def test_every_image_comes_once_an_epoch_and_in_another_order_in_the_next(packed, tmp_path, streaming):
    source = opened(packed, tmp_path)
    images = [row.numpy().tobytes() for batch in take(10, source) for row in batch.images]
    wanted = sorted((row.float() / 127.5 - 1).numpy().tobytes() for row in source.rows(range(40)).images)
    signed = [sorted(images[:40]), sorted(images[40:])]
    assert (
        signed[0]
        == signed[1]
        == sorted(row.numpy().tobytes() for row in source.rows(range(40)).signed().images)
        != wanted[:0]
    )
    assert images[:40] != images[40:]
    assert len(set(images)) == 40


def test_what_is_held_out_of_shards_is_what_is_held_out_of_the_folder(animals, packed, tmp_path, streaming):
    parts = {}
    for part in ("train", "test"):
        shards = opened(packed, tmp_path, holdout=0.3, split=part)
        parts[part] = set(shards.names)
        assert parts[part] == set(open_folder(animals, How(size=16, holdout=0.3, part=part)).names)
        assert by_name(shards).items() <= by_name(open_folder(animals, How(size=16))).items()
        assert sum(shards.shards.counts) == len(shards)
    assert len(parts["train"] | parts["test"]) == 40
    assert len(take(9, opened(packed, tmp_path, holdout=0.3, split="train"))) == 9


def test_a_folder_of_side_by_side_images_and_a_task_work_in_shards(tmp_path, streaming):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i}.jpg").write_bytes(jpeg(i, width=64))
    pack.pack_folder(folder, tmp_path / "packed", per_shard=5)
    for options in ({"side": "ba"}, {"task": "colorize"}, {"task": "denoise:0.1"}):
        ways = [opened(name, tmp_path, batches=(PairBatch,), **options) for name in (folder, tmp_path / "packed")]
        assert ways[0].spec == ways[1].spec
        assert ways[0].batch is ways[1].batch is PairBatch
        rows = [source.raw(range(12)) for source in ways]
        orders = [sorted(range(12), key=lambda i, s=source: s.name_of(i)) for source in ways]
        for side in ("source", "target"):
            assert torch.equal(*(getattr(row, side)[order] for row, order in zip(rows, orders, strict=True)))
        (batch,) = take(1, ways[1])
        assert isinstance(batch, PairBatch)
    with pytest.raises(UsageError, match="folders of files, not with shards"):
        opened(tmp_path / "packed", tmp_path, batches=(PairBatch,), target=str(folder))


def test_grey_images_are_counted_from_the_index(tmp_path, streaming):
    files = [("a.jpg", jpeg(1)), ("b.jpg", jpeg(2))]
    grey = io.BytesIO()
    photograph(seed=3, width=40, height=40).convert("L").save(grey, "PNG")
    (tmp_path / "shards").mkdir()
    write_tar(tmp_path / "shards/0.tar", [*files, ("c.png", grey.getvalue())])
    source = opened(tmp_path / "shards", tmp_path, batches=(PairBatch,), task="colorize")
    assert source.notes[0].startswith("1 of the 3 images")


# --- shards of other programs ---------------------------------------------------------------------------------------


def test_shards_of_others_are_read_by_their_convention(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    write_tar(folder / "a.tar", [
        ("./deep/000.cls", b"2\n"), ("./deep/000.JPG", jpeg(0)), ("./deep/000.json", b"{}"),
        ("__meta__/x.json", b"{}"), ("readme", b"hello"),
        ("x" * 120 + ".jpg", jpeg(1)), ("x" * 120 + ".cls", b"0"),
    ])  # fmt: skip
    write_tar(folder / "b.tar", [("0.webp", jpeg(2)), ("0.cls", b"1")], form=tarfile.USTAR_FORMAT)
    source = opened(folder, tmp_path)
    assert not source.left_out
    assert list(source.names) == ["./deep/000.JPG", "x" * 120 + ".jpg", "0.webp"]
    assert source.images.labels.tolist() == [2, 0, 1]
    assert source.spec.classes == ("0", "1", "2")
    (folder / "classes.json").write_text(json.dumps(["ant", "bee", "cow"]))
    assert opened(folder, tmp_path).spec.classes == ("ant", "bee", "cow")
    (folder / "classes.json").write_text(json.dumps(["ant"]))
    with pytest.raises(DataError, match=r"class 2, and classes\.json names 1"):
        opened(folder, tmp_path)


def test_a_pattern_means_some_of_the_shards_of_a_folder_and_several_folders(packed, tmp_path, animals):
    pack.pack_folder(animals / "cat", tmp_path / "cats")
    some = opened(packed / "shard-00000{0,2}.tar", tmp_path)
    assert len(some) == 18
    one = opened(packed / "shard-000004.tar", tmp_path)
    assert len(one) == 4
    with pytest.raises(DataError, match=r"shard-000005.tar: no such file \(1 of 2 "):
        opened(packed / "shard-00000{4,5}.tar", tmp_path)
    apart = f"{tmp_path}/{{packed/shard-000000,cats/shard-000000}}.tar"
    with pytest.raises(
        DataError, match=r"such as .* has no class, and others have"
    ):  # the one has classes, the other none
        opened(apart, tmp_path)


def test_the_index_is_made_once_and_again_for_what_changed(packed, tmp_path, monkeypatch):
    scanned = []
    original = index.scan
    monkeypatch.setattr(reader, "scan", lambda handle, name: (scanned.append(name), original(handle, name))[1])
    opened(packed, tmp_path)
    assert scanned == []  # it came with one
    (packed / "index.safetensors").unlink()
    opened(packed, tmp_path)
    assert scanned == [f"shard-00000{i}.tar" for i in range(5)]
    scanned.clear()
    write_tar(packed / "shard-000001.tar", [("new.jpg", jpeg(50)), ("new.cls", b"0")])
    write_tar(packed / "shard-000007.tar", [("newer.jpg", jpeg(51)), ("newer.cls", b"0")])
    source = opened(packed, tmp_path)
    assert scanned == ["shard-000001.tar", "shard-000007.tar"]
    assert {"new.jpg", "newer.jpg"} < set(source.names)
    assert len(source) == 33
    scanned.clear()
    (packed / "index.safetensors").write_bytes(b"damaged")
    assert len(opened(packed, tmp_path)) == 33
    assert len(scanned) == 6


def test_a_shard_of_the_same_length_with_other_classes_is_noticed(tmp_path):
    (tmp_path / "shards").mkdir()
    path = tmp_path / "shards/0.tar"
    write_tar(path, [("a.jpg", jpeg(0)), ("a.cls", b"0"), ("b.jpg", jpeg(1)), ("b.cls", b"1")])
    assert opened(tmp_path / "shards", tmp_path).images.labels.tolist() == [0, 1]
    size = path.stat().st_size
    write_tar(path, [("a.jpg", jpeg(0)), ("a.cls", b"1"), ("b.jpg", jpeg(1)), ("b.cls", b"0")])
    assert path.stat().st_size == size
    assert opened(tmp_path / "shards", tmp_path).images.labels.tolist() == [1, 0]


def test_where_nothing_can_be_written_the_index_is_kept_elsewhere(packed, tmp_path, monkeypatch):
    (packed / "index.safetensors").unlink()
    monkeypatch.setattr("os.access", lambda *_: False)
    assert len(opened(packed, tmp_path)) == 40
    assert len(list((tmp_path / "root/shards").glob("*.safetensors"))) == 1
    assert not list(packed.glob("*index*"))
    monkeypatch.setattr(reader, "scan", None)  # it is not made again
    assert len(opened(packed, tmp_path)) == 40


# --- what can go wrong ----------------------------------------------------------------------------------------------


def many(n):
    return [(f"{i:04d}.jpg", jpeg(i % 4)) for i in range(n)]


def test_a_shard_cut_short_gives_what_is_whole(tmp_path):
    (tmp_path / "shards").mkdir()
    path = tmp_path / "shards/0.tar"
    write_tar(path, many(150))
    whole = path.read_bytes()
    last = whole.index(b"0149.jpg")
    path.write_bytes(whole[: last + 700])
    source = opened(tmp_path / "shards", tmp_path)
    assert len(source) == 149
    assert len(source.left_out) == 1
    assert source.left_out[0].startswith("0.tar: cut short: 0149.jpg ends behind the end")
    path.write_bytes(whole[: len(whole) // 20])  # 7 images, and an unknown number is lost
    with pytest.raises(DataError, match="1 of 8 files"):
        opened(tmp_path / "shards", tmp_path)


def test_samples_without_an_image_or_a_broken_one_are_left_out_up_to_a_tenth(tmp_path):
    (tmp_path / "shards").mkdir()
    path = tmp_path / "shards/0.tar"
    write_tar(path, [*many(220), ("x.txt", b"no image"), ("y.jpg", jpeg(0)[:50])])
    source = opened(tmp_path / "shards", tmp_path)
    assert len(source) == 220
    assert [line.split(": ")[0:2] for line in source.left_out] == [["0.tar", "x"], ["0.tar", "y.jpg"]]
    write_tar(path, [*many(220), *((f"x{i}.txt", b"no image") for i in range(30))])
    with pytest.raises(DataError, match="30 of 250 files cannot be read"):
        opened(tmp_path / "shards", tmp_path)


def test_an_image_that_breaks_on_the_way_is_replaced_and_named(tmp_path, streaming, caplog):
    (tmp_path / "shards").mkdir()
    write_tar(tmp_path / "shards/0.tar", [*many(220), ("y.jpg", jpeg(0)[:-40])])
    source = opened(tmp_path / "shards", tmp_path)
    assert len(source) == 221
    assert len(take(12, source, batch=20)) == 12
    assert "left out y.jpg: broken" in caplog.text


def test_a_shard_that_disappears_is_one_clear_line(packed, tmp_path, streaming):
    source = opened(packed, tmp_path)
    assert len(take(2, source)) == 2
    for path in packed.glob("*.tar"):
        path.unlink()
    with pytest.raises(GanvasError, match=r"tar: cannot be read \(No such file or directory\); fix it") as caught:
        take(2, opened_again(source))
    assert "Traceback" not in str(caught.value)
    assert not multiprocessing.active_children()  # though the error, and with it the stream, is still there


def opened_again(source):
    """The same source with no shard open."""
    shelf = source.images.read.shelf
    read = dataclasses.replace(source.images.read, shelf=type(shelf)(shelf.shards, shelf.sizes))
    return dataclasses.replace(source, images=dataclasses.replace(source.images, read=read))


def test_hostile_archives_harm_nobody(tmp_path):
    """Paths that climb out, links, sizes beyond the file or all memory, and endless names."""
    folder = tmp_path / "shards"
    folder.mkdir()
    with tarfile.open(folder / "0.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in (("../../climbed.jpg", jpeg(0)), ("/absolute.jpg", jpeg(1))):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
        for name, kind in (
            ("soft.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
        ):
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, "/etc/passwd"
            archive.addfile(header)
    before = {path for path in tmp_path.rglob("*")}
    source = opened(folder, tmp_path)
    assert list(source.names) == ["../../climbed.jpg", "/absolute.jpg"]
    new = {path.name for path in tmp_path.rglob("*")} - {path.name for path in before}
    assert new <= {"index.safetensors", ".index.safetensors.lock"}

    for kind, size in ((tarfile.REGTYPE, 2**40), (tarfile.GNUTYPE_LONGNAME, 2**33), (tarfile.XHDTYPE, 2**20)):
        header = tarfile.TarInfo("huge.jpg")
        header.type, header.size = kind, size
        with (folder / "1.tar").open("wb") as file:
            file.write(header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 512)
            file.truncate(2**34)  # sparse: it takes no space
        with (folder / "1.tar").open("rb") as file:
            found = index.scan(file.fileno(), "1.tar")
        assert len(found) == 0
        assert len(found.left_out) == 1
    (folder / "1.tar").unlink()


def test_an_archive_that_is_none_and_an_empty_one(tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/0.tar").write_bytes(os.urandom(2000))
    with pytest.raises(DataError, match="1 of 1 files cannot be read"):
        opened(tmp_path / "shards", tmp_path)
    write_tar(tmp_path / "shards/0.tar", [])
    with pytest.raises(DataError, match="no images; expected samples"):
        opened(tmp_path / "shards", tmp_path)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, b"\x10" + b"\0" * 7 + b'{"a": 1}        '])
def test_a_damaged_index_is_no_index(damage):
    with pytest.raises(DataError, match="no index of shards"):
        index.Index.unpacked(damage)


# --- remote shards --------------------------------------------------------------------------------------------------


@pytest.fixture
def server(packed):
    """The shards behind a web server on this machine, and the requests to it."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    serve = socketserver.ThreadingTCPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(packed)))
    thread = threading.Thread(target=serve.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serve.server_address[1]}/shard-{{000000..000004}}.tar", asked
    serve.shutdown()
    serve.server_close()
    thread.join()


def test_what_lies_behind_a_url_or_a_command_gives_the_batches_of_the_same_files(packed, server, tmp_path, streaming):
    url, asked = server
    wanted = take(5, opened(packed, tmp_path))
    for name in (url, f"pipe:cat {packed}/shard-{{000000..000004}}.tar"):
        source = opened(name, tmp_path)
        assert source.shards.far
        assert source.name == name
        for a, b in zip(wanted, take(5, source), strict=True):
            assert torch.equal(a.images, b.images)
            assert torch.equal(a.labels, b.labels)
    assert max(map(asked.count, asked)) <= 2  # the end of a shard may be another lane's


def test_a_few_images_of_what_is_far_take_one_shard(server, tmp_path):
    url, asked = server
    source = opened(url, tmp_path)
    assert source.some(8).images.shape == (8, 3, 16, 16)
    assert sorted(asked) == ["/index.safetensors", "/shard-000000.tar"]


def test_what_is_far_and_has_no_index_is_told_how_to_get_one(packed, tmp_path, capsys, monkeypatch):
    (packed / "index.safetensors").unlink()
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "root"))
    name = f"pipe:cat {packed}/shard-{{000000..000004}}.tar"
    with pytest.raises(DataError, match="`ganvas shards` fetches them all once"):
        opened(name, tmp_path)
    assert main(["shards", name]) == 0
    assert "the index of 40 images in 5 shards" in capsys.readouterr().out
    assert len(opened(name, tmp_path)) == 40


def test_a_command_that_fails_or_stops_half_way_is_one_clear_line(packed, tmp_path):
    source = opened(f"pipe:cat {packed}/shard-{{000000..000004}}.tar", tmp_path)
    (packed / "shard-000002.tar").unlink()
    with pytest.raises(GanvasError, match="cannot be read \\(the command ended with status 1\\); fix it"):
        source.rows(range(40))
    half = opened(f"pipe:head -c 9000 {packed}/shard-000000.tar", tmp_path)  # the index is shorter, and comes whole
    with pytest.raises(GanvasError, match=r"came with 9,000 bytes, and has [\d,]+ by its index"):
        half.rows([0])


def test_urls_that_nobody_can_open_are_told(tmp_path):
    for name in ("s3://bucket/{0..3}.tar", "http://127.0.0.1:9/0.tar"):
        with pytest.raises(DataError, match="no index beside the shards"):
            opened(name, tmp_path)
    with pytest.raises(DataError, match="two shards of one name"):
        opened("http://127.0.0.1:9/{a,b}/0.tar", tmp_path)


# --- commands -------------------------------------------------------------------------------------------------------


def test_the_command_writes_shards_and_doctor_looks_at_them(animals, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["shards", "animals", "--out", "packed", "--per-shard", "10"]) == 0
    assert "packed: 40 images in 4 shards" in capsys.readouterr().out
    (tmp_path / "packed/index.safetensors").unlink()
    assert main(["shards", "packed"]) == 0
    assert "packed/index.safetensors: the index of 40 images in 4 shards" in capsys.readouterr().out
    assert main(["doctor", "packed"]) == 0
    assert re.search(r"cat +20", capsys.readouterr().out)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(packed, tmp_path, streaming):
    source = opened(packed, tmp_path)
    manifest = manifest_of(source)
    train_to(tmp_path / "stopped", 2, of=3, source=source, manifest=manifest)
    again = train_to(tmp_path / "stopped", 3, source=opened(packed, tmp_path), manifest=manifest)
    assert same_weights(again, train_to(tmp_path / "whole", 3, source=source, manifest=manifest))


@pytest.mark.parametrize(("words", "said"), [
    (["nowhere"], "give a new folder for the shards"),
    (["nowhere", "--out", "x"], "no folder of that name"),
    (["packed", "--out", "x"], "holds shards already"),
])  # fmt: skip
def test_wrong_use_is_one_line(packed, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["shards", *words]) == 2
    assert said in capsys.readouterr().err


def test_doctor_looks_into_shards(packed, tmp_path):
    report = check(Plan(packed, holdout=0.3))
    train, test = (len(opened(packed, tmp_path, holdout=0.3, split=part)) for part in ("train", "test"))
    assert dict(report.tables["part"]) == {"train": train, "held out": test}
    write_tar(packed / "x.tar", [("50.jpg", jpeg(3)), ("50.cls", b"0"), ("51.txt", b"no image")])
    report = check(Plan(packed))
    kinds = {finding.kind: finding for finding in report.findings}
    assert kinds["duplicates"].count == 1
    assert kinds["lost-samples"].examples[0].startswith("x.tar: 51")
    assert dict(report.tables["class"]) == {"cat": 21, "dog": 20}

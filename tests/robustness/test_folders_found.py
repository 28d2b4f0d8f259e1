"""What is found in a folder is a regular file and no more: its name runs nothing, and what is passed over is told."""

import contextlib
import io
import json
import os
import shutil
import socket
import tarfile
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
from conftest import photograph
from opening import open_for
from PIL import features

import ganvas
from ganvas.api.studying import Work
from ganvas.cli import main
from ganvas.core.names import nfc
from ganvas.data import decode
from ganvas.data.batch import ImageBatch, PairBatch, UnpairedBatch
from ganvas.data.folder import list_images, open_folder
from ganvas.data.webdataset import index, pack, reader, shards
from ganvas.doctor import Plan, check
from ganvas.errors import DataError, UsageError
from ganvas.imaging.images import format_of
from ganvas.inference.places import plan

NFD = unicodedata.normalize("NFD", "고양이")
COMMAND = "pipe:sh p.sh; x.tar"


def one_line(error):
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def save(path, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph(seed=seed, width=32, height=32).save(path, **options)
    return path


@pytest.fixture
def images(tmp_path):
    """Twelve photographs in a folder."""
    for i in range(12):
        save(tmp_path / f"images/{i:02d}.jpg", i)
    return tmp_path / "images"


@pytest.fixture
def packed(images, tmp_path):
    """The same in shards."""
    pack.pack_folder(images, tmp_path / "packed", per_shard=6)
    return tmp_path / "packed"


def opened(name, root=Path("nowhere"), *, batches=(ImageBatch,), **options):
    return open_for(batches, str(name), root=root, **{"size": 16, **options})


# --- names that something interprets ----------------------------------------------------------------------------------


def trap(folder):
    """A dangling link whose name would be a command, and the script that it would run."""
    (folder / "p.sh").write_text("touch ran\n")
    (folder / COMMAND).symlink_to("/nonexistent")


@pytest.mark.parametrize("beside", ["nothing", "shards"])
def test_a_name_in_a_folder_is_no_command(tmp_path, packed, monkeypatch, beside):
    folder = packed
    if beside == "nothing":
        (folder := tmp_path / "folder").mkdir()
    trap(folder)
    monkeypatch.chdir(folder)
    for name in (".", str(folder), f"./{COMMAND}", COMMAND):
        for use in (lambda n: check(Plan(Path(n))), opened, lambda n: reader.look_through(n, root=tmp_path / "root")):
            with contextlib.suppress(UsageError):
                use(name)
    assert not (folder / "ran").exists()
    if beside == "shards":
        assert len(opened(folder)) == 12


def test_shards_are_regular_files_by_their_absolute_paths(packed, monkeypatch):
    os.mkfifo(packed / "fifo.tar")
    (packed / "self.tar").symlink_to("self.tar")
    (packed / "folder.tar").mkdir()
    monkeypatch.chdir(packed)
    found = shards.expand(".")
    assert [file.name for file in found] == ["shard-000000.tar", "shard-000001.tar"]
    assert all(isinstance(file, Path) and file.is_absolute() for file in found)
    assert len(opened(packed)) == 12


@pytest.mark.parametrize("name", ["a[1].jpg", "~.jpg", "{1..9}.jpg", "%s %(x)d.jpg", "{0}.jpg", "$HOME.jpg", "-rf.jpg"])
def test_names_are_only_names(images, tmp_path, name):
    save(images / name, 99)
    assert name in opened(images).names
    pack.pack_folder(images, tmp_path / "packed [1]{2}~")
    assert len(opened(tmp_path / "packed [1]{2}~")) == 13
    assert check(Plan(images)).count == 13


def test_what_a_name_holds_is_not_for_the_terminal(images):
    save(images.parent / "classes" / "\x1b[31m" / "x.png")
    report = check(Plan(images.parent / "classes"))
    assert report.tables["class"] == [("?[31m", 1)]
    assert [finding.examples for finding in report.findings if finding.kind == "rare-classes"] == [("?[31m (1)",)]
    for name in ("\x1b[31mred.jpg", "two\nlines.jpg", "\udcff.jpg", "\u2028.jpg"):
        (images / name).write_bytes(b"no image")
    report = check(Plan(images))
    (finding,) = [finding for finding in report.findings if finding.kind == "no-image"]
    assert finding.count == 4
    assert set(finding.examples) == {"?[31mred.jpg", "two?lines.jpg", "?.jpg"}
    with pytest.raises(DataError, match="4 of 16 files") as error:
        opened(images)
    assert one_line(error).isprintable()


# --- what is no regular file ------------------------------------------------------------------------------------------


def strange(folder):
    """Everything that a folder may hold beside files and folders."""
    os.mkfifo(folder / "fifo.png")
    (folder / "self.png").symlink_to("self.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(folder / "socket.png"))


def test_what_is_no_regular_file_is_passed_over_with_a_word(images, tmp_path, monkeypatch):
    monkeypatch.chdir(images)
    strange(images)
    source = opened(images)
    assert len(source) == 12
    assert source.notes == ("6 of 18 files were passed over: 6 no regular files (fifo.png)",)
    assert check(Plan(images)).count == 12
    places = plan([images], tmp_path / "out", format="keep")
    assert len(places) == 12
    assert places.notes == source.notes
    with pytest.raises(UsageError, match="no regular file") as error:
        plan([images / "fifo.png"], tmp_path / "out", format="keep")
    one_line(error)


def test_doctor_names_what_is_no_regular_file(images, monkeypatch):
    monkeypatch.chdir(images)
    strange(images)
    (finding,) = [finding for finding in check(Plan(images)).findings if finding.kind == "special"]
    assert (finding.count, finding.severity) == (6, "warning")
    assert "fifo.png" in finding.examples


@pytest.mark.parametrize("name", ["index.safetensors", "classes.json", ".index.safetensors.lock"])
def test_what_lies_beside_shards_is_a_regular_file_too(packed, name):
    if name.endswith(".lock"):
        (packed / "index.safetensors").unlink()
    (packed / name).unlink(missing_ok=True)
    os.mkfifo(packed / name)
    if name == "classes.json":
        with pytest.raises(DataError, match=r"classes\.json") as error:
            opened(packed)
        one_line(error)
    else:
        assert len(opened(packed)) == 12


def test_a_result_that_is_a_link_to_itself_is_no_traceback(images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/00.jpg").symlink_to("00.jpg")
    (tmp_path / "self").symlink_to("self")
    assert len(plan([images], tmp_path / "out", format="keep")) == 12
    assert len(plan([images], tmp_path / "self", format="keep")) == 12


# --- bounds -----------------------------------------------------------------------------------------------------------


def rewritten(packed, name, value):
    """The index with another value in a column."""
    content = (packed / "index.safetensors").read_bytes()
    columns = dict(safetensors.numpy.load(content))
    columns[name] = columns[name].copy()
    columns[name][3] = value
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    return bytes(safetensors.numpy.save(columns, json.loads(header)["__metadata__"]))


@pytest.mark.parametrize(("column", "value"), [
    ("label", 2**26), ("label", -2), ("offset", -1), ("offset", 2**62), ("size", -1), ("size", 2**31 - 1), ("end", 0),
    ("end", 2**40),
])  # fmt: skip
def test_a_number_in_an_index_has_bounds(packed, column, value):
    content = rewritten(packed, column, value)
    with pytest.raises(DataError, match="no index of shards") as error:
        index.Index.unpacked(content)
    assert len(one_line(error)) < 300
    (packed / "index.safetensors").write_bytes(content)
    assert len(opened(packed)) == 12  # it is made again


def test_a_label_in_memory_has_bounds():
    image = np.zeros((16, 16), np.uint8)
    with pytest.raises(DataError, match="classes") as error:
        open_for((ImageBatch,), [(image, 2**40), (image, 0)])
    one_line(error)


def test_an_endless_name_makes_no_endless_sentence(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        header = tarfile.TarInfo("x" * 30_000 + ".jpg")
        archive.addfile(header, io.BytesIO())
    with pytest.raises(DataError) as error:
        opened(tmp_path)
    assert len(one_line(error)) < 300 + 2 * len(str(tmp_path))


# --- endings ----------------------------------------------------------------------------------------------------------


def test_what_pillow_decodes_is_read_and_the_rest_is_counted(images, tmp_path):
    for i in range(4):
        shutil.copy(images / f"{i:02d}.jpg", images / f"x{i}.{'jfif' if i % 2 else 'JPE'}")
    for i, ending in enumerate((".heic", ".txt", ".txt", ".xcf", "")):
        (images / f"y{i}{ending}").write_bytes(b"something")
    read = 16
    if features.check("avif"):
        save(images / "z.avif", 5)
        read += 1
    for hidden in (".DS_Store", "Thumbs.db"):
        (images / hidden).write_bytes(b"left by a system")
    source = opened(images)
    assert len(source) == read
    told = f"5 of {read + 5} files were passed over: 1 .heic, 2 .txt, 1 .xcf, 1 without an ending"
    assert source.notes == (told,)
    places = plan([images], tmp_path / "out", format="keep")
    assert len(places) == read
    assert places.notes == (told,)
    assert {place.suffix for place in places.values()} <= {".jpg", ".png", ".jfif", ".JPE", ".jpe", ".avif"}


def test_results_get_an_ending_that_can_be_written(images, tmp_path):
    shutil.copy(images / "00.jpg", images / "x.jfif")
    save(images / "y.avif" if features.check("avif") else images / "y.jpe", format=None)
    for place in plan([images], tmp_path / "out", format="keep").values():
        assert format_of(place)


def test_a_class_whose_images_lie_deeper_is_told(tmp_path):
    for i in range(8):
        for place in ("a", "b", "c/part1"):
            save(tmp_path / place / f"{i}.jpg", i)
    source = opened(tmp_path)
    assert source.spec.classes == ("a", "b")
    assert source.notes == ("8 of 24 files were passed over: 8 in folders too deep (c/part1)",)
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(DataError, match=r"too deep.*c/part1") as error:
        opened(tmp_path)
    one_line(error)


LEFT = ("@eaDir", "__MACOSX", ".Trash-1000", "lost+found", ".hidden", "$RECYCLE.BIN", "@Recycle")


def test_what_systems_leave_is_neither_class_nor_input(tmp_path):
    for name in (*LEFT, "cats", "dogs"):
        for i in range(3):
            save(tmp_path / "data" / name / f"{i}.jpg", i)
        save(tmp_path / "data/cats" / name / "thumb.jpg")
    shutil.rmtree(tmp_path / "data/cats/cats")
    shutil.rmtree(tmp_path / "data/cats/dogs")
    source = opened(tmp_path / "data")
    assert source.spec.classes == ("cats", "dogs")
    assert (len(source), source.notes) == (6, ())
    places = plan([tmp_path / "data"], tmp_path / "out", format="keep")
    assert (len(places), places.notes) == (6, ())
    report = check(Plan(tmp_path / "data"))
    assert report.count == 6
    assert not {"deeper", "other-files"} & {finding.kind for finding in report.findings}


def test_notes_of_two_folders_and_of_tasks_are_kept(images, tmp_path):
    shutil.copytree(images, tmp_path / "other")
    (images / "a.txt").write_text("")
    for options in ({"batches": (UnpairedBatch,)}, {"batches": (PairBatch,)}):
        source = opened(images, target=str(tmp_path / "other"), **options)
        assert source.notes == (f"{images}: 1 of 13 files were passed over: 1 .txt",)
    assert opened(images, batches=(PairBatch,), task="colorize").notes[0].startswith("1 of 13 files")


# --- one Unicode form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_names_of_classes_are_compared_in_one_form(tmp_path, monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    for i in range(4):
        save(tmp_path / "data" / NFD / f"{i}.png", i)
        save(tmp_path / "data" / nfc("개") / f"{i}.png", i)
    source = opened(tmp_path / "data")
    assert source.spec.classes == tuple(sorted([nfc("고양이"), nfc("개")]))
    assert source.rows(range(8)).labels.tolist() == [0] * 4 + [1] * 4
    pack.pack_folder(tmp_path / "data", tmp_path / "packed")
    assert opened(tmp_path / "packed").spec.classes == source.spec.classes
    assert all(name == nfc(name) for name in opened(tmp_path / "packed").names)
    assert set(check(Plan(tmp_path / "data")).tables) >= {"class"}
    assert {name for name, _ in check(Plan(tmp_path / "data")).tables["class"]} == set(source.spec.classes)


def test_one_class_written_in_two_forms_is_one_class(tmp_path):
    for form in ("NFC", "NFD"):
        for i in range(3):
            save(tmp_path / unicodedata.normalize(form, "é") / f"{form}{i}.png", i)
    source = opened(tmp_path)
    assert source.spec.classes == ("é",)
    assert len(source) == 6


def test_a_mac_and_linux_list_the_same_classes_in_the_same_order(tmp_path):
    names = ["ä", "ab", "az", "각", "가", "é", "z"]
    for form in ("NFC", "NFD"):
        for name in names:
            save(tmp_path / form / unicodedata.normalize(form, name) / "x.png")
    one, other = (list_images(tmp_path / form) for form in ("NFC", "NFD"))
    assert one.classes == other.classes == tuple(sorted(map(nfc, names)))


def test_a_folder_is_found_however_its_name_is_typed(tmp_path):
    for i in range(3):
        save(tmp_path / NFD / f"{NFD}-{i}.png", i)
    for name in ("고양이", NFD):
        typed = tmp_path / unicodedata.normalize("NFC", name)
        assert len(opened(typed)) == 3
        assert check(Plan(typed)).count == 3
        assert len(plan([typed], tmp_path / "out", format="keep")) == 3
        assert len(plan([typed / nfc(f"{name}-0.png")], tmp_path / "out", format="keep")) == 1


def test_names_in_classes_json_are_compared_in_one_form(packed):
    with tarfile.open(packed / "shard-000000.tar", "a") as archive:
        for i in range(2):
            content = io.BytesIO()
            photograph(seed=i, width=32, height=32).save(content, "PNG")
            for name, data in ((f"n{i}.png", content.getvalue()), (f"n{i}.cls", b"0")):
                header = tarfile.TarInfo(name)
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))
    os.remove(packed / "shard-000001.tar")
    (packed / "classes.json").write_text(json.dumps([NFD]))
    found = reader.look_through(str(packed), root=packed)
    assert found.classes == (nfc(NFD),)


def test_labels_and_tasks_are_asked_for_however_they_are_typed(tmp_path):
    for name in (NFD, "개"):
        for i in range(2):
            save(tmp_path / "data" / name / f"{i}.png", i)
    small = {"steps": 1, "size": 16, "batch": 2, "width": 8, "hidden": 16, "progress": False}
    model = ganvas.train("cgan", str(tmp_path / "data"), tmp_path / "run", **small)
    assert [model.classes_of(name) for name in (NFD, nfc(NFD), "개")] == [[1], [1], [0]]
    tasks = [SimpleNamespace(name=NFD)]
    for name in (NFD, nfc(NFD)):
        assert Work(SimpleNamespace(tasks=tasks), tmp_path, tmp_path, only=(name,)).only == (nfc(NFD),)


def test_the_command_line_says_what_it_passes_over(images, tmp_path, capsys):
    (images / "notes.txt").write_text("no image")
    run, out = str(tmp_path / "run"), str(tmp_path / "out")
    given = ["--task", "colorize", "--steps", "1", "--size", "16", "--batch", "2", "--width", "8"]
    for command in (
        ["train", "pix2pix", "--data", str(images), "--run", run, *given],
        ["translate", run, str(images), "--out", out],
        ["shards", str(images), "--out", str(tmp_path / "shards")],
    ):
        assert main(command) == 0
        assert "1 of 13 files were passed over: 1 .txt\n" in capsys.readouterr().err


# --- the digest of a source ------------------------------------------------------------------------------------------


def test_a_folder_that_moved_has_the_same_fingerprint(images, tmp_path):
    before = opened(images)
    assert before.fingerprint
    shutil.copytree(images, tmp_path / "moved")
    assert opened(tmp_path / "moved").fingerprint == before.fingerprint
    assert opened(tmp_path / "moved", size=32).fingerprint == before.fingerprint
    assert opened(images, batches=(PairBatch,), task="colorize").fingerprint == before.fingerprint
    assert opened(images, holdout=0.4).fingerprint != before.fingerprint
    assert before.only([1, 2]).fingerprint == ""
    with (tmp_path / "moved/03.jpg").open("ab") as file:
        file.write(b"x")
    assert opened(tmp_path / "moved").fingerprint != before.fingerprint
    (images / "03.jpg").rename(images / "3.jpg")
    assert opened(images).fingerprint != before.fingerprint


def test_the_fingerprint_looks_at_both_sides(images, tmp_path):
    shutil.copytree(images, tmp_path / "other")
    for batches in ((UnpairedBatch,), (PairBatch,)):
        before = opened(images, target=str(tmp_path / "other"), batches=batches).fingerprint
        assert before
        shutil.copytree(tmp_path / "other", tmp_path / f"moved{batches[0].__name__}")
        moved = tmp_path / f"moved{batches[0].__name__}"
        assert opened(images, target=str(moved), batches=batches).fingerprint == before
        with (moved / "03.jpg").open("ab") as file:
            file.write(b"x")
        assert opened(images, target=str(moved), batches=batches).fingerprint != before


def test_shards_that_moved_have_the_same_fingerprint(packed, images, tmp_path):
    before = opened(packed).fingerprint
    assert before
    shutil.copytree(packed, tmp_path / "moved")
    assert opened(tmp_path / "moved").fingerprint == before
    save(images / "new.jpg", 77)
    pack.pack_folder(images, tmp_path / "repacked", per_shard=6)
    assert opened(tmp_path / "repacked").fingerprint != before


def test_the_fingerprint_does_not_depend_on_the_system_that_wrote_the_names(tmp_path):
    for form in ("NFC", "NFD"):
        for i, name in enumerate(("고양이", "é")):
            save(tmp_path / form / f"{unicodedata.normalize(form, name)}.png", i)
    assert opened(tmp_path / "NFC").fingerprint == opened(tmp_path / "NFD").fingerprint


# --- broken files -----------------------------------------------------------------------------------------------------


def spoil(path):
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize("way", [spoil, lambda path: path.write_bytes(b"no image")])
def test_one_broken_file_of_a_few_is_left_out_and_named(images, way):
    way(images / "03.jpg")
    source = open_folder(images)
    assert len(source) == 11
    assert len(source.left_out) == 1
    assert "03.jpg" in source.left_out[0]
    way(images / "05.jpg")
    with pytest.raises(DataError, match="2 of 12 files cannot be read") as error:
        open_folder(images)
    one_line(error)


def test_links_in_a_folder_are_followed(images, tmp_path):
    (tmp_path / "links").mkdir()
    for file in images.iterdir():
        (tmp_path / "links" / file.name).symlink_to(file)
    assert len(opened(tmp_path / "links")) == 12
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes/a").symlink_to(images)
    assert opened(tmp_path / "classes").spec.classes == ("a",)

"""Every command, in process and as a process: what it does, what it says, how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from conftest import photograph
from PIL import Image

from ganvas import checkpoint, methods
from ganvas.cli import COMMANDS, main

HELP = Path(__file__).parent / "help"
SMALL_GAN = ["--generator", "16", "--discriminator", "16", "--batch", "8"]
PAGES = [[], *([command] for command in COMMANDS), *(["train", m] for m in methods.names())]
pages = pytest.mark.parametrize("words", PAGES, ids=lambda words: "-".join(["ganvas", *words]))


def train(run, *more, data="digits", method="gan"):
    small = SMALL_GAN if method == "gan" else []
    return main(["train", method, "--data", str(data), "--run", str(run), "--device", "cpu", *small, *map(str, more)])


def spoken(page):
    """The words of a page, without the boxes that the library draws around them."""
    return re.findall(r"[^\s│╭╮╰╯─]+", page)


@pages
def test_help_says_what_the_kept_pages_say(words, capsys, monkeypatch):
    """`GANVAS_KEEP_HELP=1 pytest -k help` writes them anew; a changed flag then shows in the diff."""
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*words, "--help"]) == 0
    shown = re.sub(r"[ \t]+$", "", capsys.readouterr().out, flags=re.MULTILINE)
    page = HELP / ("-".join(["ganvas", *words]) + ".txt")
    if os.environ.get("GANVAS_KEEP_HELP"):
        page.write_text(shown, encoding="utf-8")
    assert spoken(shown) == spoken(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("words", [["--help"], ["methods"], ["methods", "--json"], ["--version"]])
def test_looking_around_is_quick_and_loads_no_torch(words, ganvas):
    code = f"import sys; from ganvas.cli import COMMANDS, main; main({words!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert ganvas(*words).returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 0.6  # 0.2 s on a quiet machine; benchmarks/startup.py holds it to 0.3


def test_methods_are_listed_for_people_and_for_machines(capsys):
    assert main(["methods"]) == 0
    assert "dcgan" in capsys.readouterr().out
    assert main(["methods", "--json"]) == 0
    assert [method["name"] for method in json.loads(capsys.readouterr().out)] == methods.names()


def test_describe_shows_the_books_table(capsys):
    assert main(["describe", "gan", "--preset", "book"]) == 0
    shown = capsys.readouterr().out
    assert "1,493,520" in shown
    assert "1,460,225" in shown
    assert main(["describe", "dcgan", "--preset", "paper64", "--channels", "3", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["generator"]
    assert layers[-1]["output"] == [3, 64, 64]
    assert main(["describe", "gan", "--latent", "7", "--generator", "5", "6", "--size", "16", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["generator"]
    assert [x["parameters"] for x in layers if x["name"] == "Linear"] == [7 * 5 + 5, 5 * 6 + 6, 6 * 256 + 256]


def test_train_generate_and_go_on(tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, "--steps", 5) == 0
    said = capsys.readouterr().out
    assert "5 steps, 40 pictures" in said
    assert f"ganvas generate {run}" in said
    assert train(run, "--steps", 5) == 0
    assert "nothing was trained" in capsys.readouterr().out
    assert train(run, "--steps", 8) == 0
    assert checkpoint.load(run, torch.device("cpu")).step == 8

    assert main(["generate", str(run), "--count", "3", "--seed", "4", "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000004.png", "000005.png", "000006.png"]
    assert main(["generate", str(run), "--count", "1", "--seed", "5", "--out", str(tmp_path / "one")]) == 0
    assert (tmp_path / "one/000005.png").read_bytes() == (tmp_path / "out/000005.png").read_bytes()

    assert main(["generate", str(run), "--count", "1", "--seed", "5", "--out", str(tmp_path / "five.png")]) == 0
    assert (tmp_path / "five.png").read_bytes() == (tmp_path / "out/000005.png").read_bytes()

    assert main(["generate", str(run), "--count", "10", "--grid", "--out", str(tmp_path / "sheet.png")]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 66 + 2, 3 * 66 + 2)
    assert main(["generate", str(run), "--count", "2", "--interpolate", "--out", str(tmp_path / "walk.gif")]) == 0
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.n_frames > 16

    weights = next(run.glob("step-00000008/weights.safetensors")).rename(tmp_path / "model.safetensors")
    assert main(["generate", str(weights), "--count", "1", "--seed", "5", "--out", str(tmp_path / "two")]) == 0
    assert (tmp_path / "two/000005.png").read_bytes() == (tmp_path / "out/000005.png").read_bytes()


def test_a_folder_of_class_folders_in_colour(tmp_path):
    for i in range(12):
        folder = tmp_path / "animals" / ("cat" if i % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        photograph(seed=i, width=40, height=30).save(folder / f"{i}.jpg")
    options = ["--size", 32, "--steps", 3, "--batch", 4, "--width", 4, "--flip"]
    assert train(tmp_path / "run", *options, data=tmp_path / "animals", method="dcgan") == 0
    assert main(["generate", str(tmp_path / "run"), "--count", "4", "--grid", "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as sheet:
        assert sheet.mode == "RGB"


def test_demo_teaches_and_says_what_to_try(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ganvas.cli.training.DEMO_MINUTES", 0.02)
    assert main(["demo", "--run", str(tmp_path / "demo")]) == 0
    assert capsys.readouterr().out.count("  ganvas ") >= 3
    assert {"timelapse.gif", "losses.png", "samples"} <= {path.name for path in (tmp_path / "demo").iterdir()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, number):
    words = ["train", "gan", "--data", "digits", *SMALL_GAN, "--steps", "1000000", "--run", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ganvas", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "run/log.jsonl").exists() or not (tmp_path / "run/log.jsonl").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    step = checkpoint.load(tmp_path / "run", torch.device("cpu")).step
    assert f"stopped at step {step:,}, which is saved; the same command goes on from there" in err
    assert "Traceback" not in err
    assert f"run: {step:,} steps" in out


@pytest.mark.skipif(os.name != "posix", reason="process groups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_workers_too_lets_the_step_be_finished(tmp_path, photos, number):
    program = f"""
import sys
from ganvas.cli import COMMANDS, main
from ganvas.data import folder

folder.RESIDENT_BYTES = 0
words = ["--size", "16", "--steps", "1000000", "--batch", "4", "--width", "4", "--save-every", "10"]
sys.exit(main(["train", "dcgan", "--data", {str(photos)!r}, "--run", {str(tmp_path / "run")!r}, *words]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(checkpoint.saves(tmp_path / "run")) < 2:  # by then every worker has been asked for pictures
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does: to the whole group
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_ctrl_c_while_drawing_is_one_line_and_leaves_no_half_file(digits_run, tmp_path):
    words = ["generate", str(digits_run), "--count", "1000000", "--out", str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-m", "ganvas", *words], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out/000003.png").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    while process.poll() is None:  # again, as a person would: Python drops the one that falls into a destructor
        process.send_signal(signal.SIGINT)
        time.sleep(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("ganvas: interrupted; what was finished is kept\n")
    assert not list((tmp_path / "out").glob("*.tmp"))


@pytest.fixture
def bad(tmp_path, photos):
    """A place with everything that can be wrong in it."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("words")
    (tmp_path / "single").mkdir()
    photograph(seed=0, width=32, height=32).save(tmp_path / "single/a.png")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt/run.json").write_text("{")
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    (tmp_path / "there.png").write_bytes(b"mine")
    (tmp_path / "empty.png").mkdir()
    return tmp_path


TRAIN = "train gan --run {}/new --data "
GENERATE = "generate {}/digits-run --out {}/"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nosuch", "nosuch"),
        ("train --data digits gan", "the method comes first"),
        ("train", "METHOD"),
        ("train gan", "--data"),
        ("train nosuch --data digits", "no such method; there are"),
        ("train gan --preset nosuch --data digits", "no such preset; there are blog, lecture, book"),
        ("describe gan --preset=nosuch", "no such preset"),
        (TRAIN + "nosuch", "no folder of that name"),
        (TRAIN + "{}/empty", "no pictures"),
        (TRAIN + "{}/texts", "no pictures"),
        (TRAIN + "{}/single", "holds 1 picture"),
        (TRAIN + "{}/photos --size 64", "--batch"),
        (TRAIN + "digits --size 17", "--size 17"),
        (TRAIN + "digits --size 0", "--size"),
        (TRAIN + "digits --batch 100000", "65536"),
        (TRAIN + "digits --batch 2000", "1545 pictures"),
        (TRAIN + "digits --batch 1", "--batch"),
        (TRAIN + "digits --epochs inf", "--epochs"),
        (TRAIN + "digits --seed 99999999999999999999", "--seed"),
        (TRAIN + "x" * 300, "File name too long"),
        ("train gan --data digits --steps 1 --run {}/" + "x" * 300, "File name too long"),
        ("train gan --data {}/empty --run {}/digits-run --seed 3", "seed is 0, not 3"),
        (TRAIN + "digits --steps 0", "--steps"),
        (TRAIN + "digits --steps 1.5", "1.5"),
        (TRAIN + "digits --minutes 0", "more than 0"),
        (TRAIN + "digits --steps 3 --minutes 3", "--steps and --minutes"),
        (TRAIN + "digits --latent 0", "--latent"),
        (TRAIN + "digits --learning-rate nan", "--learning-rate"),
        (TRAIN + "digits --activation swish", "--activation"),
        (TRAIN + "digits --latnt 3", "--latent"),
        (TRAIN + "digits --seed -1", "--seed"),
        (TRAIN + "digits --device cuda", "--device cuda"),
        (TRAIN + "digits --device abacus", "--device"),
        ("train dcgan --run {}/new --data digits --preset paper64 --size 32", "--size 32"),
        ("train gan --data digits --steps 1 --run {}/file", "is a file"),
        ("train gan --data digits --steps 1 --run {}/file/below", "cannot"),
        ("train gan --data digits --steps 1 --run {}/texts", "holds other things"),
        ("train gan --data digits --steps 1 --run {}/corrupt", "run.json"),
        ("train gan --data digits --steps 1 --run {}/digits-run --latent 9", "latent is 64, not 9"),
        ("train dcgan --data digits --steps 1 --run {}/digits-run", "method is gan, not dcgan"),
        ("generate {}/nosuch --out {}/x", "no such run"),
        ("generate {}/broken.safetensors --out {}/x", "not a model file"),
        ("generate {}/empty --out {}/x", "without a saved step"),
        (GENERATE + "x --count 0", "--count"),
        (GENERATE + "x.png --count 4", "add --grid"),
        (GENERATE + "x.doc --count 4 --grid", "x.doc"),
        (GENERATE + "x.png --interpolate", ".gif"),
        (GENERATE + "there.png --grid", "already there"),
        (GENERATE + "file/x.png --grid", "cannot"),
        (GENERATE + "empty.png --grid --overwrite", "choose another place"),
        (GENERATE + "x.gif --interpolate --count 1000", "too long"),
        (GENERATE + "x.png --grid --count 5000", "too small to see"),
        (GENERATE + "x --label 3", "does not draw by class"),
        (GENERATE + "x.gif --interpolate --label 3 --between {}/photos/0.png {}/photos/0.png", "give one"),
        (TRAIN + "digits --weights {}/file", "leave it out"),
        ("train cgan --run {}/new --data digits --batch 1", "the smallest is 2"),
        (GENERATE + "x --between {}/photos/0.png {}/photos/0.png", "add --interpolate"),
        (GENERATE + "x.gif --interpolate --between {}/photos/0.png {}/photos/0.png", "latent numbers"),
        (GENERATE + "x.gif --interpolate --between {}/photos/0.png", "two pictures or more"),
        ("train cgan --run {}/new --steps 1 --data {}/photos", "one folder per class"),
        ("translate {}/digits-run {}/photos/0.png --out {}/x", "draws from noise alone"),
        ("translate {}/digits-run {}/nosuch.png --out {}/x", "no such picture"),
        ("translate {}/digits-run {}/empty --out {}/x", "no pictures to translate"),
        ("evaluate {}/digits-run --data digits --out {}/x --count 10", "take 50 or more"),
        ("evaluate {}/digits-run --data {}/nosuch --out {}/x", "no folder of that name"),
        ("evaluate {}/digits-run --data digits --out {}/file", "is a file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2_and_nothing_is_written(line, words, bad, digits_run, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = {path: path.stat().st_mtime_ns for path in bad.rglob("*")}
    assert main(line.replace("{}", str(bad)).split()) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.startswith("ganvas: ")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert {path: path.stat().st_mtime_ns for path in bad.rglob("*")} == before


def test_nothing_there_is_replaced_unless_asked(digits_run, tmp_path):
    words = ["generate", str(digits_run), "--count", "2", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    (tmp_path / "out/000001.png").write_bytes(b"mine now")
    assert main(words) == 2
    assert (tmp_path / "out/000001.png").read_bytes() == b"mine now"
    assert main([*words, "--overwrite"]) == 0
    assert (tmp_path / "out/000001.png").read_bytes() != b"mine now"


def test_data_root_comes_from_the_environment(tmp_path, capsys, monkeypatch):
    import torchvision.datasets.mnist as module

    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(module, "download_and_extract_archive", no_network)
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "datasets"))
    assert train(tmp_path / "run", "--steps", 1, data="kmnist") == 2
    assert str(tmp_path / "datasets/KMNIST/raw") in capsys.readouterr().err


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    """A run of `cgan` that saw a folder of class folders for a moment."""
    place = tmp_path_factory.mktemp("by-class")
    for name in ("cat", "dog", "T-shirt & top"):
        (place / "pets" / name).mkdir(parents=True)
        for i in range(8):
            photograph(seed=i, width=16, height=16).save(place / "pets" / name / f"{i}.png")
    words = ["--width", "4", "--hidden", "8", "--batch", "8", "--steps", "2", "--device", "cpu"]
    assert main(["train", "cgan", "--data", str(place / "pets"), "--run", str(place / "run"), *words]) == 0
    return place / "run"


def test_a_model_that_draws_by_class_draws_what_is_asked_for(by_class, tmp_path):
    out = tmp_path / "out"
    assert main(["generate", str(by_class), "--count", "2", "--out", str(out)]) == 0
    names = ["T-shirt _ top", "cat", "dog"]  # a folder's name is safe on every system
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
        f"{name}/{seed:06d}.png" for name in names for seed in (0, 1)
    ]
    words = ["--label", "dog", "--label", "1", "--label", "cat", "--count", "2"]  # cat is 1
    assert main(["generate", str(by_class), *words, "--out", str(tmp_path / "some")]) == 0
    for path in (tmp_path / "some").rglob("*.png"):
        assert path.read_bytes() == (out / path.relative_to(tmp_path / "some")).read_bytes()
    assert {path.parent.name for path in (tmp_path / "some").rglob("*.png")} == {"cat", "dog"}


def test_a_sheet_has_a_row_for_each_class(by_class, tmp_path):
    dog, cat, cat_again = ["--label", "dog"], ["--label", "cat"], ["--label", "1"]
    for words, across, down in (([], 4, 3), (dog, 2, 2), ([*dog, *cat, *cat_again], 4, 2)):
        assert main(["generate", str(by_class), "--grid", "--count", "4", *words, "--out", str(tmp_path / "a.png"),
                     "--overwrite"]) == 0  # fmt: skip
        with Image.open(tmp_path / "a.png") as sheet:
            assert sheet.size == (across * 66 + 2, down * 66 + 2)


def test_a_film_goes_through_the_classes(by_class, tmp_path):
    assert main(["generate", str(by_class), "--interpolate", "--count", "3", "--out", str(tmp_path / "a.gif")]) == 0
    with Image.open(tmp_path / "a.gif") as film:
        assert 3 < film.n_frames <= 3 * 16


def test_a_class_that_is_not_there_is_named_with_those_that_are(by_class, tmp_path, capsys):
    for label in ("mouse", "3", "-1", "²"):
        assert main(["generate", str(by_class), "--label", label, "--out", str(tmp_path / "x")]) == 2
        assert "T-shirt & top, cat, dog" in capsys.readouterr().err


def test_a_model_files_classes_cannot_lead_out_of_the_folder(by_class, tmp_path):
    weights = safetensors.torch.load_file(next(by_class.glob("step-*/weights.safetensors")))
    with safetensors.safe_open(next(by_class.glob("step-*/weights.safetensors")), framework="pt") as opened:
        header = opened.metadata()
    facts = json.loads(header["ganvas"])
    facts["spec"]["classes"] = [
        "../../a",
        "/b",
        "..",
    ]
    safetensors.torch.save_file(weights, tmp_path / "evil.safetensors", {"ganvas": json.dumps(facts)})
    out = tmp_path / "below/out"
    assert main(["generate", str(tmp_path / "evil.safetensors"), "--count", "1", "--out", str(out)]) == 0
    assert len(list(out.glob("*/*.png"))) == len(list(tmp_path.rglob("*.png"))) == 3


def test_a_vae_translates_files_and_walks_between_them(tmp_path, photos, capsys):
    run = tmp_path / "run"
    words = ["--size", "16", "--width", "4", "--hidden", "8", "--batch", "8", "--steps", "2", "--device", "cpu"]
    assert main(["train", "vae", "--data", str(photos), "--run", str(run), *words]) == 0
    one, other = photos / "0.png", photos / "1.jpg"
    assert main(["generate", str(run), "--interpolate", "--between", str(one), str(other),
                 "--out", str(tmp_path / "a.gif")]) == 0  # fmt: skip
    with Image.open(tmp_path / "a.gif") as film:
        assert 2 < film.n_frames <= 2 * 16  # equal frames in a row are kept as one
    (photos / "broken.png").write_bytes(b"broken")
    assert main(["translate", str(run), str(photos), "--out", str(tmp_path / "out")]) == 1
    assert "broken.png" in capsys.readouterr().err
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {path.stem for path in photos.iterdir()} - {"broken"}
    assert main(["translate", str(run), str(one), "--out", str(tmp_path / "out")]) == 2
    assert "already there" in capsys.readouterr().err

"""Every command, in process and as a process: what it does, what it says, how it exits."""

import contextlib
import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_origin, get_type_hints

import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import photograph
from PIL import Image

from ganvas import checkpoint, methods, training
from ganvas.cli import commands, main, setting_flags
from ganvas.cli.app import make_app
from ganvas.cli.sentences import settings_in
from ganvas.cli.words import HINTS, OLD, USUAL, as_now
from ganvas.data.folder import held_out
from ganvas.imaging.images import read_square

HELP = Path(__file__).parent / "help"
SMALL_GAN = ["--generator", "16", "--discriminator", "16", "--batch", "8"]
PAGES = [[], *([command] for command in commands.names()), *(["train", m] for m in methods.names())]
pages = pytest.mark.parametrize("words", PAGES, ids=lambda words: "-".join(["ganvas", *words]))


def train(run, *more, data="digits", method="gan"):
    small = SMALL_GAN if method == "gan" else []
    return main(["train", method, "--data", str(data), "--run", str(run), "--device", "cpu", *small, *map(str, more)])


def spoken(page):
    """The words of a page, without the boxes that the library draws around them."""
    return re.findall(r"[^\s│╭╮╰╯─]+", page)


@pages
def test_help_says_what_the_kept_pages_say(words, capsys, monkeypatch):
    """`GANVAS_KEEP_HELP=1 pytest -k help` writes them anew; a changed flag then shows in the diff.

    Of a method only its own settings are kept: the flags that methods share are on the page of `ganvas train`.
    """
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*words, "--help"]) == 0
    shown = re.sub(r"[ \t]+$", "", capsys.readouterr().out, flags=re.MULTILINE)
    if len(words) > 1:
        shown = re.search(r"^╭─ Model ─.*?╯\n", shown, re.MULTILINE | re.DOTALL)[0]
    page = HELP / ("-".join(["ganvas", *words]) + ".txt")
    if os.environ.get("GANVAS_KEEP_HELP"):
        page.write_text(shown, encoding="utf-8")
    assert spoken(shown) == spoken(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("method", [name for name in methods.names() if name not in ("pix2pix", "cyclegan")])
def test_the_help_of_a_method_fits_two_screens_and_shows_only_what_it_can_use(method, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["train", method, "--help"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) <= 80
    assert ("--style" in shown) == (method == "fast_style")
    assert ("--vgg-weights" in shown) == (method in ("fast_style", "adain"))
    assert f" • ganvas train {method} --data" in shown
    assert shown.count(" • ganvas train ") == 2
    if method == "dcgan":
        assert len(shown.splitlines()) <= 70
        assert "mnist28, paper64" in shown


@pytest.mark.parametrize("name", commands.names())
def test_a_command_has_two_examples_that_are_understood(name):
    command = commands.get(name)
    assert command.run.__name__.strip("_") == name
    for example in command.examples:
        words = shlex.split(example)
        assert words[0] == name
        make_app(words).parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("typed", "now", "said"),
    [
        (["train", "gan", "--jitter"], ["train", "gan", "--random-crop"], "--jitter is now called --random-crop"),
        (
            ["train", "adain", "--features=a.pth"],
            ["train", "adain", "--vgg-weights=a.pth"],
            "is now called --vgg-weights",
        ),
        (
            ["evaluate", "run", "--features", "a.pth"],
            ["evaluate", "run", "--features", "vgg", "--vgg-weights", "a.pth"],
            "now",
        ),
        (["train", "gan", "--lr", "1", "--batch-size=2"], ["train", "gan", "--learning-rate", "1", "--batch=2"], ""),
        (["generate", "run", "--num-samples", "3"], ["generate", "run", "--count", "3"], ""),
        (["train", "gan", "--device", "gpu"], ["train", "gan", "--device", "cuda"], ""),
        (["help", "train"], ["train", "--help"], ""),
    ],
)
def test_flags_of_before_and_of_other_tools_are_understood(typed, now, said, capsys):
    assert as_now(typed) == now
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("flag", [*OLD, *USUAL, *HINTS])
def test_what_is_no_flag_is_never_changed(flag, capsys):
    for words in (
        ["train", "gan", "--data", flag.lstrip("-")],  # a folder of that name
        ["train", "gan", f"--data={flag}"],
        ["translate", "run", f"./{flag}", "--out", f"x/{flag}"],
        ["translate", "run", "--out", "x", "--", flag, f"{flag}=1"],
    ):
        assert as_now(words) == words
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("flag", ["--resume", "--workers"])
def test_a_flag_that_is_not_needed_says_what_to_do(flag, capsys):
    assert main(["train", "gan", "--data", "digits", flag]) == 2
    assert "leave" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "train gan --data digits --latnt 3",
        "train gan",
        "train nosuch --data digits",
        "train gan --data nosuch",
        "train gan --data digits --steps 1.5",
        "train gan --data digits --run {}",
        "train --data digits gan",
        "describe gan --sise 3",
        "stylize a.jpg b.jpg --out c.png --itrations 3",
        "stylize a.jpg --out c.png",
        "evaluate run --data digits --out {}",
        "evaluate run --data nosuch --out report",
        "compare run other --data digits --out {}",
        "study study.yaml --out {}",
        "generate run --out x.png --interpolate",
    ],
)
def test_what_is_wrong_at_first_sight_is_said_before_torch_is_loaded(line, tmp_path):
    file = tmp_path / "file"
    file.touch()
    words = line.replace("{}", str(file)).split()
    code = f"import sys; from ganvas.cli import main; sys.exit(main({words!r}) + 10 * ('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("line", ["generate nosuch --out x", "train gan --data digits --latent 0"])
def test_a_terminal_shows_at_once_that_it_works_and_a_file_does_not(line, tmp_path):
    words = [sys.executable, "-m", "ganvas", *line.split()]
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(words, stderr=theirs, cwd=tmp_path, env=os.environ | {"TERM": "xterm"})
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # at its end Linux raises
            while part := terminal.read(4096):
                shown += part
        assert process.wait() == 2
    assert 0 <= shown.find(b"loading PyTorch ...") < shown.find(b"ganvas: ")
    piped = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert len(piped.stderr.splitlines()) == 1
    assert "loading" not in piped.stderr


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["--latent", "7", "--generator", "5", "6"], {"latent": 7, "generator": (5, 6)}),
        (["--latent=1e1", "--no-batch-norm", "--beta1", "0"], {"latent": 10, "batch_norm": False, "beta1": 0.0}),
        (["--preset", "book", "--average-losses"], {"average_losses": True}),
        (["--discriminator", "8", "--activation=relu"], {"discriminator": (8,), "activation": "relu"}),
    ],
)
def test_settings_mean_what_they_say_though_they_are_read_late(words, changes, monkeypatch):
    seen = []
    monkeypatch.setattr("ganvas.api.train_job", lambda asked, **_: seen.append(asked) or sys.exit())
    with pytest.raises(SystemExit):
        main(["train", "gan", "--data", "digits", *words])
    preset = words[words.index("--preset") + 1] if "--preset" in words else None
    assert seen[0].config == dataclasses.replace(methods.config("gan", preset), **changes)
    assert seen[0].command == " ".join(["ganvas", "train", "gan", "--data", "digits", *words])


@pytest.mark.parametrize("method", methods.names())
def test_every_setting_of_a_method_is_found_in_its_files(method):
    """So a wrong flag is known before torch is loaded, and a right one is never refused."""
    found = settings_in(setting_flags.of_method(["train", method]).files)
    hints = get_type_hints(methods.get(method).Config)
    for field in dataclasses.fields(methods.get(method).Config):
        assert found[field.name].startswith("tuple") == (get_origin(hints[field.name]) is tuple)
        assert (found[field.name] == "bool") == (hints[field.name] is bool)


@pytest.mark.parametrize("words", [["--help"], ["methods"], ["methods", "--json"], ["--version"]])
def test_looking_around_is_quick_and_loads_no_torch(words, ganvas):
    code = f"import sys; from ganvas.cli import main; main({words!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert ganvas(*words).returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 0.6  # 0.2 s on a quiet machine; benchmarks/startup.py holds it to 0.3


def test_a_lack_of_memory_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training.loop, "start", lambda *_, **__: torch.empty(2**60))
    assert main(["train", "gan", "--data", "digits", "--steps", "1", "--run", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == "ganvas: takes more memory than there is; give a smaller --batch or --size\n"


def test_what_else_torch_complains_of_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(training.loop, "start", lambda *_, **__: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        main(["train", "gan", "--data", "digits", "--steps", "1", "--run", str(tmp_path / "run")])


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
    assert "5 steps, 40 images" in said
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

    assert main(["generate", str(run), "--count", "10", "--grid", "--out", str(tmp_path / "grid.png")]) == 0
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (4 * 66 + 2, 3 * 66 + 2)
    assert main(["generate", str(run), "--count", "2", "--interpolate", "--out", str(tmp_path / "walk.gif")]) == 0
    with Image.open(tmp_path / "walk.gif") as video:
        assert video.n_frames > 16

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
    with Image.open(tmp_path / "x.png") as grid:
        assert grid.mode == "RGB"


def test_demo_teaches_and_says_what_to_try(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ganvas.cli.commands.demo.DEMO_MINUTES", 0.02)
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
from ganvas.cli import main
from ganvas.data import decode as reading

reading.RESIDENT_BYTES = 0
words = ["--size", "16", "--steps", "1000000", "--batch", "4", "--width", "4", "--save-every", "10"]
sys.exit(main(["train", "dcgan", "--data", {str(photos)!r}, "--run", {str(tmp_path / "run")!r}, *words]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(checkpoint.checkpoints(tmp_path / "run")) < 2:  # by then every worker has been asked for images
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
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that falls into its last seconds would kill it
            process.wait(timeout=15)
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
PAIRS = "train pix2pix --run {}/new --data {}/photos --size 16 --batch 2 --steps 1 "
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
        (TRAIN + "{}/empty", "no images"),
        (TRAIN + "{}/texts", "no images"),
        (TRAIN + "{}/single", "holds 1 image"),
        (TRAIN + "{}/photos --size 64", "--batch"),
        (TRAIN + "digits --size 17", "--size 17"),
        (TRAIN + "digits --size 0", "--size"),
        (TRAIN + "digits --batch 100000", "65536"),
        (TRAIN + "digits --batch 2000", "1545 images"),
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
        ("generate {}/empty --out {}/x", "without a checkpoint"),
        (GENERATE + "x --count 0", "--count"),
        (GENERATE + "x.png --count 4", "add --grid"),
        (GENERATE + "x.doc --count 4 --grid", "x.doc"),
        (GENERATE + "x.png --interpolate", ".gif"),
        (GENERATE + "there.png --grid", "already there"),
        (GENERATE + "file/x.png --grid", "cannot"),
        (GENERATE + "empty.png --grid --overwrite", "choose another place"),
        (GENERATE + "x.gif --interpolate --count 1000", "too long"),
        (GENERATE + "x.png --grid --count 5000", "too small to see"),
        (GENERATE + "x --label 3", "does not generate by class"),
        (GENERATE + "x.gif --interpolate --label 3 --between {}/photos/0.png {}/photos/0.png", "give one"),
        (TRAIN + "digits --inception-weights {}/file", "leave it out"),
        ("train cgan --run {}/new --data digits --batch 1", "the smallest is 2"),
        (GENERATE + "x --between {}/photos/0.png {}/photos/0.png", "add --interpolate"),
        (GENERATE + "x.gif --interpolate --between {}/photos/0.png {}/photos/0.png", "latent vector"),
        (GENERATE + "x.gif --interpolate --between {}/photos/0.png", "two images or more"),
        ("train cgan --run {}/new --steps 1 --data {}/photos", "one folder per class"),
        ("train pix2pix --run {}/new --data digits", "learns from pairs: add --side ab"),
        ("train cyclegan --run {}/new --data {}/photos", "--target FOLDER"),
        (TRAIN + "{}/photos --task denoise", "--task denoise:0.1: this method learns from single images"),
        (TRAIN + "{}/photos --target {}/single", "this method learns from single images"),
        (PAIRS + "--task nosuch", "no task of that name; there are"),
        (PAIRS + "--task denoise:9", "denoise:SIGMA"),
        (PAIRS + "--side left", "--side"),
        (PAIRS + "--side ab --task edges", "--side and --task are two ways"),
        (PAIRS + "--target {}/photos", "is the same folder as --data"),
        (PAIRS + "--target {}/nosuch", "no folder of that name"),
        (PAIRS + "--target {}/empty", "empty: no images"),
        (PAIRS + "--target {}/single", "have no partner"),
        (PAIRS + "--task denoise --holdout 1", "--holdout"),
        (PAIRS + "--task denoise --holdout 0.001", "leaves none to test"),
        ("train pix2pix --run {}/new --data digits --task denoise --holdout 0.2", "a test part of its own"),
        (PAIRS + "--task denoise --validate-every 1", "score a translator with `ganvas evaluate`"),
        ("train autoencoder --run {}/new --data digits --steps 1 --validate-every 1", "--validate-every 1: scores"),
        ("train autoencoder --run {}/new --data digits --preset mnist28 --size 64", "--size 64"),
        ("train cyclegan --run {}/new --data {}/photos --size 16 --task colorize --batch 2", "give --identity 0"),
        ("train vae --run {}/new --data digits --denoise 0.3", "--denoise"),
        ("translate {}/digits-run {}/photos/0.png --out {}/x", "generates from noise alone"),
        ("translate {}/digits-run {}/nosuch.png --out {}/x", "no such image"),
        ("translate {}/digits-run {}/empty --out {}/x", "no images to translate"),
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


def test_a_grid_has_a_row_for_each_class(by_class, tmp_path):
    dog, cat, cat_again = ["--label", "dog"], ["--label", "cat"], ["--label", "1"]
    for words, across, down in (([], 4, 3), (dog, 2, 2), ([*dog, *cat, *cat_again], 4, 2)):
        assert main(["generate", str(by_class), "--grid", "--count", "4", *words, "--out", str(tmp_path / "a.png"),
                     "--overwrite"]) == 0  # fmt: skip
        with Image.open(tmp_path / "a.png") as grid:
            assert grid.size == (across * 66 + 2, down * 66 + 2)


def test_a_video_goes_through_the_classes(by_class, tmp_path):
    assert main(["generate", str(by_class), "--interpolate", "--count", "3", "--out", str(tmp_path / "a.gif")]) == 0
    with Image.open(tmp_path / "a.gif") as video:
        assert 3 < video.n_frames <= 3 * 16


def test_a_class_that_is_not_there_is_named_with_those_that_are(by_class, tmp_path, capsys):
    for label in ("mouse", "3", "-1", "²"):
        assert main(["generate", str(by_class), "--label", label, "--out", str(tmp_path / "x")]) == 2
        assert "T-shirt & top, cat, dog" in capsys.readouterr().err


def test_a_model_files_classes_cannot_lead_out_of_the_folder(by_class, tmp_path):
    weights = safetensors.torch.load_file(next(by_class.glob("step-*/weights.safetensors")))
    with safetensors.safe_open(next(by_class.glob("step-*/weights.safetensors")), framework="pt") as opened:
        header = opened.metadata()
    manifest = json.loads(header["ganvas"])
    del manifest["sha256"]
    manifest["spec"]["classes"] = [
        "../../a",
        "/b",
        "..",
    ]
    safetensors.torch.save_file(weights, tmp_path / "evil.safetensors", {"ganvas": json.dumps(manifest)})
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
    with Image.open(tmp_path / "a.gif") as video:
        assert 2 < video.n_frames <= 2 * 16  # equal frames in a row are kept as one
    (photos / "broken.png").write_bytes(b"broken")
    assert main(["translate", str(run), str(photos), "--out", str(tmp_path / "out")]) == 1
    assert "broken.png" in capsys.readouterr().err
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {path.stem for path in photos.iterdir()} - {"broken"}
    assert main(["translate", str(run), str(one), "--out", str(tmp_path / "out")]) == 2
    assert "already there" in capsys.readouterr().err


# --- training translators -------------------------------------------------------------------------------------------

SMALL_TRANSLATORS = {
    "pix2pix": ["--width", 4, "--discriminator-width", 4],
    "cyclegan": ["--width", 4, "--discriminator-width", 4, "--blocks", 1],
    "autoencoder": ["--width", 4],
    "vae": ["--width", 4, "--hidden", 8],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Photographs, partners of theirs, twos in one, other things, and the same without colour."""
    place = tmp_path_factory.mktemp("images")
    for i in range(8):
        for name, seed, width in (
            ("photos", i, 40),
            ("partners", 50 + i, 40),
            ("halves", 80 + i, 80),
            ("others", i, 32),
        ):
            (place / name).mkdir(exist_ok=True)
            stem = f"other {i}" if name == "others" else f"{i}"
            photograph(seed=seed, width=width, height=40).save(place / name / f"{stem}.png")
        (place / "grey").mkdir(exist_ok=True)
        photograph(seed=i, width=40, height=40).convert("L").save(place / "grey" / f"{i}.png")
    return place


def translator(method, images, run, *more, steps=2, data="photos"):
    """Train a small one for a moment; returns the exit status."""
    words = ["--size", 16, "--batch", 2, "--steps", steps, "--device", "cpu", "--precision", "fp32"]
    words += [*SMALL_TRANSLATORS[method], *more]
    return main(["train", method, "--data", str(images / data), "--run", str(run), *map(str, words)])


@pytest.mark.parametrize(
    ("method", "words", "data", "rows"),
    [
        ("pix2pix", ["--side", "ab"], "halves", 3),
        ("pix2pix", ["--target", "{}/partners", "--random-crop", "--flip"], "photos", 3),
        ("pix2pix", ["--task", "colorize", "--generator", "encoder_decoder"], "photos", 3),
        ("autoencoder", [], "photos", 3),
        ("autoencoder", ["--task", "denoise:0.3"], "photos", 3),
        ("cyclegan", ["--target", "{}/others"], "photos", 4),
        ("cyclegan", ["--side", "ba"], "halves", 4),
        ("cyclegan", ["--task", "colorize", "--identity", 0], "photos", 4),
        ("vae", ["--task", "denoise:0.3"], "photos", 3),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_translator_is_trained_and_goes_on_by_the_same_command(
    images, tmp_path, capsys, method, words, data, rows
):  # fmt: skip
    run = tmp_path / "a run"
    words = [str(word).replace("{}", str(images)) for word in words]
    assert translator(method, images, run, *words, data=data) == 0
    said = capsys.readouterr().out
    assert "2 steps, 4 images" in said
    assert f"ganvas translate '{run}'" in said
    assert ("--direction ba" in said) == (method == "cyclegan" and "colorize" not in words)  # Lab has no way back
    with Image.open(run / "samples/step-00000002.png") as grid:
        assert grid.size == (8 * 66 + 2, rows * 66 + 2)
    assert (run / "samples/data.png").exists()
    assert translator(method, images, run, *words, data=data) == 0
    assert "nothing was trained" in capsys.readouterr().out
    assert translator(method, images, run, *words, data=data, steps=3) == 0
    model = checkpoint.load(run, torch.device("cpu"))
    assert model.step == 3
    out = model.method.translate(torch.zeros(1, model.manifest.spec.channels, 16, 16))
    assert out.shape == (1, model.manifest.spec.outputs, 16, 16)


def test_a_run_that_learns_from_other_pairs_is_another_run(images, tmp_path, capsys):
    run = tmp_path / "run"
    assert translator("pix2pix", images, run, "--task", "denoise") == 0
    assert translator("pix2pix", images, run, "--task", "denoise:0.1", steps=3) == 0  # the same, written out
    capsys.readouterr()
    target = images / "partners"
    for words, said in (
        (["--task", "denoise:0.2"], "task is denoise:0.1, not denoise:0.2"),
        (["--side", "ab"], "side is none, not ab"),
        (["--target", target], "task is denoise:0.1, not "),
        (["--task", "denoise", "--random-crop"], "random_crop is False, not True"),
        (["--task", "denoise", "--holdout", 0.5], "holdout is 0.0, not 0.5"),
        (["--task", "denoise", "--flip"], "flip is False, not True"),
    ):
        assert translator("pix2pix", images, run, *words, steps=4) == 2
        assert said in capsys.readouterr().err
    other = tmp_path / "other"
    assert translator("pix2pix", images, other, "--target", target) == 0
    capsys.readouterr()
    for words, said in (
        (["--target", images / "others" / ".." / "grey"], f"target is {target.resolve()}, not"),
        (["--task", "denoise"], "task is none, not denoise:0.1"),
    ):
        assert translator("pix2pix", images, other, *words, steps=4) == 2
        assert said in capsys.readouterr().err
    assert checkpoint.load(other, torch.device("cpu")).step == 2


def test_what_is_done_to_pairs_and_what_is_wrong_with_them_is_said(images, tmp_path, capsys):
    assert translator("pix2pix", images, tmp_path / "a", "--side", "ab", "--flip", data="halves") == 0
    assert "mirrored left to right, source and target alike" in capsys.readouterr().err
    assert translator("autoencoder", images, tmp_path / "b", "--task", "colorize", data="grey") == 0
    assert "8 of the 8 images of" in capsys.readouterr().err
    assert translator("autoencoder", images, tmp_path / "c") == 0
    quiet = capsys.readouterr().err
    assert "mirrored" not in quiet
    assert "are grey" not in quiet


def test_what_is_held_out_is_not_learned_from_and_is_what_the_grids_show(images, tmp_path):
    run = tmp_path / "run"
    assert translator("pix2pix", images, run, "--target", images / "partners", "--holdout", 0.4) == 0
    manifest = checkpoint.read_run(run)
    assert manifest.holdout == 0.4
    assert 2 <= manifest.images < 8
    held = [path for path in sorted((images / "photos").iterdir()) if held_out(path, 0.4)]
    assert manifest.images == 8 - len(held)
    with Image.open(run / "samples/step-00000002.png") as grid:
        shown = np.array(grid)[2:66:4, 2 : 8 * 66 : 4]
    first = read_square(held[0], size=16, channels=3).permute(1, 2, 0).numpy()
    assert np.array_equal(shown[:, :16], first)


@pytest.mark.parametrize("method", ["pix2pix", "autoencoder", "cyclegan"])
def test_describe_shows_a_translators_networks(method, capsys):
    words = ["--size", 64, "--channels", 3, *SMALL_TRANSLATORS[method]]
    assert main(["describe", method, *map(str, words), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    generators = [layers for name, layers in shown.items() if name.startswith("generator")]
    assert len(generators) == (2 if method == "cyclegan" else 1)
    assert all(layers[-1]["output"] == [3, 64, 64] for layers in generators)


@pytest.mark.parametrize("encoding", ["ascii", "cp949", "latin-1"])
def test_output_that_cannot_hold_a_sign_does_not_end_the_work(ganvas, encoding, tmp_path):
    for number in range(9):
        (tmp_path / "caf\u00e9-\uac00").mkdir(exist_ok=True)
        photograph(seed=number, width=40, height=32).save(tmp_path / "caf\u00e9-\uac00" / f"{number}.png")
    for words in (["methods", "--help"], ["doctor", "."]):
        done = ganvas(*words, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr

"""What translated images are worth: known models get the scores they must, beside those of doing nothing."""

import csv
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.metrics
import torch
from conftest import manifest_of, noise_source, pairs_source, photograph, small_config, train_to
from opening import open_source
from PIL import Image
from scipy import stats
from torch import nn

from ganvas import checkpoint, evaluation, report
from ganvas.checkpoint import Model
from ganvas.checkpoint.manifest import build
from ganvas.cli import main
from ganvas.data import tasks
from ganvas.data.batch import ImageBatch, PairBatch, Source, Spec
from ganvas.data.tasks._pairs import pairs_from
from ganvas.errors import DataError, ModelError, SettingError
from ganvas.evaluation.measures import GENERATED, PAIRS, SETS
from ganvas.imaging.images import to_signed
from ganvas.methods._base import BaseConfig, Method


class Turns(Method):
    """Makes of an image what a function makes of it."""

    Config = BaseConfig
    batches = (PairBatch,)
    directions = ("ab",)
    any_size = True
    multiple = 1

    def __init__(self, spec, turn):
        super().__init__(BaseConfig(), spec)
        self.turn, self.weight = turn, nn.Parameter(torch.zeros(1))

    def translate(self, images, direction="ab"):
        return self.turn(images)


class TurnsBothWays(Turns):
    """The same there and back."""

    directions = ("ab", "ba")

    def translate(self, images, direction="ab"):
        return self.turn(images, direction)


def model_of(source, turn, kind=Turns):
    return Model(kind(source.spec, turn).eval(), manifest_of(source), 7)


def shifted(levels):
    """A function that makes images in -1..1 lighter by so many grey levels."""
    return lambda images: images + levels * 2 / 255


def of_model(turn, source, **options):
    return evaluation.evaluate_pairs({"model": model_of(source, turn)}, source, **options)


def told(score):
    """What is said of the model beside the input."""
    return score.verdict(score.between("model", "input"))


def each(found):
    """The scores that are means over images."""
    return [score for score in found.scores if score.each]


def kept(source):
    """The same pairs with the source as the target."""
    return replace(source, images=PairBatch(source.images.source, source.images.source))


def middling(n=12, *, size=16, channels=1):
    """Pairs of equal images of middle greys, which nothing clips."""
    images = 60 + pairs_source(n=n, size=size, channels=channels).images.source // 2
    spec = Spec(size, channels, target_channels=channels)
    return Source("middling", spec, PairBatch(images, images))


def test_every_measure_is_explained_in_the_documentation():
    document = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| ([^|]+?) \|", document, flags=re.MULTILINE)
    names = {name for row in explained for name in row.split(", ")}
    assert {measure.name for measure in (*PAIRS, *SETS, *GENERATED)} <= names


# --- the scores -----------------------------------------------------------------------------------------------------


def test_a_model_that_is_always_right_scores_best_and_better_than_its_input():
    found = of_model(lambda images: -images, pairs_source())
    assert {name: found[name].values["model"].value for name in ("MSE", "MAE", "PSNR", "SSIM")} == {
        "MSE": 0, "MAE": 0, "PSNR": 100, "SSIM": pytest.approx(1),
    }  # fmt: skip
    for score in each(found):
        assert told(score).startswith("model is better than the input in ")
        assert told(score).endswith("n = 32")


def test_a_known_error_gives_the_numbers_of_the_textbook():
    found = of_model(shifted(3), middling())
    assert found["MAE"].values["model"].value == pytest.approx(3)
    assert found["MSE"].values["model"].value == pytest.approx((3 / 255) ** 2)
    assert found["PSNR"].values["model"].value == pytest.approx(20 * np.log10(255 / 3))
    assert found["MAE"].values["input"].value == 0
    assert told(found["MAE"]) == ("model is worse than the input in MAE by 3.00 levels (95 %: 3.00 to 3.00), n = 12")
    assert told(found["PSNR"]).startswith("model is worse than the input in PSNR by 61.41 dB")


@pytest.mark.parametrize(("spread", "hardest"), [(10, "mean image"), (200, "input")])
def test_the_headline_is_about_the_baseline_that_is_hardest_to_beat(spread, hardest, tmp_path):
    rng = torch.Generator().manual_seed(0)
    targets = 20 + torch.randint(0, spread, (12, 1, 16, 16), generator=rng, dtype=torch.uint8)
    spec = Spec(16, 1, target_channels=1)
    found = of_model(shifted(3), Source("pairs", spec, PairBatch(targets + 15, targets)))
    mse = found["MSE"].values
    assert min(("input", "mean image"), key=lambda name: mse[name].value) == hardest
    assert f"than the {hardest} in MSE by" in found.verdict

    evaluation.write(tmp_path, found)
    page, text = (file.read_text() for file in report.write_report(tmp_path))
    for content in (page, text):
        words = " ".join(html.unescape(content).replace("\\", "").split())
        assert words.count(found.verdict) == 1


def test_what_no_byte_can_hold_does_not_count():
    assert of_model(shifted(0.4), middling())["MAE"].values["model"].value == 0
    assert of_model(shifted(0.6), middling())["MAE"].values["model"].value == 1


def test_a_model_that_does_nothing_is_not_surely_better_or_worse_than_nothing():
    found = of_model(lambda images: images, pairs_source())
    for score in each(found):
        assert score.values["model"] == score.values["input"]
        assert told(score).startswith(f"model is not significantly better or worse than the input in {score.name}: ")
    assert told(found["PSNR"]).endswith("0.00 dB (95 %: 0.00 to 0.00), n = 32")


def test_intervals_are_those_of_the_images_and_differences_are_paired():
    source = pairs_source(n=40)
    rng = torch.Generator().manual_seed(1)
    noise = torch.randn(40, 1, 1, 1, generator=rng) * torch.randn(40, 1, 16, 16, generator=rng) / 4
    found = of_model(lambda images: images + noise[: len(images)], source)
    psnr = found["PSNR"]
    made = found.values["model PSNR"].numpy()
    expected = stats.bootstrap((made,), np.mean, n_resamples=20_000, method="percentile").confidence_interval
    assert (psnr.values["model"].low, psnr.values["model"].high) == pytest.approx(
        tuple(expected), abs=0.1 * (expected.high - expected.low)
    )
    assert psnr.between("model", "input").mean.value == pytest.approx(
        (made - found.values["input PSNR"].numpy()).mean()
    )
    gap = psnr.between("model", "input").mean
    apart = psnr.values["model"].high - psnr.values["model"].low + psnr.values["input"].high - psnr.values["input"].low
    assert gap.high - gap.low < apart


def test_the_same_again_gives_the_same_files(tmp_path):
    source = pairs_source(n=20, channels=3)
    torch.manual_seed(0)
    model = Model(build(manifest_of(source, "pix2pix")).eval(), manifest_of(source, "pix2pix"), 7)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        evaluation.write(tmp_path / name, evaluation.evaluate_pairs({"model": model}, source))
    files = sorted(str(path.relative_to(tmp_path / "one")) for path in (tmp_path / "one").rglob("*.*"))
    files.remove("timing.json")
    assert {"metrics.csv", "metrics.json", "grid.png", "images/00000-2-target.png"} < set(files)
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_how_many_go_through_at_a_time_changes_nothing(monkeypatch):
    source = pairs_source(n=21, size=32, channels=3)
    whole = of_model(shifted(40), source)
    monkeypatch.setattr(evaluation.outputs, "_PIXELS_AT_ONCE", 4 * source.spec.bytes)
    parts = of_model(shifted(40), source)
    assert [(one.number, one.why) for one in parts.shown] == [(one.number, one.why) for one in whole.shown]
    assert torch.equal(parts.grids["grid"].images, whole.grids["grid"].images)
    for column, values in whole.values.items():
        assert torch.allclose(parts.values[column], values, rtol=1e-6)
    assert parts.checkerboards["model"] == pytest.approx(whole.checkerboards["model"])


def test_dropout_is_off_norms_use_their_statistics_and_the_protocol_says_so():
    source = pairs_source()
    config = small_config("pix2pix", norm="batch", dropout=0.5)
    manifest = manifest_of(source, "pix2pix", config=config)
    torch.manual_seed(0)
    method = build(manifest).train()
    first, second = (evaluation.evaluate_pairs({"model": Model(method, manifest, 1)}, source) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert method.training
    assert first.models[0].mode == "batch norm by the running statistics of training; dropout off"
    assert of_model(shifted(0), source).models[0].mode == "no norms and no dropout"


def test_checkerboards_are_told_of_outputs_and_of_targets():
    source = middling(size=32)
    stripes = torch.tensor([1.0, -1.0]).repeat(16) * 20 / 255
    found = of_model(lambda images: images + stripes[:, None] * stripes.sign(), source)
    boards, score = found.checkerboards, found["checkerboard"]
    assert boards["model"][2] > 3 > 1.5 > boards["target"][2]
    assert score.values["model"].value == max(boards["model"].values()) == boards["model"][2]
    assert score.values["target"].value < 1.5


def test_of_one_image_there_is_no_interval_and_the_verdict_says_so():
    source = pairs_source(n=1)
    found = of_model(lambda images: -images, source)
    assert found["PSNR"].values["model"].low is None
    assert "one image cannot show how sure that is" in told(found["PSNR"])
    assert found.protocol["intervals"].startswith("none")
    assert json.dumps(found.to_json(), allow_nan=False)


# --- what is shown --------------------------------------------------------------------------------------------------


def test_the_best_and_the_worst_are_shown_with_input_and_target(tmp_path):
    source = middling(n=40)
    worse = (torch.arange(40) * 7 % 40)[:, None, None, None] * 2 / 255  # image i is off by 7 i mod 40 levels
    found = of_model(lambda images: images + worse[: len(images)], source)
    why = {one.number: one.why for one in found.shown}
    best, worst = (
        [number for number, said in why.items() if f"{word} of model by PSNR" in said] for word in ("best", "worst")
    )
    assert (sorted(best), sorted(worst)) == ([0, 23], [17, 34])  # off by 0 and 1, and by 38 and 39
    assert [number for number, said in why.items() if "evenly taken" in said] == [i * 5 for i in range(8)]
    for one in found.shown:
        assert list(one.images) == ["input", "model", "target"]
        assert torch.equal(one.images["target"], source.images.target[one.number])
        assert torch.equal(one.images["input"], source.images.source[one.number])

    paths = evaluation.write(tmp_path, found)
    with Image.open(paths["grid"]) as grid:
        assert grid.size == (8 * 66 + 2, 6 * 66 + 2)
    rows = list(csv.DictReader(paths["table"].read_text(encoding="utf-8").splitlines()))
    assert [float(row["model MAE"]) for row in rows] == pytest.approx([i * 7 % 40 for i in range(40)])
    assert [int(row["image"]) for row in rows] == list(range(40))
    assert float(rows[3]["input PSNR"]) == 100
    kept = json.loads(paths["numbers"].read_text())
    assert kept == found.to_json()
    for one in kept["images"]:
        with Image.open(tmp_path / one["files"]["model"]) as made:
            assert made.size == (16, 16)


@pytest.fixture
def colours(photos):
    """Lightness and colours, as `colorize` makes them of photographs."""
    return pairs_from(open_source(str(photos), root=photos, size=32), tasks.task("colorize"))


def test_colours_are_compared_as_they_are_displayed_beside_the_grey_image(colours):
    rows = colours.rows(range(len(colours)))
    assert len(rows) < 16  # one part
    found = of_model(lambda images: to_signed(rows.target)[: len(images)], colours, task="colorize")
    assert found["PSNR"].values["model"].value == 100
    task = tasks.task("colorize")
    shown = [task.show(source, target) for source, target in zip(rows.source, rows.target, strict=True)]
    grey = [skimage.metrics.peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=255) for a, b in shown]
    assert found.values["input PSNR"].tolist() == pytest.approx(grey)
    assert 5 < found["PSNR"].values["input"].value < 40
    assert found.shown[0].images["input"].shape == (3, 32, 32)
    assert "Lab" in found.protocol["colour"]


def test_a_grey_input_is_held_against_a_target_in_colour():
    source = pairs_source(channels=1, target_channels=3)
    found = of_model(lambda images: -images.expand(-1, 3, -1, -1), source)
    assert found["PSNR"].values["model"].value == 100
    assert found["PSNR"].values["input"].value < 20
    assert "grey is spread" in found.protocol["colour"]


def test_the_way_back_is_held_against_the_sources():
    source = middling()
    lighter = replace(source, images=PairBatch(source.images.source, source.images.source + 20))
    model = model_of(lighter, lambda x, way: shifted(20 if way == "ab" else -17)(x), TurnsBothWays)
    there, back = (evaluation.evaluate_pairs({"model": model}, lighter, direction=way) for way in ("ab", "ba"))
    assert there["MAE"].values["model"].value == 0
    assert back["MAE"].values["model"].value == pytest.approx(3)
    assert back["MAE"].values["input"].value == pytest.approx(20)
    assert back.protocol["direction"] == "ba"


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_pairs_of_another_kind_or_size_are_refused():
    grey, colour = pairs_source(), pairs_source(channels=3)
    with pytest.raises(DataError, match="from colour to colour, and the gan model goes from grey to grey"):
        evaluation.evaluate_pairs({"model": model_of(grey, shifted(0))}, colour)
    model = model_of(grey, shifted(0))
    model.method.any_size = False
    with pytest.raises(DataError, match="opened at 32 pixels, and the gan model takes 16 alone"):
        evaluation.evaluate_pairs({"model": model}, pairs_source(size=32))


def test_models_that_cannot_do_it_are_refused():
    source = pairs_source()
    with pytest.raises(SettingError, match="`direction` ba"):
        of_model(shifted(0), source, direction="ba")
    with pytest.raises(ModelError, match="not finite"):
        of_model(lambda images: images / 0, source)
    drawing = noise_source()
    model = Model(build(manifest_of(drawing)), manifest_of(drawing), 1)
    with pytest.raises(ModelError, match="generates from noise alone"):
        evaluation.evaluate_pairs({"model": model}, source)


# --- there and back again -------------------------------------------------------------------------------------------


def sides(n=10, m=7):
    spec = Spec(16, 1)
    images = middling(n=n + m).images.source
    return Source("as", spec, ImageBatch(images[:n])), Source("bs", spec, ImageBatch(images[n:]))


def test_without_pairs_what_is_lost_there_and_back_is_measured_and_what_need_not_change():
    a, b = sides()
    spec = Spec(16, 1, target_channels=1)
    turn = TurnsBothWays(spec, lambda x, way: shifted(20 if way == "ab" else -18)(x))
    model = Model(turn, replace(manifest_of(a), spec=spec), 3)
    found = evaluation.evaluate_unpaired({"model": model}, a, b)
    values = {score.name: (score.n, score.values["model"].value) for score in each(found)}
    assert values == {
        "cycle error ab": (10, pytest.approx(2)), "cycle error ba": (7, pytest.approx(2)),
        "identity error ab": (7, pytest.approx(20)), "identity error ba": (10, pytest.approx(18)),
    }  # fmt: skip
    assert {"checkerboard ab", "checkerboard ba"} <= {score.name for score in found.scores}
    assert found.protocol["paired scores"].startswith("none")
    there = found.shown[0].images
    assert list(there) == ["input", "model", "model and back"]
    assert torch.equal(there["model"], there["input"] + 20)
    assert torch.equal(there["model and back"], there["input"] + 2)
    assert found.table().splitlines()[8] == "7,,2.0,,,18.0"  # the shorter side has ended


def test_without_pairs_patches_are_held_against_those_of_the_wanted_kind():
    a, b = sides(60, 55)
    noise, plain = a.images.images, torch.zeros_like(b.images.images)
    plain[:, :, 8:] = 200  # one kind is noise, the other has an edge
    b = replace(b, images=ImageBatch(plain))
    spec = Spec(16, 1, target_channels=1)

    def turn(images, way):
        return to_signed(plain[:1] if way == "ab" else noise[: len(images)]).expand_as(images)

    model = Model(TurnsBothWays(spec, turn), replace(manifest_of(a), spec=spec), 3)
    found = evaluation.evaluate_unpaired({"model": model}, a, b)
    for way in ("ab", "ba"):
        score = found[f"SWD {way}"]  # of 16 pixels there is one level
        assert score.n == 55
        assert set(score.values) == {"input", "model"}
        assert score.values["input"].value > 300 > 10 * score.values["model"].value
        assert score.values["model"].low <= score.values["model"].value <= score.values["model"].high
    assert "7x7 patches" in found.protocol["SWD"]
    few = evaluation.evaluate_unpaired({"model": model}, a, b.only(range(49)))
    assert not {"SWD ab", "SWD ba"} & {score.name for score in few.scores}
    assert "SWD" not in few.protocol


def test_without_pairs_a_model_must_go_both_ways():
    a, b = sides()
    with pytest.raises(SettingError, match="`direction` ba"):
        evaluation.evaluate_unpaired({"model": model_of(pairs_source(), shifted(0))}, a, b)


# --- on the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def halves(tmp_path):
    """A folder of images that hold two each: a photograph, and its negative."""
    folder = tmp_path / "halves"
    folder.mkdir()
    for i in range(24):
        left = photograph(seed=i, width=24, height=24)
        both = Image.new("RGB", (48, 24))
        both.paste(left, (0, 0))
        both.paste(left.point(lambda value: 255 - value), (24, 0))
        both.save(folder / f"{i}.png")
    return folder


SMALL = ["--width", "4", "--size", "16", "--batch", "4", "--steps", "2", "--device", "cpu"]
SMALL_PIX2PIX = [*SMALL, "--discriminator-width", "4"]


def train(tmp_path, method, *words):
    run = tmp_path / "run"
    assert main(["train", method, "--run", str(run), *map(str, words)]) == 0
    return run


def evaluate(run, data, out, *more):
    return main(["evaluate", *map(str, [run, "--data", data, "--out", out, "--device", "cpu", *more])])


def test_evaluate_takes_what_was_held_out_as_the_model_learned_it(tmp_path, halves, capsys):
    run = train(tmp_path, "pix2pix", "--data", halves, "--side", "ba", "--holdout", 0.5, *SMALL_PIX2PIX)
    capsys.readouterr()
    assert evaluate(run, halves, tmp_path / "out") == 0
    said = " ".join(capsys.readouterr().out.split())
    kept = json.loads((tmp_path / "out/metrics.json").read_text())
    protocol = kept["protocol"]
    assert (protocol["part"], protocol["size"], protocol["direction"]) == ("test", 16, "ab")
    assert protocol["n"] + checkpoint.read_run(run).images == 24
    assert kept["models"][0]["learned"].startswith(
        "no: of the folder that it learned from only the images that were held out"
    )
    for score in kept["scores"]:  # to the baseline that is hardest to beat
        lines = [one["verdict"] for one in score["differences"] if one["verdict"] in said]
        assert len(lines) == bool(score["differences"])
    assert said.count(kept["verdict"]) == 1
    assert "held out (--holdout 0.5)" in said
    assert "checkerboard" in said
    for name in ("index.html", "report.md", "metrics.json", "metrics.csv", "grid.png"):
        assert str(tmp_path / "out" / name) in said

    assert evaluate(run, halves, tmp_path / "again", "--json") == 0
    assert json.loads(capsys.readouterr().out) == kept
    (file,) = run.glob("step-*/weights.safetensors")
    alone = file.rename(tmp_path / "alone.safetensors")
    assert evaluate(alone, halves, tmp_path / "alone") == 0
    of_file = json.loads((tmp_path / "alone/metrics.json").read_text())
    assert of_file["scores"] == kept["scores"]
    assert "of the name of that it learned from" in of_file["models"][0]["learned"]


def test_evaluate_says_plainly_that_images_were_learned_from(tmp_path, halves, capsys):
    run = train(tmp_path, "pix2pix", "--data", halves, "--side", "ab", *SMALL_PIX2PIX)
    assert evaluate(run, halves, tmp_path / "out") == 0
    assert "YES: it learned from these very images" in capsys.readouterr().out
    other = halves.rename(tmp_path / "others")
    assert evaluate(run, other, tmp_path / "other") == 0
    assert "no: another folder than it learned from" in capsys.readouterr().out
    assert evaluate(run, other, tmp_path / "larger", "--size", "32", "--side", "ba") == 0
    assert "24 of" in capsys.readouterr().out
    assert json.loads((tmp_path / "larger/metrics.json").read_text())["protocol"]["size"] == 32


def test_evaluate_of_an_autoencoder_of_single_images_is_of_what_comes_back(tmp_path, photos, capsys):
    run = train(tmp_path, "autoencoder", "--data", photos, *SMALL)
    assert evaluate(run, photos, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "task: reconstruct" in said
    assert "here is the target itself" in said


def test_a_model_that_draws_and_translates_is_evaluated_by_what_it_learned(tmp_path, digits_run, capsys):
    words = ["--hidden", "8", *SMALL]
    words[words.index("--batch") + 1] = "8"
    run = train(tmp_path, "vae", "--data", "digits", *words)
    assert evaluate(run, "digits", tmp_path / "drawn", "--count", "60") == 0
    assert "FID (digits)" in capsys.readouterr().out
    assert evaluate(run, "digits", tmp_path / "pairs", "--task", "denoise") == 0
    said = capsys.readouterr().out
    assert "PSNR" in said
    assert "task: denoise:0.1" in said
    assert "no: the test part of a published set" in said


@pytest.fixture
def two_folders(tmp_path):
    """Folders of photographs whose names do not match."""
    for folder, first in (("as", 0), ("bs", 50)):
        (tmp_path / folder).mkdir()
        for i in range(first, first + 6):
            photograph(seed=i, width=20, height=20).save(tmp_path / folder / f"{i}.png")
    return tmp_path / "as", tmp_path / "bs"


def test_evaluate_of_two_kinds_without_pairs_says_that_there_are_no_paired_scores(tmp_path, two_folders, capsys):
    a, b = two_folders
    words = ["--blocks", "1", *SMALL_PIX2PIX]
    run = train(tmp_path, "cyclegan", "--data", a, "--target", b, *words)
    assert evaluate(run, a, tmp_path / "out") == 0  # the run knows the other folder
    said = " ".join(capsys.readouterr().out.split())
    assert "cycle error ab" in said
    assert "identity error ba" in said
    assert "paired scores: none: without pairs" in said
    assert "PSNR" not in said
    assert evaluate(run, a, tmp_path / "way", "--direction", "ba") == 2
    assert "without pairs both are measured" in capsys.readouterr().err
    assert evaluate(run, b, tmp_path / "other") == 2
    assert "holds what the model learned to make from" in capsys.readouterr().err
    assert evaluate(run, b, tmp_path / "other", "--target", a) == 2
    assert evaluate(run, a, tmp_path / "pairs", "--task", "cartoon", "--direction", "ba") == 0
    said = capsys.readouterr().out
    assert "direction: ba" in said
    assert "PSNR" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--count", "10"], "--count 10: is for models that generate"),
        (["--features", "digits"], "this pix2pix model translates; expected auto, none, vgg or inception"),
        (["--inception-weights", "file"], "--inception-weights file: is for --features inception"),
        (["--vgg-weights", "file"], "--vgg-weights file: is for --features vgg; add it, or leave this out"),
        (["--data", "{}/empty"], "no images"),
        (["--data", "{}/nosuch"], "no folder of that name"),
        (["--target", "{}/partners"], "no partner"),
        (["--target", "{}/halves"], "the same folder"),
        (["--side", "ab", "--task", "denoise"], "--side and --task"),
        (["--task", "nosuch"], "--task nosuch"),
        (["--size", "17"], "--size 17"),
        (["--direction", "ba"], "--direction ba"),
        (
            ["--data", "digits", "--task", "denoise"],
            "from grey to grey, and the pix2pix model goes from colour to colour",
        ),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_evaluated_is_one_line_and_nothing_is_written(more, words, tmp_path, halves, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "partners").mkdir()
    photograph(seed=0, width=24, height=24).save(tmp_path / "partners/0.png")
    source = pairs_source(channels=3)
    manifest = manifest_of(source, "pix2pix", side="ab")
    train_to(tmp_path / "run", 1, source=source, manifest=manifest)
    capsys.readouterr()
    words_given = [word.replace("{}", str(tmp_path)) for word in more]
    data = [] if "--data" in more else ["--data", str(halves)]
    line = ["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--device", "cpu", *data, *words_given]
    assert main(line) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "more", [["--side", "ab"], ["--task", "denoise"], ["--direction", "ab"], ["--size", "32"]], ids=" ".join
)
def test_a_model_that_only_draws_is_not_asked_for_pairs(more, digits_run, tmp_path, capsys):
    assert evaluate(digits_run, "digits", tmp_path / "out", *more) == 2
    assert (
        capsys.readouterr().err
        == f"ganvas: {' '.join(more)}: is for models that translate; this gan model generates; leave it out\n"
    )

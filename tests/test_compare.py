"""Models side by side: who is better, how surely, by which images; and what is refused, named or left out."""

import csv
import json
import os
import re
import shutil
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import (
    labelled_source,
    manifest_of,
    noise_images,
    noise_source,
    pairs_source,
    photograph,
    random_vgg,
    train_to,
    unpaired_source,
)
from PIL import Image
from scipy import stats
from test_evaluation import Repeats, RepeatsByClass
from test_evaluation_style import Paints, photographs, smooth
from test_evaluation_translation import TurnsBothWays, middling, model_of, shifted, sides
from torch.nn import functional

from ganvas import checkpoint, evaluation, metrics
from ganvas.checkpoint import Model
from ganvas.cli import main
from ganvas.data.batch import ImageBatch, PairBatch, Source, Spec
from ganvas.data.progress import silently
from ganvas.errors import ModelError, UsageError
from ganvas.evaluation import contamination
from ganvas.evaluation import models as evaluated
from ganvas.evaluation.collectors import by_image
from ganvas.evaluation.collectors.generated import Generated
from ganvas.evaluation.measures import PAIRS, SETS
from ganvas.evaluation.selection import choose
from ganvas.metrics import features
from ganvas.metrics.features import Features
from ganvas.nets.vgg import LAYERS

CPU = torch.device("cpu")
TINY = Features("tiny", "the means of rows", 16, lambda images: images.float().mean((1, 3)))  # (N, H)


def off_by(levels, source):
    """A model of this source that is off by so many grey levels, image by image (N,)."""
    given = [image.numpy().tobytes() for image in source.images.source]
    amounts = dict(zip(given, torch.as_tensor(levels, dtype=torch.float32).tolist(), strict=True))

    def turn(images):
        off = [amounts.get(image.numpy().tobytes(), 0.0) for image in bytes_of(images)]
        return images + torch.tensor(off)[:, None, None, None] * 2 / 255

    return model_of(source, turn)


def bytes_of(images):
    return ((images + 1) * 127.5).round().to(torch.uint8)


def breaking(source, broken):
    """A model that makes no numbers of the images with these numbers."""
    levels = torch.zeros(len(source))
    levels[list(broken)] = torch.nan
    return off_by(levels, source)


def compared(source, levels, **options):
    """What is found of models that are off by these levels, by name."""
    return evaluation.evaluate_pairs({name: off_by(of, source) for name, of in levels.items()}, source, **options)


def drawn_levels(n, seed, scale=3.0):
    return np.abs(np.random.default_rng(seed).normal(10, scale, n)).round()


# --- who is better, and how sure that is ----------------------------------------------------------------------------


def test_a_difference_is_paired_and_its_interval_that_of_scipys_paired_bootstrap():
    source, a = middling(n=30), drawn_levels(30, 0)
    b = a + np.random.default_rng(1).integers(0, 3, 30)  # nearly the same errors: alone, nobody could tell them apart
    score = compared(source, {"a": a, "b": b})["MAE"]
    assert score.values["a"].value == pytest.approx(a.mean())
    mean = score.between("a", "b").mean
    outside = stats.norm.cdf(-np.sqrt(30 / 29) * stats.t.ppf(0.975, 29))
    expected = stats.bootstrap(
        (a, b), lambda x, y, axis: (x - y).mean(axis), paired=True, vectorized=True, n_resamples=20_000,
        confidence_level=1 - 2 * outside, method="percentile", rng=0,
    ).confidence_interval  # fmt: skip
    width = expected.high - expected.low
    assert mean.value == pytest.approx((a - b).mean())
    assert (mean.low, mean.high) == pytest.approx(tuple(expected), abs=0.08 * width)
    assert score.values["a"].high > score.values["b"].low  # the intervals of the two overlap, and yet
    assert score.winner(["a", "b"]) == "a"
    assert re.fullmatch(
        r"a is better than b in MAE by 1\.\d\d levels \(95 %: \d\.\d\d to \d\.\d\d\), n = 30",
        score.verdict(score.between("a", "b")),
    )


def test_who_is_named_first_changes_signs_and_nothing_else():
    source, a, b = middling(n=20), drawn_levels(20, 0), drawn_levels(20, 1) + 4
    there, back = compared(source, {"a": a, "b": b}), compared(source, {"b": b, "a": a})
    for score in (one for one in there.scores if one.each):
        mean, other = score.between("a", "b").mean, back[score.name].between("b", "a").mean
        assert (mean.value, mean.low, mean.high) == pytest.approx((-other.value, -other.high, -other.low))
        turned = back[score.name].between("a", "b").mean
        assert (mean.value, mean.low, mean.high) == pytest.approx((turned.value, turned.low, turned.high))
        assert score.winner(["a", "b"]) == back[score.name].winner(["b", "a"])
    assert there["MAE"].winner(["a", "b"]) == there.to_json()["scores"][0]["winner"] == "a"


def test_models_that_are_as_good_have_no_winner_and_the_verdict_says_so():
    source = middling(n=40)
    found = compared(source, {"a": drawn_levels(40, 0), "b": drawn_levels(40, 1)})
    score = found["MAE"]
    mean = score.between("a", "b").mean
    assert mean.low < 0 < mean.high
    assert score.winner(["a", "b"]) is None
    assert score.verdict(score.between("a", "b")).startswith("a is not significantly better or worse than b in MAE: ")
    assert [one["winner"] for one in found.to_json()["scores"]] == [None] * len(found.scores)


def test_only_who_is_surely_better_than_each_other_wins():
    source, a = middling(n=30), drawn_levels(30, 0)
    lot = np.random.default_rng(2)
    models = {"worst": a + 8, "a": a, "b": a + lot.integers(-1, 2, 30)}  # a and b: not surely
    score = compared(source, models)["MAE"]
    assert score.winner(["a", "worst"]) == "a"
    assert score.winner(["b", "worst"]) == "b"
    assert score.winner(["worst", "a", "b"]) is None
    assert score.winner(["a"]) is None
    assert len(score.differences) == 3 + 3 * 2  # each to each, and each to input and mean image


def test_chance_alone_looks_sure_in_about_one_case_of_twenty_even_of_few_images():
    lot = torch.Generator().manual_seed(0)
    for n, most in ((6, 0.11), (10, 0.09), (30, 0.08)):
        low, high = metrics.bootstrap(torch.randn(n, 1000, generator=lot))
        assert 0.02 < float(((low > 0) | (high < 0)).double().mean()) < most


@pytest.mark.parametrize(("n", "words"), [(1, "one image cannot show how sure that is"), (5, "5 images cannot")])
def test_of_a_few_images_nobody_can_say_how_surely_and_nobody_wins(n, words):
    source = middling(n=n)
    found = compared(source, {"a": [1] * n, "b": [9] * n})
    score = found["MAE"]
    assert all(mean.low is None for mean in score.values.values())
    assert score.winner(["a", "b"]) is None
    assert words in score.verdict(score.between("a", "b"))
    assert found.protocol["intervals"].startswith("none: fewer than 6")
    assert json.dumps(found.to_json(), allow_nan=False)
    six = compared(middling(n=6), {"a": [1] * 6, "b": [9] * 6})
    assert six["MAE"].winner(["a", "b"]) == "a"
    assert six.protocol["intervals"].startswith("95 %")


# --- beside the models ----------------------------------------------------------------------------------------------


def test_the_mean_image_answers_the_mean_of_all_targets():
    source = pairs_source(n=20, size=32, channels=1, target_channels=3)
    found = evaluation.evaluate_pairs({"a": model_of(source, lambda x: x.expand(-1, 3, -1, -1))}, source)
    targets = source.images.target.numpy().astype(float)
    mean = np.round(targets.mean(0))
    assert found.values["mean image MAE"].tolist() == pytest.approx(np.abs(targets - mean).mean((1, 2, 3)))
    assert found.values["input MAE"].tolist() == pytest.approx(
        np.abs(targets - source.images.source.numpy()).mean((1, 2, 3))
    )


def test_similarity_over_scales_is_measured_from_176_pixels_on():
    names = {
        size: {score.name for score in compared(middling(n=2, size=size), {"a": [3, 4]}).scores} for size in (128, 256)
    }
    assert names[256] - names[128] == {"MS-SSIM"}


def test_sets_are_compared_from_fifty_images_on_each_left_out_once(monkeypatch):
    asked = []
    frechet, *others = SETS
    counting = replace(frechet, of=lambda a, b: (asked.append(len(b)), frechet.of(a, b))[1])
    monkeypatch.setattr(by_image, "SETS", (counting, *others))
    few = compared(middling(n=49), {"a": [2] * 49}, features=TINY)
    assert not asked
    assert "FID (tiny)" not in {score.name for score in few.scores}

    source = middling(n=60)
    levels = {"a": drawn_levels(60, 0), "b": drawn_levels(60, 1) + 20, "c": drawn_levels(60, 2) + 40}
    found = compared(source, levels, features=TINY)
    assert len(asked) == 3 * (1 + 10)  # not once more for each two models
    for name, way in (("FID (tiny)", metrics.frechet_difference), ("KID (tiny)", metrics.kernel_difference)):
        score = found[name]
        seen = {model: TINY.see(bytes_of_answer(found, source, levels[model])) for model in levels}
        value, half = way(TINY.see(source.images.target), seen["a"], seen["b"])
        mean = score.between("a", "b").mean
        assert (mean.value, mean.low, mean.high) == pytest.approx((value, value - half, value + half))
        assert score.winner(list(levels)) == "a"


def bytes_of_answer(found, source, levels):
    return (source.images.source + torch.as_tensor(levels).to(torch.uint8)[:, None, None, None]).to(torch.uint8)


def blurred(images, pixels):
    """The images, blurred along both sides."""
    return functional.avg_pool2d(images, pixels, 1, pixels // 2, count_include_pad=False)


def test_who_keeps_the_finest_details_wins_by_patches():
    images = smooth(60, size=32)
    source = Source("smooth", Spec(32, 3, target_channels=3), PairBatch(images, images))
    models = {
        "right": model_of(source, lambda x: x),
        "soft": model_of(source, lambda x: blurred(x, 3)),
        "softer": model_of(source, lambda x: blurred(x, 7)),
    }
    found = evaluation.evaluate_pairs(models, source)
    for name in ("SWD", "SWD all levels"):
        score = found[name]
        assert score.values["right"] == score.values["input"] == evaluation.Mean(0, 0, 0)
        assert 0 < score.values["soft"].value < score.values["softer"].value
        assert score.winner(list(models)) == "right"
        assert score.winner(["soft", "softer"]) == "soft"
        assert "soft is better than softer in SWD" in score.verdict(score.between("soft", "softer"))
        assert (score.n, score.each) == (60, False)
        assert set(score.values) == {*models, "input", "mean image"}
    assert found["SWD"].values["softer"].value > found["SWD all levels"].values["softer"].value
    assert "7x7 patches" in found.protocol["SWD"]


def test_patches_are_compared_from_fifty_images_on():
    source = middling(n=60)
    for broken, there in ((range(10), True), (range(11), False)):
        found = evaluation.evaluate_pairs({"a": breaking(source, broken)}, source)
        assert ("SWD" in {score.name for score in found.scores}) is there
        assert ("SWD" in found.protocol) is there
    assert json.dumps(found.to_json(), allow_nan=False)
    assert "SWD" not in {score.name for score in compared(source, {"a": [1] * 60}, measures=None).scores}


# --- what is no image ---------------------------------------------------------------------------------------------


def test_what_is_no_number_is_counted_named_and_left_out_of_every_answer():
    source = replace(middling(n=10), names=tuple(f"{i}.png" for i in range(10)))
    good = off_by(range(10), source)
    found = evaluation.evaluate_pairs({"broken": breaking(source, [2, 5]), "good": good}, source)
    (note,) = found.notes
    assert note.startswith("2 of the 10 images of broken are not finite (2.png, 5.png)")
    assert found.numbers == [0, 1, 3, 4, 6, 7, 8, 9]
    assert {score.n for score in found.scores} == {8}
    assert found.values["good MAE"].tolist() == found.numbers
    assert list(found.names) == [f"{number}.png" for number in found.numbers]
    assert not {2, 5} & {one.number for one in found.shown}


def test_where_hardly_any_image_is_one_the_rest_is_evaluated_as_few_are():
    source = middling(n=55)
    found = evaluation.evaluate_pairs({"a": breaking(source, range(51))}, source, features=TINY)
    assert "FID (tiny)" not in {score.name for score in found.scores}
    assert found["MAE"].values["a"].low is None
    assert found.protocol["intervals"].startswith("none")
    assert json.dumps(found.to_json(), allow_nan=False)
    halves = {"a": breaking(source, range(30)), "b": breaking(source, range(25, 55))}
    with pytest.raises(ModelError, match="a and b: one of them makes an image that is not finite for every input"):
        evaluation.evaluate_pairs(halves, source)


# --- large sets, many models ----------------------------------------------------------------------------------------


class Counted:
    """Pairs that are decoded when asked for; counts how often."""

    batch = PairBatch

    def __init__(self, pairs):
        self.pairs, self.asked = pairs, []

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.pairs.over(lambda t: t[index : index + 1]), None


def test_each_pair_is_read_once_for_the_mean_and_once_for_all_models_whatever_their_number(monkeypatch):
    monkeypatch.setattr(evaluation.outputs, "_PIXELS_AT_ONCE", 2**13)
    whole = middling(n=200)
    counted = Counted(whole.images)
    source = replace(whole, images=counted)
    models = {f"m{k}": model_of(whole, shifted(k)) for k in range(4)}
    alive = []
    rows = Source.rows
    monkeypatch.setattr(Source, "rows", lambda self, n: (alive.append(len(n)), rows(self, n))[1])
    found = evaluation.evaluate_pairs(models, source)
    assert max(alive) == 16
    again = len(found.shown) + 16 + 16  # to be shown, for the grid, and to see whether they are line art
    assert len(counted.asked) == 2 * 200 + again
    assert found["MAE"].values["m3"].value == pytest.approx(3)


def test_some_rows_of_a_set_are_the_same_in_memory_or_not():
    whole = replace(middling(n=20), names=tuple(f"{i}.png" for i in range(20)))
    kept = [19, 3, 4, 7]
    for source in (whole, replace(whole, images=Counted(whole.images))):
        some = source.only(kept)
        assert (len(some), some.batch) == (4, PairBatch)
        assert [some.name_of(row) for row in range(4)] == ["19.png", "3.png", "4.png", "7.png"]
        assert torch.equal(some.rows(range(4)).source, whole.images.source[kept])
        assert torch.equal(some.only([1]).rows([0]).target, whole.images.target[[3]])
    assert replace(whole, names=()).only(kept).name_of(0) == ""


def test_times_are_those_of_the_batches_not_of_single_images_that_are_shown():
    source = middling(n=32)
    model = model_of(source, lambda images: (time.sleep(0.02), images)[1])
    assert evaluation.evaluate_pairs({"a": model}, source).milliseconds["a"] < 10


def test_of_many_models_not_everything_is_shown():
    lot = torch.Generator().manual_seed(0)
    models = [f"m{k}" for k in range(30)]
    columns = {measure.name: {model: torch.randn(1000, generator=lot) for model in models} for measure in PAIRS}
    chosen = choose(columns, PAIRS, models, 1000)
    assert len(chosen) == 64
    reasons = [reason for why in chosen.values() for reason in why]
    assert reasons.count("evenly taken") == 8
    assert {f"most disputed by {measure.name}" for measure in PAIRS} < set(reasons)
    few = choose({name: {"m0": of["m0"]} for name, of in columns.items()}, PAIRS, ["m0"], 1000)
    for measure in PAIRS:
        order = columns[measure.name]["m0"].argsort(descending=measure.better == "higher").tolist()
        assert [row for row, why in few.items() if f"best of m0 by {measure.name}" in why] == order[:2]
        assert {row for row, why in few.items() if f"worst of m0 by {measure.name}" in why} == set(order[-2:])


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_names_that_no_file_can_have_stay_in_the_folder(tmp_path):
    source = middling(n=6)
    names = ["../../a", "a" * 300, "<b>", "..", "a/b", "a\\b", "ㄱ", ""]
    found = evaluation.evaluate_pairs({name: model_of(source, shifted(k)) for k, name in enumerate(names)}, source)
    found = replace(found, grids={f"samples-{name}": found.grids["grid"] for name in names})
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    evaluation.write(out, found)
    kept = json.loads((out / "metrics.json").read_text())
    files = [file for one in kept["images"] for file in one["files"].values()]
    assert len({*files, *kept["grids"].values()}) == len(files) + len(names)
    for file in (*files, *kept["grids"].values()):
        assert (out / file).resolve().is_relative_to(out)
        assert (out / file).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    (row, *_) = csv.DictReader((out / "metrics.csv").read_text(encoding="utf-8").splitlines())
    assert [float(row[f"{name} MAE"]) for name in names] == pytest.approx(range(8))


def test_both_ways_keep_each_its_own_images(tmp_path):
    a, b = sides()
    spec = Spec(16, 1, target_channels=1)
    model = Model(TurnsBothWays(spec, lambda x, way: x).eval(), replace(manifest_of(a), spec=spec), 3)
    evaluation.write(tmp_path, evaluation.evaluate_unpaired({"a": model}, a, b))
    kept = json.loads((tmp_path / "metrics.json").read_text())
    given = {"ab": a.images.images, "ba": b.images.images}
    assert {way for one in kept["images"] for way in given if f"evenly taken, {way}" in one["why"]} == {"ab", "ba"}
    for one in kept["images"]:
        way = one["why"][0].rpartition(", ")[2]
        with Image.open(tmp_path / one["files"]["input"]) as image:
            assert np.array_equal(np.asarray(image), given[way][one["number"], 0])


def test_what_an_earlier_evaluation_left_is_not_taken_for_the_new_one(tmp_path, monkeypatch):
    source = middling(n=6)
    measured = compared(source, {"a": [1] * 6})
    evaluation.write(tmp_path, measured)
    evaluation.write(tmp_path, compared(source, {"a": [1] * 6}, measures=None))
    assert not (tmp_path / "metrics.csv").exists()
    evaluation.write(tmp_path, measured)
    monkeypatch.setattr(evaluation.results.images, "write", lambda path, pixels: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        evaluation.write(tmp_path, measured)
    assert not (tmp_path / "metrics.json").exists()  # half of it is new


# --- models that draw, models of style ------------------------------------------------------------------------------


def test_models_that_draw_are_compared_by_the_same_tenths_and_blocks():
    real, other = labelled_source(n=120, seed=1), labelled_source(n=120, seed=2)
    darker = replace(other, images=ImageBatch(other.images.images // 2, other.images.labels))
    near, far = (Model(Repeats(one).eval(), manifest_of(one), 7) for one in (other, darker))
    by_class = Model(RepeatsByClass(other).eval(), manifest_of(other), 7)
    found = evaluation.evaluate_generated({"near": near, "far": far, "a/b": by_class}, real, features=TINY, count=120)
    for name in ("FID (tiny)", "KID (tiny)"):
        assert found[name].winner(["near", "far"]) == "near"
        assert found[name].between("far", "near").mean.low > 0
        assert "near is better than far in" in found[name].verdict(found[name].between("near", "far"))
    assert found["SWD"].between("far", "near").mean.value == pytest.approx(
        found["SWD"].values["far"].value - found["SWD"].values["near"].value
    )
    assert found.to_json()["grids"]["samples-near"] == "samples-near.png"
    assert found.to_json()["grids"]["samples-a/b"] == "samples-a-b-2.png"


def test_the_patches_of_one_model_at_a_time_are_kept():
    """Those of twenty checkpoints of large images would not fit in memory."""
    real, other = noise_source(n=60, seed=1), noise_source(n=60, seed=2)
    models = {name: Model(Repeats(other).eval(), manifest_of(other), 7) for name in "abc"}
    collector = Generated(models, real, TINY, count=60, training={})
    kept = []
    for batch in collector.batches(silently):
        collector.add(batch)
        kept.append(len(collector.patches))
    assert max(kept) == 2  # the real ones, and a model's


def test_diversity_is_of_a_class_only_where_the_classes_of_all_models_are_known():
    real, plain = labelled_source(n=120, seed=1), labelled_source(n=120, seed=2)
    labels = real.images.labels
    lighter = (real.images.images // 4 + 64 * labels[:, None, None, None]).to(torch.uint8)  # class by class
    real = replace(real, images=ImageBatch(lighter, labels))
    told = Model(RepeatsByClass(plain).eval(), manifest_of(plain), 7)
    silent = Model(Repeats(plain).eval(), manifest_of(plain), 7)
    alone, both = (
        evaluation.evaluate_generated(models, real, features=TINY, count=120)["diversity (tiny)"]
        for models in ({"told": told}, {"told": told, "silent": silent})
    )
    assert "of a class" in alone.measure.meaning
    assert "of a class" not in both.measure.meaning
    assert alone.values["told"].value > 2 * both.values["told"].value
    assert both.values["told"].value == pytest.approx(both.values["silent"].value, rel=0.02)


def test_models_of_style_are_compared_by_both_distances():
    source, painting = photographs(), smooth(1, size=32, seed=50)[0]
    hung = (painting / 127.5 - 1).float()
    models = {
        "keeps": Model(Paints(source.spec, lambda x, style: x).eval(), manifest_of(source), 1),
        "hangs": Model(Paints(source.spec, lambda x, style: hung.expand_as(x)).eval(), manifest_of(source), 1),
    }  # fmt: skip
    vgg = random_vgg(LAYERS[-1], width=2)
    found = evaluation.evaluate_style(models, source, [evaluation.Style([painting])], vgg=vgg)
    assert found["style distance"].winner(list(models)) == "hangs"
    assert found["content distance"].winner(list(models)) == "keeps"


# --- on the command line --------------------------------------------------------------------------------------------


def saved(folder, seeds, *, size=40):
    folder.mkdir(parents=True)
    for seed in seeds:
        photograph(seed=seed, width=size, height=size).save(folder / f"{seed}.png")
    return folder


def run_of(place, method, data, *, steps=1, source=None, **manifest):
    """A run that has learned from noise, and says that it learned from the images of a folder."""
    source = source or pairs_source(n=8, channels=3)
    known = manifest_of(source, method, **manifest)
    train_to(place, steps, source=source, manifest=replace(known, data=str(data)))
    return place


@pytest.fixture(scope="module")
def _place(tmp_path_factory):
    """Folders that were learned from and others, and runs of two methods."""
    place = tmp_path_factory.mktemp("compare")
    learned_from = saved(place / "learned", range(5))
    held = saved(place / "held", range(100, 107))
    shutil.copy(learned_from / "1.png", held / "copied.png")
    with Image.open(learned_from / "3.png") as image:
        image.resize((32, 32)).save(held / "again.jpg", quality=90)
    for method in ("pix2pix", "autoencoder"):
        run_of(place / method, method, learned_from, task="denoise:0.1")
    return place


@pytest.fixture
def place(_place):
    return _place


def run(command, *words):
    return main([command, *map(str, words), "--device", "cpu"])


def kept_in(out):
    return json.loads((out / "metrics.json").read_text())


def test_compare_leaves_out_what_was_learned_from_and_tells_it_all(place, tmp_path, capsys):
    models = [place / "pix2pix", place / "autoencoder"]
    assert run("compare", *models, "--data", place / "held", "--out", tmp_path / "one") == 0
    said = " ".join(capsys.readouterr().out.split())
    kept = kept_in(tmp_path / "one")
    assert [model["name"] for model in kept["models"]] == ["pix2pix", "autoencoder"]
    (note,) = kept["notes"]
    who, which = "pix2pix and autoencoder", "copied.png (as 1.png), again.jpg (as 3.png)"
    assert note == f"2 of 9 images left out, for {who} learned from them: {which}"
    assert f"NOTE: {note}" in said
    rows = list(csv.DictReader((tmp_path / "one/metrics.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [f"{seed}.png" for seed in range(100, 107)]
    assert {score["n"] for score in kept["scores"]} == {7} == {kept["protocol"]["n"]}
    for score in kept["scores"]:
        for one in score["differences"]:
            first, second = (
                [float(row[f"{one[side]} {score['name']}"]) for row in rows] for side in ("first", "second")
            )
            assert one["value"] == pytest.approx(np.mean(first) - np.mean(second), abs=1e-9)
        assert score["winner"] is None or f"best in {score['name']}: {score['winner']}" in said
    assert {"input", "mean image"} < set(kept["baselines"])

    assert run("compare", *models, "--data", place / "held", "--out", tmp_path / "two") == 0
    names = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    same = [n for n in names if n.suffix == ".png" or n.name in ("metrics.json", "metrics.csv")]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in same)
    assert len(same) > 10
    for name in ("metrics.json", "metrics.csv", "report.md", "index.html"):
        text = (tmp_path / "one" / name).read_text(encoding="utf-8")
        assert not [path for path in (str(place), str(tmp_path)) if path in text]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{}/pix2pix"], "give two models or more"),
        (["{}/pix2pix", "{}/autoencoder", "{}/../{name}/pix2pix"], "is the same model as"),
        (["{}/pix2pix", "{}/pix2pix"], "is given twice"),
        (["{}/pix2pix", "{}/pix2pix/step-00000001"], "is the same model as"),
        (["{}/pix2pix", "{}/pix2pix/step-00000001/weights.safetensors"], "is the same model as"),
        (["{}/pix2pix", "{digits}"], "pix2pix translates; gan generates; compare those that do the same"),
        (["{}/pix2pix", "{}/nosuch"], "no such run or model file"),
        (["{}/pix2pix", "{}/autoencoder", "--data", "{}/empty"], "no images"),
        (["{}/pix2pix", "{}/autoencoder", "--target", "{}/learned"], "have no partner"),
        (["{}/pix2pix", "{}/autoencoder", "--paired"], "--paired: is for models that learned without pairs"),
        (["{}/pix2pix", "{}/autoencoder", "--images-only", "--lpips"], "--images-only: measures nothing"),
        (["{}/pix2pix", "{}/autoencoder", "--images-only", "--features", "inception"], "measures nothing"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line_and_nothing_is_written(words, said, place, digits_run, tmp_path, capsys):
    (place / "empty").mkdir(exist_ok=True)
    given = [
        word.replace("{digits}", str(digits_run)).replace("{name}", place.name).replace("{}", str(place))
        for word in words
    ]
    data = [] if "--data" in given else ["--data", place / "held"]
    assert run("compare", *given, *data, "--out", tmp_path / "out") == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_models_of_other_sizes_colours_and_tasks_are_told_apart(place, tmp_path, capsys):
    other = run_of(tmp_path / "large", "autoencoder", place / "learned", source=pairs_source(n=8, size=32, channels=3),
                   task="denoise:0.1")  # fmt: skip
    grey = run_of(tmp_path / "grey", "autoencoder", place / "learned", source=pairs_source(n=8), task="denoise:0.1")
    cartoon = run_of(tmp_path / "cartoon", "autoencoder", place / "learned", task="cartoon")
    for model, words in (
        (other, "different sizes (pix2pix 16, autoencoder 32 pixels): add --size"),
        (grey, "images of different kinds (grey, colour"),
        (cartoon, "the models learned different things (pix2pix by --task denoise:0.1; autoencoder by --task cartoon)"),
    ):
        assert run("compare", place / "pix2pix", model, "--data", place / "held", "--out", tmp_path / "no") == 2
        assert words in capsys.readouterr().err
    words = ["--data", place / "held", "--out", tmp_path / "out", "--size", 16]
    assert run("compare", place / "pix2pix", other, *words) == 0
    assert "autoencoder learned from images of 32 pixels, and these have 16" in kept_in(tmp_path / "out")["notes"]


def test_images_stay_where_none_would_be_left_and_it_is_not_said_that_they_were_left_out(place, tmp_path):
    data = saved(tmp_path / "data", range(200, 204))
    for half, seeds in (("a", (200, 201)), ("b", (202, 203))):
        (tmp_path / half).mkdir()
        for seed in seeds:
            shutil.copy(data / f"{seed}.png", tmp_path / half)
    models = contenders_of(place / "pix2pix", {"a": tmp_path / "a", "b": tmp_path / "b"})
    source = opened(data)
    kept, notes, _ = contamination.without_known(models, source, track=silently)
    assert len(kept) == 4
    assert len(notes) == 2
    assert all("would have to be left out" in note and "left out, for" not in note for note in notes)
    models = contenders_of(place / "pix2pix", {"a": tmp_path / "a"})
    kept, (note,), knowing = contamination.without_known(models, source, track=silently)
    assert list(kept.names) == ["202.png", "203.png"]
    assert not knowing
    assert note == "2 of 4 images left out, for a learned from them: 200.png, 201.png"


def test_a_copy_of_what_was_learned_from_is_found_out_whatever_its_folder_is_called(place, tmp_path):
    copied = shutil.copytree(place / "learned", tmp_path / "fresh")
    models = contenders_of(place / "pix2pix", {"a": place / "learned"})
    kept, (note,), knowing = contamination.without_known(models, opened(copied), track=silently)
    assert len(kept) == 5
    assert note.startswith("a learned from these very images")
    assert contamination.learned_from(models, str(copied), knowing)["a"].startswith("YES")
    assert contamination.learned_from(models, str(copied), [])["a"].startswith("no")


def contenders_of(run, folders):
    """A model by several names, each of which learned from a folder."""
    model = checkpoint.load(run, CPU)
    return {
        name: evaluated.Contender(run, model, replace(model.manifest, data=str(folder)))
        for name, folder in folders.items()
    }


def opened(folder):
    files = sorted(folder.iterdir())
    images = ImageBatch(noise_images(len(files), channels=3))
    return Source(str(folder), Spec(16, 3), images, names=tuple(file.name for file in files))


def test_names_of_models_are_short_and_never_those_of_the_other_answers(place, tmp_path):
    for name in ("x/input", "x/a", "y/a"):
        shutil.copytree(place / "pix2pix", tmp_path / name)
    where = tmp_path

    def names(*paths):
        return list(evaluated.contenders([where / path for path in paths], CPU))

    assert names("x/a", "x/input") == ["x/a", "x/input"]
    assert names("x/a", "y/a") == ["x/a", "y/a"]
    checkpoints = [f"{run}/step-00000001/weights.safetensors" for run in ("x/a", "y/a")]
    assert names(*checkpoints) == ["x/a/step-00000001", "y/a/step-00000001"]
    shutil.copy(where / checkpoints[0], where / "first.safetensors")
    shutil.copy(where / checkpoints[0], where / "second\nline.safetensors")
    assert names("first.safetensors", "second\nline.safetensors") == ["first", "second?line"]


@pytest.mark.parametrize("name", ["input", "", "a\udcff", 1])
def test_a_model_is_not_called_what_cannot_be_printed_or_is_another_thing(name):
    with pytest.raises(UsageError, match=r"`models`: .* is not a name for a model here"):
        evaluated.require_names(["a", name])


def test_every_save_of_a_run_is_evaluated_in_its_order(place, tmp_path, capsys):
    for steps in (1, 2):
        run_of(tmp_path / "run", "autoencoder", place / "learned", steps=steps, task="denoise:0.1")
    words = ["--data", place / "held", "--all-checkpoints", "--out", tmp_path / "out"]
    assert run("evaluate", tmp_path / "run", *words) == 0
    kept = kept_in(tmp_path / "out")
    assert [(model["name"], model["step"]) for model in kept["models"]] == [("step 1", 1), ("step 2", 2)]
    assert kept["scores"][0]["differences"][0]["second"] == "step 2"
    capsys.readouterr()
    for model, said in (
        (place / "pix2pix", "holds 1 checkpoint; train it on with --keep 20"),
        (tmp_path / "run/step-00000001", "is not a run; give the folder of one"),
        (tmp_path / "run/step-00000001/weights.safetensors", "is not a run; give the folder of one"),
    ):
        assert run("evaluate", model, *words[:3], "--out", tmp_path / "no") == 2
        assert said in capsys.readouterr().err


def test_what_drawn_images_are_held_against_was_not_learned_from_either(tmp_path):
    for name, n in (("learned", 4), ("held", 60)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(noise_images(n, seed=n)):
            Image.fromarray(image[0].numpy()).save(tmp_path / name / f"{i}.png")
    shutil.copy(tmp_path / "learned/2.png", tmp_path / "held/copied.png")
    model = run_of(tmp_path / "gan", "gan", tmp_path / "learned", source=noise_source(n=8))
    words = ["--data", tmp_path / "held", "--count", 50, "--features", "digits", "--out", tmp_path / "out"]
    assert run("evaluate", model, *words) == 0
    kept = kept_in(tmp_path / "out")
    assert kept["notes"] == ["1 of 61 images left out, for gan learned from them: copied.png (as 2.png)"]
    assert kept["protocol"]["reference"].startswith("60 images of ")


@pytest.fixture
def pairs(tmp_path):
    """Two folders of images that belong together by their names."""
    data, target = saved(tmp_path / "as", range(300, 304)), tmp_path / "bs"
    target.mkdir()
    for file in data.iterdir():
        with Image.open(file) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target / file.name)
    return data, target


def test_who_learned_without_pairs_is_evaluated_by_true_ones_beside_who_learned_with(place, pairs, tmp_path, capsys):
    data, target = pairs
    cyclegan = run_of(tmp_path / "cyclegan", "cyclegan", place / "learned", source=unpaired_source(n=8, channels=3))
    words = ["--data", data, "--target", target]
    assert run("compare", cyclegan, place / "pix2pix", *words, "--out", tmp_path / "out") == 0
    kept = kept_in(tmp_path / "out")
    assert kept["kind"] == "pairs"
    assert set(kept["scores"][2]["values"]) == {"cyclegan", "pix2pix", "input", "mean image"}
    assert run("evaluate", cyclegan, *words, "--paired", "--direction", "ba", "--out", tmp_path / "back") == 0
    back = kept_in(tmp_path / "back")
    assert (back["kind"], back["protocol"]["direction"]) == ("pairs", "ba")
    (score, other) = (next(one for one in of["scores"] if one["name"] == "MAE") for of in (back, kept))
    assert score["values"]["input"]["value"] == pytest.approx(other["values"]["input"]["value"])


@pytest.mark.parametrize(("channels", "target_channels"), [(1, 3), (3, 1)])
def test_without_partners_there_are_images_of_whatever_the_model_takes(
    channels, target_channels, place, tmp_path, capsys
):
    source = pairs_source(n=8, channels=channels, target_channels=target_channels)
    model = run_of(tmp_path / "run", "pix2pix", tmp_path / "gone", source=source, target=str(tmp_path / "gone too"))
    for number, words in enumerate((["--images-only"], [])):
        out = tmp_path / f"out {number}"
        assert run("evaluate", model, "--data", place / "held", "--out", out, *words) == 0
        kept = kept_in(out)
        assert (kept["kind"], [score["name"] for score in kept["scores"]]) == ("images", ["checkerboard"])
        assert kept["columns"] == ["input", "pix2pix"]
        assert any("no scores" in note for note in kept["notes"]) is not bool(words)
        assert not (out / "metrics.csv").exists()
        assert (out / "index.html").exists()
    capsys.readouterr()
    assert run("evaluate", model, "--data", place / "held", "--out", tmp_path / "no", "--lpips") == 2
    assert "--features, --lpips and --paired are for images with partners; no scores" in capsys.readouterr().err


def test_models_of_style_are_compared_by_one_painting_whatever_it_is_called(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(features, "open_vgg", lambda *_, **__: random_vgg(LAYERS[-1], width=2))
    noise = Source("noise", Spec(16, 3), ImageBatch(noise_images(8, channels=3)))
    for name, seed in (("a", 500), ("b", 501), ("c", 500)):
        painting = saved(tmp_path / "paintings" / name, [seed]) / f"{seed}.png"
        painting = painting.rename(painting.with_name("painting.png"))
        run_of(tmp_path / "runs" / name, "fast_style", place / "learned", source=noise, style=(str(painting),))
    a, b, c = (tmp_path / "runs" / name for name in "abc")
    words = ["--data", place / "held", "--out"]
    assert run("compare", a, b, *words, tmp_path / "no") == 2
    assert "the models paint in different styles" in capsys.readouterr().err
    assert run("compare", a, c, *words, tmp_path / "same") == 0
    assert len(kept_in(tmp_path / "same")["notes"]) == 1  # what both learned from
    other = saved(tmp_path / "other", [502]) / "502.png"
    assert run("evaluate", a, *words, tmp_path / "other-style", "--style", other) == 0
    note = "fast_style learned the style of painting.png alone, and is evaluated on 502.png"
    assert note in kept_in(tmp_path / "other-style")["notes"]


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="there names are letters")
def test_names_that_are_no_text_are_told_as_far_as_they_are(place, tmp_path):
    data = saved(tmp_path / "data", range(600, 602))
    (data / "600.png").rename(data / os.fsdecode(b"caf\xe9\n.png"))
    assert run("evaluate", place / "pix2pix", "--data", data, "--out", tmp_path / "out") == 0
    rows = csv.DictReader((tmp_path / "out/metrics.csv").read_text(encoding="utf-8").splitlines())
    assert [row["name"] for row in rows] == ["601.png", "caf??.png"]
    assert [one["name"] for one in kept_in(tmp_path / "out")["images"]] == ["601.png", "caf??.png"]

"""What a model's images are worth: known models get the scores they must, and the best save of a run is kept."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from conftest import manifest_of, noise_source, same_weights, train_to
from opening import open_source
from PIL import Image

import ganvas
from ganvas import checkpoint, evaluation, training
from ganvas.checkpoint import Model
from ganvas.checkpoint.manifest import build
from ganvas.cli import main
from ganvas.core.options import Data, TrainOptions
from ganvas.data.batch import ImageBatch, Spec
from ganvas.data.builtin import open_named
from ganvas.errors import DataError, SettingError, UsageError
from ganvas.evaluation.collectors import generated
from ganvas.evaluation.models import Request, contender
from ganvas.evaluation.opening import generators
from ganvas.imaging import images
from ganvas.imaging.images import to_signed
from ganvas.methods._base import BaseConfig, Method
from ganvas.metrics.features import open_features
from ganvas.training import metrics_log, samples

CPU = torch.device("cpu")


class Repeats(Method):
    """Draws the images of a source: of seed k the k-th."""

    Config = BaseConfig
    batch = ImageBatch

    def __init__(self, source):
        super().__init__(BaseConfig(), source.spec)
        self.source = source

    def generate(self, seeds, labels=None):
        return to_signed(self.source.rows([seed % len(self.source) for seed in seeds]).images)


class RepeatsByClass(Repeats):
    """Draws images of the class asked for, or `beside` classes further."""

    by_class = True

    def __init__(self, source, beside=0):
        super().__init__(source)
        self.beside = beside

    def generate(self, seeds, labels=None):
        classes = len(self.spec.classes)
        labels = torch.tensor(seeds) % classes if labels is None else labels
        of = [(self.source.images.labels == k).nonzero()[:, 0] for k in range(classes)]
        chosen = [
            (seed // classes, of[(int(k) + self.beside) % classes]) for seed, k in zip(seeds, labels, strict=True)
        ]
        return to_signed(self.source.rows([int(rows[n % len(rows)]) for n, rows in chosen]).images)


@pytest.fixture(scope="module")
def digits():
    return open_features("digits", device=CPU)


@pytest.fixture(scope="module")
def training_part():
    return open_named("digits", root=Path(), size=28)


@pytest.fixture(scope="module")
def test_part():
    return open_named("digits", root=Path(), size=28, split="test")


def model_of(method, source):
    return Model(method.eval(), manifest_of(source), 7)


def untrained(source):
    torch.manual_seed(0)
    return model_of(build(manifest_of(source)), source)


@pytest.fixture(scope="module")
def of_copies(digits, training_part, test_part):
    some = dataclasses.replace(training_part, images=training_part.some(252))
    model = model_of(Repeats(some), training_part)
    return evaluated(model, test_part, features=digits, count=252, training=training_part)


@pytest.fixture(scope="module")
def of_untrained(digits, training_part, test_part):
    return evaluated(untrained(training_part), test_part, features=digits, count=252, training=training_part)


def evaluated(model, source, *, training=None, **options):
    """What is found of a model by itself."""
    known = {"model": training} if training else None
    return evaluation.evaluate_generated({"model": model}, source, training=known, **options)


def value(found, name):
    return found[name].values["model"].value


def interval(found, name):
    mean = found[name].values["model"]
    return None if mean.low is None else (mean.high - mean.low) / 2


def floors(found):
    """The values of training images, by score."""
    known = {score.name: score.values.get("training images") for score in found.scores}
    return {name: None if mean is None else mean.value for name, mean in known.items()}


def rows_of(found):
    """The drawn images that are shown, and the training images that stand below them."""
    rows = found.grids["nearest"].images.split(evaluation.NEIGHBOURS_SHOWN)
    return torch.cat(rows[::2]), torch.cat(rows[1::2])


# --- the scores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [*(f"{score} (digits)" for score in ("FID", "KID", "precision", "recall", "diversity")), "SWD"]
)
def test_a_model_that_draws_the_training_images_of_the_floor_scores_as_they_do(name, of_copies):
    assert value(of_copies, name) == pytest.approx(floors(of_copies)[name], rel=1e-4)


def test_real_images_score_well_and_an_untrained_model_badly(of_copies, of_untrained):
    for name, times in (("FID (digits)", 10), ("KID (digits)", 10), ("SWD", 5)):
        assert value(of_untrained, name) - interval(of_untrained, name) > times * value(of_copies, name)
    for name in ("precision (digits)", "recall (digits)"):
        assert value(of_untrained, name) < 0.2 < 0.6 < value(of_copies, name)
    assert value(of_copies, "diversity (digits)") == pytest.approx(1, abs=0.2)
    assert value(of_untrained, "diversity (digits)") < 0.8 * value(of_copies, "diversity (digits)")


def test_copies_of_training_images_are_found_out_and_shown(of_copies, of_untrained):
    assert value(of_copies, "copies") > 0.99
    assert value(of_untrained, "copies") < 0.02
    drawn, nearest = rows_of(of_copies)
    assert torch.equal(drawn, nearest)
    assert torch.equal(drawn[-8:], of_copies.grids["samples"].images[:8])
    drawn, nearest = rows_of(of_untrained)
    assert not torch.equal(drawn, nearest)


def test_new_real_images_are_no_copies(digits, training_part, test_part):
    new, unseen = (
        dataclasses.replace(test_part, images=test_part.rows(range(start, 252, 2)), part=f"half {start}")
        for start in (0, 1)
    )
    found = evaluated(model_of(Repeats(new), training_part), unseen, features=digits, count=126, training=training_part)
    assert value(found, "copies") < 0.1


def test_against_its_own_training_images_nothing_is_said_of_copies(digits, training_part):
    model = untrained(training_part)
    found = evaluated(model, training_part, features=digits, count=50, training=training_part)
    assert "copies" not in [score.name for score in found.scores]
    assert set(floors(found).values()) == {None}
    assert "is the training data" in found.protocol["floor"]
    assert torch.equal(rows_of(found)[0][-8:], found.grids["samples"].images[:8])


def test_drawing_what_was_asked_for_is_told_from_drawing_something_else(digits, training_part, test_part):
    right, wrong = (
        evaluated(
            model_of(RepeatsByClass(training_part, beside), training_part),
            test_part,
            features=digits,
            count=600,
            training=training_part,
        )
        for beside in (0, 1)
    )
    floor = floors(right)["asked class"]
    assert value(right, "asked class") == pytest.approx(floor, abs=0.05)
    assert floor > 0.5
    assert 0 < interval(right, "asked class") < 0.05
    assert value(wrong, "asked class") < 0.2
    assert value(right, "diversity (digits)") == pytest.approx(1, abs=0.1)


def test_a_model_that_draws_one_digit_is_found_out_by_its_classes(digits, training_part, test_part):
    ones = dataclasses.replace(
        training_part, images=training_part.rows((training_part.images.labels == 0).nonzero()[:, 0])
    )
    found = evaluated(model_of(Repeats(ones), training_part), test_part, features=digits, count=100)
    assert value(found, "commonest class") > 0.9
    assert value(found, "rarest class") == 0
    assert found.classes["model"]["0"] == round(value(found, "commonest class") * 100)
    assert sum(found.classes["model"].values()) == 100
    assert value(found, "recall (digits)") < 0.4 < value(found, "precision (digits)")


def test_the_same_again_gives_the_same_numbers_and_they_are_json(digits, training_part, test_part, of_untrained):
    again = evaluated(untrained(training_part), test_part, features=digits, count=252, training=training_part)
    text = json.dumps(of_untrained.to_json(), allow_nan=False)
    assert json.dumps(again.to_json(), allow_nan=False) == text
    assert json.loads(text)["models"][0]["step"] == 7
    assert torch.equal(again.grids["nearest"].images, of_untrained.grids["nearest"].images)


@pytest.mark.parametrize("name", ["KID (digits)", "diversity (digits)"])
def test_the_order_of_the_real_images_does_not_matter(name, digits, training_part, test_part, monkeypatch):
    """Folders with a folder for each class come class by class."""
    monkeypatch.setattr("ganvas.metrics.distribution.SPREAD_OVER", 50)  # as 2,000 are of a set of thousands
    flat = dataclasses.replace(training_part, spec=Spec(28, 1))  # a model that knows no classes
    model = model_of(Repeats(flat), flat)
    labels = test_part.images.labels
    torch.manual_seed(0)
    one, other, by_class = (
        evaluated(model, dataclasses.replace(test_part, images=test_part.rows(order)), features=digits, count=100)
        for order in (torch.randperm(len(labels)), torch.randperm(len(labels)), labels.argsort(stable=True))
    )
    near = interval(one, name) + interval(other, name) + 0.1 if interval(one, name) else 0.12
    assert value(other, name) == pytest.approx(value(one, name), abs=near)
    assert value(by_class, name) == pytest.approx(value(one, name), abs=near)


def test_a_handful_of_training_images_is_no_floor(digits, training_part, test_part):
    few = dataclasses.replace(training_part, images=training_part.some(12))
    found = evaluated(untrained(training_part), test_part, features=digits, count=60, training=few)
    assert set(floors(found).values()) == {None}
    assert found.protocol["floor"] == "none: the training data are 12 images"
    assert found.grids["nearest"].images.shape == (32, 1, 28, 28)


def test_large_images_are_kept_small_and_looked_at_whole(digits, training_part, test_part, monkeypatch):
    few = dataclasses.replace(training_part, images=training_part.some(12))
    model = untrained(training_part)
    whole = evaluated(model, test_part, features=digits, count=60, training=few)
    monkeypatch.setattr(generated.images, "ON_A_GRID", 14)
    monkeypatch.setattr(generated, "_BYTES_AT_ONCE", 7 * 28**2)
    found = evaluated(model, test_part, features=digits, count=60, training=few)
    assert found.grids["samples"].images.shape == (60, 1, 14, 14)
    assert found.grids["nearest"].images.shape == (32, 1, 14, 14)
    for name in ("FID (digits)", "SWD"):
        assert value(found, name) == pytest.approx(value(whole, name), rel=1e-4)


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_too_few_images_are_refused(digits, training_part, test_part):
    model = untrained(training_part)
    with pytest.raises(DataError, match=r"49 generated images and 252 of digits.*50 or more"):
        evaluated(model, test_part, features=digits, count=49)
    few = dataclasses.replace(test_part, images=test_part.some(49))
    with pytest.raises(DataError, match=r"100 generated images and 49 of digits.*50 or more"):
        evaluated(model, few, features=digits, count=100)


def test_grey_and_colour_are_not_compared(digits, test_part):
    colour, grey = noise_source(n=60, channels=3), noise_source(n=60)
    with pytest.raises(DataError, match="noise is colour and the model generates grey"):
        evaluated(untrained(grey), colour, features=digits, count=60)
    with pytest.raises(DataError, match="digits is grey and the model generates colour"):
        evaluated(untrained(colour), test_part, features=digits, count=60)
    with pytest.raises(UsageError, match="`features` inception"):
        evaluated(untrained(colour), colour, features=digits, count=60)


# --- what it writes -------------------------------------------------------------------------------------------------


def test_what_is_written_can_be_read_back(of_untrained, tmp_path):
    paths = evaluation.write(tmp_path, of_untrained)
    assert {path.name for path in paths.values()} == {"metrics.json", "timing.json", "samples.png", "nearest.png"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths.values()}
    assert json.loads(paths["numbers"].read_text()) == of_untrained.to_json()
    with Image.open(paths["samples"]) as grid, Image.open(paths["nearest"]) as pairs:
        side = images.enlarge(of_untrained.grids["samples"].images).shape[-1] + 2
        assert grid.size == (10 * side + 2,) * 2
        assert grid.getextrema()[0] < grid.getextrema()[1]
        assert (pairs.width - 2) / (pairs.height - 2) == 8 / 4


def test_without_the_training_images_there_is_no_floor_and_no_nearest(digits, training_part, test_part, tmp_path):
    found = evaluated(untrained(training_part), test_part, features=digits, count=60)
    assert set(floors(found).values()) == {None}
    assert not evaluation.write(tmp_path, found).keys() & {"nearest"}
    assert not (tmp_path / "nearest.png").exists()


# --- on the command line --------------------------------------------------------------------------------------------


def evaluate(run, out, *more, data="digits"):
    words = ["evaluate", run, "--data", data, "--out", out, "--count", 60, "--features", "digits", "--device", "cpu"]
    return main([str(word) for word in [*words, *more]])


def test_evaluate_shows_its_scores_and_keeps_them(digits_run, tmp_path, capsys):
    assert evaluate(digits_run, tmp_path / "out") == 0
    said = capsys.readouterr().out
    kept = json.loads((tmp_path / "out/metrics.json").read_text())
    assert kept["protocol"]["reference"].startswith("252 images of digits (test), scaled to 16x16")
    assert kept["protocol"]["floor"].startswith("60 images of digits (train)")
    assert "FID (digits)" in said
    for score in kept["scores"]:
        assert f"{score['values']['gan']['value']:.4g}" in said
    assert str(tmp_path / "out/nearest.png") in said


def test_evaluate_speaks_json_and_evaluates_a_single_file_as_its_run(digits_run, tmp_path, capsys):
    assert evaluate(digits_run, tmp_path / "one", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "one/metrics.json").read_text())
    (file,) = digits_run.glob("step-*/weights.safetensors")
    assert evaluate(file.rename(tmp_path / "model.safetensors"), tmp_path / "two", "--json") == 0
    assert json.loads(capsys.readouterr().out) == told


def test_evaluate_without_the_training_images_says_so(tmp_path, capsys):
    source = dataclasses.replace(noise_source(), name=str(tmp_path / "gone"))
    train_to(tmp_path / "run", 1, source=source, manifest=manifest_of(source))
    assert evaluate(tmp_path / "run", tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert any("were not found" in note for note in told["notes"])
    assert told["baselines"] == {}


def test_evaluate_replaces_nothing_unless_asked(digits_run, tmp_path, capsys):
    assert evaluate(digits_run, tmp_path) == 0
    assert evaluate(digits_run, tmp_path) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert evaluate(digits_run, tmp_path, "--overwrite") == 0


def test_a_report_names_its_scores_holds_their_values_and_replaces_no_other(digits_run, tmp_path):
    found = ganvas.evaluate(digits_run, "digits", count=60, device="cpu")
    assert found.names == [re.sub(r"\W+", "_", score.name.lower()).strip("_") for score in found]
    assert found["fid_digits"] is found["FID (digits)"]
    mean = found["fid_digits"].values["gan"]
    assert mean.low < mean.value == found["fid_digits"].value < mean.high
    with pytest.raises(SettingError, match="psnr: not among the scores"):
        found["psnr"]

    first, *rest = found.save(tmp_path / "out")
    assert {file.name for file in (first, *rest)} >= {"index.html", "report.md", "metrics.json", "samples.png"}
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == found.to_json()
    first.write_text("mine")
    with pytest.raises(UsageError, match=r"metrics\.json is already there; .*`overwrite`"):
        found.save(tmp_path / "out")
    assert first.read_text() == "mine"
    found.save(tmp_path / "out", overwrite=True)
    assert first.read_text() != "mine"


def test_a_model_file_is_not_held_against_another_set_of_the_same_name(tmp_path, photos):
    """A model keeps the folder's last name; `digits`, grey, is also a data set."""
    mine = photos.rename(tmp_path / "digits")
    source = open_source(str(mine), root=tmp_path, size=16)
    train_to(tmp_path / "run", 1, source=source, manifest=manifest_of(source))
    run, alone = tmp_path / "run", tmp_path / "alone.safetensors"
    (file,) = run.glob("step-*/weights.safetensors")
    alone.write_bytes(file.read_bytes())

    def training_source(path):
        one = contender(path, checkpoint.load(path, CPU))
        return generators._training_source(one.manifest, Request({"gan": one}, Data(str(mine), root=tmp_path)))

    for path in (run, file.parent, file):
        assert training_source(path)[0].name == str(mine)
    source, said = training_source(alone)
    assert source is None
    assert "other data of that name" in said


@pytest.mark.parametrize(
    "more",
    [
        ["--features", "inception", "--inception-weights", "nosuch"],
        ["--inception-weights", "nosuch"],
        ["--features", "eyes"],
        ["--data", "nosuch"],
        ["--count", "0"],
        ["--count", "49"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_evaluated_is_one_line_and_status_2(more, digits_run, tmp_path, capsys):
    words = ["evaluate", str(digits_run), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*words, *([] if "--data" in more else ["--data", "digits"]), *more]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ganvas: ")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_network_that_is_missing_is_said_before_training_images_are_searched(tmp_path, photos, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setattr(generators, "without_known", lambda *_, **__: pytest.fail("searched"))
    source = noise_source(channels=3)
    train_to(tmp_path / "run", 1, source=source, manifest=manifest_of(source))
    words = ["--data", str(photos), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["evaluate", str(tmp_path / "run"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--features digits" in line


def test_colour_cannot_be_evaluated_by_the_digit_network(tmp_path, photos, capsys):
    for path in list(photos.iterdir()):
        for i in range(5):
            (photos / f"{path.stem}-{i}{path.suffix}").write_bytes(path.read_bytes())
    source = noise_source(channels=3)
    train_to(tmp_path / "run", 1, source=source, manifest=manifest_of(source))
    assert evaluate(tmp_path / "run", tmp_path / "out", data=photos) == 2
    assert "--features inception" in capsys.readouterr().err.splitlines()[-1]


def test_of_a_large_reference_a_part_is_taken_evenly_and_the_protocol_says_so(
    digits, training_part, test_part, monkeypatch
):
    monkeypatch.setattr(generated, "MOST", 100)
    found = evaluated(untrained(training_part), test_part, features=digits, count=60)
    assert found.protocol["reference"].startswith("100 images of digits (test)")
    assert found["SWD"].n == 60
    assert "random ones of the larger" in found.protocol["SWD"]


# --- while training -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["fid", "kid"])
def test_the_score_in_training_is_that_of_evaluate(by, digits, training_part, test_part):
    model = untrained(training_part)
    name, told = evaluation.scorer(test_part, digits, count=252, by=by)(model.method)
    assert name == f"{by.upper()} (digits)"
    of_evaluate = value(evaluated(model, test_part, features=digits, count=252), name)
    assert told == pytest.approx(of_evaluate, rel=1e-6)


def test_being_scored_does_not_change_what_is_learned(digits, tmp_path):
    source = open_named("digits", root=Path(), size=16)
    manifest = manifest_of(source)
    score = evaluation.scorer(source, digits, count=60)
    scored = train_to(tmp_path / "scored", 6, source=source, manifest=manifest, score=score, validate_every=2)
    assert same_weights(scored, train_to(tmp_path / "plain", 6, source=source, manifest=manifest))


def scores(*values):
    """A function that scores these numbers, one after the other."""
    left = iter(values)
    return lambda method: ("FID (digits)", next(left))


def test_the_weights_of_the_lowest_score_are_kept(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    run = tmp_path / "run"
    train_to(run, 9, source=source, manifest=manifest, score=scores(5.0, 3.0, 1.5, 2.0, 4.0), validate_every=2)
    assert checkpoint.best(run) == checkpoint.Best(6, "FID (digits)", 1.5)
    kept = checkpoint.load(run / "best", CPU)
    assert (kept.step, checkpoint.load(run, CPU).step) == (6, 9)
    assert same_weights(kept.method, train_to(tmp_path / "six", 6, source=source, manifest=manifest))
    said = {
        record["step"]: record["score FID (digits)"]
        for record in metrics_log.read(run)
        if "score FID (digits)" in record
    }
    assert said == {2: 5.0, 4: 3.0, 6: 1.5, 8: 2.0, 9: 4.0}  # and at the end


def test_going_on_keeps_the_best_until_there_is_a_better_one(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 4, source=source, manifest=manifest, score=scores(1.0, 3.0), validate_every=2)
    first = (tmp_path / "best/weights.safetensors").read_bytes()
    train_to(tmp_path, 8, source=source, manifest=manifest, score=scores(2.0, 1.5), validate_every=2)
    assert (tmp_path / "best/weights.safetensors").read_bytes() == first
    assert checkpoint.best(tmp_path) == checkpoint.Best(2, "FID (digits)", 1.0)
    train_to(tmp_path, 9, source=source, manifest=manifest, score=scores(0.5), validate_every=10)
    assert checkpoint.best(tmp_path) == checkpoint.Best(9, "FID (digits)", 0.5)


def test_a_best_by_another_score_is_not_compared_with(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    for steps, name, value in ((2, "FID", 3.0), (4, "KID", 5.0), (6, "KID", 6.0)):
        train_to(
            tmp_path, steps, source=source, manifest=manifest, score=lambda _, it=(name, value): it, validate_every=2
        )
    assert checkpoint.best(tmp_path) == checkpoint.Best(4, "KID", 5.0)


def test_a_best_that_the_disk_has_damaged_makes_room_for_a_whole_one(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 2, source=source, manifest=manifest, score=scores(1.0), validate_every=2)
    file = tmp_path / "best/weights.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert checkpoint.best(tmp_path) is None
    train_to(tmp_path, 4, source=source, manifest=manifest, score=scores(7.0), validate_every=2)
    assert checkpoint.best(tmp_path) == checkpoint.Best(4, "FID (digits)", 7.0)
    assert checkpoint.load(tmp_path / "best", CPU).step == 4


def test_the_progress_tells_the_newest_score(tmp_path, monkeypatch):
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)
    source = noise_source()
    manifest = manifest_of(source)
    events = training.train(
        tmp_path,
        source,
        training.start(tmp_path, source, manifest),
        training.Plan(
            manifest=manifest,
            device=CPU,
            limit=training.Limit(steps=5),
            score=scores(3.0, 2.0, 1.0),
            options=TrainOptions(validate_every=2),
        ),
    )
    told = [event.score and event.score.value for event in events]
    assert told == [None, None, 3.0, 3.0, 2.0, 1.0]


def test_the_curves_have_a_panel_of_scores_where_there_are_some(tmp_path, monkeypatch):
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)
    source = noise_source()
    manifest = manifest_of(source)
    heights = []
    for name, options in (("plain", {}), ("scored", {"score": scores(3.0, 0.0, 2.0), "validate_every": 2})):
        train_to(tmp_path / name, 6, source=source, manifest=manifest, **options)
        path = samples.draw_curves(tmp_path / name)
        assert path == tmp_path / name / "losses.png"
        with Image.open(path) as image:
            image.load()
            heights.append(image.height)
    assert heights[1] > 1.3 * heights[0]


def test_train_with_validate_every_tells_and_keeps_the_best(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ganvas.api.training.VALIDATED", 60)
    run = tmp_path / "run"
    words = ["train", "gan", "--data", "digits", "--run", str(run), "--device", "cpu", "--precision", "fp32"]
    small = ["--generator", "16", "--discriminator", "16", "--batch", "8", "--steps", "5", "--validate-every", "2"]
    assert main([*words, *small]) == 0
    best = checkpoint.best(run)
    assert f"best: FID (digits) {best.value:.3g} after {best.step} steps, kept in {run / 'best'}" in " ".join(
        capsys.readouterr().out.split()
    )
    logged = [record["score FID (digits)"] for record in metrics_log.read(run) if "score FID (digits)" in record]
    assert len(logged) == 3
    assert best.value == min(logged)
    assert main(["generate", str(run / "best"), "--count", "1", "--out", str(tmp_path / "x.png")]) == 0
    assert evaluate(run / "best", tmp_path / "out") == 0

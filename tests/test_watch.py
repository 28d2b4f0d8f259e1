"""The eye on a training: what goes wrong for real is said, and what goes well is not."""

import json
import math
from pathlib import Path

import pytest
import torch
from conftest import manifest_of, noise_source, pairs_source, same_weights, small_config, source_for, train_to
from scipy.spatial import distance
from torch import nn

from ganvas import checkpoint, methods, training
from ganvas.checkpoint.manifest import build
from ganvas.cli import main
from ganvas.cli.sentences import with_flags
from ganvas.data.batch import PairBatch, Source, Spec
from ganvas.data.builtin import open_named
from ganvas.errors import DivergedError
from ganvas.methods._base import Method
from ganvas.training import diagnostics, metrics_log

CPU = torch.device("cpu")
IDLE = {"learning_rate": 0.0, "batch_norm": False}
LOG_4 = math.log(4)
WON = {"r1": 0.0, "learning_rate": 5e-3, "discriminator": (128,), "discriminator_steps": 20}
COLLAPSE = {  # the textbook's gan, only quicker
    "r1": 0.0, "batch_norm": False, "beta1": 0.9, "ema": 0.0, "learning_rate": 5e-3, "batch": 32,
    "generator": (64, 64), "discriminator": (128, 128),
}  # fmt: skip
HEALTHY = {"batch": 32, "generator": (64, 64), "discriminator": (64, 64)}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look at every step, and say at once what would else take minutes."""
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)
    monkeypatch.setattr(diagnostics, "LOOK_SECONDS", 0)
    monkeypatch.setattr(diagnostics, "LOSS_STEPS", 20)
    monkeypatch.setattr(diagnostics, "YOUNG", 100)
    monkeypatch.setattr(diagnostics, "IDLE_STEPS", 20)
    monkeypatch.setattr(diagnostics, "YOUNG_TRANSLATOR", 10)


@pytest.fixture(scope="module")
def digits():
    return open_named("digits", root=Path(), size=16)


def events_of(run, source, steps, *, name="gan", flat=False, **config):
    """Every event of a training with these settings, from a flat generator on if asked for."""
    manifest = manifest_of(source, name, config=small_config(name, **config))
    method = training.start(run, source, manifest)
    if flat:
        flatten(method.generator)
    budget = training.Limit(steps=steps)
    return list(training.train(run, source, method, training.Plan(manifest=manifest, device=CPU, limit=budget)))


def flatten(generator):
    """Make a generator whose output is of one colour: its last layer keeps nothing but the bias."""
    last = [layer for layer in generator.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))][-1]
    nn.init.zeros_(last.weight)
    nn.init.uniform_(last.bias)


def kinds(event):
    return {warning.kind for warning in event.warnings}


def warning_of(event, kind):
    return next(warning for warning in event.warnings if warning.kind == kind)


def said(run):
    """The lines of words in the log."""
    records = [json.loads(line) for line in (run / metrics_log.LOG).read_text().splitlines()]
    return [(record["step"], record["warning"]) for record in records if "warning" in record]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_discriminator_that_has_won_is_told_with_what_to_try(tmp_path):
    events = events_of(tmp_path, noise_source(), 70, **WON)
    low = [event.step for event in events if event.losses and event.losses["discriminator"] < diagnostics.WON * LOG_4]
    first = next(event for event in events if "the discriminator has won" in kinds(event))
    warning = warning_of(first, "the discriminator has won")
    assert warning.since in low
    assert set(range(warning.since, first.step + 1)) <= set(low)
    assert first.step - warning.since == diagnostics.LOSS_STEPS
    for advice in ("`r1` 1", "`discriminator_steps` 1", "`augment`", "`learning_rate`"):
        assert advice in warning.sentence


def test_a_discriminator_that_gives_up_is_told(tmp_path):
    events = events_of(tmp_path, noise_source(), 90, r1=1e4)  # so heavy a penalty leaves it flat
    first = next(event for event in events if "the discriminator has given up" in kinds(event))
    warning = warning_of(first, "the discriminator has given up")
    since = [event for event in events if event.losses and warning.since <= event.step <= first.step]
    assert all(event.losses["discriminator"] > diagnostics.GIVEN_UP * LOG_4 for event in since)
    assert first.step - warning.since == diagnostics.LOSS_STEPS
    assert "a smaller `r1`" in warning.sentence


def test_a_generator_that_collapses_is_told(tmp_path, digits):
    events = events_of(tmp_path, digits, 130, **COLLAPSE)
    assert "collapse" in kinds(events[-1])
    warning = warning_of(events[-1], "collapse")
    assert warning.since >= diagnostics.YOUNG
    assert not any("collapse" in kinds(event) for event in events[: diagnostics.YOUNG])
    assert "`r1` 1" in warning.sentence
    drawn = checkpoint.load(tmp_path, CPU).method.generate(list(range(64))).detach().flatten(1)
    real = digits.some(64).signed().images.flatten(1)
    assert diagnostics.distinctness(drawn) < diagnostics.COLLAPSED * diagnostics.distinctness(real)


def test_a_generator_that_stands_still_is_told(tmp_path):
    events = events_of(tmp_path, noise_source(), 70, **IDLE)
    assert "idle generator" in kinds(events[-1])
    assert not kinds(events[20])
    assert "a larger `learning_rate`" in warning_of(events[-1], "idle generator").sentence


def test_a_translator_whose_output_is_flat_is_told(tmp_path):
    events = events_of(tmp_path, pairs_source(channels=3), 14, name="pix2pix", flat=True, learning_rate=0.0, ema=0.0)
    first = next(event for event in events if "flat output" in kinds(event))
    assert first.step == diagnostics.YOUNG_TRANSLATOR + diagnostics.TIMES - 1
    warning = warning_of(first, "flat output")
    assert warning.since == diagnostics.YOUNG_TRANSLATOR
    assert "its output images have 0.0% of the contrast of real targets: they are nearly one colour" in warning.sentence
    assert "discriminator" not in warning.sentence
    assert "a smaller `learning_rate`" in warning.sentence
    assert said(tmp_path) == [(first.step, f"flat output: {warning.sentence}")]


def test_a_translator_that_turns_small_glyphs_into_white_images_is_told(tmp_path):
    """White is nearest to all of them in L1, and a generator without skips finds it first."""
    images = torch.full((64, 1, 16, 16), 255, dtype=torch.uint8)
    places = torch.randint(1, 13, (64, 2), generator=torch.Generator().manual_seed(0))
    for image, (top, left) in zip(images, places.tolist(), strict=True):
        image[:, top : top + 3, left : left + 2] = 0
    source = Source("glyphs", Spec(16, 1, target_channels=1), PairBatch(255 - images, images))
    without_skips = {"generator": "encoder_decoder", "levels": 4, "learning_rate": 4e-3, "ema": 0.0}
    events = events_of(tmp_path, source, 80, name="pix2pix", **without_skips)
    assert "`generator` unet" in warning_of(events[-1], "flat output").sentence
    pairs = source.some(64).signed()
    made = checkpoint.load(tmp_path, CPU).method.eval().translate(pairs.source).detach()
    assert made.mean() > 0.9
    assert diagnostics.contrast(made) < diagnostics.FLAT * diagnostics.contrast(pairs.target)


def test_numbers_that_run_away_stop_with_what_to_try_and_a_whole_save(tmp_path):
    source = noise_source()
    manifest = manifest_of(source, config=small_config("gan", learning_rate=1.0, discriminator=(128,) * 24))
    with pytest.raises(DivergedError, match=r"(loss is|is not finite) .* step \d+;.*`learning_rate`") as error:
        train_to(tmp_path, 60, source=source, manifest=manifest, save_every=1)
    newest = checkpoint.checkpoints(tmp_path)[-1]
    assert f"the last whole checkpoint is {newest}" in str(error.value)
    step = checkpoint.resume(tmp_path, build(manifest))[0]
    assert step == int(newest.name.removeprefix("step-")) >= 1
    assert all(weight.isfinite().all() for weight in checkpoint.load(tmp_path, CPU).method.state_dict().values())


# --- what goes well -------------------------------------------------------------------------------------------------


def test_a_healthy_training_is_left_in_peace(tmp_path, digits):
    events = events_of(tmp_path, digits, 300, **HEALTHY)
    assert not set().union(*map(kinds, events))
    assert said(tmp_path) == []


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_a_healthy_translator_is_left_in_peace(name, tmp_path, digits):
    images = digits.some(64).images
    spec, pairs = Spec(16, 1, target_channels=1), methods.get(name).batches[0](255 - images, images)
    events = events_of(tmp_path, Source("negatives", spec, pairs), 60, name=name, learning_rate=1e-3)
    assert not set().union(*map(kinds, events))
    assert said(tmp_path) == []


@pytest.mark.parametrize(("name", "changes"), [("gan", {}), ("pix2pix", {"dropout": 0.5}), ("cyclegan", {})])
def test_being_watched_does_not_change_what_is_learned(name, changes, tmp_path, monkeypatch):
    source = source_for(name)
    manifest = manifest_of(source, name, config=small_config(name, **changes))
    watched = train_to(tmp_path / "watched", 8, source=source, manifest=manifest)
    monkeypatch.setattr(diagnostics, "LOOK_SECONDS", 1000)
    assert same_weights(watched, train_to(tmp_path / "alone", 8, source=source, manifest=manifest))


@pytest.mark.parametrize("name", methods.names())
def test_every_method_can_be_watched(name, tmp_path):
    source = source_for(name)
    train_to(tmp_path, 4, source=source, manifest=manifest_of(source, name))
    assert said(tmp_path) == []


# --- where it is said -----------------------------------------------------------------------------------------------


def test_a_warning_is_logged_once_outlives_a_rewind_and_is_no_number(tmp_path):
    events = events_of(tmp_path, noise_source(), 90, **IDLE)
    first = next(event for event in events if "idle generator" in kinds(event))
    warning = warning_of(first, "idle generator")
    assert said(tmp_path).count((first.step, f"idle generator: {warning.sentence}")) == 1
    assert [record["step"] for record in metrics_log.read(tmp_path)] == list(range(1, 91))
    metrics_log.rewind(tmp_path, step=first.step)
    assert said(tmp_path)[-1] == (first.step, f"idle generator: {warning.sentence}")
    assert metrics_log.read(tmp_path)[-1]["step"] == first.step
    metrics_log.rewind(tmp_path, step=first.step - 1)
    assert all(step < first.step for step, _ in said(tmp_path))


def test_the_command_line_says_it_on_the_way_and_at_the_end(tmp_path, capsys):
    words = ["train", "gan", "--data", "digits", "--run", str(tmp_path / "run"), "--device", "cpu"]
    small = ["--generator", "16", "--discriminator", "16", "--batch", "8", "--precision", "fp32"]
    assert main([*words, *small, "--no-batch-norm", "--learning-rate", "0", "--steps", "70"]) == 0
    captured = capsys.readouterr()
    assert said(tmp_path / "run")
    for step, sentence in said(tmp_path / "run"):
        assert captured.err.count(f"watch, step {step}: {with_flags(sentence)}") == 1
        assert captured.out.count(with_flags(sentence)) == 1
    assert "watch, since step" in captured.out


# --- how it judges --------------------------------------------------------------------------------------------------


class Draws(Method):
    """Draws what it is given, one after the other."""

    def __init__(self, *drawn):
        source = noise_source()
        super().__init__(small_config("gan"), source.spec)
        self.drawn = list(drawn)

    def generate(self, seeds, labels=None):
        return self.drawn.pop(0)[: len(seeds)]


def real():
    return noise_source(n=64).some(64).signed()


def test_one_look_is_chance_and_three_are_not():
    same, different = torch.zeros(64, 1, 16, 16), real().images
    eye = diagnostics.Diagnostics(Draws(same, same, different, same, same, same, different), real())
    seen = []
    for step in range(1000, 1007):
        eye.check_samples(step)
        seen.append("collapse" in eye.standing)
    assert seen == [False] * 5 + [True, False]


@pytest.mark.parametrize(("size", "images"), [(16, 64), (256, 64), (512, 16), (1024, 8)])
def test_of_large_images_fewer_are_looked_at(size, images):
    asked = []
    method = Draws()
    method.spec = Spec(size, 1)
    method.generate = lambda seeds: asked.append(len(seeds)) or torch.zeros(len(seeds), 1, 16, 16)
    diagnostics.Diagnostics(method, real()).check_samples(0)
    assert diagnostics.looked_at(size) == images
    assert asked == [images]


def test_a_warning_names_the_step_at_which_it_was_first_seen():
    same = torch.zeros(64, 1, 16, 16)
    eye = diagnostics.Diagnostics(Draws(*[same] * 4), real())
    for step in (1000, 1100, 1200, 1300):
        eye.check_samples(step)
    assert eye.standing["collapse"].since == 1000
    assert eye.standing["idle generator"].since == 1100


def test_a_loss_that_recovers_takes_the_warning_back():
    eye = diagnostics.Diagnostics(Draws(), real())
    for step, loss in ((10, 0.01), (30, 0.01), (31, 0.01)):
        eye.check_losses(step, {"discriminator": loss})
    assert eye.standing["the discriminator has won"].since == 10
    eye.check_losses(32, {"discriminator": 0.5})
    assert not eye.standing
    eye.check_losses(33, {"discriminator": 0.01})
    assert not eye.standing
    eye.check_losses(60, {"critic": -3.0})
    assert not eye.standing


def test_a_young_generator_may_draw_one_blob():
    same = torch.zeros(64, 1, 16, 16)
    eye = diagnostics.Diagnostics(Draws(*[same] * 6), real())
    for step in range(94, 100):
        eye.check_samples(step)
    assert "collapse" not in eye.standing


def test_distinctness_is_the_mean_distance_to_the_most_similar_other_one():
    rows = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    rows[7] = rows[8]
    apart = distance.squareform(distance.pdist(rows.double().numpy()))
    apart[range(40), range(40)] = float("inf")
    assert diagnostics.distinctness(rows) == pytest.approx(apart.min(1).mean(), rel=1e-5)
    assert diagnostics.distinctness(rows[:1]) == 0
    assert diagnostics.distinctness(rows[:1].expand(9, -1)) == 0


# --- flat output ----------------------------------------------------------------------------------------------------


def translator(name="pix2pix", **changes):
    """A translator before its first step, which uses its last weights, and what it learns from."""
    source = source_for(name, channels=3)
    torch.manual_seed(0)
    return methods.get(name)(small_config(name, ema=0.0, **changes), source.spec).train(), source.some(8).signed()


def looks(eye, number=diagnostics.TIMES):
    """The sentence on flat output after so many looks; None where there is none."""
    for step in range(1000, 1000 + number):
        eye.check_samples(step)
    alarm = eye.standing.get("flat output")
    return alarm.sentence if alarm else None


def test_flat_output_is_told_after_three_looks_in_a_row_and_goes_away_again():
    method, pairs = translator()
    eye, contrasty = (
        diagnostics.Diagnostics(method, pairs),
        {key: value.clone() for key, value in method.state_dict().items()},
    )
    assert looks(eye, 10) is None
    flatten(method.generator)
    assert looks(eye, diagnostics.TIMES - 1) is None
    method.load_state_dict(contrasty)
    assert looks(eye, 1) is None
    flatten(method.generator)
    assert looks(eye, diagnostics.TIMES - 1) is None
    assert looks(eye, 1)
    method.load_state_dict(contrasty)
    assert looks(eye, 1) is None


def test_a_young_translator_may_be_flat():
    method, pairs = translator()
    flatten(method.generator)
    eye = diagnostics.Diagnostics(method, pairs)
    for step in range(diagnostics.YOUNG_TRANSLATOR):
        eye.check_samples(step)
    assert not eye.standing


def test_flat_output_is_right_where_targets_are_flat():
    method, pairs = translator()
    flatten(method.generator)
    for levels, told in ((0, False), (3, False), (12, True)):
        coins = torch.randint(0, 2, pairs.target.shape, generator=torch.Generator().manual_seed(0))
        target = 0.3 + (2 * coins - 1) * levels / 127.5
        assert bool(looks(diagnostics.Diagnostics(method, PairBatch(pairs.source, target)))) == told
    assert looks(diagnostics.Diagnostics(method, pairs))


def test_a_few_targets_with_contrast_among_flat_ones_are_enough():
    method, pairs = translator()
    target = torch.ones_like(pairs.target)
    target[4:] = pairs.target[4:]  # the second half, of which a look takes two
    white = torch.ones(4, 3, 16, 16)
    for first, told in ((white[:1], True), (target[4:5], False)):  # the second look sees contrast in one of four
        method.translate = lambda images, direction, first=first: torch.cat([first, white[1:]])
        assert bool(looks(diagnostics.Diagnostics(method, PairBatch(pairs.source, target)))) == told


def test_of_lab_targets_the_colours_are_compared():
    source = pairs_source(n=8, target_channels=2)
    method = methods.get("pix2pix")(small_config("pix2pix", ema=0.0), source.spec)
    flatten(method.generator)
    pairs = source.some(8).signed()
    assert "its output colours have 0.0% of the contrast of real targets" in looks(
        diagnostics.Diagnostics(method, pairs)
    )
    grey = PairBatch(pairs.source, torch.zeros_like(pairs.target))
    assert looks(diagnostics.Diagnostics(method, grey)) is None


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_each_direction_is_looked_at_and_named(direction):
    method, pairs = translator("cyclegan")
    assert looks(diagnostics.Diagnostics(method, pairs)) is None
    flatten(method.generators[direction])
    assert f"in the direction {direction}" in looks(diagnostics.Diagnostics(method, pairs))
    flat_targets = {"ab": PairBatch(pairs.source, torch.ones_like(pairs.target))}
    flat_targets["ba"] = PairBatch(torch.ones_like(pairs.source), pairs.target)
    assert looks(diagnostics.Diagnostics(method, flat_targets[direction])) is None


def test_flat_output_of_a_generator_against_a_discriminator_that_has_won_says_so():
    method, pairs = translator()
    flatten(method.generator)
    eye, won = diagnostics.Diagnostics(method, pairs), "the discriminator has won: its loss is below 0.05"
    eye.check_losses(999, {"discriminator": 0.01})
    assert won in looks(eye)
    assert eye.standing.keys() == {"flat output"}

    eye = diagnostics.Diagnostics(method, pairs)
    eye.check_losses(999, {"discriminator": 0.5})
    assert won not in looks(eye)
    since = eye.standing["flat output"].since
    eye.check_losses(1009, {"discriminator": 0.01})  # it wins later: said again, once
    assert won in looks(eye, 1)
    assert eye.standing["flat output"].since == since
    again = eye.standing["flat output"]
    for step, loss in ((1010, 0.5), (1011, 0.01)):
        eye.check_losses(step, {"discriminator": loss})
        eye.check_samples(step)
        assert eye.standing["flat output"] is again


@pytest.mark.parametrize(
    ("name", "changes", "advice"),
    [
        ("pix2pix", {}, "try a smaller `learning_rate`"),
        ("pix2pix", {"generator": "encoder_decoder"}, "try a smaller `learning_rate` or `generator` unet"),
        ("autoencoder", {"loss": "l1"}, "try `loss` l2 or a smaller `learning_rate`"),
        ("autoencoder", {"loss": "l2"}, "try a smaller `learning_rate`"),
    ],
)
def test_what_to_try_against_flat_output_is_what_the_method_has(name, changes, advice):
    method, pairs = translator(name, **changes)
    flatten(method.generator)
    assert looks(diagnostics.Diagnostics(method, pairs)).endswith(advice)


def test_a_look_takes_few_images_and_leaves_the_mode_and_the_random_numbers_as_they_are():
    for name, size, number in (("pix2pix", 16, 4), ("cyclegan", 16, 2), ("pix2pix", 512, 2), ("cyclegan", 512, 1)):
        method, pairs = translator(name, **({"dropout": 0.5} if name == "pix2pix" else {}))
        method.spec = Spec(size, 3, target_channels=3)
        translate, given = method.translate, []

        def recorded(images, direction, translate=translate, given=given, method=method):
            given.append((len(images), direction))
            assert not method.training
            return translate(images, direction)

        method.translate = recorded
        eye, state = diagnostics.Diagnostics(method, pairs), torch.get_rng_state()
        eye.check_samples(1000)
        assert given == [(number, direction) for direction in method.directions]
        assert all(module.training for module in method.modules())
        assert torch.equal(torch.get_rng_state(), state)


def test_contrast_is_the_deviation_over_the_pixels_of_a_channel():
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    deviations = images.double().numpy().std((2, 3))  # (N, C)
    assert diagnostics.contrast(images) == pytest.approx(((deviations**2).mean(1) ** 0.5).mean(), rel=1e-5)
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    assert diagnostics.contrast(red) == 0

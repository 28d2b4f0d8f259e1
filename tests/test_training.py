"""The loop: budgets, what it logs, and how it stops when something goes wrong."""

import itertools
import json
import time

import numpy as np
import pytest
import torch
from conftest import (
    manifest_of,
    noise_source,
    pairs_source,
    same_weights,
    small_config,
    source_for,
    train_to,
    unpaired_source,
)
from PIL import Image

from ganvas import checkpoint, training
from ganvas.checkpoint.manifest import build
from ganvas.core.options import Budget, Data, TrainOptions
from ganvas.data import tasks
from ganvas.data.tasks._pairs import pairs_from
from ganvas.errors import DataError, DivergedError, ModelError, SettingError
from ganvas.imaging import images as imaging
from ganvas.inference.generate import draw
from ganvas.training import metrics_log, samples
from ganvas.training.events import Note
from ganvas.training.session import Job, train_job

CPU = torch.device("cpu")


@pytest.mark.parametrize("unit", ["steps", "epochs", "minutes"])
@pytest.mark.parametrize("length", [0, -1, float("nan")])
def test_no_time_to_train_in_is_refused(unit, length):
    with pytest.raises(SettingError, match=f"`{unit}`"):
        training.limit_of(manifest_of(noise_source()), Budget(**{unit: length}))


def test_endless_epochs_are_refused():
    with pytest.raises(SettingError, match="`epochs` is inf"):
        training.limit_of(manifest_of(noise_source()), Budget(epochs=float("inf")))


@pytest.mark.parametrize("length", [{"epochs": 1e308}, {"epochs": 1e15}, {"steps": 2**31}, {"minutes": 1e12}], ids=str)
def test_a_training_longer_than_any_is_refused_in_one_line(length):
    with pytest.raises(SettingError, match="too long; a training has less than") as error:
        training.limit_of(manifest_of(noise_source()), Budget(**length))
    assert len(str(error.value)) < 300


def test_it_goes_on_where_its_data_moved_and_says_so_and_says_where_files_changed(tmp_path, photos):
    def notes(folder, steps):
        job = Job("gan", small_config("gan", batch=4), Data(str(folder), size=16), tmp_path / "run", Budget(steps))
        return [event.text for event in train_job(job) if isinstance(event, Note)]

    assert notes(photos, 1) == notes(photos, 2) == []
    moved = photos.rename(tmp_path / "moved")
    assert notes(moved, 3) == [
        f"the data of this run were in {photos} and are in {moved} now: the same names and sizes"
    ]
    assert notes(moved, 4) == []
    assert checkpoint.read_run(tmp_path / "run").data == str(moved)
    with Image.open(moved / "1.jpg") as image:
        image.rotate(90).save(moved / "1.jpg", quality=50)
    assert notes(moved, 5) == [f"{moved}: files have other names or sizes than when this run began"]
    (moved / "2.jpeg").unlink()
    assert notes(moved, 6) == [f"{moved} held 12 images when this run began and holds 11 now"]
    with pytest.raises(ModelError, match="data is"):
        notes(moved.rename(tmp_path / "again"), 7)


def test_epochs_become_steps_and_the_recipe_says_how_many_where_nobody_does():
    manifest = manifest_of(noise_source(n=32), config=small_config("gan", batch=10, epochs=5))
    assert training.limit_of(manifest, Budget()) == training.Limit(steps=16)
    assert training.limit_of(manifest, Budget(epochs=0.5)) == training.Limit(steps=2)
    assert training.limit_of(manifest, Budget(minutes=2)) == training.Limit(seconds=120)


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(tmp_path):
    source = noise_source(n=4)
    with pytest.raises(DataError, match="`batch` 8 is more than the 4 images"):
        training.start(tmp_path / "run", source, manifest_of(source))
    assert not (tmp_path / "run").exists()


def test_minutes_end_a_run(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    method = training.start(tmp_path, source, manifest)
    budget = training.limit_of(manifest, Budget(minutes=1 / 600))
    *_, last = training.train(tmp_path, source, method, training.Plan(manifest=manifest, device=CPU, limit=budget))
    assert last.spent == 1
    assert 0.1 <= last.seconds < 5
    assert checkpoint.load(tmp_path, CPU).step == last.step


def test_progress_says_where_the_run_is(tmp_path, monkeypatch):
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)
    source = noise_source()
    manifest = manifest_of(source)
    method = training.start(tmp_path, source, manifest)
    events = list(
        training.train(
            tmp_path, source, method, training.Plan(manifest=manifest, device=CPU, limit=training.Limit(steps=5))
        )
    )
    assert [event.step for event in events] == [0, 1, 2, 3, 4, 5]
    assert events[-1].spent == 1
    assert events[2].losses.keys() == {"generator", "discriminator"}
    assert all(event.images_per_second > 0 for event in events[1:])
    assert [record["step"] for record in metrics_log.read(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_run_leaves_everything_that_its_folder_promises(tmp_path):
    source = noise_source()
    train_to(tmp_path, 30, source=source, manifest=manifest_of(source), save_every=10)
    made = samples.show_all(tmp_path)
    assert [path.name for path in made] == ["step-00000030.png", "timelapse.gif", "losses.png"]
    grids = sorted(path.stem for path in (tmp_path / "samples").iterdir())
    assert grids == ["data", *(f"step-{step:08d}" for step in (0, 10, 13, 16, 20, 25, 30))]
    with Image.open(made[1]) as video:
        assert video.n_frames == 7
    with Image.open(tmp_path / "samples/step-00000030.png") as grid:
        assert grid.size == ((64 + 2) * 8 + 2,) * 2
    assert json.loads((tmp_path / "run.json").read_text())["config"]["batch"] == 8


def test_grids_are_taken_evenly_in_the_logarithm_of_the_step():
    taken = [step for step in range(100_001) if samples.worth_a_look(step)]
    assert taken[:6] == [0, 10, 13, 16, 20, 25]
    assert taken[-1] == 100_000
    assert len(taken) == 42
    assert all(b / a < 1.35 for a, b in itertools.pairwise(taken[1:]))


def test_a_loss_that_is_not_a_number_stops_with_its_step_and_the_last_save(tmp_path, monkeypatch):
    source = noise_source()
    manifest = manifest_of(source)
    method = training.start(tmp_path, source, manifest)
    step = type(method).training_step

    def sick(self, batch, n):
        losses = step(self, batch, n)
        return {name: loss * float("nan") for name, loss in losses.items()} if n == 6 else losses

    monkeypatch.setattr(type(method), "training_step", sick)
    events = training.train(
        tmp_path,
        source,
        method,
        training.Plan(
            manifest=manifest, device=CPU, limit=training.Limit(steps=20), options=TrainOptions(save_every=4)
        ),
    )
    with pytest.raises(DivergedError, match=r"is nan in step 7;.*step-00000004.*`learning_rate`"):
        list(events)
    assert checkpoint.load(tmp_path, CPU).step == 4


def test_precision_reaches_the_networks(tmp_path):
    source = noise_source()
    seen = {}
    for precision in ("fp32", "bf16"):
        manifest = manifest_of(source, precision=precision)
        method = training.start(tmp_path / precision, source, manifest)
        method.generator[0].register_forward_hook(lambda *args, p=precision: seen.update({p: args[2].dtype}))
        budget = training.Limit(steps=1)
        list(
            training.train(
                tmp_path / precision, source, method, training.Plan(manifest=manifest, device=CPU, limit=budget)
            )
        )
    assert seen == {"fp32": torch.float32, "bf16": torch.bfloat16}


def test_the_seconds_of_scoring_are_no_training(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    method = training.start(tmp_path, source, manifest)

    def slow(_):
        time.sleep(0.2)
        return "score", 1.0

    events = training.train(
        tmp_path,
        source,
        method,
        training.Plan(
            manifest=manifest,
            device=torch.device("cpu"),
            limit=training.Limit(steps=6),
            score=slow,
            options=TrainOptions(validate_every=1),
        ),
    )
    assert list(events)[-1].seconds < 1  # of which six scores alone would take more


def test_the_grids_of_a_method_that_draws_by_class_have_a_row_for_each(tmp_path):
    source = noise_source(classes=("a", "b", "c"))
    method = build(manifest_of(source, "cgan"))
    grid = samples.take_grid(tmp_path, method, 0, real=samples.to_show(source))
    across = samples.columns(16)
    labels = torch.tensor([0, 1, 2]).repeat_interleave(across)
    expected = torch.stack(list(draw(method, range(3 * across), labels)))
    with Image.open(grid) as image:
        shown = torch.from_numpy(np.array(image))[None]
    assert torch.equal(shown, imaging.grid(imaging.enlarge(expected), columns=across))


@pytest.mark.parametrize(("size", "shown"), [(64, 64), (128, 128), (512, 256)])
def test_a_grid_of_large_images_is_no_larger_than_one_of_256_pixels(size, shown, tmp_path):
    source = noise_source(n=16, size=size)
    method = build(manifest_of(source, "vae"))
    method.generate = lambda seeds, labels: torch.zeros(len(seeds), 1, size, size)
    across = samples.columns(size)
    for path in (samples.show_data(tmp_path, source), samples.take_grid(tmp_path, method, 0, real=source.some(8))):
        with Image.open(path) as image:
            assert image.width == across * (shown + 2) + 2


# --- the grids of translators --------------------------------------------------------------------------------------


def rows_of(path):
    """The rows of a grid of 16x16 images, each as a tuple of bytes, without the gaps; white ones are left out."""
    with Image.open(path) as image:
        grid = np.array(image.convert("RGB"))
    tiles = [
        [grid[y : y + 64 : 4, x : x + 64 : 4] for x in range(2, grid.shape[1] - 64, 66)]
        for y in range(2, grid.shape[0] - 64, 66)
    ]
    return [[tile for tile in row if tile.min() < 255] for row in tiles]


def same(row, images):
    return len(row) == len(images) and all(
        np.array_equal(tile, image.expand(3, -1, -1).permute(1, 2, 0).numpy())
        for tile, image in zip(row, images, strict=True)
    )


def test_a_grid_of_pairs_shows_each_result_between_what_was_given_and_what_was_wanted(tmp_path):
    source = pairs_source(n=32, channels=1, target_channels=3)
    method = build(manifest_of(source, "pix2pix")).eval()
    images = samples.to_show(source)
    assert len(images) == 16
    rows = rows_of(samples.take_grid(tmp_path, method, 5, real=images))
    assert len(rows) == 6
    with torch.no_grad():
        made = imaging.to_bytes(method.translate(images.signed().source))
    for k, kind in enumerate((images.source, made, images.target)):
        assert same(rows[k], kind[:8])
        assert same(rows[3 + k], kind[8:])


def test_a_grid_of_two_directions_shows_both(tmp_path):
    source = unpaired_source(n=32, channels=3)
    method = build(manifest_of(source, "cyclegan")).eval()
    images = samples.to_show(source)
    rows = rows_of(samples.take_grid(tmp_path, method, 5, real=images))
    with torch.no_grad():
        there, back = (
            imaging.to_bytes(method.translate(t, way))
            for t, way in ((images.signed().source, "ab"), (images.signed().target, "ba"))
        )
    assert len(rows) == 8
    for k, kind in enumerate((images.source, there, images.target, back)):
        assert same(rows[k], kind[:8])


def test_a_grid_of_few_pairs_is_filled_with_white(tmp_path):
    source = pairs_source(n=10)
    method = build(manifest_of(source, "pix2pix"))
    rows = rows_of(samples.take_grid(tmp_path, method, 0, real=samples.to_show(source)))
    assert [len(row) for row in rows] == [8, 8, 8, 2, 2, 2]


@pytest.mark.parametrize("name", ["pix2pix", "autoencoder", "vae", "cyclegan"])
def test_grids_of_colourising_are_in_the_colours_that_a_person_sees(tmp_path, name):
    source = pairs_from(noise_source(n=16, channels=3), tasks.task("colorize"))
    config = small_config(name, **({"identity": 0.0} if name == "cyclegan" else {}))
    method = build(manifest_of(source, name, config=config, task="colorize"))
    images = samples.to_show(source)
    rows = rows_of(samples.take_grid(tmp_path, method, 0, real=images, task="colorize"))
    data = rows_of(samples.show_data(tmp_path, source, task="colorize"))
    grey, colour = samples.shown(images, "colorize")
    assert grey.shape == colour.shape == (16, 3, 16, 16)
    assert same(rows[0], grey[:8])
    assert same(rows[2], colour[:8])
    assert same(data[0], grey[:8])
    assert same(data[1], colour[:8])


@pytest.mark.parametrize(("name", "shown"), [("vae", 8), ("autoencoder", 6)])
def test_of_single_images_what_can_draw_draws_and_what_cannot_gives_them_back(tmp_path, name, shown):
    source = noise_source(n=32)
    method = build(manifest_of(source, name))
    rows = rows_of(samples.take_grid(tmp_path, method, 0, real=samples.to_show(source)))
    assert len(rows) == shown
    if name == "autoencoder":
        assert same(rows[0], samples.to_show(source).images[:8])
        assert same(rows[2], samples.to_show(source).images[:8])


def test_what_is_shown_is_what_was_held_out_where_something_was(tmp_path):
    source, held = pairs_source(n=16), pairs_source(n=11)
    manifest = manifest_of(source, "pix2pix")
    train_to(tmp_path, 1, source=source, manifest=manifest, shown=held)
    assert same(rows_of(tmp_path / "samples/step-00000001.png")[0], held.some(16).source[:8])
    assert same(rows_of(tmp_path / "samples/data.png")[0], source.some(32).source[:8])


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "autoencoder"])
def test_a_translators_run_leaves_everything_that_its_folder_promises(tmp_path, name):
    source = source_for(name)
    train_to(tmp_path, 11, source=source, manifest=manifest_of(source, name), save_every=5)
    made = samples.show_all(tmp_path)
    assert [path.name for path in made] == ["step-00000011.png", "timelapse.gif", "losses.png"]
    grids = sorted(path.stem for path in (tmp_path / "samples").iterdir())
    assert grids == ["data", "step-00000000", "step-00000010", "step-00000011"]


def test_asked_to_stop_it_ends_after_that_step_and_saves(tmp_path):
    source = noise_source()
    manifest, asked = manifest_of(source), []

    def stop():
        asked.append(len(asked))
        return len(asked) == 3

    events = training.train(
        tmp_path,
        source,
        training.start(tmp_path, source, manifest),
        training.Plan(manifest=manifest, device=CPU, limit=training.Limit(steps=9)),
        stop=stop,
    )
    *_, last = events
    assert (last.step, last.spent) == (3, pytest.approx(1 / 3))
    assert checkpoint.load(tmp_path, CPU).step == 3
    assert same_weights(
        train_to(tmp_path, 9, source=source, manifest=manifest),
        train_to(tmp_path / "whole", 9, source=source, manifest=manifest),
    )

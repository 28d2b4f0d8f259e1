"""The API: what the README's lines promise, and that the command line asks for nothing that it has not."""

import asyncio
import copy
import dataclasses
import doctest
import importlib
import inspect
import json
import pickle
import pkgutil
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from conftest import photograph
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_readme import tiny_vgg

import ganvas
from ganvas import api, checkpoint, evaluation, training
from ganvas.cli import main
from ganvas.core import words
from ganvas.core.options import TrainOptions

SMALL = {"width": 8, "hidden": 16, "batch": 8, "precision": "fp32", "device": "cpu"}


def arrays(images):
    return [np.asarray(image) for image in images]


@pytest.fixture(scope="module")
def cgan(tmp_path_factory):
    """A class-conditional model of digits."""
    run = tmp_path_factory.mktemp("runs") / "cgan"
    return ganvas.train("cgan", "digits", str(run), steps=3, progress=False, **SMALL)


@pytest.fixture
def each_step(monkeypatch):
    """Every step is reported."""
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)


@pytest.fixture
def colorizer(photos, tmp_path):
    """A translator, and what it has learned from."""
    data = ganvas.Data(str(photos), task="colorize", size=32)
    small = {"width": 4, "discriminator_width": 4, "precision": "fp32", "device": "cpu"}
    return ganvas.train("pix2pix", data, tmp_path / "run", steps=2, progress=False, **small), data


# --- names ----------------------------------------------------------------------------------------------------------


def test_every_name_is_there_and_no_sub_package_hides_one():
    for name in ganvas.__all__:
        assert getattr(ganvas, name) is not None
    assert not set(ganvas.__all__) & {module.name for module in pkgutil.iter_modules(ganvas.__path__)}
    assert set(dir(ganvas)) >= set(ganvas.__all__)
    with pytest.raises(AttributeError, match="nosuch"):
        _ = ganvas.nosuch


def test_importing_it_loads_no_torch():
    code = "import sys, ganvas; ganvas.Data('x'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_loading_a_model_loads_nothing_that_trains_or_evaluates(cgan):
    code = f"import sys, ganvas; ganvas.load({str(cgan.path)!r}).generate(1); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert not {"ganvas.training", "ganvas.evaluation", "ganvas.report", "cv2", "matplotlib"} & set(loaded)


@pytest.mark.parametrize(
    "home",
    [
        "api.checking",
        "api.evaluating",
        "api.models",
        "api.studying",
        "api.styling",
        "api.training",
        "core.options",
        "training.callbacks",
        "training.events",
    ],
)
def test_the_examples_of_the_documentation_run(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganvas.metrics.features.open_vgg", tiny_vgg)
    assert doctest.testmod(importlib.import_module(f"ganvas.{home}")).failed == 0


def public_functions():
    """The functions of the API, and the methods of the values that it returns."""
    for name in api.__all__:
        value = getattr(api, name)
        if inspect.isfunction(value):
            yield name, value
        else:
            members = inspect.getmembers(value, inspect.isfunction)
            ours = (one for one in members if one[1].__module__.startswith("ganvas.") and not one[0].startswith("_"))
            yield from ((f"{name}.{one}", method) for one, method in ours)


@pytest.mark.parametrize(
    ("name", "function"), [*public_functions()], ids=lambda value: value if type(value) is str else ""
)
def test_a_public_function_says_what_it_takes_and_gives_and_shows_how(name, function):
    told, parameters = inspect.getdoc(function), inspect.signature(function).parameters
    for parameter in (one for one in parameters if one != "self"):
        assert f"{parameter}: " in told, parameter
    if function.__module__ != "ganvas.api.evaluating":
        assert re.search(r"^(Returns|Yields):$", told, re.MULTILINE), "says what it gives"
        assert ">>>" in told, "shows an example"


@pytest.mark.parametrize("make", [ganvas.Data, ganvas.TrainOptions, ganvas.EvaluateOptions, ganvas.Budget])
def test_options_say_what_each_field_is_and_show_what_was_set(make):
    for field in dataclasses.fields(make):
        assert f"{field.name}: " in inspect.getdoc(make), field.name
    assert repr(make()) == f"{make.__name__}()"


def test_options_are_shown_as_they_are_written():
    data = ganvas.Data("photos", size=64, style=["a.png"])
    assert repr(data) == "Data(source='photos', style=('a.png',), size=64)"
    assert eval(repr(data), {"Data": ganvas.Data}) == data
    assert repr(ganvas.Data("photos", holdout=float("0.0"))) == "Data(source='photos')"
    assert repr(ganvas.Data(np.zeros(2))) == "Data(source=array([0., 0.]))"


# --- training -------------------------------------------------------------------------------------------------------


def test_train_returns_a_model_that_load_makes_again(cgan):
    assert (cgan.method, cgan.kind, cgan.step, cgan.size) == ("cgan", "generates", 3, 16)
    assert cgan.labels == tuple("0123456789")
    again = ganvas.load(str(cgan.path), device="cpu")
    assert all(
        torch.equal(a, b)
        for a, b in zip(cgan.network.state_dict().values(), again.network.state_dict().values(), strict=True)
    )


def test_the_same_call_goes_on_and_ends_with_the_same_weights(tmp_path, each_step):
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.rand(40, 3, 16, 16))
    whole = ganvas.train("dcgan", data, tmp_path / "whole", steps=6, progress=False, **SMALL)
    for event in ganvas.iter_train("dcgan", data, tmp_path / "parts", steps=6, **SMALL):
        if isinstance(event, ganvas.Progress) and event.step == 3:
            break  # leaving it saves
    assert [path.name for path in checkpoint.checkpoints(tmp_path / "parts")] == ["step-00000003"]
    parts = ganvas.train("dcgan", data, tmp_path / "parts", steps=6, progress=False, **SMALL)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, parts.network.state_dict()[name]), name


def test_events_are_typed_and_in_their_order(tmp_path, each_step):
    events = list(ganvas.iter_train("gan", "digits", tmp_path / "run", steps=3, device="cpu"))
    opened, first, *_, last = (event for event in events if not isinstance(event, ganvas.Note))
    assert isinstance(opened, ganvas.Opened)
    assert (opened.method, opened.images, opened.size, opened.length) == ("gan", 1545, 16, "3 steps (0.2 epochs)")
    assert set(opened.parameters) == {"generator", "discriminator"}
    assert isinstance(first, ganvas.Progress)
    assert isinstance(last, ganvas.Finished)
    assert not last.stopped
    assert {path.name for path in last.files} == {"step-00000003.png", "timelapse.gif", "losses.png"}
    saved = [event for event in events if isinstance(event, ganvas.Saved)]
    assert saved[-1].path == tmp_path / "run/step-00000003"
    assert any(isinstance(event, ganvas.Sampled) and event.path.exists() for event in events)
    for event in events:
        with pytest.raises(dataclasses.FrozenInstanceError):
            event.step = 7


def test_a_score_is_an_event_and_tells_whether_it_is_the_best(tmp_path, monkeypatch):
    values = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(evaluation, "scorer", lambda *_, **__: lambda method: ("FID (digits)", next(values)))
    heard = []

    class Hearing:
        def on_score(self, event):
            heard.append(event)

    board = ganvas.TensorBoard()
    how = {"progress": False, "device": "cpu", "validate_every": 2, "callbacks": [Hearing(), board]}
    ganvas.train("gan", "digits", tmp_path / "run", steps=6, **how)
    assert heard == [
        ganvas.Scored(2, "FID (digits)", 3.0, True),
        ganvas.Scored(4, "FID (digits)", 1.0, True),
        ganvas.Scored(6, "FID (digits)", 2.0, False),
    ]
    kept = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert [(one.step, one.value) for one in kept.Scalars("score/FID (digits)")] == [(2, 3.0), (4, 1.0), (6, 2.0)]


def test_a_callback_hears_what_it_asks_for_and_need_not_ask_for_all(tmp_path, each_step):
    class Heard:
        said = []  # noqa: RUF012

        def on_start(self, event):
            self.said.append("start")

        def on_step(self, event):
            self.said.append(event.step)

        def on_checkpoint(self, event):
            self.said.append(event.path.name)

        def on_end(self, event):
            self.said.append("end")

    ganvas.train("gan", "digits", tmp_path / "run", steps=2, callbacks=[Heard()], progress=False, device="cpu")
    assert Heard.said == ["start", 0, 1, 2, "step-00000002", "end"]


def test_tensorboard_gets_losses_and_grids(tmp_path, each_step):
    board = ganvas.TensorBoard()
    ganvas.train("gan", "digits", tmp_path / "run", steps=3, callbacks=[board], progress=False, device="cpu")
    kept = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    assert [one.step for one in kept.Scalars("loss/generator")] == [1, 2, 3]
    assert [one.step for one in kept.Images("samples")] == [3]
    ganvas.train(
        "gan", "digits", tmp_path / "run", steps=4, callbacks=[ganvas.TensorBoard()], progress=False, device="cpu"
    )
    assert checkpoint.load(tmp_path / "run", torch.device("cpu")).step == 4


def test_settings_data_and_options_are_keywords_told_apart_by_whose_they_are(photos, tmp_path):
    options = TrainOptions(seed=3, keep=4)
    job = api.job("dcgan", str(photos), tmp_path, options=options, batch=4, size=32, flip=True, seed=5)
    assert (job.config.batch, job.data.size, job.data.flip, job.options.seed, job.options.keep) == (4, 32, True, 5, 4)


@pytest.mark.parametrize(
    ("method", "data", "how", "field", "words"),
    [
        ("dcgan", "digits", {"latnt": 3}, "latnt", "latent"),
        ("dcgn", "digits", {}, None, "dcgan"),
        ("DCGAN", "digits", {"bach": 3}, "bach", "batch"),
        ("dcgan", "digitz", {}, "data", "digits"),
        ("dcgan", "digits", {"batch": 0}, "batch", "smallest"),
        ("dcgan", "digits", {"steps": 1, "minutes": 1}, "steps", "two ways"),
        ("dcgan", "digits", {"device": "gpu"}, "device", "cuda"),
        ("dcgan", "digits", {"preset": "papr"}, "preset", "paper"),
        ("dcgan", "digits", {"task": "colorize"}, "task", "single"),
        ("dcgan", object(), {}, "data", "torch Dataset"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, method, data, how, field, words):
    given = {"steps": 1} | how if "minutes" not in how else how
    with pytest.raises(ganvas.GanvasError, match=words) as error:
        ganvas.train(method, data, tmp_path / "x", progress=False, **given)
    assert error.value.field == field
    assert len(str(error.value)) < 300
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("make", [ganvas.Data, ganvas.TrainOptions, ganvas.EvaluateOptions, ganvas.Budget])
def test_options_name_the_nearest_field_and_are_dataclasses_all_the_same(make):
    field = dataclasses.fields(make)[-1].name
    for ask in (lambda wrong: make(**wrong), lambda wrong: dataclasses.replace(make(), **wrong)):
        with pytest.raises(ganvas.SettingError, match=f"did you mean.* {field}") as error:
            ask({field + "s": 3})
        assert error.value.field == field + "s"
    assert pickle.loads(pickle.dumps(make())) == copy.deepcopy(make()) == dataclasses.replace(make()) == make()
    assert set(inspect.signature(make).parameters) == {field.name for field in dataclasses.fields(make)}


@pytest.mark.parametrize(("theirs", "ours"), [*words.OURS.items(), *words.NOT_NEEDED.items()])
def test_what_other_tools_call_it_is_answered_with_what_it_is_called_here(theirs, ours):
    if theirs not in ("num_samples", "n"):
        with pytest.raises(ganvas.SettingError, match=re.escape(ours)) as error:
            ganvas.train("dcgan", "digits", **{theirs: 1})
        assert error.value.field == theirs


def test_a_device_has_the_names_that_torch_and_others_give_it(cgan):
    for given in ("cpu", torch.device("cpu"), torch.device("cpu:0")):
        assert TrainOptions(device=given) == TrainOptions(device="cpu")
        assert ganvas.load(cgan.path, device=given).device == torch.device("cpu")
    for given in ("gpu", "cuda:0", torch.device("cuda"), torch.device("cuda:0")):
        assert ganvas.EvaluateOptions(device=given).device == "cuda"
    with pytest.raises(ganvas.SettingError, match="CUDA_VISIBLE_DEVICES=1"):
        ganvas.TrainOptions(device="cuda:1")


def test_it_trains_in_a_thread_and_within_an_event_loop(tmp_path):
    found = []

    def learn(name):
        found.append(ganvas.train("gan", "digits", tmp_path / name, steps=2, progress=False, device="cpu"))

    thread = threading.Thread(target=learn, args=["thread"])
    thread.start()
    thread.join()

    async def within():
        learn("loop")

    asyncio.run(within())
    assert [model.step for model in found] == [2, 2]


def test_the_command_line_and_the_api_make_the_same_run(tmp_path):
    flags = ["--batch", "8", "--steps", "2", "--seed", "4", "--device", "cpu", "--precision", "fp32"]
    assert main(["train", "gan", "--data", "digits", "--run", str(tmp_path / "one"), *flags]) == 0
    ganvas.train(
        "gan", "digits", tmp_path / "two", steps=2, batch=8, seed=4, device="cpu", precision="fp32", progress=False
    )
    one, two = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two"))
    assert one.pop("command") != two.pop("command")
    assert one == two
    one, two = (checkpoint.load(tmp_path / name, torch.device("cpu")).method.state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


# --- images ---------------------------------------------------------------------------------------------------------


def test_images_are_pil_images_a_tensor_a_grid_and_files(cgan, tmp_path):
    images = cgan.generate(6, label="3", seed=7)
    assert len(images) == 6
    assert images[0].size == (16, 16)
    assert images.tensor.dtype == torch.uint8
    assert images.tensor.shape == (6, 1, 16, 16)
    assert np.array_equal(np.asarray(images[2]), images.tensor[2, 0].numpy())
    assert len(images[1:3]) == 2
    assert images.grid(columns=3).size == (3 * 66 + 2, 2 * 66 + 2)
    places = images.save(tmp_path / "many")
    assert [path.name for path in places] == [f"{seed:06d}.png" for seed in range(7, 13)]
    assert np.array_equal(np.asarray(Image.open(places[0])), np.asarray(images[0]))
    assert images._repr_png_().startswith(b"\x89PNG")


def test_an_image_depends_on_its_seed_and_label_alone(cgan):
    many = cgan.generate(9, label=3, seed=2)
    assert np.array_equal(np.asarray(cgan.generate(1, label="3", seed=5)[0]), np.asarray(many[3]))
    assert np.array_equal(np.asarray(cgan.generate([5], label=3)[0]), np.asarray(many[3]))
    each = cgan.generate(2)
    assert len(each) == 20
    assert np.array_equal(np.asarray(each[6]), np.asarray(cgan.generate(1, label=3)[0]))


def test_a_label_that_there_is_not_is_named(cgan):
    with pytest.raises(ganvas.SettingError, match=r"eleven.*knows 0, 1"):
        cgan.generate(1, label="eleven")


def test_an_interpolation_is_saved_as_a_gif(cgan, tmp_path):
    walk = cgan.interpolate(2, label=["1", "7"], frames=3)
    assert len(walk) == 6
    assert walk.save(tmp_path / "walk.gif") == [tmp_path / "walk.gif"]
    with Image.open(tmp_path / "walk.gif") as video:
        assert video.n_frames == 6


def test_a_model_file_is_a_model(cgan, tmp_path):
    file = cgan.save(tmp_path / "shared/digits.safetensors")
    again = ganvas.load(file, device="cpu")
    assert str(cgan.path.parent) not in repr(again.info)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(cgan.generate(2)), arrays(again.generate(2)), strict=True))


# --- translating ----------------------------------------------------------------------------------------------------


def test_translate_takes_whatever_a_person_has(colorizer, photos, tmp_path):
    model, _ = colorizer
    path = tmp_path / "photo.png"
    photograph(seed=7, width=44, height=36).save(path)
    with Image.open(path) as opened:
        image = opened.copy()
    pixels = np.array(image)
    sources = [path, str(path), image, pixels, torch.from_numpy(pixels).permute(2, 0, 1)]
    made = arrays(model.translate(sources))
    assert made[0].shape == (36, 44, 3)
    assert all(np.array_equal(one, made[0]) for one in made)
    assert np.array_equal(np.asarray(model.translate(path)), made[0])
    grey = model.translate(pixels[..., 0])
    assert grey.size == (44, 36)


@pytest.mark.parametrize(
    ("image", "how", "words"),
    [
        (3.5, {}, "float is no image"),
        (np.zeros((4, 4, 3)), {}, "float64 is no image"),
        ("nosuch.png", {}, "nosuch.png: no such file"),
        (np.zeros((40, 40, 3), np.uint8), {"directoin": "ba"}, "did you mean direction"),
        (np.zeros((40, 40, 3), np.uint8), {"direction": "ba"}, "goes ab only"),
    ],
)
def test_what_cannot_be_translated_is_one_sentence(colorizer, image, how, words):
    with pytest.raises(ganvas.GanvasError, match=words):
        colorizer[0].translate(image, **how)


def test_files_are_translated_into_a_folder(colorizer, photos, tmp_path):
    model, _ = colorizer
    done = list(model.translate_files([photos], tmp_path / "out", format="png"))
    assert len(done) == len(list(photos.iterdir()))
    assert all(one.place.exists() and not one.problem for one in done)
    with pytest.raises(ganvas.UsageError, match="already there"):
        model.translate_files([photos], tmp_path / "out", format="png")


# --- evaluating -----------------------------------------------------------------------------------------------------


def test_evaluate_gives_values_and_the_folder_that_the_command_writes(colorizer, photos, tmp_path):
    model, data = colorizer
    report = ganvas.evaluate(model, data, features="none")
    assert report["psnr"].value == report["PSNR"].values["pix2pix"].value > 0
    report.save(tmp_path / "api")
    words = ["--data", str(photos), "--task", "colorize", "--size", "32", "--features", "none", "--device", "cpu"]
    assert main(["evaluate", str(model.path), *words, "--out", str(tmp_path / "cli")]) == 0
    names = [sorted(str(p.relative_to(tmp_path / f)) for p in (tmp_path / f).rglob("*")) for f in ("api", "cli")]
    assert names[0] == names[1]
    assert (tmp_path / "api/metrics.json").read_bytes() == (tmp_path / "cli/metrics.json").read_bytes()
    with pytest.raises(ganvas.SettingError, match="did you mean psnr"):
        _ = report["psnrr"]


def test_compare_takes_models_paths_or_names(colorizer, tmp_path):
    model, data = colorizer
    other = ganvas.train(
        "autoencoder", data, tmp_path / "other", steps=2, width=4, progress=False, precision="fp32", device="cpu"
    )
    by_models = ganvas.compare([model, other], data, features="none")
    assert set(by_models["psnr"].values) >= {"pix2pix", "autoencoder"}
    by_paths = ganvas.compare([model.path, other.path], data, features="none")
    assert by_paths.to_json()["scores"] == by_models.to_json()["scores"]
    assert set(ganvas.compare({"a": model, "b": other}, data, features="none")["psnr"].values) >= {"a", "b"}
    with pytest.raises(ganvas.UsageError, match="two or more"):
        ganvas.compare([model], data)
    with pytest.raises(ganvas.UsageError, match="given twice"):
        ganvas.compare([model, model], data)


def test_options_of_another_kind_of_model_are_refused_with_their_name(cgan):
    with pytest.raises(ganvas.UsageError, match="translate") as error:
        ganvas.evaluate(cgan, "digits", lpips=True)
    assert error.value.field == "lpips"


def test_check_finds_what_is_wrong_with_a_folder(photos):
    (photos / "broken.png").write_bytes(next(photos.glob("*.png")).read_bytes()[:200])
    report = ganvas.check(photos)
    assert any("broken.png" in str(finding) for finding in report.findings)


STUDY = """
title: digits
steps: 2
size: 32
methods:
  pix2pix: {settings: {width: 4, discriminator_width: 4, batch: 8}}
  autoencoder: {settings: {width: 4, batch: 8}}
tasks:
  noise: {data: digits, held_out: digits, task: denoise}
"""


def test_a_study_returns_what_it_found_and_goes_on_where_it_was(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    found = ganvas.study(tmp_path / "study.yaml", tmp_path / "out", device="cpu", precision="fp32", seeds=(1,))
    (task,) = found["tasks"]
    assert {"pix2pix", "autoencoder"} <= set(task["scores"])
    assert (tmp_path / "out/index.html").exists()
    saved = (tmp_path / "out/runs/noise/pix2pix-seed1/run.json").stat().st_mtime_ns
    ganvas.study(tmp_path / "study.yaml", tmp_path / "out", device="cpu", precision="fp32", seeds=(1,))
    assert (tmp_path / "out/runs/noise/pix2pix-seed1/run.json").stat().st_mtime_ns == saved
    with pytest.raises(ganvas.UsageError, match="no task of that name"):
        ganvas.study(tmp_path / "study.yaml", tmp_path / "out", only=["nose"])


# --- what a hostile reader found ------------------------------------------------------------------------------------


def noise(seed, n=40):
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_other_data_of_the_same_type_are_another_run(tmp_path):
    ganvas.train("gan", noise(0), tmp_path / "run", steps=1, batch=8, progress=False, device="cpu")
    with pytest.raises(ganvas.ModelError, match="another run"):
        ganvas.train("gan", noise(1), tmp_path / "run", steps=2, batch=8, progress=False, device="cpu")
    same = ganvas.train("gan", noise(0), tmp_path / "run", steps=2, batch=8, progress=False, device="cpu")
    assert same.step == 2


def test_what_was_held_out_is_known_whatever_type_holds_it(tmp_path):
    data = (noise(0, 300) * 255).to(torch.uint8)
    how = {"task": "denoise", "holdout": 0.2, "size": 16}
    model = ganvas.train(
        "autoencoder", data, tmp_path / "run", steps=1, width=4, progress=False, device="cpu", precision="fp32", **how
    )
    asked = [ganvas.Data(given, task="denoise", size=16) for given in (data, list(data))]
    of_tensor, of_list = (ganvas.evaluate(model, one, features="none") for one in asked)
    assert 30 < of_tensor["psnr"].n == of_list["psnr"].n < 90
    other = (noise(1, 300) * 255).to(torch.uint8)
    assert ganvas.evaluate(model, ganvas.Data(other, task="denoise", size=16), features="none")["psnr"].n == 300


def test_a_callback_that_raises_leaves_a_run_that_is_saved_and_free(tmp_path, each_step):
    class Breaking:
        def on_step(self, event):
            if event.step == 3:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as held:
        ganvas.train("gan", "digits", tmp_path / "run", steps=5, callbacks=[Breaking()], progress=False, device="cpu")
    assert [path.name for path in checkpoint.checkpoints(tmp_path / "run")] == ["step-00000003"]
    assert ganvas.train("gan", "digits", tmp_path / "run", steps=5, progress=False, device="cpu").step == 5
    assert held


def test_ctrl_c_within_a_step_saves_and_is_raised(tmp_path, each_step):
    handlers = []

    def learn():
        for event in ganvas.iter_train("gan", "digits", tmp_path / "run", steps=500, device="cpu"):
            if isinstance(event, ganvas.Progress) and event.step == 2:
                handlers.append(signal.getsignal(signal.SIGINT))
                threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()

    with pytest.raises(KeyboardInterrupt):
        learn()
    assert handlers == [signal.default_int_handler]
    (saved,) = checkpoint.checkpoints(tmp_path / "run")
    assert 2 <= int(saved.name.removeprefix("step-")) < 500


def test_a_baselines_name_is_no_models(cgan):
    with pytest.raises(ganvas.UsageError, match="'input'"):
        ganvas.compare({"input": cgan, "b": cgan}, "digits")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda model: model.generate("3"), "`count`"),
        (lambda model: model.generate(1, seed=2**70), "`seed`"),
        (lambda model: model.interpolate(1), "two images or more"),
        (lambda model: model.interpolate(2, frames=0), "`frames`"),
        (lambda model: model.generate(2).grid(-1), "`columns`"),
        (lambda model: model.generate(2).save("one.png"), "go into a folder"),
        (lambda model: model.save("model.pth"), "is a .safetensors"),
        (lambda model: model.translate(np.zeros((0, 4, 3), np.uint8)), "noise|empty"),
        (lambda model: ganvas.train("gan", "", steps=1), "`data`"),
        (lambda model: ganvas.evaluate(model, "digits", features="none"), "`features` none"),
        (lambda model: ganvas.train("gan", "digits", options={"seed": 1}), "`options`.*TrainOptions"),
        (lambda model: ganvas.train("gan", "digits", run=5), "`run`.*not int"),
        (lambda model: ganvas.load(model), "`model`.*not Model"),
        (lambda model: ganvas.check(np.zeros((4, 16, 16), np.uint8)), "`data`.*in memory"),
        (lambda model: ganvas.check("mnist"), "mnist: is a published"),
        (lambda model: ganvas.stylize("nosuch.png", []), "nosuch.png: no such file"),
        (lambda model: ganvas.stylize(np.zeros((64, 64, 3), np.uint8), []), "`style`"),
    ],
)
def test_a_slip_is_one_sentence(cgan, ask, words):
    with pytest.raises(ganvas.GanvasError, match=words) as error:
        ask(cgan)
    assert len(str(error.value)) < 300


def test_trainings_in_threads_learn_what_each_learns_alone(tmp_path):
    def learn(name, seed):
        ganvas.train(
            "gan",
            "digits",
            tmp_path / name,
            steps=25,
            seed=seed,
            progress=False,
            device="cpu",
            batch=16,
            precision="fp32",
        )

    for seed in (1, 2):
        learn(f"alone-{seed}", seed)
    threads = [threading.Thread(target=learn, args=(f"together-{seed}", seed)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        weights = [ganvas.load(tmp_path / f"{how}-{seed}").network.state_dict() for how in ("alone", "together")]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_of_threads_that_begin_one_run_at_once_one_trains_and_the_others_hear_why_not(tmp_path, monkeypatch):
    together, enter, heard = threading.Barrier(4), checkpoint.enter_run, []

    def enter_together(run, manifest):
        together.wait()
        enter(run, manifest)

    def learn():
        try:
            heard.append(ganvas.train("gan", "digits", tmp_path / "run", steps=2, progress=False, device="cpu"))
        except ganvas.GanvasError as error:
            heard.append(str(error))

    monkeypatch.setattr(checkpoint, "enter_run", enter_together)
    threads = [threading.Thread(target=learn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trained = [one for one in heard if isinstance(one, ganvas.Model)]
    refused = [one for one in heard if isinstance(one, str)]
    assert trained
    assert len(trained + refused) == 4
    assert all("another ganvas is training there" in one for one in refused), refused


@pytest.mark.parametrize("name", ["many", "one.png", "walk.gif"])
def test_images_replace_files_only_if_that_is_asked_for(cgan, tmp_path, name):
    images = cgan.generate(1, label=3)
    before = {path: path.read_bytes() for path in images.save(tmp_path / name)}
    others = cgan.generate(1, label=4)
    with pytest.raises(ganvas.UsageError, match=r"already there.*`overwrite`"):
        others.save(tmp_path / name)
    assert {path: path.read_bytes() for path in before} == before
    others.save(tmp_path / name, overwrite=True)
    assert {path: path.read_bytes() for path in before} != before


def test_generated_files_replace_others_only_if_that_is_asked_for(cgan, tmp_path):
    cgan.generate_files(tmp_path, 1, label=3)
    with pytest.raises(ganvas.UsageError, match="already there"):
        cgan.generate_files(tmp_path, 1, label=3)
    cgan.generate_files(tmp_path, 1, label=3, overwrite=True)
    cgan.generate_files(tmp_path, [1], label=3)


def test_every_image_has_a_file_of_its_own(cgan, tmp_path):
    assert len({path.name for path in cgan.generate([5, 5, 7], label=3).save(tmp_path / "saved")}) == 3
    folder = cgan.generate_files(tmp_path / "written", [5, 5, 7], label=3)
    assert len(list(folder.rglob("*.png"))) == 3


def test_a_model_that_is_missing_is_the_wrong_parameter(tmp_path):
    with pytest.raises(ganvas.ModelError, match="no such run") as error:
        ganvas.load(tmp_path / "missing")
    assert error.value.field == pickle.loads(pickle.dumps(error.value)).field == "model"


def test_a_model_of_images_in_memory_says_how_many(tmp_path):
    model = ganvas.train("gan", noise(0), tmp_path / "run", steps=1, batch=8, progress=False, device="cpu")
    assert repr(model) == "Model(gan of 40 images in memory, 16 pixels, after 1 steps)"
    assert repr(ganvas.load(model.save(tmp_path / "model.safetensors"))) == repr(model)


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda model: ganvas.check("photos", task="colorize"), "task"),
        (lambda model: ganvas.check("photos", flip=True), "flip"),
        (lambda model: ganvas.TrainOptions(validate_by="kid"), "validate_by"),
        (lambda model: model.generate([1, 2], seed=3), "seed"),
        (lambda model: model.generate([-1]), "seed"),
        (lambda model: model.generate(["1"]), "seed"),
        (lambda model: model.translate("0.png", tiel=3), "tiel"),
        (lambda model: ganvas.stylize("a.png", "b.png", lr=3), "lr"),
        (lambda model: ganvas.study("study.yaml", "out", stesp=3), "stesp"),
    ],
)
def test_what_would_change_nothing_is_refused(cgan, ask, field):
    with pytest.raises(ganvas.SettingError) as error:
        ask(cgan)
    assert error.value.field == field
    assert len(str(error.value)) < 300


def test_slices_and_numpy_numbers_are_understood(cgan):
    images = cgan.generate(np.int64(3), label=np.int64(2))
    assert np.array_equal(np.asarray(images[::-1][0]), np.asarray(images[2]))


# --- what breakers met ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "surr\udc80", "a/" * 3000])
def test_paths_that_no_system_holds_are_named_before_any_work(path, tmp_path):
    with pytest.raises(ganvas.GanvasError, match="`run`"):
        ganvas.train("gan", "digits", f"{tmp_path}/{path}", steps=1, progress=False)
    with pytest.raises(ganvas.GanvasError, match="`model`"):
        ganvas.load(path)


@pytest.mark.parametrize("given", [{"seed": 10**5000}, {"epochs": 10**5000}, {"learning_rate": 10**400}])
def test_numbers_of_many_digits_are_one_line(given, tmp_path):
    with pytest.raises(ganvas.GanvasError) as caught:
        ganvas.train("gan", "digits", tmp_path / "run", progress=False, **given)
    assert len(str(caught.value)) < 300


def test_an_image_of_no_size_and_an_endless_count_are_one_line(cgan):
    with pytest.raises(ganvas.GanvasError, match="0x5 pixels"):
        ganvas.stylize(Image.new("RGB", (0, 5)), Image.new("RGB", (8, 8)))
    with pytest.raises(ganvas.GanvasError, match="`count`"):
        cgan.generate(10**12)
    with pytest.raises(ganvas.GanvasError, match="which is empty"):
        ganvas.train("gan", [np.zeros((0, 5), np.uint8)] * 8, batch=4, steps=1, progress=False)


def test_tensors_of_any_precision_and_arrays_of_any_byte_order_are_data(tmp_path):
    images = np.random.default_rng(0).random((8, 16, 16))
    for number, data in enumerate((
        torch.tensor(images).bfloat16(), torch.tensor(images).requires_grad_(), images.astype(">f4"),
    )):  # fmt: skip
        assert ganvas.train("gan", data, tmp_path / str(number), batch=4, steps=1, progress=False).step == 1

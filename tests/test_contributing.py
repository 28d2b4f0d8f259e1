"""The method that CONTRIBUTING.md shows is a method, and its reference is one."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from conftest import manifest_of, noise_images, noise_source, same_weights, train_to
from test_exact_steps import _float64, _recorded_masks, learned  # noqa: F401  # fixtures
from test_processes import close, make, whole_batch
from test_processes import learned as learned_in_one_step
from test_readme import programs

from ganvas import checkpoint, methods
from ganvas.data import tasks

ROOT = Path(__file__).parent.parent
METHOD, REFERENCE = ROOT / "examples" / "methods" / "lsgan.py", ROOT / "tests" / "references" / "lsgan.py"
TASK = ROOT / "examples" / "tasks" / "negative.py"


@pytest.fixture(autouse=True)
def _in_the_folder(monkeypatch):
    """The example is found as if its file lay in the folder of methods."""
    spec = importlib.util.spec_from_file_location("ganvas.methods.lsgan", METHOD)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    names = [*methods.names(), "lsgan"]
    monkeypatch.setattr(methods, "names", lambda: names)


def test_contributing_shows_the_files_of_the_example():
    files = [file.read_text(encoding="utf-8") for file in (METHOD, REFERENCE, TASK)]
    assert programs(ROOT / "CONTRIBUTING.md") == files


def test_the_example_of_a_task_makes_pairs(monkeypatch):
    spec = importlib.util.spec_from_file_location("ganvas.data.tasks.negative", TASK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(tasks, "names", lambda: ["negative"])
    image = noise_images(1, channels=3)[0]
    pair = tasks.task("negative").pair(image)
    assert torch.equal(255 - pair.source[0], image)
    assert torch.equal(pair.target[0], image)


def test_the_example_trains_and_goes_on_and_its_checkpoint_draws_the_same_images(tmp_path):
    source = noise_source()
    manifest = manifest_of(source, "lsgan")
    trained = train_to(tmp_path / "run", 4, source=source, manifest=manifest)
    train_to(tmp_path / "broken", 2, of=4, source=source, manifest=manifest)
    assert same_weights(train_to(tmp_path / "broken", 4, source=source, manifest=manifest), trained)
    loaded = checkpoint.load(tmp_path / "run", torch.device("cpu"))
    assert (loaded.manifest.method, loaded.step) == ("lsgan", 4)
    images = loaded.method.eval().generate([0, 1, 0])
    assert images.shape == (3, 1, 16, 16)
    assert images.abs().max() <= 1
    assert torch.equal(images[0], images[2])
    assert not torch.allclose(images[0], images[1], atol=1e-3)
    assert torch.equal(images, trained.eval().generate([0, 1, 0]))


@pytest.mark.usefixtures("_float64")
def test_its_steps_in_float64_equal_those_of_the_plain_reference():
    moved, apart = learned("lsgan", None)
    assert min(moved.values()) > 1e-6
    assert max(most for most, _ in apart.values()) < 1e-10, apart


@pytest.mark.parametrize("parts", [2, 4])
def test_its_step_in_parts_is_the_step_on_the_whole_batch(parts):
    source = noise_source()
    whole, in_pieces = (
        learned_in_one_step(make("lsgan", source), whole_batch(source), parts=number) for number in (1, parts)
    )
    close(in_pieces, whole)


def test_guessing_is_the_loss_of_a_discriminator_that_cannot_tell():
    source = noise_source()
    method = make("lsgan", source)
    last = method.discriminator[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 0.5)  # the same grade for every image, half way between fake and real
    assert method.training_step(whole_batch(source), 0)["discriminator"].item() == pytest.approx(method.guessing)

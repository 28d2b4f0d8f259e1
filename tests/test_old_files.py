"""Files of earlier versions are read as what they were, or refused in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from conftest import manifest_of, noise_images, noise_source, pairs_source, train_to
from PIL import Image

from ganvas import checkpoint, methods, training
from ganvas.checkpoint.manifest import FORMAT
from ganvas.errors import ModelError
from ganvas.imaging import images
from ganvas.imaging.images import DecodedImage
from ganvas.inference import generate
from ganvas.inference.translate import Translator

CPU = torch.device("cpu")
FILES = Path(__file__).parent / "files"
MODELS = [*sorted(FILES.glob("*/*.safetensors")), *sorted(FILES.glob("*/*-run"))]
TEXTBOOKS = [
    (name, preset)
    for name in methods.names()
    for preset, config in methods.get(name).presets.items()
    if methods.get(name).networks_since.get(getattr(config, "layers", ""))
]


@pytest.mark.parametrize("file", MODELS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_model_of_an_earlier_version_draws_what_it_drew(file):
    model = checkpoint.load(file, CPU)
    if hasattr(model.method, "generate"):
        made = list(generate.draw(model.method, range(4)))
    else:
        made = [Translator(model)(DecodedImage(image)).pixels for image in noise_images(4, channels=3, seed=9)]
    found = np.moveaxis(images.grid(torch.stack(made), columns=4).numpy(), 0, -1)
    kept = np.asarray(Image.open(file.with_name(file.stem.removesuffix("-run") + ".png")))
    assert np.abs(found.astype(int) - kept).max() <= 1


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    run = shutil.copytree(FILES / "0.1" / "pix2pix-run", tmp_path / "run")
    manifest = checkpoint.read_run(run)
    assert manifest.format == 0
    assert (manifest.config.skip_slope, manifest.config.feature_matching, manifest.config.epsilon) == (0.0, 0.0, 1e-8)
    train_to(run, 5, source=pairs_source(n=16, channels=3), manifest=manifest)
    assert checkpoint.load(run, CPU).step == 5


def test_a_run_of_before_a_new_default_says_what_to_add(ganvas, tmp_path, capsys):
    """A `vae` of before learned without an average and without decay, which are the default now."""
    train = ["train", "vae", "--data", "digits", "--run", "run", "--width", "4", "--hidden", "8", "--batch", "8"]
    assert ganvas(*train, "--steps", "1", "--ema", "0", "--decay", "0", cwd=tmp_path).returncode == 0
    file = tmp_path / "run" / checkpoint.RUN
    manifest = json.loads(file.read_text())
    del manifest["format"], manifest["config"]["ema"], manifest["config"]["decay"]
    file.write_text(json.dumps(manifest))
    done = ganvas(*train, "--steps", "2", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "started by an earlier ganvas: add --ema 0.0 --decay 0.0 to continue" in done.stderr
    assert ganvas(*train, "--steps", "2", "--ema", "0.0", "--decay", "0.0", cwd=tmp_path).returncode == 0


def test_there_are_textbook_networks_that_were_others():
    assert set(TEXTBOOKS) == {
        ("autoencoder", "mnist28"),
        ("cgan", "lecture"),
        ("dcgan", "mnist28"),
        ("vae", "mnist28"),
        ("wgan_gp", "mnist28"),
    }


@pytest.mark.parametrize(("name", "preset"), TEXTBOOKS)
def test_networks_that_changed_are_refused_in_files_of_before(name, preset, tmp_path):
    source = noise_source(n=8, size=28, classes=("a", "b") if name == "cgan" else ())
    manifest = manifest_of(source, name, config=methods.config(name, preset))
    method = methods.get(name)(manifest.config, source.spec)
    now = tmp_path / "now.safetensors"
    now.write_bytes(checkpoint.model_file(tmp_path, method, manifest, step=1))
    assert checkpoint.load(now, CPU).manifest.format == FORMAT

    with safetensors.safe_open(now, framework="pt") as opened:
        header = json.loads(opened.metadata()[checkpoint.HEADER])
    del header["format"], header["sha256"]
    weights = safetensors.torch.load_file(now)
    before = tmp_path / "before.safetensors"
    safetensors.torch.save_file(weights, before, {checkpoint.HEADER: json.dumps(header)})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / checkpoint.RUN).write_text(json.dumps({k: v for k, v in header.items() if k != "step"}))
    for load in (lambda: checkpoint.load(before, CPU), lambda: checkpoint.read_run(tmp_path / "run")):
        with pytest.raises(ModelError, match=r"made before ganvas .* differed slightly from the textbook's") as error:
            load()
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_a_file_of_a_newer_format_is_refused_with_the_version_that_wrote_it(tmp_path):
    source = noise_source()
    run = tmp_path / "run"
    training.start(run, source, manifest_of(source))
    manifest = json.loads((run / checkpoint.RUN).read_text())
    manifest["config"]["what comes later"] = 1
    manifest |= {"format": FORMAT + 1, "versions": {**manifest["versions"], "ganvas": "7.8.9"}}
    (run / checkpoint.RUN).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"made by ganvas 7\.8\.9, which is newer"):
        checkpoint.read_run(run)

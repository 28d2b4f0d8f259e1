"""What several tests need: real picture files, a small source, a run that has learned for a few steps."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas import checkpoint, methods, training
from ganvas.data import named
from ganvas.data.batch import Images, Source, Spec

SMALL = {  # settings that make a method small enough for a test, by method
    "gan": {"generator": (16,), "discriminator": (16,)},
    "dcgan": {"width": 4, "hidden": 32},
    "cgan": {"width": 4, "hidden": 32},
    "wgan_gp": {"width": 4, "hidden": 32, "critic_steps": 2},
    "vae": {"width": 4, "hidden": 32},
}


def small_config(name, **changes):
    """A method's default recipe on small networks; a method that is not listed is tested at its full size."""
    return methods.get(name).Config(**{"batch": 8, **SMALL.get(name, {}), **changes})


def noise_source(*, n=32, size=16, channels=1, classes=()):
    """A source of random pictures, in memory."""
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, size, size), generator=chance, dtype=torch.uint8)
    labels = torch.arange(n) % len(classes) if classes else None
    return Source("noise", Spec(size, channels, classes), Images(pixels, labels))


def labelled_source(**shape):
    """The same in three classes."""
    return noise_source(classes=("a", "b", "c"), **shape)


def facts_of(source, name="gan", **changes):
    """The facts of a run over `source`."""
    config = changes.pop("config", None) or small_config(name)
    known = {"seed": 0, "flip": False, "precision": "fp32", **changes}
    return checkpoint.Facts(
        method=name, config=config, spec=source.spec, data=source.name, pictures=len(source), **known
    )


def train_to(run, steps, *, source, facts, **options):
    """Train a run until `steps`; returns the method."""
    method = training.start(run, source, facts)
    budget = training.Budget(steps=steps)
    for _ in training.train(run, source, method, facts=facts, device=torch.device("cpu"), budget=budget, **options):
        pass
    return method


def same_weights(one, other):
    """Whether two methods hold the same numbers, to the bit."""
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def ganvas():
    """Run a command line as its own process; returns it when done."""

    def run(*words, cwd=None, env=None, **options):
        command = [sys.executable, "-m", "ganvas", *map(str, words)]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture(scope="session")
def _digits_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "digits"
    source = named.open_named("digits", root=Path(), size=16)
    train_to(run, 4, source=source, facts=facts_of(source))
    return run


@pytest.fixture
def digits_run(_digits_run, tmp_path):
    """A copy, free to be broken, of a run that learned from digits for four steps."""
    return shutil.copytree(_digits_run, tmp_path / "digits-run")


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve colour photographs in the common formats, of different sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, ending in enumerate(["png", "jpg", "jpeg", "webp", "bmp", "tif", "gif"] + ["png"] * 5):
        photograph(seed=i, width=40 + i, height=32).save(folder / f"{i}.{ending}")
    return folder


def photograph(*, seed, width, height):
    """A smooth colour picture: low frequencies, as in a photograph, so that lossy formats keep it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

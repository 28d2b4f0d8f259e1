"""Helpers of several tests: real image files, a small source, a run trained for a few steps."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker on each core: more threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas import methods, training
from ganvas.checkpoint.manifest import Manifest
from ganvas.core.options import TrainOptions
from ganvas.data import builtin
from ganvas.data.batch import ImageBatch, PairBatch, Source, Spec, UnpairedBatch
from ganvas.data.unpaired import unpaired
from ganvas.nets.vgg import VGG19, WIDTH

SMALL = {  # settings that make a method small enough for a test, by method
    "gan": {"generator": (16,), "discriminator": (16,)},
    "dcgan": {"width": 4, "hidden": 32},
    "cgan": {"width": 4, "hidden": 32},
    "wgan_gp": {"width": 4, "hidden": 32, "critic_steps": 2},
    "vae": {"width": 4, "hidden": 32},
    "pix2pix": {"width": 4, "discriminator_width": 4},
    "autoencoder": {"width": 4},
    "cyclegan": {"width": 4, "blocks": 1, "discriminator_width": 4},
    "fast_style": {"width": 4, "blocks": 1},
    "adain": {"width": 4},
}


def small_config(name, **changes):
    """A method's default recipe on small networks; a method that is not listed is tested at its full size."""
    return methods.get(name).Config(**{"batch": 8, **SMALL.get(name, {}), **changes})


def noise_source(*, n=32, size=16, channels=1, classes=(), seed=0):
    """A source of random images, in memory."""
    pixels = noise_images(n, size=size, channels=channels, seed=seed)
    labels = torch.arange(n) % len(classes) if classes else None
    return Source("noise", Spec(size, channels, classes), ImageBatch(pixels, labels))


def noise_images(n, *, size=16, channels=1, seed=0):
    """Random images (n, channels, size, size), uint8."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), generator=rng, dtype=torch.uint8)


def labelled_source(**shape):
    """A source of random images in three classes, in memory."""
    return noise_source(classes=("a", "b", "c"), **shape)


def pairs_source(*, n=32, size=16, channels=1, target_channels=0):
    """A source of random images, each with its negative for a target."""
    source = noise_images(n, size=size, channels=channels)
    target = 255 - (source.expand(-1, target_channels, -1, -1) if channels == 1 and target_channels else source)
    spec = Spec(size, channels, target_channels=target_channels or channels)
    return Source("pairs", spec, PairBatch(source, target[:, : spec.target_channels]))


def unpaired_source(*, n=32, size=16, channels=1):
    """A source of two sets of random images, the second a little smaller."""
    sides = (noise_source(n=m, size=size, channels=channels, seed=seed) for seed, m in enumerate((n, n - 3)))
    return unpaired(*sides)


def source_for(name, **shape):
    """A source of the data that a method usually takes: images in three classes, pairs, or two sets."""
    made = {ImageBatch: labelled_source, PairBatch: pairs_source, UnpairedBatch: unpaired_source}
    return made[methods.get(name).batches[0]](**shape)


def manifest_of(source, name="gan", **changes):
    """The manifest of a run over `source`."""
    config = changes.pop("config", None) or small_config(name)
    known = {"seed": 0, "flip": False, "precision": "fp32", **changes}
    return Manifest(method=name, config=config, spec=source.spec, data=source.name, images=len(source), **known)


@functools.cache
def random_vgg(deepest, *, width=WIDTH):
    """VGG-19 with random weights; of the right width, or of a smaller one where they are not stored."""
    torch.manual_seed(0)
    return VGG19(deepest=deepest, width=width)


def lessons(name):
    """The weights and paintings that a style method is given at setup, as `training.start` takes them; else nothing."""
    method = methods.get(name)
    given = {"vgg": random_vgg(method.deepest, width=WIDTH if name == "adain" else 2)} if method.deepest else {}
    return given | ({"paintings": [noise_images(1, size=40, channels=3)[0]]} if name == "fast_style" else {})


def taught(method):
    """A method with the weights and paintings that it is given at setup."""
    method.setup(**{"vgg": None, "paintings": (), **lessons(method.name())})
    return method


QUICK = (  # files of tests that take a minute in all, for `pytest -m quick` while one works
    "augment", "contributing", "derived", "docs", "every_source", "exact_steps", "files", "floors", "images", "lab",
    "losses", "memory", "metrics", "paired", "runtime", "schema", "settings", "tiles", "translators", "vgg", "words",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Mark what is quick."""
    for item in items:
        if item.path.stem.removeprefix("test_") in QUICK:
            item.add_marker(pytest.mark.quick)


def train_to(run, steps, *, source, manifest, of=None, score=None, shown=None, **options):
    """Train a run until `steps`; returns the method.

    With `of` the training is planned for so many steps and stopped before its end, as Ctrl-C does. Where the learning
    rate depends on the fraction of the training that is over, only such a run can continue as if it were unbroken.
    """
    method = training.start(run, source, manifest, **lessons(manifest.method))
    limit, cpu = training.Limit(steps=of or steps), torch.device("cpu")
    plan = training.Plan(
        manifest=manifest, device=cpu, limit=limit, options=TrainOptions(**options), score=score, shown=shown
    )
    with pytest.MonkeyPatch.context() as patch:
        if of:
            patch.setattr(training.loop, "REPORT_SECONDS", 0)  # so that it can be stopped after any step
        events = training.train(run, source, method, plan)
        for event in events:
            if of and event.step == steps:
                break
        events.close()
    return method


def same_weights(one, other):
    """Whether two methods hold the same weights, to the bit."""
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
    source = builtin.open_named("digits", root=Path(), size=16)
    train_to(run, 4, source=source, manifest=manifest_of(source))
    return run


@pytest.fixture
def digits_run(_digits_run, tmp_path):
    """A copy, which a test may break, of a run trained on digits for four steps."""
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
    """A smooth colour image: low frequencies, as in a photograph, so that lossy formats keep it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

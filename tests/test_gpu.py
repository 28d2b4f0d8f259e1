"""What only a GPU can show: steps there, recorded ones too, and results that equal those of the CPU."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
import test_exact_steps as exact
import torch
from conftest import noise_images, noise_source, random_vgg, source_for
from references import masks
from test_stepping import STEPS, built, every_method
from torch import Tensor

import ganvas
from ganvas import Data, EvaluateOptions, TrainOptions
from ganvas.core import device
from ganvas.core.device import autocast
from ganvas.core.optim import scale_rates
from ganvas.core.rng import seed_step
from ganvas.data import decode, open_data
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.data.loader import batches
from ganvas.imaging.images import DecodedImage, to_pillow
from ganvas.nets.cpu_ops import Dropout
from ganvas.style import StylizeConfig, Stylizer
from ganvas.training import cuda_graphs
from ganvas.training.cuda_graphs import WARMING, Steps

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _own_teacher():
    """A teacher that moves to the GPU with its method is not the one of the next test."""
    yield
    random_vgg.cache_clear()


@pytest.fixture
def _as_on_the_cpu(monkeypatch):
    """The kernels of a GPU that give the same numbers each time, without TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)


@pytest.fixture
def _float64(monkeypatch):
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    monkeypatch.setattr(exact.convolutional, "PAPER64", (32, 16, 8, 4))
    monkeypatch.setattr(exact.reference_networks, "PAPER64", (32, 16, 8, 4))

    def dropped(self, input):
        """Dropout whose mask the reference gets, too."""
        if not self.training or not self.p:
            return input
        masks.QUEUE.append(self._drawn(len(input), input))
        return input * masks.QUEUE[-1]

    masks.QUEUE.clear()
    monkeypatch.setattr(Dropout, "forward", dropped)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "preset"), [*exact.CASES, *exact.OTHERS], ids=exact.named)
@pytest.mark.usefixtures("_float64")
def test_steps_in_float64_equal_those_of_the_plain_reference(name, preset):
    moved, apart = exact.learned(name, preset, GPU)
    assert min(moved.values()) > 1e-6
    for key, (_, mean) in apart.items():  # the learning rate is in fp32 there
        assert mean < 1e-6 * moved[key], key


def learned(name, precision, graphs):
    """Where a method was, where it ends after some steps, and how these were taken."""
    source = source_for(name)
    method = built(name, source).to(GPU)
    before = {key: tensor.detach().clone() for key, tensor in cuda_graphs._state(method)}
    learn = Steps(method, seed=5, record=graphs)
    for step, batch in zip(range(STEPS), batches(source, batch=4, seed=1, device=GPU), strict=False):
        scale_rates(method.optimizers.values(), 1 - step / STEPS)
        with autocast(GPU, precision):
            learn(batch, step)
    return before, {key: tensor.detach() for key, tensor in cuda_graphs._state(method)}, learn


@every_method
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.usefixtures("_as_on_the_cpu")
def test_recorded_steps_are_the_steps(name, precision, caplog):
    before, plain, _ = learned(name, precision, None)
    _, again, _ = learned(name, precision, None)  # what sums in another order do
    _, recorded, learn = learned(name, precision, cuda_graphs.recording(GPU, parts=1))
    assert not caplog.messages
    assert set(learn.tapes) == {phase for phase, times in learn.met.items() if times > WARMING}
    assert learn.tapes
    moved, missed, noise = (defaultdict[str, float](float) for _ in range(3))
    for (kind, number), end in plain.items():
        if end.is_floating_point():
            start = before.get((kind, number), torch.zeros_like(end))
            moved[kind] += float((end - start).double().square().sum())
            missed[kind] += float((recorded[kind, number] - end).double().square().sum())
            noise[kind] += float((again[kind, number] - end).double().square().sum())
    for kind, squares in moved.items():
        assert missed[kind] <= 0.05**2 * squares + 9 * noise[kind], kind


@every_method
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_plain_step_does_not_wait_for_the_gpu(name):
    source = source_for(name)
    method = built(name, source).to(GPU)
    given = batches(source, batch=4, seed=1, device=GPU)
    for step in range(20):
        batch = next(given)
        seed_step(0, step)
        if step == 18:
            torch.cuda.set_sync_debug_mode("error")
        try:
            method.training_step(batch, step)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("margin", [0, 2])
def test_batches_are_those_of_the_cpu(flip, margin):
    source = Source("noise", Spec(16, 1), ImageBatch(noise_images(32, size=16 + margin)), margin=margin)
    ours, theirs = (batches(source, batch=5, seed=3, device=where, flip=flip) for where in (GPU, CPU))
    for one, other in itertools.islice(zip(ours, theirs, strict=False), 9):
        assert torch.equal(one.images.cpu(), other.images)


def test_images_that_stay_on_the_disk_are_sent_from_pinned_memory(tmp_path, monkeypatch):
    for number, pixels in enumerate(noise_images(12, size=16, channels=3)):
        to_pillow(pixels).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(decode, "RESIDENT_BYTES", 0)
    source = open_data(Data(tmp_path, size=16))
    ours, theirs = (batches(source, batch=5, seed=3, device=where) for where in (GPU, CPU))
    for one, other in itertools.islice(zip(ours, theirs, strict=False), 4):
        assert torch.equal(one.images.cpu(), other.images)


@pytest.mark.parametrize("method", ["dcgan", "cgan", "vae"])
def test_a_run_goes_on_on_the_other_device_and_a_seed_is_one_image_on_both(tmp_path, method):
    run = tmp_path / "run"
    for steps, name in ((8, "cuda"), (10, "cpu"), (18, "cuda")):
        model = ganvas.train(
            method, "digits", run, steps=steps, width=8, batch=16, options=TrainOptions(device=name, precision="fp32"),
            progress=False,
        )  # fmt: skip
    assert model.step == 18
    there, here = (ganvas.load(run, device=name).generate(8, seed=3).tensor.float() for name in ("cuda", "cpu"))
    assert (there - here).abs().max() <= 3  # of 255


def test_translations_are_those_of_the_cpu(tmp_path):
    run = tmp_path / "run"
    ganvas.train(
        "pix2pix", Data("digits", task="denoise:0.3", size=16), run, steps=12, width=8, discriminator_width=8,
        options=TrainOptions(device="cuda"), progress=False,
    )  # fmt: skip
    images = [to_pillow(pixels) for pixels in noise_images(3, size=40)]
    there, here = (ganvas.load(run, device=name).translate(images) for name in ("cuda", "cpu"))
    for one, other in zip(there, here, strict=True):
        assert np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean() < 2  # of 255


def test_scores_are_those_of_the_cpu(tmp_path):
    run = tmp_path / "run"
    model = ganvas.train("dcgan", "digits", run, steps=20, width=8, options=TrainOptions(device="cuda"), progress=False)
    there, here = (
        ganvas.evaluate(ganvas.load(run, device=name), "digits", EvaluateOptions(device=name, count=512))
        for name in ("cuda", "cpu")
    )
    assert model.device.type == "cuda"
    assert there.names == here.names
    for name in here.names:
        assert there[name].value == pytest.approx(here[name].value, rel=0.05, abs=0.02), name


def test_an_image_is_painted_there():
    content, style = (DecodedImage(noise_images(1, size=48, channels=3, seed=seed)[0]) for seed in (0, 1))
    config = StylizeConfig(size=48, iterations=6, scales=1)
    network = random_vgg(config.deepest, width=8).to(GPU)
    *_, last = Stylizer(config, network, [style], "bf16")(content)
    assert last.made.isfinite().all()


def test_memory_of_the_cpu_is_not_copied_in_steps():
    """Steps of a data set that fits the GPU read it there."""
    device.prepare_to_train(GPU)
    source = noise_source(n=64)
    given = batches(source, batch=8, seed=0, device=GPU)
    assert all(next(given).images.device.type == "cuda" for _ in range(3))

"""Training steps equal those of the plain references in `references/`, one file a method, written from the papers.

Plain means torch's own layers, `zero_grad`, `backward` and an unfused Adam, from the same initial weights and the same
random numbers. In float64 nothing but the order of sums differs.
"""

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch
from conftest import SMALL, noise_images, small_config, source_for
from references import dcgan as reference_networks
from references import masks
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ganvas import methods
from ganvas.core.device import autocast
from ganvas.core.optim import scale_rates
from ganvas.imaging.images import to_signed
from ganvas.nets import convolutional
from ganvas.nets.cpu_ops import Dropout
from ganvas.nets.vgg import VGG19

CPU = torch.device("cpu")
BATCH = 4
FIRST, STEPS, TOTAL = 14, 5, 24  # past a gradient penalty (step 16), and into the decay of the learning rate
NARROW = ("width", "discriminator_width", "blocks", "hidden", "critic_steps")  # what makes networks small, from SMALL
CASES = [(name, preset) for name in methods.names() for preset in (None, *methods.get(name).presets)]
OTHERS = [  # settings that no recipe has on
    ("pix2pix", {"feature_matching": 10.0, "l1": 10.0, "batch": 2}),
    ("pix2pix", {"perceptual": 10.0, "feature_matching": 10.0}),
    ("pix2pix", {"skip_slope": 0.1, "slope": 0.3, "dropout": 0.5}),
    ("gan", {"updates": "simultaneous", "dropout": 0.3, "r1": 0.0, "discriminator_steps": 2}),
    ("wgan_gp", {"critic_steps": 3}),
    ("cyclegan", {"pool": 0, "identity": 0.0}),
    ("autoencoder", {"loss": "l2", "upsample": "deconv"}),
]
VGG_WIDTH = {"adain": 64, "fast_style": 2, "pix2pix": 2}


def named(value):
    return ",".join(f"{key}={n}" for key, n in value.items()) if isinstance(value, dict) else value or "default"


every_case = pytest.mark.parametrize(("name", "preset"), CASES, ids=named)


def config_of(name, preset):
    """The recipe, or the default with other settings, on small networks where its networks have a width."""
    if isinstance(preset, dict):
        return dataclasses.replace(config_of(name, None), **preset)
    config = methods.config(name, preset)
    narrow = {key: value for key, value in SMALL.get(name, {}).items() if key in NARROW}
    if getattr(config, "layers", "scaled") != "scaled":
        narrow = {}
    narrow |= {"pool": 3} if name == "cyclegan" else {}
    narrow |= {"ema": 0.65} if getattr(config, "ema", 0) else {}  # which it reaches within these steps
    return dataclasses.replace(config, **narrow)


def source_of(name, config):
    size = 28 if config.sizes == (28,) else 64 if config.sizes == (64,) else 16
    return source_for(name, n=BATCH, size=size, channels=3)


def begun(name, config, source):
    """A method before its first step, with what it needs from outside."""
    torch.manual_seed(0)
    method = methods.get(name)(config, source.spec)
    deepest = method.looks_to(config)
    vgg = VGG19(deepest=deepest, width=VGG_WIDTH[name]) if deepest else None
    method.setup(vgg=vgg, paintings=paintings() if name == "fast_style" else ())
    return method.train(), vgg


def paintings():
    return list(noise_images(2, size=40, channels=3))


def reference_of(name, method, vgg):
    """The plain reference, with the weights of the method and on its device."""
    device = next(method.parameters()).device
    with device:
        reference = importlib.import_module(f"references.{name}").Reference(method.config, method.spec)
    for key, network in reference.networks.items():
        network.to(device)
        ours = getattr(method, key)
        for part in ("parameters", "buffers"):
            for plain, own in zip(getattr(network, part)(), getattr(ours, part)(), strict=True):
                assert plain.shape == own.shape, f"{key}: {tuple(plain.shape)}, expected {tuple(own.shape)}"
                plain.data.copy_(own.data)
    given = []
    if vgg is not None:
        buffers = list(vgg.to(device).buffers())
        given.append(list(zip(buffers[::2], buffers[1::2], strict=True)))
    if name == "fast_style":
        given.append([to_signed(image).to(device, torch.get_default_dtype()) for image in paintings()])
    with device:
        reference.begin(*given)
    return reference


def held(value):
    """The tensors of a module, or one tensor, that a step changes."""
    if isinstance(value, Tensor):
        return [value]
    return [*value.parameters(), *(buffer for buffer in value.buffers() if buffer.is_floating_point())]


def learned(name, preset, device=CPU):
    """How far a method and its reference have moved after the steps, and how far they are apart: by network."""
    config = config_of(name, preset)
    source = source_of(name, config)
    method, vgg = begun(name, config, source)
    method.to(device)
    reference = reference_of(name, method, vgg)
    batch = source.some(BATCH).signed().over_images(lambda t: t.to(torch.get_default_dtype()))
    batch = batch.over(lambda t: t.to(device))
    before = {key: [t.clone() for t in held(getattr(method, key))] for key in reference.expected()}
    for step in range(FIRST, FIRST + STEPS):
        rate = config.rate_at(step / TOTAL)
        scale_rates(method.optimizers.values(), rate)
        torch.manual_seed(step)
        method.training_step(batch, step)
        torch.manual_seed(step)
        with device:
            reference.step(batch, step, rate)
    assert not masks.QUEUE, "the reference used fewer dropout masks than the method drew"
    moved, apart = {}, {}
    for key, plain in reference.expected().items():
        own = held(getattr(method, key))
        differences = [(a - b.view_as(a)).detach().abs() for a, b in zip(own, held(plain), strict=True)]
        moved[key] = max(float((a - b).detach().abs().max()) for a, b in zip(own, before[key], strict=True))
        apart[key] = max(float(d.max()) for d in differences), max(float(d.mean()) for d in differences)
    return moved, apart


@pytest.fixture(autouse=True)
def _recorded_masks(monkeypatch):
    """The reference drops what the method has dropped."""
    drawn = Dropout._drawn
    masks.QUEUE.clear()

    def record(self, n, input):
        masks.QUEUE.append(drawn(self, n, input))
        return masks.QUEUE[-1]

    monkeypatch.setattr(Dropout, "_drawn", record)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    """The paper's networks of 64 pixels have no width among their settings, and take their time."""
    for module in (convolutional, reference_networks):
        monkeypatch.setattr(module, "PAPER64", (32, 16, 8, 4))


@pytest.fixture
def _float64(monkeypatch):
    """Everything in float64; `.float()`, by which methods leave half precision, does not round there."""
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    yield
    torch.set_default_dtype(torch.float32)


def test_every_method_has_a_plain_reference():
    folder = Path(__file__).parent / "references"
    missing = [name for name in methods.names() if not (folder / f"{name}.py").exists()]
    assert not missing, (
        f"tests/references/{missing[0]}.py is missing: write there, from the paper and in plain torch, a class "
        "Reference(config, spec) with `networks` (the method's networks by name, plain layers in the same order), "
        "`begin()`, `step(batch, step, rate)` and `expected()`, as tests/references/gan.py has them"
    )


@pytest.mark.parametrize(("name", "preset"), [*CASES, *OTHERS], ids=named)
@pytest.mark.usefixtures("_float64")
def test_steps_in_float64_equal_those_of_the_plain_reference(name, preset):
    moved, apart = learned(name, preset)
    assert min(moved.values()) > 1e-6
    assert max(most for most, _ in apart.values()) < 1e-10, apart


@every_case
def test_steps_in_fp32_equal_those_of_the_plain_reference(name, preset):
    """As near as fp32 allows: where a gradient is about zero, its rounded sign may decide which way Adam goes."""
    moved, apart = learned(name, preset)
    for key, (_, mean) in apart.items():
        assert mean < 0.05 * moved[key], (key, mean, moved[key])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [16, 64])
@every_case
def test_an_optimiser_meets_gradients_and_moments_laid_out_as_their_weights(name, preset, size, precision):
    config = config_of(name, preset) if preset else small_config(name, batch=BATCH)
    sizes = {16: 16, 64: 64} if set(config.sizes) >= {16, 64} else dict.fromkeys((16, 64), config.sizes[0])
    if sizes[16] == sizes[64] and size == 64:
        pytest.skip("its networks have one size")
    source = source_for(name, n=BATCH, size=sizes[size], channels=3)
    method, _ = begun(name, config, source)
    batch, found = source.some(BATCH).signed(), []

    def compare(optimizer, args, kwargs):
        for weight in (weight for group in optimizer.param_groups for weight in group["params"]):
            moments = [value for value in optimizer.state[weight].values() if value.shape == weight.shape]
            found.extend(tuple(weight.shape) for other in (weight.grad, *moments) if not lies_as(other, weight))

    hook = register_optimizer_step_pre_hook(compare)
    try:
        for step in range(20 if preset is None else 3):
            torch.manual_seed(step)
            with autocast(CPU, precision):
                method.training_step(batch, step)
    finally:
        hook.remove()
    masks.QUEUE.clear()
    assert not found, f"{len(found)} times, first {found[0]}"


def lies_as(tensor, weight):
    """Whether both lie in memory alike; a side of one has no say in it."""
    sides = zip(weight.shape, weight.stride(), tensor.stride(), strict=True)
    return tensor.dtype == weight.dtype and all(own == other for n, own, other in sides if n > 1)

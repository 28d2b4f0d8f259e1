"""Steps that are recorded and replayed do what steps do, and ask nothing of a GPU that a recording cannot hold.

A tape stands in for a CUDA graph: it too holds a step's operations, where their numbers lie, and the plain numbers they
were called with, and it runs on the CPU.
"""

import copy
import logging

import pytest
import torch
from conftest import manifest_of, small_config, source_for, taught, train_to
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganvas import methods, training
from ganvas.core import distributed, optim
from ganvas.core.device import autocast
from ganvas.core.optim import scale_rates
from ganvas.data.loader import batches
from ganvas.methods import _base
from ganvas.methods.gan import Gan
from ganvas.nets import cpu_ops
from ganvas.training import cuda_graphs
from ganvas.training.cuda_graphs import WARMING, Steps

CPU = torch.device("cpu")
STEPS = 40  # so that every phase is replayed, the penalty of every 16th step too
every_method = pytest.mark.parametrize("name", methods.names())
SETTINGS = {  # with more than one phase, and what is left out by default
    "gan": {"discriminator_steps": 2, "dropout": 0.3},
    "fast_style": {"temporal": 10.0},
    "cyclegan": {"pool": 12, "batch": 2},  # not full when it is recorded
    "pix2pix": {"dropout": 0.5},
}


class Tape(TorchDispatchMode):
    """Every operation below autograd, in its order."""

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)  # which format an operation takes was decided when it was recorded
    def again(self):
        for func, args, kwargs, made in self.done:
            anew = func(*args, **kwargs)
            for place, tensor in zip(tree_leaves(made), tree_leaves(anew), strict=True):
                if isinstance(place, Tensor) and place.data_ptr() != tensor.data_ptr():
                    place.copy_(tensor)


def record(work):
    with Tape() as tape:
        losses = work()
    return losses, tape.again


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """What differs there, for a recording that is made on the CPU."""
    monkeypatch.setattr(_base, "adam", adam_as_on_a_gpu)
    monkeypatch.setattr(cpu_ops.Dropout, "forward", nn.Dropout.forward)


def adam_as_on_a_gpu(weights, *, learning_rate, betas, epsilon):
    return torch.optim.Adam(weights, torch.full((), learning_rate), betas=betas, eps=epsilon, fused=True)


def built(name, source, **settings):
    torch.manual_seed(0)
    config = small_config(name, **{"batch": 4, **SETTINGS.get(name, {}), **settings})
    return taught(methods.get(name)(config, source.spec)).train()


def taken(method, source, record, *, steps=STEPS, precision="fp32"):
    """The losses of each step, and how they were taken."""
    learn, losses = Steps(method, seed=5, record=record), []
    for step, batch in enumerate(batches(source, batch=method.config.batch, seed=1, device=CPU)):
        if step == steps:
            return losses, learn
        scale_rates(method.optimizers.values(), 1 - step / steps)
        with autocast(CPU, precision):
            losses.append(learn(batch, step))


def everything(method):
    """All that it holds: weights, buffers, and what its optimisers keep."""
    return {**dict(cuda_graphs._state(method)), **method.extra_state()}


@every_method
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_replayed_steps_are_the_steps(name, precision):
    source = source_for(name)
    plain, replayed = built(name, source), built(name, source)
    expected, _ = taken(plain, source, None, precision=precision)
    found, learn = taken(replayed, source, record, precision=precision)
    assert set(learn.tapes) == {plain.phase(step) for step in range(STEPS)} - {
        phase for phase in map(plain.phase, range(STEPS)) if learn.met[phase] <= WARMING
    }
    assert learn.tapes
    for one, other in zip(expected, found, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert everything(plain).keys() == everything(replayed).keys()
    for key, tensor in everything(plain).items():  # averages go by a number of fp32 or fp64
        torch.testing.assert_close(tensor, everything(replayed)[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), [("dcgan", {"r1": 1.0}), ("gan", {"r1": 1.0}), ("wgan_gp", {})])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_each_kind_of_step_is_recorded_for_itself(name, settings):
    source, steps = source_for(name), (WARMING + 1) * 16 + 2
    _, learn = taken(built(name, source, **settings), source, record, steps=steps)
    assert len(learn.tapes) == len({learn.method.phase(step) for step in range(steps)}) > 1


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_run_records_its_steps_unless_told_otherwise_and_goes_on_where_it_was(tmp_path, monkeypatch):
    source = source_for("wgan_gp")
    manifest, recorded = manifest_of(source, "wgan_gp"), []

    def counted(work):
        recorded.append(work)
        return record(work)

    monkeypatch.setattr(training.loop, "recording", lambda device, parts: counted)
    plain = train_to(tmp_path / "plain", 30, source=source, manifest=manifest, no_cuda_graphs=True)
    assert not recorded
    train_to(tmp_path / "recorded", 17, of=30, source=source, manifest=manifest)
    again = train_to(tmp_path / "recorded", 30, source=source, manifest=manifest)
    assert len(recorded) == 4  # two phases, by each command
    for key, tensor in plain.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[key], rtol=1e-5, atol=1e-6)


def test_plain_steps_are_refused_where_all_are(ganvas, tmp_path):
    done = ganvas(
        "train", "gan", "--data", "digits", "--steps", "1", "--no-cuda-graphs", "--device", "cpu", cwd=tmp_path
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--no-cuda-graphs" in done.stderr


# --- what a recording cannot hold -----------------------------------------------------------------------------------


def as_if_on_a_gpu(module):
    """The module with weights and buffers that say they are on a GPU; to be entered in FakeTensorMode."""
    for part in module.modules():
        for held, wrap in ((part._parameters, nn.Parameter), (part._buffers, None)):
            for name, tensor in held.items():
                if tensor is not None:
                    there = told(tensor)
                    held[name] = wrap(there, requires_grad=tensor.requires_grad) if wrap else there
    return module


def told(tensor):
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")


class Crossings(TorchDispatchMode):
    """Operations that take numbers of the CPU to the GPU, or wait for one from there."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        adam = func is torch.ops.aten._fused_adam_.tensor_lr  # of which torch knows no shapes
        made = None if adam else func(*args, **(kwargs or {}))
        kinds = {leaf.device.type for leaf in tree_leaves((args, kwargs, made)) if isinstance(leaf, Tensor)}
        whole = all(leaf.dim() for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.device.type == "cpu")
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default) or (
            len(kinds) > 1 and (whole or func is torch.ops.aten._to_copy.default)
        ):
            self.found.append(str(func))
        return made


def crossings(method, batch, steps=(0, 1)):
    """What a step of it does that a recording cannot hold, but for what happens in backward passes."""

    def no_gradients(loss, weights, **_):
        return [torch.empty_like(weight) for weight in ([weights] if isinstance(weights, Tensor) else weights)]

    def no_backward(loss, *, inputs, **_):
        for weight in inputs:
            weight.grad = torch.empty_like(weight)

    method = copy.deepcopy(method)  # what it looks through is shared by all tests
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.MonkeyPatch.context() as patch:
        as_if_on_a_gpu(method)
        held = batch.over(told)
        patch.setattr(torch.autograd, "grad", no_gradients)  # its threads would look for the GPU
        patch.setattr(torch.autograd, "backward", no_backward)
        number = torch.zeros((), dtype=torch.float64, device="cuda")
        with optim.numbered(number), Crossings() as seen:
            for step in steps:
                method.training_step(held, step)
        rates = [group["lr"] for optimizer in method.optimizers.values() for group in optimizer.param_groups]
        assert all(rate.device.type == "cuda" for rate in rates)
        assert all(group["capturable"] for o in method.optimizers.values() for group in o.param_groups)
    return seen.found


@every_method
def test_on_a_gpu_a_step_asks_for_no_number_and_brings_none_along(name):
    source = source_for(name)
    assert not crossings(built(name, source), source.some(4).signed())


@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python")
@pytest.mark.parametrize(
    "bad",
    [
        lambda batch: float(batch.images.mean()),
        lambda batch: batch.images.mean().item(),
        lambda batch: batch.images * torch.tensor([2.0] * batch.images.shape[-1]).to(batch.images.device),
        lambda batch: batch.images[batch.images.mean((1, 2, 3)) > 0],
    ],
)
def test_a_step_that_does_is_found(bad, monkeypatch):
    source = source_for("gan")
    step = Gan.training_step

    def worse(self, batch, number):
        bad(batch)
        return step(self, batch, number)

    monkeypatch.setattr(Gan, "training_step", worse)
    method, batch = built("gan", source), source.some(4).signed()
    try:
        found = crossings(method, batch)
    except Exception as error:  # a number that is not there cannot be told
        found = [type(error).__name__]
    assert found


# --- where it does not work -----------------------------------------------------------------------------------------


def refusing(work):
    raise RuntimeError("operation not permitted when stream is capturing\nmore")


def doing_nothing(work):
    return record(work)[0], lambda: None


def doing_twice(work):
    losses, again = record(work)
    return losses, lambda: (again(), again())


def with_other_chance(work):
    losses, again = record(work)

    def otherwise():
        torch.manual_seed(99)
        again()

    return losses, otherwise


def breaking(work):
    losses, again = record(work)

    def broken():
        again()
        for loss in losses.values():
            loss.fill_(torch.nan)

    def spread():
        broken()
        raise RuntimeError("device-side")

    return losses, spread


@pytest.mark.parametrize("bad", [refusing, doing_nothing, doing_twice, with_other_chance, breaking])
@pytest.mark.parametrize("name", ["gan", "cyclegan", "vae"])
def test_a_recording_that_fails_or_does_something_else_is_not_used(name, bad, caplog):
    if name == "cyclegan" and bad is with_other_chance:
        pytest.skip("random numbers decide only what its full pool shows, which may be the same")
    source = source_for(name)
    plain, other = built(name, source), built(name, source)
    expected, _ = taken(plain, source, None, steps=8)
    with caplog.at_level(logging.WARNING, "ganvas"):
        found, learn = taken(other, source, bad, steps=8)
    assert [message for message in caplog.messages if "one operation at a time" in message] == caplog.messages
    assert len(caplog.messages) == 1
    assert "\n" not in caplog.messages[0]
    assert learn.record is None
    assert not learn.tapes
    assert all(torch.equal(one[key], two[key]) for one, two in zip(expected, found, strict=True) for key in one)
    for key, tensor in everything(plain).items():
        assert torch.equal(tensor, everything(other)[key])


def test_only_one_process_on_one_gpu_records_and_only_whole_steps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    gpu = torch.device("cuda")
    assert cuda_graphs.recording(gpu, parts=1)
    assert not cuda_graphs.recording(gpu, parts=2)
    assert not cuda_graphs.recording(CPU, parts=1)
    assert not cuda_graphs.recording(torch.device("mps"), parts=1)
    monkeypatch.setattr(distributed, "count", lambda: 2)
    assert not cuda_graphs.recording(gpu, parts=1)

"""The quick ways of doing things do what the plain ones do."""

import math

import pytest
import torch
from conftest import manifest_of, noise_source, small_config
from torch import nn
from torch.nn import functional as F

from ganvas import methods
from ganvas.core.accumulation import Share
from ganvas.core.device import keep_memory
from ganvas.nets import cpu_ops
from ganvas.nets.layers import lay_out
from ganvas.nets.unet import Layers, UNet, unet_widths
from ganvas.training import precision

CPU = torch.device("cpu")
LAYERS = [(cpu_ops.Conv2d, nn.Conv2d), (cpu_ops.ConvTranspose2d, nn.ConvTranspose2d)]


# --- few places -----------------------------------------------------------------------------------------------------


def products(work):
    """Whether a matrix product, and whether a convolution, is called in it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        work()
    names = {event.key for event in found.key_averages()}
    return "aten::mm" in names, "aten::convolution" in names


@pytest.mark.parametrize(("quick", "plain"), LAYERS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("n", "height", "width", "shape"), [(1, 4, 6, (4, 2, 1)), (3, 5, 3, (3, 2, 1)), (2, 2, 4, (5, 1, (2, 1)))]
)
@pytest.mark.parametrize("last", [True, False])
def test_few_places_make_a_product_that_is_the_convolution(quick, plain, bias, n, height, width, shape, last):
    torch.manual_seed(0)
    ours = quick(70, 70, *shape, bias=bias).double()
    theirs = plain(70, 70, *shape, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    if last:
        ours.to(memory_format=torch.channels_last)
    x = torch.randn(n, 70, height, width, dtype=torch.float64)
    seen = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    assert products(lambda: ours(x)) == (True, False)
    made = [layer(given) for layer, given in zip((ours, theirs), seen, strict=True)]
    torch.testing.assert_close(*made)
    assert made[0].is_contiguous(memory_format=torch.channels_last)
    wanted = torch.randn_like(made[0])
    found, expected = (
        torch.autograd.grad((out * wanted).sum(), [given, *layer.parameters()])
        for layer, given, out in zip((ours, theirs), seen, made, strict=True)
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("quick", "plain"), LAYERS)
def test_in_bf16_it_is_as_near_to_the_exact_result_as_the_convolution(quick, plain):
    torch.manual_seed(0)
    ours = quick(128, 128, 4, 2, 1)
    theirs = plain(128, 128, 4, 2, 1)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 128, 8, 8)
    exact = theirs.double()(x.double())
    theirs.float()
    with torch.autocast("cpu", torch.bfloat16):
        errors = [(layer(x).double() - exact).norm() / exact.norm() for layer in (ours, theirs)]
    assert errors[0] < 1.5 * errors[1] < 0.02


@pytest.mark.parametrize(("quick", "plain"), LAYERS)
def test_with_the_fewest_places_the_kernel_and_its_gradient_are_not_rounded(quick, plain):
    torch.manual_seed(0)
    layer, exact = quick(128, 128, 4, 2, 1, bias=False), plain(128, 128, 4, 2, 1, bias=False)
    exact.load_state_dict(layer.state_dict())
    exact.double()
    side = 4 if quick is cpu_ops.Conv2d else 2
    x = torch.randn(1, 128, side, side).bfloat16()  # as the layer before leaves it
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x)
    wanted = torch.randn_like(made)
    (found,) = torch.autograd.grad(made, layer.weight, wanted)
    (expected,) = torch.autograd.grad(exact(x.double()), exact.weight, wanted.double())
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_maps_side_by_side_get_gradients_that_are_laid_out(layout):
    torch.manual_seed(0)
    leaves = [torch.randn(2, c, 6, 4).to(memory_format=layout).requires_grad_() for c in (3, 5)]
    wanted = torch.randn(2, 8, 6, 4).to(memory_format=layout)
    laid_out, found = [], []
    for join in (cpu_ops.side_by_side, lambda *maps: torch.cat(maps, 1)):
        maps = [leaf * 2 for leaf in leaves]
        joined = join(*maps)
        for part in maps:
            part.register_hook(lambda g: laid_out.append(g.is_contiguous(memory_format=torch.channels_last)))
        found.append([joined, *torch.autograd.grad(joined, leaves, wanted)])
    assert laid_out == [layout == torch.channels_last] * 2 + [False] * 2
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    with torch.no_grad():
        assert torch.equal(cpu_ops.side_by_side(*leaves), torch.cat(leaves, 1))


SHAPES = [  # maps, kernel, stride, padding, output padding of a transposed one
    ((5, 7), (3, 3), (1, 1), (1, 1), (0, 0)),
    ((6, 7), (4, 4), (2, 2), (1, 1), (0, 0)),
    ((7, 5), (5, 3), (2, 1), (2, 1), (1, 0)),
    ((6, 6), (2, 2), (2, 2), (0, 0), (1, 1)),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_kernels_gradient_by_a_product_is_right_and_so_are_second_derivatives(shape, transposed):
    sides, kernel, stride, padding, more = shape
    torch.manual_seed(0)
    numbers = [(2, 3, *sides), (3, 4, *kernel) if transposed else (4, 3, *kernel), (4,)]
    maps, weight, bias = (torch.randn(*n, dtype=torch.float64, requires_grad=True) for n in numbers)

    def made(*given):
        return cpu_ops._Convolution.apply(*given, stride, padding, more if transposed else None)

    if transposed:
        expected = F.conv_transpose2d(maps, weight, bias, stride, padding, more)
    else:
        expected = F.conv2d(maps, weight, bias, stride, padding)
    assert torch.equal(made(maps, weight, bias), expected)
    assert torch.autograd.gradcheck(made, (maps, weight, bias))
    assert torch.autograd.gradgradcheck(made, (maps, weight, bias))


@pytest.mark.parametrize(("quick", "plain"), LAYERS)
@pytest.mark.parametrize("last", [True, False])
def test_at_small_maps_a_kernels_gradient_is_as_near_to_the_exact_one_and_lies_as_the_kernel(
    quick, plain, last, monkeypatch
):
    monkeypatch.setattr(cpu_ops, "multiplies_in_tiles", lambda: True)
    torch.manual_seed(0)
    layer, exact, theirs = (kind(64, 48, 4, 2, 1) for kind in (quick, plain, plain))
    for other in (exact, theirs):
        other.load_state_dict(layer.state_dict())
    if last:
        layer.to(memory_format=torch.channels_last)
    side = 8 if quick is cpu_ops.Conv2d else 4
    x = torch.randn(32, 64, side, side).bfloat16().requires_grad_()
    wanted = torch.randn(32, 48, *([4] * 2 if quick is cpu_ops.Conv2d else [8] * 2))

    def gradients(layer, x):
        return torch.autograd.grad(layer(x), [x, *layer.parameters()], wanted.to(layer(x).dtype))

    expected = gradients(exact.double(), x.double())
    with torch.autocast("cpu", torch.bfloat16):
        found, usual = gradients(layer, x), gradients(theirs, x)
    assert found[1].stride() == layer.weight.stride()
    for ours, other, true in zip(found, usual, expected, strict=True):
        errors = [float((one.double() - true).norm() / true.norm()) for one in (ours, other)]
        assert errors[0] < 1.2 * errors[1] + 1e-3 < 0.02


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("asked", ["maps", "kernel", "both"])
def test_only_gradients_that_are_asked_for_are_computed(asked, bias, monkeypatch):
    monkeypatch.setattr(cpu_ops, "multiplies_in_tiles", lambda: True)
    made = []

    def noted(name, function):
        return lambda *given, **how: made.append(name) or function(*given, **how)

    for name in ("_of_maps", "_of_kernel"):
        monkeypatch.setattr(cpu_ops, name, noted(name, getattr(cpu_ops, name)))
    layer, x = cpu_ops.Conv2d(32, 32, 4, 2, 1, bias=bias), torch.randn(2, 32, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x * 2)
    wanted = {"maps": [x], "kernel": [layer.weight], "both": [x, layer.weight]}[asked]
    torch.autograd.grad(y.sum(), wanted)
    assert made == {"maps": ["_of_maps"], "kernel": ["_of_kernel"], "both": ["_of_maps", "_of_kernel"]}[asked]


def test_products_stand_in_only_where_they_are_quicker(monkeypatch):
    monkeypatch.setattr(cpu_ops, "multiplies_in_tiles", lambda: True)

    def used(layer, x, *, dtype=torch.bfloat16):
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            made = layer(x)
        return "_Convolution" in str(made.grad_fn)

    layer, maps = cpu_ops.Conv2d(32, 32, 4, 2, 1), torch.randn(64, 32, 16, 16)
    assert used(layer, maps)
    assert used(cpu_ops.ConvTranspose2d(32, 32, 4, 2, 1), torch.randn(64, 32, 8, 8))
    assert not used(layer, torch.randn(64, 32, 18, 16))  # 9x8 places
    assert not used(cpu_ops.ConvTranspose2d(32, 32, 4, 2, 1), torch.randn(64, 32, 9, 8))
    assert not used(cpu_ops.Conv2d(31, 32, 4, 2, 1), maps[:, :31])
    assert not used(cpu_ops.Conv2d(32, 31, 4, 2, 1), maps)
    assert not used(layer, maps, dtype=None)
    with torch.no_grad():
        assert not used(layer, maps)
    monkeypatch.setattr(cpu_ops, "multiplies_in_tiles", lambda: False)
    assert not used(layer, maps)


@pytest.mark.parametrize("last", [True, False])
def test_maps_made_of_rows_lie_as_convolutions_leave_theirs(last):
    torch.manual_seed(0)
    rows, wanted = torch.randn(3, 24, requires_grad=True), torch.randn(3, 4, 3, 2)
    if last:
        wanted = wanted.contiguous(memory_format=torch.channels_last)
    maps = cpu_ops.Unflatten(1, (4, 3, 2))(rows)
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(maps, rows.view(3, 4, 3, 2))
    (found,) = torch.autograd.grad(maps, rows, wanted)
    assert torch.equal(found, wanted.reshape(3, 24))


@pytest.mark.parametrize("last", [True, False])
def test_rows_of_maps_give_back_gradients_that_lie_as_the_maps_do(last):
    torch.manual_seed(0)
    layout = torch.channels_last if last else torch.contiguous_format
    leaf = torch.randn(3, 4, 5, 6).to(memory_format=layout).requires_grad_()
    maps, strides, wanted = leaf * 2, [], torch.randn(3, 120)
    rows = cpu_ops.Flatten()(maps)
    maps.register_hook(lambda gradient: strides.append(gradient.stride()))
    (found,) = torch.autograd.grad(rows, leaf, wanted)
    assert torch.equal(rows, (leaf * 2).flatten(1))
    assert torch.equal(found, 2 * wanted.view(3, 4, 5, 6))
    assert strides == [leaf.stride()]


@pytest.mark.parametrize(("quick", "plain"), LAYERS)
def test_many_places_are_left_to_the_convolution(quick, plain):
    layer = quick(8, 8, 4, 2, 1)
    assert products(lambda: layer(torch.randn(1, 8, 16, 16))) == (False, True)


def test_gradients_of_large_kernels_lie_as_the_kernels_do():
    network = UNet(3, 3, Layers("batch", "deconv"), widths=unet_widths(64, 5))
    lay_out(network)
    made = network.train()(torch.randn(1, 3, 32, 32).to(memory_format=torch.channels_last))
    kernels = [weight for weight in network.parameters() if weight.numel() >= 2**22]
    assert kernels
    gradients = torch.autograd.grad(made.square().mean(), kernels)
    assert [g.stride() for g in gradients] == [kernel.stride() for kernel in kernels]


# --- dropout --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 1001), (16, 7, 9, 11)])
@pytest.mark.parametrize("p", [0.3, 0.5, 0.95])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_leaves_out_its_share_and_scales_the_rest(shape, p, dtype):
    torch.manual_seed(0)
    made = cpu_ops.Dropout(p)(torch.ones(shape, dtype=dtype))
    left = (made == 0).double().mean()
    assert abs(left - p) < 5 * math.sqrt(p * (1 - p) / made.numel())
    assert made[made != 0].unique().tolist() == [float(torch.tensor(1 / (1 - p), dtype=dtype))]


def test_dropout_draws_each_number_for_itself():
    torch.manual_seed(0)
    left = (cpu_ops.Dropout(0.5)(torch.ones(256, 4096)) == 0).double()
    for apart in (1, 2, 3, 4, 8, 64):  # four numbers share 64 bits
        both = (left[:, apart:] * left[:, :-apart]).mean()
        assert abs(both - 0.25) < 0.003
    assert abs(left.mean(0) - 0.5).max() < 0.2
    assert abs(left.mean(1) - 0.5).max() < 0.05


def test_dropout_is_a_function_of_the_seed_and_not_of_the_layout():
    layer, x = cpu_ops.Dropout(0.5), torch.randn(3, 5, 4, 6)
    made = []
    for given in (x, x.to(memory_format=torch.channels_last)):
        torch.manual_seed(7)
        made.append(layer(given))
    assert torch.equal(*made)
    assert not torch.equal(layer(x), made[0])


def test_dropout_passes_gradients_of_what_it_kept():
    x = torch.randn(8, 50, requires_grad=True)
    made = cpu_ops.Dropout(0.5)(x)
    (gradient,) = torch.autograd.grad(made.sum(), x)
    assert torch.equal(gradient, (made != 0) * 2.0)
    layer = cpu_ops.Dropout(0.5).eval()
    assert torch.equal(layer(x), x)


def test_parts_of_a_batch_leave_out_what_the_whole_would(monkeypatch):
    layer, x = cpu_ops.Dropout(0.4), torch.randn(6, 33)
    torch.manual_seed(3)
    whole, parts = layer(x), []
    for number in range(2):
        monkeypatch.setattr("ganvas.core.rng.share", lambda number=number: Share(number, 2))
        torch.manual_seed(3)
        parts.append(layer(x.chunk(2)[number]))
    assert torch.equal(torch.cat(parts), whole)


# --- precision, memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bf16", "fp32", "expected"), [(1.0, 2.0, "bf16"), (1.0, 1.0, "fp32"), (3.0, 1.0, "fp32")])
def test_the_format_is_the_one_in_which_steps_are_quicker(bf16, fp32, expected, monkeypatch):
    clock = [0.0]
    gan, source = methods.get("gan"), noise_source()

    def step(self, batch, number):
        clock[0] += 0.01 * (bf16 if torch.is_autocast_enabled("cpu") else fp32) + (0.1 if number == 0 else 0)
        return {}

    monkeypatch.setattr(gan, "training_step", step)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(precision, "choose_precision", lambda device: "bf16")
    manifest = manifest_of(source, config=small_config("gan"))
    assert precision.quicker_precision(source, manifest, device=CPU) == expected


def test_a_step_of_a_second_is_not_tried_in_fp32_nor_any_where_products_are_slow(monkeypatch):
    clock, steps, source = [0.0], [], noise_source()

    def step(self, batch, number):
        clock[0] += 5
        steps.append(number)
        return {}

    monkeypatch.setattr(methods.get("gan"), "training_step", step)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])
    manifest = manifest_of(source, config=small_config("gan"))
    for likely, tried in (("bf16", 1), ("fp32", 1)):
        monkeypatch.setattr(precision, "choose_precision", lambda device, likely=likely: likely)
        assert precision.quicker_precision(source, manifest, device=CPU) == likely
        assert len(steps) == tried


def test_a_trial_leaves_no_trace_on_what_is_learned(tmp_path, monkeypatch):
    from ganvas import training

    monkeypatch.setattr(precision, "choose_precision", lambda device: "bf16")
    source = noise_source()
    manifest = manifest_of(source, config=small_config("gan"))
    before = training.start(tmp_path / "a", source, manifest).state_dict()
    precision.quicker_precision(source, manifest, device=CPU)
    after = training.start(tmp_path / "b", source, manifest).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_memory_can_be_kept_anywhere():
    keep_memory()
    assert torch.ones(2**20).sum() == 2**20

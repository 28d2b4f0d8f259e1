import contextlib
import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ganvas.core import accumulation, device, optim
from ganvas.core.device import autocast, choose_precision, find_device, sent
from ganvas.core.optim import (
    adam,
    by_step,
    evaluating,
    scale_rates,
    take_state,
    update,
    update_average,
    update_together,
)
from ganvas.core.rng import Between, Purpose, derive, noise, seed_step, slerp
from ganvas.errors import UsageError
from ganvas.losses import r1_penalty

CPU = torch.device("cpu")


def test_an_update_moves_its_own_weights_and_leaves_no_gradient_behind():
    mine, other = nn.Linear(3, 2), nn.Linear(2, 1)
    before = [p.clone() for p in (*mine.parameters(), *other.parameters())]
    update(adam(mine.parameters(), learning_rate=0.1, betas=(0.9, 0.99)), other(mine(torch.ones(4, 3))).square().mean())
    moved = [not torch.equal(a, b) for a, b in zip(before, (*mine.parameters(), *other.parameters()), strict=True)]
    assert moved == [True, True, False, False]
    assert all(p.grad is None for p in (*mine.parameters(), *other.parameters()))


def test_an_update_is_adams():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 1), nn.Linear(3, 1)
    theirs.load_state_dict(ours.state_dict())
    optimizer, reference = adam(ours.parameters(), learning_rate=0.1, betas=(0.5, 0.9)), torch.optim.Adam(
        theirs.parameters(), 0.1, betas=(0.5, 0.9)
    )  # fmt: skip
    for _ in range(3):
        x = torch.randn(8, 3)
        update(optimizer, ours(x).square().mean())
        reference.zero_grad()
        theirs(x).square().mean().backward()
        reference.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_a_step_size_is_scaled_from_where_it_began_also_after_saving_and_loading():
    layer = nn.Linear(2, 1)
    optimizer = adam(layer.parameters(), learning_rate=0.2, betas=(0.5, 0.9))
    for factor in (1.0, 0.5, 0.25):
        scale_rates([optimizer], factor)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * factor)
    before = layer.weight.clone()
    update(optimizer, layer(torch.ones(1, 2)).sum())
    torch.testing.assert_close(layer.weight, before - 0.05)  # Adam's first step is as long as its learning rate
    resumed = adam(nn.Linear(2, 1).parameters(), learning_rate=0.2, betas=(0.5, 0.9))
    take_state(resumed, optimizer.state_dict())
    scale_rates([resumed], 0.5)
    assert resumed.param_groups[0]["lr"] == pytest.approx(0.1)


def test_on_a_gpu_a_step_size_is_a_tensor_there_and_no_plain_number_replaces_it():
    with FakeTensorMode():
        weights = [nn.Parameter(torch.empty(3, device="cuda"))]
        optimizer = adam(weights, learning_rate=0.2, betas=(0.5, 0.9))
    (group,) = optimizer.param_groups
    assert group["capturable"]
    assert group["lr"].device.type == "cuda"


@pytest.mark.parametrize("there", [0.05, torch.tensor(0.05)], ids=["number", "tensor"])
@pytest.mark.parametrize("here", [0.2, torch.tensor(0.2)], ids=["number", "tensor"])
def test_a_state_goes_on_where_step_sizes_are_of_the_other_kind(there, here):
    torch.manual_seed(0)
    start, x = nn.Linear(3, 1), torch.randn(8, 3)
    made = []
    for rates in ((0.05, 0.2), (there, here)):
        layers = [copy.deepcopy(start), nn.Linear(3, 1)]
        one, other = (adam(layer.parameters(), learning_rate=0.2, betas=(0.5, 0.9)) for layer in layers)
        one.param_groups[0]["lr"], one.param_groups[0]["initial_lr"] = rates[0], 0.2
        update(one, layers[0](x).square().mean())
        layers[1].load_state_dict(layers[0].state_dict())
        other.param_groups[0]["lr"] = rates[1].clone() if isinstance(rates[1], torch.Tensor) else rates[1]
        take_state(other, one.state_dict())
        assert type(other.param_groups[0]["lr"]) is type(rates[1])
        scale_rates([other], 0.5)
        assert float(other.param_groups[0]["lr"]) == pytest.approx(0.1)
        update(other, layers[1](x).square().mean())
        made.append(layers[1].weight)
    torch.testing.assert_close(*made)


def test_a_state_is_taken_by_optimisers_that_are_no_adam():
    layers = [nn.Linear(2, 1), nn.Linear(2, 1)]
    one, other = (torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9) for layer in layers)
    update(one, layers[0](torch.ones(1, 2)).sum())
    take_state(other, one.state_dict())
    assert [len(kept) for kept in other.state.values()] == [1, 1]


def test_what_changes_with_the_step_is_a_number_or_follows_that_of_a_recording():
    assert by_step(lambda n: 9 / (10 + n), 8, least=0.1) == 0.5
    assert by_step(lambda n: 9 / (10 + n), 890, least=0.1) == 0.1
    number = torch.zeros((), dtype=torch.float64)
    with optim.numbered(number):
        found = by_step(lambda n: 9 / (10 + n), 890, least=0.1)
        assert isinstance(found, torch.Tensor)
        assert found.item() == pytest.approx(0.9)
    assert isinstance(by_step(lambda n: 1.0, 0, least=0.0), float)


def test_what_is_sent_to_a_gpu_is_pinned_and_nobody_waits(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: calls.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *where, **how: calls.append((where, how)) or self)
    tensor = torch.ones(2)
    sent(tensor, torch.device("cuda"))
    assert calls == ["pinned", ((torch.device("cuda"),), {"non_blocking": True})]
    calls.clear()
    sent(tensor, CPU)
    assert calls == [((CPU,), {})]


def test_a_weight_that_the_loss_does_not_see_is_an_error():
    used, dead = nn.Linear(2, 1), nn.Linear(2, 1)
    optimizer = adam([*used.parameters(), *dead.parameters()], learning_rate=0.1, betas=(0.9, 0.99))
    with pytest.raises(RuntimeError, match="does not depend on every weight"):
        update(optimizer, used(torch.ones(1, 2)).sum())


def test_autocast_does_not_keep_the_weights_of_before_an_update():
    layer = nn.Linear(4, 4)
    with autocast(CPU, "bf16"):
        x = torch.ones(1, 4)
        first = layer(x)
        with torch.no_grad():
            layer.weight.add_(1)
        assert not torch.equal(layer(x), first)


def test_a_penalty_reaches_the_weights_in_fp32_although_the_step_is_in_bf16():
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)), torch.randn(32, 64)
    expected = torch.autograd.grad(r1_penalty(network, x), list(network.parameters())[:3])
    seen = []
    optimizer = adam(list(network.parameters())[:3], learning_rate=0.1, betas=(0.9, 0.99))
    optimizer.register_step_pre_hook(lambda *_: seen.extend(p.grad.clone() for p in list(network.parameters())[:3]))
    with autocast(CPU, "bf16"):
        update(optimizer, r1_penalty(network, x))
    for ours, exact in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-7)


def test_noise_is_a_function_of_its_own_seed():
    rows = noise([5, 17, 5], (3, 2), device=CPU)
    assert rows.shape == (3, 3, 2)
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])
    assert torch.equal(rows[1], noise([17], (3, 2), device=CPU)[0])


def test_the_walk_between_two_seeds_starts_and_ends_at_them_and_keeps_to_the_sphere():
    start, end = noise([1, 2], (100,), device=CPU)
    way = noise([Between(1, 2, t / 8) for t in range(9)], (100,), device=CPU)
    assert torch.equal(way[0], start)
    assert torch.equal(way[-1], end)
    steps = (way[1:] - way[:-1]).norm(dim=1)
    assert steps.max() < 1.2 * steps.min()
    assert way.norm(dim=1).min() > 0.99 * min(start.norm(), end.norm())


def test_slerp_is_shoemakes_on_the_unit_circle():
    east, north = torch.tensor([1.0, 0]), torch.tensor([0, 1.0])
    torch.testing.assert_close(slerp(east, north, 1 / 3), torch.tensor([3**0.5 / 2, 0.5]))
    assert slerp(east, -east, 0.25).isfinite().all()
    assert torch.equal(slerp(east, east, 0.5), east)


def test_a_step_draws_the_same_each_time_and_another_step_something_else():
    drawn = []
    for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1)):
        seed_step(seed, step)
        drawn.append(torch.randn(4))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[3])


def test_derived_seeds_differ_by_seed_purpose_and_number():
    seeds = {derive(s, p, n) for s in range(9) for p in Purpose for n in range(9)}
    assert len(seeds) == 9 * len(Purpose) * 9
    assert max(seeds) < 2**63


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("recorded", [False, True])
def test_the_average_takes_in_weights_and_statistics_with_a_decay_that_grows(recorded, every):
    network, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.zeros_(average.weight)
    expected = 0.0
    for step in range(6):
        nn.init.constant_(network.weight, step + 1)
        network.running_mean.fill_(step + 1)
        number = torch.tensor(step * every + every - 1, dtype=torch.float64)
        with optim.numbered(number) if recorded else contextlib.nullcontext():
            update_average(average, network, decay=0.3, step=int(number), every=every)
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step + 1)
        assert average.weight[0].item() == pytest.approx(expected)
        assert average.running_mean[0].item() == pytest.approx(expected)


def test_evaluating_puts_the_mode_back():
    network = nn.Dropout()
    with evaluating(network):
        assert not network.training
        assert not torch.is_grad_enabled()
    assert network.training


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu"])
def test_a_device_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=f"`device` {name}.*cpu"):
        find_device(name)


def test_precision_is_what_was_asked_for_or_one_of_the_two():
    assert choose_precision(CPU, "bf16") == "bf16"
    assert choose_precision(CPU) in ("fp32", "bf16")


@pytest.mark.parametrize(
    ("said", "cores"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("nonsense", 8)]
)
def test_threads_are_as_many_as_the_cores_of_this_process(said, cores, tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    quota.write_text(said)
    monkeypatch.setattr(device, "QUOTA", quota)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    chosen = list[int]()
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    find_device("cpu")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # torchrun does by default
    find_device("cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    find_device("cpu")
    assert chosen == [cores, max(1, cores // 4)]


def state_after_a_step(layer):
    """An Adam over a layer, and its state after a step."""
    optimizer = adam(layer.parameters(), learning_rate=0.1, betas=(0.5, 0.9))
    update(optimizer, layer(torch.ones(1, 4, 8, 8)).square().mean())
    return optimizer, optimizer.state_dict()


def test_a_state_is_laid_out_as_the_weights_are():
    """The fused Adam reads flat memory: from a contiguous state it would take other weights' moments."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3)
    _, state = state_after_a_step(layer)
    made = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        other = copy.deepcopy(layer).to(memory_format=memory_format)
        optimizer = adam(other.parameters(), learning_rate=0.1, betas=(0.5, 0.9))
        take_state(optimizer, copy.deepcopy(state))
        moment = optimizer.state[other.weight]["exp_avg"]
        assert moment.stride() == other.weight.stride()
        update(optimizer, other(torch.ones(1, 4, 8, 8)).square().mean())
        made.append(other.weight)
    torch.testing.assert_close(*made)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp_avg", torch.zeros(4, 4, 3, 2)),
        ("exp_avg", torch.zeros(4 * 4 * 3 * 3)),
        ("exp_avg_sq", torch.zeros(4, 4, 3, 3, dtype=torch.float64)),
        ("exp_avg_sq", torch.zeros(4, 4, 3, 3).to_sparse()),
        ("exp_avg", torch.full((4, 4, 3, 3), float("nan"))),
        ("exp_avg", "text"),
        ("step", torch.tensor(-1.0)),
        ("step", torch.tensor(2.0**40)),
        ("step", torch.ones(2)),
        ("step", torch.tensor(2.5)),
        ("step", 3),
    ],
)
def test_a_state_that_does_not_fit_is_refused_before_the_optimiser_sees_it(name, value):
    layer = nn.Conv2d(4, 4, 3)
    optimizer, state = state_after_a_step(layer)
    kept = copy.deepcopy(optimizer.state_dict())
    state["state"][0] = {**state["state"][0], name: value}
    with pytest.raises(ValueError, match="of a weight"):
        take_state(optimizer, state)
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], kept["state"][0]["exp_avg"])


def test_a_state_without_moments_is_refused():
    optimizer, state = state_after_a_step(nn.Conv2d(4, 4, 3))
    del state["state"][1]["exp_avg"]
    with pytest.raises(ValueError, match="exp_avg of a weight is missing"):
        take_state(optimizer, state)


def test_a_state_of_fewer_weights_is_refused():
    optimizer, state = state_after_a_step(nn.Conv2d(4, 4, 3))
    del state["state"][1]
    with pytest.raises(ValueError, match="1 weights, expected 2"):
        take_state(optimizer, state)


def test_gradients_lie_as_their_weights_do_also_over_parts():
    """Gradients of gradients come in any layout; the fused Adam reads flat memory."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 4, 2, 1), nn.Flatten())
    critic, plain = critic.to(memory_format=torch.channels_last), copy.deepcopy(critic)
    optimizer = adam(critic.parameters(), learning_rate=0.1, betas=(0.5, 0.9))
    reference = torch.optim.Adam(plain.parameters(), 0.1, betas=(0.5, 0.9), fused=False, foreach=False)
    images = torch.randn(4, 3, 8, 8)
    for _ in range(3):
        accumulation.in_parts(
            lambda n: update(optimizer, r1_penalty(lambda x: critic(x).square(), images.chunk(2)[n])), 2
        )
        reference.zero_grad()
        r1_penalty(lambda x: plain(x).square(), images).backward()
        reference.step()
    for own, other in zip(critic.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


def test_updates_together_all_start_from_where_the_weights_were():
    torch.manual_seed(0)
    layers, x = [nn.Linear(3, 3), nn.Linear(3, 1)], torch.randn(5, 3)
    plain = copy.deepcopy(layers)
    optimizers = [adam(layer.parameters(), learning_rate=0.1, betas=(0.5, 0.9)) for layer in layers]
    seen = layers[1](layers[0](x))
    update_together((optimizers[1], seen.square().mean()), (optimizers[0], -seen.mean()))
    seen = plain[1](plain[0](x))
    gradients = [
        torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True)
        for layer, loss in ((plain[0], -seen.mean()), (plain[1], seen.square().mean()))
    ]
    for layer, own, wanted in zip(plain, layers, gradients, strict=True):
        for weight, mine, gradient in zip(layer.parameters(), own.parameters(), wanted, strict=True):
            step = -0.1 * gradient.sign()  # Adam's first step
            torch.testing.assert_close(mine, torch.where(gradient == 0, weight, weight + step), atol=1e-5, rtol=0)

"""Optimisers, their updates, and the moving average of a network: all changes of weights happen here."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganvas.core import accumulation, distributed

_NUMBER: ContextVar[Tensor | None] = ContextVar("number", default=None)  # the number of the step that is being recorded


@contextlib.contextmanager
def numbered(number: Tensor) -> Iterator[None]:
    """Within the block a step is recorded; in each replay the tensor `number`, float64 ( ), holds its step number."""
    token = _NUMBER.set(number)
    try:
        yield
    finally:
        _NUMBER.reset(token)


def by_step(formula: Callable[[Any], Any], step: int, *, least: float) -> float | Tensor:
    """`formula` of the step number, but at least `least`; the formula takes tensors, too.

    In a recorded step it is a tensor ( ), which every replay computes again; a float would keep its first value.
    """
    number = _NUMBER.get()
    if number is None:
        return float(max(formula(step), least))
    made: Tensor = formula(number).clamp(min=least).float()
    return made


# --- weights ----------------------------------------------------------------------------------------------------------


def adam(
    weights: Iterable[nn.Parameter], *, learning_rate: float, betas: tuple[float, float], epsilon: float = 1e-8
) -> Optimizer:
    """Adam (Kingma and Ba 2015) over these weights, all of them in one fused kernel.

    On a GPU the learning rate is a tensor on the GPU, so that a recorded step (`training/cuda_graphs.py`) follows it.
    """
    owned = list(weights)
    device = owned[0].device
    made = torch.optim.Adam(
        owned, learning_rate, betas=betas, eps=epsilon, fused=True, capturable=device.type == "cuda"
    )
    if device.type == "cuda":
        made.param_groups[0]["lr"] = torch.full((), learning_rate, dtype=torch.float32, device=device)
    return made


def take_state(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load an optimiser's state from `Optimizer.state_dict`, wherever it was saved.

    The state of each weight is checked, and copied into the memory layout of the weight, before the optimiser gets it:
    fused kernels read weight, gradient and moments as flat memory and do not check shapes. Learning rates, betas and
    the like keep the values that the optimiser was created with.

    Raises:
        ValueError: if something is missing, or its shape, dtype or values do not fit the weights.
    """
    weights = _weights_of(optimizer)
    held = state["state"]
    if held and set(held) != set(range(len(weights))):
        raise ValueError(f"holds the state of {len(held)} weights, expected {len(weights)}")
    names = ADAM if isinstance(optimizer, torch.optim.Adam) else None
    of_weights = {number: _laid_out(held[number], weight, names) for number, weight in enumerate(weights) if held}
    optimizer.load_state_dict({"state": of_weights, "param_groups": optimizer.state_dict()["param_groups"]})


MOST_STEPS = 2**31
ADAM = {"step", "exp_avg", "exp_avg_sq"}  # its state of one weight


def _laid_out(held: Mapping[str, Any], weight: Tensor, names: set[str] | None) -> dict[str, Any]:
    """The optimiser state of one weight, checked, in the memory layout of that weight; with these names, if any."""
    if names and (different := names ^ set(held)):
        raise ValueError(f"{min(different)} of a weight is {'missing' if different & names else 'unknown'}")
    return {name: _one_laid_out(name, value, weight) for name, value in held.items()}


def _one_laid_out(name: str, value: Any, weight: Tensor) -> Tensor:
    """One tensor of it; its shape is checked before anything reads its values."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        raise ValueError(f"{name} of a weight is not a tensor of finite values")
    if name == "step":
        if value.shape or not value.dtype.is_floating_point or not 0 <= value < MOST_STEPS or value % 1:
            raise ValueError("the step count of a weight is not a number of steps")
        return value
    if value.shape != weight.shape or value.dtype != weight.dtype:
        found, expected = (f"{tuple(tensor.shape)} in {tensor.dtype}" for tensor in (value, weight))
        raise ValueError(f"{name} of a weight is {found}, expected {expected}")
    if not value.isfinite().all():
        raise ValueError(f"{name} of a weight is not a tensor of finite values")
    if name.endswith("_sq") and value.min() < 0:
        raise ValueError(f"{name} of a weight is a mean of squares below zero")
    return torch.empty_like(weight, device=value.device).copy_(value)


def scale_rates(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Set the learning rate of each to `factor` times its initial value."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group.setdefault("initial_lr", float(group["lr"])) * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def update(optimizer: Optimizer, loss: Tensor) -> None:
    """Take one optimiser step on `loss`, with gradients of this optimiser's own weights only.

    So no gradient is left over from another loss, and the generator's loss cannot leak into the discriminator, whose
    weight gradients are not even computed. A weight that `loss` does not depend on is an error of the method, raised at
    once. The gradients are averaged over the processes, and over the parts of a step.
    """
    update_together((optimizer, loss))


def update_together(*moves: tuple[Optimizer, Tensor]) -> None:
    """Take one step with each optimiser on its own loss, all from the current weights.

    As `update`, but for losses that share their forward pass: no weights change before all gradients are computed.
    """
    parts = accumulation.current()
    if parts and parts.is_done():
        return
    for n, (optimizer, loss) in enumerate(moves):
        if not parts or parts.number == 0:
            optimizer.zero_grad()
        # torch.autograd.backward keeps torch's gradient layout contract: a gradient lies in memory as its weight does,
        # on which fused optimisers rely. torch.autograd.grad does not.
        with torch.autocast(loss.device.type, enabled=False):  # the backward of a product has the dtype of its forward
            torch.autograd.backward(
                loss / parts.of if parts else loss, inputs=_weights_of(optimizer), retain_graph=n < len(moves) - 1
            )
    if parts:
        parts.finish()
    for optimizer, _ in moves:
        weights = _weights_of(optimizer)
        if any(weight.grad is None for weight in weights):
            raise RuntimeError("a loss does not depend on every weight of its optimiser")
        if distributed.count() > 1:
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            torch._foreach_copy_(gradients, distributed.average(gradients))
        optimizer.step()
        optimizer.zero_grad()


def _weights_of(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float, step: int, every: int = 1) -> None:
    """Move `average` towards `network`: an exponential moving average of its weights and its statistics.

    The decay grows with the step, so that an early average does not keep the random initial weights. At the n-th update
    it is min(decay, (1 + n) / (10 + n)), as in TensorFlow's ExponentialMovingAverage; there is one update in `every`
    steps.
    """
    weight = by_step(lambda number: 9 / (10 + number // every), step, least=1 - decay)
    slow = [*average.parameters(), *(b for b in average.buffers() if b.is_floating_point())]
    fast = [*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())]
    if isinstance(weight, float):
        torch._foreach_lerp_(slow, fast, weight)
    else:  # lerp with a tensor would be a kernel for each of them
        way = torch._foreach_sub(fast, slow)
        torch._foreach_mul_(way, weight)
        torch._foreach_add_(slow, way)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Run the block in evaluation mode and without gradients, then restore the mode."""
    mode = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(mode)

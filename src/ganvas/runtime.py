"""What a step goes by: chance, its share of the batch, its number, and the one way in which weights change."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganvas import processes

Result = TypeVar("Result")


# --- chance ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Between:
    """A point on the way from one seed's noise to another's; `way` runs from 0 to 1."""

    start: int
    end: int
    way: float


Seed = int | Between


class Purpose(IntEnum):
    """What a derived seed is for, so that no two uses of one seed share their chance."""

    WEIGHTS = 1
    STEP = 2
    ORDER = 3
    FLIP = 4
    WINDOW = 5
    AFRESH = 6
    TARGET = 7
    PATCHES = 8
    DIRECTIONS = 9


def derive(seed: int, purpose: Purpose, number: int = 0) -> int:
    """A seed of its own (63 bits) for each (seed, purpose, number): a function of these three alone."""
    return int(np.random.SeedSequence([seed, purpose, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_weights(seed: int) -> None:
    """Seed the first weights of a network about to be made."""
    torch.manual_seed(derive(seed, Purpose.WEIGHTS))


def seed_step(seed: int, step: int) -> None:
    """Seed everything a training step draws, so that chance is a function of (seed, step) and nothing is saved."""
    torch.manual_seed(derive(seed, Purpose.STEP, step))


def noise(seeds: Sequence[Seed], shape: Sequence[int], *, device: torch.device) -> Tensor:
    """Standard normal noise, (N, *shape), whose row i is a function of `seeds[i]` alone.

    Drawn on the CPU, so that a seed is the same picture on every device. A `Between` is taken along the great
    circle (Shoemake 1985): on a straight line the noise would be shorter than any the generator was trained on.
    """
    return torch.stack([_draw(seed, shape) for seed in seeds]).to(device)


def _draw(seed: Seed, shape: Sequence[int]) -> Tensor:
    if isinstance(seed, Between):
        return slerp(_draw(seed.start, shape), _draw(seed.end, shape), seed.way)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slerp(start: Tensor, end: Tensor, way: float) -> Tensor:
    """Spherical interpolation between two tensors of one shape; exact at both ends."""
    if way in (0, 1):
        return end if way else start
    cosine = torch.dot(start.flatten(), end.flatten()) / (start.norm() * end.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:  # (anti)parallel: the circle is a line, or any circle would do
        return torch.lerp(start, end, way)
    return (torch.sin((1 - way) * angle) * start + torch.sin(way * angle) * end) / torch.sin(angle)


# --- shares ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """Which part of every batch is computed: the `index`-th of `of` equal ones, in the order of the rows."""

    index: int = 0
    of: int = 1


def share() -> Share:
    """The one that is being computed: of this process and, while gradients are accumulated, of this part of it."""
    parts = _PARTS.get()
    number, of = (parts.number, parts.of) if parts else (0, 1)
    return Share(processes.rank() * of + number, processes.count() * of)


def own_rows(n: int, draw: Callable[[int], Tensor]) -> Tensor:
    """What is drawn by chance for the `n` rows that are computed here: their rows of what `draw` makes for all.

    So a picture of a batch meets the same chance however many processes share the batch.
    """
    mine = share()
    if mine.of == 1:
        return draw(n)
    return draw(n * mine.of)[n * mine.index : n * (mine.index + 1)].clone()  # alone: who keeps it, keeps no more


def everyones_rows(n: int, draw: Callable[[int], Tensor]) -> Tensor:
    """As `own_rows`, for the rows that all processes compute at this time, `n` each, in their order."""
    mine, count = share(), processes.count()
    parts, whole = mine.of // count, draw(n * mine.of)
    return whole.view(count, parts, n, *whole.shape[1:])[:, mine.index % parts].flatten(0, 1)


def randn(n: int, *shape: int, device: torch.device) -> Tensor:
    """Standard normal numbers for the rows of a batch that are computed here, (n, *shape)."""
    return own_rows(n, lambda rows: torch.randn(rows, *shape, device=device))


def rand(n: int, *shape: int, device: torch.device) -> Tensor:
    """Numbers uniform in 0..1 for the rows of a batch that are computed here, (n, *shape)."""
    return own_rows(n, lambda rows: torch.rand(rows, *shape, device=device))


def randint(low: int, high: int, n: int, *shape: int, device: torch.device) -> Tensor:
    """Whole numbers from `low` to below `high` for the rows of a batch that are computed here, (n, *shape)."""
    return own_rows(n, lambda rows: torch.randint(low, high, (rows, *shape), device=device))


# --- what changes from step to step ---------------------------------------------------------------------------------


_NUMBER: ContextVar[Tensor | None] = ContextVar("number", default=None)  # of the step that is being recorded


@contextlib.contextmanager
def numbered(number: Tensor) -> Iterator[None]:
    """Within the block a step is recorded, of which `number`, float64 ( ), says in each replay the number."""
    token = _NUMBER.set(number)
    try:
        yield
    finally:
        _NUMBER.reset(token)


def by_step(formula: Callable[[Any], Any], step: int, *, least: float) -> float | Tensor:
    """A number that changes with that of the step, `least` or more: `formula` of it, which takes tensors too.

    Of a step that is recorded it is a tensor ( ), which every replay computes anew: a number would stay what it was.
    """
    number = _NUMBER.get()
    if number is None:
        return float(max(formula(step), least))
    made: Tensor = formula(number).clamp(min=least).float()
    return made


# --- weights --------------------------------------------------------------------------------------------------------


def adam(
    weights: Iterable[nn.Parameter], *, learning_rate: float, betas: tuple[float, float], epsilon: float = 1e-8
) -> Optimizer:
    """Adam (Kingma and Ba 2015) over these weights, all of them in one fused kernel.

    On a GPU its learning rate is a tensor there, so that a recorded step (`stepping.py`) follows it.
    """
    owned = list(weights)
    device = owned[0].device
    made = torch.optim.Adam(
        owned, learning_rate, betas=betas, eps=epsilon, fused=True, capturable=device.type == "cuda"
    )
    if device.type == "cuda":
        made.param_groups[0]["lr"] = torch.full((), learning_rate, device=device)
    return made


def take_state(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load an optimiser's state as `Optimizer.state_dict` gives it, wherever it was saved.

    What was remembered of each weight is checked and laid out in memory as the weight is before the optimiser sees
    it: fused kernels read weight, gradient and moments as flat memory, and do not look at shapes. Learning rates,
    betas and the like stay those that the optimiser was made with.

    Raises:
        ValueError: if something is missing, or its shape, dtype or numbers do not fit the weights.
    """
    weights = _weights_of(optimizer)
    held = state["state"]
    if held and set(held) != set(range(len(weights))):
        raise ValueError(f"holds the state of {len(held)} weights, expected {len(weights)}")
    names = ADAM if isinstance(optimizer, torch.optim.Adam) else set[str]()
    of_weights = {number: _laid_out(held[number], weight, names) for number, weight in enumerate(weights) if held}
    optimizer.load_state_dict({"state": of_weights, "param_groups": optimizer.state_dict()["param_groups"]})


MOST_STEPS = 2**31
ADAM = {"step", "exp_avg", "exp_avg_sq"}  # what it remembers of a weight


def _laid_out(held: Mapping[str, Any], weight: Tensor, of: set[str]) -> dict[str, Any]:
    """What an optimiser remembers of a weight, checked, in the layout of that weight."""
    laid_out: dict[str, Any] = {}
    if missing := of - set(held):
        raise ValueError(f"{min(missing)} of a weight is missing")
    for name, value in held.items():
        if not isinstance(value, Tensor) or value.layout is not torch.strided or not value.isfinite().all():
            raise ValueError(f"{name} of a weight is not a tensor of finite numbers")
        if name == "step":
            if value.shape or not value.dtype.is_floating_point or not 0 <= value < MOST_STEPS or value % 1:
                raise ValueError("the step count of a weight is not a number of steps")
            laid_out[name] = value
        elif value.shape != weight.shape or value.dtype != weight.dtype:
            found, expected = (f"{tuple(tensor.shape)} in {tensor.dtype}" for tensor in (value, weight))
            raise ValueError(f"{name} of a weight is {found}, expected {expected}")
        else:
            laid_out[name] = torch.empty_like(weight, device=value.device).copy_(value)
    return laid_out


def scale_rates(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Set the step size of each to `factor` times the one it began with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group.setdefault("initial_lr", float(group["lr"])) * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def update(optimizer: Optimizer, loss: Tensor) -> None:
    """Take one step down `loss`, with gradients of this optimiser's own weights only.

    So no gradient is left over from another loss, the generator's loss cannot leak into the discriminator,
    and its weight gradients are not even computed. A weight that `loss` does not depend on is an error of
    the method, raised at once. The gradients are averaged over the processes, and over the parts of a step.
    """
    update_together((optimizer, loss))


def update_together(*moves: tuple[Optimizer, Tensor]) -> None:
    """Take one step with each optimiser down its own loss, all from where the weights are now.

    As `update`, but for losses that share their forward pass: no optimiser moves before all gradients are there.
    """
    parts = _PARTS.get()
    if parts and parts.is_done():
        return
    for n, (optimizer, loss) in enumerate(moves):
        if not parts or parts.number == 0:
            optimizer.zero_grad()
        # torch.autograd.backward keeps torch's gradient layout contract: a gradient lies in memory as its weight does,
        # on which fused optimisers rely. torch.autograd.grad does not.
        with torch.autocast(loss.device.type, enabled=False):  # each product goes back in the dtype it came in
            torch.autograd.backward(
                loss / parts.of if parts else loss, inputs=_weights_of(optimizer), retain_graph=n < len(moves) - 1
            )
    if parts:
        parts.finish()
    for optimizer, _ in moves:
        weights = _weights_of(optimizer)
        if any(weight.grad is None for weight in weights):
            raise RuntimeError("a loss does not depend on every weight of its optimiser")
        if processes.count() > 1:
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            torch._foreach_copy_(gradients, processes.average(gradients))
        optimizer.step()
        optimizer.zero_grad()


def _weights_of(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


class _NextPart(Exception):  # no error: it leaves a step whose gradients have been taken
    """What this part of the batch can give to the update at hand, it has given."""


@dataclass
class _Parts:
    """Where a step is that is taken in parts.

    Attributes:
        of: how many parts there are.
        number: of the one that is computed.
        turn: how many updates of the step are done.
        before: how many were done when this part was begun.
        met: how many `update`s this part has come by.
        made: by each part, what `as_first_made` keeps; `asked` counts how often this part has asked.
    """

    of: int
    number: int = 0
    turn: int = 0
    before: int = 0
    met: int = 0
    asked: int = 0
    made: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def begin(self, number: int) -> None:
        """Go on with the part of this number."""
        self.number, self.before, self.met, self.asked = number, self.turn, 0, 0

    def first(self, x: Tensor) -> Tensor:
        """What this part gave when it was first computed."""
        self.asked += 1
        return self.made.setdefault((self.number, self.asked), x)

    def is_done(self) -> bool:
        """Whether the update that a part comes by is done already; leaves the part where its turn has not come."""
        self.met += 1
        if self.met > self.before + 1:
            raise _NextPart
        return self.met <= self.before

    def finish(self) -> None:
        """The gradients of a part are taken: leave it, unless it is the last one, with which the update is made."""
        if self.number < self.of - 1:
            raise _NextPart
        self.turn += 1


_PARTS: ContextVar[_Parts | None] = ContextVar("parts", default=None)


def as_first_made(x: Tensor) -> Tensor:
    """Detached `x`, as the networks made it before the step's first update.

    For a step whose later losses look at what networks made that have moved since: where it is taken in parts, it is
    gone through again, and they would make something else.
    """
    parts = _PARTS.get()
    return parts.first(x.detach()) if parts else x.detach()


def in_parts(step: Callable[[int], Result], parts: int) -> Result:
    """Take a training step in so many parts of its batch, in the memory of one; `step` computes the part of a number.

    For each update of the step all parts are gone through: those before the last leave their gradients, and the last
    makes the update with the mean of all. Then it begins again, for the next update, from which everything before is
    done already: what the whole batch would do, where nothing looks at the whole batch. So a step may change nothing
    but by `update` before its last one (the running statistics of batch norm do move). Returns what the last part did.
    """
    if parts == 1:
        return step(0)
    state = _Parts(of=parts)
    token = _PARTS.set(state)
    try:
        while True:
            for number in range(parts):
                state.begin(number)
                with contextlib.suppress(_NextPart):
                    return step(number)
    finally:
        _PARTS.reset(token)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float, step: int, every: int = 1) -> None:
    """Move `average` towards `network`: an exponential moving average of its weights and its statistics.

    The decay grows from 0 with the step, so that a young average does not remember the random start:
    min(decay, (1 + n) / (10 + n)), as in TensorFlow's ExponentialMovingAverage, at the n-th update, of which there is
    one in `every` steps.
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
    """Run the block in evaluation mode and without gradients, then put back the mode there was."""
    mode = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(mode)

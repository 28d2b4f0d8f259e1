"""The steps of a training, one after another; on a GPU they are recorded once and replayed.

A small network on a GPU waits for its operations to be launched, one by one, not for arithmetic. A CUDA graph launches
a whole step at once. It holds the operations, the addresses of their tensors, and their plain arguments: so whatever
changes from step to step is in tensors. The batch is copied to where the recorded one was; random numbers follow the
seed that is set before each replay; learning rates, and the number of the step (`optim.by_step`), are tensors, too.
"""

import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.core import distributed
from ganvas.core.accumulation import in_parts
from ganvas.core.optim import numbered
from ganvas.core.rng import seed_step
from ganvas.data.batch import Batch
from ganvas.methods._base import Method

Losses = dict[str, Tensor]
Record = Callable[[Callable[[], Losses]], tuple[Losses, Callable[[], None]]]

WARMING = 3  # steps of each phase that run without recording: the first ones also select kernels and set up
APART = 0.3  # how far a replay may be from the plain step, as a fraction of that; other orders of sums are far below

_log = logging.getLogger("ganvas")


class Steps:
    """Runs the steps of a method, each in so many parts.

    With `record`, the steps of each phase of the method are recorded, and replayed from then on. A replay is first
    compared with the plain step from the same state; if it cannot be recorded, or does something else, the steps
    run without recording, and a log line says so.
    """

    def __init__(self, method: Method, *, seed: int, parts: int = 1, record: Record | None = None):
        assert parts == 1 or record is None
        self.method, self.seed, self.parts, self.record = method, seed, parts, record
        self.met: Counter[Hashable] = Counter()
        self.tapes: dict[Hashable, _Tape] = {}

    def __call__(self, batch: Batch, step: int) -> Losses:
        """Run the step of that number; returns its losses."""
        if self.record is None:
            return self._plain(batch, step)
        phase = self.method.phase(step)
        if phase in self.tapes:
            return self.tapes[phase].replay(batch, step, seed=self.seed)
        self.met[phase] += 1
        return self._plain(batch, step) if self.met[phase] <= WARMING else self._first(phase, batch, step)

    def _plain(self, batch: Batch, step: int) -> Losses:
        """The step without recording; each of its parts uses the random numbers of the whole."""

        def learn(number: int) -> Losses:
            seed_step(self.seed, step)
            part = batch.over(lambda t: t.chunk(self.parts)[number]) if self.parts > 1 else batch
            return self.method.training_step(part, step)

        return in_parts(learn, self.parts)

    @torch.no_grad()
    def _first(self, phase: Hashable, batch: Batch, step: int) -> Losses:
        """The first recorded step of a phase."""
        assert self.record is not None
        state = dict(_state(self.method))
        before = _copied(state)
        with torch.enable_grad():
            losses = self._plain(batch, step)
        after = _copied(state)
        try:
            tape = _Tape.of(self.method, batch, step, self.record)
            _put_back(state, before)
            replayed = tape.replay(batch, step, seed=self.seed)
            fault = _apart(before, after, state)
        except RuntimeError as error:
            first: BaseException = error
            while first.__context__ is not None:  # a capture that breaks off fails once more as it ends
                first = first.__context__
            fault = str(first).strip().split("\n")[0] or type(first).__name__
        if not fault:
            self.tapes[phase] = tape
            return replayed
        _log.warning("steps are launched one operation at a time: recording them for the GPU did not work (%s)", fault)
        self.method.zero_grad(set_to_none=True)  # left by a recording that broke off
        _put_back(state, after)
        self.record = None
        self.tapes.clear()
        return losses


def recording(device: torch.device, *, parts: int) -> Record | None:
    """The function that records steps on a device, as CUDA graphs; None if they are not recorded there.

    Not for several processes, whose gradients are averaged within a step, nor for steps in parts, which take hundreds
    of milliseconds.
    """
    if device.type != "cuda" or distributed.count() > 1 or parts > 1:
        return None
    pool = torch.cuda.graph_pool_handle()  # one memory for the graphs of all phases, which never run together

    def record(work: Callable[[], Losses]) -> tuple[Losses, Callable[[], None]]:
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # other threads may pin memory meanwhile; a capture that fails does not restore the stream
            recorder = torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local")
            with torch.cuda.stream(before), recorder:
                losses = work()
        except RuntimeError:
            with contextlib.suppress(RuntimeError), torch.cuda.graph(torch.cuda.CUDAGraph()):
                torch.zeros(1, device=device)  # a capture that succeeds: until then older torch refuses to sample
            raise
        return losses, graph.replay

    return record


@dataclass(frozen=True)
class _Tape:
    """A recorded step.

    Attributes:
        batch: the batch that it reads.
        number: the number of the step that it reads, ( ).
        losses: the losses that it writes.
        again: replays it.
    """

    batch: Batch
    number: Tensor
    losses: Losses
    again: Callable[[], None]

    @classmethod
    def of(cls, method: Method, batch: Batch, step: int, record: Record) -> "_Tape":
        held = batch.over(Tensor.clone)
        number = torch.zeros((), dtype=torch.float64, device=batch.images.device)

        def work() -> Losses:
            with torch.enable_grad(), numbered(number):
                return method.training_step(held, step)

        losses, again = record(work)
        return cls(held, number, losses, again)

    @torch.no_grad()
    def replay(self, batch: Batch, step: int, *, seed: int) -> Losses:
        self.batch.fill(batch)
        self.number.fill_(step)
        seed_step(seed, step)
        self.again()
        return {name: loss.clone() for name, loss in self.losses.items()}


# --- the state that a step changes ----------------------------------------------------------------------------------


State = dict[tuple[str, int], Tensor]


def _state(method: Method) -> Iterator[tuple[tuple[str, int], Tensor]]:
    """Every tensor that a step may change, by its kind and a number."""
    for number, weight in enumerate(method.parameters()):
        yield ("weights", number), weight
    for number, buffer in enumerate(method.buffers()):
        yield ("buffers", number), buffer
    kept = (kept for optimizer in method.optimizers.values() for kept in optimizer.state.values())
    for number, of_weight in enumerate(kept):
        yield from (((name, number), value) for name, value in of_weight.items() if isinstance(value, Tensor))


def _copied(state: State) -> State:
    return {key: tensor.clone() for key, tensor in state.items()}


def _put_back(state: State, copy: State) -> None:
    torch._foreach_copy_(list(state.values()), list(copy.values()))


def _apart(before: State, after: State, replayed: State) -> str:
    """What the replay changed in another way than the plain step; empty if nothing."""
    moved, missed = defaultdict[str, float](float), defaultdict[str, float](float)  # squares, by kind
    for (kind, number), start in before.items():
        if start.is_floating_point():
            there, here = after[kind, number], replayed[kind, number]
            moved[kind] += float((there - start).double().square().sum())
            missed[kind] += float((here - there).double().square().sum())
    other = [kind for kind in moved if not missed[kind] <= APART**2 * moved[kind]]  # true for NaN, too
    return f"a replay changes {' and '.join(other)} differently" if other else ""

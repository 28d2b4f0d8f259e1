"""The loop: a run and its data in, the run further on out; an iterator that everyone consumes."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ganvas import checkpoint, gallery, log, methods, watch
from ganvas.data.batch import Batch, Source
from ganvas.data.stream import batches
from ganvas.errors import DataError, SettingError
from ganvas.facts import Facts, build
from ganvas.methods._base import Method, teach
from ganvas.nets.vgg import VGG19
from ganvas.runtime import autocast, scale_rates, seed_step, seed_weights

REPORT_SECONDS = 0.5  # often enough to watch, seldom enough not to wait for the device
SAVE_SECONDS = 60  # what a kill may cost


@dataclass(frozen=True)
class Budget:
    """How long to train in all, what earlier commands did included: so many steps, or so many seconds."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        assert (self.steps is None) != (self.seconds is None)
        if not (self.steps or self.seconds or 0) > 0:
            raise SettingError("no time to train in: --steps, --epochs or --minutes must be more than 0")

    def spent(self, step: int, seconds: float) -> float:
        """The share that is used up, 0 to 1."""
        share = step / self.steps if self.steps else seconds / (self.seconds or math.inf)
        return min(1.0, share)


def budget_of(
    facts: Facts, *, steps: int | None = None, epochs: float | None = None, minutes: float | None = None
) -> Budget:
    """The budget in whichever unit is given; in none, the epochs of the method's settings.

    Raises:
        SettingError: if it is not more than zero.
    """
    if minutes is not None:
        return Budget(seconds=minutes * 60)
    if steps is not None:
        return Budget(steps=steps)
    epochs = facts.config.epochs if epochs is None else epochs
    if not math.isfinite(epochs):
        raise SettingError(f"--epochs {epochs}: expected a number of passes over the data")
    return Budget(steps=math.ceil(epochs * facts.pictures / facts.config.batch))


def start(
    run: Path, source: Source[Batch], facts: Facts, *, vgg: VGG19 | None = None, paintings: Sequence[Tensor] = ()
) -> Method:
    """The method with its first weights, and the run folder, made only once nothing is left to object to.

    Args:
        run: the folder.
        source: what it learns from.
        facts: what the run is.
        vgg: for a method that learns by what VGG-19 sees.
        paintings: for one that takes styles apart from its data: uint8 (C, H, W) each.

    Raises:
        DataError: if there are fewer pictures than a batch takes, or no classes for a method that draws by class.
        SettingError: if the method cannot make pictures of this shape.
        ModelError: if the folder is another run, or not a run.
        UsageError: if it cannot be made.
    """
    require_fit(source, facts)
    seed_weights(facts.seed)
    method = build(facts)
    teach(method, vgg=vgg, paintings=paintings)
    checkpoint.enter_run(run, facts)
    return method


def require_fit(source: Source[Batch], facts: Facts) -> None:
    """Raise DataError if a run cannot learn from this: batches of another type, too few pictures, or no classes."""
    if source.batch not in methods.get(facts.method).batches:
        raise DataError(f"{facts.method} does not learn from what {source.name} holds; see `ganvas methods`")
    if methods.get(facts.method).by_class and not source.spec.classes:
        raise DataError(
            f"{facts.method} learns by class and {source.name} has none; give a folder with one folder per class, "
            "or another method"
        )
    if facts.config.batch > len(source):
        raise DataError(
            f"--batch {facts.config.batch} is more than the {len(source)} pictures of {source.name}; "
            f"use --batch {len(source)} or fewer"
        )


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: steps done.
        seconds: of training, those of earlier commands included.
        spent: the share of the budget that is used up, 0 to 1.
        losses: means since the last report.
        images_per_second: since the last report.
        warnings: what the watch has to say.
        score: the newest one and its name, where scores are asked for; None before the first.
    """

    step: int
    seconds: float
    spent: float
    losses: dict[str, float]
    images_per_second: float
    warnings: tuple[watch.Alarm, ...] = ()
    score: tuple[str, float] | None = None


def train(
    run: Path,
    source: Source[Batch],
    method: Method,
    *,
    facts: Facts,
    device: torch.device,
    budget: Budget,
    shown: Source[Batch] | None = None,
    save_every: int | None = None,
    keep: int = checkpoint.KEPT,
    score: Callable[[Method], tuple[str, float]] | None = None,
    score_every: int | None = None,
) -> Generator[Progress, None, None]:
    """Train until the budget is spent, from the newest save on; saves every minute, or every `save_every` steps.

    The newest `keep` saves stay. Leaving the iterator stops between two steps and saves. What is drawn in a step
    depends on (seed, step) alone, so a run that was stopped ends, on the CPU, with the weights of one that was not, to
    the bit. What a translator makes of a few pictures of `shown` (of `source`, without) is put on sheets as it learns.
    Every `score_every` steps, and at the end, `score` (lower is better) is asked, and the best save so far kept; the
    seconds that takes are not counted.

    Raises:
        DivergedError: when a loss or a weight is not finite; the last save is untouched.
        ModelError: if every save is damaged, or somebody else is training in this folder.
        SaveError: if the disk is full; the last save is untouched.
    """
    assert (score is None) == (score_every is None)
    with checkpoint.alone_in(run):
        method.to(device).train()
        step, before = checkpoint.resume(run, method)
        log.rewind(run, step=step)
        pictures = gallery.to_show(shown or source)
        if step == 0:
            gallery.show_data(run, source, task=facts.task)
            gallery.take_sheet(run, method, 0, pictures=pictures, task=facts.task)
        eye = watch.Watch(method, source.some(watch.LOOKED_AT).signed().pictures)
        start = reported = saved = looked = time.perf_counter()
        losses: dict[str, list[tuple[int, Tensor]]] = defaultdict(list)
        last = Progress(step, before, budget.spent(step, before), {}, 0.0)
        yield last
        if last.spent >= 1:
            return
        stream = batches(source, batch=facts.config.batch, seed=facts.seed, device=device, first=step, flip=facts.flip)
        spent = last.spent
        for batch in stream:
            seed_step(facts.seed, step)
            scale_rates(method.optimizers.values(), facts.config.rate_at(spent))
            with autocast(device, facts.precision):
                for name, loss in method.training_step(batch, step).items():
                    losses[name].append((step + 1, loss))
            step += 1

            now = time.perf_counter()
            seconds = before + now - start
            spent = budget.spent(step, seconds)
            due = spent >= 1 or (step % save_every == 0 if save_every else now - saved >= SAVE_SECONDS)
            if due or now - reported >= REPORT_SECONDS:
                means = _means(losses, run)
                losses.clear()
                eye.see_losses(step, means)
                if now - looked >= watch.LOOK_SECONDS:
                    eye.see_samples(step)
                    looked = now
                _log_warnings(run, step, eye, last)
                speed = (step - last.step) * facts.config.batch / (now - reported)
                last = Progress(step, seconds, spent, means, speed, tuple(eye.standing.values()), last.score)
                reported = now
                log.append(run, {"step": step, "seconds": seconds, "images_per_second": speed, **means})
            if spent >= 1 or gallery.worth_a_look(step):
                gallery.take_sheet(run, method, step, pictures=pictures, task=facts.task)
            if score and score_every and (spent >= 1 or step % score_every == 0):
                last = replace(last, score=_score(run, method, facts, step, score))
                lost = time.perf_counter() - now  # it is no training
                start, reported, saved = start + lost, reported + lost, saved + lost
            if due:
                checkpoint.save(run, method, facts, step=step, seconds=seconds, keep=keep)
                saved = time.perf_counter()
            if last.step == step:
                try:
                    yield last
                except GeneratorExit:  # the consumer left: Ctrl-C, or it has seen enough
                    checkpoint.save(run, method, facts, step=step, seconds=seconds, keep=keep)
                    raise
            if spent >= 1:
                return


def _log_warnings(run: Path, step: int, eye: watch.Watch, last: Progress) -> None:
    """Log the warnings that are new."""
    for warning in eye.standing.values():
        if warning not in last.warnings:
            log.append(run, {"step": step, "warning": f"{warning.kind}: {warning.sentence}"})


def _score(
    run: Path, method: Method, facts: Facts, step: int, score: Callable[[Method], tuple[str, float]]
) -> tuple[str, float]:
    """Score, log, and keep the weights where they are the best so far."""
    name, value = score(method)
    log.append(run, {"step": step, f"{log.SCORE} {name}": value})
    best = checkpoint.best(run)
    if best is None or best.name != name or value < best.value:
        checkpoint.keep_best(run, method, facts, checkpoint.Best(step, name, value))
    return name, value


def _means(losses: dict[str, list[tuple[int, Tensor]]], run: Path) -> dict[str, float]:
    """The mean of each loss since the last report; here is the one place that waits for the device.

    Raises:
        DivergedError: if one was not finite, naming its step.
    """
    means = {}
    for name, history in losses.items():
        values = torch.stack([value for _, value in history]).float().cpu()
        if not values.isfinite().all():
            first = int((~values.isfinite()).nonzero()[0])
            raise checkpoint.diverged(run, f"the {name} loss is {values[first]} in step {history[first][0]}")
        means[name] = float(values.mean())
    return means

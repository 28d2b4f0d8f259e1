"""The training loop: an iterator that trains a run on its data."""

import contextlib
import dataclasses
import math
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ganvas import checkpoint, methods
from ganvas.checkpoint.manifest import Manifest, build
from ganvas.core import distributed
from ganvas.core.accumulation import Share
from ganvas.core.device import autocast, prepare_to_train
from ganvas.core.interrupts import uninterrupted
from ganvas.core.optim import MOST_STEPS, scale_rates
from ganvas.core.options import Budget, TrainOptions
from ganvas.core.rng import ALONE, seed_weights
from ganvas.data.batch import Batch, Source
from ganvas.data.loader import batches
from ganvas.errors import DataError, SettingError
from ganvas.methods._base import Method
from ganvas.nets.sync_batchnorm import synchronise
from ganvas.nets.vgg import VGG19
from ganvas.training import diagnostics, metrics_log, samples
from ganvas.training.cuda_graphs import Steps, recording

REPORT_SECONDS = 0.5  # often enough to watch, seldom enough not to wait for the device
SAVE_SECONDS = 60  # the most that a kill may lose
MOST_SECONDS = 60 * 60 * 24 * 365 * 10  # ten years


@dataclass(frozen=True)
class Limit:
    """How long to train in all, earlier commands included: a number of steps, or of seconds."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        assert (self.steps is None) != (self.seconds is None)
        if not (self.steps or self.seconds or 0) > 0:
            raise SettingError("`steps`, `epochs` or `minutes`: no time to train in; give more than 0")
        if (self.steps or 0) >= MOST_STEPS or (self.seconds or 0) > MOST_SECONDS:
            raise SettingError(
                f"`steps`, `epochs` or `minutes`: too long; a training has less than {MOST_STEPS:,} steps, and no more "
                f"than {MOST_SECONDS // 60:,} minutes"
            )

    def spent(self, step: int, seconds: float) -> float:
        """The fraction that is used up, 0 to 1."""
        share = step / self.steps if self.steps else seconds / (self.seconds or math.inf)
        return min(1.0, share)


def limit_of(manifest: Manifest, budget: Budget) -> Limit:
    """The limit of a run in the given unit; without one, the epochs of the method's settings.

    Raises:
        SettingError: if it is not more than zero.
    """
    if budget.minutes is not None:
        return Limit(seconds=budget.minutes * 60)
    if budget.steps is not None:
        return Limit(steps=budget.steps)
    epochs = manifest.config.epochs if budget.epochs is None else budget.epochs
    if not math.isfinite(epochs):
        raise SettingError(f"`epochs` {epochs}: expected a number of passes over the data")
    steps = epochs * manifest.images / manifest.config.batch
    return Limit(steps=math.ceil(min(steps, MOST_STEPS)))


def start(
    run: Path, source: Source[Batch], manifest: Manifest, *, vgg: VGG19 | None = None, paintings: Sequence[Tensor] = ()
) -> Method:
    """Build the method with its initial weights, and make the run folder once everything has been checked.

    Args:
        run: the folder.
        source: the training data.
        manifest: the manifest of the run.
        vgg: for a method that learns with VGG-19 features.
        paintings: for one that takes styles separately from its data: uint8 (C, H, W) each.

    Raises:
        DataError: if there are fewer images than a batch takes, or no classes for a method that generates by class.
        SettingError: if the method cannot make images of this shape.
        ModelError: if the folder is another run, or not a run.
        UsageError: if it cannot be made.
    """
    require_fit(source, manifest)
    with ALONE:
        seed_weights(manifest.seed)
        method = build(manifest)
        method.setup(vgg=vgg, paintings=paintings)
    if distributed.rank() == 0:
        checkpoint.enter_run(run, manifest)
    return method


def require_fit(source: Source[Batch], manifest: Manifest) -> None:
    """Raise DataError if a run cannot learn from these data: batches of another type, too few images, or no classes."""
    if source.batch not in methods.get(manifest.method).batches:
        raise DataError(
            f"{manifest.method} does not learn from the kind of data in {source.name}; see `ganvas methods`"
        )
    if methods.get(manifest.method).by_class and not source.spec.classes:
        raise DataError(
            f"{manifest.method} learns by class, and these data have none; give a folder with one folder per class, "
            "an array of images with its labels, (images, labels), or another method"
        )
    if manifest.config.batch > len(source):
        raise DataError(
            f"`batch` {manifest.config.batch} is more than the {len(source)} images of {source.name}; "
            f"use `batch` {len(source)} or fewer"
        )


@dataclass(frozen=True)
class Scored:
    """A score was computed, as `validate_every` asks.

    Attributes:
        step: steps done.
        name: of the score, such as `FID (digits)`.
        value: lower is better.
        best: whether it is the lowest so far; then RUN/best holds these weights.
    """

    step: int
    name: str
    value: float
    best: bool


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Attributes:
        step: steps done.
        seconds: of training, earlier commands included.
        spent: the fraction of the budget that is used up, 0 to 1.
        losses: means since the last report.
        images_per_second: since the last report.
        warnings: those of the diagnostics.
        score: the newest one, if scores are computed; None before the first.
        sampled: the grid of images that was written after this step; None if there was none.
        saved: the checkpoint that was written after this step; None if there was none.
        stopping: whether it was asked to stop and is about to save; the same step follows once more, saved.
    """

    step: int
    seconds: float
    spent: float
    losses: dict[str, float]
    images_per_second: float
    warnings: tuple[diagnostics.Alarm, ...] = ()
    score: Scored | None = None
    sampled: Path | None = None
    saved: Path | None = None
    stopping: bool = False


class _Diary:
    """The files that the first process writes for a run: grids, log, scores and checkpoints."""

    def __init__(
        self,
        run: Path,
        method: Method,
        manifest: Manifest,
        *,
        source: Source[Batch],
        shown: Source[Batch] | None,
        keep: int,
    ):
        self.run, self.method, self.manifest, self.keep = run, method, manifest, keep
        self.images = samples.to_show(shown or source)
        self.diagnostics = diagnostics.Diagnostics(
            method, source.some(diagnostics.looked_at(source.spec.size)).signed()
        )
        self.looked = -math.inf

    def begin(self, source: Source[Batch], step: int) -> None:
        """Remove log lines after `step`; at step 0 write grids of the data and of untrained networks."""
        metrics_log.rewind(self.run, step=step)
        if step == 0:
            samples.show_data(self.run, source, task=self.manifest.task)
            self.grid(0)

    def grid(self, step: int) -> Path | None:
        """Write a grid of what the networks make after `step` steps."""
        return samples.take_grid(self.run, self.method, step, real=self.images, task=self.manifest.task)

    def report(self, now: "Progress", before: "Progress") -> "Progress":
        """Log the progress; returns it with the warnings of the diagnostics."""
        self.diagnostics.check_losses(now.step, now.losses)
        if self.looked == -math.inf:
            self.looked = before.seconds
        if now.seconds - self.looked >= diagnostics.LOOK_SECONDS:
            self.diagnostics.check_samples(now.step)
            self.looked = now.seconds
        for warning in self.diagnostics.standing.values():
            if warning not in before.warnings:
                metrics_log.append(self.run, {"step": now.step, "warning": f"{warning.kind}: {warning.sentence}"})
        epoch = now.step * self.manifest.config.batch / self.manifest.images
        record = {"step": now.step, "epoch": epoch, "seconds": now.seconds, "images_per_second": now.images_per_second}
        metrics_log.append(self.run, {**record, **now.losses})
        return replace(now, warnings=tuple(self.diagnostics.standing.values()))

    def score(self, step: int, score: Callable[[Method], tuple[str, float]]) -> Scored:
        """Score, log, and keep the weights if they are the best so far."""
        name, value = score(self.method)
        metrics_log.append(self.run, {"step": step, f"{metrics_log.SCORE} {name}": value})
        kept = checkpoint.best(self.run)
        best = kept is None or kept.name != name or value < kept.value
        if best:
            checkpoint.keep_best(self.run, self.method, self.manifest, checkpoint.Best(step, name, value))
        return Scored(step, name, value, best)

    def save(self, now: "Progress") -> Path:
        """Save a checkpoint; Ctrl-C waits for it."""
        with uninterrupted():
            return checkpoint.save(
                self.run, self.method, self.manifest, step=now.step, seconds=now.seconds, keep=self.keep
            )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run is trained.

    Attributes:
        manifest: the manifest of the run.
        device: where it runs.
        limit: the total length.
        options: how often to save and to score, into how many parts a batch is split, and the like.
        shown: the images on a translator's grids during training; None for the training data.
        score: scores the run every `options.validate_every` steps, and at the end; lower is better.
    """

    manifest: Manifest
    device: torch.device
    limit: Limit
    options: TrainOptions = TrainOptions()
    shown: Source[Batch] | None = None
    score: Callable[[Method], tuple[str, float]] | None = None


def train(
    run: Path, source: Source[Batch], method: Method, plan: Plan, *, stop: Callable[[], bool] = lambda: False
) -> Generator[Progress, None, None]:
    """Train until the limit is reached, from the newest checkpoint; saves every minute, or every `save_every` steps.

    The newest `keep` checkpoints stay. Leaving the iterator stops between two steps and saves; so does `stop`, which is
    called after every step, and which several processes need: all end after the same step. The random numbers of a
    step depend on (seed, step) alone, so a run that was stopped ends, on the CPU, with the weights of one that was
    not, to the bit. Each process computes its share of every batch, in parts one after the other with gradient
    accumulation, and the first one writes. On a GPU the steps are recorded. A translator's output for a few images is
    put on grids during training. The best score's weights are kept; the seconds that scores take are not counted as
    training.

    Raises:
        DivergedError: when a loss or a weight is not finite; the last checkpoint is untouched.
        ModelError: if every checkpoint is damaged, or another process is training in this folder.
        ProcessError: if another process is gone.
        SaveError: if the disk is full; the last checkpoint is untouched.
        SettingError: if the batch cannot be shared evenly.
    """
    manifest, device, limit, options, score = plan.manifest, plan.device, plan.limit, plan.options, plan.score
    save_every, score_every, accumulate = options.save_every, options.validate_every, options.grad_accumulate
    rank, count = distributed.rank(), distributed.count()
    require_shares(manifest, accumulate)
    with contextlib.nullcontext() if rank else checkpoint.alone_in(run):
        prepare_to_train(device)
        method.to(device).train()
        if count > 1:
            synchronise(method)
        step, before = checkpoint.resume_together(run, method)
        diary = None if rank else _Diary(run, method, manifest, source=source, shown=plan.shown, keep=options.keep)
        if diary:
            diary.begin(source, step)
        last = Progress(step, before, limit.spent(step, before), {}, 0.0)
        yield last
        if last.spent >= 1:
            return
        start, reported, saved, spent = time.perf_counter() - before, before, before, last.spent  # seconds of training
        losses: dict[str, list[tuple[int, Tensor]]] = defaultdict(list)
        graphs = None if options.no_cuda_graphs else recording(device, parts=accumulate)
        learn = Steps(method, seed=manifest.seed, parts=accumulate, record=graphs)
        for batch in batches(
            source, batch=manifest.config.batch, seed=manifest.seed, device=device, first=step, flip=manifest.flip,
            share=Share(rank, count),
        ):  # fmt: skip
            scale_rates(method.optimizers.values(), manifest.config.rate_at(spent))
            with ALONE, autocast(device, manifest.precision):
                for name, loss in learn(batch, step).items():
                    losses[name].append((step + 1, loss))
            step += 1

            seconds, stopping = distributed.agree(time.perf_counter() - start, wish=stop())
            spent = limit.spent(step, seconds)
            ends = stopping or spent >= 1
            due = ends or (step % save_every == 0 if save_every else seconds - saved >= SAVE_SECONDS)
            looked_at = spent >= 1 or samples.worth_a_look(step)
            scored = score_every is not None and (spent >= 1 or step % score_every == 0)
            if due or looked_at or scored or seconds - reported >= REPORT_SECONDS:
                speed = (step - last.step) * manifest.config.batch / max(seconds - reported, 1e-9)
                now = Progress(step, seconds, spent, _means(losses, run), speed, score=last.score)
                losses.clear()
                last, reported = diary.report(now, last) if diary else now, seconds
            if due:
                if diary:
                    with _saving_at_exit(diary, last):
                        if stopping:
                            yield replace(last, stopping=True)
                    last = replace(last, saved=diary.save(last))
                saved, _ = distributed.agree(time.perf_counter() - start)
            if diary and looked_at:
                last = replace(last, sampled=diary.grid(step))
            if diary and score and scored:
                began = time.perf_counter()
                last = replace(last, score=diary.score(step, score))
                start += time.perf_counter() - began  # not training time
            if last.step == step:
                with _saving_at_exit(diary, last):
                    yield last
            if ends:
                return


@contextlib.contextmanager
def _saving_at_exit(diary: _Diary | None, last: Progress) -> Iterator[None]:
    """Save where the consumer leaves the iterator within the block: by Ctrl-C, or after enough steps."""
    try:
        yield
    except GeneratorExit:
        if diary:
            diary.save(last)
        raise


def require_same_data(source: Source[Batch]) -> None:
    """Raise DataError unless every process has found as many images as the first."""
    images = int(distributed.agree(float(len(source)))[0])
    if len(source) != images:
        raise DataError(
            f"{source.name}: holds {len(source)} images in process {distributed.rank()}, {images} in the first; "
            "give all processes the same images"
        )


def require_shares(manifest: Manifest, accumulate: int) -> None:
    """Raise SettingError unless the batch can be shared evenly by the processes, each in so many parts."""
    count, batch = distributed.count(), manifest.config.batch
    shares = count * accumulate
    who = f"{count} processes" * (count > 1) + " and " * (count > 1 < accumulate)
    who += f"`grad_accumulate` {accumulate}" * (accumulate > 1)
    lowest = next(field for field in dataclasses.fields(manifest.config) if field.name == "batch").metadata["low"]
    if batch % shares:
        good = math.ceil(batch / shares) * shares
        raise SettingError(f"`batch` {batch}: cannot be shared evenly by {who}; give a multiple of {shares}: {good}")
    if accumulate > 1 and batch // accumulate < lowest:
        good = max(n for n in range(1, batch + 1) if batch % n == 0 and batch // n >= min(lowest, batch))
        raise SettingError(
            f"`grad_accumulate` {accumulate}: leaves {batch // accumulate} of `batch` {batch} to a part, and "
            f"{manifest.method} takes {lowest} or more; give {good} or less"
        )


def _means(losses: dict[str, list[tuple[int, Tensor]]], run: Path) -> dict[str, float]:
    """The mean of each loss since the last report, over all processes; the only place that waits for the device.

    Raises:
        DivergedError: if one was not finite, naming its step.
    """
    means = {}
    for name, history in losses.items():
        (values,) = distributed.average([torch.stack([value for _, value in history]).float().cpu()])
        if not values.isfinite().all():
            first = int((~values.isfinite()).nonzero()[0])
            raise checkpoint.diverged(run, f"the {name} loss is {values[first]} in step {history[first][0]}")
        means[name] = float(values.mean())
    return means

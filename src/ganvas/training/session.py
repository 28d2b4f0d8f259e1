"""A training from start to end: everything is checked before anything is written, then the loop runs."""

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganvas import checkpoint, methods
from ganvas.checkpoint.manifest import Manifest
from ganvas.core import distributed
from ganvas.core.device import choose_precision, find_device
from ganvas.core.options import Budget, Data, TrainOptions, vgg_file
from ganvas.core.sources import are_fonts, fonts_in_full
from ganvas.data import open_data, tasks
from ganvas.data.batch import Batch, PairBatch, Source
from ganvas.data.progress import Track, silently
from ganvas.errors import UsageError
from ganvas.imaging import images
from ganvas.methods._base import BaseConfig, Generates, Method
from ganvas.metrics import features
from ganvas.nets.vgg import VGG19, require_style
from ganvas.training import loop, samples
from ganvas.training.events import Event, Finished, Note, Opened, Progress, Sampled, Saved
from ganvas.training.precision import quicker_precision

Score = Callable[[Method], tuple[str, float]]
MakeScore = Callable[[Source[Any], torch.device], Score]


@dataclass(frozen=True)
class Job:
    """The description of a training.

    Attributes:
        method: its name.
        config: its settings.
        data: the training data.
        run: the run folder.
        budget: how long to train.
        options: how to train.
        command: the command line, if there is one, to be kept in the run.
    """

    method: str
    config: BaseConfig
    data: Data
    run: Path
    budget: Budget = Budget()
    options: TrainOptions = TrainOptions()
    command: str = ""


def train_job(
    job: Job,
    *,
    make_score: MakeScore | None = None,
    track: Track = silently,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Train as the job says; a run of the same job continues from its newest checkpoint.

    Nothing is written before everything has been checked and the data are open. Leaving the iterator saves.

    Args:
        job: the description of the training.
        make_score: makes the function that scores a run for `validate_every`; lower is better.
        track: shows the progress of reading data.
        stop: called after every step; says whether to stop there.

    Raises:
        DivergedError: when a loss or a weight is not finite.
        UsageError: if it cannot begin or continue; nothing is written.
    """
    method, options = methods.get(job.method), job.options
    where = find_device(options.device)
    job = _with_what_is_fixed(job, where)
    found = checkpoint.read_run(job.run)
    if found:  # checks that need no data come before reading them
        checkpoint.require_same(job.run, found, _asked(job, found))
    with distributed.one_a_machine_first():  # it may download
        vgg, paintings = _shown_style(method, job)
        source: Source[Batch] = open_data(job.data, method.batches, track=track)
    loop.require_same_data(source)
    yield from _notes_on(source, job, found)
    chosen = found.precision if found and options.precision == "auto" else choose_precision(where, options.precision)
    in_bf16, _ = distributed.agree(chosen == "bf16")  # measurements of processes may differ
    manifest = manifest_of(job, source, precision="bf16" if in_bf16 else "fp32")
    loop.require_shares(manifest, options.grad_accumulate)
    limit = loop.limit_of(manifest, job.budget)
    score = _score(job, source, where, make_score)
    shown: Source[Batch] | None = None
    if job.data.holdout:
        shown = open_data(job.data, method.batches, split="test", least=1, track=track)
    if options.precision == "auto" and not found and in_bf16 and distributed.count() == 1:
        manifest = replace(
            manifest, precision=quicker_precision(source, manifest, device=where, vgg=vgg, paintings=paintings)
        )
    learner = loop.start(job.run, source, manifest, vgg=vgg, paintings=paintings)
    last: Progress | None = None
    plan = loop.Plan(manifest=manifest, device=where, limit=limit, options=options, shown=shown, score=score)
    for last in loop.train(job.run, source, learner, plan, stop=stop):
        if last.stopping:
            yield Note(f"stopping after step {last.step:,}: saving a checkpoint")
            continue
        if not last.losses:
            yield _opened(job, manifest, source, learner, where, last)
        yield last
        if last.sampled:
            yield Sampled(last.step, last.sampled)
        if last.saved:
            yield Saved(last.step, last.saved)
        if last.score and last.score.step == last.step:
            yield last.score
    assert last is not None
    files = tuple(samples.show_all(job.run)) if distributed.rank() == 0 else ()
    distributed.agree(0.0)  # to end together: the launcher ends the others if one of them ends as interrupted
    yield Finished(job.run, last, last.spent < 1, files)


def manifest_of(job: Job, source: Source[Any], *, precision: Any) -> Manifest:
    """The manifest of a run of this job on this source."""
    data = job.data
    return Manifest(
        method=job.method, config=job.config, spec=source.spec, data=source.name, images=len(source),
        seed=job.options.seed, flip=data.flip, target=_target_of(data),
        side=data.side or "", task=data.task or "", characters=data.characters or "",
        holdout=data.holdout, random_crop=data.random_crop,
        style=_paths(data), precision=precision, command=job.command, fingerprint=source.fingerprint,
    )  # fmt: skip


def _target_of(data: Data) -> str:
    """The partners by their full path; empty if there are none."""
    if not data.target:
        return ""
    name = str(data.target)
    return fonts_in_full(name) if are_fonts(name) else str(Path(name).resolve())


def _with_what_is_fixed(job: Job, device: torch.device) -> Job:
    """The job with the fixed size of its method, if it has one, and the task by its full name.

    Raises:
        UsageError: for what is impossible with any data.
    """
    if job.options.no_cuda_graphs and device.type != "cuda":
        raise UsageError(f"`no_cuda_graphs`: steps are not recorded on {device.type}; leave it out")
    data, config = job.data, job.config
    if data.size is None and len(config.sizes) == 1:
        data = replace(data, size=config.sizes[0])
    if data.size is not None:
        methods.get(job.method).require_size(config, data.size)
    if data.task:
        data = replace(data, task=tasks.task(data.task).name)
    return replace(job, data=data, method=methods.get(job.method).name())


def _asked(job: Job, found: Manifest) -> Manifest:
    """The manifest that was found, with the values of the job in place of its own."""
    data = job.data
    return dataclasses.replace(
        found, method=job.method, config=job.config, seed=job.options.seed, flip=data.flip, style=_paths(data),
        side=data.side or "", task=data.task or "", holdout=data.holdout, random_crop=data.random_crop,
    )  # fmt: skip


def _paths(data: Data) -> tuple[str, ...]:
    return tuple(str(Path(file).resolve()) for file in data.style)


def _notes_on(source: Source[Batch], job: Job, found: Manifest | None) -> Iterator[Note]:
    yield from map(Note, (*source.complaints, *source.notes))
    if job.data.flip and source.batch is PairBatch:
        yield Note("half of the pairs are mirrored left to right, source and target alike (`flip`)")
    if found is None:
        return
    now = manifest_of(job, source, precision=found.precision)
    if found.images != len(source):
        yield Note(f"{job.data.name} held {found.images} images when this run began and holds {len(source)} now")
    elif found.fingerprint and now.fingerprint and found.fingerprint != now.fingerprint:
        yield Note(f"{job.data.name}: files have other names or sizes than when this run began")
    elif found.moved(now):
        was, place = (f"{m.data} and {m.target}" if m.target else m.data for m in (found, now))
        yield Note(f"the data of this run were in {was} and are in {place} now: the same names and sizes")


def _shown_style(method: type[Method], job: Job) -> tuple[VGG19 | None, list[Tensor]]:
    """What a method needs beside its data: VGG-19, and the paintings of `style`.

    Raises:
        UsageError: for options that the method does not use, or if a painting or the weights are missing.
        DataError: for a painting that cannot be read.
    """
    style, takes = job.data.style, method.takes_paintings
    if style and not takes:
        raise UsageError(f"`style` {style[0]}: {method.name()} learns no style from single paintings; leave it out")
    if takes and not style:
        raise UsageError(f"{method.name()} learns the style of a painting: add `style` PAINTING, or several of them")
    paintings = [images.read(Path(file)) for file in style]
    for file, painting in zip(style, paintings, strict=True):
        require_style(painting, name=f"`style` {file}")
    deepest, weights = method.looks_to(job.config), job.options.vgg_weights
    if weights and not deepest and Path(weights) != vgg_file(None):
        how = "add `perceptual` 10, or leave it out" if hasattr(job.config, "perceptual") else "leave it out"
        raise UsageError(f"`vgg_weights` {weights}: {method.name()} does not learn with VGG-19 features; {how}")
    vgg = features.open_vgg(vgg_file(weights), deepest=deepest) if deepest else None
    return vgg, [images.on_white(painting) for painting in paintings]


def _score(job: Job, source: Source[Batch], device: torch.device, make: MakeScore | None) -> Score | None:
    """The function that scores the run during training; None if there is none, or another process does it.

    Raises:
        UsageError: for a run that cannot be scored.
    """
    options, generates = job.options, issubclass(methods.get(job.method), Generates)
    if options.inception_weights and not options.validate_every:
        raise UsageError(
            f"`inception_weights` {options.inception_weights}: are for `validate_every` on images that are not digits; "
            "leave it out"
        )
    if not options.validate_every:
        return None
    if issubclass(source.batch, PairBatch) or not generates:
        raise UsageError(
            f"`validate_every` {options.validate_every}: scores images generated from noise; score a translator with "
            "`ganvas evaluate`"
        )
    assert make is not None
    return make(source, device) if distributed.rank() == 0 else None


def _opened(
    job: Job, manifest: Manifest, source: Source[Batch], learner: Method, device: torch.device, first: Progress
) -> Opened:
    in_memory = not isinstance(job.data.source, str | Path)
    return Opened(
        run=job.run, method=manifest.method, data=f"{job.data.name} in memory" if in_memory else source.short_title,
        images=len(source), size=manifest.spec.size, device=str(device), precision=manifest.precision,
        parameters=_parameters(learner), batch=manifest.config.batch, length=_length(job.budget, manifest),
        step=first.step,
    )  # fmt: skip


def _parameters(learner: Method) -> Mapping[str, int]:
    return {
        name: sum(weight.numel() for group in optimizer.param_groups for weight in group["params"])
        for name, optimizer in learner.optimizers.items()
    }


def _length(budget: Budget, manifest: Manifest) -> str:
    if budget.minutes is not None:
        return f"{budget.minutes:g} minutes"
    if budget.steps is not None:
        return f"{budget.steps:,} steps ({budget.steps * manifest.config.batch / manifest.images:,.1f} epochs)"
    return f"{budget.epochs if budget.epochs is not None else manifest.config.epochs:g} epochs"

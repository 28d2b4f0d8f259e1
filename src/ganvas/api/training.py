"""Training, from Python and from the command line alike."""

import contextlib
import inspect
import re
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ganvas import evaluation, methods
from ganvas import progress as bars
from ganvas.api.models import Model, load
from ganvas.core import distributed, settings
from ganvas.core.device import find_device
from ganvas.core.names import require_name
from ganvas.core.options import Budget, Data, File, TrainOptions
from ganvas.data.batch import Source
from ganvas.data.progress import Track, silently
from ganvas.errors import Interrupted, SettingError, UsageError
from ganvas.methods._base import BaseConfig
from ganvas.metrics import features
from ganvas.training import session
from ganvas.training.events import CALLED, Event, Finished, hears, tell
from ganvas.training.session import Job, Score

VALIDATED = 2000  # images a score; enough to tell checkpoints of one run apart


def train(
    method: str,
    data: Any,
    run: File | None = None,
    *,
    preset: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    options: TrainOptions = TrainOptions(),
    callbacks: Sequence[object] = (),
    progress: bool = True,
    **keywords: Any,
) -> Model:
    """Train a method on images.

    The same call again continues where it stopped; with more steps, epochs or minutes it trains further. Ctrl-C saves.

    Args:
        method: the name of a method, such as `dcgan`; `ganvas methods` lists them.
        data: what to train on: a data set's name, a folder, a `Data`, a torch `Dataset`, an array or a tensor.
        run: the folder for checkpoints, grids of images and the log; without it, `runs/DATA-METHOD`.
        preset: the settings of a paper or a course, by name; single settings given beside it win.
        steps: how long to train in all; a step is one batch.
        epochs: or how long in passes through the data.
        minutes: or how long in minutes. Without any of the three, the method's own number of epochs.
        options: the seed, the device, the precision, how often to save, and so on.
        callbacks: objects with any of `on_start`, `on_step`, `on_samples`, `on_checkpoint`, `on_score` and `on_end`;
            each is called with an event.
        progress: whether to show a progress bar.
        **keywords: settings of the method, such as `batch` or `learning_rate`, and fields of `Data` and `TrainOptions`.

    Returns:
        The trained `Model`, which generates or translates images.

    Raises:
        DataError: for data that cannot be used.
        DivergedError: when a loss or a weight is not finite; the last checkpoint is untouched.
        Interrupted: after Ctrl-C in the main thread; the run is saved.
        ModelError: if `run` holds something else, or another training is using it.
        SettingError: for a setting that does not exist or cannot have that value, with the nearest that does.

    Example:
        >>> import ganvas
        >>> model = ganvas.train("dcgan", "digits", "runs/doctest-dcgan", steps=2, width=8, hidden=16, progress=False)
        >>> model.step
        2
    """
    asked = job(method, data, run, preset=preset, budget=Budget(steps, epochs, minutes), options=options, **keywords)
    return train_job(asked, callbacks=callbacks, progress=progress)


def train_job(asked: Job, *, callbacks: Sequence[object] = (), progress: bool = True) -> Model:
    """As `train`, for a job that `job` has made.

    Args:
        asked: the job.
        callbacks: as in `train`.
        progress: whether to show a progress bar.

    Returns:
        The trained model.

    Raises:
        GanvasError: as in `train`.

    Example:
        >>> from ganvas import Budget, api
        >>> api.train_job(api.job("gan", "digits", "runs/doctest-job", budget=Budget(steps=1)), progress=False).step
        1
    """
    callbacks = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in callbacks:
        if isinstance(callback, type) or not hears(callback):
            raise SettingError(f"`callbacks`: {callback!r} has none of the functions {', '.join(CALLED)}"[:250])
    last: Finished | None = None
    track = bars.track if progress else silently
    with contextlib.ExitStack() as within:
        within.enter_context(distributed.joined(find_device(asked.options.device)))
        stop = within.enter_context(_stopping())
        # closed at once, also when a callback raises: so the run is saved, and free for the next call
        events = within.enter_context(contextlib.closing(_events(asked, track=track, stop=stop)))
        shown = within.enter_context(contextlib.closing(bars.follow(events))) if progress else events
        for event in shown:
            for callback in callbacks:
                tell(event, callback)
            if isinstance(event, Finished):
                last = event
    assert last is not None
    if last.stopped:
        raise Interrupted(f"stopped at step {last.last.step:,}, which is saved; the same command goes on from there")
    return load(asked.run, device=asked.options.device)


def iter_train(
    method: str,
    data: Any,
    run: File | None = None,
    *,
    preset: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    options: TrainOptions = TrainOptions(),
    **keywords: Any,
) -> Iterator[Event]:
    """Train a method on images, event by event: a loop in place of callbacks.

    Leaving the loop saves the run. An iterator that has a name of its own is left by `events.close()`.

    Args:
        method: as in `train`, and so are all the others.
        data: what to train on.
        run: the run folder.
        preset: the settings of a paper or a course, by name.
        steps: how long to train in all.
        epochs: or how long in passes through the data.
        minutes: or how long in minutes.
        options: the seed, the device, and so on.
        **keywords: settings of the method, and fields of `Data` and `TrainOptions`.

    Yields:
        Frozen values: `Opened` before the first step, `Note` for a remark, `Progress` about twice a second, `Sampled`,
        `Saved` and `Scored` when a grid of images, a checkpoint or a score was written, and `Finished`.

    Raises:
        GanvasError: as `train` does; for wrong settings at once, for all else when the iteration begins.
        KeyboardInterrupt: after Ctrl-C within a step in the main thread; the run is saved.

    Example:
        >>> import ganvas
        >>> for event in ganvas.iter_train("gan", "digits", "runs/doctest-iter", steps=100):
        ...     if getattr(event, "step", 0) >= 3:
        ...         break
    """
    asked = job(method, data, run, preset=preset, budget=Budget(steps, epochs, minutes), options=options, **keywords)
    return _interruptible(asked)


def _interruptible(asked: Job) -> Iterator[Event]:
    """The events of a training; a first Ctrl-C within a step ends it after that step, saved, by KeyboardInterrupt."""
    asked_to_stop = bars.Stop()
    with contextlib.closing(_events(asked, track=silently, stop=lambda: bool(asked_to_stop))) as events:
        while True:
            with _stopping(asked_to_stop):  # only here, so that the caller's own code is interrupted as ever
                event = next(events, None)
            if event is None:
                break
            yield event
    if asked_to_stop:
        raise KeyboardInterrupt


def job(
    method: str,
    data: Any,
    run: File | None = None,
    *,
    preset: str | None = None,
    budget: Budget = Budget(),
    options: TrainOptions = TrainOptions(),
    command: str = "",
    **keywords: Any,
) -> Job:
    """What `train` is asked for, as one value; keywords are told apart by whose fields they are.

    Args:
        method: as in `train`.
        data: as in `train`.
        run: as in `train`.
        preset: as in `train`.
        budget: how long to train in all.
        options: as in `train`.
        command: the command line, to be kept in the run.
        **keywords: as in `train`.

    Returns:
        The job; nothing is opened or written yet.

    Raises:
        SettingError: for a method, preset or setting that does not exist, or a value that it cannot have.

    Example:
        >>> from ganvas import api
        >>> asked = api.job("dcgan", "digits", batch=32, size=16, seed=7)
        >>> asked.config.batch, asked.data.size, asked.options.seed
        (32, 16, 7)
    """
    if not isinstance(method, str):
        raise SettingError(f"`method`: expected a name such as dcgan, not {type(method).__name__}")
    if not isinstance(options, TrainOptions):
        raise SettingError(f"`options`: expected TrainOptions, not {type(options).__name__}; settings are keywords")
    if not isinstance(run, str | Path | None):
        raise SettingError(f"`run`: expected the path of a folder, not {type(run).__name__}")
    if run is not None:
        require_name(run, "run")
    config, data = methods.config(method, preset), Data.of(data)
    of_config, of_data, of_options = (settings.names_of(value) for value in (config, data, options))
    of_data = of_data - {"source"}
    own = set(inspect.signature(train).parameters) - {"keywords"}
    if wrong := keywords.keys() - of_config - of_data - of_options:
        settings.require_known(wrong, of_config | of_data | of_options | own, owner=method)

    given = settings.with_tuples(keywords)

    def changed(value: Any, names: set[str]) -> Any:
        return replace(value, **{name: given[name] for name in given if name in names})

    name = Path(data.name).resolve().name if Path(data.name).is_dir() else re.sub(r"[^\w.-]+", "-", data.name)
    learned = methods.get(method).name()
    return Job(
        method=learned, config=changed(config, of_config), data=changed(data, of_data),
        run=Path(run) if run else Path("runs") / f"{name}-{learned}", budget=budget,
        options=changed(options, of_options), command=command,
    )  # fmt: skip


def with_config(asked: Job, config: BaseConfig) -> Job:
    """The job with other settings of its method.

    Args:
        asked: the job.
        config: the settings, of the same method.

    Returns:
        A copy of the job.

    Example:
        >>> from ganvas import api, methods
        >>> book = methods.config("gan", "book")
        >>> api.with_config(api.job("gan", "digits"), book).config is book
        True
    """
    return replace(asked, config=config)


def _events(asked: Job, *, track: Track, stop: Callable[[], bool]) -> Generator[Event, None, None]:
    def make_score(source: Source[Any], device: torch.device) -> Score:
        options = asked.options
        weights = Path(options.inception_weights) if options.inception_weights else None
        name = features.suited(source.spec)
        if weights and name != "inception":
            raise UsageError(
                f"`inception_weights` {weights}: are for `validate_every` on images that are no digits; leave it out"
            )
        judge = features.open_features(name, device=device, weights=weights, framed=source.name == "digits")
        return evaluation.scorer(source, judge, count=VALIDATED, by=options.validate_by)

    return session.train_job(asked, make_score=make_score, track=track, stop=stop)


@contextlib.contextmanager
def _stopping(stop: "bars.Stop | None" = None) -> Iterator[Callable[[], bool]]:
    """Within the block the first Ctrl-C asks for a stop between two steps; only the main thread hears it."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    with bars.stopping_gently(stop) as asked:
        yield lambda: bool(asked)

"""The runs of a study in their order, their progress, and the time they will take."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ganvas import checkpoint, training
from ganvas.core.atomic_io import write_whole
from ganvas.core.options import Budget
from ganvas.methods._base import BaseConfig
from ganvas.studies.design import Learner, Length, Study, Task
from ganvas.training import metrics_log

RUNS = "runs"  # the folder of all runs, in that of the study
FAILED = "failed.txt"  # in a run that cannot be finished, with the reason


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: the arguments of `ganvas train`."""

    task_name: str
    learner: Learner
    folder: Path
    data: str
    target: str = ""
    side: str = ""
    task: str = ""
    holdout: float = 0.0
    size: int | None = None
    flip: bool = False
    random_crop: bool = False
    seed: int
    length: Length

    @property
    def config(self) -> BaseConfig:
        """The settings of the method."""
        return self.learner.config

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"{self.task_name}, {self.learner.name}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Round:
    """A task with one seed: runs that are then compared.

    Attributes:
        task: the task.
        seed: the seed.
        teacher: the run that must be done before; None if the targets are given.
        runs: one for each method.
        results: the folder of the comparison.
    """

    task: Task
    seed: int
    teacher: Run | None
    runs: tuple[Run, ...]
    results: Path


def rounds(study: Study, out: Path) -> Iterator[Round]:
    """All rounds; every task is done with the first seed before any begins with the next."""
    for seed in study.seeds:
        for task in study.tasks:
            yield round_of(task, seed, out)


def round_of(task: Task, seed: int, out: Path) -> Round:
    """The round of a task with a seed."""
    runs = tuple(_run(task, learner, seed, out) for learner in task.learners)
    return Round(
        task=task, seed=seed, teacher=teacher_run(task, out), runs=runs, results=out / task.name / f"seed{seed}"
    )


def teacher_run(task: Task, out: Path) -> Run | None:
    """The run of the translator that makes a task's targets: one, with seed 0, for all seeds."""
    teacher = task.teacher
    if teacher is None:
        return None
    return Run(
        task_name=task.name, learner=teacher.learner, folder=out / RUNS / task.name / "targets", data=task.data,
        target=teacher.target, holdout=task.holdout, size=task.size, flip=task.flip,
        random_crop=task.random_crop, seed=0, length=teacher.length,
    )  # fmt: skip


def made_targets(task: Task, out: Path) -> tuple[Path, Path]:
    """The folders of the made targets, for the training images and for the held-out ones."""
    learned = out / "targets" / task.name / "learned"
    return learned, learned if task.held_out == task.data else learned.with_name("held_out")


def _run(task: Task, learner: Learner, seed: int, out: Path) -> Run:
    target = str(made_targets(task, out)[0]) if task.teacher else task.target
    return Run(
        task_name=task.name, learner=learner, folder=out / RUNS / task.name / f"{learner.name}-seed{seed}",
        data=task.data, target=target, side=task.side, task=task.task, holdout=task.holdout, size=task.size,
        flip=task.flip, random_crop=task.random_crop, seed=seed, length=task.length,
    )  # fmt: skip


# --- progress -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """The progress of a run.

    Attributes:
        step: of its newest checkpoint.
        seconds: of training until then.
        spent: the fraction of its length that is done, 0 to 1.
        failed: why it cannot be finished; empty if it can.
    """

    step: int = 0
    seconds: float = 0.0
    spent: float = 0.0
    failed: str = ""

    @property
    def over(self) -> bool:
        """Whether training is over."""
        return self.spent >= 1 or bool(self.failed)

    @property
    def words(self) -> str:
        """Such as `done`, `not begun`, `45 %`, or why it failed."""
        return self.failed or ("done" if self.spent >= 1 else f"{self.spent:.0%}" if self.step else "not begun")


def state_of(run: Run) -> State:
    """The progress of a run, by the content of its folder.

    Raises:
        ModelError: if that is not a run, or damaged.
    """
    manifest, kept = checkpoint.read_run(run.folder), checkpoint.checkpoints(run.folder)
    if manifest is None:
        return State()
    failed = run.folder / FAILED
    why = failed.read_text(encoding="utf-8").strip() if failed.exists() else ""
    if not kept:
        return State(failed=why)
    step = int(kept[-1].name.removeprefix("step-"))
    # every checkpoint has a line in the log; if a crash lost it, training itself finds the progress
    lines = reversed(metrics_log.read(run.folder))
    seconds = next((line["seconds"] for line in lines if line["step"] == step and "seconds" in line), 0.0)
    return State(step, seconds, training.limit_of(manifest, Budget(**run.length.given)).spent(step, seconds), why)


def keep_failure(run: Run, why: str) -> None:
    """Record that a run cannot be finished, so that it is not tried again until its folder is deleted."""
    write_whole(run.folder / FAILED, why.encode())


def seconds_left(runs: Iterable[Run], states: Mapping[Path, State]) -> float | None:
    """How long these runs will train; None while that is unknown for one of them.

    A step takes about as long as in other runs of the same method and task.
    """
    total, runs = 0.0, list(runs)
    for run in runs:
        state = states[run.folder]
        if state.over:
            continue
        if run.length.minutes is not None:
            total += run.length.minutes * 60 * (1 - state.spent)
            continue
        alike = [states[o.folder] for o in runs if (o.task_name, o.learner.name) == (run.task_name, run.learner.name)]
        timed = [other for other in alike if other.seconds and other.spent]
        if not timed:
            return None
        total += sum(other.seconds / other.spent for other in timed) / len(timed) * (1 - state.spent)
    return total


def duration(seconds: float) -> str:
    """Such as `40 minutes`."""
    minutes = math.ceil(seconds / 60)
    if minutes <= 1:
        return "a minute"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} minutes"

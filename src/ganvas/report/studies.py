"""Read the folder of a study: scores of several tasks over seeds, and the reports of the tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ganvas.errors import DataError
from ganvas.report.results import VERSION, Results, check_digits, read_json, read_results


@dataclass(frozen=True)
class Mean:
    """The mean of a score over seeds; `spread` is the standard deviation over seeds."""

    mean: float | None = None
    spread: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Training:
    """The training of a method: means over its seeds."""

    minutes: float | None = None
    steps: float | None = None
    seeds: int | None = None
    words: str = ""


@dataclass(frozen=True)
class Column:
    """A score of the study."""

    name: str
    unit: str = ""
    better: str = ""
    digits: str = ".4g"
    meaning: str = ""


@dataclass(frozen=True)
class Place:
    """The report of a task and seed, in a subfolder."""

    name: str
    folder: str


@dataclass(frozen=True)
class Task:
    """The results of one task."""

    name: str
    answers: tuple[str, ...]
    words: str = ""
    notes: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, Mean]] = field(default_factory=dict)
    winners: Mapping[str, str | None] = field(default_factory=dict)
    verdicts: tuple[str, ...] = ()
    training: Mapping[str, Training] = field(default_factory=dict)
    reports: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Findings:
    """The content of study.json."""

    version: int
    title: str
    scores: tuple[Column, ...]
    tasks: tuple[Task, ...]
    description: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study(Findings):
    """The results of a study."""

    folder: Path = Path()

    @cached_property
    def answers(self) -> list[str]:
        """The answers of all tasks, models first."""
        every = [answer for task in self.tasks for answer in task.answers]
        return sorted(dict.fromkeys(every), key=lambda answer: answer in self.baselines)

    @cached_property
    def first(self) -> dict[str, Results]:
        """The results of the first report of each task that has one, by task."""
        return {task.name: read_results(self.folder / task.reports[0].folder) for task in self.tasks if task.reports}


def read_study(folder: Path) -> Study:
    """Read the study in a folder.

    Raises:
        DataError: if a file is missing or damaged; the message says which, and where.
    """
    path = folder / "study.json"
    study = Study(**vars(read_json(path, Findings)), folder=folder)
    if study.version != VERSION:
        raise DataError(
            f"{path}: is of version {study.version}, expected {VERSION}; run the command that made it again"
        )
    for column in study.scores:
        check_digits(column.digits, path)
    for task in study.tasks:
        for place in task.reports:
            parts = PurePosixPath(place.folder)
            if parts.is_absolute() or ".." in parts.parts or "\\" in place.folder or ":" in place.folder:
                raise DataError(
                    f"{path}: {place.folder!r} is not a folder within the study; run the command that made it again"
                )
    return study

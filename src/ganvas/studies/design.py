"""The design of a study: the methods, the tasks, the data, the training time, and the seeds."""

from dataclasses import dataclass
from typing import Any

from ganvas.core import settings
from ganvas.data.builtin import NAMES
from ganvas.methods._base import BaseConfig


@dataclass(frozen=True, kw_only=True)
class Length:
    """The length of a training; exactly one of these is given."""

    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None

    def __post_init__(self) -> None:
        assert len(self.given) == 1

    @property
    def given(self) -> dict[str, Any]:
        """The unit and the number, as `core.options.Budget` takes them."""
        units = {"minutes": self.minutes, "steps": self.steps, "epochs": self.epochs}
        return {unit: number for unit, number in units.items() if number is not None}

    @property
    def words(self) -> str:
        """Such as `30 minutes`."""
        ((unit, number),) = self.given.items()
        return f"{number:,g} {unit.removesuffix('s') if number == 1 else unit}"


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A method with its settings, under its name in the study."""

    name: str
    method: str
    config: BaseConfig

    @property
    def words(self) -> str:
        """The method, and the settings that differ from the defaults, as flags."""
        ours, usual = settings.to_json(self.config), settings.to_json(type(self.config)())
        changed = [f"{settings.flag(name)} {_shown(ours[name])}" for name in settings.differences(ours, usual)]
        return " ".join([self.method, *changed])


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A translator that is trained without pairs and makes the targets of a task.

    Attributes:
        learner: the method and its settings.
        target: a folder of images of the wanted kind.
        length: how long it is trained.
    """

    learner: Learner
    target: str
    length: Length


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task and its data.

    Attributes:
        name: a word, which is also used for folders.
        words: a description.
        data: the training data: a named data set or a folder.
        held_out: the evaluation data; the same as `data` if a fraction of it is held out, or it has a test part.
        target, held_out_target: folders of partners; empty if there are none.
        side: `ab` or `ba`, if each image holds two.
        task: makes pairs from single images.
        teacher: the translator that makes the targets; None if they are given.
        holdout: the fraction of `data` that is kept from training.
        size: of the images in pixels; None leaves it to the data.
        flip, random_crop: as in `ganvas train`.
        length: how long each method is trained.
        learners: the methods.
    """

    name: str
    words: str
    data: str
    held_out: str
    target: str = ""
    held_out_target: str = ""
    side: str = ""
    task: str = ""
    teacher: Teacher | None = None
    holdout: float = 0.0
    size: int | None = None
    flip: bool = False
    random_crop: bool = False
    length: Length
    learners: tuple[Learner, ...]

    @property
    def in_pairs(self) -> bool:
        """Whether images are translated, rather than generated from noise."""
        return bool(self.target or self.side or self.task or self.teacher)

    @property
    def folders(self) -> dict[str, str]:
        """The folders that it needs, by their keys in the file."""
        named = {"data": self.data, "held_out": self.held_out}
        named |= {"target": self.target, "held_out_target": self.held_out_target}
        if self.teacher:
            named["made_by.target"] = self.teacher.target
        return {key: folder for key, folder in named.items() if folder and folder not in NAMES}


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tasks for the same methods, each trained once with each seed.

    Attributes:
        where: the file it is read from, for messages.
        title: one line.
        description: its paragraphs.
        seeds: of the initial weights and of all random numbers in training.
        tasks: in the order of training and report.
    """

    where: str
    title: str
    description: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    tasks: tuple[Task, ...]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Changes to what the file says.

    Attributes:
        length: for every run, including those that make targets.
        size: for every task.
        seeds: in place of the file's.
    """

    length: Length | None = None
    size: int | None = None
    seeds: tuple[int, ...] = ()

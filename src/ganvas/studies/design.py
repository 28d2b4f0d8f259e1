"""What a study is: which methods learn which tasks, from what, how long, and with which seeds."""

from dataclasses import dataclass
from typing import Any

from ganvas.core import settings
from ganvas.data.builtin import NAMES
from ganvas.methods._base import BaseConfig


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long a run learns; exactly one of these is given."""

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
    """A method with its settings, under the name that it goes by in the study."""

    name: str
    method: str
    config: BaseConfig

    @property
    def words(self) -> str:
        """The method and what is set otherwise than by default, as flags."""
        ours, usual = settings.to_json(self.config), settings.to_json(type(self.config)())
        changed = [f"{settings.flag(name)} {_shown(ours[name])}" for name in settings.differences(ours, usual)]
        return " ".join([self.method, *changed])


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value).lower()


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A translator that learns without pairs, and whose images are then the targets of a task.

    Attributes:
        learner: the method and its settings.
        target: a folder of images of the wanted kind.
        length: how long it learns.
    """

    learner: Learner
    target: str
    length: Length


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be learned, and from what.

    Attributes:
        name: a word, of which folders are named.
        words: the same for people.
        data: what is learned from: a named data set or a folder.
        held_out: what is judged on; the same as `data` where a share of that is held out, or it has a test part.
        target, held_out_target: folders of partners; empty where there are none.
        side: `ab` or `ba`, where each image holds two.
        task: what makes pairs of single images.
        teacher: who makes the targets; None where they are there.
        holdout: the share of `data` that is kept from learning.
        size: of the images in pixels; None leaves it to the data.
        flip, random_crop: as in `ganvas train`.
        length: how long each method learns.
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
        """Whether images are to become others, rather than to be drawn from noise."""
        return bool(self.target or self.side or self.task or self.teacher)

    @property
    def folders(self) -> dict[str, str]:
        """The folders that it needs, by the key under which they are given."""
        named = {"data": self.data, "held_out": self.held_out}
        named |= {"target": self.target, "held_out_target": self.held_out_target}
        if self.teacher:
            named["made_by.target"] = self.teacher.target
        return {key: folder for key, folder in named.items() if folder and folder not in NAMES}


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tasks that the same methods learn, each once with each seed.

    Attributes:
        where: the file that says so, for messages.
        title: in a line.
        description: in paragraphs.
        seeds: of the first weights and of all chance in training.
        tasks: in the order in which they are learned and told.
    """

    where: str
    title: str
    description: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    tasks: tuple[Task, ...]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is asked for otherwise than the file says.

    Attributes:
        length: for every run, those included that make targets.
        size: for every task.
        seeds: in place of the file's.
    """

    length: Length | None = None
    size: int | None = None
    seeds: tuple[int, ...] = ()

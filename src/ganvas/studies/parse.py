"""Read a study from keys and values, and check each of them; no file but the study's is opened."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ganvas import methods
from ganvas.core import schema, settings
from ganvas.core.home import expanded
from ganvas.core.settings import nearest
from ganvas.data import tasks
from ganvas.data.batch import ImageBatch, PairBatch, UnpairedBatch, check_size
from ganvas.data.builtin import NAMES
from ganvas.errors import SettingError, UsageError
from ganvas.methods._base import BaseConfig, Generates
from ganvas.studies.design import Changes, Learner, Length, Study, Task, Teacher

T = TypeVar("T")

LARGEST = 2**18  # bytes of a file; a study takes a few thousand; a million take half a minute to read

LONGEST_TRAINING = 10**9  # steps, minutes or epochs
LONGEST_REASON = 180  # letters of an error, beside the position

WAYS = ("target", "side", "task", "made_by")  # the ways to give partners
Words = str | int | float  # a number counts as a word: `task: 3` may be a folder
Entries = dict[Any, Any]

TAKEN = ("runs", "targets", "images", "input", "target")  # names of other things in a folder of results
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # a valid folder name on every system


# --- what a file may hold ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LengthEntries:
    """How long to train; exactly one is given."""

    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None


@dataclass(frozen=True, kw_only=True)
class SharedEntries(LengthEntries):
    """What is given once for all tasks, or for one; `jitter` is the old name of `random_crop`."""

    size: int | None = None
    flip: bool | None = None
    random_crop: bool | None = None
    jitter: bool | None = None
    holdout: float | None = None


@dataclass(frozen=True, kw_only=True)
class StudyEntries(SharedEntries):
    """The keys of the file."""

    title: Words | None = None
    description: Words | None = None
    seeds: tuple[int, ...] | None = None
    methods: Entries | None = None
    tasks: Entries | None = None


@dataclass(frozen=True, kw_only=True)
class TaskEntries(SharedEntries):
    """The keys of a task."""

    words: Words | None = None
    data: Words | None = None
    held_out: Words | None = None
    held_out_target: Words | None = None
    target: Words | None = None
    side: Words | None = None
    task: Words | None = None
    made_by: Entries | None = None
    settings: Entries | None = None


@dataclass(frozen=True, kw_only=True)
class MethodEntries:
    """The keys of a method."""

    method: Words | None = None
    preset: Words | None = None
    settings: Entries | None = None


@dataclass(frozen=True, kw_only=True)
class TeacherEntries(MethodEntries, LengthEntries):
    """The keys of the method that makes targets."""

    target: Words | None = None


@dataclass(frozen=True)
class Position:
    """A position in the file: its name, and the keys that lead there."""

    file: str
    keys: str = ""

    def error(self, key: object, why: str) -> SettingError:
        """An error about the value of a key."""
        return SettingError(f"{self.below(key)}: {why[:LONGEST_REASON]}")

    def below(self, key: object) -> "Position":
        """The position of the value of a key."""
        key = str(key)[: schema.LONGEST]
        return Position(self.file, f"{self.keys}.{key}" if self.keys else key)

    def __str__(self) -> str:
        return f"{self.file}: {self.keys}" if self.keys else self.file


def fitted(values: Any, shape: type[T], at: Position) -> T:
    """The entries at a position, each of its type; none is unknown.

    Raises:
        SettingError: naming the wrong key and its position.
    """
    require_keys(values, [field.name for field in dataclasses.fields(shape)], at)  # type: ignore[arg-type]
    try:
        return schema.fit({key: _whole(value) for key, value in values.items()}, shape)
    except schema.Misfit as error:
        raise SettingError(f"{at}{'.' if at.keys else ': '}{error}") from error


def require_keys(values: Any, known: Iterable[str], at: Position) -> None:
    """Raise SettingError for anything but keys and values, and for an unknown key, with the nearest known one."""
    if not isinstance(values, dict):
        raise SettingError(f"{at} is {schema.shown(values)}, expected keys and values")
    names = list(known)
    for key in values:
        if not isinstance(key, str):
            raise SettingError(f"{at}: has the key {schema.shown(key)}, expected a word")
        if key not in names:
            raise at.error(key, f"unknown; {nearest(key, names)}")


def _whole(value: Any) -> Any:
    """The value, and a whole number that is written as 1e4 as such."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(entry: Words | None, usual: str = "") -> str:
    return usual if entry is None else str(entry).strip() or usual


# --- the file -------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can grow without bound, and without duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read; write it out", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        if not isinstance(node, yaml.MappingNode):
            raise yaml.MarkedYAMLError(problem="expected keys and values", problem_mark=node.start_mark)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is a word, not a list", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value[:60]} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# in YAML 1.1, a number without a point, such as 1e-3, is a text
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+"), list("-+0123456789"))


def read_file(path: Path, *, root: Path, changes: Changes) -> Study:
    """The study that a YAML file describes; folders are beside the file, or else below `root`.

    Raises:
        UsageError: if it cannot be read.
        SettingError: naming the wrong key and its position.
    """
    if not path.is_file():
        what = "is a folder; give a file" if path.is_dir() else "no such file; studies/three-tasks.yaml is an example"
        raise UsageError(f"{path}: {what}")
    if path.stat().st_size > LARGEST:
        raise UsageError(f"{path}: has more than {LARGEST:,} bytes, so it is not a study")
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except (yaml.MarkedYAMLError, ValueError) as error:  # such as bytes that are not text, or an impossible date
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        problem = " ".join(problem.split())[:LONGEST_REASON]
        raise UsageError(f"{path}{f', line {mark.line + 1}' if mark else ''}: not YAML: {problem}") from error
    except (LookupError, TypeError, AttributeError) as error:  # of PyYAML itself, such as for `!!bool x`
        raise UsageError(f"{path}: not YAML: a tag (!!type) and its value do not fit; leave the tag out") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}: not YAML, or nested too deeply ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected keys and values: {', '.join(StudyEntries.__dataclass_fields__)}")
    folders = (path.resolve().parent, root)
    return read_mapping(found, where=path.name, title=path.stem, folders=folders, changes=changes)


def read_mapping(
    values: Mapping[str, Any], *, where: str, title: str, folders: Sequence[Path], changes: Changes
) -> Study:
    """The study that these keys and values describe.

    Args:
        values: as read from YAML.
        where: their source, for messages.
        title: used if they have none.
        folders: in which relative paths are searched, one after the other.
        changes: to these values.

    Raises:
        SettingError: naming the wrong key and its position.
    """
    at = Position(where)
    given = fitted(values, StudyEntries, at)
    for part, what in ((given.tasks, "tasks"), (given.methods, "methods")):
        if not part:
            raise at.error(what, "there are none; a study takes one or more (docs/study.md)")
        _require_names(part, at.below(what))
    reader = _Reader(given, at, tuple(folders), changes)
    return Study(
        where=where,
        title=_text(given.title, title),
        description=tuple(" ".join(part.split()) for part in re.split(r"\n\s*\n", _text(given.description)) if part),
        seeds=_seeds(changes.seeds or given.seeds, at),
        tasks=tuple(
            reader.task(name, of_task, at.below("tasks").below(name)) for name, of_task in (given.tasks or {}).items()
        ),
    )


def _require_names(names: Iterable[Any], at: Position) -> None:
    """Raise SettingError for a name that cannot be the name of a folder."""
    folded = dict[str, str]()
    for name in names:
        if not isinstance(name, str):
            raise SettingError(f"{at}: has the key {schema.shown(name)}, expected a word")
        if not _NAME.fullmatch(name):
            raise at.error(name, "a name takes up to 40 letters, digits, - and _, because folders are named after it")
        if name.casefold() in TAKEN:
            raise at.error(name, "something else has this name in the folder of results; choose another name")
        if other := folded.get(name.casefold()):
            raise at.error(name, f"not every system can tell it from {other}; choose another name")
        folded[name.casefold()] = name


def _seeds(given: tuple[int, ...] | None, at: Position) -> tuple[int, ...]:
    found = (0,) if given is None else given
    if not found or not all(0 <= seed < 2**62 for seed in found):
        raise at.error("seeds", "expected a list of whole numbers from 0 on, such as [0, 1]")
    if len(set(found)) < len(found):
        raise at.error("seeds", f"{next(s for s in found if found.count(s) > 1)} is given twice")
    return found


# --- its parts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """Reads tasks, each with the values that the study gives for all.

    Attributes:
        study: the entries of the study.
        at: their position.
        folders: in which relative paths are searched.
        changes: to the file.
    """

    study: StudyEntries
    at: Position
    folders: tuple[Path, ...]
    changes: Changes

    def task(self, name: str, values: Any, at: Position) -> Task:
        """A task with its methods."""
        given = fitted(values if values is not None else {}, TaskEntries, at)
        if not given.data:
            raise at.error("data", "missing: the training data, a folder or a named data set")
        if len(ways := [way for way in WAYS if getattr(given, way) is not None]) > 1:
            raise at.error(ways[1], f"{' and '.join(ways)} are two ways to give partners; give one")
        if (side := _text(given.side)) not in ("", "ab", "ba"):
            raise at.error("side", f"is {side}; expected ab, from the left image to the right one, or ba")
        length = self._length(given, at) or self._length(self.study, self.at)
        if length is None:
            raise at.error("minutes", "missing, and steps and epochs too: say how long to train, here or for all")
        data = self._folder(given.data)
        held_out, holdout = self._held_out(given, at, data)
        task = Task(
            name=name,
            words=_text(given.words, name),
            data=data,
            held_out=held_out,
            target=self._folder(given.target),
            held_out_target=self._folder(given.held_out_target),
            side=side,
            task=_task(given, at),
            teacher=self._teacher(given.made_by, at.below("made_by"), length),
            holdout=holdout,
            size=self._size(given, at),
            flip=_first(given.flip, self.study.flip),
            random_crop=_first(given.random_crop, given.jitter, self.study.random_crop, self.study.jitter),
            length=length,
            learners=self._learners(given, at),
        )
        _require_partners(at, task)
        _require_can_learn(at, task)
        return task

    def _folder(self, entry: Words | None) -> str:
        """The path of a folder; the name of a data set, and an empty name, unchanged."""
        name = _text(entry)
        if not name or name in NAMES:
            return name
        try:
            path = expanded(name)
        except UsageError as error:
            raise SettingError(f"{self.at}: {str(error)[:LONGEST_REASON]}") from error
        places = [folder / path for folder in self.folders]
        return str(next((place for place in places if place.exists()), places[0]))

    def _held_out(self, given: TaskEntries, at: Position, data: str) -> tuple[str, float]:
        """The evaluation data, and the fraction of `data` that is kept for it."""
        held_out, share = self._folder(given.held_out), given.holdout
        if held_out and share:
            raise at.error("holdout", "holdout and held_out are two ways to give evaluation data; give one")
        if held_out and Path(held_out) == Path(data) and data not in NAMES:
            raise at.error("held_out", f"{held_out} is the training data; give other images, or holdout: 0.1")
        if share is None and not held_out and data not in NAMES:
            share = self.study.holdout
        if not 0 <= (share := share or 0.0) < 1:
            raise at.error("holdout", f"is {share:g}; expected a fraction, 0 to below 1")
        if not (held_out or share or data in NAMES):
            raise at.error(
                "held_out", "missing: images that no training uses; give a folder, or holdout: 0.1 to keep a tenth"
            )
        return held_out or data, share

    def _length(self, given: LengthEntries, at: Position) -> Length | None:
        """How long to train, from the changes or from here; None if neither says."""
        units = {field.name: getattr(given, field.name) for field in dataclasses.fields(LengthEntries)}
        units = {unit: number for unit, number in units.items() if number is not None}
        if len(units) > 1:
            raise at.error([*units][1], f"{' and '.join(units)} are two ways to say how long; give one")
        for unit, number in units.items():
            if number <= 0:
                raise at.error(unit, f"is {number:g}; expected more than 0")
            if number > LONGEST_TRAINING:
                raise at.error(unit, f"is {number:g}; expected no more than {LONGEST_TRAINING:,}")
        return self.changes.length or (Length(**units) if units else None)

    def _size(self, given: TaskEntries, at: Position) -> int | None:
        size, where = (self.study.size, self.at) if given.size is None else (given.size, at)
        try:
            if size is not None:
                check_size(size)
        except SettingError as error:
            raise where.error("size", str(error)) from error
        return self.changes.size or size

    def _teacher(self, values: Entries | None, at: Position, length: Length) -> Teacher | None:
        if values is None:
            return None
        given = fitted(values, TeacherEntries, at)
        for key in ("method", "target"):
            if not getattr(given, key):
                raise at.error(key, "missing: made_by takes a method that trains without pairs, and its target")
        method = methods.get(_method(given, at))
        learner = Learner(name="targets", method=method.name(), config=_config(given, at))
        if UnpairedBatch not in method.batches or method.deepest:
            raise at.error("method", f"{learner.method} does not learn to translate without pairs; take cyclegan")
        return Teacher(learner=learner, target=self._folder(given.target), length=self._length(given, at) or length)

    def _learners(self, given: TaskEntries, at: Position) -> tuple[Learner, ...]:
        """The methods of the study, with the settings of the task."""
        named, changed, at = self.study.methods or {}, given.settings or {}, at.below("settings")
        require_keys(changed, named, at)
        learners = []
        for name, values in named.items():
            where = self.at.below("methods").below(name)
            of_method = fitted(values if values is not None else {}, MethodEntries, where)
            config = _with_settings(_config(of_method, where, name), changed.get(name), at.below(name))
            learners.append(Learner(name=name, method=_method(of_method, where, name), config=config))
        return tuple(learners)


def _first(*given: bool | None) -> bool:
    """The first that is given; false if none is."""
    return next((value for value in given if value is not None), False)


def _method(given: MethodEntries, at: Position, usual: str = "") -> str:
    method = _text(given.method, usual)
    if method not in methods.names():
        raise at.error("method", f"{method}: no such method; {nearest(method, methods.names())}")
    return method


def _config(given: MethodEntries, at: Position, usual: str = "") -> BaseConfig:
    """The settings of a method: those of its preset, with changes."""
    try:
        config = methods.config(_method(given, at, usual), _text(given.preset) or None)
    except SettingError as error:
        if "preset" not in str(error):
            raise
        raise at.error("preset", str(error)) from error
    return _with_settings(config, given.settings, at.below("settings"))


def _with_settings(config: BaseConfig, values: Any, at: Position) -> BaseConfig:
    """The settings with these values replaced; `learning-rate` and `learning_rate` are the same."""
    if values is None:
        return config
    named = values
    if isinstance(values, dict):
        named = {key.replace("-", "_") if isinstance(key, str) else key: value for key, value in values.items()}
    known = settings.to_json(config)
    require_keys(named, known, at)
    try:
        return settings.from_json(type(config), {**known, **{name: _whole(value) for name, value in named.items()}})
    except SettingError as error:
        raise SettingError(f"{at}: {str(error)[:200]}") from error


def _task(given: TaskEntries, at: Position) -> str:
    try:
        return "" if given.task is None else tasks.task(_text(given.task)).name
    except SettingError as error:
        raise at.error("task", str(error)) from error


def _require_partners(at: Position, task: Task) -> None:
    """Raise SettingError if partners of the held-out images are missing, or given where there are none."""
    if task.target and task.held_out != task.data and not task.held_out_target:
        raise at.error("held_out_target", "missing: the folder with the partners of held_out")
    if task.held_out_target and not (task.target and task.held_out != task.data):
        raise at.error("held_out_target", "is for the partners of held_out, where target gives those of data")
    if task.teacher and task.data in NAMES:
        raise at.error("made_by", f"translates the images of folders, and {task.data} is not one")


def _require_can_learn(at: Position, task: Task) -> None:
    """Raise SettingError for a method that cannot learn the task, and for methods that cannot be compared."""
    for learner in task.learners:
        method = methods.get(learner.method)
        if method.deepest:
            why = "learns a style, for which there are no targets; use `ganvas compare`"
        elif (
            task.in_pairs and PairBatch not in method.batches and not (task.target and UnpairedBatch in method.batches)
        ):
            why = "generates from noise alone, and this task translates images"
        elif not task.in_pairs and ImageBatch not in method.batches:
            why = f"translates images: give their partners with {', '.join(WAYS)}"
        else:
            continue
        raise at.error("methods", f"{learner.name}: {learner.method} {why}")
    for kind, sides in _kinds(task).items():
        if 0 < len(sides) < len(task.learners):
            others = [learner.name for learner in task.learners if learner.name not in sides]
            raise at.error(
                "methods", f"{', '.join(sides)} {kind}, and {', '.join(others)} not; they cannot be compared"
            )


def _kinds(task: Task) -> dict[str, list[str]]:
    """What only some of the methods may do in a task, in words, and the names of those that do."""
    chosen = {learner.name: methods.get(learner.method) for learner in task.learners}
    if not task.in_pairs:
        return {"generates": [name for name, method in chosen.items() if issubclass(method, Generates)]}
    if task.target or task.teacher:
        return {"learns without pairs": [name for name, method in chosen.items() if UnpairedBatch in method.batches]}
    return {}

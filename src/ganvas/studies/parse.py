"""Read a study from keys and values, and check each of them; no file but the study's is opened."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from ganvas import methods
from ganvas.core import settings
from ganvas.core.settings import nearest
from ganvas.data.batch import ImageBatch, PairBatch, UnpairedBatch, check_size
from ganvas.data.builtin import NAMES
from ganvas.data.tasks import base
from ganvas.errors import SettingError, UsageError
from ganvas.methods._base import BaseConfig, Generates
from ganvas.studies.design import Changes, Learner, Length, Study, Task, Teacher
from ganvas.studies.node import Node, shown, too_long

LARGEST = 2**18  # bytes of a file; a study takes a few thousand; a million take half a minute to read

LENGTHS = ("minutes", "steps", "epochs")
OF_ALL = (*LENGTHS, "size", "flip", "random_crop", "jitter", "holdout")  # given once for all tasks, or for one
OF_STUDY = ("title", "description", "seeds", *OF_ALL, "methods", "tasks")
WAYS = ("target", "side", "task", "made_by")  # the ways to give partners
OF_TASK = ("words", "data", "held_out", "held_out_target", *WAYS, *OF_ALL, "settings")
OF_METHOD = ("method", "preset", "settings")
OF_TEACHER = (*OF_METHOD, "target", *LENGTHS)

TAKEN = ("runs", "targets", "images", "input", "target")  # names of other things in a folder of results
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # a valid folder name on every system


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
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
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
        raise UsageError(f"{path}{f', line {mark.line + 1}' if mark else ''}: not YAML: {problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}: not YAML, or nested too deeply ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected keys and values: {', '.join(OF_STUDY)}")
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
    node = Node(values, f"{where}: ")
    node.only(OF_STUDY)
    tasks, named = node.at("tasks"), node.at("methods")
    for part, what in ((tasks, "tasks"), (named, "methods")):
        if not part.values:
            raise node.error(what, "there are none; a study takes one or more (docs/study.md)")
        _require_names(part)
    reader = _Reader(node, named, tuple(folders), changes)
    return Study(
        where=where,
        title=node.text("title", title),
        description=tuple(" ".join(part.split()) for part in re.split(r"\n\s*\n", node.text("description")) if part),
        seeds=_seeds(Node({"seeds": list(changes.seeds)}, f"{where}: ") if changes.seeds else node),
        tasks=tuple(reader.task(tasks, name) for name in tasks.values),
    )


def _require_names(node: Node) -> None:
    """Raise SettingError for a name that cannot be the name of a folder."""
    folded = dict[str, str]()
    for name in node.values:
        if not _NAME.fullmatch(name):
            raise node.error(name, "a name takes up to 40 letters, digits, - and _, because folders are named after it")
        if name.casefold() in TAKEN:
            raise node.error(name, "something else has this name in the folder of results; choose another name")
        if other := folded.get(name.casefold()):
            raise node.error(name, f"not every system can tell it from {other}; choose another name")
        folded[name.casefold()] = name


def _seeds(node: Node) -> tuple[int, ...]:
    found = node.values.get("seeds", [0])
    whole = isinstance(found, list) and all(type(seed) is int and 0 <= seed < 2**62 for seed in found)
    if not whole or not found:
        raise node.error("seeds", "expected a list of whole numbers from 0 on, such as [0, 1]")
    if len(set(found)) < len(found):
        raise node.error("seeds", f"{next(s for s in found if found.count(s) > 1)} is given twice")
    return tuple(found)


# --- its parts ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads tasks, each with the values that the study gives for all.

    Attributes:
        study: the keys of the study.
        named: its methods.
        folders: in which relative paths are searched.
        changes: to the file.
    """

    study: Node
    named: Node
    folders: tuple[Path, ...]
    changes: Changes

    def task(self, tasks: Node, name: str) -> Task:
        """A task with its methods."""
        node = tasks.at(name)
        node.only(OF_TASK)
        if not node.has("data"):
            raise node.error("data", "missing: the training data, a folder or a named data set")
        if len(given := [way for way in WAYS if node.has(way)]) > 1:
            raise node.error(given[1], f"{' and '.join(given)} are two ways to give partners; give one")
        if (side := node.text("side")) not in ("", "ab", "ba"):
            raise node.error("side", f"is {side}; expected ab, from the left image to the right one, or ba")
        length = self._length(node) or self._length(self.study)
        if length is None:
            raise node.error("minutes", "missing, and steps and epochs too: say how long to train, here or for all")
        data = self._folder(node.text("data"))
        held_out, holdout = self._held_out(node, data)
        task = Task(
            name=name,
            words=node.text("words", name),
            data=data,
            held_out=held_out,
            target=self._folder(node.text("target")),
            held_out_target=self._folder(node.text("held_out_target")),
            side=side,
            task=_task(node),
            teacher=self._teacher(node, length),
            holdout=holdout,
            size=self._size(node),
            flip=node.flag("flip", self.study.flag("flip")),
            random_crop=node.flag(
                "random_crop", node.flag("jitter", self.study.flag("random_crop", self.study.flag("jitter")))
            ),
            length=length,
            learners=self._learners(node),
        )
        _require_partners(node, task)
        _require_can_learn(node, task)
        return task

    def _folder(self, name: str) -> str:
        """The path of a folder; the name of a data set, and an empty name, unchanged."""
        if not name or name in NAMES:
            return name
        path = Path(name).expanduser()
        places = [folder / path for folder in self.folders]
        return str(next((place for place in places if place.exists()), places[0]))

    def _held_out(self, node: Node, data: str) -> tuple[str, float]:
        """The evaluation data, and the fraction of `data` that is kept for it."""
        held_out, share = self._folder(node.text("held_out")), node.number("holdout")
        if held_out and share:
            raise node.error("holdout", "holdout and held_out are two ways to give evaluation data; give one")
        if held_out and Path(held_out) == Path(data) and data not in NAMES:
            raise node.error("held_out", f"{held_out} is the training data; give other images, or holdout: 0.1")
        if share is None and not held_out and data not in NAMES:
            share = self.study.number("holdout")
        if not 0 <= (share := share or 0.0) < 1:
            raise node.error("holdout", f"is {share:g}; expected a fraction, 0 to below 1")
        if not (held_out or share or data in NAMES):
            raise node.error(
                "held_out", "missing: images that no training uses; give a folder, or holdout: 0.1 to keep a tenth"
            )
        return held_out or data, share

    def _length(self, node: Node) -> Length | None:
        """How long to train, from the changes or from here; None if neither says."""
        given = {unit: node.number(unit) for unit in LENGTHS if node.has(unit)}
        if len(given) > 1:
            raise node.error([*given][1], f"{' and '.join(given)} are two ways to say how long; give one")
        for unit, number in given.items():
            if number is None or number <= 0:
                raise node.error(unit, f"is {number:g}; expected more than 0")
        if self.changes.length:
            return self.changes.length
        if "steps" in given:
            return Length(steps=node.whole("steps"))
        return Length(minutes=given.get("minutes"), epochs=given.get("epochs")) if given else None

    def _size(self, node: Node) -> int | None:
        where = node if node.has("size") else self.study
        size = where.whole("size")
        try:
            if size is not None:
                check_size(size)
        except SettingError as error:
            raise where.error("size", str(error)) from error
        return self.changes.size or size

    def _teacher(self, task: Node, length: Length) -> Teacher | None:
        if not task.has("made_by"):
            return None
        node = task.at("made_by")
        node.only(OF_TEACHER)
        for key in ("method", "target"):
            if not node.has(key):
                raise node.error(key, "missing: made_by takes a method that trains without pairs, and its target")
        learner = Learner(name="targets", **self._method(node, node.text("method")))
        if UnpairedBatch not in methods.get(learner.method).batches or methods.get(learner.method).deepest:
            raise node.error("method", f"{learner.method} does not learn to translate without pairs; take cyclegan")
        target = self._folder(node.text("target"))
        return Teacher(learner=learner, target=target, length=self._length(node) or length)

    def _learners(self, task: Node) -> tuple[Learner, ...]:
        """The methods of the study, with the settings of the task."""
        changed = task.at("settings")
        changed.only(self.named.values)
        learners = []
        for name in self.named.values:
            node = self.named.at(name)
            node.only(OF_METHOD)
            known = self._method(node, name)
            known["config"] = _with_settings(known["config"], changed.at(name))
            learners.append(Learner(name=name, **known))
        return tuple(learners)

    def _method(self, node: Node, name: str) -> dict[str, Any]:
        """The method of a node, and its settings."""
        method = node.text("method", name)
        if method not in methods.names():
            raise node.error("method", f"{method}: no such method; {nearest(method, methods.names())}")
        try:
            config = methods.config(method, node.text("preset") or None)
        except SettingError as error:
            raise node.error("preset", str(error)) from error
        return {"method": method, "config": _with_settings(config, node.at("settings"))}


def _with_settings(config: BaseConfig, node: Node) -> BaseConfig:
    """The settings with these values replaced; `learning-rate` and `learning_rate` are the same."""
    hints = get_type_hints(type(config))
    known = settings.to_json(config)
    given = dict[str, Any]()
    for key, value in node.values.items():
        name = key.replace("-", "_")
        if name not in known:
            raise node.error(key, f"no such setting; {nearest(name, known)}")
        if too_long(value):
            raise node.error(key, f"is {shown(value)}")
        whole = hints[name] is int and isinstance(value, float) and value == int(value)  # 1e4 is a float in YAML
        given[name] = int(value) if whole else tuple(value) if isinstance(value, list) else value
    try:
        return dataclasses.replace(config, **given)
    except SettingError as error:
        raise SettingError(f"{node.where}: {str(error)[:200]}") from error


def _task(node: Node) -> str:
    try:
        return base.task(node.text("task")).name if node.has("task") else ""
    except SettingError as error:
        raise node.error("task", str(error)) from error


def _require_partners(node: Node, task: Task) -> None:
    """Raise SettingError if partners of the held-out images are missing, or given where there are none."""
    if task.target and task.held_out != task.data and not task.held_out_target:
        raise node.error("held_out_target", "missing: the folder with the partners of held_out")
    if task.held_out_target and not (task.target and task.held_out != task.data):
        raise node.error("held_out_target", "is for the partners of held_out, where target gives those of data")
    if task.teacher and task.data in NAMES:
        raise node.error("made_by", f"translates the images of folders, and {task.data} is not one")


def _require_can_learn(node: Node, task: Task) -> None:
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
        raise node.error("methods", f"{learner.name}: {learner.method} {why}")
    for kind, sides in _kinds(task).items():
        if 0 < len(sides) < len(task.learners):
            others = [learner.name for learner in task.learners if learner.name not in sides]
            raise node.error(
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

"""OUT/study.json: the results of a study so far, for its report; means and sentences are made here."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import ganvas
from ganvas.core import schema
from ganvas.core.atomic_io import write_whole
from ganvas.errors import ModelError
from ganvas.studies import statistics
from ganvas.studies.design import Study, Task
from ganvas.studies.plan import Round, Run, State, round_of
from ganvas.studies.targets import targets_of

STUDY, NUMBERS = "study.json", "metrics.json"
VERSION = 2
MOST_SCORES = 7  # columns that are easy to read; the reports of the tasks have all
PARTS = ("train", "val", "valid", "validation", "test")  # names that mean nothing without the parent folder
LEFT_OUT = ("MSE", "MAE", "SWD all levels")  # if there are more: PSNR and SWD show the same

ONE_SEED = (
    "One seed only: intervals are for the choice of images, and do not show how much another training would "
    "differ; add a second seed (seeds: [0, 1])"
)


@dataclass(frozen=True)
class Compared:
    """What a comparison must hold to be counted."""

    scores: tuple[Mapping[str, Any], ...]
    baselines: Mapping[str, str]
    notes: tuple[str, ...]


def write_record(study: Study, out: Path, states: Mapping[Path, State]) -> None:
    """Write the results so far.

    Args:
        study: the study.
        out: the folder of the study.
        states: the progress of each run, by its folder.

    Raises:
        ModelError: if the results of a comparison cannot be read.
    """
    known = {task.name: [round_of(task, seed, out) for seed in study.seeds] for task in study.tasks}
    results = {name: _results(found) for name, found in known.items()}
    scores = _main_scores([found for found in results.values() if found])
    baselines = dict[str, str]()
    for found in results.values():
        for one in found.values():
            baselines |= one["baselines"]
    tasks = [
        _task(task, known[task.name], results[task.name], scores, out, states) for task in study.tasks
    ]  # fmt: skip
    record = {
        "version": VERSION,
        "title": study.title,
        "description": list(study.description),
        "notes": [ONE_SEED] if len(study.seeds) == 1 else [],
        "unfinished": [
            line for found in known.values() for one in found for line in _unfinished(one, states, one is found[0])
        ],
        "baselines": baselines,
        "scores": scores,
        "protocol": _protocol(study),
        "tasks": tasks,
    }
    write_whole(out / STUDY, json.dumps(record, indent=1, allow_nan=False).encode())


def _results(rounds: Sequence[Round]) -> dict[int, dict[str, Any]]:
    """The results of the finished comparisons, by seed."""
    found = {}
    for one in rounds:
        file = one.results / NUMBERS
        try:
            found[one.seed] = schema.parse(file.read_bytes())
            schema.fit(found[one.seed], Compared)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ModelError(f"{file}: damaged ({error}); delete {one.results} to compare again") from error
    return found


def _main_scores(results: Sequence[statistics.Results]) -> list[dict[str, Any]]:
    """The columns: all scores if they are few, else without the least informative."""
    found = {score["name"]: score for one in results for score in statistics.scores_of(one)}
    if len(found) > MOST_SCORES:
        found = {name: score for name, score in found.items() if name not in LEFT_OUT}
    return list(found.values())[:MOST_SCORES]


def _task(
    task: Task,
    rounds: Sequence[Round],
    results: dict[int, dict[str, Any]],
    scores: Sequence[dict[str, Any]],
    out: Path,
    states: Mapping[Path, State],
) -> dict[str, Any]:
    methods = [learner.name for learner in task.learners]
    baselines = list(dict.fromkeys(name for one in results.values() for name in one["baselines"]))
    table = statistics.spreads(results, [*methods, *baselines], [score["name"] for score in scores])
    told = {score["name"]: statistics.verdicts(results, methods, score) for score in scores} if results else {}
    winners = {name: statistics.winner(methods, verdicts) for name, verdicts in told.items()}
    return {
        "name": task.name,
        "words": task.words,
        "notes": _notes(task, results, out),
        "answers": [answer for answer in (*methods, *baselines) if table[answer]],
        "scores": {
            # baselines are not trained, so they have no spread
            answer: {
                score: numbers.to_json() | ({"spread": None} if answer in baselines else {})
                for score, numbers in found.items()
            }
            for answer, found in table.items()
            if found
        },
        "winners": {name: answer for name, answer in winners.items() if answer},
        "verdicts": [verdict.sentence for verdicts in told.values() for verdict in verdicts],
        "training": _training(task, rounds, states),
        "reports": [
            {"name": f"seed {one.seed}", "folder": one.results.relative_to(out).as_posix()}
            for one in rounds
            if one.seed in results
        ],
    }


def made_by(task: Task, out: Path) -> str:
    """A sentence on made targets: which translator made them; empty if they are real."""
    teacher = task.teacher
    if teacher is None:
        return ""
    made = targets_of(task, out)
    steps = f" in {made.step:,} steps" if made else ""
    return (
        f"The targets are made, not real: {teacher.learner.method} learned from {_short(task.data)} and "
        f"{_short(teacher.target)} without pairs{steps}, and its translations of the images are what the others "
        "learn and are evaluated on, with every seed. At best they are as good as it is"
    )


def _notes(task: Task, results: Mapping[int, Mapping[str, Any]], out: Path) -> list[str]:
    """Notes on a task: how its targets were made, and the notes of its comparisons, once if all say the same."""
    made = made_by(task, out)
    notes = [made] if made else []
    said = dict[str, list[int]]()
    for seed, found in results.items():
        for note in found["notes"]:
            if note != made:
                said.setdefault(note, []).append(seed)
    for note, seeds in said.items():
        notes.append(note if len(seeds) == len(results) else f"seed {', '.join(map(str, seeds))}: {note}")
    return notes


def _training(task: Task, rounds: Sequence[Round], states: Mapping[Path, State]) -> dict[str, Any]:
    found = {}
    for number, learner in enumerate(task.learners):
        of_one = [states[one.runs[number].folder] for one in rounds]
        begun = [state for state in of_one if state.step]
        failed = sum(bool(state.failed) for state in of_one)
        words = [learner.words, f"{failed} of {len(of_one)} failed"] if failed else [learner.words]
        found[learner.name] = {
            "minutes": statistics.Spread.of([state.seconds / 60 for state in begun]).mean if begun else None,
            "steps": round(statistics.Spread.of([state.step for state in begun]).mean) if begun else None,
            "seeds": len(begun),
            "words": "; ".join(words),
        }
    return found


def _unfinished(one: Round, states: Mapping[Path, State], first: bool) -> list[str]:
    """A line for each unfinished run of a round, and one if all are done and not compared yet."""
    runs: tuple[Run, ...] = one.runs
    if one.teacher and first:
        runs = (one.teacher, *runs)
    lines = [
        f"{run.label}: {states[run.folder].words} (of {run.length.words})"
        for run in runs
        if states[run.folder].failed or not states[run.folder].over
    ]
    if not lines and not (one.results / NUMBERS).exists():
        lines.append(f"{one.task.name}, seed {one.seed}: not compared yet")
    return lines


def _protocol(study: Study) -> dict[str, Any]:
    lengths = {task.name: f"{task.length.words} each" for task in study.tasks}
    same = len(set(lengths.values())) == 1
    made = {
        task.name: f"{task.teacher.learner.words}, {task.teacher.length.words}, seed 0"
        for task in study.tasks
        if task.teacher
    }
    return {
        "budget": next(iter(lengths.values())) if same else lengths,
        "seeds": ", ".join(map(str, study.seeds)),
        "learned from": {task.name: _said(task) for task in study.tasks},
        "judged on": {task.name: _said_of_held_out(task) for task in study.tasks},
        **({"targets made by": made} if made else {}),
        "spread": "standard deviation over seeds; intervals over seeds by Student's t",
        "versions": {
            "ganvas": ganvas.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }


def _said_of_held_out(task: Task) -> str:
    apart = f"{task.holdout:g} of it, kept from training" if task.holdout else "unseen in training"
    return f"{_short(task.held_out)}, {apart}"


def _short(folder: str) -> str:
    """A folder by its name, a part of one with its parent's name; no path, since reports are passed on."""
    path = Path(folder)
    return "/".join(path.parts[-2:]) if path.name in PARTS else path.name


def _said(task: Task) -> str:
    """The training data, and how they are prepared."""
    ways = {"target": Path(task.target).name if task.target else "", "side": task.side, "task": task.task}
    words = [f"{way} {value}" for way, value in ways.items() if value]
    words += [f"{task.size} pixels"] if task.size else []
    words += [flag for flag in ("flip", "random_crop") if getattr(task, flag)]
    return ", ".join([_short(task.data), *words])

"""The lines of `ganvas study`: its plan, and its results."""

from typing import TYPE_CHECKING, Any

from ganvas.cli import console
from ganvas.errors import GanvasError

if TYPE_CHECKING:
    from ganvas.api.studying import Work


def show_plan(work: "Work") -> None:
    """Print the runs, in order."""
    from ganvas.studies import seconds_left

    runs, states = work.runs(), work.states()
    rows = []
    for number, run in enumerate(runs, 1):
        learner, state = run.learner, states[run.folder].words
        rows.append((number, run.task_name, learner.name, str(run.seed), run.length.words, state, learner.words))
    console.table(work.study.title, ("run", "task", "as", "seed", "how long", "state", "settings"), rows)
    console.tell(_time_left(seconds_left(runs, states), all(state.over for state in states.values())))


def _time_left(seconds: float | None, over: bool) -> str:
    from ganvas.studies import duration

    if over:
        return "nothing is left to train"
    if seconds is None:
        return "the remaining time is not known before the first steps"
    return f"about {duration(seconds)} of training left, and some time for the comparisons"


def tell(work: "Work") -> None:
    """Print the results, and where they are."""
    import json

    from ganvas.studies import STUDY

    found = json.loads((work.out / STUDY).read_text(encoding="utf-8"))
    formats = {score["name"]: score for score in found["scores"]}
    for task in found["tasks"]:
        rows = []
        for answer in task["answers"]:
            cells = []
            for name, score in formats.items():
                numbers = task["scores"][answer].get(name)
                cells.append("" if numbers is None else _written(numbers, score))
            rows.append((answer, *cells))
        if rows:
            console.table(task["words"], ("", *(f"{n} {s['unit']}".rstrip() for n, s in formats.items())), rows)
        for line in (*task["notes"], *task["verdicts"]):
            console.tell(f"{task['name']}: {line}")
    for line in found["notes"]:
        console.tell(line)
    for name in ("index.html", "report.md", STUDY):
        if (work.out / name).exists():
            console.tell(f"  {work.out / name}")
    if problems := work.problems():
        for line in problems:
            console.say(line)
        raise GanvasError(f"{len(problems)} parts failed and are listed above and in the report; the rest is done")


def _written(numbers: dict[str, Any], score: dict[str, Any]) -> str:
    value = f"{numbers['mean']:{score['digits']}}"
    return value if numbers["spread"] is None else f"{value} ± {numbers['spread']:{score['digits']}}"

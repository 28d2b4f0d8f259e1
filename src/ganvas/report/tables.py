"""The tables of a report: of a comparison, of one task of a study, and of its training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganvas.report.results import Model, Results, Score, Value, written
from ganvas.report.studies import Mean, Study, Task

ARROWS = {"higher": "↑", "lower": "↓"}
COLOURS = 8  # colours for models, before they repeat
GREYS = 3  # greys for baselines, before they repeat


@dataclass(frozen=True)
class Head:
    """The header of a column."""

    name: str
    unit: str = ""
    better: str = ""
    meaning: str = ""

    @property
    def arrow(self) -> str:
        """An arrow for the better direction; empty if it is neither higher nor lower."""
        return ARROWS.get(self.better, "")


@dataclass(frozen=True)
class Cell:
    """A value, the small text below it, and its sort key."""

    text: str = "–"
    detail: str = ""
    order: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Row:
    """An answer with its values; `words` describe it."""

    name: str
    words: str
    baseline: bool
    colour: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table: column headers and rows."""

    heads: tuple[Head, ...]
    rows: tuple[Row, ...]


def colours(answers: Sequence[str], models: Sequence[str]) -> dict[str, str]:
    """The colour name of each answer in the stylesheet: colours for models, greys for everything else."""
    others = [answer for answer in answers if answer not in models]
    named = {name: f"model-{number % COLOURS}" for number, name in enumerate(models)}
    return named | {name: f"other-{number % GREYS}" for number, name in enumerate(others)}


def comparison(results: Results) -> Table:
    """A row for each answer, a column for each score, then speed and size."""
    models = {model.name: model for model in results.models}
    named = colours(results.answers, list(models))
    speed = results.timing.milliseconds if results.timing else {}
    heads = [Head(score.name, score.unit, score.better, score.meaning) for score in results.scores]
    heads += [Head("time", "ms per image", "lower", _device(results))] if speed else []
    heads += [Head("parameters"), Head("size", "MB")] if models else []
    rows = []
    for answer in results.answers:
        model = models.get(answer)
        cells = [score_cell(score, score.values.get(answer, Value()), answer) for score in results.scores]
        cells += [_number(speed.get(answer), ".1f")] if speed else []
        cells += _sizes(model) if models else []
        words = _model(model) if model else results.baselines.get(answer, "")
        rows.append(Row(answer, words, model is None, named[answer], tuple(cells)))
    return Table(tuple(heads), tuple(rows))


def score_cell(score: Score, value: Value, answer: str) -> Cell:
    """A score with its interval."""
    interval = value.low is not None and value.high is not None
    detail = f"{score.written(value.low)} to {score.written(value.high)}" if interval else ""
    return Cell(score.written(value.value), detail, value.value, score.winner == answer)


def glance(study: Study) -> Table:
    """A row for each task: for each score, the method that is significantly the best."""
    heads = tuple(Head(column.name, "", column.better, column.meaning) for column in study.scores)
    rows = []
    for task in study.tasks:
        named = [
            (task.winners.get(column.name), column.better in ARROWS and column.name in _scored(task))
            for column in study.scores
        ]
        cells = [Cell(winner, best=True) if winner else Cell("not sure" if open_ else "–") for winner, open_ in named]
        rows.append(Row(task.name, task.words, baseline=False, colour="", cells=tuple(cells)))
    return Table(heads, tuple(rows))


def _scored(task: Task) -> set[str]:
    return {name for scores in task.scores.values() for name, mean in scores.items() if mean.mean is not None}


def task(study: Study, task: Task) -> Table:
    """A row for each answer of a task, a column for each score over seeds."""
    models = [answer for answer in study.answers if answer not in study.baselines]
    named = colours(study.answers, models)
    heads = tuple(Head(column.name, column.unit, column.better, column.meaning) for column in study.scores)
    rows = []
    for answer in task.answers:
        cells = []
        for column in study.scores:
            mean = task.scores.get(answer, {}).get(column.name, Mean())
            spread = "" if mean.spread is None else f"± {written(mean.spread, column.digits)}"
            number = _number(mean.mean, column.digits)
            cells.append(Cell(number.text, spread, mean.mean, task.winners.get(column.name) == answer))
        baseline = answer in study.baselines
        rows.append(Row(answer, study.baselines.get(answer, ""), baseline, named[answer], tuple(cells)))
    return Table(heads, tuple(rows))


def training(study: Study, task: Task) -> Table:
    """A row for each method: the minutes, steps and seeds of its training."""
    named = colours(study.answers, [answer for answer in study.answers if answer not in study.baselines])
    heads = (Head("minutes"), Head("steps"), Head("seeds"))
    rows = []
    for name, took in task.training.items():
        cells = (_number(took.minutes, ".1f"), _number(took.steps, ",.0f"), _number(took.seeds, "d"))
        rows.append(Row(name, took.words, baseline=False, colour=named.get(name, "other-0"), cells=cells))
    return Table(heads, tuple(rows))


def counts(classes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The names of all classes, in order of first appearance."""
    return list(dict.fromkeys(name for of_model in classes.values() for name in of_model))


def _model(model: Model) -> str:
    parts = [model.method if model.method != model.name else ""]
    parts += [f"{model.step:,} steps" if model.step is not None else "", f"{model.size} px" if model.size else ""]
    return ", ".join(part for part in parts if part)


def _device(results: Results) -> str:
    timing = results.timing
    if not timing or not timing.device:
        return ""
    threads = f", {timing.threads} threads" if timing.threads and timing.threads > 1 else ""
    return f"network only, on {timing.device}{threads}"


def _sizes(model: Model | None) -> list[Cell]:
    if model is None:
        return [Cell(), Cell()]
    many = model.parameters
    text = "–" if many is None else f"{many:,}" if many < 1e5 else f"{many / 1e6:,.1f} M"
    return [Cell(text, "", None if many is None else float(many)), _number(model.megabytes, ".1f")]


def _number(value: float | None, digits: str) -> Cell:
    return Cell() if value is None else Cell(written(value, digits), "", float(value))

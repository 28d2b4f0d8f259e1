"""The sentences of a report: the outcome of each score, how to cite a number, and why images are shown."""

from dataclasses import dataclass

from ganvas import __version__
from ganvas.report.results import Results, Score, Value

FEW = 3  # verdicts shown at the top; if there are more, only the winner is named


@dataclass(frozen=True)
class Outcome:
    """The outcome of one score: the model that is significantly the best, if any, and sentences."""

    score: str
    winner: str | None
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Images shown for the same reason."""

    why: str
    kind: str
    numbers: tuple[int, ...]


def outcomes(results: Results) -> list[Outcome]:
    """The outcome of each score, in the order of the scores, without the sentence that is the headline."""
    of_each = [(score, sentences(results, score)) for score in results.scores]
    return [
        Outcome(score.name, score.winner, tuple(line for line in lines if line != results.verdict))
        for score, lines in of_each
        if lines != [results.verdict]
    ]


def verdicts(score: Score) -> list[str]:
    """The verdicts on the differences of a score."""
    return [difference.verdict for difference in score.differences if difference.verdict]


def sentences(results: Results, score: Score) -> list[str]:
    """The outcome of a score: the most relevant verdicts, or the winner if there are too many."""
    names = {model.name for model in results.models}
    nearest = {*names, *list(results.baselines)[:1]}
    telling = [known for known in score.differences if known.verdict]
    between = [known.verdict for known in telling if {known.first, known.second} <= names]
    against = [known.verdict for known in telling if known.verdict not in between]
    near = [known.verdict for known in telling if {known.first, known.second} <= nearest and known.verdict in against]
    for more in (against, near, []):
        if 0 < len(between + more) <= FEW:
            return between + more
    if score.winner is not None:
        return [f"{score.winner} is significantly better than the others"]
    if len(names) > 1 and score.better in ("higher", "lower"):
        return ["no model is significantly the best"]
    return [line for answer in results.answers if (line := _value(score, answer))]


def _value(score: Score, answer: str) -> str:
    value = score.values.get(answer, Value())
    return "" if value.value is None else f"{answer} {amount(score, value)}"


def amount(score: Score, value: Value) -> str:
    """A value with its unit, and its interval where known."""
    interval = ""
    if value.low is not None and value.high is not None:
        interval = f" (95 %: {score.written(value.low)} to {score.written(value.high)})"
    return f"{score.written(value.value)} {score.unit}".rstrip() + interval


def citation(results: Results) -> str:
    """An example of how to cite a number of this report; empty if there is none."""
    for score in results.scores:
        for model in results.models:
            value = score.values.get(model.name, Value())
            if value.value is not None:
                steps = f" after {model.step:,} steps" if model.step is not None else ""
                n = f", n = {score.n}" if score.n is not None else ""
                return (
                    f"{score.name} {amount(score, value)}{n}, of {model.name}{steps}, measured by ganvas {__version__}"
                )
    return ""


def groups(results: Results) -> list[Group]:
    """The reasons why images are shown, in order of first appearance."""
    found = dict[str, list[int]]()
    for image in results.images:
        for why in image.why:
            found.setdefault(why, []).append(image.number)
    return [Group(why, _kind(why), tuple(numbers)) for why, numbers in found.items()]


def _kind(why: str) -> str:
    disagree = "Where they disagree"
    kinds = {"best": "Best", "worst": "Worst", "where": disagree, "most": disagree}
    return kinds.get(why.split(" ")[0], "")

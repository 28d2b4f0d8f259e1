"""Statistics over seeds: means, the spread of trainings, and which method is significantly better."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """A value over seeds.

    Attributes:
        mean: over the seeds.
        spread: the standard deviation of one training; None for one seed.
        n: the number of seeds.
    """

    mean: float
    spread: float | None
    n: int

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """The spread of these values, one for each seed."""
        spread = statistics.stdev(values) if len(values) > 1 else None
        return Spread(statistics.fmean(values), spread, len(values))

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval of the mean, by Student's t; assumes normally distributed trainings."""
        if self.spread is None:
            return None
        from scipy.stats import t  # half a second to import, for this line alone

        return float(t.ppf((1 + CONFIDENCE) / 2, self.n - 1)) * self.spread / math.sqrt(self.n)

    def to_json(self) -> dict[str, Any]:
        """The three values."""
        return {"mean": self.mean, "spread": self.spread, "n": self.n}


Results = Mapping[int, Mapping[str, Any]]  # for each seed, the content of metrics.json


def scores_of(results: Results) -> list[dict[str, Any]]:
    """The scores in the results, without their values, in the order of the first that has them."""
    keys = ("name", "unit", "better", "digits", "meaning")
    found = {score["name"]: {key: score[key] for key in keys} for one in results.values() for score in one["scores"]}
    return list(found.values())


def values_of(results: Results, answer: str, score: str) -> dict[int, float]:
    """The score of an answer for each seed that has one."""
    found = {}
    for seed, one in results.items():
        for entry in one["scores"]:
            value = entry["values"].get(answer, {}).get("value") if entry["name"] == score else None
            if value is not None:
                found[seed] = float(value)
    return found


def spreads(results: Results, answers: Sequence[str], scores: Sequence[str]) -> dict[str, dict[str, Spread]]:
    """The mean and spread of every answer in every score that it has."""
    table = {}
    for answer in answers:
        found = {score: list(values_of(results, answer, score).values()) for score in scores}
        table[answer] = {score: Spread.of(values) for score, values in found.items() if values}
    return table


@dataclass(frozen=True)
class Verdict:
    """How two methods compare in a score.

    Attributes:
        first, second: the methods.
        sentence: in words.
        better: the one that is significantly better; empty if neither is.
    """

    first: str
    second: str
    sentence: str
    better: str


def verdicts(results: Results, answers: Sequence[str], score: Mapping[str, Any]) -> list[Verdict]:
    """The verdict for each two of these answers over seeds.

    The difference is taken for each seed, and the interval of its mean by Student's t. One seed has none: then the
    verdict is that of the one training, with the interval over images from its comparison.
    """
    if len(results) == 1:
        return _of_one_seed(next(iter(results.values())), answers, score)
    told = []
    for first, second in itertools.combinations(answers, 2):
        ours, theirs = (values_of(results, answer, score["name"]) for answer in (first, second))
        both = sorted(ours.keys() & theirs.keys())
        if len(both) < 2:
            continue
        gap = Spread.of([ours[seed] - theirs[seed] for seed in both])
        assert gap.half is not None
        told.append(_verdict(first, second, score, gap.mean, gap.mean - gap.half, gap.mean + gap.half, len(both)))
    return told


def winner(answers: Sequence[str], told: Sequence[Verdict]) -> str:
    """The answer that is significantly better than every other; empty if there is none."""
    for answer in answers:
        others = [verdict for verdict in told if answer in (verdict.first, verdict.second)]
        if len(others) == len(answers) - 1 > 0 and all(verdict.better == answer for verdict in others):
            return answer
    return ""


def _verdict(first: str, second: str, score: Mapping[str, Any], gap: float, low: float, high: float, n: int) -> Verdict:
    name, better = score["name"], score["better"]

    def written(value: float) -> str:
        return f"{value:{score['digits']}} {score['unit']}".rstrip()

    if better not in ("higher", "lower"):
        ends = f"95 %: {written(low)} to {written(high)}"
        return Verdict(first, second, f"{first} minus {second} in {name}: {written(gap)} ({ends}), {n} seeds", "")
    if low <= 0 <= high:
        ends = f"95 % of their difference: {written(low)} to {written(high)}"
        return Verdict(
            first,
            second,
            f"{first} is not significantly better or worse than {second} in {name} ({ends}), {n} seeds",
            "",
        )
    if gap < 0:
        gap, low, high = -gap, -high, -low
        first, second = second, first  # the one with the larger value first
    good = first if better == "higher" else second
    bad = second if good == first else first
    ends = f"95 %: {written(low)} to {written(high)}"
    return Verdict(first, second, f"{good} is better than {bad} in {name} by {written(gap)} ({ends}), {n} seeds", good)


def _of_one_seed(found: Mapping[str, Any], answers: Sequence[str], score: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts of the comparison of the only seed."""
    told = []
    for entry in found["scores"]:
        for gap in entry["differences"] if entry["name"] == score["name"] else ():
            if gap["first"] in answers and gap["second"] in answers:
                low, high = gap["low"], gap["high"]
                sure = low is not None and high is not None and not low <= 0 <= high
                higher, lower = (gap["first"], gap["second"]) if gap["value"] > 0 else (gap["second"], gap["first"])
                better = {"higher": higher, "lower": lower}.get(entry["better"], "") if sure else ""
                told.append(Verdict(gap["first"], gap["second"], f"{gap['verdict']}, one seed", better))
    return told

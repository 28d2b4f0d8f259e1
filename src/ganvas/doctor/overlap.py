"""Problems between images: duplicates in one set, and images in two sets that should differ."""

from collections.abc import Sequence

from ganvas.doctor.near_duplicates import find_twins
from ganvas.doctor.report import Finding, Severity, finding
from ganvas.doctor.scan import Look

ERROR, WARNING, NOTE = Severity

UNEVEN = 5  # times as many images on one side as on the other
HANDFUL = 5  # images held out, below which a mean over them says little


def check_twins(looks: Sequence[Look]) -> list[Finding]:
    """Images that are in a set more than once."""
    twins = find_twins(looks)
    told = [
        [" = ".join(looks[number].name for number in group[:4]) for group in groups]
        for groups in (twins.exact, twins.near)
    ]
    spare = [sum(len(group) - 1 for group in groups) for groups in (twins.exact, twins.near)]
    return [
        *finding(
            WARNING,
            "duplicates",
            told[0],
            count=spare[0],
            sentence="superfluous: equal to another",
            advice="keep one of each: duplicates are learned twice, and soon memorised",
        ),
        *finding(
            WARNING,
            "near-duplicates",
            told[1],
            count=spare[1],
            sentence="superfluous: nearly the same as another",
            advice="look at these, and keep the best of each, unless they are meant to be so similar",
        ),
    ]


def check_held_out(training: Sequence[Look], held: Sequence[Look], *, advice: str) -> list[Finding]:
    """Held-out images that are in training too."""
    exact, near = _on_both(training, held)
    return [
        *finding(ERROR, "leak", exact, sentence="held-out images that are in training too", advice=advice),
        *finding(
            WARNING,
            "near-leak",
            near,
            sentence="held-out images that are nearly the same as one in training",
            advice=advice,
        ),
    ]


def check_split(training: int, held: int, *, share: float) -> list[Finding]:
    """A fraction that leaves too few images on a side: training takes two, evaluation one."""
    found = []
    for n, what, least in ((training, "to train on", 2), (held, "held out", 1)):
        if n < least:
            sentence = f"images {what} by `holdout` {share:g}"
            found.append(Finding(ERROR, "empty-split", n, sentence, "choose another fraction"))
    if 1 <= held < HANDFUL:
        sentence = f"held out by `holdout` {share:g}, fewer than {HANDFUL}"
        found.append(Finding(WARNING, "small-split", held, sentence, "hold out more: scores of so few are noisy"))
    return found


def check_two_sets(source: Sequence[Look], target: Sequence[Look]) -> list[Finding]:
    """Two sets of different things that share images, or one of which is far larger."""
    exact, near = _on_both(source, target)
    advice = "keep each on one side: the two sets should show different things"
    found = [
        *finding(WARNING, "on-both-sides", exact, sentence="targets that are sources too", advice=advice),
        *finding(WARNING, "nearly-on-both-sides", near, sentence="targets nearly the same as a source", advice=advice),
    ]
    few, many = sorted((len(source), len(target)))
    if few and many > UNEVEN * few:
        sentence = f"images on one side, and {many:,} on the other"
        found.append(Finding(NOTE, "uneven", few, sentence, "add to the smaller side: its images are repeated often"))
    return found


def _on_both(one: Sequence[Look], other: Sequence[Look]) -> tuple[list[str], list[str]]:
    looks = [*one, *other]
    second = [False] * len(one) + [True] * len(other)
    exact, near = find_twins(looks).across(second)
    told = [[f"{looks[number].name} = {looks[twin].name}" for number, twin in pairs] for pairs in (exact, near)]
    return told[0], told[1]

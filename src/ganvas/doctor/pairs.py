"""Problems of pairs: in two folders, or side by side."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganvas.data.loader import MAX_BROKEN
from ganvas.data.paired import ASPECT
from ganvas.doctor.alignment import Relation
from ganvas.doctor.file_lists import Partners
from ganvas.doctor.report import Finding, Severity, finding
from ganvas.doctor.scan import Look, can_be_halved
from ganvas.imaging.images import MIN_SIDE

ERROR, WARNING, NOTE = Severity

STRANGERS = 0.25  # correlation of edges, below which two images have nothing in common ...
KIN = 0.5  # ... which means something only if the median pair has this much
TWICE = (1.9, 2.1)  # width over height of an image of two squares

Related = Sequence[tuple[str, Relation]]  # the name of each pair's source, and the relation of its sides


def check_partners(partners: Partners, *, names: Mapping[Path, str]) -> list[Finding]:
    """Files without a partner, or with two."""

    def lonely(kind: str, paths: Sequence[Path], sentence: str) -> list[Finding]:
        advice = "add the partners or remove these: partners have the same name, whatever its ending"
        if partners.nearly:
            advice += f"; {partners.nearly:,} would match except for capital letters, so rename them"
        elif not partners.pairs:
            advice += "; no name matches at all, so rename one side, or set `unpaired` for images of different things"
        return finding(ERROR, kind, [names[path] for path in paths], sentence=sentence, advice=advice)

    return [
        *lonely("no-target", partners.without_target, "without a partner in the folder of targets"),
        *lonely("no-source", partners.without_source, "without a partner in the folder of sources"),
        *finding(
            ERROR,
            "same-stem",
            [names[path] for path in partners.double],
            sentence="files of one folder that share a name except for the ending",
            advice="keep one of each: it is unknown which one the partner belongs to",
        ),
    ]


def check_sizes(pairs: Sequence[tuple[Look, Look]]) -> list[Finding]:
    """Partners of another shape, which cannot be aligned, or of another size, which can."""
    unequal = [(source, target) for source, target in pairs if source.size != target.size]
    shape: list[str] = []
    size: list[str] = []
    for source, target in unequal:
        ratio = (source.width * target.height) / (source.height * target.width)
        told = f"{source.name} ({source.width}x{source.height}, its target {target.width}x{target.height})"
        (size if 1 - ASPECT <= ratio <= 1 + ASPECT else shape).append(told)
    return [
        *finding(
            ERROR,
            "partner-shape",
            shape,
            sentence="pairs whose sides differ in shape",
            advice="crop both in the same way: training needs aligned pairs",
        ),
        *finding(
            NOTE,
            "partner-size",
            size,
            sentence="pairs of one shape whose sides differ in size",
            advice="nothing: both are scaled to one size",
        ),
    ]


def check_halves(looks: Sequence[Look], *, files: int) -> list[Finding]:
    """Side-by-side images, of so many files, that do not look like it."""
    without = [look for look in looks if not can_be_halved(look.width)]
    found = finding(
        ERROR if len(without) > MAX_BROKEN * files else WARNING,
        "no-halves",
        [f"{look.name} ({look.width}x{look.height})" for look in without],
        sentence=f"of an odd width, or less than {2 * MIN_SIDE} pixels wide, so they have no two halves",
        advice="save them as two halves of equal width, or remove them",
    )
    low, high = TWICE
    strange = [x for x in looks if x not in without and not low <= x.width / x.height <= high]
    found += finding(
        WARNING,
        "not-twice-as-wide",
        [f"{look.name} ({look.width}x{look.height})" for look in strange],
        sentence="not about twice as wide as high",
        advice="check whether these are pairs; the largest centred square of each half is used",
    )
    return found


def check_unsaid(looks: Sequence[Look]) -> list[Finding]:
    """A hint where all images look like pairs side by side, and `side` is not set."""
    twice = [look.name for look in looks if look.width == 2 * look.height]
    if len(twice) < max(2, len(looks)):
        return []
    advice = (
        "if the left half is the source and the right one its target, set `side` ab; the other way round, `side` ba"
    )
    return finding(NOTE, "side-by-side", twice, sentence="exactly twice as wide as high, all of them", advice=advice)


def check_relations(related: Related) -> list[Finding]:
    """Pairs whose sides are the same, shifted or turned, or have nothing in common."""
    same = [name for name, relation in related if relation.same]
    all_same = len(same) == len(related)
    rest = [(name, relation) for name, relation in related if not relation.same]
    found = finding(
        ERROR if all_same else WARNING,
        "same-sides",
        same,
        sentence="pairs whose sides are the same image",
        advice="a model learns nothing from these; " + ("give other targets" if all_same else "remove them"),
    )
    shifted = [f"{name} ({_way(*relation.shift)})" for name, relation in rest if any(relation.shift)]
    found += finding(
        WARNING,
        "shifted",
        shifted,
        sentence="pairs whose sides seem to be shifted",
        advice="look at these, and shift them back: such pairs teach a model to blur",
    )
    found += finding(
        WARNING,
        "turned-partner",
        [f"{name} (target {relation.turned})" for name, relation in rest if relation.turned],
        sentence="pairs whose sides seem to be turned against each other",
        advice="look at these, and turn them back",
    )
    return found + _strangers(rest)


def _strangers(related: Related) -> list[Finding]:
    """Pairs with little in common, unlike the others; edges and photographs have much, poses and dances little."""
    straight = [(name, relation) for name, relation in related if not relation.turned and not any(relation.shift)]
    if len(straight) < 3 or statistics.median(relation.alike for _, relation in straight) < KIN:
        return []
    return finding(
        NOTE,
        "strangers",
        [name for name, relation in straight if relation.alike < STRANGERS],
        sentence="pairs whose sides have little in common, unlike the other pairs",
        advice="look at these: the target may belong to another image",
    )


def _way(x: float, y: float) -> str:
    """A shift in words."""
    across = f"{abs(x):.0f} pixels {'right' if x > 0 else 'left'}" if abs(x) >= 0.5 else ""
    along = f"{abs(y):.0f} pixels {'down' if y > 0 else 'up'}" if abs(y) >= 0.5 else ""
    return "target " + " and ".join(filter(None, (across, along)))

"""Check data before training: what is broken, duplicate, mismatched or too little, and what to do about it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ganvas.core.names import as_on_disk, nfc, shown
from ganvas.data import folder
from ganvas.data.batch import check_size
from ganvas.data.progress import Track, silently
from ganvas.doctor import images, overlap, pairs
from ganvas.doctor.alignment import Relation
from ganvas.doctor.file_lists import Listing, Partners, list_folder, match, names_of
from ganvas.doctor.report import Finding, Report, Severity, commonest, in_order
from ganvas.doctor.scan import Case, Look, Seen, examine
from ganvas.errors import DataError, UsageError

__all__ = ["Finding", "Report", "Severity", "check"]


@dataclass(frozen=True)
class Plan:
    """What to check.

    Attributes:
        source: a folder.
        target: the folder of targets, if there is one.
        side: which half is the source, if pairs are side by side in one file.
        unpaired: whether the two folders hold different things.
        held_out: a folder of images that training must not use.
        holdout: or the fraction of the source that is held out.
        size: pixels at which training will be.
    """

    source: Path
    target: Path | None = None
    side: Literal["ab", "ba"] | None = None
    unpaired: bool = False
    held_out: Path | None = None
    holdout: float = 0.0
    size: int | None = None

    def __post_init__(self) -> None:
        if self.target and self.side:
            raise UsageError("`target` and `side` are two ways to keep pairs; give one")
        if self.unpaired and not self.target:
            raise UsageError("`unpaired` is about two folders; name the second with `target`")
        if self.held_out and self.holdout:
            raise UsageError("`held_out` and `holdout` are two ways to keep images from training; give one")
        if not 0 <= self.holdout < 1:
            raise UsageError(f"`holdout` {self.holdout}: is a fraction; expected 0 or more, and less than 1")
        if self.size is not None:
            check_size(self.size)
        for field in ("source", "target", "held_out"):
            if path := getattr(self, field):
                object.__setattr__(self, field, as_on_disk(path))
        for flag, path in (("", self.source), ("`target` ", self.target), ("`held_out` ", self.held_out)):
            if path and not path.is_dir():
                raise DataError(f"{flag}{path}: no folder of that name; doctor checks folders of images")
        for flag, path in (("`target`", self.target), ("`held_out`", self.held_out)):
            if path and path.samefile(self.source):
                raise UsageError(f"{flag} {path}: is the same folder as the source; give another")
            if path and (self.target and not self.unpaired) and _within(path, self.source):
                raise UsageError(f"{flag} {path}: lies in {self.source}, or holds it; put the two side by side")

    @property
    def paired(self) -> bool:
        """Whether there are partners to match."""
        return bool(self.target) and not self.unpaired


def _within(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


@dataclass(frozen=True)
class _Sight:
    """The looks at the files of each folder, and the relations of the pairs."""

    source: list[Seen]
    target: list[Seen]
    held: list[Seen]
    pairs: list[tuple[Look, Look]]
    related: list[tuple[str, Relation]]

    @property
    def seen(self) -> list[Seen]:
        return [*self.source, *self.target, *self.held]


def check(plan: Plan, *, track: Track = silently) -> Report:
    """Look at every file once, and report what was found.

    Raises:
        DataError: if a folder cannot be read, holds no images, or holds images and folders of images.
    """
    source = list_folder(plan.source)
    target = list_folder(plan.target) if plan.target else None
    held = list_folder(plan.held_out) if plan.held_out else None
    listings = [listing for listing in (source, target, held) if listing]
    if target and (source.within or target.within):
        raise DataError(f"`target` {plan.target}: goes with folders of files, not with shards; leave it out")
    names = names_of(listings)
    partners = match(source, target) if target and plan.paired else None
    sight = _see(plan, source, target, held, partners=partners, names=names, track=track)

    looks, targets, counts = _good(sight.source), _good(sight.target), _classes(source)
    n = len(sight.related) if plan.paired or plan.side else len(looks)
    found = [
        *images.check_files(sight.seen, listings=listings, names=names),
        *images.check_count(min(n, len(targets)) if plan.unpaired else n, noise=not (plan.target or plan.side)),
        *images.check_images([*looks, *_good(sight.held)], size=plan.size, part=2 if plan.side else 1),
        *overlap.check_twins(looks),
        *_of_targets(images.check_images(targets, size=plan.size)),
        *_of_targets(overlap.check_twins(targets)),
        *(pairs.check_partners(partners, names=names) if partners else []),
        *_check_pairs(plan, sight),
        *(overlap.check_two_sets(looks, targets) if plan.unpaired else []),
        *_check_split(plan, looks, _good(sight.held)),
        *images.check_classes(counts),
    ]
    what = "pairs" if plan.paired or plan.side else "images"
    tables = _tables(sight, split=_split(plan, looks), classes=counts)
    return Report(what, n + (len(targets) if plan.unpaired else 0), in_order(found), tables)


def _see(
    plan: Plan,
    source: Listing,
    target: Listing | None,
    held: Listing | None,
    *,
    partners: Partners | None,
    names: dict[Path, str],
    track: Track,
) -> _Sight:
    """Look at all files; at both files of a pair together."""
    cases = [Case(pair) for pair in partners.pairs] if partners else []
    together = {path for case in cases for path in case.paths}
    files = [path for listing in (source, target, held) if listing for path in listing.files]
    split = set(source.files if plan.side else ())
    cases += [Case((path,), halves=path in split) for path in files if path not in together]
    within = {path: read for listing in (source, target, held) if listing for path, read in listing.within.items()}
    results = examine(cases, names=names, within=within, track=track)
    by_path = {seen.path: seen for seens, _ in results for seen in seens}
    related = [(seens[0].name, relation) for seens, relation in results if relation]
    both = [(a, b) for (a, *rest), relation in results if relation and rest for b in rest]
    good = [(a, b) for a, b in both if isinstance(a, Look) and isinstance(b, Look)]

    def seen_in(listing: Listing | None) -> list[Seen]:
        return [by_path[path] for path in listing.files] if listing else []

    return _Sight(seen_in(source), seen_in(target), seen_in(held), good, related)


def _good(seen: Sequence[Seen]) -> list[Look]:
    return [each for each in seen if isinstance(each, Look)]


def _of_targets(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of targets: what would be mixed within one side may differ between the two."""
    return [replace(each, kind=f"target-{each.kind}", sentence=f"targets: {each.sentence}") for each in findings]


def _classes(source: Listing) -> Counter[str]:
    return Counter(nfc(path.parent.name) for path in source.files) if source.classes else Counter()


def _check_pairs(plan: Plan, sight: _Sight) -> list[Finding]:
    looks = _good(sight.source)
    if plan.paired:
        return [*pairs.check_sizes(sight.pairs), *pairs.check_relations(sight.related)]
    if plan.side:
        return [*pairs.check_halves(looks, files=len(sight.source)), *pairs.check_relations(sight.related)]
    return pairs.check_unsaid(looks)


def _split(plan: Plan, looks: Sequence[Look]) -> tuple[list[Look], list[Look]]:
    """The images to train on, and those held out by the fraction."""
    held = [folder.held_out(look.path, plan.holdout) for look in looks]
    return [x for x, out in zip(looks, held, strict=True) if not out], [
        x for x, out in zip(looks, held, strict=True) if out
    ]


def _check_split(plan: Plan, looks: Sequence[Look], held: Sequence[Look]) -> list[Finding]:
    """The same image in training and held out, by folder or by fraction."""
    if plan.held_out:
        advice = "remove them from one side: a model may have memorised its training images"
        return overlap.check_held_out(looks, held, advice=advice)
    if not plan.holdout:
        return []
    training, out = _split(plan, looks)
    found = overlap.check_held_out(
        training, out, advice="keep one of each: the split goes by names, which separates duplicates"
    )
    return found + overlap.check_split(len(training), len(out), share=plan.holdout)


def _tables(
    sight: _Sight, *, split: tuple[list[Look], list[Look]], classes: Counter[str]
) -> dict[str, list[tuple[str, int]]]:
    looks = _good(sight.seen)
    sizes = Counter(f"{look.width}x{look.height}" for look in looks)
    tables = {"size": commonest(sizes), "pixels": commonest(Counter(look.mode for look in looks))}
    if split[1]:
        tables["part"] = [("train", len(split[0])), ("held out", len(split[1]))]
    if classes:
        tables["class"] = [(shown(name), n) for name, n in classes.items()]
    return tables

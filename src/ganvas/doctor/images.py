"""Problems of single images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganvas.data.loader import MAX_BROKEN
from ganvas.doctor.file_lists import Listing
from ganvas.doctor.report import Finding, Severity, finding
from ganvas.doctor.scan import Broken, Look, Seen
from ganvas.imaging.images import MAX_PIXELS, MAX_SIDE, MIN_SIDE

ERROR, WARNING, NOTE = Severity

FEW = 50  # images, below which a network memorises them
FEW_FOR_NOISE = 500  # the same for images generated from noise
RARE = 20  # images of a class
RARE_SHARE = 0.1  # of the median class

_BROKEN = {
    "empty": ("empty files", "copy them again, or remove them"),
    "no-image": ("not images, despite their names", "remove them, or save them as PNG or JPEG"),
    "broken": ("broken or cut short", "copy them again from the original, or remove them"),
    "too-small": (f"less than {MIN_SIDE} pixels wide or high", "remove them"),
    "too-large": (f"more than {MAX_PIXELS // 10**6} million pixels, or {MAX_SIDE:,} a side", "make them smaller first"),
}


def check_files(seen: Sequence[Seen], *, listings: Sequence[Listing], names: Mapping[Path, str]) -> list[Finding]:
    """Files that cannot be used, and files that are not read."""
    found: list[Finding] = []
    broken = [each for each in seen if isinstance(each, Broken)]
    many = len(broken) > MAX_BROKEN * len(seen)
    for kind, (sentence, advice) in _BROKEN.items():
        what = [f"{each.name} ({each.reason})" if each.reason else each.name for each in broken if each.kind == kind]
        why = "" if many else "; training goes on without them"
        found += finding(ERROR if many else WARNING, kind, what, sentence=sentence, advice=advice + why)
    lost = [line for listing in listings for line in listing.lost]
    found += finding(
        ERROR if len(lost) > MAX_BROKEN * (len(seen) + len(lost)) else WARNING,
        "lost-samples",
        lost,
        sentence="samples in shards that cannot be used",
        advice="write these shards again",
    )
    special = [names[path] for listing in listings for path in listing.special]
    found += finding(
        WARNING,
        "special",
        special,
        sentence="neither files nor folders: FIFOs, sockets, devices, or links that lead nowhere",
        advice="remove them, or put the files themselves there; training goes on without them",
    )
    deeper = [names[path] for listing in listings for path in listing.deeper]
    found += finding(
        WARNING, "deeper", deeper, sentence="too deep: in sub-folders, which are not read", advice="move them up"
    )
    foreign = [names[path] for listing in listings for path in listing.foreign]
    found += finding(
        WARNING,
        "other-format",
        foreign,
        sentence="images of a format that ganvas does not read",
        advice="save them as PNG or JPEG, or training goes on without them",
    )
    others = [names[path] for listing in listings for path in listing.others]
    found += finding(NOTE, "other-files", others, sentence="other files, which are ignored", advice="nothing")
    return found


def check_count(n: int, *, noise: bool) -> list[Finding]:
    """Too few images; `noise` if they may be for a method that generates from noise."""

    def few(severity: Severity, least: int, advice: str) -> list[Finding]:
        told = Finding(severity, "too-few", n, f"images or pairs that can be used, fewer than {least}", advice)
        return [told] if n < least else []

    return (
        few(ERROR, 2, "training takes many; add more")
        or few(WARNING, FEW, "add more: so few are memorised")
        or (few(NOTE, FEW_FOR_NOISE, "enough to translate; to generate from noise, add more") if noise else [])
    )


def check_images(looks: Sequence[Look], *, size: int | None, part: int = 1) -> list[Finding]:
    """Problems of usable images; `part` is the number of images side by side in a file, 1 or 2."""

    def named(chosen: Sequence[Look]) -> list[str]:
        return [look.name for look in chosen]

    found = finding(
        WARNING,
        "blank",
        named([look for look in looks if look.blank]),
        sentence="of a single colour",
        advice="a model learns nothing from these; remove them",
    )
    grey = [look for look in looks if look.grey and not look.blank]
    if len(grey) < sum(not look.blank for look in looks) and part == 1:
        found += finding(
            WARNING,
            "grey",
            named(grey),
            sentence="without colour among images in colour",
            advice="for colorize remove them: it would learn grey from them",
        )
    found += _check_sizes(looks, size=size, part=part)
    found += finding(
        NOTE,
        "turned",
        named([look for look in looks if look.turned]),
        sentence="turned by EXIF",
        advice="nothing: ganvas turns them upright (other tools may not)",
    )
    profiles = [look for look in looks if look.profile]
    found += finding(
        NOTE,
        "profile",
        [f"{look.name} ({look.profile})" for look in profiles],
        sentence="with a colour profile other than sRGB",
        advice="nothing: ganvas converts them to sRGB (other tools may show other colours)",
    )
    found += finding(
        NOTE,
        "frames",
        [f"{look.name} ({look.frames})" for look in looks if look.frames > 1],
        sentence="with several frames or pages, of which the first is used",
        advice="nothing, or save each as a file of its own",
    )
    modes = Counter(look.mode for look in looks)
    if len(modes) > 1:
        told = [f"{n:,} {mode}" for mode, n in modes.most_common()]
        found += finding(
            NOTE,
            "modes",
            told,
            count=len(modes),
            sentence="kinds of pixels are mixed",
            advice="nothing: all become 8 bits, and colour unless all are grey; transparency is put on white",
        )
    return found


def _check_sizes(looks: Sequence[Look], *, size: int | None, part: int) -> list[Finding]:
    sizes = Counter(look.size for look in looks)
    found: list[Finding] = []
    if len(sizes) > 1:
        told = [f"{width}x{height}" for (width, height), _ in sizes.most_common()]
        found += finding(
            NOTE,
            "sizes",
            told,
            count=len(sizes),
            sentence="sizes are mixed",
            advice="nothing: the largest centred square of each is used",
        )
    if size is not None:
        small = [f"{x.name} ({x.width}x{x.height})" for x in looks if min(x.width // part, x.height) < size]
        found += finding(
            WARNING,
            "enlarged",
            small,
            sentence=f"smaller than `size` {size}, so they would be enlarged",
            advice="train at a smaller `size`, or remove them: a model would learn blur from them",
        )
    return found


def check_classes(counts: dict[str, int]) -> list[Finding]:
    """Classes with too few images to be generated well."""
    middle = sorted(counts.values())[len(counts) // 2] if counts else 0
    rare = [f"{name} ({n:,})" for name, n in counts.items() if n < max(RARE, RARE_SHARE * middle)]
    advice = "add images to these, or leave the folders out: rare classes are generated badly"
    return finding(WARNING, "rare-classes", rare, sentence="classes with few images", advice=advice)

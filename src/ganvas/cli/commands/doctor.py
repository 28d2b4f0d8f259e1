"""`ganvas doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Count, Flag, Share
from ganvas.core.options import Data
from ganvas.errors import GanvasError

if TYPE_CHECKING:
    from ganvas.doctor import Finding, Report


def doctor(
    source: str,
    /,
    *,
    target: Path | None = None,
    side: Literal["ab", "ba"] | None = None,
    unpaired: Flag = False,
    held_out: Path | None = None,
    holdout: Share | None = None,
    size: Count | None = None,
    json: Flag = False,
) -> None:
    """Check images before training: what is broken, duplicate, mismatched or too little, and what to do about it.

    Every file is decoded once; nothing is changed. Errors are what training would refuse or go wrong with; if there is
    one, the exit status is 1.

    Args:
        source: a folder of images, or of one folder for each class
        target: the folder of targets: partners have the same name, whatever its ending
        side: pairs are side by side in one file: with ab the left half is the source, with ba the right one
        unpaired: the two folders hold different things, without partners
        held_out: a folder of images that training must not use: none of them may be in SOURCE
        holdout: or the fraction of SOURCE to hold out, as in `ganvas train`
        size: pixels at which you will train: smaller images are listed
        json: print JSON
    """
    with console.loading():
        from ganvas.api import check

    data = Data(source, target=target, side=side, holdout=holdout or 0.0, size=size)
    report = check(data, unpaired=unpaired, held_out=held_out, progress=True)
    if json:
        console.print_json(report.to_json())
    else:
        _show(report)
    if not report.ready:
        raise GanvasError(report.verdict)


def _show(report: "Report") -> None:
    for title, counts in report.tables.items():
        console.table("", (title, "files"), [(name, n) for name, n in counts])
        console.tell("")
    if report.findings:
        rows = [(each.severity.value, each.count, _told(each)) for each in report.findings]
        console.table("", ("", "count", "what"), rows)
        console.tell("")
    if report.ready:
        console.tell(report.verdict)


def _told(finding: "Finding") -> str:
    examples = [f"  {example}" for example in finding.examples]
    return "\n".join([finding.sentence, *examples, f"→ {finding.advice}"])


COMMAND = Command(
    run=doctor,
    usage="SOURCE [OPTIONS]",
    examples=("doctor photos --size 128", "doctor photos --target drawings --holdout 0.1"),
)

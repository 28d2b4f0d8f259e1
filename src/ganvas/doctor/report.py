"""The report of the doctor: findings, tables, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ganvas.errors import readable

EXAMPLES = 5  # names that a finding shows
ROWS = 5  # rows that a table shows before "others"


class Severity(StrEnum):
    """How bad a finding is: training goes wrong (error), goes worse than necessary (warning), or is fine (note)."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        severity: error, warning or note.
        kind: a short fixed name, for programs.
        count: how many files (or pairs) it concerns.
        sentence: what was found, without the count.
        advice: what to do about it.
        examples: up to `EXAMPLES` names.
    """

    severity: Severity
    kind: str
    count: int
    sentence: str
    advice: str
    examples: tuple[str, ...] = ()


def finding(
    severity: Severity, kind: str, names: Sequence[str], *, sentence: str, advice: str, count: int | None = None
) -> list[Finding]:
    """A finding about these names, or none if there are none; `count` if it is not the number of names."""
    if not names:
        return []
    examples = tuple(map(readable, names[:EXAMPLES]))
    return [Finding(severity, kind, len(names) if count is None else count, sentence, advice, examples)]


@dataclass(frozen=True)
class Report:
    """The findings of a check.

    Attributes:
        what: what was counted, such as `images` or `pairs`.
        count: how many of these can be used.
        findings: errors first.
        tables: by title, the rows of a table: a name and a count.
    """

    what: str
    count: int
    findings: tuple[Finding, ...]
    tables: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether training on this would go right."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One line: ready or not, and why."""
        kinds = [finding.severity for finding in self.findings]
        counts = [(kinds.count(s), s) for s in (Severity.ERROR, Severity.WARNING, Severity.NOTE)]
        told = ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for n, severity in counts if n) or "nothing to fix"
        return f"{'ready' if self.ready else 'not ready'}: {self.count:,} {self.what}; {told}"

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "ready": self.ready,
            "verdict": self.verdict,
            self.what.replace(" ", "_"): self.count,
            "findings": [
                {**vars(finding), "severity": str(finding.severity), "examples": list(finding.examples)}
                for finding in self.findings
            ],
            "tables": {title: dict(rows) for title, rows in self.tables.items()},
        }


def commonest(counts: dict[str, int]) -> list[tuple[str, int]]:
    """The rows of a table of counts: the commonest first, and the rest as `others`."""
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    if len(rows) <= ROWS + 1:
        return rows
    rest = rows[ROWS:]
    return [*rows[:ROWS], (f"{len(rest):,} others", sum(n for _, n in rest))]


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; otherwise in the given order."""
    return tuple(sorted(findings, key=lambda finding: list(Severity).index(finding.severity)))

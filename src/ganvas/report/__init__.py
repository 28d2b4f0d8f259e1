"""The report: a folder of results as one page for people, and as text for pasting; it computes nothing."""

from pathlib import Path

from ganvas.core.atomic_io import write_whole
from ganvas.report.results import Results, read_results
from ganvas.report.studies import read_study

PAGE, TEXT = "index.html", "report.md"


def write_report(folder: Path, *, inside: bool = False) -> list[Path]:
    """Write the page and the text of a folder of results; with `inside` the page holds its images itself.

    Raises:
        DataError: if the results, or images of theirs, are missing or damaged.
        UsageError: if nothing can be written there.
        SaveError: if the disk is full.
    """
    from ganvas.report.page import report_page, report_text  # templates and figures take half a second to load

    results = read_results(folder)
    return _write(folder, report_page(results, inside=inside), report_text(results))


def write_study(folder: Path, *, inside: bool = False) -> list[Path]:
    """Write the page and the text of a study, over the reports of its tasks; unfinished ones may lack some.

    Raises:
        DataError: if the study, or results or images of its reports, are missing or damaged.
        UsageError: if nothing can be written there.
        SaveError: if the disk is full.
    """
    from ganvas.report.page import study_page, study_text

    study = read_study(folder)
    return _write(folder, study_page(study, inside=inside), study_text(study))


def _write(folder: Path, page: str, text: str) -> list[Path]:
    for name, content in ((PAGE, page), (TEXT, text)):
        write_whole(folder / name, content.encode("utf-8", "replace"))  # a file's name may be no text
    return [folder / PAGE, folder / TEXT]


__all__ = ["PAGE", "TEXT", "Results", "read_results", "write_report", "write_study"]

"""The report: a folder of results as an HTML page and as Markdown; it computes nothing."""

from pathlib import Path

from ganvas.core.atomic_io import write_whole
from ganvas.report.results import Results, read_results
from ganvas.report.studies import read_study

PAGE, TEXT = "index.html", "report.md"


def write_report(folder: Path, *, inside: bool = False) -> list[Path]:
    """Write the page and the text of a folder of results; with `inside` the images are embedded in the page.

    Raises:
        DataError: if the results or their images are missing or damaged.
        UsageError: if the folder is not writable.
        SaveError: if the disk is full.
    """
    from ganvas.report.page import report_page, report_text  # templates and figures take half a second to load

    results = read_results(folder)
    return _write(folder, report_page(results, inside=inside), report_text(results))


def write_study(folder: Path, *, inside: bool = False) -> list[Path]:
    """Write the page and the text of a study, above the reports of its tasks; an unfinished study may lack some.

    Raises:
        DataError: if the study, or the results or images of its reports, are missing or damaged.
        UsageError: if the folder is not writable.
        SaveError: if the disk is full.
    """
    from ganvas.report.page import study_page, study_text

    study = read_study(folder)
    return _write(folder, study_page(study, inside=inside), study_text(study))


def _write(folder: Path, page: str, text: str) -> list[Path]:
    for name, content in ((PAGE, page), (TEXT, text)):
        write_whole(folder / name, content.encode("utf-8", "replace"))  # a file name may not be valid Unicode
    return [folder / PAGE, folder / TEXT]


__all__ = ["PAGE", "TEXT", "Results", "read_results", "write_report", "write_study"]

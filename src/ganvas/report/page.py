"""Render results and studies as HTML and as Markdown from the templates."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from PIL import Image

from ganvas import __version__
from ganvas.errors import DataError
from ganvas.report import figures, tables, text
from ganvas.report.results import DecodedImage, Results, Score, image_path
from ganvas.report.studies import Study

MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$])")  # special characters of Markdown
THUMBNAILS = 6  # per task of a study


@dataclass(frozen=True)
class Shown:
    """An image file as shown on a page."""

    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """The section of one score below the table."""

    score: Score
    figures: tuple[tuple[Markup, str], ...]
    verdicts: tuple[str, ...]


def report_page(results: Results, *, inside: bool) -> str:
    """The page of a folder of results."""
    shown = {}
    for file in [*results.grids.values(), *(file for image in results.images for file in image.files.values())]:
        shown[file] = _shown(results.folder, file, inside=inside)
    named = tables.colours(results.answers, [model.name for model in results.models])
    return _page(
        "report.html.j2",
        results=results,
        table=tables.comparison(results),
        outcomes=text.outcomes(results),
        groups=text.groups(results),
        cards=_cards(results, named),
        classes=_classes(results, named),
        across=_across,
        colours=named,
        shown=shown,
        small=all(image.width <= 64 for image in shown.values()),
        each=_each(results),
        measures=[score.name for score in results.scores if score.each],
        models=_models(results),
        citation=text.citation(results),
        files=_files(results.folder, ("metrics.json", "metrics.csv"), inside=inside),
    )


def report_text(results: Results) -> str:
    """The report as GitHub Markdown."""
    return _text(
        "report.md.j2",
        results=results,
        table=tables.comparison(results),
        outcomes=text.outcomes(results),
        models=_models(results),
        citation=text.citation(results),
    )


def study_page(study: Study, *, inside: bool) -> str:
    """The page of a study."""
    return _page(
        "study.html.j2",
        study=study,
        glance=tables.glance(study),
        tables={task.name: tables.task(study, task) for task in study.tasks},
        training={task.name: tables.training(study, task) for task in study.tasks if task.training},
        thumbnails={name: _thumbnails(results, inside=inside) for name, results in study.first.items()},
        files=_files(study.folder, ("study.json",), inside=inside),
    )


def study_text(study: Study) -> str:
    """The study as GitHub Markdown."""
    return _text(
        "study.md.j2",
        study=study,
        glance=tables.glance(study),
        tables={task.name: tables.task(study, task) for task in study.tasks},
        training={task.name: tables.training(study, task) for task in study.tasks if task.training},
        images={name: _places(results, study.folder) for name, results in study.first.items()},
    )


def _cards(results: Results, named: Mapping[str, str]) -> list[Card]:
    """A card for each score that has a value."""
    return [
        _card(results, score, _drawings(results, score, named, number=number))
        for number, score in enumerate(results.scores)
        if any(value.value is not None for value in score.values.values())
    ]


def _drawings(results: Results, score: Score, named: Mapping[str, str], *, number: int) -> list[tuple[str, str]]:
    """The figures of a score with captions: over training steps, over images, or the values alone."""
    if results.along:
        text = "Each checkpoint, with its interval where known. The star marks the best value."
        return [(figures.curve(score, results.models, named, name=f"curve-{number}"), text)]
    each = {answer: list(results.each.get((answer, score.name), {}).values()) for answer in results.answers}
    many = max(map(len, each.values()), default=0)
    near = {answer: named[answer] for answer in results.answers if answer not in list(results.baselines)[1:]}
    far = [answer for answer in results.answers if answer not in near and answer in score.values]
    rest = f" The table also has {' and '.join(far)}." if far else ""  # its scale would hide the other differences
    if many:
        some = f" ({figures.MOST_POINTS} of {many:,}, taken evenly by rank)" if many > figures.MOST_POINTS else ""
        text = f"A dot for each image{some}, the density, and the mean with its interval.{rest}"
        drawn = [(figures.distribution(score, each, near, name=f"spread-{number}"), text)]
    else:
        text = "Each value, with its interval where known."
        drawn = [(figures.intervals(score, named, name=f"value-{number}"), text)]
    if any({difference.first, difference.second} <= near.keys() for difference in score.differences):
        side = {"higher": " Right of zero the first is better.", "lower": " Left of zero the first is better."}
        text = f"Differences.{side.get(score.better, '')} Grey: neither is significantly better."
        drawn.append((figures.differences(score, near, name=f"difference-{number}"), text))
    return drawn


def _card(results: Results, score: Score, drawn: Sequence[tuple[str, str]]) -> Card:
    """The figures of a score, and its verdicts unless all of them are shown at the top."""
    said = text.verdicts(score)
    marked = tuple((Markup(svg), text) for svg, text in drawn)  # safe: matplotlib has escaped the names
    return Card(score, marked, () if set(said) <= set(text.sentences(results, score)) else tuple(said))


def _classes(results: Results, named: Mapping[str, str]) -> Markup | None:
    names = tables.counts(results.classes)
    return Markup(figures.classes(results.classes, names, named)) if names else None


def _across(many: int) -> int:
    """How many images to show in a row: all, or half of them if they would be too small."""
    return many if many <= 6 else -(-many // 2)


def _each(results: Results) -> dict[str, dict[str, list[str]]]:
    """The scores of each answer as text, by image number, in the order of the measures."""
    scores = [score for score in results.scores if score.each]
    values = results.each
    return {
        str(image.number): {
            answer: [_unit(score, values.get((answer, score.name), {}).get(image.number)) for score in scores]
            for answer in results.answers
        }
        for image in results.images
    }


def _unit(score: Score, value: float | None) -> str:
    return f"{score.written(value)} {score.unit}".rstrip() if value is not None else ""


def _models(results: Results) -> dict[str, dict[str, str]]:
    """The properties of each model besides its scores."""
    return {
        model.name: {
            name: text
            for name, text in {
                "method": model.method,
                "steps": f"{model.step:,}" if model.step is not None else "",
                "learned from these images": model.learned,
                "mode": model.mode,
            }.items()
            if text
        }
        for model in results.models
    }


def _first(results: Results) -> DecodedImage | None:
    """The image that represents a task: the first of the evenly spaced selection."""
    even = [image for image in results.images if any(why.startswith("evenly") for why in image.why)]
    return next(iter(even or results.images), None)


def _thumbnails(results: Results, *, inside: bool) -> list[tuple[str, Shown]]:
    """One image per column."""
    image = _first(results)
    if image is None:
        return []
    columns = [column for column in results.columns if column in image.files][:THUMBNAILS]
    return [(column, _shown(results.folder, image.files[column], inside=inside)) for column in columns]


def _places(results: Results, above: Path) -> list[tuple[str, str]]:
    """The thumbnails as paths relative to the folder above."""
    image, inner = _first(results), results.folder.relative_to(above)
    if image is None:
        return []
    columns = [column for column in results.columns if column in image.files][:THUMBNAILS]
    return [(column, (inner / image.files[column]).as_posix()) for column in columns]


def _shown(folder: Path, file: str, *, inside: bool) -> Shown:
    """The source and size of an image: embedded in the page, or a file beside it."""
    path = image_path(folder, file)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
    except OSError as error:
        raise DataError(f"{path}: is no PNG image; run the command that made it again") from error
    return Shown(_data(path, "image/png") if inside else quote(file), width, height)


def _files(folder: Path, names: tuple[str, ...], *, inside: bool) -> dict[str, str]:
    """Links to the data files by name; with `inside` the files are embedded."""
    kinds = {".json": "application/json", ".csv": "text/csv"}
    there = [folder / name for name in names if (folder / name).is_file()]
    return {path.name: _data(path, kinds[path.suffix]) if inside else path.name for path in there}


def _data(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _page(template: str, **manifest: Any) -> str:
    pages = _pages()
    style, script = (pages.loader.get_source(pages, name)[0] for name in ("style.css", "report.js"))  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return pages.get_template(template).render(
        **manifest, style=Markup(style), script=Markup(script), digest=digest, version=__version__
    )


def _text(template: str, **manifest: Any) -> str:
    return _texts().get_template(template).render(**manifest, version=__version__)


@cache
def _pages() -> jinja2.Environment:
    return _environment(autoescape=True)


@cache
def _texts() -> jinja2.Environment:
    return _environment(autoescape=False, finalize=_markdown)


def _environment(**options: Any) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("ganvas.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    made.filters["fact"] = _fact
    made.filters["tied"] = lambda sentence: sentence.replace("n = ", "n\u00a0=\u00a0")  # never broken over two lines
    made.filters["link"] = lambda path: Markup(quote(path))
    made.tests["nested"] = lambda value: isinstance(value, Mapping)
    return made


def _fact(value: object) -> str:
    """A protocol value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value))
    return "–" if value in (None, "") else f"{value:.6g}" if isinstance(value, float) else str(value)


def _markdown(value: object) -> str:
    """Escape text for Markdown; `Markup` is left as it is."""
    return str(value) if isinstance(value, Markup) else MARKDOWN.sub(r"\\\1", re.sub(r"\s+", " ", str(value)))

"""Read a folder of results, as `evaluate` and `compare` write it: scores, images, and the scores of each image."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ganvas.core import schema
from ganvas.errors import DataError

T = TypeVar("T")

VERSION = 2
KINDS = {
    "pairs": "against targets",
    "images": "without targets",
    "unpaired": "between two sets without pairs",
    "style": "of style",
    "generated": "of generated images",
}
DIGITS = re.compile(r"[+]?,?(\.\d{1,2})?[defg%]?")  # allowed formats; others could ask for a gigabyte of zeros


@dataclass(frozen=True)
class Model:
    """A model and its size."""

    name: str
    method: str = ""
    step: int | None = None
    parameters: int | None = None
    megabytes: float | None = None
    size: int | None = None
    learned: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Value:
    """A score of an answer, with its 95 % interval where known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """The score of the first answer minus that of the second, and the verdict in words."""

    first: str
    second: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Score:
    """One score with its values for all answers."""

    name: str
    values: Mapping[str, Value]
    unit: str = ""
    better: str = ""
    digits: str = ".4g"
    meaning: str = ""
    n: int | None = None
    winner: str | None = None
    differences: tuple[Difference, ...] = ()
    each: bool = False

    def written(self, value: float | None, *, sign: str = "") -> str:
        """Format a value without its unit; a dash if it is missing."""
        return "–" if value is None else written(value, sign + self.digits)


@dataclass(frozen=True)
class DecodedImage:
    """An image of the report: its files by column, and why it was selected."""

    number: int
    files: Mapping[str, str]
    name: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timing:
    """The time per image of each network."""

    milliseconds: Mapping[str, float | None]
    device: str = ""
    threads: int | None = None


@dataclass(frozen=True)
class Metrics:
    """The content of metrics.json."""

    version: int
    kind: str
    title: str
    models: tuple[Model, ...]
    scores: tuple[Score, ...]
    baselines: Mapping[str, str] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = ""
    notes: tuple[str, ...] = ()
    images: tuple[DecodedImage, ...] = ()
    columns: tuple[str, ...] = ()
    grids: Mapping[str, str] = field(default_factory=dict)
    checkerboards: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Results(Metrics):
    """The results of an evaluation or a comparison."""

    folder: Path = Path()
    timing: Timing | None = None

    @cached_property
    def answers(self) -> list[str]:
        """Models, baselines, then everything else that has a score."""
        scored = [answer for score in self.scores for answer in score.values]
        return list(dict.fromkeys([*(model.name for model in self.models), *self.baselines, *scored]))

    @property
    def what(self) -> str:
        """The kind of result, in words."""
        return f"{'a comparison' if len(self.models) > 1 else 'an evaluation'} {KINDS[self.kind]}"

    @property
    def along(self) -> bool:
        """Whether the models are checkpoints of one run, named by their steps; then scores are curves over training."""
        steps = [model.step for model in self.models]
        named = all(model.step is not None and model.name == f"step {model.step:,}" for model in self.models)
        return named and len(set(steps)) > 1

    @cached_property
    def each(self) -> dict[tuple[str, str], dict[int, float]]:
        """The value of each image, by answer and score."""
        wanted = [(answer, score.name) for score in self.scores if score.each for answer in self.answers]
        return _read_each(self.folder / "metrics.csv", wanted) if wanted else {}


def written(value: float, digits: str) -> str:
    """Format a number as the score asks for."""
    return f"{round(value) if digits.endswith('d') else value:{digits}}"


def read_json(path: Path, shape: type[T]) -> T:
    """Read a file of results as a dataclass; unknown entries are ignored.

    Raises:
        DataError: if it is missing, is not JSON, or does not fit; the message says where.
    """
    try:
        return schema.read(path, shape)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run the command that made it again") from error
    except schema.Misfit as error:
        raise DataError(f"{path}: {error}; run the command that made it again") from error


def read_results(folder: Path) -> Results:
    """Read the results in a folder.

    Raises:
        DataError: if a file is missing or damaged; the message says which, and where.
    """
    path = folder / "metrics.json"
    timing = folder / "timing.json"
    results = Results(
        **vars(read_json(path, Metrics)), folder=folder, timing=read_json(timing, Timing) if timing.exists() else None
    )
    if results.version != VERSION or results.kind not in KINDS:
        raise DataError(
            f"{path}: is of version {results.version} and kind {results.kind}, expected version {VERSION}"
            f" and one of {', '.join(KINDS)}; run the command that made it again"
        )
    for score in results.scores:
        check_digits(score.digits, path)
    for file in [*results.grids.values(), *(file for image in results.images for file in image.files.values())]:
        image_path(folder, file)
    return results


def check_digits(digits: str, path: Path) -> None:
    """Raise DataError if `digits` is not an allowed format."""
    if not DIGITS.fullmatch(digits):
        raise DataError(f"{path}: digits are {digits!r}, expected such as .4f; run the command that made it again")


def image_path(folder: Path, file: str) -> Path:
    """The path of an image; files outside the folder are refused.

    Raises:
        DataError: if the image is missing or outside the folder.
    """
    parts = PurePosixPath(file)
    if parts.is_absolute() or ".." in parts.parts or "\\" in file or ":" in file or parts.suffix.lower() != ".png":
        raise DataError(
            f"{folder / 'metrics.json'}: {file!r} is no PNG file within the folder; run the command that made it again"
        )
    path = folder / parts
    if not path.is_file():
        raise DataError(f"{path}: is missing; run the command that made it again")
    return path


def _read_each(path: Path, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], dict[int, float]]:
    """The wanted columns that the table has, by answer and score; empty cells are left out."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = rows[0].keys() if rows else ()
        return {
            key: {int(row["image"]): float(row[" ".join(key)]) for row in rows if row[" ".join(key)]}
            for key in wanted
            if " ".join(key) in columns
        }
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run the command that made it again") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: is damaged ({error}); run the command that made it again") from error

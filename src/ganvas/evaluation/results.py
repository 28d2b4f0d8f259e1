"""What judging models leaves behind: numbers with how they were found, a row for each image, and images."""

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, get_num_threads

from ganvas.core.atomic_io import make_folder, write_whole
from ganvas.evaluation.statistics import Grid, Judged, Score, Shown
from ganvas.imaging import images

NUMBERS, TABLE, TIMES, IMAGES = "metrics.json", "metrics.csv", "timing.json", "images"
VERSION = 2  # of the form of metrics.json
_LONGEST = 80  # letters of a name in that of a file, which may have 255 bytes in all

Kind = Literal["pairs", "images", "unpaired", "style", "drawn"]


@dataclass(kw_only=True)
class Evaluation:
    """What was found of one model, or of several side by side.

    Attributes:
        kind: by what they were judged: pairs; nothing, for there were no targets; two sets without pairs; a style; or
            what they draw.
        data: the images, in words.
        models: who was judged.
        baselines: who stands beside them, and what that means.
        protocol: how, by aspect.
        scores: the numbers.
        notes: what is to be known before the numbers are believed.
        values: image by image, (N,) each, by answer and measure: `pix2pix SSIM`, `input SSIM`.
        numbers: which images these are; `names` those of their files, as far as they have any.
        shown: images to look at with the answers to them.
        grids: further images to look at, by name.
        checkerboards: by answer, what stands out by period in pixels.
        classes: by model that draws, how many images were judged to be of each class.
        milliseconds: by model, what an image took in the network; not part of the numbers, for it is another each
            time.
        device: where.
    """

    kind: Kind
    data: str
    models: Sequence[Judged]
    baselines: Mapping[str, str] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[Score] = ()
    notes: Sequence[str] = ()
    values: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    names: Sequence[str] = ()
    shown: Sequence[Shown] = ()
    grids: Mapping[str, Grid] = field(default_factory=dict)
    checkerboards: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def title(self) -> str:
        """Who was judged by what."""
        return f"{in_words([model.name for model in self.models])} on {self.data}"

    def __getitem__(self, name: str) -> Score:
        return next(score for score in self.scores if score.name == name)

    def to_json(self) -> dict[str, Any]:
        """All but times and images, as JSON values; what was found of each image is in the table."""
        return {
            "version": VERSION,
            "kind": self.kind,
            "title": self.title,
            "models": [asdict(model) for model in self.models],
            "baselines": dict(self.baselines),
            "protocol": dict(self.protocol),
            "notes": list(self.notes),
            "scores": [score.to_json([model.name for model in self.models]) for score in self.scores],
            "images": [
                {"number": one.number, "name": one.name, "why": list(one.why), "files": _files(one)}
                for one in self.shown
            ],
            "columns": list(self.shown[0].images) if self.shown else [],
            "grids": _grids(self.grids),
            "checkerboards": {
                answer: {str(period): value for period, value in periods.items()}
                for answer, periods in self.checkerboards.items()
            },
            "classes": {model: dict(counts) for model, counts in self.classes.items()},
        }

    def table(self) -> str:
        """A row for each image, as CSV."""
        written = io.StringIO()
        table = csv.writer(written, lineterminator="\n")
        table.writerow(["image", "name", *self.values])
        rows = itertools.zip_longest(*(column.tolist() for column in self.values.values()), fillvalue="")
        for number, name, row in itertools.zip_longest(self.numbers, self.names, rows, fillvalue=""):
            table.writerow([number, name, *row])
        return written.getvalue()


def write(folder: Path, found: Evaluation) -> Mapping[str, Path]:
    """Write numbers, table, times and images into an existing folder; where, by name.

    What an earlier evaluation left in the folder is taken away, its numbers first; these are written last, so that
    where they are, all is.
    """
    for name in (NUMBERS, TABLE, TIMES):
        (folder / name).unlink(missing_ok=True)
    paths = dict[str, Path]()
    if found.values:
        paths["table"] = folder / TABLE
        write_whole(paths["table"], found.table().encode())
    if found.milliseconds:
        paths["times"] = folder / TIMES
        times = {"device": found.device, "threads": get_num_threads(), "milliseconds": dict(found.milliseconds)}
        write_whole(paths["times"], json.dumps(times, indent=1).encode())
    grids = _grids(found.grids)
    for name, grid in found.grids.items():
        paths[name] = folder / grids[name]
        images.write(paths[name], grid.drawn())
    for old in (folder / IMAGES).glob("[0-9]*-*.png"):
        old.unlink()
    if found.shown:
        paths["images"] = make_folder(folder / IMAGES)
    for one in found.shown:
        for (_, image), file in zip(one.images.items(), _files(one).values(), strict=True):
            images.write(folder / file, image)
    paths["numbers"] = folder / NUMBERS
    write_whole(paths["numbers"], json.dumps(found.to_json(), indent=1, allow_nan=False).encode())
    return paths


def _files(one: Shown) -> dict[str, str]:
    """Where each answer to an image goes; numbered, for names may differ in what no file name can hold."""
    return {
        answer: f"{IMAGES}/{one.number:05d}{one.way}-{place}-{_plain(answer)}.png"
        for place, answer in enumerate(one.images)
    }


def _grids(names: Iterable[str]) -> dict[str, str]:
    """Where each grid goes; numbered where its name holds the name of a model that no file could have."""
    return {
        name: f"{name}.png" if name == _plain(name) else f"{_plain(name)}-{place}.png"
        for place, name in enumerate(names)
    }


def _plain(name: str) -> str:
    """What any file may be called, on any system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST]


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last

"""The results of an evaluation: scores with their protocol, a row for each image, and images."""

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
from ganvas.evaluation.statistics import TRAINING, Score
from ganvas.imaging import images

NUMBERS, TABLE, TIMES, IMAGES = "metrics.json", "metrics.csv", "timing.json", "images"
VERSION = 2  # of metrics.json
_LONGEST = 80  # letters of a name in that of a file, which may have 255 bytes in all

Kind = Literal["pairs", "images", "unpaired", "style", "generated"]


@dataclass(frozen=True)
class ModelSummary:
    """A model that was evaluated.

    Attributes:
        name: its name beside others.
        method: its method, and `step` the number of training steps.
        parameters: the number of its parameters.
        megabytes: the size of its file.
        size: pixels of its training images.
        learned: whether it was trained on these images, in words.
        mode: how layers that differ between training and evaluation behave here.
    """

    name: str
    method: str
    step: int
    parameters: int
    megabytes: float
    size: int
    learned: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Shown:
    """An image that is shown with all answers to it.

    Attributes:
        number: its index.
        name: of its file; empty if it has none.
        why: why it is shown, in words.
        images: uint8 (C, H, W), by answer, in the order of display.
        way: `ab` or `ba` for two kinds without pairs; each has an image number 0.
    """

    number: int
    name: str
    why: tuple[str, ...] = ()
    images: Mapping[str, Tensor] = field(default_factory=dict)
    way: str = ""


@dataclass(frozen=True)
class Grid:
    """Images side by side.

    Attributes:
        images: uint8 (N, C, H, W).
        across: how many to a row.
        side: pixels to which small ones are enlarged.
    """

    images: Tensor
    across: int
    side: int = 64

    def image(self) -> Tensor:
        """All of them in one image, uint8 (C, H, W)."""
        return images.grid(images.fitted(self.images, side=self.side), columns=self.across)


@dataclass(kw_only=True)
class Evaluation:
    """The results for one model, or for several side by side.

    Attributes:
        kind: what they were evaluated on: pairs; nothing, if there were no targets; two sets without pairs; a style;
            or the images that they generate.
        data: the images, in words.
        models: the evaluated models.
        baselines: the answers beside them, and what they mean.
        protocol: how they were evaluated, by aspect.
        scores: the scores.
        notes: what to know before trusting the scores.
        values: image by image, (N,) each, by answer and measure: `pix2pix SSIM`, `input SSIM`.
        numbers: the indices of these images; `names` those of their files, if they have any.
        shown: images to look at with the answers to them.
        grids: further images to look at, by name.
        checkerboards: by answer, the excess power by period in pixels.
        classes: by model that generates, how many images were classified as each class.
        milliseconds: by model, the time per image in the network; kept apart from the scores, as it differs each time.
        device: where it ran.
    """

    kind: Kind
    data: str
    models: Sequence[ModelSummary]
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
        """The models and the data."""
        return f"{in_words([model.name for model in self.models])} on {self.data}"

    @property
    def verdict(self) -> str:
        """What it comes to, in one sentence: which model is better, or how one stands beside the best baseline."""
        names = [model.name for model in self.models]
        if not self.scores:
            return f"{in_words(names)}: images alone, nothing was measured"
        if len(names) == 1:
            (name,) = names
            for score in self.scores:
                if difference := score.to_baseline(name):
                    return score.verdict(difference)
            first = next((score for score in self.scores if name in score.values), self.scores[0])
            there = first.values.get(TRAINING)
            floor = f", where training images reach {first.measure.written(there.value)}" if there else ""
            return f"{name}: {first.name} {first.measure.written(first.value)}{floor}"
        won: dict[str, list[str]] = {}
        for score in self.scores:
            if winner := score.winner(names):
                won.setdefault(winner, []).append(score.name)
        if not won:
            return f"no model is significantly better than every other in any of {len(self.scores)} scores"
        best = max(won, key=lambda winner: len(won[winner]))
        others = [f"{winner} in {in_words(scores)}" for winner, scores in won.items() if winner != best]
        more = f"; {'; '.join(others)}" if others else ""
        behind = [score.name for score in self.scores if score.name in won[best] and not score.beats_baselines(best)]
        but = f"; but no better than the input or the mean image in {in_words(behind)}" if behind else ""
        return f"{best} is significantly better than the others in {in_words(won[best])}{more}{but}"

    def __getitem__(self, name: str) -> Score:
        return next(score for score in self.scores if score.name == name)

    def to_json(self) -> dict[str, Any]:
        """All but times and images, as JSON values; the values of each image are in the table."""
        return {
            "version": VERSION,
            "kind": self.kind,
            "title": self.title,
            "models": [asdict(model) for model in self.models],
            "baselines": dict(self.baselines),
            "protocol": dict(self.protocol),
            "verdict": self.verdict,
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


def write(folder: Path, evaluation: Evaluation) -> Mapping[str, Path]:
    """Write scores, table, times and images into an existing folder; returns the files by name.

    The results of an earlier evaluation in the folder are removed, scores first; the scores are written last, so that
    if they are there, everything is.
    """
    for name in (NUMBERS, TABLE, TIMES):
        (folder / name).unlink(missing_ok=True)
    paths = dict[str, Path]()
    if evaluation.values:
        paths["table"] = folder / TABLE
        write_whole(paths["table"], evaluation.table().encode())
    if evaluation.milliseconds:
        paths["times"] = folder / TIMES
        times = {
            "device": evaluation.device,
            "threads": get_num_threads(),
            "milliseconds": dict(evaluation.milliseconds),
        }
        write_whole(paths["times"], json.dumps(times, indent=1).encode())
    grids = _grids(evaluation.grids)
    for name, grid in evaluation.grids.items():
        paths[name] = folder / grids[name]
        images.write(paths[name], grid.image())
    for old in (folder / IMAGES).glob("[0-9]*-*.png"):
        old.unlink()
    if evaluation.shown:
        paths["images"] = make_folder(folder / IMAGES)
    for one in evaluation.shown:
        for (_, image), file in zip(one.images.items(), _files(one).values(), strict=True):
            images.write(folder / file, image)
    paths["numbers"] = folder / NUMBERS
    write_whole(paths["numbers"], json.dumps(evaluation.to_json(), indent=1, allow_nan=False).encode())
    return paths


def _files(one: Shown) -> dict[str, str]:
    """The file of each answer to an image; numbered, as names may differ only in signs that no file name can hold."""
    return {
        answer: f"{IMAGES}/{one.number:05d}{one.way}-{place}-{_plain(answer)}.png"
        for place, answer in enumerate(one.images)
    }


def _grids(names: Iterable[str]) -> dict[str, str]:
    """The file of each grid; numbered if its name holds a model name that no file can have."""
    return {
        name: f"{name}.png" if name == _plain(name) else f"{_plain(name)}-{place}.png"
        for place, name in enumerate(names)
    }


def _plain(name: str) -> str:
    """A name that is valid for files on any system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST]


def in_words(names: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = names
    return f"{', '.join(before)} {word} {last}" if before else last

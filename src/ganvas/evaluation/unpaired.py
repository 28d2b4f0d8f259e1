"""Evaluation of translators between two kinds of images without pairs: there and back again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import ImageBatch, Source
from ganvas.data.progress import Track, silently
from ganvas.evaluation.comparing import LEAST, compared, distances
from ganvas.evaluation.outputs import Answering, Broken, device_of, judged, require_kind, rows_at_once
from ganvas.evaluation.patches import SWD, PatchSets, Sliced, patch_scores
from ganvas.evaluation.perceptual import seen_by
from ganvas.evaluation.protocol import formulas, protocol_of, sets_of
from ganvas.evaluation.results import Evaluation
from ganvas.evaluation.selection import bands, choose, evenly
from ganvas.evaluation.statistics import CYCLE, IDENTITY, INPUT, TARGET, Grid, ImageMeasure, Score, Shown
from ganvas.evaluation.translation import Direction, Spectra, alike
from ganvas.inference.translate import Translator
from ganvas.metrics.features import Features
from ganvas.training import samples

_BACK: dict[str, Direction] = {"ab": "ba", "ba": "ab"}


def evaluate_unpaired(
    models: Mapping[str, Model],
    source: Source[ImageBatch],
    target: Source[ImageBatch],
    *,
    features: Features | None = None,
    learned: Mapping[str, str] | None = None,
    track: Track = silently,
) -> Evaluation:
    """Translate the images of each kind to the other and back, as there are no targets to compare with.

    The cycle error is the change of an image on the way there and back, the identity error the change of an image that
    already is of the target kind; both with images rounded to bytes in between. SWD, and with `features` FID and KID,
    compare the translated images with those of the target kind.

    Raises:
        DataError: if the images are of another kind than a model's.
        ModelError: if a model does not go both ways, or none of its images is finite.
        SettingError: if a model does not support a direction.
    """
    sides = {"ab": source, "ba": target}
    pairs = replace(source, spec=replace(source.spec, classes=(), target_channels=target.spec.channels))
    for model in models.values():
        for direction in _BACK:
            Translator(model, direction)
        require_kind(model, pairs)
    known = [judged(name, model, (learned or {}).get(name, "")) for name, model in models.items()]
    ways = {direction: _Way(models, side, sides[_BACK[direction]], direction) for direction, side in sides.items()}
    for way in ways.values():
        way.go(features, track)
    columns = {
        (measure.name, direction): way.columns[measure.name]
        for measure, direction in ((CYCLE, "ab"), (CYCLE, "ba"), (IDENTITY, "ab"), (IDENTITY, "ba"))
        for way in [ways[direction if measure is CYCLE else _BACK[direction]]]
        if way.columns[measure.name]
    }
    named: dict[str, ImageMeasure] = {CYCLE.name: CYCLE, IDENTITY.name: IDENTITY}
    scores = [compared(named[name], of_each, list(models), way=way) for (name, way), of_each in columns.items()]
    for direction, way in ways.items():
        scores += way.set_scores(features)
        scores.append(way.spectra.score(len(way.measured), way=direction))
    there, back = ways["ab"], ways["ba"]
    return Evaluation(
        kind="unpaired",
        data=f"{source.short_title} and {target.short_title}",
        models=known,
        baselines={INPUT: "the images as they are", TARGET: "images of the wanted kind"},
        protocol=protocol_of(
            source, {"direction": "both, there and back again", "other kind": target.short_title},
            measured=max(len(there.measured), len(back.measured)),
        )
        | {"paired scores": "none: without pairs there are no targets"}
        | formulas([SWD] if any(score.measure is SWD for score in scores) else [])
        | sets_of(features, "images of the wanted kind"),
        scores=scores,
        notes=[*there.notes, *back.notes],
        values={
            f"{answer} {name} {way}": rows
            for (name, way), of_each in columns.items()
            for answer, rows in of_each.items()
        },
        numbers=there.measured if len(there.measured) >= len(back.measured) else back.measured,
        names=_both(there, back),
        shown=[*there.shown(), *back.shown()],
        grids={"grid": Grid(torch.cat([there.grid(), back.grid()]), samples.columns(source.spec.size))},
        checkerboards={
            f"{answer} {direction}": periods
            for direction, way in ways.items()
            for answer, periods in way.spectra.periods().items()
        },
        milliseconds={name: (there.milliseconds[name] + back.milliseconds[name]) / 2 for name in models},
        device=there.device,
    )  # fmt: skip


def _both(there: "_Way", back: "_Way") -> list[str]:
    """The names of the files in a row of the table, of both kinds."""
    longer = max(len(there.measured), len(back.measured))
    ours, theirs = ([*way.names(), *[""] * (longer - len(way.measured))] for way in (there, back))
    return [" | ".join(filter(None, names)) for names in zip(ours, theirs, strict=True)]


class _Way:
    """One of the two directions: images of a kind, their translations, and these translated back."""

    def __init__(
        self, models: Mapping[str, Model], side: Source[ImageBatch], other: Source[ImageBatch], direction: str
    ):
        """Begin with no images."""
        self.models, self.side, self.other, self.direction = models, side, other, direction
        self.answering = {name: Answering(model) for name, model in models.items()}
        self.again = {name: Answering(model) for name, model in models.items()}
        self.device = str(device_of(next(iter(models.values())).method))
        self.columns: dict[str, dict[str, Tensor]] = {}
        self.spectra, self.measured = Spectra(), list[int]()
        self.broken = Broken(side)
        self.seen = dict[str, Tensor]()
        self.apart = dict[str, Sliced]()

    def go(self, features: Features | None, track: Track) -> None:
        """Translate all images there and back, and measure them."""
        at_once, n = rows_at_once(self.side.spec), len(self.side)
        starts = track(range(0, n, at_once), total=math.ceil(n / at_once), description=f"translating {self.direction}")
        columns: dict[str, dict[str, list[Tensor]]] = {CYCLE.name: {}, IDENTITY.name: {}}
        seen = dict[str, list[Tensor]]()
        fewer = min(n, len(self.other))
        patches = PatchSets(n, use=fewer) if fewer >= LEAST else None
        for start in starts:
            numbers = list(range(start, min(n, start + at_once)))
            given = self.side.rows(numbers).images
            made, back, same, whole = self._answers(given)
            kept = self.broken.sort_out(numbers, whole)
            if not kept.any():
                continue
            self.measured += [number for number, keep in zip(numbers, kept.tolist(), strict=True) if keep]
            for name in self.models:
                columns[CYCLE.name].setdefault(name, []).append(CYCLE.of(back[name][kept], given[kept]))
                if name in same:
                    columns[IDENTITY.name].setdefault(name, []).append(IDENTITY.of(same[name][kept], given[kept]))
            self.spectra.add({INPUT: given[kept], **{name: made[name][kept] for name in self.models}})
            if features:
                for name, images in {INPUT: given, **made}.items():
                    seen.setdefault(name, []).append(seen_by(features, images[kept]))
            if patches:
                both = {INPUT: given, **made}
                patches.add(dict(zip(both, alike(*(images[kept] for images in both.values())), strict=True)))
        self.notes = self.broken.notes()
        self.milliseconds = {name: answering.milliseconds for name, answering in self.answering.items()}
        self.columns = {
            measure: {name: torch.cat(rows) for name, rows in of_each.items()} for measure, of_each in columns.items()
        }
        self.seen = {name: torch.cat(rows) for name, rows in seen.items()}
        left = min((one.n for one in patches.of.values()), default=0) if patches else 0  # without the broken ones
        wanted = metrics.Patches(len(self.other), use=fewer) if left >= LEAST else None
        self._add_wanted(features, wanted)
        if patches and wanted:
            self.apart = patches.apart_from(wanted, track)

    def _answers(
        self, given: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """By model: translations of images, translations back, the identity mapping, and whether all is finite."""
        made, back, same, whole = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
        other = _BACK[self.direction]
        for name in self.models:
            made[name], ok = self.answering[name](given, self.direction)
            back[name], ok_too = self.again[name](made[name], other)
            whole[name] = ok & ok_too
            if made[name].shape == given.shape:
                same[name], ok_as_well = self.again[name](given, other)
                whole[name] &= ok_as_well
        return made, back, same, whole

    def _add_wanted(self, features: Features | None, patches: metrics.Patches | None) -> None:
        """Add images of the wanted kind to the sets that translations are compared with."""
        at_once = rows_at_once(self.other.spec)
        seen = list[Tensor]()
        for part in self.other.parts(at_once):
            self.spectra.add({TARGET: part.images})
            if features:
                seen.append(seen_by(features, part.images))
            if patches is not None:
                patches.add(part.images.expand(-1, max(self.side.spec.channels, part.images.shape[1]), -1, -1))
        if seen:
            self.seen[TARGET] = torch.cat(seen)

    def set_scores(self, features: Features | None) -> list[Score]:
        """FID, KID and SWD of the images translated to the wanted kind, if there are enough of both."""
        scores = list[Score]()
        if features and min(len(self.measured), len(self.other)) >= LEAST:
            answers = {name: rows for name, rows in self.seen.items() if name != TARGET}
            scores += distances(features, self.seen[TARGET], answers, list(self.models), way=self.direction)
        if self.apart:
            scores += patch_scores(self.apart, list(self.models), way=self.direction)
        return scores

    def names(self) -> list[str]:
        """Those of the files of the measured images."""
        return [self.side.name_of(number) for number in self.measured]

    def looked_at(self, number: int) -> dict[str, Tensor]:
        """An image, the output of each model, and its translation back, uint8 (C, H, W)."""
        given = self.side.rows([number]).images
        made, back, _, _ = self._answers(given)
        kinds = {INPUT: given}
        for name in self.models:
            kinds |= {name: made[name], f"{name} and back": back[name]}
        return {answer: images[0] for answer, images in zip(kinds, alike(*kinds.values()), strict=True)}

    def shown(self) -> list[Shown]:
        """Images evenly taken, and those that changed least and most."""
        chosen = choose(self.columns, [CYCLE], list(self.models), len(self.measured))
        names = self.names()
        return [
            Shown(self.measured[row], names[row], tuple(f"{one}, {self.direction}" for one in why),
                  self.looked_at(self.measured[row]), self.direction)
            for row, why in sorted(chosen.items())
        ]  # fmt: skip

    def grid(self) -> Tensor:
        """Image, its translation and the translation back, below each other; uint8 (N, C, H, W)."""
        across = samples.columns(self.side.spec.size)
        rows: Sequence[int] = evenly(len(self.side), across)
        return bands([[torch.stack(list(self.looked_at(row).values())) for row in rows]], across)

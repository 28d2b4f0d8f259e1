"""Evaluating one model, and comparing several."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganvas import evaluation, report
from ganvas import progress as bars
from ganvas.api.models import Model, load
from ganvas.core import settings
from ganvas.core.atomic_io import make_folder
from ganvas.core.device import find_device
from ganvas.core.options import Data, EvaluateOptions, File
from ganvas.data.progress import silently
from ganvas.errors import SettingError, UsageError
from ganvas.evaluation import models as evaluated
from ganvas.evaluation.evaluate import evaluate as evaluate_request
from ganvas.inference.places import require_free


@dataclass(frozen=True)
class Report:
    """What an evaluation has found; `evaluate` and `compare` return one.

    `names` are those of its scores, in small letters with underscores; `report["psnr"]` or `report["fid_digits"]` is a
    score. It has a `value` (of the first model), `values` by model and baseline, each with a `value` and the ends
    `low` and `high` of its 95 % interval, and `differences`. A report is also an iterable of its scores.

    Attributes:
        found: all of it.

    Example:
        >>> import ganvas
        >>> model = ganvas.train("gan", "digits", "runs/gan", steps=2)
        >>> report = ganvas.evaluate(model, "digits", count=60)
        >>> report.names[:3]
        ['fid_digits', 'kid_digits', 'swd']
        >>> fid = report["fid_digits"].values["gan"]
        >>> fid.low < fid.value < fid.high
        True
        >>> report.save("report")[0].name
        'index.html'
    """

    found: evaluation.Evaluation

    def __getitem__(self, name: str) -> evaluation.Score:
        known = {_plain(score.name): score for score in self.found.scores}
        if _plain(name) not in known:
            raise SettingError(f"{name}: not among the scores; {settings.nearest(_plain(name), known)}")
        return known[_plain(name)]

    def __iter__(self) -> Iterator[evaluation.Score]:
        return iter(self.found.scores)

    @property
    def names(self) -> list[str]:
        """The names of the scores."""
        return [_plain(score.name) for score in self.found.scores]

    @property
    def verdict(self) -> str:
        """What it comes to, in one sentence."""
        return self.found.verdict

    @property
    def notes(self) -> list[str]:
        """What is to be known before the scores are believed."""
        return list(self.found.notes)

    def to_json(self) -> dict[str, Any]:
        """What metrics.json holds."""
        return self.found.to_json()

    def save(self, folder: File, *, standalone: bool = False, overwrite: bool = False) -> list[Path]:
        """Write the folder that `ganvas evaluate` writes: index.html, report.md, metrics.json, metrics.csv, images.

        Args:
            folder: where; it is made if it is not there.
            standalone: put the images into index.html itself, so that it can be mailed alone.
            overwrite: replace what an earlier evaluation left there.

        Returns:
            The files, index.html first.

        Raises:
            SaveError: if they cannot be written.
            UsageError: if an evaluation is there already; nothing is written.
        """
        require_free([Path(folder) / evaluation.NUMBERS], overwrite=overwrite)
        written = evaluation.write(make_folder(Path(folder)), self.found)
        return [*report.write_report(Path(folder), inside=standalone), *written.values()]

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {self[name].measure.written(self[name].value)}" for name in self.names)
        return f"Report({self.found.title}: {scores}; {self.verdict})"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def evaluate(
    model: Model | File,
    data: Any,
    options: EvaluateOptions = EvaluateOptions(),
    *,
    all_checkpoints: bool = False,
    progress: bool = False,
    **keywords: Any,
) -> Report:
    """Score a model on images that it has not seen, with how sure the scores are.

    Of a named data set the test part is taken, and of the folder that a model learned from what was held out; images
    that it learned from are named and left out.

    Args:
        model: a model, or the path of one.
        data: as in `train`: real images, or the sources of pairs.
        options: the direction, how many images, which networks look at them, and so on.
        all_checkpoints: every checkpoint of the run side by side.
        progress: whether to show a progress bar.
        **keywords: fields of `Data` and `EvaluateOptions`.

    Raises:
        DataError: for images that cannot be used.
        UsageError: for options that do not fit the model.
    """
    data, options = _with_keywords(Data.of(data), options, keywords)
    if all_checkpoints:
        path = model.path if isinstance(model, Model) else Path(model)
        found = evaluated.checkpoints_of(path, find_device(options.device))
    else:
        found = evaluated.by_name([_contender(model, options)])
    return _report(found, data, options, progress)


def compare(
    models: Sequence[Model | File] | Mapping[str, Model | File],
    data: Any,
    options: EvaluateOptions = EvaluateOptions(),
    *,
    progress: bool = False,
    **keywords: Any,
) -> Report:
    """Score several models on the same images, and say which is better, by how much, and how sure that is.

    Args:
        models: two or more, of any methods that do the same; or a mapping of names to them, which may be one.
        data: as in `evaluate`.
        options: as in `evaluate`.
        progress: whether to show a progress bar.
        **keywords: fields of `Data` and `EvaluateOptions`.

    Raises:
        DataError: for images that cannot be used.
        UsageError: for models that do different things, or options that do not fit them.
    """
    data, options = _with_keywords(Data.of(data), options, keywords)
    if isinstance(models, str | Path):
        raise UsageError("`models`: give two or more, in a list")
    if isinstance(models, Mapping):
        evaluated.require_names(models)
        found = {name: _contender(model, options) for name, model in models.items()}
    else:
        evaluated.require_different([Path(model) for model in models if not isinstance(model, Model)])
        each = [_contender(model, options) for model in models]
        known = [(one.path.resolve(), one.model.step) for one in each]
        if twice := next((key for key in known if known.count(key) > 1), None):
            raise UsageError(f"{twice[0]}: is given twice; give each model once")
        found = evaluated.by_name(each)
    if len(found) < (1 if isinstance(models, Mapping) else 2):
        raise UsageError("`models`: give two or more")
    return _report(found, data, options, progress)


def _contender(model: Model | File, options: EvaluateOptions) -> evaluated.Contender:
    one = model if isinstance(model, Model) else load(model, device=options.device)
    return evaluated.contender(one.path, one._loaded)


def _with_keywords(data: Data, options: EvaluateOptions, keywords: Mapping[str, Any]) -> tuple[Data, EvaluateOptions]:
    if not isinstance(options, EvaluateOptions):
        raise UsageError("`options`: expected EvaluateOptions; several models are given in a list")
    of_data, of_options = settings.names_of(data), settings.names_of(options)
    for name in keywords:
        if name not in of_data | of_options:
            known = sorted(of_data | of_options)
            raise SettingError(f"`{name}`: no such option; {settings.nearest(name, known)}")
    return (
        replace(data, **{name: value for name, value in keywords.items() if name in of_data}),
        replace(options, **{name: value for name, value in keywords.items() if name in of_options}),
    )


def _report(models: Mapping[str, evaluated.Contender], data: Data, options: EvaluateOptions, progress: bool) -> Report:
    return Report(evaluate_request(evaluated.Request(models, data, options, bars.track if progress else silently)))

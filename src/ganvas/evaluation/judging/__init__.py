"""Evaluate one model, or several side by side, in the way that fits what they do."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ganvas.core.options import Data, EvaluateOptions
from ganvas.errors import UsageError
from ganvas.evaluation.judging.generators import NETWORKS, judge_generators
from ganvas.evaluation.judging.models import (
    Contender,
    Request,
    by_name,
    checkpoints_of,
    contender,
    contenders,
    require_different,
    require_names,
)
from ganvas.evaluation.judging.style import judge_style
from ganvas.evaluation.judging.translators import judge_translators
from ganvas.evaluation.results import Evaluation
from ganvas.methods._base import Kind, kind_of

__all__ = [
    "Contender",
    "Request",
    "by_name",
    "checkpoints_of",
    "contender",
    "contenders",
    "judge",
    "require_different",
    "require_names",
]

FEATURES = ("auto", "none", "vgg", *NETWORKS)


def judge(request: Request) -> Evaluation:
    """Evaluate models, all of which do the same; options that do not apply to such models are refused.

    Raises:
        UsageError: for models that cannot be compared, or options that do not fit them.
        DataError: for images that cannot be used.
        ModelError: for models that cannot be evaluated.
    """
    options, data = request.options, request.data
    if options.features not in FEATURES:
        raise UsageError(f"`features` {options.features}: expected {', '.join(FEATURES)}")
    _refuse(data, ("holdout", "flip", "random_crop"), "is for training; the models know what was held out")
    pairs = bool(data.target or data.side or data.task)
    kind = _one_kind(request.models, pairs=pairs)
    name = next(iter(request.models.values())).model.manifest.method
    if kind == "paints":
        _refuse(options, ("count",), "is for models that generate, and this one paints")
        if options.inception_weights or options.features in (*NETWORKS, "none"):
            given = "inception_weights" if options.inception_weights else "features"
            _refuse(options, (given,), "is for models that generate or translate, and this one paints")
        words = f"is for images with partners; this {name} model paints in a style"
        _refuse(data, ("side", "task"), words)
        _refuse(options, ("direction", "lpips", "paired", "images_only"), words)
        return judge_style(request)
    if kind == "translates":
        _refuse(options, ("count",), "is for models that generate, and this one translates")
        if options.features == "digits":
            _refuse(options, ("features",), "is for models that generate")
        _refuse(data, ("style",), f"is for models of style, and this is one of {name}")
        if options.inception_weights and options.features != "inception":
            raise UsageError(
                f"`inception_weights` {options.inception_weights}: are Inception's; add `features` inception, or leave "
                "it out"
            )
        return judge_translators(request)
    words = f"is for models that translate; this {name} model generates"
    _refuse(data, ("side", "task", "target", "size", "style"), words)
    _refuse(options, ("direction", "lpips", "paired", "images_only"), words)
    if options.features in ("vgg", "none"):
        raise UsageError(
            f"`features` {options.features}: this {name} model generates; expected auto, {' or '.join(NETWORKS)}"
        )
    return judge_generators(request)


def _one_kind(models: Mapping[str, Contender], *, pairs: bool) -> Kind:
    """What all models do.

    Raises:
        UsageError: if they do different things, saying which can be compared.
    """
    groups: dict[Kind, list[str]] = {}
    for name, one in models.items():
        groups.setdefault(kind_of(one.model.method, pairs=pairs), []).append(name)
    if len(groups) > 1:
        said = "; ".join(
            f"{' and '.join(names)} {kind if len(names) == 1 else kind.removesuffix('s')}"
            for kind, names in groups.items()
        )
        raise UsageError(f"models that do different things: {said}; compare those that do the same")
    return next(iter(groups))


def _refuse(value: Data | EvaluateOptions, names: tuple[str, ...], why: str) -> None:
    """Raise UsageError for an option that is given and does not apply."""
    usual: dict[str, Any] = {field.name: field.default for field in fields(value)}
    for name in names:
        given = getattr(value, name)
        if given != usual[name]:
            shown = given[0] if isinstance(given, tuple) else "" if given is True else given
            raise UsageError(f"{f'`{name}` {shown}'.rstrip()}: {why}; leave it out")

"""Evaluate one model, or several side by side, in the way that fits what they do."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ganvas.core.options import Data, EvaluateOptions, vgg_file
from ganvas.errors import UsageError
from ganvas.evaluation.models import Contender, Request
from ganvas.evaluation.opening.generators import evaluate_generators
from ganvas.evaluation.opening.style import evaluate_painters
from ganvas.evaluation.opening.translators import evaluate_translators
from ganvas.evaluation.results import Evaluation, in_words
from ganvas.methods._base import Kind, kind_of

EVALUATE: dict[Kind, Callable[[Request], Evaluation]] = {
    "generates": evaluate_generators,
    "translates": evaluate_translators,
    "paints": evaluate_painters,
}
FEATURES: dict[Kind, tuple[str, ...]] = {
    "generates": ("auto", "digits", "inception"),
    "translates": ("auto", "none", "vgg", "inception"),
    "paints": ("auto", "vgg"),
}


def evaluate(request: Request) -> Evaluation:
    """Evaluate models, all of which do the same; options that have no use for such models are refused.

    Raises:
        UsageError: for models that cannot be compared, or options that do not fit them.
        DataError: for images that cannot be used.
        ModelError: for models that cannot be evaluated.
    """
    data, options = request.data, request.options
    names = sorted({name for of_kind in FEATURES.values() for name in of_kind})
    if options.features not in names:
        raise UsageError(f"`features` {options.features}: expected {in_words(names, 'or')}")
    kind = _one_kind(request.models, pairs=bool(data.target or data.side or data.task))
    method = next(iter(request.models.values())).model.manifest.method
    for name, why in _without_use(kind, method, options).items():
        for value in (data, options):
            _refuse(value, name, why)
    if options.features not in FEATURES[kind]:
        expected = in_words(FEATURES[kind], "or")
        raise UsageError(f"`features` {options.features}: this {method} model {kind}; expected {expected}")
    return EVALUATE[kind](request)


def _one_kind(models: Mapping[str, Contender], *, pairs: bool) -> Kind:
    """What all models do.

    Raises:
        UsageError: if they do different things, saying which can be compared.
    """
    groups: dict[Kind, list[str]] = {}
    for name, one in models.items():
        groups.setdefault(kind_of(one.model.method, pairs=pairs), []).append(name)
    if len(groups) > 1:
        words = "; ".join(
            f"{' and '.join(names)} {kind if len(names) == 1 else kind.removesuffix('s')}"
            for kind, names in groups.items()
        )
        raise UsageError(f"models that do different things: {words}; compare those that do the same")
    return next(iter(groups))


def _without_use(kind: Kind, method: str, options: EvaluateOptions) -> dict[str, str]:
    """The options that have no use for models of a kind, each with the reason and what to do."""
    does, pairs = f"this {method} model {kind}", ("side", "task")
    measures = ("direction", "lpips", "paired", "images_only")
    why = dict.fromkeys(("holdout", "flip", "random_crop"), "is for training; the models know what was held out")
    networks = {}
    if kind == "generates":
        why |= dict.fromkeys((*pairs, "target", "size", "style", *measures), f"is for models that translate; {does}")
        why["vgg_weights"] = f"is for models that translate or paint; {does}"
    elif kind == "paints":
        why |= dict.fromkeys((*pairs, *measures), f"is for images with partners; {does}")
        why |= {"count": f"is for models that generate; {does}"}
        why |= {"inception_weights": f"is for models that generate or translate; {does}"}
    else:
        why |= {"count": f"is for models that generate; {does}", "style": f"is for models of style; {does}"}
        networks = {"vgg": "vgg_weights", "inception": "inception_weights"}
    unread = {
        name: f"is for `features` {network}; add it, or leave this out"
        for network, name in networks.items()
        if network != options.features
    }
    return {name: f"{reason}; leave it out" for name, reason in why.items()} | unread


def _refuse(value: Data | EvaluateOptions, name: str, why: str) -> None:
    """Raise UsageError for an option that is given; `value` may not have it."""
    usual: dict[str, Any] = {field.name: field.default for field in fields(value)}
    if name not in usual or (given := getattr(value, name)) == usual[name]:
        return
    if name == "vgg_weights" and Path(given) == vgg_file(None):  # GANVAS_WEIGHTS is for every command
        return
    shown = given[0] if isinstance(given, tuple) else "" if given is True else given
    raise UsageError(f"{f'`{name}` {shown}'.rstrip()}: {why}")

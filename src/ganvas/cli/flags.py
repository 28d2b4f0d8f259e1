"""How the fields of the values that a command takes become flags."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from ganvas.cli.flag_types import ADVANCED, MODEL, OUTPUT, whole
from ganvas.cli.sentences import VALUES, with_flags
from ganvas.core.options import Budget, Data, EvaluateOptions, TrainOptions

_GROUPS = {  # of help, by whose fields they are
    Data: Group("Data", sort_key=1),
    Budget: Group("Length", sort_key=2),
    TrainOptions: Group("Training", sort_key=4),
    EvaluateOptions: Group("Evaluation", sort_key=4),
}
_BY_NAME = {"Output": OUTPUT, "Advanced": ADVANCED}


def with_values(
    command: Callable[..., Any],
    *,
    only: Mapping[type, Sequence[str]] | None = None,
    hidden: Collection[str] = (),
    presets: str | None = None,
) -> Callable[..., Any]:
    """The command with the fields of the values that it takes as flags.

    `only` names those that it has a use for; those that are `hidden` are understood, and not shown in its help. The
    help of `preset` names the `presets`; where there are none, it is not shown.
    """
    own = inspect.signature(command).parameters
    values = {name: parameter.annotation for name, parameter in own.items() if parameter.annotation in VALUES}
    places: dict[str, tuple[str, str]] = {}  # flag's parameter: the value, and its field
    shown: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if name in ("method", "preset") and presets is not None:  # the method is named already
            words = f"the settings of a paper or a course: {presets}"
            how = Parameter(help=words, group=MODEL, show=bool(presets) and name == "preset")
            shown.append(parameter.replace(annotation=Annotated[parameter.annotation, how]))
            continue
        if name not in values:
            shown.append(parameter)
            continue
        cls = values[name]
        hints = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if only and cls in only and field.name not in only[cls]:
                continue
            flag = (field.metadata["flag"] or field.name).replace("-", "_")
            places[flag] = (name, field.name)
            group = _BY_NAME.get(field.metadata["group"], _GROUPS[cls])
            shown.append(_parameter(flag, field, hints[field.name], group, show=field.name not in hidden))

    @functools.wraps(command)
    def call(*args: Any, **flags: Any) -> Any:
        given: dict[str, dict[str, Any]] = {name: {} for name in values}
        for flag, (name, field) in places.items():
            if flag in flags:
                given[name][field] = flags.pop(flag)
        return command(*args, **flags, **{name: cls(**given[name]) for name, cls in values.items()})

    return signed(call, sorted(shown, key=lambda parameter: parameter.kind))


def signed(call: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Callable[..., Any]:
    """The function as one of these parameters."""
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameter(name: str, field: "dataclasses.Field[Any]", hint: Any, group: Group, *, show: bool) -> inspect.Parameter:
    """A field as a flag."""
    required = name == "data"
    kind = _kind(hint)
    how = Parameter(
        help=with_flags(field.metadata["help"]),
        group=group,
        show=show,
        env_var=field.metadata["env"] or None,
        converter=whole if kind in (int, int | None) else None,
        negative="" if kind is bool or get_origin(kind) is tuple else None,
        consume_multiple=True if get_origin(kind) is tuple else None,
        show_default=False if field.default in (None, (), "") or field.default is False else None,
    )
    default = inspect.Parameter.empty if required else field.default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, how])


def _kind(hint: Any) -> Any:
    """A field's type as a command line knows it: what may be a string or a path is a path."""
    if hint is Any:
        return str
    if get_origin(hint) is tuple:
        kind = _kind(get_args(hint)[0])
        return tuple[kind, ...]  # type: ignore[valid-type]
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not NoneType]
        kind = Path if Path in parts else parts[0]
        return kind | None if NoneType in get_args(hint) else kind
    return hint

"""How the parameters of a command, and the fields of values that it takes, become flags."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from ganvas import methods
from ganvas.core import settings
from ganvas.core.options import Budget, Data, EvaluateOptions, TrainOptions
from ganvas.errors import UsageError

if TYPE_CHECKING:  # it loads torch
    from ganvas.methods._base import BaseConfig
    from ganvas.style import StylizeConfig


def _whole(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number; 1e4 is one, 1.5 is not (and is not rounded)."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


Count = Annotated[int, Parameter(converter=_whole, validator=Number(gte=1))]
Seed = Annotated[int, Parameter(converter=_whole, validator=Number(gte=0, lt=2**62))]
Share = Annotated[float, Parameter(validator=Number(gte=0, lt=1))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Repeated = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]
Words = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
Seeds = Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
Several = Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
DataRoot = Annotated[Path, Parameter(env_var="GANVAS_DATA")]
FeatureFile = Annotated[Path | None, Parameter(env_var="GANVAS_WEIGHTS")]
Typed = Annotated[str, Parameter(parse=False)]  # this and the next are put in by `with_settings`, not typed
Prepared = Annotated[Any, Parameter(parse=False)]  # settings, which cyclopts could look up only with torch loaded

GROUPS = {  # of help, in this order, by whose fields they are
    Data: Group("Data", sort_key=1),
    Budget: Group("Length", sort_key=2),
    TrainOptions: Group("Training", sort_key=4),
    EvaluateOptions: Group("Evaluation", sort_key=4),
}
SETTINGS = Group("Model", sort_key=3)
OUTPUT = Group("Output", sort_key=5)
ADVANCED = Group("Advanced", sort_key=6)
_BY_NAME = {"Output": OUTPUT, "Advanced": ADVANCED}


# --- words ----------------------------------------------------------------------------------------------------------

_ELSEWHERE = {"root": "data-root", "source": "data"}  # fields whose flag has another name
_OF_COMMANDS = (
    "all_checkpoints", "between", "columns", "config", "count", "data", "data_root", "direction", "format", "held_out",
    "held_out_target", "init_from", "keep_colors", "label", "mask", "methods", "only", "out", "overwrite", "preset",
    "run", "seeds", "smooth", "standalone", "statistics", "strength", "tile", "unpaired",
)  # fmt: skip


@functools.cache
def _parameters() -> frozenset[str]:
    """The names of all that a command may be given; settings are read from the files of the methods, without torch."""
    values = (Data, Budget, TrainOptions, EvaluateOptions)
    fields = {field.name for cls in values for field in dataclasses.fields(cls)}
    folder = Path(methods.__file__).parent
    files = [*folder.glob("*.py"), folder.parent / "style/config.py"]
    said = (re.findall(r"^    (\w+): .*= *(?:setting|with_default)\(", file.read_text("utf-8"), re.M) for file in files)
    return frozenset({*fields, *_OF_COMMANDS, *(name for names in said for name in names)})


def with_flags(text: str) -> str:
    """A sentence with its parameters written as flags: `learning_rate` becomes --learning-rate."""

    def flag(found: re.Match[str]) -> str:
        name = found[1]
        return f"--{_ELSEWHERE.get(name, name.replace('_', '-'))}" if name in _parameters() else found[0]

    return re.sub(r"`([a-z][a-z0-9_]*)`", flag, text)


# --- values ---------------------------------------------------------------------------------------------------------


def with_values(
    command: Callable[..., None],
    *,
    only: Mapping[type, Sequence[str]] | None = None,
    hidden: Collection[str] = (),
    presets: str | None = None,
) -> Callable[..., None]:
    """The command with the fields of the values that it takes as flags.

    `only` names those that it has a use for; those that are `hidden` are understood, and not shown in its help. The
    help of `preset` names the `presets`; where there are none, it is not shown.
    """
    own = inspect.signature(command).parameters
    values = {name: parameter.annotation for name, parameter in own.items() if parameter.annotation in GROUPS}
    places: dict[str, tuple[str, str]] = {}  # flag's parameter: the value, and its field
    shown: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if name == "method" and presets is not None:  # it is named already
            how = Parameter(show=False)
            shown.append(parameter.replace(annotation=Annotated[parameter.annotation, how]))
            continue
        if name == "preset" and presets is not None:
            words = f"the settings of a paper or a course: {presets}"
            how = Parameter(help=words, group=SETTINGS, show=bool(presets))
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
            group = _BY_NAME.get(field.metadata["group"], GROUPS[cls])
            shown.append(_parameter(flag, field, hints[field.name], group, show=field.name not in hidden))

    @functools.wraps(command)
    def call(*args: Any, **flags: Any) -> None:
        given: dict[str, dict[str, Any]] = {name: {} for name in values}
        for flag, (name, field) in places.items():
            if flag in flags:
                given[name][field] = flags.pop(flag)
        command(*args, **flags, **{name: cls(**given[name]) for name, cls in values.items()})

    return _signed(call, sorted(shown, key=lambda parameter: parameter.kind))


def _signed(call: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
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
        converter=_whole if kind in (int, int | None) else None,
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


# --- settings -------------------------------------------------------------------------------------------------------


def with_settings(
    command: Callable[..., None], config: "BaseConfig | StylizeConfig", typed: str, *, group: Group
) -> Callable[..., None]:
    """The command with these settings as further flags, whose defaults are those of `config`."""
    own = inspect.signature(command).parameters
    sentences = settings.help_of(type(config), bounds=False)
    extra = {
        parameter.name: parameter.replace(
            annotation=Annotated[parameter.annotation, _parse(parameter, sentences, group=group)]
        )
        for parameter in settings.parameters(config)
        if parameter.name not in own
    }
    hidden = {name: value for name, value in (("config", config), ("typed", typed)) if name in own}

    @functools.wraps(command)
    def call(*args: Any, **flags: Any) -> None:
        chosen = {name: flags.pop(name) for name in extra if name in flags}
        command(*args, **flags, **hidden | {"config": dataclasses.replace(config, **chosen)})

    shown = [parameter for name, parameter in own.items() if name not in hidden]
    return _signed(call, [*shown, *extra.values()])


def _parse(setting: inspect.Parameter, sentences: Mapping[str, str], *, group: Group) -> Parameter:
    is_list = get_origin(setting.annotation) is tuple
    return Parameter(
        help=with_flags(sentences[setting.name]),
        group=group,
        converter=_whole if setting.annotation is int else None,
        consume_multiple=True if is_list else None,
        negative="" if is_list else None,
        show_default=False if setting.default == () else None,
    )


def value_of(flag: str, tokens: Sequence[str]) -> str | None:
    """What follows a flag among the words of a command line, or stands behind its equals sign; None where neither."""
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token == flag:
            return after
        if token.startswith(flag + "="):
            return token.removeprefix(flag + "=")
    return None


def with_a_method(config: "BaseConfig | None") -> "BaseConfig":
    """The settings that `with_settings` put in.

    Raises:
        UsageError: if it did not, for the words did not begin with a method.
    """
    if config is None:
        raise UsageError("the method comes first, before the flags: ganvas train METHOD --data ...")
    return config

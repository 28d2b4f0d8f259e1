"""How the parameters of a command, and the settings of a method, become flags."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from ganvas.core import settings
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
Keep = Annotated[int, Parameter(converter=_whole, validator=Number(gte=2))]  # one could be broken by the disk
Seed = Annotated[int, Parameter(converter=_whole, validator=Number(gte=0, lt=2**62))]
Share = Annotated[float, Parameter(validator=Number(gte=0, lt=1))]
Flag = Annotated[bool, Parameter(negative="")]
Device = Literal["auto", "cpu", "cuda", "mps"]
Repeated = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]
Words = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
Seeds = Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
Several = Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
DataRoot = Annotated[Path, Parameter(env_var="GANVAS_DATA")]
FeatureFile = Annotated[Path | None, Parameter(env_var="GANVAS_WEIGHTS")]
Typed = Annotated[str, Parameter(parse=False)]  # this and the next are put in by `with_settings`, not typed
Prepared = Annotated[Any, Parameter(parse=False)]  # settings, which cyclopts could look up only with torch loaded


def with_settings(
    command: Callable[..., None], config: "BaseConfig | StylizeConfig", typed: str, *, group: str
) -> Callable[..., None]:
    """The command with these settings as further flags, whose defaults are those of `config`."""
    own = inspect.signature(command).parameters
    sentences = settings.help_of(type(config))
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
    call.__signature__ = inspect.Signature([*shown, *extra.values()])  # type: ignore[attr-defined]
    return call


def _parse(setting: inspect.Parameter, sentences: Mapping[str, str], *, group: str) -> Parameter:
    is_list = get_origin(setting.annotation) is tuple
    return Parameter(
        help=sentences[setting.name],
        group=group,
        converter=_whole if setting.annotation is int else None,
        consume_multiple=True if is_list else None,
        negative="" if is_list else None,
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

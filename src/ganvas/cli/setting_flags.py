"""How settings become flags: their names are read at once, and what they mean once torch is loaded."""

import dataclasses
import functools
import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_origin

from cyclopts import App, Group, Parameter

from ganvas import methods
from ganvas.cli.flag_types import MODEL, Later, Words, whole
from ganvas.cli.flags import signed, with_values
from ganvas.cli.sentences import settings_in, with_flags
from ganvas.core import settings
from ganvas.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings that a command line brings along as further flags.

    Attributes:
        files: where they are defined.
        load: gives them with the values of their preset; loads torch.
        group: of help.
        fit: makes the flags of the command's values from it and its settings, with only those in help that they use.
        example: gives a command line in place of the first example in help, if it gives any.
    """

    files: Sequence[Path]
    load: Callable[[], Any]
    group: Group
    fit: Callable[[Callable[..., Any], Any], Callable[..., Any]] = lambda run, _: with_values(run)
    example: Callable[[], str] = lambda: ""


def of_method(tokens: Sequence[str]) -> Settings | None:
    """The settings of the method that a command line begins with; None if it does not.

    Raises:
        SettingError: if there is no such method.
    """
    name = [*tokens, "", ""][1]
    if not name or name.startswith("-"):
        return None
    file = methods.file(name)

    def fit(run: Callable[..., Any], config: Any) -> Callable[..., Any]:
        presets = ", ".join(methods.get(name).presets)
        return with_values(run, hidden=methods.of_no_use(name, config), presets=presets)

    return Settings(
        files=(file.with_name("_base.py"), file),
        load=lambda: methods.config(name, value_of("--preset", tokens)),
        group=MODEL,
        fit=fit,
    )


def require_method(config: Later) -> None:
    """Raise UsageError if there are no settings, for the words did not begin with a method."""
    if config is None:
        raise UsageError("the method comes first, before the flags: ganvas train METHOD --data ...")


def with_help(run: Callable[..., Any], given: Settings) -> Callable[..., Any]:
    """The command with the settings as further flags, for its help: with sentences, types and defaults."""
    config = given.load()
    shown = given.fit(run, config)
    own = inspect.signature(shown).parameters
    more = [each for each in _parameters(config, group=given.group) if each.name not in own]
    return signed(shown, [*_public(own), *more])


def with_words(run: Callable[..., Any], given: Settings, tokens: Sequence[str]) -> Callable[..., Any]:
    """The command with the settings as further flags whose values are not looked at, for which no torch is needed.

    It gets them as `config`, a function to be called once everything else is checked.
    """
    own = inspect.signature(run).parameters
    written = {name: kind for name, kind in settings_in(given.files).items() if name not in own}
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_as_words(kind))
        for name, kind in written.items()
    ]
    typed = {"typed": shlex.join(["ganvas", *tokens])} if "typed" in own else {}

    @functools.wraps(run)
    def call(*args: Any, **flags: Any) -> Any:
        words = {name: flags.pop(name) for name in written if name in flags}
        return run(*args, **flags, **typed, config=lambda: _read(given.load(), words))

    return signed(call, [*_public(own), *extra])


def _public(own: Mapping[str, inspect.Parameter]) -> list[inspect.Parameter]:
    """The parameters that are typed."""
    return [parameter for name, parameter in own.items() if name not in ("typed", "config")]


def _as_words(kind: str) -> Any:
    """A type that takes as many words as one that is written so, and looks at none."""
    return bool if kind == "bool" else Words if kind.startswith("tuple") else str


def _read(config: Any, words: Mapping[str, Any]) -> Any:
    """The settings with the values that these words mean, which are as `_as_words` took them."""
    tokens = list[str]()
    for name, given in words.items():
        flag = settings.flag(name)
        match given:
            case bool():
                tokens.append(flag if given else f"--no-{flag[2:]}")
            case str():
                tokens.append(f"{flag}={given}")
            case _:
                tokens += [flag, *given]

    def chosen(**flags: Any) -> Any:
        return dataclasses.replace(config, **flags)

    app = App(help_flags=[], version_flags=[])
    app.default(signed(chosen, _parameters(config, group=MODEL)))
    return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")


def _parameters(config: Any, *, group: Group) -> list[inspect.Parameter]:
    """The settings as flags, whose defaults are those of `config`."""
    sentences = settings.help_of(type(config), bounds=False)
    return [
        parameter.replace(annotation=Annotated[parameter.annotation, _how(parameter, sentences, group=group)])
        for parameter in settings.parameters(config)
    ]


def _how(setting: inspect.Parameter, sentences: Mapping[str, str], *, group: Group) -> Parameter:
    is_list = get_origin(setting.annotation) is tuple
    return Parameter(
        help=with_flags(sentences[setting.name]),
        group=group,
        converter=whole if setting.annotation is int else None,
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

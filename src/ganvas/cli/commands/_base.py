"""What a command says of itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ganvas.cli.setting_flags import Settings


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        run: what it does; its docstring is the help, its parameters are the flags.
        usage: the words that follow its name.
        examples: two command lines, without `ganvas`, at the end of its help.
        only: of the values that it takes, the fields that it has a use for; by default all of them.
        settings: the settings that a command line brings along as further flags, if any.
    """

    run: Callable[..., None]
    usage: str
    examples: tuple[str, str]
    only: Mapping[type, Sequence[str]] = field(default_factory=dict)
    settings: Callable[[Sequence[str]], Settings | None] = lambda _: None

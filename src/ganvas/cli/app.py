"""The commands, and what becomes of an error: one line and an exit status."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError

from ganvas import __version__
from ganvas.cli import commands, console
from ganvas.cli.commands._base import Command
from ganvas.cli.flags import with_values
from ganvas.cli.sentences import with_flags
from ganvas.cli.setting_flags import Settings, with_help, with_words
from ganvas.cli.words import as_now
from ganvas.errors import GanvasError, Interrupted, UsageError
from ganvas.progress import err, speaking


def make_app(tokens: Sequence[str]) -> App:
    """The parser for these words: a method that they name brings its settings along as flags.

    Raises:
        SettingError: if there is no such method.
    """
    app = App(
        name="ganvas",
        version=__version__,
        help="Train image generators and translators on your own images, and use them. Start with `ganvas demo`.",
        help_format="markdown",
        suppress_keyboard_interrupt=False,
        help_epilogue="`ganvas COMMAND --help` says more; `ganvas train METHOD --help` shows its settings too.",
    )
    typed, known = next(iter(tokens), ""), commands.names()
    for name in [typed] if typed in known else known:
        command = commands.get(name)
        settings = command.settings(tokens) if name == typed else None
        run, examples = _with_flags(command, settings, tokens)
        shown = "\n".join(["Examples:", *(f"- `ganvas {example}`" for example in examples)])
        app.command(run, name=name, usage=f"Usage: ganvas {name} {command.usage}", help_epilogue=shown)
    return app


def _with_flags(
    command: Command, settings: Settings | None, tokens: Sequence[str]
) -> tuple[Callable[..., Any], Sequence[str]]:
    """What a command runs, and its examples: only help looks at more of its settings than their names."""
    if settings is None:
        return with_values(command.run, only=command.only), command.examples
    if {"--help", "-h"}.isdisjoint(tokens):
        return with_words(with_values(command.run), settings, tokens), command.examples
    with console.loading():
        return with_help(command.run, settings), (settings.example() or command.examples[0], command.examples[1])


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 done, 1 failed, 2 wrong use or input, 130 interrupted."""
    tokens = sys.argv[1:] if tokens is None else tokens
    for stream in (sys.stdout, sys.stderr):  # a name must not end the work because a terminal or a file cannot hold it
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _speak_for_all(tokens)
        with warnings.catch_warnings(), speaking(with_flags):
            tokens = as_now(tokens)
            warnings.filterwarnings("ignore", module="PIL")  # of oddities in files that can be read all the same
            make_app(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except GanvasError as error:
        return _fail(str(error), error.exit_status)
    except CycloptsError as error:
        return _fail(str(error), UsageError.exit_status)
    except OSError as error:  # such as a path that may not be looked at, or is too long to be one
        return _fail(f"{error.filename or ''}: {error.strerror or error}", UsageError.exit_status)
    except (RuntimeError, MemoryError) as error:
        from ganvas.inference.translate import lacks_memory  # after torch, which has raised it

        if not lacks_memory(error):
            raise
        return _fail("takes more memory than there is; give a smaller --batch or --size", GanvasError.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept", Interrupted.exit_status)
    return 0


def _speak_for_all(tokens: Sequence[str]) -> None:
    """Where several processes run this command line, let the first one speak.

    Raises:
        UsageError: for a command that several would do several times.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return
    from ganvas.core import distributed  # which loads torch

    rank, count = distributed.announced()
    if count == 1:
        return
    if list(tokens[:1]) != ["train"]:
        raise UsageError(f"{count} processes: only `ganvas train` shares its work; start this command without torchrun")
    if rank:
        console.silence()


def _fail(message: str, status: int) -> int:
    line = with_flags(" ".join(message.split()))
    console.say(f"ganvas: {line}")
    if err.quiet and status != Interrupted.exit_status:  # what only this process has met must be heard
        sys.stderr.write(f"ganvas (process {os.environ['RANK']}): {line}\n")
    return status

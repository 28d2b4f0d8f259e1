"""The commands, and what becomes of an error: one line and an exit status."""

import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError, Group

from ganvas import __version__, methods
from ganvas.cli import console
from ganvas.cli.doctor import doctor
from ganvas.cli.evaluate import compare, evaluate
from ganvas.cli.flags import SETTINGS, value_of, with_flags, with_settings, with_values
from ganvas.cli.generate import generate
from ganvas.cli.import_weights import import_weights
from ganvas.cli.methods import describe, show_methods
from ganvas.cli.shards import shards
from ganvas.cli.study import study
from ganvas.cli.stylize import settings_of_stylize, stylize
from ganvas.cli.train import demo, train
from ganvas.cli.translate import translate
from ganvas.cli.words import as_now
from ganvas.core.options import Data
from ganvas.errors import GanvasError, Interrupted, UsageError
from ganvas.progress import err, speaking

COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "demo": (demo, "[OPTIONS]"),
    "methods": (show_methods, "[--json]"),
    "describe": (describe, "METHOD [OPTIONS]"),
    "doctor": (doctor, "SOURCE [OPTIONS]"),
    "shards": (shards, "SOURCE [OPTIONS]"),
    "train": (train, "METHOD --data SOURCE [OPTIONS]"),
    "generate": (generate, "MODEL --out PATH [OPTIONS]"),
    "translate": (translate, "MODEL FILE_OR_FOLDER ... --out DIR [OPTIONS]"),
    "stylize": (stylize, "CONTENT STYLE [STYLE ...] --out FILE [OPTIONS]"),
    "import": (import_weights, "FILE --out MODEL [OPTIONS]"),
    "evaluate": (evaluate, "MODEL --data SOURCE --out DIR [OPTIONS]"),
    "compare": (compare, "MODEL MODEL ... --data SOURCE --out DIR [OPTIONS]"),
    "study": (study, "FILE --out DIR [OPTIONS]"),
}


EXAMPLES = {  # two at the end of the help of each command
    "demo": ("demo", "demo --run runs/first --seed 1"),
    "methods": ("methods", "methods --json"),
    "describe": ("describe dcgan --size 64 --channels 3", "describe pix2pix --preset paper --size 256 --channels 3"),
    "doctor": ("doctor photos --size 128", "doctor photos --target drawings --holdout 0.1"),
    "shards": ("shards photos --out photos-in-shards", "shards 'photos-{0000..0099}.tar'"),
    "train": ("train dcgan --data mnist --minutes 10", "train pix2pix --data photos --task colorize --minutes 30"),
    "generate": (
        "generate runs/mnist-cgan --label 3 --grid --out threes.png",
        "generate runs/mnist-vae --interpolate --out walk.gif",
    ),
    "translate": (
        "translate runs/colorize photos --out colored",
        "translate runs/monet photo.jpg --direction ba --out back",
    ),
    "stylize": (
        "stylize photo.jpg painting.jpg --out painted.png",
        "stylize photo.jpg one.jpg two.jpg --style-weights 1 2 --out painted.png",
    ),
    "import": (
        "import latest_net_G.pth --out horse2zebra.safetensors",
        "import latest_net_G.pt --statistics running --out monet.safetensors",
    ),
    "evaluate": (
        "evaluate runs/mnist-dcgan --data mnist --out report",
        "evaluate runs/colorize --data photos --features vgg --out report",
    ),
    "compare": (
        "compare runs/pix2pix runs/autoencoder --data photos --out report",
        "compare runs/dcgan runs/wgan --data mnist --count 2000 --out report",
    ),
    "study": (
        "study three-tasks.yaml --out studies/three",
        "study --methods pix2pix autoencoder --data photos --task colorize --minutes 10 --out colorize",
    ),
}

EVALUATING = ("evaluate", "compare")
EVALUATED: dict[type, tuple[str, ...]] = {  # of what a training learns from, that by which a model is evaluated
    Data: ("source", "target", "side", "task", "style", "size", "root")
}


def make_app(tokens: Sequence[str]) -> App:
    """The parser for these words: a method that they name brings its settings along as flags.

    Raises:
        SettingError: if the method or its preset does not exist.
    """
    app = App(
        name="ganvas",
        version=__version__,
        help="Train image generators and translators on your own images, and use them. Start with `ganvas demo`.",
        help_format="markdown",
        suppress_keyboard_interrupt=False,
        help_epilogue="`ganvas COMMAND --help` says more; `ganvas train METHOD --help` shows its settings too.",
    )
    command, method = [*tokens, "", ""][:2]
    for name, (function, words) in COMMANDS.items():
        examples = EXAMPLES.get(name, ())
        if name == command and "METHOD" in words and method and not method.startswith("-"):
            config = methods.config(method, value_of("--preset", tokens))
            typed = shlex.join(["ganvas", *tokens])
            presets = ", ".join(methods.get(method).presets)
            function = with_values(function, hidden=methods.of_no_use(method, config), presets=presets)
            function = with_settings(function, config, typed, group=SETTINGS)
            examples = (f"{name} {methods.example(method)}", *examples[1:]) if name == "train" else examples
        elif name == command == "stylize":
            ours = settings_of_stylize(value_of("--preset", tokens))
            function = with_settings(function, ours, "", group=Group("Settings", sort_key=3))
        elif name in EVALUATING:
            function = with_values(function, only=EVALUATED)
        else:
            function = with_values(function)
        shown = "\n".join(["Examples:", *(f"- `ganvas {example}`" for example in examples)])
        app.command(function, name=name, usage=f"Usage: ganvas {name} {words}", help_epilogue=shown if examples else "")
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 done, 1 failed, 2 wrong use or input, 130 interrupted."""
    tokens = sys.argv[1:] if tokens is None else tokens
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

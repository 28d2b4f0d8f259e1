"""The command line: flags end here, and what goes wrong becomes one line and an exit status."""

import dataclasses
import math
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App, CycloptsError

from ganvas import __version__, console, methods
from ganvas.errors import GanvasError, Interrupted, UsageError
from ganvas.flags import Count, DataRoot, Device, Flag, Prepared, Seed, Typed, value_of, with_settings

if TYPE_CHECKING:  # whatever loads torch is imported by the command that needs it, so that help comes at once
    from ganvas.checkpoint import Facts
    from ganvas.methods._base import BaseConfig
    from ganvas.training import Progress

DEMO_MINUTES = 1.5
FRAMES = 16  # from one picture to the next of a walk: one second at 60 ms a frame
MOST_ON_A_SHEET = 1024
MOST_ON_A_WALK = 64


# --- looking around -------------------------------------------------------------------------------------------------


def show_methods(*, json: Flag = False) -> None:
    """List the methods there are.

    Args:
        json: for machines
    """
    known = {name: methods.summary(name) for name in methods.names()}
    if json:
        console.print_json([{"name": name, "summary": summary} for name, summary in known.items()])
    else:
        console.table("", ("method", "what it is"), known.items())
        console.tell("\nganvas describe METHOD shows its networks, ganvas train METHOD --help its settings")


def describe(
    method: str,
    /,
    *,
    preset: str | None = None,
    size: Count | None = None,
    channels: Count = 1,
    json: Flag = False,
    config: Prepared = None,
) -> None:
    """Show a method's networks layer by layer: output shapes, parameters, multiply-adds.

    Args:
        method: one of `ganvas methods`
        preset: settings of a paper or a course, by name
        size: pictures are squares of 16, 28, 32, 64, 128 or 256 pixels [default: 28, or what the preset makes]
        channels: 1 for grey, 3 for colour
        json: for machines
    """
    from ganvas.data.batch import Spec
    from ganvas.describe import networks

    config = _with_a_method(config)
    size = size or (28 if 28 in config.sizes else config.sizes[0])
    built = methods.get(method)(config, Spec(size, channels))
    shown = dict(networks(built))
    if json:
        console.print_json({name: [dataclasses.asdict(layer) for layer in layers] for name, layers in shown.items()})
        return
    for name, layers in shown.items():
        rows = [(x.name, " x ".join(map(str, x.output)), x.parameters, x.multiply_adds) for x in layers]
        total = ("total", "", sum(x.parameters for x in layers), sum(x.multiply_adds for x in layers))
        console.table(f"\n{name}", ("layer", "output", "parameters", "multiply-adds"), [*rows, total])


# --- training -------------------------------------------------------------------------------------------------------


def train(
    method: str,
    /,
    *,
    data: str,
    run: Path | None = None,
    preset: str | None = None,
    size: Count | None = None,
    steps: Count | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    seed: Seed = 0,
    flip: Flag = False,
    device: Device = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    data_root: DataRoot = Path("~/.cache/ganvas"),
    save_every: Count | None = None,
    config: Prepared = None,
    typed: Typed = "",
) -> None:
    """Train a method on a data set or a folder of pictures.

    The same command again goes on where it stopped; with more steps, epochs or minutes it goes further.
    Ctrl-C saves. `ganvas train METHOD --help` also shows the settings of that method.

    Args:
        method: one of `ganvas methods`
        data: digits, mnist, fashion-mnist, kmnist, cifar10, or a folder: flat, or with one folder per class
            (png, jpg, webp, bmp, tif, gif); the largest centred square of each picture is used
        run: where everything goes [default: runs/DATA-METHOD]
        preset: settings of a paper or a course, by name; single settings given beside it win
        size: squares of 16, 28, 32, 64, 128 or 256 pixels [default: the data's own, 64 for folders of larger pictures]
        steps: train this long in all: a step is one batch
        epochs: or this long: an epoch is once through the data
        minutes: or this long
        seed: of the first weights and of all chance in training
        flip: mirror half of the pictures left to right; not for writing
        device: auto takes the best there is
        precision: auto measures whether bf16 is quicker on this machine; a run keeps what it began with
        data_root: where named data sets are looked for, and downloaded to
        save_every: steps between saves [default: one minute's]
    """
    lengths = {"steps": steps, "epochs": epochs, "minutes": minutes}
    given = [name for name, value in lengths.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"--{' and --'.join(given)} are two ways to say how long; give one")
    run = run or Path("runs") / f"{Path(data).resolve().name}-{method}"
    _train(
        method, _with_a_method(config), data=data, run=run, size=size, steps=steps, epochs=epochs, minutes=minutes,
        seed=seed, flip=flip, device=device, precision=precision, data_root=data_root, save_every=save_every,
        typed=typed,
    )  # fmt: skip
    _tell_what_next(run, "the training command again with more --steps, --epochs or --minutes, to go on from here")


def _train(
    method: str,
    config: "BaseConfig",
    *,
    data: str,
    run: Path,
    typed: str,
    size: int | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    seed: int = 0,
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
    data_root: Path = Path("~/.cache/ganvas"),
    save_every: int | None = None,
) -> None:
    from ganvas import checkpoint, training
    from ganvas.data import open_source
    from ganvas.runtime import choose_precision, find_device

    where = find_device(device)
    if size is None and len(config.sizes) == 1:
        size = config.sizes[0]
    if size is not None:
        methods.get(method).require_size(config, size)
    found = checkpoint.read_run(run)
    if found:  # what can be refused before reading the data is
        now = dataclasses.replace(found, method=method, config=config, seed=seed, flip=flip)
        checkpoint.require_same(run, found, now)
    source = open_source(data, root=data_root.expanduser(), size=size, track=console.track)
    _tell_left_out(source.left_out)
    if found and found.pictures != len(source):
        console.say(f"{data} held {found.pictures} pictures when this run began and holds {len(source)} now")
    facts = checkpoint.Facts(
        method=method,
        config=config,
        spec=source.spec,
        data=source.name,
        pictures=len(source),
        seed=seed,
        flip=flip,
        precision=found.precision if found and precision == "auto" else choose_precision(where, precision),
        command=typed,
    )
    budget = training.budget_of(facts, steps=steps, epochs=epochs, minutes=minutes)
    learner = training.start(run, source, facts)
    with console.stopping_gently() as stop:
        events = training.train(run, source, learner, facts=facts, device=where, budget=budget, save_every=save_every)
        last = console.follow(events, stop=stop)
        events.close()  # saves, where it was stopped
    _tell_how_it_went(run, facts, last)
    if stop and last.spent < 1:
        raise Interrupted(f"stopped at step {last.step:,}, which is saved; the same command goes on from there")


def _tell_left_out(left_out: Sequence[str]) -> None:
    for line in left_out[:5]:
        console.say(f"left out {line}")
    if len(left_out) > 5:
        console.say(f"left out {len(left_out)} files in all")


def _tell_how_it_went(run: Path, facts: "Facts", last: "Progress") -> None:
    from ganvas import gallery

    pictures = last.step * facts.config.batch
    minutes, seconds = divmod(round(last.seconds), 60)
    console.tell(
        f"{run}: {last.step:,} steps, {pictures:,} pictures ({pictures / facts.pictures:,.1f} epochs) "
        f"in {minutes} min {seconds} s, {facts.precision}",
    )
    if last.losses:
        console.tell("losses at the end: " + ", ".join(f"{name} {loss:.3f}" for name, loss in last.losses.items()))
    elif last.spent >= 1:
        console.tell("that was there already, and is as much as was asked for: nothing was trained now")
    for path in gallery.show_all(run):
        console.tell(f"  {path}")


def _tell_what_next(run: Path, *more: str) -> None:
    def line(*words: str) -> str:
        return shlex.join(["ganvas", "generate", str(run), *words])

    console.tell("next:")
    for step in (
        line("--count", "64", "--grid", "--out", f"{run.name}.png"),
        line("--count", "8", "--interpolate", "--out", f"{run.name}.gif"),
        *more,
    ):
        console.tell(f"  {step}")


def demo(*, run: Path = Path("runs/demo"), seed: Seed = 0) -> None:
    """Train a small generator on real handwritten digits, in two minutes, and show what it learned.

    Args:
        run: where everything goes
        seed: of the first weights and of all chance in training
    """
    from ganvas.methods.dcgan import DcganConfig

    console.say("dcgan learns from 1,545 real handwritten digits; this takes under two minutes on two cores")
    # smaller pictures than the default recipe was made for: less penalty leaves them sharper
    config = DcganConfig(r1=0.3)
    _train("dcgan", data="digits", run=run, minutes=DEMO_MINUTES, seed=seed, config=config, typed="ganvas demo")
    _tell_what_next(run, "ganvas train dcgan --data FOLDER_OF_YOUR_PICTURES --size 64 --flip --minutes 30")


# --- drawing --------------------------------------------------------------------------------------------------------


def generate(
    model: Path,
    /,
    *,
    out: Path,
    count: Count = 16,
    seed: Seed = 0,
    grid: Flag = False,
    interpolate: Flag = False,
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Draw pictures with a trained model.

    A picture is numbered by its seed and depends on it alone: --seed 17 --count 1 is picture 17 of --count 64.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        out: a folder for numbered PNG files; a picture file for --grid or --count 1, a .gif for --interpolate
        count: how many pictures; with --interpolate, how many to visit
        seed: of the first picture; the others follow
        grid: all on one sheet
        interpolate: a film that walks from picture to picture, and back to the first
        overwrite: replace what is there
        device: auto takes the best there is
    """
    import torch

    from ganvas import images
    from ganvas.checkpoint import load
    from ganvas.files import make_folder
    from ganvas.inference import draw, walk
    from ganvas.runtime import find_device

    if grid and interpolate:
        raise UsageError("--grid and --interpolate are two kinds of picture; give one")
    if interpolate and out.suffix.lower() != ".gif":
        raise UsageError(f"--out {out}: a film is a .gif; name it so")
    if grid and count > MOST_ON_A_SHEET:
        raise UsageError(
            f"--count {count}: more than {MOST_ON_A_SHEET} on one sheet are too small to see; leave --grid out"
        )
    if interpolate and count > MOST_ON_A_WALK:
        raise UsageError(f"--count {count}: a film of more than {MOST_ON_A_WALK} stations is too long; give fewer")
    named_as_picture = out.suffix.lower() in images.EXTENSIONS
    one_file = grid or interpolate or (count == 1 and named_as_picture)
    if one_file:
        images.format_of(out)
    elif named_as_picture:
        raise UsageError(f"--out {out}: {count} pictures go into a folder; name one, or add --grid")
    seeds = range(seed, seed + count)
    if not overwrite and out.exists():
        places = [out] if one_file else (out / _numbered(number) for number in seeds)
        if there := next((place for place in places if place.exists()), None):
            raise UsageError(f"{there} is already there; choose another --out, or add --overwrite")

    drawn = draw(load(model, find_device(device)), walk(seeds, frames=FRAMES) if interpolate else seeds)
    make_folder(out.parent if one_file else out)
    shown = console.track(drawn, total=count * (FRAMES if interpolate else 1), description="drawing")
    if interpolate:
        images.write_film(out, (images.enlarge(picture, side=256) for picture in shown), milliseconds=60)
    elif grid:
        columns = math.isqrt(count - 1) + 1
        images.write(out, images.grid(images.enlarge(torch.stack(list(shown))), columns=columns))
    else:
        for number, picture in zip(seeds, shown, strict=True):
            images.write(out if one_file else out / _numbered(number), picture)
    console.tell(f"{count:,} pictures in {out}" if not one_file else str(out))


def _numbered(seed: int) -> str:
    return f"{seed:06d}.png"


# --- putting it together --------------------------------------------------------------------------------------------


def _with_a_method(config: "BaseConfig | None") -> "BaseConfig":
    if config is None:
        raise UsageError("the method comes first, before the flags: ganvas train METHOD --data ...")
    return config


COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "demo": (demo, "[OPTIONS]"),
    "methods": (show_methods, "[--json]"),
    "describe": (describe, "METHOD [OPTIONS]"),
    "train": (train, "METHOD --data SOURCE [OPTIONS]"),
    "generate": (generate, "MODEL --out PATH [OPTIONS]"),
}


def make_app(tokens: Sequence[str]) -> App:
    """The parser for these words: a method that they name brings its settings along as flags.

    Raises:
        SettingError: if the method or its preset does not exist.
    """
    app = App(
        name="ganvas",
        version=__version__,
        help="Train image generators on your own pictures, and draw with them. Start with `ganvas demo`.",
        help_format="markdown",
        suppress_keyboard_interrupt=False,
        help_epilogue="`ganvas COMMAND --help` says more; `ganvas train METHOD --help` shows its settings too.",
    )
    command, method = [*tokens, "", ""][:2]
    for name, (function, words) in COMMANDS.items():
        if name == command and "METHOD" in words and method and not method.startswith("-"):
            config = methods.config(method, value_of("--preset", tokens))
            function = with_settings(function, config, shlex.join(["ganvas", *tokens]))
        app.command(function, name=name, usage=f"Usage: ganvas {name} {words}")
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 done, 1 failed, 2 wrong use or input, 130 interrupted."""
    tokens = sys.argv[1:] if tokens is None else tokens
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # of oddities in files that can be read all the same
            make_app(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except GanvasError as error:
        return _fail(str(error), error.exit_status)
    except CycloptsError as error:
        return _fail(str(error), UsageError.exit_status)
    except OSError as error:  # such as a path that may not be looked at, or is too long to be one
        return _fail(f"{error.filename or ''}: {error.strerror or error}", UsageError.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept", Interrupted.exit_status)
    return 0


def _fail(message: str, status: int) -> int:
    console.say("ganvas: " + " ".join(message.split()))
    return status

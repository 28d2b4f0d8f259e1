"""The command line: flags end here, and what goes wrong becomes one line and an exit status."""

import dataclasses
import functools
import inspect
import math
import shlex
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.validators import Number

from ganvas import __version__, console, methods, settings
from ganvas.errors import GanvasError, Interrupted, UsageError

if TYPE_CHECKING:  # whatever loads torch is imported by the command that needs it, so that help comes at once
    from ganvas.checkpoint import Facts
    from ganvas.methods._base import BaseConfig
    from ganvas.training import Progress

DEMO_MINUTES = 1.5
FRAMES = 16  # from one picture to the next of a walk: one second at 60 ms a frame
MOST_ON_A_SHEET = 1024


def _whole(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number; 1e4 is one, 1.5 is not (and is not rounded)."""
    number = float(tokens[0].value)
    if not number.is_integer():
        raise ValueError
    return int(number)


Whole = Annotated[int, Parameter(converter=_whole)]
Count = Annotated[int, Parameter(converter=_whole, validator=Number(gte=1))]
Seed = Annotated[int, Parameter(converter=_whole, validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="")]
Device = Literal["auto", "cpu", "cuda", "mps"]
DataRoot = Annotated[Path, Parameter(env_var="GANVAS_DATA")]
Hidden = Parameter(parse=False)  # put in by `_with_settings`, not typed
Config = Annotated[Any, Hidden]  # a BaseConfig; cyclopts would look the name up, and find it only once torch is loaded


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
    *,
    preset: str | None = None,
    size: Count | None = None,
    channels: Count = 1,
    classes: Seed = 0,
    json: Flag = False,
    config: Config = None,
) -> None:
    """Show a method's networks layer by layer: output shapes, parameters, multiply-adds.

    Args:
        method: one of `ganvas methods`
        preset: settings of a paper or a course, by name
        size: pictures are squares of 16, 28, 32, 64, 128 or 256 pixels [default: 28, or what the preset makes]
        channels: 1 for grey, 3 for colour
        classes: how many classes the data have
        json: for machines
    """
    from ganvas.data.batch import Spec
    from ganvas.describe import networks

    config = _named_first(config)
    size = size or (28 if 28 in config.sizes else config.sizes[0])
    built = methods.get(method)(config, Spec(size, channels, tuple(map(str, range(classes)))))
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
    config: Config = None,
    typed: Annotated[str, Hidden] = "",
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
        precision: auto takes bf16 where this machine computes it quicker
        data_root: where named data sets are looked for, and downloaded to
        save_every: steps between saves [default: one minute's]
    """
    given = [name for name, value in (("steps", steps), ("epochs", epochs), ("minutes", minutes)) if value is not None]
    if len(given) > 1:
        raise UsageError(f"--{' and --'.join(given)} are two ways to say how long; give one")
    from ganvas import checkpoint, training
    from ganvas.data import open_source
    from ganvas.runtime import choose_precision, find_device

    config = _named_first(config)
    run = run or Path("runs") / f"{Path(data).name}-{method}"
    found = checkpoint.read_run(run)
    where = find_device(device)
    if size is None and len(config.sizes) == 1:
        size = config.sizes[0]
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
        raise Interrupted(f"stopped at step {last.step:,} and saved; the same command goes on from there")


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
    for path in gallery.show_all(run):
        console.tell(f"  {path}")
    console.tell(
        f"""next:
  ganvas generate {shlex.quote(str(run))} --count 64 --grid --out {run.name}.png
  ganvas generate {shlex.quote(str(run))} --count 8 --interpolate --out {run.name}.gif
  the training command again with more --steps, --epochs or --minutes, to go on from here""",
    )


def demo(*, run: Path = Path("runs/demo"), seed: Seed = 0) -> None:
    """Train a small generator on real handwritten digits, in two minutes, and show what it learned.

    Args:
        run: where everything goes
        seed: of the first weights and of all chance in training
    """
    console.say("dcgan learns from 1,500 real handwritten digits; this takes under two minutes on two cores")
    train(
        "dcgan", data="digits", run=run, minutes=DEMO_MINUTES, seed=seed,
        config=methods.config("dcgan"), typed="ganvas demo",
    )  # fmt: skip
    console.tell("or other pictures:\n  ganvas train dcgan --data FOLDER --size 64 --flip")


# --- drawing --------------------------------------------------------------------------------------------------------


def generate(
    model: Path,
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
        out: a folder for numbered PNG files; with --grid a picture file, with --interpolate a .gif
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
            f"--count {count}: more than {MOST_ON_A_SHEET} on one sheet are too small to see; leave out --grid"
        )
    one_file = grid or interpolate
    if one_file:
        images.format_of(out)
    elif out.suffix.lower() in images.EXTENSIONS:
        raise UsageError(f"--out {out}: {count} pictures go into a folder; name one, or add --grid")
    seeds = range(seed, seed + count)
    names = [out] if one_file else [out / f"{number:06d}.png" for number in seeds]
    if not overwrite and (there := next((name for name in names if name.exists()), None)):
        raise UsageError(f"{there} is already there; choose another --out, or add --overwrite")

    drawn = draw(load(model, find_device(device)), walk(seeds, frames=FRAMES) if interpolate else list(seeds))
    make_folder(out.parent if one_file else out)
    shown = console.track(drawn, total=count * (FRAMES if interpolate else 1), description="drawing")
    if interpolate:
        images.write_film(out, (images.enlarge(picture, side=256) for picture in shown), milliseconds=60)
    elif grid:
        columns = math.isqrt(count - 1) + 1
        images.write(out, images.grid(images.enlarge(torch.stack(list(shown))), columns=columns))
    else:
        for name, picture in zip(names, shown, strict=True):
            images.write(name, picture)
    console.tell(f"{count:,} pictures in {out}" if not one_file else str(out))


# --- putting it together --------------------------------------------------------------------------------------------


def _with_settings(command: Callable[..., None], config: "BaseConfig", typed: str) -> Callable[..., None]:
    """The command with the settings of a method as further flags, whose defaults are those of `config`."""
    own = inspect.signature(command).parameters
    sentences = settings.help_of(type(config))
    extra = {
        parameter.name: parameter.replace(annotation=Annotated[parameter.annotation, _parse(parameter, sentences)])
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


def _named_first(config: "BaseConfig | None") -> "BaseConfig":
    if config is None:
        raise UsageError("the method comes first, before the flags: ganvas train METHOD --data ...")
    return config


def _parse(setting: inspect.Parameter, sentences: Mapping[str, str]) -> Parameter:
    is_list = get_origin(setting.annotation) is tuple
    return Parameter(
        help=sentences[setting.name],
        group="Settings of the method",
        converter=_whole if setting.annotation is int else None,
        consume_multiple=True if is_list else None,
        negative="" if is_list else None,
    )


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
        help_epilogue="`ganvas COMMAND --help` says more; `ganvas train METHOD --help` shows its settings too.",
    )
    command, method = [*tokens, "", ""][:2]
    for function, name in ((demo, None), (show_methods, "methods"), (describe, None), (train, None), (generate, None)):
        name = name or function.__name__
        if name == command and name in ("describe", "train") and method and not method.startswith("-"):
            config = methods.config(method, _value_of("--preset", tokens))
            app.command(_with_settings(function, config, shlex.join(["ganvas", *tokens])), name=name)
        else:
            app.command(function, name=name)
    return app


def _value_of(flag: str, tokens: Sequence[str]) -> str | None:
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token == flag:
            return after
        if token.startswith(flag + "="):
            return token.removeprefix(flag + "=")
    return None


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 done, 1 failed, 2 wrong use or input, 130 interrupted."""
    tokens = sys.argv[1:] if tokens is None else tokens
    warnings.filterwarnings(
        "ignore", module="PIL"
    )  # of oddities in files, which say nothing to those who typed a command
    try:
        make_app(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except GanvasError as error:
        return _fail(str(error), error.exit_status)
    except CycloptsError as error:
        return _fail(str(error), UsageError.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted", Interrupted.exit_status)
    return 0


def _fail(message: str, status: int) -> int:
    console.say("ganvas: " + " ".join(message.split()))
    return status

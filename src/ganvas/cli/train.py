"""Training from the command line."""

import dataclasses
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganvas import methods
from ganvas.cli import console
from ganvas.cli.flags import (  # fmt: skip
    Count,
    DataRoot,
    Device,
    FeatureFile,
    Flag,
    Keep,
    Prepared,
    Seed,
    Several,
    Share,
    Typed,
    with_a_method,
)
from ganvas.cli.generate import MOST_ON_A_SHEET
from ganvas.errors import Interrupted, UsageError

if TYPE_CHECKING:  # whatever loads torch is imported by the command that needs it, so that help comes at once
    from torch import Tensor

    from ganvas.checkpoint.manifest import Facts
    from ganvas.core.device import Precision
    from ganvas.data.batch import Batch, Source
    from ganvas.methods._base import BaseConfig, Method
    from ganvas.nets.vgg import VGG19
    from ganvas.training import Progress

DEMO_MINUTES = 1.5
VALIDATED = 2000  # pictures a score; enough to tell saves of one run apart


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
    target: str | None = None,
    side: Literal["ab", "ba"] | None = None,
    task: str | None = None,
    style: Several = (),
    features: FeatureFile = None,
    holdout: Share = 0.0,
    seed: Seed = 0,
    flip: Flag = False,
    jitter: Flag = False,
    device: Device = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    data_root: DataRoot = Path("~/.cache/ganvas"),
    grad_accumulate: Count = 1,
    plain_steps: Flag = False,
    save_every: Count | None = None,
    keep: Keep = 2,
    validate_every: Count | None = None,
    validate_by: Literal["fid", "kid"] = "fid",
    weights: Path | None = None,
    config: Prepared = None,
    typed: Typed = "",
) -> None:
    """Train a method on a data set or a folder of pictures.

    The same command again goes on where it stopped; with more steps, epochs or minutes it goes further.
    Ctrl-C saves. `ganvas train METHOD --help` also shows the settings of that method.
    On several GPUs or machines: `torchrun --nproc-per-node 2 -m -- ganvas train ...`; each process takes its part of
    every batch.

    Args:
        method: one of `ganvas methods`
        data: digits, mnist, fashion-mnist, kmnist, cifar10, or a folder: flat, or with one folder per class
            (png, jpg, webp, bmp, tif, gif), or of shards, or where these are (`ganvas shards --help`); the largest
            centred square of each picture is used
        run: where everything goes [default: runs/DATA-METHOD]
        preset: settings of a paper or a course, by name; single settings given beside it win
        size: squares of 16, 28, 32, 64, 128, 256, 512 or 1024 pixels [default: the data's own; for folders of larger
            pictures 64, of pairs 128]
        steps: train this long in all: a step is one batch
        epochs: or this long: an epoch is once through the data
        minutes: or this long
        target: a second folder: partners, matched by the names of the files; for cyclegan, pictures of the other kind;
            for adain, paintings
        side: each picture of --data holds two side by side: ab learns from left to right, ba from right to left
        task: pairs are made from the pictures of --data: colorize, colorize-rgb, denoise:0.1, deblur:2, superres:4,
            inpaint, edges, cartoon, hidden-digit, reconstruct
        style: paintings, for fast_style: one or several, which it then learns all in one
        features: for fast_style, adain and pix2pix --perceptual, a file with VGG-19's weights by torchvision's names
            (safetensors or .pth), in place of the download
        holdout: share of the files of a folder that is kept from training, for evaluate; chosen by their names, so
            that adding files moves none
        seed: of the first weights and of all chance in training
        flip: mirror half of the pictures left to right, both sides of a pair alike; not for writing
        jitter: keep the pictures an eighth larger and learn from windows taken by chance, the same of both sides
        device: auto takes the best there is
        precision: auto measures whether bf16 is quicker on this machine; a run keeps what it began with
        data_root: where named data sets are looked for, and downloaded to
        grad_accumulate: go through each batch in so many parts, for one that does not fit into memory; what is learned
            is the same where nothing looks at the whole batch, as batch norm does
        plain_steps: on a GPU, launch the operations of every step one by one, where they would be recorded and replayed
        save_every: steps between saves [default: one minute's]
        keep: how many saves are kept, the newest; `ganvas evaluate RUN --all-checkpoints` shows which was best
        validate_every: steps between scores of 2,000 drawn pictures against as many training pictures (test pictures
            are not touched; its time is not counted); the weights of the best score are kept in RUN/best
        validate_by: the score
        weights: a file with Inception's weights for --validate-every on pictures that are no digits, in place of the
            download
    """
    lengths = {"steps": steps, "epochs": epochs, "minutes": minutes}
    given = [name for name, value in lengths.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"--{' and --'.join(given)} are two ways to say how long; give one")
    called = Path(data).resolve().name
    called = called if Path(data).is_dir() else re.sub(r"[^\w.-]+", "-", called)  # of a pattern or a command
    run = run or Path("runs") / f"{called}-{method}"
    from ganvas.core import distributed
    from ganvas.core.device import find_device

    with distributed.joined(find_device(device)):
        learner = train_run(
            method, with_a_method(config), data=data, run=run, size=size, steps=steps, epochs=epochs, minutes=minutes,
            target=target or "", side=side or "", task=task or "", style=style, features=features, holdout=holdout,
            jitter=jitter, seed=seed, flip=flip, device=device, precision=precision, data_root=data_root,
            grad_accumulate=grad_accumulate, plain_steps=plain_steps, save_every=save_every, keep=keep,
            validate_every=validate_every, validate_by=validate_by, weights=weights, typed=typed,
        )  # fmt: skip
    _tell_what_next(
        run, learner, "the training command again with more --steps, --epochs or --minutes, to go on from here"
    )


def train_run(
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
    target: str = "",
    side: str = "",
    task: str = "",
    style: Sequence[Path] = (),
    features: Path | None = None,
    holdout: float = 0.0,
    jitter: bool = False,
    seed: int = 0,
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
    data_root: Path = Path("~/.cache/ganvas"),
    grad_accumulate: int = 1,
    plain_steps: bool = False,
    save_every: int | None = None,
    keep: int = 2,
    validate_every: int | None = None,
    validate_by: Literal["fid", "kid"] = "fid",
    weights: Path | None = None,
) -> "Method":
    """Train as `train` does, and say how it went; the settings come as `config`, and `typed` is what is kept of how.

    Raises:
        Interrupted: if it was stopped; what was done is saved.
        DivergedError: when a loss or a weight is not finite.
        UsageError: if it cannot be begun, or not gone on with; nothing is written.
    """
    from ganvas import checkpoint, evaluation, training
    from ganvas.core import distributed
    from ganvas.core.device import choose_precision, find_device
    from ganvas.data import open_for
    from ganvas.data.batch import Pairs
    from ganvas.data.tasks import base
    from ganvas.methods._base import Generates
    from ganvas.metrics.features import open_features, suited
    from ganvas.training.precision import quicker_precision

    where = find_device(device)
    if plain_steps and where.type != "cuda":
        raise UsageError(f"--plain-steps: on {where.type} no step is recorded; leave it out")
    if size is None and len(config.sizes) == 1:
        size = config.sizes[0]
    if size is not None:
        methods.get(method).require_size(config, size)
    found = checkpoint.read_run(run)
    task = base.task(task).name if task else ""
    chosen: dict[str, Any] = {"side": side, "task": task, "holdout": holdout, "jitter": jitter}
    styles = tuple(str(file.resolve()) for file in style)
    if found:  # what can be refused before reading the data is
        now = dataclasses.replace(found, method=method, config=config, seed=seed, flip=flip, style=styles, **chosen)
        checkpoint.require_same(run, found, now)

    def opened(part: Literal["train", "test"], least: int) -> "Source[Batch]":
        return open_for(
            methods.get(method).batches, data, root=data_root.expanduser(), size=size, split=part,
            target=target, least=least, track=console.track, **chosen,
        )  # fmt: skip

    with distributed.one_a_machine_first():  # for it may download
        vgg, paintings = _shown_style(methods.get(method), config, style, features)
        source = opened("train", 2)
    training.require_same_data(source)
    console.tell_left_out(source.left_out)
    for note in source.notes:
        console.say(note)
    if flip and source.batch is Pairs:
        console.say("half of the pairs are mirrored left to right, source and target alike (--flip)")
    if found and found.pictures != len(source):
        console.say(f"{data} held {found.pictures} pictures when this run began and holds {len(source)} now")
    chosen_precision = found.precision if found and precision == "auto" else choose_precision(where, precision)
    in_bf16, _ = distributed.agree(chosen_precision == "bf16")  # where it is measured, they may differ
    facts = facts_for(
        method, config, source, target=target, styles=styles, seed=seed, flip=flip, command=typed,
        precision="bf16" if in_bf16 else "fp32", **chosen,
    )  # fmt: skip
    training.require_shares(facts, grad_accumulate)
    budget = training.budget_of(facts, steps=steps, epochs=epochs, minutes=minutes)
    score = None
    if weights and not (validate_every and suited(source.spec) == "inception"):
        raise UsageError(f"--weights {weights}: are for --validate-every on pictures that are no digits; leave it out")
    if validate_every and (issubclass(source.batch, Pairs) or not issubclass(methods.get(method), Generates)):
        raise UsageError(
            f"--validate-every {validate_every}: scores what is drawn from noise; score a translator with "
            "`ganvas evaluate`"
        )
    if validate_every and distributed.rank() == 0:
        judge = open_features(suited(source.spec), device=where, weights=weights, framed=source.name == "digits")
        score = evaluation.scorer(source, judge, count=VALIDATED, by=validate_by)
    shown = opened("test", 1) if holdout else None
    if precision == "auto" and not found and in_bf16 and distributed.count() == 1:
        chosen_precision = quicker_precision(source, facts, device=where, vgg=vgg, paintings=paintings)
        facts = dataclasses.replace(facts, precision=chosen_precision)
    learner = training.start(run, source, facts, vgg=vgg, paintings=paintings)
    with console.stopping_gently() as stop:
        events = training.train(
            run, source, learner, facts=facts, device=where, budget=budget, save_every=save_every, keep=keep,
            score=score, score_every=validate_every if score else None, shown=shown, accumulate=grad_accumulate,
            record=not plain_steps, stop=lambda: bool(stop),
        )  # fmt: skip
        last = console.follow(events)
    if distributed.rank() == 0:
        _tell_how_it_went(run, facts, last)
    distributed.agree(0.0)  # to end together: whoever starts them ends the others where one of them ends as interrupted
    if last.spent < 1:
        raise Interrupted(f"stopped at step {last.step:,}, which is saved; the same command goes on from there")
    return learner


def facts_for(
    method: str,
    config: "BaseConfig",
    source: "Source[Batch]",
    *,
    target: str,
    side: str,
    task: str,
    holdout: float,
    jitter: bool,
    seed: int,
    flip: bool,
    precision: "Precision",
    styles: tuple[str, ...] = (),
    command: str = "",
) -> "Facts":
    """What a run is that learns from this source."""
    from ganvas.checkpoint.manifest import Facts

    return Facts(
        method=method, config=config, spec=source.spec, data=source.name, pictures=len(source), seed=seed, flip=flip,
        target=str(Path(target).resolve()) if target else "", side=side, task=task, holdout=holdout, jitter=jitter,
        style=styles, precision=precision, command=command,
    )  # fmt: skip


def _shown_style(
    method: "type[Method]", config: "BaseConfig", style: Sequence[Path], features: Path | None
) -> "tuple[VGG19 | None, list[Tensor]]":
    """What a method learns by and from beside its data: VGG-19, and the paintings that --style names.

    Raises:
        UsageError: for flags that the method has no use for, or where it lacks a painting, or the weights.
        DataError: for a painting that cannot be read.
    """
    from ganvas.imaging import images
    from ganvas.methods._base import Perceives, TakesStyles
    from ganvas.metrics.features import open_vgg
    from ganvas.nets.vgg import require_style

    takes = issubclass(method, TakesStyles)
    if style and not takes:
        raise UsageError(f"--style {style[0]}: {method.name()} learns no style from single paintings; leave it out")
    if takes and not style:
        raise UsageError(f"{method.name()} learns the style of a painting: add --style PAINTING, or several of them")
    paintings = [images.read(file) for file in style]
    for file, painting in zip(style, paintings, strict=True):
        require_style(painting, name=f"--style {file}")
    deepest = method.looks_to(config)
    if features and not deepest and features != Path(os.environ.get("GANVAS_WEIGHTS", "")):
        how = "add --perceptual 10, or leave it out" if issubclass(method, Perceives) else "leave it out"
        raise UsageError(f"--features {features}: {method.name()} does not learn by what VGG-19 sees; {how}")
    vgg = open_vgg(features, deepest=deepest) if deepest else None
    return vgg, [images.on_white(painting) for painting in paintings]


def _tell_how_it_went(run: Path, facts: "Facts", last: "Progress") -> None:
    from ganvas import checkpoint
    from ganvas.training import metrics_log, samples

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
    for warning in last.warnings:
        console.tell(f"watch, since step {warning.since:,}: {warning.kind}: {warning.sentence}")
    standing = {warning.kind for warning in last.warnings}
    for kind, step in metrics_log.warned(run).items():
        if kind not in standing:
            console.tell(f"watch, at step {step:,}: {kind}, which has passed")
    if best := checkpoint.best(run):
        console.tell(f"best: {best.name} {best.value:.3g} after {best.step:,} steps, kept in {run / checkpoint.BEST}")
    for path in samples.show_all(run):
        console.tell(f"  {path}")


def _tell_what_next(run: Path, method: "Method", *more: str) -> None:
    from ganvas.data.batch import LAB
    from ganvas.methods._base import Generates, Translates

    steps = list[tuple[str, ...]]()
    if isinstance(method, Generates) and method.spec.outputs != LAB:
        # one that draws by class draws so many of each
        count = max(1, min(4, MOST_ON_A_SHEET // len(method.spec.classes))) if method.by_class else 64
        steps += [
            ("generate", str(run), "--count", str(count), "--grid", "--out", f"{run.name}.png"),
            ("generate", str(run), "--count", "8", "--interpolate", "--out", f"{run.name}.gif"),
        ]
    if isinstance(method, Translates):
        steps.append(("translate", str(run), "YOUR_PICTURES", "--out", f"{run.name}-translated"))
        if "ba" in method.directions and method.spec.outputs != LAB:
            steps.append(("translate", str(run), "YOUR_PICTURES", "--direction", "ba", "--out", f"{run.name}-back"))
    console.tell("next:")
    for words in steps:
        console.tell(f"  {shlex.join(['ganvas', *words])}")
    for line in more:
        console.tell(f"  {line}")


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
    learner = train_run(
        "dcgan", data="digits", run=run, minutes=DEMO_MINUTES, seed=seed, config=config, typed="ganvas demo"
    )
    _tell_what_next(run, learner, "ganvas train dcgan --data FOLDER_OF_YOUR_PICTURES --size 64 --flip --minutes 30")

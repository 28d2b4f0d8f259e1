"""`ganvas study`: methods that are trained on the same tasks and compared."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.commands._places import require_folder
from ganvas.cli.commands._study_lines import show_plan, tell
from ganvas.cli.flag_types import Count, DataRoot, Device, FeatureFile, Flag, Seeds, Share, Words
from ganvas.core.home import expanded
from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.studies import Length, Study


def study(
    file: Path | None = None,
    /,
    *,
    out: Path,
    plan: Flag = False,
    only: Words = (),
    seeds: Seeds = (),
    minutes: float | None = None,
    steps: Count | None = None,
    epochs: float | None = None,
    size: Count | None = None,
    methods: Words = (),
    data: str | None = None,
    held_out: str | None = None,
    holdout: Share = 0.0,
    target: str | None = None,
    held_out_target: str | None = None,
    side: Literal["ab", "ba"] | None = None,
    task: str | None = None,
    flip: Flag = False,
    random_crop: Flag = False,
    features: str = "auto",
    vgg_weights: FeatureFile = None,
    device: Device = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    data_root: DataRoot = Path("~/.cache/ganvas"),
) -> None:
    """Train several methods on the same tasks for the same time with the same seeds, compare them, and write a report.

    The same command continues where it stopped; with more tasks, seeds, minutes or steps it goes further.
    docs/study.md explains the study's file, and studies/three-tasks.yaml is an example. A study of one task needs no
    file: give --methods, --data and the flags of `ganvas train`.

    Args:
        file: the study (YAML); its folders are beside it, or below --data-root
        out: a folder for everything: runs, comparisons, index.html
        plan: show what would be trained, for how long, and what is done; train nothing
        only: the names of tasks to work on; results of the others stay in the report
        seeds: of initial weights and random numbers, each a training of its own; two or more show how much trainings
            differ [default: the file's, or 0]
        minutes: train each run this long, including those that make targets; overrides the file
        steps: or this long
        epochs: or this long
        size: image height and width in pixels; overrides the file
        methods: instead of a file: two or more of `ganvas methods`, with their default settings
        data: instead of a file: the training data, a named data set or a folder
        held_out: the evaluation data: a folder that training does not use
        holdout: or the fraction of --data that is kept from training for evaluation
        target: a second folder, with the partners
        held_out_target: the partners of --held-out
        side: each image holds two side by side: ab translates left to right, ba right to left
        task: pairs are made from single images, as in `ganvas train`
        flip: mirror half of the images left to right
        random_crop: train on random crops
        features: the feature network, as in `ganvas evaluate`
        vgg_weights: a file with VGG-19's weights, instead of the download
        device: auto takes the best available
        precision: auto measures whether bf16 is faster on this machine; all runs keep that of the first
        data_root: where named data sets are searched and downloaded to, and folders that are not beside the file
    """
    require_folder(out)
    with console.loading():
        from ganvas.api.studying import Work
        from ganvas.studies import Changes

    changes = Changes(length=_length(minutes, steps, epochs), size=size, seeds=seeds)
    of_one_task: dict[str, Any] = {
        "data": data, "held_out": held_out, "holdout": holdout, "target": target, "held_out_target": held_out_target,
        "side": side, "task": task, "flip": flip, "random_crop": random_crop,
    }  # fmt: skip
    root = expanded(data_root)
    found = _read(file, methods, {key: value for key, value in of_one_task.items() if value}, root, changes)
    command = shlex.join(["ganvas", "study", *([str(file)] if file else ["--methods", *methods]), "--out", str(out)])
    work = Work(
        found, out, root, typed=command, features=features, vgg_weights=vgg_weights, device=device,
        precision=precision, only=only,
    )  # fmt: skip
    if plan:
        show_plan(work)
        return
    work.check()
    done = sum(state.over for state in work.states().values())
    if done:
        console.say(f"{done} of {len(work.runs())} runs are already done")
    work.go_on()
    tell(work)


def _length(minutes: float | None, steps: int | None, epochs: float | None) -> "Length | None":
    from ganvas.studies import Length

    units = {"minutes": minutes, "steps": steps, "epochs": epochs}
    given = {unit: number for unit, number in units.items() if number is not None}
    if len(given) > 1:
        raise UsageError(f"--{' and --'.join(given)} are two ways to give the length; give one")
    for unit, number in given.items():
        if not 0 < number < float("inf"):
            raise UsageError(f"--{unit} {number:g}: expected more than 0")
    return Length(minutes=minutes, steps=steps, epochs=epochs) if given else None


def _read(file: Path | None, names: Words, task: dict[str, Any], root: Path, changes: Any) -> "Study":
    """Read the study of a file, or of one task given by flags."""
    from ganvas.studies import read_file, read_mapping

    if file:
        if names or task:
            flag = "methods" if names else next(iter(task)).replace("_", "-")
            raise UsageError(f"--{flag}: {file} says that already; change it there, or leave the file out")
        return read_file(file, root=root, changes=changes)
    if not names or "data" not in task:
        missing = "--data" if names else "--methods"
        raise UsageError(f"{missing}: missing; give a study's file, or --methods, --data and how long to train")
    title = Path(task["data"]).name
    name = re.sub(r"[^A-Za-z0-9]+", "-", task.get("task", title)).strip("-")[:40] or "task"
    if changes.length:
        task |= changes.length.given
    values = {"methods": {method: {} for method in names}, "tasks": {name: task}}
    return read_mapping(
        values, where="the flags", title=f"{' and '.join(names)} on {title}", folders=(Path(), root), changes=changes
    )  # fmt: skip


COMMAND = Command(
    run=study,
    usage="FILE --out DIR [OPTIONS]",
    examples=(
        "study three-tasks.yaml --out studies/three",
        "study --methods pix2pix autoencoder --data photos --task colorize --minutes 10 --out colorize",
    ),
)

"""`ganvas train` and `ganvas demo`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ganvas.cli import console
from ganvas.cli.flags import OUTPUT, SETTINGS, Prepared, Seed, Typed, with_a_method
from ganvas.cli.generate import MOST_ON_A_GRID
from ganvas.core.options import Budget, Data, TrainOptions

if TYPE_CHECKING:  # whatever loads torch is imported by the command that needs it, so that help comes at once
    from ganvas.api import Model
    from ganvas.training.events import Finished, Opened

DEMO_MINUTES = 1.5


def train(
    method: str,
    /,
    data: Data,
    *,
    run: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    preset: Annotated[str | None, Parameter(group=SETTINGS)] = None,
    budget: Budget,
    options: TrainOptions,
    config: Prepared = None,
    typed: Typed = "",
) -> None:
    """Train a method on a data set or a folder of images.

    The same command again resumes where it stopped; with more steps, epochs or minutes it goes further. Ctrl-C saves.
    On several GPUs or machines: `torchrun --nproc-per-node 2 -m -- ganvas train ...`.

    Args:
        method: one of `ganvas methods`
        data: what to learn from
        run: where everything goes [default: runs/DATA-METHOD]
        preset: settings of a paper or a course, by name; single settings given beside it win
        budget: how long
        options: how
    """
    from ganvas import api

    asked = api.job(method, data, run, budget=budget, options=options, command=typed)
    model = api.train_job(api.with_config(asked, with_a_method(config)), callbacks=[Told()])
    _tell_what_next(model, "the training command again with more --steps, --epochs or --minutes, to go on from here")


def demo(*, run: Path = Path("runs/demo"), seed: Seed = 0) -> None:
    """Train a small generator on real handwritten digits, in two minutes, and show what it learned.

    Args:
        run: where everything goes
        seed: of the first weights and of all random numbers in training
    """
    from ganvas import api

    console.say("dcgan learns from 1,545 real handwritten digits; this takes under two minutes on two cores")
    # smaller images than the default recipe was made for: a smaller penalty leaves them sharper
    asked = api.job(
        "dcgan", "digits", run, budget=Budget(minutes=DEMO_MINUTES), command="ganvas demo", seed=seed, r1=0.3
    )
    model = api.train_job(asked, callbacks=[Told()])
    _tell_what_next(model, "ganvas train dcgan --data FOLDER_OF_YOUR_IMAGES --size 64 --flip --minutes 30")


class Told:
    """Says at the end how the training went."""

    def on_start(self, event: "Opened") -> None:
        """Keep what the numbers at the end are of."""
        self.opened = event

    def on_end(self, event: "Finished") -> None:
        """The steps, the losses, the warnings, the best score, and what there is to look at."""
        from ganvas import checkpoint
        from ganvas.training import metrics_log

        last, run, opened = event.last, event.run, self.opened
        seen = last.step * opened.batch
        minutes, seconds = divmod(round(last.seconds), 60)
        console.tell(
            f"{run}: {last.step:,} steps, {seen:,} images ({seen / opened.images:,.1f} epochs) "
            f"in {minutes} min {seconds} s, {opened.precision}",
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
            console.tell(
                f"best: {best.name} {best.value:.3g} after {best.step:,} steps, kept in {run / checkpoint.BEST}"
            )
        for path in event.files:
            console.tell(f"  {path}")


def _tell_what_next(model: "Model", *more: str) -> None:
    """The commands that use what was trained."""
    run, kind, steps = model.path, model.kind, list[tuple[str, ...]]()
    if "generates" in model.abilities:
        # one that generates by class makes so many of each
        count = max(1, min(4, MOST_ON_A_GRID // len(model.labels))) if model.labels else 64
        steps += [
            ("generate", str(run), "--count", str(count), "--grid", "--out", f"{run.name}.png"),
            ("generate", str(run), "--count", "8", "--interpolate", "--out", f"{run.name}.gif"),
        ]
    if kind != "generates" or "translates" in model.abilities:
        steps.append(("translate", str(run), "YOUR_IMAGES", "--out", f"{run.name}-translated"))
        if "ba" in model.directions:
            steps.append(("translate", str(run), "YOUR_IMAGES", "--direction", "ba", "--out", f"{run.name}-back"))
    console.tell("next:")
    for words in steps:
        console.tell(f"  {shlex.join(['ganvas', *words])}")
    for line in more:
        console.tell(f"  {line}")

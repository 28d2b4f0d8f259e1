"""What `ganvas train` and `ganvas demo` say at the end."""

import shlex
from typing import TYPE_CHECKING

from ganvas.cli import console
from ganvas.cli.commands.generate import MOST_ON_A_GRID

if TYPE_CHECKING:
    from ganvas.api import Model
    from ganvas.training.events import Finished, Opened


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


def tell_what_next(model: "Model", *more: str) -> None:
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

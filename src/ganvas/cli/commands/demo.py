"""`ganvas demo`."""

from pathlib import Path

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.commands._trained import Told, tell_what_next
from ganvas.cli.flag_types import Seed
from ganvas.core.options import Budget

DEMO_MINUTES = 1.5


def demo(*, run: Path = Path("runs/demo"), seed: Seed = 0) -> None:
    """Train a small generator on real handwritten digits, in two minutes, and show what it learned.

    Args:
        run: where everything goes
        seed: of the first weights and of all random numbers in training
    """
    console.say("dcgan learns from 1,545 real handwritten digits; this takes under two minutes on two cores")
    with console.loading():
        from ganvas import api

    # smaller images than the default recipe was made for: a smaller penalty leaves them sharper
    asked = api.job(
        "dcgan", "digits", run, budget=Budget(minutes=DEMO_MINUTES), command="ganvas demo", seed=seed, r1=0.3
    )
    model = api.train_job(asked, callbacks=[Told()])
    tell_what_next(model, "ganvas train dcgan --data FOLDER_OF_YOUR_IMAGES --size 64 --flip --minutes 30")


COMMAND = Command(run=demo, usage="[OPTIONS]", examples=("demo", "demo --run runs/first --seed 1"))

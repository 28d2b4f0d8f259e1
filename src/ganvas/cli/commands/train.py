"""`ganvas train`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganvas import methods
from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.commands._trained import Told, tell_what_next
from ganvas.cli.flag_types import MODEL, OUTPUT, Later, Typed
from ganvas.cli.setting_flags import Settings, of_method, require_method
from ganvas.core.atomic_io import require_place
from ganvas.core.options import Budget, Data, TrainOptions
from ganvas.core.sources import require_there


def train(
    method: str,
    /,
    data: Data,
    *,
    run: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    preset: Annotated[str | None, Parameter(group=MODEL)] = None,
    budget: Budget,
    options: TrainOptions,
    config: Later = None,
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
    require_method(config)
    require_there(data.name)
    if run:
        require_place(run)
    with console.loading():
        from ganvas import api

        asked = api.with_config(api.job(method, data, run, budget=budget, options=options, command=typed), config())
    model = api.train_job(asked, callbacks=[Told()])
    tell_what_next(model, "the training command again with more --steps, --epochs or --minutes, to go on from here")


def _settings(tokens: Sequence[str]) -> Settings | None:
    given = of_method(tokens)
    return given and replace(given, example=lambda: f"train {methods.example(tokens[1])}")


COMMAND = Command(
    run=train,
    usage="METHOD --data SOURCE [OPTIONS]",
    examples=("train dcgan --data mnist --minutes 10", "train pix2pix --data photos --task colorize --minutes 30"),
    settings=_settings,
)

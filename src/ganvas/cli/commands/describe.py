"""`ganvas describe`."""

import dataclasses

from ganvas import methods
from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Count, Flag, Later
from ganvas.cli.setting_flags import of_method, require_method
from ganvas.errors import UsageError


def describe(
    method: str,
    /,
    *,
    preset: str | None = None,
    size: Count | None = None,
    channels: Count = 1,
    target_channels: Count | None = None,
    classes: Count = 10,
    json: Flag = False,
    config: Later = None,
) -> None:
    """Show a method's networks layer by layer: output shapes, parameters, multiply-adds.

    Args:
        method: one of `ganvas methods`
        preset: settings of a paper or a course, by name
        size: height and width of images: 16, 28, 32, 64, 128, 256, 512 or 1024 pixels [default: 28, or that of the
            preset]
        channels: 1 for grey, 3 for colour; of pairs, those of the source
        target_channels: of the target: 1, 3, or 2 for the colours of `--task colorize` [default: that of the source]
        classes: the number of classes, for a method that generates by class
        json: print JSON
    """
    require_method(config)
    with console.loading():
        from ganvas.data.batch import PairBatch, Spec
        from ganvas.describe import networks

        chosen = config()
    size = size or (28 if 28 in chosen.sizes else chosen.sizes[0])
    learner = methods.get(method)
    if target_channels and not any(issubclass(kind, PairBatch) for kind in learner.batches):
        raise UsageError(f"--target-channels {target_channels}: {method} is trained on single images; leave it out")
    built = learner(chosen, Spec(size, channels, tuple(map(str, range(classes))), target_channels or 0))
    shown = dict(networks(built))
    if json:
        console.print_json({name: [dataclasses.asdict(layer) for layer in layers] for name, layers in shown.items()})
        return
    for name, layers in shown.items():
        rows = [(x.name, " x ".join(map(str, x.output)), x.parameters, x.multiply_adds) for x in layers]
        total = ("total", "", sum(x.parameters for x in layers), sum(x.multiply_adds for x in layers))
        console.table(f"\n{name}", ("layer", "output", "parameters", "multiply-adds"), [*rows, total])


COMMAND = Command(
    run=describe,
    usage="METHOD [OPTIONS]",
    examples=("describe dcgan --size 64 --channels 3", "describe pix2pix --preset paper --size 256 --channels 3"),
    settings=of_method,
)

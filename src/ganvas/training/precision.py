"""Which number format a run learns quicker in: a few steps of a copy in both, before it begins."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ganvas.checkpoint.manifest import Facts, build
from ganvas.core import distributed
from ganvas.core.device import Precision, autocast, choose_precision
from ganvas.core.rng import seed_step
from ganvas.data.batch import Batch, Source
from ganvas.methods._base import teach
from ganvas.nets.vgg import VGG19
from ganvas.training import require_fit

STEPS = 3  # of each that count; the quickest is the one nothing else disturbed
SECONDS = 1.0  # after which no further step is begun
_GAIN = 0.9  # the share of fp32's time that bf16 may take: it must pay for being coarser


def quicker_precision(
    source: Source[Batch],
    facts: Facts,
    *,
    device: torch.device,
    vgg: VGG19 | None = None,
    paintings: Sequence[Tensor] = (),
) -> Precision:
    """The format in which steps of that run are quicker here; the arguments are those of `training.start`.

    Where a matrix product is no quicker in bf16, nothing is tried: there, a step could take minutes. Nor is a step
    that takes longer than a second in bf16 tried in fp32: it is products for the most part. Not for several processes,
    which would wait for each other at every step.

    Raises:
        DataError: as `training.start`.
        SettingError: as `training.start`.
    """
    require_fit(source, facts)
    assert distributed.count() == 1
    likely = choose_precision(device)
    if likely == "fp32" or device.type != "cpu":
        return likely
    method = build(facts)
    teach(method, vgg=vgg, paintings=paintings)
    method.to(device).train()
    for optimizer in method.optimizers.values():  # torch imports much with the first one, which is no step's fault
        optimizer.zero_grad()
    batch = source.some(facts.config.batch).signed()
    quickest = {"bf16": math.inf, "fp32": math.inf}
    start = time.perf_counter()
    for step in range(STEPS + 1):
        for precision in ("bf16", "fp32"):
            if time.perf_counter() - start > SECONDS:
                break
            seed_step(facts.seed, step)
            begun = time.perf_counter()
            with autocast(device, precision):
                method.training_step(batch, step)
            if step:  # the first also sets up
                quickest[precision] = min(quickest[precision], time.perf_counter() - begun)
    return "fp32" if quickest["bf16"] > _GAIN * quickest["fp32"] else "bf16"

"""Find the precision in which a run trains faster: a few steps of a copy in both, before the training begins."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ganvas.checkpoint.manifest import Manifest, build
from ganvas.core import distributed
from ganvas.core.device import Precision, autocast, choose_precision
from ganvas.core.rng import ALONE, seed_step
from ganvas.data.batch import Batch, Source
from ganvas.nets.vgg import VGG19
from ganvas.training import require_fit

STEPS = 3  # that count, of each; the fastest is the one least disturbed by other work
SECONDS = 1.0  # after which no further step is begun
_GAIN = 0.9  # the fraction of fp32's time that bf16 may take: it must make up for its lower precision


def quicker_precision(
    source: Source[Batch],
    manifest: Manifest,
    *,
    device: torch.device,
    vgg: VGG19 | None = None,
    paintings: Sequence[Tensor] = (),
) -> Precision:
    """The precision in which steps of that run are faster on this machine; the arguments are those of `training.start`.

    If a matrix product is no faster in bf16, no step is tried: it could take minutes. Nor is a step tried in fp32 if it
    takes longer than a second in bf16: it is mostly matrix products. Not for several processes, which would wait for
    each other at every step.

    Raises:
        DataError: as `training.start`.
        SettingError: as `training.start`.
    """
    require_fit(source, manifest)
    assert distributed.count() == 1
    likely = choose_precision(device)
    if likely == "fp32" or device.type != "cpu":
        return likely
    with ALONE:
        method = build(manifest)
        method.setup(vgg=vgg, paintings=paintings)
    method.to(device).train()
    for optimizer in method.optimizers.values():  # torch imports much with the first optimiser, which is not step time
        optimizer.zero_grad()
    batch = source.some(manifest.config.batch).signed()
    quickest = {"bf16": math.inf, "fp32": math.inf}
    start = time.perf_counter()
    for step in range(STEPS + 1):
        for precision in ("bf16", "fp32"):
            if time.perf_counter() - start > SECONDS:
                break
            with ALONE, autocast(device, precision):
                seed_step(manifest.seed, step)
                begun = time.perf_counter()
                method.training_step(batch, step)
            if step:  # the first step includes setup
                quickest[precision] = min(quickest[precision], time.perf_counter() - begun)
    return "fp32" if quickest["bf16"] > _GAIN * quickest["fp32"] else "bf16"

"""What a step runs on: the device, how many cores, and in which number format."""

import contextlib
import ctypes
import math
import os
import sys
import time
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from ganvas.core import distributed
from ganvas.errors import UsageError

QUOTA = Path("/sys/fs/cgroup/cpu.max")

Precision = Literal["fp32", "bf16"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def find_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is CUDA, else Apple's MPS, else the CPU.

    Raises:
        UsageError: where the one asked for is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, here in present.items() if here)
    if not present.get(name, False):
        here = ", ".join(kind for kind, there in present.items() if there)
        raise UsageError(f"`device` {name}: there is none that PyTorch can use here; use {here} or auto")
    if name == "cpu":
        _use_own_cores()
    return torch.device(name)


def cores() -> int:
    """How many CPU cores this process may use: fewer than there are, where several processes share them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota())) // distributed.on_this_machine())


def _quota() -> float:
    """The cores' worth of time that a container is given (Linux, cgroup 2); infinite where nothing limits it."""
    try:
        most, period = QUOTA.read_text(encoding="ascii").split()
        return float(most) / float(period)  # `max` where there is no limit
    except (OSError, ValueError):
        return math.inf


def _use_own_cores() -> None:
    """Compute in as many threads as there are cores for this process; more would wait for each other.

    Whoever sets OMP_NUM_THREADS has chosen, but for the 1 of several processes, which is torchrun's.
    """
    chosen = os.environ.get("OMP_NUM_THREADS")
    if chosen is None or (distributed.on_this_machine() > 1 and chosen == "1"):
        torch.set_num_threads(cores())


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; a GPU fetches it by itself, and nobody waits until it has."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def keep_memory() -> None:
    """Let this process keep what its tensors free, for those of the next step, where glibc manages its memory.

    It would hand large pieces back to the system, which clears and maps them anew for each map of each layer.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**31 - 1)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def prepare_to_train(device: torch.device) -> None:
    """Set up this process for steps that are all alike: memory is kept, a GPU tries which convolutions are quick."""
    keep_memory()
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True


def choose_precision(device: torch.device, name: str = "auto") -> Precision:
    """The number format of products and convolutions; weights, losses and optimisers stay in fp32.

    `auto` asks the hardware rather than a list of names: on the CPU it times one matrix product in both
    formats (a few milliseconds), for bf16 is several times slower than fp32 where the CPU lacks it.
    """
    if name in ("fp32", "bf16"):
        return cast(Precision, name)
    if device.type == "cpu":
        return "bf16" if _product_seconds(torch.bfloat16) < 0.8 * _product_seconds(torch.float32) else "fp32"
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def _product_seconds(dtype: torch.dtype) -> float:
    a, b = torch.ones(256, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    best = math.inf
    for _ in range(8):  # the first also pays for setting up; the quickest is the one nothing else disturbed
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return best


def multiplies_in_tiles() -> bool:
    """Whether this CPU has AMX: units that multiply matrices in bf16, and little else."""
    has = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(has and has())


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Run the step's products in `precision`.

    The cache of casted weights is off: it would outlive an update within the step, and the generator would
    then learn from the discriminator of the step before.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

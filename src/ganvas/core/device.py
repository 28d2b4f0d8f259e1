"""The device, the number of CPU cores and the precision that a step runs with."""

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
        UsageError: if PyTorch cannot use it here.
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
    """How many CPU cores this process may use; the processes on one machine share them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota())) // distributed.on_this_machine())


def _quota() -> float:
    """The CPU limit of a container, in cores (Linux, cgroup 2); infinite if there is none."""
    try:
        most, period = QUOTA.read_text(encoding="ascii").split()
        return float(most) / float(period)  # `max` where there is no limit
    except (OSError, ValueError):
        return math.inf


def _use_own_cores() -> None:
    """Use as many threads as this process has cores; more would wait for each other.

    OMP_NUM_THREADS takes precedence, except for the 1 that torchrun sets for several processes.
    """
    chosen = os.environ.get("OMP_NUM_THREADS")
    if chosen is None or (distributed.on_this_machine() > 1 and chosen == "1"):
        torch.set_num_threads(cores())


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; the copy to a GPU is asynchronous."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def keep_memory() -> None:
    """Keep freed memory in this process for the tensors of the next step (glibc only).

    Otherwise glibc returns large blocks to the system, which clears and maps them again for each feature map of each
    layer.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**31 - 1)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def prepare_to_train(device: torch.device) -> None:
    """Set up this process for steps of equal shapes: keep freed memory, let cuDNN find fast convolutions."""
    keep_memory()
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True


def choose_precision(device: torch.device, name: str = "auto") -> Precision:
    """The dtype of matrix products and convolutions; weights, losses and optimisers stay in fp32.

    `auto` tests the hardware instead of using a list of names: on the CPU it times one matrix product in both dtypes (a
    few milliseconds), because bf16 is several times slower than fp32 on CPUs without it.
    """
    if name in ("fp32", "bf16"):
        return cast(Precision, name)
    if device.type == "cpu":
        return "bf16" if _product_seconds(torch.bfloat16) < 0.8 * _product_seconds(torch.float32) else "fp32"
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def _product_seconds(dtype: torch.dtype) -> float:
    a, b = torch.ones(256, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    best = math.inf
    for _ in range(8):  # the first includes the setup; the fastest one is the least disturbed
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return best


def multiplies_in_tiles() -> bool:
    """Whether this CPU has AMX, units for matrix products in bf16."""
    has = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(has and has())


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Run the step's products in `precision`.

    The cache of cast weights is off: it would outlive an update within the step, and the generator would learn from the
    discriminator before its update.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

"""Several processes that train one model: their ranks and their communication (torch.distributed).

The launcher (torchrun, accelerate, a scheduler) sets the environment variables RANK, WORLD_SIZE, LOCAL_RANK,
LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Without them there is one process, and nothing here does anything.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ganvas.errors import ProcessError, UsageError

PATIENCE = datetime.timedelta(minutes=30)  # how long to wait for another process: it may be writing, or evaluating
BUCKET = 2**22  # elements that are reduced together at most; a larger tensor goes alone

_LOST = ("connection", "peer", "timed out", "timeout", "gloo", "nccl", "socket", "broken pipe")  # in torch's messages


# --- ranks ----------------------------------------------------------------------------------------------------------


def announced() -> tuple[int, int]:
    """The rank of this process and the number of processes, from the environment.

    Raises:
        UsageError: if they do not fit together.
    """
    number, of = _said("RANK", 0), _said("WORLD_SIZE", 1)
    if not number < of:
        raise UsageError(f"RANK={number} of WORLD_SIZE={of}: expected 0 to {of - 1}; start with torchrun")
    return number, of


def on_this_machine() -> int:
    """How many processes run on this machine, from the environment."""
    return max(1, _said("LOCAL_WORLD_SIZE", 1))


def rank() -> int:
    """The rank of this process among those that have joined; only rank 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes have joined; 1 without distributed training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def _said(name: str, otherwise: int) -> int:
    """A number from the environment.

    Raises:
        UsageError: if it is not a number.
    """
    value = os.environ.get(name, "") or str(otherwise)
    if not value.isdecimal():
        raise UsageError(f"{name}={value}: expected a number, as torchrun sets it; start with torchrun, or unset it")
    return int(value)


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Connect the processes within the block; each has a device of its own.

    Raises:
        ProcessError: if they cannot connect.
        UsageError: if the environment variables do not fit together, or processes cannot share that kind of device.
    """
    of = announced()[1]
    if of == 1:
        yield
        return
    needed = ["RANK", "MASTER_ADDR", "MASTER_PORT"] + ["LOCAL_RANK"] * (device.type == "cuda")
    if missing := [name for name in needed if not os.environ.get(name)]:
        raise UsageError(f"WORLD_SIZE={of} and no {missing[0]}: start with torchrun, or set it as torchrun does")
    _said("MASTER_PORT", 0)
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"`device` {device.type}: cannot be shared by {of} processes; give `device` cpu")
    if device.type == "cuda":
        here, devices = on_this_machine(), torch.cuda.device_count()
        if 1 < devices < here:
            raise UsageError(f"{here} processes on this machine and {devices} GPUs; start one for each")
        torch.cuda.set_device(_said("LOCAL_RANK", 0) if devices > 1 else 0)  # a scheduler may show each only its own
    with _reporting_the_lost("to connect to the others"):
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _reporting_the_lost(what: str) -> Iterator[None]:
    """Within the block, a torch error about a lost connection becomes one line."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error).lower() for word in _LOST):
            raise
        raise ProcessError(
            f"process {announced()[0]} of {announced()[1]} waited {what} and got no answer: another process has ended, "
            "or the network failed, and its own message says why; the same command continues from the last checkpoint "
            f"({str(error).strip().splitlines()[0][:200]})"
        ) from error


@contextlib.contextmanager
def one_a_machine_first() -> Iterator[None]:
    """Run the block in one process of each machine first, and then in the others, which find what it has downloaded."""
    later = count() > 1 and _said("LOCAL_RANK", 0) > 0
    if later:
        agree(0.0)
    yield
    if not later:
        agree(0.0)


# --- communication --------------------------------------------------------------------------------------------------


def agree(value: float, *, wish: bool = False) -> tuple[float, bool]:
    """The value of the first process, and whether `wish` is true in any process; the same in all."""
    if count() == 1:
        return value, wish
    told = torch.tensor([value if rank() == 0 else float("-inf"), float(wish)], dtype=torch.float64)
    with _reporting_the_lost("for the others' next step"):
        dist.all_reduce(told, dist.ReduceOp.MAX)
    return float(told[0]), bool(told[1])


def average(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The means over the processes, contiguous; the tensors themselves for one process."""
    if count() == 1:
        return list(tensors)
    means: list[Tensor] = []
    with _reporting_the_lost("to average with the others"):
        for bucket in _buckets(tensors):
            whole = torch.cat([tensor.flatten() for tensor in bucket])
            dist.all_reduce(whole)
            whole /= count()
            parts = torch.split(whole, [tensor.numel() for tensor in bucket])
            means += [part.view(tensor.shape) for part, tensor in zip(parts, bucket, strict=True)]
    return means


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in their order, small neighbours of one dtype grouped."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(other.numel() for other in bucket) + tensor.numel() > BUCKET
        if bucket and (full or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


class _Mean(torch.autograd.Function):
    """The mean over the processes, through which gradients flow.

    Each process computes the loss of its own rows, and the weight gradients are averaged at the end; so the backward
    pass returns the mean of the processes' gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return average([x])[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return mean(gradients[0])


def mean(x: Tensor) -> Tensor:
    """The mean of a tensor over the processes; gradients flow through it, also twice."""
    if count() == 1:
        return x
    made: Tensor = _Mean.apply(x)
    return made


def together(rows: Tensor) -> Tensor:
    """The rows (N, ...) of all processes, (count N, ...), in their order."""
    if count() == 1:
        return rows
    everyones = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(count())]
    with _reporting_the_lost("for the others' images"):
        dist.all_gather(everyones, rows.contiguous())
    return torch.cat(everyones)


def tell_all(content: bytes | None) -> bytes:
    """Broadcast the bytes of the first process to all; the others pass None."""
    if count() == 1:
        assert content is not None
        return content
    with _reporting_the_lost("for the message of the first one"):
        n = torch.tensor([len(content or b"")])
        dist.broadcast(n, 0)
        told = torch.empty(int(n), dtype=torch.uint8)
        if content is not None:
            told = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        dist.broadcast(told, 0)
    return told.numpy().tobytes()

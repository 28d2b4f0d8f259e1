"""The speed gained by the layers of `nets/cpu_ops.py`: steps with and without each, and gradients of kernels by shape.

    python benchmarks/cpu_paths.py

Each is switched off in turn, in one run, in bf16. The images are random, which takes as long as real ones. Writes
docs/results/cpu-paths.md.
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from unittest import mock

import report
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas import methods
from ganvas.core.device import autocast, keep_memory, multiplies_in_tiles
from ganvas.data.batch import ImageBatch, PairBatch, Source, Spec
from ganvas.data.loader import batches
from ganvas.nets import cpu_ops
from ganvas.training.cuda_graphs import Steps

CPU = torch.device("cpu")
ROUNDS, SECONDS = 10, 0.6
IMAGES = 256
RECIPES = [  # method, preset, pixels, channels, batch where it is not the recipe's
    ("dcgan", None, 28, 1, None),
    ("dcgan", None, 64, 3, None),
    ("dcgan", "paper64", 64, 3, 16),
    ("wgan_gp", None, 64, 3, None),
    ("vae", None, 64, 3, None),
    ("autoencoder", None, 128, 3, None),
    ("pix2pix", None, 128, 3, None),
    ("pix2pix", "paper", 256, 3, None),
]
SHAPES = [  # images, channels in and out, pixels a side, kernel, stride, padding
    (128, 128, 256, 8, 4, 2, 1),
    (32, 512, 1024, 8, 5, 2, 2),
    (256, 128, 256, 7, 5, 1, 2),
    (128, 32, 64, 14, 4, 2, 1),
    (8, 256, 256, 16, 4, 2, 1),
    (128, 64, 128, 16, 4, 2, 1),
    (8, 128, 256, 32, 4, 2, 1),
    (128, 32, 64, 32, 4, 2, 1),
    (8, 64, 128, 64, 4, 2, 1),
]


def off(*names: str) -> contextlib.ExitStack:
    """A context in which these code paths are not used."""
    patches = {
        "products": [mock.patch.object(cpu_ops, "multiplies_in_tiles", return_value=False)],
        "fewest": [mock.patch.object(cpu_ops, "FEWEST", 0)],
        "layouts": [
            mock.patch.object(cpu_ops, "_lay_out_gradient", return_value=None),
            mock.patch.object(cpu_ops.Unflatten, "forward", nn.Unflatten.forward),
        ],
    }
    stack = contextlib.ExitStack()
    for patch in (patch for name in names for patch in patches[name]):
        stack.enter_context(patch)
    return stack


WAYS = {"": (), "all": ("products", "fewest", "layouts"), "products": ("products",), "fewest": ("fewest",)}
WAYS |= {"layouts": ("layouts",)}


def steps(name: str, preset: str | None, size: int, channels: int, batch: int | None) -> Iterator[None]:
    """Endless steps of a recipe."""
    method, config = methods.get(name), methods.config(name, preset)
    config = dataclasses.replace(config, batch=batch or config.batch)
    rng = torch.Generator().manual_seed(0)
    sides = [torch.randint(0, 256, (IMAGES, channels, size, size), generator=rng, dtype=torch.uint8)] * 2
    pairs = method.batches[0] is PairBatch
    spec = Spec(size, channels, target_channels=channels if pairs else 0)
    source = Source("random", spec, PairBatch(*sides) if pairs else ImageBatch(sides[0]))
    learn = Steps(method(config, spec).train(), seed=0)
    for step, batch in enumerate(batches(source, batch=config.batch, seed=0, device=CPU), 1):
        with autocast(CPU, "bf16"):
            learn(batch, step)
        yield


def of_steps() -> str:
    """A table of how many times as long a step takes without each."""
    lines = []
    for recipe in RECIPES:
        name, preset, size, _, batch = recipe
        loop, seconds, order = steps(*recipe), {way: [] for way in WAYS}, list(WAYS)
        next(loop)
        for _ in range(ROUNDS):
            order.append(order.pop(0))  # none of them is always first
            for way in order:
                with off(*WAYS[way]):
                    next(loop)
                    start, done = time.perf_counter(), 0
                    while time.perf_counter() - start < SECONDS:
                        next(loop)
                        done += 1
                    seconds[way].append((time.perf_counter() - start) / done)
        best = {way: min(of_way) for way, of_way in seconds.items()}
        title = f"{name} --preset {preset}" if preset else name
        title = f"`{title} --batch {batch}`" if batch else f"`{title}`"
        shown = [f"{best[way] / best['']:.2f}" for way in WAYS if way]
        lines.append(f"| {title}, {size} | {1e3 * best['']:.0f} | {' | '.join(shown)} |")
        print(lines[-1], flush=True)
    head = "| | a step, ms | without all three | without products | without fp32 at the fewest | without layouts |\n"
    return head + "|---|---|---|---|---|---|\n" + "\n".join(lines)


def milliseconds(work: Callable[[], Tensor]) -> float:
    """The median over a few calls."""
    work()
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


def of_kernel(
    n: int, before: int, after: int, side: int, kernel: int, stride: int, pad: int, *, dtype: torch.dtype
) -> tuple[float, float]:
    """Milliseconds for the gradient of such a kernel: by torch, and by a matrix product."""
    strides, pads, last = (stride, stride), (pad, pad), torch.channels_last
    maps = torch.randn(n, before, side, side).to(dtype).to(memory_format=last)
    weight = torch.randn(after, before, kernel, kernel).to(dtype).to(memory_format=last)
    gradient = torch.randn_like(F.conv2d(maps, weight, None, strides, pads))
    which = [False, True, False]

    def theirs() -> Tensor:
        return torch.ops.aten.convolution_backward(
            gradient, maps, weight, None, strides, pads, [1, 1], False, [0, 0], 1, which
        )[1]

    def ours() -> Tensor:
        return cpu_ops._of_kernel(gradient, maps, weight, strides, pads, transposed=False)

    return milliseconds(theirs), milliseconds(ours)


def of_shapes() -> str:
    """A table of the times for the gradient of a kernel, by torch and by a matrix product, in both dtypes."""
    lines = []
    for shape in SHAPES:
        n, before, after, side, kernel, stride, pad = shape
        made, shown = (side + 2 * pad - kernel) // stride + 1, []
        for dtype in (torch.bfloat16, torch.float32):
            theirs, ours = of_kernel(*shape, dtype=dtype)
            shown += [f"{theirs:.1f}", f"{ours:.1f}", f"{theirs / ours:.2f}"]
        where = f"{n} x {before} x {side}x{side} to {after} x {made}x{made}, kernel {kernel}x{kernel}"
        lines.append(f"| {where} | {' | '.join(shown)} |")
        print(lines[-1], flush=True)
    head = "| | bf16, torch's, ms | product, ms | ratio | fp32, torch's, ms | product, ms | ratio |\n"
    return head + "|---|---|---|---|---|---|---|\n" + "\n".join(lines)


def main() -> None:
    keep_memory()
    tiles = "with" if multiplies_in_tiles() else "without"
    text = f"""# The speed gained by the CPU code paths

`benchmarks/cpu_paths.py`, on a CPU {tiles} AMX. `nets/cpu_ops.py` differs from torch in three points: **products**,
the gradient of a kernel is one matrix product where feature maps are 8x8 or smaller (in bf16, with AMX); **fp32 at
the fewest**, kernels that are applied at {cpu_ops.FEWEST} positions or fewer are multiplied in fp32, not cast;
**layouts**, feature maps and their gradients are channels-last also where they are flattened, unflattened or
concatenated.

## Whole steps

Steps in bf16, with the recipe's batch unless another is given. The columns show how many times as long a step takes
without each. All variants take turns for {ROUNDS} rounds; the fastest round of each counts, because other work on the
machine can only slow it down. Some of the paths are not used by a recipe, which shows how accurate these figures are:
no `dcgan` has a kernel with so few positions, and `autoencoder` concatenates no feature maps.

{of_steps()}

## The gradient of a kernel

{of_shapes()}
"""
    report.write("cpu-paths.md", text)


if __name__ == "__main__":
    main()

"""The metrics of image pairs: seconds for 1,000 pairs in colour at 256 pixels, and the peak memory.

    python benchmarks/metrics_speed.py

Writes docs/results/metrics-speed.md. Pairs come in batches, as in evaluation: photographs of scikit-image and
scikit-learn, shifted, rotated and mirrored, and the same with noise, different for each. The time to make them is not
counted. Each measurement runs in a separate process, so that its peak memory is its own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import report
import torch
from photographs import free_photographs
from torch import Tensor

from ganvas import metrics

SIZE = 256  # pixels
PAIRS = 1000
FEWER = 250
PARTS = (16, 2)  # pairs in a batch: many, and as few as evaluation takes for images of this size
LIMIT = 90  # seconds for all of them together, on two cores
METRICS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "MSE": metrics.squared_error,
    "MAE": metrics.absolute_error,
    "PSNR": metrics.signal_to_noise,
    "SSIM": metrics.structural_similarity,
    "MS-SSIM": metrics.multi_scale_similarity,
    "checkerboard, of both": lambda made, wanted: (metrics.power_spectrum(made), metrics.power_spectrum(wanted)),
}


def parts(count: int, at_once: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs (n, 3, SIZE, SIZE) of uint8, no two alike."""
    photographs, rng = free_photographs(SIZE), torch.Generator().manual_seed(0)
    for start in range(0, count, at_once):
        wanted = torch.stack([one_of(photographs, k) for k in range(start, min(start + at_once, count))])
        noise = torch.randn(wanted.shape, generator=rng) * 10
        yield (wanted + noise).round().clamp(0, 255).to(torch.uint8), wanted


def one_of(photographs: Tensor, k: int) -> Tensor:
    turned = photographs[k % len(photographs)].rot90(k // len(photographs) % 4, (1, 2)).roll((k, k), (1, 2))
    return turned.flip(-1) if k % 2 else turned


def measure(count: int, at_once: int) -> None:
    """In a separate process: the wall time and the CPU time of each metric, and the memory."""
    walls, busy = dict.fromkeys(METRICS, 0.0), dict.fromkeys(METRICS, 0.0)
    for warm, (made, wanted) in enumerate(parts(at_once + count, at_once)):
        for name, metric in METRICS.items():
            wall, cpu = time.perf_counter(), time.process_time()
            metric(made, wanted)
            if warm:  # the first batch loads libraries
                walls[name] += time.perf_counter() - wall
                busy[name] += time.process_time() - cpu
    print(json.dumps({"walls": walls, "busy": busy, "bytes": report.peak_bytes()}))


def measured(count: int, at_once: int) -> dict:
    words = [sys.executable, __file__, "--count", str(count), "--part", str(at_once)]
    found: dict = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        measure(options.count, options.part)
        return
    found = {at_once: measured(PAIRS, at_once) for at_once in PARTS}
    fewer = measured(FEWER, PARTS[0])
    rows = [
        f"| {name} | "
        + " | ".join(f"{found[n]['walls'][name]:.1f} ({found[n]['busy'][name]:.1f})" for n in PARTS)
        + " |"
        for name in METRICS
    ]
    totals = [f"**{sum(found[n]['walls'].values()):.0f}** ({sum(found[n]['busy'].values()):.0f})" for n in PARTS]
    memory = {count: one["bytes"] / 2**20 for count, one in ((FEWER, fewer), (PAIRS, found[PARTS[0]]))}
    report.write(
        "metrics-speed.md",
        f"# The metrics of {PAIRS:,} pairs\n\n"
        f"In colour, {SIZE}x{SIZE}; `benchmarks/metrics_speed.py`. Wall time in seconds, in brackets "
        f"CPU time; the target is under {LIMIT} on two cores. The pairs come in batches, so that memory does not grow "
        "with their number.\n\n"
        f"| | {' | '.join(f'batches of {n}' for n in PARTS)} |\n|---|---|---|\n"
        + "\n".join(rows)
        + f"\n| all | {' | '.join(totals)} |\n\n"
        + "| pairs | peak memory, including all libraries |\n|---|---|\n"
        + "\n".join(f"| {count:,} | {size:.0f} MiB |" for count, size in memory.items()),
    )


if __name__ == "__main__":
    main()

"""The speed of training on a GPU, compared with tutorials' loops, and with and without CUDA graphs.

    python benchmarks/gpu.py                        everything, on the GPU
    python benchmarks/gpu.py --only gan pix2pix     some cases; the figures of the others are kept
    python benchmarks/gpu.py --dry --only gan       on the CPU, to test the script: writes nothing

It measures the loop of `plain_loops.py` in fp32, ganvas in fp32, ganvas in the precision that it chooses with its
operations launched one by one, and ganvas as shipped, with its steps recorded as CUDA graphs. They take turns in one
run. With --data-root DIR, where DIR holds MNIST/raw, the digits are MNIST's; without it they are random images, which
take as long. Writes docs/results/gpu.md once every part has been measured.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import report
import speed
import torch

from ganvas.core.device import Precision, choose_precision, prepare_to_train
from ganvas.training.cuda_graphs import WARMING, recording

FOUND = Path("runs/gpu/found.json")
WAYS = {
    "plain": "plain loop, fp32",
    "fp32": "ganvas, fp32",
    "launched": "ganvas, operations one by one",
    "shipped": "ganvas as shipped, recorded",
}
SIDE = 8192  # of the matrices of the product that is the ceiling
WANTED = {
    "gan": 4.0,
    "dcgan64": 3.0,
    "pix2pix": 1.8,
    "cyclegan128": 1.8,
    "cyclegan256": 1.8,
}  # ratios to the plain loop
CASES = {
    name: replace(case, batch=None, title=case.title.replace(" --batch 32", ""))
    for name, case in speed.CASES.items()
    if name != "stylize"
}


def opened(name: str, way: str, precision: Precision, *, device: torch.device, root: Path | None) -> Iterator[int]:
    """Endless steps of a case in one of the variants."""
    record = recording(device, parts=1) if way in ("fp32", "shipped") else None
    told: Precision = precision if way in ("launched", "shipped") else "fp32"
    return speed.turns(CASES[name], way, told, root, None, device=device, record=record)


def measure(name: str, precision: Precision, *, device: torch.device, root: Path | None, rounds: int) -> list[dict]:
    """Measure all variants in turns, each after the matrix product in its own dtype."""
    case, found = CASES[name], []
    loops = {way: opened(name, way, precision, device=device, root=root) for way in WAYS}
    for way, loop in loops.items():  # until every kind of step is recorded
        for _ in range(16 * (WARMING + 1) if way in ("fp32", "shipped") and case.method != "cyclegan" else 5):
            next(loop)
    side = SIDE if device.type == "cuda" else speed.SIDE
    for _ in range(rounds):
        found.append({})
        for way, loop in loops.items():
            dtype = torch.bfloat16 if precision == "bf16" and way in ("launched", "shipped") else torch.float32
            ceiling = speed.product(dtype, device=device, side=side)
            seconds = speed.seconds_a_image(case, loop, 2, device=device)
            found[-1][way] = {"seconds": seconds, "ceiling": ceiling}
        print(case.title, {way: f"{1 / one['seconds']:.3g}/s" for way, one in found[-1].items()}, flush=True)
    return found


def peak_of(name: str, way: str, precision: Precision, root: Path | None) -> int:
    """Peak GPU memory in bytes of a separate process."""
    words = [sys.executable, __file__, "--peak", name, way, precision, *(["--data-root", str(root)] if root else [])]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[-1])


def table(found: dict) -> str:
    lines = []
    for name, case in CASES.items():
        for way, title in WAYS.items():
            rounds = found[name]["rounds"]
            seconds = statistics.median(one[way]["seconds"] for one in rounds)
            ratios = [one["plain"]["seconds"] / one[way]["seconds"] for one in rounds]
            share = statistics.median(
                found[name]["needed"] / one[way]["seconds"] / one[way]["ceiling"] for one in rounds
            )
            spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if way != "plain" else ""
            wanted = f"{WANTED[name]:g}" if way == "shipped" and name in WANTED else ""
            lines.append(
                f"| {case.title if way == 'plain' else ''} | {title} | {1 / seconds:,.3g} | "
                f"{statistics.median(ratios):.2f}{spread} | {wanted} | {share:.0%} | "
                f"{found[name]['peaks'][way] / 2**20:,.0f} |"
            )
    head = "| | loop | images a second | ratio to the plain loop | target | share of the ceiling | peak, MB |\n"
    return head + "|---|---|---|---|---|---|---|\n" + "\n".join(lines)


def write(found: dict, name: str) -> None:
    text = f"""# Speed on a GPU

`benchmarks/gpu.py`, on one {name}. The plain loop is that of common tutorials (`benchmarks/plain_loops.py`), in fp32
with torch's defaults, which let convolutions round to TF32. ganvas is the step of `ganvas train`, including its data,
in fp32, in bf16 with its operations launched one by one, and as shipped: bf16, each kind of step recorded as a CUDA
graph ([how](../gpu.md)). They take turns. The table has medians, and the range of the ratio over the rounds. The
ceiling is a product of two {SIDE}x{SIDE} matrices in the loop's own dtype. Peaks are of torch's tensors, in separate
processes.

{table(found)}
"""
    report.write("gpu.md", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--data-root", type=Path, help="a folder with MNIST/raw")
    parser.add_argument("--dry", action="store_true", help="run on the CPU and write nothing")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.dry and not torch.cuda.is_available():
        sys.exit("there is no GPU that PyTorch can use here; --dry runs on the CPU")
    device = torch.device("cpu" if options.dry else "cuda")
    prepare_to_train(device)
    if options.peak:
        loop = opened(*options.peak, device=device, root=options.data_root)
        for _ in range(16 * (WARMING + 1)):
            next(loop)
        print(torch.cuda.max_memory_allocated())
        return
    precision = choose_precision(device)
    for name in options.only:
        needed = speed.multiply_adds(
            CASES[name], opened(name, "launched", "fp32", device=device, root=options.data_root)
        )
        rounds = measure(name, precision, device=device, root=options.data_root, rounds=options.rounds)
        if options.dry:
            continue
        peaks = {way: peak_of(name, way, precision, options.data_root) for way in WAYS}
        FOUND.parent.mkdir(parents=True, exist_ok=True)
        found = json.loads(FOUND.read_text()) if FOUND.exists() else {}
        found[name] = {"needed": needed, "rounds": rounds, "peaks": peaks}
        FOUND.write_text(json.dumps(found, indent=1))
        if all(name in found for name in CASES):
            write(found, torch.cuda.get_device_name())


if __name__ == "__main__":
    main()

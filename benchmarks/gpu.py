"""The speed of training on a GPU, compared with tutorials' loops, and with and without CUDA graphs.

    python benchmarks/gpu.py                        everything, on the GPU
    python benchmarks/gpu.py --only gan pix2pix     some cases; the figures of the others are kept
    python benchmarks/gpu.py --dry --only gan       on the CPU, to test the script: writes nothing
    python benchmarks/gpu.py --page                 only the page, from the figures that a GPU machine has sent back

It measures the loop of `plain_loops.py` in fp32, ganvas in fp32, ganvas in the precision that it chooses with its
operations launched one by one, and ganvas as shipped, with its steps recorded as CUDA graphs. They take turns in one
run. With --data-root DIR, where DIR holds MNIST/raw, the digits are MNIST's; without it they are random images, which
take as long. Writes runs/gpu/found.json, and docs/results/gpu.md once every part has been measured.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import report
import speed
import torch

from ganvas.core.device import Precision, choose_precision, prepare_to_train
from ganvas.data.batch import Spec
from ganvas.training.cuda_graphs import WARMING, recording

FOUND = Path("runs/gpu/found.json")
WAYS = {
    "plain": "plain loop, fp32",
    "fp32": "ganvas, fp32",
    "launched": "ganvas, operations one by one",
    "shipped": "ganvas as shipped, recorded",
}
SIDE = 8192  # of the matrices of the product that is the ceiling
WANTED = {"gan": 4.0, "dcgan64": 3.0, "pix2pix": 1.8, "cyclegan256": 1.8}  # ratios to the plain loop
CGAN = speed.Case("`cgan --preset lecture`", "cgan", "lecture", Spec(28, 1, tuple("0123456789")))
CASES = {
    name: replace(case, batch=None, title=case.title.replace(" --batch 32", ""))
    for name, case in (speed.CASES | {"cgan": CGAN}).items()
    if name in ("gan", "dcgan64", "wgan_gp", "cgan", "pix2pix", "cyclegan256")
}


def opened(name: str, way: str, precision: Precision, *, device: torch.device, root: Path | None) -> Iterator[int]:
    """Endless steps of a case in one of the variants."""
    record = recording(device, parts=1) if way in ("fp32", "shipped") else None
    told: Precision = precision if way in ("launched", "shipped") else "fp32"
    return speed.turns(CASES[name], way, told, root, None, device=device, record=record)


def warmed(name: str, loop: Iterator[int], *, device: torch.device) -> int:
    """Take steps until every kind of step is recorded; returns the peak of GPU memory in bytes, less what was there."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    kinds = CASES[name].cycle
    for _ in range(kinds * (WARMING + 2)):
        next(loop)
    return torch.cuda.max_memory_allocated() - before if device.type == "cuda" else 0


def measure(
    name: str, precision: Precision, *, device: torch.device, root: Path | None, rounds: int, least: float
) -> tuple[list[dict], dict[str, int]]:
    """Measure all variants in turns, each after the matrix product in its own dtype; also returns their peaks."""
    case, found, loops, peaks = CASES[name], [], {}, {}
    for way in WAYS:
        loops[way] = opened(name, way, precision, device=device, root=root)
        peaks[way] = warmed(name, loops[way], device=device)
    side = SIDE if device.type == "cuda" else speed.SIDE
    for _ in range(rounds):
        found.append({})
        for way, loop in loops.items():
            dtype = torch.bfloat16 if precision == "bf16" and way in ("launched", "shipped") else torch.float32
            ceiling = speed.product(dtype, device=device, side=side)
            seconds = speed.seconds_a_image(case, loop, least, device=device)
            found[-1][way] = {"seconds": seconds, "ceiling": ceiling}
        print(case.title, {way: f"{1 / one['seconds']:.3g}/s" for way, one in found[-1].items()}, flush=True)
    return found, peaks


def table(found: dict) -> str:
    lines = []
    for name, case in CASES.items():
        for way, title in WAYS.items():
            rounds = found[name]["rounds"]
            seconds = statistics.median(one[way]["seconds"] for one in rounds)
            ratios = [one["plain"]["seconds"] / one[way]["seconds"] for one in rounds]
            shares = [found[name]["needed"] / one[way]["seconds"] / one[way]["ceiling"] for one in rounds]
            share = f"{statistics.median(shares):.1%}" if way in ("launched", "shipped") else ""
            spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if way != "plain" else ""
            wanted = f"{WANTED[name]:g}" if way == "shipped" and name in WANTED else ""
            lines.append(
                f"| {case.title if way == 'plain' else ''} | {title} | {1 / seconds:,.3g} | "
                f"{statistics.median(ratios):.2f}{spread} | {wanted} | {share} | "
                f"{found[name]['peaks'][way] / 2**20:,.0f} |"
            )
    head = "| | loop | images a second | ratio to the plain loop | target | share of the ceiling | peak, MB |\n"
    return head + "|---|---|---|---|---|---|---|\n" + "\n".join(lines)


def write(found: dict) -> None:
    text = f"""# Speed on a GPU

`benchmarks/gpu.py`, on one {found["card"]}. The plain loop is that of common tutorials (`benchmarks/plain_loops.py`),
in fp32 with torch's defaults, which let convolutions round to TF32. ganvas is the step of `ganvas train`, including its
data, in fp32, in bf16 with its operations launched one by one, and as shipped: bf16, each kind of step recorded as a
CUDA graph ([how](../gpu.md)). They take turns. The table has medians, and the range of the ratio over the rounds. The
ceiling is a product of two {SIDE}x{SIDE} matrices in bf16. Peaks are of torch's tensors, with the workspaces that cuDNN
tries as it looks for fast convolutions.

{table(found["cases"])}
"""
    report.write("gpu.md", text, machine=found["machine"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1, help="of each loop in a round; at least one step")
    parser.add_argument("--data-root", type=Path, help="a folder with MNIST/raw")
    parser.add_argument("--dry", action="store_true", help="run on the CPU and write nothing")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page of what was measured")
    options = parser.parse_args()
    if options.page:
        write(json.loads(FOUND.read_text()))
        return
    if not options.dry and not torch.cuda.is_available():
        sys.exit("there is no GPU that PyTorch can use here; --dry runs on the CPU")
    device = torch.device("cpu" if options.dry else "cuda")
    prepare_to_train(device)
    precision = choose_precision(device)
    for name in options.only:
        needed, _ = speed.counted(CASES[name], opened(name, "launched", "fp32", device=device, root=options.data_root))
        rounds, peaks = measure(
            name, precision, device=device, root=options.data_root, rounds=options.rounds, least=options.seconds
        )
        if options.dry:
            continue
        FOUND.parent.mkdir(parents=True, exist_ok=True)
        found = json.loads(FOUND.read_text()) if FOUND.exists() else {"cases": {}}
        found |= {"card": torch.cuda.get_device_name(), "machine": report.this_machine()}
        found["cases"][name] = {"needed": needed, "rounds": rounds, "peaks": peaks}
        FOUND.write_text(json.dumps(found, indent=1))
        if all(name in found["cases"] for name in CASES):
            write(found)


if __name__ == "__main__":
    main()

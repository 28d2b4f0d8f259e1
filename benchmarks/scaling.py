"""Scaling: time and memory against image size, batch and data set, one process and two, and a plan for 64 GPUs.

    python benchmarks/scaling.py                     everything, a quarter of an hour on two cores
    python benchmarks/scaling.py --only size batch   some parts; the figures of the others are kept

Needs no data: networks train on noise, and the data sets repeat a few small images, in a temporary folder (4 GB of
disk; `--most 100000` takes a tenth). Writes docs/results/scaling.md with its plots. The plan is
calculated in scaling_plan.py from the measurements here.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import report
import scaling_data
import scaling_plan
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ganvas import checkpoint, methods
from ganvas.checkpoint.manifest import Manifest
from ganvas.core.device import autocast, choose_precision, cores
from ganvas.data.batch import ImageBatch, PairBatch, Spec, UnpairedBatch
from ganvas.imaging import images
from ganvas.methods._base import Method
from ganvas.training import metrics_log

FOUND = Path("runs/scaling/found.json")
CPU = torch.device("cpu")
PARTS = ("size", "batch", "data", "processes", "models")

GROWING = ("pix2pix", "dcgan")  # with their defaults
SIZES, AT = (64, 128, 256, 512, 1024), 2  # pixels, and images a step
BATCHES, PIXELS = (1, 2, 4, 8, 16, 32, 64), {"pix2pix": 128, "dcgan": 64}
SECONDS = 4.0  # of timed steps, minimum

SHARED = {"pix2pix": (128, 8), "dcgan": (64, 64)}  # pixels and batch of the trainings with two processes
IMAGES, PROCESS_SECONDS, ROUNDS = 128, 12, 2
PHOTOGRAPHS = (64, 256, 1024)  # pixels a side of the files whose decoding is timed


# --- steps ----------------------------------------------------------------------------------------------------------


def learner_of(method: str, preset: str | None, spec: Spec) -> Method:
    """A method that needs no other network, ready to train."""
    torch.manual_seed(0)
    return methods.get(method)(methods.config(method, preset), spec).train()


def noise_for(method: str, spec: Spec, n: int) -> ImageBatch | PairBatch:
    """A batch of noise of the type that the method trains on."""
    kind = methods.get(method).batches[0]
    images = torch.rand(2, n, 3, spec.size, spec.size) * 2 - 1
    return kind(*images) if issubclass(kind, PairBatch) else ImageBatch(images[0])


def spec_for(method: str, size: int) -> Spec:
    pairs = issubclass(methods.get(method).batches[0], PairBatch | UnpairedBatch)
    return Spec(size, 3, target_channels=3 if pairs else 0)


def clock_of_here() -> Callable[[], float]:
    """CPU time with one thread, because other work does not count in it; wall time otherwise."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def measure_step(method: str, size: int, batch: int) -> dict[str, float]:
    """In a separate process: seconds a step (median), its multiply-adds, and the peak memory.

    The first step is not timed. It includes the gradient penalty, if the method has one, so that the peak includes it.
    """
    spec = spec_for(method, size)
    precision, before = choose_precision(CPU), report.peak_bytes()
    learner, rows = learner_of(method, None, spec), noise_for(method, spec, batch)

    clock = clock_of_here()

    def step(number: int) -> float:
        start = clock()
        with autocast(CPU, precision):
            learner.training_step(rows, number)
        return clock() - start

    step(0)
    peak = report.peak_bytes()
    with FlopCounterMode(display=False) as counter:
        step(1)
    times = []
    while len(times) < 2 or sum(times) < SECONDS:
        times.append(step(2 + len(times) % 8))
    counted = counter.get_total_flops() / 2  # a multiply-add is two operations
    return {"seconds": statistics.median(times), "bytes": peak, "before": before, "multiply_adds": counted}


def measured(**what: object) -> dict[str, Any]:
    """The output of `--measure`, in a separate process."""
    words = [sys.executable, __file__, "--measure", json.dumps(what)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(what, found, flush=True)
    return found


def size(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    return {m: {str(n): measured(kind="step", method=m, size=n, batch=AT) for n in sizes} for m in GROWING}


def batch(batches: tuple[int, ...] = BATCHES) -> dict[str, Any]:
    found = {}
    for method in GROWING:
        lowest = 2 if method == "dcgan" else 1
        found[method] = {
            str(n): measured(kind="step", method=method, size=PIXELS[method], batch=n) for n in batches if n >= lowest
        }
    return found


# --- processes ------------------------------------------------------------------------------------------------------


def ways() -> dict[str, tuple[int, int]]:
    """The numbers of processes and threads of each variant, for the available cores."""
    n = cores()
    return {"one process, one core": (1, 1), f"one process, {n} cores": (1, n), f"{n} processes, one core each": (n, 1)}


def images_a_second(method: str, folder: Path, run: Path, *, processes: int, threads: int, seconds: float) -> float:
    """Images a second of `ganvas train`, from its log: the median without the first third."""
    shape, rows = SHARED[method]
    pairs = ["--task", "edges"] if methods.get(method).batches[0] is PairBatch else []
    words = ["ganvas", "train", method, "--data", str(folder), "--size", str(shape), "--batch", str(rows), *pairs]
    words += ["--minutes", str(seconds / 60), "--run", str(run), "--device", "cpu"]
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", "--"]
    cores_here = sorted(os.sched_getaffinity(0))[: max(processes, threads)]
    subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores_here)),
         sys.executable, "-m", *(start if processes > 1 else []), *words],
        check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )  # fmt: skip
    speeds = [record["images_per_second"] for record in metrics_log.read(run) if "images_per_second" in record]
    return statistics.median(speeds[len(speeds) // 3 :])


def processes(seconds: float = PROCESS_SECONDS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure all variants in turns, for several rounds."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for method, (shape, _) in SHARED.items():
            folder = place / method
            folder.mkdir()
            for i in range(IMAGES):
                scaling_data.small_image(i, shape).save(folder / f"{i:03d}.png")
            speeds: dict[str, list[float]] = {way: [] for way in ways()}
            for turn in range(rounds):
                for way, (count, threads) in ways().items():
                    run = place / f"{method}-{turn}-{count}-{threads}"
                    speed = images_a_second(
                        method, folder, run, processes=count, threads=threads, seconds=seconds
                    )  # fmt: skip
                    speeds[way].append(speed)
                    print(method, way, f"{speed:.1f} images a second", flush=True)
            found[method] = speeds
    return found


# --- input of the plan ----------------------------------------------------------------------------------------------


class Calls(TorchDispatchMode):
    """Counts the operations that are sent to a device, without views."""

    number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += not func.is_view
        return func(*args, **(kwargs or {}))


def measure_model(method: str, preset: str | None, size: int) -> dict[str, float]:
    """In a separate process: the operations of a step of a model, and the size and time of a checkpoint."""
    spec = spec_for(method, size)
    learner = learner_of(method, preset, spec)
    normed = 0

    def count(*_: object) -> None:
        nonlocal normed
        normed += 1

    for layer in learner.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.register_forward_hook(count)
    rows, precision = noise_for(method, spec, 2), choose_precision(CPU)
    with Calls() as calls, FlopCounterMode(display=False) as counter, autocast(CPU, precision):
        learner.training_step(rows, 1)
    owned = [w for o in learner.optimizers.values() for group in o.param_groups for w in group["params"]]
    buckets = sum(-(-sum(w.numel() for g in o.param_groups for w in g["params"]) // 2**22)
                  for o in learner.optimizers.values())  # fmt: skip
    manifest = Manifest(
        method=method, config=learner.config, spec=spec, data="noise", images=2, seed=0, flip=False, precision="fp32"
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        saved = checkpoint.save(Path(folder), learner, manifest, step=1, seconds=0.0)
        seconds = time.perf_counter() - start
        written = sum(file.stat().st_size for file in saved.iterdir())
    return {
        "multiply_adds": counter.get_total_flops() / 4,  # there are two images
        "weights": sum(weight.numel() for weight in owned),
        "norms": normed, "buckets": buckets, "calls": calls.number,
        "save_bytes": written, "save_seconds": seconds,
    }  # fmt: skip


def measure_decoding(side: int) -> dict[str, float]:
    """JPEG files of `side` pixels: their size in bytes, and how many one core decodes in a second."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.jpg" for i in range(16)]
        for number, file in enumerate(files):
            scaling_data.photograph(number, side).save(file, quality=90)
        clock = clock_of_here()
        n, start = 0, clock()
        while clock() - start < 3:
            images.read_square(files[n % len(files)], size=side, channels=3)
            n += 1
        seconds = clock() - start
        return {"bytes": statistics.mean(file.stat().st_size for file in files), "a_second": n / seconds}


def models() -> dict[str, Any]:
    known = scaling_plan.MODELS
    return {
        "models": {name: measured(kind="model", **model.as_json()) for name, model in known.items()},
        "decoding": {str(side): measured(kind="decoding", side=side) for side in PHOTOGRAPHS},
    }


# --- writing --------------------------------------------------------------------------------------------------------


STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}


@mpl.rc_context(STYLE)
def plot(name: str, panels: list[tuple[str, str, dict[str, tuple[list[float], list[float]]]]], xlabel: str) -> None:
    """Plot panels of curves side by side: (title, unit, curves by name); percents and peaks have a linear axis."""
    figure = Figure(figsize=(max(6, 4 * len(panels)), 3.3), dpi=130, layout="constrained")
    for axes, (title, unit, by_name) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for label, (x, y) in by_name.items():
            axes.plot(x, y, "o-", markersize=4, label=label)
        ticks = sorted({value for x, _ in by_name.values() for value in x})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{value:,.0f}" for value in ticks])
        if unit.startswith(("percent", "peak")):
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.minorticks_off()
        axes.set(title=title, xlabel=xlabel, ylabel=unit)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    figure.savefig(report.RESULTS / name)
    print(report.RESULTS / name, flush=True)


def steps_text(found: dict[str, Any], column: str) -> str:
    rows = []
    for method, by in found.items():
        for n, one in by.items():
            rate = one["multiply_adds"] / one["seconds"] / 1e9
            rows.append(
                f"| `{method}` | {n} | {one['multiply_adds'] / 1e9:,.1f} | {one['seconds']:.3g} | {rate:,.0f} | "
                f"{one['bytes'] / 2**30:.2f} GiB |"
            )
    return (
        f"| | {column} | multiply-adds a step, billions | seconds a step | billions a second | peak memory |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def curves(found: dict[str, Any], key: str, *, unit: float = 1.0) -> dict[str, tuple[list[float], list[float]]]:
    return {m: ([float(n) for n in by], [one[key] / unit for one in by.values()]) for m, by in found.items()}


def size_text(found: dict[str, Any]) -> str:
    time_and_memory = [
        ("time", "seconds a step", curves(found, "seconds")),
        ("memory", "peak, GiB", curves(found, "bytes", unit=2**30)),
    ]
    plot("scaling-size.png", time_and_memory, "pixels a side")
    end = max(found["pix2pix"], key=int)
    half = str(int(end) // 2)
    slower = " and ".join(f"{by[end]['seconds'] / by[half]['seconds']:.1f} (`{m}`)" for m, by in found.items())
    # memory of an image at the end; at half the side it takes a quarter
    each = {m: (by[end]["bytes"] - by[half]["bytes"]) / (AT * 0.75) / 2**30 for m, by in found.items()}
    larger = " and ".join(f"{gibibytes:.1f} GiB in `{m}`" for m, gibibytes in each.items())
    return (
        f"## Image size\n\nDefaults, {AT} images a step, in colour. Four times the pixels, from {half} to {end} a "
        f"side, take {slower} times as long. An image of {end} pixels takes about {larger}, so that the default "
        f"batches are meant for small images: `dcgan` with its 64 would take {64 * each['dcgan']:.0f} GiB. Give "
        "`--batch 4`, or [`--grad-accumulate`](../distributed.md#a-batch-that-does-not-fit). `gan` is dense and ends "
        f"at 256 pixels.\n\n![Time and memory against size](scaling-size.png)\n\n{steps_text(found, 'pixels')}"
    )


def batch_text(found: dict[str, Any]) -> str:
    speeds = {
        m: ([float(n) for n in by], [int(n) / one["seconds"] for n, one in by.items()]) for m, by in found.items()
    }
    speed_and_memory = [
        ("speed", "images a second", speeds),
        ("memory", "peak, GiB", curves(found, "bytes", unit=2**30)),
    ]
    plot("scaling-batch.png", speed_and_memory, "images a step")
    said = []
    for method, by in found.items():
        (first, *_, last), (slow, *_, fast) = by, speeds[method][1]
        mebibytes = (by[last]["bytes"] - by[first]["bytes"]) / (int(last) - int(first)) / 2**20
        said.append(
            f"`{method}` at {PIXELS[method]} pixels processes {slow:.1f} images a second at batch {first} and "
            f"{fast:.1f} at {last}, and takes {mebibytes:.0f} MiB for each image of the batch"
        )
    return (
        f"## Batch\n\n{'; '.join(said)}. A larger batch saves only the part of a step that does not depend on the "
        "batch: the optimiser, the average of the weights, the calls.\n\n![Speed and memory against "
        f"batch](scaling-batch.png)\n\n{steps_text(found, 'batch')}"
    )


def processes_text(found: dict[str, Any]) -> str:
    rows, said = [], []
    for method, speeds in found.items():
        alone, together, apart = (max(several) for several in speeds.values())
        said.append(f"`{method}` {apart / together:.2f} times")
        for way, several in speeds.items():
            rows.append(
                f"| `{method}` | {way} | {max(several):.1f} | {min(several):.1f} | {max(several) / alone:.2f} |"
            )
    n = len(next(iter(found["pix2pix"].values())))
    return (
        "## Processes\n\n`torchrun --nproc-per-node` against threads: the same `ganvas train`, in turns, the best of "
        f"{n} rounds each, because other work can only slow it down; "
        + "; ".join(f"`{m}` at {s} pixels, batch {b}" for m, (s, b) in SHARED.items())
        + f". Speed of processes relative to threads on the same cores: {', '.join(said)}. Threads share the work "
        "without exchanging gradients, which here does not overlap with computing. Processes are for several GPUs and "
        "machines.\n\n"
        "| | | images a second | slowest round | ratio to one core |\n|---|---|---|---|---|\n" + "\n".join(rows)
    )


def write(everything: dict[str, Any]) -> None:
    found = {part: of_part["found"] for part, of_part in everything.items()}
    texts: dict[str, Callable[[dict[str, Any]], str]] = {
        "size": size_text, "batch": batch_text, "data": scaling_data.text, "processes": processes_text,
        "models": scaling_plan.text,
    }  # fmt: skip
    plot("scaling-data.png", scaling_data.panels(found["data"]), "images in the set")
    plot("scaling-plan.png", scaling_plan.panels(found["models"]), "images a GPU in each step")
    parts = "\n\n".join(f"{texts[part](found[part])}\n\n{how_text(everything[part])}" for part in PARTS)
    before = min(one["before"] for by in found["size"].values() for one in by.values())
    report.write(
        "scaling.md",
        f"# Scaling\n\n`benchmarks/scaling.py`, as shipped ({choose_precision(CPU)} here), each measurement in a "
        "separate process. With one thread, seconds are CPU time, so that other work on the machine does not count. "
        f"Peaks are of the whole process, including Python and libraries ({before / 2**30:.1f} GiB).\n\n{parts}",
    )


def how_text(one: dict[str, Any]) -> str:
    threads = "one thread" if one["threads"] == 1 else f"{one['threads']} threads"
    return f"*Computed with {threads}; the load of the machine was {one['load']:.1f} at the start.*"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--most", type=int, default=10**6, help="images in the largest data set")
    parser.add_argument(
        "--quick", action="store_true", help="small settings, to test the script; writes into runs/scaling/quick"
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what = json.loads(options.measure)
        kinds: dict[str, Callable[..., dict[str, Any]]] = {
            "step": measure_step, "model": measure_model, "decoding": measure_decoding,
            "shards": scaling_data.measure, "files": scaling_data.measure, "memory": scaling_data.measure,
        }  # fmt: skip
        kind = what["kind"] if what["kind"] in ("shards", "files", "memory") else what.pop("kind")
        print(json.dumps(kinds[kind](**what)))
        return
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "size": lambda: size(SIZES[:2] if options.quick else SIZES),
        "batch": lambda: batch(BATCHES[:3] if options.quick else BATCHES),
        "data": lambda: scaling_data.data(measured, 1000 if options.quick else options.most),
        "processes": lambda: processes(3, 1) if options.quick else processes(),
        "models": models,
    }
    known = FOUND
    if options.quick:
        report.RESULTS = FOUND.parent / "quick"
        known = report.RESULTS / FOUND.name
    known.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for part in options.only:
        how = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
        result = how | {"found": parts[part]()}
        found = json.loads(known.read_text()) if known.exists() else {}  # others may have added parts meanwhile
        known.write_text(json.dumps(found | {part: result}, indent=1))
        found[part] = result
    if all(part in found for part in PARTS):
        write(found)


if __name__ == "__main__":
    main()

"""A plan on paper for 64 GPUs: the time of a step for computing, communication and reading; part of scaling.py.

None of it was run on 64 GPUs. Counts and CPU speeds are measured by scaling.py; the rest is assumed.
"""

import math
from dataclasses import dataclass
from typing import Any

NODES, A_NODE = 8, 8
GPUS = NODES * A_NODE
PEAK, SHARE = 989e12, 0.4  # operations a second in bf16 of an H200-class GPU, and the fraction that convolutions reach
INSIDE, BETWEEN = 450e9, 400e9 / 8  # bytes a second and direction: NVLink, and 400 Gb/s of network for each GPU
COLLECTIVE = 40e-6  # seconds that the smallest collective of 64 GPUs takes
CONTROL = 0.5e-3  # and the one of each step for a request to stop, between CPUs (gloo, TCP)
LAUNCH = 5e-6  # seconds of a CPU for each operation that it sends to a GPU
A_NORM = 4  # collectives of a synchronised batch norm: mean and variance, and the gradients of both
DISK, STORAGE = 5e9, 2e9  # bytes a second and node: an NVMe disk, and object storage over the network
CORES = 128  # of a node
WRITE = 1e9  # bytes a second of a shared file system, by one process
GPU_HOURS = 16_384 * 54 * 24 / 419  # between failures of a GPU with its part of a node, from the Llama 3 paper
RESTART = 300  # seconds from a failure to the next step
DEFAULT_SAVE = 60  # seconds between checkpoints, by default
GOOD = 0.9  # the efficiency that justifies the machines
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
IMAGES, EPOCHS = 10**6, 20  # of the training in the calculation


@dataclass(frozen=True)
class Model:
    """A model in the calculation."""

    method: str
    preset: str | None
    size: int

    def as_json(self) -> dict[str, Any]:
        """The arguments for the process of scaling.py that counts."""
        return {"method": self.method, "preset": self.preset, "size": self.size}


MODELS = {
    "`dcgan` at 64": Model("dcgan", None, 64),
    "`pix2pix --preset paper` at 256": Model("pix2pix", "paper", 256),
    "`cyclegan --preset paper` at 256": Model("cyclegan", "paper", 256),
    "`pix2pix` at 1024": Model("pix2pix", None, 1024),
}


@dataclass(frozen=True)
class Step:
    """The time of a step, in seconds.

    Attributes:
        image: computing, for each image of a GPU.
        gradients, norms: communication of gradients, and of statistics.
        calls: CPU time to launch the operations.
    """

    image: float
    gradients: float
    norms: float
    calls: float

    def seconds(self, batch: int) -> float:
        """The time of a step with `batch` images a GPU: GPU and CPU work in parallel, so the slower one counts."""
        return max(batch * self.image + self.gradients + self.norms, self.calls)

    def efficiency(self, batch: int) -> float:
        """The fraction of the step in which images are computed."""
        return batch * self.image / self.seconds(batch)

    def enough(self) -> int:
        """The smallest number of images a GPU that reaches `GOOD`."""
        told = (self.gradients + self.norms) * GOOD / (1 - GOOD)
        return math.ceil(max(told, self.calls * GOOD) / self.image)


def ring(number: int, size: float, bandwidth: float) -> float:
    """Seconds of a ring all-reduce among `number`: 2 (N - 1) / N of the bytes pass every link."""
    return 2 * (number - 1) / number * size / bandwidth


def all_reduce(size: float) -> float:
    """Seconds of an all-reduce: inside the nodes first, then an eighth for each GPU between them."""
    return ring(A_NODE, size, INSIDE) + ring(NODES, size / A_NODE, BETWEEN)


def step_of(one: dict[str, float]) -> Step:
    """The step of a model, from its counts."""
    return Step(
        image=2 * one["multiply_adds"] / (SHARE * PEAK),
        gradients=all_reduce(4 * one["weights"]) + one["buckets"] * COLLECTIVE,
        norms=one["norms"] * A_NORM * COLLECTIVE,
        calls=one["calls"] * LAUNCH + CONTROL,
    )


def panels(found: dict[str, Any]) -> list[tuple[str, str, dict[str, tuple[list[float], list[float]]]]]:
    """The efficiency against the images a GPU, with a curve for each model."""
    steps = {name: step_of(one) for name, one in found["models"].items()}
    curves = {
        name.replace("`", ""): ([float(n) for n in BATCHES], [100 * step.efficiency(n) for n in BATCHES])
        for name, step in steps.items()
    }
    return [("64 GPUs, on paper", "percent of the time spent computing", curves)]


# --- report ---------------------------------------------------------------------------------------------------------


def text(found: dict[str, Any]) -> str:
    models, decoding = found["models"], found["decoding"]
    steps = {name: step_of(one) for name, one in models.items()}
    return "\n\n".join(
        [
            "## A plan for 64 GPUs, on paper",
            "**None of this was run on 64 GPUs.** It is a calculation. The multiply-adds, weights, norms and calls of "
            "a step, the size of checkpoints and the decoding speed of one core were counted and measured on this "
            f"machine. The rest is assumed: {NODES} nodes of {A_NODE} GPUs of the H200's class, {PEAK / 1e12:.0f} "
            f"TFLOP/s in bf16, of which convolutions reach {SHARE:.0%} (optimistic for small feature maps); "
            f"{INSIDE / 1e9:.0f} GB/s a direction inside a node, {BETWEEN * 8 / 1e9:.0f} Gb/s for each GPU between "
            f"nodes; {COLLECTIVE * 1e6:.0f} microseconds for the smallest collective, {CONTROL * 1e3:g} ms for the one "
            "with which the CPUs agree after each step whether to stop; "
            f"{LAUNCH * 1e6:.0f} microseconds of CPU time for each operation that is sent to a GPU.",
            _steps(models, steps),
            _sizes(steps),
            "![Efficiency against images a GPU](scaling-plan.png)",
            _breaks(models, steps),
            _reading(steps, decoding),
            _learning(steps),
            _checkpoints(models),
        ]
    )


def _steps(models: dict[str, Any], steps: dict[str, Step]) -> str:
    rows = [
        f"| {name} | {one['multiply_adds'] / 1e9:,.1f} | {1e3 * step.image:.3f} | {4 * one['weights'] / 1e6:,.0f} "
        f"MB "
        f"| {1e3 * step.gradients:.2f} | {one['norms']:.0f} | {1e3 * step.norms:.2f} | {one['calls']:,.0f} | "
        f"{1e3 * step.calls:.1f} |"
        for (name, one), step in zip(models.items(), steps.values(), strict=True)
    ]
    return (
        "### A step\n\n| | multiply-adds an image, billions, forward and back | ms to compute them | gradients a "
        "step | ms to average them | batch norm calls | ms of their collectives | operations sent | ms of the "
        "CPU |\n"
        "|---|---|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "Gradients are sent in fp32, in a ring inside each node and then, an eighth by each GPU, between the nodes: 2 "
        f"(N - 1) / N of their bytes over the bandwidth, N = {A_NODE} both times. ganvas averages them after the "
        "backward pass of each network and not during it, so they do not overlap with computing; the discriminator's "
        f"and the generator's are sent one after the other. A synchronised batch norm has {A_NORM} collectives, "
        "forward and backward together. The CPU works ahead of its GPU, so only the slower of the two counts. A step "
        "that is captured as a CUDA graph would need almost nothing of the last column."
    )


def _sizes(steps: dict[str, Step]) -> str:
    rows = []
    for name, step in steps.items():
        cells = [f"{step.efficiency(n):.1%}, {GPUS * n / step.seconds(n):,.0f}" for n in (1, 8, 64)]
        rows.append(f"| {name} | {' | '.join(cells)} | {step.enough():,} | {GPUS * step.enough():,} |")
    return (
        "### Efficiency, and images a second\n\nThe fraction of the time in which images are computed, with 1, 8 and "
        f"64 images on each GPU, and the images a second of all {GPUS}; and the images on each GPU that are needed "
        f"for {GOOD:.0%}.\n\n| | 1 a GPU | 8 a GPU | 64 a GPU | a GPU for {GOOD:.0%} | the whole batch then "
        f"|\n|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _breaks(models: dict[str, Any], steps: dict[str, Step]) -> str:
    smallest, largest = (
        min(models, key=lambda m: models[m]["multiply_adds"]),
        max(models, key=lambda m: models[m]["multiply_adds"]),
    )
    hours = []
    for name, step in steps.items():
        alone = Step(step.image, 0.0, 0.0, step.calls - CONTROL)
        all_of_it, n = IMAGES * EPOCHS, step.enough()
        hours.append(
            f"| {name} | {_time(all_of_it / (n / alone.seconds(n)))} | "
            f"{_time(all_of_it / (GPUS * n / step.seconds(n)))} | {all_of_it // (GPUS * n):,} |"
        )
    return (
        "**Limits.** With the papers' batch of one image in all, there is nothing to share among 64 GPUs. With one "
        f"image each, the CPUs' calls and the gradients take most of the step. {smallest} is too small at any batch: "
        f"one GPU computes {1 / steps[smallest].image:,.0f} of its images a second, if they are read fast enough, so "
        f"that {EPOCHS} epochs of a million images take less time than it takes to get 64 GPUs. Do not use them for "
        f"it. {largest} is the case for which they pay most. {EPOCHS} epochs of {IMAGES:,} images:\n\n"
        "| | one GPU | 64 GPUs | steps with 64 GPUs |\n|---|---|---|---|\n" + "\n".join(hours)
    )


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def _reading(steps: dict[str, Step], decoding: dict[str, dict[str, float]]) -> str:
    rows = []
    for name, step in steps.items():
        file, n = decoding[str(MODELS[name].size)], step.enough()
        images = A_NODE * n / step.seconds(n) * (1 if MODELS[name].method == "dcgan" else 2)
        rate, busy = images * file["bytes"], images / file["a_second"]
        rows.append(
            f"| {name} | {images:,.0f} | {file['bytes'] / 1e3:,.0f} kB | {rate / 1e9:.2f} GB/s | {rate / DISK:.0%} "
            f"| "
            f"{rate / STORAGE:.0%} | {busy:,.0f} |"
        )
    each = ", ".join(f"{one['a_second']:,.0f} a second of {side} pixels" for side, one in decoding.items())
    return (
        "### Reading\n\nEach node reads for its eight GPUs at the speed above, a pair as two files. One core of this "
        f"machine decodes {each} (JPEG, quality 90, photographs). A node is assumed to have {CORES} cores, a disk of "
        f"{DISK / 1e9:.0f} GB/s and {STORAGE / 1e9:.0f} GB/s from object storage.\n\n| | images a second and node | "
        "a file | bytes | of the disk | of object storage | cores that decode |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "Where more cores are needed than there are, decoding and not computing is the bottleneck: store the files at "
        "the size at which they are used (`ganvas shards --size`), or keep decoded images in memory, where a million "
        "of 64 pixels take 12 GB. ganvas starts at most eight workers a process, 64 a node."
    )


def _learning(steps: dict[str, Step]) -> str:
    batch = GPUS * steps["`pix2pix --preset paper` at 256"].enough()
    return (
        "### Effects of a larger batch\n\nMore GPUs at the same `--batch` learn the same, up to rounding. But then "
        f"there is little to share: to keep 64 GPUs busy, `pix2pix --preset paper` needs a batch of {batch:,} in place "
        f"of 1. That is a different training, because an epoch has {batch:,} times fewer updates. The learning rate "
        "must grow with the batch: linearly for SGD, after a warm-up (Goyal et al. 2017), with the square root for "
        "Adam (Malladi et al. 2022), and only up to a batch that depends on the data; beyond it more images a step "
        "gain nothing (McCandlish et al. 2018). In adversarial training, large batches have given better images but "
        "earlier collapse (Brock, Donahue and Simonyan 2019). `--ema` is a decay for each step, so with fewer steps it "
        "must be smaller. None of this is measured here: try the batch on one GPU with `--grad-accumulate` first, "
        "which costs only time. Several trainings in parallel (seeds, settings, a [study](../study.md)) use all 64 "
        "GPUs and need none of this."
    )


def _checkpoints(models: dict[str, Any]) -> str:
    between = GPU_HOURS * 3600 / GPUS
    rows = []
    for name, one in models.items():
        takes = one["save_bytes"] / WRITE
        best = math.sqrt(2 * takes * between)
        lost = takes / best + best / (2 * between) + RESTART / between
        rows.append(
            f"| {name} | {one['save_bytes'] / 1e6:,.0f} MB | {one['save_seconds']:.1f} | {takes:.2f} | "
            f"{takes / DEFAULT_SAVE:.1%} | {best / 60:.0f} minutes | {lost:.2%} |"
        )
    return (
        "### Checkpoints and failures\n\nThe first process writes weights, averages and the state of the optimisers, "
        f"and the others wait. With one failure in {GPU_HOURS:,.0f} hours of a GPU (419 in 54 days of 16,384 of them: "
        f"Llama 3, 2024), 64 of them run {between / 3600:,.0f} hours ({between / 86400:.0f} days) between two. The "
        "best interval is Young's and Daly's, the square root of twice the time of a checkpoint times the time between "
        f"failures; {WRITE / 1e9:.0f} GB/s is assumed for the shared disk, and {RESTART / 60:.0f} minutes to start "
        "again.\n\n| | checkpoint | seconds here | seconds there | cost at one a minute, the default | best interval | "
        "cost then, including failures |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "The default of a minute is meant for laptops. On such a cluster set `--save-every` to the number of steps "
        "that take as long as the best interval. A failed process ends the job with a message, and the same command "
        "continues from the last checkpoint, also with fewer GPUs if they divide the batch."
    )

"""The speed of training and style transfer, compared with tutorials' loops and with the machine's ceiling.

    python benchmarks/speed.py                                 everything
    python benchmarks/speed.py --only gan pix2pix --rounds 8   some cases; the figures of the others are kept

Each case is measured as (a) the loop of `plain_loops.py`, (b) ganvas in fp32, (c) ganvas as shipped. They take turns in
one run with a large matrix product, the machine's ceiling. With --data-root DIR, where DIR holds MNIST/raw, the digits
are MNIST's; without it they are random images, which take as long. The same holds for VGG-19 (--weights). Writes
docs/results/speed.md and speed.png (--page: under another name) once every part has been measured.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import plain_loops
import report
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganvas import methods
from ganvas.checkpoint.manifest import Manifest
from ganvas.core.device import Precision, autocast, choose_precision, keep_memory
from ganvas.core.optim import scale_rates
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import ImageBatch, PairBatch, Source, Spec
from ganvas.data.loader import batches
from ganvas.imaging.images import DecodedImage
from ganvas.methods._base import BaseConfig, Method
from ganvas.nets.vgg import VGG19
from ganvas.style import StylizeConfig, Stylizer
from ganvas.training.cuda_graphs import Record, Steps
from ganvas.training.precision import quicker_precision

CPU = torch.device("cpu")
FOUND = Path("runs/speed/found.json")
WAYS = {"plain": "plain loop, fp32", "fp32": "ganvas, fp32", "shipped": "ganvas as shipped"}
SIDE = 2048  # of the matrices of the product that is the ceiling
COPIED = 2**26  # numbers in the copy that measures the memory bandwidth
ADAM = 28  # bytes: it reads a weight, its gradient and two means, and writes three
DIGITS = 4096  # random images, without data
ITERATIONS = 8  # of stylize, each turn: the first half in bf16 where that is faster, the other half in fp32


@dataclass(frozen=True)
class Case:
    """A measured case.

    Attributes:
        title: its title in the table.
        method: the name of the method, or `stylize`.
        preset: of the method.
        spec: the shape of the data.
        cycle: steps after which the work repeats.
        batch: if it is not the preset's.
        wanted: the targets for the ratio to the plain loop and for the share of the ceiling.
        meaning: an explanation of the profile, in a sentence.
    """

    title: str
    method: str
    preset: str
    spec: Spec
    cycle: int = 1
    batch: int | None = None
    wanted: tuple[float, float] | None = None
    meaning: str = ""


def _pairs(size: int) -> Spec:
    return Spec(size, 3, target_channels=3)


CASES = {
    "gan": Case(
        "`gan --preset book`", "gan", "book", Spec(28, 1), wanted=(2.5, 0.65),
        meaning="Dense layers are matrix products, and nearly all of the time goes there; Adam and the random bits "
        "of dropout are most of the rest.",
    ),
    "dcgan28": Case(
        "`dcgan --preset mnist28`, 28 pixels", "dcgan", "mnist28", Spec(28, 1), wanted=(1.8, 0.55),
        meaning="Convolutions; then passes over large feature maps with few multiplications: leaky ReLUs, dropout, "
        "norms.",
    ),
    "dcgan64": Case(
        "`dcgan --preset paper64 --batch 32`, 64 pixels", "dcgan", "paper64", Spec(64, 3), batch=32,
        meaning="Wide layers: almost only convolutions.",
    ),
    "wgan_gp": Case(
        "`wgan_gp --preset mnist28`, 28 pixels", "wgan_gp", "mnist28", Spec(28, 1), cycle=5,
        meaning="The gradient penalty is in fp32 by design and passes through the critic twice, so bf16 speeds up only "
        "the rest.",
    ),
    "vae": Case(
        "`vae --preset mnist28`, 28 pixels", "vae", "mnist28", Spec(28, 1),
        meaning="A tiny network: feature maps of 8 to 32 channels are too narrow for fast products on the CPU, and "
        "reading and writing them, in activations and pooling, takes as long.",
    ),
    "pix2pix": Case(
        "`pix2pix --preset paper`, 256 pixels", "pix2pix", "paper", _pairs(256), wanted=(1.9, 0.75),
        meaning="One image a step for 57 million weights: Adam reads and writes each, many are cast to bf16 and "
        "their gradients back, with few multiplications.",
    ),
    "cyclegan128": Case(
        "`cyclegan --preset paper`, 128 pixels", "cyclegan", "paper", _pairs(128),
        meaning="Convolutions; the rest are norms, padding and layouts of the large feature maps.",
    ),
    "cyclegan256": Case(
        "`cyclegan --preset paper`, 256 pixels", "cyclegan", "paper", _pairs(256), wanted=(1.7, 0.65),
        meaning="As at 128 pixels; feature maps are larger than the caches, so norms and padding wait for memory.",
    ),
    "stylize": Case(
        "`stylize`, 256 pixels", "stylize", "", Spec(256, 3), wanted=(1.7, 0.60),
        meaning="The convolutions of VGG-19, one half of the steps in bf16 and the last half in fp32 by design.",
    ),
}  # fmt: skip


# --- input ----------------------------------------------------------------------------------------------------------


def source_of(case: Case, root: Path | None) -> Source:
    """MNIST for digits if it is there, else random images."""
    spec, rng = case.spec, torch.Generator().manual_seed(0)
    if root and spec.size == 28:
        return open_data(Data("mnist", root=root))

    def pixels(count: int) -> Tensor:
        return torch.randint(0, 256, (count, spec.channels, spec.size, spec.size), generator=rng, dtype=torch.uint8)

    if spec.target_channels:
        return Source("random", spec, PairBatch(pixels(8), pixels(8)))
    images = pixels(DIGITS if spec.size < 64 else DIGITS // 4)
    labels = torch.randint(0, len(spec.classes), (len(images),), generator=rng) if spec.classes else None
    return Source("random", spec, ImageBatch(images, labels))


def config_of(case: Case) -> BaseConfig:
    """The settings of its method."""
    config = methods.config(case.method, case.preset)
    return replace(config, batch=case.batch or config.batch)


def shipped(case: Case, root: Path | None) -> Precision:
    """The precision that `ganvas train` chooses for the case here."""
    if case.method == "stylize":
        return choose_precision(CPU)
    source, config = source_of(case, root), config_of(case)
    manifest = Manifest(
        method=case.method, config=config, spec=source.spec, data=source.name, images=len(source), seed=0, flip=False,
        precision="fp32",
    )  # fmt: skip
    return quicker_precision(source, manifest, device=CPU)


def turns(
    case: Case, way: str, precision: Precision, root: Path | None, weights: Path | None,
    *, device: torch.device = CPU, record: Record | None = None,
) -> Iterator[int]:  # fmt: skip
    """Endless steps of a case in one of the variants; each yields the number of its images, or iterations."""
    if case.method == "stylize":
        return stylized(case, way, weights, precision)
    source = source_of(case, root)
    torch.manual_seed(0)
    config = config_of(case)
    method = methods.get(case.method)(config, source.spec).to(device).train()
    if way != "plain":
        return steps(method, source, precision, device=device, record=record)
    if isinstance(source.images, PairBatch):
        pairs = source.images.signed()
        rows = itertools.cycle(range(len(pairs)))
        given: Iterator = ((pairs.source[i : i + 1].to(device), pairs.target[i : i + 1].to(device)) for i in rows)
    else:
        labels = source.images.labels if method.by_class else None
        given = plain_loops.loaded(source.images.images, config.batch, device, labels)
    return plain_loops.LOOPS[case.method](method, given)


def steps(
    method: Method, source: Source, precision: Precision, *, device: torch.device, record: Record | None
) -> Iterator[int]:
    """The steps of `ganvas train`, without its log, grids and checkpoints."""
    learn = Steps(method, seed=0, record=record)
    for step, batch in enumerate(batches(source, batch=method.config.batch, seed=0, device=device)):
        scale_rates(method.optimizers.values(), method.config.rate_at(0))
        with autocast(device, precision):
            learn(batch, step)
        yield method.config.batch


def stylized(case: Case, way: str, weights: Path | None, precision: Precision) -> Iterator[int]:
    """Whole images of a few iterations each, including preparations; every step yields the number of iterations."""
    from style import PlainLoop

    config = StylizeConfig(size=case.spec.size, iterations=ITERATIONS)
    torch.manual_seed(0)
    content, style = (DecodedImage(torch.randint(0, 256, (3, 256, 256), dtype=torch.uint8)) for _ in range(2))
    loop = PlainLoop(weights, config)
    network = VGG19(deepest=config.deepest)
    network.take({f"features.{k}": v for k, v in loop.network.state_dict().items()}, where="torchvision")
    while True:
        if way == "plain":
            loop(content.pixels[None] / 255, style.pixels[None] / 255, ITERATIONS)
        else:
            for _ in Stylizer(config, network, [style], precision)(content):
                pass
        yield ITERATIONS


# --- measuring ------------------------------------------------------------------------------------------------------


class MultiplyAdds(TorchDispatchMode):
    """Counts the multiply-adds of products and convolutions, forward and backward, while it is active.

    It also counts the weights that a fused Adam has updated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = self.weights = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if (flops := flop_registry.get(func._overloadpacket)) is not None:
            self.count += flops(*args, **(kwargs or {}), out_val=output) // 2  # a multiply-add is two operations
        if func._overloadpacket is torch.ops.aten._fused_adam_:
            self.weights += sum(weight.numel() for weight in args[0])
        return output


def counted(case: Case, loop: Iterator[int]) -> tuple[float, float]:
    """Multiply-adds and updated weights for one image, or iteration."""
    images = 0
    with MultiplyAdds() as counter:
        for _ in range(case.cycle):
            images += next(loop)
    return counter.count / images, counter.weights / images


def product(dtype: torch.dtype, *, device: torch.device = CPU, side: int = SIDE) -> float:
    """Multiply-adds a second of a large matrix product."""
    a, b = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
    made, seconds = torch.mm(a, b), []
    for _ in range(2):
        start = now(device)
        torch.mm(a, b, out=made)
        seconds.append(now(device) - start)
    return side**3 / min(seconds)


def bandwidth() -> float:
    """Bytes a second that are read and written in a copy of a large tensor."""
    a = torch.ones(COPIED)
    made, seconds = torch.empty_like(a), []
    for _ in range(3):
        start = time.perf_counter()
        made.copy_(a)
        seconds.append(time.perf_counter() - start)
    return 2 * a.nbytes / min(seconds)


def now(device: torch.device) -> float:
    """The time in seconds, after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_a_image(case: Case, loop: Iterator[int], least: float, *, device: torch.device = CPU) -> float:
    """Seconds for one image, over whole cycles and at least `least` seconds."""
    start, images = now(device), 0
    while not images or time.perf_counter() - start < least:
        images += sum(next(loop) for _ in range(case.cycle))
    return (now(device) - start) / images


def measure(case: Case, loops: dict[str, Iterator[int]], precision: Precision, *, rounds: int, least: float) -> dict:
    """Measure all variants in turns, each after the matrix product in its own dtype."""
    formats = dict.fromkeys(WAYS, torch.float32) | ({"shipped": torch.bfloat16} if precision == "bf16" else {})
    needed = {way: counted(case, loops[way]) for way in ("plain", "fp32")}  # warms up, too
    moved = needed["fp32"][1] * ADAM
    next(loops["shipped"])
    found = []
    for _ in range(rounds):
        found.append({})
        for way, loop in loops.items():
            ceiling = own = product(formats[way])
            if case.method == "stylize" and formats[way] == torch.bfloat16:
                ceiling = 2 / (1 / own + 1 / product(torch.float32))
            seconds, memory = seconds_a_image(case, loop, least), bandwidth()
            found[-1][way] = {"seconds": seconds, "ceiling": ceiling, "own": own, "bandwidth": memory}
        print(case.title, {way: f"{1 / one['seconds']:.3g}/s" for way, one in found[-1].items()}, flush=True)
    top = profiled(case, loops["shipped"])
    multiply_adds = {way: count for way, (count, _) in needed.items()}
    return {
        "precision": precision, "multiply_adds": multiply_adds, "moved": moved, "rounds": found, "profile": top
    }  # fmt: skip


def profiled(case: Case, loop: Iterator[int]) -> list[tuple[str, float]]:
    """The operators that take most of a step, as shares of it, largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(case.cycle):
            next(loop)
    events = [event for event in found.key_averages() if event.key.startswith("aten::")]
    every = sum(event.self_cpu_time_total for event in events)
    shares = sorted(((event.self_cpu_time_total / every, event.key) for event in events), reverse=True)
    return [(name.removeprefix("aten::"), share) for share, name in shares[:8]]


def peak_of(name: str, way: str, precision: Precision, options: argparse.Namespace) -> int:
    """Peak memory in bytes of a separate process."""
    words = [sys.executable, __file__, "--peak", name, way, precision]
    for flag in ("data_root", "weights"):
        if value := getattr(options, flag):
            words += [f"--{flag.replace('_', '-')}", str(value)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[-1])


# --- writing --------------------------------------------------------------------------------------------------------


def strict_share(found: dict) -> float:
    """The share of the ceiling in its own dtype alone, as shipped."""
    needed = min(found["multiply_adds"].values())
    return statistics.median(needed / one["shipped"]["seconds"] / one["shipped"]["own"] for one in found["rounds"])


def memory_share(found: dict) -> float:
    """The share of a step for Adam's memory traffic at the speed of a copy, as shipped."""
    return statistics.median(
        found["moved"] / one["shipped"]["bandwidth"] / one["shipped"]["seconds"] for one in found["rounds"]
    )


def rows_of(found: dict) -> dict[str, dict]:
    """For each variant: images a second, ratio to the plain loop with its range, share of the ceiling, peak."""
    needed = min(found["multiply_adds"].values())
    rows = {}
    for way in WAYS:
        seconds = [one[way]["seconds"] for one in found["rounds"]]
        ratios = [one["plain"]["seconds"] / one[way]["seconds"] for one in found["rounds"]]
        shares = [needed / one[way]["seconds"] / one[way]["ceiling"] for one in found["rounds"]]
        rows[way] = {
            "speed": 1 / statistics.median(seconds),
            "ratio": statistics.median(ratios),
            "range": (min(ratios), max(ratios)),
            "share": statistics.median(shares),
            "peak": found["peaks"][way] / 2**20,
        }
    return rows


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def table(found: dict) -> str:
    lines = []
    for name, case in CASES.items():
        unit = " iterations" if name == "stylize" else ""
        for way, row in rows_of(found[name]).items():
            first, last = row["range"]
            spread = f" ({first:.2f} to {last:.2f})" if way != "plain" else ""
            format_ = f" ({found[name]['precision']})" if way == "shipped" else ""
            lines.append(
                f"| {case.title if way == 'plain' else ''} | {WAYS[way]}{format_} | {_short(row['speed'])}{unit} "
                f"| {row['ratio']:.2f}{spread} | {row['share']:.0%} | {row['peak']:,.0f} |"
            )
    head = "| | loop | images a second | ratio to the plain loop | share of the ceiling | peak, MB |\n"
    return head + "|---|---|---|---|---|---|\n" + "\n".join(lines)


def wanted_table(found: dict) -> str:
    lines = []
    for name, case in CASES.items():
        if case.wanted:
            row, (ratio, share) = rows_of(found[name])["shipped"], case.wanted
            moving = memory_share(found[name])
            lines.append(
                f"| {case.title} | {ratio} | {row['ratio']:.2f} | {share:.0%} | {row['share']:.0%} | {moving:.0%} |"
            )
    head = (
        "| as shipped | target ratio | reached | target share | reached | Adam's bytes |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(lines)


def profiles(found: dict) -> str:
    parts = []
    for name, case in CASES.items():
        names, shares = zip(*found[name]["profile"], strict=True)
        parts.append(
            f"**{case.title}**: {case.meaning}\n\n| {' | '.join(f'`{n}`' for n in names)} |\n"
            f"|{'---|' * len(names)}\n| {' | '.join(f'{share:.0%}' for share in shares)} |"
        )
    return "\n\n".join(parts)


def draw(found: dict, page: str) -> None:
    """Plot the ratios to the plain loop and the shares of the ceiling side by side."""
    mpl.use("Agg")
    from matplotlib import pyplot

    rows = {name: rows_of(found[name]) for name in CASES}
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    colours = {"plain": "#9aa0a6", "fp32": "#7aa6d8", "shipped": "#1f5fa8"}
    for axis, key, title in zip(
        axes, ("ratio", "share"), ("times the plain loop's speed", "share of the ceiling"), strict=True
    ):
        for shift, (way, colour) in enumerate(colours.items()):
            heights = [row[way][key] for row in rows.values()]
            places = [place + 0.26 * (shift - 1) for place in range(len(rows))]
            axis.barh(places, heights, 0.24, color=colour, label=WAYS[way])
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.axvline(1, color="black", linewidth=0.6)
    axes[0].set_yticks(range(len(rows)), list(rows))
    axes[0].invert_yaxis()
    axes[1].xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(report.RESULTS / f"{page}.png", dpi=110)


def write(found: dict, page: str) -> None:
    draw(found, page)
    rounds = " or ".join(map(str, sorted({len(found[name]["rounds"]) for name in CASES})))
    text = f"""# Speed: compared with plain loops and with the machine's ceiling

![Ratios to the plain loop and shares of the ceiling]({page}.png)

`benchmarks/speed.py`. The plain loop is that of common tutorials (`benchmarks/plain_loops.py`): the same networks in
fp32. ganvas is the step of `ganvas train`, including its data. The three take turns for {rounds} rounds. The table
has medians, and the range of the ratio over the rounds; where it is wide, other work used the machine. The ceiling is
a product of two {SIDE}x{SIDE} matrices, measured before each turn, in the loop's own dtype. The share of the ceiling
counts the multiply-adds that an image needs: those of the ganvas step, which leaves out unused gradients.
Convolutions may pass 100 % in fp32, because their code is not that of the product. Peaks are of separate processes
that took a few steps, including torch itself. `stylize` is counted in iterations, {ITERATIONS} an image, so its
preparations count more than with [the usual 200](style.md#time). Half of the iterations are in fp32 by design, so its
ceiling is that of half the work in each dtype; it reaches {strict_share(found["stylize"]):.0%} of the ceiling in
{found["stylize"]["precision"]} alone. The weights of VGG-19 may be random, which takes as long.

{table(found)}

The targets were set for two cores. The last column is the share of a step for Adam's {ADAM} bytes for each weight, at
the speed of a large copy, measured in each round. The ceiling of products does not include them.

{wanted_table(found)}

## Where the time goes

Shares of the time in torch's operators, as shipped; the largest eight. `convolution_backward`,
`mkldnn_convolution`, `_convolution`, `mm` and `addmm` multiply; the others read and write memory.

{profiles(found)}
"""
    report.write(f"{page}.md", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2, help="of each loop in a round; at least one step")
    parser.add_argument("--data-root", type=Path, help="a folder with MNIST/raw")
    parser.add_argument("--weights", type=Path, help="a file of the weights of VGG-19")
    parser.add_argument("--page", default="speed", help="the name of the page, to keep the results of several machines")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.peak or options.peak[1] != "plain":
        keep_memory()  # for the plain loop too, because they take turns in one process

    def opened(name: str, way: str, precision: Precision) -> Iterator[int]:
        in_format: Precision = precision if way == "shipped" else "fp32"
        return turns(CASES[name], way, in_format, options.data_root, options.weights)

    if options.peak:
        loop = opened(*options.peak)
        for _ in range(max(2, CASES[options.peak[0]].cycle)):
            next(loop)
        print(report.peak_bytes())
        return
    FOUND.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict] = {}
    for name in options.only:
        precision = shipped(CASES[name], options.data_root)
        loops = {way: opened(name, way, precision) for way in WAYS}
        result = measure(CASES[name], loops, precision, rounds=options.rounds, least=options.seconds)
        result["peaks"] = {way: peak_of(name, way, precision, options) for way in WAYS}
        found = json.loads(FOUND.read_text()) if FOUND.exists() else {}  # others may have added parts meanwhile
        found[name] = result
        FOUND.write_text(json.dumps(found, indent=1))
        for way, row in rows_of(result).items():
            print(f"{name} {way}: {row['speed']:.3g}/s, ratio {row['ratio']:.2f}, share {row['share']:.0%}", flush=True)
    if all(name in found for name in CASES):
        write(found, options.page)


if __name__ == "__main__":
    main()

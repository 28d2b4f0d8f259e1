"""How long the command line takes to answer, to generate or to translate one image: `python benchmarks/startup.py`.

The models have random weights and the sizes of `ganvas train`: loading takes as long, whatever they have learned.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import torch

from ganvas import checkpoint, methods
from ganvas.checkpoint.manifest import Manifest, build
from ganvas.data.batch import Spec
from ganvas.imaging import images

IMPORT = "-c 'import torch'"


def model_of_chance(folder: Path, method: str, spec: Spec, *, preset: str | None = None) -> Path:
    """Write a model file of a method with random weights."""
    torch.manual_seed(0)
    manifest = Manifest(
        method=method, config=methods.config(method, preset), spec=spec,
        data="random", images=1, seed=0, flip=False, precision="fp32",
    )  # fmt: skip
    file = folder / f"{method}-{preset}-{spec.size}.safetensors"
    file.write_bytes(checkpoint.model_file(folder, build(manifest), manifest, step=1))
    return file


def smooth_image(side: int) -> torch.Tensor:
    """A random image (3, side, side), as smooth as a photograph, so that PNG compresses it as well."""
    coarse = torch.rand(1, 3, 8, 8) * 255
    return images.scaled(coarse, side, side)[0].clamp(0, 255).to(torch.uint8)


def seconds(words: list[str]) -> tuple[float, float]:
    """The wall time and the CPU time of a process; the CPU time depends less on other work."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits = model_of_chance(folder, "dcgan", Spec(28, 1))
        pairs = model_of_chance(folder, "pix2pix", Spec(128, 3, target_channels=3))
        images.write(folder / "in.png", smooth_image(128))
        one, many = str(folder / "one.png"), str(folder / "out")
        commands = {
            "-c pass": ["-c", "pass"],
            "-m ganvas --help": ["-m", "ganvas", "--help"],
            "-m ganvas methods": ["-m", "ganvas", "methods"],
            IMPORT: ["-c", "import torch"],
            "-m ganvas generate MODEL --out one.png --count 1": [
                "-m", "ganvas", "generate", str(digits), "--out", one, "--count", "1", "--overwrite",
            ],
            "-m ganvas translate MODEL in.png --out out": [
                "-m", "ganvas", "translate", str(pairs), str(folder / "in.png"), "--out", many, "--overwrite",
            ],
        }  # fmt: skip
        for words in commands.values():
            seconds(words)  # once to fill the disk cache
        times: dict[str, list[tuple[float, float]]] = {command: [] for command in commands}
        for _ in range(options.rounds):  # interleaved, so that a slow minute slows all of them
            for command, words in commands.items():
                times[command].append(seconds(words))
    rows = []
    for command, taken in times.items():
        wall, worked = zip(*taken, strict=True)
        base, base_worked = zip(*times[IMPORT], strict=True)
        ratio, ratio_worked = (
            statistics.median(a / b for a, b in zip(one, other, strict=True))
            for one, other in ((wall, base), (worked, base_worked))
        )
        cells = " | ".join(
            f"{n:.2f}" for n in (statistics.median(wall), ratio, statistics.median(worked), ratio_worked)
        )
        rows.append(f"| `python {command}` | {cells} |")
        print(rows[-1])
    report.write(
        "startup.md",
        "# Start-up\n\n"
        f"Whole processes, seconds; `benchmarks/startup.py`, {options.rounds} rounds in turns. Medians; the ratios are "
        "to `import torch` in the same round. Where other work uses the machine too, the CPU times are more reliable. "
        "`--help` and `methods` do not load torch. `generate` makes one digit with a `dcgan` at 28 pixels; `translate` "
        "translates one image with a `pix2pix` at 128.\n\n"
        "A loaded model has no optimisers, because torch imports its whole compiler with the first one. It has no "
        "random initial weights either: it is built without memory, checked against the file, and takes its weights "
        "from there.\n\n"
        "| command | seconds | times `import torch` | CPU seconds | times `import torch` |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows),
    )


if __name__ == "__main__":
    main()

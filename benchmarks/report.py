"""Write the results of benchmarks, with the machine and the date."""

import datetime
import platform
from pathlib import Path

import torch

RESULTS = Path(__file__).parent.parent / "docs" / "results"


def this_machine() -> str:
    """One line: CPU, cores, versions and the day."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    flags = next((line for line in _cpuinfo() if line.startswith("flags")), "")
    with_bf16 = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
    cpu = " ".join(
        [names[0].replace(" Processor", "") if names else platform.cpu(), *(f"({flag})" for flag in with_bf16)]
    )
    versions = f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}"
    return f"{cpu}, {torch.get_num_threads()} cores, {versions}, {datetime.date.today().isoformat()}"


def write(name: str, text: str, *, machine: str | None = None) -> Path:
    """Write docs/results/NAME, with the machine at the end: this one, unless another has measured."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / name
    path.write_text(f"{text.rstrip()}\n\n---\nMeasured on: {machine or this_machine()}.\n", encoding="utf-8")
    return path


def peak_bytes() -> int:
    """The peak memory of this process; `ru_maxrss` would also count that of the parent process."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []

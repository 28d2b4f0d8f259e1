"""Scaling of data sets: 1,000 to 1,000,000 small images in shards, in a folder, and in memory; part of scaling.py."""

import io
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from photographs import free_photographs
from PIL import Image

from ganvas.core.device import cores
from ganvas.core.options import Data
from ganvas.data import batch as batches_of
from ganvas.data import decode, open_data
from ganvas.data.loader import batches
from ganvas.data.webdataset import reader

SIDE, BATCH = 32, 64
A_SHARD = 1000  # images, as in `ganvas shards`
DIFFERENT = 64  # images that are repeated
COUNTS = (1000, 10**4, 10**5, 10**6)
AS_FILES = 10**5  # images at most in a folder, and in memory
READ_SECONDS = 6.0
ROUTES = {"shards": "shards", "files": "a folder, streamed", "memory": "a folder, kept in memory"}
CPU = torch.device("cpu")


def small_image(number: int, side: int) -> Image.Image:
    """A smooth colour image, different for each number."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def photograph(number: int, side: int) -> Image.Image:
    """One of a few freely licensed photographs, with full detail."""
    every = free_photographs(side)
    return Image.fromarray(every[number % len(every)].permute(1, 2, 0).numpy())


def jpegs() -> list[bytes]:
    files = []
    for number in range(DIFFERENT):
        file = io.BytesIO()
        small_image(number, SIDE).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def write_shards(folder: Path, n: int) -> None:
    """Write `n` images in WebDataset shards, without an index, as other tools do."""
    folder.mkdir()
    different = jpegs()
    for start in range(0, n, A_SHARD):
        with (folder / f"train-{start // A_SHARD:06d}.tar").open("wb") as shard:
            for number in range(start, min(n, start + A_SHARD)):
                content = different[number % DIFFERENT]
                header = tarfile.TarInfo(f"{number:08d}.jpg")
                header.size = len(content)
                shard.write(header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE))
            shard.write(bytes(2 * tarfile.BLOCKSIZE))


def write_files(folder: Path, n: int) -> None:
    folder.mkdir()
    different = jpegs()
    for number in range(n):
        (folder / f"{number:08d}.jpg").write_bytes(different[number % DIFFERENT])


def resident_bytes() -> int:
    """The resident memory of this process."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) * 1024


def spent() -> float:
    """CPU seconds of this process and of its finished child processes; other work does not count."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(kind: str, path: str, n: int) -> dict[str, float]:
    """In a separate process: open the data set, read batches for some seconds, and resume far into it.

    Small data sets are decoded and kept in memory; for the other two routes this is turned off.
    """
    if kind != "memory":
        for module in (batches_of, decode, reader):
            if hasattr(module, "RESIDENT_BYTES"):
                module.RESIDENT_BYTES = 0
    before, start = resident_bytes(), spent()
    source = open_data(Data(path, root=Path("data"), size=SIDE))
    opened, held = spent() - start, resident_bytes() - before
    assert len(source) == n
    start, read, until = spent(), 0, time.perf_counter() + READ_SECONDS
    stream = batches(source, batch=BATCH, seed=0, device=CPU)
    while time.perf_counter() < until:
        read += len(next(stream))
    stream.close()  # waits for the workers, so that their time is counted
    speed = read / (spent() - start)
    start = spent()
    far = batches(source, batch=BATCH, seed=0, device=CPU, first=int(2.5 * n / BATCH))
    next(far)
    far.close()
    return {
        "open": opened, "held": held, "a_second": speed, "resume": spent() - start, "peak": report.peak_bytes()
    }  # fmt: skip


def data(measured: Callable[..., dict[str, Any]], most: int) -> dict[str, Any]:
    """Measure every route at every size, with one folder on the disk at a time; `measured` starts the process."""
    found: dict[str, Any] = {route: {} for route in ROUTES}
    with tempfile.TemporaryDirectory() as name:
        for n in (n for n in COUNTS if n <= most):
            shards, files = Path(name) / f"shards-{n}", Path(name) / f"files-{n}"
            write_shards(shards, n)
            first = measured(kind="shards", path=str(shards), n=n)
            found["shards"][str(n)] = measured(kind="shards", path=str(shards), n=n) | {"first": first["open"]}
            if n <= AS_FILES:
                write_files(files, n)
                for kind in ("files", "memory"):
                    found[kind][str(n)] = measured(kind=kind, path=str(files), n=n)
    return found


# --- writing --------------------------------------------------------------------------------------------------------


def panels(found: dict[str, Any]) -> list[tuple[str, str, dict[str, tuple[list[float], list[float]]]]]:
    """Seconds to open and images a second, against the number of images, with a curve for each route."""

    def curves(key: str) -> dict[str, tuple[list[float], list[float]]]:
        return {
            words: ([float(n) for n in found[route]], [one[key] for one in found[route].values()])
            for route, words in ROUTES.items()
        }

    of_indexed = {"shards, first time": ([float(n) for n in found["shards"]],
                                         [one["first"] for one in found["shards"].values()])}  # fmt: skip
    opening = ("opening", "CPU seconds", of_indexed | curves("open"))
    return [opening, ("reading", "images in a CPU second", curves("a_second"))]


def text(found: dict[str, Any]) -> str:
    rows = []
    for route, words in ROUTES.items():
        for n, one in found[route].items():
            opening = f"{one['open']:.2f}" + (f" (first time {one['first']:.1f})" if "first" in one else "")
            rows.append(
                f"| {words} | {int(n):,} | {opening} | {one['held'] / 2**20:,.0f} MiB | {one['a_second']:,.0f} | "
                f"{one['resume']:.2f} |"
            )
    end = max(found["shards"], key=int)
    last = found["shards"][end]
    return (
        f"## Data sets\n\nJPEG files of {SIDE}x{SIDE} pixels, {DIFFERENT} different ones repeated, batches of {BATCH}, "
        f"{min(8, cores())} workers. Seconds are CPU time, of the process and its workers, so that other work does not "
        "count; nor does waiting for the disk (the files were in the system's cache). When shards are opened for the "
        f"first time, they are read once and an index is written beside them. After that {int(end):,} images open in "
        f"{last['open']:.2f} seconds and {last['held'] / 2**20:,.0f} MiB, and a training that was stopped in its third "
        f"epoch resumes after {last['resume']:.1f} seconds, including the workers: only the needed data are read. In a "
        f"folder all files are checked each time, so use shards beyond {AS_FILES:,} images ([how to make "
        "them](../shards.md)). Data sets that decode to less than 1 GiB are kept in memory by default; this was turned "
        "off for the first two routes.\n\n![Opening and reading](scaling-data.png)\n\n| | images | seconds to open | "
        "memory | images read in a second | seconds to resume |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )

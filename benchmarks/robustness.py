"""What damage does to ganvas: mutated files, random kills and a full disk; `python benchmarks/robustness.py`.

Mutations are seeded, so that each can be repeated: `--only KIND --first SEED --mutations 1`. They run in a process of
their own, which is started again after the mutation that ended it. A training that is killed at a random time is given
again, until it ends; then its weights are compared with those of an unbroken one, to the bit.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch; and a process that forks has no other threads
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "robustness"))

import numpy as np
import report
import torch
from mutations import STUDY, flipped, other_value, other_words
from PIL import Image

from ganvas import checkpoint, studies
from ganvas.checkpoint.manifest import build
from ganvas.cli.app import main as ganvas
from ganvas.data.webdataset import index
from ganvas.errors import GanvasError
from ganvas.imaging import images
from ganvas.training import metrics_log

CPU = torch.device("cpu")
LONGEST_LINE = 300
KINDS = (
    "model files",
    "model headers",
    "resume states",
    "run.json",
    "log.jsonl",
    "study files",
    "index files",
    "images",
)
IMAGES = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")
STEPS = 200
TINY = {
    "gan": ["--generator", "16", "--discriminator", "16"],
    "dcgan": ["--width", "4", "--hidden", "16"],
    "cgan": ["--width", "4", "--hidden", "16"],
    "vae": ["--width", "4", "--hidden", "16"],
    "pix2pix": ["--width", "4", "--discriminator-width", "4", "--task", "denoise:0.3"],
}

Rng = np.random.Generator
Write, Read = Callable[[Rng], object], Callable[[], object]


# --- mutations --------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of the mutations of one kind of file.

    Attributes:
        read: how many were read, as those of an unused byte are; `refused` in one short line.
        failed: a line for each that did something else.
        longest: seconds that one took at most.
        peak: bytes of memory of the process at most, and `base` before the first.
    """

    read: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    longest: float = 0.0
    peak: int = 0
    base: int = 0

    def add(self, seed: int, read: Read, folder: Path) -> None:
        """Read a mutated file, and count what came of it."""
        began = time.perf_counter()
        try:
            with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
                read()
            self.read += 1
        except GanvasError as error:
            line = str(error).replace(str(folder), "")
            if "\n" in line or len(line) > LONGEST_LINE:
                self.failed.append(f"seed {seed}: {len(line)} letters: {line[:100]!r}")
            else:
                self.refused += 1
        except Exception as error:
            self.failed.append(f"seed {seed}: {type(error).__name__}: {str(error)[:100]}")
        self.longest = max(self.longest, time.perf_counter() - began)
        self.peak = report.peak_bytes()


def a_run(folder: Path) -> Path:
    """A tiny run with two checkpoints."""
    words = ["train", "gan", "--data", "digits", "--run", str(folder), "--batch", "32", *TINY["gan"]]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        assert ganvas([*words, "--precision", "fp32", "--steps", "12", "--save-every", "6"]) == 0
    return folder


def of_kind(kind: str, folder: Path) -> tuple[Write, Read]:
    """How a file of this kind is mutated in the folder, and how it is read."""
    if kind == "study files":
        file = folder / "study.yaml"
        return lambda rng: file.write_bytes(_study(rng)), lambda: studies.read_file(
            file, root=folder, changes=studies.Changes()
        )
    if kind == "images":
        file = folder / "image"
        return lambda rng: file.write_bytes(_image(rng)), lambda: images.read(file)
    if kind == "index files":
        return _of_index(folder)
    run = a_run(folder / "run")
    if kind in ("run.json", "log.jsonl"):
        return _of_text(run, kind)
    newest = checkpoint.checkpoints(run)[-1]
    file = newest / (checkpoint.RESUME if kind == "resume states" else checkpoint.WEIGHTS)
    content = file.read_bytes()
    if kind == "model headers":
        return lambda rng: file.write_bytes(_header(content, rng)), lambda: checkpoint.load(file, CPU)
    if kind == "model files":
        return lambda rng: file.write_bytes(flipped(content, rng)), lambda: checkpoint.load(file, CPU)
    return _of_resume(run, file)


def _of_text(run: Path, name: str) -> tuple[Write, Read]:
    file = run / name
    lines = [json.loads(line) for line in file.read_text().splitlines()] if name == metrics_log.LOG else []
    whole = file.read_text()

    def write(rng: Rng) -> None:
        values = [other_value(line, rng) for line in lines] or [other_value(json.loads(whole), rng)]
        text = "\n".join(map(json.dumps, values)).encode()
        file.write_bytes(flipped(text, rng) if rng.random() < 0.5 else text)

    return write, (lambda: metrics_log.read(run)) if lines else (lambda: checkpoint.read_run(run))


def _of_resume(run: Path, file: Path) -> tuple[Write, Read]:
    manifest = checkpoint.read_run(run)
    assert manifest is not None
    method, content, kept = build(manifest), file.read_bytes(), run.with_name("kept")
    shutil.copytree(run, kept)

    def write(rng: Rng) -> None:
        shutil.rmtree(run)
        shutil.copytree(kept, run)
        file.write_bytes(flipped(content, rng))
        if rng.random() < 0.5:  # as a stranger may leave it out
            (file.parent / "SHA256SUMS").unlink()

    return write, lambda: checkpoint.resume(run, method)


def _of_index(folder: Path) -> tuple[Write, Read]:
    for number in range(6):
        Image.fromarray(np.full((16, 16, 3), number, np.uint8)).save(folder / f"{number}.png")
    (folder / "photos").mkdir()
    for number in range(6):
        (folder / f"{number}.png").rename(folder / "photos" / f"{number}.png")
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        assert ganvas(["shards", str(folder / "photos"), "--out", str(folder / "shards")]) == 0
    content = next((folder / "shards").glob("*index*")).read_bytes()
    file = folder / "index"

    def read() -> object:
        with contextlib.suppress(ValueError, OSError):  # a damaged index is made again
            return index.Index.unpacked(file.read_bytes())

    return lambda rng: file.write_bytes(flipped(content, rng)), read


def _header(content: bytes, rng: Rng) -> bytes:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    manifest = json.loads(header["__metadata__"]["ganvas"])
    del manifest["sha256"]
    header["__metadata__"]["ganvas"] = json.dumps(other_value(manifest, rng))
    text = json.dumps(header if rng.random() < 0.8 else other_value(header, rng)).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _study(rng: Rng) -> bytes:
    content: bytes = other_words(STUDY, rng).encode("utf-8", "surrogatepass")
    return flipped(content, rng) if rng.random() < 0.2 else content


def _image(rng: Rng) -> bytes:
    drawn = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((48, 32))
    content = io.BytesIO()
    drawn.save(content, IMAGES[rng.integers(len(IMAGES))])
    changed: bytes = flipped(content.getvalue(), rng)
    return changed


def mutate(kind: str, first: int, count: int, out: Path) -> None:
    """Mutate and read `count` files, and write the tally after each: the next one may end the process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write, read = of_kind(kind, folder)
        tally = Tally(base=report.peak_bytes())
        for seed in range(first, first + count):
            write(np.random.default_rng(seed))
            out.write_text(json.dumps({"seed": seed, **asdict(tally)}))
            tally.add(seed, read, folder)
        out.write_text(json.dumps({"seed": first + count, **asdict(tally)}))


def mutations_of(kind: str, first: int, count: int) -> Tally:
    """The tally of all mutations of a kind; those that end the process are failures, too."""
    total, last = Tally(), first + count
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "tally.json"
        while first < last:
            one = multiprocessing.get_context("spawn").Process(target=mutate, args=(kind, first, last - first, out))
            one.start()
            one.join()
            found = json.loads(out.read_text())
            first = found.pop("seed") + 1
            part = Tally(**found)
            ended = [f"seed {first - 1}: ended the process, {one.exitcode}"] if one.exitcode else []
            total = Tally(
                total.read + part.read, total.refused + part.refused, total.failed + part.failed + ended,
                max(total.longest, part.longest), max(total.peak, part.peak), max(total.base, part.base),
            )  # fmt: skip
    return total


# --- kills ------------------------------------------------------------------------------------------------------------


def training(method: str, run: Path) -> list[str]:
    """The command line of a tiny training."""
    words = ["train", method, "--data", "digits", "--run", str(run), "--size", "16", "--batch", "16", *TINY[method]]
    return [*words, "--precision", "fp32", "--steps", str(STEPS), "--save-every", "5"]


def forked(words: list[str], *, seconds: float | None = None) -> tuple[int, str]:
    """Run a command line in a fork of this process, and kill it after so many seconds.

    Returns:
        Its exit status and the last line that it said.
    """
    with tempfile.TemporaryFile() as said:
        status = _forked(words, said.fileno(), seconds)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return status, lines[-1][:LONGEST_LINE] if lines else ""


def _forked(words: list[str], said: int, seconds: float | None) -> int:
    child = os.fork()
    if not child:
        os.dup2(said, 1)
        os.dup2(said, 2)
        try:
            status = ganvas(words)
        except BaseException as error:
            os.write(2, f"\n{type(error).__name__}: {error}".encode())
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def same_weights(one: checkpoint.Model, other: checkpoint.Model) -> bool:
    """Whether two models hold the same weights, to the bit."""
    a, b = one.method.state_dict(), other.method.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@dataclass
class Kills:
    """What came of the kills of one method: trainings, kills, and a line for each that ended otherwise."""

    trainings: int = 0
    kills: int = 0
    failed: list[str] = field(default_factory=list)


def kills_of(method: str, count: int, rng: random.Random) -> Kills:
    """Break trainings off at random times until `count` kills have met one, and compare their ends."""
    found = Kills()
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        began = time.perf_counter()
        assert forked(training(method, whole))[0] == 0
        took = time.perf_counter() - began
        wanted = checkpoint.load(whole, CPU)
        while found.kills < count:
            run = Path(name) / str(found.trainings)
            found.trainings += 1
            while found.kills < count and forked(training(method, run), seconds=rng.uniform(0, took))[0] < 0:
                found.kills += 1
            status, line = forked(training(method, run))
            if status:
                found.failed.append(f"{method}: the command ended with {status}: {line}")
                continue
            if not same_weights(wanted, checkpoint.load(run, CPU)):
                found.failed.append(f"{method}: other weights after {found.kills} kills")
    return found


# --- a full disk ------------------------------------------------------------------------------------------------------


def full_disk() -> str:
    """Fill a small disk with checkpoints, free it, and go on; a sentence on what came of it."""
    with tempfile.TemporaryDirectory() as name:
        disk, run = Path(name), Path(name) / "run"
        mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", name]
        mounted = subprocess.run(mount, capture_output=True, check=False)
        if mounted.returncode:
            return "Not tried: a small disk cannot be mounted here."
        try:
            (disk / "other").write_bytes(bytes(2**20))
            words = [*training("gan", run), "--keep", "1000"]
            (status, line), kept = forked(words), checkpoint.checkpoints(run)
            step = checkpoint.load(run, CPU).step
            line = line.replace(str(disk), "")
            (disk / "other").unlink()
            for old in kept[:-2]:
                shutil.rmtree(old)
            again, _ = forked(training("gan", run))
            whole = Path(name) / "whole"
            shutil.rmtree(run / "samples")
            ended = checkpoint.load(run, CPU)
            assert forked(training("gan", whole))[0] == 0
            same = same_weights(checkpoint.load(whole, CPU), ended)
        finally:
            subprocess.run(["umount", name], check=True)
    return (
        f"A disk of 3 MB was full after {len(kept)} checkpoints: exit status {status}, `{line}`, and the newest, of "
        f"step {step}, was whole. With room again the same command ended with {again}, "
        f"{'with the weights' if same else 'NOT with the weights'} of an unbroken training."
    )


# --- the page ---------------------------------------------------------------------------------------------------------


def page(tallies: dict[str, Tally], kills: dict[str, Kills], disk: str) -> str:
    """The results as a page."""
    rows = [
        f"| {kind} | {t.read + t.refused + len(t.failed):,} | {t.read:,} | {t.refused:,} | {len(t.failed)} | "
        f"{(t.peak - t.base) / 2**20:,.0f} | {t.longest:.2f} |"
        for kind, t in tallies.items()
    ]
    killed = [f"| {name} | {k.trainings} | {k.kills} | {len(k.failed)} |" for name, k in kills.items()]
    failed = [line for found in (*tallies.values(), *kills.values()) for line in found.failed]
    return "\n".join([
        "# Robustness", "",
        "`benchmarks/robustness.py`. Each file was mutated with a seed of its own: bits flipped, stretches removed or "
        "repeated, cut off, or values and tokens replaced. It is read as the commands do, and has to be read or to be "
        "refused in one line of at most 300 characters. Memory is the growth of the peak of the process.", "",
        "| files | mutations | read | refused in a line | failed | MB | longest, seconds |",
        "|---|---|---|---|---|---|---|", *rows, "",
        f"Trainings of {STEPS} steps on `digits`, killed (SIGKILL) at random times and given again until they end; the "
        "weights are compared with those of an unbroken training, to the bit.", "",
        "| method | trainings | kills | failed |", "|---|---|---|---|", *killed, "",
        disk, *(["", "Failures:", "", *(f"- {line}" for line in failed)] if failed else []),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=5000, help="of each kind of file")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kills", type=int, default=40, help="of each method")
    parser.add_argument("--only", nargs="+", choices=[*KINDS, *TINY, "disk"], help="print these; no page is written")
    options = parser.parse_args()
    chosen = options.only or [*KINDS, *TINY, "disk"]
    kills, rng = {}, random.Random(options.first)
    for method in TINY:
        if method in chosen and options.kills:
            kills[method] = kills_of(method, options.kills, rng)
            print(method, kills[method], flush=True)
    disk = full_disk() if "disk" in chosen else ""
    tallies = {}
    for kind in KINDS:
        if kind in chosen and options.mutations:
            tallies[kind] = mutations_of(kind, options.first, options.mutations)
            print(kind, tallies[kind], flush=True)
    text = page(tallies, kills, disk)
    print(text if options.only else report.write("robustness.md", text))


if __name__ == "__main__":
    main()

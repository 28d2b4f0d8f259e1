"""How long it takes until the command line answers: `python benchmarks/startup.py`."""

import statistics
import subprocess
import sys
import time

import report

COMMANDS = (["-c", "pass"], ["-m", "ganvas", "--help"], ["-m", "ganvas", "methods"], ["-c", "import torch"])
ROUNDS = 15


def seconds(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {" ".join(words): [] for words in COMMANDS}
    for _ in range(ROUNDS):  # interleaved, so that a slow minute slows all of them
        for words in COMMANDS:
            times[" ".join(words)].append(seconds(words))
    rows = [f"| `python {name}` | {statistics.median(t):.3f} | {max(t):.3f} |" for name, t in times.items()]
    report.write(
        "startup.md",
        "# Start-up\n\nWhole processes, seconds; `benchmarks/startup.py`. `--help` and `methods` do not load torch.\n\n"
        f"| command | median of {ROUNDS} | slowest |\n|---|---|---|\n" + "\n".join(rows),
    )


if __name__ == "__main__":
    main()

"""Flags that were called otherwise, and those that other tools have: both are understood, and said."""

from collections.abc import Sequence

from ganvas.cli import console
from ganvas.errors import UsageError

OLD = {  # these were called so until 0.1, and go with 0.3
    "--jitter": "--random-crop",
    "--plain-steps": "--no-cuda-graphs",
    "--inside": "--standalone",
    "--pictures-only": "--images-only",
    "--weights": "--inception-weights",
}
OLD_OF = {("train", "--features"): "--vgg-weights", ("stylize", "--features"): "--vgg-weights"}

USUAL = {  # as other tools call them
    "--lr": "--learning-rate",
    "--batch-size": "--batch",
    "--num-samples": "--count",
    "--n": "--count",
}
HINTS = {
    "--resume": "the same command goes on where it stopped; leave --resume out",
    "--workers": "ganvas reads with as many workers as there are cores; leave --workers out",
    "--num-workers": "ganvas reads with as many workers as there are cores; leave --num-workers out",
    "--gpu": "say --device cuda, or nothing: auto takes the best there is",
}
VALUES = {("--device", "gpu"): "cuda"}
WEIGHTS = (".safetensors", ".pth", ".pt")


def as_now(tokens: Sequence[str]) -> list[str]:
    """The words of a command line with flags as they are called now; what was called otherwise is said.

    Raises:
        UsageError: for a flag that is not needed, with what to do instead.
    """
    if list(tokens[:1]) == ["help"]:
        return [*tokens[1:], "--help"]
    command, made = next(iter(tokens), ""), list[str]()
    for place, token in enumerate(tokens):
        flag, equals, value = token.partition("=")
        if flag in HINTS:
            raise UsageError(f"{flag}: {HINTS[flag]}")
        now = OLD_OF.get((command, flag)) or OLD.get(flag)
        if now:
            console.say(f"{flag} is called {now} now")
        now = now or USUAL.get(flag, flag)
        before = tokens[place - 1] if place else ""
        if before == "--features" and command in ("evaluate", "compare", "study") and token.endswith(WEIGHTS):
            console.say(f"--features {token}: a file of VGG-19 is given by --features vgg --vgg-weights {token} now")
            made += ["vgg", "--vgg-weights", token]
            continue
        made.append(VALUES.get((before, token), now + equals + value))
    return made

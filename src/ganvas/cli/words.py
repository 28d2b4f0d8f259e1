"""Old flags, and flags of other tools: both are accepted, with a message."""

from collections.abc import Sequence

from ganvas import methods
from ganvas.cli import console
from ganvas.core import words
from ganvas.core.settings import flag as flag_of
from ganvas.errors import UsageError

OLD = {  # old names of 0.1, removed in 0.3
    "--jitter": "--random-crop",
    "--plain-steps": "--no-cuda-graphs",
    "--inside": "--standalone",
    "--pictures-only": "--images-only",
    "--weights": "--inception-weights",
}
OLD_OF = {("train", "--features"): "--vgg-weights", ("stylize", "--features"): "--vgg-weights"}

USUAL = {flag_of(theirs): flag_of(ours) for theirs, ours in words.OURS.items()}
HINTS = {flag_of(name): hint for name, hint in words.NOT_NEEDED.items()}
VALUES = {("--device", theirs): ours for theirs, ours in words.DEVICES.items()}
WEIGHTS = (".safetensors", ".pth", ".pt")


def as_now(tokens: Sequence[str]) -> list[str]:
    """The words of a command line with current flags; a message reports each old one.

    Raises:
        UsageError: for a flag that is not needed, with what to do instead.
    """
    if list(tokens[:1]) == ["help"]:
        return [*(["train"] if list(tokens[1:2]) and tokens[1] in methods.names() else []), *tokens[1:], "--help"]
    command, made = next(iter(tokens), ""), list[str]()
    end = list(tokens).index("--") if "--" in tokens else len(tokens)  # what follows are names
    for place, token in enumerate(tokens[:end]):
        flag, equals, value = token.partition("=")
        if flag in HINTS:
            raise UsageError(f"{flag}: {HINTS[flag]}")
        now = OLD_OF.get((command, flag)) or (OLD.get(flag) if command != "stylize" else None)
        if now:
            console.say(f"{flag} is now called {now}")
        now = now or USUAL.get(flag, flag)
        before = tokens[place - 1] if place else ""
        if before == "--features" and command in ("evaluate", "compare", "study") and token.endswith(WEIGHTS):
            console.say(f"--features {token}: a file of VGG-19 is now given by --features vgg --vgg-weights {token}")
            made += ["vgg", "--vgg-weights", token]
            continue
        value = VALUES.get((flag, value), value)
        made.append(VALUES.get((before, token), now + equals + value))
    return [*made, *tokens[end:]]

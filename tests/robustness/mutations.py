"""Seeded changes of files: bits, JSON values, and tokens of YAML; for tests and for `benchmarks/robustness.py`."""

VALUES = [
    None, True, -1, 0, 1.5, 2**31, 2**63, 10**400, 1e308, float("inf"), float("nan"), "", "x" * 5000, "\x00", "../x",
    "é\ud800", [], [[]], {}, {"": 1}, {"\ud800": 1}, [0] * 99, {"x" * 500: 1},
]  # fmt: skip
STUDY = """title: of two
seeds: [0, 1]
steps: 2
size: 16
methods:
  pix2pix: {settings: {width: 4, batch: 2, learning_rate: 1e-3}}
  plain: {method: autoencoder, settings: {width: 4}}
tasks:
  grey: {words: in colour, data: photos, held_out: unseen, task: colorize-rgb, flip: true}
"""
TOKENS = [
    "? [a]", "!!bool x", "&a ", "*a", "- ", "{", "}", "[", ": ", "|\n", "!!binary ", "!!python/name:os.system ", "~",
    "1e999", "0x" + "f" * 99, "2001-13-45", "\t", "\x00", "\ufeff", "'", '"', "%TAG ! x\n", "---\n", "<<: ", ".nan",
]  # fmt: skip


def flipped(content, rng):
    """Bytes with a few bits flipped, a stretch removed or repeated, or cut."""
    changed = bytearray(content)
    kind, at = rng.integers(4), int(rng.integers(len(content)))
    if kind == 0:
        for place in rng.integers(len(content), size=rng.integers(1, 9)):
            changed[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del changed[at : at + int(rng.integers(1, 64))]
    elif kind == 2:
        changed[at:at] = changed[at : at + int(rng.integers(1, 64))]
    else:
        del changed[at:]
    return bytes(changed)


def other_value(values, rng):
    """JSON values of which one, at any depth, is another, or is missing."""
    if isinstance(values, dict | list) and values and rng.random() < 0.75:
        key = list(values)[rng.integers(len(values))] if isinstance(values, dict) else int(rng.integers(len(values)))
        copy = values.copy()
        copy[key] = other_value(copy[key], rng)
        if rng.random() < 0.1:
            del copy[key]
        return copy
    return VALUES[rng.integers(len(VALUES))]


def other_words(text, rng):
    """A text into which tokens of YAML are put, or from which stretches are taken."""
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(text)))
        if rng.random() < 0.2:
            text = text[:at] + text[at + int(rng.integers(1, 40)) :]
        else:
            text = text[:at] + TOKENS[rng.integers(len(TOKENS))] + text[at:]
    return text

"""The figures of a report: SVG from matplotlib in the colours of the page's light or dark theme."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator

from ganvas.report.results import Model, Score, Value

WIDTH = 3.4  # inches: the width of a phone at 96 dpi, so that text is as large as on the page
MOST_POINTS = 200  # per answer; of more values, as many are taken evenly by rank
LONGEST = 44  # characters of a name
STYLE: Any = {  # its type differs between matplotlib releases
    "svg.fonttype": "none",  # text stays text: searchable, read by screen readers, in the page's fonts
    "font.size": 8.5,
    "text.parse_math": False,  # a dollar sign in a name is not maths
    "axes.unicode_minus": True,
}
SVG = "http://www.w3.org/2000/svg"
LINK = "http://www.w3.org/1999/xlink"
# Colours of the stylesheet by name; matplotlib draws each in a placeholder colour, which is then replaced by the name.
NAMES = ["ink", "quiet", "line", *(f"model-{n}" for n in range(8)), *(f"other-{n}" for n in range(3))]
STAND_IN = {name: f"#0a0b{number + 16:02x}" for number, name in enumerate(NAMES)}


@mpl.rc_context(STYLE)
def distribution(score: Score, each: Mapping[str, Sequence[float]], colours: Mapping[str, str], *, name: str) -> str:
    """The distribution of a score over images: density, a dot per image, and mean with interval of each answer."""
    answers = [answer for answer in colours if answer in score.values]
    figure, axes = _strips(len(answers))
    for place, answer in enumerate(answers):
        colour, values = STAND_IN[colours[answer]], np.sort(np.array(each.get(answer, ()), float))
        if len(values) > 2 and values[-1] > values[0]:
            at, height = _density(values)
            axes.fill_between(at, place + 0.18, place + 0.18 - 0.38 * height, color=colour, alpha=0.3, linewidth=0)
        _points(axes, values, place + 0.32, colour)
        _interval(axes, score.values[answer], place + 0.18, STAND_IN["ink"])
        _name(axes, answer, place)
    axes.set_xlabel(_measure(score))
    return _svg(figure, name)


@mpl.rc_context(STYLE)
def intervals(score: Score, colours: Mapping[str, str], *, name: str) -> str:
    """The value of each answer as a bar from zero, with its interval."""
    answers = [answer for answer in colours if answer in score.values]
    figure, axes = _strips(len(answers), height=0.5)
    for place, answer in enumerate(answers):
        value = score.values[answer]
        if value.value is not None:
            axes.barh(place, value.value, height=0.26, color=STAND_IN[colours[answer]], alpha=0.75)
        _interval(axes, value, place, STAND_IN["ink"])
        _name(axes, answer, place, room=0.36)
    axes.axvline(0, color=STAND_IN["line"], linewidth=0.8)
    axes.set_xlabel(_measure(score))
    return _svg(figure, name)


@mpl.rc_context(STYLE)
def differences(score: Score, colours: Mapping[str, str], *, name: str) -> str:
    """The difference of each pair of answers, first minus second, with its interval."""
    shown = [difference for difference in score.differences if {difference.first, difference.second} <= colours.keys()]
    figure, axes = _strips(len(shown), height=0.46)
    axes.axvline(0, color=STAND_IN["quiet"], linewidth=0.9, linestyle=(0, (3, 2)))
    for place, difference in enumerate(shown):
        low, high, value = difference.low, difference.high, difference.value
        if value is None:
            continue
        better = difference.first if (value > 0) == (score.better != "lower") else difference.second
        sure = low is not None and high is not None and (low > 0 or high < 0)
        known = sure and score.better in ("higher", "lower")
        colour = STAND_IN[colours.get(better, "quiet") if known else "quiet"]
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot([value], [place], "o", color=colour, markersize=6)
        _name(axes, f"{_cut(difference.first, 20)} − {_cut(difference.second, 20)}", place, room=0.34)
    axes.set_xlabel("difference" + (f" in {_cut(score.unit)}" if score.unit else ""))
    axes.margins(x=0.08)
    return _svg(figure, name)


@mpl.rc_context(STYLE)
def curve(score: Score, models: Sequence[Model], colours: Mapping[str, str], *, name: str) -> str:
    """A score over training steps, with intervals; the best value is marked and baselines are horizontal lines."""
    figure, axes = _strips(1, height=2.1, left=0.17)
    axes.invert_yaxis()  # undo the inversion of _strips
    axes.set_ylim(auto=True)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    steps = {model.name: model.step for model in models}
    checkpoints = sorted((steps[answer] or 0, value) for answer, value in score.values.items() if answer in steps)
    known = [(step, value.value, value) for step, value in checkpoints if value.value is not None]
    for step, _, value in known:
        if value.low is not None and value.high is not None:
            axes.plot([step, step], [value.low, value.high], color=STAND_IN["model-0"], linewidth=2, alpha=0.35)
    axes.plot([step for step, _, _ in known], [at for _, at, _ in known], "o-", color=STAND_IN["model-0"], markersize=4)
    if score.better in ("higher", "lower"):
        sign = 1 if score.better == "higher" else -1
        step, best, _ = max(known, key=lambda row: sign * row[1])
        axes.plot([step], [best], "*", color=STAND_IN["ink"], markersize=10)
    for answer, value in score.values.items():
        if answer not in steps and answer in colours and value.value is not None:
            axes.axhline(value.value, color=STAND_IN[colours[answer]], linewidth=1, linestyle=(0, (4, 2)))
            axes.text(1, value.value, _cut(answer), transform=axes.get_yaxis_transform(), ha="right", va="bottom",
                      color=STAND_IN["quiet"])  # fmt: skip
    axes.set_xlabel(f"step; {_measure(score)}")
    return _svg(figure, name)


@mpl.rc_context(STYLE)
def classes(counts: Mapping[str, Mapping[str, int]], names: Sequence[str], colours: Mapping[str, str]) -> str:
    """How many images of each class were generated."""
    bar, labels = 0.8 / max(1, len(counts)), [_cut(name, 16) for name in names]
    left = 0.06 + 0.023 * max(map(len, labels))  # about as wide as the longest name
    figure, axes = _strips(len(names), height=0.1 + 0.12 * len(counts), left=left)
    for number, (answer, of_class) in enumerate(counts.items()):
        at = [place - 0.4 + bar * (number + 0.5) for place in range(len(names))]
        many = [of_class.get(name, 0) for name in names]
        axes.barh(at, many, height=bar * 0.85, color=STAND_IN[colours[answer]], alpha=0.85)
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("images")
    return _svg(figure, "classes")


def _strips(many: int, *, height: float = 0.62, left: float = 0.03) -> tuple[Figure, Axes]:
    """A figure with `many` horizontal strips, the first on top."""
    tall = 0.5 + height * max(1, many)
    figure = Figure(figsize=(WIDTH, tall), dpi=72)
    axes = figure.add_axes((left, 0.44 / tall, 0.97 - left, 1 - 0.47 / tall))
    axes.set_ylim(max(1, many) - 0.5, -0.58)  # downwards
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(STAND_IN["line"])
    axes.tick_params(axis="y", length=0, colors=STAND_IN["quiet"])
    axes.tick_params(axis="x", colors=STAND_IN["line"], labelcolor=STAND_IN["quiet"], length=3)
    axes.xaxis.label.set_color(STAND_IN["quiet"])
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=STAND_IN["line"], linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_yticks([])
    return figure, axes


def _density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian kernel density of sorted values over their range, at most 1; the bandwidth is Silverman's."""
    spread = min(values.std(), (np.quantile(values, 0.75) - np.quantile(values, 0.25)) / 1.34) or values.std()
    width = 0.9 * spread * len(values) ** -0.2
    at = np.linspace(values[0], values[-1], 81)
    height = np.exp(-0.5 * ((at[:, None] - values[None]) / width) ** 2).sum(1)  # (81,)
    return at, height / height.max()


def _points(axes: Axes, values: np.ndarray, place: float, colour: str) -> None:
    """A dot for each value, with vertical jitter; all dots are one path, which keeps the file small."""
    if len(values) > MOST_POINTS:
        values = values[np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(int)]
    if not len(values):
        return
    up = (np.arange(len(values)) * 0.618034 % 1 - 0.5) * 0.16  # golden ratio: even, without visible rows
    dots = np.stack([values, place + up], 1)  # (N, 2)
    outline = Outline(np.repeat(dots, 2, 0), np.tile([Outline.MOVETO, Outline.LINETO], len(values)))
    outline.should_simplify = False  # a line of zero length with round caps is a dot
    axes.add_patch(PathPatch(outline, fill=False, edgecolor=colour, linewidth=2.6, capstyle="round", alpha=0.55))
    axes.update_datalim(dots)


def _interval(axes: Axes, value: Value, place: float, colour: str) -> None:
    """Draw the value as a dot on its interval."""
    if value.value is None:
        return
    if value.low is not None and value.high is not None:
        axes.plot([value.low, value.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
    axes.plot([value.value], [place], "o", color=colour, markersize=4.5)


def _name(axes: Axes, text: str, place: float, *, room: float = 0.38) -> None:
    """Write the name of a strip above it, on the left."""
    axes.text(0, place - room, _cut(text), transform=axes.get_yaxis_transform(), va="center", color=STAND_IN["ink"])


def _cut(text: str, longest: int = LONGEST) -> str:
    """A name cut to `longest` characters, without characters that SVG forbids."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _measure(score: Score) -> str:
    """The axis label: the score, its unit, and which direction is better."""
    way = {"higher": ", higher is better", "lower": ", lower is better"}.get(score.better, "")
    return _cut(score.name + (f" in {score.unit}" if score.unit else "")) + way


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element: named colours, ids that are unique on the page, no fixed size."""
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ET.fromstring(written.getvalue())
    for child in root.findall(f"{{{SVG}}}metadata") + root.findall(f"{{{SVG}}}defs[{{{SVG}}}style]"):
        root.remove(child)  # the metadata, and a style that would apply to the whole page
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _own(key, value, name))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("aria-hidden", "true")  # the caption describes it, and the table has the numbers
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    return ET.tostring(root, encoding="unicode")


def _own(key: str, value: str, name: str) -> str:
    """An attribute as it appears on the page: own ids, page fonts, named colours."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}-", 1)
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    value = re.sub(r"font-family: [^;]*; |(?<=px) [^;]*|font: (?=[\d.]+px)", "", value) if "font" in value else value
    return re.sub(r"#0a0b[0-9a-f]{2}", lambda found: f"var(--{NAMES[int(found[0][-2:], 16) - 16]})", value)

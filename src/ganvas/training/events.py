"""Events of a training: typed, frozen values, the same for a progress bar, a notebook, a callback and a test."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ganvas.training.loop import Progress, Scored


@dataclass(frozen=True)
class Opened:
    """A training is about to begin; sent before the first step.

    Attributes:
        run: the run folder.
        method: its name.
        data: a description of the data.
        images: how many there are.
        size: height and width in pixels.
        device: such as `cpu`.
        precision: `fp32` or `bf16`.
        parameters: number of trained parameters, by network.
        batch: images per step.
        length: the total length of the training, in words.
        step: steps done by earlier calls.
    """

    run: Path
    method: str
    data: str
    images: int
    size: int
    device: str
    precision: str
    parameters: Mapping[str, int]
    batch: int
    length: str
    step: int = 0


@dataclass(frozen=True)
class Note:
    """A remark about the training, in a sentence.

    Attributes:
        text: the sentence.
    """

    text: str


@dataclass(frozen=True)
class Sampled:
    """A grid of images was written.

    Attributes:
        step: steps done.
        path: the PNG file.
    """

    step: int
    path: Path


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written, whole.

    Attributes:
        step: steps done.
        path: its folder in the run folder.
    """

    step: int
    path: Path


@dataclass(frozen=True)
class Finished:
    """The training has ended: its budget is spent, or it was stopped; the run is saved.

    Attributes:
        run: the run folder.
        last: the last progress.
        stopped: whether it was stopped before its budget was spent.
        files: files to look at: the newest grid, the video, the loss curves.
    """

    run: Path
    last: Progress
    stopped: bool
    files: tuple[Path, ...] = ()


Event = Opened | Note | Progress | Sampled | Saved | Scored | Finished


class Callback(Protocol):
    """Receives the events of a training; each of these functions is optional."""

    def on_start(self, event: Opened) -> None:
        """Called once, before the first step."""

    def on_step(self, event: Progress) -> None:
        """Called with each report: about twice a second, with the means of the losses since the last."""

    def on_samples(self, event: Sampled) -> None:
        """Called when a grid of images was written."""

    def on_checkpoint(self, event: Saved) -> None:
        """Called when a checkpoint was written."""

    def on_score(self, event: Scored) -> None:
        """Called when a score was computed, as `validate_every` asks."""

    def on_end(self, event: Finished) -> None:
        """Called once, when the run is saved."""


__all__ = [
    "CALLED",
    "CALLED_FOR",
    "Callback",
    "Event",
    "Finished",
    "Note",
    "Opened",
    "Progress",
    "Sampled",
    "Saved",
    "Scored",
    "hears",
    "tell",
]

CALLED_FOR = {
    Opened: "on_start",
    Progress: "on_step",
    Sampled: "on_samples",
    Saved: "on_checkpoint",
    Scored: "on_score",
    Finished: "on_end",
}
CALLED = tuple(CALLED_FOR.values())


def hears(callback: object) -> bool:
    """Whether a callback has any of these functions."""
    return any(hasattr(callback, name) for name in CALLED)


def tell(event: Event, callback: object) -> None:
    """Call the function of a callback for this event, if it has one."""
    function = getattr(callback, CALLED_FOR.get(type(event), ""), None)
    if function is not None:
        function(event)

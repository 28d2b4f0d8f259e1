"""What a model answers to images, as a person gets it, and what answering takes."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganvas.checkpoint import Model
from ganvas.core.optim import evaluating
from ganvas.data.batch import Source, Spec
from ganvas.errors import DataError, ModelError
from ganvas.evaluation.protocol import mode_of
from ganvas.evaluation.statistics import Judged
from ganvas.imaging.images import to_bytes, to_signed
from ganvas.methods._base import Generates, Method, Restyles, Translates

_PIXELS_AT_ONCE = 2**20  # a million keep a CPU busy
_NAMED = 5  # files in a message

KINDS = {1: "grey", 2: "the colours of Lab", 3: "colour"}


@dataclass
class Answering:
    """A model that answers: what came out that was no number, and how long it took.

    Attributes:
        model: that answers.
        seconds: for each batch, an image.
    """

    model: Model
    seconds: list[float] = field(default_factory=list)

    def __call__(self, images: Tensor, direction: str, *, styles: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the model makes of uint8 images (N, C, H, W), rounded to bytes; in these styles, one each, if any.

        Returns:
            uint8 (N, C', H, W); and (N,) whether all numbers of an image were finite before.
        """
        method = self.model.method
        assert isinstance(method, Translates)
        device = device_of(method)
        start = time.perf_counter()
        with evaluating(method):
            signed = to_signed(images).to(device)
            if styles is None:
                made = method.translate(signed, direction)
            else:
                assert isinstance(method, Restyles)
                made = method.restyle(signed, styles)
            whole = made.flatten(1).isfinite().all(1).cpu()
            made = to_bytes(made.nan_to_num()).cpu()
        self.seconds.append((time.perf_counter() - start) / len(images))
        return made, whole

    @property
    def milliseconds(self) -> float:
        """That an image took: the median of the batches, for the first one warms up."""
        return 1000 * statistics.median(self.seconds)


def device_of(method: nn.Module) -> torch.device:
    """Where a method computes."""
    return next((tensor.device for tensor in method.state_dict().values()), torch.device("cpu"))


def judged(name: str, model: Model, learned: str = "") -> Judged:
    """What is to be said of a model beside its scores."""
    method = model.method
    file = sum(tensor.nbytes for tensor in method.state_dict().values())
    return Judged(
        name, model.facts.method, model.step, _parameters(method), round(file / 1e6, 1), model.facts.spec.size,
        learned, mode_of(method),
    )  # fmt: skip


def _parameters(method: Method) -> int:
    """How many numbers, trained or frozen, the networks hold that make an image: those that run when one is made."""
    spec, used = method.spec, dict[int, int]()

    def note(layer: nn.Module, _: Any) -> None:
        own = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
        used.update((id(tensor), tensor.numel()) for tensor in own)

    hooks = [layer.register_forward_pre_hook(note) for layer in method.modules()]
    image = torch.zeros(1, spec.channels, spec.size, spec.size, device=device_of(method))
    with evaluating(method):
        if isinstance(method, Translates):
            method.translate(image)
        elif isinstance(method, Generates):
            method.generate([0])
    for hook in hooks:
        hook.remove()
    return sum(used.values())


def require_kind(model: Model, source: Source[Any], *, wanted: bool = True) -> None:
    """Raise DataError for images of other channels than the model's, or of a size that it cannot take.

    Args:
        model: that is to translate them.
        source: the pairs.
        wanted: whether their targets mean anything.
    """
    method, ours, theirs = model.method, model.facts.spec, source.spec
    if theirs.channels != ours.channels or (wanted and theirs.outputs != ours.outputs):
        raise DataError(
            f"{source.name}: from {KINDS[theirs.channels]} to {KINDS[theirs.outputs]}, and the {model.facts.method} "
            f"model goes from {KINDS[ours.channels]} to {KINDS[ours.outputs]}; give images of the kind that it "
            "learned from"
        )
    assert isinstance(method, Translates)
    if not method.any_size and theirs.size != ours.size:
        raise DataError(
            f"{source.name} is opened at {theirs.size} pixels, and the {model.facts.method} model takes {ours.size} "
            "alone; give that size"
        )


def rows_at_once(spec: Spec) -> int:
    """How many images go through the network at a time: as many for every set of one size, for equal numbers."""
    return max(1, min(64, _PIXELS_AT_ONCE // spec.bytes))


class Broken:
    """Which images of which model hold what is no number, and so are no images."""

    def __init__(self, source: Source[Any]):
        """None so far."""
        self.source, self.rows = source, dict[str, list[int]]()

    def sort_out(self, numbers: Sequence[int], whole: Mapping[str, Tensor]) -> Tensor:
        """Of images of these numbers, whether every model's is one, (N,); `whole` says it by model, (N,) each."""
        for name, rows in whole.items():
            self.rows.setdefault(name, []).extend(numbers[row] for row in (~rows).nonzero()[:, 0].tolist())
        return torch.stack(list(whole.values())).all(0)

    def notes(self) -> list[str]:
        """A line for each model some of whose images are none.

        Raises:
            ModelError: if all of a model's are none, or nothing is left that all models made an image of.
        """
        told = [self._told(name, rows) for name, rows in self.rows.items() if rows]
        if len(set().union(*self.rows.values())) == len(self.source):
            raise ModelError(
                f"{' and '.join(name for name, rows in self.rows.items() if rows)}: of every image one of them makes "
                "what holds no number, so none is left to compare by; judge them alone"
            )
        return told

    def _told(self, name: str, rows: Sequence[int]) -> str:
        n = len(self.source)
        if len(rows) == n:
            raise ModelError(
                f"{name}: the model makes images that hold what is no number; train it anew with a smaller "
                "`learning_rate`"
            )
        files = [self.source.name_of(row) or f"number {row}" for row in rows[:_NAMED]]
        more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
        return (
            f"{len(rows):,} of the {n:,} images of {name} hold what is no number ({', '.join(files)}{more}); they "
            "are left out of every score, of the other answers too"
        )

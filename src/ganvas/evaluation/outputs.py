"""The output of a model for images, rounded to bytes, and its cost."""

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
from ganvas.evaluation.results import ModelSummary
from ganvas.imaging.images import to_bytes, to_signed
from ganvas.methods._base import Generates, Method, Restyles, Translates

_PIXELS_AT_ONCE = 2**20  # a million keep a CPU busy
_NAMED = 5  # files in a message

KINDS = {1: "grey", 2: "the colours of Lab", 3: "colour"}


@dataclass
class Translating:
    """A model that translates images, with the time it takes.

    Attributes:
        model: the model.
        seconds: per image, for each batch.
    """

    model: Model
    seconds: list[float] = field(default_factory=list)

    def __call__(self, images: Tensor, direction: str, *, styles: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The output of the model for uint8 images (N, C, H, W), rounded to bytes; in these styles, one each, if any.

        Returns:
            uint8 (N, C', H, W); and (N,) whether all values of an image were finite before.
        """
        method = self.model.method
        assert isinstance(method, Translates)
        device = device_of(method)
        start = time.perf_counter()
        with evaluating(method):
            signed = to_signed(images).to(device)
            if styles is None:
                output = method.translate(signed, direction)
            else:
                assert isinstance(method, Restyles)
                output = method.restyle(signed, styles)
            finite = output.flatten(1).isfinite().all(1).cpu()
            output = to_bytes(output.nan_to_num()).cpu()
        self.seconds.append((time.perf_counter() - start) / len(images))
        return output, finite

    @property
    def milliseconds(self) -> float:
        """The time per image: the median of the batches, since the first one warms up."""
        return 1000 * statistics.median(self.seconds)


def device_of(method: nn.Module) -> torch.device:
    """The device of a method."""
    return next((tensor.device for tensor in method.state_dict().values()), torch.device("cpu"))


def summary(name: str, model: Model, learned: str) -> ModelSummary:
    """What is reported of a model beside its scores."""
    method = model.method
    file = sum(tensor.nbytes for tensor in method.state_dict().values())
    return ModelSummary(
        name, model.manifest.method, model.step, _parameters(method), round(file / 1e6, 1), model.manifest.spec.size,
        learned, mode_of(method),
    )  # fmt: skip


def _parameters(method: Method) -> int:
    """The number of parameters, trained or frozen, of the networks that run when an image is made."""
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
        model: the model that translates them.
        source: the pairs.
        wanted: whether their targets are used.
    """
    method, ours, theirs = model.method, model.manifest.spec, source.spec
    if theirs.channels != ours.channels or (wanted and theirs.outputs != ours.outputs):
        raise DataError(
            f"{source.name}: from {KINDS[theirs.channels]} to {KINDS[theirs.outputs]}, and the {model.manifest.method} "
            f"model goes from {KINDS[ours.channels]} to {KINDS[ours.outputs]}; give images of the kind that it "
            "learned from"
        )
    assert isinstance(method, Translates)
    if not method.any_size and theirs.size != ours.size:
        raise DataError(
            f"{source.name} is opened at {theirs.size} pixels, and the {model.manifest.method} model takes {ours.size} "
            "alone; give that size"
        )


def rows_at_once(spec: Spec) -> int:
    """How many images go through the network at a time: the same for every set of one size, for equal results."""
    return max(1, min(64, _PIXELS_AT_ONCE // spec.bytes))


class Broken:
    """Which images of which model are not finite, and so are not images."""

    def __init__(self, source: Source[Any]):
        """Begin with none."""
        self.source, self.rows = source, dict[str, list[int]]()

    def sort_out(self, numbers: Sequence[int], finite: Mapping[str, Tensor]) -> Tensor:
        """For images of these numbers, whether every model's is finite, (N,); `finite` has it by model, (N,) each."""
        for name, rows in finite.items():
            self.rows.setdefault(name, []).extend(numbers[row] for row in (~rows).nonzero()[:, 0].tolist())
        return torch.stack(list(finite.values())).all(0)

    def notes(self) -> list[str]:
        """A line for each model some of whose images are not finite.

        Raises:
            ModelError: if none of a model's images is finite, or no image is left that is finite for all models.
        """
        lines = [self._line(name, rows) for name, rows in self.rows.items() if rows]
        if len(set().union(*self.rows.values())) == len(self.source):
            raise ModelError(
                f"{' and '.join(name for name, rows in self.rows.items() if rows)}: one of them makes an image that is "
                "not finite for every input, so none is left to compare by; evaluate them alone"
            )
        return lines

    def _line(self, name: str, rows: Sequence[int]) -> str:
        n = len(self.source)
        if len(rows) == n:
            raise ModelError(
                f"{name}: the model makes images that are not finite; train it again with a smaller `learning_rate`"
            )
        files = [self.source.name_of(row) or f"number {row}" for row in rows[:_NAMED]]
        more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
        return (
            f"{len(rows):,} of the {n:,} images of {name} are not finite ({', '.join(files)}{more}); they "
            "are left out of every score, for the other answers too"
        )

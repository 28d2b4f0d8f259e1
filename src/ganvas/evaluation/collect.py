"""The skeleton of every evaluation: go over the images once, feed a collector, and let it compute the scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from ganvas.checkpoint import Model
from ganvas.data.progress import Track, silently
from ganvas.evaluation.outputs import device_of, summary
from ganvas.evaluation.results import Evaluation, ModelSummary

B = TypeVar("B")


class Collector(Protocol[B]):
    """Collects what the scores of one kind of evaluation need."""

    @property
    def models(self) -> Mapping[str, Model]:
        """The evaluated models, by name."""
        ...

    def batches(self, track: Track) -> Iterator[B]:
        """All images, a batch at a time."""
        ...

    def add(self, batch: B) -> None:
        """Keep what the scores need of a batch."""
        ...

    def finish(self, track: Track) -> None:
        """After the last batch: compare what was kept."""
        ...

    def evaluation(self, models: Sequence[ModelSummary]) -> Evaluation:
        """The scores, with the protocol."""
        ...


def collect(
    collector: Collector[B], *, learned: Mapping[str, str] | None = None, track: Track = silently
) -> Evaluation:
    """Evaluate models.

    Args:
        collector: of the kind of evaluation, with the models and the data.
        learned: by model, a sentence on whether it was trained on these images.
        track: shows the progress.
    """
    models = [summary(name, model, (learned or {}).get(name, "")) for name, model in collector.models.items()]
    for batch in collector.batches(track):
        collector.add(batch)
    collector.finish(track)
    device = device_of(next(iter(collector.models.values())).method)
    return replace(collector.evaluation(models), device=str(device))

"""Callbacks that come along: objects that are told of a training; see `events.Callback` for how to write one."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas.core.options import File
from ganvas.errors import UsageError
from ganvas.training.events import Finished, Opened, Progress, Sampled, Scored


class TensorBoard:
    """Writes losses, scores and grids of images where TensorBoard finds them; needs the extra `tensorboard`.

    Example:
        >>> import ganvas
        >>> board = ganvas.TensorBoard()
        >>> model = ganvas.train("gan", "digits", "runs/doctest-board", steps=2, callbacks=[board], progress=False)

    Then `tensorboard --logdir runs` shows them.
    """

    def __init__(self, folder: File | None = None):
        """Write into this folder; by default into `tensorboard` in the run folder.

        Raises:
            UsageError: if tensorboard is not installed.
        """
        try:
            import tensorboard  # noqa: F401
        except ImportError as error:
            raise UsageError("the callback TensorBoard needs: pip install 'ganvas[tensorboard]'") from error
        self.folder = folder
        self._writer: Any = None

    def on_start(self, event: Opened) -> None:
        """Open the file of events."""
        from torch.utils.tensorboard import SummaryWriter  # seconds to import

        self._writer = SummaryWriter(str(self.folder or Path(event.run) / "tensorboard"), purge_step=event.step + 1)

    def on_step(self, event: Progress) -> None:
        """Add the means of the losses since the last report, and the images per second."""
        for name, loss in event.losses.items():
            self._writer.add_scalar(f"loss/{name}", loss, event.step)
        if event.images_per_second:
            self._writer.add_scalar("images per second", event.images_per_second, event.step)

    def on_samples(self, event: Sampled) -> None:
        """Add the grid of images."""
        with Image.open(event.path) as image:
            self._writer.add_image("samples", np.array(image.convert("RGB")), event.step, dataformats="HWC")

    def on_score(self, event: Scored) -> None:
        """Add the score."""
        self._writer.add_scalar(f"score/{event.name}", event.value, event.step)

    def on_end(self, event: Finished) -> None:
        """Close the file."""
        self._writer.close()

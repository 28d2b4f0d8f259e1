"""Reconstruction: the image is its own target."""

from ganvas.data.tasks._base import Task


class Reconstruct(Task):
    """The image to itself."""

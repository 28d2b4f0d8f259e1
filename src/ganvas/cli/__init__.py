"""The command line: flags become arguments of functions, events become lines, and errors one line and a status."""

from ganvas.cli.app import main

__all__ = ["main"]

"""ganvas trains, runs and compares image generators; importing it is quick, for torch is loaded where it is needed."""

__version__ = "0.1.0"

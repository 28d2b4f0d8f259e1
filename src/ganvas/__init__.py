"""ganvas trains image generators and draws with them; importing it is quick, for torch is loaded where it is needed."""

__version__ = "0.2.0.dev0"

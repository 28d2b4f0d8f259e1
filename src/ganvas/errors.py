"""The exceptions of ganvas; the command line prints each as one line, without a traceback.

GanvasError                something failed that the user did not cause             exit status 1
├── DivergedError          a loss or a weight is no longer finite
├── SaveError              a file could not be written (disk full, a limit)
├── ProcessError           another process of the same training has ended
├── Interrupted            stopped by Ctrl-C or SIGTERM, and saved                  exit status 130
└── UsageError             a request or an input that cannot be used                exit status 2
    ├── SettingError       a setting has a value that it cannot have
    ├── DataError          images that are missing, broken or not enough
    └── ModelError         a run folder or a model file that cannot be used

Every message names what was given, what was expected and what to do; parameters are in backticks.
"""

import re
import unicodedata


def readable(text: str) -> str:
    """A name, or a line with names, that can be printed and stored anywhere.

    Control characters, line ends among them, and undecodable bytes become `?`.
    """
    return "".join("?" if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text)


class GanvasError(Exception):
    """The root; catch this to catch everything that ganvas raises on purpose."""

    exit_status = 1

    def __init__(self, message: str = "", *, field: str | None = None):
        super().__init__(readable(message))  # a name in it may hold anything, and an error is one line
        self._field = field

    @property
    def field(self) -> str | None:
        """The wrong parameter: the name in backticks at the start of the message, or as given; None if none is."""
        found = re.match(r"`(\w+)`", str(self))
        return found[1] if found else self._field


class DivergedError(GanvasError):
    """A loss or a weight is not finite any more."""


class SaveError(GanvasError):
    """A file could not be written; the old content is still there."""


class ProcessError(GanvasError):
    """Another process of the same training has ended, or never started."""


class Interrupted(GanvasError):
    """Stopped from outside; the training so far is saved."""

    exit_status = 130


class UsageError(GanvasError):
    """A request or an input that cannot be used."""

    exit_status = 2


class SettingError(UsageError):
    """A setting has a value that it cannot have."""


class DataError(UsageError):
    """Images that are missing, broken or not enough."""


class ModelError(UsageError):
    """A run folder or a model file that cannot be used."""

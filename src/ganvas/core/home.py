"""The folder that `~` stands for; a container may run as a user who has none."""

from pathlib import Path

from ganvas.errors import UsageError


def expanded(path: str | Path) -> Path:
    """The path with `~` replaced by the home folder.

    Raises:
        UsageError: if the user has none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: there is no such home folder; set HOME, or give a full path") from error

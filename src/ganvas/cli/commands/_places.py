"""Where results go."""

from pathlib import Path

from ganvas.core.atomic_io import require_place
from ganvas.errors import UsageError


def require_folder(out: Path) -> None:
    """Raise UsageError if `--out` is a file, or no folder can be created there."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    require_place(out)

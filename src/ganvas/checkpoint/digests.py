"""Digests of what is saved, by which a damaged disk or a cut copy is noticed: of files, and of a model's tensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ganvas.core.atomic_io import regular
from ganvas.errors import ModelError

SUMS = "SHA256SUMS"  # of a checkpoint; `sha256sum -c SHA256SUMS` checks it without ganvas
_SEAL = ', "sha256": "'
LARGEST_SUMS = 2**16  # bytes; a checkpoint has two files


def sums(files: Mapping[str, bytes]) -> bytes:
    """The content of a file that holds the digest of each of these files."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()


def require_whole(folder: Path) -> None:
    """Raise ModelError unless the files of a checkpoint are those that were written; one without digests is older."""
    if not (folder / SUMS).exists():
        return
    listed = _listed(folder / SUMS)
    if without := sorted(path.name for path in folder.iterdir() if path.name not in {*listed, SUMS}):
        raise ModelError(f"{folder / SUMS}: damaged (it holds no digest of {without[0]})")
    for name, digest in listed.items():
        try:
            with regular(folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{folder / name}: cannot be read ({error.strerror})") from error
        if found != digest:
            raise ModelError(f"{folder / name}: damaged (it is not what was written; its digest is in {SUMS})")


def _listed(file: Path) -> dict[str, str]:
    """The digests that a file of sums holds, by the name of a file beside it."""
    try:
        with regular(file).open("rb") as opened:
            lines = [line.split("  ") for line in opened.read(LARGEST_SUMS).decode().splitlines()]
        listed = {name: digest for digest, name in lines}
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: damaged (it holds no digests)") from error
    if any(Path(name).name != name or name in ("", "..") for name in listed):
        raise ModelError(f"{file}: damaged (it names a file elsewhere)")
    return listed


def sealed(text: str, tensors: Mapping[str, Tensor]) -> str:
    """The text of a manifest, a JSON object, with the digest of text and tensors as its last entry."""
    return f'{text[:-1]}{_SEAL}{of_tensors(text, tensors)}"}}'


def is_broken(sealed: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the digest in a sealed text is not that of text and tensors; a text without one is older."""
    text, found, digest = sealed.rpartition(_SEAL)
    return bool(found) and digest != f'{of_tensors(text + "}", tensors)}"}}'


def of_tensors(text: str, tensors: Mapping[str, Tensor]) -> str:
    """The digest of a model: of the text of its manifest, and of name, dtype, shape and values of each tensor."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

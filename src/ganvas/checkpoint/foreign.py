"""Read weight files of other tools without running code, or say in one line what else a file is."""

import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganvas.checkpoint.manifest import HEADER
from ganvas.errors import ModelError

ADVICE = "give a file of weights, .pth, .pt or .safetensors"
WRAPPERS = ("state_dict", "model")  # names under which training scripts keep the weights
PICKLES = 5  # one after another in a file of torch before 1.6

_SAFE = ("torch", "torch._utils", "torch._tensor", "torch.storage", "torch.nn.parameter", "collections", "_codecs")
_BEGINNINGS = {
    b"\x89HDF": "an HDF5 file, such as Keras writes",
    b"\x89PNG": "an image (PNG)",
    b"\xff\xd8\xff": "an image (JPEG)",
    b"\x1f\x8b": "a compressed archive (gzip); unpack it first",
    b"<!DOCTYPE": "a web page: the download has failed",
    b"<!doctype": "a web page: the download has failed",
    b"<html": "a web page: the download has failed",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself with `git lfs pull`",
}


def shown(name: object) -> str:
    """A name from a file, shortened for a one-line message."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(name)[:61])
    return text if len(text) <= 60 else text[:57] + "..."


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name: written by torch.save of any version, or by safetensors.

    Raises:
        ModelError: if it holds something else, or is damaged, saying what it looks like.
    """
    if not file.exists():
        raise ModelError(f"{file}: no such file; {ADVICE}")
    if file.is_dir():
        raise ModelError(f"{file}: is a folder; {ADVICE}")
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(64)
    if not size:
        raise ModelError(f"{file}: is empty; copy or download it again")
    for beginning, what in _BEGINNINGS.items():
        if head.startswith(beginning):
            raise ModelError(f"{file}: looks like {what}; {ADVICE}")
    if head.startswith(b"PK\x03\x04"):
        require_plain_zip(file)
        return _weights(file, _unpickled(file, mmap=True))
    if head[5:9] == b"\0\0\0{":  # the length of a header, below 2^40, and the header
        return _from_safetensors(file)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return _weights(file, _unpickled(file, mmap=False))
    raise ModelError(f"{file}: does not look like a file of weights (begins with {head[:8]!r}); {ADVICE}")


def _from_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            if HEADER in (opened.metadata() or {}):
                raise ModelError(f"{file}: is ganvas's own model file; use it as it is")
        return safetensors.torch.load_file(file)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelError(f"{file}: begins like safetensors, but is cut short or damaged; download it again") from error


def require_plain_zip(file: Path) -> None:
    """Raise ModelError unless torch.save can have written this archive: then it is no larger than the file."""
    size = file.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ModelError(f"{file}: begins like a file of torch, but is cut short or damaged; get it again") from error
    names = [part.filename for part in parts]
    if any(name.endswith("/constants.pkl") for name in names):
        raise ModelError(f"{file}: looks like a TorchScript archive, which is a program; save its state_dict() alone")
    if not any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        first = ", ".join(shown(name) for name in names[:3]) or "nothing"
        raise ModelError(f"{file}: looks like a zip archive of something else ({first}); {ADVICE}")
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > size:
        raise ModelError(f"{file}: a compressed archive, which torch.save does not write; save the weights again")


def _unpickled(file: Path, *, mmap: bool) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles of another protocol, which load all the same
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch's loaders raise about anything
        raise ModelError(f"{file}: {_refusal(file)}") from error


def _refusal(file: Path) -> str:
    """Why torch does not load a pickle as weights."""
    foreign = [name for name in _names(file) if name.rpartition(".")[0] not in _SAFE]
    if not foreign:
        return "cut short or damaged; copy or download it again"
    if any(name.startswith(("torch_utils.persistence", "dnnlib.", "training.networks")) for name in foreign):
        return "looks like a StyleGAN pickle, which runs code when loaded: refused; ganvas has no such network"
    which = shown(next((name for name in foreign if not name.startswith("torch.")), foreign[0]))
    if any(name.startswith("torch.nn.modules.") for name in foreign):
        whole = f"looks like a full pickled model ({which})"
    else:
        whole = f"looks like a pickle that holds more than weights ({which})"
    return f"{whole}: refused because loading could run code; save its state_dict() alone"


def _names(file: Path) -> list[str]:
    """What the pickles of a file would call: found by reading them, not by running them."""
    names: list[str] = []
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                inner = next(name for name in archive.namelist() if name.split("/")[-1] == "data.pkl")
                with archive.open(inner) as opened:
                    names.extend(_called(opened))
        else:
            with file.open("rb") as opened:
                for _ in range(PICKLES):
                    names.extend(_called(opened))
    except Exception:  # damaged, or the pickles have ended: keep what was found before
        return names
    return names


def _called(pickle: IO[bytes]) -> Iterator[str]:
    texts = ["", ""]
    for code, argument, _ in pickletools.genops(pickle):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(texts)
        elif isinstance(argument, str):
            texts = [texts[1], argument]


def _weights(file: Path, content: Any) -> dict[str, Tensor]:
    """The tensors in the content of a file, taken out of the wrappers of a training script."""
    for wrapper in WRAPPERS * 2:  # in either order, and bounded: a pickle may contain itself
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise ModelError(f"{file}: holds a {shown(type(content).__name__)} and not weights by name; {ADVICE}")
    if {"state", "param_groups"} <= content.keys():
        raise ModelError(f"{file}: looks like an optimizer state, which holds no network; {ADVICE}")
    if {"step", "optimizers", "seconds"} <= content.keys():
        raise ModelError(f"{file}: ganvas's own state for resuming; the model is weights.safetensors beside it")
    weights = {str(name): weight for name, weight in content.items() if isinstance(weight, Tensor)}
    if not weights:
        first = ", ".join(shown(name) for name in list(content)[:3]) or "nothing"
        raise ModelError(f"{file}: holds no weights by name ({first}); {ADVICE}")
    return weights

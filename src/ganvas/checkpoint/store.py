"""The run folder and the model file: a run and its checkpoints.

    runs/NAME/run.json                              the manifest, which rebuilds everything; readable
    runs/NAME/step-00001000/weights.safetensors     the networks, with the manifest in its header: a model file
    runs/NAME/step-00001000/resume.pt               the state of optimisers and training; only for resuming
    runs/NAME/step-00001000/SHA256SUMS              the digests of both, checked before the run goes on
    runs/NAME/best/weights.safetensors              the model file of the best score so far, if scores are computed

No file is a pickle that could run code: weights are safetensors, and resume.pt is read with `weights_only`.
"""

import contextlib
import dataclasses
import io
import itertools
import json
import logging
import math
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ganvas.checkpoint import digests
from ganvas.checkpoint.foreign import require_plain_zip, shown
from ganvas.checkpoint.manifest import DIGEST, FORMAT, HEADER, LARGEST, Manifest, outline
from ganvas.core import distributed, schema, settings
from ganvas.core.atomic_io import make_folder, regular, write_folder, write_whole
from ganvas.core.optim import MOST_STEPS, take_state
from ganvas.core.sources import are_fonts, fonts_in_short
from ganvas.errors import DivergedError, ModelError, UsageError
from ganvas.methods._base import Method

WEIGHTS, RESUME, RUN, LOCK, BEST = "weights.safetensors", "resume.pt", "run.json", ".lock", "best"
KEPT = 2  # checkpoints; the newest, and the one before it in case the newest is damaged

_log = logging.getLogger("ganvas")
_SAVE = re.compile(r"step-[0-9]{8,10}")


# --- the run folder -------------------------------------------------------------------------------------------------


def read_run(run: Path) -> Manifest | None:
    """The manifest of a run folder; None where there is none yet.

    Raises:
        ModelError: if `run` is a file or a folder of something else, or its run.json is damaged.
    """
    if not run.exists():
        return None
    if not run.is_dir():
        raise ModelError(f"{run} is a file; a run is a folder, so choose another name")
    names = {path.name for path in run.iterdir()}  # listed once: another process may be making the run now
    if RUN not in names:
        if any(not name.endswith(".tmp") and name != LOCK for name in names):
            raise ModelError(f"{run} holds other things and no {RUN}, so it is not a run; choose another folder")
        return None
    try:
        with regular(run / RUN).open("rb") as file:
            content = file.read(LARGEST + 1)
        manifest = schema.parse(content if len(content) <= LARGEST else b"")
    except (OSError, schema.Misfit) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"{run / RUN}: cannot be read ({why}); restore it, or train into another folder") from error
    return Manifest.from_json(manifest, where=run / RUN)


def enter_run(run: Path, manifest: Manifest) -> None:
    """Make a run folder, or check that this one is the same run; if its data have moved, keep where they are now.

    Raises:
        ModelError: if it is another run, naming what differs, or another process is about to make it.
        UsageError: if it cannot be made.
    """
    found = read_run(run)
    if found is None:
        make_folder(run)
        with alone_in(run):
            found = read_run(run)  # another process may have made it meanwhile
            if found is None:
                _write_run(run, manifest)
                return
    require_same(run, found, manifest)
    if found.moved(manifest):
        with alone_in(run):
            _write_run(run, dataclasses.replace(found, data=manifest.data, target=manifest.target))


def _write_run(run: Path, manifest: Manifest) -> None:
    write_whole(run / RUN, json.dumps(manifest.to_json(), indent=1).encode())


def require_same(run: Path, found: Manifest, manifest: Manifest) -> None:
    """Raise ModelError, naming what differs, unless the run found there can continue with `manifest`."""
    if found.method != manifest.method:
        raise ModelError(f"`run` {run}: its method is {found.method}, not {manifest.method}; choose another `run`")
    if found.data != manifest.data and found.data.startswith("memory-") and manifest.data.startswith("memory-"):
        raise ModelError(
            f"`run` {run} is another run: it was trained on other images in memory (random ones need a seed); give the "
            "same, or choose another `run`"
        )
    if different := found.differences(manifest):
        there = "; ".join(different)
        typed = found.typed(manifest) if found.format < FORMAT and found.method == manifest.method else ""
        earlier = f"It was started by an earlier ganvas: add {typed} to continue. " if typed else ""
        raise ModelError(f"`run` {run} is another run: there {there}. {earlier}Choose another `run` to start anew")


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Lock the run within the block; first clear what a killed process left half-written.

    Raises:
        ModelError: if another process has the lock.
    """
    import filelock  # slow to import, and not needed to load a model

    lock = filelock.FileLock(run / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise ModelError(f"`run` {run}: another ganvas is training there; wait for it, or choose another") from error
    except NotImplementedError as error:
        raise ModelError(f"`run` {run}: that file system cannot lock files; choose another place") from error
    except OSError as error:
        raise UsageError(f"`run` {run}: cannot be locked ({error.strerror}); choose another place") from error
    try:
        for half in [*run.glob("*.tmp"), *run.glob("*/*.tmp")]:
            if half.is_dir():
                shutil.rmtree(half, ignore_errors=True)
            else:
                half.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def checkpoints(run: Path) -> list[Path]:
    """The saved steps of a run, oldest first."""
    found = (path for path in run.glob("step-*") if _SAVE.fullmatch(path.name))
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def save(run: Path, method: Method, manifest: Manifest, *, step: int, seconds: float, keep: int = KEPT) -> Path:
    """Save networks and optimisers after `step` steps and `seconds` of training; `keep` the newest checkpoints.

    Raises:
        DivergedError: if a weight or its optimiser state is not finite; nothing is written.
        SaveError: if it cannot be written; the earlier checkpoints are still there.
    """
    folder = run / f"step-{step:08d}"
    if folder.exists():
        return folder
    if broken := _not_finite(method):
        raise diverged(run, f"{broken} is not finite after step {step}")
    files = {WEIGHTS: model_file(run, method, manifest, step=step), RESUME: _state(method, step, seconds)}
    write_folder(folder, {**files, digests.SUMS: digests.sums(files)})
    for old in checkpoints(run)[:-keep]:
        with contextlib.suppress(OSError):  # another process is reading it: the next save tries again
            gone = old.replace(old.with_name(old.name + ".tmp"))  # so that a kill here leaves no half checkpoint
            shutil.rmtree(gone, ignore_errors=True)
    return folder


def _not_finite(method: Method) -> str:
    """The optimiser state that is not finite, from which no run could continue; empty if all of it is finite."""
    for name, optimizer in method.optimizers.items():
        for number, held in enumerate(optimizer.state.values()):
            for what, value in held.items():
                if isinstance(value, Tensor) and not is_finite(value):
                    return f"{what} of weight {number} of the {name}"
    return ""


def model_file(
    run: Path, method: Method, manifest: Manifest, *, step: int, score: Mapping[str, Any] | None = None
) -> bytes:
    """The content of a model file; raises DivergedError, naming the newest checkpoint, if a weight is not finite."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()}
    broken = [name for name, tensor in weights.items() if not is_finite(tensor)]
    if broken:
        raise diverged(run, f"{broken[0]} is not finite after step {step}")
    data, target = _named(manifest.data), _named(manifest.target)  # a model file is passed on: no paths
    style = tuple(Path(name).name for name in manifest.style)
    shared = dataclasses.replace(manifest, data=data, target=target, style=style, command="")
    further = {"step": step, "score": score} if score else {"step": step}
    header = json.dumps(shared.to_json() | further)  # one entry of metadata: several come in random order
    return safetensors.torch.save(weights, {HEADER: digests.sealed(header, weights)})


def diverged(run: Path, what: str) -> DivergedError:
    """The error that names what is not finite, the last whole checkpoint, and what to try."""
    kept = checkpoints(run)
    return DivergedError(
        f"{what}; the last whole checkpoint is {kept[-1] if kept else 'none'}. "
        "Try a smaller `learning_rate`, or `precision` fp32, in a new `run`"
    )


def _named(source: str) -> str:
    return fonts_in_short(source) if are_fonts(source) else Path(source).name


def resume(run: Path, method: Method) -> tuple[int, float]:
    """Load the newest whole checkpoint into `method`; returns its step and seconds, (0, 0.0) if there is none.

    A damaged one is set aside, and the one before it is taken.

    Raises:
        ModelError: if every checkpoint is damaged.
    """
    damaged = dict[Path, ModelError]()
    for folder in reversed(checkpoints(run)):
        try:
            step, seconds = _resume_from(folder, method)
        except ModelError as error:
            damaged[folder] = error
            continue
        for other, why in damaged.items():
            _log.warning("%s; set aside as %s, continuing from %s", why, _set_aside(other).name, folder.name)
        return step, seconds
    if damaged:
        first = next(iter(damaged.values()))
        raise ModelError(f"{first}; no other checkpoint is whole: restore one, or train into another folder")
    return 0, 0.0


def _resume_from(folder: Path, method: Method) -> tuple[int, float]:
    digests.require_whole(folder)
    method.load_state_dict(_read_weights(folder / WEIGHTS, method))
    step, seconds = _load_state(method, folder / RESUME)
    if step != int(folder.name.removeprefix("step-")):
        raise ModelError(f"{folder / RESUME}: damaged (it is of step {step})")
    return step, seconds


def _set_aside(folder: Path) -> Path:
    """Rename a damaged checkpoint, so that it is passed over; returns its new place."""
    names = (folder.with_name(f"{folder.name}.damaged{number or ''}") for number in itertools.count())
    return folder.replace(next(name for name in names if not name.exists()))


def resume_together(run: Path, method: Method) -> tuple[int, float]:
    """As `resume`, for all processes: the first one reads and sends it to the others, which may not see the folder.

    Raises:
        ModelError: if every checkpoint is damaged.
    """
    step, seconds = (0, 0.0) if distributed.rank() else resume(run, method)
    if distributed.count() == 1:
        return step, seconds
    mine = None if distributed.rank() else _state(method, step, seconds, weights=method.state_dict())
    told = distributed.tell_all(mine)
    return _take_state(method, told) if distributed.rank() else (step, seconds)


def _state(method: Method, step: int, seconds: float, *, weights: Mapping[str, Tensor] | None = None) -> bytes:
    """What a run needs to continue, with the weights if they are given."""
    optimizers = {name: optimizer.state_dict() for name, optimizer in method.optimizers.items()}
    state = {"step": step, "seconds": seconds, "optimizers": optimizers, "extra": method.extra_state()}
    content = io.BytesIO()
    torch.save(state if weights is None else state | {"weights": dict(weights)}, content)
    return content.getvalue()


def _take_state(method: Method, content: bytes) -> tuple[int, float]:
    """Load what `_state` returned; returns the step and the seconds.

    Raises:
        ValueError: if it holds something else; torch's loader and the methods raise others, too.
    """
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    step, seconds = state["step"], state["seconds"]
    if type(step) is not int or not 0 <= step < MOST_STEPS:
        raise ValueError("its step is not a number of steps")
    if type(seconds) is not float or not 0 <= seconds < math.inf:
        raise ValueError("its seconds are not a length of time")
    if "weights" in state:
        method.load_state_dict(state["weights"])
    for name, optimizer in method.optimizers.items():
        take_state(optimizer, state["optimizers"][name])
    extra = state["extra"] if "extra" in state else state["memory"]  # as 0.1 called it
    for name, value in extra.items():
        if not isinstance(value, Tensor) or value.layout is not torch.strided or not is_finite(value):
            raise ValueError(f"{name} is not a tensor of finite values")
    method.load_extra_state(extra)
    return step, seconds


def _load_state(method: Method, file: Path) -> tuple[int, float]:
    try:
        require_plain_zip(regular(file))  # which is no larger in memory than on the disk
        return _take_state(method, file.read_bytes())
    except ModelError:
        raise
    except Exception as error:  # torch's loaders raise about anything
        raise ModelError(f"{file}: damaged ({_first(error)})") from error


# --- the best checkpoint --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Best:
    """The best score of a run so far: after how many steps, which one, and its value (lower is better)."""

    step: int
    name: str
    value: float


def keep_best(run: Path, method: Method, manifest: Manifest, best: Best) -> None:
    """Keep the networks in place of the best so far.

    Raises:
        DivergedError: if a weight is not finite; nothing is written.
        SaveError: if it cannot be written; the previous best is still there.
    """
    score = {"name": best.name, "value": best.value}
    write_whole(make_folder(run / BEST) / WEIGHTS, model_file(run, method, manifest, step=best.step, score=score))


def best(run: Path) -> Best | None:
    """The best score so far; None if there is none, or it is damaged."""
    try:
        manifest = _read_header(run / BEST / WEIGHTS)
        return Best(int(manifest["step"]), str(manifest["score"]["name"]), float(manifest["score"]["value"]))
    except (ModelError, KeyError, TypeError, ValueError):
        return None


# --- the model file -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A trained method, ready for inference: in evaluation mode."""

    method: Method
    manifest: Manifest
    step: int


def load(path: Path, device: torch.device) -> Model:
    """A model from a run folder (its newest whole checkpoint), a checkpoint folder, or a model file.

    Raises:
        ModelError: if there is none, or it is damaged or something else.
    """
    *newer, oldest = _weights_files(path)
    for file in newer:
        try:
            return _load_file(file, device)
        except ModelError as error:
            _log.warning("%s; taking the checkpoint before it", error)
    return _load_file(oldest, device)


def _load_file(file: Path, device: torch.device) -> Model:
    header = _read_header(file)
    step, _ = header.pop("step"), header.pop("score", None)
    manifest = Manifest.from_json(header, where=file)
    method = outline(manifest)  # takes no memory, so a header with wrong sizes is found before anything is allocated
    _fill(method, _read_weights(file, method))
    return Model(method.to(device).eval(), manifest, step)


def _fill(method: Method, weights: Mapping[str, Tensor]) -> None:
    """Load weights into a method that was built without memory, with the layout of each that it would have had."""
    places = method.state_dict()
    laid_out = {
        name: torch.empty_strided(place.shape, place.stride(), dtype=place.dtype).copy_(weights[name])
        for name, place in places.items()
    }
    method.load_state_dict(laid_out, assign=True)
    left = [name for name, tensor in (*method.named_parameters(), *method.named_buffers()) if tensor.is_meta]
    assert not left, f"{left[0]} of {method.name()} is in no model file; make it a buffer that is saved"


def _weights_files(path: Path) -> list[Path]:
    """The model file itself, or those of a run's checkpoints, newest first."""
    if not path.exists():
        raise ModelError(f"{path}: no such run or model file; `ganvas train` makes one")
    if not path.is_dir():
        if not path.is_file():
            raise ModelError(f"{path}: neither a run nor a model file")
        return [path]
    if (path / WEIGHTS).exists():
        return [path / WEIGHTS]
    read_run(path)
    if not (found := checkpoints(path)):
        raise ModelError(f"{path}: a folder without a checkpoint; train it with `ganvas train METHOD --run {path}`")
    return [folder / WEIGHTS for folder in reversed(found)]


def _read_header(file: Path) -> dict[str, Any]:
    header = _metadata(file).get(HEADER)
    if header is None:
        raise ModelError(f"{file}: holds weights, but not of ganvas; expected a file that `ganvas train` made")
    try:
        manifest = schema.parse(header)
        step = manifest["step"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file}: its header is damaged ({_first(error)})") from error
    if type(step) is not int or not 0 <= step < MOST_STEPS:
        raise ModelError(f"{file}: its header is damaged (step is {schema.shown(step)}, expected a number of steps)")
    return {name: value for name, value in manifest.items() if name != DIGEST}


def _metadata(file: Path) -> dict[str, str]:
    """The metadata in the header of a model file."""
    try:
        with regular(file).open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
        if length > LARGEST:  # before anybody reads it
            raise ModelError(f"{file}: not a model file (its header would have {length:,} bytes)")
        with safetensors.safe_open(file, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (OSError, safetensors.SafetensorError, struct.error) as error:
        raise ModelError(f"{file}: not a model file, or cut short ({_first(error)})") from error


def _read_weights(file: Path, method: nn.Module) -> dict[str, Tensor]:
    """The weights of a model file, which are those of this method, as they were written, and finite."""
    _hold_to(file, method)
    weights = safetensors.torch.load_file(file)
    places = method.state_dict()
    for name, tensor in weights.items():
        if tensor.dtype != places[name].dtype:
            raise ModelError(f"{file}: {name} is in {tensor.dtype}, expected {places[name].dtype}")
    if digests.is_broken(_metadata(file)[HEADER], weights):
        raise ModelError(f"{file}: damaged (its tensors are not what was written); copy it again")
    for name, tensor in weights.items():
        if not is_finite(tensor):
            raise ModelError(f"{file}: {name} holds NaN or infinity, so it makes no images; take an earlier checkpoint")
    return weights


def is_finite(tensor: Tensor) -> bool:
    """Whether all values are finite; without a copy in memory."""
    if not tensor.is_floating_point() or not tensor.numel():
        return not tensor.is_complex()
    return bool(torch.stack(torch.aminmax(tensor)).isfinite().all())


def _hold_to(file: Path, method: nn.Module) -> None:
    expected = {name: list(tensor.shape) for name, tensor in method.state_dict().items()}
    with safetensors.safe_open(file, framework="pt") as opened:
        held = {name: list(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    if different := settings.differences(expected, held):
        name = different[0]
        found, wanted = held.get(name, "missing"), expected.get(name, "nothing")
        raise ModelError(f"{file}: {shown(name)} is {found}, expected {wanted}")


def _first(error: Exception) -> str:
    return str(error).split("\n")[0][:100]

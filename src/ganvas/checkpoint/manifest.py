"""The manifest of a run: what rebuilds it, in run.json and in the header of a model file."""

import dataclasses
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import ganvas
from ganvas import methods
from ganvas.core import settings
from ganvas.core.device import Precision
from ganvas.core.options import MOST_SEED
from ganvas.data.batch import Spec
from ganvas.errors import ModelError, SettingError
from ganvas.methods._base import BaseConfig, Method

_NETWORKS_CHANGED = "0.2"
FORMAT = 1  # of run.json and the header of model files; files without a number are older: 0
HEADER, DIGEST = "ganvas", "sha256"  # the manifest in the metadata of a model file, and the digest in that
LARGEST = 2**23  # bytes of run.json, and of that header; 20,000 classes with long names take a tenth

_SINCE = {"jitter": "random_crop", "pictures": "images"}  # old names, as older files have them

MOST_IMAGES = 2**53

_VERSIONS = {"ganvas": ganvas.__version__, "torch": str(torch.__version__), "python": platform.python_version()}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The manifest of a run: run.json, and the header of a model file.

    Attributes:
        method: its name, and `config` its settings.
        spec: the shape of the data.
        data: the source's name; `images` is how many it held, and `fingerprint` a digest of the names and sizes of its
            files, empty where it has none.
        seed: of the initial weights and of every step.
        flip: whether half of the images are mirrored.
        task, side, target: the source of pairs: a task that makes them of single images, two images side by side in
            one file, or the name of a second folder; empty where there are no pairs.
        style: the files of the paintings, for a method that takes them separately from its data.
        characters: of fonts, which; empty for those that the fonts have.
        random_crop: whether it trains on random crops; `holdout` is the fraction of files kept from training.
        precision: fp32 or bf16.
        command: the command line; `versions` of the software that ran it.
        format: of the file; see `FORMAT`.
    """

    method: str
    config: BaseConfig
    spec: Spec
    data: str
    images: int
    seed: int
    flip: bool
    precision: Precision
    task: str = ""
    side: str = ""
    target: str = ""
    style: tuple[str, ...] = ()
    characters: str = ""
    random_crop: bool = False
    holdout: float = 0.0
    fingerprint: str = ""
    command: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(_VERSIONS))
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON values; the inverse of `from_json`."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "config": settings.to_json(self.config),
            "spec": settings.to_json(self.spec),
            "style": list(self.style),
            "versions": dict(self.versions),
        }

    @staticmethod
    def from_json(manifest: Any, *, where: Path) -> "Manifest":
        """The manifest read from a file, with the type of each value checked.

        Raises:
            ModelError: if something is missing, unknown or does not fit.
        """
        try:
            if manifest.get("format", 0) > FORMAT:
                maker = manifest["versions"]["ganvas"]
                raise ModelError(f"{where}: made by ganvas {maker}, which is newer; update ganvas to read it")
            method = methods.get(str(manifest["method"]))
            config = settings.from_json(method.Config, manifest["config"])
            read = Manifest(
                **{
                    "format": 0,
                    **{_SINCE.get(name, name): value for name, value in manifest.items()},
                    "config": config,
                    "spec": settings.from_json(Spec, {"target_channels": 0, **manifest["spec"]}),
                    "style": tuple(manifest.get("style", ())),
                }
            )
            settings.check(read)
            read._check_bounds()
        except (SettingError, AttributeError, KeyError, TypeError) as error:
            why = " ".join(str(error).split())[:120]
            raise ModelError(f"{where}: not made by this version of ganvas, or damaged ({why})") from error
        layers = getattr(config, "layers", "")
        if read.format < method.networks_since.get(layers, 0):
            raise ModelError(
                f"{where}: made before ganvas {_NETWORKS_CHANGED} with a `{layers}` network that differed slightly "
                f"from the textbook's and was removed; train it again, or use it with the ganvas that made it "
                f"({read.versions.get('ganvas', 'unknown')})"
            )
        return read

    def _check_bounds(self) -> None:
        """Raise SettingError for numbers that no run has."""
        for name, most in (("images", MOST_IMAGES), ("seed", MOST_SEED), ("holdout", 1)):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise SettingError(f"`{name}` is {value}; expected 0 to {most}")

    def moved(self, other: "Manifest") -> bool:
        """Whether the other's data are the same files, as far as names and sizes tell, in another place."""
        places = (self.data, self.target) != (other.data, other.target)
        same = self.fingerprint == other.fingerprint and self.images == other.images
        return places and bool(self.fingerprint) and same and bool(self.target) == bool(other.target)

    def differences(self, other: "Manifest") -> list[str]:
        """A line for each value that must be equal for one run to continue as the other."""
        mine, theirs = self._identity(), other._identity()
        if self.moved(other):
            mine |= {"data": other.data, "target": other.target}
        different = settings.differences(mine, theirs)
        return [f"{name} is {_shown(mine, name)}, not {_shown(theirs, name)}" for name in different]

    def typed(self, other: "Manifest") -> str:
        """The flags for the method's settings that differ from another's."""
        mine, theirs = settings.to_json(self.config), settings.to_json(other.config)
        return " ".join(f"{settings.flag(name)} {mine[name]}" for name in settings.differences(mine, theirs))

    def _identity(self) -> dict[str, Any]:
        names = (
            "method",
            "data",
            "target",
            "style",
            "side",
            "task",
            "characters",
            "random_crop",
            "holdout",
            "seed",
            "flip",
            "precision",
        )
        own = {name: getattr(self, name) for name in names}
        return own | settings.to_json(self.config) | settings.to_json(self.spec)


def _shown(manifest: Mapping[str, Any], name: str) -> Any:
    return "none" if manifest.get(name, "") == "" else manifest[name]


def build(manifest: Manifest) -> Method:
    """The method that the manifest describes, with initial weights."""
    method = methods.get(manifest.method)
    assert isinstance(manifest.config, method.Config)
    return method(manifest.config, manifest.spec)


def outline(manifest: Manifest) -> Method:
    """The same without memory: weights and buffers have their shapes and layouts, and no values."""
    with torch.device("meta"), _WithoutChance():
        return build(manifest)


class _WithoutChance(TorchFunctionMode):
    """Skips weight initialisation: without memory, normal noise makes torch import its whole compiler."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is Tensor.normal_ or getattr(func, "__module__", "") == "torch.nn.init":
            return next(iter((*args, *given.values())))  # the tensor that would be filled
        return func(*args, **given)

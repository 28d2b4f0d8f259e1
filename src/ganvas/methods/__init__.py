"""The registry of methods: each file in this folder is a method, named after the file."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.core.modules import class_in
from ganvas.core.settings import nearest
from ganvas.errors import SettingError

if TYPE_CHECKING:
    from ganvas.methods._base import BaseConfig, Method


def names() -> list[str]:
    """The names of all methods; imports none of them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def file(name: str) -> Path:
    """The file of a method; does not import it.

    Raises:
        SettingError: if there is no such method.
    """
    plain = name.lower().replace("-", "_")  # papers write DCGAN, WGAN-GP
    if plain not in names():
        raise SettingError(f"{name}: no such method; {nearest(plain, names())}")
    return Path(__file__).parent / f"{plain}.py"


def summary(name: str) -> str:
    """The first line of a method's docstring; does not import it."""
    tree = ast.parse(file(name).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]


def get(name: str) -> "type[Method]":
    """The class of a method; imports only its file.

    Raises:
        SettingError: if there is no such method.
    """
    module = f"{__name__}.{file(name).stem}"
    from ganvas.methods._base import Method

    return class_in(module, Method)


def of_no_use(name: str, config: "BaseConfig") -> set[str]:
    """The fields of `Data` and `TrainOptions` that this method with these settings does not use."""
    from ganvas.data.batch import ImageBatch, PairBatch, UnpairedBatch
    from ganvas.methods._base import Generates

    method = get(name)
    pairs = any(issubclass(batch, PairBatch) for batch in method.batches)
    scored = issubclass(method, Generates) and ImageBatch in method.batches
    groups = {
        ("side", "task"): PairBatch in method.batches,
        ("target",): pairs or UnpairedBatch in method.batches,
        ("style",): method.takes_paintings,
        ("vgg_weights",): bool(method.looks_to(config)) or hasattr(config, "perceptual"),
        ("validate_every", "validate_by", "inception_weights"): scored,
    }
    return {field for fields, used in groups.items() if not used for field in fields}


def example(name: str) -> str:
    """Example arguments of `ganvas train`."""
    from ganvas.data.batch import ImageBatch, PairBatch, UnpairedBatch

    method = get(name)
    if method.takes_paintings:
        return f"{name} --data photos --style painting.jpg --minutes 30"
    if UnpairedBatch in method.batches:
        return f"{name} --data photos --target paintings --flip --minutes 30"
    if ImageBatch not in method.batches and PairBatch in method.batches:
        return f"{name} --data facades --side ba --size 128 --flip --minutes 30"
    return f"{name} --data mnist --minutes 10"


def config(name: str, preset: str | None = None) -> "BaseConfig":
    """The default settings of a method, or those of one of its presets.

    Raises:
        SettingError: if there is no such method or preset.
    """
    method = get(name)
    if preset is None:
        return method.Config()
    if preset not in method.presets:
        known = nearest(preset, method.presets) if method.presets else "there are none"
        raise SettingError(f"`preset` {preset}: {name} has no such preset; {known}")
    return method.presets[preset]

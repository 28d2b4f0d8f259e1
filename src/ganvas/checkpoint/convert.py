"""Convert weights saved by other tools to ganvas model files.

The generators of the PyTorch CycleGAN-and-pix2pix code (https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix,
models/networks.py) are recognised by the names and shapes of their weights alone. `UNet` and `ResNet` of
`nets` compute the same, layer by layer. That code's activations work in place and so change the feature
maps in its skip connections: a leaky ReLU is applied on the way and a ReLU at the end, which equals a single ReLU.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganvas import methods
from ganvas.checkpoint.foreign import read_weights, shown
from ganvas.checkpoint.manifest import Manifest, build
from ganvas.core import settings
from ganvas.core.rng import seed_weights
from ganvas.data.batch import SIZES, Spec
from ganvas.errors import ModelError, SettingError
from ganvas.methods._base import Method

Statistics = Literal["running", "image"]
Norm = Literal["instance", "batch", "none"]

THEM = "the PyTorch CycleGAN-and-pix2pix code"
DOWNSAMPLINGS = 2  # of a residual generator
FIRST_BLOCK = 10  # its index among the layers, after the downsamplings
SHALLOWEST = 5  # downsamplings of that code's U-Net, at least
DROPOUT = 0.5  # that code's only one
ANY_SIZE = 256  # pixels; the nominal size of a residual generator, which takes any

_COUNTER = "num_batches_tracked"
_BLOCK = r"model\.(\d{1,4})\.conv_block\."


@dataclass(frozen=True)
class Imported:
    """A method with another tool's weights, and the metadata for its model file.

    Attributes:
        words: a description of what was recognised.
        batch_norm: whether the weights hold running statistics, so that `statistics` matters.
    """

    method: Method
    manifest: Manifest
    words: str
    batch_norm: bool


def import_weights(file: Path, *, statistics: Statistics = "running") -> Imported:
    """Read a generator of that code, and copy its weights into the equivalent ganvas network.

    Args:
        file: .pth or .pt, read without running code in the pickle, or .safetensors.
        statistics: used by batch norm: the running ones from training, or each image's own.

    Raises:
        ModelError: for anything else, saying what it looks like.
    """
    weights = {_bare(name): weight for name, weight in read_weights(file).items()}
    try:
        found = recognise(weights)
        _require_plausible(weights, most=file.stat().st_size)
        norm: Norm = "instance" if found.norm == "batch" and statistics == "image" else found.norm
        manifest = _facts(file, found, norm)
        with torch.device("meta"):  # takes no memory, so a wrong shape is found before anything is allocated
            _pairs(found, weights, _generator(build(manifest)))
    except (ModelError, SettingError) as error:
        raise ModelError(f"{file}: {error}; expected a generator of {THEM}, such as latest_net_G.pth") from error
    seed_weights(manifest.seed)
    method = build(manifest)
    _lay_over(_generator(method), weights, found, norm=norm)
    return Imported(method.eval(), manifest, found.words, found.norm == "batch")


# --- recognition -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A convolution of that code and the norm after it, by name; no norm at both ends and at a U-Net's bottom."""

    convolution: str
    norm: str | None


@dataclass(frozen=True)
class Found:
    """A generator of that code.

    Attributes:
        generator: its type; `depth` is the number of downsamplings (U-Net) or of blocks (residual).
        width: channels of the first layer.
        channels, outputs: of the input image, and of the output image.
        norm: of its feature maps; `dropout` is known for a residual generator only, else 0.
        layers: in forward order.
    """

    generator: Literal["unet", "resnet"]
    depth: int
    width: int
    channels: int
    outputs: int
    norm: Norm
    dropout: float
    layers: tuple[Layer, ...]

    @property
    def words(self) -> str:
        """A description in one line."""
        what = f"U-Net of {self.depth} downsamplings" if self.generator == "unet" else f"ResNet of {self.depth} blocks"
        norm = "no norm" if self.norm == "none" else f"{self.norm} norm"
        dropout = ", dropout in its blocks" if self.dropout else ""
        return f"{what}, {self.width} channels wide, {self.channels} to {self.outputs} channels, {norm}{dropout}"


def recognise(weights: Mapping[str, Tensor]) -> Found:
    """The generator of that code that has these weights, by their names and shapes.

    Raises:
        ModelError: if none, saying what they look like.
    """
    if not weights:
        raise ModelError("holds no weights")
    if any(name.endswith(".filt") for name in weights):
        raise ModelError("looks like a generator of contrastive-unpaired-translation, with filters that ganvas lacks")
    if any(re.match(_BLOCK, name) for name in weights):
        generator: Literal["unet", "resnet"] = "resnet"
        layers, depth, dropout = _resnet(weights)
    elif any(name.startswith("model.model.1.model.") for name in weights):
        generator = "unet"
        (layers, depth), dropout = _unet(weights), 0.0
    else:
        raise ModelError(f"looks like {_other(weights)}")
    words = f"{'residual' if generator == 'resnet' else 'U-Net'} generator of {depth}"
    for layer in layers:
        if (name := f"{layer.convolution}.weight") not in weights or weights[name].dim() != 4:
            raise ModelError(f"looks like a {words}, but {name} {'is odd' if name in weights else 'is missing'}")
    norm = _norm(weights, layers)
    known = {f"{layer.convolution}.{part}" for layer in layers for part in ("weight", "bias")}
    parts = ("weight", "bias", "running_mean", "running_var", _COUNTER)
    known |= {f"{layer.norm}.{part}" for layer in layers if layer.norm for part in parts}
    if unknown := [name for name in weights if name not in known]:
        raise ModelError(f"looks like a {words} that was changed: it also has {shown(unknown[0])}")
    first, last = (weights[f"{layers[i].convolution}.weight"] for i in (0, -1))
    width, channels = first.shape[:2]
    outputs = last.shape[1] if generator == "unet" else last.shape[0]  # a transposed convolution has them second
    return Found(generator, depth, width, channels, outputs, norm, dropout, tuple(layers))


def _resnet(weights: Mapping[str, Tensor]) -> tuple[list[Layer], int, float]:
    """Layers, blocks and dropout of a residual generator."""
    places = sorted({int(match[1]) for name in weights if (match := re.match(_BLOCK, name))})
    if places[0] != FIRST_BLOCK:
        downsamplings = (places[0] - FIRST_BLOCK) / 3 + DOWNSAMPLINGS
        whose = f" of {downsamplings:.0f} downsamplings, as pix2pixHD has it" if downsamplings in (3, 4) else ""
        raise ModelError(
            f"looks like a residual generator{whose} (its blocks begin at model.{places[0]}, not model.10)"
        )
    if places != list(range(FIRST_BLOCK, FIRST_BLOCK + len(places))):
        raise ModelError("looks like a residual generator with missing blocks")
    dropped = 0 if f"model.{FIRST_BLOCK}.conv_block.5.weight" in weights else 1  # a layer between the convolutions
    layers = [Layer(f"model.{i}", f"model.{i + 1}") for i in (1, 4, 7)]
    for place in places:
        block = f"model.{place}.conv_block"
        layers += [Layer(f"{block}.1", f"{block}.2"), Layer(f"{block}.{5 + dropped}", f"{block}.{6 + dropped}")]
    after = places[-1] + 1
    layers += [Layer(f"model.{i}", f"model.{i + 1}") for i in (after, after + 3)]
    layers.append(Layer(f"model.{after + 7}", None))
    return layers, len(places), DROPOUT * dropped


def _unet(weights: Mapping[str, Tensor]) -> tuple[list[Layer], int]:
    """Layers and downsamplings of a U-Net; its blocks are nested: each but the first holds the next as its layer 3."""
    blocks = ["model.model.", "model.model.1.model."]
    while any(name.startswith(f"{blocks[-1]}3.model.") for name in weights):
        blocks.append(f"{blocks[-1]}3.model.")
    if len(blocks) < SHALLOWEST or 2 ** len(blocks) not in SIZES:
        most = max(SIZES).bit_length() - 1
        raise ModelError(f"looks like a U-Net of {len(blocks)} downsamplings; ganvas takes {SHALLOWEST} to {most}")
    first, *middle, last = blocks
    layers = [Layer(f"{first}0", None), *(Layer(f"{block}1", f"{block}2") for block in middle)]
    layers += [Layer(f"{last}1", None), Layer(f"{last}3", f"{last}4")]
    layers += [Layer(f"{block}5", f"{block}6") for block in reversed(middle)]
    return [*layers, Layer(f"{first}3", None)], len(blocks)


def _norm(weights: Mapping[str, Tensor], layers: list[Layer]) -> Norm:
    """The norm that the weights belong to: one for all layers.

    Instance norm of that code has no weights, but the convolution before it has a bias (without effect), and old files
    hold running statistics for it, which are unused.
    """

    def of(layer: Layer) -> Norm:
        if f"{layer.norm}.weight" in weights:
            return "batch" if f"{layer.norm}.running_mean" in weights else "instance"
        traces = (f"{layer.convolution}.bias", f"{layer.norm}.running_mean")
        return "instance" if any(name in weights for name in traces) else "none"

    norms = {of(layer) for layer in layers if layer.norm}
    if len(norms) > 1:
        raise ModelError(f"looks like a generator of that code with {' and '.join(sorted(norms))} norm mixed, or cut")
    return norms.pop()


def _other(weights: Mapping[str, Tensor]) -> str:
    """A description of weights that are not a generator of that code."""
    kernels = [weight.shape for weight in weights.values() if weight.dim() == 4]
    judges = any(kernel[0] == 1 for kernel in kernels)  # its last convolution makes one feature map
    for side, layers, which in ((4, "model", "a patch discriminator"), (1, "net", "a pixel discriminator")):
        named = all(re.fullmatch(rf"{layers}\.\d+\.\w+", name) for name in weights)
        if judges and named and all(kernel[2:] == (side, side) for kernel in kernels):
            return f"{which} of that code (latest_net_D.pth); the generator was saved beside it"
    if networks := sorted({found[1] for name in weights if (found := re.match(r"(net\w+)\.", name))}):
        return f"several networks in one file ({', '.join(map(shown, networks[:4]))}); save the generator's alone"
    return f"weights of something else (first {', '.join(shown(name) for name in list(weights)[:3])})"


# --- conversion -----------------------------------------------------------------------------------------------------


def _bare(name: str) -> str:
    """A weight's name without the prefixes of DataParallel and torch.compile."""
    return re.sub(r"^((module|_orig_mod)\.)+", "", name)


def _facts(file: Path, found: Found, norm: Norm) -> Manifest:
    """The manifest of a pix2pix model with that generator and the smallest discriminator."""
    if found.channels not in (1, 3) or found.outputs not in ((1, 3) if found.channels == 3 else (1, 2, 3)):
        raise ModelError(
            f"looks like a {found.words}; ganvas takes images in grey (1) and colour (3), and from 1 to 2 (lightness "
            "to the colours of Lab)"
        )
    shape: dict[str, Any] = {"levels": found.depth} if found.generator == "unet" else {"blocks": found.depth}
    config = settings.from_json(
        methods.get("pix2pix").Config,
        settings.to_json(methods.get("pix2pix").Config())
        | {"generator": found.generator, "width": found.width, "norm": norm, "dropout": found.dropout}
        | {"upsample": "deconv", "patch": "pixel", "discriminator_width": 1, "ema": 0.0, "slope": 0.2}
        | shape,
    )
    size = 2**found.depth if found.generator == "unet" else ANY_SIZE
    return Manifest(
        method="pix2pix",
        config=config,
        spec=Spec(size, found.channels, target_channels=found.outputs),
        data=file.name,
        images=0,
        seed=0,
        flip=False,
        precision="fp32",
        task="colorize" if found.outputs == 2 else "",  # that code scales lightness and colours as this task does
    )


def _generator(method: Method) -> nn.Module:
    generator = method.generator
    assert isinstance(generator, nn.Module)
    return generator


def _pairs(found: Found, weights: Mapping[str, Tensor], generator: nn.Module) -> list[tuple[Layer, Layer]]:
    """That code's layers, each with ours; raises ModelError where a shape differs."""
    ours = _layers(generator)
    assert len(ours) == len(found.layers)
    expected = {name: list(tensor.shape) for name, tensor in generator.state_dict().items()}
    for theirs, mine in zip(found.layers, ours, strict=True):
        kernel = expected[f"{mine.convolution}.weight"]
        channels = expected.get(f"{mine.norm}.weight") or expected.get(f"{mine.convolution}.bias")
        wanted = {f"{theirs.convolution}.weight": kernel, f"{theirs.convolution}.bias": channels}
        parts = ("weight", "bias", "running_mean", "running_var")
        wanted |= {f"{theirs.norm}.{part}": channels for part in parts}
        for name in wanted.keys() & weights.keys():
            if list(weights[name].shape) != wanted[name]:
                raise ModelError(
                    f"looks like a {found.words}, but {name} is {list(weights[name].shape)}, not {wanted[name]}"
                )
        affine = {"weight", "bias"} | ({"running_mean", "running_var"} if found.norm == "batch" else set())
        held = {part for part in parts if f"{theirs.norm}.{part}" in weights}
        if theirs.norm and "weight" in held and (missing := sorted(affine - held)):
            raise ModelError(f"looks like a {found.words}, but {theirs.norm}.{missing[0]} is missing")
        if theirs is found.layers[-1] and f"{theirs.convolution}.bias" not in weights:
            raise ModelError(f"looks like a {found.words}, but {theirs.convolution}.bias is missing")
    return list(zip(found.layers, ours, strict=True))


def _layers(generator: nn.Module) -> list[Layer]:
    """Our convolutions, each with the norm after it, in forward order."""
    leaves = [(name, part) for name, part in generator.named_modules() if not list(part.children())]
    return [
        Layer(name, behind if isinstance(after, nn.InstanceNorm2d | nn.BatchNorm2d | nn.Identity) else None)
        for (name, part), (behind, after) in zip(leaves, [*leaves[1:], ("", nn.Tanh())], strict=True)
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)
    ]


@torch.no_grad()
def _lay_over(generator: nn.Module, weights: Mapping[str, Tensor], found: Found, *, norm: Norm) -> None:
    """Copy all of their weights into ours."""
    state, put = generator.state_dict(), set()

    def lay(name: str, value: Tensor) -> None:
        state[name].copy_(value)
        put.add(name)

    for theirs, ours in _pairs(found, weights, generator):
        bias = weights.get(f"{theirs.convolution}.bias", torch.zeros(()))
        lay(f"{ours.convolution}.weight", weights[f"{theirs.convolution}.weight"])
        if f"{ours.convolution}.bias" in state:
            lay(f"{ours.convolution}.bias", bias)
        if norm == "none" or not ours.norm:
            continue
        lay(f"{ours.norm}.weight", weights.get(f"{theirs.norm}.weight", torch.ones(())))
        lay(f"{ours.norm}.bias", weights.get(f"{theirs.norm}.bias", torch.zeros(())))
        if norm == "batch":  # a bias before it only moves the mean; an instance norm removes it by itself
            lay(f"{ours.norm}.running_mean", weights[f"{theirs.norm}.running_mean"] - bias)
            lay(f"{ours.norm}.running_var", weights[f"{theirs.norm}.running_var"])
    assert put == {name for name in state if not name.endswith(_COUNTER)}


def _require_plausible(weights: Mapping[str, Tensor], *, most: int) -> None:
    """Raise ModelError for weights that are not finite floats, or more of them than a file of `most` bytes can hold."""
    if sum(weight.numel() * weight.element_size() for weight in weights.values()) > most:
        raise ModelError("claims more weights than the file has room for, so it is damaged or malicious")
    for name, weight in weights.items():
        if name.endswith(_COUNTER):
            continue
        if not weight.is_floating_point() or weight.layout != torch.strided or weight.device.type != "cpu":
            raise ModelError(f"{shown(name)} is another kind of tensor ({weight.dtype}); expected dense floats")
        if not weight.isfinite().all():
            raise ModelError(f"{shown(name)} is not finite, so the training that made it failed")

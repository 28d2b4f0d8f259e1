"""Feature networks: images are compared by their features instead of their pixels.

Two are for sets of images. `inception` is the Inception v3 of 2015 whose distances the papers call FID and KID; its
weights are not ours to ship, so they are downloaded or given as a file. `digits` is a small network of our own,
trained on MNIST by `benchmarks/digit_network.py`; it comes with ganvas and also classifies digits. A third, VGG-19, is
for single images: style transfer and perceptual distances use its features.
"""

import contextlib
import io
import pickle
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.data.batch import Spec
from ganvas.errors import ModelError, UsageError
from ganvas.imaging.images import resize, to_signed
from ganvas.nets.vgg import LAYERS, VGG19, Pooling

Name = Literal["digits", "inception"]  # those given by name; VGG-19 is also used for sets

DIGITS = tuple("0123456789")
VGG_SIDE = 224  # pixels, as VGG-19 was trained


@dataclass(frozen=True)
class Features:
    """A feature network.

    Attributes:
        name: of the network; scores of any but Inception's features include it: `FID (digits)`.
        protocol: in one sentence, what is done to an image.
        at_once: how many images fit into the memory of a laptop.
        see: images, uint8 (N, C, H, W), to features (N, D).
        classify: features (N, D) to indices (N,) into `classes`; None if it does not classify.
        classes: the names of its classes.
    """

    name: str
    protocol: str
    at_once: int
    see: Callable[[Tensor], Tensor]
    classify: Callable[[Tensor], Tensor] | None = None
    classes: tuple[str, ...] = ()

    def title(self, score: str) -> str:
        """The name of a score of these features, with that of the network unless it is Inception."""
        return score if self.name == "inception" else f"{score} ({self.name})"


def suited(spec: Spec) -> Name:
    """The network that suits data of this shape: grey images of ten classes called 0 to 9 are digits."""
    return "digits" if spec.channels == 1 and spec.classes == DIGITS else "inception"


def open_features(name: Name, *, device: torch.device, weights: Path | None = None, framed: bool = False) -> Features:
    """The network of that name on `device`; `weights` is a file for Inception, otherwise downloaded once.

    With `framed`, digits that fill their image get the margin that those of MNIST have.

    Raises:
        UsageError: if it is not available, saying what to do.
    """
    return _digits(device, framed=framed) if name == "digits" else _inception(device, weights)


# --- ours -----------------------------------------------------------------------------------------------------------


class DigitNetwork(nn.Module):
    """Which digit an image shows: (N, 1, 28, 28) in -1..1 to logits (N, 10), by way of 128 features."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(1, 32), nn.MaxPool2d(2),  # (N, 32, 14, 14)
            *_convolution(32, 64), *_convolution(64, 64), nn.MaxPool2d(2),  # (N, 64, 7, 7)
            *_convolution(64, 128), nn.MaxPool2d(2),  # (N, 128, 3, 3)
            nn.Flatten(), nn.Linear(128 * 3 * 3, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
        )  # fmt: skip
        self.classifier = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _convolution(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def _digits(device: torch.device, *, framed: bool) -> Features:
    network = DigitNetwork()
    with resources.as_file(resources.files("ganvas") / "weights" / "digits.safetensors") as file:
        network.load_state_dict(safetensors.torch.load_file(file))
    network = network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def see(images: Tensor) -> Tensor:
        if images.shape[1] != 1:
            raise UsageError("the digit network takes grey images, and these are in colour; use `features` inception")
        scaled = F.pad(resize(images, 20), (4, 4, 4, 4)) if framed else resize(images, 28)
        features: Tensor = network.features(to_signed(scaled.to(device)))
        return features

    def classify(features: Tensor) -> Tensor:
        digits: Tensor = network.classifier(features.to(device)).argmax(1).cpu()
        return digits

    size = "scaled to 20x20 with a black margin of 4" if framed else "scaled to 28x28 where not so"
    protocol = f"8 bits a pixel, {size} (bicubic, antialiased); 128 features of the digit network"
    return Features("digits", protocol, 250, see, classify, DIGITS)


# --- the standard ---------------------------------------------------------------------------------------------------


def _inception(device: torch.device, weights: Path | None) -> Features:
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as fidelity
    except ImportError as error:
        raise UsageError(
            "This needs torch-fidelity: pip install 'ganvas[inception]'; for generated digits add `features` digits"
        ) from error
    state = _fetch_inception(fidelity.URL_INCEPTION_V3) if weights is None else _read(weights, "inception_weights")
    again = io.BytesIO()  # torch-fidelity's way of loading may run code in a file; this copy has none
    torch.save(state, again)
    again.seek(0)
    try:
        network = fidelity.FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=again)
    except Exception as error:  # other names and shapes, or no dictionary of tensors at all
        given = f"`inception_weights` {weights}" if weights else fidelity.URL_INCEPTION_V3
        name = fidelity.URL_INCEPTION_V3.rpartition("/")[2]
        raise UsageError(
            f"{given}: not the weights of Inception v3 that torch-fidelity uses ({name}); download them again"
        ) from error
    network = network.to(device)

    def see(images: Tensor) -> Tensor:
        features: Tensor = network(images.expand(-1, 3, -1, -1).to(device))[0]
        return features

    protocol = "8 bits a pixel, scaled to 299x299 (bilinear, as TensorFlow 1); 2048 features of Inception v3 (2015)"
    return Features("inception", protocol, 32, see)


def _fetch_inception(url: str) -> object:
    try:
        return _fetch(url)
    except _NotFetchedError as error:
        raise UsageError(
            f"Inception's weights cannot be downloaded ({error}); name a file of them with `inception_weights`, from "
            f"{url}, or for generated digits add `features` digits"
        ) from error


def inception_at_hand() -> bool:
    """Whether Inception is available: torch-fidelity is installed, and its weights are downloaded."""
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as fidelity
    except ImportError:
        return False
    return Path(torch.hub.get_dir(), "checkpoints", fidelity.URL_INCEPTION_V3.rpartition("/")[2]).is_file()


# --- VGG-19 ---------------------------------------------------------------------------------------------------------

VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # torchvision's VGG19_Weights.IMAGENET1K_V1


def open_vgg(
    weights: Path | None = None, *, deepest: str = LAYERS[-1], pooling: Pooling = "max", kept: bool = False
) -> VGG19:
    """VGG-19 trained on ImageNet, up to its layer `deepest`; see `VGG19`.

    Args:
        weights: a file of them, safetensors or .pth, by torchvision's names; without one, torchvision's are taken from
            torch's cache, and downloaded there once (548 MB).
        deepest: its last layer.
        pooling: `max` or `average`.
        kept: whether its weights are part of the state dict.

    Raises:
        ModelError: if the file holds those of another network.
        UsageError: if there is no such file, or they cannot be downloaded, saying what to fetch and where to put it.
    """
    network = VGG19(deepest=deepest, pooling=pooling, kept=kept)
    state = _fetch_vgg() if weights is None else _read(weights, "vgg_weights")
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"`vgg_weights` {weights}: holds no weights by name; expected those of torchvision's vgg19")
    network.take(state, where=f"`vgg_weights` {weights}" if weights else VGG19_URL)
    return network


def vgg_features(network: VGG19) -> Features:
    """VGG-19 as a feature network for sets of images: the means of its last feature maps."""
    device = next(network.buffers()).device

    def see(images: Tensor) -> Tensor:
        signed = to_signed(resize(images, VGG_SIDE).to(device))
        maps: Tensor = network(signed, [network.deepest])[network.deepest]
        return maps.mean((2, 3))

    protocol = (
        f"8 bits a pixel, scaled to {VGG_SIDE}x{VGG_SIDE} where not so (bicubic, antialiased); the means of the 512 "
    )
    return Features("vgg", protocol + f"maps of VGG-19 at {network.deepest}", 16, see)


def _fetch_vgg() -> object:
    try:
        return _fetch(VGG19_URL)
    except _NotFetchedError as error:
        cached = Path(torch.hub.get_dir(), "checkpoints", VGG19_URL.rpartition("/")[2])
        raise UsageError(
            f"this needs VGG-19's weights and cannot download them ({error}); fetch {VGG19_URL} by other means and "
            f"put it at {cached}, or name it with `vgg_weights` FILE or GANVAS_WEIGHTS=FILE"
        ) from error


# --- files of weights -----------------------------------------------------------------------------------------------


class _NotFetchedError(Exception):
    """A download that failed, and why."""


def _fetch(url: str) -> object:
    """The weights at a URL, from torch's cache or downloaded to it; the file name holds a part of their hash."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where torch prints its progress
            return torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True, check_hash=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise _NotFetchedError(str(getattr(error, "reason", error))) from error


def _read(file: Path, field: str) -> object:
    """The weights in a file, safetensors or torch's own; no code in it is run."""
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are not torch's, which are then refused
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"`{field}` {file}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # of any kind; and torch's message advises to load it unsafely
        raise UsageError(f"`{field}` {file}: not a file of weights, or not one that is safe to load") from error

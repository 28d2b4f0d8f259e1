"""Base classes of the methods: a module with networks, settings and a training step."""

import functools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypedDict, runtime_checkable

from torch import Tensor, nn
from torch.optim import Optimizer

from ganvas.augment import Augmentation
from ganvas.core import settings
from ganvas.core.optim import adam
from ganvas.core.rng import Seed, noise
from ganvas.core.settings import setting
from ganvas.data.batch import SIZES, Batch, PairBatch, Spec
from ganvas.errors import SettingError
from ganvas.nets.layers import Upsample
from ganvas.nets.vgg import VGG19

Kind = Literal["generates", "translates", "paints"]

DENSE_SIZES = tuple(size for size in SIZES if size <= 256)  # at 1024, one dense layer would take six gigabytes


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """The settings of a method; subclasses add their own. The user's options override both fields."""

    batch: int = setting(64, "images per step", low=1, high=65536)
    epochs: int = setting(100, "passes over the data if neither `steps`, `epochs` nor `minutes` is given", low=1)

    def __post_init__(self) -> None:
        settings.check(self)

    def rate_at(self, spent: float) -> float:
        """The factor of the learning rate after the fraction `spent` of the training, 0 to 1."""
        return 1.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that a method with these settings can make."""
        return SIZES


class Scale(TypedDict):
    """The widths of the networks in `nets.convolutional` that scale with the image size."""

    width: int
    max_width: int
    hidden: int


@dataclass(frozen=True, kw_only=True)
class ScaledConfig(BaseConfig):
    """The settings of methods whose networks scale with the image size (if `layers` is `scaled`)."""

    width: int = setting(
        32, "channels at half the image size, doubled at each downsampling (`scaled` only)", low=4, high=1024
    )
    max_width: int = setting(512, "maximum number of channels (`scaled` only)", low=4, high=4096)
    hidden: int = setting(
        512, "features of the hidden dense layer, in both networks (`scaled` only)", low=1, high=65536
    )

    @property
    def scale(self) -> Scale:
        """These three, as keyword arguments of the networks."""
        return {"width": self.width, "max_width": self.max_width, "hidden": self.hidden}


@dataclass(frozen=True, kw_only=True)
class AdamConfig(BaseConfig):
    """The settings of methods that train by Adam and keep a moving average of the weights."""

    learning_rate: float = setting(1e-3, "Adam's learning rate, for all networks", low=0, high=1)
    beta1: float = setting(0.5, "Adam's decay rate of the first moment", low=0, high=0.9999)
    beta2: float = setting(0.99, "Adam's decay rate of the second moment", low=0, high=0.999999)
    epsilon: float = setting(1e-8, "Adam's epsilon, added to the denominator; 1e-7 in Keras", low=1e-12, high=1)
    ema: float = setting(
        0.999,
        "decay of the moving average of weights that is used after training; 0 uses the last weights",
        low=0,
        high=0.99999,
    )


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(AdamConfig):
    """The settings of methods that train a generator against a discriminator or a critic."""

    batch: int = setting(64, "images per step; batch norm needs two or more", low=2, high=65536)
    latent: int = setting(64, "size of the latent vector (noise) that an image is generated from", low=1, high=4096)
    augment: tuple[Augmentation, ...] = setting(
        (), "for a few hundred images: augment real and fake images for the discriminator; try translation first"
    )


@dataclass(frozen=True, kw_only=True)
class TwoPlayerConfig(AdversarialConfig):
    """The settings of methods that update discriminator and generator in turn or at once."""

    updates: Literal["alternating", "simultaneous"] = setting(
        "alternating",
        "update the discriminator first and then the generator against it, or both at once, from one forward pass",
    )


@dataclass(frozen=True, kw_only=True)
class DecayingConfig(AdamConfig):
    """The settings of methods whose learning rate falls to zero at the end."""

    decay: float = setting(
        0.5,
        "last fraction of the training, in which the learning rate falls linearly to zero; 0 keeps it constant",
        low=0,
        high=1,
    )

    def rate_at(self, spent: float) -> float:
        """One until the decay begins, then linearly to zero."""
        return min(1.0, (1 - spent) / self.decay) if self.decay else 1.0


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(DecayingConfig):
    """The settings of image-to-image methods."""

    batch: int = setting(8, "images per step", low=1, high=65536)
    upsample: Upsample = setting(
        "resize",
        "how feature maps are upsampled: transposed convolution, nearest neighbour and convolution, or pixel shuffle",
    )


class Adams(Mapping[str, Optimizer]):
    """An Adam optimiser for each of `players`, over its trainable weights, by name; all are made on first access.

    A model that only generates needs none and loads seconds faster: with its first optimiser torch imports its whole
    compiler.
    """

    def __init__(
        self,
        players: Mapping[str, nn.Module],
        *,
        learning_rate: float,
        betas: tuple[float, float],
        epsilon: float = 1e-8,
    ):
        """Keep the arguments; the optimisers are made later."""
        self._players, self._learning_rate, self._betas, self._epsilon = players, learning_rate, betas, epsilon

    @functools.cached_property
    def _made(self) -> dict[str, Optimizer]:
        return {
            name: adam(
                [weight for weight in network.parameters() if weight.requires_grad],
                learning_rate=self._learning_rate,
                betas=self._betas,
                epsilon=self._epsilon,
            )
            for name, network in self._players.items()
        }

    def __getitem__(self, name: str) -> Optimizer:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._players)

    def __len__(self) -> int:
        return len(self._players)


def optimizers_of(config: AdamConfig, players: Mapping[str, nn.Module]) -> Adams:
    """An Adam optimiser for each of `players`, with the settings of the method."""
    return Adams(
        players, learning_rate=config.learning_rate, betas=(config.beta1, config.beta2), epsilon=config.epsilon
    )


class Method(nn.Module):
    """Base class of the methods; see CONTRIBUTING.md for how to add one.

    Attributes:
        Config: its settings, a frozen dataclass in the same file; the defaults are our best recipe.
        presets: recipes of papers and courses, by name.
        batches: the types of batch it trains on, the usual one first.
        deepest: the last layer of VGG-19 that it always needs; empty if it can train without VGG-19.
        takes_paintings: whether it learns the style of paintings that it gets beside its data.
        by_class: whether it is conditioned on the class of each image, in training and in generation.
        optimizers: every trainable weight is in exactly one of them.
        networks_since: by value of the setting `layers`, the file format (`manifest.FORMAT`) since which the value
            names the present networks; older files hold others.
    """

    Config: ClassVar[type[BaseConfig]]
    guessing: float = math.log(4)  # the discriminator's loss when it only guesses; this is that of cross entropy
    presets: ClassVar[dict[str, BaseConfig]] = {}
    batches: ClassVar[tuple[type[Batch], ...]]
    deepest: ClassVar[str] = ""
    takes_paintings: ClassVar[bool] = False
    by_class: ClassVar[bool] = False
    networks_since: ClassVar[Mapping[str, int]] = {}
    optimizers: Mapping[str, Optimizer]

    def __init__(self, config: BaseConfig, spec: Spec):
        """Keep settings and shape; subclasses then make their networks and optimisers.

        Raises:
            SettingError: if these settings cannot make images of that size.
        """
        super().__init__()
        self.require_size(config, spec.size)
        self.config, self.spec = config, spec

    @classmethod
    def require_size(cls, config: BaseConfig, size: int) -> None:
        """Raise SettingError if these settings cannot make images of that size."""
        if size not in config.sizes:
            can = ", ".join(map(str, config.sizes))
            raise SettingError(f"`size` {size}: {cls.name()} with these settings makes {can}; give one of these")

    @classmethod
    def name(cls) -> str:
        """Its name, which is that of its file."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def looks_to(cls, config: BaseConfig) -> str:
        """The last layer of VGG-19 that it needs with these settings; empty if it trains without VGG-19."""
        return cls.deepest

    def training_step(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Train on one batch, of a type in `batches`; returns detached scalar losses to plot."""
        raise AssertionError(f"{type(self).__name__} does not implement training_step")

    def phase(self, step: int) -> Hashable:
        """Steps of one phase do the same work, so that each phase is recorded once on a GPU (`cuda_graphs.py`).

        Every tensor that a step changes is a parameter, a buffer or in an optimiser, and is changed in place.
        """
        return None

    @property
    def kind(self) -> Kind:
        """What it is for: images from noise, translations of images, or photographs painted in a style."""
        return "generates"

    def setup(self, *, vgg: VGG19 | None = None, paintings: Sequence[Tensor] = ()) -> None:
        """Take what comes from outside, once, before the first step and on the CPU.

        Args:
            vgg: VGG-19 up to the layer of `looks_to`, or None where that is empty.
            paintings: uint8 (C, H, W) each, of any size, for a method that `takes_paintings`.
        """

    def extra_state(self) -> dict[str, Tensor]:
        """Training state beside weights and optimisers that resuming needs."""
        return {}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the state that `extra_state` returned."""


@runtime_checkable
class Generates(Protocol):
    """Generates images from noise."""

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in -1..1; in evaluation mode row i depends on `seeds[i]` (and `labels[i]`) alone.

        For a class-conditional method `labels` are indices (N,), or weights of the classes (N, classes) to mix them;
        without them row i is of class `seeds[i]` modulo the number of classes. Other methods ignore them.
        """
        ...


@runtime_checkable
class Translates(Protocol):
    """Turns an image into another.

    Attributes:
        any_size: whether it takes images of any height and width; if not, squares of `spec.size`.
        multiple: its total stride in pixels; tiles of an image start at multiples of it.
        directions: those it translates in: `ab` from source to target, and `ba` back.
    """

    spec: Spec
    any_size: bool
    multiple: int
    directions: ClassVar[tuple[str, ...]]

    def translate(self, images: Tensor, direction: str = "ab") -> Tensor:
        """Images (N, C, H, W) in -1..1 to images (N, C', H, W) of the same height and width."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Encodes images as latent vectors, and decodes latent vectors to images."""

    spec: Spec

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in -1..1 to latent vectors (N, L)."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Latent vectors (N, L) to images (N, C, H, W) in -1..1."""
        ...


@runtime_checkable
class Restyles(Protocol):
    """Translates images into any given style.

    Attributes:
        usual_style: the style it uses if none is given.
    """

    usual_style: Tensor

    def style_of(self, images: Tensor) -> Tensor:
        """The style features of each image (N, C, H, W) in -1..1: (N, ...)."""
        ...

    def restyle(self, images: Tensor, style: Tensor, *, strength: float = 1.0) -> Tensor:
        """Images (N, C, H, W) in -1..1 in a style, or in one each; `strength`, 0 to 1, is how much of it."""
        ...


def kind_of(method: Method, *, pairs: bool = False) -> Kind:
    """The kind of a method; one that generates and translates does the latter if `pairs` is true."""
    return "translates" if pairs and method.kind == "generates" and isinstance(method, Translates) else method.kind


class NoiseToImage(Method):
    """A method whose `generator`, or its `average` if there is one, turns noise (N, latent) into images."""

    config: AdversarialConfig
    generator: nn.Module
    average: nn.Module | None

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in -1..1, one for each seed."""
        generator = self.generator if self.average is None else self.average
        device = next(generator.parameters()).device
        images: Tensor = generator(noise(seeds, (self.config.latent,), device=device))
        return images


class ImageToImage(Method):
    """A method whose `generator`, or its `average` where there is one, turns an image into another."""

    batches: ClassVar[tuple[type[Batch], ...]] = (PairBatch,)
    directions: ClassVar[tuple[str, ...]] = ("ab",)
    any_size = True
    generator: nn.Module
    average: nn.Module | None

    @property
    def kind(self) -> Kind:
        """It translates."""
        return "translates"

    @property
    def multiple(self) -> int:
        """The generator's total stride in pixels."""
        return int(self.generator.multiple)  # type: ignore[arg-type]

    def translate(self, images: Tensor, direction: str = "ab") -> Tensor:
        """Images (N, C, H, W) in -1..1 to (N, C', H, W) in -1..1."""
        assert direction in self.directions
        made: Tensor = (self.generator if self.average is None else self.average)(images)
        return made.float()

"""What every method is: a module that holds its networks, knows its settings, and learns from one batch."""

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
from ganvas.nets.translators import Upsample
from ganvas.nets.vgg import VGG19

DENSE_SIZES = tuple(size for size in SIZES if size <= 256)  # of 1024, one dense layer would take six gigabytes


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """The settings of a method; subclasses add their own. Both of these give way to what the user types."""

    batch: int = setting(64, "images a step", low=1, high=65536)
    epochs: int = setting(100, "passes over the data where neither `steps`, `epochs` nor `minutes` is given", low=1)

    def __post_init__(self) -> None:
        settings.check(self)

    def rate_at(self, spent: float) -> float:
        """The share of the learning rate to take when the share `spent` of the training, 0 to 1, is over."""
        return 1.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that a method with these settings can make."""
        return SIZES


class Scale(TypedDict):
    """How wide the networks of `nets.convolutional` are that scale with the image."""

    width: int
    max_width: int
    hidden: int


@dataclass(frozen=True, kw_only=True)
class ScaledConfig(BaseConfig):
    """The settings of methods whose networks scale with the image (where their `layers` are `scaled`)."""

    width: int = setting(
        32, "channels at half the image's size, twice as many at each downsampling (`scaled` only)", low=4, high=1024
    )
    max_width: int = setting(512, "channels at most (`scaled` only)", low=4, high=4096)
    hidden: int = setting(
        512, "units of the dense layer between numbers and maps, in both networks (`scaled` only)", low=1, high=65536
    )

    @property
    def scale(self) -> Scale:
        """These three, as the networks take them."""
        return {"width": self.width, "max_width": self.max_width, "hidden": self.hidden}


@dataclass(frozen=True, kw_only=True)
class AdamConfig(BaseConfig):
    """The settings of methods that learn by Adam and keep an average of what they learn."""

    learning_rate: float = setting(1e-3, "Adam's learning rate, for all networks", low=0, high=1)
    beta1: float = setting(0.5, "Adam's decay rate of the first moment", low=0, high=0.9999)
    beta2: float = setting(0.99, "Adam's decay rate of the second moment", low=0, high=0.999999)
    epsilon: float = setting(1e-8, "Adam's epsilon, which bounds its steps; 1e-7 in Keras", low=1e-12, high=1)
    ema: float = setting(
        0.999, "decay of the averaged generator, which is used after training; 0 uses the last one", low=0, high=0.99999
    )


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(AdamConfig):
    """The settings of methods in which a generator plays against a discriminator or a critic."""

    batch: int = setting(64, "images a step; batch norm takes two or more", low=2, high=65536)
    latent: int = setting(64, "how many random numbers an image is made from", low=1, high=4096)
    augment: tuple[Augmentation, ...] = setting(
        (), "for a few hundred images: change all that is judged, real and fake; try translation first"
    )


@dataclass(frozen=True, kw_only=True)
class TwoPlayerConfig(AdversarialConfig):
    """The settings of methods whose discriminator and generator may move in turn or at once."""

    updates: Literal["alternating", "simultaneous"] = setting(
        "alternating",
        "the discriminator moves first and the generator learns from it as it then is, "
        "or both move at once, from one forward pass",
    )


@dataclass(frozen=True, kw_only=True)
class DecayingConfig(AdamConfig):
    """The settings of methods whose learning rate falls to zero at the end."""

    decay: float = setting(
        0.5,
        "share of the training over whose end the learning rate falls to zero along a line; 0 keeps it",
        low=0,
        high=1,
    )

    def rate_at(self, spent: float) -> float:
        """One until the decay begins, then along a line to zero."""
        return min(1.0, (1 - spent) / self.decay) if self.decay else 1.0


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(DecayingConfig):
    """The settings of methods that learn to turn an image into another."""

    batch: int = setting(8, "images a step", low=1, high=65536)
    upsample: Upsample = setting(
        "resize", "how maps are doubled: transposed convolution, repeated pixels and convolution, or a pixel shuffle"
    )


class Adams(Mapping[str, Optimizer]):
    """An Adam by the name of each player, over its trainable weights; they are made when the first is asked for.

    A model that only draws asks for none, and is there sooner by seconds: with its first optimiser torch imports its
    whole compiler.
    """

    def __init__(
        self,
        players: Mapping[str, nn.Module],
        *,
        learning_rate: float,
        betas: tuple[float, float],
        epsilon: float = 1e-8,
    ):
        """Keep what to make them of."""
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
    """An Adam for each player, all with the settings of the method."""
    return Adams(
        players, learning_rate=config.learning_rate, betas=(config.beta1, config.beta2), epsilon=config.epsilon
    )


class Method(nn.Module):
    """A way of learning; see CONTRIBUTING.md for how to add one.

    Attributes:
        Config: its settings, a frozen dataclass in the same file; the defaults are our best recipe.
        presets: recipes of papers and courses, by name.
        batches: the types of batch it learns from, the usual one first.
        deepest: the last layer of VGG-19 that it always learns by; empty where it can learn without.
        by_class: whether it is told the class of each image, in learning and in drawing.
        optimizers: every trainable weight is in exactly one of them.
        networks_since: by the value of the setting `layers`, the format of files (`facts.FORMAT`) from which on that
            name means the networks that it means here; files before hold others.
    """

    Config: ClassVar[type[BaseConfig]]
    guessing: float = math.log(4)  # the discriminator's loss where it cannot tell at all; this one is cross entropy's
    presets: ClassVar[dict[str, BaseConfig]] = {}
    batches: ClassVar[tuple[type[Batch], ...]]
    deepest: ClassVar[str] = ""
    by_class: ClassVar[bool] = False
    networks_since: ClassVar[Mapping[str, int]] = {}
    optimizers: Mapping[str, Optimizer]

    def __init__(self, config: BaseConfig, spec: Spec):
        """Keep settings and shape; subclasses go on to make their networks and optimisers.

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
        """The name it goes by: that of its file."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def looks_to(cls, config: BaseConfig) -> str:
        """The last layer of VGG-19 that it learns by with these settings; empty where it learns without."""
        return cls.deepest

    def training_step(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Learn from one batch, of a type that `batches` names; returns detached losses, scalars, to plot."""
        raise AssertionError(f"{type(self).__name__} does not say how it learns")

    def phase(self, step: int) -> Hashable:
        """Steps of one phase do the same work, so that a GPU is told once of each (`recording.py`).

        Every tensor that a step changes is a parameter, a buffer or in an optimiser, and changes where it is.
        """
        return None

    def memory(self) -> dict[str, Tensor]:
        """What it remembers of its training beside weights and optimisers, to go on with."""
        return {}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Put back what `memory` gave."""


@runtime_checkable
class Generates(Protocol):
    """Makes images from noise."""

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in -1..1; in evaluation mode row i depends on `seeds[i]` (and `labels[i]`) alone.

        For a method that draws by class `labels` are indices (N,), or shares of each class (N, classes) in between;
        without them row i is of class `seeds[i]` modulo their number. Other methods pass over them.
        """
        ...


@runtime_checkable
class Translates(Protocol):
    """Turns an image into another.

    Attributes:
        any_size: whether it takes images of any height and width; if not, squares of `spec.size`.
        multiple: the grid in pixels on which its strided layers fall alike, wherever in an image they begin.
        directions: what it can be asked for: `ab`, from source to target, and `ba` back.
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
    """Knows the latent numbers of an image, and the image of latent numbers."""

    spec: Spec

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in -1..1 to latent numbers (N, L)."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Latent numbers (N, L) to images (N, C, H, W) in -1..1."""
        ...


@runtime_checkable
class Perceives(Protocol):
    """Learns by what VGG-19 sees down to the layer of `looks_to`; it is given that network before its first step."""

    def see_by(self, vgg: VGG19) -> None:
        """Look through this network, which ends at the layer of `looks_to` and is on the CPU."""
        ...


@runtime_checkable
class TakesStyles(Protocol):
    """Learns the style of images that it is shown once, before its first step and after `see_by`."""

    def take_styles(self, paintings: Sequence[Tensor]) -> None:
        """Images, uint8 (C, H, W), of any size."""
        ...


@runtime_checkable
class Restyles(Protocol):
    """Translates into whichever style it is told.

    Attributes:
        usual_style: what it paints in where it is told none.
    """

    usual_style: Tensor

    def style_of(self, images: Tensor) -> Tensor:
        """What it knows of the style of each of these images (N, C, H, W) in -1..1: (N, ...)."""
        ...

    def restyle(self, images: Tensor, style: Tensor, *, strength: float = 1.0) -> Tensor:
        """Images (N, C, H, W) in -1..1 in a style, or in one each; `strength`, 0 to 1, is how much of it."""
        ...


Kind = Literal["generates", "translates", "paints"]


def kind_of(method: Method, *, pairs: bool = False) -> Kind:
    """What a method does; one that can do both generates, unless it has learned from pairs, or is given `pairs`."""
    if isinstance(method, Restyles | TakesStyles):
        return "paints"
    if isinstance(method, Translates) and (not isinstance(method, Generates) or pairs or method.spec.target_channels):
        return "translates"
    return "generates"


def teach(method: Method, *, vgg: VGG19 | None, paintings: Sequence[Tensor]) -> None:
    """Give a method what it is to have before its first step; `vgg` and `paintings` where it takes them."""
    if method.looks_to(method.config):
        assert isinstance(method, Perceives)
        assert vgg is not None
        method.see_by(vgg)
    if isinstance(method, TakesStyles):
        assert paintings
        method.take_styles(paintings)


class NoiseToImage(Method):
    """A method whose `generator` turns noise (N, latent) into images; its `average`, where there is one, draws."""

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
    def multiple(self) -> int:
        """The grid in pixels on which the generator's strided layers fall alike."""
        return int(self.generator.multiple)  # type: ignore[arg-type]

    def translate(self, images: Tensor, direction: str = "ab") -> Tensor:
        """Images (N, C, H, W) in -1..1 to (N, C', H, W) in -1..1."""
        assert direction in self.directions
        made: Tensor = (self.generator if self.average is None else self.average)(images)
        return made.float()

"""The settings of style transfer, and those of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ganvas.core import settings
from ganvas.core.settings import setting
from ganvas.errors import SettingError
from ganvas.nets.vgg import LAYERS, Pooling

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LARGEST_STYLE = 2048  # pixels of the longer side, or those of the image if it has more: bounds memory

_LEARNING_RATE = 0.03


@dataclass(frozen=True, kw_only=True)
class StylizeConfig:
    """How an image is stylised."""

    size: int = setting(
        512, "longer side, in pixels, at which it works; the result is enlarged to the image's size", low=32
    )
    iterations: int = setting(200, "optimisation steps, over all scales", low=1, high=100_000)
    scales: int = setting(
        0, "number of sizes from coarse to fine, each half of the next; 0 starts at 256 to 511 pixels", low=0, high=8
    )
    content_weight: float = setting(1.0, "weight of the content loss", low=0)
    style_weight: float = setting(8.0, "weight of the style loss; more changes the image more", low=0)
    variation_weight: float = setting(0.5, "weight of the total variation loss (smoothness)", low=0)
    style_weights: tuple[float, ...] = setting((), "weights of several styles; without them all count alike", low=0)
    layer_weights: tuple[float, ...] = setting(
        (1.0, 1.0, 1.0, 1.0, 1.0),
        "weights of style at relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1: fine details first, large forms last",
        low=0,
    )
    style_scale: float = setting(
        1.0,
        "size of the style relative to the image: 2 makes strokes twice as large; "
        f"beyond `size` it grows to {LARGEST_STYLE} pixels at most",
        low=0.05,
        high=4,
    )
    keep_colors: Literal["none", "luminance", "match"] = setting(
        "none",
        "keep the image's colours: `luminance` changes only lightness, `match` gives the style the image's colours",
    )
    pooling: Pooling = setting("max", "how VGG-19 downsamples its feature maps; `average` is smoother")
    init: Literal["content", "noise"] = setting("content", "initial image")
    optimizer: Literal["lbfgs", "adam"] = setting("lbfgs", "optimiser; `adam` needs more steps")
    learning_rate: float = setting(_LEARNING_RATE, "Adam's learning rate; L-BFGS finds its own", low=1e-6, high=1)
    average: float = setting(
        0.0,
        "decay of the moving average over the steps that is the result; 0 uses the last step",
        low=0,
        high=0.999,
    )

    def __post_init__(self) -> None:
        settings.check(self)
        if len(self.layer_weights) != len(STYLE_LAYERS) or not any(self.layer_weights):
            raise SettingError(
                f"`layer_weights` {words(self.layer_weights)}: expected {len(STYLE_LAYERS)} numbers, one for each of "
                f"{', '.join(STYLE_LAYERS)}, that are not all 0"
            )
        if self.style_weights and not any(self.style_weights):
            raise SettingError(f"`style_weights` {words(self.style_weights)}: expected at least one that is not 0")
        if not any((self.content_weight, self.style_weight, self.variation_weight)):
            raise SettingError(
                "`content_weight`, `style_weight` and `variation_weight` are all 0, so nothing would change; "
                "give one that is not"
            )
        if self.optimizer == "lbfgs" and self.learning_rate != _LEARNING_RATE:
            raise SettingError(
                f"`learning_rate` {self.learning_rate:g}: `optimizer` lbfgs finds its own learning rate; "
                "leave it out, or add `optimizer` adam"
            )

    @property
    def shares(self) -> dict[str, float]:
        """The layers whose style counts and their weights, which add up to one."""
        shares = zip(STYLE_LAYERS, self.layer_weights, strict=True)
        return {layer: weight / sum(self.layer_weights) for layer, weight in shares if weight}

    @property
    def deepest(self) -> str:
        """The last layer of VGG-19 that is used."""
        return max((CONTENT_LAYER, *self.shares), key=LAYERS.index)


PRESETS = {
    "paper": StylizeConfig(
        scales=1,
        iterations=500,
        init="noise",
        pooling="average",
        variation_weight=0.0,
    )
}


def recipe_named(preset: str | None) -> StylizeConfig:
    """The settings of that name; ours without one.

    Raises:
        SettingError: if there are none of that name.
    """
    if preset is None:
        return StylizeConfig()
    if preset not in PRESETS:
        raise SettingError(f"`preset` {preset}: there is none of that name; there is {', '.join(PRESETS)}")
    return PRESETS[preset]


def words(numbers: Sequence[float]) -> str:
    """Numbers as they are typed."""
    return " ".join(f"{number:g}" for number in numbers)

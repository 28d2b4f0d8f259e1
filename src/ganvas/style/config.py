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
LARGEST_STYLE = 2048  # pixels of the longer side, and those of the image if it has more: so memory is bounded

_LEARNING_RATE = 0.03


@dataclass(frozen=True, kw_only=True)
class StylizeConfig:
    """How an image is stylised."""

    size: int = setting(
        512, "pixels of the longer side at which it works; the result is enlarged to the image's size", low=32
    )
    iterations: int = setting(200, "steps, over all scales", low=1, high=100_000)
    scales: int = setting(
        0, "sizes to work at from coarse to fine, each half of the next; 0 begins at 256 to 511 pixels", low=0, high=8
    )
    content_weight: float = setting(1.0, "how much the content counts", low=0)
    style_weight: float = setting(8.0, "how much the style counts; more changes more", low=0)
    variation_weight: float = setting(0.5, "how much smoothness counts (total variation)", low=0)
    style_weights: tuple[float, ...] = setting((), "of several styles, how much each counts; none: alike", low=0)
    layer_weights: tuple[float, ...] = setting(
        (1.0, 1.0, 1.0, 1.0, 1.0),
        "how much style counts at relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1: fine grain first, large forms last",
        low=0,
    )
    style_scale: float = setting(
        1.0,
        "size of the style beside that of the image: 2 makes strokes twice as large; "
        f"beyond `size` it grows to {LARGEST_STYLE} pixels at most",
        low=0.05,
        high=4,
    )
    keep_colors: Literal["none", "luminance", "match"] = setting(
        "none",
        "keep the image's colours: `luminance` changes lightness alone, `match` gives the style its colours before",
    )
    pooling: Pooling = setting("max", "how VGG-19 halves its maps; `average` is smoother")
    init: Literal["content", "noise"] = setting("content", "what to start from")
    optimizer: Literal["lbfgs", "adam"] = setting("lbfgs", "how steps are found; `adam` takes more of them")
    learning_rate: float = setting(_LEARNING_RATE, "Adam's learning rate; L-BFGS finds its own", low=1e-6, high=1)
    average: float = setting(
        0.0,
        "decay of the average over the last steps that is taken for the result; 0 takes the last",
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
            raise SettingError(f"`style_weights` {words(self.style_weights)}: one of them at least is not 0")
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
        """The layers whose style counts, and how much: shares of one."""
        shares = zip(STYLE_LAYERS, self.layer_weights, strict=True)
        return {layer: weight / sum(self.layer_weights) for layer, weight in shares if weight}

    @property
    def deepest(self) -> str:
        """The last layer of VGG-19 that is looked at."""
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

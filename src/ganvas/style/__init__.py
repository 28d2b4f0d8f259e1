"""One image in the style of others: its pixels are changed until VGG-19 sees its content in it, and their style.

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks". `Stylizer` leads an image
from coarse to fine and back to its own size, and `Scale` is the paper: what is wanted at one size, and the steps there.
"""

from ganvas.style.config import CONTENT_LAYER, PRESETS, STYLE_LAYERS, StylizeConfig, recipe_named
from ganvas.style.scale import Scale
from ganvas.style.stylizer import Progress, Stylizer

__all__ = [
    "CONTENT_LAYER",
    "PRESETS",
    "STYLE_LAYERS",
    "Progress",
    "Scale",
    "StylizeConfig",
    "Stylizer",
    "recipe_named",
]

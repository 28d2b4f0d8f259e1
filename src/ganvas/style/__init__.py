"""Style transfer by optimisation: the pixels of an image are changed until its features match content and style.

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks". `Stylizer` takes an image
from coarse to fine and back to its own size; `Scale` is the paper's method: targets and steps at one size.
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

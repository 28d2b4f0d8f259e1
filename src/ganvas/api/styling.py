"""Style transfer of single images."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganvas import progress as bars
from ganvas.api.models import ImageLike, image_of
from ganvas.core import settings
from ganvas.core.device import choose_precision, find_device
from ganvas.core.options import File, Precision, device_name, vgg_file
from ganvas.errors import SettingError, UsageError
from ganvas.imaging import images as imaging
from ganvas.imaging.images import DecodedImage
from ganvas.metrics import features
from ganvas.style import StylizeConfig, Stylizer, recipe_named


def stylize(
    content: ImageLike,
    style: ImageLike | Sequence[ImageLike],
    *,
    preset: str | None = None,
    mask: ImageLike | None = None,
    init_from: ImageLike | None = None,
    vgg_weights: File | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: Precision = "auto",
    progress: bool = True,
    **keywords: Any,
) -> Image.Image:
    """Paint an image in the style of others (Gatys, Ecker and Bethge 2016).

    Nothing is trained: the image itself is changed, step by step, until its VGG-19 features match the content of the
    one image and the style of the other.

    Args:
        content: a path, a PIL image, a uint8 array (H, W, C) or a uint8 tensor (C, H, W).
        style: a painting, or a list of several; each of at least 32 pixels a side.
        preset: `paper`, the settings of the paper; single settings given beside it win.
        mask: an image of the same proportions, white where to paint; where it is black the content stays as it is.
        init_from: an image to start from, such as an earlier result.
        vgg_weights: a file with VGG-19's weights by torchvision's names; without it they are downloaded once (548 MB).
        seed: of the noise that `init="noise"` starts from.
        device: `auto`, `cpu`, `cuda` or `mps`, or a `torch.device`.
        precision: of the network; `auto` takes bf16 where it is quicker, and fp32 for the last steps.
        progress: whether to show a progress bar.
        **keywords: settings, such as `size` (of the longer side, in pixels), `iterations` or `style_weight`.

    Returns:
        A PIL image of the height and width of the content.

    Raises:
        DataError: for what is no image, or a painting that is too small.
        SettingError: for a setting that does not exist or cannot have that value.
        UsageError: for options that contradict each other.

    Example:
        >>> import ganvas, numpy as np
        >>> photo, painting = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
        >>> ganvas.stylize(photo, painting, iterations=2, progress=False).size
        (64, 48)
    """
    config = recipe_named(preset)
    settings.require_known(keywords, settings.names_of(config), owner="stylize")
    config = replace(config, **settings.with_tuples(keywords))
    image = image_of(content)
    styles = [image_of(one) for one in (style if isinstance(style, list | tuple) else [style])]
    if not styles:
        raise SettingError("`style`: is empty; give a painting, or several")
    stylizer = make_stylizer(
        config, styles, mask=mask, init_from=init_from, vgg_weights=vgg_weights, seed=seed, device=device,
        precision=precision,
    )  # fmt: skip
    events = stylizer(image)
    made: Tensor | None = None
    for event in bars.follow_style(events) if progress else events:
        made = event.made
    assert made is not None
    whole = stylizer.finish(image, made)
    return imaging.to_pillow(whole.pixels, whole.alpha)


def make_stylizer(
    config: StylizeConfig,
    styles: Sequence[DecodedImage],
    *,
    mask: ImageLike | None = None,
    init_from: ImageLike | None = None,
    vgg_weights: File | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: Precision = "auto",
) -> Stylizer:
    """A `Stylizer`, which stylizes one image after the other in the same style.

    Args:
        config: the settings.
        styles: the paintings, decoded.
        mask: as in `stylize`, and so are the following.
        init_from: an image to start from.
        vgg_weights: a file with VGG-19's weights.
        seed: of the noise.
        device: where to compute.
        precision: of the network.

    Returns:
        The stylizer, a function from a decoded image to an iterator of steps.

    Raises:
        UsageError: for options that contradict each other.

    Example:
        >>> import numpy as np
        >>> from ganvas import api
        >>> from ganvas.api.models import image_of
        >>> from ganvas.style import StylizeConfig
        >>> photo, painting = (image_of(np.full((48, 64, 3), grey, np.uint8)) for grey in (80, 160))
        >>> [step.step for step in api.make_stylizer(StylizeConfig(iterations=2), [painting])(photo)]
        [1, 2]
    """
    if init_from is not None and config.init == "noise":
        raise UsageError(
            f"`init_from` {init_from}: `init` noise starts from noise; leave it out, or add `init` content"
        )
    machine = find_device(device_name(device))
    where = None if mask is None else imaging.mask_of(image_of(mask))
    start = None if init_from is None else image_of(init_from).pixels
    network = features.open_vgg(vgg_file(vgg_weights), deepest=config.deepest, pooling=config.pooling).to(machine)
    chosen = choose_precision(machine, precision)
    return Stylizer(config, network, list(styles), precision=chosen, mask=where, start=start, seed=seed)

"""Freely licensed photographs, and grids with row titles, for the images in the benchmark results."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images
from torch import Tensor


def free_photographs(side: int = 256) -> Tensor:
    """Freely licensed photographs (of scikit-learn and scikit-image), as uint8 (N, 3, side, side)."""
    from skimage import data

    arrays = [*load_sample_images().images, data.rocket(), data.coffee(), data.chelsea(), data.astronaut()]
    squares = []
    for array in arrays:
        square = Image.fromarray(np.asarray(array)[..., :3])
        edge = min(square.size)
        left, top = (square.width - edge) // 2, (square.height - edge) // 2
        scaled = square.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
        squares.append(torch.from_numpy(np.array(scaled)).permute(2, 0, 1))
    return torch.stack(squares)


def titled(image: Tensor, titles: list[str], side: int) -> Image.Image:
    """A grid with a title before each row."""
    rows = Image.fromarray(image.permute(1, 2, 0).numpy())
    page = Image.new("RGB", (rows.width + 90, rows.height), "white")
    page.paste(rows, (90, 0))
    pen = ImageDraw.Draw(page)
    for row, title in enumerate(titles):
        pen.text((6, 2 + row * (side + 2) + side // 2 - 6), title, fill="black")
    return page

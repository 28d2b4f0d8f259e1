"""The colour space CIE L*a*b* (D65, 2 degrees): lightness separate from colour, in steps that look equal.

IEC 61966-2-1 for sRGB, CIE 15:2004 for Lab. OpenCV's conversion is not used: it is off by up to half a unit, and clips
colours outside of sRGB, which changes their lightness; here their chroma is reduced instead.
"""

import torch
from torch import Tensor

AB_LIMIT = 110.0  # a and b of every sRGB colour are within -110..110 (the extremes are 98.3 and -107.9)

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # D65
_EDGE = 6 / 29  # below it the cube root is a straight line
_MARGIN = 1e-4  # of linear light: the rounding error of white
_HALVINGS = 14  # bisection steps; they give the chroma to 1/16,000
_STRIP = 2**20  # pixels that are converted at once, to bound memory


def from_srgb(pixels: Tensor) -> Tensor:
    """L in 0..100, a and b in -110..110, float32 (..., 3, H, W), of uint8 pixels (..., 1 or 3, H, W)."""
    x, y, z = _cube_roots(pixels)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def lightness(pixels: Tensor) -> Tensor:
    """The L of `from_srgb` alone, (..., 1, H, W)."""
    return 116 * _root(_light(pixels, 1)).unsqueeze(-3) - 16


def to_srgb(lab: Tensor) -> Tensor:
    """The uint8 pixels (..., 3, H, W) of L, a, b (..., 3, H, W).

    Colours outside of sRGB get less chroma until they fit; lightness and hue stay.
    """
    luminance, colour = lab[..., :1, :, :].clamp(0, 100), lab[..., 1:, :, :]
    light = _to_light(luminance, colour)  # linear
    outside = ~_is_shown(light)
    if outside.any():  # bisection, on these pixels only
        chosen = luminance.movedim(-3, -1)[outside], colour.movedim(-3, -1)[outside]  # (K, 1), (K, 2)
        dim, vivid = (values.T[:, :, None] for values in chosen)  # (1, K, 1), (2, K, 1): images one pixel wide
        low, high = torch.zeros_like(dim), torch.ones_like(dim)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            shown = _is_shown(_to_light(dim, vivid * middle))[None]
            low, high = torch.where(shown, middle, low), torch.where(shown, high, middle)
        light.movedim(-3, -1)[outside] = _to_light(dim, vivid * low)[:, :, 0].T
    return _encode(light.clamp_(0, 1))


def with_colours_of(made: Tensor, image: Tensor) -> Tensor:
    """The lightness of one uint8 image (1 or 3, H, W) with the colours of another of its size: (3, H, W)."""
    assert made.shape[-2:] == image.shape[-2:], (made.shape, image.shape)
    result = torch.empty(3, *made.shape[-2:], dtype=torch.uint8)
    rows = max(1, _STRIP // made.shape[-1])
    for top in range(0, made.shape[-2], rows):
        here = slice(top, top + rows)
        colours = from_srgb(image[:, here])[1:]
        result[:, here] = to_srgb(torch.cat([lightness(made[:, here]), colours]))
    return result


def _encode(light: Tensor) -> Tensor:
    """Linear light in 0..1 to uint8."""
    curved = torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=1e-6).pow(1 / 2.4) - 0.055)
    return curved.mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _light(pixels: Tensor, row: int) -> Tensor:
    """X, Y or Z of uint8 pixels (..., 1 or 3, H, W), as a fraction of white's: (..., H, W)."""
    assert pixels.dtype == torch.uint8
    values = torch.arange(256, dtype=torch.float64) / 255
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055).pow(2.4))
    if pixels.shape[-3] == 1:
        return linear.float().to(pixels.device)[pixels[..., 0, :, :].int()]
    weights = [w / _WHITE[row] for w in _TO_XYZ[row]]
    tables = [(linear * (w / sum(weights))).float().to(pixels.device) for w in weights]  # so that greys have no colour
    red, green, blue = (table[pixels[..., i, :, :].int()] for i, table in enumerate(tables))
    return red.add_(green).add_(blue)


def _root(share: Tensor) -> Tensor:
    return torch.where(share > _EDGE**3, share.clamp(min=1e-6).pow(1 / 3), share / (3 * _EDGE**2) + 4 / 29)


def _cube_roots(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _root(_light(pixels, 0)), _root(_light(pixels, 1)), _root(_light(pixels, 2))


def _to_light(luminance: Tensor, colour: Tensor) -> Tensor:
    """Linear red, green and blue (..., 3, H, W), outside of 0..1 where sRGB has no such colour."""
    y = (luminance[..., 0, :, :] + 16) / 116
    roots = torch.stack([y + colour[..., 0, :, :] / 500, y, y - colour[..., 1, :, :] / 200], -3)
    shares = torch.where(roots > _EDGE, roots.pow(3), 3 * _EDGE**2 * (roots - 4 / 29))
    to_xyz = torch.tensor(_TO_XYZ, dtype=torch.float64)
    back = torch.linalg.inv(to_xyz / to_xyz.sum(1, keepdim=True)).to(shares)  # of fractions of white; rows sum to 1
    return torch.einsum("rc,...chw->...rhw", back, shares)


def _is_shown(light: Tensor) -> Tensor:
    """Whether sRGB has these colours, (..., H, W)."""
    return ((light >= -_MARGIN) & (light <= 1 + _MARGIN)).all(-3)

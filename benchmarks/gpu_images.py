"""What a training of `on_gpu.sh` has learned: a grid of held-out images, and its model file in half precision.

    python benchmarks/gpu_images.py METHOD DATA OUT

Reads runs/gpu/METHOD. Writes OUT/METHOD.png: of dcgan a hundred digits, of pix2pix rows of label maps, outputs and
photographs, of cyclegan rows of photographs and outputs; and OUT/METHOD.safetensors.
"""

import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import ganvas
from ganvas.imaging.images import grid, image_from, to_pillow

SHOWN = 8


def half(model: ganvas.Model, path: Path) -> None:
    """Write its weights in float16, with the same metadata."""
    model.save(path)
    with safe_open(path, "pt") as held:
        metadata = held.metadata()
        tensors = {key: held.get_tensor(key) for key in held.keys()}  # noqa: SIM118  # it is no mapping
    save_file({key: t.half() if t.dtype == torch.float32 else t for key, t in tensors.items()}, path, metadata)


def rows(*images: Image.Image) -> Image.Image:
    """Rows of `SHOWN` images each, of one size."""
    return to_pillow(grid(torch.stack([image_from(image.convert("RGB")).pixels for image in images]), columns=SHOWN))


def shown(method: str, model: ganvas.Model, data: Path) -> Image.Image:
    """The grid of that method."""
    if method == "dcgan":
        return model.generate(100).grid(10)
    if method == "pix2pix":
        pairs = [Image.open(path) for path in sorted((data / "facades/val").iterdir())[:SHOWN]]
        photos, maps = ([pair.crop((x, 0, x + 256, 256)) for pair in pairs] for x in (0, 256))
        return rows(*maps, *model.translate(maps), *photos)
    photos = [Image.open(path) for path in sorted((data / "photos/val").iterdir())[: 2 * SHOWN]]
    made = model.translate(photos)
    return rows(*photos[:SHOWN], *made[:SHOWN], *photos[SHOWN:], *made[SHOWN:])


def main() -> None:
    method, data, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    model = ganvas.load(f"runs/gpu/{method}")
    shown(method, model, data).save(out / f"{method}.png")
    half(model, out / f"{method}.safetensors")


if __name__ == "__main__":
    main()

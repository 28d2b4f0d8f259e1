"""`ganvas glyphs`."""

from pathlib import Path

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Device, Flag
from ganvas.errors import UsageError


def glyphs(
    text: str,
    /,
    *,
    model: Path,
    font: Path,
    out: Path,
    characters: str | None = None,
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Write a text in the hand of a model that has learned to translate the characters of fonts.

    `ganvas train pix2pix --data glyphs:FONT --target glyphs:OTHER` trains one. The model gets the characters of any
    font, one by one, and its own are set in lines with the spacing of that font.

    Args:
        text: what to write; a line break begins a new line
        model: a run folder, or a model file (weights.safetensors of a checkpoint)
        font: a font file whose characters the model translates, such as the one that it learned from
        out: an image file
        characters: the set that decides on their scale: hangul, latin, digits or a text file [default: that of the
            training]
        overwrite: replace an existing file
        device: auto takes the best available
    """
    from ganvas import api
    from ganvas.core.atomic_io import make_folder
    from ganvas.imaging import images
    from ganvas.inference.places import require_free

    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name an image file")
    images.format_of(out)
    require_free([out], overwrite=overwrite or not out.exists())
    made = api.load(model, device=device).write(text, font=font, characters=characters)
    make_folder(out.parent)
    images.save(out, made)
    console.tell(str(out))


COMMAND = Command(
    run=glyphs,
    usage="TEXT --model MODEL --font FONT --out FILE [OPTIONS]",
    examples=(
        "glyphs 안녕하세요 --model runs/brush --font NanumGothic.ttf --out hello.png",
        "glyphs Hello --model runs/serif --font DejaVuSans.ttf --characters latin --out hello.png",
    ),
)

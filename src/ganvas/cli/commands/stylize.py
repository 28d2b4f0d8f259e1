"""`ganvas stylize`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Group

import ganvas
from ganvas import progress
from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Device, FeatureFile, Flag, Later, Seed
from ganvas.cli.setting_flags import Settings, value_of
from ganvas.core.atomic_io import make_folder
from ganvas.errors import GanvasError, Interrupted, UsageError

if TYPE_CHECKING:  # these load torch
    from ganvas.inference.stylize import FileStylization
    from ganvas.style import Progress, Stylizer


def stylize(
    content: Path,
    /,
    *styles: Path,
    out: Path,
    preset: str | None = None,
    mask: Path | None = None,
    init_from: Path | None = None,
    vgg_weights: FeatureFile = None,
    seed: Seed = 0,
    overwrite: Flag = False,
    device: Device = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    config: Later = None,
) -> None:
    """Paint an image in the style of others: change it until its VGG-19 features match its content and their style.

    The result has the size, the transparency and the resolution of the image. A preview beside it, FILE.preview.jpg,
    is updated every few seconds while it works. Ctrl-C keeps the image so far.

    Args:
        content: the image, or a folder of images
        styles: one image or several, such as paintings
        out: an image file for the result; for a folder of images a folder, where results keep their names
        preset: paper (Gatys, Ecker and Bethge 2016); single settings override it
        mask: an image, white where to stylise, black where the content stays unchanged
        init_from: an image to start from, such as an earlier result
        vgg_weights: VGG-19's weights, .safetensors or .pth with torchvision's names [default: torchvision's,
            downloaded once]
        seed: of the noise that --init noise starts from
        overwrite: replace existing files
        device: auto takes the best available
        precision: of the network; auto takes bf16 if it is faster, and fp32 for the last steps
    """
    if not styles:
        raise UsageError(
            f"{content}: there is no style; give an image after it: ganvas stylize CONTENT STYLE --out FILE"
        )
    beside = {flag: path for flag, path in (("--mask", mask), ("--init-from", init_from)) if path is not None}
    for flag, path in beside.items():
        if not path.is_file():
            raise UsageError(f"{flag} {path}: no such image")
    with console.loading():
        from ganvas import api
        from ganvas.imaging import images
        from ganvas.inference import stylize as files
        from ganvas.inference.places import require_free

        chosen = config()
    places = files.plan_results(content, styles, out)
    require_free(places.values(), overwrite=overwrite or not out.exists())
    files.require_previews_free(places, [*styles, *beside.values()], overwrite=overwrite)
    for note in places.notes:
        console.say(note)
    shown = [images.read(path) for path in styles]
    for path, image in zip(styles, shown, strict=True):
        if chosen.keep_colors == "none" and files.is_grey(image):
            console.say(f"{path}: a grey image, whose style is grey too; --keep-colors keeps the content's colours")
    stylizer = api.make_stylizer(
        chosen, shown, mask=mask, init_from=init_from, vgg_weights=vgg_weights, seed=seed, device=device,
        precision=precision,
    )  # fmt: skip
    for folder in sorted({place.parent for place in places.values()}):
        make_folder(folder)
    if content.is_dir():
        _stylize_folder(stylizer, places, out)
        return
    console.say(f"preview: {files.preview_of(out)}")
    opened = files.open_file(stylizer, content, out)
    with console.stopping_gently() as stop:
        for step in _shown(opened, opened.steps(stop=lambda: bool(stop))):
            last = step
    if stop and last.step < last.steps:
        raise Interrupted(f"interrupted at step {last.step:,} of {last.steps:,}; the image so far is in {out}")
    console.tell(str(out))


def _stylize_folder(stylizer: "Stylizer", places: Mapping[Path, Path], out: Path) -> None:
    """Stylise each file, and report at the end what was left out.

    Raises:
        Interrupted: after Ctrl-C, once the image so far is written.
        GanvasError: if some could not be done.
    """
    from ganvas.inference.stylize import stylize_files

    total, numbers = len(places), {file: number for number, file in enumerate(places, 1)}

    def follow(opened: "FileStylization", steps: "Iterator[Progress]") -> "Iterator[Progress]":
        return _shown(opened, steps, title=f"{numbers[opened.file]:,}/{total:,} {opened.file.name}  ")

    with console.stopping_gently() as stop:
        done = list(stylize_files(stylizer, places, follow=follow, stop=lambda: bool(stop)))
    problems, finished = [each.problem for each in done if each.problem], sum(each.whole for each in done)
    for line in problems:
        console.say(f"left out {line}")
    if finished + len(problems) < total:
        begun = "".join(f", and {each.place} as far as it came" for each in done if not each.whole and not each.problem)
        raise Interrupted(f"interrupted; {finished:,} of {total:,} files are done and kept in {out}{begun}")
    console.tell(f"{finished:,} {'file' if finished == 1 else 'files'} in {out}")
    if problems:
        raise GanvasError(f"{len(problems):,} of {total:,} files could not be stylised; the others are done")


def _shown(opened: "FileStylization", steps: "Iterator[Progress]", *, title: str = "") -> "Iterator[Progress]":
    """The steps under a bar, after what is to be said of their result."""
    for note in opened.notes:
        console.say(f"{opened.file.name}: {note}")
    return progress.follow_style(steps, title=title)


def _settings(tokens: Sequence[str]) -> Settings:
    def load() -> Any:
        from ganvas.style import recipe_named

        return recipe_named(value_of("--preset", tokens))

    file = Path(ganvas.__file__).parent / "style/config.py"
    return Settings(files=(file,), load=load, group=Group("Settings", sort_key=3))


COMMAND = Command(
    run=stylize,
    usage="CONTENT STYLE [STYLE ...] --out FILE [OPTIONS]",
    examples=(
        "stylize photo.jpg painting.jpg --out painted.png",
        "stylize photo.jpg one.jpg two.jpg --style-weights 1 2 --out painted.png",
    ),
    settings=_settings,
)

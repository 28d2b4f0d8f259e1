"""Models that are trained, and the images that they make."""

import io
import math
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor

from ganvas import checkpoint, inference
from ganvas.core import settings
from ganvas.core.atomic_io import make_folder, write_whole
from ganvas.core.device import cores, find_device
from ganvas.core.names import nfc, require_name
from ganvas.core.options import MOST_SEED, Direction, File, device_name
from ganvas.core.rng import Between, Seed
from ganvas.core.threads import done_behind
from ganvas.data.progress import Track, silently
from ganvas.errors import ModelError, SettingError, UsageError
from ganvas.imaging import images as imaging
from ganvas.imaging.deep import Range
from ganvas.imaging.images import DecodedImage
from ganvas.inference.places import Format, Places, gives_a_video, plan, require_free
from ganvas.methods._base import Encodes, Generates, Kind, Method, Restyles, Translates

ImageLike = str | Path | Image.Image | Tensor | Any
"""An image: a file's path, a PIL image, a uint8 array (H, W, C) or (H, W), or a uint8 tensor (C, H, W)."""


class Images(Sequence[Image.Image]):
    """Images as a sequence of PIL images, which shows itself as a grid in a notebook.

    Attributes:
        tensor: the same, uint8 (N, C, H, W).
        columns: how many go side by side on a grid; by default as many as make it square.

    Example:
        >>> import torch
        >>> from ganvas import Images
        >>> images = Images(torch.zeros(6, 1, 16, 16, dtype=torch.uint8))
        >>> len(images), images[0].size, images.grid(columns=3).size
        (6, (16, 16), (200, 134))
    """

    def __init__(self, tensor: Tensor, *, names: Sequence[str] = (), columns: int | None = None):
        """Hold uint8 (N, C, H, W); `names` are those of their files."""
        self.tensor = tensor
        self.columns = columns or max(1, math.isqrt(max(0, len(tensor) - 1)) + 1)
        self._names = tuple(names) or tuple(f"{number:06d}" for number in range(len(tensor)))

    def __len__(self) -> int:
        return len(self.tensor)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...

    @overload
    def __getitem__(self, index: slice) -> "Images": ...

    def __getitem__(self, index: int | slice) -> "Image.Image | Images":
        if isinstance(index, slice):
            which = range(len(self))[index]
            return Images(self.tensor[list(which)], names=[self._names[number] for number in which])
        return imaging.to_pillow(self.tensor[index])

    def grid(self, columns: int | None = None) -> Image.Image:
        """Put all of them into one image; small ones are enlarged by whole pixels.

        Args:
            columns: how many go side by side, 1 or more; None for `self.columns`.

        Returns:
            A PIL image.

        Raises:
            SettingError: for fewer columns than one, or no images.

        Example:
            >>> import torch
            >>> from ganvas import Images
            >>> Images(torch.zeros(6, 1, 64, 64, dtype=torch.uint8)).grid(columns=2).size
            (134, 200)
        """
        columns = self.columns if columns is None else columns
        if columns < 1 or not len(self):
            raise SettingError(f"`columns` {columns}: expected 1 or more, and images to show")
        return imaging.to_pillow(imaging.grid(imaging.enlarge(self.tensor), columns=columns))

    def save(self, path: File, *, overwrite: bool = False) -> list[Path]:
        """Write them as files: numbered PNG files in a folder, or one GIF that shows one after the other.

        Args:
            path: a folder, which is made if it is not there; or a name that ends in .gif; or, for a single image, the
                name of an image file, such as `three.png`.
            overwrite: replace files that are there.

        Returns:
            The files, in the order of the images.

        Raises:
            SaveError: if they cannot be written.
            SettingError: for no images, or several in one image file.
            UsageError: if one of the files is there already; nothing is written.

        Example:
            >>> import torch
            >>> from ganvas import Images
            >>> images = Images(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))
            >>> [file.name for file in images.save("black")]
            ['000000.png', '000001.png']
        """
        require_name(path, "path")
        path = Path(path)
        is_file = path.suffix.lower() in imaging.EXTENSIONS
        is_gif = path.suffix.lower() == ".gif"
        if not len(self):
            raise SettingError("there are no images to save")
        if is_file and not is_gif and len(self) > 1:
            raise SettingError(
                f"{path}: {len(self)} images go into a folder, or by `grid` into one image; name a folder"
            )
        places = [path] if is_file else [path / f"{name}.png" for name in self._names]
        require_free(places, overwrite=overwrite)
        for folder in {place.parent for place in places}:
            make_folder(folder)
        if is_gif:
            imaging.write_gif(path, (imaging.enlarge(image, side=256) for image in self.tensor), milliseconds=60)
            return places

        def write(one: tuple[Path, Tensor]) -> Path:
            imaging.write(*one)
            return one[0]

        return list(done_behind(write, zip(places, self.tensor, strict=True), most=8, threads=cores()))

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.grid().save(content, "PNG")
        return content.getvalue()

    def __repr__(self) -> str:
        count, channels, height, width = self.tensor.shape
        return f"Images({count} of {width}x{height} pixels, {'grey' if channels == 1 else 'RGB'})"


def image_of(image: ImageLike) -> DecodedImage:
    """An image of any of the kinds that a person has.

    Raises:
        DataError: for what is no image.
    """
    if isinstance(image, str | Path):
        return imaging.read(Path(image))
    if isinstance(image, DecodedImage):
        return image
    return imaging.image_from(image)


MOST_AT_ONCE = 1_000_000  # images of one call


@dataclass(frozen=True)
class Model:
    """A trained model; `train` and `load` return one.

    Attributes:
        path: the run folder or model file that it was loaded from.
        network: the trained method, a `torch.nn.Module` in evaluation mode.
        info: what its run was: method, settings, data, seed, and so on.
        step: how many steps it has learned.

    Example:
        >>> import ganvas
        >>> model = ganvas.train("gan", "digits", "runs/doctest", steps=2, progress=False)
        >>> model.kind, model.size, model.generate(2, seed=7)
        ('generates', 16, Images(2 of 16x16 pixels, grey))
    """

    path: Path
    network: Method
    info: checkpoint.Manifest
    step: int

    @property
    def method(self) -> str:
        """The name of its method."""
        return self.info.method

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes that it generates by; empty where it does not."""
        return self.info.spec.classes if self.network.by_class else ()

    @property
    def size(self) -> int:
        """Height and width, in pixels, of the images that it learned from."""
        return self.info.spec.size

    @property
    def kind(self) -> Kind:
        """What it does: `generates` images from noise, `translates` images, or `paints` them in a style."""
        return self.network.kind

    @property
    def abilities(self) -> tuple[str, ...]:
        """All that it can do: `generates`, `translates`, `paints`, `restyles` (in any style), `encodes`."""
        makes_colors_alone = self.info.spec.colors_alone
        can = {
            "generates": isinstance(self.network, Generates) and not makes_colors_alone,
            "translates": isinstance(self.network, Translates),
            "paints": self.network.kind == "paints",
            "restyles": isinstance(self.network, Restyles),
            "encodes": isinstance(self.network, Encodes),
        }
        return tuple(name for name, able in can.items() if able)

    @property
    def directions(self) -> tuple[str, ...]:
        """The ways in which it translates: `ab`, and `ba` back; empty where it does not."""
        ways = tuple(getattr(self.network, "directions", ()))
        return ways[:1] if self.info.spec.colors_alone else ways

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    @property
    def _loaded(self) -> checkpoint.Model:
        return checkpoint.Model(self.network, self.info, self.step)

    def generate(
        self,
        count: int | Sequence[Seed] = 16,
        *,
        label: str | int | Sequence[str | int] | None = None,
        seed: int = 0,
        track: Track = silently,
    ) -> Images:
        """Generate images from noise.

        An image depends on its seed (and its label) alone: `generate(1, seed=17)` is image 17 of `generate(64)`.

        Args:
            count: how many images, 1 or more, of each label where the model generates by class; or a list of seeds.
            label: the name or number of a class, or several of them; None for every class.
            seed: of the first image, 0 or more; the others follow.
            track: shows the progress; the default shows nothing.

        Returns:
            The images. Of several labels `count` of the first, then as many of the next.

        Raises:
            ModelError: if the model does not generate.
            SettingError: for a count, a seed or a label that cannot be.

        Example:
            >>> import ganvas
            >>> model = ganvas.train("gan", "digits", "runs/doctest", steps=2, progress=False)
            >>> model.generate(4, seed=7).tensor.shape
            torch.Size([4, 1, 16, 16])
            >>> len(model.generate([3, 14, 15]))
            3
        """
        seeds = _seeds(count, seed)
        classes = self.classes_of(label)
        made = torch.stack(list(self._drawn(seeds, classes, track)))
        several = len(classes) > 1
        names = list(self._names_of(seeds, classes if several else []))
        return Images(made, names=names, columns=len(seeds) if several else None)

    def generate_files(
        self,
        folder: File,
        count: int | Sequence[Seed] = 16,
        *,
        label: str | int | Sequence[str | int] | None = None,
        seed: int = 0,
        overwrite: bool = False,
        track: Track = silently,
    ) -> Path:
        """As `generate`, into a folder of PNG files, each written as it is made: for more images than memory holds.

        Args:
            folder: the folder; a model that generates by class makes a sub-folder for each class.
            count: how many images, 1 or more, of each class; or a list of seeds.
            label: the name or number of a class, or several of them; None for every class.
            seed: of the first image, 0 or more; the others follow.
            overwrite: replace files that are there.
            track: shows the progress; the default shows nothing.

        Returns:
            The folder.

        Raises:
            ModelError: if the model does not generate.
            SaveError: if a file cannot be written; those before it are there.
            SettingError: for a count, a seed or a label that cannot be.
            UsageError: if one of the files is there already; nothing is written.

        Example:
            >>> import ganvas
            >>> model = ganvas.train("gan", "digits", "runs/doctest", steps=2, progress=False)
            >>> sorted(file.name for file in model.generate_files("digits", 2).iterdir())
            ['000000.png', '000001.png']
        """
        seeds = _seeds(count, seed)
        classes, place = self.classes_of(label), Path(folder)

        def places() -> Iterator[Path]:
            return (place / f"{name}.png" for name in self._names_of(seeds, classes))

        require_free(places(), overwrite=overwrite or not place.exists())
        drawn = self._drawn(seeds, classes, track)
        inference.write_each(places(), drawn, at_once=inference.drawn_at_once(self.network))
        return place

    def _drawn(self, seeds: Sequence[Seed], classes: Sequence[int], track: Track) -> Iterable[Tensor]:
        """An image of every seed for each class in turn."""
        if not seeds:
            raise SettingError("`count` 0: nothing to generate; give 1 or more")
        times = max(1, len(classes))
        of_each = torch.tensor(classes).repeat_interleave(len(seeds)) if classes else None
        drawn = inference.draw(self.network, list(seeds) * times, of_each)
        return track(drawn, total=len(seeds) * times, description="generating")

    def _names_of(self, seeds: Sequence[Seed], classes: Sequence[int]) -> Iterator[str]:
        """The names of their files, without the ending: the seed, in a folder of the class.

        Where a seed repeats, or is between two, they are numbered.
        """
        whole = {one for one in seeds if isinstance(one, int)}
        folders = folders_of(self.info.spec.classes)
        for folder in [f"{folders[k]}/" for k in classes] or [""]:
            for number, one in enumerate(seeds):
                yield f"{folder}{one if len(whole) == len(seeds) else number:06d}"

    def classes_of(self, label: str | int | Sequence[str | int] | None) -> list[int]:
        """The numbers of the classes of these labels.

        Args:
            label: the name or number of a class, or several of them; None for every class.

        Returns:
            The numbers, from 0 on; none where the model does not generate by class.

        Raises:
            SettingError: for a label that it does not know.

        Example:
            >>> import ganvas
            >>> model = ganvas.train("cgan", "digits", "runs/doctest-cgan", steps=1, progress=False, width=8, hidden=16)
            >>> model.classes_of(["3", "7"])
            [3, 7]
        """
        several = isinstance(label, Sequence) and not isinstance(label, str)
        labels: list[Any] = [] if label is None else list(label) if several else [label]  # type: ignore[arg-type]
        if not self.network.by_class:
            if labels:
                raise SettingError(
                    f"`label` {labels[0]}: a {self.method} model does not generate by class; leave it out"
                )
            return []
        known = tuple(map(nfc, self.info.spec.classes))
        numbers = {str(k): k for k in range(len(known))}
        found = []
        for one in map(nfc, map(str, labels)):
            if one not in known and one not in numbers:
                more = ", ..." if known[20:] else ""
                raise SettingError(f"`label` {one}: the model knows {', '.join(known[:20])}{more}")
            found.append(known.index(one) if one in known else numbers[one])
        return list(dict.fromkeys(found)) or list(range(len(known)))

    def interpolate(
        self,
        between: int | Sequence[Any] = 8,
        *,
        label: str | int | Sequence[str | int] | None = None,
        seed: int = 0,
        frames: int = 16,
        track: Track = silently,
    ) -> Images:
        """Latent interpolation: images on the way from one to the next, and back to the first.

        Args:
            between: how many seeds to visit, 2 or more; or, for a model that encodes (vae), a list of images to visit.
            label: as in `generate`; several are visited in turn.
            seed: the first seed, 0 or more.
            frames: images from one to the next, 1 or more.
            track: shows the progress; the default shows nothing.

        Returns:
            The images, which `save("walk.gif")` writes as a GIF.

        Raises:
            ModelError: if the model does not generate, or cannot encode images.
            SettingError: for a label that it does not know, or fewer than two images.

        Example:
            >>> import ganvas
            >>> model = ganvas.train("gan", "digits", "runs/doctest", steps=2, progress=False)
            >>> len(model.interpolate(3, frames=4))
            12
        """
        classes = self.classes_of(label)
        spec = self.info.spec
        if frames < 1:
            raise SettingError(f"`frames` {frames}: expected 1 or more")
        if not isinstance(between, Sequence) or isinstance(between, str):
            seeds = [one for one in _seeds(between, seed) if isinstance(one, int)]
            between = len(seeds)
            if between < 2:
                raise SettingError(f"`between` {between}: a walk takes two images or more")
            of = [classes[i % len(classes)] for i in range(len(seeds))] if classes else []
            labels = inference.walk_over(of, classes=len(spec.classes), frames=frames) if of else None
            drawn = inference.draw(self.network, inference.walk(seeds, frames=frames), labels)
            stations = between
        else:
            if seed:
                raise SettingError(f"`seed` {seed}: the images to visit are given; leave it out")
            if len(between) < 2:
                raise SettingError(f"`between` {between[0] if between else ''}: a walk takes two images or more")
            squares = [
                imaging.square(imaging.on_white(image_of(image)), size=spec.size, channels=spec.channels)
                for image in between
            ]
            drawn = inference.walk_between(self.network, torch.stack(squares), frames=frames)
            stations = len(between)
        return Images(torch.stack(list(track(drawn, total=frames * stations, description="generating"))))

    def translator(
        self,
        *,
        direction: Direction = "ab",
        style: ImageLike | Sequence[ImageLike] = (),
        strength: float = 1.0,
        keep_colors: bool = False,
        size: int | None = None,
        tile: int | None = None,
    ) -> inference.Translator:
        """The model made ready to translate image after image; `translate` makes one for each call.

        Args:
            direction: `ab` from source to target, or `ba` back, for a model that learned both ways.
            style: a painting or several, for a model that paints in any style; none for the mean of those it learned.
            strength: of the style, 0 to 1.
            keep_colors: whether to change lightness alone.
            size: pixels of the shorter side at which the network works; None for the image's own.
            tile: pixels of the longest side of a tile; None for tiles where an image is large.

        Returns:
            A function from a decoded image to a decoded image.

        Raises:
            ModelError: if the model does not translate.
            SettingError: for what the model cannot do.

        Example:
            >>> import ganvas, numpy as np
            >>> from ganvas.api.models import image_of
            >>> model = ganvas.train("autoencoder", "digits", "runs/doctest-denoise", task="denoise:0.3", size=32,
            ...                      width=4, steps=1, progress=False)
            >>> model.translator()(image_of(np.zeros((40, 56), np.uint8))).pixels.shape
            torch.Size([1, 40, 56])
        """
        styles = list(style) if isinstance(style, tuple | list) else [style]
        return inference.Translator(
            self._loaded, direction, tile=tile or 0, size=size or 0, styles=[image_of(one) for one in styles],
            strength=strength, keep_colors=keep_colors,
        )  # fmt: skip

    def _translator(self, how: dict[str, Any]) -> inference.Translator:
        known = ("direction", "style", "strength", "keep_colors", "size", "tile")
        settings.require_known(how, known, owner="translate")
        return self.translator(**how)

    @overload
    def translate(self, image: Sequence[ImageLike], **how: Any) -> list[Image.Image]: ...

    @overload
    def translate(self, image: ImageLike, **how: Any) -> Image.Image: ...

    def translate(self, image: Any, **how: Any) -> Any:
        """Translate an image, or each of a list of images.

        Args:
            image: a path, a PIL image, a uint8 array (H, W, C) or (H, W), a uint8 tensor (C, H, W); or a list of them.
            **how: `direction`, `ab` or `ba` back, for a model that learned both ways; `style`, a painting or several,
                and `strength`, 0 to 1, for a model that paints in any style; `keep_colors`, to change lightness alone;
                `size`, the pixels of the shorter side at which the network works; `tile`, the largest tile in pixels.

        Returns:
            A PIL image of the same height and width (unless the task enlarges), or a list of them.

        Raises:
            DataError: for what is no image, or lacks what the task needs.
            ModelError: if the model does not translate.
            SettingError: for what the model cannot do.

        Example:
            >>> import ganvas, numpy as np
            >>> model = ganvas.train("autoencoder", "digits", "runs/doctest-denoise", task="denoise:0.3", size=32,
            ...                      width=4, steps=1, progress=False)
            >>> model.translate(np.zeros((40, 56), np.uint8)).size
            (56, 40)
        """
        translator = self._translator(how)
        several = isinstance(image, list | tuple)
        made = [translator(image_of(one)) for one in (image if several else [image])]
        result = [imaging.to_pillow(one.pixels, one.alpha) for one in made]
        return result if several else result[0]

    def translate_files(
        self,
        files: Sequence[File],
        out: File,
        *,
        format: Format = "keep",
        smooth: float = 0.0,
        range: Range = None,
        overwrite: bool = False,
        **how: Any,
    ) -> inference.FileTranslation:
        """Translate image and video files, or folders of them, into a folder: each gives one of the same name.

        Args:
            files: the files and folders.
            out: the folder for the results; sub-folders are kept. For a single file also a file, such as `made.png`.
            format: of images: `keep` writes each as it came; or png, jpg, webp, tif, bmp, gif.
            smooth: against flicker in videos: how much of each frame is that before it, moved along; 0 to below 1.
            range: the values that are black and white in grey images of more than 8 bits, or `auto` for the bits, or
                values, in use; None for all bits, and for what the values of floats suggest.
            overwrite: replace what is there.
            **how: as in `translate`.

        Returns:
            An iterable, which translates as it is iterated over. For each file it yields `file`, `place`, the path of
            the result, `problem`, why there is none, and `notes`.

        Raises:
            ModelError: if the model does not translate.
            SettingError: for what the model cannot do.
            UsageError: before anything is translated, for what cannot be read or written.

        Example:
            >>> import ganvas
            >>> model = ganvas.train("autoencoder", "digits", "runs/doctest-denoise", task="denoise:0.3", size=32,
            ...                      width=4, steps=1, progress=False)
            >>> for done in model.translate_files(["runs/doctest-denoise/samples/data.png"], "clean"):
            ...     print(done.place.name, done.problem or "no problem")
            data.png no problem
        """
        places = plan_files(files, out, format=format, smooth=smooth, overwrite=overwrite)
        translator = self._translator(how)
        for folder in sorted({place.parent for place in places.values()}):
            make_folder(folder)
        return inference.FileTranslation(translator, places, smooth, range)

    def write(self, text: str, *, font: File, characters: str | None = None) -> Image.Image:
        """Write a text in the hand of a model that has learned to translate characters (`Data("glyphs:FONT", ...)`).

        Args:
            text: one line, or several with line breaks between them.
            font: a font file, whose characters the model translates.
            characters: the set that decides on their scale: `hangul`, `latin`, `digits` or a text file; that of the
                training if not given.

        Returns:
            A PIL image, black on white, in which the lines are as high as the images that the model learned from.

        Raises:
            DataError: for a font that cannot be read, or that lacks characters, which are named.
            ModelError: for a model that does not translate, or of colour images.
            SettingError: for a text that is empty or too long.

        Example:
            >>> import ganvas, matplotlib
            >>> fonts = matplotlib.get_data_path() + "/fonts/ttf/"
            >>> data = ganvas.Data(f"glyphs:{fonts}DejaVuSans.ttf", target=f"glyphs:{fonts}DejaVuSerif.ttf", size=16)
            >>> model = ganvas.train("pix2pix", data, "runs/doctest-hand", width=4, steps=1, progress=False)
            >>> model.write("Hi", font=fonts + "DejaVuSans.ttf").height
            16
        """
        learned = self.info.characters or None
        made = inference.lettered(self._translator({}), text, Path(font), characters=characters or learned)
        return imaging.to_pillow(made.pixels)

    def save(self, path: File) -> Path:
        """Write the model file, from which `load` makes this model again.

        Args:
            path: a name that ends in `.safetensors`; a model file that is there is replaced.

        Returns:
            The path.

        Raises:
            SaveError: if it cannot be written.
            SettingError: for another ending.

        Example:
            >>> import ganvas
            >>> model = ganvas.train("gan", "digits", "runs/doctest", steps=2, progress=False)
            >>> ganvas.load(model.save("digits.safetensors"))
            Model(gan of digits, 16 pixels, after 2 steps)
        """
        require_name(path, "path")
        path = Path(path)
        if path.suffix != ".safetensors":
            raise SettingError(f"{path}: a model file is a .safetensors; name it so")
        make_folder(path.parent)
        write_whole(path, checkpoint.model_file(self.path, self.network, self.info, step=self.step))
        return path

    def __repr__(self) -> str:
        in_memory = self.info.data.startswith("memory-")  # a digest, which is no name for people
        data = f"{self.info.images:,} images in memory" if in_memory else self.info.data
        return f"Model({self.method} of {data}, {self.size} pixels, after {self.step:,} steps)"


def load(model: File, *, device: str | torch.device = "auto") -> Model:
    """Load a model from a run folder (its newest checkpoint) or a model file.

    Args:
        model: the folder or the file.
        device: `auto`, `cpu`, `cuda` or `mps`, or a `torch.device`.

    Returns:
        The model, in evaluation mode.

    Raises:
        ModelError: if there is none, or it is damaged or something else.
        SettingError: for what is no path.
        UsageError: for a device that is not there.

    Example:
        >>> import ganvas
        >>> model = ganvas.train("gan", "digits", "runs/doctest", steps=2, progress=False)
        >>> ganvas.load("runs/doctest").step
        2
    """
    if not isinstance(model, str | Path):
        raise SettingError(f"`model`: expected the path of a run folder or a model file, not {type(model).__name__}")
    require_name(model, "model")
    path = Path(model)
    try:
        loaded = checkpoint.load(path, find_device(device_name(device)))
    except ModelError as error:
        raise ModelError(str(error), field="model") from error
    return Model(path, loaded.method, loaded.manifest, loaded.step)


def _seeds(count: Any, first: int) -> list[Seed]:
    """The seeds themselves, or so many from the first on.

    Raises:
        SettingError: if it is not a number of images.
    """
    if isinstance(count, Sequence) and not isinstance(count, str):
        if first:
            raise SettingError(f"`seed` {first}: the seeds are given; leave it out")
        return [one if isinstance(one, Between) else _seed(one) for one in count]
    try:
        number = operator.index(count)
    except TypeError as error:
        raise SettingError(f"`count` {count!r}: expected a number of images, or a list of seeds") from error
    if number < 1:
        raise SettingError(f"`count` {number}: nothing to generate; give 1 or more")
    if number > MOST_AT_ONCE:
        raise SettingError(f"`count`: more than {MOST_AT_ONCE:,} images; generate them in parts, by `seed`")
    first = _seed(first)
    return list(range(first, first + number))


def _seed(given: Any) -> int:
    try:
        seed = operator.index(given)
    except TypeError as error:
        raise SettingError(f"`seed` {given!r}: expected a whole number") from error
    if not 0 <= seed <= MOST_SEED:
        raise SettingError(f"`seed` {seed if seed.bit_length() <= 64 else 'of many digits'}: expected 0 to {MOST_SEED}")
    return seed


def plan_files(
    files: Sequence[File], out: File, *, format: Format = "keep", smooth: float = 0.0, overwrite: bool = False
) -> Places:
    """Where `Model.translate_files` puts the result of each file.

    Args:
        files: image and video files, or folders of them.
        out: the folder for the results.
        format: of images, as in `Model.translate_files`.
        smooth: against flicker in videos, 0 to below 1.
        overwrite: replace files that are there.

    Returns:
        The path of the result by that of the file, and `notes` on what is passed over; nothing is written yet.

    Raises:
        UsageError: for what cannot be read, or would replace something.

    Example:
        >>> from PIL import Image
        >>> from ganvas import api
        >>> Image.new("L", (32, 32)).save("black.png")
        >>> [str(place) for place in api.plan_files(["black.png"], "out", format="jpg").values()]
        ['out/black.jpg']
    """
    files = [files] if isinstance(files, str | Path) else files
    out = Path(out)
    places = plan([Path(file) for file in files], out, format=format)
    if smooth and not gives_a_video(places):
        raise UsageError(f"`smooth` {smooth:g}: is against flicker in videos, and no result would be one; leave it out")
    require_free(places.values(), overwrite=overwrite or not out.exists())
    return places


def folders_of(classes: Sequence[str]) -> list[str]:
    """The names of classes as those of folders; a model file may say anything, and `T-shirt/top` would be two."""
    safe = [re.sub(r"[^\w .+-]", "_", name).encode()[:80].decode(errors="ignore").strip(". ") for name in classes]
    if all(safe) and len({name.lower() for name in safe}) == len(safe):
        return safe
    return [f"{k} {name}".strip() for k, name in enumerate(safe)]

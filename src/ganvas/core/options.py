"""Options as dataclasses: the data, the length of training, how to train and evaluate. Each field becomes a flag."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganvas.core import settings, words
from ganvas.core.home import expanded
from ganvas.core.settings import options, setting
from ganvas.errors import SettingError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
Side = Literal["ab", "ba"]
Direction = Literal["ab", "ba"]
File = str | Path

CACHE = "~/.cache/ganvas"
MOST_SEED = 2**62 - 1


@options
@dataclass(frozen=True)
class Data:
    """The data to train or evaluate on; a string stands for `Data` with that source alone.

    The source is the name of a data set (`digits`, `mnist`, `fashion-mnist`, `kmnist`, `cifar10`), a folder of images,
    shards, a torch `Dataset` of images, (image, label) or (source, target) pairs, or an array or tensor of images:
    uint8, or float in 0..1 or -1..1.

    Attributes:
        source: a name, a folder, shards, a `Dataset`, an array, a tensor or a list of images.
        target: a second folder: the partners of pairs, by their names; for `cyclegan` the other domain, for `adain`
            paintings.
        side: for pairs side by side in one file: `ab` has the source on the left, `ba` on the right.
        task: makes pairs from single images: `colorize`, `denoise:0.1`, `superres:4`, `edges`, `hidden-digit` and more.
        style: paintings, for `fast_style`: one or several files.
        size: height and width in pixels: 16, 28, 32, 64, 128, 256, 512 or 1024; None for what suits the data.
        holdout: about this fraction of the files is kept from training, 0 to 0.99; `evaluate` takes these.
        flip: mirror half of the images left to right, at random.
        random_crop: train on random crops of images an eighth larger.
        characters: with the source `glyphs:FONT`: `hangul`, `latin`, `digits` or a text file; None for all of the font.
        root: the folder of the named data sets; None for GANVAS_DATA, or the user's cache.

    Raises:
        SettingError: for a field that does not exist, with the nearest that does, or a value that it cannot have.

    Example:
        >>> from ganvas import Data
        >>> Data("photos", task="colorize", flip=True)
        Data(source='photos', task='colorize', flip=True)
    """

    source: Any = setting(
        "", "a data set (digits, mnist, fashion-mnist, kmnist, cifar10), a folder of images, or shards", flag="data"
    )
    target: File | None = setting(
        None, "a second folder: the partners, by name; for cyclegan the other domain, for adain paintings"
    )
    side: Side | None = setting(None, "pairs side by side in one file: ab has the source on the left, ba on the right")
    task: str | None = setting(
        None,
        "make pairs from single images, such as colorize, denoise:0.1, superres:4, edges or hidden-digit; "
        "docs/tasks.md has all",
    )
    style: tuple[File, ...] = setting((), "paintings, for fast_style: one or several")
    characters: str | None = setting(None, "of glyphs:FONT: hangul, latin, digits, or a text file")
    size: int | None = setting(
        None, "pixels: 16, 28, 32, 64, 128, 256, 512 or 1024 [default: as suits the data]", low=1
    )
    holdout: float = setting(0.0, "about this fraction of the files is kept for evaluate", low=0, high=0.99)
    flip: bool = setting(False, "mirror half of the images left to right, at random; not for writing")
    random_crop: bool = setting(False, "learn from random crops of images an eighth larger")
    root: File | None = setting(
        None, f"where named data sets are [default: {CACHE}]", flag="data-root", env="GANVAS_DATA"
    )

    def __post_init__(self) -> None:
        style: Any = self.style
        if isinstance(style, str | Path | list):  # one painting, or a list of them
            object.__setattr__(self, "style", tuple(style) if isinstance(style, list) else (style,))
        settings.check(self)

    @property
    def folder_of_sets(self) -> Path:
        """Where named data sets are: `root`, or GANVAS_DATA, or the cache of the user."""
        return expanded(self.root or os.environ.get("GANVAS_DATA") or CACHE)

    @property
    def name(self) -> str:
        """A short name of the source: a string as it is, and of anything else its type."""
        return str(self.source) if isinstance(self.source, str | Path) else type(self.source).__name__

    @staticmethod
    def of(source: Any) -> "Data":
        """The value as it is, or `Data` of this source."""
        return source if isinstance(source, Data) else Data(source)


@options
@dataclass(frozen=True)
class Budget:
    """How long to train in total, in one of three units; without any, the method's own number of epochs.

    Attributes:
        steps: batches, 1 or more.
        epochs: passes through the data, more than 0.
        minutes: more than 0.

    Raises:
        SettingError: for two of them, or no time at all.

    Example:
        >>> from ganvas import Budget
        >>> Budget(minutes=30)
        Budget(minutes=30)
    """

    steps: int | None = setting(None, "train this long in all: a step is one batch", low=1)
    epochs: float | None = setting(None, "or this long: an epoch is once through the data")
    minutes: float | None = setting(None, "or this long")

    def __post_init__(self) -> None:
        settings.check(self)
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SettingError(f"`{'` and `'.join(given)}` are two ways to say how long; give one")
        for name in given:
            if not getattr(self, name) > 0:
                raise SettingError(f"`{name}` {getattr(self, name)}: no time to train in; give more than 0")


@options
@dataclass(frozen=True)
class TrainOptions:
    """How to train; what is learned from, and for how long, are `Data` and `Budget`.

    A run keeps the precision that it began with. Scores for `validate_every` are against as many training images: test
    images are not touched, and the time is not counted. With `grad_accumulate` the same is learned where nothing looks
    at the whole batch, as batch norm does.

    Attributes:
        seed: of the first weights and of all random numbers, 0 or more.
        device: `auto`, `cpu`, `cuda` or `mps`, or a `torch.device`.
        precision: `auto`, `fp32` or `bf16`; `auto` measures which is quicker.
        vgg_weights: a file with VGG-19's weights, in place of the download.
        grad_accumulate: parts in which a batch goes through the networks, to save memory.
        no_cuda_graphs: on a GPU, do not replay steps as CUDA graphs.
        save_every: steps between checkpoints; None for one a minute.
        keep: how many checkpoints are kept, the newest; 2 or more.
        validate_every: steps between scores of 2,000 images, of a generator; the best is kept in RUN/best.
        validate_by: the score, `fid` or `kid`.
        inception_weights: a file with Inception's weights, in place of the download.

    Raises:
        SettingError: for a field that does not exist, with the nearest that does, or a value that it cannot have.

    Example:
        >>> from ganvas import TrainOptions
        >>> TrainOptions(seed=3, keep=5)
        TrainOptions(seed=3, keep=5)
    """

    seed: int = setting(0, "of the first weights and of all random numbers", low=0, high=MOST_SEED, group="Advanced")
    device: Device = setting("auto", "where to compute", group="Advanced")
    precision: Precision = setting("auto", "auto measures which is quicker", group="Advanced")
    vgg_weights: File | None = setting(
        None, "a file with VGG-19's weights, in place of the download", env="GANVAS_WEIGHTS", group="Advanced"
    )
    grad_accumulate: int = setting(1, "split each batch into so many parts, to save memory", low=1, group="Advanced")
    no_cuda_graphs: bool = setting(False, "on a GPU, do not replay steps as CUDA graphs", group="Advanced")
    save_every: int | None = setting(None, "steps between checkpoints [default: one minute's]", low=1, group="Output")
    keep: int = setting(
        2,
        "how many checkpoints are kept, the newest",
        low=2,  # one could be broken by the disk
        group="Output",
    )
    validate_every: int | None = setting(
        None,
        "steps between scores of 2,000 images; RUN/best keeps the best",
        low=1,
        group="Output",
    )
    validate_by: Literal["fid", "kid"] = setting("fid", "the score", group="Output")
    inception_weights: File | None = setting(
        None, "a file with Inception's weights, in place of the download", group="Output"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", device_name(self.device))
        settings.check(self)
        if self.validate_by != "fid" and not self.validate_every:
            raise SettingError(f"`validate_by` {self.validate_by}: add `validate_every`, or leave it out")


@options
@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate one model, or to compare several.

    Attributes:
        direction: `ab` from source to target, or `ba` back, of a model that translates both ways; None for `ab`.
        count: how many images to generate; None for 10,000.
        features: the network that looks at images: `digits` or `inception` for generated ones, `inception`, `vgg` or
            `none` for translated ones; `auto` takes what suits the images and needs no download.
        vgg_weights: a file with VGG-19's weights, in place of the download.
        inception_weights: a file with Inception's weights, in place of the download.
        lpips: also measure LPIPS between translated images and their targets.
        paired: for `cyclegan`: the images of source and target belong together by their names.
        images_only: no scores, only the images of the report.
        device: `auto`, `cpu`, `cuda` or `mps`, or a `torch.device`.

    Raises:
        SettingError: for a field that does not exist, with the nearest that does, or a value that it cannot have.

    Example:
        >>> from ganvas import EvaluateOptions
        >>> EvaluateOptions(count=2000, features="none")
        EvaluateOptions(count=2000, features='none')
    """

    direction: Direction | None = setting(
        None, "of a model that goes both ways: ab from source to target, or ba back [default: ab]"
    )
    count: int | None = setting(
        None, "how many images to generate; FID is usually told for 10,000 or more [default: 10,000]", low=1
    )
    features: str = setting(
        "auto",
        "the network that looks at images. Generated ones: digits, ganvas's own digit network, or inception, Inception "
        "v3, which needs `pip install 'ganvas[inception]'` and is downloaded once; auto takes digits for digits. "
        "Translated ones: inception adds FID and KID, which auto does too where it is there already; vgg adds the VGG "
        "distance, and FID and KID, by VGG-19; none takes no network. Style is always evaluated by VGG-19",
    )
    vgg_weights: File | None = setting(
        None, "a file with VGG-19's weights, in place of the download", env="GANVAS_WEIGHTS"
    )
    inception_weights: File | None = setting(None, "a file with Inception's weights, in place of the download")
    lpips: bool = setting(
        False, "also measure LPIPS between translated images and their targets (AlexNet is downloaded once)"
    )
    paired: bool = setting(
        False,
        "for cyclegan, the images of `data` and `target` belong together by their names, though it learned without "
        "pairs",
    )
    images_only: bool = setting(False, "no scores, only the report's images: for images without partners")
    device: Device = setting("auto", "auto takes the best there is")

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", device_name(self.device))
        settings.check(self)


def device_name(given: Any) -> Any:
    """The device by the name that ganvas has for it: of a `torch.device`, of `cuda:0`, of what other tools call it.

    Raises:
        SettingError: for a second GPU.
    """
    name = words.DEVICES.get(str(given), str(given))
    kind, _, number = name.partition(":")
    if kind == "cuda" and number.isdigit() and int(number):
        raise SettingError(
            f"`device` {name}: ganvas uses the first GPU that it sees; set CUDA_VISIBLE_DEVICES={number} and give cuda"
        )
    return kind if number == "0" else name


def vgg_file(given: File | None) -> Path | None:
    """The file with VGG-19's weights: as given, or as GANVAS_WEIGHTS says; None to download them."""
    file = given or os.environ.get("GANVAS_WEIGHTS")
    return Path(file) if file else None

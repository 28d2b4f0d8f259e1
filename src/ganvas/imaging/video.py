"""Changes videos frame by frame: animations with Pillow, videos with PyAV (extra `video`)."""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas.core.atomic_io import new_file
from ganvas.errors import DataError
from ganvas.imaging import animation, images
from ganvas.imaging.animation import Frame
from ganvas.imaging.images import DecodedImage

Change = Callable[[DecodedImage], DecodedImage]

ANIMATIONS = frozenset({".gif", ".webp", ".png", ".apng"})
VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi"})

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}  # FFmpeg's names
_H264 = ("libx264", {"crf": "18"})  # visually almost lossless
_VP9 = ("libvpx-vp9", {"crf": "24", "b": "0", "row-mt": "1", "cpu-used": "4"})  # webm holds no H.264
_FILES_ALONE = {  # a list or a playlist, which would open other files and addresses, is no video
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi", "protocol_whitelist": "file",
}  # fmt: skip
MOST_PIXELS = 8192 * 4352  # of a frame: 8K, the largest that H.264 has a level for
_LARGE = 2**23  # pixels of a frame, from which few are held at once
_BT709 = 1  # FFmpeg's number of the matrix, the primaries and the transfer curve of HD video


def is_video(path: Path) -> bool:
    """Whether a file holds several frames: a video by its ending, an animation by its header.

    Raises:
        DataError: if it should be an image, and is not one.
    """
    if path.suffix.lower() in VIDEOS:
        return True
    if path.suffix.lower() not in ANIMATIONS:
        return False
    with images.opened(path) as image:
        shown = getattr(image, "n_frames", 1) - image.tell()  # without a first one that is no frame
        return bool(getattr(image, "is_animated", False)) and shown > 1


def change_video(path: Path, place: Path, change: Change, *, smooth: float = 0.0) -> tuple[str, ...]:
    """Apply `change` to each frame of a video, and write the result to `place`, whole or not at all.

    Args:
        path: an animation or a video.
        place: a video for a video; for an animation a GIF, WebP or PNG, or another image for its first frame.
        change: called with the frames in their order.
        smooth: the weight of the previous frame, moved along the optical flow; 0 to below 1, 0 for none.

    Returns:
        Notes about the result, in sentences that are the same for every video.

    Raises:
        DataError: if the video cannot be read, or PyAV is missing, or `place` cannot hold the result.
        UsageError: if `place` has an ending that cannot be written.
        SaveError: if it cannot be written.
    """
    if smooth:
        change = Steady(change, smooth)
    if path.suffix.lower() in VIDEOS:
        return _change_video(path, place, change)
    if place.suffix.lower() in ANIMATIONS:
        return _change_animation(path, place, change)
    first = change(images.read(path))
    images.write(place, first.pixels, alpha=first.alpha, dpi=first.dpi)
    return ("only a GIF, WebP or PNG holds more than the first frame of an animation",)


# --- animations -----------------------------------------------------------------------------------------------------


def _change_animation(path: Path, place: Path, change: Change) -> tuple[str, ...]:
    notes = set[str]()
    made = (Frame(change(frame.image), frame.milliseconds) for frame in animation.frames(path, notes))
    with images.opened(path) as video:  # a GIF may have holes in any frame
        transparent = video.format == "GIF" or video.has_transparency_data
    animation.write(place, made, loop=animation.loops(path), transparent=transparent)
    return tuple(sorted(notes))


# --- videos ---------------------------------------------------------------------------------------------------------


def _change_video(path: Path, place: Path, change: Change) -> tuple[str, ...]:
    images.require_file(path)
    av, ending = _pyav(path), place.suffix.lower()
    options = {"movflags": "+faststart"} if ending in (".mp4", ".mov") else {}  # plays while it is loading
    with (
        new_file(place) as half,
        path.open("rb") as stream,  # a file, never a name, which FFmpeg may take for an address
        _in_one_line(path, av),
        av.open(stream, options=_FILES_ALONE, metadata_errors="replace") as source,
        av.open(f"file:{half.absolute()}", "w", format=_FORMATS[ending], options=options) as target,
    ):
        if not source.streams.video or source.streams.video[0].codec_context is None:
            raise DataError(f"{path}: holds no video stream that can be decoded")
        _require_frame_size(path, source.streams.video[0])
        heard = {
            audio.index: target.add_stream_from_template(audio)
            for audio in source.streams.audio
            if audio.codec_context.name in target.supported_codecs
        }
        odd = _copy(av, source, target, heard, change=change, path=path, ending=ending)
        lost = sorted({a.codec_context.name for a in source.streams.audio if a.index not in heard})
        see_through = _has_alpha(source.streams.video[0])
    notes = [f"{ending} does not hold sound in {name}, which is left out" for name in lost]
    if see_through:
        notes.append("the transparency of videos is left out; that of a GIF, WebP or PNG is kept")
    if odd:
        notes.append("videos have even sides; the last row or column of pixels is repeated")
    return tuple(notes)


def _copy(
    av: ModuleType, source: Any, target: Any, heard: dict[int, Any], *, change: Change, path: Path, ending: str
) -> bool:
    """Write every changed frame, and the packets of sound as they are; returns whether a side was odd."""
    seen = source.streams.video[0]
    seen.thread_type = "AUTO" if seen.width * seen.height <= _LARGE else "SLICE"  # frames in threads take memory
    seen.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    shown, count, waiting, odd = None, 0, list[Any](), False
    for packet in source.demux(seen, *(source.streams[index] for index in heard)):
        if packet.stream.index in heard:
            if packet.dts is not None:  # it is None in the empty packet at the end
                packet.stream = heard[packet.stream.index]
                waiting.append(packet)
        else:
            for frame in packet.decode():
                array = _array(change(_image(frame, path)))
                made = _even(array)
                odd = odd or made.shape != array.shape
                shown = shown or _add_stream(target, seen, made, ending)
                target.mux(shown.encode(_frame(av, made, frame, count, seen)))
                count += 1
        if shown is not None:  # all streams are known, so that the file can begin
            target.mux(waiting)
            waiting.clear()
    if shown is None:
        raise DataError(f"{path}: broken (no frame of it can be decoded)")
    target.mux(shown.encode(None))
    return odd


def _pyav(path: Path) -> ModuleType:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        # an error of this file alone: the images beside it do not need the package
        raise DataError(f"{path}: videos need the package PyAV; pip install 'ganvas[video]'") from error


def _add_stream(target: Any, seen: Any, made: NDArray[np.uint8], ending: str) -> Any:
    """The output stream, of the size of its first frame, with the frame rate and the time base of the input."""
    name, options = _VP9 if ending == ".webm" else _H264
    if made.shape[0] * made.shape[1] > _LARGE:  # few frames wait in the encoder
        options = {**options, **({"lag-in-frames": "4"} if ending == ".webm" else {"rc-lookahead": "4", "bf": "0"})}
    if ending == ".avi":  # it has no timestamps: frames are shown in the order of the file
        options = {**options, "bf": "0"}
    shown = target.add_stream(name, rate=seen.average_rate or seen.guessed_rate or Fraction(25), options=options)
    shown.height, shown.width = made.shape[:2]
    shown.pix_fmt = "yuv420p"  # what every player plays
    context = shown.codec_context
    context.time_base = seen.time_base
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    if seen.sample_aspect_ratio:
        context.sample_aspect_ratio = seen.sample_aspect_ratio
    return shown


def _image(frame: Any, path: Path) -> DecodedImage:
    """A frame, rotated as the file says."""
    _require_frame_size(path, frame)
    array = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))  # both counterclockwise
    return DecodedImage(torch.from_numpy(array.copy()).permute(2, 0, 1))


def _array(image: DecodedImage) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = image.pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()
    return array


def _even(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With the last row and column repeated where their number is odd: 4:2:0 halves the resolution of colours."""
    height, width = array.shape[:2]
    return np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _frame(av: ModuleType, made: NDArray[np.uint8], seen: Any, count: int, stream: Any) -> Any:
    """A frame to encode, at the time of the input frame."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(made), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    timed = seen.pts is not None and stream.container.format.name != "avi"  # its times are guessed, and shift
    frame.pts = seen.pts if timed else round(count / rate / stream.time_base)
    frame.time_base = stream.time_base
    return frame


@contextlib.contextmanager
def _in_one_line(path: Path, av: ModuleType) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: broken, or cannot be written again ({words})") from error


def _require_frame_size(path: Path, frame: Any) -> None:
    """Raise DataError if a frame, or a stream of them, has too many or too few pixels."""
    if min(frame.width, frame.height) < images.MIN_SIDE:
        raise DataError(f"{path}: {frame.width}x{frame.height} pixels; expected {images.MIN_SIDE} or more a side")
    if frame.width * frame.height > MOST_PIXELS:
        raise DataError(
            f"{path}: {frame.width}x{frame.height} pixels; expected {MOST_PIXELS // 10**6} million or fewer in a video"
        )


def _has_alpha(stream: Any) -> bool:
    if {name.lower(): value for name, value in stream.metadata.items()}.get("alpha_mode") == "1":
        return True  # of VP8 and VP9, beside the frames
    return any(component.is_alpha for component in getattr(stream.format, "components", ()))


# --- temporal smoothing ---------------------------------------------------------------------------------------------

_UNLIKE = 24  # grey levels that a point may change along its motion without being another object
_SMALLEST = 16  # pixels; the optical flow takes frames of this size or more


class Steady:
    """A change of frames that flickers less: each result is mixed with the previous one, moved along the optical flow.

    An exponential average along the optical flow of the input (Kroeger et al. 2016, "Fast Optical Flow using Dense
    Inverse Search"). Where forward and backward flow disagree (Sundaram et al. 2010, equation 5), or the input itself
    has changed, nothing of the previous frame is used.
    """

    def __init__(self, change: Change, weight: float):
        """Mix `weight`, 0 to below 1, of the previous result into each that `change` gives."""
        self._change, self._weight = change, weight
        self._before: tuple[NDArray[np.uint8], NDArray[np.float32]] | None = None  # grey input, output

    def __call__(self, frame: DecodedImage) -> DecodedImage:
        """Change the next frame."""
        made = self._change(frame)
        grey = images.in_channels(frame.pixels, 1)[0].numpy()
        output = made.pixels.permute(1, 2, 0).numpy().astype(np.float32)  # (H, W, C)
        if (
            self._before is not None
            and self._before[0].shape == grey.shape
            and self._before[1].shape == output.shape
            and min(grey.shape) >= _SMALLEST
        ):
            output = self._mixed(grey, output, *self._before)
        self._before = grey, output
        pixels = torch.from_numpy(output.round().clip(0, 255).astype(np.uint8)).permute(2, 0, 1)
        return replace(made, pixels=pixels)

    def _mixed(
        self,
        grey: NDArray[np.uint8],
        output: NDArray[np.float32],
        grey_before: NDArray[np.uint8],
        output_before: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        import cv2

        finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        start = np.zeros((*grey.shape, 2), np.float32)
        flow = _floats(finder.calc(grey, grey_before, start.copy()))  # (H, W, 2): the way to where each was
        back = _moved(_floats(finder.calc(grey_before, grey, start)), flow)
        gap = np.square(flow + back).sum(2)
        meets = gap < 0.01 * (np.square(flow).sum(2) + np.square(back).sum(2)) + 0.5
        alike = np.abs(_moved(grey_before.astype(np.float32), flow) - grey) < _UNLIKE
        agreed = (meets & alike).astype(np.float32)
        weight = self._weight * _floats(cv2.blur(agreed, (5, 5)))  # no hard edge between the two
        height, width = output.shape[:2]
        if (height, width) != grey.shape:  # the task enlarges
            flow = _floats(cv2.resize(flow, (width, height))) * np.float32(height / grey.shape[0])
            weight = _floats(cv2.resize(weight, (width, height)))
        before = _moved(output_before, flow).reshape(output.shape)
        mixed: NDArray[np.float32] = output + weight[:, :, None] * (before - output)
        return mixed


def _moved(image: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Warp `image`: each pixel is taken from the end of its `flow`."""
    import cv2

    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    places = x + flow[..., 0], y + flow[..., 1]
    return _floats(cv2.remap(image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _floats(found: Any) -> NDArray[np.float32]:
    """A result of OpenCV, as the array that it is."""
    return np.asarray(found, np.float32)

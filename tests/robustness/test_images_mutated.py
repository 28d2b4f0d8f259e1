"""Seeded mutations of every kind of image and animation: each is read, or refused in one line, in bounded memory."""

import io
import os
import random
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import photograph
from PIL import Image

from ganvas.errors import DataError, GanvasError
from ganvas.imaging import images, video

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]

TIMES = 150  # mutations of each kind
STILLS = {
    "png": {}, "jpg": {}, "webp": {}, "bmp": {}, "tif": {"compression": "tiff_lzw"}, "gif": {}, "avif": {"speed": 10},
}  # fmt: skip
ANIMATIONS = ("gif", "png", "webp")


def still(ending):
    encoded, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    more = {} if ending in ("bmp", "gif") else {"exif": exif}
    image = photograph(seed=3, width=40, height=24)
    image.save(encoded, images._FORMATS[f".{ending}"], **more, **STILLS[ending])
    return encoded.getvalue()


def animated(ending):
    encoded = io.BytesIO()
    frames = [photograph(seed=seed, width=24, height=16).convert("RGBA") for seed in range(4)]
    for number, frame in enumerate(frames):
        frame.putalpha(Image.fromarray(np.tile(np.uint8(255 * (np.arange(24) > 4 * number)), (16, 1))))
    frames[0].save(encoded, images._FORMATS[f".{ending}"], save_all=True, append_images=frames[1:], duration=40)
    return encoded.getvalue()


def mutated(content, rng):
    """Cut off, with bits flipped, with a large number in the header, or with a part repeated or left out."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 4))):
        kind, at = rng.randrange(5), rng.randrange(len(content))
        if kind == 0:
            del content[max(1, at) :]
        elif kind == 1:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            head = rng.randrange(min(96, len(content)))
            content[head : head + 4] = rng.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x00\x00\xff\xff", bytes(4)))
        elif kind == 3:
            del content[at : at + rng.randrange(1, 9)]
        else:
            content[at:at] = content[max(0, at - rng.randrange(1, 40)) : at]
        if len(content) < 2:
            break
    return bytes(content)


def with_checksums(content):
    """A PNG whose chunks have the right checksums again, so that the mutation goes deeper than those."""
    at, out = 8, bytearray(content[:8])
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        body = content[at + 4 : at + 8 + length]
        out += content[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + length
    return bytes(out)


def in_one_line(read):
    """What is read; None if it is refused, which takes one short line."""
    said = ""
    try:
        return read()
    except GanvasError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 400  # with the path of the test
    return None


@pytest.mark.parametrize("ending", STILLS)
def test_a_mutated_image_is_read_or_refused(tmp_path, ending):
    if f".{ending}" not in images.EXTENSIONS:
        pytest.skip("Pillow was built without it")
    rng, whole, path = random.Random(ending), still(ending), tmp_path / f"x.{ending}"
    for _ in range(TIMES):
        content = mutated(whole, rng)
        path.write_bytes(with_checksums(content) if ending == "png" and rng.random() < 0.5 else content)
        header = in_one_line(lambda: images.read_header(path))
        image = in_one_line(lambda: images.read(path))
        square = in_one_line(lambda: images.read_square(path, size=16, channels=3))
        if image is not None:
            assert (header.height, header.width) == tuple(image.pixels.shape[-2:])
        if square is not None:
            assert square.shape == (3, 16, 16)


@pytest.mark.parametrize("ending", ANIMATIONS)
def test_a_mutated_animation_gives_what_is_whole_or_is_refused(tmp_path, ending):
    rng, whole, path = random.Random(ending), animated(ending), tmp_path / f"x.{ending}"
    for number in range(TIMES):
        content = mutated(whole, rng)
        path.write_bytes(with_checksums(content) if ending == "png" and rng.random() < 0.5 else content)
        place = tmp_path / f"made.{ANIMATIONS[number % 3]}"
        if in_one_line(lambda: video.is_video(path)):
            made = in_one_line(lambda: video.change_video(path, place, lambda frame: frame))  # noqa: B023
            assert made is None or images.read(place).pixels.shape[0] in (1, 3)
        assert not list(tmp_path.glob("*.tmp"))


def test_a_mutated_video_is_changed_or_refused(tmp_path):
    av = pytest.importorskip("av")
    path, rng = tmp_path / "x.mp4", random.Random("video")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for seed in range(4):
            out.mux(stream.encode(av.VideoFrame.from_image(photograph(seed=seed, width=32, height=32))))
        out.mux(stream.encode(None))
    whole = path.read_bytes()
    for _ in range(40):
        path.write_bytes(mutated(whole, rng))
        in_one_line(lambda: video.change_video(path, tmp_path / "made.mp4", lambda frame: frame))
        assert not list(tmp_path.glob("*.tmp"))


PROGRAM = """
import resource, sys
from pathlib import Path
from test_translate import negative
from ganvas.inference.translate import Translator, translate_files
translator, peaks = Translator(negative()), []
for name, ending in (("small", ".jpg"), ("small", ".png"), ("tall", ".png"), ("wide", ".png"), ("square", ".jpg")):
    (done,) = translate_files(translator, {Path(name + ".png"): Path("made" + ending)})
    assert not done.problem, done.problem
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(*peaks)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units")
def test_the_peak_of_a_translation_is_a_few_times_the_pixels(tmp_path):
    shapes = {"small": (1200, 1000), "tall": (150, 65_535), "wide": (65_535, 150), "square": (3200, 3100)}
    for name, size in shapes.items():
        Image.new("RGBA", size, (90, 0, 0, 90)).save(tmp_path / f"{name}.png")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    _, before, *peaks = (int(word) * 1024 for word in done.stdout.split())  # kilobytes
    assert max(peaks) - before <= 12 * 10**7 + 150 * 2**20  # bytes a pixel, and what strips take


def test_what_promises_very_much_takes_nothing(tmp_path):
    encoded = io.BytesIO()
    Image.new("L", (16, 16)).save(encoded, "PNG")
    content = bytearray(encoded.getvalue())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for width, height in ((2**31 - 1, 1), (2**31 - 1, 2**31 - 1), (13_000, 13_000), (2_000_000, 8), (0, 0)):
        content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
        (tmp_path / "x.png").write_bytes(content)
        for read in (images.read_header, images.read, video.is_video):
            with pytest.raises(DataError):
                read(tmp_path / "x.png")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2**27

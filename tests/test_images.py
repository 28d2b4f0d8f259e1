"""Images are read as a viewer shows them, and written whole."""

import io
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photograph
from PIL import Image, ImageCms

from ganvas.errors import DataError, UsageError
from ganvas.imaging import images as imaging


def save(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def mean(pixels):
    return pixels.float().mean((-1, -2)).tolist()


def test_every_byte_survives_the_way_to_the_network_and_back():
    bytes_ = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    signed = imaging.to_signed(bytes_)
    assert signed.min() == -1
    assert signed.max() == 1
    assert torch.equal(imaging.to_bytes(signed), bytes_)
    assert torch.equal(
        imaging.to_bytes(signed.bfloat16().float()).sort().values.unique()[[0, -1]], torch.tensor([0, 255])
    )


def test_values_out_of_range_are_clipped_and_halves_rounded():
    assert imaging.to_bytes(torch.tensor([-9.0, 9.0, 0.001])).tolist() == [0, 255, 128]


@pytest.mark.parametrize("ending", sorted(imaging.EXTENSIONS))
def test_every_format_is_read_as_it_was_drawn(tmp_path, ending):
    image = photograph(seed=1, width=48, height=48)
    path = save(tmp_path, image, "x" + ending)
    read = imaging.read_square(path, size=48, channels=3)
    drawn = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    assert (read.float() - drawn.float()).abs().mean() < 12  # gif's palette and jpeg's loss


@pytest.mark.parametrize(("width", "height"), [(60, 32), (32, 60), (33, 32)])
def test_the_largest_centred_square_is_cut_out(tmp_path, width, height):
    pixels = np.zeros((height, width), np.uint8)
    top, left = (height - 32) // 2, (width - 32) // 2
    pixels[top : top + 32, left : left + 32] = 255
    path = save(tmp_path, Image.fromarray(pixels), "x.png")
    assert imaging.read_square(path, size=32, channels=1).float().mean() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = Image.new("RGB", (32, 32))
    upright.paste((255, 0, 0), (0, 0, 16, 16))  # red top left
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the orientation undoes
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, stored, "x.jpg", exif=exif, quality=95)
    read = imaging.read_square(path, size=32, channels=3)
    assert mean(read[0, :14, :14]) > 200
    assert mean(read[0, 18:, 18:]) < 50


def test_16_bit_grey_keeps_its_range(tmp_path):
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    for name in ("x.png", "x.tif"):
        path = save(tmp_path, Image.fromarray(ramp), name)
        assert imaging.read_header(path).grey
        read = imaging.read_square(path, size=32, channels=1)[0]
        assert (read.float() - torch.from_numpy(ramp / 257).float()).abs().max() <= 0.51


@pytest.mark.parametrize(("value", "expected"), [(0.5, 128), (120.0, 120), (32896.0, 128), (float("nan"), 0)])
def test_floats_are_taken_for_what_they_seem_to_hold(tmp_path, value, expected):
    path = save(tmp_path, Image.fromarray(np.full((16, 16), value, np.float32)), "x.tif")
    assert imaging.read_square(path, size=16, channels=1).unique().tolist() == [expected]


def test_transparency_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert imaging.read_square(save(tmp_path, clear, "a.png"), size=16, channels=3).unique().tolist() == [255]
    half = Image.new("LA", (16, 16), (0, 128))
    assert imaging.read_square(save(tmp_path, half, "b.png"), size=16, channels=1).unique().tolist() == [127]
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    path = save(tmp_path, palette, "c.png", transparency=1)
    assert imaging.read_square(path, size=16, channels=3).unique().tolist() == [255]


def test_palette_1_bit_and_cmyk_are_read_right(tmp_path):
    palette = photograph(seed=2, width=32, height=32).quantize(16)
    read = imaging.read_square(save(tmp_path, palette, "p.png"), size=32, channels=3)
    assert torch.equal(read, torch.from_numpy(np.array(palette.convert("RGB"))).permute(2, 0, 1))
    one_bit = Image.new("1", (16, 16), 1)
    assert imaging.read_square(save(tmp_path, one_bit, "1.png"), size=16, channels=1).unique().tolist() == [255]
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    red, green, blue = mean(imaging.read_square(save(tmp_path, ink, "c.jpg", quality=95), size=16, channels=3))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


def swapped_profile():
    """An sRGB profile in which red and blue are exchanged, under another name."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    table = range(132, 132 + 12 * int.from_bytes(content[128:132], "big"), 12)  # of tags: name, offset, length
    at = {bytes(content[i : i + 4]): int.from_bytes(content[i + 4 : i + 8], "big") for i in table}
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    content[red : red + 20], content[blue : blue + 20] = content[blue : blue + 20], content[red : red + 20]
    return bytes(content).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (swapped_profile(), (30, 30, 200)),
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), (200, 30, 30)),
        (b"not a profile", (200, 30, 30)),
    ],
    ids=["swapped", "srgb", "broken"],
)
def test_a_colour_profile_is_applied(tmp_path, profile, expected):
    path = save(tmp_path, Image.new("RGB", (16, 16), (200, 30, 30)), "x.png", icc_profile=profile)
    assert mean(imaging.read_square(path, size=16, channels=3)) == pytest.approx(expected, abs=3)


def test_a_gif_of_greys_is_grey(tmp_path):
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert imaging.read_header(save(tmp_path, grey, "grey.gif")).grey
    assert not imaging.read_header(save(tmp_path, photograph(seed=0, width=16, height=16), "colour.gif")).grey


def test_a_videos_first_frame_is_read(tmp_path):
    first, second = Image.new("RGB", (16, 16), "white"), Image.new("RGB", (16, 16), "black")
    path = save(tmp_path, first, "x.gif", save_all=True, append_images=[second])
    assert imaging.read_square(path, size=16, channels=3).unique().tolist() == [255]


def bomb():
    """A PNG whose header promises 30,000 x 30,000 pixels."""
    encoded = io.BytesIO()
    Image.new("1", (16, 16)).save(encoded, "png")
    content = bytearray(encoded.getvalue())
    content[16:24] = (30000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.jpg", b"this is no image", "not an image"),
        ("empty.png", b"", "not an image"),
        ("bomb.png", bomb(), "million pixels"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    for read in (imaging.read_header, lambda path: imaging.read_square(path, size=16, channels=3)):
        with pytest.raises(DataError, match=words) as error:
            read(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)


def test_a_truncated_image_is_broken(tmp_path):
    for ending in ("jpg", "png"):
        path = save(tmp_path, photograph(seed=0, width=64, height=64), f"x.{ending}")
        path.write_bytes(path.read_bytes()[:-200])
        imaging.read_header(path)
        with pytest.raises(DataError, match="broken"):
            imaging.read_square(path, size=32, channels=3)


def test_an_image_of_one_pixel_is_too_small(tmp_path):
    with pytest.raises(DataError, match="1x1 pixels"):
        imaging.read_header(save(tmp_path, Image.new("RGB", (1, 1)), "x.png"))


def test_resizing_up_and_down_keeps_the_image():
    flat = torch.full((2, 3, 32, 32), 77, dtype=torch.uint8)
    assert imaging.resize(flat, 16).unique().tolist() == [77]
    assert imaging.resize(flat, 64).shape == (2, 3, 64, 64)
    assert imaging.resize(flat, 32) is flat


def test_resizing_in_parts_is_resizing_at_once(monkeypatch):
    images = torch.randint(0, 256, (5, 3, 40, 40), dtype=torch.uint8)
    whole = imaging.resize(images, 24)
    monkeypatch.setattr(imaging, "_RESIZED", 2 * 3 * 40**2)  # two at a time
    assert torch.equal(imaging.resize(images, 24), whole)


@pytest.mark.parametrize(("size", "shown"), [(16, 64), (64, 64), (100, 100), (256, 256), (512, 256), (1024, 256)])
def test_on_a_grid_small_images_are_enlarged_and_large_ones_reduced(size, shown):
    images = torch.full((2, 3, size, size), 77, dtype=torch.uint8)
    assert imaging.fitted(images).shape == (2, 3, shown, shown)
    assert imaging.fitted(images).unique().tolist() == [77]


def test_a_grid_holds_every_image_in_its_place():
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 4, 4)
    grid = imaging.grid(images, columns=3, gap=2)
    assert grid.shape == (1, 2 * 6 + 2, 3 * 6 + 2)
    assert [int(grid[0, 2 + i // 3 * 6, 2 + i % 3 * 6]) for i in range(5)] == [0, 1, 2, 3, 4]
    assert grid[0, -3, -3] == 255  # the place that stays empty


def test_enlarging_repeats_pixels():
    image = torch.tensor([[[1, 2], [3, 4]]], dtype=torch.uint8)
    assert imaging.enlarge(image, side=5).tolist() == [[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]]
    assert torch.equal(imaging.enlarge(image, side=1), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_back(tmp_path, channels):
    image = torch.randint(0, 256, (channels, 20, 20), dtype=torch.uint8)
    imaging.write(tmp_path / "x.png", image)
    assert imaging.read_header(tmp_path / "x.png").grey == (channels == 1)
    assert torch.equal(imaging.read_square(tmp_path / "x.png", size=20, channels=channels), image)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_video_has_all_its_frames(tmp_path):
    imaging.write_gif(
        tmp_path / "x.gif", [torch.full((1, 8, 8), 50 * i, dtype=torch.uint8) for i in range(4)], milliseconds=50
    )
    with Image.open(tmp_path / "x.gif") as video:
        assert video.n_frames == 4
        assert video.info["loop"] == 0


def test_unknown_endings_and_missing_folders_are_said(tmp_path):
    image = torch.zeros(1, 8, 8, dtype=torch.uint8)
    with pytest.raises(UsageError, match=r"\.xyz.*png"):
        imaging.write(tmp_path / "x.xyz", image)
    with pytest.raises(UsageError, match="cannot write"):
        imaging.write(tmp_path / "missing" / "x.png", image)


def test_an_image_is_read_whole_with_its_alpha_and_resolution(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 30, 4), dtype=np.uint8)
    image = imaging.read(save(tmp_path, Image.fromarray(pixels), "x.png", dpi=(300, 150)))
    assert torch.equal(image.pixels, torch.from_numpy(pixels[..., :3]).permute(2, 0, 1))
    assert torch.equal(image.alpha, torch.from_numpy(pixels[..., 3]))
    assert image.dpi == pytest.approx((300, 150), abs=0.1)
    plain = imaging.read(save(tmp_path, Image.new("L", (9, 8), 7), "y.png"))
    assert (plain.pixels.shape, plain.alpha, plain.dpi) == ((1, 8, 9), None, None)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_alpha_is_written_and_read_back(tmp_path, channels, ending):
    image = torch.randint(0, 256, (channels, 20, 20), dtype=torch.uint8)
    alpha = torch.randint(0, 256, (20, 20), dtype=torch.uint8)
    imaging.write(tmp_path / f"x.{ending}", image, alpha=alpha)
    back = imaging.read(tmp_path / f"x.{ending}")
    assert torch.equal(back.pixels, image)
    assert torch.equal(back.alpha, alpha)


def test_a_format_without_alpha_gets_the_image_on_white(tmp_path):
    assert [imaging.keeps_alpha(tmp_path / name) for name in ("x.png", "x.jpg", "x.bmp")] == [True, False, False]
    alpha = torch.tensor([[0, 255]], dtype=torch.uint8).repeat(8, 8)
    imaging.write(tmp_path / "x.bmp", torch.full((3, 8, 16), 40, dtype=torch.uint8), alpha=alpha)
    back = imaging.read(tmp_path / "x.bmp")
    assert back.alpha is None
    assert back.pixels[0, 0, :2].tolist() == [255, 40]


def test_grey_and_colour_become_each_other_as_pillow_does_it():
    colour = photograph(seed=4, width=30, height=20)
    image = imaging.image_of(colour).pixels
    grey = torch.from_numpy(np.array(colour.convert("L")))[None]
    assert torch.equal(imaging.in_channels(image, 1), grey)
    assert torch.equal(imaging.in_channels(grey, 3), grey.repeat(3, 1, 1))
    assert imaging.in_channels(image, 3) is image


def test_a_profile_is_applied_beneath_transparency(tmp_path):
    clear = Image.new("RGBA", (16, 16), (200, 30, 30, 128))
    image = imaging.read(save(tmp_path, clear, "x.png", icc_profile=swapped_profile()))
    assert mean(image.pixels) == pytest.approx((30, 30, 200), abs=3)
    assert image.alpha.unique().tolist() == [128]


# --- bounds -----------------------------------------------------------------------------------------------------------


def promising(width, height):
    """A PNG whose header promises that many pixels."""
    content = bytearray(bomb())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (2_000_000, 8, "65,535 or fewer a side"),
        (8, 65_536, "65,535 or fewer a side"),
        (13_000, 13_000, "more than 104 million pixels"),
        (65_535, 1_601, "more than 104 million pixels"),
    ],
)
def test_sides_and_pixels_are_bounded_whatever_the_shape(tmp_path, width, height, words):
    (tmp_path / "x.png").write_bytes(promising(width, height))
    for read in (imaging.read_header, imaging.read, lambda path: imaging.read_square(path, size=16, channels=3)):
        with pytest.raises(DataError, match=words):
            read(tmp_path / "x.png")


@pytest.mark.parametrize("orientation", [1, 4, 6, 7])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_strips_are_the_whole(monkeypatch, mode, orientation):
    image = photograph(seed=6, width=37, height=29)
    if mode in ("I;16", "F"):
        values = np.asarray(image.convert("L")).astype(np.uint16 if mode == "I;16" else np.float32)
        image = Image.fromarray(values * 257 if mode == "I;16" else values / 255)
    elif mode != "P":
        image = image.convert(mode)
    else:
        image = image.quantize(32)
        image.info["transparency"] = 3
    image.getexif()[0x0112] = orientation
    whole = imaging.image_of(image)
    square = imaging._upright(image, 3).tobytes()
    monkeypatch.setattr(imaging, "_AT_ONCE", 3 * 37)
    strips = imaging.image_of(image)
    assert torch.equal(strips.pixels, whole.pixels)
    assert (strips.alpha is None) == (whole.alpha is None) == (mode not in ("LA", "P", "RGBA"))
    assert whole.alpha is None or torch.equal(strips.alpha, whole.alpha)
    assert imaging._upright(image, 3).tobytes() == square
    assert torch.equal(imaging.image_of(imaging.to_pillow(whole.pixels, whole.alpha)).pixels, whole.pixels)


def test_white_and_grey_in_strips_are_those_of_the_whole(monkeypatch):
    pixels = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    image = imaging.DecodedImage(pixels, torch.randint(0, 256, (20, 30), dtype=torch.uint8))
    white, grey = imaging.on_white(image), imaging.in_channels(pixels, 1)
    monkeypatch.setattr(imaging, "_AT_ONCE", 7 * 30)
    assert torch.equal(imaging.on_white(image), white)
    assert torch.equal(imaging.in_channels(pixels, 1), grey)


# --- what is no file --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_what_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    for name, words in [
        ("pipe", "a pipe or a device"), ("device", "a pipe or a device"), ("folder", "a folder"),
        ("self", "cannot be read"), ("gone", "no such file"), ("x" * 300, "cannot be read"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=words):
            imaging.read(tmp_path / f"{name}.png")


def test_a_name_that_is_an_address_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (9, 8), 7).save("plain.png")
    name = "pipe:sh p.sh; x.png"
    os.rename("plain.png", name)
    assert imaging.read(Path(name)).pixels.unique().tolist() == [7]


@pytest.mark.parametrize("form", ["EPS", "PDF", "PPM"])
def test_formats_without_an_ending_here_are_no_images(tmp_path, form):
    photograph(seed=0, width=16, height=16).save(tmp_path / "x.png", form)
    with pytest.raises(DataError, match="not an image"):
        imaging.read_header(tmp_path / "x.png")


# --- EXIF -------------------------------------------------------------------------------------------------------------

_TURNED = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"  # orientation 6
_RESOLUTION = b"II*\0\x08\0\0\0\x02\0" + _TURNED + b"\x1a\x01\x0a\0\x01\0\0\0\x26\0\0\0"  # a signed rational follows
_BROKEN = {
    "a rational of 0 over 0": _RESOLUTION + bytes(12),
    "of -1 over 0": _RESOLUTION + bytes(4) + b"\xff" * 4 + bytes(4),
    "a block that ends early": b"II*\0\x08\0\0\0\x09\0" + _TURNED,
    "an offset beyond the end": b"II*\0\xff\xff\xff\x7f",
    "an orientation in words": b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\x006\0\0\0\0\0\0\0",
    "no block": b"junk",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Truncated|Corrupt")
@pytest.mark.parametrize("block", _BROKEN, ids=str)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_malformed_exif_block_never_refuses_an_image(tmp_path, block, ending):
    path = save(tmp_path, photograph(seed=0, width=40, height=32), f"x.{ending}", exif=b"Exif\0\0" + _BROKEN[block])
    header, image = imaging.read_header(path), imaging.read(path)
    assert image.pixels.shape == (3, header.height, header.width)
    assert imaging.read_square(path, size=16, channels=3).shape == (3, 16, 16)
    if "rational" in block or "-1" in block:
        assert (header.width, header.height) == (32, 40)  # the orientation can be read


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "avif"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
def test_the_header_tells_the_sides_as_they_are_read(tmp_path, ending, orientation):
    if f".{ending}" not in imaging.EXTENSIONS:
        pytest.skip("Pillow was built without it")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, photograph(seed=0, width=40, height=24), f"x.{ending}", exif=exif)
    header, image = imaging.read_header(path), imaging.read(path)
    assert image.pixels.shape == (3, header.height, header.width)
    assert (header.width, header.height) == ((24, 40) if orientation > 4 else (40, 24))


# --- more than 8 bits -------------------------------------------------------------------------------------------------

SCENE = np.linspace(0.05, 0.95, 32 * 32).reshape(32, 32)


def deep(tmp_path, values, **options):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "x.tif", values, **options)
    return tmp_path / "x.tif"


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (SCENE.astype(np.float32), "0 is taken as black and 1 as white"),
        ((SCENE * 2 - 1).astype(np.float32), "-1 is taken as black and 1 as white"),
        ((SCENE * 255).astype(np.float32), "0 is taken as black and 255 as white"),
        ((SCENE * 65535).astype(np.float32), "0 is taken as black and 65535 as white"),
        ((SCENE * 65535).astype(np.uint16), ""),
        ((SCENE * (2**32 - 1)).astype(np.uint32), "4294967295 as white"),
        ((SCENE * (2**31 - 1)).astype(np.int32), "2147483647 as white"),
        ((SCENE * 65535).astype(np.uint32), "65535 as white"),
    ],
    ids=["0..1", "-1..1", "0..255", "0..65535", "u16", "u32", "i32", "u16 in u32"],
)
def test_one_scene_in_any_depth_is_one_image(tmp_path, values, note):
    image = imaging.read(deep(tmp_path, values))
    assert (image.pixels[0].float() - torch.from_numpy(SCENE * 255)).abs().max() <= 1
    assert note in " ".join(image.notes)
    assert bool(image.notes) == bool(note)


@pytest.mark.parametrize("largest", [1.0001, 1.02, 1.05])
def test_a_little_overshoot_is_clipped_and_turns_nothing_black(tmp_path, largest):
    values = SCENE.astype(np.float32)
    values[0, 0] = largest
    pixels = imaging.read(deep(tmp_path, values)).pixels[0].float()
    assert (pixels - torch.from_numpy(SCENE * 255))[1:].abs().max() <= 1
    assert pixels[0, 0] == 255


@pytest.mark.parametrize("largest", [1.3, 7, 300, 4095, 1e6])
def test_of_no_usual_range_the_largest_value_is_white_and_that_is_said(tmp_path, largest):
    image = imaging.read(deep(tmp_path, (SCENE / 0.95 * largest).astype(np.float32)))
    assert (image.pixels[0].float() - torch.from_numpy(SCENE / 0.95 * 255)).abs().max() <= 1
    assert "no usual range" in image.notes[0]


def test_a_range_that_is_named_is_taken(tmp_path):
    path = deep(tmp_path, (SCENE * 300).astype(np.float32))
    image = imaging.read(path, span=(0, 300))
    assert (image.pixels[0].float() - torch.from_numpy(SCENE * 255)).abs().max() <= 1
    assert image.notes == ()
    inverse = imaging.read(path, span=(300, 0))
    assert (inverse.pixels.int() + image.pixels.int() - 255).abs().max() <= 1


@pytest.mark.parametrize("bits", [10, 12])
def test_fewer_bits_than_the_file_has_are_said_and_taken_if_asked(tmp_path, bits):
    path = deep(tmp_path, (SCENE * (2**bits - 1)).astype(np.uint16))
    dark, image = imaging.read(path), imaging.read(path, span="auto")
    assert f"holds {bits} of 16 bits" in dark.notes[0]
    assert dark.pixels.max() < 17
    assert (image.pixels[0].float() - torch.from_numpy(SCENE * 255)).abs().max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_where_zero_is_white_it_is_shown_so(tmp_path, kind):
    stored = ((1 - SCENE) * np.iinfo(kind).max).astype(kind)
    image = imaging.read(deep(tmp_path, stored, photometric="miniswhite"))
    assert (image.pixels[0].float() - torch.from_numpy(SCENE * 255)).abs().max() <= 1


def test_an_image_of_nearly_one_value_is_said(tmp_path):
    image = imaging.read(deep(tmp_path, np.full((32, 32), 30000, np.uint16)))
    assert "nearly of one value" in image.notes[0]


def test_a_transparent_value_of_16_bits_is_transparent(tmp_path):
    values = np.full((16, 16), 40000, np.uint16)
    values[:8] = 1234
    path = save(tmp_path, Image.fromarray(values), "x.png", transparency=1234)
    image = imaging.read(path)
    assert image.alpha[:8].unique().tolist() == [0]
    assert image.alpha[8:].unique().tolist() == [255]


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (SCENE.astype(np.float16), {}, "1 channel of 16-bit floating point"),
        (SCENE.astype(np.float64), {}, "1 channel of 64-bit floating point"),
        (SCENE[..., None].repeat(3, 2).astype(np.float32), {"photometric": "rgb"}, "3 channels of 32-bit floating"),
        (np.zeros((32, 32, 5), np.uint8), {"photometric": 1, "planarconfig": "contig"}, "5 channels of 8-bit"),
        (np.zeros((3, 32, 32), np.uint16), {"photometric": "rgb", "planarconfig": "separate"}, "stored apart"),
        (np.zeros((2, 32, 32), np.uint8),
         {"photometric": "minisblack", "planarconfig": "separate", "extrasamples": ["assocalpha"]}, "stored apart"),
    ],
    ids=["f16", "f64", "rgb float", "five channels", "planar 16", "planar alpha"],
)  # fmt: skip
def test_a_tiff_that_cannot_be_read_says_what_it_holds(tmp_path, values, options, words):
    with pytest.raises(DataError, match=words) as error:
        imaging.read(deep(tmp_path, values, **options))
    assert "save it" in str(error.value)


def test_premultiplied_alpha_beside_grey_is_read(tmp_path):
    values = np.zeros((16, 16, 2), np.uint8)
    values[..., 0], values[..., 1] = 50, 100  # half of grey 127
    path = deep(tmp_path, values, photometric="minisblack", planarconfig="contig", extrasamples=["assocalpha"])
    image = imaging.read(path)
    assert image.alpha.unique().tolist() == [100]
    assert abs(int(image.pixels[0, 0, 0]) - 127) <= 1


# --- masks ------------------------------------------------------------------------------------------------------------


def halves(dark, bright, channels=1):
    mask = torch.full((channels, 8, 10), dark, dtype=torch.uint8)
    mask[..., 5:] = bright
    return mask


@pytest.mark.parametrize(
    "image",
    [
        imaging.DecodedImage(halves(0, 255)),
        imaging.DecodedImage(halves(0, 1)),
        imaging.DecodedImage(halves(0, 38, channels=3)),
        imaging.DecodedImage(torch.full((3, 8, 10), 255, dtype=torch.uint8), halves(0, 255)[0]),
        imaging.DecodedImage(torch.zeros((3, 8, 10), dtype=torch.uint8), halves(0, 255)[0]),
        imaging.DecodedImage(halves(9, 255, channels=3), halves(0, 255)[0]),
    ],
    ids=["plain", "ids", "palette", "white in alpha", "black in alpha", "both"],
)
def test_a_mask_is_what_it_shows(image):
    assert torch.equal(imaging.mask_of(image), halves(0, 255))


def test_a_soft_mask_stays_and_class_numbers_are_refused():
    soft = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(imaging.mask_of(imaging.DecodedImage(soft)), soft)
    with pytest.raises(DataError, match="values of 0 to 2 of 255"):
        imaging.mask_of(imaging.DecodedImage(torch.arange(3, dtype=torch.uint8).repeat(8, 3)[None]))


# --- animations -------------------------------------------------------------------------------------------------------


def test_a_hidden_first_image_is_no_frame(tmp_path):
    hidden, *shown = (Image.new("RGB", (16, 16), (value, 0, 0)) for value in (250, 10, 20))
    path = save(tmp_path, hidden, "x.png", save_all=True, append_images=shown, default_image=True)
    assert imaging.read(path).pixels[0].unique().tolist() == [10]

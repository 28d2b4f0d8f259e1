"""Whatever a user has goes in, and comes out with its name, its size and its transparency."""

import dataclasses
import io
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import skimage.color
import torch
from conftest import manifest_of, noise_source, photograph, small_config, taught
from PIL import Image, ImageOps
from test_images import swapped_profile
from torch import nn

from ganvas import checkpoint
from ganvas.cli import main
from ganvas.data.batch import Spec
from ganvas.errors import DataError, ModelError, SettingError
from ganvas.imaging import images, tiling, video
from ganvas.imaging.images import DecodedImage
from ganvas.inference.translate import Translator
from ganvas.methods.adain import Adain


class Negative(nn.Module):
    """Black for white: what it makes of any image is known to the byte."""

    kind = "translates"

    def __init__(self, spec, *, any_size=True, directions=("ab",)):
        super().__init__()
        self.spec, self.any_size, self.multiple, self.directions = spec, any_size, 1, directions
        self.weight = nn.Parameter(torch.ones(()))
        self.seen = []

    def translate(self, images, direction="ab"):
        self.seen.append((tuple(images.shape), direction))
        outputs = self.spec.outputs if direction == "ab" else self.spec.channels
        grey = images.mean(1, keepdim=True)
        return -(images if images.shape[1] == outputs else grey.expand(-1, outputs, -1, -1)) * self.weight


def negative(*, size=64, channels=3, target_channels=0, task="", **abilities):
    spec = Spec(size, channels, (), target_channels)
    manifest = dataclasses.replace(manifest_of(noise_source(size=size)), method="pix2pix", spec=spec, task=task)
    return checkpoint.Model(Negative(spec, **abilities).eval(), manifest, 0)


@pytest.fixture
def translate(monkeypatch, tmp_path):
    """Run `ganvas translate` with a model that makes negatives; returns the exit status."""

    def run(*words, out="out", model=None):
        monkeypatch.setattr(checkpoint, "load", lambda path, device: model or negative())
        return main(["translate", "model", *map(str, words), "--out", str(tmp_path / out)])

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


def array(path):
    return np.asarray(opened(path)).astype(int)


def noise(height=20, width=24, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


# --- one file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "close"), [("png", 0), ("bmp", 0), ("tif", 0), ("webp", 8), ("jpg", 3), ("gif", 12)]
)
@pytest.mark.parametrize("size", [(53, 37), (9, 90), (64, 64)])
def test_name_size_and_format_stay(folder, tmp_path, translate, ending, close, size):
    photograph(seed=1, width=size[0], height=size[1]).save(folder / f"an image.{ending}", quality=100)
    assert translate(folder) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == f"an image.{ending}"
    assert opened(made).format == opened(folder / made.name).format
    before, after = (np.asarray(opened(path).convert("RGB")).astype(int) for path in (folder / made.name, made))
    assert before.shape == (size[1], size[0], 3)
    assert np.abs(255 - before - after).mean() <= close


def test_exif_turns_the_image_once(folder, tmp_path, translate):
    upright = Image.fromarray(noise(20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "a.png", exif=exif, dpi=(300, 200))
    assert translate(folder) == 0
    made = opened(tmp_path / "out/a.png")
    assert made.size == (30, 20)
    assert made.getexif().get(0x0112) is None
    assert np.array_equal(np.asarray(made), 255 - np.asarray(upright))
    assert made.info["dpi"] == pytest.approx((200, 300), abs=0.1)


def test_colours_come_out_in_srgb(folder, tmp_path, translate):
    Image.new("RGB", (16, 16), (200, 30, 30)).save(folder / "a.png", icc_profile=swapped_profile())
    assert translate(folder) == 0
    assert array(tmp_path / "out/a.png")[0, 0] == pytest.approx((225, 225, 55), abs=3)
    assert "icc_profile" not in opened(tmp_path / "out/a.png").info


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_alpha_stays_to_the_byte(folder, tmp_path, translate, ending):
    pixels = noise(channels=4)
    pixels[..., 3] = np.arange(24) * 10  # WebP drops the colours of what nobody sees
    Image.fromarray(pixels, "RGBA").save(folder / f"a.{ending}", lossless=True)
    assert translate(folder) == 0
    made = np.asarray(opened(tmp_path / f"out/a.{ending}"))
    assert np.array_equal(made[..., 3], pixels[..., 3])
    if ending != "webp":
        assert np.array_equal(made[..., :3], 255 - pixels[..., :3])


def test_grey_with_alpha_to_a_grey_model_stays_grey(folder, tmp_path, translate):
    pixels = noise(channels=2)
    Image.fromarray(pixels, "LA").save(folder / "a.png")
    assert translate(folder, model=negative(channels=1)) == 0
    assert opened(tmp_path / "out/a.png").mode == "LA"
    assert np.array_equal(
        np.asarray(opened(tmp_path / "out/a.png")), np.stack([255 - pixels[..., 0], pixels[..., 1]], -1)
    )


def test_a_palette_with_transparency_keeps_its_holes(folder, tmp_path, translate):
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([10, 20, 30, 255, 0, 0])
    palette.paste(1, (0, 0, 16, 8))
    palette.save(folder / "a.png", transparency=1)
    assert translate(folder) == 0
    made = array(tmp_path / "out/a.png")
    assert made[0, 0, 3] == 0
    assert made[12, 3].tolist() == [245, 235, 225, 255]


def test_16_bits_are_taken_by_their_full_range(folder, tmp_path, translate):
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(ramp).save(folder / "a.png")
    Image.fromarray(ramp).save(folder / "b.tif")
    assert translate(folder, model=negative(channels=1)) == 0
    for name in ("a.png", "b.tif"):
        assert np.abs(array(tmp_path / "out" / name) - (255 - ramp / 257)).max() <= 0.51


def test_16_bit_colour_is_read(folder, tmp_path, translate):
    import cv2

    deep = np.random.default_rng(0).integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    for name in ("a.png", "b.tif"):
        cv2.imwrite(str(folder / name), deep)  # blue first
    assert translate(folder) == 0
    for name in ("a.png", "b.tif"):
        assert np.abs(255 - array(tmp_path / "out" / name) - deep[..., ::-1] / 257).max() <= 1


def test_ink_becomes_light(folder, tmp_path, translate):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(folder / "a.jpg", quality=95)
    assert translate(folder) == 0
    assert opened(tmp_path / "out/a.jpg").mode == "RGB"
    red, green, blue = array(tmp_path / "out/a.jpg")[4, 4]
    assert (red < 30, green > 200, blue > 200) == (True, True, True)


def test_channels_are_fitted_to_the_model(folder, tmp_path, translate):
    Image.fromarray(noise(channels=1)[..., 0]).save(folder / "grey.png")
    Image.fromarray(noise()).save(folder / "colour.png")
    assert translate(folder, out="3") == 0
    assert np.array_equal(array(tmp_path / "3/grey.png"), 255 - array(folder / "grey.png")[..., None].repeat(3, 2))
    assert translate(folder, out="1", model=negative(channels=1)) == 0
    grey = np.asarray(Image.fromarray(noise()).convert("L")).astype(int)
    assert np.array_equal(array(tmp_path / "1/colour.png"), 255 - grey)


def test_what_was_transparent_lies_on_white_in_a_jpeg_and_that_is_said_once(folder, tmp_path, translate, capsys):
    for name in ("a.png", "b.png"):
        Image.new("RGBA", (16, 16), (255, 255, 255, 0)).save(folder / name)
    assert translate(folder, "--format", "jpg") == 0
    assert array(tmp_path / "out/a.jpg").min() > 250
    assert capsys.readouterr().err.count("are on white") == 1


def test_a_jpeg_is_written_with_all_its_colour(folder, tmp_path, translate):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, "--format", "jpg") == 0
    assert {(c[1], c[2]) for c in opened(tmp_path / "out/a.jpg").layer} == {(1, 1)}
    assert np.abs(255 - array(folder / "a.png") - array(tmp_path / "out/a.jpg")).mean() < 4


# --- tasks, sizes, directions ---------------------------------------------------------------------------------------


def test_colorize_keeps_the_lightness_and_works_at_the_size_of_the_training(tmp_path):
    from ganvas.imaging import lab

    model = negative(size=32, channels=1, target_channels=2, task="colorize")
    image = images.image_of(photograph(seed=3, width=90, height=70))
    made = Translator(model)(image)
    assert made.pixels.shape == (3, 70, 90)
    assert model.method.seen == [((1, 1, 32, 41), "ab")]
    assert (lab.lightness(made.pixels) - lab.lightness(image.pixels)).abs().max() < 1
    Translator(model, size=64)(image)
    assert model.method.seen[-1][0] == (1, 1, 64, 82)


def test_superres_enlarges(tmp_path):
    model = negative(task="superres:2")
    made = Translator(model)(
        DecodedImage(torch.zeros(3, 20, 30, dtype=torch.uint8), torch.full((20, 30), 9, dtype=torch.uint8))
    )
    assert made.pixels.shape == (3, 40, 60)
    assert made.alpha.shape == (40, 60)


def test_inpaint_needs_holes_and_fills_only_these(folder, tmp_path, translate, capsys):
    pixels = noise(channels=4)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(folder / "whole.png")
    pixels[:5, :5, 3] = 0
    Image.fromarray(pixels).save(folder / "holes.png")
    assert translate(folder, model=negative(task="inpaint")) == 1
    assert f"left out {folder / 'whole.png'}: nothing to fill in" in capsys.readouterr().err
    made = array(tmp_path / "out/holes.png")
    assert np.array_equal(made[6:, 6:], pixels[6:, 6:, :3])
    assert not np.array_equal(made[:5, :5], pixels[:5, :5, :3])


def test_a_size_is_worked_at_and_undone():
    model = negative()
    smooth = images.image_of(photograph(seed=0, width=100, height=60))
    made = Translator(model, size=30)(smooth)
    assert model.method.seen == [((1, 3, 30, 50), "ab")]
    assert (255 - made.pixels.float() - smooth.pixels).abs().mean() < 3
    Translator(model, size=61)(smooth)
    assert model.method.seen[-1][0] == (1, 3, 60, 100)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (60, 100), (100, 9)])
def test_a_model_of_one_size_is_given_squares(height, width):
    model = negative(size=16, any_size=False)
    image = DecodedImage(torch.from_numpy(np.array(photograph(seed=0, width=width, height=height))).permute(2, 0, 1))
    made = Translator(model)(image)
    assert model.method.seen == [((1, 3, 16, 16), "ab")]
    assert made.pixels.shape == image.pixels.shape
    assert (255 - made.pixels.float() - image.pixels).abs().mean() < (1 if (height, width) == (16, 16) else 36)


def test_reflection_leads_to_and_fro():
    from ganvas.inference.translate import _reflection

    row = np.arange(5)
    assert row[_reflection(5, 7, 20).numpy()].tolist() == np.pad(row, (7, 8), mode="reflect").tolist()
    assert _reflection(1, 2, 5).tolist() == [0] * 5


def test_what_is_reduced_by_a_model_of_one_size_is_said(folder, tmp_path, translate, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, model=negative(size=16, any_size=False)) == 0
    assert "the model makes 16x16 pixels" in capsys.readouterr().err


def test_the_way_back_takes_what_the_way_there_gives():
    model = negative(channels=1, target_channels=3, directions=("ab", "ba"))
    made = Translator(model, "ba")(DecodedImage(torch.zeros(1, 20, 20, dtype=torch.uint8)))
    assert model.method.seen == [((1, 3, 20, 20), "ba")]
    assert made.pixels.shape == (1, 20, 20)


def test_a_one_way_model_says_so(folder, tmp_path, translate, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, "--direction", "ba") == 2
    assert "--direction ba: a pix2pix model goes ab only" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SettingError, match="`direction` ba"):
        Translator(negative(), "ba")


def test_from_colours_without_lightness_there_is_no_way_back(folder, tmp_path, translate, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    model = negative(channels=1, target_channels=2, task="colorize", directions=("ab", "ba"))
    assert translate(folder, "--direction", "ba", model=model) == 2
    assert "--direction ba: this model makes colours from lightness" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--size", "--tile"])
def test_a_model_of_one_size_is_told_no_other(folder, tmp_path, translate, capsys, flag):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, flag, "32", model=negative(size=16, any_size=False)) == 2
    assert f"{flag}: this pix2pix model makes 16 pixels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_translate_says_what_it_can(digits_run):
    with pytest.raises(ModelError, match="ganvas generate"):
        Translator(checkpoint.load(digits_run, torch.device("cpu")))


def too_much(kind):
    """Ask for more memory than a CPU can address, or fail as an accelerator does."""
    if kind == "CPU":
        torch.empty(2**50, dtype=torch.uint8)
    raise {"cuda": torch.OutOfMemoryError, "mps": RuntimeError, "numpy": MemoryError}[kind](f"{kind} out of memory")


def with_memory_for(pixels, *, kind="CPU", **model):
    """A model whose network takes so many pixels at once, and fails at more."""
    made = negative(**model)
    before = made.method.translate

    def translate(images, direction="ab"):
        if images[:, 0].numel() > pixels:
            too_much(kind)
        return before(images, direction)

    made.method.translate = translate
    return made


@pytest.mark.parametrize("kind", ["CPU", "cuda", "mps", "numpy"])
def test_a_lack_of_memory_is_the_problem_of_its_file(folder, tmp_path, translate, capsys, kind):
    for name in ("a.png", "z.png"):
        Image.fromarray(noise()).save(folder / name)
    Image.fromarray(noise(40, 240)).save(folder / "large.png")
    assert translate(folder, model=with_memory_for(20 * 24, kind=kind)) == 1
    assert f"left out {folder / 'large.png'}: 240x40 pixels take more memory than there is" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "z.png"]


def test_where_the_whole_takes_too_much_memory_tiles_are_tried():
    image = DecodedImage(torch.from_numpy(noise(300, 500)).permute(2, 0, 1))
    for tile in (0, 300):
        model = with_memory_for(256 * 256)
        assert torch.equal(Translator(model, tile=tile)(image).pixels, 255 - image.pixels)
        assert {shape for shape, _ in model.method.seen} == {(1, 3, 256, 256)}


@pytest.mark.parametrize("tile", [0, 256, 128])
def test_the_smallest_tiles_are_tried_once_and_no_larger_ones(tile):
    sizes = []
    model = negative()

    def translate(images, _):
        sizes.append(tuple(images.shape[-2:]))
        too_much("CPU")

    model.method.translate = translate
    with pytest.raises(DataError, match="500x300 pixels take more memory"):
        Translator(model, tile=tile)(DecodedImage(torch.zeros(3, 300, 500, dtype=torch.uint8)))
    assert sizes == {0: [(300, 500), (256, 256)], 256: [(256, 256)], 128: [(128, 128)]}[tile]


def test_what_was_computed_in_vain_is_let_go_before_the_second_try():
    kept, left = [], []
    model = negative()
    before = model.method.translate

    def translate(images, direction):
        left.append([each() is not None for each in kept])
        much = images.clone()  # as the feature maps of a network
        kept.append(weakref.ref(much))
        if much[:, 0].numel() > 256 * 256:
            too_much("CPU")
        return before(images, direction)

    model.method.translate = translate
    Translator(model)(DecodedImage(torch.zeros(3, 300, 500, dtype=torch.uint8)))
    assert left[:2] == [[], [False]]


def test_what_is_made_in_one_size_is_not_tried_in_tiles():
    model = with_memory_for(10 * 10, size=16, any_size=False)
    with pytest.raises(DataError, match="make it smaller first"):
        Translator(model)(DecodedImage(torch.zeros(3, 20, 20, dtype=torch.uint8)))


def test_what_is_no_lack_of_memory_is_not_taken_for_one():
    model = negative()
    model.method.translate = lambda *_: torch.zeros(2) + torch.zeros(3)
    with pytest.raises(RuntimeError, match="must match"):
        Translator(model)(DecodedImage(torch.zeros(3, 20, 20, dtype=torch.uint8)))


# --- folders --------------------------------------------------------------------------------------------------------


def test_sub_folders_and_all_names_are_kept(folder, tmp_path, translate):
    names = ["a b.png", "사진/한글 이름.png", "deep/er/🎨.png", "x.y.png", "upper.PNG"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise()).save(folder / name)
    (folder / "notes.txt").write_text("not mine")
    (folder / ".hidden.png").write_bytes(b"not mine")
    single = tmp_path / "single.png"
    Image.fromarray(noise()).save(single)
    assert translate(folder, single) == 0
    out = tmp_path / "out"
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {*names, "single.png"}


def test_the_results_of_before_are_not_taken_for_images(folder, translate):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, out="in/made") == 0
    assert translate(folder, "--overwrite", out="in/made") == 0
    assert [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))] == ["a.png", "made/a.png"]


@pytest.mark.parametrize("words", [["in"], ["in/a.png"], ["in/a.png", "in"]])
def test_originals_are_never_replaced(folder, tmp_path, translate, capsys, words):
    Image.fromarray(noise()).save(folder / "a.png")
    before = (folder / "a.png").read_bytes()
    assert translate(*(tmp_path / word for word in words), "--overwrite", out="in") == 2
    assert "choose another folder" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == before


def test_two_that_would_become_one_are_refused_by_name(folder, tmp_path, translate, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    Image.fromarray(noise()).save(folder / "a.jpg")
    assert translate(folder, "--format", "webp") == 2
    said = capsys.readouterr().err
    assert "a.jpg" in said
    assert "a.png" in said
    assert not (tmp_path / "out").exists()
    assert translate(folder) == 0


def test_nothing_is_replaced_unless_asked_and_that_is_found_out_first(folder, tmp_path, translate, capsys):
    for name in ("a.png", "b.png"):
        Image.fromarray(noise()).save(folder / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.png").write_bytes(b"mine")
    assert translate(folder) == 2
    assert "already there" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert translate(folder, "--overwrite") == 0
    assert opened(tmp_path / "out/b.png").size == (24, 20)


def test_what_cannot_be_read_is_listed_and_the_rest_is_done(folder, tmp_path, translate, capsys):
    for i in range(60):
        Image.fromarray(noise(8, 8)).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes(b"no image")
    (folder / "7.png").write_bytes((folder / "4.png").read_bytes()[:80])
    Image.fromarray(noise(4, 30)).save(folder / "9.png")
    assert translate(folder) == 1
    captured = capsys.readouterr()
    assert "57 files in" in captured.out
    assert [line.partition(":")[0] for line in captured.err.splitlines() if line.startswith("left out")] == [
        f"left out {folder / name}" for name in ("3.png", "7.png", "9.png")
    ]
    assert "3 of 60" in captured.err
    assert len(list((tmp_path / "out").iterdir())) == 57


def test_a_bomb_is_one_line_before_it_is_decoded(folder, translate, capsys):
    encoded = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(encoded, "png")  # 50 kB
    (folder / "bomb.png").write_bytes(encoded.getvalue())
    assert translate(folder) == 1
    assert "million pixels" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["in"], ["nosuch"], ["in/notes.txt"], []])
def test_nothing_to_translate_is_said(folder, tmp_path, translate, capsys, words):
    (folder / "notes.txt").write_text("words")
    assert translate(*(tmp_path / word for word in words)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_image_that_its_format_cannot_hold_is_listed(folder, translate, capsys):
    Image.new("L", (16400, 8)).save(folder / "wide.png")  # WebP holds 16383
    Image.new("L", (16, 8)).save(folder / "a.png")
    assert translate(folder, "--format", "webp") == 1
    said = capsys.readouterr()
    assert "WEBP cannot hold it" in said.err
    assert "1 file in" in said.out


def test_ctrl_c_keeps_what_is_finished_and_counts_it(folder, tmp_path):
    for i in range(200):
        Image.fromarray(noise()).save(folder / f"{i:03d}.png")
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_translate import negative
from ganvas import checkpoint
from ganvas.cli import main
model = negative()
before = model.method.translate
model.method.translate = lambda *words: (time.sleep(0.1), before(*words))[1]
checkpoint.load = lambda path, device: model
sys.exit(main(["translate", "model", {str(folder)!r}, "--out", {str(tmp_path / "out")!r}]))
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out/003.png").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    done = sorted(os.listdir(tmp_path / "out"))
    assert err.endswith(f"ganvas: interrupted; {len(done)} of 200 files are done and kept in {tmp_path / 'out'}\n")
    assert all(opened(tmp_path / "out" / name).size == (24, 20) for name in done)


# --- videos ----------------------------------------------------------------------------------------------------------


def save_video(path, count=4, **options):
    frames = [Image.new("RGB", (24, 16), (60 * i, 10, 200)) for i in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
@pytest.mark.parametrize("loop", [0, 3])
def test_an_animation_keeps_its_times(folder, tmp_path, translate, ending, loop):
    times = [100, 40, 250, 80]
    save_video(folder / f"a.{ending}", duration=times, loop=loop, **({"lossless": True} if ending == "webp" else {}))
    assert translate(folder) == 0
    with Image.open(tmp_path / f"out/a.{ending}") as made:
        assert made.n_frames == 4
        assert made.info["loop"] == loop
        for i, wanted in enumerate(times):
            made.seek(i)
            made.load()
            assert made.info["duration"] == wanted
            assert np.asarray(made.convert("RGB"))[4, 4].astype(int) == pytest.approx((255 - 60 * i, 245, 55), abs=8)


def test_a_gif_that_is_shown_once_still_is(folder, tmp_path, translate):
    save_video(folder / "a.gif", duration=50)
    assert translate(folder) == 0
    assert "loop" not in opened(tmp_path / "out/a.gif").info


def test_a_gif_keeps_its_holes(folder, tmp_path, translate):
    frames = [Image.new("RGBA", (24, 16), (0, 0, 0, 0)) for _ in range(2)]
    for i, frame in enumerate(frames):
        frame.paste((200, 0, 0, 255), (8 * i, 0, 8 * i + 8, 16))
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    assert translate(folder) == 0
    with Image.open(tmp_path / "out/a.gif") as made:
        for i in range(2):
            made.seek(i)
            alpha = np.asarray(made.convert("RGBA"))[8, :, 3]
            assert alpha.tolist() == [255 * (x // 8 == i) for x in range(24)]


def test_of_an_animation_a_still_format_gets_the_first_frame_and_that_is_said(folder, tmp_path, translate, capsys):
    save_video(folder / "a.gif", duration=50)
    assert translate(folder, "--format", "tif") == 0
    assert opened(tmp_path / "out/a.tif").size == (24, 16)
    assert "first frame" in capsys.readouterr().err


def write_video(path, *, size=(48, 32), rate=12, seconds=2, sound=True, codec="libx264", turn=0):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as out:
        shown = out.add_stream(codec, rate=rate, options={"crf": "10"} | ({"bf": "0"} if path.suffix == ".avi" else {}))
        shown.width, shown.height, shown.pix_fmt = *size, "yuv420p"
        if turn:
            shown.set_display_rotation(turn)
        heard = out.add_stream("libopus" if codec.startswith("libvpx") else "aac", rate=48000) if sound else None
        for i in range(rate * seconds):
            x = np.linspace(0, 200, size[0])[None, :, None] + np.array([i, 20, 40])
            pixels = np.broadcast_to(x, (size[1], size[0], 3)).clip(0, 255).astype(np.uint8)
            pixels = pixels.copy()
            pixels[:8, :8] = (250, 250, 250)  # top left
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = i
            out.mux(shown.encode(frame))
        out.mux(shown.encode(None))
        if heard:
            tone = (np.sin(np.arange(48000 * seconds) / 20) * 9000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, 0
            out.mux(heard.encode(frame))
            out.mux(heard.encode(None))


def watch(path):
    """Frames, times in seconds, and the bytes of the sound."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as video_:
        frames = [(frame.to_ndarray(format="rgb24").astype(int), frame.time) for frame in video_.decode(video=0)]
    with av.open(str(path)) as video_:
        sound = [bytes(packet) for packet in video_.demux(audio=0) if packet.size] if video_.streams.audio else []
    return [pixels for pixels, _ in frames], [time for _, time in frames], sound


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("mov", "libx264"),
                                               ("avi", "libx264"), ("webm", "libvpx-vp9")])  # fmt: skip
def test_a_video_keeps_times_and_sound(folder, tmp_path, translate, ending, codec):
    write_video(folder / f"a video.{ending}", codec=codec, sound=ending != "avi")
    assert translate(folder) == 0
    before, times_before, sound_before = watch(folder / f"a video.{ending}")
    after, times_after, sound_after = watch(tmp_path / f"out/a video.{ending}")
    assert len(after) == len(before) == 24
    assert times_after == pytest.approx(times_before, abs=0.002)
    assert sound_after == sound_before
    assert bool(sound_after) == (ending != "avi")
    assert np.abs(255 - before[12][10:, 10:] - after[12][10:, 10:]).mean() < 6
    assert not list((tmp_path / "out").glob("*.tmp"))


def test_a_turned_video_is_turned_for_good(folder, tmp_path, translate):
    write_video(folder / "a.mp4", turn=90, sound=False)
    assert translate(folder) == 0
    after, _, _ = watch(tmp_path / "out/a.mp4")
    assert after[0].shape == (48, 32, 3)
    av = pytest.importorskip("av")
    with av.open(str(folder / "a.mp4")) as source, av.open(str(tmp_path / "out/a.mp4")) as made:
        first = next(source.decode(video=0))
        assert (first.rotation, next(made.decode(video=0)).rotation) == (90, 0)
    assert after[0][-6:, :6].mean() < 60  # against the clock, top left comes to lie bottom left; white is black now


def test_odd_sides_get_one_pixel_more_and_that_is_said(folder, tmp_path, translate, capsys, monkeypatch):
    write_video(folder / "a.mp4", size=(48, 32), sound=False)
    monkeypatch.setattr(video, "_image", lambda frame, path: DecodedImage(torch.zeros(3, 31, 47, dtype=torch.uint8)))
    assert translate(folder) == 0
    assert watch(tmp_path / "out/a.mp4")[0][0].shape == (32, 48, 3)
    assert "even sides" in capsys.readouterr().err


def test_a_broken_video_is_listed_and_leaves_nothing(folder, tmp_path, translate, capsys):
    pytest.importorskip("av")
    (folder / "a.mp4").write_bytes(b"no video at all" * 100)
    assert translate(folder) == 1
    assert "a.mp4: broken" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_without_the_package_videos_say_what_to_install_and_images_are_done(
    folder, tmp_path, translate, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("a.png", "z.png"):
        Image.fromarray(noise()).save(folder / name)
    (folder / "m.mp4").write_bytes(b"video")
    assert translate(folder) == 1
    said = capsys.readouterr().err
    assert f"left out {folder / 'm.mp4'}: videos need the package PyAV; pip install 'ganvas[video]'" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "z.png"]


def moving(count=6, side=64):
    """A square that moves over a textured ground; each frame's result flickers in brightness."""
    ground = np.asarray(photograph(seed=5, width=side * 2, height=side)).copy()
    ground[::4, ::4] = 0
    return [
        DecodedImage(torch.from_numpy(ground[:, 2 * i : 2 * i + side].copy()).permute(2, 0, 1)) for i in range(count)
    ]


def test_smoothing_takes_away_flicker_and_leaves_the_motion():
    flicker = iter([0, 30, 0, 30, 0, 30])

    def change(frame):
        return DecodedImage((frame.pixels.float() * 0.6 + next(flicker)).to(torch.uint8))

    frames = moving()
    steady = video.Steady(change, 0.8)
    made = [steady(frame).pixels.float() for frame in frames]
    last = [made[i][:, 8:-8, 8:-8] - frames[i].pixels[:, 8:-8, 8:-8] * 0.6 for i in (4, 5)]
    assert abs(float(last[1].mean() - last[0].mean())) < 12  # of 30
    assert float(last[1].std()) < 6  # it moves along: a plain average would leave ghosts of the dots


def test_nothing_of_the_scene_before_remains():
    frames = [DecodedImage(torch.full((3, 40, 40), value, dtype=torch.uint8)) for value in (20, 220)]
    steady = video.Steady(lambda frame: frame, 0.9)
    assert [int(steady(frame).pixels.float().mean()) for frame in frames] == [20, 220]


def test_frames_too_small_for_flow_and_enlarging_tasks_pass_through():
    small = video.Steady(lambda frame: frame, 0.5)
    for value in (20, 30):
        assert small(DecodedImage(torch.full((3, 8, 8), value, dtype=torch.uint8))).pixels.unique().tolist() == [value]
    enlarging = video.Steady(
        lambda frame: DecodedImage(frame.pixels.repeat_interleave(2, 1).repeat_interleave(2, 2)), 0.5
    )
    for frame in moving(count=2):
        assert enlarging(frame).pixels.shape == (3, 128, 128)


def test_smooth_below_one_is_held_to(folder, translate, capsys):
    save_video(folder / "a.gif", duration=50)
    assert translate(folder, "--smooth", "0.5") == 0
    assert translate(folder, "--smooth", "1", out="b") == 2
    assert "--smooth" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--format", "tif"]])
def test_smoothing_without_videos_is_wrong_use(folder, tmp_path, translate, capsys, words):
    Image.fromarray(noise()).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"no image")
    if words:  # of which only the first frame will be left
        save_video(folder / "c.gif", duration=50)
    assert translate(folder, "--smooth", "0.5", *words) == 2
    assert "--smooth 0.5: is against flicker in videos" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- styles ---------------------------------------------------------------------------------------------------------


class Tints(Negative):
    """Paints every image in the mean colour of a painting: what it makes of any style is known to the byte."""

    usual_style = torch.tensor([1.0, -1.0, -1.0])  # red

    def style_of(self, images):
        self.seen.append((tuple(images.shape), "style"))
        return images.mean((2, 3))

    def restyle(self, images, style, *, strength=1.0):
        return torch.lerp(images, style[:, None, None].expand_as(images), strength)


@pytest.fixture
def tints():
    model = negative()
    return dataclasses.replace(model, method=Tints(model.manifest.spec).eval())


@pytest.fixture
def paintings(tmp_path):
    """A green and a blue one."""
    places = [tmp_path / "green.png", tmp_path / "blue.png"]
    for place, colour in zip(places, ((0, 200, 0), (0, 0, 100)), strict=True):
        Image.new("RGB", (40, 34), colour).save(place)
    return places


def test_a_model_of_styles_paints_in_the_one_that_is_named(folder, tmp_path, translate, tints, paintings, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, "--style", paintings[0], model=tints) == 0
    assert (array(tmp_path / "out/a.png") == (0, 200, 0)).all()
    assert "mean style" not in capsys.readouterr().err
    assert translate(folder, "--style", *paintings, model=tints, out="both") == 0
    assert (array(tmp_path / "both/a.png") == (0, 100, 50)).all()
    assert translate(folder, "--style", paintings[0], "--strength", 0.25, model=tints, out="some") == 0
    expected = 0.75 * noise() + 0.25 * np.array((0, 200, 0))
    assert np.abs(array(tmp_path / "some/a.png") - expected).max() <= 1
    assert translate(folder, "--style", paintings[0], "--strength", 0, model=tints, out="none") == 0
    assert np.array_equal(array(tmp_path / "none/a.png"), noise())


def test_without_a_painting_it_takes_its_usual_style_and_says_so(folder, tmp_path, translate, tints, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, model=tints) == 0
    assert (array(tmp_path / "out/a.png") == (255, 0, 0)).all()
    assert "using the mean style of the paintings in training; --style" in capsys.readouterr().err
    assert translate(folder, "--strength", 0.5, model=tints, out="half") == 0
    assert np.abs(array(tmp_path / "half/a.png") - (noise() / 2 + np.array((127.5, 0, 0)))).max() <= 1


def test_a_painting_is_looked_at_once_and_not_at_its_full_size(folder, translate, tints, tmp_path):
    for name in "abc":
        Image.fromarray(noise()).save(folder / f"{name}.png")
    photograph(seed=3, width=1500, height=900).save(tmp_path / "large.jpg")
    assert translate(folder, "--style", tmp_path / "large.jpg", model=tints) == 0
    assert tints.method.seen == [((1, 3, 307, 512), "style")]


def test_a_transparent_painting_hangs_on_a_white_wall_and_a_grey_one_has_no_colour(folder, tmp_path, translate, tints):
    Image.fromarray(noise()).save(folder / "a.png")
    Image.new("RGBA", (40, 40), (0, 0, 0, 1)).save(tmp_path / "clear.png")
    Image.new("L", (40, 40), 70).save(tmp_path / "grey.png")
    for name, colour in (("clear", 254), ("grey", 70)):
        assert translate(folder, "--style", tmp_path / f"{name}.png", model=tints, out=name) == 0
        assert (array(tmp_path / name / "a.png") == colour).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--strength", "1.5"], "--strength 1.5: expected 0"),
        (["--strength", "-0.1"], "--strength -0.1: expected 0"),
        (["--strength", "nan"], "--strength nan: expected 0"),
        (["--style", "{}/nosuch.png"], "nosuch.png: no such image"),
        (["--style", "{}"], "is a folder; name the images themselves"),
        (["--style", "{}/broken.png"], "broken.png: not an image"),
        (["--style", "{}/green.png", "{}/small.png"], "style 2: 40x20 pixels, too few to show a style; expected 32"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_is_no_style_is_one_line(more, words, folder, tmp_path, translate, tints, paintings, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    (tmp_path / "broken.png").write_bytes(b"not an image")
    Image.new("RGB", (40, 20)).save(tmp_path / "small.png")
    assert translate(folder, *(word.replace("{}", str(tmp_path)) for word in more), model=tints) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--style", "--strength"])
def test_models_with_a_way_of_their_own_take_no_style(flag, folder, translate, paintings, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, flag, paintings[0] if flag == "--style" else 0.5) == 2
    assert f"{flag}: a pix2pix model paints in the one style that it learned" in capsys.readouterr().err


def test_images_are_named_before_the_style(tmp_path, translate, tints, paintings, capsys):
    assert translate("--style", *paintings, model=tints) == 2
    assert "name them before --style, which takes all that follow it" in capsys.readouterr().err


def test_tiles_agree_with_the_whole_where_the_style_is_given_by_adain(monkeypatch):
    config = small_config("adain")
    method = taught(Adain(config, Spec(64, 3, (), 3))).eval()
    for layer in method.average.modules():
        if isinstance(layer, nn.Conv2d):  # as it begins, it hardly tells one place from another
            nn.init.kaiming_normal_(layer.weight)
    manifest = dataclasses.replace(manifest_of(noise_source(size=64)), method="adain", config=config, spec=method.spec)
    pixels, painting = (
        torch.from_numpy(np.array(photograph(seed=seed, width=width, height=64))).permute(2, 0, 1)
        for seed, width in ((0, 448), (1, 64))
    )
    translator = Translator(checkpoint.Model(method, manifest, 0), styles=[DecodedImage(painting)])
    in_tiles = dataclasses.replace(translator, tile=256)
    whole, tiled = (each(DecodedImage(pixels)).pixels.float() for each in (translator, in_tiles))
    monkeypatch.setattr(tiling, "looks_at_all", lambda layer: False)  # each tile by its own statistics
    apart = in_tiles(DecodedImage(pixels)).pixels.float()
    contrast = (whole - whole.mean((1, 2), keepdim=True)).abs().mean()
    assert contrast > 10
    assert (whole - tiled).abs().mean() < 0.02 * contrast
    assert (whole - apart).abs().mean() > 0.1 * contrast


# --- colours that are kept ------------------------------------------------------------------------------------------


def test_keep_colors_changes_lightness_alone(folder, tmp_path, translate):
    colours = photograph(seed=1, width=30, height=24)
    muted = Image.blend(colours, Image.new("RGB", colours.size, (128, 128, 128)), 0.8)  # so that sRGB has all of them
    muted.save(folder / "a.png")
    assert translate(folder, "--keep-colors") == 0
    images = muted, opened(tmp_path / "out/a.png"), ImageOps.invert(muted)
    before, made, plain = (skimage.color.rgb2lab(np.asarray(image)) for image in images)
    assert np.abs(made[..., 0] - plain[..., 0]).max() < 1
    assert np.abs(made[..., 1:] - before[..., 1:]).max() < 1.5


def test_keep_colors_keeps_alpha_and_makes_no_colours_of_grey(folder, tmp_path, translate):
    Image.fromarray(noise(channels=4), "RGBA").save(folder / "a.png")
    Image.fromarray(noise()[..., 0]).save(folder / "grey.png")
    assert translate(folder, "--keep-colors") == 0
    assert np.array_equal(np.asarray(opened(tmp_path / "out/a.png"))[..., 3], noise(channels=4)[..., 3])
    grey = np.asarray(opened(tmp_path / "out/grey.png").convert("RGB")).astype(int)
    assert np.abs(grey - (255 - noise()[..., :1])).max() <= 1


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: negative(channels=1), "--keep-colors: this model makes grey images"),
        (lambda: negative(channels=1, target_channels=2, task="colorize"), "--keep-colors: this model makes colours"),
    ],
)
def test_models_without_lightness_or_colours_keep_none(model, words, folder, translate, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder, "--keep-colors", model=model()) == 2
    assert words in capsys.readouterr().err


# --- bounds, names and files of every kind ----------------------------------------------------------------------------


def test_a_name_of_254_bytes_is_translated_as_any_other(folder, tmp_path, translate):
    names = ["a.png", "한" * 83 + ".png"]
    for name in names:
        Image.fromarray(noise()).save(folder / name)
    assert translate(folder) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_a_result_whose_name_is_too_long_is_its_own_problem(folder, tmp_path, translate, capsys):
    for name in ("a.png", "b" * 251 + ".png", "c.png"):
        Image.fromarray(noise()).save(folder / name)
    assert translate(folder, "--format", "webp") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.webp", "c.webp"]
    assert "1 of 3 files could not be translated" in capsys.readouterr().err


def test_one_image_is_written_to_the_file_that_is_named(folder, tmp_path, translate, capsys):
    Image.fromarray(noise()).save(folder / "a.png")
    assert translate(folder / "a.png", out="made/b.webp") == 0
    assert opened(tmp_path / "made/b.webp").size == (24, 20)
    assert translate(folder / "a.png", out="made/b.webp") == 2
    assert translate(folder / "a.png", "--overwrite", out="made/b.webp") == 0
    (tmp_path / "folder.png").mkdir()
    assert translate(folder / "a.png", out="folder.png") == 0
    assert opened(tmp_path / "folder.png/a.png").size == (24, 20)
    capsys.readouterr()
    assert translate(folder / "a.png", "--format", "jpg", out="made/c.png") == 2
    assert "has another ending" in capsys.readouterr().err
    assert translate(folder / "a.png", out="made/c.mp4") == 2
    assert "videos videos" in capsys.readouterr().err


def test_a_range_of_values_is_taken_and_one_that_is_assumed_is_said_once(folder, tmp_path, translate, capsys):
    ramp = np.linspace(0, 4095, 400).reshape(20, 20)
    for name in ("a.tif", "b.tif"):
        Image.fromarray(ramp.astype(np.float32)).save(folder / name)
    wanted = 255 - ramp / 4095 * 255
    for number, words in enumerate(([], ["--range", "0", "4095"], ["--range", "auto"])):
        assert translate(folder, "--format", "png", *words, model=negative(channels=1), out=str(number)) == 0
        assert np.abs(array(tmp_path / f"{number}/a.png") - wanted).max() <= 1
        assert capsys.readouterr().err.count("no usual range") == (not words)
    for words in (["0", "0"], ["0", "x"], ["1"], ["0", "inf"]):
        assert translate(folder, "--range", *words, out="no") == 2
        assert "expected two" in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(90, 300), (300, 90)])
def test_an_image_in_strips_is_the_image_as_a_whole(monkeypatch, shape):
    from ganvas.imaging import strips

    image = DecodedImage(
        torch.from_numpy(noise(*shape)).permute(2, 0, 1), torch.randint(0, 256, shape, dtype=torch.uint8)
    )
    models = {
        "own size": Translator(negative()),
        "a size": Translator(negative(), size=40),
        "one size": Translator(negative(size=16, any_size=False)),
        "colorize": Translator(negative(size=32, channels=1, target_channels=2, task="colorize")),
        "superres": Translator(negative(task="superres:2")),
        "inpaint": Translator(negative(task="inpaint")),
        "colours": Translator(negative(), keep_colors=True),
    }
    whole = {name: translator(image) for name, translator in models.items()}
    monkeypatch.setattr(tiling, "WHOLE", 1000)
    monkeypatch.setattr(tiling, "TILE", 64)
    monkeypatch.setattr(strips, "AT_ONCE", 3000)
    for name, translator in models.items():
        parts = translator(image)
        assert (parts.pixels.int() - whole[name].pixels.int()).abs().max() <= 1, name
        assert (parts.alpha is None) == (whole[name].alpha is None), name
        assert parts.alpha is None or torch.equal(parts.alpha, whole[name].alpha), name


def test_what_would_become_too_large_is_said_before(monkeypatch):
    with pytest.raises(DataError, match="would become 20000x16000"):
        Translator(negative(task="superres:4"))(DecodedImage(torch.zeros(1, 1, 1).byte().expand(3, 4000, 5000)))


def test_a_large_image_waits_for_its_turn_and_is_translated_as_any_other(folder, tmp_path, translate, monkeypatch):
    from ganvas.inference import translate as module

    monkeypatch.setattr(module, "_ALONE", 500)
    for name, height in (("a.png", 20), ("b.png", 40), ("c.png", 20)):
        Image.fromarray(noise(height)).save(folder / name)
    (folder / "d.png").write_bytes((folder / "b.png").read_bytes()[:300])
    assert translate(folder) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]
    assert np.array_equal(array(tmp_path / "out/b.png"), 255 - array(folder / "b.png"))


# --- animations, frame by frame ---------------------------------------------------------------------------------------


def alphas(path):
    with Image.open(path) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGBA"))[..., 3].copy())
    return frames


@pytest.mark.parametrize("form", ["keep", "gif", "webp"])
def test_holes_of_later_frames_are_kept(folder, tmp_path, translate, form):
    frames = [Image.new("RGBA", (24, 16), (200, 0, 0, 255)) for _ in range(3)]
    for number, frame in enumerate(frames[1:], 1):
        frame.paste((0, 0, 0, 0), (0, 0, 8 * number, 16))
    frames[0].save(folder / "a.png", save_all=True, append_images=frames[1:], duration=100)
    assert translate(folder, "--format", form) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert [(alpha < 128).sum() / 16 for alpha in alphas(made)] == [0, 8, 16]


@pytest.mark.parametrize("form", ["keep", "gif", "webp"])
def test_a_hidden_first_image_is_no_frame_of_the_result(folder, tmp_path, translate, form):
    hidden, *shown = (Image.new("RGB", (16, 16), (value, 0, 0)) for value in (250, 100, 40, 10))
    hidden.save(folder / "a.png", save_all=True, append_images=shown, default_image=True, duration=80)
    assert translate(folder, "--format", form) == 0
    (made,) = (tmp_path / "out").iterdir()
    with Image.open(made) as image:
        assert image.n_frames == 3
        assert np.asarray(image.convert("RGB"))[..., 0].mean() == pytest.approx(155, abs=4)


@pytest.mark.parametrize("ending", ["gif", "png"])
def test_of_an_animation_that_breaks_off_what_is_whole_is_kept_and_that_is_said(
    folder, tmp_path, translate, capsys, ending
):
    frames = [Image.fromarray(np.random.default_rng(k).integers(0, 256, (40, 40, 3), dtype=np.uint8)) for k in range(5)]
    frames[0].save(folder / f"a.{ending}", save_all=True, append_images=frames[1:], duration=50)
    content = (folder / f"a.{ending}").read_bytes()
    (folder / f"a.{ending}").write_bytes(content[: len(content) * 7 // 10])
    assert translate(folder) == 0
    assert len(alphas(tmp_path / f"out/a.{ending}")) == 3
    assert "later frames are broken" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_few_frames_are_held_at_once(tmp_path, ending):
    frames = [
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (16, 16, 3), dtype=np.uint8)) for k in range(20)
    ]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], duration=50)
    kept, most = [], []

    def change(frame):
        kept.append(weakref.ref(frame))
        most.append(sum(each() is not None for each in kept))
        return DecodedImage(255 - frame.pixels, frame.alpha)

    video.change_video(tmp_path / f"a.{ending}", tmp_path / f"b.{ending}", change)
    assert len(alphas(tmp_path / f"b.{ending}")) == 20
    assert max(most) <= 2


def test_an_animation_of_very_many_pixels_is_told_to_become_a_video(folder, translate, capsys, monkeypatch):
    from ganvas.imaging import animation

    monkeypatch.setattr(animation, "MOST_PIXELS", 24 * 16 * 3)
    save_video(folder / "a.gif", duration=50)
    assert translate(folder) == 1
    assert "4 frames of 24x16 pixels" in capsys.readouterr().err


# --- videos that are not what they seem -------------------------------------------------------------------------------


def test_a_video_is_opened_as_a_file_whatever_its_name_or_content_says(tmp_path, monkeypatch):
    av = pytest.importorskip("av")
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mkv", sound=False, seconds=1)
    os.rename("a.mkv", "concat:b.mkv")
    video.change_video(Path("concat:b.mkv"), Path("subfile:c.mkv"), lambda frame: frame)
    assert len(watch(Path.cwd() / "subfile:c.mkv")[0]) == 12
    os.rename("concat:b.mkv", "b.mkv")
    Path("list.mkv").write_text("ffconcat version 1.0\nfile b.mkv\n")
    Path("list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nb.mkv\n#EXT-X-ENDLIST\n")
    for name in ("list.mkv", "list.mp4"):
        with pytest.raises(DataError, match="broken"):
            video.change_video(Path(name), Path("d.mkv"), lambda frame: frame)
    assert av


def test_the_alpha_of_a_video_is_lost_and_that_is_said(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.webm"), "w") as out:
        stream = out.add_stream("libvpx-vp9", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 4), 90, np.uint8), format="rgba")
            out.mux(stream.encode(frame.reformat(format="yuva420p")))
        out.mux(stream.encode(None))
    (note,) = video.change_video(tmp_path / "a.webm", tmp_path / "b.webm", lambda frame: frame)
    assert "transparency of videos is left out" in note


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_a_pipe_is_no_video(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="a pipe or a device"):
        video.change_video(tmp_path / "a.mp4", tmp_path / "b.mp4", lambda frame: frame)


def test_frames_of_a_video_are_bounded(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", sound=False, seconds=1)
    monkeypatch.setattr(video, "MOST_PIXELS", 48 * 32 - 1)
    with pytest.raises(DataError, match="48x32 pixels"):
        video.change_video(tmp_path / "a.mp4", tmp_path / "b.mp4", lambda frame: frame)

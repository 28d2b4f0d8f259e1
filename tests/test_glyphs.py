"""Characters of fonts: all of them, at one scale and baseline, the same each time, and partners are one character."""

import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from conftest import manifest_of, pairs_source, small_config

import ganvas
from ganvas import Data, checkpoint, methods
from ganvas.data import glyphs, open_data
from ganvas.data.batch import ImageBatch, PairBatch, Spec
from ganvas.data.decode import How
from ganvas.data.glyphs import open_glyphs
from ganvas.errors import DataError, ModelError, SettingError, UsageError
from ganvas.imaging.images import to_bytes, to_signed
from ganvas.inference.lettering import lettered
from ganvas.inference.translate import Translator

FONTS = matplotlib.get_data_path() + "/fonts/ttf/"
SANS, SERIF = f"glyphs:{FONTS}DejaVuSans.ttf", f"glyphs:{FONTS}DejaVuSerif.ttf"
BOTH = f"{SANS},{FONTS}DejaVuSerif.ttf"


def ink(images):
    return 1 - images.float() / 255


def opened(name=SANS, *, size=64, target=None, characters="latin", **how):
    return open_glyphs(name, How(size=size, **how), target=target, characters=characters)


def test_all_characters_lie_within_the_image_on_one_baseline():
    found = opened(size=128)
    assert (len(found), found.spec.size, found.spec.channels, found.names[0]) == (52, 128, 1, "A")
    dark = ink(found.images.images)[:, 0] > 0.5
    assert not dark[:, [0, -1]].any()
    assert not dark[:, :, [0, -1]].any()
    bottoms = {name: int(rows.nonzero().max()) for name, rows in zip(found.names, dark.any(2), strict=True)}
    assert max(bottoms[name] for name in "EHIx") - min(bottoms[name] for name in "EHIx") <= 1
    assert bottoms["g"] > bottoms["x"] + 10
    for columns in dark.any(1):  # centred from left to right
        places = columns.nonzero()
        assert abs(int(places.min()) + int(places.max()) - 127) <= 2
    assert dark.any(2).sum(1).float().max() > 64


def test_partners_are_one_character_and_the_same_each_time():
    pairs, again = opened(target=SERIF), opened(target=SERIF)
    assert pairs.batch is PairBatch
    assert torch.equal(pairs.images.source, again.images.source)
    assert torch.equal(pairs.images.source, opened().images.images)
    assert torch.equal(pairs.images.target, opened(SERIF).images.images)
    similar = torch.einsum("ichw,jchw->ij", ink(pairs.images.source), ink(pairs.images.target))
    similar = similar / similar.diagonal()[:, None]
    assert (similar.argsort(1, descending=True)[:, :4] == torch.arange(52)[:, None]).any(1).float().mean() > 0.7


def test_the_class_is_the_character_where_there_are_few_and_else_the_typeface(tmp_path):
    few = opened(BOTH, characters="digits")
    assert few.spec.classes == tuple("0123456789")
    assert few.images.labels.tolist() == [*range(10), *range(10)]
    assert few.names[13] == "3 DejaVuSerif"
    (tmp_path / "many.txt").write_text("".join(map(chr, range(0x400, 0x450))), encoding="utf-8")
    many = opened(BOTH, characters=str(tmp_path / "many.txt"))
    assert many.spec.classes == ("DejaVuSans", "DejaVuSerif")
    assert many.images.labels.tolist() == [0] * 80 + [1] * 80
    assert opened().spec.classes == ()


def test_held_out_characters_are_those_of_every_font():
    parts = [opened(BOTH, holdout=0.3, part=part) for part in ("train", "test")]
    names = [{name[0] for name in part.names} for part in parts]
    assert names[0].isdisjoint(names[1])
    assert len(names[0] | names[1]) == 52
    assert all(len(part) == 2 * len(held) for part, held in zip(parts, names, strict=True))


def test_too_many_for_the_memory_are_drawn_on_access(monkeypatch):
    whole = opened(target=SERIF)
    monkeypatch.setattr(glyphs, "RESIDENT_BYTES", 0)
    lazy = opened(target=SERIF)
    assert not isinstance(lazy.images, PairBatch)
    row, complaint = lazy.images[7]
    assert complaint is None
    assert torch.equal(row.source, whole.images.source[7:8])


def test_blank_and_missing_characters_are_left_out_with_a_word(tmp_path):
    (tmp_path / "some.txt").write_text("AB\u200b\u00a0C가힣\u2800", encoding="utf-8")
    found = opened(characters=str(tmp_path / "some.txt"))
    assert set(found.names) == set("ABC")
    assert any("가 힣" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("glyphs:", {}, "names no font"),
        ("glyphs:nowhere.ttf", {}, "nowhere.ttf: no such font file"),
        (SANS, {"characters": "hangul"}, "no character of hangul"),
        (SANS, {"characters": "klingon"}, "`characters` klingon: expected hangul, latin, digits"),
        (SANS, {"target": BOTH}, "give one, whose characters are the targets"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(name, given, words):
    with pytest.raises((DataError, SettingError)) as caught:
        opened(name, **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_characters_go_with_fonts_alone():
    with pytest.raises(UsageError, match="`characters` latin"):
        open_data(Data("digits", characters="latin"))


def said_of(file):
    """What is said of a font file; empty if its characters can be drawn."""
    try:
        opened(f"glyphs:{file}", size=16, characters="digits")
    except DataError as error:
        return str(error)
    return ""


def test_damaged_fonts_are_one_line(tmp_path):
    content = Path(f"{FONTS}DejaVuSansMono.ttf").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(40):
        damaged = bytearray(content)
        for place in rng.integers(0, 4000 if number % 2 else len(damaged), 20):
            damaged[place] = int(rng.integers(256))
        file = tmp_path / f"{number}.ttf"
        file.write_bytes(damaged[: int(rng.integers(1, len(damaged)))] if number % 3 == 0 else damaged)
        said = said_of(file)
        assert "\n" not in said
        assert len(said) < 300 + len(str(file))


def test_a_model_learns_to_write_in_another_typeface(tmp_path):
    data = Data(SANS, target=SERIF, characters="latin", size=16, holdout=0.2)
    model = ganvas.train("pix2pix", data, tmp_path / "run", steps=4, width=4, discriminator_width=4, progress=False)
    assert model.kind == "translates"
    test = open_data(data, (PairBatch,), split="test")
    assert 0 < len(test) < 26
    assert len(open_data(Data(BOTH, characters="digits", size=16), (ImageBatch,))) == 20
    with pytest.raises(DataError, match="both are fonts"):
        open_data(Data(SANS, target=tmp_path, size=16), (PairBatch,))


# --- text in a model's hand -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hand(tmp_path_factory):
    """A translator of characters of 32 pixels, with the weights it starts with."""
    source = open_data(Data(SANS, target=SERIF, characters="latin", size=32), (PairBatch,))
    method = methods.get("pix2pix")(small_config("pix2pix"), source.spec).eval()
    return Translator(checkpoint.Model(method, manifest_of(source, "pix2pix"), 0))


def test_a_text_is_set_in_lines_with_the_spacing_of_the_font(hand):
    font = Path(f"{FONTS}DejaVuSans.ttf")
    face = glyphs.placed(font, 32, characters="latin")
    page = lettered(hand, "AB\nMMM iii", font, characters="latin").pixels
    assert page.shape == (1, 32 + 35, 32 + math.ceil(sum(map(face.advance, "MMM iii"))))
    assert torch.equal(page, lettered(hand, "AB\r\nMMM iii", font, characters="latin").pixels)
    alone = lettered(hand, "A", font, characters="latin").pixels
    expected = hand.method.translate(to_signed(face.drawn("A")[None]))
    left = round(16 + face.middle("A") - 16)
    assert torch.equal(alone[:, :, left : left + 32], to_bytes(expected)[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("안녕 A", "has no 녕 안"),
        ("A" * 20_000, "more than 10,000"),
        ("A" * 9_000 + "\n" * 900, "pixels; break it into lines"),
    ],
)
def test_a_text_that_cannot_be_set_is_one_line(text, words, hand):
    with pytest.raises((DataError, SettingError)) as caught:
        lettered(hand, text, Path(f"{FONTS}DejaVuSans.ttf"))
    assert words in str(caught.value)


def test_a_model_of_colour_images_writes_nothing():
    spec = Spec(32, 3, target_channels=3)
    method = methods.get("pix2pix")(small_config("pix2pix"), spec).eval()
    source = pairs_source(size=32, channels=3)
    model = checkpoint.Model(method, manifest_of(source, "pix2pix"), 0)
    with pytest.raises(ModelError, match="colour"):
        lettered(Translator(model), "A", Path(f"{FONTS}DejaVuSans.ttf"))

"""The doctor: each test makes exactly one fault, and a clean folder has none."""

import json
import struct
import time
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter, ImageOps

from ganvas.cli import main
from ganvas.data.decode import How
from ganvas.data.folder import held_out
from ganvas.data.paired import open_side_by_side, open_two_folders
from ganvas.doctor import Plan, check
from ganvas.doctor.alignment import relate
from ganvas.doctor.near_duplicates import find_twins
from ganvas.doctor.scan import Look
from ganvas.errors import DataError, UsageError


def scene(seed, *, width=64, height=64):
    """An image with edges: rectangles of random colours."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(12):
        x, y = rng.integers(0, width * 3 // 4), rng.integers(0, height * 3 // 4)
        w, h = rng.integers(4, width // 2), rng.integers(4, height // 2)
        pixels[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def edges(image):
    return image.convert("L").filter(ImageFilter.FIND_EDGES)


def negative(image):
    return ImageOps.invert(image).filter(ImageFilter.GaussianBlur(1))


def side_by_side(left, right):
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


@pytest.fixture
def clean(tmp_path):
    """Sixty different images."""
    return fill(tmp_path / "clean", {f"{i:02}.png": scene(i) for i in range(60)})


def fill(folder, images):
    folder.mkdir(exist_ok=True, parents=True)
    for name, image in images.items():
        (folder / name).parent.mkdir(exist_ok=True)
        image.save(folder / name)
    return folder


def found(folder, **plan):
    """The findings by kind, without the hint that noise takes more images."""
    return {f.kind: f for f in check(Plan(folder, **plan)).findings if (f.kind, f.severity) != ("too-few", "note")}


def only(kind, folder, **plan):
    """The one finding there is."""
    all_of_them = found(folder, **plan)
    assert [*all_of_them] == [kind]
    return all_of_them[kind]


def test_a_clean_folder_has_no_faults(clean):
    report = check(Plan(clean, size=64))
    assert (report.ready, report.count, report.what) == (True, 60, "images")
    assert [finding.kind for finding in report.findings] == ["too-few"]
    assert report.verdict == "ready: 60 images; 1 note"
    assert report.tables == {"size": [("64x64", 60)], "pixels": [("colour", 60)]}


# --- files ----------------------------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def bomb(path):
    """A PNG that says of itself that it has 20,000 x 20,000 pixels."""
    parts = [b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0), b"IDAT"]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


FAULTS = {
    "empty": lambda path: path.write_bytes(b""),
    "broken": cut,
    "no-image": lambda path: path.write_bytes(b"hello, I am no image"),
    "too-small": lambda path: Image.new("RGB", (7, 64)).save(path),
    "too-large": bomb,
}


def test_a_file_that_is_too_long_is_not_called_too_small(clean):
    Image.new("1", (70_000, 8)).save(clean / "07.png")
    assert only("too-large", clean).examples[0].startswith("07.png")


@pytest.mark.parametrize("kind", FAULTS)
def test_a_file_that_cannot_be_used_is_named(kind, clean):
    FAULTS[kind](clean / "07.png")
    fault = only(kind, clean)
    assert fault.count == 1
    assert fault.examples[0].startswith("07.png")
    assert fault.severity == "warning"  # training goes on without up to a tenth
    for i in range(10, 16):
        FAULTS[kind](clean / f"{i}.png")
    assert only(kind, clean).severity == "error"


def test_a_broken_file_among_many_is_left_out(clean):
    fill(clean, {f"more{i}.png": scene(1000 + i) for i in range(100)})
    cut(clean / "07.png")
    report = check(Plan(clean))
    assert (report.ready, report.count) == (True, 159)
    assert report.findings[0].severity == "warning"


def test_ten_thousand_files_take_seconds(tmp_path):
    """2,000 here, of which three are broken."""
    folder, rng = tmp_path / "many", np.random.default_rng(0)
    folder.mkdir()
    for i in range(2000):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{i}.png", compress_level=0)
    for i in (5, 50, 500):
        (folder / f"{i}.png").write_bytes(b"\x89PNG\r\n")
    start = time.perf_counter()
    fault = only("no-image", folder)
    assert time.perf_counter() - start < 20  # 1 s on a quiet machine
    assert (fault.count, fault.severity, fault.examples) == (3, "warning", ("5.png", "50.png", "500.png"))


def test_files_that_are_passed_over_are_named(clean):
    (clean / "notes.txt").write_text("hello")
    (clean / ".hidden").write_text("nobody sees this")
    (clean / "phone.heic").write_bytes(b"a format that ganvas does not read")
    fill(clean / "below", {"99.png": scene(99)})
    with pytest.raises(DataError, match="below"):  # as training says
        check(Plan(clean))
    (clean / "below").rename(clean / "deep")
    (clean / "two").mkdir()
    (clean / "deep").rename(clean / "two" / "deep")
    faults = found(clean)
    assert {kind: fault.examples for kind, fault in faults.items()} == {
        "deeper": ("two/deep/99.png",),
        "other-format": ("phone.heic",),
        "other-files": ("notes.txt",),
    }


def test_names_of_all_kinds_are_shown(clean, capsys):
    for name in ("a b.png", "고양이.png", "🐈.png", "[red]x[bold].png"):
        (clean / name).write_bytes(b"")
    assert main(["doctor", str(clean)]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("a b.png", "고양이.png", "🐈.png", "[red]x[bold].png"))


def test_folders_of_one_name_are_told_apart(two, monkeypatch):
    source, target = two
    monkeypatch.chdir(source.parent)
    for folder in ("a", "b"):
        (source.parent / folder).mkdir()
    source.rename("a/train")
    target.rename("b/train")
    (source.parent / "b/train/07.bmp").unlink()
    told = found(source.parent.joinpath("a/train").relative_to(source.parent), target=source.parent / "b/train")
    assert told["no-target"].examples == ("a/train/07.png",)


# --- images -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "severity"), [(1, "error"), (49, "warning"), (499, "note"), (500, None)])
def test_too_few_images(n, severity, tmp_path):
    folder = fill(tmp_path / "few", {f"{i}.png": scene(i, width=16, height=16) for i in range(n)})
    faults = [finding for finding in check(Plan(folder)).findings if finding.kind == "too-few"]
    assert [(fault.severity, fault.count) for fault in faults] == ([(severity, n)] if severity else [])


def test_a_blank_image(clean):
    Image.new("RGB", (64, 64), "teal").save(clean / "07.png")
    assert only("blank", clean).examples == ("07.png",)


def test_what_is_white_but_for_its_transparency_is_not_blank(clean):
    logo = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    logo.paste((255, 0, 0, 255), (8, 8, 40, 30))
    logo.save(clean / "07.png")
    assert only("modes", clean).examples == ("59 colour", "1 colour, transparency")


def test_a_grey_image_among_colour_ones(clean):
    scene(7).convert("L").convert("RGB").save(clean / "07.jpg")
    (clean / "07.png").unlink()
    assert only("grey", clean).examples == ("07.jpg",)


def test_grey_images_by_themselves_are_no_fault(tmp_path):
    assert not found(fill(tmp_path / "grey", {f"{i}.png": scene(i).convert("L") for i in range(60)}))


@pytest.mark.parametrize(
    ("mode", "told"),
    [("RGBA", "colour, transparency"), ("P", "palette"), ("CMYK", "CMYK"), ("I;16", "grey, 16 bit"), ("L", "grey")],
)
def test_mixed_kinds_of_pixels(mode, told, clean):
    image = scene(7)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    path = (clean / "07.png").with_suffix(".tif" if mode == "CMYK" else ".png")
    (clean / "07.png").unlink()
    (image if mode == "I;16" else image.convert(mode)).save(path)
    faults = found(clean)
    assert faults["modes"].examples == ("59 colour", f"1 {told}")
    assert faults.keys() - {"modes"} <= {"grey"}
    assert dict(check(Plan(clean)).tables["pixels"]) == {"colour": 59, told: 1}


def test_mixed_sizes(clean):
    scene(7, width=80).save(clean / "07.png")
    assert only("sizes", clean).count == 2
    fill(clean, {f"{i:02}.png": scene(i, width=64 + i) for i in range(60)})
    assert check(Plan(clean)).tables["size"][-1] == ("55 others", 55)


def test_images_that_would_be_enlarged(clean):
    assert not found(clean, size=64)
    fault = only("enlarged", clean, size=128)
    assert (fault.count, fault.examples[0]) == (60, "00.png (64x64)")


def test_exif_turns(clean):
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(7, width=48).save(clean / "07.png", exif=exif)
    faults = found(clean)
    assert faults["turned"].examples == ("07.png",)
    assert dict(check(Plan(clean)).tables["size"]) == {"64x64": 59, "64x48": 1}  # upright


def test_colour_profiles(clean):
    lab, srgb = (ImageCms.ImageCmsProfile(ImageCms.createProfile(name)) for name in ("LAB", "sRGB"))
    scene(7).save(clean / "07.png", icc_profile=lab.tobytes())
    scene(8).save(clean / "08.png", icc_profile=srgb.tobytes())
    scene(9).save(clean / "09.png", icc_profile=b"no profile")
    assert [name[:6] for name in only("profile", clean).examples] == ["07.png", "09.png"]


def test_videos(clean):
    scene(7).quantize().save(clean / "07.gif", save_all=True, append_images=[scene(100).quantize()])
    (clean / "07.png").unlink()
    assert found(clean)["frames"].examples == ("07.gif (2)",)


def test_rare_classes(tmp_path):
    names = {f"{name}/{i}.png": (name, i) for name, n in (("cat", 40), ("dog", 40), ("eel", 5)) for i in range(n)}
    folder = fill(tmp_path / "animals", {path: scene(k) for k, path in enumerate(names)})
    assert only("rare-classes", folder).examples == ("eel (5)",)
    assert check(Plan(folder)).tables["class"] == [("cat", 40), ("dog", 40), ("eel", 5)]


# --- twins ----------------------------------------------------------------------------------------------------------


def test_exact_duplicates_whatever_the_format(clean):
    scene(7).save(clean / "again.bmp")
    Image.open(clean / "08.png").convert("RGBA").convert("RGB").save(clean / "once more.tif")
    fault = only("duplicates", clean)
    assert (fault.count, fault.examples) == (2, ("07.png = again.bmp", "08.png = once more.tif"))


NEARLY = {
    "saved anew.jpg": lambda image: image,
    "smaller.png": lambda image: image.resize((40, 40), Image.Resampling.LANCZOS),
    "darker.jpg": lambda image: image.point(lambda value: int(value * 0.95)),
}


@pytest.mark.parametrize("way", NEARLY)
def test_near_duplicates(way, clean):
    NEARLY[way](scene(7)).save(clean / way, quality=70)
    fault = found(clean)["near-duplicates"]
    assert (fault.count, fault.examples) == (1, (f"07.png = {way}",))


def test_alike_hashes_alone_are_no_alarm(clean):
    """Two images whose brightness runs alike from left to right, but which are not the same."""
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (64, 1, 3))
    Image.fromarray(ramp).save(clean / "ramp.png")
    Image.fromarray(ramp // 3 + np.linspace(0, 180, 64).astype(np.uint8)[:, None, None]).save(clean / "other.png")
    assert found(clean).keys() == {"grey"}


def test_twins_are_those_that_each_with_each_would_find():
    """Against the plain loop, on thumbnails that drift slowly, over several blocks."""
    from ganvas.doctor import near_duplicates

    rng = np.random.default_rng(0)
    start = rng.integers(0, 256, (40, 3, 16, 16))
    looks = []
    for i in range(300):
        thumbnail = (start[i % 40] + rng.normal(0, 4 + i % 13, (3, 16, 16))).clip(0, 255).astype(np.uint8)
        bits = np.diff(start[i % 40].mean(0)[::2, :9]).ravel() > rng.normal(0, 3, 64)
        shape = {"width": 16, "height": 16, "mode": "", "grey": False, "blank": False, "turned": False, "frames": 1}
        looks.append(
            Look(None, "", **shape, profile="", digest=bytes([i // 256, i % 256]), bits=bits, thumbnail=thumbnail)
        )

    def near(one, other):
        difference = np.abs(one.thumbnail.astype(int) - other.thumbnail)
        greys = [look.thumbnail.mean(0).ravel() for look in (one, other)]
        return (
            (one.bits != other.bits).sum() <= near_duplicates.BITS
            and difference.mean() <= near_duplicates.MEAN
            and difference.max() <= near_duplicates.MOST
            and np.corrcoef(*greys)[0, 1] >= near_duplicates.ALIKE
        )

    links = {(i, j) for i in range(300) for j in range(i + 1, 300) if near(looks[i], looks[j])}
    assert 100 < len(links) < 1000
    group_of = list(range(300))
    for i, j in sorted(links):
        old, new = group_of[j], group_of[i]
        group_of = [new if group == old else group for group in group_of]
    expected = {tuple(i for i in range(300) if group_of[i] == g) for g in group_of if group_of.count(g) > 1}
    before = near_duplicates.BLOCK
    try:
        near_duplicates.BLOCK = 64
        assert set(find_twins(looks).near) == expected
    finally:
        near_duplicates.BLOCK = before


# --- held out -------------------------------------------------------------------------------------------------------


def test_an_image_held_out_and_in_training(clean, tmp_path):
    held = fill(tmp_path / "held", {f"{i}.png": scene(100 + i) for i in range(20)})
    assert not found(clean, held_out=held)
    scene(7).save(held / "seen.png")
    fault = only("leak", clean, held_out=held)
    assert (fault.severity, fault.count, fault.examples) == ("error", 1, ("held/seen.png = clean/07.png",))


def test_an_image_held_out_that_is_nearly_in_training(clean, tmp_path):
    held = fill(tmp_path / "held", {f"{i}.png": scene(100 + i) for i in range(20)})
    scene(7).save(held / "seen.jpg", quality=80)
    fault = only("near-leak", clean, held_out=held)
    assert (fault.severity, fault.examples) == ("warning", ("held/seen.jpg = clean/07.png",))


def test_twins_parted_by_the_share(clean):
    assert not found(clean, holdout=0.2)
    out = next(path for path in sorted(clean.iterdir()) if held_out(path, 0.2))
    name = next(f"copy{i}.png" for i in range(99) if not held_out(clean / f"copy{i}.png", 0.2))
    Image.open(out).save(clean / name)
    faults = found(clean, holdout=0.2)
    assert faults.keys() == {"leak", "duplicates"}
    assert faults["leak"].examples == (f"{out.name} = {name}",)
    parts = dict(check(Plan(clean, holdout=0.2)).tables["part"])
    assert parts["held out"] == sum(held_out(path, 0.2) for path in clean.iterdir())
    assert sum(parts.values()) == 61


def test_a_share_that_leaves_nothing(clean):
    assert only("empty-split", clean, holdout=0.0001).count == 0


def test_a_share_that_leaves_little(clean):
    first, second, *_, last = (digest_share(path) for path in sorted(clean.iterdir(), key=digest_share))
    fault = only("small-split", clean, holdout=(first + second) / 2)
    assert (fault.severity, fault.count) == ("warning", 1)
    fault = only("empty-split", clean, holdout=last)  # whose image alone is left to train on
    assert (fault.severity, fault.count) == ("error", 1)


def digest_share(path):
    """From which share on a file is held out, found by downsampling."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if held_out(path, middle) else (middle, high)
    return low


# --- side by side ---------------------------------------------------------------------------------------------------


@pytest.fixture
def halves(tmp_path):
    images = [scene(i) for i in range(60)]
    return fill(tmp_path / "halves", {f"{i:02}.png": side_by_side(p, edges(p)) for i, p in enumerate(images)})


def test_pairs_side_by_side(halves):
    assert not found(halves, side="ab")
    assert check(Plan(halves, side="ba")).verdict == "ready: 60 pairs; nothing to fix"
    assert "`side` ab" in only("side-by-side", halves).advice


def test_pairs_that_cannot_be_halved_are_refused_by_training_too(halves):
    side_by_side(scene(7), scene(8)).crop((0, 0, 127, 64)).save(halves / "07.png")
    assert found(halves, side="ab")["no-halves"].severity == "warning"
    assert "07.png" in open_side_by_side(halves, side="ab").left_out[0]
    assert check(Plan(halves, side="ab")).count == 59
    for i in range(7, 14):
        side_by_side(scene(i), scene(8)).crop((0, 0, 127, 64)).save(halves / f"{i:02}.png")
    assert found(halves, side="ab")["no-halves"].severity == "error"
    with pytest.raises(DataError, match=r"07\.png"):
        open_side_by_side(halves, side="ab")


def test_pairs_not_twice_as_wide_as_high(halves):
    scene(7, width=64).save(halves / "07.png")
    assert found(halves, side="ab")["not-twice-as-wide"].examples == ("07.png (64x64)",)


def test_halves_that_are_the_same(halves):
    side_by_side(scene(7), scene(7)).save(halves / "07.png")
    fault = only("same-sides", halves, side="ab")
    assert (fault.severity, fault.examples) == ("warning", ("07.png",))


def test_the_size_of_a_half_counts(halves):
    assert not found(halves, side="ab", size=64)
    assert only("enlarged", halves, side="ab", size=128).count == 60


# --- two folders ----------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path):
    """Sixty photographs, and their negatives in another format."""
    sources = fill(tmp_path / "photos", {f"{i:02}.png": scene(i, width=96, height=96) for i in range(60)})
    targets = {f"{i:02}.bmp": negative(scene(i, width=96, height=96)) for i in range(60)}
    return sources, fill(tmp_path / "negatives", targets)


def test_two_folders(two):
    source, target = two
    assert not found(source, target=target)
    assert check(Plan(source, target=target)).verdict == "ready: 60 pairs; nothing to fix"


def test_missing_partners_are_refused_by_training_too(two):
    source, target = two
    (target / "07.bmp").unlink()
    (source / "09.png").rename(source / "nine.png")
    faults = found(source, target=target)
    assert faults["no-target"].examples == ("photos/07.png", "photos/nine.png")
    assert faults["no-source"].examples == ("negatives/09.bmp",)
    assert not check(Plan(source, target=target)).ready
    with pytest.raises(DataError, match="no partner"):
        open_two_folders(source, target)


def test_partners_that_nearly_share_a_name(two):
    source, target = two
    (source / "07.png").rename(source / "Caf\u00e9.png")
    (target / "07.bmp").rename(target / "cafe\u0301.bmp")
    assert "1 would match" in found(source, target=target)["no-target"].advice
    with pytest.raises(DataError, match="no partner"):
        open_two_folders(source, target)


def test_how_a_name_is_encoded_matters_as_little_as_in_training(two):
    source, target = two
    for number, name in ((7, "caf\u00e9"), (8, "\uc0ac\uc9c4")):
        (source / f"{number:02}.png").rename(source / f"{name}.png")
        (target / f"{number:02}.bmp").rename(target / (unicodedata.normalize("NFD", name) + ".bmp"))
    assert not found(source, target=target)
    assert len(open_two_folders(source, target)) == 60


def test_two_encodings_of_one_name_are_one_name(two):
    source, target = two
    for seed, name in ((100, "caf\u00e9"), (101, "cafe\u0301")):
        scene(seed, width=96, height=96).save(source / f"{name}.png")
    scene(102, width=96, height=96).save(target / "caf\u00e9.bmp")
    assert only("same-stem", source, target=target).count == 2
    with pytest.raises(DataError, match="one name"):
        open_two_folders(source, target)


def test_two_files_of_one_name(two):
    source, target = two
    scene(100, width=96, height=96).save(source / "07.jpg")
    assert only("same-stem", source, target=target).examples == ("photos/07.jpg", "photos/07.png")
    with pytest.raises(DataError, match="one name"):
        open_two_folders(source, target)


def test_partners_of_another_shape_are_refused_by_training_too(two):
    source, target = two
    negative(scene(7, width=80, height=96)).save(target / "07.bmp")
    assert found(source, target=target)["partner-shape"].examples == ("photos/07.png (96x96, its target 80x96)",)
    with pytest.raises(DataError, match=r"07\.png"):
        open_two_folders(source, target)


def test_partners_of_another_size(two):
    source, target = two
    negative(scene(7, width=96, height=96)).resize((48, 48)).save(target / "07.bmp")
    fault = found(source, target=target)["partner-size"]
    assert (fault.severity, fault.count) == ("note", 1)
    open_two_folders(source, target, How(size=32))


def test_a_target_that_is_a_copy_of_the_source(two, tmp_path):
    source, _ = two
    copy = fill(tmp_path / "copy", {path.name: Image.open(path) for path in source.iterdir()})
    fault = only("same-sides", source, target=copy)
    assert (fault.severity, fault.count) == ("error", 60)


def test_a_shifted_partner(two):
    source, target = two
    wide = scene(7, width=96, height=96)
    pixels = np.roll(np.asarray(negative(wide)), (6, -9), (0, 1))
    Image.fromarray(pixels).save(target / "07.bmp")
    assert only("shifted", source, target=target).examples == (
        "photos/07.png (target 9 pixels left and 6 pixels down)",
    )


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored"),
        (Image.Transpose.ROTATE_180, "upside down"),
        (Image.Transpose.ROTATE_90, "a quarter to the left"),
    ],
)
def test_a_turned_partner(way, told, two):
    source, target = two
    negative(scene(7, width=96, height=96)).transpose(way).save(target / "07.bmp")
    assert only("turned-partner", source, target=target).examples == (f"photos/07.png (target {told})",)


def test_a_partner_of_another_image(two):
    source, target = two
    negative(scene(100, width=96, height=96)).save(target / "07.bmp")
    fault = only("strangers", source, target=target)
    assert (fault.severity, fault.examples) == ("note", ("photos/07.png",))


def test_images_without_edges_have_no_relation():
    blank = np.full((3, 32, 32), 7, np.uint8)
    relation = relate(blank, np.arange(3 * 32 * 32).astype(np.uint8).reshape(3, 32, 32))
    assert (relation.same, relation.shift, relation.turned) == (False, (0.0, 0.0), "")


def test_two_folders_of_different_things(clean, tmp_path):
    paintings = fill(tmp_path / "paintings", {f"{i}.png": scene(100 + i) for i in range(50)})
    assert check(Plan(clean, target=paintings, unpaired=True)).verdict == "ready: 110 images; nothing to fix"
    scene(7).save(paintings / "7.png")
    assert only("on-both-sides", clean, target=paintings, unpaired=True).examples == ("paintings/7.png = clean/07.png",)


def test_one_side_far_larger(tmp_path):
    many = fill(tmp_path / "many", {f"{i}.png": scene(i, width=16, height=16) for i in range(310)})
    few = fill(tmp_path / "few", {f"{i}.png": scene(1000 + i, width=16, height=16) for i in range(60)})
    assert only("uneven", many, target=few, unpaired=True).count == 60


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_tells_people(clean, capsys):
    assert main(["doctor", str(clean)]) == 0
    assert "ready: 60 images; 1 note" in capsys.readouterr().out
    scene(7).save(clean / "again.png")
    for i in range(10, 17):
        cut(clean / f"{i}.png")
    assert main(["doctor", str(clean)]) == 1
    shown = capsys.readouterr()
    assert "07.png = again.png" in shown.out
    assert shown.err.strip() == "ganvas: not ready: 54 images; 1 error, 1 warning, 1 note"


def test_the_command_tells_machines(clean, capsys):
    for i in range(10, 17):
        cut(clean / f"{i}.png")
    assert main(["doctor", str(clean), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ready"], told["images"]) == (False, 53)
    assert told["findings"][0].keys() == {"severity", "kind", "count", "sentence", "advice", "examples"}
    assert told["findings"][0]["kind"] == "broken"
    assert told["tables"]["size"] == {"64x64": 53}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere"], "no folder of that name"),
        (["mnist"], "published data set"),
        (["{}", "--target", "{}"], "same folder"),
        (["{}", "--target", "nowhere"], "--target nowhere"),
        (["{}", "--held-out", "{}"], "same folder"),
        (["{}", "--unpaired"], "--target"),
        (["{}", "--side", "ab", "--target", "{}/.."], "give one"),
        (["{}", "--side", "up"], "up"),
        (["{}", "--size", "17"], "--size 17"),
        (["{}", "--holdout", "1.5"], "1.5"),
        (["{}", "--held-out", "{}/..", "--holdout", "0.1"], "give one"),
        (["{}/00.png"], "no folder"),
    ],
)
def test_wrong_use_is_one_line(words, why, clean, capsys):
    assert main(["doctor", *(word.format(clean) for word in words)]) == 2
    said = capsys.readouterr().err.strip()
    assert why in said
    assert "\n" not in said


def test_a_folder_in_a_folder_is_no_partner(two):
    source, _ = two
    inside = fill(source / "inside", {"00.png": scene(0)})
    with pytest.raises(UsageError, match="side by side"):
        Plan(source, target=inside)

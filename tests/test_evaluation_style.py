"""What a network sees in images: VGG distance, LPIPS and style, against other hands and in known cases."""

import copy
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from conftest import manifest_of, noise_images, pairs_source, photograph, random_vgg, train_to, unpaired_source
from torch import nn
from torch.nn import functional as F

from ganvas import evaluation, metrics
from ganvas.checkpoint import Model
from ganvas.cli import main
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.errors import UsageError
from ganvas.evaluation import Style
from ganvas.evaluation.measures import PAIRS
from ganvas.imaging import images
from ganvas.imaging.images import to_signed
from ganvas.losses import gram, gram_distance
from ganvas.methods._base import BaseConfig, Method
from ganvas.metrics import features
from ganvas.nets.vgg import LAYERS

DEEPEST = LAYERS[-1]


@pytest.fixture
def vgg():
    """A tiny VGG-19 that has learned nothing."""
    return random_vgg(DEEPEST, width=2)


@pytest.fixture
def without_weights(monkeypatch):
    """In place of VGG-19 a tiny one; returns the files that it was asked for."""
    asked = []

    def open_vgg(weights=None, *, deepest=DEEPEST, pooling="max", kept=False):
        asked.append(weights)
        return copy.deepcopy(random_vgg(deepest, width=2))

    monkeypatch.setattr(features, "open_vgg", open_vgg)
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)
    return asked


def smooth(n, *, size=32, seed=0):
    """Smooth colour images (n, 3, size, size)."""
    images = [photograph(seed=seed + i, width=size, height=size) for i in range(n)]
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images])


def noisy(images, levels):
    rng = torch.Generator().manual_seed(1)
    return (images + levels * torch.randn(images.shape, generator=rng)).round().clamp(0, 255).to(torch.uint8)


# --- the VGG distance -----------------------------------------------------------------------------------------------


def by_hand(vgg, one, other):
    """The formula in double precision, place by place."""
    exact = copy.deepcopy(vgg).double()
    layers = {}
    for name, image in (("one", one), ("other", other)):
        signed = image.double() / 127.5 - 1
        layers[name] = [exact(signed[None], [layer])[layer][0].numpy() for layer in metrics.VGG_LAYERS]
    total = 0.0
    for ours, theirs in zip(layers["one"], layers["other"], strict=True):  # (C, H, W)
        places = []
        for y in range(ours.shape[1]):
            for x in range(ours.shape[2]):
                a, b = ours[:, y, x], theirs[:, y, x]
                a, b = (v / np.linalg.norm(v) if np.linalg.norm(v) else v for v in (a, b))
                places.append(((a - b) ** 2).sum())
        total += np.mean(places)
    return total / len(metrics.VGG_LAYERS)


def test_the_distance_is_the_formula(vgg):
    one, other = smooth(3), smooth(3, seed=9)
    found = metrics.vgg_distance(vgg, one, other)
    assert found.dtype == torch.float64
    expected = [by_hand(vgg, a, b) for a, b in zip(one, other, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def test_it_is_nothing_of_an_image_to_itself_the_same_both_ways_and_grows_with_noise(vgg):
    images = smooth(4)
    assert metrics.vgg_distance(vgg, images, images).tolist() == [0] * 4
    there, back = (
        metrics.vgg_distance(vgg, *pair) for pair in ((images, noisy(images, 20)), (noisy(images, 20), images))
    )
    assert torch.equal(there, back)
    growing = torch.stack([metrics.vgg_distance(vgg, noisy(images, levels), images) for levels in (2, 8, 32)])
    assert (growing.diff(dim=0) > 0).all()
    assert (growing <= 2).all()


def test_how_many_are_seen_at_once_changes_nothing(vgg, monkeypatch):
    one, other = smooth(5), smooth(5, seed=9)
    together = metrics.vgg_distance(vgg, one, other)
    alone = [metrics.vgg_distance(vgg, one[i : i + 1], other[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=0)
    monkeypatch.setattr("ganvas.metrics.perceptual.SEEN_AT_ONCE", 2 * 32 * 32)
    torch.testing.assert_close(metrics.vgg_distance(vgg, one, other), together, rtol=1e-4, atol=0)


def test_small_images_are_enlarged_and_grey_is_colour_without_any(vgg):
    one, other = noise_images(2, size=16), noise_images(2, size=16, seed=1)
    small = metrics.vgg_distance(vgg, one, other)
    assert (small > 0).all()
    torch.testing.assert_close(
        metrics.vgg_distance(vgg, *(p.expand(-1, 3, -1, -1) for p in (one, other))), small, rtol=1e-4, atol=0
    )
    oblong = metrics.vgg_distance(vgg, one[..., :9, :], other[..., :9, :])
    assert oblong.isfinite().all()


def test_no_gradient_is_left_and_autocast_changes_nothing(vgg):
    one, other = smooth(1), smooth(1, seed=9)
    plain = metrics.vgg_distance(vgg, one, other)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(metrics.vgg_distance(vgg, one, other), plain)
    assert not plain.requires_grad


@pytest.mark.skipif(not os.environ.get("GANVAS_WEIGHTS"), reason="needs VGG-19's weights, named by GANVAS_WEIGHTS")
def test_what_has_learned_to_see_finds_a_blurred_cat_worse_than_a_moved_one():
    """Of two images with the same squared error, people take the sharp one; so do trained features."""
    vgg = features.open_vgg(Path(os.environ["GANVAS_WEIGHTS"]))
    cat = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None, :, :256, 100:356]
    moved = cat.roll(2, 3)
    error = metrics.squared_error(moved, cat)
    blurs = [cat]
    while metrics.squared_error(blurs[-1], cat) < error:
        side = 3 + 2 * len(blurs)
        blurs.append(F.avg_pool2d(F.pad(cat.float(), [side // 2] * 4, "reflect"), side, 1).round().to(torch.uint8))
    assert metrics.vgg_distance(vgg, moved, cat) < metrics.vgg_distance(vgg, blurs[-1], cat)
    assert metrics.vgg_distance(vgg, noisy(cat, 5), cat) < metrics.vgg_distance(vgg, noisy(cat, 20), cat) < 1


# --- the style distance ---------------------------------------------------------------------------------------------


def test_style_distance_is_the_loss_of_gram_matrices_image_by_image(vgg):
    made, painting = smooth(3), smooth(1, size=64, seed=9)
    found = metrics.style_distance(vgg, made, metrics.style_of(vgg, painting))
    for i in range(3):
        seen, wanted = (vgg(to_signed(p), metrics.STYLE_LAYERS) for p in (made[i : i + 1], painting))
        layers = [gram_distance(gram(seen[layer]), gram(wanted[layer])) for layer in metrics.STYLE_LAYERS]
        assert float(found[i]) == pytest.approx(float(torch.stack(layers).mean()), rel=1e-4)
    assert metrics.style_distance(vgg, painting, metrics.style_of(vgg, painting)).tolist() == [0]


# --- LPIPS ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def alexnet_of_chance(monkeypatch):
    """Torchvision's AlexNet, but with random weights."""
    network = torchvision.models.alexnet

    def alexnet(weights=None):
        torch.manual_seed(0)
        return network(weights=None)

    monkeypatch.setattr(torchvision.models, "alexnet", alexnet)


def test_lpips_is_torchmetrics_of_each_image(alexnet_of_chance):
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity as theirs

    measure = evaluation.lpips_measure(torch.device("cpu"))
    one, other = smooth(3, size=64), smooth(3, size=64, seed=9)
    found = measure.of(one, other)
    expected = [float(theirs(to_signed(one[i : i + 1]), to_signed(other[i : i + 1]))) for i in range(3)]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
    assert measure.of(one, one).tolist() == [0, 0, 0]
    assert measure.of(noise_images(2), noise_images(2, seed=1)).shape == (2,)  # grey, and small
    assert measure.name == "LPIPS"
    assert "AlexNet" in measure.formula


def test_without_its_weights_lpips_says_what_to_fetch(monkeypatch):
    def offline(weights=None):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models, "alexnet", offline)
    with pytest.raises(UsageError, match=r"`lpips`: .*\(no network\); fetch https://\S+/alexnet-\S+\.pth .* put it to"):
        evaluation.lpips_measure(torch.device("cpu"))


# --- as further scores of translators -------------------------------------------------------------------------------


class Paints(Method):
    """Makes of an image what a function makes of it; knows the style of a painting by its mean colour."""

    Config = BaseConfig
    batches = (ImageBatch,)
    directions = ("ab",)
    any_size = True
    multiple = 1

    def __init__(self, spec, paint):
        super().__init__(BaseConfig(), spec)
        self.paint, self.weight = paint, nn.Parameter(torch.zeros(1))
        self.usual_style = torch.zeros(3)

    def translate(self, images, direction="ab"):
        return self.paint(images, self.usual_style.expand(len(images), -1))

    def style_of(self, images):
        return images.mean((2, 3))

    def restyle(self, images, style, *, strength=1.0):
        return self.paint(images, style)


def model_of(source, paint):
    return Model(Paints(source.spec, paint).eval(), manifest_of(source), 7)


def test_pairs_are_held_against_each_other_by_further_measures_beside_the_input(vgg):
    source = pairs_source(n=6, size=32, channels=3)
    found = evaluation.evaluate_pairs({"model": model_of(source, lambda images, style: -images)}, source,
        measures=[*PAIRS, evaluation.vgg_measure(vgg)],
    )  # fmt: skip
    score = found["VGG distance"]
    assert score.values["model"].value == 0
    pairs = source.rows(range(6))
    assert found.values["input VGG distance"].tolist() == metrics.vgg_distance(vgg, pairs.source, pairs.target).tolist()
    assert score.verdict(score.between("model", "input")).startswith(
        "model is better than the input in VGG distance by "
    )
    assert "not LPIPS" in found.protocol["VGG distance"]
    assert "VGG distance" not in evaluation.evaluate_pairs({"model": model_of(source, lambda x, s: x)}, source).protocol


# --- models of style ------------------------------------------------------------------------------------------------


def photographs(n=6, size=32):
    return Source("photographs", Spec(size, 3), ImageBatch(smooth(n, size=size)))


def test_who_does_nothing_keeps_the_content_and_has_no_more_style_than_the_photograph(vgg):
    source, painting = photographs(), smooth(1, size=70, seed=50)[0]
    model = model_of(source, lambda images, style: images)
    found = evaluation.evaluate_style({"model": model}, source, [Style([painting])], vgg=vgg)
    assert found["content distance"].values["model"].value == 0
    assert list(found["content distance"].values) == ["model"]
    style = found["style distance"]
    assert style.values["model"] == style.values["input"]
    assert style.verdict(style.between("model", "input")).startswith(
        "model is not significantly better or worse than the input"
    )
    for one in found.shown:
        assert list(one.images) == ["input", "model", "painting"]
        assert torch.equal(one.images["input"], one.images["model"])


def test_who_hangs_the_painting_has_all_its_style_and_nothing_of_the_content(vgg):
    source, paintings = photographs(), smooth(4, seed=50)
    by_colour = {tuple(p.mean((1, 2)).tolist()): p for p in to_signed(paintings)}

    def hang(given, style):
        closest = [
            min(by_colour, key=lambda c: sum((a - b) ** 2 for a, b in zip(c, s, strict=True))) for s in style.tolist()
        ]
        return torch.stack([by_colour[colour] for colour in closest])

    found = evaluation.evaluate_style(
        {"model": model_of(source, hang)}, source, [Style([p]) for p in paintings], vgg=vgg
    )
    assert found.values["model style distance"].tolist() == pytest.approx([0] * 6, abs=1e-9)
    assert found["content distance"].values["model"].value > 0.01
    assert found["style distance"].between("model", "input").mean.high < 0
    assert [one.number for one in found.shown] == list(range(6))
    for one in found.shown:
        assert torch.equal(one.images["model"], one.images["painting"])
        assert torch.equal(one.images["painting"], paintings[one.number % 4])
        assert torch.equal(one.images["input"], source.images.images[one.number])


def test_of_several_paintings_at_once_the_mean_is_wanted_and_told(vgg):
    source, (a, b) = photographs(n=2), smooth(2, seed=50)
    told = []
    model = model_of(source, lambda images, style: (told.append(style), images)[1])
    found = evaluation.evaluate_style({"model": model}, source, [Style([a, b])], vgg=vgg)
    told = [style for style in told if len(style) == 2]  # before, one image went through to count the numbers
    torch.testing.assert_close(told[0], ((to_signed(a) + to_signed(b)) / 2).mean((1, 2)).expand(2, -1))
    wanted = [grams.mean(0) for grams in metrics.style_of(vgg, torch.stack([a, b]))]
    expected = metrics.style_distance(vgg, source.images.images, wanted)
    torch.testing.assert_close(found.values["model style distance"], expected, rtol=1e-4, atol=0)


def test_the_same_again_gives_the_same_files_for_time_is_not_kept(vgg, tmp_path):
    source, painting = photographs(), smooth(1, seed=50)[0]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        model = model_of(source, lambda images, style: -images)
        found = evaluation.evaluate_style({"model": model}, source, [Style([painting])], vgg=vgg)
        assert found.milliseconds["model"] > 0
        evaluation.write(tmp_path / name, found)
    files = sorted(str(path.relative_to(tmp_path / "one")) for path in (tmp_path / "one").rglob("*.*"))
    files.remove("timing.json")
    assert {"metrics.csv", "metrics.json", "grid.png"} < set(files)
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


# --- on the command line --------------------------------------------------------------------------------------------


def saved(folder, n, *, seed, size=24):
    folder.mkdir()
    for i in range(n):
        photograph(seed=seed + i, width=size + 8, height=size).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def _style_runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("style")
    data, target = saved(place / "photos", 4, seed=0), saved(place / "paintings", 3, seed=50)
    painting = place / "paintings" / "0.png"
    source = Source("photos", Spec(16, 3), ImageBatch(noise_images(8, channels=3)))
    manifest = {"style": (str(painting),)}, {"target": str(target)}
    for name, known in zip(("fast_style", "adain"), manifest, strict=True):
        kind = source if name == "fast_style" else unpaired_source(n=8, channels=3)
        train_to(place / name, 1, source=kind, manifest=replace(manifest_of(kind, name, **known), data=str(data)))
    return place


@pytest.fixture
def style_runs(_style_runs, without_weights, tmp_path):
    """A folder with photos, paintings, and a run of each method of style that learned from them for a step."""
    return _style_runs


def evaluate(run, data, out, *more):
    return main(["evaluate", *map(str, [run, "--data", data, "--out", out, "--device", "cpu", *more])])


@pytest.mark.parametrize("method", ["fast_style", "adain"])
def test_a_run_of_style_knows_its_paintings(method, style_runs, tmp_path, capsys, without_weights):
    out = tmp_path / "out"
    assert evaluate(style_runs / method, style_runs / "photos", out) == 0
    said = " ".join(capsys.readouterr().out.split())
    kept = json.loads((out / "metrics.json").read_text())
    assert [score["name"] for score in kept["scores"]] == ["style distance", "content distance", "checkerboard"]
    assert kept["scores"][0]["differences"][0]["verdict"] in said
    assert kept["protocol"]["paintings"].startswith("0.png" if method == "fast_style" else "3 of ")
    assert "YES: it learned from these very images" in said
    assert " ms per image in the network, on cpu" in said
    assert images.read(out / "grid.png").pixels.shape[0] == 3
    assert without_weights == [None]


def test_paintings_can_be_named(style_runs, tmp_path, capsys, monkeypatch, without_weights):
    photos, paintings = style_runs / "photos", style_runs / "paintings"
    both = [paintings / "1.png", paintings / "2.png"]
    for method in ("fast_style", "adain"):
        monkeypatch.setenv("GANVAS_WEIGHTS", "weights.safetensors")
        assert evaluate(style_runs / method, photos, tmp_path / method, "--style", *both) == 0
        assert "paintings: 1.png, 2.png, all at once; used with" in capsys.readouterr().out
        assert without_weights.pop() == Path("weights.safetensors")
    file = tmp_path / "weights.pth"
    file.touch()
    words = ["--target", paintings, "--vgg-weights", file, "--size", 32, "--json"]
    assert evaluate(style_runs / "adain", photos, tmp_path / "target", *words) == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["size"] == 32
    assert without_weights.pop() == file


def test_a_model_file_alone_knows_no_paintings(style_runs, tmp_path, capsys):
    for method, words in (("fast_style", "0.png, is not here: add --style"), ("adain", "paintings, are not here")):
        (file,) = (style_runs / method).glob("step-*/weights.safetensors")
        alone = shutil.copy(file, tmp_path / f"{method}.safetensors")
        assert evaluate(alone, style_runs / "photos", tmp_path / "out") == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "more", "words"),
    [
        ("fast_style", ["--target", "{}/paintings"], "paints in the style of its own painting"),
        ("fast_style", ["--style", "{}/nosuch.png"], "no such image"),
        ("fast_style", ["--style", "{}/paintings"], "is a folder; name the images themselves"),
        ("fast_style", ["--task", "denoise"], "--task denoise: is for images with partners"),
        ("fast_style", ["--count", "9"], "--count 9: is for models that generate"),
        ("fast_style", ["--lpips"], "--lpips: is for images with partners"),
        ("fast_style", ["--features", "digits"], "this fast_style model paints; expected auto or vgg"),
        ("fast_style", ["--features", "nosuch"], "--features nosuch: expected auto, digits, inception, none or vgg"),
        ("adain", ["--target", "{}/paintings", "--style", "{}/paintings/0.png"], "two ways to say which paintings"),
        ("adain", ["--target", "{}/nosuch"], "no such folder"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_evaluated_is_one_line(method, more, words, style_runs, tmp_path, capsys):
    given = [word.replace("{}", str(style_runs)) for word in more]
    assert evaluate(style_runs / method, style_runs / "photos", tmp_path / "out", *given) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture
def translator_run(tmp_path):
    source = pairs_source(channels=3)
    train_to(tmp_path / "run", 1, source=source, manifest=manifest_of(source, "pix2pix", task="denoise:0.1"))
    return tmp_path / "run"


def test_a_translator_gets_further_scores_where_they_are_asked_for(
    translator_run, style_runs, tmp_path, capsys, without_weights, alexnet_of_chance
):
    photos = style_runs / "photos"
    assert evaluate(translator_run, photos, tmp_path / "out", "--features", "vgg", "--lpips") == 0
    said = " ".join(capsys.readouterr().out.split())
    names = [score["name"] for score in json.loads((tmp_path / "out/metrics.json").read_text())["scores"]]
    of_pixels = [measure.name for measure in PAIRS if not measure.smallest and not measure.line_art]
    assert names == [*of_pixels, "VGG distance", "LPIPS", "checkerboard"]
    assert "not LPIPS" in said
    assert "LPIPS: AlexNet" in said
    assert without_weights == [None]
    assert evaluate(translator_run, photos, tmp_path / "usual") == 0
    assert len(without_weights) == 1  # not looked through where nobody asked
    assert evaluate(translator_run, photos, tmp_path / "no", "--style", photos / "0.png") == 2
    assert "is for models of style" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--features", "vgg"], "--features vgg: this gan model generates; expected auto, digits or inception"),
        (["--lpips"], "--lpips: is for models that translate; this gan model generates"),
        (["--style", "a.png"], "--style a.png: is for models that translate"),
        (["--vgg-weights", "file"], "--vgg-weights file: is for models that translate or paint"),
    ],
)
def test_a_model_that_draws_does_not_translate(more, words, digits_run, tmp_path, capsys):
    assert evaluate(digits_run, "digits", tmp_path / "out", *more) == 2
    assert words in capsys.readouterr().err


def test_the_weights_that_every_command_knows_are_no_fault_of_one_that_needs_none(digits_run, tmp_path, monkeypatch):
    monkeypatch.setenv("GANVAS_WEIGHTS", "vgg.safetensors")
    assert evaluate(digits_run, "digits", tmp_path / "out", "--count", 60) == 0

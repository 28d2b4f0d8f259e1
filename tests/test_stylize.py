"""Style transfer: what it changes and what it keeps, with a tiny network of random weights; the real one if present."""

import itertools
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import photograph
from PIL import Image

from ganvas.cli import main
from ganvas.errors import DataError, DivergedError, SaveError, SettingError
from ganvas.imaging import images, lab
from ganvas.imaging.images import DecodedImage
from ganvas.inference import stylize as stylizing
from ganvas.metrics.features import open_vgg
from ganvas.nets.vgg import VGG19
from ganvas.style import PRESETS, Scale, StylizeConfig, Stylizer, recipe_named
from ganvas.style.colors import grey_of, match_colours
from ganvas.style.optimise import by_lbfgs
from ganvas.style.scale import masked_gram

STEPS = 4  # of each image on the command line


def tiny(**options):
    """VGG-19 with two channels in its first block, and random weights that are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return VGG19(width=2, **options)


def image(*, seed=0, width=48, height=40, alpha=False, channels=3):
    pixels = torch.from_numpy(np.array(photograph(seed=seed, width=width, height=height))).permute(2, 0, 1)
    pixels = images.in_channels(pixels.contiguous(), channels)
    return DecodedImage(pixels, torch.arange(height * width).reshape(height, width).to(torch.uint8) if alpha else None)


def quick(**changes):
    return StylizeConfig(**{"iterations": 6, "size": 64, "style_weight": 100.0, **changes})


def stylized(content=None, *styles, config=None, **options):
    """The result, and the losses of every step."""
    content = content or image()
    stylizer = Stylizer(config or quick(), tiny(), styles or [image(seed=9)], **options)
    events = list(stylizer(content))
    return stylizer.finish(content, events[-1].made), [event.losses for event in events]


# --- losses and steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adam"}, {"keep_colors": "luminance"}, {"keep_colors": "match"}])
def test_style_comes_and_content_stays(changes):
    config = quick(iterations=30, scales=1, **changes)
    _, losses = stylized(config=config)
    totals = [config.content_weight * each["content"] + config.style_weight * each["style"] for each in losses]
    assert losses[0]["content"] < 0.1  # it starts from the content
    assert totals[-1] < totals[0] / 2
    assert 0 < losses[-1]["content"] < 1


def test_only_the_image_has_gradients_and_only_the_image_changes():
    network = tiny()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    content = image()
    given = content.pixels.clone()
    for event in Stylizer(quick(), network, [image(seed=9)])(content):
        assert not event.made.requires_grad
    assert not list(network.parameters())
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name])
        assert buffer.grad is None
        assert not buffer.requires_grad
    assert torch.equal(content.pixels, given)


def scale_of(config, content, style, *, mask=None):
    """A scale put together by hand, in fp32."""
    network = tiny()
    with torch.no_grad():
        wanted = {layer: masked_gram(maps, None) for layer, maps in network(style, tuple(config.shares)).items()}
        seen = network(content, ("relu4_2",))["relu4_2"]
    return Scale(config, network, None, content, wanted, mask, seen)


def test_the_losses_are_shares_of_what_there_was():
    config = quick(layer_weights=(1, 2, 3, 4, 0))
    content, style = (torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in (0, 1))
    scale = scale_of(config, content, style)
    assert scale.losses(content)["content"] == 0
    assert scale.losses(style)["style"] == 0
    seen, wanted = (
        {layer: maps[0].flatten(1).double().numpy() for layer, maps in tiny()(each, tuple(config.shares)).items()}
        for each in (content, style)
    )
    expected = 0.0
    for layer, weight in zip(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), (1, 2, 3, 4), strict=True):
        ours, theirs = (maps[layer] @ maps[layer].T / maps[layer].shape[1] for maps in (seen, wanted))
        expected += weight / 10 * ((ours - theirs) ** 2).sum() / (theirs**2).sum()
    assert float(scale.losses(content)["style"]) == pytest.approx(expected, rel=1e-4)


def test_a_step_goes_down_the_weighted_sum():
    config = quick(variation_weight=3.0, optimizer="adam", learning_rate=1e-6)
    content, style = (torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(i)) * 1.8 - 0.9 for i in (0, 1))
    scale = scale_of(config, content, style)
    ((losses, after),) = scale.steps(content, 1)
    given = content.clone().requires_grad_()
    total = scale.total(scale.losses(given))
    assert float(total.detach()) == pytest.approx(100 * losses["style"] + 3 * losses["variation"], rel=1e-5)
    (gradient,) = torch.autograd.grad(total, given)
    moved = after - content
    sure = gradient.abs() > gradient.abs().median()
    assert (moved[sure].sign() == -gradient[sure].sign()).float().mean() > 0.99  # Adam's first step is the sign


@pytest.mark.parametrize("size", [(40, 48), (33, 35)])
def test_lbfgs_changes_coarse_things_before_fine_ones_and_comes_to_the_least_squares(size):
    rng = torch.Generator().manual_seed(0)
    start, wanted = (torch.rand(1, 3, *size, generator=rng) - 0.5 for _ in range(2))

    def look(image):
        return float((image - wanted).square().sum() / 2), image - wanted

    images = list(itertools.islice(by_lbfgs(look, start), 60))
    first = torch.fft.rfft2(images[0] - start).abs() / torch.fft.rfft2(start - wanted).abs()  # how far on the way
    coarse, fine = first[..., :3, :3].mean(), first[..., size[0] // 2 - 2 : size[0] // 2, -3:].mean()
    assert coarse > 10 * fine
    torch.testing.assert_close(images[-1], wanted, atol=1e-3, rtol=0)


def test_the_second_half_of_the_last_steps_is_exact_where_the_network_is_quick(monkeypatch):
    formats = []
    forward = VGG19.forward

    def look(network, *given, **how):
        formats.extend([network.relu1_1_weight.dtype] if torch.is_grad_enabled() else [])
        return forward(network, *given, **how)

    monkeypatch.setattr(VGG19, "forward", look)
    stylizer = Stylizer(quick(iterations=12, scales=2), tiny(), [image(seed=9)], "bf16")
    list(stylizer(image()))
    assert formats == [torch.bfloat16] * (6 + 3) + [torch.float32] * 3
    monkeypatch.setattr("ganvas.style.stylizer._EXACT", 100)  # pixels: this image is large now
    list(Stylizer(quick(scales=1), tiny(), [image(seed=9)], "bf16")(image()))
    assert formats[12:] == [torch.bfloat16] * 6


def test_large_images_give_the_same_in_less_memory(monkeypatch):
    mask = torch.arange(40 * 48).reshape(1, 40, 48).div(8).to(torch.uint8)
    plain, _ = stylized(mask=mask)
    monkeypatch.setattr("ganvas.style.scale._WHOLE", 100)
    frugal, _ = stylized(mask=mask)
    assert torch.equal(plain.pixels, frugal.pixels)


def test_a_loss_that_is_no_number_is_said():
    network = tiny()
    network.relu1_1_weight.mul_(float("nan"))
    with pytest.raises(DivergedError, match="smaller weights"):
        list(Stylizer(quick(), network, [image(seed=9)])(image()))


def test_the_same_seed_is_the_same_image_to_the_bit():
    config = quick(init="noise")
    one, again, other = (stylized(config=config, seed=seed)[0].pixels for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_averaging_takes_less_of_the_last_step():
    plain, averaged = (
        list(Stylizer(quick(optimizer="adam", average=decay, scales=1), tiny(), [image(seed=9)])(image()))
        for decay in (0.0, 0.9)
    )
    assert torch.equal(plain[0].losses["style"] * torch.ones(1), averaged[0].losses["style"] * torch.ones(1))
    start = images.to_signed(image().pixels)
    assert (averaged[-1].made - start).abs().mean() < (plain[-1].made - start).abs().mean()


# --- styles ---------------------------------------------------------------------------------------------------------


def test_a_style_of_weight_nought_does_nothing():
    one, two = image(seed=9), image(seed=8, width=70)
    alone, _ = stylized(None, one)
    weighed, _ = stylized(None, one, two, config=quick(style_weights=(1.0, 0.0)))
    alike, _ = stylized(None, one, two)
    assert torch.equal(alone.pixels, weighed.pixels)
    assert not torch.equal(alone.pixels, alike.pixels)


def test_where_a_style_is_transparent_it_has_no_say():
    maps = torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 1, 32, 32)
    torch.testing.assert_close(masked_gram(maps, mask), masked_gram(maps, None))
    mask[..., 16:] = 0
    torch.testing.assert_close(masked_gram(maps, mask), masked_gram(maps[..., :4], None))


def test_the_scale_of_the_style_counts():
    assert not torch.equal(stylized()[0].pixels, stylized(config=quick(style_scale=2.0))[0].pixels)


def test_what_is_wanted_of_the_style_is_computed_once_for_a_folder(monkeypatch):
    targets = []
    forward = VGG19.forward

    def look(*given, **how):
        targets.extend([] if torch.is_grad_enabled() else [1])
        return forward(*given, **how)

    monkeypatch.setattr(VGG19, "forward", look)
    stylizer = Stylizer(quick(scales=1), tiny(), [image(seed=9)])
    list(stylizer(image()))
    assert len(targets) == 2  # the content and the style
    list(stylizer(image(seed=3)))
    assert len(targets) == 3


def test_of_a_folder_with_many_sizes_the_last_few_are_kept():
    stylizer = Stylizer(quick(scales=1, iterations=1), tiny(), [image(seed=9)])
    for width in range(41, 51):
        list(stylizer(image(width=width, height=20)))
    assert list(stylizer._known) == [*range(43, 51)]


def test_a_style_is_looked_at_no_larger_than_it_may_be(monkeypatch):
    sizes = []
    forward = VGG19.forward

    def look(network, shown, *given, **how):
        sizes.append(max(shown.shape[-2:]))
        return forward(network, shown, *given, **how)

    monkeypatch.setattr("ganvas.style.stylizer.LARGEST_STYLE", 150)
    monkeypatch.setattr(VGG19, "forward", look)
    for longer, expected in ((48, 96), (100, 150), (200, 200)):
        stylizer = Stylizer(quick(size=longer, scales=1, style_scale=2.0), tiny(), [image(seed=9, width=500)])
        next(stylizer(image(width=longer)))
        assert expected in sizes
        assert max(sizes) == max(expected, longer)
        assert max(max(style.pixels.shape) for style in stylizer._prepared) == expected  # in bytes already
        sizes.clear()


def test_weights_that_are_small_together_do_as_much():
    def losses(times):
        weights = {"content_weight": times, "style_weight": 8 * times, "variation_weight": times}
        return stylized(config=quick(iterations=15, **weights))[1]

    plain, small = losses(0.1), losses(1e-9)
    assert small[-1]["style"] < small[0]["style"] / 2
    assert small[-1]["style"] == pytest.approx(plain[-1]["style"], rel=0.1)  # rounding is all that differs


def test_the_network_ends_where_nothing_deeper_counts():
    assert StylizeConfig().deepest == "relu5_1"
    config = quick(layer_weights=(1.0, 1.0, 1.0, 1.0, 0.0))
    assert config.deepest == "relu4_2"
    made = list(Stylizer(config, tiny(deepest="relu4_2"), [image(seed=9)])(image()))
    assert len(made) == 6


# --- colours --------------------------------------------------------------------------------------------------------


def test_luminance_keeps_hue_and_chroma():
    content = image()
    muted = lab.from_srgb(content.pixels) * 0.2 + torch.tensor([40, 0, 0])[:, None, None]
    content = DecodedImage(lab.to_srgb(muted))
    changing = {"optimizer": "adam", "learning_rate": 0.1, "iterations": 20}
    result, _ = stylized(content, config=quick(keep_colors="luminance", **changing))
    before, after = lab.from_srgb(content.pixels), lab.from_srgb(result.pixels)
    assert (before[0] - after[0]).abs().max() > 3
    shown = (after[0] > 35) & (after[0] < 65)  # where sRGB has these colours
    assert shown.float().mean() > 0.5
    assert (before[1:] - after[1:]).abs()[:, shown].max() < 1.5  # what rounding to bytes costs


def test_matched_colours_have_the_mean_and_the_covariance_of_the_others():
    rng = torch.Generator().manual_seed(0)
    style = torch.rand(1, 3, 20, 30, generator=rng) @ torch.rand(30, 30, generator=rng)
    wanted = torch.rand(1, 3, 25, 15, generator=rng).cumsum(1)
    found, expected = (each[0].flatten(1).double().numpy() for each in (match_colours(style, wanted), wanted))
    np.testing.assert_allclose(found.mean(1), expected.mean(1), atol=1e-4)
    np.testing.assert_allclose(np.cov(found, ddof=0), np.cov(expected, ddof=0), atol=1e-4)
    torch.testing.assert_close(match_colours(wanted, wanted), wanted, atol=1e-4, rtol=0)
    assert match_colours(torch.ones(1, 1, 8, 8), wanted[:, :1]).isfinite().all()  # one colour alone


def test_only_colours_that_show_are_matched():
    rng = torch.Generator().manual_seed(0)
    style, wanted = (torch.rand(1, 3, 20, 30, generator=rng) for _ in range(2))
    showing = torch.ones(1, 1, 20, 30)
    showing[..., 10:] = 0
    alone = match_colours(style[..., :10], wanted[..., :10])
    style[..., 10:], wanted[..., 10:] = 5, -7  # what is hidden may be anything
    found = match_colours(style, wanted, showing=showing, wanted_showing=showing)
    torch.testing.assert_close(found[..., :10], alone)
    assert match_colours(style, wanted, wanted_showing=torch.zeros(1, 1, 20, 30)).isfinite().all()


def test_the_grey_of_a_colour_is_as_light():
    pixels = torch.randint(0, 256, (3, 50, 50), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert (lab.lightness(grey_of(pixels)) - lab.lightness(pixels)).abs().max() < 0.3


# --- sizes, masks, beginnings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(33, 47), (64, 64), (8, 40), (20, 151), (301, 77)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_comes_back_in_colour(height, width, channels):
    content = image(width=width, height=height, channels=channels, alpha=True)
    result, _ = stylized(content, image(seed=9, width=37, height=90), config=quick(iterations=2))
    assert result.pixels.shape == (3, height, width)
    assert torch.equal(result.alpha, content.alpha)


def test_it_goes_from_coarse_to_fine_and_no_further_than_the_image():
    def sizes(width, height, **changes):
        stylizer = Stylizer(quick(iterations=9, **changes), tiny(), [image(seed=9)])
        return list(dict.fromkeys(tuple(e.made.shape[-2:]) for e in stylizer(image(width=width, height=height))))

    assert sizes(600, 300, size=560) == [(140, 280), (280, 560)]
    assert sizes(400, 200, size=300) == [(150, 300)]
    assert sizes(400, 200, size=300, scales=2) == [(75, 150), (150, 300)]
    assert sizes(400, 200, size=300, scales=3) == [(38, 75), (75, 150), (150, 300)]
    assert sizes(60, 50, size=300) == [(50, 60)]


def test_progress_counts_every_step_and_ends_at_one():
    events = list(Stylizer(quick(iterations=7, scales=2), tiny(), [image(seed=9)])(image(width=80, height=64)))
    assert [event.step for event in events] == [*range(1, 8)]
    assert {event.steps for event in events} == {7}
    assert events[-1].spent == 1
    assert events[2].spent < 0.3  # the coarse steps are the cheap ones


def test_where_the_mask_is_black_the_image_stays():
    content = image(width=80, height=60)
    mask = torch.zeros(1, 60, 80, dtype=torch.uint8)
    mask[..., 40:] = 255
    result, _ = stylized(content, mask=mask, config=quick(size=48))
    assert torch.equal(result.pixels[..., :40], content.pixels[..., :40])
    assert (result.pixels[..., 48:] != content.pixels[..., 48:]).float().mean() > 0.5
    everywhere, _ = stylized(content, config=quick(size=48))
    white, _ = stylized(content, mask=torch.full((1, 30, 40), 255, dtype=torch.uint8), config=quick(size=48))
    assert (everywhere.pixels.int() - white.pixels.int()).abs().max() <= 2  # a mask that hides nothing


def test_it_starts_from_a_given_image():
    config = quick(iterations=1, scales=1, style_weight=0.0, optimizer="adam", learning_rate=1e-6)
    given = image(seed=5)
    result, _ = stylized(config=config, start=given.pixels)
    assert (result.pixels.int() - given.pixels.int()).abs().max() <= 1


def test_large_images_are_laid_over_in_strips(monkeypatch):
    content = image(width=90, height=70)
    mask = torch.arange(70 * 90).reshape(1, 70, 90).div(25).to(torch.uint8)
    stylizer = Stylizer(quick(keep_colors="luminance"), tiny(), [image(seed=9)], mask=mask)
    made = torch.rand(1, 35, 45) * 2 - 1
    whole = stylizer.finish(content, made).pixels
    monkeypatch.setattr("ganvas.style.stylizer._STRIP", 500)
    assert torch.equal(stylizer.finish(content, made).pixels, whole)


@pytest.mark.parametrize(
    ("mistake", "error", "words"),
    [
        (lambda: Stylizer(quick(), tiny(), [image(width=31)]), DataError, "31x40 pixels, too few"),
        (
            lambda: Stylizer(quick(), tiny(), [DecodedImage(image().pixels, torch.zeros(40, 48, dtype=torch.uint8))]),
            DataError,
            "transparent all over",
        ),
        (lambda: stylized(mask=torch.zeros(1, 40, 48, dtype=torch.uint8)), DataError, "black all over"),
        (lambda: stylized(mask=torch.ones(1, 48, 40, dtype=torch.uint8)), DataError, "40x48 pixels.*48x40"),
        (lambda: stylized(start=image(width=90).pixels), DataError, "`init_from` has 90x40"),
        (lambda: stylized(config=quick(style_weights=(1.0, 2.0))), SettingError, "2 for 1 styles"),
        (lambda: quick(style_weights=(0.0, 0.0)), SettingError, "not 0"),
        (lambda: quick(layer_weights=(1.0,)), SettingError, "expected 5 numbers"),
        (lambda: quick(content_weight=-1.0), SettingError, "the smallest is 0"),
        (lambda: quick(content_weight=0.0, style_weight=0.0, variation_weight=0.0), SettingError, "are all 0"),
        (lambda: quick(learning_rate=0.1), SettingError, "add `optimizer` adam"),
        (lambda: quick(style_scale=5.0), SettingError, "the largest is 4"),
        (lambda: recipe_named("peper"), SettingError, "there is paper"),
    ],
)
def test_mistakes_are_one_line(mistake, error, words):
    with pytest.raises(error, match=words) as caught:
        mistake()
    assert "\n" not in str(caught.value)


def test_the_preset_is_the_papers():
    paper = PRESETS["paper"]
    assert (paper.scales, paper.init, paper.optimizer, paper.pooling) == (1, "noise", "lbfgs", "average")
    assert len(set(paper.layer_weights)) == 1
    assert paper.variation_weight == 0
    assert recipe_named("paper") is paper


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.fixture
def stylize(monkeypatch, tmp_path):
    """Run `ganvas stylize` in a folder with some images and a tiny network; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "ganvas.metrics.features.open_vgg", lambda weights, *, deepest, pooling: tiny(deepest=deepest, pooling=pooling)
    )
    photograph(seed=0, width=48, height=40).save("cat.png", dpi=(300, 300))
    photograph(seed=9, width=50, height=60).save("monet.jpg")
    photograph(seed=8, width=60, height=50).save("manet.png")

    def run(*words):
        return main(["stylize", *map(str, words), "--iterations", str(STEPS), "--device", "cpu"])

    return run


def size_of(path):
    with Image.open(path) as image:
        image.load()
        return image.size


def test_an_image_and_a_style_give_an_image(stylize, capsys):
    assert stylize("cat.png", "monet.jpg", "--out", "new/art.png") == 0
    said = capsys.readouterr()
    assert said.out.strip() == "new/art.png"
    assert "new/art.preview.jpg" in said.err  # where to look while it works
    assert sorted(path.name for path in Path("new").iterdir()) == ["art.png"]
    assert size_of("new/art.png") == (48, 40)
    assert images.read(Path("new/art.png")).dpi == pytest.approx((300, 300), abs=0.1)


def test_settings_and_several_styles_are_flags(stylize):
    words = ["cat.png", "monet.jpg", "manet.png", "--precision", "fp32"]
    assert stylize(*words, "--style-weights", "1", "0", "--out", "both.png") == 0
    assert stylize("cat.png", "monet.jpg", "--precision", "fp32", "--out", "one.png") == 0
    assert stylize("cat.png", "monet.jpg", "--precision", "fp32", "--preset", "paper", "--out", "paper.png") == 0
    both, one, paper = (images.read(Path(f"{name}.png")).pixels for name in ("both", "one", "paper"))
    assert torch.equal(both, one)
    assert not torch.equal(one, paper)


def test_a_mask_and_a_beginning_are_files(stylize):
    mask = np.zeros((40, 48), np.uint8)
    mask[:20] = 255
    Image.fromarray(mask).save("mask.png")
    assert stylize("cat.png", "monet.jpg", "--mask", "mask.png", "--init-from", "cat.png", "--out", "half.png") == 0
    before, after = (images.read(Path(name)).pixels for name in ("cat.png", "half.png"))
    assert torch.equal(before[:, 20:], after[:, 20:])
    assert not torch.equal(before[:, :20], after[:, :20])


def test_large_images_are_worked_at_smaller_and_it_says_so(stylize, capsys):
    photograph(seed=1, width=300, height=200).save("large.jpg")
    assert stylize("large.jpg", "monet.jpg", "--size", "64", "--out", "a.jpg") == 0
    assert "300x200 pixels; stylised at 64x43 and enlarged again" in capsys.readouterr().err
    assert size_of("a.jpg") == (300, 200)
    photograph(seed=1, width=300, height=8).save("thin.png")
    assert stylize("thin.png", "monet.jpg", "--size", "64", "--out", "b.png") == 0
    assert "300x8 pixels; stylised at 64x32 and enlarged again" in capsys.readouterr().err


def test_transparency_stays_or_lies_on_white(stylize, capsys):
    cat = Image.open("cat.png").convert("RGBA")
    alpha = np.arange(40 * 48, dtype=np.uint8).reshape(40, 48)
    cat.putalpha(Image.fromarray(alpha))
    cat.save("clear.png")
    assert stylize("clear.png", "monet.jpg", "--out", "a.png") == 0
    assert np.array_equal(np.array(Image.open("a.png"))[..., 3], alpha)
    assert "transparent" not in capsys.readouterr().err
    assert stylize("clear.png", "monet.jpg", "--out", "a.jpg") == 0
    assert "cannot be transparent" in capsys.readouterr().err


def test_a_grey_style_is_said_and_a_grey_content_works(stylize, capsys):
    Image.open("monet.jpg").convert("L").save("grey.png")
    assert stylize("cat.png", "grey.png", "--out", "a.png") == 0
    assert "grey.png: a grey image" in capsys.readouterr().err
    assert stylize("grey.png", "monet.jpg", "--out", "b.png") == 0
    assert images.read(Path("b.png")).pixels.shape[0] == 3
    assert "grey image" not in capsys.readouterr().err
    Image.open("grey.png").convert("RGB").save("scan.jpg")
    assert stylize("cat.png", "scan.jpg", "--out", "c.png") == 0
    assert "scan.jpg: a grey image" in capsys.readouterr().err
    assert stylize("cat.png", "scan.jpg", "--keep-colors", "luminance", "--out", "d.png") == 0
    assert "grey image" not in capsys.readouterr().err


def test_a_folder_gives_a_folder_and_what_is_broken_is_left_out(stylize, capsys, photos):
    (photos / "below").mkdir()
    photograph(seed=3, width=40, height=40).save(photos / "below" / "x.png")
    (photos / "broken.png").write_bytes(b"no image")
    for name in ("4.bmp", "7.png", "8.png", "9.png", "10.png", "11.png"):
        (photos / name).unlink()
    photograph(seed=5, width=40, height=40).save(photos / "style.png")
    assert stylize(photos, photos / "style.png", "--out", "out") == 1
    said = capsys.readouterr()
    assert "left out" in said.err
    assert "broken.png" in said.err
    made = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert made == {"0.png", "1.jpg", "2.jpeg", "3.webp", "5.tif", "6.gif", "below/x.png"}


def interrupt_at(monkeypatch, number):
    """Ctrl-C in that step, counted over all files."""
    steps, taken = Scale.steps, []

    def interrupted(scale, start, count):
        for step in steps(scale, start, count):
            taken.append(1)
            if len(taken) == number:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    monkeypatch.setattr(Scale, "steps", interrupted)


def test_ctrl_c_keeps_the_image_so_far(stylize, capsys, monkeypatch):
    interrupt_at(monkeypatch, 3)
    words = ["cat.png", "monet.jpg", "--out", "a.png", "--scales", "1"]
    assert main(["stylize", *words, "--iterations", "1000", "--device", "cpu"]) == 130
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(r"interrupted at step 3 of 1,000; the image so far is in a\.png", said)
    assert size_of("a.png") == (48, 40)
    assert not Path("a.preview.jpg").exists()


def test_ctrl_c_in_a_folder_says_what_is_done(stylize, capsys, monkeypatch, photos):
    interrupt_at(monkeypatch, 2 * STEPS + 2)
    assert stylize(photos, "monet.jpg", "--out", "out", "--scales", "1") == 130
    assert "2 of 12 files are done" in " ".join(capsys.readouterr().err.split())
    assert len(list(Path("out").iterdir())) == 3


def test_ctrl_c_in_a_folder_lists_what_was_left_out_and_the_last_step_of_all_is_no_interruption(
    stylize, capsys, monkeypatch
):
    Path("two").mkdir()
    Path("two/a.png").write_bytes(b"no image")
    photograph(seed=3, width=40, height=40).save("two/b.png")
    photograph(seed=4, width=40, height=40).save("two/c.png")
    with monkeypatch.context() as patched:
        interrupt_at(patched, 2)
        assert stylize("two", "monet.jpg", "--out", "out", "--scales", "1") == 130
    said = " ".join(capsys.readouterr().err.split())
    assert "left out two/a.png" in said
    assert "0 of 3 files are done and kept in out, and out/b.png as far as it came" in said
    Path("two/a.png").unlink()
    interrupt_at(monkeypatch, 2 * STEPS)  # the last of all
    assert stylize("two", "monet.jpg", "--out", "all", "--scales", "1") == 0
    assert "2 files in all" in capsys.readouterr().out


@pytest.fixture
def at_every_step(monkeypatch):
    monkeypatch.setattr(stylizing, "PREVIEW_SECONDS", 0.0)


@pytest.mark.parametrize(
    "words",
    [
        ["a.preview.jpg", "monet.jpg"],
        ["cat.png", "a.preview.jpg"],
        ["cat.png", "monet.jpg", "--mask", "a.preview.jpg"],
        ["cat.png", "monet.jpg", "--init-from", "a.preview.jpg"],
    ],
)
def test_a_preview_replaces_nothing_that_is_given(stylize, capsys, at_every_step, words):
    photograph(seed=2, width=48, height=40).save("a.preview.jpg")
    before = Path("a.preview.jpg").read_bytes()
    assert stylize(*words, "--out", "a.png", "--overwrite") == 2
    assert "the preview of a.png would replace it" in " ".join(capsys.readouterr().err.split())
    assert Path("a.preview.jpg").read_bytes() == before


def test_a_preview_of_before_stays_without_overwrite(stylize, capsys, monkeypatch, at_every_step):
    Path("a.preview.jpg").write_text("mine")
    assert stylize("cat.png", "monet.jpg", "--out", "a.png") == 2
    assert "a.preview.jpg: left from a run" in " ".join(capsys.readouterr().err.split())
    assert Path("a.preview.jpg").read_text() == "mine"
    with monkeypatch.context() as patched:
        patched.setattr(stylizing, "PREVIEW_SECONDS", 100.0)
        assert stylize("cat.png", "monet.jpg", "--out", "a.png", "--overwrite") == 0
    assert Path("a.preview.jpg").read_text() == "mine"  # this run wrote none
    assert stylize("cat.png", "monet.jpg", "--out", "a.png", "--overwrite") == 0
    assert not Path("a.preview.jpg").exists()


def test_a_preview_replaces_no_result_of_a_folder(stylize, capsys):
    Path("two").mkdir()
    for name in ("a.png", "a.preview.jpg"):
        photograph(seed=3, width=40, height=40).save(Path("two", name))
    assert stylize("two", "monet.jpg", "--out", "out") == 2
    assert "the preview of out/a.png would replace it" in " ".join(capsys.readouterr().err.split())
    assert not Path("out").exists()


def test_what_cannot_be_written_or_diverges_leaves_the_preview(stylize, capsys, monkeypatch, at_every_step):
    write = images.write

    def full(path, *given, **how):
        if path.suffix == ".png":
            raise SaveError(f"{path}: no space left on the disk")
        write(path, *given, **how)

    with monkeypatch.context() as patched:
        patched.setattr(images, "write", full)
        assert stylize("cat.png", "monet.jpg", "--out", "a.png") == 1
    assert "a.png: no space left on the disk; the image so far is in a.preview.jpg" in " ".join(
        capsys.readouterr().err.split()
    )
    assert size_of("a.preview.jpg") == (48, 40)
    forward, calls = VGG19.forward, []

    def look(*given, **how):
        calls.append(1)
        return {layer: maps * (float("nan") if len(calls) > 4 else 1) for layer, maps in forward(*given, **how).items()}

    monkeypatch.setattr(VGG19, "forward", look)
    assert stylize("cat.png", "monet.jpg", "--out", "b.png", "--scales", "1") == 1
    assert "smaller weights, or --optimizer adam; the image so far is in b.preview.jpg" in " ".join(
        capsys.readouterr().err.split()
    )
    assert size_of("b.preview.jpg") == (48, 40)


@pytest.mark.parametrize(("ending", "side"), [("webp", 16_383), ("jpg", 65_500)])
def test_what_a_format_cannot_hold_is_said_before_the_first_step(stylize, capsys, monkeypatch, ending, side):
    photograph(seed=1, width=side + 1, height=8).save("long.png")
    monkeypatch.setattr(VGG19, "forward", None)  # it is not asked
    assert stylize("long.png", "monet.jpg", "--out", f"a.{ending}") == 2
    assert f"holds at most {side:,} a side; give a.{ending} another ending" in " ".join(capsys.readouterr().err.split())
    assert not Path(f"a.{ending}").exists()
    wide = torch.zeros(1, 8, side + 1, dtype=torch.uint8)
    images.write(Path(f"a.{ending}"), wide[..., 1:])  # the encoder's own limit
    with pytest.raises(DataError, match="cannot hold it"):
        images.write(Path(f"a.{ending}"), wide)


def test_a_preview_is_there_while_it_works(stylize, monkeypatch):
    monkeypatch.setattr(stylizing, "PREVIEW_SECONDS", 0.0)
    seen, finish = [], Stylizer.finish

    def look(stylizer, content, made):
        if Path("a.preview.jpg").exists():
            seen.append(size_of("a.preview.jpg"))
        return finish(stylizer, content, made)

    monkeypatch.setattr(Stylizer, "finish", look)
    photograph(seed=1, width=300, height=200).save("large.jpg")
    assert stylize("large.jpg", "monet.jpg", "--size", "64", "--out", "a.png") == 0
    assert seen
    assert set(seen) == {(64, 43)}
    assert not Path("a.preview.jpg").exists()


def test_too_little_memory_is_one_line(stylize, capsys, monkeypatch):
    def look(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(VGG19, "_block", look)
    assert stylize("cat.png", "monet.jpg", "--out", "a.png", "--size", "900") == 2
    assert "more memory than there is at --size 900" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cat.png", "--out", "a.png"], "there is no style"),
        (["cat.png", "monet.jpg", "--out", "a.psd"], "cannot write .psd"),
        (["cat.png", "monet.jpg", "--out", "manet.png"], "manet.png is already there"),
        (["cat.png", "monet.jpg", "--out", "cat.png", "--overwrite"], "would replace one of its inputs"),
        (["cat.png", "cat.png", "--out", "a.png"], "content and style are one file"),
        (["cat.png", "dog.png", "--out", "a.png"], "dog.png: no such image"),
        (["dog.png", "monet.jpg", "--out", "a.png"], "dog.png: no such image"),
        (["only", "only/a.png", "--out", "out"], "holds no image but the style"),
        (["cat.png", ".", "--out", "a.png"], "a folder; name the images"),
        (["cat.png", "monet.jpg", "--out", "."], "a folder; name a file in it"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--style-weight", "-1"], "the smallest is 0"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--style-weights", "1", "1"], "give one for each"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--mask", "monet.jpg"], "--mask has 50x60 pixels"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--mask", "dog.png"], "--mask dog.png: no such image"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--init-from", "dog.png"], "--init-from dog.png: no such image"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--init-from", "cat.png", "--init", "noise"], "starts from noise"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--learning-rate", "0.1"], "add --optimizer adam"),
        (["only", "monet.jpg", "--out", "a.png"], "name a folder for the results"),
        (["only", "other/a.png", "--out", "other", "--overwrite"], "other/a.png is a style, and would be replaced"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--preset", "mine"], "there is paper"),
        (["cat.png", "monet.jpg", "--out", "a.png", "--keep-colors", "all"], "luminance"),
        (["cat.png", "small.png", "--out", "a.png"], "too few to show a style"),
        (["video.gif", "monet.jpg", "--out", "a.gif"], "single images are stylised"),
        (["words.png", "monet.jpg", "--out", "a.png"], "not an image"),
    ],
)
def test_bad_input_is_one_line(stylize, capsys, words, expected):
    photograph(seed=1, width=20, height=20).save("small.png")
    frames = [photograph(seed=i, width=20, height=20) for i in (1, 2)]
    frames[0].save("video.gif", save_all=True, append_images=frames[1:])
    Path("only").mkdir()
    Path("other").mkdir()
    for folder in ("only", "other"):
        photograph(seed=1, width=40, height=40).save(f"{folder}/a.png")
    Path("words.png").write_text("words")
    assert stylize(*words) == 2
    said = capsys.readouterr().err
    assert expected in " ".join(said.split())
    assert "Traceback" not in said
    assert not Path("a.png").exists()


# --- the real network -----------------------------------------------------------------------------------------------


@pytest.mark.skipif("GANVAS_WEIGHTS" not in os.environ, reason="VGG-19's weights are not named by GANVAS_WEIGHTS")
def test_the_real_network_brings_the_style_and_keeps_the_content():
    data = pytest.importorskip("skimage.data")
    content, style = (
        DecodedImage(torch.from_numpy(each()).permute(2, 0, 1).contiguous()) for each in (data.chelsea, data.coffee)
    )
    config = StylizeConfig(size=96, iterations=30)
    network = open_vgg(Path(os.environ["GANVAS_WEIGHTS"]), deepest=config.deepest)
    losses = [event.losses for event in Stylizer(config, network, [style])(content)]
    assert losses[-1]["style"] < losses[0]["style"] / 4
    assert losses[-1]["content"] < 0.8


def test_a_line_of_an_image_takes_no_more_work_than_others_and_keeps_its_size():
    thin = image(width=3000, height=8)
    stylizer = Stylizer(quick(size=64), tiny(), [image(seed=9, width=400, height=33)])
    assert stylizer.working_size(thin) == (32, 64)
    made = None
    for event in stylizer(thin):
        made = event.made
        assert made.shape[-2] * made.shape[-1] <= 64 * 64
    assert stylizer.finish(thin, made).pixels.shape == (3, 8, 3000)

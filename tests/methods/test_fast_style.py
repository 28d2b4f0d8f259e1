"""What is special to fast_style: its losses, its painting, and that the network it learns by is not its own."""

import copy

import pytest
import safetensors.torch
import torch
from conftest import lessons, manifest_of, noise_images, noise_source, photograph, random_vgg, small_config, train_to
from torch import nn

from ganvas import checkpoint
from ganvas.cli import main
from ganvas.imaging.images import scaled, to_signed
from ganvas.methods.fast_style import CONTENT, GRAIN, STYLE, FastStyle
from ganvas.metrics import features

PAINTING = noise_images(1, size=40, channels=3)[0]


def build(paintings=(PAINTING,), **settings):
    torch.manual_seed(0)
    method = FastStyle(small_config("fast_style", **settings), noise_source(channels=3).spec)
    method.setup(vgg=random_vgg(method.deepest, width=2), paintings=paintings)
    return method


def batch_of(n=4, *, size=16):
    return noise_source(n=n, size=size, channels=3).some(n).signed()


def exactly(vgg, images, layer):
    """Maps (N, C, H W) in double precision."""
    return copy.deepcopy(vgg).double()(images.double(), [layer])[layer].flatten(2)


def test_a_step_is_equations_2_to_4_as_shares_of_what_is_wanted():
    method, batch = build(content=2.0, strokes=3.0, variation=0.5), batch_of()
    x, made = batch.images, method.generator(batch.images)
    wanted, seen = (exactly(method.vgg, images, CONTENT) for images in (x, made))
    content = ((seen - wanted) ** 2).sum() / (wanted**2).sum()
    styles = []
    for layer in STYLE:
        given, maps = (exactly(method.vgg, images, layer) for images in (to_signed(PAINTING)[None], made))
        a = given[0] @ given[0].T / given.shape[-1]
        g = torch.einsum("ncp,ndp->ncd", maps, maps) / maps.shape[-1]
        styles.append((((g - a) ** 2).sum((1, 2)) / (a**2).sum()).mean())
    style = sum(styles) / len(STYLE)
    variation = (made[..., 1:, :] - made[..., :-1, :]).pow(2).mean() + (made[..., 1:] - made[..., :-1]).pow(2).mean()
    expected = torch.autograd.grad(2 * content + 3 * style + 0.5 * variation, list(method.generator.parameters()))

    grads = []
    weights = list(method.generator.parameters())
    method.optimizers["generator"].register_step_pre_hook(lambda *_: grads.extend(w.grad.clone() for w in weights))
    losses = method.training_step(batch, 0)
    assert losses.keys() == {"content", "style", "variation"}
    for name, value in (("content", content), ("style", style), ("variation", variation)):
        assert float(losses[name]) == pytest.approx(float(value.detach()), rel=1e-3)
    for ours, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-2, atol=1e-5)


def test_of_several_paintings_the_mean_is_wanted():
    other = noise_images(1, size=40, channels=3, seed=5)[0]
    both, first, second = (build(paintings).wanted for paintings in ((PAINTING, other), (PAINTING,), (other,)))
    for layer in STYLE:
        torch.testing.assert_close(both[layer], (first[layer] + second[layer]) / 2)


def test_a_painting_is_seen_at_its_size_and_never_enlarged():
    large = noise_images(1, size=80, channels=3)[0]
    small = scaled(to_signed(large)[None], 40, 40)
    method = build([large], painting_size=40)
    for layer, maps in method.vgg(small, STYLE).items():
        rows = maps[0].flatten(1)
        torch.testing.assert_close(method.wanted[layer], rows @ rows.T / rows.shape[1])
    one, other = (build([large], painting_size=size).wanted["relu2_1"] for size in (80, 4096))
    assert torch.equal(one, other)


def test_without_strokes_it_learns_to_keep_what_is_there():
    method = build(strokes=0.0, variation=0.0, learning_rate=1e-2, ema=0.0)
    contents = [float(method.training_step(batch_of(), step)["content"]) for step in range(40)]
    assert contents[-1] < contents[0] / 2


# --- videos ----------------------------------------------------------------------------------------------------------


def test_what_moves_along_does_not_flicker(monkeypatch):
    monkeypatch.setattr("ganvas.methods.fast_style.GRAIN", 0.0)
    method = build(temporal=1.0)
    method.generator = nn.Identity()
    x = batch_of(size=64).images
    for seed in range(5):
        torch.manual_seed(seed)
        assert float(method._flicker(x, x)) == 0
        assert float(method._flicker(x, -x)) > 0.1


def test_grain_that_is_handed_on_counts_as_flicker():
    method = build(temporal=1.0)
    method.generator = nn.Identity()
    x = batch_of(size=64).images
    assert float(method._flicker(x, x)) == pytest.approx(GRAIN**2, rel=0.05)


def test_learning_against_flicker_lowers_it():
    flicker = {}
    for weight in (0.0, 30.0):
        method = build(temporal=weight, learning_rate=3e-3, ema=0.0)
        for step in range(25):
            torch.manual_seed(step)
            losses = method.training_step(batch_of(n=4, size=32), step)
            assert ("temporal" in losses) == bool(weight)
        torch.manual_seed(0)
        with torch.no_grad():
            x = batch_of(n=4, size=32).images
            flicker[weight] = float(torch.stack([method._flicker(x, method.generator(x)) for _ in range(4)]).mean())
    assert flicker[30.0] < 0.6 * flicker[0.0]


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_the_network_that_it_learns_by_is_no_part_of_it(tmp_path):
    method = build()
    assert not [name for name in method.state_dict() if "vgg" in name]
    assert not list(method.vgg.parameters())
    before = copy.deepcopy(dict(method.vgg.named_buffers()))
    method.training_step(batch_of(), 0)
    assert all(torch.equal(value, before[name]) for name, value in method.vgg.named_buffers())

    source = noise_source(channels=3)
    train_to(tmp_path / "run", 1, source=source, manifest=manifest_of(source, "fast_style"))
    (file,) = (tmp_path / "run").glob("step-*/weights.safetensors")
    assert {name.partition(".")[0] for name in safetensors.torch.load_file(file)} == {"generator", "average"}
    alone = checkpoint.load(file, torch.device("cpu")).method
    assert alone.vgg is None
    assert alone.translate(torch.zeros(1, 3, 21, 34)).shape == (1, 3, 21, 34)


# --- on the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def train(monkeypatch, tmp_path, photos):
    """Train a method on photographs for a step, with a VGG-19 with random weights; returns the exit status."""
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)
    monkeypatch.setattr(features, "open_vgg", lambda weights, *, deepest: lessons("fast_style")["vgg"])
    photograph(seed=9, width=50, height=40).save(tmp_path / "painting.png")

    def run(method, *more):
        words = ["--data", photos, "--run", tmp_path / "run", "--steps", 1, "--size", 16, "--batch", 2, "--width", 4]
        return main(["train", method, *map(str, [*words, "--device", "cpu", "--precision", "fp32", *more])])

    return run


def test_a_painting_is_learned_and_told_by_the_run(train, tmp_path):
    assert train("fast_style", "--style", tmp_path / "painting.png") == 0
    assert checkpoint.read_run(tmp_path / "run").style == (str(tmp_path / "painting.png"),)
    (file,) = (tmp_path / "run").glob("step-*/weights.safetensors")
    assert checkpoint.load(file, torch.device("cpu")).manifest.style == ("painting.png",)  # no paths of this machine


@pytest.mark.parametrize(
    ("method", "more", "words"),
    [
        ("fast_style", [], "add --style PAINTING"),
        ("fast_style", ["--style", "{}/nosuch.png"], "nosuch.png"),
        ("fast_style", ["--style", "{}/broken.png"], "not an image"),
        ("fast_style", ["--style", "{}/painting.png", "{}/tiny.png"], "tiny.png: 40x16 pixels, too few"),
        ("autoencoder", ["--style", "{}/painting.png"], "autoencoder learns no style from single paintings"),
        ("autoencoder", ["--vgg-weights", "{}/weights.pth"], "does not learn with VGG-19 features; leave it out"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_is_missing_broken_or_of_no_use_is_one_line(method, more, words, train, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"not an image")
    photograph(seed=8, width=40, height=16).save(tmp_path / "tiny.png")
    assert train(method, *(word.replace("{}", str(tmp_path)) for word in more)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("named", ["weights.safetensors", "./weights.safetensors"])
def test_a_method_without_use_for_them_passes_over_weights_that_the_environment_names(named, train, monkeypatch):
    monkeypatch.setenv("GANVAS_WEIGHTS", named)
    assert train("autoencoder") == 0


def test_the_weights_of_another_network_are_one_line(monkeypatch, tmp_path, photos, capsys):
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)
    file = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, file)
    photograph(seed=9, width=50, height=40).save(tmp_path / "painting.png")
    words = ["--data", photos, "--style", tmp_path / "painting.png", "--vgg-weights", file, "--run", tmp_path / "run"]
    assert main(["train", "fast_style", *map(str, words)]) != 0
    said = capsys.readouterr().err
    assert "other.safetensors: holds the weights of another network" in said
    assert len(said.splitlines()) == 1

"""VGG-19 sees what torchvision's sees, no deeper than asked, and takes its weights from files that run nothing."""

import os
import pickle
import urllib.error
from pathlib import Path

import pytest
import safetensors.torch
import torch
from conftest import photograph
from torch import nn
from torchvision.models import vgg

from ganvas.cli import main
from ganvas.errors import ModelError, UsageError
from ganvas.metrics import features
from ganvas.metrics.features import open_vgg
from ganvas.nets.vgg import LAYERS, VGG19

MEAN, DEVIATION = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


@pytest.fixture(scope="module")
def theirs():
    """torchvision's network with random weights."""
    torch.manual_seed(0)
    return vgg.make_layers(vgg.cfgs["E"])


@pytest.fixture(scope="module")
def state(theirs):
    return {f"features.{name}": value.half() for name, value in theirs.state_dict().items()}


def images(n=2, height=40, width=35):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_it_sees_what_torchvisions_sees_in_every_layer(theirs, state):
    ours = VGG19()
    ours.take(state, where="test")
    theirs.load_state_dict({name.removeprefix("features."): value.float() for name, value in state.items()})
    x = ((images() + 1) / 2 - MEAN) / DEVIATION
    seen, names = ours(images(), LAYERS), iter(LAYERS)
    with torch.no_grad():
        for layer in theirs:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                name = next(names)
                torch.testing.assert_close(seen[name], x, atol=1e-4, rtol=1e-4)
    assert next(names, None) is None


def test_average_pooling_averages_and_halves_as_the_largest_does():
    torch.manual_seed(0)
    network = VGG19(width=2, deepest="relu2_1", pooling="average")
    seen = network(images(), ["relu1_2", "relu2_1"])
    pooled = nn.functional.avg_pool2d(seen["relu1_2"], 2)
    expected = nn.functional.conv2d(pooled, network.relu2_1_weight, network.relu2_1_bias, padding=1).relu()
    torch.testing.assert_close(seen["relu2_1"], expected)


def test_it_computes_no_deeper_than_asked_and_keeps_no_more_than_its_deepest():
    network = VGG19(width=2, deepest="relu3_1")
    assert network.multiple == 4
    assert not hasattr(network, "relu3_2_weight")
    network.relu2_1_weight.fill_(torch.nan)
    assert network(images(), ["relu1_2"])["relu1_2"].isfinite().all()
    with pytest.raises(AssertionError, match="relu3_1"):
        network(images(), ["relu5_1"])


def test_gradients_flow_to_the_images_alone_and_nothing_of_it_is_saved_unless_kept():
    network, x = VGG19(width=2), images().requires_grad_()
    network(x, ["relu5_4"])["relu5_4"].sum().backward()
    assert x.grad.abs().sum() > 0
    assert not list(network.parameters())
    assert all(buffer.grad is None for buffer in network.buffers())
    assert network.state_dict() == {}
    assert len(VGG19(width=2, kept=True).state_dict()) == 2 * len(LAYERS)


def test_grey_images_are_seen_as_colours_that_are_all_alike():
    torch.manual_seed(0)
    network, grey = VGG19(width=2), images()[:, :1]
    together = network(grey, ["relu2_1"])["relu2_1"]
    torch.testing.assert_close(together, network(grey.expand(-1, 3, -1, -1), ["relu2_1"])["relu2_1"])


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_weights_come_from_either_kind_of_file_with_or_without_the_classifier(ending, state, tmp_path):
    file = tmp_path / f"vgg.{ending}"
    whole = {name: value.contiguous() for name, value in state.items()} | {"classifier.0.bias": torch.zeros(4096)}
    if ending == "pth":
        torch.save(whole, file)
    else:
        safetensors.torch.save_file(whole, file)
    network = open_vgg(file, deepest="relu4_1")
    assert network.deepest == "relu4_1"
    torch.testing.assert_close(network.relu4_1_weight, state["features.19.weight"].float())


def test_weights_of_another_network_are_refused_in_one_line(state, tmp_path):
    file = tmp_path / "other.safetensors"
    vgg16 = {f"features.{name}": value for name, value in vgg.make_layers(vgg.cfgs["D"]).state_dict().items()}
    broken = state | {"features.2.weight": torch.full_like(state["features.2.weight"], torch.inf)}
    others = {
        r"another network.*features\.\d+\.weight": vgg16,
        r"features\.0\.weight is missing.*torchvision's vgg19": {"layer": torch.zeros(2)},
        r"features\.0\.weight is \(8, 3, 3, 3\), expected \(64, 3, 3, 3\)": {"features.0.weight": torch.zeros(8, 3, 3, 3)},  # noqa: E501
        r"not finite": broken,
    }  # fmt: skip
    for words, weights in others.items():
        safetensors.torch.save_file({name: value.contiguous() for name, value in weights.items()}, file)
        with pytest.raises(ModelError, match=words) as error:
            open_vgg(file)
        assert "\n" not in str(error.value)
        assert str(file) in str(error.value)


class _RunsWhenRead:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def test_a_file_that_is_none_or_would_run_something_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("evil.pth").write_bytes(pickle.dumps(_RunsWhenRead()))
    Path("text.pth").write_text("weights")
    Path("text.safetensors").write_text("weights")
    torch.save([torch.zeros(2)], "list.pth")
    for name in ("evil.pth", "text.pth", "text.safetensors", "nosuch.pth", "."):
        with pytest.raises(UsageError, match=r"`vgg_weights` .*: (not a file of weights|cannot be)"):
            open_vgg(Path(name))
    with pytest.raises(ModelError, match="no weights by name"):
        open_vgg(Path("list.pth"))
    assert not Path("was-run").exists()


def test_without_network_and_file_one_line_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch, capsys):
    def offline(url, **_):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)
    for name in ("photo", "painting"):
        photograph(seed=1, width=40, height=40).save(tmp_path / f"{name}.png")
    words = ["train", "fast_style", "--data", str(tmp_path), "--style", str(tmp_path / "painting.png")]
    assert main([*words, "--run", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    for part in (features.VGG19_URL, str(tmp_path / "hub" / "checkpoints"), "--vgg-weights", "GANVAS_WEIGHTS"):
        assert part in said
    assert not (tmp_path / "run").exists()


def test_downloaded_weights_are_taken_from_torchs_cache(state, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints" / features.VGG19_URL.rpartition("/")[2])
    torch.testing.assert_close(open_vgg(deepest="relu1_1").relu1_1_weight, state["features.0.weight"].float())


@pytest.mark.skipif("GANVAS_WEIGHTS" not in os.environ, reason="needs VGG-19's weights")
def test_real_weights_tell_a_blurred_photograph_from_one_a_little_brighter():
    from skimage.data import astronaut

    photo = torch.from_numpy(astronaut()).permute(2, 0, 1)[None, :, 100:356, 100:356].float() / 127.5 - 1
    blurred = nn.functional.avg_pool2d(photo, 5, 1, 2)
    brighter = (photo + 0.15).clamp(-1, 1)
    assert (photo - blurred).abs().mean() < (photo - brighter).abs().mean()  # to the pixels it is the other way round
    network = open_vgg(Path(os.environ["GANVAS_WEIGHTS"]))
    seen = [network(x, ["relu4_1"])["relu4_1"] for x in (photo, blurred, brighter)]
    assert (seen[0] - seen[1]).norm() > 1.5 * (seen[0] - seen[2]).norm()

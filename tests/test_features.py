"""The networks that see: that ours knows digits, that the standard one is the standard, and what they refuse."""

import pickle
import sys
import urllib.error
from pathlib import Path

import pytest
import torch
from opening import open_source
from torch import nn
from torch.nn import functional as F

import ganvas
from ganvas.data.batch import Spec
from ganvas.data.builtin import open_named
from ganvas.errors import UsageError
from ganvas.metrics.features import DIGITS, Features, open_features, suited

CPU = torch.device("cpu")
OURS = Path(ganvas.__file__).parent / "weights/digits.safetensors"
SHARED = Path(__file__).resolve().parents[2] / "shared/data"  # beside the project, where there is such a place


@pytest.fixture(scope="module")
def digits():
    return open_features("digits", device=CPU)


def share_right(features, images, labels):
    named = torch.cat([features.classify(features.see(part)) for part in torch.split(images, 500)])
    return float((named == labels).float().mean())


def pixels(*shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


# --- ours -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (SHARED / "MNIST").exists(), reason="MNIST is not beside the project")
def test_the_digit_network_names_nearly_every_digit_of_mnist(digits):
    test = open_source("mnist", root=SHARED, split="test").images
    assert share_right(digits, test.images, test.labels) >= 0.994


def test_the_digit_network_names_most_digits_that_others_wrote(digits):
    test = open_named("digits", root=Path(), size=28, split="test").images
    assert share_right(digits, test.images, test.labels) >= 0.6  # of 68 %: they fill the frame, as MNIST's do not
    framed = open_features("digits", device=CPU, framed=True)
    assert share_right(framed, test.images, test.labels) >= 0.92  # of 96 %
    assert "margin" in framed.protocol


def test_what_the_digit_network_sees_of_an_image_does_not_depend_on_those_beside_it(digits):
    images = open_named("digits", root=Path(), size=28).some(20).images
    together = digits.see(images)
    assert together.shape == (20, 128)
    torch.testing.assert_close(digits.see(images[7:8])[0], together[7], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[6], together[7], atol=0.1)


def test_the_digit_network_sees_images_of_every_size(digits):
    small, large = (open_named("digits", root=Path(), size=size).some(20).images for size in (28, 64))
    assert digits.see(large).shape == (20, 128)
    closeness = F.cosine_similarity(digits.see(large), digits.see(small))
    assert closeness.min() > 0.8


def test_the_digit_network_comes_along_and_is_small():
    assert 0 < OURS.stat().st_size < 2_000_000


def test_the_digit_network_refuses_colour(digits):
    with pytest.raises(UsageError, match="`features` inception"):
        digits.see(pixels(2, 3, 28, 28))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (Spec(28, 1, DIGITS), "digits"),
        (Spec(16, 1, DIGITS), "digits"),
        (Spec(28, 3, DIGITS), "inception"),
        (Spec(28, 1), "inception"),
        (Spec(28, 1, tuple("abcdefghij")), "inception"),
        (Spec(28, 1, DIGITS[:9]), "inception"),
    ],
)
def test_grey_digits_suit_the_digit_network_and_all_else_inception(spec, name):
    assert suited(spec) == name


def test_only_inceptions_scores_go_by_the_bare_name(digits):
    assert digits.title("FID") == "FID (digits)"
    assert Features("inception", "", 1, nn.Identity()).title("FID") == "FID"


# --- the standard ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """torch-fidelity's network with random weights, and a file that holds them."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    file = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({}, file)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = fidelity.FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(file))
    for weight in network.parameters():
        if weight.dim() == 4:
            nn.init.kaiming_normal_(weight)  # so that something of the image comes through to the end
    torch.save(network.state_dict(), file)
    return network, file


@pytest.mark.parametrize("channels", [1, 3])
def test_inception_sees_what_torch_fidelitys_network_sees(inception, channels):
    network, file = inception
    features = open_features("inception", device=CPU, weights=file)
    images = pixels(2, channels, 32, 32)
    seen = features.see(images)
    assert seen.shape == (2, 2048)
    torch.testing.assert_close(seen, network(images.repeat(1, 3 // channels, 1, 1))[0])
    assert not torch.allclose(seen[0], seen[1], rtol=0.05)
    assert (features.classify, features.classes) == (None, ())


class Bomb:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (open, (str(self.place), "w"))


def of_something_else(file, place):
    torch.save({"weight": torch.zeros(3)}, file)


def with_code(file, place):
    torch.save({"weight": Bomb(place)}, file)


def plain_pickle_with_code(file, place):
    file.write_bytes(pickle.dumps(Bomb(place), protocol=2))


def cut_short(file, place):
    torch.save({"weight": torch.zeros(1000)}, file)
    file.write_bytes(file.read_bytes()[:2000])


@pytest.mark.parametrize(
    "spoil",
    [
        of_something_else, with_code, plain_pickle_with_code, cut_short,
        lambda file, place: torch.save([torch.zeros(3)], file),
        lambda file, place: torch.save({1: torch.zeros(3)}, file),
        lambda file, place: file.write_bytes(b""),
        lambda file, place: file.write_text("hello world"),
        lambda file, place: file.write_text("<html><body>404</body></html>"),
        lambda file, place: file.write_bytes(OURS.read_bytes()),
        lambda file, place: file.mkdir(),
        lambda file, place: None,
    ],
    ids=[
        "other", "code", "pickle-with-code", "cut-short", "list", "numbered", "empty", "text", "page", "safetensors",
        "folder", "missing",
    ],
)  # fmt: skip
def test_weights_that_are_not_inceptions_are_refused_in_one_line_and_run_nothing(spoil, tmp_path):
    pytest.importorskip("torch_fidelity")
    file, place = tmp_path / "weights.pth", tmp_path / "it-ran"
    spoil(file, place)
    with pytest.raises(UsageError, match=r"`inception_weights` .*weights\.pth") as error:
        open_features("inception", device=CPU, weights=file)
    assert len(str(error.value).splitlines()) == 1
    assert not place.exists()


@pytest.mark.parametrize("spoil", [with_code, lambda file, place: file.write_text("<html>")], ids=["code", "page"])
def test_no_message_advises_to_run_what_a_file_says(spoil, tmp_path):
    pytest.importorskip("torch_fidelity")
    spoil(tmp_path / "weights.pth", tmp_path / "it-ran")
    with pytest.raises(UsageError) as error:
        open_features("inception", device=CPU, weights=tmp_path / "weights.pth")
    assert "weights_only" not in str(error.value)


def test_the_bomb_of_these_tests_would_go_off(tmp_path):
    plain_pickle_with_code(tmp_path / "weights.pth", tmp_path / "it-ran")
    pickle.loads((tmp_path / "weights.pth").read_bytes()).close()
    assert (tmp_path / "it-ran").exists()


def test_without_torch_fidelity_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UsageError, match=r"pip install 'ganvas\[inception\]'.*`features` digits"):
        open_features("inception", device=CPU)


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError(OSError(-3, "Temporary failure in name resolution")),
        RuntimeError("invalid hash value"),
    ],
)
def test_where_nothing_can_be_downloaded_it_says_what_to_fetch(error, monkeypatch):
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(UsageError, match=r"cannot be downloaded.*`inception_weights`.*`features` digits") as raised:
        open_features("inception", device=CPU)
    assert fidelity.URL_INCEPTION_V3 in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 300

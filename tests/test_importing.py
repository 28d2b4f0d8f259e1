"""Weights of the PyTorch CycleGAN-and-pix2pix code, against networks written anew from how that code builds them."""

import io
import os
import pickle
import struct
import sys
import types
import warnings
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from ganvas import checkpoint
from ganvas.checkpoint.convert import import_weights
from ganvas.cli import main
from ganvas.errors import ModelError
from ganvas.imaging.images import to_bytes

# --- that code's networks -------------------------------------------------------------------------------------------


class OldInstanceNorm(nn.InstanceNorm2d):
    """As files before PyTorch 0.4 have it: statistics of the image, and running ones that nobody uses."""

    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("running_mean", torch.randn(channels))
        self.register_buffer("running_var", torch.rand(channels))

    def forward(self, x):
        return nn.functional.instance_norm(x)


NORMS = {
    "instance": nn.InstanceNorm2d,
    "affine": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "old": OldInstanceNorm,
    "batch": nn.BatchNorm2d,
    "biased batch": nn.BatchNorm2d,  # of a fork
    "none": lambda channels: nn.Identity(),
}
BIASED = ("instance", "affine", "old", "biased batch")


class Block(nn.Module):
    def __init__(self, width, norm, bias, dropout):
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        self.conv_block = nn.Sequential(*half, nn.ReLU(True), *([nn.Dropout(0.5)] if dropout else []), *other)

    def forward(self, x):
        return x + self.conv_block(x)


class TheirResNet(nn.Module):
    def __init__(self, channels=3, outputs=3, *, width=4, blocks=6, norm="instance", dropout=False, downsamplings=2):
        super().__init__()
        bias, norm = norm in BIASED, NORMS[norm]
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=bias), norm(width), nn.ReLU(True)]
        for i in range(downsamplings):
            n = width * 2**i
            layers += [nn.Conv2d(n, 2 * n, 3, 2, 1, bias=bias), norm(2 * n), nn.ReLU(True)]
        layers += [Block(width * 2**downsamplings, norm, bias, dropout) for _ in range(blocks)]
        for i in range(downsamplings, 0, -1):
            n = width * 2**i
            up = nn.ConvTranspose2d(n, n // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += [up, norm(n // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class Nested(nn.Module):
    """One level of the U-Net around the next; its activations change in place what its connection carries."""

    def __init__(self, outer, inner, *, norm, bias, inside=None, entering=None, dropout=False):
        super().__init__()
        self.outermost = entering is not None
        down = nn.Conv2d(entering if self.outermost else outer, inner, 4, 2, 1, bias=bias)
        up_channels = inner if inside is None else 2 * inner
        up = nn.ConvTranspose2d(up_channels, outer, 4, 2, 1, bias=bias or self.outermost)
        leaky, relu = nn.LeakyReLU(0.2, True), nn.ReLU(True)
        if self.outermost:
            layers = [down, inside, relu, up, nn.Tanh()]
        elif inside is None:
            layers = [leaky, down, relu, up, norm(outer)]
        else:
            layers = [leaky, down, norm(inner), inside, relu, up, norm(outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class TheirUNet(nn.Module):
    multiple = property(lambda self: 2**self.downsamplings)

    def __init__(self, channels=3, outputs=3, *, downsamplings=7, width=4, norm="batch", dropout=False):
        super().__init__()
        self.downsamplings = downsamplings
        way = {"norm": NORMS[norm], "bias": norm in BIASED}
        block = Nested(8 * width, 8 * width, **way)
        for _ in range(downsamplings - 5):
            block = Nested(8 * width, 8 * width, inside=block, dropout=dropout, **way)
        for n in (4, 2, 1):
            block = Nested(n * width, 2 * n * width, inside=block, **way)
        self.model = Nested(outputs, width, entering=channels, inside=block, **way)

    def forward(self, x):
        return self.model(x)


def discriminator(norm=nn.BatchNorm2d):
    return nn.ModuleDict(
        {
            "model": nn.Sequential(
                nn.Conv2d(6, 4, 4, 2, 1), nn.LeakyReLU(0.2, True),
                nn.Conv2d(4, 8, 4, 2, 1, bias=False), norm(8), nn.LeakyReLU(0.2, True),
                nn.Conv2d(8, 16, 4, 1, 1, bias=False), norm(16), nn.LeakyReLU(0.2, True),
                nn.Conv2d(16, 1, 4, 1, 1),
            )
        }
    )  # fmt: skip


def random(network, *, seed=0, gain=1.4):
    """Weights and statistics of a size at which every layer is seen in what comes out."""
    torch.manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.dim() == 4:
            value.normal_(0, gain / value[0].numel() ** 0.5)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_(0.3, 0.5)
    return network.eval()


def saved(network, path, **options):
    torch.save(network.state_dict(), path, **options)
    return path


def noise(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def held_together(ours, theirs, images):
    """That both make the same in double precision, and in single the same but for one grey level."""
    with torch.no_grad():
        single, expected = ours.translate(images), theirs(images)
        exact = theirs.double()(images.double())
        ours.double()
        assert (ours.generator(images.double()) - exact).abs().max() < 1e-6
    assert expected.std() > 0.05  # an image, and neither grey nor saturated, where nothing could be seen
    assert expected.abs().median() < 0.99
    assert (single - expected).abs().max() < 1e-4
    assert (to_bytes(single).int() - to_bytes(expected).int()).abs().max() <= 1


# --- the same images ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("norm", list(NORMS))
@pytest.mark.parametrize("blocks", [6, 9])
def test_a_resnet_makes_the_same_images(blocks, norm, dropout, tmp_path):
    gain = 0.5 if norm == "none" else 1.4  # else it grows from block to block
    theirs = random(TheirResNet(blocks=blocks, norm=norm, dropout=dropout), gain=gain)
    imported = import_weights(saved(theirs, tmp_path / "latest_net_G.pth"))
    assert imported.manifest.config.blocks == blocks
    assert imported.manifest.config.dropout == (0.5 if dropout else 0)
    assert imported.manifest.config.norm == {"affine": "instance", "old": "instance", "biased batch": "batch"}.get(
        norm, norm
    )
    held_together(imported.method, theirs, noise(2, 3, 24, 40))


@pytest.mark.parametrize("norm", list(NORMS))
@pytest.mark.parametrize("downsamplings", [5, 7, 8])
def test_a_unet_makes_the_same_images(downsamplings, norm, tmp_path):
    theirs = random(TheirUNet(downsamplings=downsamplings, norm=norm, dropout=norm == "batch"))
    imported = import_weights(saved(theirs, tmp_path / "latest_net_G.pth"))
    side = theirs.multiple
    assert imported.manifest.spec.size == side
    held_together(imported.method, theirs, noise(1, 3, side, 2 * side))


@pytest.mark.parametrize("network", [TheirResNet, TheirUNet])
def test_batch_norm_by_image_is_that_code_without_eval(network, tmp_path):
    theirs = random(network(norm="batch"))
    imported = import_weights(saved(theirs, tmp_path / "latest_net_G.pth"), statistics="image")
    running = import_weights(tmp_path / "latest_net_G.pth")
    image = noise(1, 3, 128, 256)
    assert (running.method.translate(image) - imported.method.translate(image)).abs().max() > 0.1
    held_together(imported.method, theirs.train(), image)


@pytest.mark.parametrize(("channels", "outputs"), [(1, 3), (3, 1), (1, 1), (1, 2)])
@pytest.mark.parametrize("network", [TheirResNet, TheirUNet])
def test_grey_and_colour(network, channels, outputs, tmp_path):
    theirs = random(network(channels, outputs, width=3))
    imported = import_weights(saved(theirs, tmp_path / "latest_net_G.pth"))
    assert (imported.manifest.spec.channels, imported.manifest.spec.outputs) == (channels, outputs)
    assert imported.manifest.task == ("colorize" if outputs == 2 else "")
    held_together(imported.method, theirs, noise(1, channels, 128, 128))


def with_prefix(prefix, state):
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: with_prefix("module.", state),
        lambda state: with_prefix("_orig_mod.module.", state),
        lambda state: {"state_dict": state, "epoch": 5},
        lambda state: {"epoch": 5, "model": with_prefix("module.", state)},
        lambda state: {name: nn.Parameter(value, requires_grad=value.dim() > 0) for name, value in state.items()},
    ],
)  # fmt: skip
@pytest.mark.parametrize("network", [TheirResNet, TheirUNet])
def test_however_it_was_wrapped(network, wrap, tmp_path):
    theirs = random(network(norm="batch"))
    torch.save(wrap(theirs.state_dict()), tmp_path / "G.pt")
    held_together(import_weights(tmp_path / "G.pt").method, theirs, noise(1, 3, 128, 128))


@pytest.mark.parametrize("network", [TheirResNet, TheirUNet])
def test_in_whatever_file(network, tmp_path):
    theirs = random(network())
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "G.safetensors")
    saved(theirs, tmp_path / "zip.pth")
    saved(theirs, tmp_path / "old.pth", _use_new_zipfile_serialization=False)  # as everybody did before PyTorch 1.6
    made = [import_weights(tmp_path / name).method.state_dict() for name in ("zip.pth", "old.pth", "G.safetensors")]
    assert all(torch.equal(made[0][name], other[name]) for other in made for name in made[0])


def test_halves_become_single(tmp_path):
    theirs = random(TheirResNet(norm="batch")).half()
    imported = import_weights(saved(theirs, tmp_path / "G.pth"))
    held_together(imported.method, theirs.float(), noise(1, 3, 16, 24))


# --- from the command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [TheirResNet, TheirUNet])
def test_from_the_file_to_an_image_of_any_shape(network, tmp_path, capsys):
    theirs = random(network(norm="batch"))
    out = tmp_path / "models" / "my model.safetensors"
    given = saved(nn.DataParallel(theirs), tmp_path / "latest_net_G.pth")
    assert main(["import", str(given), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "4 channels wide, 3 to 3 channels, batch norm" in said.out
    assert "--statistics image" in said.err
    loaded = checkpoint.load(out, torch.device("cpu"))
    assert (loaded.manifest.data, loaded.step) == ("latest_net_G.pth", 0)
    assert out.stat().st_size < given.stat().st_size * 1.3  # the new discriminator weighs nothing

    image = noise(1, 3, 37, 90)
    multiple = getattr(theirs, "multiple", 4)
    below, right = -37 % multiple, -90 % multiple
    padded = torch.from_numpy(np.pad(image.numpy(), [(0, 0), (0, 0), (0, below), (0, right)], mode="reflect"))
    with torch.no_grad():
        expected, made = theirs(padded)[..., :37, :90], loaded.method.translate(image)
    assert (made - expected).abs().max() < 1e-4
    assert (to_bytes(made).int() - to_bytes(expected).int()).abs().max() <= 1

    before = out.read_bytes()
    assert main(["import", str(given), "--out", str(out), "--statistics", "image"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main(["import", str(given), "--out", str(out), "--statistics", "image", "--overwrite"]) == 0
    assert checkpoint.load(out, torch.device("cpu")).manifest.config.norm == "instance"


def test_where_it_may_go(tmp_path, capsys):
    given = tmp_path / "G.safetensors"
    safetensors.torch.save_file(random(TheirResNet()).state_dict(), given)
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "file").write_text("")
    for out in ("model.pth", "model", "folder.safetensors", "file/model.safetensors", "G.safetensors"):
        before = sorted(tmp_path.rglob("*"))
        assert main(["import", str(given), "--out", str(tmp_path / out), "--overwrite"]) == 2
        assert out.split("/")[0] in capsys.readouterr().err
        assert sorted(tmp_path.rglob("*")) == before


def test_the_same_file_gives_the_same_model(tmp_path):
    given = saved(random(TheirResNet()), tmp_path / "G.pth")
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 1000)
        assert main(["import", str(given), "--out", str(tmp_path / f"{name}.safetensors")]) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


# --- what is something else -----------------------------------------------------------------------------------------


def refused(file, expected):
    with pytest.raises(ModelError, match=expected) as caught:
        import_weights(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


PIXEL = {"net.0.weight": torch.zeros(4, 6, 1, 1), "net.0.bias": torch.zeros(4), "net.2.weight": torch.zeros(1, 4, 1, 1)}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda: discriminator().state_dict(), "a patch discriminator of that code"),
        (lambda: with_prefix("module.", discriminator(nn.Identity).state_dict()), "a patch discriminator of that code"),
        (lambda: PIXEL, "a pixel discriminator of that code"),
        (lambda: torch.optim.Adam(TheirResNet().parameters()).state_dict(), "an optimizer state"),
        (lambda: nn.Linear(2, 3).state_dict(), "something else .first weight, bias"),
        (lambda: with_prefix("netG_A.", TheirResNet().state_dict()), "several networks in one file .netG_A"),
        (lambda: {"model.4.filt": torch.zeros(1)} | discriminator().state_dict(), "contrastive-unpaired-translation"),
        (lambda: TheirResNet(downsamplings=4, width=1).state_dict(), "4 downsamplings, as pix2pixHD has it"),
        (lambda: without("model.19.weight")(TheirResNet(norm="batch").state_dict()), "model.19.weight is missing"),
        (lambda: without("model.23.bias")(TheirResNet().state_dict()), "model.23.bias is missing"),
        (lambda: without("model.12.conv_block.2.running_var")(TheirResNet(norm="batch").state_dict()), "is missing"),
        (lambda: TheirResNet().state_dict() | {"model.99.weight": torch.zeros(1)}, "it also has model.99.weight"),
        (lambda: TheirResNet().state_dict() | {"model.4.weight": torch.zeros(8, 4, 5, 5)}, r"weight is \[8, 4, 5, 5"),
        (lambda: TheirResNet().state_dict() | {"model.4.weight": torch.zeros(8)}, "model.4.weight is odd"),
        (lambda: TheirResNet().state_dict() | {"model.1.bias": torch.full((4,), torch.nan)}, "is not finite"),
        (lambda: {name: weight.to(torch.int8) for name, weight in TheirResNet().state_dict().items()}, "int8"),
        (lambda: TheirResNet(channels=4).state_dict(), "4 to 3 channels"),
        (lambda: TheirResNet(channels=3, outputs=2).state_dict(), "3 to 2 channels"),
        (lambda: TheirUNet(downsamplings=11, width=1).state_dict(), "U-Net of 11 downsamplings; ganvas takes 5 to 10"),
        (lambda: {"epoch": 3}, r"no weights by name \(epoch\)"),
        (lambda: {}, "nothing"),
        (lambda: [torch.zeros(3)], "holds a list"),
        (lambda: torch.zeros(3), "holds a Tensor"),
        (lambda: {"\x1b[31m" + "x" * 500: torch.zeros(3)}, r"first \?\[31mx+\.\.\."),
    ],
)  # fmt: skip
def test_other_weights_are_named(content, expected, tmp_path):
    torch.save(content(), tmp_path / "file.pth")
    refused(tmp_path / "file.pth", expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\x80", "cut short or damaged"),
        (b"hello", "does not look like a file of weights"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"<!DOCTYPE html><html>", "the download has failed"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (struct.pack("<Q", 2**39) + b"{}", "like safetensors, but"),
        (b"PK\x03\x04" + bytes(60), "cut short"),
    ],
)
def test_other_files_are_named(content, expected, tmp_path):
    (tmp_path / "file.pth").write_bytes(content)
    refused(tmp_path / "file.pth", expected)


def test_other_archives_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(f"script/{name}", "")
    refused(tmp_path / "script.pt", "a TorchScript archive")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    refused(tmp_path / "arrays.npz", "a zip archive of something else .a.npy")
    refused(tmp_path, "is a folder")
    refused(tmp_path / "nothing.pth", "no such file")


def test_ganvas_own_files_are_named(digits_run):
    save = next(digits_run.glob("step-*"))
    refused(save / "weights.safetensors", "own model file; use it as it is")
    refused(save / "resume.pt", "weights.safetensors beside it")


def test_a_whole_model_is_refused_by_name(tmp_path, monkeypatch):
    module = types.ModuleType("models.networks")
    module.Generator = type("Generator", (nn.Sequential,), {"__module__": "models.networks"})
    monkeypatch.setitem(sys.modules, "models", types.ModuleType("models"))
    monkeypatch.setitem(sys.modules, "models.networks", module)
    for new in (True, False):
        with warnings.catch_warnings(action="ignore"):  # that the source code is not saved along
            torch.save(module.Generator(nn.Conv2d(1, 1, 1)), tmp_path / "G.pth", _use_new_zipfile_serialization=new)
        refused(tmp_path / "G.pth", r"a full pickled model \(models.networks.Generator\): refused")


class Payload:
    """What a pickle can do to who loads it: write a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"echo harm > {self.file}",)


@pytest.mark.parametrize("kind", ["zip", "old", "bare", "named"])
def test_a_pickle_that_would_run_code_runs_none(kind, tmp_path):
    harm, file = tmp_path / "harm", tmp_path / "latest_net_G.pth"
    if kind == "bare":
        file.write_bytes(pickle.dumps(Payload(harm)))
    elif kind == "named":  # as another ending, so that nobody is misled by it
        file = tmp_path / "latest_net_G.safetensors"
        file.write_bytes(pickle.dumps({"a": Payload(harm)}, protocol=2))
    else:
        torch.save(
            TheirResNet().state_dict() | {"x": Payload(harm)}, file, _use_new_zipfile_serialization=kind == "zip"
        )
    assert "loading could run code" in refused(file, r"holds more than weights \((posix|nt).system\)")
    assert not harm.exists()
    pickle.loads(pickle.dumps(Payload(harm)))
    assert harm.exists()  # the payload is one


def test_a_stylegan_pickle_is_named(tmp_path):
    (tmp_path / "stylegan.pkl").write_bytes(b"\x80\x04ctorch_utils.persistence\n_reconstruct_persistent_obj\n}\x85R.")
    refused(tmp_path / "stylegan.pkl", "a StyleGAN pickle")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("ending", ["zip", "old", "safetensors"])
def test_a_file_cut_short_is_refused(ending, share, tmp_path):
    file, state = tmp_path / f"G.{ending}", TheirResNet().state_dict()
    if ending == "safetensors":
        safetensors.torch.save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=ending == "zip")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    refused(file, "cut short or damaged")


def rewritten(content, change, *, compression=zipfile.ZIP_STORED):
    """The archive with its pickle changed."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name in source.namelist():
            held = source.read(name)
            archive.writestr(name, change(held) if name.endswith("data.pkl") else held)
    return target.getvalue()


def test_claims_of_huge_tensors_are_found_out_before_they_hurt(tmp_path):
    huge = torch.zeros(1).expand(2**20, 3, 7, 7)  # one number, said to be 154 million
    torch.save(TheirResNet().state_dict() | {"model.1.weight": huge}, tmp_path / "view.pth")
    refused(tmp_path / "view.pth", "more weights than the file has room for")

    content = io.BytesIO()
    torch.save(TheirResNet(width=11).state_dict(), content)
    length, far = struct.pack("<H", 11 * 3 * 49), struct.pack("<H", 65535)  # of the storage, in the pickle
    for name, change in {
        "storage": lambda held: held.replace(b"M" + length + b"t", b"M" + far + b"t"),
        "shape": lambda held: held.replace(b"K\x0bK\x03K\x07K\x07", b"M" + far + b"K\x03K\x07K\x07"),
    }.items():
        held = zipfile.ZipFile(content).read("archive/data.pkl")
        assert change(held) != held
        (tmp_path / name).write_bytes(rewritten(content.getvalue(), change))
        try:
            import_weights(tmp_path / name)
        except ModelError:
            continue
        assert name == "storage"  # whose end nobody looks at: the weights themselves are within the file


def test_a_compressed_archive_is_refused_unread(tmp_path):
    content = io.BytesIO()
    torch.save(TheirResNet().state_dict(), content)
    bomb = rewritten(content.getvalue(), lambda held: held + bytes(10**7), compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "bomb.pth").write_bytes(bomb)
    refused(tmp_path / "bomb.pth", "a compressed archive")


def test_a_wrapper_that_holds_itself_ends(tmp_path):
    content = {}
    content["model"] = content
    torch.save(content, tmp_path / "G.pth")
    refused(tmp_path / "G.pth", "no weights by name")


def test_the_command_says_one_line(tmp_path, capsys):
    saved(discriminator(), tmp_path / "latest_net_D.pth")
    out = tmp_path / "model.safetensors"
    assert main(["import", str(tmp_path / "latest_net_D.pth"), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert "a patch discriminator" in said.err
    assert "latest_net_G.pth" in said.err
    assert not out.exists()

"""The commands that the documents print run, word for word but for their length."""

import re
import shlex
from pathlib import Path

import matplotlib
import pytest
import torch
from conftest import photograph
from PIL import ImageOps
from test_every_source import data_root  # noqa: F401  # a fixture
from test_importing import TheirResNet, random, saved

from ganvas.cli import main
from ganvas.nets.vgg import VGG19, WIDTH

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHORTER = {"--minutes": "--steps", "--epochs": "--steps"}


def commands(document):
    """The ganvas command lines of a document's `sh` blocks, in order."""
    for block in blocks(document, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.partition("#")[0].split("&&"):
                if command.strip().startswith("ganvas "):
                    yield command.strip()


def programs(document):
    """The Python blocks of a document, in order."""
    return blocks(document, "python")


def blocks(document, language):
    """The blocks of a document that are in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def folders_of_a_user(place):
    """Photographs by class, paintings, drawings of the photographs, and facades beside their labels."""
    for i in range(8):
        photo = photograph(seed=i, width=40, height=32)
        for folder, image in (("photos", photo), ("drawings", ImageOps.posterize(photo, 2))):
            (place / folder / ("cat" if i % 2 else "dog")).mkdir(parents=True, exist_ok=True)
            image.save(place / folder / ("cat" if i % 2 else "dog") / f"{i}.jpg")
        of_their_own = {"monet": 32, "paintings": 32, "my-photos": 32, "train": 32, "val": 32}
        of_their_own |= {"facades": 64, "pairs": 64}
        for number, (folder, width) in enumerate(of_their_own.items(), 1):
            (place / folder).mkdir(exist_ok=True)
            photograph(seed=100 * number + i, width=width, height=32).save(place / folder / f"{i}.jpg")


def fonts_of_a_user(place):
    """Fonts under the names that documents use; they have no Hangul."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = {"NanumGothic": "DejaVuSans", "NanumBrush": "DejaVuSerif", "NanumPen": "DejaVuSansMono"}
    for name, other in names.items():
        (place / f"{name}.ttf").write_bytes((fonts / f"{other}.ttf").read_bytes())


def small_networks(method):
    """Words that make a translator quick; the others are quick enough."""
    size = ["--size", "32"]
    return {
        "pix2pix": [*size, "--width", "4", "--discriminator-width", "4"],
        "autoencoder": [*size, "--width", "4"],
        "cyclegan": [*size, "--width", "4", "--discriminator-width", "4", "--blocks", "1"],
        "fast_style": [*size, "--width", "4", "--blocks", "1"],
        "adain": [*size, "--width", "4"],
    }.get(method, [])


def tiny_vgg(weights=None, *, deepest="relu5_4", pooling="max", kept=False):
    """In place of VGG-19 with weights that have learned, which are not here."""
    width = WIDTH if deepest == "relu4_1" else 2  # adain keeps it, so it must be the right one
    return VGG19(deepest=deepest, pooling=pooling, width=width, kept=kept)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_shows_runs(document, tmp_path, monkeypatch, data_root):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganvas.cli.commands.demo.DEMO_MINUTES", 0.01)
    monkeypatch.setattr("ganvas.metrics.features.open_vgg", tiny_vgg)
    monkeypatch.setenv("GANVAS_DATA", str(data_root))
    folders_of_a_user(tmp_path)
    fonts_of_a_user(tmp_path)
    saved(random(TheirResNet(width=4, blocks=1)), tmp_path / "latest_net_G.pth")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    for study in blocks(document, "yaml")[:1]:
        (tmp_path / "study.yaml").write_text(study)
    for line in commands(document):
        words = shlex.split(line)[1:]
        for i, word in enumerate(words):
            if word in SHORTER:
                words[i : i + 2] = [SHORTER[word], "2"]
        if words[0] == "train":
            small = ["--batch", "2", *small_networks(words[1])]
            said_anew = set(small[::2])
            words = [word for i, word in enumerate(words) if not said_anew & set(words[max(0, i - 1) : i + 1])]
            words += small
        if words[0] == "stylize":
            words = [word for i, word in enumerate(words) if "--iterations" not in words[max(0, i - 1) : i + 1]]
            words += ["--iterations", "2"]
        if words[0] == "study":
            words = [word for i, word in enumerate(words) if not {"--steps"} & set(words[max(0, i - 1) : i + 1])]
            words += ["--steps", "2", "--size", "32", "--seeds", "0"]
        if words[0] in ("evaluate", "compare") and "mnist" in words:
            words += ["--count", "60"]
        if "--holdout" in words:  # of so few images a tenth is none
            words[words.index("--holdout") + 1] = "0.5"
        if "--grad-accumulate" in words:
            words[words.index("--grad-accumulate") + 1] = "2"
        for every in {"--validate-every", "--save-every"} & set(words):
            words[words.index(every) + 1] = "1"
        assert main(words) == 0, line
    names = {}
    for program in programs(document):
        exec(program.replace("holdout=0.2", "holdout=0.5"), names)  # of so few images a fifth may be none


def test_the_readme_starts_with_the_two_lines_that_do_everything():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install . && ganvas demo\n" in text
    assert "pip install '.[test]' && pytest\n" in text


def test_every_link_to_a_file_leads_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"

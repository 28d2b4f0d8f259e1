"""A loaded model is the one that was saved, and soon there; many images take no more memory than few."""

import copy
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from conftest import manifest_of, source_for, taught
from PIL import Image
from test_translate import negative, noise, with_memory_for

from ganvas import checkpoint, methods
from ganvas.checkpoint.manifest import build, outline
from ganvas.core.optim import evaluating
from ganvas.core.threads import done_behind, made_ahead
from ganvas.errors import DataError
from ganvas.imaging import images as imaging
from ganvas.imaging.images import DecodedImage
from ganvas.inference.translate import Translator, translate_files
from ganvas.methods._base import Generates

CPU = torch.device("cpu")
NOT_NEEDED = (
    "torch._dynamo",
    "sympy",
    "torchvision",
    "sklearn",
    "scipy",
    "skimage",
    "matplotlib",
    "rich.progress",
    "cv2",
)

every_method = pytest.mark.parametrize("name", methods.names())


def saved(tmp_path, name, **spec):
    """A method with random weights, and the model file of it."""
    source = source_for(name, **spec)
    torch.manual_seed(0)
    manifest = manifest_of(source, name)
    method = taught(build(manifest))
    file = tmp_path / f"{name}.safetensors"
    file.write_bytes(checkpoint.model_file(tmp_path, method, manifest, step=1))
    return method, file


# --- a model that is loaded -----------------------------------------------------------------------------------------


@every_method
def test_a_loaded_model_is_the_one_that_was_saved_to_its_layout_in_memory(name, tmp_path):
    method, file = saved(tmp_path, name)
    loaded = checkpoint.load(file, CPU).method
    for kind in ("named_parameters", "named_buffers"):
        expected, found = (
            {
                key: (tensor.stride(), tensor.dtype, tensor.requires_grad, tensor.device)
                for key, tensor in getattr(one, kind)()
                if key in method.state_dict()
            }
            for one in (method, loaded)
        )
        assert found == expected
    assert all(torch.equal(tensor, loaded.state_dict()[key]) for key, tensor in method.state_dict().items())
    with evaluating(method), evaluating(loaded):
        if isinstance(method, Generates):
            assert torch.equal(method.generate([3, 4]), loaded.generate([3, 4]))
        else:
            x = torch.rand(1, method.spec.channels, 16, 16) * 2 - 1
            assert torch.equal(method.translate(x), loaded.translate(x))


@every_method
def test_without_memory_a_method_takes_none_and_draws_no_chance(name):
    before = torch.random.get_rng_state()
    made = outline(manifest_of(source_for(name), name))
    assert {tensor.device.type for tensor in (*made.parameters(), *made.buffers())} == {"meta"}
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_a_file_cannot_give_back_is_told_to_the_author_of_the_method(tmp_path, monkeypatch):
    _, file = saved(tmp_path, "gan")
    gan, before = methods.get("gan"), methods.get("gan").__init__

    def with_constant(self, config, spec):
        before(self, config, spec)
        self.register_buffer("constant", torch.ones(2), persistent=False)

    monkeypatch.setattr(gan, "__init__", with_constant)
    with pytest.raises(AssertionError, match="constant of gan"):
        checkpoint.load(file, CPU)


def test_the_optimisers_of_a_loaded_model_and_of_a_copy_are_over_their_own_weights(tmp_path):
    _, file = saved(tmp_path, "dcgan")
    loaded = checkpoint.load(file, CPU).method
    for method in (loaded, copy.deepcopy(loaded)):
        owned = [
            weight for each in method.optimizers.values() for group in each.param_groups for weight in group["params"]
        ]
        assert {id(weight) for weight in owned} == {
            id(weight) for weight in method.parameters() if weight.requires_grad
        }
    assert list(loaded.optimizers) == ["generator", "discriminator"]
    assert len(loaded.optimizers) == 2
    assert loaded.optimizers["generator"] is loaded.optimizers["generator"]


@pytest.mark.parametrize(
    "words", ["generate {model} --out {out}.png --count 1", "translate {model} {image} --out {out}"]
)
def test_one_image_loads_nothing_that_it_does_not_need(words, tmp_path):
    _, model = saved(tmp_path, "dcgan" if "generate" in words else "pix2pix")
    Image.fromarray(noise()).save(tmp_path / "in.png")
    line = words.format(model=model, image=tmp_path / "in.png", out=tmp_path / "out").split()
    code = (
        f"import sys; from ganvas.cli import main; status = main({line!r}); "
        f"print(status, *(name for name in {NOT_NEEDED!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"


def test_the_formats_are_those_that_pillow_has_for_these_endings():
    known = Image.registered_extensions()
    assert {ending: imaging.format_of(Path(f"a{ending}")) for ending in imaging.EXTENSIONS} == {
        ending: known[ending] for ending in imaging.EXTENSIONS
    }


# --- images together ----------------------------------------------------------------------------------------------


def images(count, *, height=24, width=40, channels=3):
    """Random images."""
    rng = torch.Generator().manual_seed(0)
    return [
        DecodedImage(torch.randint(0, 256, (channels, height, width), generator=rng, dtype=torch.uint8))
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", [n for n in methods.names() if hasattr(methods.get(n), "translate")])
def test_together_images_come_out_as_alone_to_a_step_of_255(name, tmp_path):
    _, file = saved(tmp_path, name, channels=3)
    translator = Translator(checkpoint.load(file, CPU))
    given = images(5)
    for together, one in zip(translator.each(given), given, strict=True):
        apart = together.pixels.int() - translator(one).pixels.int()
        assert apart.abs().max() <= 1
        assert (apart != 0).float().mean() < 0.01


def test_small_images_of_one_size_go_through_the_network_together(tmp_path):
    model, places = negative(), {}
    for number in range(20):
        Image.fromarray(noise(20, 30 if number == 18 else 24)).save(tmp_path / f"{number:02d}.png")
        places[tmp_path / f"{number:02d}.png"] = tmp_path / f"made-{number:02d}.png"
    done = list(translate_files(Translator(model), places))
    assert [event.file for event in done] == list(places)
    assert [shape[0] for shape, _ in model.method.seen] == [16, 2, 1, 1]
    for file, place in places.items():
        assert torch.equal(imaging.read(place).pixels, 255 - imaging.read(file).pixels)


def test_large_images_and_those_in_tiles_go_alone():
    small, large = images(1)[0], images(1, height=600, width=600)[0]
    assert Translator(negative()).together(small, small) == 16
    assert Translator(negative()).together(large, large) == 1
    assert Translator(negative()).together(small, large) == 1
    assert Translator(negative(), tile=256).together(small, small) == 1


def test_what_a_task_enlarges_is_not_too_much_at_once():
    model = negative(task="superres:4")
    made = Translator(model).each(images(8, height=128, width=128))
    assert {image.pixels.shape for image in made} == {(3, 512, 512)}
    assert {shape[0] for shape, _ in model.method.seen} == {1}


def test_one_of_a_group_that_cannot_be_translated_leaves_the_others():
    given = images(3)
    alpha = torch.full((24, 40), 255, dtype=torch.uint8)
    alpha[:4, :4] = 0
    with_holes = [DecodedImage(one.pixels, alpha if number != 1 else None) for number, one in enumerate(given)]
    made = Translator(negative(task="inpaint")).each(with_holes)
    assert [isinstance(one, DataError) for one in made] == [False, True, False]


def test_where_memory_does_not_suffice_for_a_group_each_is_tried_alone():
    made = Translator(with_memory_for(24 * 40)).each(given := images(4))
    assert all(torch.equal(one.pixels, 255 - other.pixels) for one, other in zip(made, given, strict=True))


# --- ahead and behind -----------------------------------------------------------------------------------------------


def test_what_is_made_ahead_is_the_same_in_order_and_bounded():
    asked = []

    def items():
        for number in range(20):
            asked.append(number)
            yield number

    for expected, item in enumerate(made_ahead(items(), most=3)):
        time.sleep(0.001)
        assert item == expected
        assert len(asked) <= item + 1 + 3
    assert len(asked) == 20


def test_what_goes_wrong_ahead_and_behind_is_raised_where_it_is_asked_for():
    def items():
        yield 1
        raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        list(made_ahead(items(), most=2))
    with pytest.raises(ZeroDivisionError):
        list(done_behind(lambda item: 1 // item, [1, 0, 1], most=2, threads=2))


def test_what_is_done_behind_comes_in_order_beside_the_next_and_is_bounded():
    waiting, most_waiting, begun = 0, 0, threading.Event()
    lock = threading.Lock()

    def items():
        nonlocal waiting, most_waiting
        for number in range(30):
            if number == 1:
                assert begun.wait(10)  # the first is under way while the second is made
            with lock:
                waiting += 1
                most_waiting = max(most_waiting, waiting)
            yield number

    def work(number):
        nonlocal waiting
        begun.set()
        time.sleep(0.003 if number % 3 else 0.009)
        with lock:
            waiting -= 1
        return number

    assert list(done_behind(work, items(), most=4, threads=3)) == list(range(30))
    assert most_waiting <= 4 + 2  # one that is being made, and one that the caller is given


def test_interrupted_what_is_under_way_is_finished_and_given():
    def items():
        yield from range(3)
        raise KeyboardInterrupt

    given = []
    with pytest.raises(KeyboardInterrupt):
        given.extend(done_behind(lambda item: (time.sleep(0.05), item)[1], items(), most=9, threads=1))
    assert given == [0, 1, 2]

"""The contract, over every method in the folder: it is what CONTRIBUTING.md says a method is."""

import dataclasses

import pytest
import torch
from conftest import (
    labelled_source,
    lessons,
    manifest_of,
    noise_source,
    pairs_source,
    same_weights,
    small_config,
    source_for,
    taught,
    train_to,
    unpaired_source,
)
from torch import Tensor

from ganvas import checkpoint, methods, training
from ganvas.core.options import Data, TrainOptions
from ganvas.data.batch import SIZES, ImageBatch, PairBatch, Spec, UnpairedBatch
from ganvas.errors import DataError, SettingError
from ganvas.methods._base import BaseConfig, Generates, Method, Translates

CPU = torch.device("cpu")
every_method = pytest.mark.parametrize("name", methods.names())
every_preset = pytest.mark.parametrize(
    ("name", "preset"), [(name, preset) for name in methods.names() for preset in (None, *methods.get(name).presets)]
)


translators = pytest.mark.parametrize("name", [n for n in methods.names() if hasattr(methods.get(n), "translate")])
SOURCES = {ImageBatch: labelled_source, PairBatch: pairs_source, UnpairedBatch: unpaired_source}


def small(name, source=None, **settings):
    source = source or source_for(name)
    torch.manual_seed(0)
    return taught(methods.get(name)(small_config(name, **settings), source.spec))


def step(method, source=None, n=0):
    source = source or source_for(method.name())
    torch.manual_seed(n)
    return method.training_step(source.some(8).signed(), n)


def test_there_are_methods_and_one_that_is_none_is_refused():
    known = {"gan", "dcgan", "cgan", "wgan_gp", "vae", "pix2pix", "autoencoder", "cyclegan", "fast_style", "adain"}
    assert known <= set(methods.names())
    with pytest.raises(SettingError, match=r"nosuch.*dcgan"):
        methods.get("nosuch")
    with pytest.raises(SettingError, match=r"`preset` nosuch.*gan has"):
        methods.config("gan", "nosuch")


@every_method
def test_it_says_what_it_is(name):
    method = methods.get(name)
    assert issubclass(method, Method)
    assert method.name() == name
    assert method.batches
    assert set(method.batches) <= set(SOURCES)
    assert 20 < len(methods.summary(name)) < 120
    assert dataclasses.is_dataclass(method.Config)
    assert issubclass(method.Config, BaseConfig)
    assert method.Config.__dataclass_params__.frozen
    assert all(field.metadata["help"] for field in dataclasses.fields(method.Config))


@every_preset
def test_a_preset_builds_and_learns_at_the_size_that_is_its_own(name, preset):
    config = methods.config(name, preset)
    source = source_for(name, n=8, size=28 if 28 in config.sizes else config.sizes[0])
    method = taught(methods.get(name)(config, source.spec))
    torch.manual_seed(0)
    assert method.training_step(source.some(2).signed(), 0)


@every_method
def test_every_trainable_weight_is_in_exactly_one_optimizer(name):
    method = small(name)
    owned = [weight for o in method.optimizers.values() for group in o.param_groups for weight in group["params"]]
    assert len(owned) == len({id(weight) for weight in owned})
    assert {id(weight) for weight in owned} == {id(w) for w in method.parameters() if w.requires_grad}


@every_method
def test_five_steps_move_every_kernel_and_give_finite_scalars(name):
    method = small(name)
    before = {key: value.clone() for key, value in method.named_parameters() if value.requires_grad}
    losses = {}
    for n in range(5):  # some learn from several batches before the generator has its turn
        losses |= step(method, n=n)
    assert losses
    for loss in losses.values():
        assert isinstance(loss, Tensor)
        assert loss.dim() == 0
        assert loss.isfinite()
        assert not loss.requires_grad
    still = [key for key, value in method.named_parameters() if key in before and torch.equal(value, before[key])]
    assert not [key for key in still if before[key].dim() > 1]


@every_method
def test_chance_is_a_function_of_the_seed(name):
    one, other = small(name), small(name)
    for n in range(3):
        step(one, n=n)
        step(other, n=n)
    assert same_weights(one, other)


@every_method
@pytest.mark.parametrize("changes", [{}, {"flip": True, "precision": "bf16"}], ids=["plain", "bf16-flipped"])
def test_save_load_and_go_on_is_bit_identical(name, changes, tmp_path):
    source = source_for(name)
    manifest = manifest_of(source, name, **changes)
    unbroken = train_to(tmp_path / "unbroken", 7, source=source, manifest=manifest)
    train_to(tmp_path / "broken", 3, of=7, source=source, manifest=manifest)
    resumed = train_to(tmp_path / "broken", 7, source=source, manifest=manifest)
    assert same_weights(unbroken, resumed)


@every_method
def test_leaving_the_loop_saves_between_two_steps(name, tmp_path, monkeypatch):
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)
    source = source_for(name)
    manifest = manifest_of(source, name)
    events = training.train(
        tmp_path,
        source,
        training.start(tmp_path, source, manifest, **lessons(name)),
        training.Plan(manifest=manifest, device=CPU, limit=training.Limit(steps=9)),
    )
    for event in events:
        if event.step == 4:
            break
    events.close()
    assert checkpoint.load(tmp_path, CPU).step == 4
    resumed = train_to(tmp_path, 9, source=source, manifest=manifest)
    assert same_weights(resumed, train_to(tmp_path / "unbroken", 9, source=source, manifest=manifest))


@every_method
@pytest.mark.parametrize("size", [size for size in SIZES if size <= 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_grey_and_colour(name, size, channels):
    source = source_for(name, n=8, size=size, channels=channels)
    method = small(name, source).eval()
    made = [method.generate([0, 1])] if isinstance(method, Generates) else []
    with torch.no_grad():
        if isinstance(method, Translates):
            made += [method.translate(torch.zeros(2, channels, size, size), way) for way in method.directions]
    for images in made:
        assert images.shape == (2, channels, size, size)
        assert images.abs().max() <= 1
    if size <= 64:
        assert step(method.train(), source)


@every_method
@pytest.mark.parametrize("size", [size for size in SIZES if size > 256])
def test_at_its_full_width_every_large_size_has_the_right_shapes(name, size):
    """On the meta device, which computes shapes alone."""
    config = methods.get(name).Config()
    if size not in config.sizes:
        pytest.skip("its networks are dense")
    with torch.device("meta"):
        method = methods.get(name)(config, Spec(size, 3, ("a", "b", "c"))).eval()
        made = [method.generate([0, 1])] if isinstance(method, Generates) else []
        if isinstance(method, Translates):
            made += [method.translate(torch.empty(2, 3, size, size), way) for way in method.directions]
    for images in made:
        assert images.shape == (2, 3, size, size)


@pytest.mark.parametrize("name", ["dcgan", "wgan_gp", "vae", "pix2pix"])
def test_a_step_at_512_pixels_teaches(name):
    source = source_for(name, n=2, size=512, channels=3)
    method = small(name, source, batch=2)
    before = {key: value.clone() for key, value in method.named_parameters() if value.requires_grad}
    losses = {}
    for n in range(2 if name == "wgan_gp" else 1):  # the generator's turn comes second
        torch.manual_seed(n)
        losses |= method.training_step(source.some(2).signed(), n)
    assert all(loss.isfinite() for loss in losses.values())
    assert not [
        key for key, value in before.items() if value.dim() > 1 and torch.equal(value, method.get_parameter(key))
    ]


@every_method
def test_an_image_is_its_seed_whatever_stands_beside_it(name):
    method = small(name)
    if not isinstance(method, Generates):
        pytest.skip("does not generate from noise")
    step(method)
    method.eval()
    together = method.generate([3, 4, 5, 3])
    assert torch.equal(together[0], together[3])
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    torch.testing.assert_close(method.generate([4])[0], together[1], atol=1e-5, rtol=0)


@every_method
def test_what_draws_by_class_draws_the_class_asked_for_and_refuses_data_without(name, tmp_path):
    method = small(name)
    step(method)
    method.eval()
    if not isinstance(method, Generates):
        pytest.skip("does not generate from noise")
    a, b, unasked = (method.generate([1, 1], labels) for labels in (torch.tensor([0, 1]), torch.eye(3)[:2], None))
    torch.testing.assert_close(a, b)
    assert torch.equal(a[0], a[1]) != method.by_class
    if method.by_class:
        torch.testing.assert_close(unasked, method.generate([1, 1], torch.tensor([1, 1])))
        source = noise_source()
        with pytest.raises(DataError, match=f"{name} learns by class"):
            training.start(tmp_path / "run", source, manifest_of(source, name))
        assert not (tmp_path / "run").exists()


@every_method
@pytest.mark.parametrize("kind", SOURCES)
def test_it_learns_from_the_batches_it_names_and_is_refused_others_in_one_line(name, kind, tmp_path):
    source = SOURCES[kind]()
    if kind in methods.get(name).batches:
        assert step(small(name, source), source)
        return
    with pytest.raises(DataError, match=f"{name} does not learn from the kind of data in {source.name}") as error:
        training.start(tmp_path / "run", source, manifest_of(source, name))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@translators
def test_what_translates_says_how_and_keeps_the_rows_apart(name):
    source = source_for(name, channels=3)
    method = small(name, source)
    step(method, source)
    method.eval()
    assert isinstance(method, Translates)
    assert type(method.any_size) is bool
    assert type(method.multiple) is int
    assert method.multiple > 0
    assert method.directions in (("ab",), ("ab", "ba"))
    images = noise_source(channels=3, size=16).some(4).signed().images
    for direction in method.directions:
        out = method.translate(images, direction)
        assert out.shape == images.shape
        assert out.dtype == torch.float32
        assert out.abs().max() <= 1
        torch.testing.assert_close(method.translate(images[2:3], direction)[0], out[2], atol=1e-5, rtol=0)
    if "ba" in method.directions:
        assert not torch.allclose(out, method.translate(images), atol=1e-3)


@translators
def test_what_translates_asks_for_ab_where_nobody_says_and_refuses_a_way_it_cannot_go(name):
    method = small(name).eval()
    images = noise_source().some(2).signed().images
    assert torch.equal(method.translate(images), method.translate(images, "ab"))
    for direction in {"ba", "nowhere"} - set(method.directions):
        with pytest.raises(AssertionError):
            method.translate(images, direction)


@translators
@pytest.mark.parametrize("size", [16, 28, 64])
def test_what_takes_any_size_gives_back_that_size(name, size):
    source = source_for(name, n=8, size=size, channels=3)
    method = small(name, source).eval()
    if not method.any_size:
        pytest.skip("takes squares of the size it learned")
    with torch.no_grad():
        for height, width in [(8, 8), (37, 53), (100, 20), (size, size + 1)]:
            images = torch.rand(1, 3, height, width) * 2 - 1
            for direction in method.directions:
                out = method.translate(images, direction)
                assert out.shape == images.shape
                assert out.isfinite().all()
                assert out.abs().max() <= 1


@translators
@pytest.mark.parametrize(("channels", "target_channels"), [(1, 3), (1, 2), (3, 1)])
def test_pairs_may_have_sides_of_different_channels(name, channels, target_channels):
    if PairBatch not in methods.get(name).batches:
        pytest.skip("does not learn from pairs")
    source = pairs_source(n=8, channels=channels, target_channels=target_channels)
    method = small(name, source, **({"identity": 0.0} if name == "cyclegan" else {}))
    assert step(method, source)
    out = method.eval().translate(source.some(2).signed().source)
    assert out.shape == (2, target_channels, 16, 16)


@every_method
def test_the_smallest_batch_that_is_allowed_can_be_learned_from(name):
    lowest = next(f for f in dataclasses.fields(methods.get(name).Config) if f.name == "batch").metadata["low"]
    source = source_for(name)
    method = small(name, source, batch=lowest)
    torch.manual_seed(0)
    assert method.training_step(source.some(lowest).signed(), 0)


@every_preset
def test_a_size_that_cannot_be_made_is_refused(name, preset):
    config = methods.config(name, preset)
    for size in set(SIZES) - set(config.sizes):
        with pytest.raises(SettingError, match=f"`size` {size}.*{name}"):
            methods.get(name)(config, source_for(name, n=8, size=size).spec)


def test_no_setting_is_called_like_a_flag_of_the_command_or_a_fact_of_the_data():
    flags = {field.name for cls in (Data, TrainOptions) for field in dataclasses.fields(cls)}
    assert len(flags) == sum(len(dataclasses.fields(cls)) for cls in (Data, TrainOptions))
    flags |= {"steps", "minutes", "run", "preset", "callbacks", "progress", "options"}  # epochs: the flag's default
    for name in methods.names():
        fields = {field.name for field in dataclasses.fields(methods.get(name).Config)}
        assert not fields & (flags | {field.name for field in dataclasses.fields(Spec)} | {"images", "command"})

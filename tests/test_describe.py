"""What `describe` works out from shapes alone is what the networks really take and make."""

import copy
import time

import pytest
import torch
from conftest import small_config, source_for, taught
from torch.utils.flop_counter import FlopCounterMode

from ganvas import methods
from ganvas.data.batch import Spec
from ganvas.describe import networks


def parts_of(method, names):
    return {name: method.get_submodule(name.replace(" ", ".")) for name in names}


@pytest.mark.parametrize("name", [name for name in methods.names() if name != "adain"])  # VGG-19 takes its time
def test_the_layers_are_those_of_a_real_step(name):
    source = source_for(name, n=8, size=32, channels=3)
    method = methods.get(name)(small_config(name), source.spec)
    shown = dict(networks(method))
    assert shown
    real, seen = taught(methods.get(name)(small_config(name), source.spec)), {}
    for part, network in parts_of(real, shown).items():
        network.register_forward_pre_hook(
            lambda _, inputs, part=part: seen.update({part: [x[:1].detach() for x in inputs]})
        )
    real.training_step(source.some(2).signed(), 0)
    for part, network in parts_of(real.eval(), shown).items():
        given = [tensor[:1].detach() for tensor in seen[part]]
        with FlopCounterMode(display=False) as counter:
            made = network(*given)
        leaves = [layer for layer in network.modules() if not list(layer.children())]
        assert sum(layer.multiply_adds for layer in shown[part]) == counter.get_total_flops() // 2
        assert sum(layer.parameters for layer in shown[part]) == sum(w.numel() for w in network.parameters())
        assert [layer.name for layer in shown[part]] == [type(leaf).__name__ for leaf in leaves]
        if name != "cgan":  # its judge adds up what the last layer gives
            assert shown[part][-1].output == made.shape[1:]


def test_looking_changes_nothing():
    method = methods.get("pix2pix")(small_config("pix2pix"), source_for("pix2pix", size=32).spec)
    before = copy.deepcopy(method.state_dict())
    dict(networks(method))
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert not any("forward" in vars(part) for part in method.modules())


def test_sixteen_times_the_pixels_are_sixteen_times_the_multiply_adds_and_no_minutes():
    counted, start = {}, time.process_time()
    for size in (256, 1024):
        spec = Spec(size, 3, target_channels=3)
        method = methods.get("cyclegan")(methods.get("cyclegan").Config(width=16, discriminator_width=16), spec)
        counted[size] = {name: sum(layer.multiply_adds for layer in part) for name, part in networks(method)}
    assert counted[1024]["generators ab"] == 16 * counted[256]["generators ab"]
    assert counted[1024]["generators ab"] > 5e10
    assert time.process_time() - start < 20  # where it computed, minutes

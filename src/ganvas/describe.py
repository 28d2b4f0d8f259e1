"""A method's networks layer by layer: output shapes, parameters and multiply-adds."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganvas.core.optim import evaluating
from ganvas.data.batch import Batch, ImageBatch, PairBatch, Spec
from ganvas.methods._base import Method
from ganvas.nets.vgg import VGG19


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        name: its class.
        output: its output shape for one image, without the batch.
        parameters: trainable ones.
        multiply_adds: of its products and convolutions, for one image, forward.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def networks(method: Method) -> Iterator[tuple[str, list[Layer]]]:
    """Each network of a method by name, with its layers in the order in which they run.

    The inputs of a network are found by letting the method take a step on noise, so a method need not declare them.
    Only shapes are computed: at 1024 pixels a real step would take minutes.
    """
    seen: dict[str, tuple[Any, ...]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def remember(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            seen.setdefault(name, inputs)

        return remember

    parts = dict(_parts(method))
    hooks = [network.register_forward_pre_hook(watch(name)) for name, network in parts.items()]
    spec = method.spec
    deepest = method.looks_to(method.config)
    vgg = VGG19(deepest=deepest) if deepest else None
    method.setup(vgg=vgg, paintings=[torch.randint(0, 256, (3, spec.size, spec.size), dtype=torch.uint8)])
    with contextlib.ExitStack() as stack:
        for network in parts.values():
            stack.enter_context(_idle(network))
        method.training_step(_noise(method.batches[0], spec), 0)
    for hook in hooks:
        hook.remove()
    for name, network in parts.items():
        if name in seen:
            yield name, _layers(_shapes_of(network), [tensor[:1].detach() for tensor in seen[name]])


def _shapes_of(network: nn.Module) -> nn.Module:
    """A copy on the meta device, which infers shapes and computes nothing."""
    return copy.deepcopy(network).to("meta")


@contextlib.contextmanager
def _idle(network: nn.Module) -> Iterator[None]:
    """Within the block a network returns zeros of the right shape, which do not depend on its weights and inputs.

    Autograd treats them as dependent, so a method can backpropagate its losses.
    """
    shapes = _shapes_of(network)

    def forward(*inputs: Tensor) -> Tensor:
        with torch.no_grad():
            made = shapes(*(tensor.detach().to("meta") for tensor in inputs))
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        influence = torch.stack([(0 * tensor).sum() for tensor in (*weights, *inputs)]).sum()
        return torch.zeros(made.shape, device=inputs[0].device) + influence

    network.forward = forward
    try:
        yield
    finally:
        del network.forward


def _parts(method: Method) -> Iterator[tuple[str, nn.Module]]:
    """The trained networks of a method, and their averages; also those in a dictionary by name."""
    for name, network in method.named_children():
        if not any(True for _ in network.parameters()):  # frozen, and not part of the method
            continue
        if isinstance(network, nn.ModuleDict):
            yield from ((f"{name} {key}", part) for key, part in network.items())
        else:
            yield name, network


def _noise(kind: type[Batch], spec: Spec) -> Batch:
    """Two rows of noise with the shape of the data."""
    source = torch.rand(2, spec.channels, spec.size, spec.size) * 2 - 1
    if issubclass(kind, PairBatch):
        return kind(source, torch.rand(2, spec.outputs, spec.size, spec.size) * 2 - 1)
    return ImageBatch(source, torch.zeros(2, dtype=torch.int64) if spec.classes else None)


def _layers(network: nn.Module, inputs: list[Tensor]) -> list[Layer]:
    layers = []

    def note(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        with FlopCounterMode(display=False) as counter:
            layer.forward(*inputs)  # not layer(...): that would call this hook again
        parameters = sum(weight.numel() for weight in layer.parameters() if weight.requires_grad)
        # a multiply-add is two operations
        layers.append(Layer(type(layer).__name__, tuple(output.shape[1:]), parameters, counter.get_total_flops() // 2))

    leaves = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in leaves]
    with evaluating(network):
        network(*(tensor.to("meta") for tensor in inputs))
    for hook in hooks:
        hook.remove()
    return layers

"""Compare the networks of the presets with those of the textbooks, which are built with Keras.

`pip install keras`, then `KERAS_BACKEND=torch python benchmarks/keras_presets.py`.

The weights are copied from Keras, with random biases and statistics of batch norm. Both get the same random inputs.
It writes docs/results/keras-presets.md. If an output differs by more than 1e-5, it exits with status 1 and names the
presets. The textbooks are a blog (DCGAN's generator, an autoencoder and a VAE), a lecture (a GAN and a conditional GAN,
both dense) and TensorFlow's DCGAN tutorial (the discriminator).
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import report
import torch
from keras import layers
from numpy.typing import NDArray
from torch import Tensor, nn

from ganvas import methods
from ganvas.data.batch import Spec
from ganvas.methods import _base

CLOSE = 1e-5
CLASSES = tuple("0123456789")
LATENT = {"gan": 100, "cgan": 100, "dcgan": 100, "wgan_gp": 100, "vae": 16}
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d)

Array = NDArray[np.floating]
Order = NDArray[np.int64]


class OtherLayersError(Exception):
    """The weights of Keras's network do not fit ganvas's network."""


# --- the textbooks' networks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weighted:
    """Layers of Keras that have weights, and the order of their inputs and outputs in ganvas.

    Attributes:
        side_by_side: one layer, or several with the same input that may be one layer in ganvas.
        inputs: the index in Keras of each of ganvas's inputs; None for the same order.
        outputs: the same for the outputs.
        pieces: pieces of a Maxout unit; ganvas may store them unit by unit or piece by piece.
    """

    side_by_side: tuple[keras.Layer, ...]
    inputs: Order | None = None
    outputs: Order | None = None
    pieces: int = 0


@dataclass(frozen=True)
class Textbook:
    """A network of Keras, with its layers in the order of ganvas's.

    Attributes:
        taps: a model of the outputs of its Maxout layers, if it has any.
    """

    model: keras.Model
    weighted: list[Weighted]
    taps: keras.Model | None = None


def channels_first(height: int, width: int, channels: int) -> Order:
    """The indices in a flattened (H, W, C) of the values of a flattened (C, H, W)."""
    return np.arange(height * width * channels).reshape(height, width, channels).transpose(2, 0, 1).ravel()


def plain(network: Sequence[keras.Layer]) -> list[Weighted]:
    """The layers among these that have weights, with inputs and outputs in the same order as in ganvas."""
    return [Weighted((layer,)) for layer in network if layer.weights]


def gan_generator() -> Textbook:
    hidden = [layers.Dense(width, "relu") for width in (128, 256, 512)]
    model = keras.Sequential([keras.Input((100,)), *hidden, layers.Dense(784, "tanh"), layers.Reshape((28, 28, 1))])
    return Textbook(model, plain(model.layers))


def gan_discriminator() -> Textbook:
    hidden = [layers.Dense(width, "relu") for width in (512, 256, 128)]
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), *hidden, layers.Dense(1)])
    return Textbook(model, plain(model.layers))


def cgan_generator() -> Textbook:
    z, y = keras.Input((100,)), keras.Input((len(CLASSES),))
    of_noise, of_class = layers.Dense(256, "relu"), layers.Dense(256, "relu")
    joint, last = layers.Dense(512, "relu"), layers.Dense(784, "tanh")
    drawn = last(joint(layers.Concatenate()([of_noise(z), of_class(y)])))
    model = keras.Model([z, y], layers.Reshape((28, 28, 1))(drawn))
    return Textbook(model, plain([of_noise, of_class, joint, last]))


class Maxout:
    """The Maxout layer of the lecture: a ReLU, dropout, and the largest of the pieces that are left."""

    def __init__(self, units: int, pieces: int):
        self.dense = layers.Dense(units * pieces, "relu")
        self.split = layers.Reshape((pieces, units))
        self.weighted = Weighted((self.dense,), pieces=pieces)

    def __call__(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Values (N, inputs) to (N, units)."""
        left = layers.Dropout(0.5)(self.dense(x))
        return keras.ops.max(self.split(left), axis=1)


def cgan_discriminator() -> Textbook:
    x, y = keras.Input((28, 28, 1)), keras.Input((len(CLASSES),))
    blocks = Maxout(240, 5), Maxout(50, 5), Maxout(240, 4)
    of_image, of_class = blocks[0](layers.Flatten()(x)), blocks[1](y)
    joint = blocks[2](layers.Concatenate()([of_image, of_class]))
    last = layers.Dense(1)
    return Textbook(
        keras.Model([x, y], last(joint)),
        [*(block.weighted for block in blocks), Weighted((last,))],
        keras.Model([x, y], [of_image, of_class, joint]),
    )


def dcgan_generator() -> Textbook:
    rows = [layers.Dense(7 * 7 * 256, use_bias=False), layers.BatchNormalization()]
    maps = [
        layers.Conv2DTranspose(128, 5, 1, "same", use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(0.3),
        layers.Conv2DTranspose(64, 5, 2, "same", use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(0.3),
        layers.Conv2DTranspose(1, 5, 2, "same", use_bias=False, activation="tanh"),
    ]  # fmt: skip
    model = keras.Sequential([keras.Input((100,)), *rows, layers.LeakyReLU(0.3), layers.Reshape((7, 7, 256)), *maps])
    order = channels_first(7, 7, 256)
    return Textbook(model, [*(Weighted((layer,), outputs=order) for layer in rows), *plain(maps)])


def dcgan_discriminator() -> Textbook:
    maps = [
        layers.Conv2D(64, 5, 2, "same"), layers.LeakyReLU(0.3), layers.Dropout(0.3),
        layers.Conv2D(128, 5, 2, "same"), layers.LeakyReLU(0.3), layers.Dropout(0.3),
    ]  # fmt: skip
    last = layers.Dense(1)
    model = keras.Sequential([keras.Input((28, 28, 1)), *maps, layers.Flatten(), last])
    return Textbook(model, [*plain(maps), Weighted((last,), inputs=channels_first(7, 7, 128))])


def autoencoder() -> Textbook:
    def conv(width: int, padding: str = "same", activation: str = "relu") -> layers.Conv2D:
        return layers.Conv2D(width, 3, padding=padding, activation=activation)

    down: list[keras.Layer] = []
    for width in (16, 8, 8):
        down += [conv(width), layers.MaxPooling2D(2, padding="same")]  # to 14, 7 and 4 pixels
    up: list[keras.Layer] = []
    for width, padding in ((8, "same"), (8, "same"), (16, "valid")):
        up += [conv(width, padding), layers.UpSampling2D(2)]  # to 8, 16 and, from 14, to 28 pixels
    model = keras.Sequential([keras.Input((28, 28, 1)), *down, *up, conv(1, activation="sigmoid")])
    return Textbook(model, plain(model.layers))


def vae_encoder() -> Textbook:
    convolutions = [layers.Conv2D(width, 3, padding="same", activation="relu") for width in (16, 8)]
    x = keras.Input((28, 28, 1))
    maps = x
    for convolution in convolutions:
        maps = layers.MaxPooling2D(2, padding="same")(convolution(maps))
    mean, log_variance = layers.Dense(16), layers.Dense(16)
    flat = layers.Flatten()(maps)
    model = keras.Model(x, layers.Concatenate()([mean(flat), log_variance(flat)]))
    return Textbook(model, [*plain(convolutions), Weighted((mean, log_variance), inputs=channels_first(7, 7, 8))])


def vae_decoder() -> Textbook:
    first = layers.Dense(7 * 7 * 64, "relu")
    maps = [
        layers.Conv2DTranspose(32, 3, padding="same", activation="relu"), layers.UpSampling2D(2),
        layers.Conv2DTranspose(32, 3, padding="same", activation="relu"), layers.UpSampling2D(2),
        layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid"),
    ]  # fmt: skip
    model = keras.Sequential([keras.Input((16,)), first, layers.Reshape((7, 7, 64)), *maps])
    return Textbook(model, [Weighted((first,), outputs=channels_first(7, 7, 64)), *plain(maps)])


@dataclass(frozen=True)
class Case:
    """A network of a preset, and the network of the textbook that it should equal.

    Attributes:
        sees: the names of its inputs: noise z, image x, class y.
        part: the module of the method in ganvas.
        run: computes its outputs, in the range of Keras's outputs.
    """

    method: str
    preset: str
    network: str
    textbook: Callable[[], Textbook]
    sees: str
    part: Callable[[_base.Method], nn.Module]
    run: Callable[..., Tensor | tuple[Tensor, ...]]

    @property
    def title(self) -> str:
        """As on the command line."""
        return f"{self.method} {self.preset}"

    def fresh(self, seed: int) -> _base.Method:
        """The method with its own initial weights."""
        torch.manual_seed(seed)
        classes = CLASSES if self.method == "cgan" else ()
        return methods.get(self.method)(methods.config(self.method, self.preset), Spec(28, 1, classes))

    def inputs(self, n: int, seed: int) -> list[Array]:
        """Random inputs for Keras: noise (n, latent), images (n, 28, 28, 1) in -1..1, classes (n, 10)."""
        generator = np.random.default_rng(seed)
        drawn = {
            "z": generator.standard_normal((n, LATENT.get(self.method, 1))),
            "x": generator.uniform(-1, 1, (n, 28, 28, 1)),
            "y": np.eye(len(CLASSES))[generator.integers(len(CLASSES), size=n)],
        }
        return [drawn[name].astype(np.float32) for name in self.sees]


def generator(method: _base.Method) -> nn.Module:
    return method.generator


def discriminator(method: _base.Method) -> nn.Module:
    return method.discriminator


CASES = [
    Case("gan", "lecture", "generator", gan_generator, "z", generator, lambda m, z: m.generator(z)),
    Case("gan", "lecture", "discriminator", gan_discriminator, "x", discriminator, lambda m, x: m.discriminator(x)),
    Case("cgan", "lecture", "generator", cgan_generator, "zy", generator, lambda m, z, y: m.generator(z, y)),
    Case("cgan", "lecture", "discriminator", cgan_discriminator, "xy", discriminator,
         lambda m, x, y: m.discriminator(x, y)),
    Case("dcgan", "mnist28", "generator", dcgan_generator, "z", generator, lambda m, z: m.generator(z)),
    Case("dcgan", "mnist28", "discriminator", dcgan_discriminator, "x", discriminator,
         lambda m, x: m.discriminator(x)),
    Case("wgan_gp", "mnist28", "generator", dcgan_generator, "z", generator, lambda m, z: m.generator(z)),
    Case("autoencoder", "mnist28", "both", autoencoder, "x", generator, lambda m, x: (m.generator(x) + 1) / 2),
    Case("vae", "mnist28", "encoder", vae_encoder, "x", lambda m: m.encoder, lambda m, x: m.encoder(x)),
    Case("vae", "mnist28", "decoder", vae_decoder, "z", lambda m: m.decoder, lambda m, z: (m.decode(z) + 1) / 2),
]  # fmt: skip


# --- the weights ----------------------------------------------------------------------------------------------------


def pairs(textbook: Textbook, network: nn.Module) -> Iterator[tuple[Weighted, list[nn.Module]]]:
    """Keras's layers with the corresponding ones of ganvas: one, or as many as are side by side in Keras.

    Raises:
        OtherLayersError: if the numbers of layers differ.
    """
    modules = [module for module in network.modules() if isinstance(module, WEIGHTED)]
    several = sum(len(weighted.side_by_side) for weighted in textbook.weighted)
    if len(modules) not in (len(textbook.weighted), several):
        raise OtherLayersError(f"{len(modules)} layers with weights, not {several}")
    for weighted in textbook.weighted:
        taken = len(weighted.side_by_side) if len(modules) == several else 1
        yield weighted, modules[:taken]
        modules = modules[taken:]
        several -= len(weighted.side_by_side)


def for_torch(weighted: Weighted, *, unit_by_unit: bool) -> list[dict[str, Array]]:
    """The weights of each layer by their names in torch, in torch's layout."""
    found = []
    for layer in weighted.side_by_side:
        inputs, outputs = weighted.inputs, weighted.outputs
        if isinstance(layer, layers.BatchNormalization):
            named = {
                "weight": layer.gamma, "bias": layer.beta,
                "running_mean": layer.moving_mean, "running_var": layer.moving_variance,
            }  # fmt: skip
            tensors = {name: numbers(value) for name, value in named.items()}
        else:
            kernel = numbers(layer.kernel)
            if isinstance(layer, layers.Dense):
                if weighted.pieces and unit_by_unit:
                    outputs = np.arange(kernel.shape[1]).reshape(weighted.pieces, -1).T.ravel()
                kernel = kernel if inputs is None else kernel[inputs]
                tensors = {"weight": kernel.T}
            else:  # (H, W, in, out), or transposed (H, W, out, in): torch has (out, in, H, W) and (in, out, H, W)
                tensors = {"weight": kernel.transpose(3, 2, 0, 1)}
            if layer.use_bias:
                tensors["bias"] = numbers(layer.bias)
        found.append(tensors if outputs is None else {name: value[outputs] for name, value in tensors.items()})
    return found


def copy_weights(textbook: Textbook, network: nn.Module, *, unit_by_unit: bool) -> None:
    """Copy the weights of Keras's network to ganvas's.

    Raises:
        OtherLayersError: if they do not fit.
    """
    for weighted, modules in pairs(textbook, network):
        sets = for_torch(weighted, unit_by_unit=unit_by_unit)
        if len(modules) < len(sets):
            sets = [{name: np.concatenate([tensors[name] for tensors in sets]) for name in sets[0]}]
        for module, tensors in zip(modules, sets, strict=True):
            held = {name: value for name, value in module.state_dict().items() if value.dim()}
            if (ours := shapes(held)) != (theirs := shapes(tensors)):
                raise OtherLayersError(f"{type(module).__name__} of {ours}, not {theirs}")
            for name, value in tensors.items():
                held[name].copy_(torch.from_numpy(np.ascontiguousarray(value)))


def shapes(tensors: dict[str, Array] | dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in sorted(tensors.items())}


def randomise(textbook: Textbook, seed: int) -> None:
    """Set biases and statistics that are not 0 and 1, so that a misplaced one is noticed."""
    generator = np.random.default_rng(seed)
    for weighted in textbook.weighted:
        for layer in weighted.side_by_side:
            for value in layer.weights:
                if value.name in ("gamma", "moving_variance"):
                    value.assign(generator.uniform(0.5, 1.5, value.shape))
                elif value.name != "kernel":
                    value.assign(0.1 * generator.standard_normal(value.shape))


def numbers(values: object) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(values))


def to_torch(values: Array) -> Tensor:
    """Images (N, H, W, C) to (N, C, H, W); other arrays keep their shape."""
    tensor = torch.from_numpy(values)
    return tensor.movedim(-1, 1).contiguous() if tensor.dim() == 4 else tensor


# --- comparisons ----------------------------------------------------------------------------------------------------


def require_padding_of_tensorflow() -> None:
    """Exit if this Keras pads differently from TensorFlow, as some of its versions do on torch.

    TensorFlow's "same" pads the odd pixel at the end. Its transposed convolution is the gradient of its convolution.
    """
    random = np.random.default_rng(0)
    kernel = random.standard_normal((5, 5, 3, 4))
    x, y = random.standard_normal((1, 14, 14, 3)), random.standard_normal((1, 7, 7, 4))
    seen = numbers(keras.ops.conv(x, kernel, 2, "same"))
    padded = np.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)))
    drawn = numbers(keras.ops.conv_transpose(y, kernel, 2, "same"))
    if not np.allclose(seen, numbers(keras.ops.conv(padded, kernel, 2, "valid")), atol=1e-4):
        sys.exit(f"the convolutions of Keras {keras.__version__} are not padded as TensorFlow's; take a newer one")
    if not math.isclose((seen * y).sum(), (x * drawn).sum(), rel_tol=1e-4):
        sys.exit(f"the transposed convolutions of Keras {keras.__version__} are not TensorFlow's; take a newer one")


@torch.no_grad()
def difference(case: Case, n: int) -> tuple[float, float, str]:
    """The largest difference of the outputs, their standard deviation in Keras, and the reason if they do not fit."""
    keras.utils.set_random_seed(0)
    textbook = case.textbook()
    randomise(textbook, seed=1)
    method = case.fresh(seed=2).eval()
    inputs = case.inputs(n, seed=3)
    wanted = to_torch(numbers(textbook.model(inputs if len(inputs) > 1 else inputs[0], training=False)))
    found = []
    for unit_by_unit in (True, False) if any(weighted.pieces for weighted in textbook.weighted) else (True,):
        try:
            copy_weights(textbook, case.part(method), unit_by_unit=unit_by_unit)
        except OtherLayersError as error:
            return math.inf, wanted.std().item(), str(error)
        made = case.run(method, *map(to_torch, inputs))
        made = torch.cat(made, 1) if isinstance(made, tuple) else made
        if made.shape != wanted.shape:
            return math.inf, wanted.std().item(), f"outputs of {tuple(made.shape)}, not {tuple(wanted.shape)}"
        found.append((made - wanted).abs().max().item())
    return min(found), wanted.std().item(), ""


def first_weights(case: Case, draws: int) -> list[str]:
    """A row for each layer of Keras: the initial weights of ganvas relative to Glorot's uniform distribution."""
    keras.utils.set_random_seed(0)
    textbook = case.textbook()
    squares: dict[str, list[float]] = {}
    largest: dict[str, float] = {}
    biases: dict[str, float] = {}
    for seed in range(draws):
        network = case.part(case.fresh(seed))
        number = 0
        for weighted, modules in pairs(textbook, network):
            sides = len(weighted.side_by_side)
            tensors = [(module.weight, module.bias) for module in modules]
            if len(modules) < sides:
                ((weight, bias),) = tensors  # of one layer that holds all of them
                parts = [None] * sides if bias is None else bias.chunk(sides)
                tensors = list(zip(weight.chunk(sides), parts, strict=True))
            for layer, (weight, bias) in zip(weighted.side_by_side, tensors, strict=True):
                if isinstance(layer, layers.BatchNormalization):
                    continue
                assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
                number += 1
                *window, one, other = layer.kernel.shape
                limit = math.sqrt(6 / (math.prod(window) * (one + other)))
                name = f"{number}, {type(layer).__name__} {' × '.join(map(str, layer.kernel.shape))}"
                squares.setdefault(name, []).append(weight.square().mean().item() * 3 / limit**2)
                largest[name] = max(largest.get(name, 0.0), weight.abs().max().item() / limit)
                biases[name] = max(biases.get(name, 0.0), 0.0 if bias is None else bias.abs().max().item())
    return [
        f"| {case.title} | {case.network} | {name} | {math.sqrt(np.mean(found)):.3f} | {largest[name]:.3f} "
        f"| {biases[name]:.3g} |"
        for name, found in squares.items()
    ]


@torch.no_grad()
def silent_units(case: Case, n: int, draws: int) -> list[tuple[float, float]]:
    """The fraction of units after each Maxout layer that are exactly zero in training: in Keras and in ganvas.

    In ganvas they are read at the input of the next dense layer.
    """
    of_keras, of_ganvas = [], []
    for seed in range(draws):
        keras.utils.set_random_seed(seed)
        inputs = case.inputs(n, seed)
        textbook = case.textbook()
        of_keras.append([(numbers(units) == 0).mean() for units in textbook.taps(inputs, training=True)])
        method = case.fresh(seed).train()
        *_, joint, last = (module for module in case.part(method).modules() if isinstance(module, nn.Linear))
        seen: list[Tensor] = []
        for module in (joint, last):
            module.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        case.run(method, *map(to_torch, inputs))
        units = [*seen[0].split([240, 50], dim=1), seen[1]]
        of_ganvas.append([(values == 0).double().mean().item() for values in units])
    return list(zip(np.mean(of_keras, 0).tolist(), np.mean(of_ganvas, 0).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64, help="random inputs to each network")
    parser.add_argument("--draws", type=int, default=20, help="networks whose initial weights are measured")
    options = parser.parse_args()
    require_padding_of_tensorflow()

    rows: list[str] = []
    differing: dict[str, list[str]] = {}
    for case in CASES:
        largest, spread, why = difference(case, options.rows)
        if not largest <= CLOSE:
            differing.setdefault(case.title, []).append(case.network)
        shown = f"{largest:.1e}" if not why else f"other layers: {why}"
        rows.append(f"| {case.title} | {case.network} | {shown} | {spread:.2f} |")
        print(rows[-1])

    laws = []
    for case in CASES:
        try:
            laws += first_weights(case, options.draws)
        except OtherLayersError as error:
            laws.append(f"| {case.title} | {case.network} | other layers: {error} | | | |")
    print("\n".join(laws))

    case = next(case for case in CASES if case.textbook is cgan_discriminator)
    silent = [
        f"| {name} | {theirs:.1%} | {ours:.1%} |"
        for name, (theirs, ours) in zip(
            ("image, 240 of 5", "class, 50 of 5", "both, 240 of 4"),
            silent_units(case, 1000, options.draws),
            strict=True,
        )
    ]
    print("\n".join(silent))

    names = ", ".join(f"{title} ({', '.join(networks)})" for title, networks in differing.items())
    verdict = f"Different from the textbooks: {names}." if differing else "All networks equal the textbooks'."
    report.write(
        "keras-presets.md",
        "# The presets compared with the textbooks' networks in Keras\n\n"
        f"`benchmarks/keras_presets.py`, Keras {keras.__version__} on torch. {verdict}\n\n"
        "## Outputs\n\n"
        f"The weights are copied from Keras. Both networks get the same {options.rows} random inputs, in evaluation "
        f"mode, in fp32. Differences of up to {CLOSE:.0e} count as equal. The last column is the standard deviation "
        "of the outputs in Keras. Images are in -1..1 on both sides; outputs of a sigmoid are compared in 0..1.\n\n"
        "| preset | network | largest difference | standard deviation |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "## Initial weights\n\n"
        f"Of {options.draws} networks with different seeds. Keras samples from Glorot's uniform distribution, and its "
        "biases start at zero. So the columns should be 1, at most 1, and 0.\n\n"
        "| preset | network | layer | standard deviation to Glorot's | largest weight to Glorot's limit "
        "| largest bias |\n|---|---|---|---|---|---|\n" + "\n".join(laws) + "\n\n"
        "## Units that are zero after Maxout\n\n"
        f"In the discriminator of `{case.title}` in training mode, with initial weights, on random images and classes. "
        "In the textbook, a ReLU and dropout are applied to the pieces before the largest is taken.\n\n"
        "| layer | Keras | ganvas |\n|---|---|---|\n" + "\n".join(silent),
    )
    if differing:
        sys.exit(verdict)


if __name__ == "__main__":
    main()

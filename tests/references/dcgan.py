"""Training steps of deep convolutional GANs: Radford, Metz and Chintala 2016, arXiv:1511.06434."""

import copy
import itertools
import math

import torch
from torch import nn
from torch.nn.functional import softplus

from references import masks


class Dropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return masks.dropout(x, self.p) if self.training else x


class Uniform(nn.Module):
    """Map normal to uniform random numbers in -1..1."""

    def forward(self, z):
        return torch.erf(z / math.sqrt(2))


def scaled_widths(config, spec):
    """Return the channels of each map, from half the image's size down, and the size of the smallest map."""
    levels = 2 if spec.size == 28 else int(math.log2(spec.size)) - 2
    return [min(config.width * 2**level, config.max_width) for level in range(levels)], spec.size // 2**levels


def scaled_generator(inputs, config, spec):
    widths, size = scaled_widths(config, spec)
    smallest = widths[-1]
    layers = [
        nn.Linear(inputs, config.hidden, bias=False),
        nn.BatchNorm1d(config.hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(config.hidden, smallest * size * size, bias=False),
        nn.Unflatten(1, (smallest, size, size)),  # (N, C, H, W)
        nn.BatchNorm2d(smallest),
        nn.LeakyReLU(0.2),
    ]
    for wide, narrow in itertools.pairwise(reversed(widths)):
        layers += [
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False),  # twice the height and width
            nn.BatchNorm2d(narrow),
            nn.LeakyReLU(0.2),
        ]
    layers += [nn.ConvTranspose2d(widths[0], spec.outputs, 4, stride=2, padding=1), nn.Tanh()]
    return nn.Sequential(*layers)


def scaled_discriminator(outputs, config, spec):
    widths, size = scaled_widths(config, spec)
    layers = []
    for inputs, width in itertools.pairwise([spec.outputs, *widths]):
        layers += [nn.Conv2d(inputs, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]  # half the height and width
    layers += [
        nn.Flatten(),  # (N, C * H * W)
        nn.Linear(widths[-1] * size * size, config.hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(config.hidden, outputs),
    ]
    return nn.Sequential(*layers)


def mnist28_generator(config, spec):
    """Build the generator of TensorFlow's DCGAN tutorial, with Keras's constants of batch norm."""
    keras = {"eps": 1e-3, "momentum": 0.01}
    # Keras's "same" at stride 2: output row 2i - 1 + k gets input row i times kernel row k; the last row is cut off
    cut = nn.ZeroPad2d((0, -1, 0, -1))
    return nn.Sequential(
        nn.Linear(config.latent, 256 * 7 * 7, bias=False),
        nn.BatchNorm1d(256 * 7 * 7, **keras),
        nn.LeakyReLU(0.3),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, stride=1, padding=2, bias=False),  # (N, 128, 7, 7)
        nn.BatchNorm2d(128, **keras),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(128, 64, 5, stride=2, padding=1, bias=False),  # (N, 64, 15, 15)
        cut,  # (N, 64, 14, 14)
        nn.BatchNorm2d(64, **keras),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(64, spec.outputs, 5, stride=2, padding=1, bias=False),  # (N, C, 29, 29)
        cut,  # (N, C, 28, 28)
        nn.Tanh(),
    )


def mnist28_discriminator(spec, dropout):
    """Build the discriminator of TensorFlow's DCGAN tutorial."""
    layers = []
    for inputs, width in ((spec.outputs, 64), (64, 128)):
        # Keras's "same" at stride 2: one zero before, two after
        layers += [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(inputs, width, 5, stride=2), nn.LeakyReLU(0.3)]
        if dropout:
            layers.append(Dropout(0.3))
    layers += [nn.Flatten(), nn.Linear(128 * 7 * 7, 1)]
    return nn.Sequential(*layers)


PAPER64 = (1024, 512, 256, 128)  # channels of the maps of 4, 8, 16 and 32 pixels a side


def paper64_generator(config, spec):
    """Build the generator of the paper's figure 1."""
    layers = [
        Uniform(),
        nn.Linear(config.latent, PAPER64[0] * 4 * 4, bias=False),
        nn.Unflatten(1, (PAPER64[0], 4, 4)),
        nn.BatchNorm2d(PAPER64[0]),
        nn.ReLU(),
    ]
    for wide, narrow in itertools.pairwise(PAPER64):
        layers += [
            nn.ConvTranspose2d(wide, narrow, 5, stride=2, padding=2, output_padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
        ]
    layers += [nn.ConvTranspose2d(PAPER64[-1], spec.outputs, 5, stride=2, padding=2, output_padding=1), nn.Tanh()]
    return nn.Sequential(*layers)


def paper64_discriminator(spec, norm):
    layers = [nn.Conv2d(spec.outputs, PAPER64[-1], 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    for narrow, wide in itertools.pairwise(PAPER64[::-1]):
        layers.append(nn.Conv2d(narrow, wide, 5, stride=2, padding=2, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm2d(wide))
        layers.append(nn.LeakyReLU(0.2))
    layers += [nn.Flatten(), nn.Linear(PAPER64[0] * 4 * 4, 1)]
    return nn.Sequential(*layers)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        if config.layers == "scaled":
            self.generator = scaled_generator(config.latent, config, spec)
            self.discriminator = scaled_discriminator(1, config, spec)
        elif config.layers == "mnist28":
            self.generator = mnist28_generator(config, spec)
            self.discriminator = mnist28_discriminator(spec, dropout=True)
        else:
            self.generator = paper64_generator(config, spec)
            self.discriminator = paper64_discriminator(spec, norm=True)
        self.networks = {"generator": self.generator, "discriminator": self.discriminator}

    def begin(self):
        self.generator_adam = self.adam(self.generator)
        self.discriminator_adam = self.adam(self.discriminator)
        self.average = copy.deepcopy(self.generator)

    def adam(self, network):
        config = self.config
        betas = (config.beta1, config.beta2)
        return torch.optim.Adam(
            network.parameters(), lr=config.learning_rate, betas=betas, eps=config.epsilon, fused=False, foreach=False
        )

    def step(self, batch, step, rate):
        config = self.config
        for adam in (self.generator_adam, self.discriminator_adam):
            adam.param_groups[0]["lr"] = config.learning_rate * rate

        z = torch.randn(len(batch.images), config.latent)  # (N, latent)
        real = batch.images.clone().requires_grad_()  # (N, C, H, W)
        fake = self.generator(z)  # (N, C, H, W)

        if config.updates == "simultaneous":
            discriminator_loss, fake_logits = self.judge(real, fake, step)
            generator_loss = softplus(-fake_logits).mean()
            self.discriminator_adam.zero_grad()
            self.generator_adam.zero_grad()
            discriminator_loss.backward(inputs=list(self.discriminator.parameters()), retain_graph=True)
            generator_loss.backward(inputs=list(self.generator.parameters()))
            self.discriminator_adam.step()
            self.generator_adam.step()
        else:
            discriminator_loss, _ = self.judge(real, fake.detach(), step)
            self.discriminator_adam.zero_grad()
            discriminator_loss.backward()
            self.discriminator_adam.step()
            generator_loss = softplus(-self.discriminator(fake)).mean()
            self.generator_adam.zero_grad()
            generator_loss.backward()
            self.generator_adam.step()

        self.move_average(step)

    def judge(self, real, fake, step):
        """Return the discriminator's loss and its logits of the fake images."""
        if self.config.layers == "paper64":  # batch norm: each kind with statistics of its own
            real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)  # (N, 1) each
        else:
            real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).chunk(2)  # (N, 1) each
        loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
        if self.config.r1 > 0 and step % 16 == 0:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)  # (N, C, H, W)
            loss = loss + self.config.r1 * 16 * slope.square().sum((1, 2, 3)).mean() / 2
        return loss, fake_logits

    @torch.no_grad()
    def move_average(self, n):
        decay = min(self.config.ema, (1 + n) / (10 + n))
        averaged = itertools.chain(self.average.parameters(), self.average.buffers())
        current = itertools.chain(self.generator.parameters(), self.generator.buffers())
        for a, c in zip(averaged, current, strict=True):
            if a.is_floating_point():
                a.copy_(decay * a + (1 - decay) * c)

    def expected(self):
        return {**self.networks, "average": self.average} if self.config.ema > 0 else self.networks

"""Training steps of Mirza and Osindero 2014, "Conditional Generative Adversarial Nets"."""

import copy
import itertools

import torch
from torch import nn
from torch.nn.functional import one_hot, softplus

from references import masks
from references.dcgan import scaled_discriminator, scaled_generator


class ScaledGenerator(nn.Module):
    def __init__(self, config, spec):
        super().__init__()
        self.layers = scaled_generator(config.latent + len(spec.classes), config, spec)

    def forward(self, z, y):
        return self.layers(torch.cat([z, y], 1))  # (N, latent + classes) to (N, C, H, W)


class ScaledDiscriminator(nn.Module):
    """Judge by projection (Miyato and Koyama 2018, equation 3)."""

    def __init__(self, config, spec):
        super().__init__()
        self.layers = scaled_discriminator(1 + len(spec.classes), config, spec)

    def forward(self, x, y):
        scores = self.layers(x)  # (N, 1 + classes)
        return scores[:, 0] + (y * scores[:, 1:]).sum(1)  # (N,)


class LectureGenerator(nn.Module):
    def __init__(self, config, spec):
        super().__init__()
        self.image = (spec.outputs, spec.size, spec.size)  # (C, H, W)
        self.noise = nn.Linear(config.latent, 256)
        self.label = nn.Linear(len(spec.classes), 256)
        self.joint = nn.Linear(256 + 256, 512)
        self.output = nn.Linear(512, spec.outputs * spec.size * spec.size)

    def forward(self, z, y):
        joined = torch.cat([self.noise(z).relu(), self.label(y).relu()], 1)  # (N, 512)
        return self.output(self.joint(joined).relu()).tanh().unflatten(1, self.image)  # (N, C, H, W)


class Maxout(nn.Module):
    """Take the largest of each unit's pieces, as the lecture does: with ReLU and dropout on the pieces."""

    def __init__(self, inputs, units, pieces):
        super().__init__()
        self.units = units
        self.pieces = pieces
        self.dense = nn.Linear(inputs, units * pieces)

    def forward(self, x):
        x = self.dense(x).relu()  # (N, pieces * units)
        if self.training:
            x = masks.dropout(x, 0.5)
        return x.unflatten(1, (self.pieces, self.units)).amax(1)  # (N, units)


class LectureDiscriminator(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.image = Maxout(spec.outputs * spec.size * spec.size, 240, 5)
        self.label = Maxout(len(spec.classes), 50, 5)
        self.combined = Maxout(240 + 50, 240, 4)
        self.output = nn.Linear(240, 1)

    def forward(self, x, y):
        image = self.image(x.flatten(1))  # (N, 240)
        label = self.label(y)  # (N, 50)
        return self.output(self.combined(torch.cat([image, label], 1))).squeeze(1)  # (N,)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        self.classes = len(spec.classes)
        if config.layers == "scaled":
            self.generator = ScaledGenerator(config, spec)
            self.discriminator = ScaledDiscriminator(config, spec)
        else:
            self.generator = LectureGenerator(config, spec)
            self.discriminator = LectureDiscriminator(spec)
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
        y = one_hot(batch.labels, self.classes).to(real.dtype)  # (N, classes)
        fake = self.generator(z, y)  # (N, C, H, W)

        if config.updates == "simultaneous":
            discriminator_loss, fake_logits = self.judge(real, fake, y, step)
            generator_loss = softplus(-fake_logits).mean()
            self.discriminator_adam.zero_grad()
            self.generator_adam.zero_grad()
            discriminator_loss.backward(inputs=list(self.discriminator.parameters()), retain_graph=True)
            generator_loss.backward(inputs=list(self.generator.parameters()))
            self.discriminator_adam.step()
            self.generator_adam.step()
        else:
            discriminator_loss, _ = self.judge(real, fake.detach(), y, step)
            self.discriminator_adam.zero_grad()
            discriminator_loss.backward()
            self.discriminator_adam.step()
            generator_loss = softplus(-self.discriminator(fake, y)).mean()
            self.generator_adam.zero_grad()
            generator_loss.backward()
            self.generator_adam.step()

        self.move_average(step)

    def judge(self, real, fake, y, step):
        """Return the discriminator's loss and its logits of the fake images."""
        logits = self.discriminator(torch.cat([real, fake]), torch.cat([y, y]))  # (2N,)
        real_logits, fake_logits = logits.chunk(2)  # (N,) each
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

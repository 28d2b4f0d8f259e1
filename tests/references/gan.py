"""Training steps of Goodfellow et al. 2014, "Generative Adversarial Nets", with two multilayer perceptrons."""

import copy
import itertools

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


def activation(config):
    return nn.LeakyReLU(0.2) if config.activation == "leaky_relu" else nn.ReLU()


def generator(config, spec):
    layers = []
    widths = [config.latent, *config.generator]
    for inputs, outputs in itertools.pairwise(widths):
        layers.append(nn.Linear(inputs, outputs))
        if config.batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(activation(config))
    image = (spec.outputs, spec.size, spec.size)  # (C, H, W)
    layers += [nn.Linear(widths[-1], image[0] * image[1] * image[2]), nn.Tanh(), nn.Unflatten(1, image)]
    return nn.Sequential(*layers)


def discriminator(config, spec):
    layers = [nn.Flatten()]
    widths = [spec.outputs * spec.size * spec.size, *config.discriminator]
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation(config)]
        if config.dropout > 0:
            layers.append(Dropout(config.dropout))
    layers.append(nn.Linear(widths[-1], 1))
    return nn.Sequential(*layers)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        self.generator = generator(config, spec)
        self.discriminator = discriminator(config, spec)
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
        generator_learns = (step + 1) % config.discriminator_steps == 0

        z = torch.randn(len(batch.images), config.latent)  # (N, latent)
        real = batch.images.clone().requires_grad_()  # (N, C, H, W)
        fake = self.generator(z)  # (N, C, H, W)

        if config.updates == "simultaneous":
            discriminator_loss, fake_logits = self.judge(real, fake, step)
            self.discriminator_adam.zero_grad()
            self.generator_adam.zero_grad()
            discriminator_loss.backward(inputs=list(self.discriminator.parameters()), retain_graph=True)
            if generator_learns:
                generator_loss = softplus(-fake_logits).mean()
                generator_loss.backward(inputs=list(self.generator.parameters()))
                self.generator_adam.step()
            self.discriminator_adam.step()
        else:
            discriminator_loss, _ = self.judge(real, fake.detach(), step)
            self.discriminator_adam.zero_grad()
            discriminator_loss.backward()
            self.discriminator_adam.step()
            if generator_learns:
                generator_loss = softplus(-self.discriminator(fake)).mean()
                self.generator_adam.zero_grad()
                generator_loss.backward()
                self.generator_adam.step()

        if generator_learns:
            self.move_average(step // config.discriminator_steps)

    def judge(self, real, fake, step):
        """Return the discriminator's loss and its logits of the fake images."""
        logits = self.discriminator(torch.cat([real, fake]))  # (2N, 1)
        real_logits, fake_logits = logits.chunk(2)  # (N, 1) each
        loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
        if self.config.average_losses:
            loss = loss / 2
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

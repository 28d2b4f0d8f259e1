"""Training steps of Mao et al. 2017, "Least Squares Generative Adversarial Networks", with two dense networks."""

import torch
from torch import nn


class Reference:
    def __init__(self, config, spec):
        image = (spec.channels, spec.size, spec.size)  # (C, H, W)
        pixels = image[0] * image[1] * image[2]
        self.config = config
        self.generator = nn.Sequential(
            nn.Linear(config.latent, 256), nn.ReLU(), nn.Linear(256, pixels), nn.Tanh(), nn.Unflatten(1, image)
        )
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))
        self.networks = {"generator": self.generator, "discriminator": self.discriminator}

    def begin(self):
        self.generator_adam = self.adam(self.generator)
        self.discriminator_adam = self.adam(self.discriminator)

    def adam(self, network):
        rate = self.config.learning_rate
        return torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.99), fused=False, foreach=False)

    def step(self, batch, step, rate):
        fake = self.generator(torch.randn(len(batch.images), self.config.latent))  # (N, C, H, W)
        real_grades, fake_grades = self.discriminator(batch.images), self.discriminator(fake.detach())  # (N, 1)
        discriminator_loss = 0.5 * ((real_grades - 1) ** 2).mean() + 0.5 * (fake_grades**2).mean()
        self.discriminator_adam.zero_grad()
        discriminator_loss.backward()
        self.discriminator_adam.step()

        generator_loss = 0.5 * ((self.discriminator(fake) - 1) ** 2).mean()
        self.generator_adam.zero_grad()
        generator_loss.backward()
        self.generator_adam.step()

    def expected(self):
        return self.networks

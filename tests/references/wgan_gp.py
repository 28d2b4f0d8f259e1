"""Training steps of Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1."""

import copy
import itertools

import torch

from references.dcgan import (
    mnist28_discriminator,
    mnist28_generator,
    paper64_discriminator,
    paper64_generator,
    scaled_discriminator,
    scaled_generator,
)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        if config.layers == "scaled":
            self.generator = scaled_generator(config.latent, config, spec)
            self.critic = scaled_discriminator(1, config, spec)
        elif config.layers == "mnist28":
            self.generator = mnist28_generator(config, spec)
            self.critic = mnist28_discriminator(spec, dropout=False)
        else:
            self.generator = paper64_generator(config, spec)
            self.critic = paper64_discriminator(spec, norm=False)
        self.networks = {"generator": self.generator, "critic": self.critic}

    def begin(self):
        self.generator_adam = self.adam(self.generator)
        self.critic_adam = self.adam(self.critic)
        self.average = copy.deepcopy(self.generator)

    def adam(self, network):
        config = self.config
        betas = (config.beta1, config.beta2)
        return torch.optim.Adam(
            network.parameters(), lr=config.learning_rate, betas=betas, eps=config.epsilon, fused=False, foreach=False
        )

    def step(self, batch, step, rate):
        config = self.config
        for adam in (self.generator_adam, self.critic_adam):
            adam.param_groups[0]["lr"] = config.learning_rate * rate

        real = batch.images  # (N, C, H, W)
        z = torch.randn(len(real), config.latent)  # (N, latent)
        e = torch.rand(len(real), 1, 1, 1)  # one mixing number for each image
        fake = self.generator(z)  # (N, C, H, W)

        real_scores, fake_scores = self.critic(torch.cat([real, fake.detach()])).chunk(2)  # (N, 1) each
        mixed = (e * real + (1 - e) * fake.detach()).requires_grad_()  # (N, C, H, W)
        (slope,) = torch.autograd.grad(self.critic(mixed).sum(), mixed, create_graph=True)  # (N, C, H, W)
        norm = slope.square().sum((1, 2, 3)).sqrt()  # (N,)
        critic_loss = fake_scores.mean() - real_scores.mean() + config.penalty * (norm - 1).square().mean()
        self.critic_adam.zero_grad()
        critic_loss.backward()
        self.critic_adam.step()

        if (step + 1) % config.critic_steps == 0:
            generator_loss = -self.critic(fake).mean()
            self.generator_adam.zero_grad()
            generator_loss.backward()
            self.generator_adam.step()
            self.move_average(step // config.critic_steps)

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

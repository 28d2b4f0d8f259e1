"""A variational autoencoder, step by step: Kingma and Welling 2014, "Auto-Encoding Variational Bayes"."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


def scaled_shape(size, width, max_width):
    """The channels at half the size, a quarter, ..., and the side of the smallest map."""
    levels = 2 if size == 28 else int(math.log2(size)) - 2
    return [min(max_width, width * 2**i) for i in range(levels)], size // 2**levels


def scaled_encoder(config, spec):
    """DCGAN's scaled discriminator with two outputs for each latent number: the mean and the log variance."""
    channels, side = scaled_shape(spec.size, config.width, config.max_width)
    layers, inputs = [], spec.channels
    for c in channels:
        layers += [nn.Conv2d(inputs, c, 4, 2, 1), nn.LeakyReLU(0.2)]
        inputs = c
    layers += [nn.Flatten(), nn.Linear(inputs * side * side, config.hidden), nn.LeakyReLU(0.2)]
    layers += [nn.Linear(config.hidden, 2 * config.latent)]
    return nn.Sequential(*layers)


class ScaledDecoder(nn.Sequential):
    """DCGAN's scaled generator without its tanh, whose output is half of the logits."""

    def __init__(self, config, spec):
        channels, side = scaled_shape(spec.size, config.width, config.max_width)
        c = channels[-1]
        layers = [nn.Linear(config.latent, config.hidden, bias=False), nn.BatchNorm1d(config.hidden), nn.LeakyReLU(0.2)]
        layers += [nn.Linear(config.hidden, c * side * side, bias=False), nn.Unflatten(1, (c, side, side))]
        layers += [nn.BatchNorm2d(c), nn.LeakyReLU(0.2)]
        for larger in channels[-2::-1]:
            layers += [nn.ConvTranspose2d(c, larger, 4, 2, 1, bias=False), nn.BatchNorm2d(larger), nn.LeakyReLU(0.2)]
            c = larger
        super().__init__(*layers, nn.ConvTranspose2d(c, spec.outputs, 4, 2, 1))

    def logits(self, z):
        return 2 * self(z)  # tanh(a) = 2 sigmoid(2 a) - 1


def mnist28_encoder(config, spec):
    """The textbook's encoder of 28x28; its two dense layers, for mean and log variance, are one."""
    return nn.Sequential(
        nn.Conv2d(spec.channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 16, 14, 14)
        nn.Conv2d(16, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 8, 7, 7)
        nn.Flatten(),
        nn.Linear(8 * 7 * 7, 2 * config.latent),
    )


class Mnist28Decoder(nn.Sequential):
    """The textbook's decoder to 28x28, without its sigmoid."""

    def __init__(self, config, spec):
        super().__init__(
            nn.Linear(config.latent, 64 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (N, 32, 14, 14)
            nn.ConvTranspose2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (N, 32, 28, 28)
            nn.ConvTranspose2d(32, spec.outputs, 3, padding=1),
        )

    def logits(self, z):
        return self(z)


class LogVariance(nn.Module):
    """The error of a pixel, one for all, learned along (Rybkin, Daniilidis and Levine 2021)."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))


class Reference:
    def __init__(self, config, spec):
        self.config = config
        if config.layers == "mnist28":
            encoder, decoder = mnist28_encoder(config, spec), Mnist28Decoder(config, spec)
        else:
            encoder, decoder = scaled_encoder(config, spec), ScaledDecoder(config, spec)
        self.networks = {"encoder": encoder, "decoder": decoder}
        if config.likelihood == "gaussian":
            self.networks["log_variance"] = LogVariance()

    def begin(self):
        c = self.config
        parameters = [p for network in self.networks.values() for p in network.parameters()]
        self.optimizer = torch.optim.Adam(
            parameters, lr=c.learning_rate, betas=(c.beta1, c.beta2), eps=c.epsilon, fused=False, foreach=False
        )

        self.average = copy.deepcopy(nn.ModuleDict(self.networks)) if c.ema else None

    def step(self, batch, step, rate):
        c = self.config
        self.optimizer.param_groups[0]["lr"] = c.learning_rate * rate
        if hasattr(batch, "source"):
            source, target = batch.source, batch.target
        else:
            source = target = batch.images  # (N, C, H, W)

        mean, log_variance = self.networks["encoder"](source).chunk(2, 1)  # (N, latent) each
        noise = torch.randn(len(source), c.latent)
        z = mean + torch.exp(log_variance / 2) * noise
        logits = self.networks["decoder"].logits(z)  # (N, C, H, W)

        x = (target + 1) / 2
        if c.likelihood == "bernoulli":
            error = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        else:
            s = self.networks["log_variance"].value
            error = ((x - torch.sigmoid(logits)) ** 2 / torch.exp(s) + s + math.log(2 * math.pi)) / 2
        reconstruction = error.sum((1, 2, 3)).mean()
        kl = 0.5 * (mean**2 + torch.exp(log_variance) - 1 - log_variance).sum(1).mean()  # appendix B
        loss = reconstruction + c.beta * kl
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            self._move_average(min(c.ema, (1 + step) / (10 + step)))

    @torch.no_grad()
    def _move_average(self, decay):
        networks = nn.ModuleDict(self.networks)
        for slow, fast in zip(self.average.parameters(), networks.parameters(), strict=True):
            slow.copy_(decay * slow + (1 - decay) * fast)
        for slow, fast in zip(self.average.buffers(), networks.buffers(), strict=True):
            if fast.is_floating_point():
                slow.copy_(decay * slow + (1 - decay) * fast)

    def expected(self):
        return self.networks | ({} if self.average is None else {"average": self.average})

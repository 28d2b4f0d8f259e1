"""An autoencoder, step by step: Hinton and Salakhutdinov 2006, and the encoder-decoder of Isola et al. 2017."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from references.pix2pix import UNet, move_average


class Scaled(UNet):
    """The U-Net of pix2pix without its connections, down to a map of 8x8."""

    def logits(self, x):
        return 2 * self.raw(x)  # tanh(a) = 2 sigmoid(2 a) - 1


class Mnist28(nn.Module):
    """A textbook's network for 28x28: to a map of 4x4x8 and back."""

    def __init__(self, channels, outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 16, 14, 14)
            nn.Conv2d(16, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 8, 7, 7)
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),  # (N, 8, 4, 4): the last row and column are pooled alone
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (N, 8, 8, 8)
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (N, 8, 16, 16)
            nn.Conv2d(8, 16, 3),  # (N, 16, 14, 14): without padding
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (N, 16, 28, 28)
            nn.Conv2d(16, outputs, 3, padding=1),
        )

    def logits(self, x):
        return self.layers(x)

    def forward(self, x):
        return 2 * torch.sigmoid(self.layers(x)) - 1


class Reference:
    def __init__(self, config, spec):
        self.config = config
        if config.layers == "mnist28":
            generator = Mnist28(spec.channels, spec.outputs)
        else:
            generator = Scaled(
                spec.channels,
                spec.outputs,
                config.width,
                max(1, math.ceil(math.log2(spec.size)) - 3),
                config.norm,
                config.upsample,
                slope=0.2,
                skip_slope=0.0,  # the decoder has ReLU throughout
                dropout=0.0,
                norm_at_bottom=True,
                skips=False,
            )
        self.networks = {"generator": generator}
        self.average = None

    def begin(self):
        c, network = self.config, self.networks["generator"]
        self.optimizer = torch.optim.Adam(
            network.parameters(),
            lr=c.learning_rate,
            betas=(c.beta1, c.beta2),
            eps=c.epsilon,
            fused=False,
            foreach=False,
        )
        if c.ema > 0:
            self.average = copy.deepcopy(network)

    def step(self, batch, step, rate):
        c, network = self.config, self.networks["generator"]
        self.optimizer.param_groups[0]["lr"] = c.learning_rate * rate
        if hasattr(batch, "source"):
            source, target = batch.source, batch.target
        else:
            source = target = batch.images  # (N, C, H, W)

        if c.loss == "l1":
            loss = (network(source) - target).abs().mean()
        elif c.loss == "l2":
            loss = ((network(source) - target) ** 2).mean()
        elif c.loss == "cross_entropy":  # a pixel is the probability of white
            loss = F.binary_cross_entropy_with_logits(network.logits(source), (target + 1) / 2)
        else:
            raise ValueError(c.loss)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

        if self.average is not None:
            move_average(self.average, network, c.ema, step)

    def expected(self):
        return self.networks | ({} if self.average is None else {"average": self.average})

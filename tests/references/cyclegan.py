"""CycleGAN, step by step, as in Zhu, Park, Isola and Efros 2017, arXiv:1703.10593 (sections 3, 4, 5.2 and 7.2)."""

import copy
import math

import torch
from torch import nn


def norm(kind, channels):
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "group":
        return nn.GroupNorm(math.gcd(channels, max(1, channels // 16)), channels)
    return nn.Identity()


class Block(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels, kind):
        super().__init__()
        bias = kind == "none"
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(kind, channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(kind, channels),
        )

    def forward(self, x):
        return x + self.layers(x)


def upsampling(inputs, outputs, how, bias):
    if how == "resize":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
    if how == "deconv":
        return [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=bias)]
    raise ValueError(f"this reference has no upsampling {how!r}")


def resnet(inputs, outputs, width, blocks, kind, upsample):
    """The generator of section 7.2 of the CycleGAN paper: (N, inputs, H, W) to (N, outputs, H, W)."""
    bias = kind == "none"  # a bias before a norm would be subtracted again
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7, bias=bias), norm(kind, width), nn.ReLU()]
    for w in (width, 2 * width):
        layers += [nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=bias), norm(kind, 2 * w), nn.ReLU()]
    layers += [Block(4 * width, kind) for _ in range(blocks)]  # (N, 4 width, H / 4, W / 4)
    for w in (2 * width, width):
        layers += [*upsampling(2 * w, w, upsample, bias), norm(kind, w), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()]
    return nn.Sequential(*layers)


def patch_gan(channels, size, width, kind, slope=0.2):
    """The discriminator of 70 x 70 patches: (N, channels, H, W) to a map of scores (N, 1, h, w)."""
    strided = min(3, int(math.log2(size)) - 2)
    widths = [width * min(8, 2**i) for i in range(strided + 1)]
    layers = [nn.Conv2d(channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(slope)]
    for i in range(1, strided + 1):
        stride = 1 if i == strided else 2
        layers += [nn.Conv2d(widths[i - 1], widths[i], 4, stride, padding=1, bias=kind == "none")]
        layers += [norm(kind, widths[i]), nn.LeakyReLU(slope)]
    layers += [nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1)]
    return nn.Sequential(*layers)


class Pool:
    """Section 4: a history of generated images, from which the discriminator is shown older ones too."""

    def __init__(self, size):
        self.size = size
        self.images = []

    def show(self, fakes):
        if self.size == 0:
            return fakes
        coins = torch.rand(len(fakes), 2)
        shown = []
        for i, fake in enumerate(fakes):  # (C, H, W)
            if len(self.images) < self.size:
                self.images.append(fake.clone())
                shown.append(fake)
            elif coins[i, 0] >= 0.5:
                place = int(coins[i, 1] * self.size)
                shown.append(self.images[place])
                self.images[place] = fake.clone()
            else:
                shown.append(fake)
        return torch.stack(shown)  # (N, C, H, W)


@torch.no_grad()
def move_average(average, current, ema, n):
    d = min(ema, (1 + n) / (10 + n))
    for a, c in zip(average.parameters(), current.parameters(), strict=True):
        a.copy_(d * a + (1 - d) * c)
    for a, c in zip(average.buffers(), current.buffers(), strict=True):
        if a.is_floating_point():
            a.copy_(d * a + (1 - d) * c)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        blocks = config.blocks or (9 if spec.size >= 256 else 6)
        shape = (config.width, blocks, config.norm, config.upsample)
        ab = resnet(spec.channels, spec.outputs, *shape)
        ba = resnet(spec.outputs, spec.channels, *shape)
        a = patch_gan(spec.channels, spec.size, config.discriminator_width, config.norm)
        b = patch_gan(spec.outputs, spec.size, config.discriminator_width, config.norm)
        self.networks = {
            "generators": nn.ModuleDict({"ab": ab, "ba": ba}),
            "discriminators": nn.ModuleDict({"a": a, "b": b}),
        }
        self.pools = {"a": Pool(config.pool), "b": Pool(config.pool)}

    def begin(self):
        config = self.config
        settings = {
            "lr": config.learning_rate,
            "betas": (config.beta1, config.beta2),
            "eps": config.epsilon,
            "fused": False,
            "foreach": False,
        }
        self.g_optimizer = torch.optim.Adam(self.networks["generators"].parameters(), **settings)
        self.d_optimizer = torch.optim.Adam(self.networks["discriminators"].parameters(), **settings)
        self.averages = copy.deepcopy(self.networks["generators"])

    def step(self, batch, step, rate):
        config = self.config
        for optimizer in (self.g_optimizer, self.d_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * rate
        ab, ba = self.networks["generators"]["ab"], self.networks["generators"]["ba"]
        discriminators = self.networks["discriminators"]
        a, b = batch.source, batch.target  # (N, C, H, W) each

        # the generators: least squares, there and back, and what is of the wanted kind already stays
        fake_b, fake_a = ab(a), ba(b)
        loss = ((discriminators["b"](fake_b) - 1) ** 2).mean() + ((discriminators["a"](fake_a) - 1) ** 2).mean()
        loss = loss + config.cycle * ((ba(fake_b) - a).abs().mean() + (ab(fake_a) - b).abs().mean())
        if config.identity > 0:
            loss = loss + config.cycle * config.identity * ((ab(b) - b).abs().mean() + (ba(a) - a).abs().mean())
        self.g_optimizer.zero_grad()
        loss.backward()
        self.g_optimizer.step()

        # the discriminators, on the fakes from before that update or on older ones
        loss = 0
        for kind, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            shown = self.pools[kind].show(fake.detach())
            discriminator = discriminators[kind]
            loss = loss + (((discriminator(real) - 1) ** 2).mean() + (discriminator(shown) ** 2).mean()) / 2
        self.d_optimizer.zero_grad()
        loss.backward()
        self.d_optimizer.step()

        if config.ema > 0:
            move_average(self.averages, self.networks["generators"], config.ema, step)

    def expected(self):
        averages = {"averages": self.averages} if self.config.ema > 0 else {}
        return {**self.networks, **averages}

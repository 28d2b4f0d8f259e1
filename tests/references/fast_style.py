"""One style in one pass, step by step, as in Johnson, Alahi and Fei-Fei 2016, arXiv:1603.08155."""

import copy
import math

import torch
import torch.nn.functional as F
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


LAYERS = {0: "relu1_1", 2: "relu2_1", 4: "relu3_1", 8: "relu4_1"}  # by the number of the convolution in VGG-19


def vgg(x, weights):
    """What VGG-19 sees in images of -1..1: a dict of maps, up to relu4_1."""
    mean = torch.tensor([0.485, 0.456, 0.406]).to(x.dtype).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).to(x.dtype).view(1, 3, 1, 1)
    x = x.expand(-1, 3, -1, -1)  # a grey image counts as three equal channels
    x = ((x + 1) / 2 - mean) / std
    maps = {}
    for i, (weight, bias) in enumerate(weights[:9]):
        if i in (2, 4, 8):  # before conv2_1, conv3_1, conv4_1
            x = F.max_pool2d(x, 2)
        x = F.relu(F.conv2d(x, weight, bias, padding=1))
        if i in LAYERS:
            maps[LAYERS[i]] = x
    return maps


def gram(maps):
    f = maps.flatten(2)  # (N, C, H W)
    return f @ f.transpose(1, 2) / f.shape[2]  # (N, C, C)


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
        generator = resnet(spec.channels, spec.outputs, config.width, config.blocks, config.norm, config.upsample)
        self.networks = {"generator": generator}

    @torch.no_grad()
    def begin(self, vgg_weights, paintings):
        config = self.config
        self.vgg_weights = vgg_weights
        seen = [vgg(p if p.dim() == 4 else p[None], vgg_weights) for p in paintings]  # each of its own size
        self.wanted = {k: torch.cat([gram(maps[k]) for maps in seen]).mean(0) for k in LAYERS.values()}  # (C, C)
        self.optimizer = torch.optim.Adam(
            self.networks["generator"].parameters(),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            fused=False,
            foreach=False,
        )
        self.average = copy.deepcopy(self.networks["generator"])

    def step(self, batch, step, rate):
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rate
        x = batch.images  # (N, C, H, W)
        made = self.networks["generator"](x)
        maps = vgg(made, self.vgg_weights)
        with torch.no_grad():
            f = vgg(x, self.vgg_weights)["relu3_1"]

        content = ((maps["relu3_1"] - f) ** 2).mean() / (f**2).mean()  # equation 2
        strokes = 0
        for name, wanted in self.wanted.items():  # equation 4, over the four layers
            apart = ((gram(maps[name]) - wanted) ** 2).sum((1, 2))  # (N,)
            strokes = strokes + (apart / (wanted**2).sum()).mean() / len(self.wanted)
        down = made[:, :, 1:] - made[:, :, :-1]
        right = made[:, :, :, 1:] - made[:, :, :, :-1]
        variation = (down**2).mean() + (right**2).mean()
        loss = config.content * content + config.strokes * strokes + config.variation * variation
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

        if config.ema > 0:
            move_average(self.average, self.networks["generator"], config.ema, step)

    def expected(self):
        average = {"average": self.average} if self.config.ema > 0 else {}
        return {**self.networks, **average}

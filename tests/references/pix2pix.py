"""Pix2pix, step by step: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks"."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from references import masks


def norm_layer(kind, channels):
    if kind == "group":
        return nn.GroupNorm(math.gcd(channels, max(1, channels // 16)), channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "none":
        return nn.Identity()
    raise ValueError(kind)


def upsampling(kind, inputs, outputs, bias):
    """Twice as high and wide: (N, inputs, H, W) to (N, outputs, 2H, 2W)."""
    if kind == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bias))
    if kind == "deconv":
        return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)
    raise ValueError(kind)


class UNet(nn.Module):
    """The encoder and decoder of section 6.1.1, with or without skip connections."""

    def __init__(
        self, channels, outputs, width, levels, norm, upsample, slope, skip_slope, dropout, norm_at_bottom, skips=True
    ):
        super().__init__()
        self.slope, self.skip_slope, self.dropout, self.skips = slope, skip_slope, dropout, skips
        widths = [width * min(8, 2**i) for i in range(levels)]

        self.encoder = nn.ModuleList([nn.Conv2d(channels, widths[0], 4, 2, 1)])
        for i in range(1, levels):
            kind = norm if i < levels - 1 or norm_at_bottom else "none"
            convolution = nn.Conv2d(widths[i - 1], widths[i], 4, 2, 1, bias=kind == "none")
            self.encoder.append(nn.Sequential(convolution, norm_layer(kind, widths[i])))

        self.decoder = nn.ModuleList()
        inputs = widths[-1]
        for i in range(levels - 1, 0, -1):
            up = upsampling(upsample, inputs, widths[i - 1], bias=norm == "none")
            self.decoder.append(nn.Sequential(up, norm_layer(norm, widths[i - 1])))
            inputs = 2 * widths[i - 1] if skips else widths[i - 1]
        self.decoder.append(upsampling(upsample, inputs, outputs, bias=True))

    def raw(self, x):
        """What comes out before the tanh."""
        maps = []  # of the encoder, before their activation: (N, w_i, H / 2^(i+1), W / 2^(i+1))
        for i, layer in enumerate(self.encoder):
            x = layer(x if i == 0 else F.leaky_relu(x, self.slope))
            maps.append(x)

        h = F.leaky_relu(maps.pop(), self.skip_slope)  # the bottom map
        for i, layer in enumerate(self.decoder[:-1]):
            h = layer(h)
            if self.dropout and i < 3:
                h = masks.dropout(h, self.dropout)
            h = F.relu(h)
            if self.skips:
                h = torch.cat([F.leaky_relu(maps.pop(), self.skip_slope), h], 1)  # (N, 2 w, H, W)
        return self.decoder[-1](h)

    def forward(self, x):
        return torch.tanh(self.raw(x))


class PatchGAN(nn.Module):
    """A discriminator whose every output sees 70x70 pixels (section 6.1.2); fewer downsamplings for small images."""

    def __init__(self, channels, size, width, norm, slope):
        super().__init__()
        self.slope = slope
        strided = min(3, int(math.log2(size)) - 2)
        widths = [width * min(8, 2**i) for i in range(strided + 1)]
        self.layers = nn.ModuleList([nn.Conv2d(channels, widths[0], 4, 2, 1)])
        for i in range(1, strided + 1):
            stride = 1 if i == strided else 2
            convolution = nn.Conv2d(widths[i - 1], widths[i], 4, stride, 1, bias=norm == "none")
            self.layers.append(nn.Sequential(convolution, norm_layer(norm, widths[i])))
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def features(self, x):
        """The maps after each LeakyReLU."""
        maps = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), self.slope)
            maps.append(x)
        return maps

    def forward(self, x):
        return self.last(self.features(x)[-1])  # (N, 1, H', W'), logits


def vgg_maps(x, weights):
    """What VGG-19 sees in images of -1..1 at relu1_1, relu2_1 and relu3_1, after convolutions 1, 3 and 5."""
    mean, deviation = (torch.tensor(n)[:, None, None] for n in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x, maps = ((x + 1) / 2 - mean) / deviation, []
    for i, (weight, bias) in enumerate(weights[:5]):
        x = F.max_pool2d(x, 2) if i in (2, 4) else x
        x = F.relu(F.conv2d(x, weight, bias, padding=1))
        maps += [x] if i in (0, 2, 4) else []
    return maps


def move_average(average, network, ema, n):
    """The exponential moving average after n updates came before; it begins as a shorter one."""
    d = min(ema, (1 + n) / (10 + n))
    with torch.no_grad():
        for a, p in zip(average.parameters(), network.parameters(), strict=True):
            a.copy_(d * a + (1 - d) * p)
        for a, b in zip(average.buffers(), network.buffers(), strict=True):
            if b.is_floating_point():
                a.copy_(d * a + (1 - d) * b)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        deepest = math.ceil(math.log2(spec.size))  # down to a single pixel
        levels = min(config.levels, deepest) if config.levels else deepest - 2
        generator = UNet(
            spec.channels,
            spec.outputs,
            config.width,
            levels,
            config.norm,
            config.upsample,
            config.slope,
            config.skip_slope,
            config.dropout,
            norm_at_bottom=levels < deepest,  # of a single pixel nothing but a bias would be left
            skips=config.generator == "unet",
        )
        discriminator = PatchGAN(
            spec.channels + spec.outputs, spec.size, config.discriminator_width, config.norm, config.slope
        )
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.average = None

    def begin(self, vgg=None):
        c = self.config
        self.vgg = vgg  # weight and bias of each convolution, where there is a perceptual loss
        self.g_optimizer, self.d_optimizer = (
            torch.optim.Adam(
                network.parameters(),
                lr=c.learning_rate,
                betas=(c.beta1, c.beta2),
                eps=c.epsilon,
                fused=False,
                foreach=False,
            )
            for network in (self.networks["generator"], self.networks["discriminator"])
        )
        if c.ema > 0:
            self.average = copy.deepcopy(self.networks["generator"])

    def step(self, batch, step, rate):
        c = self.config
        G, D = self.networks["generator"], self.networks["discriminator"]
        for optimizer in (self.g_optimizer, self.d_optimizer):
            optimizer.param_groups[0]["lr"] = c.learning_rate * rate

        source, target = batch.source, batch.target  # (N, channels, H, W), (N, outputs, H, W)
        fake = G(source)
        real_pair = torch.cat([source, target], 1)

        # the discriminator
        fake_pair = torch.cat([source, fake.detach()], 1)
        if c.norm == "batch":  # each with batch statistics of its own
            real_logits, fake_logits = D(real_pair), D(fake_pair)
        else:
            real_logits, fake_logits = D(torch.cat([real_pair, fake_pair])).chunk(2)
        d_loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
        self.d_optimizer.zero_grad()
        (c.discriminator_weight * d_loss).backward()
        self.d_optimizer.step()

        # the generator, against the updated discriminator
        if c.feature_matching > 0:
            with torch.no_grad():
                real_features = D.features(real_pair)
        fake_features = D.features(torch.cat([source, fake], 1))
        g_loss = F.softplus(-D.last(fake_features[-1])).mean() + c.l1 * (fake - target).abs().mean()
        if c.feature_matching > 0:  # Wang et al. 2018, equation 4
            differences = [(r - f).abs().mean() for r, f in zip(real_features, fake_features, strict=True)]
            g_loss = g_loss + c.feature_matching * sum(differences) / len(differences)
        if c.perceptual > 0:  # Johnson et al. 2016: what VGG-19 sees at relu1_1, relu2_1 and relu3_1
            seen, wanted = vgg_maps(fake, self.vgg), vgg_maps(target, self.vgg)
            differences = [(s - w).abs().mean() for s, w in zip(seen, wanted, strict=True)]
            g_loss = g_loss + c.perceptual * sum(differences) / 3
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()

        if self.average is not None:
            move_average(self.average, G, c.ema, step)

    def expected(self):
        return self.networks | ({} if self.average is None else {"average": self.average})

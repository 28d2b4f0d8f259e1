"""Any style in one pass, as in Huang and Belongie 2017, arXiv:1703.06868, and Park and Lee 2019 (the identity loss)."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

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


def moments(maps):
    """Means and deviations over the places: (N, C, H, W) to (N, 2, C)."""
    var = maps.var((2, 3), correction=0)
    return torch.stack([maps.mean((2, 3)), (var + 1e-5).sqrt()], 1)


def adain(content, style):
    """Equation 8: the content's maps with the means and deviations of the style's."""
    mean_c, std_c = moments(content)[..., None, None].unbind(1)  # (N, C, 1, 1) each
    mean_s, std_s = moments(style)[..., None, None].unbind(1)
    return (content - mean_c) / std_c * std_s + mean_s


def make_decoder(outputs, w):
    """VGG-19 up to relu4_1 in a mirror: (N, 512, H / 8, W / 8) to (N, outputs, H, W)."""
    layers = []
    inputs = 512
    for i, width in enumerate([4 * w, 4 * w, 4 * w, 4 * w, 2 * w, 2 * w, w, w], 1):
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, width, 3), nn.ReLU()]
        if i in (1, 5, 7):
            layers += [nn.Upsample(scale_factor=2)]
        inputs = width
    layers += [nn.ReflectionPad2d(1), nn.Conv2d(w, outputs, 3)]
    return nn.Sequential(*layers)


@torch.no_grad()
def move_average(average, current, ema, n):
    d = min(ema, (1 + n) / (10 + n))
    for a, c in zip(average.parameters(), current.parameters(), strict=True):
        a.copy_(d * a + (1 - d) * c)
    for a, c in zip(average.buffers(), current.buffers(), strict=True):
        if a.is_floating_point():
            a.copy_(d * a + (1 - d) * c)


class UsualStyle(nn.Module):
    """The mean style of the paintings so far: what is painted in where no style is given."""

    def __init__(self):
        super().__init__()
        self.register_buffer("usual_style", torch.zeros(2, 512))

    @torch.no_grad()
    def move(self, style, step):
        weight = max(1 / (step + 1), 0.001)
        self.usual_style += weight * (style.mean(0) - self.usual_style)


class Reference:
    def __init__(self, config, spec):
        self.config = config
        self.networks = {"decoder": make_decoder(spec.outputs, config.width)}
        self.usual_style = UsualStyle()

    def begin(self, vgg_weights):
        config = self.config
        self.vgg_weights = vgg_weights
        self.optimizer = torch.optim.Adam(
            self.networks["decoder"].parameters(),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            fused=False,
            foreach=False,
        )
        self.average = copy.deepcopy(self.networks["decoder"])

    def step(self, batch, step, rate):
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rate
        decoder = self.networks["decoder"]
        painting = batch.target  # (N, C, H, W)
        with torch.no_grad():
            f_c = vgg(batch.source, self.vgg_weights)["relu4_1"]  # (N, 512, H / 8, W / 8)
            seen = vgg(painting, self.vgg_weights)
            f_s = seen["relu4_1"]
            t = adain(f_c, f_s)

        if config.identity > 0:
            made, same = decoder(torch.cat([t, f_s])).chunk(2)
        else:
            made = decoder(t)
        maps = vgg(made, self.vgg_weights)
        content = ((maps["relu4_1"] - t) ** 2).mean() / (t**2).mean()  # equation 12
        strokes = 0
        for name in LAYERS.values():  # equation 13
            wanted = moments(seen[name])
            apart = ((moments(maps[name]) - wanted) ** 2).mean()
            strokes = strokes + apart / (wanted**2).mean() / len(LAYERS)
        loss = config.content * content + config.strokes * strokes
        if config.identity > 0:
            loss = loss + config.identity * (same - painting).abs().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

        self.usual_style.move(moments(f_s), step)
        if config.ema > 0:
            move_average(self.average, decoder, config.ema, step)

    def expected(self):
        average = {"average": self.average} if self.config.ema > 0 else {}
        return {**self.networks, "usual_style": self.usual_style, **average}

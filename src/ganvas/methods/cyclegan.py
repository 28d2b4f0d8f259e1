"""Unpaired image translation: two generators, there and back, trained with cycle consistency.

Zhu, Park, Isola and Efros 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks".
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.core.optim import update_average, update_together
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import PairBatch, Spec, UnpairedBatch
from ganvas.errors import SettingError
from ganvas.losses import discriminator_least_squares, generator_least_squares
from ganvas.methods import _base
from ganvas.nets.image_pool import Pool
from ganvas.nets.layers import lay_out
from ganvas.nets.patchgan import Patch, patch_discriminator
from ganvas.nets.resnet import ResNet
from ganvas.nets.unet import Layers, UNet, unet_widths

POOL = 50  # earlier fake images of each domain, which a discriminator sees again (section 4)


@dataclass(frozen=True, kw_only=True)
class CycleganConfig(_base.TranslationConfig):
    """The settings of `cyclegan`; the defaults are our best recipe for the minutes it takes."""

    batch: int = with_default(_base.TranslationConfig, "batch", 1)
    epochs: int = with_default(_base.TranslationConfig, "epochs", 200)
    learning_rate: float = with_default(_base.TranslationConfig, "learning_rate", 4e-4)
    beta2: float = with_default(_base.TranslationConfig, "beta2", 0.999)
    generator: Literal["resnet", "unet"] = setting(
        "resnet", "few downsamplings and residual blocks, which keep the layout; or a U-Net"
    )
    width: int = setting(
        32, "channels of the generators at full size; of a U-Net after its first downsampling", low=1, high=512
    )
    blocks: int = setting(0, "residual blocks; 0 uses 9 from 256 pixels on and 6 below (`resnet` only)", low=0, high=64)
    norm: Literal["instance", "group", "none"] = setting(
        "instance", "normalisation: instance norm, group norm, or none"
    )
    patch: Patch = setting("70", "receptive field of the discriminators, in pixels a side")
    discriminator_width: int = setting(32, "channels of the discriminators' first layer", low=1, high=1024)
    cycle: float = setting(10.0, "weight of the cycle-consistency loss", low=0)
    identity: float = setting(0.5, "weight of the identity loss, as a fraction of `cycle`; keeps colours", low=0)
    pool: int = setting(
        POOL, "earlier fake images of each domain that the discriminators see again; 0 keeps none", low=0, high=1000
    )


class Cyclegan(_base.Method):
    """Generators G: x -> y and F: y -> x, discriminators of y and of x; here `ab`, `ba`, `b` and `a`."""

    config: CycleganConfig
    Config = CycleganConfig
    batches = (UnpairedBatch, PairBatch)
    directions: ClassVar[tuple[str, ...]] = ("ab", "ba")
    any_size = True
    guessing = 0.5  # of two discriminators, each halved
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "paper": CycleganConfig(
            batch=1, epochs=200, learning_rate=2e-4, beta1=0.5, beta2=0.999, decay=0.5, ema=0.0, upsample="deconv",
            width=64, discriminator_width=64, cycle=10.0, identity=0.0, pool=50,
        ),
    }  # fmt: skip

    def __init__(self, config: CycleganConfig, spec: Spec):
        super().__init__(config, spec)
        a, b = spec.channels, spec.outputs
        if config.identity and a != b:
            raise SettingError(
                f"`identity` {config.identity}: needs the same number of channels on both sides, not {a} and {b}; "
                "give `identity` 0"
            )
        self.generators = nn.ModuleDict({"ab": _generator(config, spec, a, b), "ba": _generator(config, spec, b, a)})
        self.discriminators = nn.ModuleDict(
            {
                kind: patch_discriminator(
                    channels, patch=config.patch, width=config.discriminator_width, norm=config.norm, size=spec.size
                )
                for kind, channels in {"a": a, "b": b}.items()
            }
        )
        self.averages = copy.deepcopy(self.generators).requires_grad_(False) if config.ema else None
        lay_out(self)
        self.pools = nn.ModuleDict()  # one for each domain, made at the first step
        self.optimizers = _base.optimizers_of(
            config, {"generators": self.generators, "discriminators": self.discriminators}
        )

    @property
    def kind(self) -> _base.Kind:
        """It translates."""
        return "translates"

    @property
    def multiple(self) -> int:
        """The generators' total stride in pixels."""
        return int(self.generators["ab"].multiple)  # type: ignore[arg-type]

    def training_step(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        """One step of both generators and one of both discriminators (equations 1 to 3)."""
        config, there, back = self.config, self.generators["ab"], self.generators["ba"]
        a = batch.source.to(memory_format=torch.channels_last)  # x: (N, C, H, W)
        b = batch.target.to(memory_format=torch.channels_last)  # y: (N, C', H, W)
        if config.identity:  # both inputs go through in one batch
            fake_b, same_b = there(torch.cat([a, b])).chunk(2)  # G(x), G(y)
            fake_a, same_a = back(torch.cat([b, a])).chunk(2)  # F(y), F(x)
        else:
            fake_b, fake_a = there(a), back(b)
        cycled_a, cycled_b = back(fake_b).float(), there(fake_a).float()  # F(G(x)), G(F(y))

        adversarial = generator_least_squares(self._grade("b", fake_b)) + generator_least_squares(
            self._grade("a", fake_a)
        )
        cycle = F.l1_loss(cycled_a, a) + F.l1_loss(cycled_b, b)
        loss = adversarial + config.cycle * cycle
        losses = {"generator": adversarial.detach(), "cycle": cycle.detach()}
        if config.identity:
            identity = F.l1_loss(same_a.float(), a) + F.l1_loss(same_b.float(), b)
            loss = loss + config.cycle * config.identity * identity
            losses["identity"] = identity.detach()

        fakes = {"a": fake_a.detach(), "b": fake_b.detach()}
        pools = {kind: self._pool_of(kind, fakes[kind]) for kind in fakes} if config.pool else {}
        choices = {kind: pool.choose(fakes[kind]) for kind, pool in pools.items()}
        grading = torch.zeros((), device=a.device)
        for kind, real in (("a", a), ("b", b)):
            shown = pools[kind].shown(choices[kind]) if pools else fakes[kind]
            grades = self._grade(kind, torch.cat([real, shown.to(real.dtype)]))
            grading = grading + discriminator_least_squares(*grades.chunk(2)) / 2  # half the loss, to slow them down
        # at once, which is the paper's code: generators first, against discriminators that then see these fakes
        update_together((self.optimizers["discriminators"], grading), (self.optimizers["generators"], loss))
        for kind, pool in pools.items():  # last: until here the step reads the pool as it was
            pool.keep(choices[kind])
        if self.averages is not None:
            update_average(self.averages, self.generators, decay=config.ema, step=step)
        return losses | {"discriminator": grading.detach()}

    def _grade(self, kind: str, images: Tensor) -> Tensor:
        grades: Tensor = self.discriminators[kind](images).float()
        return grades

    def _pool_of(self, kind: str, fakes: Tensor) -> Pool:
        """The pool of that domain; made for fakes of this shape if there is none yet."""
        if kind not in self.pools:
            self.pools[kind] = Pool(self.config.pool, fakes)
        pool = self.pools[kind]
        assert isinstance(pool, Pool)
        return pool

    def extra_state(self) -> dict[str, Tensor]:
        """The pools of fake images."""
        return {kind: pool.kept() for kind, pool in self.pools.items() if isinstance(pool, Pool)}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Put the pools back.

        Raises:
            ValueError: if they are not pools of such images.
        """
        device, side = next(self.parameters()).device, self.spec.size
        for kind, kept in state.items():
            channels = {"a": self.spec.channels, "b": self.spec.outputs}.get(kind)
            if kept.shape[1:] != (channels, side, side) or len(kept) > self.config.pool or not kept.is_floating_point():
                raise ValueError(f"{kind} is not a pool of up to {self.config.pool} images of {side} pixels")
            self.pools[kind] = Pool(self.config.pool, kept.to(device), full_to=len(kept))

    def translate(self, images: Tensor, direction: str = "ab") -> Tensor:
        """Images (N, C, H, W) in -1..1 of one domain to the other: `ab` from source to target, `ba` back."""
        assert direction in self.directions
        made: Tensor = (self.generators if self.averages is None else self.averages)[direction](images)
        return made.float()


def _generator(config: CycleganConfig, spec: Spec, channels: int, outputs: int) -> nn.Module:
    if config.generator == "resnet":
        blocks = config.blocks or (9 if spec.size >= 256 else 6)
        return ResNet(channels, outputs, width=config.width, blocks=blocks, norm=config.norm, upsample=config.upsample)
    levels = math.ceil(math.log2(spec.size))
    widths = unet_widths(config.width, levels)
    return UNet(channels, outputs, Layers(config.norm, config.upsample), widths=widths)

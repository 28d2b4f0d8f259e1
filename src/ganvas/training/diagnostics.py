"""Diagnostics of a training: they say in a sentence what has gone wrong and what to try, and stop nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganvas.core.optim import evaluating
from ganvas.data.batch import Batch, PairBatch
from ganvas.methods._base import Generates, Method, Translates

LOOK_SECONDS = 5.0  # between looks at the samples; one takes as long as a step or two
LOOKED_AT = 64  # images; fewer of large ones
LOOKED_AT_PIXELS = LOOKED_AT * 256**2  # at most, except for `FEWEST`
FEWEST = 8
TRANSLATED = 4  # source images, over all directions together; half as many of more than 256 pixels
TIMES = 3  # looks in a row before a warning: a single one may be random
YOUNG = 1000  # steps; a younger generator may make one grey blob without fault

WON = 0.036  # the discriminator's loss, as a fraction of guessing's; below, the generator learns nothing
GIVEN_UP = 0.992  # above, it is hardly better than guessing
LOSS_STEPS = 500  # for so long
COLLAPSED = 0.25  # distance of a generated image to the most similar other one, as a fraction of that of real ones
IDLE = 0.1 / 127.5  # mean change of a generated pixel between looks: a tenth of a grey level in -1..1
IDLE_STEPS = 200
FLAT = 0.1  # contrast of a translator's output, as a fraction of that of real targets
FLAT_TARGETS = 4 / 127.5  # contrast of real targets, four levels of 255; below, flat output may be right
YOUNG_TRANSLATOR = 200  # steps; a younger one may be flat without fault

Kind = Literal[
    "the discriminator has won", "the discriminator has given up", "collapse", "idle generator", "flat output"
]
HAS_WON: Kind = "the discriminator has won"


@dataclass(frozen=True)
class Alarm:
    """A warning about a training.

    Attributes:
        kind: two or three words, for the progress line.
        since: the step at which it was first seen.
        sentence: what was observed, and what to try.
    """

    kind: Kind
    since: int
    sentence: str


def looked_at(size: int) -> int:
    """How many images of `size` pixels a look uses: 64, of 512 pixels 16 and of 1024 pixels 8."""
    return max(FEWEST, min(LOOKED_AT, LOOKED_AT_PIXELS // size**2))


class Diagnostics:
    """Checks the losses and, now and then, a few images of a method in training."""

    def __init__(self, method: Method, real: Batch):
        """Keep what is compared with: `real` images in -1..1, or the sources and targets of pairs."""
        self.method = method
        self.count = looked_at(method.spec.size)
        self.of_real = distinctness(real.images[: self.count].flatten(1).float().cpu())
        self._to_translate = _to_translate(method, real) if isinstance(method, Translates) else {}
        self.standing: dict[Kind, Alarm] = {}
        self._since: dict[Kind, int] = {}
        self._looks: dict[Kind, list[int]] = {}
        self._last: tuple[int, Tensor] | None = None

    def check_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Note the mean losses since the last report."""
        if (loss := losses.get("discriminator")) is None:
            return
        share = loss / self.method.guessing
        self._time(
            HAS_WON, step, share < WON,
            f"its loss has been below {WON * self.method.guessing:.2g} for {LOSS_STEPS} steps or more: it recognises "
            "every image and no longer helps "
            f"the generator learn; try {self._advice()}",
        )  # fmt: skip
        self._time(
            "the discriminator has given up", step, share > GIVEN_UP,
            f"its loss has been no better than guessing's for {LOSS_STEPS} steps or more: it no longer helps the "
            f"generator learn; try {'a smaller `r1` or ' if getattr(self.method.config, 'r1', 0) else ''}a smaller "
            f"`learning_rate`{', or the best checkpoint of `validate_every`' * isinstance(self.method, Generates)}",
        )  # fmt: skip

    def check_samples(self, step: int) -> None:
        """Generate and translate a few images and compare them with real ones."""
        if isinstance(self.method, Generates):
            self._see_drawn(step)
        if self._to_translate:
            self._see_translated(step)

    def _see_drawn(self, step: int) -> None:
        """Compare generated images with each other, with real ones, and with the previous ones."""
        assert isinstance(self.method, Generates)
        with evaluating(self.method):
            drawn = self.method.generate(list(range(self.count))).flatten(1).float().cpu()
        share = distinctness(drawn) / self.of_real if self.of_real else 1.0
        self._count(
            "collapse", step, step >= YOUNG and share < COLLAPSED,
            f"generated images are {share:.0%} as different from each other as real ones are: the generator repeats "
            f"a few images; try {self._advice()}, or a new `seed`",
        )  # fmt: skip
        if self._last is None:
            self._last = step, drawn
        elif step - self._last[0] >= IDLE_STEPS:
            change = float((drawn - self._last[1]).abs().mean())
            self._count(
                "idle generator", step, change < IDLE,
                f"its images have not changed in {step - self._last[0]:,} steps: it no longer learns; try a larger "
                f"`learning_rate` if that is small, else {self._advice()}",
            )  # fmt: skip
            self._last = step, drawn

    def _see_translated(self, step: int) -> None:
        """Compare the contrast of output images with that of real targets, in each direction."""
        assert isinstance(self.method, Translates)
        device, fractions = next(self.method.parameters()).device, {}
        with evaluating(self.method):
            for direction, (given, of_targets) in self._to_translate.items():
                fractions[direction] = contrast(self.method.translate(given.to(device), direction)) / of_targets
        flattest = min(fractions, key=lambda direction: fractions[direction])
        won, alarm = HAS_WON in self._since, self.standing.get("flat output")
        if alarm and won and HAS_WON not in alarm.sentence:  # it usually wins once the output is flat: warn again
            del self.standing["flat output"]
        self._count(
            "flat output", step, step >= YOUNG_TRANSLATOR and fractions[flattest] < FLAT,
            self._of_flat(fractions[flattest], flattest, won=won),
        )  # fmt: skip

    def _of_flat(self, fraction: float, direction: str, *, won: bool) -> str:
        """The sentence about output images with this fraction of the contrast of real targets."""
        what = "colours" if direction == "ab" and self.method.spec.colors_alone else "images"
        said = f"its output {what} have {fraction:.1%} of the contrast of real targets"
        if len(self._to_translate) > 1:
            said += f" in the direction {direction}"
        said += ": they are nearly one colour"
        if won:
            said += (
                f"; {HAS_WON}: its loss is below {WON * self.method.guessing:.2g}, so it recognises every output image "
                "and the generator learns nothing from it"
            )
        tries = [self._advice()]
        if getattr(self.method.config, "loss", "") == "l1":  # few dark pixels on white: white has the least error
            tries.insert(0, "`loss` l2")
        if getattr(self.method.config, "generator", "") == "encoder_decoder":
            tries.append("`generator` unet")
        return f"{said}; try {' or '.join(tries)}"

    def _time(self, kind: Kind, step: int, seen: bool, sentence: str) -> None:
        """Warn once it has been observed at every report for long."""
        if not seen:
            self._since.pop(kind, None)
        since = self._since.setdefault(kind, step) if seen else step
        self._tell(kind, since, seen and step - since >= LOSS_STEPS, sentence)

    def _count(self, kind: Kind, step: int, seen: bool, sentence: str) -> None:
        """Warn once it has been observed at several looks in a row."""
        looks = self._looks[kind] = [*self._looks.get(kind, []), step] if seen else []
        self._tell(kind, (looks or [step])[0], len(looks) >= TIMES, sentence)

    def _tell(self, kind: Kind, since: int, seen: bool, sentence: str) -> None:
        if not seen:
            self.standing.pop(kind, None)
        elif kind not in self.standing:
            self.standing[kind] = Alarm(kind, since, sentence)

    def _advice(self) -> str:
        """What to try, of the settings that this method has."""
        config = self.method.config
        tries = ["a smaller `learning_rate`"]
        if hasattr(config, "beta"):
            tries += ["a smaller `beta`", "a larger `latent`"]
        if getattr(config, "r1", None) == 0:
            tries.append("`r1` 1")
        if getattr(config, "augment", None) == ():
            tries.append("`augment` translation")
        if getattr(config, "discriminator_steps", 1) > 1:
            tries.append("`discriminator_steps` 1")
        return " or ".join(tries)


def _to_translate(method: Translates, real: Batch) -> dict[str, tuple[Tensor, float]]:
    """By direction: a few source images, and the contrast of their targets; only if these have contrast."""
    most = TRANSLATED if method.spec.size <= 256 else TRANSLATED // 2
    count = min(len(real), max(1, most // len(method.directions)))
    pairs = real if isinstance(real, PairBatch) else PairBatch(real.images, real.images)
    rows = [i * len(real) // count for i in range(count)]
    source, target = (side[rows].float().cpu() for side in (pairs.source, pairs.target))
    sides = {"ab": (source, target), "ba": (target, source)}
    found = {way: (sides[way][0], contrast(sides[way][1])) for way in method.directions}
    return {way: (given, of_targets) for way, (given, of_targets) in found.items() if of_targets >= FLAT_TARGETS}


def contrast(images: Tensor) -> float:
    """The standard deviation over the pixels of an image (N, C, H, W), the mean over images.

    Variances are taken in each channel and averaged over channels: an image of one colour has no contrast.
    """
    return float(images.float().flatten(2).var(2, correction=0).mean(1).sqrt().mean())


def distinctness(images: Tensor) -> float:
    """The mean distance of an image (N, D) from the most similar other one; 0 if there are fewer than two."""
    if len(images) < 2:
        return 0.0
    distances = torch.cdist(images, images, compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.fill_diagonal_(torch.inf).amin(1).mean())

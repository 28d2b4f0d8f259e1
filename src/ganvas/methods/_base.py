"""What every method is: a module that holds its networks, knows its settings, and learns from one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.optim import Optimizer

from ganvas import settings
from ganvas.data.batch import SIZES, Images, Spec
from ganvas.errors import SettingError
from ganvas.runtime import Seed
from ganvas.settings import setting


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """The settings of a method; subclasses add their own. Both of these give way to what the user types."""

    batch: int = setting(64, "pictures a step", low=1, high=65536)
    epochs: int = setting(100, "passes over the data where neither --steps, --epochs nor --minutes is given", low=1)

    def __post_init__(self) -> None:
        settings.check(self)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The picture sizes, in pixels, that a method with these settings can make."""
        return SIZES


class Method(nn.Module):
    """A way of learning; see CONTRIBUTING.md for how to add one.

    Attributes:
        Config: its settings, a frozen dataclass in the same file; the defaults are our best recipe.
        presets: recipes of papers and courses, by name.
        batch: the type of batch it learns from.
        optimizers: every trainable weight is in exactly one of them.
    """

    Config: ClassVar[type[BaseConfig]]
    presets: ClassVar[dict[str, BaseConfig]] = {}
    batch: ClassVar[type[Images]]
    optimizers: dict[str, Optimizer]

    def __init__(self, config: BaseConfig, spec: Spec):
        """Keep settings and shape; subclasses go on to make their networks and optimisers.

        Raises:
            SettingError: if these settings cannot make pictures of that size.
        """
        super().__init__()
        self.require_size(config, spec.size)
        self.config, self.spec = config, spec

    @classmethod
    def require_size(cls, config: BaseConfig, size: int) -> None:
        """Raise SettingError if these settings cannot make pictures of that size."""
        if size not in config.sizes:
            can = ", ".join(map(str, config.sizes))
            raise SettingError(f"--size {size}: {cls.name()} with these settings makes {can}; give one of these")

    @classmethod
    def name(cls) -> str:
        """The name it goes by: that of its file."""
        return cls.__module__.rpartition(".")[2]

    def training_step(self, batch: Images, step: int) -> dict[str, Tensor]:
        """Learn from one batch; returns detached losses, scalars, to plot."""
        raise AssertionError(f"{type(self).__name__} does not say how it learns")


@runtime_checkable
class Generates(Protocol):
    """Makes pictures from noise."""

    spec: Spec

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W) in -1..1; in evaluation mode row i depends on `seeds[i]` (and `labels[i]`) alone."""
        ...

"""The types of flags: what a word may be, and how it becomes a value."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number


def whole(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number; 1e4 is one, 1.5 is not (and is not rounded)."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


Count = Annotated[int, Parameter(converter=whole, validator=Number(gte=1))]
Seed = Annotated[int, Parameter(converter=whole, validator=Number(gte=0, lt=2**62))]
Share = Annotated[float, Parameter(validator=Number(gte=0, lt=1))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Repeated = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]
Words = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
Seeds = Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
Several = Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True, show_default=False)]
DataRoot = Annotated[Path, Parameter(env_var="GANVAS_DATA")]
FeatureFile = Annotated[Path | None, Parameter(env_var="GANVAS_WEIGHTS")]
Typed = Annotated[str, Parameter(parse=False)]  # the command line itself
Later = Annotated[Any, Parameter(parse=False)]  # a function that gives the settings as typed, and loads torch for it

MODEL = Group("Model", sort_key=3)  # of help, in this order
OUTPUT = Group("Output", sort_key=5)
ADVANCED = Group("Advanced", sort_key=6)

import json
from dataclasses import dataclass
from typing import Literal

import pytest

from ganvas.core.settings import check, differences, from_json, help_of, parameters, setting, to_json
from ganvas.errors import SettingError


@dataclass(frozen=True)
class Settings:
    count: int = setting(3, "how many", low=1, high=9)
    rate: float = setting(0.5, "how fast", low=0)
    kind: Literal["a", "b"] = setting("a", "which")
    widths: tuple[int, ...] = setting((4, 5), "how wide", low=1)
    on: bool = setting(True, "whether")


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0}, {"count": 10}, {"count": 1.5}, {"count": True}, {"count": "3"},
        {"rate": -1}, {"rate": float("nan")}, {"rate": float("inf")}, {"kind": "c"}, {"on": 1},
        {"widths": (0,)}, {"widths": [1]}, {"widths": ("x",)},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_value_is_named(wrong):
    (name,) = wrong
    with pytest.raises(SettingError, match=f"`{name}`"):
        check(Settings(**wrong))


def test_a_whole_number_is_a_number():
    check(Settings(rate=2))


def test_json_brings_everything_back():
    settings = Settings(count=7, widths=(1, 2, 3), kind="b", on=False)
    assert from_json(Settings, json.loads(json.dumps(to_json(settings)))) == settings


@pytest.mark.parametrize("manifest", [{**to_json(Settings()), "more": 1}, {"count": 99}, [], None, 3])
def test_json_of_something_else_is_refused(manifest):
    with pytest.raises(SettingError):
        from_json(Settings, manifest)


def test_help_says_the_bounds():
    assert help_of(Settings)["count"] == "how many (1 to 9)"
    assert help_of(Settings)["rate"] == "how fast (at least 0)"


def test_parameters_take_the_defaults_of_the_instance():
    assert {p.name: p.default for p in parameters(Settings(count=8))}["count"] == 8


def test_differences_see_what_is_missing_on_either_side():
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 4}) == ["b", "c", "d"]

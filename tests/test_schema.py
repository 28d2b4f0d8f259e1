"""What files hold is checked before anything uses it, and an error is one short line that names the entry."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest
from conftest import manifest_of, noise_source, train_to

import ganvas
from ganvas.core import schema
from ganvas.errors import GanvasError
from ganvas.report import write_report, write_study


@dataclass(frozen=True)
class Inner:
    number: float
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    all: tuple[Inner, ...] = ()
    named: Mapping[str, int] | None = None


HOSTILE = {
    "NaN": "NaN", "Infinity": "Infinity", "too large": "1e999", "long": "1" + "0" * 400,
    "longer than Python prints": "1" + "0" * 5000, "deep": "[" * 50_000 + "]" * 50_000, "open": "[" * 50_000,
    "cut": '{"a": [1, 2', "no text": "\xff",
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_one_line(content):
    for whole in (content, f'{{"a": {{"b": {content}}}}}'):
        with pytest.raises(schema.Misfit) as caught:
            schema.parse(whole.encode("latin-1"))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "it is a list, expected keys and values"),
        ({}, "inner is missing"),
        ({"inner": {}}, "inner.number is missing"),
        ({"inner": {"number": "3"}}, 'inner.number is "3", expected a number'),
        ({"inner": {"number": True}}, "inner.number is true, expected a number"),
        ({"inner": {"number": float("nan")}}, "inner.number is nan, expected a finite number"),
        ({"inner": {"number": 1, "kind": "c"}}, "inner.kind: Invalid enum value 'c'"),
        ({"inner": {"number": 1}, "all": [{"number": 1}, {"number": None}]}, "all[1].number is null"),
        ({"inner": {"number": 1}, "named": {"x": 1.5}}, "named[...] is a number, expected a whole number"),
        ({"inner": {"number": 1}, "named": {"x": 10**400}}, "named.x is a number of too many digits"),
    ],
)
def test_what_does_not_fit_is_named(values, words):
    with pytest.raises(schema.Misfit) as caught:
        schema.fit(values, Outer)
    assert str(caught.value).startswith(words)


def test_lists_become_tuples_and_what_is_not_known_is_left_out():
    values = {"inner": {"number": 1, "more": 2}, "all": [{"number": 2.5, "kind": "b"}], "named": {"x": 1}}
    assert schema.fit(values, Outer) == Outer(Inner(1.0), (Inner(2.5, "b"),), {"x": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    source = noise_source()
    train_to(run, 2, source=source, manifest=manifest_of(source))
    return run


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", ["seed", "images", "versions", "holdout"])
def test_a_manifest_with_hostile_values_is_refused_in_one_line(run, name, content, tmp_path):
    held = json.loads((run / "run.json").read_text(encoding="utf-8"))
    text = json.dumps({**held, name: "HERE"}).replace('"HERE"', content)
    other = tmp_path / "run"
    other.mkdir()
    (other / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(GanvasError) as caught:
        ganvas.train("gan", "digits", other, steps=1, progress=False)
    assert "\n" not in str(caught.value)
    assert "run.json" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("name", "write"), [("metrics.json", write_report), ("study.json", write_study)])
def test_results_with_hostile_values_are_refused_in_one_line(name, write, content, tmp_path):
    (tmp_path / name).write_bytes(f'{{"version": {content}}}'.encode("latin-1"))
    with pytest.raises(GanvasError) as caught:
        write(tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)

"""Judging from the command line: one model, or several side by side."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganvas.cli import console
from ganvas.cli.flags import Count, DataRoot, Device, Flag, Several
from ganvas.cli.judging_drawn import DRAWN_BY, judge_drawn
from ganvas.cli.judging_pairs import judge_translators
from ganvas.cli.judging_style import judge_style
from ganvas.cli.learned import Contender, contenders
from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.evaluation import Evaluation, Score

DRAWN = 10_000  # pictures, of a model that draws
_TOLD = 4  # models of which each difference is told; of more only those of the best

Direction = Literal["ab", "ba"]


def evaluate(
    model: Path,
    /,
    *,
    data: str,
    out: Path,
    target: str | None = None,
    side: Direction | None = None,
    task: str | None = None,
    direction: Direction | None = None,
    style: Several = (),
    size: Count | None = None,
    count: Count | None = None,
    features: str = "auto",
    lpips: Flag = False,
    weights: Path | None = None,
    paired: Flag = False,
    pictures_only: Flag = False,
    all_checkpoints: Flag = False,
    inside: Flag = False,
    data_root: DataRoot = Path("~/.cache/ganvas"),
    overwrite: Flag = False,
    device: Device = "auto",
    json: Flag = False,
) -> None:
    """Score a model on pictures that it has not seen, with how sure the scores are; writes a report to look at.

    One that draws: how real its pictures are, how varied, and whether they are copies; beside it stand training
    pictures, as good as can be. One that translates: how near each picture comes to what it should be; beside it
    stand the input, which is what doing nothing scores, and the mean of all targets. One of style (fast_style, adain):
    how near each picture comes to the style of the painting, and how far it goes from the photograph. Of a named data
    set the test part is taken, and of the folder that a model learned from what was held out.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        data: real pictures, or the sources of pairs: a named data set or a folder
        out: a folder for index.html, the report to look at; report.md, to paste; metrics.json and metrics.csv, a row
            for each picture; and pictures
        target: the folder with the partners, matched by the names of the files; for cyclegan, of the other kind; for
            adain, of paintings, one for each photograph in turn [default: what the model learned from]
        side: each picture of --data holds two side by side: ab is from left to right, ba from right to left
        task: what makes pairs of the pictures of --data, as in `ganvas train` [default for these three: the model's]
        direction: of a model that goes both ways: ab from source to target, or ba back [default: ab]
        style: for fast_style and adain, the painting, or several at once [default: what the model learned]
        size: pixels at which pictures are compared [default: the model's]
        count: how many pictures to draw; FID is usually told for 10,000 or more [default: 10,000]
        features: what looks at pictures. Drawn ones: digits, ganvas's own digit network, or inception, Inception v3,
            which needs `pip install 'ganvas[inception]'` and is downloaded once; auto takes digits for digits.
            Translated ones: inception adds FID and KID, which auto does too where it is there already; vgg adds the
            VGG distance, and FID and KID, by VGG-19 (the file that GANVAS_WEIGHTS names, else downloaded once), and so
            does a file with its weights; style is always judged by VGG-19
        lpips: also measure LPIPS between translated pictures and what they should be (AlexNet is downloaded once)
        weights: a file with Inception's weights, in place of the download
        paired: for cyclegan, the pictures of --data and --target belong together by their names, though it learned
            without pairs
        pictures_only: no scores, only the report's pictures: for pictures without partners
        all_checkpoints: every save of the run side by side (`ganvas train --keep` keeps more than two), as curves
        inside: put the pictures into index.html itself, so that it can be mailed alone
        data_root: where named data sets are looked for, and downloaded to
        overwrite: replace what is there
        device: auto takes the best there is
        json: for machines
    """
    from ganvas.core.device import find_device

    _require_free(out, overwrite=overwrite)
    where = find_device(device)
    models = _saves_of(model, where) if all_checkpoints else contenders([model], where)
    found = judge(
        models, data, data_root, target=target, side=side, task=task, direction=direction, style=style, size=size,
        count=count, features=features, lpips=lpips, weights=weights, paired=paired,
        pictures_only=pictures_only,
    )  # fmt: skip
    _tell(found, keep(found, out, inside=inside), json=json)


def compare(
    *models: Path,
    data: str,
    out: Path,
    target: str | None = None,
    side: Direction | None = None,
    task: str | None = None,
    direction: Direction | None = None,
    style: Several = (),
    size: Count | None = None,
    count: Count | None = None,
    features: str = "auto",
    lpips: Flag = False,
    weights: Path | None = None,
    paired: Flag = False,
    pictures_only: Flag = False,
    inside: Flag = False,
    data_root: DataRoot = Path("~/.cache/ganvas"),
    overwrite: Flag = False,
    device: Device = "auto",
    json: Flag = False,
) -> None:
    """Score several models on the same pictures, and say which is better, by how much, and how surely.

    A model wins a score only where it is surely better than each other one: the difference is taken picture by
    picture, with a 95 % interval. In the report stand speed and size too, the best and the worst pictures of each, and
    those about which they differ most. Pictures that one of the models learned from are named and left out.

    Args:
        models: two or more, of any methods that do the same: draw, translate the same pairs, or paint in a style
        data: pictures that none of them has seen: a named data set or a folder
        out: a folder for index.html, the report to look at; report.md, to paste; metrics.json and metrics.csv, a row
            for each picture; and pictures
        target: the folder with the partners, matched by the names of the files [default: what they learned from]
        side: each picture of --data holds two side by side: ab is from left to right, ba from right to left
        task: what makes pairs of the pictures of --data, as in `ganvas train` [default for these three: the models']
        direction: of models that go both ways: ab from source to target, or ba back [default: ab]
        style: for fast_style and adain, the painting, or several at once [default: what the models learned]
        size: pixels at which pictures are compared [default: the models']
        count: how many pictures each draws [default: 10,000]
        features: what looks at pictures, as in `ganvas evaluate`
        lpips: also measure LPIPS between translated pictures and what they should be (AlexNet is downloaded once)
        weights: a file with Inception's weights, in place of the download
        paired: for cyclegan, the pictures of --data and --target belong together by their names, though it learned
            without pairs
        pictures_only: no scores, only the report's pictures: for pictures without partners
        inside: put the pictures into index.html itself, so that it can be mailed alone
        data_root: where named data sets are looked for, and downloaded to
        overwrite: replace what is there
        device: auto takes the best there is
        json: for machines
    """
    from ganvas.core.device import find_device

    if len(models) < 2:
        raise UsageError("give two models or more: ganvas compare MODEL MODEL --data SOURCE --out DIR")
    _require_free(out, overwrite=overwrite)
    found = judge(
        contenders(models, find_device(device)), data, data_root, target=target, side=side, task=task,
        direction=direction, style=style, size=size, count=count, features=features, lpips=lpips, weights=weights,
        paired=paired, pictures_only=pictures_only,
    )  # fmt: skip
    _tell(found, keep(found, out, inside=inside), json=json)


def judge(
    models: Mapping[str, Contender],
    data: str,
    data_root: Path,
    *,
    target: str | None = None,
    side: Direction | None = None,
    task: str | None = None,
    direction: Direction | None = None,
    style: Sequence[Path] = (),
    size: int | None = None,
    count: int | None = None,
    features: str = "auto",
    lpips: bool = False,
    weights: Path | None = None,
    paired: bool = False,
    pictures_only: bool = False,
) -> "Evaluation":
    """Judge models, all of which do the same, as they are meant to be judged; flags that say nothing here are refused.

    Raises:
        UsageError: for models that cannot be compared, or flags that do not fit them.
        DataError: for pictures that cannot be used.
        ModelError: for models that cannot do it.
    """
    root = data_root.expanduser()
    of_pairs: dict[str, object] = {"--side": side, "--task": task, "--direction": direction}
    by_sight: dict[str, object] = {"--lpips": lpips, "--paired": paired, "--pictures-only": pictures_only}
    kind = _one_kind(models, pairs=bool(target or side or task))
    name = next(iter(models.values())).model.facts.method
    if kind == "paint":
        _refuse({"--count": count}, "is for models that draw, and this one paints")
        by_others = {"--weights": weights, "--features": features if features in DRAWN_BY else None}
        _refuse(by_others, "is for models that draw or translate, and this one paints")
        _refuse(of_pairs | by_sight, f"is for pictures with partners; this {name} model paints in a style")
        return judge_style(models, data, root, target=target, style=style, size=size, features=features)
    if kind == "translate":
        _refuse({"--count": count}, "is for models that draw, and this one translates")
        _refuse({"--features": features if features == "digits" else None}, "is for models that draw")
        _refuse({"--style": style}, f"is for models of style, and this is one of {name}")
        if weights and features != "inception":
            raise UsageError(f"--weights {weights}: are Inception's; add --features inception, or leave it out")
        ways = {"target": target or "", "side": side or "", "task": task or ""}
        return judge_translators(
            models, data, root, ways=ways, direction=direction, size=size, features=features, lpips=lpips,
            weights=weights, pictures_only=pictures_only, paired=paired,
        )  # fmt: skip
    of_others = {"--target": target, "--size": size, "--style": style}
    _refuse(of_pairs | by_sight | of_others, f"is for models that translate; this {name} model draws")
    if features != "auto" and features not in DRAWN_BY:
        raise UsageError(f"--features {features}: this {name} model draws; expected auto, {' or '.join(DRAWN_BY)}")
    return judge_drawn(models, data, root, count=count or DRAWN, features=features, weights=weights)


def compare_models(
    models: Mapping[str, Path],
    out: Path,
    *,
    data: str,
    target: str = "",
    side: str = "",
    task: str = "",
    size: int | None = None,
    data_root: Path,
    features: str = "auto",
    device: str = "auto",
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Compare models by these names and keep the report, with `notes` above it; returns what metrics.json holds.

    Raises:
        UsageError: as of `judge`.
    """
    from ganvas.checkpoint import load
    from ganvas.cli.learned import facts_with_paths
    from ganvas.core.device import find_device

    loaded = {name: load(path, find_device(device)) for name, path in models.items()}
    found = judge(
        {name: Contender(models[name], model, facts_with_paths(models[name], model)) for name, model in loaded.items()},
        data, data_root, target=target or None, side=side or None, task=task or None,  # type: ignore[arg-type]
        size=size, features=features,
    )  # fmt: skip
    keep(dataclasses.replace(found, notes=[*notes, *found.notes]), out)
    return found.to_json()


# --- which kind -----------------------------------------------------------------------------------------------------


def _one_kind(models: Mapping[str, Contender], *, pairs: bool) -> str:
    """What all models do: `draw`, `translate` or `paint`.

    Raises:
        UsageError: if they do different things, saying which can be compared.
    """
    groups: dict[str, list[str]] = {}
    for name, one in models.items():
        groups.setdefault(_kind(one, pairs=pairs), []).append(name)
    if len(groups) > 1:
        said = "; ".join(
            f"{' and '.join(names)} {kind}{'s' if len(names) == 1 else ''}" for kind, names in groups.items()
        )
        raise UsageError(f"models that do different things: {said}; compare those that do the same")
    return next(iter(groups))


def _kind(one: Contender, *, pairs: bool) -> str:
    """Whether a model paints, translates or draws; one that can do both draws unless it learned pairs or gets some."""
    from ganvas.methods._base import Generates, Restyles, TakesStyles, Translates

    method, spec = one.model.method, one.model.facts.spec
    if isinstance(method, Restyles | TakesStyles):
        return "paint"
    if isinstance(method, Translates) and (not isinstance(method, Generates) or pairs or spec.target_channels > 0):
        return "translate"
    return "draw"


def _saves_of(run: Path, device: Any) -> dict[str, Contender]:
    """Every save of a run, by its step.

    Raises:
        UsageError: if there are fewer than two.
    """
    from ganvas import checkpoint

    if not (run / checkpoint.RUN).is_file():
        raise UsageError(f"--all-checkpoints: {run} is no run; give the folder of one, or leave it out")
    saves = checkpoint.saves(run)
    if len(saves) < 2:
        raise UsageError(
            f"--all-checkpoints: {run} holds {len(saves)} {'save' if len(saves) == 1 else 'saves'}; train it on with "
            "--keep 20 (and --save-every), or leave it out"
        )
    found = contenders(saves, device).values()
    return {f"step {one.model.step:,}": one for one in found}


def _refuse(flags: Mapping[str, object], why: str) -> None:
    for flag, value in flags.items():
        if value:
            given = value[0] if isinstance(value, tuple) else "" if value is True else value
            raise UsageError(f"{f'{flag} {given}'.rstrip()}: {why}; leave it out")


# --- what is kept and told ------------------------------------------------------------------------------------------


def _require_free(out: Path, *, overwrite: bool) -> None:
    """Raise UsageError where results cannot be written, or would replace others."""
    from ganvas import evaluation
    from ganvas.core.atomic_io import require_place

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if (out / evaluation.NUMBERS).exists() and not overwrite:
        raise UsageError(f"{out / evaluation.NUMBERS} is already there; choose another --out, or add --overwrite")
    require_place(out)


def keep(found: "Evaluation", out: Path, *, inside: bool = False) -> list[Path]:
    """Write numbers, pictures and report; returns where, the report first."""
    from ganvas import evaluation, report
    from ganvas.core.atomic_io import make_folder

    written = evaluation.write(make_folder(out), found)
    return [*report.write_report(out, inside=inside), *written.values()]


def _tell(found: "Evaluation", paths: Sequence[Path], *, json: bool) -> None:
    """The scores of all, who is better than whom, and how that was found."""
    if json:
        console.print_json(found.to_json())
        return
    names = [model.name for model in found.models]
    answers = [*names, *(name for name in found.baselines if any(name in score.values for score in found.scores))]
    rows = [
        (score.name, *(_cell(score, answer, interval=names == [answer]) for answer in answers), score.measure.better)
        for score in found.scores
    ]
    steps = ", ".join(f"{model.name} after {model.step:,} steps" for model in found.models)
    if rows:
        console.table(f"{found.data}: {steps}", ("score", *answers, "better"), rows)
    for line in found.notes:
        console.tell(f"NOTE: {line}")
    for score in found.scores:
        if winner := score.winner(names):
            console.tell(f"best in {score.name}: {winner}")
    for score in found.scores:
        for difference in score.differences:
            several = len(names) > _TOLD and difference.first != score.winner(names) != difference.second
            if difference.second in (*names, "input") and not several:
                console.tell(score.verdict(difference))
    if len(names) > _TOLD:
        console.tell("the other differences, of each to each, are in metrics.json")
    for model, counts in found.classes.items():
        total = sum(counts.values())
        shares = ", ".join(f"{name} {n / total:.1%}" for name, n in counts.items())
        console.tell(f"{model}, judged to be: {shares}")
    for model, milliseconds in found.milliseconds.items():
        console.tell(f"{model}: {milliseconds:,.1f} ms a picture in the network, on {found.device}")
    for one in found.models:
        if one.learned:
            console.tell(f"{one.name}, learned from these: {one.learned}")
    for name, said in found.baselines.items():
        console.tell(f"{name}: {said}")
    for aspect, said in found.protocol.items():
        if aspect not in ("n", "size", "part", "versions", "checkerboard"):  # said already, or for machines
            console.tell(f"{aspect}: {said}")
    for path in paths:
        console.tell(f"  {path}")


def _cell(score: "Score", answer: str, *, interval: bool) -> str:
    """A value of the table; several models stand without their intervals, which their differences have."""
    mean, digits = score.values.get(answer), score.measure.digits
    if mean is None:
        return ""
    ends = f" ({mean.low:{digits}} to {mean.high:{digits}})" if interval and mean.low is not None else ""
    return score.measure.written(mean.value) + ends

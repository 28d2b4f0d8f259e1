"""Judging from the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ganvas import console
from ganvas.cli.judging_style import device_of, evaluate_style, open_judge
from ganvas.cli.learned import facts_with_paths, learned_from, same_folder
from ganvas.errors import DataError, ModelError, UsageError
from ganvas.flags import Count, DataRoot, Device, Flag, Several

if TYPE_CHECKING:
    from ganvas.checkpoint import Model
    from ganvas.data.batch import Images, Source
    from ganvas.evaluation import Evaluation, TranslationEvaluation
    from ganvas.facts import Facts

DRAWN = 10_000  # pictures, of a model that draws
DRAWN_BY = ("digits", "inception")  # what looks at them


def evaluate(
    model: Path,
    /,
    *,
    data: str,
    out: Path,
    target: str | None = None,
    side: Literal["ab", "ba"] | None = None,
    task: str | None = None,
    direction: Literal["ab", "ba"] | None = None,
    style: Several = (),
    size: Count | None = None,
    count: Count | None = None,
    features: str = "auto",
    lpips: Flag = False,
    weights: Path | None = None,
    data_root: DataRoot = Path("~/.cache/ganvas"),
    overwrite: Flag = False,
    device: Device = "auto",
    json: Flag = False,
) -> None:
    """Score a model on pictures that it has not seen, with how sure the scores are.

    One that draws: how real its pictures are, how varied, and whether they are copies; beside it stand training
    pictures, as good as can be. One that translates: how near each picture comes to what it should be; beside it
    stands the input, which is what doing nothing scores. One of style (fast_style, adain): how near each picture
    comes to the style of the painting, and how far it goes from the photograph. Of a named data set the test part is
    taken, and of the folder that a model learned from what was held out.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        data: real pictures, or the sources of pairs: a named data set or a folder
        out: a folder for metrics.json and sheets of pictures; of translators also metrics.csv, a row for each picture
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
            Translated ones: vgg, VGG-19 (the file that GANVAS_WEIGHTS names, else downloaded once), or a file with
            its weights; auto looks through it at style alone, for it takes its time, and vgg adds the VGG distance
        lpips: also measure LPIPS between translated pictures and what they should be (AlexNet is downloaded once)
        weights: a file with Inception's weights, in place of the download
        data_root: where named data sets are looked for, and downloaded to
        overwrite: replace what is there
        device: auto takes the best there is
        json: for machines
    """
    from ganvas import evaluation
    from ganvas.checkpoint import load
    from ganvas.files import make_folder, require_place
    from ganvas.runtime import find_device

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if (out / evaluation.NUMBERS).exists() and not overwrite:
        raise UsageError(f"{out / evaluation.NUMBERS} is already there; choose another --out, or add --overwrite")
    require_place(out)
    loaded, root = load(model, find_device(device)), data_root.expanduser()
    of_pairs: dict[str, object] = {"--side": side, "--task": task, "--direction": direction}
    of_drawn: dict[str, object] = {"--count": count, "--weights": weights}
    if features in DRAWN_BY:
        of_drawn["--features"] = features
    name, facts = loaded.facts.method, facts_with_paths(model, loaded)
    found: evaluation.Evaluation | evaluation.TranslationEvaluation
    if _paints(loaded):
        _refuse(of_drawn, "is for models that draw, and this one paints")
        _refuse(of_pairs | {"--lpips": lpips}, f"is for pictures with partners; this {name} model paints in a style")
        found = evaluate_style(loaded, facts, data, root, target=target, style=style, size=size, features=features)
    elif _translates(loaded, pairs=bool(target or side or task)):
        _refuse(of_drawn, "is for models that draw, and this one translates")
        _refuse({"--style": style}, f"is for models of style, and this is one of {name}")
        ways = {"target": target or "", "side": side or "", "task": task or ""}
        found = _evaluate_translated(
            loaded, facts, data, root, ways=ways, direction=direction, size=size, features=features, lpips=lpips
        )
    else:
        of_others = {"--target": target, "--size": size, "--lpips": lpips, "--style": style}
        _refuse(of_pairs | of_others, f"is for models that translate; this {name} model draws")
        if features != "auto" and features not in DRAWN_BY:
            raise UsageError(f"--features {features}: this {name} model draws; expected auto, {' or '.join(DRAWN_BY)}")
        found = _evaluate_drawn(loaded, facts, data, root, count=count or DRAWN, features=features, weights=weights)
    if json:
        console.print_json(found.to_json())
    elif isinstance(found, evaluation.Evaluation):
        _show(found)
    else:
        _show_translated(found)
        if isinstance(found, evaluation.StyleEvaluation):
            console.tell(f"time: {found.milliseconds:,.0f} ms a picture in the network, on {device_of(loaded)}")
    for path in evaluation.write(make_folder(out), found).values():
        if not json:
            console.tell(f"  {path}")


def _translates(loaded: "Model", *, pairs: bool) -> bool:
    """Whether a model is judged by what it makes of pictures; one that also draws, if it learned pairs or gets some."""
    from ganvas.methods._base import Generates, Translates

    if not isinstance(loaded.method, Translates):
        return False
    return not isinstance(loaded.method, Generates) or pairs or loaded.facts.spec.target_channels > 0


def _paints(loaded: "Model") -> bool:
    """Whether a model is judged by the style of what it makes."""
    from ganvas.methods._base import Restyles, TakesStyles

    return isinstance(loaded.method, Restyles | TakesStyles)


def _refuse(flags: Mapping[str, object], why: str) -> None:
    for flag, value in flags.items():
        if value:
            given = value[0] if isinstance(value, tuple) else "" if value is True else value
            raise UsageError(f"{f'{flag} {given}'.rstrip()}: {why}; leave it out")


# --- models that translate ------------------------------------------------------------------------------------------


def _evaluate_translated(
    loaded: "Model",
    facts: "Facts",
    data: str,
    root: Path,
    *,
    ways: dict[str, Any],
    direction: Literal["ab", "ba"] | None,
    size: int | None,
    features: str,
    lpips: bool,
) -> "TranslationEvaluation":
    from ganvas import evaluation
    from ganvas.data import derived, open_for
    from ganvas.data.unpaired import TwoSets

    known = same_folder(facts, data)
    if not any(ways.values()):
        ways = _ways_of(facts, known)
    if ways["task"]:
        ways["task"] = derived.task(ways["task"]).name
    holdout = facts.holdout if known else 0.0
    source = open_for(
        type(loaded.method).batches, data, root=root, size=size, split="test", holdout=holdout,
        like=loaded.facts.spec, least=1, track=console.track, **ways,
    )  # fmt: skip
    console.tell_left_out(source.left_out)
    learned = learned_from(data, known, holdout)
    if isinstance(source.pictures, TwoSets):
        if direction:
            raise UsageError(f"--direction {direction}: without pairs both are measured; leave it out")
        by_partners = {"--features": features.replace("auto", ""), "--lpips": lpips}
        _refuse(by_partners, "without pairs nobody can say how a picture should look")
        return evaluation.evaluate_unpaired(loaded, *source.pictures.sides, learned=learned, track=console.track)
    measures = [*evaluation.MEASURES]
    if features != "auto":
        measures.append(evaluation.vgg_measure(open_judge(features, device_of(loaded))))
    if lpips:
        measures.append(evaluation.lpips_measure(device_of(loaded)))
    return evaluation.evaluate_pairs(
        loaded, source, direction=direction or "ab", task=ways["task"], measures=measures, learned=learned,
        track=console.track,
    )  # fmt: skip


def _ways_of(facts: "Facts", known: str) -> dict[str, Any]:
    """Where partners come from, as the model learned it."""
    target, task = facts.target, facts.task
    if target and not (known == "surely" and Path(target).is_dir()):
        raise UsageError(
            f"the model learned from two folders, the second called {Path(target).name}: add --target FOLDER"
        )
    if not (target or task or facts.side or facts.spec.target_channels):
        task = "reconstruct"  # it learned from single pictures
    return {"target": target, "side": facts.side, "task": task}


def _show_translated(found: "TranslationEvaluation") -> None:
    rows, names = [], list(found.scores[0].baselines)
    for score in found.scores:
        mean, measure = score.model, score.measure
        ends = "" if mean.low is None else f" ({mean.low:{measure.digits}} to {mean.high:{measure.digits}})"
        others = [measure.written(score.baselines[name].value) if name in score.baselines else "" for name in names]
        rows.append((score.name, measure.written(mean.value) + ends, *others, measure.better))
    columns = ("score", "model", *(f"{name} as it is" for name in names), "better")
    console.table(f"{found.model}, {found.step:,} steps, {found.protocol['n']:,} pictures", columns, rows)
    for score in found.scores:
        for name in score.baselines:
            console.tell(f"{score.name}: {score.verdict(name)}")
    for board in found.checkerboards:
        values = ", ".join(f"{value:.3g} every {period}" for period, value in board.outputs.items())
        targets = ", ".join(f"{value:.3g}" for value in board.targets.values())
        console.tell(f"{board.name}: {values} pixels (pictures to be like: {targets}); about 1 or less is none")
    for aspect, said in found.protocol.items():
        if aspect not in ("n", "size", "part", "versions", "checkerboard"):  # said already, or for machines
            console.tell(f"{aspect}: {said}")


# --- models that draw -----------------------------------------------------------------------------------------------


def _evaluate_drawn(
    loaded: "Model",
    facts: "Facts",
    data: str,
    root: Path,
    *,
    count: int,
    features: str,
    weights: Path | None,
) -> "Evaluation":
    from ganvas import evaluation
    from ganvas.data import open_for
    from ganvas.data.batch import Images
    from ganvas.features import Name, open_features, suited

    spec = loaded.facts.spec
    holdout = facts.holdout if same_folder(facts, data) else 0.0
    source = open_for(
        (Images,), data, root=root, size=spec.size, split="test", holdout=holdout, track=console.track
    )  # fmt: skip
    name = suited(spec) if features == "auto" else cast(Name, features)
    if weights and name != "inception":
        raise UsageError(
            f"--weights {weights}: are Inception's, and the {name} network judges; add --features inception"
        )
    device = next(loaded.method.parameters()).device
    judge = open_features(name, device=device, weights=weights, framed=source.name == "digits")
    training = _training_source(facts, root)
    return evaluation.evaluate(loaded, source, features=judge, count=count, training=training, track=console.track)


def _training_source(facts: "Facts", root: Path) -> "Source[Images] | None":
    """What the model learned from, if it is still where it was; a model file by itself knows named sets only."""
    from ganvas.data import open_for
    from ganvas.data.batch import Images
    from ganvas.data.named import NAMES

    data = facts.data
    try:
        if data not in NAMES and not Path(data).is_absolute():
            raise DataError(f"the model knows no more than its name, {data}")
        source: Source[Images] = open_for(
            (Images,), data, root=root, size=facts.spec.size, holdout=facts.holdout, track=console.track
        )
        if source.spec != facts.spec:
            raise DataError(f"{data} has changed since, or is another of that name")
    except (DataError, ModelError) as error:
        console.say(f"what it learned from is not to be found, so it is not compared with that ({error})")
        return None
    return source


def _show(found: "Evaluation") -> None:
    wide = console.out.width >= 140  # room for sentences
    rows = [
        (
            score.name,
            f"{score.value:.4g}" + (f" ± {score.interval:.2g}" if score.interval is not None else ""),
            "" if score.floor is None else f"{score.floor:.4g}",
            score.better,
            *([score.meaning] if wide else []),
        )
        for score in found.scores
    ]
    columns = ("score", "model", "training pictures", "better", *([""] if wide else []))
    console.table(f"{found.model}, {found.step:,} steps", columns, rows)
    if found.classes:
        total = sum(found.classes.values())
        console.tell("judged to be: " + ", ".join(f"{name} {n / total:.1%}" for name, n in found.classes.items()))
    for aspect in ("drawn", "reference", "floor", "seen", "intervals"):
        if found.protocol[aspect]:
            console.tell(f"{aspect}: {found.protocol[aspect]}")

"""Judging from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganvas import console
from ganvas.errors import DataError, ModelError, UsageError
from ganvas.flags import Count, DataRoot, Device, Flag

if TYPE_CHECKING:
    from ganvas.checkpoint import Model
    from ganvas.data.batch import Source
    from ganvas.evaluation import Evaluation


def evaluate(
    model: Path,
    /,
    *,
    data: str,
    out: Path,
    count: Count = 10_000,
    features: Literal["auto", "digits", "inception"] = "auto",
    weights: Path | None = None,
    data_root: DataRoot = Path("~/.cache/ganvas"),
    overwrite: Flag = False,
    device: Device = "auto",
    json: Flag = False,
) -> None:
    """Score a model that draws: how real its pictures are, how varied, and whether they are copies.

    Of a named data set its test part is taken, which no training sees. Beside the model's scores stand those of
    training pictures: as good as can be. Scores of different features, or of different counts, do not compare.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        data: real pictures to hold the drawn ones against: a named data set or a folder
        out: a folder for metrics.json, samples.png and nearest.png
        count: how many pictures to draw; FID is usually told for 10,000 or more
        features: what looks at the pictures: ganvas's own digit network, or Inception v3, which needs
            `pip install 'ganvas[inception]'` and is downloaded once; auto takes digits for digits
        weights: a file with Inception's weights, in place of the download
        data_root: where named data sets are looked for, and downloaded to
        overwrite: replace what is there
        device: auto takes the best there is
        json: for machines
    """
    from ganvas import evaluation
    from ganvas.checkpoint import load
    from ganvas.data import open_source
    from ganvas.features import open_features, suited
    from ganvas.files import make_folder, require_place
    from ganvas.runtime import find_device

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if (out / evaluation.NUMBERS).exists() and not overwrite:
        raise UsageError(f"{out / evaluation.NUMBERS} is already there; choose another --out, or add --overwrite")
    require_place(out)
    where = find_device(device)
    loaded = load(model, where)
    spec = loaded.facts.spec
    source = open_source(data, root=data_root.expanduser(), size=spec.size, split="test", track=console.track)
    name = suited(spec) if features == "auto" else features
    if weights and name != "inception":
        raise UsageError(
            f"--weights {weights}: are Inception's, and the {name} network judges; add --features inception"
        )
    judge = open_features(name, device=where, weights=weights, framed=source.name == "digits")
    training = _training_source(model, loaded, data_root.expanduser())
    found = evaluation.evaluate(loaded, source, features=judge, count=count, training=training, track=console.track)
    if json:
        console.print_json(found.to_json())
    else:
        _show(found)
    for path in evaluation.write(make_folder(out), found).values():
        if not json:
            console.tell(f"  {path}")


def _training_source(model: Path, loaded: "Model", root: Path) -> "Source | None":
    """What the model learned from, if it is still where it was; a model file by itself knows named sets only."""
    from ganvas.checkpoint import RUN, read_run
    from ganvas.data import open_source
    from ganvas.data.named import NAMES

    data = loaded.facts.data
    try:
        for folder in (model, *list(model.resolve().parents)[:2]):  # a run, a save of it, the file in a save
            if (folder / RUN).is_file() and (facts := read_run(folder)) and Path(facts.data).name == data:
                data = facts.data
        if data not in NAMES and not Path(data).is_absolute():
            raise DataError(f"the model knows no more than its name, {data}")
        source = open_source(data, root=root, size=loaded.facts.spec.size, track=console.track)
        if source.spec != loaded.facts.spec:
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

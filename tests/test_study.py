"""Studies: what their files may say, that they go on from anywhere, and what they make of several seeds."""

import dataclasses
import json
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import photograph
from PIL import Image

from ganvas import api, checkpoint, methods, progress, studies, training
from ganvas.api import studying as study_work
from ganvas.api.studying import compare as compared
from ganvas.cli import main
from ganvas.errors import DataError
from ganvas.evaluation import Evaluation
from ganvas.imaging import images
from ganvas.inference.translate import Translator
from ganvas.methods.pix2pix import Pix2pix
from ganvas.studies import statistics
from ganvas.studies.plan import made_targets
from ganvas.studies.record import VERSION
from ganvas.training import samples

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
METHODS = """
methods:
  pix2pix:
    settings: {width: 4, discriminator-width: 4, batch: 2, learning_rate: 1e-3}
  plain:
    method: autoencoder
    settings: {width: 4, batch: 2}
"""
STUDY = f"""
title: two methods
description: |
  One paragraph
  in two lines.

  Another.
seeds: [0, 1]
steps: 2
size: 16
{METHODS}
tasks:
  grey:
    words: grey photographs in colour
    data: photos
    held_out: unseen
    task: colorize-rgb
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Photographs, others that are held out, both with partners, paintings; and a comparison that takes no time."""
    for folder, first, n in (("photos", 0, 8), ("unseen", 50, 3), ("paintings", 80, 6)):
        (tmp_path / folder).mkdir()
        for i in range(first, first + n):
            photograph(seed=i, width=24, height=20).save(tmp_path / folder / f"{i}.png")
    for folder in ("photos", "unseen"):
        (tmp_path / f"{folder}-drawn").mkdir()
        for file in (tmp_path / folder).iterdir():
            (tmp_path / f"{folder}-drawn" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "empty").mkdir()
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def told(monkeypatch):
    """What is trained and compared, in order, with a comparison that takes no time and writes what is known."""
    said = []

    def compare(one, models, *, ways, work):
        said.append(f"compare {one.task.name} {one.seed}: {' '.join(models)}")
        images_of = {name: checkpoint.load(folder, CPU) for name, folder in models.items()}
        one.results.mkdir(parents=True, exist_ok=True)
        (one.results / "metrics.json").write_text(json.dumps(results(one.seed, images_of)))

    for name in ("show_data", "take_grid", "show_all"):  # which take more time here than learning does
        monkeypatch.setattr(samples, name, lambda *_, **__: [])
    monkeypatch.setattr(study_work, "compare", compare)
    monkeypatch.setattr(study_work, "report", lambda out: [])
    train = api.train_job

    def train_and_tell(job, **options):
        said.append(f"train {job.run.parent.name} {job.run.name}")
        return train(job, **options)

    monkeypatch.setattr(api, "train_job", train_and_tell)
    return said


SCORED = {
    "pix2pix": {0: 20.0, 1: 22.0, 2: 21.5},
    "plain": {0: 16.0, 1: 17.0, 2: 17.1},
    "input": {0: 15.0, 1: 15.0, 2: 15.0},
    "gan": {0: 1.0},
    "dcgan": {0: 1.0},
}


def results(seed, models, *, better="higher"):
    """What a comparison writes: made-up numbers."""
    names = [*models, "input"]
    values = {name: {"value": SCORED[name][seed], "low": None, "high": None} for name in names}
    gaps = []
    if {"pix2pix", "plain"} <= set(names):
        gap = SCORED["pix2pix"][seed] - SCORED["plain"][seed]
        ends = {"low": gap - 1, "high": gap + 1, "verdict": "pix2pix is better than plain"}
        gaps = [{"first": "pix2pix", "second": "plain", "value": gap, **ends}]
    score = {"name": "PSNR", "unit": "dB", "better": better, "digits": ".2f", "meaning": "signal", "values": values}
    notes = ["said with every seed", f"said with seed {seed}"]
    scores = [{**score, "differences": gaps}]
    return {"version": VERSION, "baselines": {"input": "doing nothing"}, "notes": notes, "scores": scores}


def go(*more, file="study.yaml", out="out"):
    words = [*([file] if file else []), "--out", out, "--device", "cpu", "--precision", "fp32", *more]
    return main(["study", *map(str, words)])


def weights(run):
    return checkpoint.load(Path(run), CPU).method.state_dict()


def same(one, other):
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def record(out="out"):
    return json.loads((Path(out) / "study.json").read_text())


# --- the file -------------------------------------------------------------------------------------------------------


def read(text, *, changes=None, root=Path("nowhere")):
    Path("a.yaml").write_text(text)
    return studies.read_file(Path("a.yaml"), root=root, changes=changes or studies.Changes())


def test_the_study_of_the_project_says_what_was_done_by_hand():
    changes = studies.Changes(seeds=(0, 1))
    found = studies.read_file(ROOT / "studies/three-tasks.yaml", root=Path("/nowhere"), changes=changes)
    tasks = {task.name: task for task in found.tasks}
    assert {name: task.length.minutes for name, task in tasks.items()} == {"colorize": 30, "monet": 6, "cartoon": 5}
    assert tasks["colorize"].learners[0].config.l1 == 1000
    assert tasks["cartoon"].learners[0].config == methods.config("pix2pix")
    teacher = tasks["monet"].teacher
    assert teacher.learner.words == "cyclegan --generator unet --norm group --cycle 3 --identity 0.2"
    assert (teacher.length.minutes, Path(teacher.target).name) == (14, "monet")
    assert all((task.size, task.flip, task.random_crop) == (128, True, True) for task in found.tasks)
    rounds = list(studies.rounds(found, Path("out")))
    assert [(one.seed, one.task.name) for one in rounds] == [(s, name) for s in (0, 1) for name in tasks]
    runs = [run for one in rounds for run in one.runs] + [rounds[1].teacher]
    assert len({run.folder for run in runs}) == 13
    states = {run.folder: studies.State() for run in runs}
    assert studies.seconds_left(runs, states) == 60 * (2 * 2 * (30 + 6 + 5) + 14)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps: 2", "stepps: 2", "a.yaml: stepps: unknown; did you mean steps?"),
        ("    task: colorize-rgb", "    minuts: 3", "a.yaml: tasks.grey.minuts: unknown; did you mean minutes?"),
        ("task: colorize-rgb", "task: colourise", "--task colourise: no task of that name; did you mean colorize"),
        ("task: colorize-rgb", "side: left", "tasks.grey.side: is left; expected ab"),
        ("task: colorize-rgb", "task: colorize-rgb\n    side: ab", "side and task are two ways"),
        ("task: colorize-rgb", "target: x", "held_out_target: missing"),
        ("task: colorize-rgb", "", "pix2pix translates images: give their partners with"),
        ("task: colorize-rgb", "settings: {pix: {}}\n    task: edges", "settings.pix: unknown; did you mean pix2pix?"),
        ("task: colorize-rgb", "settings: {pix2pix: {l11: 3}}\n    task: edges", "l11: unknown; did you mean"),
        ("task: colorize-rgb", "settings: {pix2pix: {l1: a}}\n    task: edges", "l1 is \"a\", expected a number"),
        ("task: colorize-rgb", "settings: [1]\n    task: edges", "settings is a list, expected keys and values"),
        ("task: colorize-rgb", "task: colorize-rgb\n    flip: 3", "flip is 3, expected true or false"),
        ("task: colorize-rgb", "task: edges\n    made_by: {method: cyclegan}", "task and made_by are two ways"),
        ("task: colorize-rgb", "made_by: {method: cyclegan}", "made_by.target: missing"),
        ("task: colorize-rgb", "made_by: {method: dcgan, target: x}", "method: dcgan does not learn to translate"),
        ("method: autoencoder", "method: autoencodr", "plain.method: autoencodr: no such method; did you mean"),
        ("method: autoencoder", "method: dcgan", "plain: dcgan generates from noise alone"),
        ("method: autoencoder", "method: fast_style", "learns a style, for which there are no targets"),
        ("method: autoencoder", "preset: nosuch\n    method: autoencoder", "no such preset"),
        ("    settings: {width: 4, batch: 2}", "    settings: {width: 0}", "plain.settings: --width is 0"),
        ("  plain:", "  ../plain:", "a name takes up to 40 letters"),
        ("  plain:", "  Pix2pix:", "not every system can tell it from pix2pix"),
        ("  grey:", "  runs:", "something else has this name"),
        ("  grey:", "  3:", "has the key 3, expected a word"),
        ("seeds: [0, 1]", "seeds: 3", "seeds is 3, expected a list"),
        ("seeds: [0, 1]", "seeds: [0, -1]", "seeds: expected a list"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "seeds: 1 is given twice"),
        ("steps: 2", "steps: 0", "steps: is 0; expected more than 0"),
        ("steps: 2", "steps: 2.5", "steps is 2.5, expected a whole number"),
        ("steps: 2", "minutes: .inf", "minutes is inf, expected a finite number"),
        ("steps: 2", "minutes: 0x" + "f" * 9999, "minutes is a number of too many digits"),
        ("steps: 2", "steps: 2\nminutes: 3", "are two ways to say how long"),
        ("steps: 2", "", "tasks.grey.minutes: missing"),
        ("size: 16", "size: 17", "size: --size 17"),
        ("held_out: unseen", "holdout: 1", "holdout: is 1; expected a fraction"),
        ("held_out: unseen", "holdout: 0.5\n    held_out: unseen", "are two ways to give evaluation data"),
        ("held_out: unseen", "held_out: photos", "is the training data"),
        ("held_out: unseen", "", "tasks.grey.held_out: missing: images that no training uses"),
        ("data: photos", "", "tasks.grey.data: missing"),
        ("tasks:", "tusks:", "tusks: unknown; did you mean tasks?"),
        ("seeds: [0, 1]", "seeds: [0, 1]\nseeds: [2]", "not YAML: seeds is given twice"),
        ("title: two methods", "title: &a [b]\ndescription: *a", "aliases (*name) are not read"),
        ("title: two methods", "title: " + "[" * 500, "nested too deeply"),
        ("title: two methods", "title: {", "not YAML"),
        ("title: two methods", "title: !!python/name:os.system", "not YAML"),
        ("title: two methods", "title: [a]", "title is a list, expected words"),
        ("title: two methods", "? [a]\n: b", "a.yaml, line 2: not YAML: a key is a word, not a list"),
        ("title: two methods", "? {a: b}\n: c", "a.yaml, line 2: not YAML: a key is a word, not a list"),
        ("title: two methods", "title: !!bool x", "a tag (!!type) and its value do not fit"),
        ("title: two methods", "title: !!timestamp x", "a tag (!!type) and its value do not fit"),
        ("title: two methods", "title: !!map x", "not YAML: expected keys and values"),
        ("title: two methods", "title: !!int x", "a.yaml: not YAML"),
        ("title: two methods", "title: " + "9" * 9999, "a.yaml: not YAML"),
        ("title: two methods", "t" * 999 + ": 1", "a.yaml: " + "t" * 60 + ": unknown"),
        ("task: colorize-rgb", "task: " + "t" * 9999, "tasks.grey.task: "),
        ("steps: 2", "steps: 4611686018427387904", "steps: is 4.61169e+18; expected no more than 1,000,000,000"),
        ("steps: 2", "minutes: 1e18", "expected no more than 1,000,000,000"),
        ("steps: 2", "steps: 1e308", "a.yaml: steps is a number of too many digits"),
        ("data: photos", "data: ~nobody-there/photos", "a.yaml: ~nobody-there/photos: there is no such home"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say_is_one_line_that_names_the_place(old, new, words, place, capsys):
    assert STUDY.count(old) == 1, "say which"
    (place / "a.yaml").write_text(STUDY.replace(old, new))
    assert go(file="a.yaml") == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert len(said) < 300
    assert "a.yaml" in said
    assert not Path("out").exists()


def test_numbers_mean_what_people_mean(place):
    found = read(STUDY)
    assert found.tasks[0].learners[0].config.learning_rate == 0.001  # to YAML 1.1 `1e-3` is a text
    assert read(STUDY.replace("batch: 2, learning", "batch: 2e0, learning")).tasks[0].learners[0].config.batch == 2
    assert found.description == ("One paragraph in two lines.", "Another.")


def test_what_is_asked_for_wins_over_the_file(place):
    changes = studies.Changes(length=studies.Length(minutes=3), size=32, seeds=(7,))
    made = "made_by: {method: cyclegan, target: paintings, steps: 9}\n    steps: 5\n    size: 16"
    found = read(STUDY.replace("task: colorize-rgb", made), changes=changes)
    (task,) = found.tasks
    assert (found.seeds, task.size, task.length.minutes, task.teacher.length.minutes) == ((7,), 32, 3, 3)


def test_folders_lie_beside_the_file_or_below_the_root(place):
    (place / "root/elsewhere").mkdir(parents=True)
    (place / "root/photos").mkdir()
    found = read(STUDY.replace("held_out: unseen", "held_out: elsewhere"), root=place / "root")
    assert found.tasks[0].data == str(place / "photos")
    assert found.tasks[0].held_out == str(place / "root/elsewhere")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("data: photos", "data: nowhere", "tasks.grey.data: "),
        ("held_out: unseen", "held_out: empty", "tasks.grey: "),
        ("task: colorize-rgb", "target: photos-drawn\n    held_out_target: paintings", "have no partner"),
        ("task: colorize-rgb", "target: unseen-drawn\n    held_out_target: unseen-drawn", "have no partner"),
        ("batch: 2}", "batch: 9}", "--batch 9 is more than the 8 images"),
        ("task: colorize-rgb", "made_by: {method: cyclegan, target: empty}", "no images"),
        ("task: colorize-rgb", "made_by: {method: cyclegan, target: paintings, settings: {batch: 9}}", "--batch 9"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused_before_any_training(old, new, words, place, told, capsys):
    (place / "a.yaml").write_text(STUDY.replace(old, new))
    assert go(file="a.yaml") == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert told == []
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch.yaml"], "no such file"),
        (["photos"], "is a folder"),
        (["study.yaml", "--data", "photos"], "--data: study.yaml says that already"),
        (["study.yaml", "--only", "gray"], "--only gray: no task of that name; did you mean grey?"),
        (["study.yaml", "--steps", "3", "--minutes", "3"], "--minutes and --steps are two ways"),
        (["study.yaml", "--seeds", "1", "1"], "seeds: 1 is given twice"),
        (["--data", "photos"], "--methods: missing"),
        (["--methods", "pix2pix", "--data", "photos", "--task", "edges", "--holdout", "0.5"], "minutes: missing"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line(words, said, place, capsys):
    assert main(["study", *words, "--out", "out"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.splitlines()) == 1


# --- going on -------------------------------------------------------------------------------------------------------

ALL = [
    "train grey pix2pix-seed0", "train grey plain-seed0", "compare grey 0: pix2pix plain",
    "train grey pix2pix-seed1", "train grey plain-seed1", "compare grey 1: pix2pix plain",
]  # fmt: skip


def test_a_study_is_done_seed_by_seed_once_and_grows(place, told, capsys):
    assert go("--plan") == 0
    assert "not begun" in capsys.readouterr().out
    assert not Path("out").exists()
    assert go() == 0
    assert told == ALL
    assert "PSNR" in capsys.readouterr().out
    assert record()["unfinished"] == []
    told.clear()
    assert go() == 0
    assert told == []
    assert go("--plan") == 0
    assert "nothing is left to train" in capsys.readouterr().out

    assert go("--seeds", 0, 1, 2) == 0
    assert told == [line.replace("seed1", "seed2").replace("grey 1", "grey 2") for line in ALL[3:]]
    told.clear()
    (place / "study.yaml").write_text(STUDY + "  edges: {data: photos, held_out: unseen, task: edges}\n")
    assert go("--seeds", 0, "--only", "edges") == 0
    assert told == [line.replace("grey", "edges") for line in ALL[:3]]
    assert [task["name"] for task in record()["tasks"] if task["reports"]] == ["grey", "edges"]
    told.clear()
    (place / "study.yaml").write_text(STUDY)
    assert go("--steps", 3, "--seeds", 0) == 0
    assert told == ALL[:3]
    assert checkpoint.load(Path("out/runs/grey/pix2pix-seed0"), CPU).step == 3
    told.clear()
    (place / "study.yaml").write_text(STUDY.replace("held_out: unseen", "held_out: paintings"))
    assert go("--steps", 3, "--seeds", 0) == 0
    assert told == [ALL[2]]  # judged on others, no training anew


def test_stopped_anywhere_the_same_command_ends_as_if_it_had_not_been(place, told, monkeypatch, capsys):
    assert go("--steps", 3, out="whole") == 0
    told.clear()
    monkeypatch.setattr(training.loop, "REPORT_SECONDS", 0)
    follow, runs = progress.follow, []

    def follow_and_stop(events):
        runs.append(events)
        return follow(events if len(runs) != 2 else stopped(events))

    def stopped(events):
        for event in events:
            yield event
            if isinstance(event, training.Progress) and event.step == 1:
                signal.raise_signal(signal.SIGINT)  # it ends after the step that follows

    monkeypatch.setattr(progress, "follow", follow_and_stop)
    assert go("--steps", 3) == 130  # within a training
    assert "stopped in run 2 of 4 (grey, plain, seed 0), which is saved" in capsys.readouterr().err
    assert record()["unfinished"][0] == "grey, plain, seed 0: 67% (of 3 steps)"
    compare = study_work.compare
    with monkeypatch.context() as patch:
        patch.setattr(study_work, "compare", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert go("--steps", 3) == 130  # before the first comparison
    assert study_work.compare is compare
    assert go("--steps", 3) == 0
    assert told == [*ALL[:2], *ALL[1:]]  # the second run took two beginnings, all else one
    for run in sorted(Path("whole/runs").glob("*/*/")):
        assert same(run, Path("out") / run.relative_to("whole")), run
    assert record() == record("whole") | {"tasks": record()["tasks"]}  # but for the minutes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("settings: {width: 4, batch: 2}", "settings: {width: 8, batch: 2}", "width is 4, not 8"),
        ("task: colorize-rgb", "task: edges", "task is colorize-rgb, not edges"),
        ("size: 16", "size: 32", "size is 16, not 32"),
        ("data: photos", "data: photos-drawn", "data is "),
        ("size: 16", "size: 16\nflip: true", "flip is False, not True"),
    ],
)
def test_a_file_that_contradicts_what_is_done_is_refused(old, new, words, place, told, capsys):
    assert go("--seeds", 0) == 0
    told.clear()
    (place / "study.yaml").write_text(STUDY.replace(old, new))
    assert go("--seeds", 0, 1) == 2
    assert words in capsys.readouterr().err
    assert told == []


def test_a_folder_of_other_things_is_left_alone(place, told, capsys):
    assert go(out="photos") == 2
    assert "holds other things and no study" in capsys.readouterr().err


def test_a_run_that_diverges_is_named_and_the_others_go_on(place, told, monkeypatch, capsys):
    def broken(self, batch, step):
        return {"generator": torch.tensor(float("nan"))}

    monkeypatch.setattr(Pix2pix, "training_step", broken)
    assert go() == 1
    said = capsys.readouterr().err
    assert "grey, pix2pix, seed 1: the generator loss is nan" in said
    assert told == [line.replace(" pix2pix plain", " plain") for line in ALL]
    assert "grey, pix2pix, seed 0: the generator loss is nan in step 1 (of 2 steps)" in record()["unfinished"]
    assert record()["tasks"][0]["training"]["pix2pix"]["words"].endswith("2 of 2 failed")
    told.clear()
    assert go() == 1  # it would diverge again
    assert told == []


def test_what_goes_wrong_for_now_is_tried_again(place, told, monkeypatch, capsys):
    def without_memory(job, **options):
        if job.method == "pix2pix":
            raise MemoryError
        return train(job, **options)

    def without_images(*_, **__):
        raise DataError("the disk is gone")

    train = api.train_job
    with monkeypatch.context() as patch:
        patch.setattr(api, "train_job", without_memory)
        patch.setattr(study_work, "compare", without_images)
        assert go("--seeds", 0) == 1
    said = capsys.readouterr().err
    assert "grey, pix2pix, seed 0 ran out of memory" in said
    assert "grey, seed 0: not compared: the disk is gone" in said
    assert told == ALL[1:2]
    told.clear()
    assert go("--seeds", 0) == 0
    assert told == [ALL[0], ALL[2]]


def test_flags_say_the_same_as_a_file(place, told, monkeypatch, capsys):
    words = ["--methods", "pix2pix", "autoencoder", "--data", "photos", "--task", "colorize-rgb", "--holdout", 0.4]
    assert go(*words, "--steps", 1, "--size", 16, "--plan", file=None) == 0
    shown = capsys.readouterr().out
    (place / "b.yaml").write_text(
        "title: pix2pix and autoencoder on photos\nholdout: 0.4\nsteps: 1\nsize: 16\n"
        "methods: {pix2pix: , autoencoder: }\ntasks: {colorize-rgb: {data: photos, task: colorize-rgb}}\n"
    )
    assert go("--plan", file="b.yaml") == 0
    assert capsys.readouterr().out == shown
    kept = []
    for file in ("b.yaml", None):
        monkeypatch.setattr(study_work.Work, "check", lambda work: kept.append(work.study.tasks))
        monkeypatch.setattr(study_work.Work, "go_on", lambda work: (_ for _ in ()).throw(KeyboardInterrupt))
        assert go(*(words if file is None else []), "--steps", 1, "--size", 16, file=file) == 130
    ((by_file,), (by_flags,)) = kept
    assert by_file == dataclasses.replace(by_flags, data=str(place / "photos"), held_out=str(place / "photos"))


def test_methods_that_draw_are_a_study_too(place, told):
    words = "methods: {gan: {settings: {batch: 8}}, dcgan: {settings: {width: 4, hidden: 8, batch: 8}}}\n"
    (place / "a.yaml").write_text(words + "steps: 1\ntasks: {digits: {data: digits}}\n")
    assert go(file="a.yaml") == 0
    assert told[-1] == "compare digits 0: gan dcgan"


# --- targets that are made ------------------------------------------------------------------------------------------

MADE = """made_by:
      method: cyclegan
      target: paintings
      steps: 1
      settings: {width: 4, blocks: 1, discriminator_width: 4, batch: 2}
    random_crop: true"""


def test_targets_are_made_once_by_a_translator_that_needs_no_pairs(place, told, monkeypatch, capsys):
    (place / "study.yaml").write_text(STUDY.replace("task: colorize-rgb", MADE))
    assert go("--seeds", 0) == 0
    assert told == ["train grey targets", *ALL[:3]]
    task = read(STUDY.replace("task: colorize-rgb", MADE)).tasks[0]
    learned, held_out = made_targets(task, Path("out"))
    assert {file.name for file in learned.iterdir()} == {file.name for file in Path("photos").iterdir()}
    assert {file.name for file in held_out.iterdir()} == {file.name for file in Path("unseen").iterdir()}
    translator = Translator(checkpoint.load(Path("out/runs/grey/targets"), CPU))
    with Image.open("unseen/50.png") as whole:
        small = whole.resize((19, 16), Image.Resampling.BICUBIC)  # 24x20, the shorter side as it is learned
    wanted = translator(images.DecodedImage(torch.from_numpy(np.array(small)).permute(2, 0, 1)))
    monkeypatch.setattr(api, "compare", lambda *_, **__: api.Report(Evaluation(kind="pairs", data="", models=[])))
    monkeypatch.setattr(api.Report, "save", lambda report, folder, overwrite: noted.extend(report.notes))
    noted = []
    round_of_it = SimpleNamespace(task=task, runs=(), results=Path("out/grey/seed0"))
    work = SimpleNamespace(out=Path("out"), root=Path(), features="auto", device="cpu", vgg_weights=None)
    compared(round_of_it, {}, ways={"data": "unseen"}, work=work)
    assert noted[0].startswith("The targets are made, not real: cyclegan learned from photos and paintings")
    made = images.read(held_out / "50.png").pixels
    assert made.shape == wanted.pixels.shape
    assert (made.float() - wanted.pixels.float()).abs().mean() < 1
    assert images.read(learned / "0.png").pixels.shape == (3, 18, 22)  # an eighth more, for jitter
    assert any("The targets are made, not real: cyclegan" in note for note in record()["tasks"][0]["notes"])

    told.clear()
    changed = (learned / "0.png").stat().st_mtime_ns
    assert go("--seeds", 0, 1) == 0
    assert told == ALL[3:]  # the same targets, and no other maker
    assert go("--seeds", 0, "--steps", 3) == 0
    assert "train grey targets" not in told
    assert (learned / "0.png").stat().st_mtime_ns == changed


def test_making_targets_goes_on_where_it_was_killed(place, told, monkeypatch):
    (place / "study.yaml").write_text(STUDY.replace("task: colorize-rgb", MADE))
    write, written = images.write, []

    def write_some(path, *rest, **options):
        if "targets" in path.parts and path.parent.name in ("learned", "held_out"):
            written.append(path.name)
            if len(written) == 4:
                raise KeyboardInterrupt
        write(path, *rest, **options)

    monkeypatch.setattr(images, "write", write_some)
    assert go("--seeds", 0) == 130
    assert go("--seeds", 0) == 0
    assert len(written) == 8 + 3 + 1
    assert told == ["train grey targets", *ALL[:3]]


# --- several seeds --------------------------------------------------------------------------------------------------


def test_means_and_intervals_are_those_of_student(place, told):
    assert go("--seeds", 0, 1, 2) == 0
    (task,) = record()["tasks"]
    ours, theirs = (np.array([*SCORED[name].values()]) for name in ("pix2pix", "plain"))
    found = task["scores"]["pix2pix"]["PSNR"]
    assert found == {"mean": pytest.approx(ours.mean()), "spread": pytest.approx(ours.std(ddof=1)), "n": 3}
    interval = scipy.stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    low, high = interval.low, interval.high
    (verdict,) = task["verdicts"]
    assert low > 0  # so it is sure
    ends = f"95 %: {low:.2f} dB to {high:.2f} dB"
    assert verdict == f"pix2pix is better than plain in PSNR by {np.mean(ours - theirs):.2f} dB ({ends}), 3 seeds"
    assert task["winners"] == {"PSNR": "pix2pix"}
    assert task["answers"] == ["pix2pix", "plain", "input"]
    assert [entry["folder"] for entry in task["reports"]] == ["grey/seed0", "grey/seed1", "grey/seed2"]
    assert task["notes"] == ["said with every seed", *(f"seed {seed}: said with seed {seed}" for seed in range(3))]
    assert record()["notes"] == []


def test_two_seeds_are_seldom_enough_and_one_says_so(place, told):
    assert go() == 0
    assert "not significantly better or worse" in record()["tasks"][0]["verdicts"][0]
    assert record()["tasks"][0]["winners"] == {}
    assert go("--seeds", 0) == 0
    (task,) = record()["tasks"]
    assert "do not show how much another training" in record()["notes"][0]
    assert task["scores"]["pix2pix"]["PSNR"] == {"mean": 20.0, "spread": None, "n": 1}
    assert task["verdicts"] == ["pix2pix is better than plain, one seed"]


@pytest.mark.parametrize(("better", "wins"), [("higher", "pix2pix"), ("lower", "plain"), ("near 1", "")])
def test_who_is_better_depends_on_the_score(better, wins):
    found = {seed: results(seed, ["plain", "pix2pix"], better=better) for seed in range(3)}
    (score,) = statistics.scores_of(found)
    for answers in (["pix2pix", "plain"], ["plain", "pix2pix"]):
        (verdict,) = told = statistics.verdicts(found, answers, score)
        assert verdict.better == statistics.winner(answers, told) == wins
        assert not wins or verdict.sentence.startswith(f"{wins} is better than ")


def test_nobody_wins_who_is_not_surely_better_than_all():
    verdicts = [
        statistics.Verdict("a", "b", "", "a"),
        statistics.Verdict("a", "c", "", ""),
        statistics.Verdict("b", "c", "", "c"),
    ]
    assert statistics.winner(["a", "b", "c"], verdicts) == ""
    verdicts[1] = dataclasses.replace(verdicts[1], better="a")
    assert statistics.winner(["a", "b", "c"], verdicts) == "a"
    assert statistics.winner(["a"], []) == ""


# --- all of it ------------------------------------------------------------------------------------------------------


def test_a_whole_study_with_its_real_report(place):
    assert go("--seeds", 0) == 0
    (task,) = record()["tasks"]
    assert task["scores"]["pix2pix"]["PSNR"]["mean"] > 0
    assert task["reports"] == [{"name": "seed 0", "folder": "grey/seed0"}]
    page = Path("out/index.html").read_text()
    assert "two methods" in page
    assert "grey/seed0" in page
    assert (Path("out/grey/seed0") / "index.html").exists()

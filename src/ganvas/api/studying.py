"""Carry out a study: check everything, then train, compare and report, run by run; finished parts are skipped."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch

from ganvas import api, checkpoint, methods, studies, training
from ganvas import progress as bars
from ganvas.checkpoint.manifest import build
from ganvas.core import schema, settings
from ganvas.core.atomic_io import make_folder, write_whole
from ganvas.core.device import choose_precision, find_device
from ganvas.core.names import nfc
from ganvas.core.options import (
    Budget,
    Data,
    Device,
    EvaluateOptions,
    File,
    Precision,
    Side,
    TrainOptions,
    device_name,
    vgg_file,
)
from ganvas.core.settings import nearest
from ganvas.data import open_data
from ganvas.data.batch import Batch, ImageBatch, Source, Spec, UnpairedBatch
from ganvas.data.builtin import NAMES
from ganvas.errors import DataError, DivergedError, GanvasError, Interrupted, SettingError, UsageError
from ganvas.inference.translate import lacks_memory
from ganvas.studies import Round, Run, State, Study, Task
from ganvas.studies.plan import RUNS, keep_failure, made_targets
from ganvas.studies.record import NUMBERS, VERSION
from ganvas.studies.targets import require_names
from ganvas.training.session import Job, manifest_of

NO_MEMORY = "ran out of memory; give a smaller batch"


def compare(one: Round, models: dict[str, Path], *, ways: dict[str, Any], work: "Work") -> None:
    """Compare the models of a round, and write the folder of results with its report."""
    made = studies.made_by(one.task, work.out)
    painting = any(methods.get(run.learner.method).deepest for run in one.runs)
    weights = work.vgg_weights if painting or work.features == "vgg" else None  # else they are for training alone
    options = EvaluateOptions(features=work.features, vgg_weights=weights, device=work.device)
    found = api.compare(models, _data(**ways, root=work.root), options, progress=True)
    notes = [*([made] if made else []), *found.notes]
    api.Report(dataclasses.replace(found.found, notes=notes)).save(one.results, overwrite=True)


def _data(*, data: str, target: str = "", side: str = "", task: str = "", **others: Any) -> Data:
    """The data for training or evaluation."""
    return Data(data, target=target or None, side=cast(Side | None, side or None), task=task or None, **others)


def report(out: Path) -> list[Path]:
    """Write the report over all tasks; returns its files."""
    from ganvas.report import write_study

    return write_study(out)


@dataclass
class Work:
    """A study in progress.

    Attributes:
        study: the study.
        out: the folder for everything.
        root: where named data sets are.
        typed: the command line, kept in each run.
        features: the feature network, as in `ganvas compare`.
        vgg_weights: a file with VGG-19's weights, instead of the download.
        device, precision: as in `ganvas train`; all runs have one precision.
        only: the names of the tasks to work on; empty for all.
        callbacks: told of each training.
        lost: why a run could not be finished this time, by its folder.
        uncompared: why a round could not be compared.
    """

    study: Study
    out: Path
    root: Path
    typed: str = ""
    features: str = "auto"
    vgg_weights: Path | None = None
    device: Device = "auto"
    precision: Precision = "auto"
    only: tuple[str, ...] = ()
    callbacks: tuple[object, ...] = ()
    lost: dict[Path, str] = field(default_factory=dict)
    uncompared: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = [nfc(task.name) for task in self.study.tasks]
        self.only = tuple(map(nfc, self.only))
        for name in self.only:
            if name not in known:
                raise UsageError(f"--only {name}: no task of that name; {nearest(name, known)}")

    # --- progress ---------------------------------------------------------------------------------------------------

    def rounds(self) -> list[Round]:
        """The rounds to do, in order."""
        return [one for one in studies.rounds(self.study, self.out) if nfc(one.task.name) in self.only or not self.only]

    def runs(self) -> list[Run]:
        """All runs of these in order, including those that make targets."""
        return self._runs_of(self.rounds())

    def _runs_of(self, rounds: Iterable[Round]) -> list[Run]:
        found = dict[Path, Run]()
        for one in rounds:
            for run in (*([one.teacher] if one.teacher else []), *one.runs):
                found.setdefault(run.folder, run)
        return list(found.values())

    def states(self) -> dict[Path, State]:
        """The progress of every run of the study."""
        states = {run.folder: studies.state_of(run) for run in self._runs_of(studies.rounds(self.study, self.out))}
        for folder, why in self.lost.items():
            states[folder] = dataclasses.replace(states[folder], failed=why)
        for task in self.study.tasks:
            teacher = studies.teacher_run(task, self.out)
            if teacher and studies.targets_of(task, self.out):  # once the first is made, they stay unchanged
                states[teacher.folder] = dataclasses.replace(states[teacher.folder], spent=1.0, failed="")
        return states

    # --- checks before training -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check before training that everything can be carried out, and fits existing results.

        Raises:
            UsageError: naming the task and the problem.
        """
        known = (studies.STUDY, "runs")
        if self.out.is_dir() and any(self.out.iterdir()) and not any((self.out / name).exists() for name in known):
            raise UsageError(f"--out {self.out}: holds other things and no study; choose another folder")
        states = self.states()
        self.precision = self._one_precision()
        for task in {one.task.name: one.task for one in self.rounds()}.values():
            folders = [run.folder for run in self.runs() if run.task_name == task.name]
            for key, folder in task.folders.items():
                if not Path(folder).is_dir():
                    raise DataError(f"{self.study.where}: tasks.{task.name}.{key}: {folder}: no folder of that name")
            try:
                self._require_same_settings(task)
                if not all(states[folder].over for folder in folders):
                    self._check_task(task)
            except UsageError as error:
                raise type(error)(f"{self.study.where}: tasks.{task.name}: {error}") from error

    def _one_precision(self) -> Precision:
        """The precision of existing runs, else the faster one on this machine."""
        if self.precision == "auto":
            for run in self.runs():
                if manifest := checkpoint.read_run(run.folder):
                    return manifest.precision
        return choose_precision(find_device(self.device), self.precision)

    def _require_same_settings(self, task: Task) -> None:
        """Raise ModelError if there is a run, done or not, with other settings."""
        for run in self.runs():
            found = checkpoint.read_run(run.folder) if run.task_name == task.name else None
            if found is None:
                continue
            data = run.data if run.data in NAMES else str(Path(run.data).resolve())
            now = dataclasses.replace(
                found, method=run.learner.method, config=run.config, seed=run.seed, data=data,
                target=str(Path(run.target).resolve()) if run.target else "", side=run.side, task=run.task,
                holdout=run.holdout, random_crop=run.random_crop, flip=run.flip,
                spec=dataclasses.replace(found.spec, size=run.size or found.spec.size),
                fingerprint="", precision=self.precision,  # type: ignore[arg-type]  # known by now
            )  # fmt: skip
            checkpoint.require_same(run.folder, found, now)

    def _check_task(self, task: Task) -> None:
        """Open the data of a task, and build its networks without memory."""
        if task.teacher:
            for folder in dict.fromkeys((task.data, task.held_out)):
                require_names(folder)
        sources = dict[tuple[int | None, bool], Source[Batch]]()
        spec: Spec | None = None
        seed = self.study.seeds[0]
        teacher = studies.teacher_run(task, self.out)
        for run in (*([teacher] if teacher else []), *studies.round_of(task, seed, self.out).runs):
            method = methods.get(run.learner.method)
            size = run.config.sizes[0] if run.size is None and len(run.config.sizes) == 1 else run.size
            if size is not None:
                method.require_size(run.config, size)
            key = (size, UnpairedBatch in method.batches and bool(run.target))
            if key not in sources:  # all methods of a task read the same data
                sources[key] = self._opened(run, size=size, made=run is teacher or self._has_targets(task))
            source = sources[key]
            manifest = manifest_of(self._job(run), source, precision=self.precision)
            training.require_fit(source, manifest)
            with torch.device("meta"):
                build(manifest)
            if run is teacher:
                continue
            if spec and spec != manifest.spec:
                raise SettingError(
                    f"{run.learner.name} is trained at {manifest.spec.size} pixels and others at {spec.size}; "
                    "give a size"
                )
            spec = manifest.spec
        assert spec is not None
        self._open_held_out(task, spec)

    def _has_targets(self, task: Task) -> bool:
        """Whether all targets of a task exist."""
        made = studies.targets_of(task, self.out)
        return task.teacher is None or (made is not None and made.whole)

    def _opened(self, run: Run, *, size: int | None, made: bool) -> Source[Batch]:
        """The training data of a run; until its targets are `made`, its images stand in for them."""
        data = replace(self._data_of(run), size=size)
        data = data if made else replace(data, target=None, task="reconstruct")
        return open_data(data, methods.get(run.learner.method).batches, track=bars.track)

    def _data_of(self, run: Run) -> Data:
        return _data(
            data=run.data, target=run.target, side=run.side, task=run.task, size=run.size, holdout=run.holdout,
            flip=run.flip, random_crop=run.random_crop, root=self.root,
        )  # fmt: skip

    def _job(self, run: Run) -> Job:
        """The job of a run for `train`."""
        weights = vgg_file(self.vgg_weights) if methods.get(run.learner.method).looks_to(run.config) else None
        options = TrainOptions(seed=run.seed, device=self.device, precision=self.precision, vgg_weights=weights)
        return Job(
            run.learner.method, run.config, self._data_of(run), run.folder, Budget(**run.length.given), options,
            self.typed,
        )  # fmt: skip

    def _open_held_out(self, task: Task, spec: Spec) -> None:
        batches = methods.get(task.learners[0].method).batches if task.in_pairs else (ImageBatch,)
        ways = self._ways(task)
        if not self._has_targets(task):
            batches, ways = (ImageBatch,), {"data": task.held_out}
        like = spec if task.in_pairs and len(ways) > 1 else None
        data = _data(**ways, size=spec.size, holdout=task.holdout, root=self.root)
        open_data(data, batches, split="test", like=like, least=1, track=bars.track)

    def _ways(self, task: Task) -> dict[str, Any]:
        """The held-out images and their partners."""
        target = str(made_targets(task, self.out)[1]) if task.teacher else task.held_out_target or task.target
        return {"data": task.held_out, "target": target, "side": task.side, "task": task.task}

    # --- the work ---------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Do everything that is not done yet.

        Raises:
            Interrupted: if it was stopped; the same command continues.
            SaveError: if the disk is full; the same command continues.
        """
        make_folder(self.out)
        self._tell_so_far()
        try:
            for one in self.rounds():
                if one.teacher is None or self._ready(one, one.teacher):
                    for run in one.runs:
                        self._train(run)
                    self._compare(one)
                self._tell_so_far()
        except Interrupted:
            self._tell_so_far()
            raise

    def _tell_so_far(self) -> None:
        studies.write_record(self.study, self.out, self.states())
        report(self.out)

    def _ready(self, one: Round, teacher: Run) -> bool:
        """Make the targets of a round if possible; returns whether they exist."""
        if self._has_targets(one.task):
            return True
        self._train(teacher)
        if self.states()[teacher.folder].failed:
            return False
        bars.say(f"{one.task.name}: {teacher.learner.method} makes the targets")
        studies.make_targets(one.task, teacher, self.out, device=find_device(self.device), track=bars.track)
        return True

    def _train(self, run: Run) -> None:
        runs, states = self.runs(), self.states()
        if states[run.folder].over:
            return
        number = [other.folder for other in runs].index(run.folder) + 1
        left = studies.seconds_left(runs, states)
        bars.say(
            f"run {number} of {len(runs)}: {run.label}"
            + (f"; about {studies.duration(left)} left in all" if left else "")
        )
        try:
            api.train_job(self._job(run), callbacks=self.callbacks)
        except Interrupted as error:
            raise Interrupted(
                f"stopped in run {number} of {len(runs)} ({run.label}), which is saved; "
                "the same command continues from there"
            ) from error
        except DivergedError as error:
            keep_failure(run, str(error).partition(";")[0])  # without advice and location
            bars.say(f"{run.label} failed; the others continue: {error}")
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            self.lost[run.folder] = NO_MEMORY
            bars.say(f"{run.label} {NO_MEMORY}; the others continue")

    def _compare(self, one: Round) -> None:
        states = self.states()
        done = {run.learner.name: run for run in one.runs if not states[run.folder].failed}
        if not done:
            return
        ways = self._ways(one.task)
        steps = {name: states[run.folder].step for name, run in done.items()}
        asked = {"steps": steps, "features": self.features, **ways}
        kept = self.out / RUNS / one.task.name / f"compared-seed{one.seed}.json"  # beside the runs: it holds paths
        if _read(kept) == asked and (_read(one.results / NUMBERS) or {}).get("version") == VERSION:
            return
        bars.say(f"comparing: {one.task.name}, seed {one.seed}")
        try:
            compare(one, {name: run.folder for name, run in done.items()}, ways=ways, work=self)
        except UsageError as error:
            self.uncompared.append(f"{one.task.name}, seed {one.seed}: not compared: {error}")
            bars.say(self.uncompared[-1])
            return
        write_whole(kept, json.dumps(asked).encode())

    def problems(self) -> list[str]:
        """A line for each run that failed, and each round that could not be compared."""
        states = self.states()
        failed = [run for run in self.runs() if states[run.folder].failed]
        return [f"{run.label}: {states[run.folder].failed}" for run in failed] + self.uncompared


def _read(file: Path) -> Any:
    try:
        return schema.parse(file.read_bytes())
    except (OSError, schema.Misfit):
        return None


def study(
    file: File,
    out: File,
    *,
    only: Sequence[str] = (),
    features: str = "auto",
    device: Device | torch.device = "auto",
    precision: Precision = "auto",
    root: File | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Train several methods on the same tasks, with the same seeds, compare them, and write the report.

    The same call again continues where it stopped; with more tasks, seeds, minutes or steps it goes further.

    Args:
        file: the study, YAML; docs/study.md says what it holds.
        out: the folder for everything: runs, comparisons, index.html.
        only: the names of tasks to work on; without it, all.
        features: the feature network, as in `evaluate`.
        device: `auto`, `cpu`, `cuda` or `mps`, or a `torch.device`.
        precision: `auto`, `fp32` or `bf16`; the same for all runs.
        root: where named data sets are, and folders that do not lie beside the file.
        **changes: `steps`, `epochs` or `minutes` of each run, `size` in pixels, and `seeds`, in place of the file's.

    Returns:
        What study.json holds: for each task its scores by method, with their spread over the seeds, and verdicts.

    Raises:
        GanvasError: if some runs or comparisons failed; the rest is done.
        SettingError: for a change that there is not.
        UsageError: before anything is trained, for a study that cannot be carried out.

    Example:
        >>> import ganvas, json
        >>> from pathlib import Path
        >>> small = {"settings": {"width": 4, "batch": 8}}
        >>> noise = {"data": "digits", "held_out": "digits", "task": "denoise"}
        >>> study = {"methods": {"autoencoder": small, "pix2pix": small}, "tasks": {"noise": noise}}
        >>> _ = Path("study.yaml").write_text(json.dumps(study))  # JSON is YAML
        >>> found = ganvas.study("study.yaml", "studies/doctest", steps=1, size=32)
        >>> sorted(found["tasks"][0]["scores"])[:2]
        ['autoencoder', 'input']
    """
    lengths = ("steps", "epochs", "minutes")
    settings.require_known(changes, {*lengths, "size", "seeds"}, owner="study")
    units = {name: changes.pop(name) for name in lengths if name in changes}
    asked = studies.Changes(length=studies.Length(**units) if units else None, **settings.with_tuples(changes))
    place = Data(root=root).folder_of_sets
    work = Work(studies.read_file(Path(file), root=place, changes=asked), Path(out), place, features=features,
                device=device_name(device), precision=precision, only=tuple(only))  # fmt: skip
    work.check()
    work.go_on()
    if problems := work.problems():
        raise GanvasError(f"{len(problems)} of the parts failed, and the rest is done: {'; '.join(problems)}"[:300])
    found: dict[str, Any] = schema.parse((Path(out) / studies.STUDY).read_bytes())
    return found

"""Open what models that translate are evaluated on: the pairs, or two sets of images, and the feature network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganvas.data import open_data, tasks
from ganvas.data.batch import Batch, PairBatch, Source, Spec, UnpairedBatch
from ganvas.data.unpaired import TwoSets
from ganvas.errors import UsageError
from ganvas.evaluation.collectors.pairs import evaluate_pairs
from ganvas.evaluation.collectors.unpaired import evaluate_unpaired
from ganvas.evaluation.contamination import held_out_of, learned_from, same_folder, without_known
from ganvas.evaluation.measures import PAIRS
from ganvas.evaluation.models import Contender, Request, sizes_said
from ganvas.evaluation.opening.style import open_vgg
from ganvas.evaluation.perceptual import lpips_measure, vgg_measure
from ganvas.evaluation.results import Evaluation
from ganvas.evaluation.scoring import LEAST
from ganvas.metrics import features
from ganvas.metrics.features import Features, inception_at_hand, vgg_features
from ganvas.nets.vgg import VGG19

NOTHING = "reconstruct"  # the task that stands for no task


@dataclass(frozen=True)
class _Partners:
    """Where partners come from.

    Attributes:
        target, side, task: as in `Data`; None if it is another.
        measured: whether there are partners to compare with.
        note: why there are no partners.
    """

    target: str | None = None
    side: Any = None
    task: str | None = None
    measured: bool = True
    note: str = ""

    @property
    def words(self) -> str:
        """The way, as an option would give it."""
        options = {"target": self.target, "side": self.side, "task": self.task}
        return next((f"`{name}` {value}" for name, value in options.items() if value), "pairs")


def evaluate_translators(request: Request) -> Evaluation:
    """Compare the output of models with the targets, or with the images translated back.

    Raises:
        UsageError: for models that learned different things, or options that do not fit.
        DataError: for images that cannot be used.
    """
    options, models = request.options, request.models
    partners = _partners(request)
    unpaired = any(UnpairedBatch in type(model.method).batches for model in request.loaded.values())
    if options.paired and not unpaired:
        raise UsageError("`paired`: is for models that learned without pairs, and these learned with; leave it out")
    source = _open(request, partners)
    vgg = open_vgg(request) if options.features == "vgg" else None
    network = _features(request, vgg) if len(source) >= LEAST and partners.measured else None
    notes = [*([partners.note] if partners.note else []), *source.complaints, *sizes_said(models, source)]
    if isinstance(source.images, TwoSets):  # a method without pairs, and two folders
        evaluation = _without_pairs(request, source.images, network)
    else:
        evaluation = _with_pairs(request, source, partners, vgg=vgg, network=network)
    return replace(evaluation, notes=[*notes, *evaluation.notes])


def _open(request: Request, partners: _Partners) -> Source[Any]:
    """The images that all models can be evaluated on, those that no model was trained on where that is known."""
    like = _one_shape(request)
    if not partners.measured and partners.task == NOTHING:  # there are no targets: images of any shape
        like = replace(like, target_channels=like.channels)
    holdout = held_out_of(request.models, request.name)
    data = replace(request.data, target=partners.target, side=partners.side, task=partners.task, holdout=holdout)
    kinds = _batches(request.models, paired=request.options.paired or not partners.measured)
    source: Source[Any] = open_data(data, kinds, split="test", like=like, least=1, track=request.track)
    return source


def _with_pairs(
    request: Request, source: Source[Any], partners: _Partners, *, vgg: VGG19 | None, network: Features | None
) -> Evaluation:
    options, models = request.options, request.models
    source, notes, knowing = without_known(models, source, track=request.track)
    measures = [*PAIRS]
    measures += [vgg_measure(vgg)] if vgg is not None else []
    measures += [lpips_measure(request.device)] if options.lpips else []
    evaluation = evaluate_pairs(
        request.loaded, source, direction=options.direction or "ab", task=partners.task or "",
        measures=measures if partners.measured else None, features=network,
        learned=learned_from(models, request.name, knowing), track=request.track,
    )  # fmt: skip
    return replace(evaluation, notes=[*notes, *evaluation.notes])


def _without_pairs(request: Request, sets: TwoSets, network: Features | None) -> Evaluation:
    if request.options.direction:
        raise UsageError(f"`direction` {request.options.direction}: without pairs both are measured; leave it out")
    if request.options.lpips:
        raise UsageError("`lpips`: without pairs there are no targets to compare with; leave it out")
    sides, notes, knowing = [], list[str](), set[str]()
    for side in sets.sides:
        kept, known, models = without_known(request.models, side, track=request.track)
        sides.append(kept)
        notes += [line for line in known if line not in notes]
        knowing |= {*models}
    learned = learned_from(request.models, request.name, knowing)
    evaluation = evaluate_unpaired(request.loaded, *sides, features=network, learned=learned, track=request.track)
    return replace(evaluation, notes=[*notes, *evaluation.notes])


def _partners(request: Request) -> _Partners:
    """Where partners come from: as given, or as the models were trained."""
    data, options = request.data, request.options
    measuring = options.lpips or options.features not in ("auto", "none") or options.paired
    given = any((data.target, data.side, data.task))
    if options.images_only:
        if given or measuring:
            raise UsageError("`images_only`: measures nothing, so leave out the options of measures")
        return _Partners(task=_task(request.models) or NOTHING, measured=False)
    if given:
        task = tasks.task(data.task).name if data.task else None
        return _Partners(str(data.target) if data.target else None, data.side, task)
    if not isinstance(data.source, str | Path) and not _task(request.models):
        return _Partners()  # the pairs are in the data
    learned = _partners_of_all(request.models, data.name)
    if not learned.measured and measuring:
        raise UsageError(f"`features`, `lpips` and `paired` are for images with partners; {learned.note}")
    return learned


def _batches(models: Mapping[str, Contender], *, paired: bool) -> list[type[Batch]]:
    """The batches all models are evaluated on: two sets without pairs only if all models were trained on such."""
    kinds = [kind for one in models.values() for kind in type(one.model.method).batches]
    others = [kind for kind in kinds if kind is not UnpairedBatch]
    alone = all(UnpairedBatch in type(one.model.method).batches for one in models.values())
    return kinds if alone and not paired else [PairBatch, *others]


def _task(models: Mapping[str, Contender]) -> str:
    """The task that all models learned.

    Raises:
        UsageError: if they learned several.
    """
    tasks = {one.manifest.task for one in models.values()}
    if len(tasks) > 1:
        raise UsageError(f"the models learned different tasks ({', '.join(sorted(tasks))}); compare those of one")
    return tasks.pop()


def _features(request: Request, vgg: VGG19 | None) -> Features | None:
    """The feature network for whole sets of images; None if none is available, or none is wanted."""
    options = request.options
    if vgg is not None:
        return vgg_features(vgg)
    if options.features == "inception" or (options.features == "auto" and inception_at_hand()):
        weights = Path(options.inception_weights) if options.inception_weights else None
        return features.open_features("inception", device=request.device, weights=weights)
    return None


def _one_shape(request: Request) -> Spec:
    """The shape in which images are read."""
    specs = {name: one.model.manifest.spec for name, one in request.models.items()}
    first = next(iter(specs.values()))
    sizes = {name: spec.size for name, spec in specs.items()}
    if request.data.size is None and len(set(sizes.values())) > 1:
        said = ", ".join(f"{name} {pixels}" for name, pixels in sizes.items())
        raise UsageError(f"the models learned from images of different sizes ({said} pixels): add `size`")
    kinds = {(spec.channels, spec.outputs) for spec in specs.values()}
    if len(kinds) > 1:
        raise UsageError(
            "the models take or make images of different kinds (grey, colour, or the colours of Lab); compare those "
            "of one kind"
        )
    return first


def _partners_of_all(models: Mapping[str, Contender], data: str) -> _Partners:
    """Where partners come from, as all models were trained; if there are none, with a note.

    Raises:
        UsageError: if the models were trained in different partners.
    """
    of_each = {name: _partners_of(one, data) for name, one in models.items()}
    first, *others = of_each.values()
    if any(other != first for other in others):
        said = "; ".join(f"{name} by {'a folder of targets' if w is None else w.words}" for name, w in of_each.items())
        raise UsageError(
            f"the models learned different things ({said}): say what to evaluate them on, with `task`, `side` "
            "or `target`"
        )
    if first is None:
        name = Path(next(iter(models.values())).manifest.target).name
        note = f"no scores: the models learned from two folders, the second called {name}; add `target` FOLDER"
        return _Partners(task=NOTHING, measured=False, note=note)
    return first


def _partners_of(one: Contender, data: str) -> _Partners | None:
    """Where partners come from, as the model was trained; None if they were in a folder that is not given."""
    manifest = one.manifest
    known = same_folder(manifest, data)
    if manifest.target and not (known == "surely" and Path(manifest.target).is_dir()):
        return None
    task = manifest.task
    if not (manifest.target or task or manifest.side or manifest.spec.target_channels):
        task = NOTHING  # it was trained on single images
    return _Partners(manifest.target or None, manifest.side or None, task or None)

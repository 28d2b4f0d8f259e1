"""Open what models that generate are evaluated on: the images, the training images, and the feature network."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from ganvas.checkpoint.manifest import Manifest
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.data.builtin import NAMES
from ganvas.errors import DataError, ModelError, UsageError
from ganvas.evaluation.collectors.generated import evaluate_generated
from ganvas.evaluation.contamination import held_out_of, without_known
from ganvas.evaluation.models import Request
from ganvas.evaluation.results import Evaluation
from ganvas.metrics import features
from ganvas.metrics.features import Features, Name, suited

GENERATED = 10_000  # images, by default


def evaluate_generators(request: Request) -> Evaluation:
    """Let models generate, and compare their images with real ones.

    Raises:
        UsageError: for models of different sizes or colours, or a network that is not available.
        DataError: if an image cannot be read.
    """
    models, spec = request.models, _one_shape(request)
    data = replace(request.data, size=spec.size, holdout=held_out_of(models, request.name))
    source: Source[ImageBatch] = open_data(data, (ImageBatch,), split="test", track=request.track)
    network = _network(request, spec, framed=source.name == "digits")  # before the search, which may take minutes
    source, notes, _ = without_known(models, source, track=request.track)
    opened: dict[tuple[str, float], Source[ImageBatch] | None] = {}  # models often share their training data
    training: dict[str, Source[ImageBatch]] = {}
    for called, one in models.items():
        key = one.manifest.data, one.manifest.holdout
        if key not in opened:
            opened[key], missing = _training_source(one.manifest, request)
            notes += [missing] if missing else []
        if (known := opened[key]) is not None:
            training[called] = known
    evaluation = evaluate_generated(
        request.loaded, source, features=network, count=request.options.count or GENERATED, training=training,
        track=request.track,
    )  # fmt: skip
    return replace(evaluation, notes=[*notes, *evaluation.notes])


def _network(request: Request, spec: Spec, *, framed: bool) -> Features:
    """The feature network that is asked for, or that suits the images."""
    options = request.options
    name = suited(spec) if options.features == "auto" else cast(Name, options.features)
    if options.inception_weights and name != "inception":
        raise UsageError(
            f"`inception_weights` {options.inception_weights}: are Inception's, and these images use the {name} "
            "network; add `features` inception"
        )
    weights = Path(options.inception_weights) if options.inception_weights else None
    return features.open_features(name, device=request.device, weights=weights, framed=framed)


def _one_shape(request: Request) -> Spec:
    """The common shape of the generated images."""
    specs = {name: one.model.manifest.spec for name, one in request.models.items()}
    shapes = {(spec.size, spec.channels) for spec in specs.values()}
    if len(shapes) > 1:
        kinds = {1: "grey", 3: "colour"}
        said = ", ".join(f"{name} {spec.size} pixels in {kinds[spec.channels]}" for name, spec in specs.items())
        raise UsageError(f"these generate images of different shapes ({said}); compare models of one")
    return next(iter(specs.values()))


def _training_source(manifest: Manifest, request: Request) -> tuple[Source[ImageBatch] | None, str]:
    """The training data of the model, if they are still there, or a sentence that they are not.

    A model file alone knows named sets only.
    """
    try:
        if manifest.data not in NAMES and not Path(manifest.data).is_absolute():
            raise DataError(f"the model knows only its name, {manifest.data}")
        data = Data(manifest.data, size=manifest.spec.size, holdout=manifest.holdout, root=request.data.root)
        source: Source[ImageBatch] = open_data(data, (ImageBatch,), track=request.track)
        if source.spec != manifest.spec:
            raise DataError(f"{manifest.data} has changed since, or is other data of that name")
    except (DataError, ModelError) as error:
        return None, f"its training data were not found, so it is not compared with them ({error})"
    return source, ""

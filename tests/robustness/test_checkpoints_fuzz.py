"""Seeded mutations of everything a run or a study is read from: each is read, or refused in one short line."""

import json
import shutil
import warnings

import numpy as np
import pytest
import torch
from conftest import manifest_of, noise_source, train_to
from mutations import STUDY, flipped, other_value, other_words

from ganvas import checkpoint, studies
from ganvas.checkpoint.manifest import build
from ganvas.errors import GanvasError
from ganvas.training import metrics_log, samples

CPU = torch.device("cpu")


def one_line(work, file):
    """Run it; an error is one short line that names the file."""
    try:
        with warnings.catch_warnings(action="ignore"):
            work()
    except GanvasError as error:
        line = str(error)
        assert str(file.name) in line, line
        assert len(line.splitlines()) == 1, line
        assert len(line.replace(str(file.parent), "")) < 300, line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with two checkpoints and a log."""
    source = noise_source()
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    train_to(folder, 12, source=source, manifest=manifest_of(source), save_every=1)
    return folder


def test_a_model_file_that_was_changed_anywhere_is_never_used(run, tmp_path):
    content = (checkpoint.checkpoints(run)[-1] / checkpoint.WEIGHTS).read_bytes()
    file, whole = tmp_path / "model.safetensors", checkpoint.load(run, CPU).method.state_dict()
    for seed in range(120):
        file.write_bytes(flipped(content, np.random.default_rng(seed)))

        def load():
            found = checkpoint.load(file, CPU).method.state_dict()
            assert all(torch.equal(found[name], whole[name]) for name in whole)  # such as a bit of a key that is unread

        one_line(load, file)


def test_other_values_in_the_header_of_a_model_file_are_one_line(run, tmp_path):
    file = checkpoint.checkpoints(run)[-1] / checkpoint.WEIGHTS
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    manifest = json.loads(header["__metadata__"]["ganvas"])
    del manifest["sha256"]  # as a stranger may
    file = tmp_path / "model.safetensors"
    for seed in range(250):
        rng = np.random.default_rng(seed)
        if seed % 5:
            header["__metadata__"]["ganvas"] = json.dumps(other_value(manifest, rng))
            changed = header
        else:
            changed = other_value(header, rng)
        text = json.dumps(changed).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
        one_line(lambda: checkpoint.load(file, CPU), file)


@pytest.mark.parametrize("digests", [True, False])
def test_a_resume_state_that_was_changed_anywhere_leads_to_the_checkpoint_before(run, tmp_path, digests):
    method = build(checkpoint.read_run(run))
    before, newest = checkpoint.checkpoints(run)
    content = (newest / checkpoint.RESUME).read_bytes()
    for seed in range(60):
        folder = tmp_path / str(seed)
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("samples"))
        changed = folder / newest.name
        (changed / checkpoint.RESUME).write_bytes(flipped(content, np.random.default_rng(seed)))
        if not digests:
            (changed / "SHA256SUMS").unlink()
        steps = [int(checkpoint.resume(folder, method)[0])]
        assert steps[0] in (11, 12)
        if digests:
            assert (changed.with_name(f"{newest.name}.damaged") / checkpoint.RESUME).exists()
            assert checkpoint.checkpoints(folder) == [folder / before.name]
        shutil.rmtree(folder)


def test_other_values_in_run_json_are_one_line(run, tmp_path):
    manifest = json.loads((run / checkpoint.RUN).read_text())
    file = tmp_path / checkpoint.RUN
    for seed in range(200):
        rng = np.random.default_rng(seed)
        text = json.dumps(other_value(manifest, rng)).encode()
        file.write_bytes(text if seed % 3 else flipped(text, rng))
        one_line(lambda: checkpoint.read_run(tmp_path), file)


def test_a_log_that_was_changed_anywhere_is_read_as_far_as_it_can_be(run, tmp_path):
    lines = [json.loads(line) for line in (run / metrics_log.LOG).read_text().splitlines()]
    for seed in range(100):
        rng = np.random.default_rng(seed)
        content = "".join(json.dumps(other_value(line, rng) if rng.random() < 0.3 else line) + "\n" for line in lines)
        file = tmp_path / metrics_log.LOG
        file.write_bytes(flipped(content.encode(), rng))
        metrics_log.warned(tmp_path)
        assert all(isinstance(record["step"], int) for record in metrics_log.read(tmp_path))
        metrics_log.rewind(tmp_path, step=5)
        if seed < 3:
            with warnings.catch_warnings(action="ignore"):
                samples.draw_curves(tmp_path)


def test_a_study_file_that_was_changed_anywhere_is_read_or_one_line(tmp_path):
    file = tmp_path / "study.yaml"
    for seed in range(250):
        rng = np.random.default_rng(seed)
        text = other_words(STUDY, rng)
        content = text.encode("utf-8", "surrogatepass")
        file.write_bytes(content if seed % 4 else flipped(content, rng))
        one_line(lambda: studies.read_file(file, root=tmp_path, changes=studies.Changes()), file)

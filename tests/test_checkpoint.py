"""A save is whole or not at all; what is no save is refused; nothing that is loaded runs."""

import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors.torch
import torch
from conftest import manifest_of, noise_source, pairs_source, same_weights, small_config, train_to

from ganvas import checkpoint, training
from ganvas.checkpoint import digests
from ganvas.checkpoint.manifest import build
from ganvas.errors import DivergedError, ModelError, SaveError
from ganvas.training import metrics_log, samples

CPU = torch.device("cpu")
SMALL = ["--batch", "32", "--generator", "32", "--discriminator", "32"]
TRAIN = ["train", "gan", "--data", "digits", "--precision", "fp32", *SMALL]


def test_kill_9_and_the_same_command_ends_with_the_weights_of_an_unbroken_run(tmp_path, ganvas):
    words = [*TRAIN, "--steps", 1500, "--save-every", 100, "--run"]
    assert ganvas(*words, tmp_path / "unbroken").returncode == 0
    killed = subprocess.Popen([sys.executable, "-m", "ganvas", *map(str, words), str(tmp_path / "killed")])
    while len(checkpoint.checkpoints(tmp_path / "killed")) < 2:
        assert killed.poll() is None, "it finished before it could be killed"
        time.sleep(0.005)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    at = checkpoint.load(tmp_path / "killed", CPU).step
    assert 100 <= at < 1500
    assert ganvas(*words, tmp_path / "killed").returncode == 0
    one, other = (checkpoint.load(tmp_path / name, CPU) for name in ("unbroken", "killed"))
    assert one.step == other.step == 1500
    assert same_weights(one.method, other.method)
    steps = [record["step"] for record in metrics_log.read(tmp_path / "killed")]
    assert steps == sorted(set(steps))


def test_a_disk_that_is_full_during_a_save_leaves_the_former_one(tmp_path):
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    source = noise_source()
    manifest = manifest_of(source)
    before = train_to(tmp_path, 3, source=source, manifest=manifest)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))  # larger files fail half-way, as on a full disk
    try:
        with pytest.raises(SaveError, match="step-00000009"):
            checkpoint.save(tmp_path, before, manifest, step=9, seconds=1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["step-00000003"]
    assert not list(tmp_path.glob("*.tmp"))
    assert same_weights(checkpoint.load(tmp_path, CPU).method, before)


def test_what_a_kill_left_half_written_is_passed_over_and_cleared(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest)
    half = tmp_path / "step-00000007.tmp"
    half.mkdir()
    (half / checkpoint.WEIGHTS).write_bytes(b"half")
    lines = tmp_path / metrics_log.LOG
    lines.write_text(lines.read_text() + '{"step": 5, "discr')
    (tmp_path / "samples/step-00000005.png.tmp").write_bytes(b"half")
    assert checkpoint.load(tmp_path, CPU).step == 3
    train_to(tmp_path, 5, source=source, manifest=manifest)
    assert not list(tmp_path.rglob("*.tmp"))
    assert checkpoint.load(tmp_path, CPU).step == 5


def test_a_few_saves_are_kept(tmp_path):
    source = noise_source()
    train_to(tmp_path, 6, source=source, manifest=manifest_of(source), save_every=1)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["step-00000005", "step-00000006"]


def test_as_many_saves_stay_as_are_asked_for(tmp_path):
    source = noise_source()
    train_to(tmp_path, 6, source=source, manifest=manifest_of(source), save_every=1, keep=4)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == [f"step-0000000{step}" for step in (3, 4, 5, 6)]


def test_a_run_goes_on_with_more_steps_and_ends_at_once_when_there_are_none(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    train_to(tmp_path, 2, source=source, manifest=manifest)
    assert checkpoint.load(tmp_path, CPU).step == 3
    kept = {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name != "log.jsonl"
    }
    assert kept == {path: at for path, at in written.items() if path.name != "log.jsonl"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed is 0, not 1"),
        ({"flip": True}, "flip is False, not True"),
        ({"precision": "bf16"}, "precision is fp32, not bf16"),
        ({"config": small_config("gan", latent=7)}, "latent is 64, not 7"),
        ({"random_crop": True}, "random_crop is False, not True"),
        ({"holdout": 0.2}, r"holdout is 0\.0, not 0\.2"),
        ({"task": "denoise:0.1"}, r"task is none, not denoise:0\.1"),
        ({"side": "ab"}, "side is none, not ab"),
        ({"target": "/somewhere/else"}, "target is none, not /somewhere/else"),
    ],
)
def test_another_run_in_the_folder_is_refused_naming_what_differs(tmp_path, changes, named):
    source = noise_source()
    train_to(tmp_path, 1, source=source, manifest=manifest_of(source))
    with pytest.raises(ModelError, match=named):
        training.start(tmp_path, source, manifest_of(source, **changes))
    with pytest.raises(ModelError, match="method is gan, not dcgan"):
        training.start(tmp_path, source, manifest_of(source, "dcgan"))


def test_a_folder_of_other_things_is_not_a_run(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    source = noise_source()
    with pytest.raises(ModelError, match="holds other things"):
        training.start(tmp_path, source, manifest_of(source))
    (tmp_path / "new").mkdir()
    (tmp_path / "new/run.json.tmp").write_text("killed while making it")
    training.start(tmp_path / "new", source, manifest_of(source))
    with pytest.raises(ModelError, match="is a file"):
        training.start(tmp_path / "thesis.txt", source, manifest_of(source))


def test_a_model_is_one_file_that_tells_everything(digits_run, tmp_path):
    (file,) = digits_run.glob("step-*/" + checkpoint.WEIGHTS)
    moved = file.rename(tmp_path / "model.safetensors")
    model = checkpoint.load(moved, CPU)
    assert (model.step, model.manifest.method, model.manifest.spec.size, model.manifest.data) == (
        4,
        "gan",
        16,
        "digits",
    )
    assert model.manifest.spec.classes == tuple("0123456789")
    assert not model.method.training


def test_a_model_file_tells_no_path_of_the_machine_it_was_made_on(tmp_path):
    source = dataclasses.replace(noise_source(), name="/home/somebody/secret/noise")
    manifest = manifest_of(source, command="ganvas train gan --data /home/somebody/secret/noise")
    train_to(tmp_path, 1, source=source, manifest=manifest)
    assert b"secret" not in (tmp_path / "step-00000001" / checkpoint.WEIGHTS).read_bytes()
    assert checkpoint.read_run(tmp_path).data == source.name


def test_a_model_of_pairs_tells_where_they_came_from_and_no_path(tmp_path):
    source = dataclasses.replace(pairs_source(), name="/home/somebody/secret/photos")
    told = {"target": "/home/somebody/secret/paintings", "side": "ab", "task": "denoise:0.2", "holdout": 0.1}
    manifest = manifest_of(source, "pix2pix", random_crop=True, **told)
    train_to(tmp_path, 1, source=source, manifest=manifest)
    file = tmp_path / "step-00000001" / checkpoint.WEIGHTS
    assert b"secret" not in file.read_bytes()
    loaded = checkpoint.load(file, CPU).manifest
    assert (loaded.data, loaded.target, loaded.side, loaded.task) == ("photos", "paintings", "ab", "denoise:0.2")
    assert (loaded.random_crop, loaded.holdout, loaded.spec) == (True, 0.1, source.spec)
    assert checkpoint.read_run(tmp_path) == manifest


def damage(content):
    manifest = json.loads(content)
    manifest["config"]["latent"] = 10**12
    return json.dumps(manifest)


@pytest.mark.parametrize(
    "spoil", [lambda t: t[: len(t) // 2], lambda t: "[]", lambda t: "{}", lambda t: t.replace("gan", "nosuch"), damage]
)
def test_a_corrupt_run_json_is_refused(digits_run, spoil):
    path = digits_run / checkpoint.RUN
    path.write_text(spoil(path.read_text()))
    with pytest.raises(ModelError, match=r"run\.json") as error:
        checkpoint.read_run(digits_run)
    assert len(str(error.value).splitlines()) == 1


def header(**changes):
    return {"ganvas": json.dumps({**manifest_of(noise_source()).to_json(), "step": 1, **changes})}


HUGE = {**manifest_of(noise_source()).to_json()["config"], "generator": [65536] * 64}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a model file"),
        (b"\xff" * 4096, "not a model file"),
        (safetensors.torch.save({"x": torch.zeros(2)}), "not of ganvas"),
        (safetensors.torch.save({"x": torch.zeros(2)}, {"ganvas": "{"}), "header is damaged"),
        (safetensors.torch.save({"x": torch.zeros(2)}, header(method="nosuch")), "nosuch"),
        (safetensors.torch.save({"x": torch.zeros(2)}, header()), "expected"),
        (safetensors.torch.save({"x": torch.zeros(2)}, header(config=HUGE)), "expected"),  # a terabyte, if it were made
        (pickle.dumps({"weights": 1}), "not a model file"),
    ],
    ids=["empty", "noise", "foreign", "bad-json", "unknown-method", "other-shapes", "huge", "pickle"],
)
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as error:
        checkpoint.load(path, CPU)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.RESUME])
def test_a_truncated_save_is_refused_by_name(digits_run, name):
    (file,) = digits_run.glob("step-*/" + name)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=name) as error:
        checkpoint.resume(digits_run, build(manifest_of(noise_source())))
    assert len(str(error.value).splitlines()) == 1


def test_resume_state_never_runs_code(digits_run, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "it-ran"), "w"))

    (file,) = digits_run.glob("step-*/" + checkpoint.RESUME)
    torch.save({"step": Bomb()}, file)
    manifest = checkpoint.read_run(digits_run)
    with pytest.raises(ModelError, match=r"resume\.pt"):
        checkpoint.resume(digits_run, build(manifest))
    assert not (tmp_path / "it-ran").exists()


def test_weights_that_are_not_numbers_are_not_saved(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    method = train_to(tmp_path, 1, source=source, manifest=manifest)
    with torch.no_grad():
        method.generator[0].weight[0, 0] = float("nan")
    with pytest.raises(DivergedError, match=r"generator\.0\.weight"):
        checkpoint.save(tmp_path, method, manifest, step=2, seconds=0.0)
    assert checkpoint.load(tmp_path, CPU).step == 1


def test_a_folder_that_only_looks_like_a_save_is_none(tmp_path):
    source = noise_source()
    train_to(tmp_path, 3, source=source, manifest=manifest_of(source), save_every=1)
    shutil.copytree(tmp_path / "step-00000002", tmp_path / "step-best")
    train_to(tmp_path, 5, source=source, manifest=manifest_of(source), save_every=1)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["step-00000004", "step-00000005"]
    assert (tmp_path / "step-best").exists()


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.RESUME])
def test_where_the_disk_broke_the_newest_save_the_one_before_it_is_taken(tmp_path, name, caplog):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest, save_every=1)
    (tmp_path / "step-00000003" / name).unlink()
    assert checkpoint.load(tmp_path, CPU).step == (2 if name == checkpoint.WEIGHTS else 3)
    resumed = train_to(tmp_path, 5, source=source, manifest=manifest)
    assert same_weights(resumed, train_to(tmp_path / "unbroken", 5, source=source, manifest=manifest))
    assert "step-00000003" in caplog.text
    assert (tmp_path / "step-00000003.damaged").exists()


@pytest.mark.parametrize(
    "broken", [lambda t: t[..., :1], lambda t: t.double(), lambda t: t / 0, lambda t: t.to_sparse()]
)
def test_moments_that_do_not_fit_crash_nothing_and_the_checkpoint_before_is_taken(broken, tmp_path, caplog):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest, save_every=1)
    file = tmp_path / "step-00000003" / checkpoint.RESUME
    state = torch.load(file, weights_only=True)
    held = state["optimizers"]["generator"]["state"]
    held[0] |= {"exp_avg": broken(held[0]["exp_avg"])}
    torch.save(state, file)
    resumed = train_to(tmp_path, 5, source=source, manifest=manifest)
    assert same_weights(resumed, train_to(tmp_path / "unbroken", 5, source=source, manifest=manifest))
    assert "damaged" in caplog.text


def flipped(file, *, at, bit=0):
    """Flip one bit of a file, `at` being a fraction of it."""
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 1 << bit
    file.write_bytes(content)


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.RESUME])
@pytest.mark.parametrize("at", [0.001, 0.3, 0.6, 0.9, 0.999])
def test_one_flipped_bit_is_noticed_and_the_checkpoint_before_is_taken(tmp_path, name, at, caplog):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest, save_every=1)
    damaged = tmp_path / "step-00000003"
    flipped(damaged / name, at=at)
    assert checkpoint.load(tmp_path, CPU).step == (2 if name == checkpoint.WEIGHTS else 3)
    kept = (damaged / name).read_bytes()
    step, _ = checkpoint.resume(tmp_path, build(manifest))
    assert step == 2
    assert str(damaged / name) in caplog.text
    assert (tmp_path / "step-00000003.damaged" / name).read_bytes() == kept


def without_digest(file):
    """The metadata of a model file as it was before there were digests."""
    with safetensors.safe_open(file, framework="pt") as opened:
        manifest = json.loads(opened.metadata()[checkpoint.HEADER])
    del manifest["sha256"]
    return {checkpoint.HEADER: json.dumps(manifest)}


def test_a_model_file_that_was_damaged_on_the_way_is_refused_and_one_without_digest_is_read(digits_run, tmp_path):
    (file,) = digits_run.glob("step-*/" + checkpoint.WEIGHTS)
    manifest = without_digest(file)
    safetensors.torch.save_file(safetensors.torch.load_file(file), tmp_path / "old.safetensors", manifest)
    assert same_weights(checkpoint.load(tmp_path / "old.safetensors", CPU).method, checkpoint.load(file, CPU).method)
    flipped(file, at=0.7, bit=3)
    with pytest.raises(ModelError, match=f"{file}: damaged") as error:
        checkpoint.load(file, CPU)
    assert "\n" not in str(error.value)


def test_weights_that_are_not_finite_are_refused_where_they_are_loaded(digits_run):
    (file,) = digits_run.glob("step-*/" + checkpoint.WEIGHTS)
    manifest = without_digest(file)
    for value in ("nan", "inf", "-inf"):
        weights = safetensors.torch.load_file(file)
        weights["generator.0.weight"][1, 2] = float(value)
        safetensors.torch.save_file(weights, file, manifest)
        with pytest.raises(ModelError, match=r"generator\.0\.weight holds NaN or infinity"):
            checkpoint.load(file, CPU)


def test_the_digests_are_read_by_other_tools(digits_run):
    (folder,) = digits_run.glob("step-*")
    listed = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert listed == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (checkpoint.WEIGHTS, checkpoint.RESUME)
    }


def test_where_every_checkpoint_is_damaged_none_is_renamed_and_the_line_says_what_to_do(digits_run):
    (file,) = digits_run.glob("step-*/" + checkpoint.RESUME)
    flipped(file, at=0.5)
    with pytest.raises(ModelError, match=r"resume\.pt: damaged.*no other checkpoint is whole: restore one, or train"):
        checkpoint.resume(digits_run, build(checkpoint.read_run(digits_run)))
    assert file.exists()


def reversed_state(state):
    """A state with the moments of another weight's shape."""
    held = state["optimizers"]["generator"]["state"]
    held[0], held[1] = held[1], held[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(step=-1),
        lambda state: state.update(step=2**40),
        lambda state: state.update(step=2),
        lambda state: state.update(step=True),
        lambda state: state.update(step="3"),
        lambda state: state.update(seconds=float("nan")),
        lambda state: state.update(seconds=-1.0),
        lambda state: state.update(seconds="long"),
        lambda state: state.update(extra=[1]),
        lambda state: state.update(extra={"pool": "text"}),
        lambda state: state.update(optimizers=[]),
        lambda state: state["optimizers"].pop("generator"),
        lambda state: state["optimizers"]["generator"].update(state={0: 1}),
        lambda state: state["optimizers"]["generator"]["state"][0].update(exp_avg=torch.zeros(1).expand(10**15)),
        lambda state: state["optimizers"]["generator"]["state"][0].update(step=torch.zeros(1).expand(10**15)),
        lambda state: state["optimizers"]["generator"]["state"][0].update(step=torch.tensor(-3.0)),
        lambda state: state["optimizers"]["generator"]["state"][0].update(step=torch.tensor(2.0**33)),
        lambda state: state["optimizers"]["generator"]["state"][0]["exp_avg_sq"].neg_().sub_(1),
        lambda state: state["optimizers"]["generator"]["state"][0].update(more=torch.zeros(2)),
        reversed_state,
        lambda state: state.clear(),
    ],
)
def test_a_state_that_no_training_left_is_one_line_and_the_checkpoint_before_is_taken(tmp_path, spoil, caplog):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest, save_every=1)
    folder = tmp_path / "step-00000003"
    state = torch.load(folder / checkpoint.RESUME, weights_only=True)
    spoil(state)
    torch.save(state, folder / checkpoint.RESUME)
    (folder / "SHA256SUMS").unlink()  # as in the folder of a stranger
    assert checkpoint.resume(tmp_path, build(manifest))[0] == 2
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{folder / checkpoint.RESUME}: damaged" in line
    assert "\n" not in line
    assert len(line.replace(str(tmp_path), "")) < 300


def test_betas_and_rates_in_a_state_are_not_taken(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 3, source=source, manifest=manifest)
    folder = tmp_path / "step-00000003"
    state = torch.load(folder / checkpoint.RESUME, weights_only=True)
    state["optimizers"]["generator"]["param_groups"] = [{"betas": "text", "lr": -1, "params": "none"}]
    torch.save(state, folder / checkpoint.RESUME)
    (folder / "SHA256SUMS").unlink()
    method = build(manifest)
    assert checkpoint.resume(tmp_path, method)[0] == 3
    assert method.optimizers["generator"].param_groups[0]["betas"] == (manifest.config.beta1, manifest.config.beta2)


def test_a_state_that_would_unpack_to_more_than_the_file_is_refused(digits_run):
    (folder,) = digits_run.glob("step-*")
    torch.save({"zeros": torch.zeros(2**22)}, folder / "large.pt")
    with (
        zipfile.ZipFile(folder / "large.pt") as large,
        zipfile.ZipFile(folder / checkpoint.RESUME, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in large.namelist():
            packed.writestr(name, large.read(name))
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="a compressed archive"):
        checkpoint.resume(digits_run, build(checkpoint.read_run(digits_run)))


@pytest.mark.parametrize(
    "content",
    [
        (100 * 2**20).to_bytes(8, "little") + b" " * 100,
        (2**63).to_bytes(8, "little"),
        safetensors.torch.save({"x": torch.zeros(2)}, {"ganvas": "[" * 10**6}),
        safetensors.torch.save({"x": torch.zeros(2)}, {"ganvas": '{"step": ' + "9" * 10**5 + "}"}),
    ],
    ids=["large", "larger", "deep", "long"],
)
def test_a_header_that_would_take_all_memory_is_refused_in_one_short_line(tmp_path, content):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError) as error:
        checkpoint.load(file, CPU)
    assert str(error.value).startswith(str(file))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"holdout": 10**30},
        {"holdout": 7},
        {"seed": -1},
        {"images": -1},
        {"step": -1},
        {"step": 2**31},
        {"step": 1.5},
        {"step": True},
        {"spec": {"size": 2**40, "channels": 1}},
        {"spec": {"size": 16, "channels": 1, "classes": "x" * 10**5}},
        {"config": {"x" * 400: 1}},
        {"method": "x" * 10**4},
        {"format": 10**9, "versions": []},
        {"versions": {"ganvas": 3}},
    ],
    ids=str,
)
def test_values_that_no_manifest_holds_are_one_short_line(tmp_path, changes):
    file = tmp_path / "x.safetensors"
    file.write_bytes(safetensors.torch.save({"x": torch.zeros(2)}, header(**changes)))
    with pytest.raises(ModelError) as error:
        checkpoint.load(file, CPU)
    assert str(error.value).startswith(str(file))
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX")
def test_a_pipe_is_no_model_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="neither a run nor a model file"):
        checkpoint.load(tmp_path / "x.safetensors", CPU)


def test_of_many_that_begin_one_run_at_once_one_does_and_the_others_go_on_with_it_or_say_why(tmp_path):
    manifest = manifest_of(noise_source())
    together = threading.Barrier(16)

    def enter(_):
        together.wait()
        try:
            checkpoint.enter_run(tmp_path / "run", manifest)
        except ModelError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(16) as pool:
        said = set(pool.map(enter, range(16)))
    assert "" in said
    assert said <= {"", f"`run` {tmp_path / 'run'}: another ganvas is training there; wait for it, or choose another"}
    assert checkpoint.read_run(tmp_path / "run") == manifest
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_a_run_whose_data_moved_goes_on_and_its_manifest_follows(tmp_path):
    source = noise_source()
    here = manifest_of(source, fingerprint="1f")
    here = dataclasses.replace(here, data="/here/photos")
    train_to(tmp_path, 1, source=source, manifest=here)
    there = dataclasses.replace(here, data="/there/images")
    for other in ({"fingerprint": "2e"}, {"fingerprint": ""}, {"images": 31}):
        with pytest.raises(ModelError, match="data is /here/photos, not /there/images"):
            checkpoint.enter_run(tmp_path, dataclasses.replace(there, **other))
    train_to(tmp_path, 2, source=source, manifest=there)
    assert checkpoint.read_run(tmp_path).data == "/there/images"


def test_two_trainings_in_one_folder_are_refused(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    first, second = (
        training.train(
            tmp_path,
            source,
            training.start(tmp_path, source, manifest),
            training.Plan(manifest=manifest, device=CPU, limit=training.Limit(steps=9)),
        )
        for _ in range(2)
    )
    next(first)
    with pytest.raises(ModelError, match="another ganvas is training there"):
        next(second)
    first.close()
    train_to(tmp_path, 2, source=source, manifest=manifest)


def test_a_damaged_log_or_grid_costs_lines_and_frames_but_no_run(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    train_to(tmp_path, 30, source=source, manifest=manifest, save_every=10)
    with (tmp_path / metrics_log.LOG).open("ab") as file:
        file.write(b'{"step": null}\n{"step": 30, "generator": "low"}\n[1]\n\xff\xfe\n{"generator": 1.0}\n')
    (tmp_path / "samples/step-00000013.png").write_bytes(b"")
    train_to(tmp_path, 40, source=source, manifest=manifest)
    steps = [record["step"] for record in metrics_log.read(tmp_path)]
    assert steps == sorted(set(steps))
    assert {10, 20, 30, 40} <= set(steps)  # a slow machine reports in between, too
    assert len(samples.show_all(tmp_path)) == 3


def test_pipes_in_place_of_files_are_never_opened(digits_run, tmp_path):
    os.mkfifo(tmp_path / checkpoint.WEIGHTS)
    with pytest.raises(ModelError, match="regular file"):
        checkpoint.load(tmp_path, CPU)
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / checkpoint.RUN)
    with pytest.raises(ModelError, match="regular file"):
        checkpoint.read_run(tmp_path / "run")


def test_digests_that_leave_out_a_file_are_damage(digits_run):
    (folder,) = digits_run.glob("step-*")
    (folder / "SHA256SUMS").write_text("")
    with pytest.raises(ModelError, match="holds no digest of"):
        digests.require_whole(folder)

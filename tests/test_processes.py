"""Several processes, and a batch in several parts: they learn what one process learns from the whole batch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import manifest_of, same_weights, small_config, source_for, taught, train_to
from PIL import Image

from ganvas import checkpoint, methods, training
from ganvas.cli import main
from ganvas.core import distributed
from ganvas.core.accumulation import Share, in_parts, share
from ganvas.core.optim import update
from ganvas.core.rng import everyones_rows, rand, seed_step
from ganvas.errors import ProcessError, SettingError, UsageError
from ganvas.nets.cpu_ops import Dropout

CPU = torch.device("cpu")
BATCH = 8
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
every_method = pytest.mark.parametrize("name", methods.names())


def make(name, source, *, seed=0, **changes):
    """A small method with first weights of that seed."""
    torch.manual_seed(seed)
    return methods.get(name)(small_config(name, **changes), source.spec).train()


def whole_batch(source):
    return source.some(BATCH).signed()


def learned(method, batch, *, parts=1):
    """The weights and statistics after a step on a batch, in so many parts, straight down the gradients."""
    method.optimizers = {
        name: torch.optim.SGD([w for group in old.param_groups for w in group["params"]], lr=0.05)
        for name, old in method.optimizers.items()
    }

    def learn(number):
        seed_step(0, 0)
        return method.training_step(batch.over(lambda t: t.chunk(parts)[number]), 0)

    in_parts(learn, parts)
    return {key: value.clone() for key, value in method.state_dict().items()}


def pooled(rows, *, steps, parts=1):
    """The weights and the pools of a cyclegan after steps in which its pools are soon full."""
    source = source_for("cyclegan", n=BATCH)
    method = make("cyclegan", source, pool=3)
    for step in range(steps):

        def learn(number, step=step):
            seed_step(0, step)
            mine = rows(whole_batch(source))
            return method.training_step(mine.over(lambda t: t.chunk(parts)[number]) if parts > 1 else mine, step)

        in_parts(learn, parts)
    return dict(method.state_dict()) | {f"pool {kind}": pool for kind, pool in method.extra_state().items()}


def state_of(method):
    """Its weights, and what its optimisers remember."""
    kept = {f"weights {key}": value.clone() for key, value in method.state_dict().items()}
    for name, optimizer in method.optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            kept |= {f"{name} {number} {key}": torch.as_tensor(value) for key, value in state.items()}
    return kept


def start(*words, env=None, **options):
    """A command in two processes."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    return subprocess.Popen(
        [*TORCHRUN, *map(str, words)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finish(process, *, seconds=120):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


# --- two processes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """What two processes have after a step of every method, each on its half of the batch."""
    out = tmp_path_factory.mktemp("processes")
    source = source_for("dcgan")
    train_to(out / "run", 3, source=source, manifest=manifest_of(source, "dcgan"))
    status, _, err = finish(start(Path(__file__).with_name("two_processes.py"), out))
    assert status == 0, err
    return out, [torch.load(out / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@every_method
def test_one_step_of_two_processes_is_that_of_one_on_the_whole_batch(name, of_two):
    source = source_for(name, n=BATCH)
    method = taught(make(name, source))
    before = {key: value.clone() for key, value in method.state_dict().items()}
    whole = learned(method, whole_batch(source))
    assert any(not torch.equal(before[key], whole[key]) for key in whole)
    all_hold(of_two, name, whole)


def all_hold(of_two, name, expected):
    """Whether both processes have the same numbers, and these are the expected ones."""
    one, other = (found[name] for found in of_two[1])
    assert all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))
    close(one, expected)


def close(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


def test_a_step_of_two_processes_in_parts_is_that_of_one_on_the_whole_batch(of_two):
    source = source_for("pix2pix", n=BATCH)
    all_hold(of_two, "in parts", learned(make("pix2pix", source), whole_batch(source)))


POOL_STEPS = 1  # eight images through a pool of three: most meet it full


def test_all_keep_the_same_pool_of_what_all_have_made(of_two):
    expected = pooled(lambda batch: batch, steps=POOL_STEPS)
    assert len(expected["pool a"]) == 3
    all_hold(of_two, "pool", expected)


def test_the_first_reads_a_save_and_the_others_have_it_from_there(of_two):
    alone = make("dcgan", source_for("dcgan"), seed=5)
    step, seconds = checkpoint.resume(of_two[0] / "run", alone)
    expected = state_of(alone) | {"step": torch.tensor(step), "seconds": torch.tensor(seconds)}
    assert step == 3
    for found in of_two[1]:
        assert found["resumed"].keys() == expected.keys()
        assert all(torch.equal(found["resumed"][key], value) for key, value in expected.items())


def test_what_they_tell_each_other(of_two):
    for found in of_two[1]:
        assert found["agreed"].tolist() == [10.0, 1.0]
        assert found["mean"].tolist() == [0.5]
        assert found["together"].tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        assert bytes(found["told"].tolist()) == b"abc"
        said = bytes(found["refused batch"].tolist()).decode()
        assert said == "`batch` 7: cannot be shared evenly by 2 processes; give a multiple of 2: 8"
    first, second = (bytes(found["refused data"].int().tolist()).decode() for found in of_two[1])
    assert not first
    assert "holds 9 images in process 1, 8 in the first" in second


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def words_for(images, run, *more):
    small = ("--width", 4, "--hidden", 32, "--batch", 8, "--size", 16, "--device", "cpu", "--precision", "fp32")
    return ["-m", "--", "ganvas", "train", "dcgan", "--data", images, "--run", run, *small, *more]


def test_a_run_of_two_is_a_run_of_one_and_may_go_on_as_one(images, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*map(str, words_for(images, one, "--steps", 5)[3:])]) == 0
    status, out, err = finish(start(*words_for(images, two, "--steps", 3)))
    assert status == 0, err
    assert out.count("3 steps") == 1  # one of them speaks
    assert not list(two.glob("*.tmp"))
    assert main([*map(str, words_for(images, two, "--steps", 5)[3:])]) == 0
    a, b = (checkpoint.load(run, CPU) for run in (one, two))
    assert (a.step, b.step) == (5, 5)
    assert a.manifest.config == b.manifest.config
    for (key, value), other in zip(a.method.state_dict().items(), b.method.state_dict().values(), strict=True):
        if value.is_floating_point():  # Adam makes a step of a rounding error, where a gradient is nothing
            assert float((value - other).abs().mean()) < 2e-3, key
    steps = [json.loads(line)["step"] for line in (two / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def wait_for(condition, *, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def workers(run):
    """The processes that train in this run, by their rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            env = (folder / "environ").read_bytes().decode().split("\0")
        except OSError:
            continue
        rank = [entry.removeprefix("RANK=") for entry in env if entry.startswith("RANK=")]
        if str(run) in words and rank:
            found[int(rank[0])] = int(folder.name)
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds its processes in /proc")
def test_a_killed_process_ends_the_others_with_a_clear_line(images, tmp_path):
    run = tmp_path / "run"
    process = start(*words_for(images, run, "--steps", 10**7, "--save-every", 5))
    try:
        wait_for(lambda: checkpoint.checkpoints(run))
        os.kill(workers(run)[1], signal.SIGKILL)
        status, _, err = finish(process, seconds=60)
    finally:
        process.kill()
    assert status != 0
    lines = [line for line in err.splitlines() if "process 0 of 2" in line]
    assert len(lines) == 1
    assert "another process has ended" in lines[0]
    assert "the same command continues" in lines[0]
    assert err.count("Traceback") == 1  # torchrun's own
    assert checkpoint.load(run, CPU).step >= 5


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds its processes in /proc")
def test_asking_one_to_stop_stops_all_after_the_same_step_and_all_is_written(tmp_path):
    run = tmp_path / "run"
    small = ("--generator", 16, "--discriminator", 16, "--batch", 8, "--device", "cpu")
    words = ["train", "gan", "--data", "digits", "--run", run, *small, "--minutes", 10, "--validate-every", 40]
    process = start("-m", "--", "ganvas", *words, "--save-every", 20)
    try:
        wait_for(lambda: checkpoint.best(run))  # by time, and scored by the first alone
        os.kill(workers(run)[1], signal.SIGTERM)
        _, out, err = finish(process, seconds=60)
    finally:
        process.kill()
    (line,) = [line for line in err.splitlines() if "stopped at step" in line]
    assert f"stopped at step {checkpoint.load(run, CPU).step:,}, which is saved" in line
    assert (run / "losses.png").exists()
    assert "losses at the end" in out


def test_commands_that_would_be_run_twice_are_refused(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["methods"]) == 2
    assert "2 processes: only `ganvas train` shares its work" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK=2 of WORLD_SIZE=2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: expected a number"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "no MASTER_ADDR"),
        ({"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}, "no RANK"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "a"}, "MASTER_PORT=a: expected"),
    ],
)
def test_an_environment_that_does_not_fit_is_one_line(env, said, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=said), distributed.joined(CPU):
        pass


def test_others_that_never_come_are_a_clear_line(monkeypatch):
    monkeypatch.setattr(distributed, "PATIENCE", distributed.datetime.timedelta(seconds=1))
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ProcessError, match="process 0 of 2 waited to connect to the others"), distributed.joined(CPU):
        pass


# --- parts ----------------------------------------------------------------------------------------------------------

# without batch norm; and but for `fast_style` and `adain`, whose losses are shares of what a whole part holds
WITHOUT_BATCH_NORM = [
    ("gan", {"batch_norm": False}),
    ("gan", {"batch_norm": False, "updates": "simultaneous"}),
    ("cyclegan", {}),
    ("pix2pix", {}),
    ("autoencoder", {}),
]


@pytest.mark.parametrize(("name", "changes"), WITHOUT_BATCH_NORM)
@pytest.mark.parametrize("parts", [2, 4])
def test_a_step_in_parts_is_the_step_on_the_whole_batch(name, changes, parts):
    source = source_for(name, n=BATCH)
    whole = learned(taught(make(name, source, **changes)), whole_batch(source))
    in_pieces = learned(taught(make(name, source, **changes)), whole_batch(source), parts=parts)
    close(in_pieces, whole)


def test_in_parts_every_fake_meets_the_pool_by_a_chance_of_its_own():
    whole, in_two = (pooled(lambda batch: batch, steps=3, parts=parts) for parts in (1, 2))
    assert not torch.equal(whole["pool a"], in_two["pool a"])  # it keeps those of the last part
    tossed = []

    def step(number):
        torch.manual_seed(0)
        tossed.append(everyones_rows(2, lambda n: torch.rand(n, 2)))
        update(torch.optim.SGD([weight], lr=1.0), weight.sum())

    weight = torch.nn.Parameter(torch.zeros(()))
    in_parts(step, 2)
    torch.manual_seed(0)
    assert torch.equal(torch.cat(tossed[:2]), torch.rand(4, 2))


@every_method
def test_every_method_learns_in_parts_and_goes_on_as_if_never_stopped(name, tmp_path):
    source = source_for(name)
    manifest = manifest_of(source, name)
    unbroken = train_to(tmp_path / "unbroken", 5, source=source, manifest=manifest, grad_accumulate=2)
    train_to(tmp_path / "broken", 2, of=5, source=source, manifest=manifest, grad_accumulate=2)
    assert same_weights(unbroken, train_to(tmp_path / "broken", 5, source=source, manifest=manifest, grad_accumulate=2))


def test_every_part_takes_its_own_rows_of_one_draw_and_each_update_is_made_once():
    weight = torch.nn.Parameter(torch.zeros(()))
    first, second = (torch.optim.SGD([weight], lr=1.0) for _ in range(2))
    seen, ends = [], []

    def step(number):
        torch.manual_seed(0)
        assert share() == Share(number, 2)
        seen.append(rand(3, device=CPU))
        update(first, weight * (number + 1))  # means 1.5
        update(second, weight * weight.detach())  # what it is by now, -1.5: to 0
        ends.append(number)
        return number

    assert in_parts(step, 2) == 1
    assert ends == [1]
    assert weight.item() == 0.0
    torch.manual_seed(0)
    torch.testing.assert_close(torch.cat(seen[:2]), torch.rand(6))
    assert share() == Share()


def test_dropout_leaves_out_other_units_in_every_part():
    network = torch.nn.Sequential(Dropout(0.5))
    masks = []

    def step(number):
        torch.manual_seed(0)
        masks.append(network(torch.ones(64, 64)))
        update(torch.optim.SGD([weight], lr=1.0), weight.sum())

    weight = torch.nn.Parameter(torch.zeros(()))
    in_parts(step, 2)
    assert not torch.equal(masks[0], masks[1])
    assert set(masks[0].unique().tolist()) == {0.0, 2.0}
    assert abs(float(masks[0].mean()) - 1) < 0.1
    network.eval()
    assert torch.equal(network(torch.ones(4, 4)), torch.ones(4, 4))


@pytest.mark.parametrize(
    ("batch", "parts", "said"),
    [(9, 2, "`batch` 9: cannot be shared evenly by `grad_accumulate` 2; give a multiple of 2: 10"),
     (8, 8, "`grad_accumulate` 8: leaves 1 of `batch` 8 to a part, and gan takes 2 or more; give 4 or less")],
)  # fmt: skip
def test_parts_that_cannot_be_made_are_refused_in_one_line(batch, parts, said):
    source = source_for("gan")
    with pytest.raises(SettingError, match=said):
        training.require_shares(manifest_of(source, config=small_config("gan", batch=batch)), parts)

"""A training that is asked to stop saves, whoever asks and however often."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import manifest_of, noise_source, same_weights, train_to

from ganvas import checkpoint, progress, training
from ganvas.core.interrupts import uninterrupted

CPU = torch.device("cpu")
TINY = ["--batch", "32", "--generator", "16", "--discriminator", "16", "--precision", "fp32"]
TRAIN = [sys.executable, "-m", "ganvas", "train", "gan", "--data", "digits", *TINY]
SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def begun(run, process):
    """Wait until a run has logged its first steps."""
    while not (run / "log.jsonl").exists() or not (run / "log.jsonl").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("name", SIGNALS)
def test_asked_three_times_in_quick_succession_it_saves_and_says_so(name, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        [*TRAIN, "--steps", "1000000", "--run", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    begun(run, process)
    for _ in range(3):
        process.send_signal(getattr(signal, name))
        time.sleep(0.002)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    step = checkpoint.load(run, CPU).step
    assert f"stopping after step {step:,}: saving a checkpoint\n" in err
    assert f"stopped at step {step:,}, which is saved; the same command goes on from there" in err
    assert "Traceback" not in err


def in_terminal(run):
    """Begin a training in a terminal of its own; returns its process and the terminal."""
    child, terminal = pty.fork()
    if not child:
        os.execv(TRAIN[0], [*TRAIN, "--steps", "1000000", "--run", str(run)])
    while not (run / "log.jsonl").exists() or not (run / "log.jsonl").read_text():
        os.read(terminal, 4096)
    return child, terminal


def test_a_terminal_that_is_closed_lets_it_save(tmp_path):
    child, terminal = in_terminal(tmp_path / "run")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert checkpoint.load(tmp_path / "run", CPU).step


def test_in_a_terminal_two_ctrl_c_are_answered_beside_the_bar(tmp_path):
    child, terminal = in_terminal(tmp_path / "run")
    os.write(terminal, b"\x03\x03")
    said = b""
    with contextlib.suppress(OSError):  # the terminal of a child that has ended
        while more := os.read(terminal, 4096):
            said += more
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert re.search(rb"stopping after step [\d,]+: saving", said)


def test_under_nohup_a_closed_terminal_stops_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with progress.stopping_gently() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_only_a_late_second_ctrl_c_interrupts_and_the_first_before_work_has_begun(monkeypatch):
    with progress.stopping_gently(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # nobody looks whether to stop: data are being read
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.stopping_gently() as stop:
        assert not stop
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
            assert stop
        clock[0] = progress.FORCE_SECONDS
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_may_not_be_interrupted_ends_first():
    done = []

    @uninterrupted()
    def save():
        signal.raise_signal(signal.SIGINT)
        done.append("saved")

    with pytest.raises(KeyboardInterrupt):
        save()
    assert done == ["saved"]


def test_whoever_leaves_when_told_that_it_stops_leaves_a_checkpoint(tmp_path):
    source = noise_source()
    manifest = manifest_of(source)
    plan = training.Plan(manifest=manifest, device=CPU, limit=training.Limit(steps=9))
    method = training.start(tmp_path / "left", source, manifest)
    events = training.train(tmp_path / "left", source, method, plan, stop=lambda: True)
    (last,) = (event for event in events if event.stopping and not events.close())
    assert checkpoint.load(tmp_path / "left", CPU).step == last.step == 1
    assert same_weights(method, train_to(tmp_path / "other", 1, source=source, manifest=manifest))


def test_a_ctrl_c_within_a_save_waits_for_it(tmp_path, monkeypatch):
    source = noise_source()
    manifest = manifest_of(source)
    write = checkpoint.store.write_folder

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        write(*arguments)

    monkeypatch.setattr(checkpoint.store, "write_folder", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_to(tmp_path, 4, source=source, manifest=manifest)
    assert checkpoint.load(tmp_path, CPU).step == 4

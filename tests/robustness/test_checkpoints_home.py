"""A container may run as a user without a home folder, or with a cache that cannot be written."""

import pytest

from ganvas.cli import main

TINY = [
    "--steps",
    "1",
    "--batch",
    "4",
    "--size",
    "16",
    "--generator",
    "4",
    "--discriminator",
    "4",
    "--precision",
    "fp32",
]


@pytest.fixture
def nobody(monkeypatch):
    """Run as a user without HOME and without an entry in the list of users."""
    pwd = pytest.importorskip("pwd", reason="users of POSIX")

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "GANVAS_DATA", "GANVAS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_folders_and_digits_are_learned_from_and_a_cache_is_one_line(nobody, tmp_path, photos, capsys):
    for number, data in enumerate((str(photos), "digits")):
        run = str(tmp_path / f"run-{number}")
        assert main(["train", "gan", "--data", data, "--run", run, *TINY]) == 0
        assert main(["generate", run, "--count", "1", "--out", str(tmp_path / f"out-{number}")]) == 0
    capsys.readouterr()
    assert main(["train", "gan", "--data", "mnist", "--run", str(tmp_path / "run"), *TINY]) == 2
    said = capsys.readouterr().err
    assert said == "ganvas: ~/.cache/ganvas: there is no such home folder; set HOME, or give a full path\n"
    assert not (tmp_path / "run").exists()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "file/cache"))
    assert main(["train", "gan", "--data", "mnist", "--run", str(tmp_path / "run"), *TINY]) in (1, 2)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert str(tmp_path / "file") in said
    assert not (tmp_path / "run").exists()

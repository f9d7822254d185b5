# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command `offload`: one object or line on standard output, failures on standard error, a correct exit status."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.commands import offload as command
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import StoreError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import job
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import (
    DELETED,
    REPAIRED,
    UPLOADED,
    Report,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import Stopped
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs import job as run_job

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")


class Run:
    """Replaces the engine: does what the test wants, and records its arguments."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.failures: list[tuple[str, str]] = []
        self.moved = 0

    def __call__(self, source: Any, store: Any, settings: Any, **options: Any) -> Report:
        self.asked = {"source": source, "store": store, "settings": settings, **options}
        report = Report(dry_run=options["rehearse"], on_failure=options["on_failure"])
        for number in range(self.moved):
            report.done(UPLOADED, str(number), 1024)
            report.done(DELETED, str(number), 1024)
        for path, error in self.failures:
            report.fail(path, path, error)
        if options["observe"]:
            options["observe"](report)
        if self.error is not None:
            report.error = str(self.error)
            self.error.report = report  # type: ignore[attr-defined]
            raise self.error
        return report


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    stand_in = Run()
    monkeypatch.setattr(job, "run", stand_in)
    return stand_in


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """The command changes the environment of its process and does not restore it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_job, "worker", lambda user, media_path, root_may_own: None)


class Config:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "offload.yml"
        self.state_dir = directory / "state"
        self.content: dict[str, Any] = {
            "media_path": str(directory / "media_store"),
            "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
            "s3": {"bucket": "media", "access_key_id": "id", "secret_access_key": "the-secret"},
            "offload": {"older_than": "0s", "state_dir": str(self.state_dir)},
        }

    def call(self, *options: str) -> int:
        self.path.write_text(yaml.safe_dump(self.content))
        self.path.chmod(0o600)
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers(), "synapse-s3-migrate")
        parsed = parser.parse_args(["offload", "--config", str(self.path), *options])
        status: int = parsed.function(parsed)
        return status


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


def test_the_summary_is_one_line(config: Config, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.moved = 2
    assert config.call() == 0
    output, errors = capsys.readouterr()
    assert output == (
        "synapse-s3-migrate: 2 files (2.0 KiB) uploaded, 2 files (2.0 KiB) deleted, 0 were in the bucket; 0.0 s\n"
    )
    assert errors == ""
    assert not run.asked["rehearse"] and run.asked["store"].bucket == "media"
    assert run.asked["settings"].state_dir == str(config.state_dir) and config.state_dir.is_dir()


def test_a_dry_run_is_written_in_the_conditional(config: Config, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.moved = 1
    assert config.call("--dry-run") == 0
    assert "1 files (1.0 KiB) would be uploaded, 1 files (1.0 KiB) would be deleted" in capsys.readouterr().out
    assert run.asked["rehearse"] and not config.state_dir.exists()


def test_the_summary_names_what_is_unusual() -> None:
    report = Report()
    report.done(REPAIRED, "a", 1)
    report.skip("orphan", 1)
    report.fail("b", "b", "no")
    report.error = "The bucket is gone."
    assert report.summary() == (
        "ended early: 0 files (0 B) uploaded, 1 files (1 B) uploaded again over an object that differed, "
        "0 files (0 B) deleted, 0 were in the bucket, 1 left (orphan), 1 failed; 0.0 s"
    )


def test_failures_are_named_and_give_exit_status_one(
    config: Config, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.failures = [("a/b", "it is unreadable"), ("c\nd", "no")]
    for options in ((), ("--no-progress",), ("--json",)):
        assert config.call(*options) == 1
        output, errors = capsys.readouterr()
        assert errors.splitlines() == [
            "synapse-s3-migrate: a/b: it is unreadable",
            "synapse-s3-migrate: 'c\\nd': no",
        ]
    assert [failure["path"] for failure in json.loads(output)["failed"]] == ["a/b", "c\nd"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"offload": {"state_dir": "relative"}}, 2, "beginning with a slash"),
        ({"offload": {"state_dir": "/x", "nonsense": 1}}, 2, "Unknown setting nonsense"),
        ({"nonsense": 1}, 2, "Unknown setting nonsense"),
        ({"s3": {}}, 2, "synapse_s3_bucket is not set"),
        ({"media_path": None, "homeserver_config": ["/nowhere.yaml"]}, 2, "/nowhere.yaml"),
    ],
)
def test_a_run_that_never_began_prints_one_json_object(
    config: Config, run: Run, capsys: pytest.CaptureFixture[str], change: dict[str, Any], status: int, words: str
) -> None:
    config.content.update(change)
    assert config.call("--json") == status
    output, errors = capsys.readouterr()
    report = json.loads(output)
    assert len(output.splitlines()) == 1 and words in report["error"] and not report["changed"]
    assert errors == f"synapse-s3-migrate: {report['error']}\n"
    assert run.asked == {}


def test_a_missing_file_prints_one_json_object(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(), "synapse-s3-migrate")
    options = parser.parse_args(["offload", "--config", str(tmp_path / "absent"), "--json"])
    assert options.function(options) == 2
    assert "cannot be read" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("error", "moved", "status"),
    [
        (StoreError("It is refused. Correct the keys.", "AccessDenied"), 0, 2),
        (StoreError("It is refused. Correct the keys.", "AccessDenied"), 3, 1),
        (Stopped(15), 3, 143),
        (KeyboardInterrupt(), 0, 130),
        (KeyError("a"), 0, 1),
    ],
)
def test_a_run_that_ended_early_prints_one_json_object(
    config: Config, run: Run, capsys: pytest.CaptureFixture[str], error: BaseException, moved: int, status: int
) -> None:
    run.error, run.moved = error, moved
    assert config.call("--json") == status
    output, errors = capsys.readouterr()
    report = json.loads(output)
    assert len(output.splitlines()) == 1
    assert report["error"] == str(error) and report["uploaded"]["files"] == moved
    assert ("Traceback" in errors) == ("exception" in report) == isinstance(error, KeyError)
    assert "the-secret" not in output + errors


def test_the_shells_environment_does_not_redirect_it(config: Config, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody's")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:8")
    assert config.call() == 0
    assert "somebody's" not in os.environ.values() and os.environ["HTTPS_PROXY"] == "http://127.0.0.1:8"


def test_keys_may_be_in_the_environment(config: Config, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config.content["s3"] = {"bucket": "media"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unit-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unit-secret")
    assert config.call() == 0
    assert (run.asked["store"].access_key_id, run.asked["store"].secret_access_key) == ("unit-id", "unit-secret")


def test_progress_can_be_turned_off(config: Config, run: Run) -> None:
    config.call("--no-progress")
    assert run.asked["observe"] is None
    config.call("--progress")
    assert run.asked["observe"] is not None

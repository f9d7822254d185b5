# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine as the host's script runs it: a process of its own, one configuration file, one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from library import Library
from media_host import synapse_config

PACKAGE = Path(__file__).absolute().parents[2] / "plugins" / "module_utils"
TIMEOUT = 180.0
# Compiled once for all runs, since that takes longer than most of them, and outside of the source tree.
_COMPILED = tempfile.TemporaryDirectory(prefix="compiled-")
Path(_COMPILED.name).chmod(0o755)
_ENVIRONMENT = {
    "PYTHONPATH": str(PACKAGE),
    "PYTHONPYCACHEPREFIX": _COMPILED.name,
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass
class Outcome:
    status: int
    # Empty if the run was refused or killed before it could report.
    report: dict[str, Any]
    output: str
    errors: str
    seconds: float = 0.0

    def files(self, outcome: str) -> int:
        return int(self.report[outcome]["files"])

    def skipped(self, reason: str) -> int:
        return int(self.report["skipped"].get(reason, {"files": 0})["files"])

    @property
    def failed_paths(self) -> list[str]:
        return sorted(failure["path"] for failure in self.report.get("failed", []))

    @property
    def failures(self) -> dict[str, str]:
        return {failure["path"]: failure["error"] for failure in self.report.get("failed", [])}


class Engine:
    """Runs the engine with minimal settings; a test changes `offload` and `s3` as it needs before a run."""

    def __init__(self, library: Library, connection: dict[str, Any]) -> None:
        self.library = library
        self.config = library.directory / "offload.yml"
        self.s3: dict[str, Any] = {"region_name": "us-east-1", **connection}
        self.offload: dict[str, Any] = {
            "older_than": "0s",
            "grace": "60s",
            "state_dir": str(library.state_dir),
        }
        self.database: dict[str, Any] = library.database.section()
        self.media_path = library.media_path
        self.content: dict[str, Any] = {}
        # The configuration of a Synapse that reads from the same location, unless a test writes another.
        self.synapse = library.directory / "synapse.yaml"
        self.synapse_config: dict[str, Any] | None = None
        # Python code to run instead of the command, for faults that no signal could time.
        self.code = ""

    def write(self) -> Path:
        config = synapse_config(self.s3) if self.synapse_config is None else self.synapse_config
        self.synapse.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        self.synapse.chmod(0o600)
        self.library.own(self.synapse)
        content = {
            "media_path": str(self.media_path),
            "synapse_configs": [[str(self.synapse)]],
            "database": self.database,
            "s3": self.s3,
            "offload": self.offload,
            **self.content,
        }
        self.config.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        self.config.chmod(0o600)
        self.library.own(self.config)
        return self.config

    def start(
        self,
        *options: str,
        before: Callable[[], None] | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """`before` runs in the child, between fork and exec."""
        program = ["-c", self.code] if self.code else ["-m", "synapse_media.cli"]
        return subprocess.Popen(
            [sys.executable, *program, "offload", "--config", str(self.write()), "--json", *options],
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            preexec_fn=before,
        )

    def run(self, *options: str, before: Callable[[], None] | None = None) -> Outcome:
        began = time.monotonic()
        return finish(self.start(*options, before=before), began)


@dataclass
class Command:
    """Another command on the host of an engine, whose configuration file it uses."""

    engine: Engine
    verb: str
    # Python code to run instead of the command.
    code: str = ""

    def start(self, *options: str) -> subprocess.Popen[str]:
        program = ["-c", self.code] if self.code else ["-m", "synapse_media.cli"]
        arguments = [self.verb, "--config", str(self.engine.write()), "--json", *options]
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str) -> Outcome:
        return finish(self.start(*options))


def finish(process: subprocess.Popen[str], began: float | None = None) -> Outcome:
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"the engine has not ended after {TIMEOUT} s\n{output}\n{errors}") from None
    seconds = time.monotonic() - began if began is not None else 0.0
    assert "Traceback" not in errors, errors
    report = json.loads(output) if output.strip() else {}
    return Outcome(process.returncode, report, output, errors, seconds)

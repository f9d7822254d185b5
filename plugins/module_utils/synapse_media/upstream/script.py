# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs upstream's script as a child: its output is parsed, its arguments are hidden, and it ends when we end."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from ..errors import ConfigurationError
from . import launcher
from .workspace import Workspace

SCRIPT_NAME = "s3_media_upload"
_LAST_LINES = 20
_STDERR_KEPT = 64 * 1024
_SECONDS_TO_STOP = 10
_HIDDEN = "********"
# Read at import: inside Ansible the package is in a zip file of root's, which the worker cannot read later.
_LAUNCHER = (pkgutil.get_data(__package__, "launcher.py") or b"").decode()
# Masking shorter ones would hide harmless text.
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Script:
    """The script and how it is run; arguments that differ between calls are parameters of run_script."""

    path: str
    workspace: Workspace
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    show_progress: bool = False


@dataclass(frozen=True)
class Restrictions:
    """What the launcher restricts the script to. Only `upload` has a plan: the other commands touch no media."""

    root: str
    plan: Path | None = None
    prefix: str = ""
    deleting: bool = False


@dataclass(frozen=True)
class CompletedScript:
    exit_status: int
    last_lines: list[str]
    error_text: str


def default_path() -> str:
    """The path where pip installs the script: beside its Python."""
    return str(Path(sys.executable).parent / SCRIPT_NAME)


def require_script(path: str) -> None:
    if not Path(path).is_file():
        raise ConfigurationError(
            f"Upstream's script is not at {path}. Install synapse-s3-storage-provider into {sys.prefix}, "
            "or set synapse_s3_migrate_script to the script's path."
        )


def run_script(
    script: Script, arguments: Sequence[str], restrictions: Restrictions, on_line: Callable[[str], None]
) -> CompletedScript:
    options = [] if script.show_progress else ["--no-progress"]
    job = {
        "launcher": _LAUNCHER,
        "script": script.path,
        "arguments": [*options, *arguments],
        "root": restrictions.root,
        "plan": str(restrictions.plan) if restrictions.plan else None,
        "prefix": restrictions.prefix,
        "deleting": restrictions.deleting,
    }
    inherited = [] if script.workspace.lock_descriptor is None else [script.workspace.lock_descriptor]
    process = subprocess.Popen(
        # -I: neither the working directory nor PYTHON* variables may put other modules before the script's own.
        [sys.executable, "-I", "-X", "utf8", "-c", launcher.BOOTSTRAP],
        cwd=script.workspace.directory,
        env=dict(script.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=inherited,
        # Ctrl-C must reach only us; we stop the script.
        start_new_session=True,
    )
    try:
        return _follow(process, json.dumps(job), script, on_line)
    except BaseException:
        _stop(process)
        raise


def _follow(
    process: subprocess.Popen[bytes], job: str, script: Script, on_line: Callable[[str], None]
) -> CompletedScript:
    # All three are pipes: run_script sets them.
    stdin, stdout, stderr = (cast("IO[bytes]", pipe) for pipe in (process.stdin, process.stdout, process.stderr))
    errors = _ErrorStream(stderr, show=script.show_progress)
    errors.start()
    # A broken pipe needs no message of its own: the script's last output is reported below.
    with suppress(BrokenPipeError):
        # Not closed here: the script ends when its standard input is closed.
        stdin.write(f"{job}\n".encode())
        stdin.flush()
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    for raw in stdout:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        lines.append(line)
        on_line(line)
    exit_status = process.wait()
    errors.join()
    with suppress(BrokenPipeError):
        stdin.close()
    error_text = _masked(errors.text(), script.secrets)
    last_lines = [*(_masked(line, script.secrets) for line in lines), *error_text.splitlines()[-_LAST_LINES:]]
    return CompletedScript(exit_status, last_lines, error_text)


class _ErrorStream(threading.Thread):
    """Read standard error to its end, keep the end of it, and pass progress bars on to a terminal."""

    def __init__(self, stream: IO[bytes], *, show: bool) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._show = show
        self._kept = bytearray()

    def run(self) -> None:
        while True:
            chunk = os.read(self._stream.fileno(), 4096)
            if not chunk:
                return
            self._kept = (self._kept + chunk)[-_STDERR_KEPT:]
            if self._show:
                sys.stderr.write(chunk.decode("utf-8", "replace"))
                sys.stderr.flush()

    def text(self) -> str:
        lines = self._kept.decode("utf-8", "replace").split("\n")
        # A progress bar overwrites its line; only the last state counts.
        return "\n".join(line.rpartition("\r")[2] for line in lines if line.strip())


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _HIDDEN)
    return text

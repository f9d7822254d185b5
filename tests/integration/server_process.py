# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server as a child process of the tests: started in the foreground, waited for, ended by its process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_TIMEOUT = 60.0


def program(name: str, package: str) -> str:
    """Return the path of a program beside pytest or on PATH; the error names the package that has it."""
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    assert found, f"{name} is missing: install the package {package}, or run these tests in their container (dev/*.sh)"
    return found


class ServerProcess:
    """Its output goes to the file `log`, which is shown if the server does not start."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        stop_timeout: float = 20.0,
        directory: Path | None = None,
    ) -> None:
        """stop() kills the server if it has not ended after `stop_timeout` seconds."""
        self.command = list(command)
        self.log = log
        self._environment = {**os.environ, **(environment or {})}
        self._stop_timeout = stop_timeout
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until(self, ready: Callable[[], bool], what: str, timeout: float = START_TIMEOUT) -> None:
        """Raise AssertionError with the log's end if the process ends, or is not ready in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        name = self.log.stem
        while not ready():
            assert self._process and self._process.poll() is None, f"{name} ended before {what}\n{self._tail()}"
            assert time.monotonic() < deadline, f"{name}: not {what} after {timeout} s\n{self._tail()}"
            time.sleep(0.05)

    def wait_for_port(self, port: int) -> None:
        self.wait_until(lambda: listens(port), f"it listens on port {port}")

    def stop(self) -> None:
        """Stop the server; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No reader of the output ends a run, and each gets all of it, unless it reads nothing while the process is to stop."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process import output
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.output import LenientOutput

PACKAGE = Path(__file__).parents[2] / "plugins" / "module_utils"
LONG = b"0123456789abcdef" * 50_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            # Closed by a test.
            continue


def test_a_closed_pipe_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LenientOutput(writer)
    assert stream.write(b"heard") == 5
    os.close(reader)
    assert stream.write(LONG) == len(LONG)
    assert stream.write(b"x") == 1


def test_a_closed_descriptor_and_a_full_disk_are_no_error(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    assert LenientOutput(pipe[1]).write(b"x") == 1
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - for its descriptor
        assert LenientOutput(full.fileno()).write(b"x") == 1


def test_a_lost_terminal_is_no_error() -> None:
    master, terminal = pty.openpty()
    os.close(master)
    try:
        assert LenientOutput(terminal).write(b"x") == 1
    finally:
        os.close(terminal)


@pytest.mark.parametrize("non_blocking", [False, True])
def test_a_slow_reader_gets_it_all(pipe: tuple[int, int], non_blocking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    if non_blocking:
        fcntl.fcntl(writer, fcntl.F_SETFL, fcntl.fcntl(writer, fcntl.F_GETFL) | os.O_NONBLOCK)
    # Even while the process is to stop.
    monkeypatch.setattr(output, "stop_is_requested", lambda: True)
    read: list[bytes] = []

    def slowly() -> None:
        time.sleep(0.6)
        while len(b"".join(read)) < len(LONG):
            read.append(os.read(reader, 65536))

    thread = threading.Thread(target=slowly)
    thread.start()
    LenientOutput(writer).write(LONG)
    thread.join(20)
    assert b"".join(read) == LONG


def test_a_reader_that_reads_nothing_delays_no_stop(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "stop_is_requested", lambda: True)
    began = time.monotonic()
    LenientOutput(pipe[1]).write(LONG)
    assert time.monotonic() - began < 5


def run(*arguments: str, closed: tuple[int, ...] = (), **streams: Any) -> subprocess.CompletedProcess[bytes]:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    return subprocess.run(
        [sys.executable, "-m", "synapse_media.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.DEVNULL,
        preexec_fn=close,
        timeout=60,
        check=False,
        **streams,
    )


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("--help",), 0), (("offload", "--help"), 0), (("offload", "--nonsense"), 2), (("prepare", "--config", "/x"), 2)],
)
def test_the_exit_status_does_not_depend_on_a_reader(arguments: tuple[str, ...], status: int, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    errors = tmp_path / "errors"
    try:
        with errors.open("wb") as file:
            assert run(*arguments, stdout=writer, stderr=file).returncode == status
        said = errors.read_text()
        assert "Error" not in said.replace("error:", "") and "Exception" not in said, said
        assert run(*arguments, stdout=writer, stderr=writer).returncode == status
    finally:
        os.close(writer)
    for closed in ((1,), (2,), (0, 1, 2)):
        assert run(*arguments, closed=closed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == status


def test_no_file_becomes_standard_output(tmp_path: Path) -> None:
    """With standard output closed, the next file to be opened would get its descriptor."""
    script = (
        "import os, sys; from synapse_media.process.output import leave, use_lenient_output; use_lenient_output();"
        f"file = open({str(tmp_path / 'media')!r}, 'w'); print('output'); print('error', file=sys.stderr);"
        "file.write(str(file.fileno())); file.close(); leave(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        preexec_fn=lambda: os.closerange(0, 3),
        check=False,
    )
    assert done.returncode == 0 and int((tmp_path / "media").read_text()) > 2

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines for systemd's journal: sent whole, and dropped where there is no journal."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process import journal
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.journal import ERROR, Journal


class Listener:
    """Receives what systemd's journal would receive."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def entry(self) -> dict[str, bytes]:
        rest = self.socket.recv(1 << 20)
        fields: dict[str, bytes] = {}
        while rest:
            line, dummy, rest = rest.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                (size,) = struct.unpack("<Q", rest[:8])
                value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
            fields[name.decode()] = value
        return fields


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    running = Listener(tmp_path / "socket")
    yield running
    running.socket.close()


def test_a_line_has_a_name_and_a_priority(listener: Listener) -> None:
    Journal(path=listener.path).write("a\nb: failed ü", ERROR)
    assert listener.entry() == {
        "PRIORITY": b"3",
        "SYSLOG_IDENTIFIER": b"synapse-s3-migrate",
        "MESSAGE": "a\nb: failed ü".encode(),
    }


def test_a_very_long_line_is_cut(listener: Listener) -> None:
    Journal(path=listener.path).write("x" * 1_000_000)
    assert listener.entry()["MESSAGE"] == b"x" * journal._LONGEST


def test_without_a_journal_nothing_fails(tmp_path: Path, listener: Listener) -> None:
    Journal(path=str(tmp_path / "absent")).write("nobody hears this")
    gone = Journal(path=listener.path)
    listener.socket.close()
    gone.write("nor this")
    gone.write("nor that")


def test_a_journal_that_reads_nothing_delays_only_once(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_PATIENCE", 0.1)
    stuck = Journal(path=listener.path)
    began = time.monotonic()
    for dummy in range(10_000):
        stuck.write("nobody reads this")
    assert time.monotonic() - began < 5

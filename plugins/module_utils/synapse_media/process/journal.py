# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines for systemd's journal from a process whose output goes elsewhere, such as a module that Ansible runs."""

from __future__ import annotations

import socket
import struct

SOCKET = "/run/systemd/journal/socket"
# As systemd names the lines of the service and of the command, so that one search finds the runs of all three.
IDENTIFIER = "synapse-s3-migrate"

ERROR = 3
WARNING = 4
INFO = 6

# Bytes. A datagram has a limit, and no line of ours needs more.
_LONGEST = 32 * 1024
# Seconds that a journal which takes nothing may hold up a run, once.
_PATIENCE = 1.0


class Journal:
    """Speaks the journal's own protocol. Where there is no journal, or it takes nothing, every line is dropped."""

    def __init__(self, identifier: str = IDENTIFIER, path: str = SOCKET) -> None:
        self._identifier = identifier
        self._socket: socket.socket | None = None
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(_PATIENCE)
            self._socket.connect(path)
        except OSError:
            self._give_up()

    def write(self, message: str, priority: int = INFO) -> None:
        """`priority` is one of ERROR, WARNING and INFO. Never raises."""
        if self._socket is None:
            return
        text = message.encode("utf-8", "backslashreplace")[:_LONGEST]
        entry = b"".join(
            (
                f"PRIORITY={priority}\nSYSLOG_IDENTIFIER={self._identifier}\n".encode(),
                # With its length in front, because a message may have line breaks.
                b"MESSAGE\n" + struct.pack("<Q", len(text)) + text + b"\n",
            )
        )
        try:
            self._socket.send(entry)
        except OSError:
            self._give_up()

    def close(self) -> None:
        self._give_up()

    def _give_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

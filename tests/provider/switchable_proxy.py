# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TCP proxy in front of a real S3 server that can be made to behave like a network or a store in trouble."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType

from s3_server import free_port

# Connections pass.
PASS = "pass"
# Nothing listens: connections are refused.
REFUSE = "refuse"
# No packet comes back: a connection is never made.
BLACK_HOLE = "black hole"
# Connections are made, and nothing is ever answered.
SILENT = "silent"
# A response of one byte at a time, which never comes to its end.
DRIBBLE = "dribble"
# A response passes at SLOW_RATE bytes a second, on each connection.
SLOW = "slow"
SLOW_RATE = 200_000
# The response is cut off by a reset, or stops without one, after `cut_after` bytes.
RESET = "reset"
STALL = "stall"

_FULL = 64
_BUFFER = 65536


class SwitchableProxy:
    """It listens on a port of its own on loopback; `switch` changes how, and closes all connections."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.cut_after = 0
        self.connections = 0
        self._target = target_port
        self._mode = PASS
        self._listener: socket.socket | None = None
        self._held: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self) -> SwitchableProxy:
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def switch(self, mode: str, cut_after: int = 0) -> None:
        self._close()
        self._mode = mode
        self.cut_after = cut_after
        if mode == BLACK_HOLE:
            self._fill()
        elif mode != REFUSE:
            self._listen()

    def _socket(self, backlog: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(backlog)
        return listener

    def _listen(self) -> None:
        self._listener = self._socket(1024)
        threading.Thread(target=self._accept, args=(self._listener, self._mode), daemon=True).start()

    def _fill(self) -> None:
        """A listener whose queue is full drops what comes, as a firewall does."""
        self._listener = self._socket(0)
        for dummy in range(_FULL):
            client = socket.socket()
            client.setblocking(False)
            self._held.append(client)
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", self.port))
        time.sleep(0.2)

    def _close(self) -> None:
        with self._lock:
            held, self._held = self._held, []
        listener, self._listener = self._listener, None
        for one in [*held, *([listener] if listener else [])]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _hold(self, one: socket.socket) -> None:
        with self._lock:
            self._held.append(one)

    def _accept(self, listener: socket.socket, mode: str) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._hold(client)
            if mode != SILENT:
                threading.Thread(target=self._serve, args=(client, mode), daemon=True).start()

    def _serve(self, client: socket.socket, mode: str) -> None:
        with suppress(OSError):
            if mode == DRIBBLE:
                client.recv(_BUFFER)
                client.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    time.sleep(0.3)
                    client.sendall(b"x")
            server = socket.create_connection(("127.0.0.1", self._target))
            self._hold(server)
            self._pump(client, server, mode)

    def _pump(self, client: socket.socket, server: socket.socket, mode: str) -> None:
        answered = 0
        while True:
            ready = select.select([client, server], [], [])[0]
            if client in ready:
                data = client.recv(_BUFFER)
                if not data:
                    break
                server.sendall(data)
            if server in ready:
                data = server.recv(_BUFFER)
                if not data:
                    break
                if mode in (RESET, STALL) and answered + len(data) > self.cut_after:
                    client.sendall(data[: max(self.cut_after - answered, 0)])
                    # What was sent is to arrive before the reset.
                    time.sleep(0.2)
                    if mode == STALL:
                        return
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                if mode == SLOW:
                    time.sleep(len(data) / SLOW_RATE)
                answered += len(data)
                client.sendall(data)
        client.close()
        server.close()

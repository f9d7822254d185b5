# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP servers of the tests: in a thread, on a free port of loopback."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TypeVar

# Headers of one connection only; http.client and http.server set their own.
HOP_BY_HOP = ("connection", "expect", "keep-alive", "transfer-encoding", "content-length")

T = TypeVar("T", bound="LocalServer")


class Handler(BaseHTTPRequestHandler):
    """Prints no log: the tests count requests instead."""

    def reply(self, status: int, headers: Mapping[str, str], body: bytes, *, only: int | None = None) -> None:
        """Send a response; one to a HEAD request keeps the length of the body that it leaves out.

        `only`: send this many bytes of the body, although its whole length was announced.
        """
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if only is None else body[:only])

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


class LocalServer:
    """Serves while the with statement runs."""

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], server_class: type[ThreadingHTTPServer] = ThreadingHTTPServer
    ) -> None:
        self._server = server_class(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self: T) -> T:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Amazon's own address for an S3 server on loopback: an HTTP proxy with TLS under the requested host name."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType

from ansible_collections.matrix_ops.synapse_s3.tests.shared.certificates import make_certificate

# The host name that boto3 computes for us-east-1.
HOST = "s3.amazonaws.com"


class AwsProxy:
    """Set HTTPS_PROXY to `proxy_url` and ca_bundle to `ca_bundle`; requests to HOST then reach the server."""

    def __init__(self, directory: Path, store_port: int) -> None:
        files = make_certificate(directory, HOST)
        self.ca_bundle = files.certificate
        # The host and port of each CONNECT request.
        self.connect_targets: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.certificate, files.private_key)
        self._store_port = store_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.proxy_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> AwsProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listening.accept()[0]
            except OSError:
                return  # the test has closed it
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.connect_targets.append(head.split()[1].decode())
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            with (
                self._context.wrap_socket(client, server_side=True) as inner,
                socket.create_connection(("127.0.0.1", self._store_port)) as store,
            ):
                back = threading.Thread(target=_pump, args=(store, inner), daemon=True)
                back.start()
                _pump(inner, store)
                back.join()
        except OSError:
            return  # the client has disconnected


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # one side has disconnected

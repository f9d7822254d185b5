# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 server of the benchmarks as a process: its address, its counters, and its objects."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from paths import BUCKET, LOAD, STORE

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class StoredObject(NamedTuple):
    size: int
    etag: str


class Store:
    def __init__(self, port: int, certificate: Path | None) -> None:
        self.port = port
        self.certificate = certificate
        self.endpoint_url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"

    def statistics(self) -> dict[str, Any]:
        """Counters since zero(): requests by kind, and the CPU seconds of the server's whole life."""
        return self._control("statistics")

    def zero(self) -> dict[str, Any]:
        return self._control("zero")

    def clear(self) -> None:
        """Remove all objects except the history's."""
        self._control("clear")

    def delay(self, milliseconds: float) -> None:
        self._control(f"delay?ms={milliseconds}")

    def listing(self, prefix: str = "") -> dict[str, StoredObject]:
        found: dict[str, StoredObject] = {}
        after, more = "", True
        while more:
            path = f"/{BUCKET}?list-type=2&encoding-type=url&prefix={quote(prefix)}&start-after={quote(after)}"
            page = ElementTree.fromstring(self._get(path))  # noqa: S314 our own server's
            for entry in page.iter(f"{NAMESPACE}Contents"):
                after = unquote(entry.findtext(f"{NAMESPACE}Key") or "")
                size, etag = entry.findtext(f"{NAMESPACE}Size"), entry.findtext(f"{NAMESPACE}ETag")
                found[after] = StoredObject(int(size or 0), (etag or "").strip('"'))
            more = page.findtext(f"{NAMESPACE}IsTruncated") == "true"
        return found

    def _control(self, verb: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._get(f"/-/{verb}"))
        return answer

    def _get(self, path: str) -> bytes:
        connection = self._connection()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"The S3 server responded with {answer.status} to {path}: {body[:300]!r}")
        return body

    def _connection(self) -> http.client.HTTPConnection:
        if not self.certificate:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        context = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)


def has_tls() -> bool:
    """Whether the server was built with OpenSSL."""
    return subprocess.run([str(STORE), "--has-tls"], check=False).returncode == 0


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, in `directory`."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def load(store: Store, kind: str, connections: int, count: int, size: int = 19_000) -> dict[str, float]:
    """Send requests of the load generator, with bodies of `size` bytes; return their number, wall and CPU seconds."""
    command = [str(LOAD), str(store.port), BUCKET, kind, str(connections), str(count), str(size)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(said)
    return result


@contextmanager
def running_store(
    *,
    delay_ms: float = 0,
    history: int = 0,
    options: tuple[str, ...] = (),
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Store]:
    """A server on a free port of loopback; it ends with this process in any case."""
    command = [str(STORE), "--bucket", BUCKET, "--delay-ms", str(delay_ms), "--history", str(history), *options]
    if certificate:
        command += ["--certificate", str(certificate[0]), "--key", str(certificate[1])]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("The S3 server did not start; its output is above.")
        yield Store(int(port), certificate[0] if certificate else None)
    finally:
        process.terminate()
        process.wait(10)

# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to one bucket: signed, counted, limited, and tried again until an answer stands."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence

from ...store import StoreSettings
from .address import address_of, proxy_for
from .bandwidth import SHARE, Bandwidth
from .connection import Body, Connection, FilePart
from .credentials import Credentials, Keys
from .descriptors import allow_descriptors
from .faults import ClosedBeforeAnswer, Fault, RequestFailed
from .http_answer import Answer
from .loop import Loop
from .opening import Opener, tls_context
from .reading import Sink
from .retry import PATIENCE, Retries
from .signing import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD, Signer, canonical_query
from .slots import Slots
from .verdict import Verdicts, refuses_keys, wants_fewer

__all__ = ["Answer", "Body", "Client", "FilePart", "RequestFailed", "Sink"]

# Putting the parts of a large file together takes a store longer than any other answer.
_COMPLETION = 5
KINDS = (
    "list",
    "head",
    "put",
    "get",
    "create_multipart",
    "upload_part",
    "complete_multipart",
    "abort_multipart",
)


class Client:
    """Raises ConfigurationError for settings it cannot work with. Timeouts in seconds, the bandwidth in bytes a second.

    ``requests`` counts what was sent, by kind, attempts that failed included.
    """

    def __init__(
        self,
        loop: Loop,
        settings: StoreSettings,
        *,
        concurrency: int,
        bandwidth_limit: int | None = None,
        connect_timeout: float = 10,
        read_timeout: float = 60,
        patience: float = PATIENCE,
    ) -> None:
        self._loop = loop
        self._address = address_of(settings)
        proxy = proxy_for(self._address)
        context = tls_context(settings) if self._address.tls else None
        self._opener = Opener(loop, self._address, proxy, context, connect_timeout)
        self._signer = Signer(self._address.authority, self._address.region)
        self._credentials = Credentials(loop, settings)
        self._verdicts = Verdicts(settings)
        self._retries = Retries(patience)
        self._read_timeout = read_timeout
        self._bandwidth: Bandwidth | None = None
        if bandwidth_limit is not None:
            self._bandwidth = Bandwidth(loop, bandwidth_limit)
            concurrency = min(concurrency, max(1, bandwidth_limit // SHARE))
        self._slots = Slots(loop, concurrency)
        allow_descriptors(concurrency)
        self._idle: list[Connection] = []
        # Over plain HTTP a proxy takes the whole URL in place of the path, and the keys to itself with each request.
        self._target_prefix = ""
        self._proxy_header = ""
        if proxy is not None and not self._address.tls:
            self._target_prefix = f"http://{self._address.authority}"
            if proxy.authorization:
                self._proxy_header = f"proxy-authorization: {proxy.authorization}\r\n"
        self.requests = dict.fromkeys(KINDS, 0)

    @property
    def allowed_in_flight(self) -> int:
        """How many requests may be in flight just now; less than asked for after SlowDown."""
        return self._slots.allowed

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def request(
        self,
        kind: str,
        method: str,
        key: str = "",
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        body: Body = b"",
        make_sink: Callable[[], Sink] | None = None,
        check: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """An answer in the 200s, or 304, 404 or 412; anything else is tried again or raised.

        ``headers`` have their names in lower case. ``make_sink`` is called for each attempt whose answer is in the
        200s, and takes its body. ``check`` looks at such an answer and raises a Fault to have the request tried again.
        Raises StoreError where the run must end, RequestFailed where this request has failed for good.
        """
        encoded_query = canonical_query(query) if query else ""
        path = self._address.path(key)
        attempts = 0
        renewed = False
        while True:
            keys = await self._credentials.keys()
            try:
                answer = await self._attempt(kind, method, path, encoded_query, headers, body, make_sink, keys)
                if self._verdicts.is_passed_on(answer):
                    if check is not None and answer.status < 300:
                        check(answer)
                    self._retries.succeeded()
                    self._slots.succeeded()
                    return answer
                if not renewed and self._credentials.renewable and refuses_keys(answer):
                    renewed = True
                    self._credentials.forget(keys)
                    continue
                fault: Fault = self._verdicts.fault_of(answer, kind, key)
            except ssl.SSLError as error:
                raise self._verdicts.fatal(error, kind, key) from error
            except Fault as error:
                fault = error
            attempts += 1
            self._consider(fault, attempts, kind, key)
            await self._loop.sleep(self._retries.delay(attempts))

    def _consider(self, fault: Fault, attempts: int, kind: str, key: str) -> None:
        """Returns where the request is to be tried again."""
        if wants_fewer(fault):
            self._slots.slow_down()
        if not fault.own and self._retries.is_store_lost(fault, attempts):
            raise self._verdicts.fatal(fault, kind, key) from fault
        if self._retries.is_spent(fault, attempts):
            raise self._verdicts.failed(fault, kind, key) from fault

    async def _attempt(
        self,
        kind: str,
        method: str,
        path: str,
        query: str,
        headers: Sequence[tuple[str, str]],
        body: Body,
        make_sink: Callable[[], Sink] | None,
        keys: Keys,
    ) -> Answer:
        async with self._slots:
            while True:
                connection = self._idle_connection() or await self._new_connection()
                was_used = connection.used
                try:
                    head = self._head(method, path, query, headers, body, keys)
                    self.requests[kind] += 1
                    connection.timeout = self._read_timeout * (_COMPLETION if kind == "complete_multipart" else 1)
                    return await connection.exchange(head, body, method == "HEAD", make_sink)
                except ClosedBeforeAnswer:
                    # The store gave the kept connection up before it saw this request.
                    if not was_used:
                        raise
                finally:
                    if connection.usable:
                        self._idle.append(connection)
                    else:
                        connection.close()

    def _idle_connection(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive():
                return connection
            connection.close()
        return None

    async def _new_connection(self) -> Connection:
        return Connection(self._loop, await self._opener.open(), self._bandwidth)

    def _head(
        self, method: str, path: str, query: str, headers: Sequence[tuple[str, str]], body: Body, keys: Keys
    ) -> bytes:
        if isinstance(body, FilePart):
            length, payload = body.length, UNSIGNED_PAYLOAD
        else:
            length = len(body)
            if not length:
                payload = EMPTY_PAYLOAD
            elif any(name == "content-md5" for name, dummy in headers):
                # The store checks that digest, and a second one would cost more than the whole signature.
                payload = UNSIGNED_PAYLOAD
            else:
                payload = hashlib.sha256(body).hexdigest()
        signed = self._signer.signed_headers(keys, method, path, query, headers, payload)
        target = f"{self._target_prefix}{path}?{query}" if query else self._target_prefix + path
        size = f"content-length: {length}\r\n" if length or method in ("PUT", "POST") else ""
        return f"{method} {target} HTTP/1.1\r\n{signed}{size}{self._proxy_header}\r\n".encode("latin-1")

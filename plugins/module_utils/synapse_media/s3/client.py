# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to one bucket: signed, counted, limited, and retried."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence

from ..errors import ConfigurationError, RequestFailed
from ..event_loop.loop import Loop
from ..settings.store import StoreSettings
from ..version import USER_AGENT
from .adaptive_concurrency import AdaptiveConcurrency
from .address import address_of, proxy_for, tls_context
from .credentials import Credentials, Keys
from .error_classifier import ErrorClassifier, may_be_of_object, refuses_keys
from .errors import RefusedError
from .operations import OPERATIONS, Operation
from .retry import PATIENCE, Decision, OperationHistory, RequestErrors, Retries, retry_after
from .signing import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD, Signer, canonical_query
from .transport.connection import Body, Connection, FilePart
from .transport.connector import Connector
from .transport.errors import ClosedBeforeResponse, RetryableError
from .transport.limits import (
    PATIENCE_WITHOUT,
    SHARE,
    Bandwidth,
    NoDescriptorLeft,
    allow_descriptors,
    left_beside,
    too_few,
)
from .transport.response import Response, Sink

__all__ = ["Body", "Client", "FilePart", "RequestFailed", "Response", "Sink"]

# Bytes a second that a slow line still gives to all connections together; half of a connection's share is the least
# that a request is allowed to move on average.
_SLOWEST_LINE = 32 * 1024
# Seconds until a connection is tried for again where this process has no descriptor left.
_WAIT_FOR_DESCRIPTOR = 0.1


class Client:
    """Raises ConfigurationError for settings it cannot work with. Timeouts in seconds, the bandwidth in bytes a second.

    It sends no other ``operations`` than these. ``requests`` counts what was sent, by operation, attempts that failed
    included.
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
        operations: Sequence[Operation] = OPERATIONS,
    ) -> None:
        self._loop = loop
        self._address = address_of(settings)
        proxy = proxy_for(self._address)
        context = tls_context(settings) if self._address.tls else None
        self._connector = Connector(loop, self._address.host, self._address.port, proxy, context, connect_timeout)
        self._signer = Signer(self._address.authority, self._address.region)
        self._credentials = Credentials(loop, settings)
        self._classifier = ErrorClassifier(settings)
        self._retries = Retries(loop, operations, patience)
        self._read_timeout = read_timeout
        self._bandwidth: Bandwidth | None = None
        if bandwidth_limit is not None:
            self._bandwidth = Bandwidth(loop, bandwidth_limit)
            concurrency = min(concurrency, max(1, bandwidth_limit // SHARE))
        self._wanted = concurrency
        concurrency = allow_descriptors(concurrency)
        self._concurrency = AdaptiveConcurrency(loop, concurrency)
        self._slowest = min(_SLOWEST_LINE, bandwidth_limit or _SLOWEST_LINE) / concurrency / 2
        self._idle: list[Connection] = []
        # Connections, those that are being opened included.
        self._open = 0
        # Over plain HTTP a proxy takes the whole URL in place of the path, and the keys to itself with each request.
        self._target_prefix = ""
        self._last_lines = f"user-agent: {USER_AGENT}\r\n"
        if proxy is not None and not self._address.tls:
            self._target_prefix = f"http://{self._address.authority}"
            if proxy.authorization:
                self._last_lines += f"proxy-authorization: {proxy.authorization}\r\n"
        self.requests = {operation.name: 0 for operation in operations}

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight at most: what was asked for, or less where this host gives no more."""
        return self._concurrency.count

    @property
    def other_descriptors(self) -> int:
        """How many files may be open beside the connections: threads that read need some each."""
        return left_beside(self._concurrency.count)

    @property
    def warnings(self) -> list[str]:
        """Sentences for the operator about what this host does not give; they may change until the run has ended."""
        count = self._concurrency.count
        return [too_few(count, self._wanted)] if count < self._wanted else []

    @property
    def allowed_in_flight(self) -> int:
        """How many requests may be in flight just now; less than asked for after SlowDown."""
        return self._concurrency.allowed

    def close(self) -> None:
        while self._idle:
            self._drop(self._idle.pop())

    async def request(
        self,
        operation: Operation,
        method: str,
        key: str = "",
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        body: Body = b"",
        make_sink: Callable[[], Sink] | None = None,
        check: Callable[[Response], None] | None = None,
        expected: frozenset[str] = frozenset(),
    ) -> Response:
        """Returns a response in the 200s, or 304, 404 or 412; anything else is tried again or raised.

        ``headers`` have their names in lower case. ``make_sink`` is called for each attempt whose response is in the
        200s, and takes its body. ``check`` is given such a response, and raises a RetryableError to have the
        request tried again. A refusal with a code of ``expected`` is returned too.
        Raises StoreError if the run must end, RequestFailed if this request has failed for good.
        """
        encoded_query = canonical_query(query) if query else ""
        path = self._address.path(key)
        history = self._retries.history(operation)
        errors: RequestErrors | None = None
        renewed = waited = False
        try:
            while True:
                if history.restricted and not waited:
                    await history.gate.enter()
                    waited = True
                keys = await self._credentials.keys()
                try:
                    async with self._concurrency:
                        if self._concurrency.pausing:
                            await self._concurrency.paused()
                        if history.restricted and not waited:
                            # Since it began to wait for its turn.
                            continue
                        response = await self._attempt(
                            operation, method, path, encoded_query, headers, body, make_sink, keys
                        )
                    if self._classifier.is_passed_on(response, operation):
                        if check is not None and response.status < 300:
                            check(response)
                        history.successes += 1
                        if history.restricted:
                            history.lift_restriction()
                        if self._concurrency.reduced:
                            self._concurrency.succeeded()
                        return response
                    if expected and RefusedError(response).code in expected:
                        return response
                    if not renewed and refuses_keys(response):
                        renewed = self._credentials.replace(keys, certain=not may_be_of_object(response))
                        if renewed:
                            continue
                    failure: RetryableError = self._classifier.retryable_error(response, operation, key)
                except ssl.SSLError as error:
                    raise self._classifier.fatal(error, operation, key) from error
                except RetryableError as error:
                    failure = error
                if errors is None:
                    errors = RequestErrors(history)
                await self._again(failure, errors, history, operation, key)
        finally:
            if waited:
                history.gate.leave()

    async def _again(
        self, failure: RetryableError, errors: RequestErrors, history: OperationHistory, operation: Operation, key: str
    ) -> None:
        """Returns when the request is to be tried again; raises where it is not."""
        if failure.throttled:
            self._concurrency.slow_down()
        outcome = self._retries.judge(failure, errors, operation, key)
        if outcome is Decision.END_RUN:
            raise self._classifier.lost(failure, operation, key, len(history.failed)) from failure
        if outcome is Decision.FAIL_REQUEST:
            raise self._classifier.failed(failure, operation, key) from failure
        if isinstance(failure, RefusedError) and failure.retry_after:
            self._concurrency.pause(retry_after(failure.retry_after))
        await self._loop.sleep(self._retries.delay(errors.attempts + errors.throttled))

    async def _attempt(
        self,
        operation: Operation,
        method: str,
        path: str,
        query: str,
        headers: Sequence[tuple[str, str]],
        body: Body,
        make_sink: Callable[[], Sink] | None,
        keys: Keys,
    ) -> Response:
        while True:
            connection = self._idle_connection() or await self._new_connection()
            was_used = connection.used
            try:
                head = self._head(method, path, query, headers, body, keys)
                self.requests[operation.name] += 1
                connection.timeout = self._read_timeout * operation.patience
                return await connection.exchange(head, body, method == "HEAD", make_sink)
            except ClosedBeforeResponse:
                # The store gave the kept connection up before it saw this request.
                if not was_used:
                    raise
            finally:
                if connection.usable:
                    self._idle.append(connection)
                else:
                    self._drop(connection)

    def _idle_connection(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive():
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: Connection) -> None:
        self._open -= 1
        connection.close()

    async def _new_connection(self) -> Connection:
        without_since: float | None = None
        while True:
            self._open += 1
            try:
                link = await self._connector.open()
            except NoDescriptorLeft as error:
                self._open -= 1
                self._concurrency.keep_to(self._open)
                without_since = without_since or self._loop.now
                if self._loop.now - without_since > PATIENCE_WITHOUT:
                    raise ConfigurationError(too_few(0, self._wanted)) from error
            except BaseException:
                self._open -= 1
                raise
            else:
                return Connection(self._loop, link, self._bandwidth, self._slowest)
            await self._loop.sleep(_WAIT_FOR_DESCRIPTOR)
            connection = self._idle_connection()
            if connection is not None:
                return connection

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
        return f"{method} {target} HTTP/1.1\r\n{signed}{size}{self._last_lines}\r\n".encode("latin-1")

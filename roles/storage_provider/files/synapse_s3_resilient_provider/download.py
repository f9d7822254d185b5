# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One download: from the request to S3 until its last byte is with the client of Synapse."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from typing import Any

from s3_storage_provider import Responder
from synapse.logging.context import PreserveLoggingContext, make_deferred_yieldable
from twisted.internet import defer

from .body import Body
from .errors import BrokenDownload
from .metrics import FETCHED_BYTES, FETCHES, SECONDS
from .pool import DownloadPool
from .receiver import Receiver, send

logger = logging.getLogger("synapse.s3")

# The official provider reads 16 KiB at a time, and each costs a change of thread.
LARGEST_CHUNK = 512 * 1024
SMALLEST_CHUNK = 64 * 1024
# Seconds: after a faster read a larger one follows, after a slower one a smaller, so that a client need not wait long.
FAST, SLOW = 0.02, 0.2
# Less at first, so that a slow store delivers its first byte in time.
FIRST_CHUNK = 64 * 1024
# Seconds that a thread waits for a client to take more, while half of the threads at most do so. A client has to take
# more than the kernel holds for it to be waited for again.
PATIENCE = 0.05
FAST_CLIENT = 4 * 1024 * 1024
# Seconds that a download keeps its thread while others wait for one. A store that is slower than the clients would
# otherwise let each keep its thread until its last byte, and new downloads would run out of time.
TURN = 0.25
# Seconds after which a client that takes nothing is given up, as in the official provider.
CLIENT_TIMEOUT = 90.0

_buffers = threading.local()


class Download(Responder):  # type: ignore[misc]
    """Passes the body of a response of S3 on to a consumer of Synapse.

    A thread reads, and writes to the client's socket as long as the client is fast. What a slow one does not take, and
    what goes elsewhere, is written by the reactor; it holds no thread meanwhile, and nothing is read until it is
    written. All but _run() runs in the reactor's thread.
    """

    # Set when Synapse stops, so that threads end.
    stopping = False
    # Threads that wait for clients.
    patient = 0

    def __init__(
        self, reactor: Any, pool: DownloadPool, key: str, body: Body, first: bytes, stall_timeout: float
    ) -> None:
        """`first`: what was read of the body already."""
        self._reactor = reactor
        self._pool = pool
        self._key = key
        self._body = body
        self._first = first
        self._stall_timeout = stall_timeout
        self._delivered = 0
        self._chunk = SMALLEST_CHUNK
        self._client_is_fast = True
        self._paused = False
        self._writing = False
        self._running = False
        self._ended = False
        self._receiver: Receiver | None = None
        self._last_read = 0.0
        self._timers: dict[str, Any] = {}
        self._began = time.monotonic()
        self._finished: defer.Deferred[None] = defer.Deferred()

    def write_to_consumer(self, consumer: Any) -> defer.Deferred[None]:
        """See Responder. Fires after the last byte; fails where the download broke."""
        try:
            consumer.registerProducer(self, True)
        except Exception as error:
            self._end(error)
        else:
            self._receiver = Receiver(consumer)
            self._write(self._first)
        return make_deferred_yieldable(self._finished)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        # Also where it was never written to a consumer.
        if not self._ended:
            FETCHES.labels("abandoned").inc()
            if self._receiver is not None:
                self._receiver.remove_part()
            self._release()

    def resumeProducing(self) -> None:
        """See IPushProducer."""
        self._paused = False
        self._stop_timer("client")
        if not self._writing:
            self._go_on()

    def pauseProducing(self) -> None:
        """See IPushProducer."""
        self._paused = True
        self._start_timer("client", CLIENT_TIMEOUT)

    def stopProducing(self) -> None:
        """The client is gone."""
        if not self._ended:
            FETCHES.labels("abandoned").inc()
            self._receiver = None
            self._release()
            self._fail(_stopped())

    def _write(self, chunk: bytes) -> None:
        """Write by the consumer, which may pause and resume meanwhile, and go on."""
        self._writing = True
        try:
            if chunk and self._receiver is not None:
                self._receiver.write(chunk)
        except Exception as error:
            self._end(error)
        finally:
            self._writing = False
        self._delivered += len(chunk)
        self._go_on()

    def _go_on(self) -> None:
        """End where all is delivered, else have a thread read more, unless one does or the consumer takes no more."""
        if self._ended or self._running or self._receiver is None:
            return
        # With the first bytes went the headers, and nothing follows them where they are all that was asked for.
        if self._receiver.takes_headers_alone or (self._body.is_complete and self._delivered >= self._body.received):
            self._end(None)
            return
        if self._paused:
            return
        client = self._receiver.socket()
        patient = client is not None and self._client_is_fast and Download.patient < self._pool.max // 2
        Download.patient += patient
        self._running = True
        self._last_read = time.monotonic()
        self._start_timer("read", self._stall_timeout)
        self._pool.begin(self._run, client, patient)

    def _run(self, client: socket.socket | None, patient: bool) -> None:
        """In a thread of the pool: pass on until the client does not take a chunk at once, or others are due."""
        body, sent, rest, error = self._body, 0, memoryview(b""), None
        turn_ends = time.monotonic() + TURN
        try:
            with client or contextlib.nullcontext():
                while not (rest or self._ended or Download.stopping or body.is_complete):
                    if self._pool.is_wanted and time.monotonic() > turn_ends:
                        break
                    rest = chunk = self._read()
                    if client is not None:
                        rest = send(client, chunk, PATIENCE if patient else 0)
                        sent += len(chunk) - len(rest)
        except Exception as caught:
            error = caught
        # A copy, because the buffer is the next download's.
        self._reactor.callFromThread(self._ran, sent, bytes(rest), error, patient)

    def _read(self) -> memoryview:
        buffer = memoryview(_buffer())[: self._body.next_size(self._chunk)]
        began = time.monotonic()
        count = self._body.read_into(buffer)
        FETCHED_BYTES.inc(count)
        self._last_read = time.monotonic()
        if self._last_read - began > SLOW:
            self._chunk = max(self._chunk // 2, SMALLEST_CHUNK)
        elif self._last_read - began < FAST:
            self._chunk = min(self._chunk * 2, LARGEST_CHUNK)
        return buffer[:count]

    def _ran(self, sent: int, rest: bytes, error: Exception | None, patient: bool) -> None:
        self._running = False
        Download.patient -= patient
        if self._ended:
            self._close()
            return
        self._stop_timer("read")
        self._client_is_fast = not rest or sent >= FAST_CLIENT
        self._delivered += sent
        if self._receiver is not None:
            self._receiver.sent(sent)
        if error is not None:
            self._end(error)
        else:
            self._write(rest)

    def _start_timer(self, name: str, seconds: float) -> None:
        self._stop_timer(name)
        self._timers[name] = self._reactor.callLater(seconds, self._timed_out, name)

    def _stop_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _timed_out(self, name: str) -> None:
        del self._timers[name]
        left = self._last_read + self._stall_timeout - time.monotonic()
        if name == "client":
            self._end(BrokenDownload(f"the client took nothing for {CLIENT_TIMEOUT:g} s"))
        elif left > 0:
            self._start_timer(name, left)
        else:
            self._end(BrokenDownload(f"S3 delivered less than a chunk in {self._stall_timeout:g} s"))

    def _end(self, error: Exception | None) -> None:
        """The request ends, whatever happened: with all bytes, or with a connection that is closed too early."""
        if self._ended:
            return
        receiver, self._receiver = self._receiver, None
        self._release()
        FETCHES.labels("broken" if error else "found").inc()
        SECONDS.labels("download").observe(time.monotonic() - self._began)
        if error:
            logger.error("The download of %s broke off: %s: %s", self._key, type(error).__name__, error)
        if receiver is not None:
            self._end_response(receiver, error)
        if error:
            self._fail(error)
        elif not self._finished.called:
            with PreserveLoggingContext():
                self._finished.callback(None)

    def _end_response(self, receiver: Receiver, error: Exception | None) -> None:
        announced = receiver.announced_length()
        if error:
            receiver.cut()
        elif announced not in (None, self._body.length):
            logger.error(
                "%s has %d bytes in S3 and %d by Synapse's database: the connection is closed after it",
                self._key,
                self._body.length,
                announced,
            )
            # The client would wait for the rest, or take what is too much for the next response.
            receiver.consumer.transport.loseConnection()
        receiver.consumer.unregisterProducer()

    def _fail(self, error: Exception) -> None:
        if not self._finished.called:
            with PreserveLoggingContext():
                self._finished.errback(error)

    def _release(self) -> None:
        self._ended = True
        for name in list(self._timers):
            self._stop_timer(name)
        if self._running:
            # The thread wakes up, and the body is closed when it has ended.
            self._body.interrupt()
        else:
            self._close()

    def _close(self) -> None:
        if not self._body.is_complete:
            self._pool.begin(self._body.close)


def _buffer() -> bytearray:
    """That of this thread, which is used again for all downloads."""
    buffer: bytearray | None = getattr(_buffers, "buffer", None)
    if buffer is None:
        buffer = _buffers.buffer = bytearray(LARGEST_CHUNK)
    return buffer


def _stopped() -> Exception:
    try:
        from synapse.media._base import ConsumerRequestedStopError
    except ImportError:
        # Synapse before 1.127.
        return Exception("The client closed the connection")
    stopped: Exception = ConsumerRequestedStopError("The client closed the connection")
    return stopped

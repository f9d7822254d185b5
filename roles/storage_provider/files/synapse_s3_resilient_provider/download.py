# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One download: from the request to S3 until its last byte is with the client of Synapse."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3_storage_provider import Responder
from synapse.logging.context import PreserveLoggingContext, make_deferred_yieldable
from twisted.internet import defer
from twisted.python.threadpool import ThreadPool

from .errors import BrokenDownload
from .metrics import FETCHED_BYTES, FETCHES, SECONDS

logger = logging.getLogger("synapse.s3")

# The official provider reads 16 KiB at a time; each read costs two changes of thread, so few large ones are cheaper.
CHUNK = 1024 * 1024
# A download that is alone may read this much at a time; all together about so much, and a slow one less.
LARGEST_CHUNK = 8 * CHUNK
ALL_CHUNKS = 32 * CHUNK
SMALLEST_CHUNK = 64 * 1024
# Seconds: after a faster read a larger one follows, after a slower one a smaller, so that a client need not wait long.
FAST, SLOW = 0.02, 0.2
# Less at first, so that a slow store delivers its first byte in time.
FIRST_CHUNK = 64 * 1024
# Chunks that are read before the client has taken the one before: with it, a download holds three at most.
READ_AHEAD = 2
STALLED = "S3 delivered less than a chunk in"
# Seconds after which a client that takes nothing is given up, as in the official provider.
CLIENT_TIMEOUT = 90.0


class Download(Responder):  # type: ignore[misc]
    """Streams the body of a response of S3 to a consumer of Synapse. All but _read() runs in the reactor's thread.

    It takes a thread only while its client is as fast as the store, so that slow clients hold none.
    """

    # How many are on their way to a client. Changed in the reactor's thread alone.
    active = 0

    def __init__(
        self, reactor: Any, pool: ThreadPool, key: str, body: Any, first: bytes, length: int, stall_timeout: float
    ) -> None:
        """`length`: that of the whole object. `first`: what was read of it already."""
        self._reactor = reactor
        self._pool = pool
        self._key = key
        self._body = body
        self._length = length
        self._stall_timeout = stall_timeout
        self._ready: deque[bytes] = deque([first] if first else [])
        # Guards the next three, which threads of the pool change too.
        self._lock = threading.Lock()
        self._received = len(first)
        self._held = len(self._ready)
        self._reading = False
        self._delivered = 0
        self._chunk = CHUNK
        self._counted = False
        self._paused = False
        self._delivering = False
        self._ended = False
        self._consumer: Any = None
        self._timers: dict[str, Any] = {}
        self._began = time.monotonic()
        self._finished: defer.Deferred[None] = defer.Deferred()

    def write_to_consumer(self, consumer: Any) -> defer.Deferred[None]:
        """See Responder. Fires after the last byte; fails where the download broke."""
        self._consumer = consumer
        Download.active += 1
        self._counted = True
        _send_more_at_once(consumer)
        try:
            consumer.registerProducer(self, True)
        except Exception as error:
            self._consumer = None
            self._end(error)
        else:
            self._deliver()
        return make_deferred_yieldable(self._finished)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        # Also where it was never written to a consumer.
        if not self._ended:
            FETCHES.labels("abandoned").inc()
            _remove_part(self._consumer)
            self._release()

    def resumeProducing(self) -> None:
        """See IPushProducer."""
        self._paused = False
        self._stop_timer("client")
        self._deliver()

    def pauseProducing(self) -> None:
        """See IPushProducer."""
        self._paused = True
        self._start_timer("client", CLIENT_TIMEOUT, "the client took nothing for")

    def stopProducing(self) -> None:
        """The client is gone."""
        if not self._ended:
            FETCHES.labels("abandoned").inc()
            self._consumer = None
            self._release()
            self._fail(_stopped())

    def _deliver(self) -> None:
        """Hand on what is there, and read on. A consumer may pause and resume within write()."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._ready and not self._paused and not self._ended:
                chunk = self._ready.popleft()
                self._delivered += len(chunk)
                self._read_on(taken=1)
                self._consumer.write(chunk)
            self._read_on(taken=0)
        except Exception as error:
            self._end(error)
        finally:
            self._delivering = False
        if self._delivered >= self._length:
            self._end(None)

    def _read_on(self, taken: int) -> None:
        """Read more, unless a thread does or enough is there; `taken`: chunks that go to the client now."""
        with self._lock:
            self._held -= taken
            if self._ended or self._reading or self._held >= READ_AHEAD or self._received >= self._length:
                return
            self._reading = True
        self._start_timer("read", self._stall_timeout, STALLED)
        self._pool.callInThread(self._read)

    def _read(self) -> None:
        """In a thread of the pool: read until enough is there."""
        goes_on = True
        while goes_on:
            error: Exception | None = None
            chunk = b""
            began = time.monotonic()
            try:
                chunk = self._body.read(min(self._chunk, self._length - self._received))
                if not chunk:
                    error = BrokenDownload(f"{self._received} of {self._length} bytes arrived")
                elif self._received + len(chunk) >= self._length:
                    # The checksum, where one was asked for, is compared at the end of the body.
                    self._body.read(1)
            except Exception as caught:
                error = caught
            self._choose_chunk(time.monotonic() - began)
            with self._lock:
                self._received += len(chunk)
                self._held += 1
                goes_on = not (error or self._ended or self._held >= READ_AHEAD or self._received >= self._length)
                self._reading = goes_on
                # Before another thread can begin to read, or its chunk could arrive first.
                self._reactor.callFromThread(self._arrived, chunk, error)

    def _choose_chunk(self, seconds: float) -> None:
        if seconds > SLOW:
            self._chunk = max(self._chunk // 2, SMALLEST_CHUNK)
        elif seconds < FAST:
            share = max(ALL_CHUNKS // max(Download.active, 1), CHUNK)
            self._chunk = min(self._chunk * 2, LARGEST_CHUNK, share)

    def _arrived(self, chunk: bytes, error: Exception | None) -> None:
        if self._ended:
            if not self._reading:
                self._close()
            return
        self._stop_timer("read")
        if error is not None:
            self._end(error)
            return
        FETCHED_BYTES.inc(len(chunk))
        if self._reading:
            self._start_timer("read", self._stall_timeout, STALLED)
        self._ready.append(chunk)
        self._deliver()

    def _start_timer(self, name: str, seconds: float, words: str) -> None:
        self._stop_timer(name)
        self._timers[name] = self._reactor.callLater(seconds, self._timed_out, name, f"{words} {seconds:g} s")

    def _stop_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _timed_out(self, name: str, words: str) -> None:
        del self._timers[name]
        self._end(BrokenDownload(words))

    def _end(self, error: Exception | None) -> None:
        """The request ends, whatever happened: with all bytes, or with a connection that is closed too early."""
        if self._ended:
            return
        consumer, self._consumer = self._consumer, None
        self._release()
        announced = None if error else _announced_length(consumer)
        if announced not in (None, self._length):
            logger.error(
                "%s has %d bytes in S3 and %d by Synapse's database: the connection is closed after it",
                self._key,
                self._length,
                announced,
            )
            # The client would wait for the rest, or take what is too much for the next response.
            consumer.transport.loseConnection()
        FETCHES.labels("broken" if error else "found").inc()
        SECONDS.labels("download").observe(time.monotonic() - self._began)
        if error:
            logger.error("The download of %s broke off: %s: %s", self._key, type(error).__name__, error)
            _cut(consumer)
        if consumer is not None:
            consumer.unregisterProducer()
        if error:
            self._fail(error)
        elif not self._finished.called:
            with PreserveLoggingContext():
                self._finished.callback(None)

    def _fail(self, error: Exception) -> None:
        if not self._finished.called:
            with PreserveLoggingContext():
                self._finished.errback(error)

    def _release(self) -> None:
        with self._lock:
            self._ended = True
            Download.active -= int(self._counted)
            self._counted = False
            reading = self._reading
        for name in list(self._timers):
            self._stop_timer(name)
        self._ready.clear()
        if reading:
            # The thread that reads wakes up, and what it hands over closes the body.
            interrupt(self._body)
        else:
            self._close()

    def _close(self) -> None:
        if self._received < self._length:
            # Closing may wait for a lock, or for TLS.
            self._pool.callInThread(close, self._body)


def close(body: Any) -> None:
    """Close the connection of a body that was not read to its end. In a thread."""
    with contextlib.suppress(Exception):
        body.close()


def interrupt(body: Any) -> None:
    """Make a thread that reads from this body fail at once; without effect on one that has been read."""
    raw = getattr(body, "_raw_stream", None)
    connection = getattr(raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    with contextlib.suppress(Exception):
        if sock is not None:
            sock.shutdown(2)


def _send_more_at_once(consumer: Any) -> None:
    """Let Twisted give the kernel a whole chunk in one call; by itself it sends 128 KiB in each turn of the reactor."""
    transport: Any = getattr(getattr(consumer, "wrapped_consumer", consumer), "transport", None)
    if getattr(transport, "SEND_LIMIT", LARGEST_CHUNK) < LARGEST_CHUNK:
        transport.SEND_LIMIT = LARGEST_CHUNK


def _announced_length(consumer: Any) -> int | None:
    """The Content-Length of Synapse's response; None where there is none, or where the object is a part of it."""
    headers = getattr(consumer, "responseHeaders", None)
    values = headers.getRawHeaders(b"content-length") if headers is not None else None
    return int(values[0]) if values else None


def _cut(consumer: Any) -> None:
    """Make the receiver see that the download broke off: a client would wait for the rest of the announced length."""
    request = getattr(consumer, "wrapped_consumer", consumer)
    abort: Callable[[], None] | None = getattr(getattr(request, "transport", None), "abortConnection", None)
    if abort is not None:
        abort()
    _remove_part(consumer)


def _remove_part(consumer: Any) -> None:
    """Remove a file that Synapse was writing this download into, to make a thumbnail of it.

    Synapse would leave it as it is, and from then on serve the part in place of the whole object.
    """
    name = getattr(getattr(consumer, "_file_obj", None), "name", None)
    if isinstance(name, str):
        with contextlib.suppress(OSError):
            Path(name).unlink()


def _stopped() -> Exception:
    try:
        from synapse.media._base import ConsumerRequestedStopError
    except ImportError:
        # Synapse before 1.127.
        return Exception("The client closed the connection")
    stopped: Exception = ConsumerRequestedStopError("The client closed the connection")
    return stopped

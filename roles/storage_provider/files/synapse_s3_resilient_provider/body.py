# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The body of a response of S3, read into buffers that are used again."""

from __future__ import annotations

import contextlib
import http.client
import threading
from typing import Any

from botocore.response import StreamingBody

from .errors import BrokenDownload


class Body:
    """Read by one thread at a time; the others may only interrupt or close it."""

    def __init__(self, body: Any, length: int | None) -> None:
        """`body`: as get_object() returns it. `length`: its bytes; None where the store does not say so before."""
        self.length = length
        self.received = 0
        self._body = body
        self._raw: Any = getattr(body, "_raw_stream", None)
        self._response = self._find_response()
        # A connection that was given back is another download's, and must not be interrupted.
        self._lock = threading.Lock()

    @property
    def is_complete(self) -> bool:
        """Whether the last byte was read."""
        return self.length is not None and self.received >= self.length

    def next_size(self, most: int) -> int:
        """The bytes to read next: as many, or what is left."""
        return most if self.length is None else min(most, self.length - self.received)

    def read_into(self, buffer: memoryview) -> int:
        """The number of bytes that were read, which is 0 only at the end of a body of unknown length.

        Raises BrokenDownload where the body ends too early.
        """
        if self._response is not None:
            count: int = self._response.readinto(buffer)
        else:
            part = self._body.read(len(buffer))
            count = len(part)
            buffer[:count] = part
        if not count:
            if self.length is not None:
                raise BrokenDownload(f"{self.received} of {self.length} bytes arrived")
            self.length = self.received
        self.received += count
        if self.is_complete:
            self.finish()
        return count

    def finish(self) -> None:
        """Give the connection back after the last byte."""
        if self._response is not None:
            with self._lock:
                self._raw.release_conn()
        else:
            # The checksum, where one was asked for, is compared at the end of the body.
            self._body.read(1)

    def close(self) -> None:
        """Close the connection of a body that was not read to its end. It may wait for a lock, or for TLS."""
        with contextlib.suppress(Exception):
            self._body.close()

    def interrupt(self) -> None:
        """Make a thread that reads from this body fail at once; without effect on one that has been read."""
        with self._lock, contextlib.suppress(Exception):
            connection = getattr(self._raw, "_connection", None)
            sock = getattr(connection, "sock", None)
            if sock is not None:
                sock.shutdown(2)

    def _find_response(self) -> Any:
        """The response of Python's http.client, which reads without copies.

        None where botocore or urllib3 do more with the body than to pass it on, or look different from what is known.
        """
        response = getattr(self._raw, "_fp", None)
        passed_on = (
            # Not of the class derived from it that compares a checksum.
            self._body.__class__ is StreamingBody
            and isinstance(response, http.client.HTTPResponse)
            and not response.chunked
            # Known, and not 0.
            and bool(self.length)
            and response.length == self.length
            and hasattr(self._raw, "release_conn")
        )
        return response if passed_on else None

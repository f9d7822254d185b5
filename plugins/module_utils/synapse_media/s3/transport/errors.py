# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong on the way to a server and back. The request may be tried again.

The names are those of botocore's errors where explain.py has words for them, so that it finds those words.
"""

from __future__ import annotations


class RetryableError(Exception):
    """The request may be tried again, up to ``attempts`` times in all."""

    attempts = 8
    # Whether the store was not reached at all, so that every other request fails too.
    unreachable = False
    # Whether it may be caused by the one object, so that it says nothing about the store.
    own = False
    # Whether the store only asks for fewer requests, and will do this one later.
    throttled = False
    # Whether it may be caused by a setting that was sent, so that every other request would fail too.
    of_setting = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.kwargs = {"error": message}


class ConnectTimeoutError(RetryableError):
    """No connection in time."""

    unreachable = True


class EndpointConnectionError(RetryableError):
    """Refused, unknown name, or no way to it."""

    unreachable = True


class ProxyConnectionError(RetryableError):
    """The proxy cannot be reached, or does not let the connection through."""

    unreachable = True


class SSLError(RetryableError):
    """The handshake failed, though not for the certificate."""

    unreachable = True


class ReadTimeoutError(RetryableError):
    """The store stopped taking or sending bytes in the middle of a request."""


class ConnectionClosedError(RetryableError):
    """The connection ended before the response was whole."""


class ClosedBeforeResponse(ConnectionClosedError):
    """It ended without one byte of a response, as a kept connection does that the store has given up meanwhile."""


class ResponseParserError(RetryableError):
    """The response is not HTTP, or its body is not what S3 returns."""

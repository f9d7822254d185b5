# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong with one request. A Fault is tried again; RequestFailed is the end of that request.

The names are those of botocore's errors where store_errors.py has words for them, so that it finds those words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import MediaError
from .response import Answer

_DETAIL = re.compile(rb"<(Code|Message|Region|Endpoint)>([^<]*)</")


class RequestFailed(MediaError):
    """This one request failed for good, and others need not. ``status`` is 0 where no answer came."""

    def __init__(self, message: str, code: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Fault(Exception):
    """Passing trouble: the request may be tried again, up to ``attempts`` times in all."""

    attempts = 8
    # Whether the store was not reached at all, so that every other request suffers too.
    unreachable = False
    # Whether it may be the request's own doing, so that it tells nothing about the store.
    own = False
    # Whether the store only asks for fewer requests, and will do this one later.
    throttled = False
    # Whether it may be a setting that was sent with the request, and so meets every other one as well.
    of_setting = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.kwargs = {"error": message}


class ConnectTimeoutError(Fault):
    """No connection in time."""

    unreachable = True


class EndpointConnectionError(Fault):
    """Refused, unknown name, or no way to it."""

    unreachable = True


class ProxyConnectionError(Fault):
    """The proxy cannot be reached, or does not let the connection through."""

    unreachable = True


class SSLError(Fault):
    """The handshake failed, though not for the certificate."""

    unreachable = True


class ReadTimeoutError(Fault):
    """The store stopped taking or sending bytes in the middle of a request."""


class ConnectionClosedError(Fault):
    """The connection ended before the answer was whole."""


class ClosedBeforeAnswer(ConnectionClosedError):
    """It ended without one byte of an answer, as a kept connection does that the store has given up meanwhile."""


class ResponseParserError(Fault):
    """The answer is not HTTP, or its body is not what S3 answers."""


class DisorderedListing(Fault):
    """A listing whose keys are not in order, or are not what was asked for."""

    attempts = 3
    own = True


class RefusedError(Fault):
    """The store's own no, in the shape that store_errors.py reads."""

    def __init__(self, answer: Answer) -> None:
        details = error_details(answer.body)
        self.code = details.get("Code") or str(answer.status)
        self.status = answer.status
        self.retry_after = answer.headers.get("retry-after")
        self.response: Mapping[str, Any] = {
            "Error": {**details, "Code": self.code},
            "ResponseMetadata": {"HTTPStatusCode": answer.status, "HTTPHeaders": answer.headers},
        }
        super().__init__(f"{self.code}: {details.get('Message', 'no message')}")


class ThrottledError(RefusedError):
    """The store does this later, when fewer requests come. It is waited for in time, not in attempts."""

    throttled = True


class RefusedForGood(RefusedError):
    """Not this request, however often it comes. Others may fare better."""

    attempts = 1


class SettingRefused(RefusedForGood):
    """What was asked for with the request, such as a storage class, is nothing that this store has."""

    of_setting = True


class ObjectRefused(RefusedForGood):
    """For the state or the form of this one object, which says nothing about others."""

    own = True


class BadDigest(RefusedError):
    """The body that arrived is not the one that was announced: damaged on its way, or changed while it was read."""

    attempts = 3
    own = True


def error_details(body: bytes) -> dict[str, str]:
    """Code, Message and Region of an error document; empty where the body is none."""
    if b"<Error" not in body:
        return {}
    return {name.decode(): value.decode("utf-8", "replace") for name, value in _DETAIL.findall(body)}

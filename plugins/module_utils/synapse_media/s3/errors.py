# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a store can refuse or get wrong. Each error says whether and how often the request may be tried again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .transport.errors import RetryableError
from .transport.response import Response

_DETAIL = re.compile(rb"<(Code|Message|Region|Endpoint)>([^<]*)</")


class DisorderedListing(RetryableError):
    """A listing whose keys are not in order, or are not what was asked for."""

    attempts = 3
    own = True


class RefusedError(RetryableError):
    """The store refused the request. In the shape that explain.py reads."""

    def __init__(self, response: Response) -> None:
        details = error_details(response.body)
        self.code = details.get("Code") or str(response.status)
        self.status = response.status
        self.retry_after = response.headers.get("retry-after")
        self.response: Mapping[str, Any] = {
            "Error": {**details, "Code": self.code},
            "ResponseMetadata": {"HTTPStatusCode": response.status, "HTTPHeaders": response.headers},
        }
        super().__init__(f"{self.code}: {details.get('Message', 'no message')}")


class ThrottledError(RefusedError):
    """The store asks for fewer requests. It is retried for a time, not for a number of attempts."""

    throttled = True


class RefusedForGood(RefusedError):
    """Refused for good, so this request is not retried. Others may succeed."""

    attempts = 1


class SettingRefused(RefusedForGood):
    """The store does not have what a setting asks for, such as a storage class."""

    of_setting = True


class ObjectRefused(RefusedForGood):
    """Refused for the state or the name of this one object, which says nothing about others."""

    own = True


class BadDigest(RefusedError):
    """The body does not have the digest that was sent: damaged on its way, or changed while it was read."""

    attempts = 3
    own = True


def error_details(body: bytes) -> dict[str, str]:
    """Code, Message and Region of an error document; empty if the body is none."""
    if b"<Error" not in body:
        return {}
    return {name.decode(): value.decode("utf-8", "replace") for name, value in _DETAIL.findall(body)}

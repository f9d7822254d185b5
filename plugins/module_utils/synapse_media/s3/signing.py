# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWS Signature Version 4 for S3, by hand: botocore's costs more than everything else a request does."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from urllib.parse import quote

from .credentials import Keys

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()
Pairs = Iterable[tuple[str, str]]


def canonical_query(query: Pairs) -> str:
    """The query as it is signed, which is also a correct one to send."""
    encoded = [(quote(name, safe="~"), quote(value, safe="~")) for name, value in query]
    encoded.sort()
    return "&".join([f"{name}={value}" for name, value in encoded])


class Signer:
    """Signs for one host and region."""

    def __init__(self, authority: str, region: str) -> None:
        self._authority = authority
        self._region = region
        self._second = -1
        self._stamp = ""
        self._scope = ""
        self._derived_for: tuple[str, str] | None = None
        self._derived = b""

    def signed_headers(
        self, keys: Keys, method: str, path: str, query: str, headers: Pairs, payload: str, now: float | None = None
    ) -> str:
        """The header lines of a request: those given (names in lower case), and those that the signature adds.

        ``path`` and ``query`` are encoded already; ``payload`` is the body's hexadecimal SHA-256 or UNSIGNED_PAYLOAD.
        """
        self._set_time(time.time() if now is None else now)
        fields = [
            ("host", self._authority),
            ("x-amz-content-sha256", payload),
            ("x-amz-date", self._stamp),
            *headers,
        ]
        if keys.session_token:
            fields.append(("x-amz-security-token", keys.session_token))
        fields.sort()
        names = ";".join([name for name, dummy in fields])
        canonical = "".join([f"{name}:{value}\n" for name, value in fields])
        request = f"{method}\n{path}\n{query}\n{canonical}\n{names}\n{payload}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        message = f"AWS4-HMAC-SHA256\n{self._stamp}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._signing_key(keys.secret_access_key), message.encode(), "sha256").hex()
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
        return (
            f"{lines}authorization: AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{self._scope}, "
            f"SignedHeaders={names}, Signature={signature}\r\n"
        )

    def _set_time(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._scope = f"{self._stamp[:8]}/{self._region}/s3/aws4_request"

    def _signing_key(self, secret: str) -> bytes:
        # It holds for a day and a secret.
        wanted = (self._stamp[:8], secret)
        if wanted != self._derived_for:
            key = f"AWS4{secret}".encode()
            for part in (self._stamp[:8], self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = key
            self._derived_for = wanted
        return self._derived

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the S3 server behind it support SSE-C: rclone and moto accept the headers but store everything unencrypted."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from refusing_proxy import Refusal, RefusingProxy, Request

ALGORITHM = "x-amz-server-side-encryption-customer-algorithm"
DIGEST = "x-amz-server-side-encryption-customer-key-md5"
KEY_NEEDED = Refusal(400, "InvalidRequest")
OTHER_KEY = Refusal(403, "AccessDenied")

_STORES = ("PutObject", "CreateMultipartUpload")
_NEEDS_KEY = ("GetObject", "HeadObject", "UploadPart")


class EncryptingProxy(RefusingProxy):
    """Like AWS and Ceph, an object or part needs the key of its upload. It encrypts nothing.

    With `parts_need_key` false it is like SeaweedFS: parts are accepted with any key, and the start of an upload
    confirms none. With `enforces` false it confirms keys but requires none.
    """

    def __init__(
        self,
        upstream_port: int,
        refusals: Mapping[str, Refusal] | None = None,
        *,
        parts_need_key: bool = True,
        enforces: bool = True,
    ) -> None:
        super().__init__(upstream_port, refusals or {})
        self.digests: dict[str, str | None] = {}
        self._parts_need_key = parts_need_key
        self._enforces = enforces

    def refusal_of(self, request: Request) -> Refusal | None:
        path = urlsplit(request.path).path
        given, needed = request.headers.get(DIGEST), self.digests.get(path)
        checked = request.operation in _NEEDS_KEY and (self._parts_need_key or request.operation != "UploadPart")
        if self._enforces and checked and path in self.digests and given != needed:
            return OTHER_KEY if given and needed else KEY_NEEDED
        return super().refusal_of(request)

    def more_headers(self, request: Request, status: int) -> dict[str, str]:
        if status not in (200, 206) or request.operation not in (*_STORES, *_NEEDS_KEY):
            return {}
        if request.operation in _STORES:
            self.digests[urlsplit(request.path).path] = request.headers.get(DIGEST)
        if request.operation == "CreateMultipartUpload" and not self._parts_need_key:
            return {}
        return {name: request.headers[name] for name in (ALGORITHM, DIGEST) if name in request.headers}

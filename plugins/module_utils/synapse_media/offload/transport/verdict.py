# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer of the store means for the request and for the run."""

from __future__ import annotations

from ...errors import StoreError
from ...store import StoreSettings
from ...store_errors import explain
from .faults import BadDigest, DisorderedListing, Fault, RefusedError, RequestFailed
from .http_answer import Answer

# Asked for by name, so that every caller sees them as an answer.
_PASSED_ON = frozenset({304, 404, 412})
_AGAIN_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_AGAIN_CODES = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "TemporarilyUnavailable",
        "TooManyRequests",
        "IncompleteBody",
    }
)
_SLOWER_CODES = frozenset({"SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded", "503", "429"})
_DIGEST_CODES = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
# These would meet every other request too, so one error is better than one a file.
_FATAL_STATUSES = frozenset({301, 302, 307, 308, 401, 403, 405, 407, 501, 507})
_FATAL_CODES = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "ExpiredTokenException",
        "IllegalLocationConstraintException",
        "InsufficientStorage",
        "InvalidEncryptionAlgorithmError",
        "InvalidRegion",
        "InvalidSSECustomerKey",
        "InvalidStorageClass",
        "InvalidToken",
        "NoSuchBucket",
        "NotImplemented",
        "QuotaExceeded",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "TokenRefreshRequired",
        "XMinioStorageFull",
    }
)
_KEYS_REFUSED = frozenset(
    {
        "AccessDenied",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "TokenRefreshRequired",
    }
)

_DOING = {
    "list": "listing the bucket",
    "head": "asking for {!r}",
    "put": "uploading {!r}",
    "get": "reading {!r} back",
    "create_multipart": "beginning the upload of {!r}",
    "upload_part": "uploading a part of {!r}",
    "complete_multipart": "completing the upload of {!r}",
    "abort_multipart": "aborting the upload of {!r}",
}
_PERMISSIONS = {
    "list": "s3:ListBucket on the bucket",
    "head": "s3:GetObject on its objects and s3:ListBucket on the bucket",
    "get": "s3:GetObject on its objects",
    "abort_multipart": "s3:AbortMultipartUpload on its objects",
}


class Verdicts:
    """Turns answers into Faults, which are tried again, or into the error that ends the request or the run."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    @staticmethod
    def is_passed_on(answer: Answer) -> bool:
        """Whether this answer goes to the caller: done, or one of the refusals that callers ask for."""
        status = answer.status
        return 200 <= status < 300 or (status in _PASSED_ON and b"NoSuchBucket" not in answer.body)

    def fault_of(self, answer: Answer, kind: str, key: str) -> RefusedError:
        """The fault to try again. Raises StoreError where the run ends with it, RequestFailed where only this does."""
        refusal = RefusedError(answer)
        if refusal.code in _DIGEST_CODES:
            return BadDigest(answer)
        if refusal.code in _FATAL_CODES or answer.status in _FATAL_STATUSES:
            raise self.fatal(refusal, kind, key)
        if answer.status in _AGAIN_STATUSES or refusal.code in _AGAIN_CODES:
            return refusal
        raise self.failed(refusal, kind, key)

    def fatal(self, error: Exception, kind: str, key: str) -> StoreError:
        """The end of the run, in an operator's words."""
        doing = _DOING[kind].format(key)
        return explain(
            error,
            self._settings,
            doing,
            permission=_PERMISSIONS.get(kind, "s3:PutObject on its objects"),
        )

    def failed(self, error: Exception, kind: str, key: str) -> RequestFailed:
        """The end of this request, in the same words."""
        if isinstance(error, DisorderedListing):
            return RequestFailed(str(error), type(error).__name__)
        if isinstance(error, BadDigest):
            return RequestFailed(
                f"{_capitalised(_DOING[kind].format(key))} failed: what arrived is not what was announced, as the "
                "file changed meanwhile or the way damages it. It stays on disk; the next run looks at it again.",
                error.code,
                error.status,
            )
        fatal = self.fatal(error, kind, key)
        status = error.status if isinstance(error, RefusedError) else 0
        return RequestFailed(str(fatal), fatal.code, status)


def wants_fewer(fault: Fault) -> bool:
    """Whether the store asks for fewer requests."""
    return isinstance(fault, RefusedError) and fault.code in _SLOWER_CODES


def refuses_keys(answer: Answer) -> bool:
    """Whether newer keys of the same role may be accepted."""
    if answer.status not in (400, 401, 403):
        return False
    # A HEAD's answer has no body that would say why.
    return not answer.body or RefusedError(answer).code in _KEYS_REFUSED


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]

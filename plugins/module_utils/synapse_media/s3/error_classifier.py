# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer of the store means for the request and for the run."""

from __future__ import annotations

from ..errors import StoreError
from ..settings.store import StoreSettings
from .explain import explain
from .reasons import SETTING_CODES, THROTTLING_CODES
from .transport.errors import (
    BadDigest,
    DisorderedListing,
    Fault,
    ObjectRefused,
    RefusedError,
    RefusedForGood,
    RequestFailed,
    SettingRefused,
    ThrottledError,
)
from .transport.response import Answer

# Asked for by name, so that every caller sees them as an answer; a 404 only where there may be nothing.
_PASSED_ON = frozenset({304, 404, 412})
_MAY_BE_MISSING = frozenset({"head", "get", "upload_part", "complete_multipart", "abort_multipart", "list_uploads"})
# Proxies in front of stores have statuses of their own, up to 530; of all from 500 on, these say no for good.
_NO_FOR_GOOD = frozenset({501, 505, 507})
_AGAIN_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "TemporarilyUnavailable",
    }
)
_THROTTLING_STATUSES = frozenset({429, 503})
_DIGEST_CODES = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
# Keys, bucket, clock, region or room: these meet every other request too, so one error is better than one a file.
_FATAL_STATUSES = frozenset({301, 302, 307, 308, 401, 507})
_FATAL_CODES = frozenset(
    {
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "ExpiredTokenException",
        "IllegalLocationConstraintException",
        "InsufficientCapacity",
        "InsufficientStorage",
        "InvalidAccessKey",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidRegion",
        "InvalidSecurity",
        "InvalidSignature",
        "InvalidToken",
        "NoSuchBucket",
        "NotSignedUp",
        "QuotaExceeded",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "XMinioStorageFull",
    }
)
# A listing concerns no single object, so what it is not allowed, nothing else needs to be tried for.
_FATAL_FOR_LIST = frozenset({403, 405, 501})
# The object's own: its storage class, its size, its name, its unfinished upload.
_OBJECT_STATUSES = frozenset({413, 414})
_OBJECT_CODES = frozenset(
    {
        "EntityTooLarge",
        "EntityTooSmall",
        "InvalidObjectName",
        "InvalidObjectState",
        "InvalidPart",
        "InvalidPartOrder",
        "KeyTooLongError",
        "NoSuchUpload",
        "ObjectLocked",
        "XMinioInvalidObjectName",
    }
)
_SETTING_STATUSES = frozenset({405, 501})
# What the operator's settings have added to a request, by its kind.
_CARRIES_STORAGE_CLASS = frozenset({"put", "create_multipart"})
_CARRIES_CUSTOMER_KEY = frozenset({"head", "put", "get", "create_multipart", "upload_part", "complete_multipart"})
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
    "list_uploads": "listing the unfinished uploads",
}
_PERMISSIONS = {
    "list": "s3:ListBucket on the bucket",
    "head": "s3:GetObject on its objects and s3:ListBucket on the bucket",
    "get": "s3:GetObject on its objects",
    "abort_multipart": "s3:AbortMultipartUpload on its objects",
    "list_uploads": "s3:ListBucketMultipartUploads on the bucket",
}


class Verdicts:
    """Turns answers into Faults, which are tried again, or into the error that ends the request or the run."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    @staticmethod
    def is_passed_on(answer: Answer, kind: str) -> bool:
        """Whether this answer goes to the caller: done, or one of the refusals that callers ask for."""
        status = answer.status
        if 200 <= status < 300:
            return True
        if status not in _PASSED_ON or (status == 404 and kind not in _MAY_BE_MISSING):
            return False
        return b"NoSuchBucket" not in answer.body

    def fault_of(self, answer: Answer, kind: str, key: str) -> RefusedError:
        """What this refusal means for the request. Raises StoreError where the run ends with it."""
        refusal = RefusedError(answer)
        # Stores put the service in front: KMS.ThrottlingException.
        code = refusal.code.rpartition(".")[2]
        status = answer.status
        if code in _DIGEST_CODES:
            return BadDigest(answer)
        if code in _FATAL_CODES or status in _FATAL_STATUSES or (kind == "list" and status in _FATAL_FOR_LIST):
            raise self.fatal(refusal, kind, key)
        if code in THROTTLING_CODES or status in _THROTTLING_STATUSES:
            return ThrottledError(answer)
        if status == 408 or (status >= 500 and status not in _NO_FOR_GOOD) or code in _AGAIN_CODES:
            return refusal
        if status in _OBJECT_STATUSES or code in _OBJECT_CODES:
            return ObjectRefused(answer)
        if status in _SETTING_STATUSES or code in SETTING_CODES:
            return SettingRefused(answer)
        return RefusedForGood(answer)

    def lost(self, fault: Fault, kind: str, key: str, in_a_row: int) -> StoreError:
        """The end of the run, after so many objects in a row for which this operation has failed."""
        error = self.fatal(fault, kind, key)
        if in_a_row > 1:
            text = f"{error} This run ends, as the same was refused or failed for {in_a_row} objects in a row."
            return StoreError(text, error.code)
        return error

    def fatal(self, error: Exception, kind: str, key: str) -> StoreError:
        """The end of the run, in an operator's words."""
        doing = _DOING[kind].format(key)
        return explain(
            error,
            self._settings,
            doing,
            permission=_PERMISSIONS.get(kind, "s3:PutObject on its objects"),
            sent=self._sent(kind),
            bodyless=kind == "head",
        )

    def _sent(self, kind: str) -> tuple[str, ...]:
        """Settings of the operator that each request of this kind carries."""
        sent = []
        if kind in _CARRIES_STORAGE_CLASS and self._settings.storage_class != "STANDARD":
            sent.append("storage_class")
        if kind in _CARRIES_CUSTOMER_KEY and self._settings.sse_customer_key:
            sent.append("sse_customer_key")
        return tuple(sent)

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


def refuses_keys(answer: Answer) -> bool:
    """Whether newer keys of the same role may be accepted."""
    if answer.status not in (400, 401, 403):
        return False
    # A HEAD's answer has no body that would say why.
    return not answer.body or RefusedError(answer).code in _KEYS_REFUSED


def may_be_of_object(answer: Answer) -> bool:
    """Whether keys that are good enough for all others may be refused in this way for one object."""
    return not answer.body or RefusedError(answer).code == "AccessDenied"


def status_of_late_error(code: str) -> int:
    """The HTTP status for an error that a store sends in the body of a 200, so that it is judged like any other."""
    name = code.rpartition(".")[2]
    if name in THROTTLING_CODES:
        return 503
    return 500 if name in _AGAIN_CODES else 400


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]

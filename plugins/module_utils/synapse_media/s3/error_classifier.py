# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a response of the store means for the request and for the run: a result, a retry, a failure, or the end."""

from __future__ import annotations

from ..errors import RequestFailed, StoreError
from ..settings.store import StoreSettings
from .errors import (
    BadDigest,
    DisorderedListing,
    ObjectRefused,
    RefusedError,
    RefusedForGood,
    SettingRefused,
    ThrottledError,
)
from .explain import explain
from .operations import HEAD, Operation
from .reasons import SETTING_CODES, THROTTLING_CODES
from .transport.errors import RetryableError
from .transport.response import Response

# Callers handle these themselves; a 404 only where an object may be missing.
_PASSED_ON = frozenset({304, 404, 412})
# Proxies in front of stores use statuses up to 530. Of all from 500 on, only these are permanent.
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
# Keys, bucket, clock, region or quota: every other request would fail too, so the run ends with one error.
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
# If a request for the bucket itself is denied, no other needs to be tried.
_FATAL_FOR_BUCKET = frozenset({403, 405, 501})
# About the one object: its storage class, its size, its name, its unfinished upload.
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


class ErrorClassifier:
    """Turns a response into a RetryableError, or into the error that ends the request or the run."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    @staticmethod
    def is_passed_on(response: Response, operation: Operation) -> bool:
        """Whether this response goes to the caller: a success, or one of the refusals that callers handle."""
        status = response.status
        if 200 <= status < 300:
            return True
        if status not in _PASSED_ON or (status == 404 and not operation.may_be_missing):
            return False
        return b"NoSuchBucket" not in response.body

    def retryable_error(self, response: Response, operation: Operation, key: str) -> RefusedError:
        """What this refusal means for the request. Raises StoreError if the run ends with it."""
        refusal = RefusedError(response)
        # Stores put the service in front: KMS.ThrottlingException.
        code = refusal.code.rpartition(".")[2]
        status = response.status
        if code in _DIGEST_CODES:
            return BadDigest(response)
        if code in _FATAL_CODES or status in _FATAL_STATUSES or (operation.of_bucket and status in _FATAL_FOR_BUCKET):
            raise self.fatal(refusal, operation, key)
        if code in THROTTLING_CODES or status in _THROTTLING_STATUSES:
            return ThrottledError(response)
        if status == 408 or (status >= 500 and status not in _NO_FOR_GOOD) or code in _AGAIN_CODES:
            return refusal
        if status in _OBJECT_STATUSES or code in _OBJECT_CODES:
            return ObjectRefused(response)
        if status in _SETTING_STATUSES or code in SETTING_CODES:
            return SettingRefused(response)
        return RefusedForGood(response)

    def lost(self, failure: RetryableError, operation: Operation, key: str, in_a_row: int) -> StoreError:
        """The end of the run, after so many objects in a row for which this operation has failed."""
        error = self.fatal(failure, operation, key)
        if in_a_row > 1:
            text = f"{error} This run ends, as the same was refused or failed for {in_a_row} objects in a row."
            return StoreError(text, error.code)
        return error

    def fatal(self, error: Exception, operation: Operation, key: str) -> StoreError:
        """The end of the run, in an operator's words."""
        doing = operation.doing.format(key)
        return explain(
            error,
            self._settings,
            doing,
            permission=operation.permission,
            sent=self._sent(operation),
            bodyless=operation is HEAD,
        )

    def _sent(self, operation: Operation) -> tuple[str, ...]:
        """Settings of the operator that each request of this kind carries."""
        sent = []
        if operation.carries_storage_class and self._settings.storage_class != "STANDARD":
            sent.append("storage_class")
        if operation.carries_customer_key and self._settings.sse_customer_key:
            sent.append("sse_customer_key")
        return tuple(sent)

    def failed(self, error: Exception, operation: Operation, key: str) -> RequestFailed:
        """The end of this request, in the same words."""
        if isinstance(error, DisorderedListing):
            return RequestFailed(str(error), type(error).__name__)
        if isinstance(error, BadDigest):
            return RequestFailed(
                f"{_capitalised(operation.doing.format(key))} failed: what arrived is not what was announced, as the "
                "file changed meanwhile or the way damages it. It stays on disk; the next run looks at it again.",
                error.code,
                error.status,
            )
        fatal = self.fatal(error, operation, key)
        status = error.status if isinstance(error, RefusedError) else 0
        return RequestFailed(str(fatal), fatal.code, status)


def refuses_keys(response: Response) -> bool:
    """Whether newer keys of the same role may be accepted."""
    if response.status not in (400, 401, 403):
        return False
    # A HEAD's response has no body that would say why.
    return not response.body or RefusedError(response).code in _KEYS_REFUSED


def may_be_of_object(response: Response) -> bool:
    """Whether keys that are good enough for all others may be refused in this way for one object."""
    return not response.body or RefusedError(response).code == "AccessDenied"


def status_of_late_error(code: str) -> int:
    """The HTTP status for an error that a store sends in the body of a 200, so that it is judged like any other."""
    name = code.rpartition(".")[2]
    if name in THROTTLING_CODES:
        return 503
    return 500 if name in _AGAIN_CODES else 400


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]

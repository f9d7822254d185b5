# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What went wrong with the store, in an operator's words: the cause, then the setting to change."""

from __future__ import annotations

import datetime
import email.utils
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import StoreError
from ..settings.store import StoreSettings
from . import reasons
from .reasons import Reason

LEAST_PRIVILEGE = (
    "s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:AbortMultipartUpload on its objects"
)


def explain(
    error: Exception,
    settings: StoreSettings,
    doing: str,
    *,
    permission: str = LEAST_PRIVILEGE,
    sent: Sequence[str] = (),
    bodyless: bool = False,
) -> StoreError:
    """The error as a sentence: what was being done ("listing the bucket"), why it failed, and what to change.

    ``sent`` names the settings that went with the request and may be what was refused: "storage_class" and
    "sse_customer_key". ``bodyless`` says that the response, one to HEAD, could not hold the store's own code.
    """
    if isinstance(error, StoreError):
        return error
    error = _innermost(error)
    code = error_code(error)
    response = _response(error)
    reason = _reason_without_response(error) if response is None else _reason_of_response(code, response, settings)
    words = {**_words(error, settings), "code": code, "permission": permission}
    # HEAD has no body, so no code but the status.
    if bodyless and code in ("400", "403"):
        reason = reasons.REFUSED_WITHOUT_WORDS
    elif sent and response is not None and _is_of_setting(code, response):
        reason = reasons.SETTING_REFUSED
        words["sent"] = ", and ".join(reasons.SENT[name].format(**words) for name in sent)
    message = words["message"] if response is not None and response.get("Error", {}).get("Message") else ""
    words["code_and_message"] = f"{code}: {message}" if message else code
    text = f"{doing} failed: {reason.cause.format(**words)}. {reason.remedy.format(**words)}"
    return StoreError(text[0].upper() + text[1:], code)


def error_code(error: Exception) -> str:
    """The store's code ("AccessDenied", or the HTTP status), or the exception's name where no response came."""
    error = _innermost(error)
    if isinstance(error, StoreError):
        return error.code
    response = _response(error)
    if response is None:
        return type(error).__name__
    return str(response.get("Error", {}).get("Code") or _status(response))


def response_headers(error: Exception) -> Mapping[str, str]:
    """The headers of the store's response, by their names in lower case."""
    response = _response(_innermost(error)) or {}
    headers: Mapping[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def error_status(error: Exception) -> int:
    """The HTTP status of the store's response; 0 if none came."""
    return _status(_response(_innermost(error)) or {})


def is_refusal(error: Exception) -> bool:
    """Whether the store itself said no, rather than the way to it."""
    return _response(_innermost(error)) is not None


def is_denied(error: Exception) -> bool:
    """Whether the keys are known but not allowed to do this."""
    return error_code(error) in reasons.DENIED_CODES


def clock_skew(date_header: str | None) -> float | None:
    """Seconds by which this host's clock is ahead of the store's; the header counts whole seconds."""
    try:
        theirs = email.utils.parsedate_to_datetime(date_header or "")
    except (TypeError, ValueError):
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=datetime.timezone.utc)
    return (datetime.datetime.now(datetime.timezone.utc) - theirs).total_seconds()


def _innermost(error: Exception) -> Exception:
    # boto3's transfer functions wrap the store's response in an error of their own.
    cause = error.__cause__ or error.__context__
    if type(error).__module__.startswith("boto3.") and isinstance(cause, Exception):
        return cause
    return error


def _response(error: Exception) -> Mapping[str, Any] | None:
    response = getattr(error, "response", None)
    return response if isinstance(response, Mapping) else None


def _status(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _reason_of_response(code: str, response: Mapping[str, Any], settings: StoreSettings) -> Reason:
    # Stores put the service in front: KMS.DisabledException.
    name = code.rpartition(".")[2]
    for codes, reason in reasons.RESPONSES.items():
        if name in codes:
            return reason
    if code in reasons.DENIED_CODES:
        return reasons.DENIED_TO_KEY if settings.access_key_id else reasons.DENIED_TO_ROLE
    if _status(response) == 400 and settings.sse_customer_key:
        return reasons.CUSTOMER_KEY_REFUSED
    return reasons.STORE_AT_FAULT if _status(response) >= 500 else reasons.REFUSED


def _is_of_setting(code: str, response: Mapping[str, Any]) -> bool:
    return code in reasons.SETTING_CODES or (_status(response) in (400, 501) and not _has_reason(code))


def _has_reason(code: str) -> bool:
    return any(code in codes for codes in reasons.RESPONSES)


def _reason_without_response(error: Exception) -> Reason:
    names = {kind.__name__ for kind in type(error).__mro__}
    if "SSLError" in names:
        text = str(error)
        return next(reason for parts, reason in reasons.TLS.items() if any(part in text for part in parts))
    return next(
        (reason for kinds, reason in reasons.NO_RESPONSE.items() if names.intersection(kinds)),
        reasons.UNKNOWN,
    )


def _words(error: Exception, settings: StoreSettings) -> dict[str, str]:
    response = _response(error) or {}
    details = response.get("Error", {})
    headers = response_headers(error)
    right_region = details.get("Region") or headers.get("x-amz-bucket-region")
    return {
        "bucket": settings.bucket,
        "endpoint": settings.endpoint_url or "AWS S3",
        "region": repr(settings.region_name) if settings.region_name else "that boto3 takes by default",
        "right_region": f" ({right_region})" if right_region else "",
        "storage_class": settings.storage_class,
        "skew": _skew_in_words(headers.get("date")),
        "unreachable": _unreachable_in_words(str(getattr(error, "kwargs", {}).get("error", ""))),
        "message": _without_secrets(str(details.get("Message") or "no message") if response else str(error), settings),
    }


def _skew_in_words(date_header: str | None) -> str:
    skew = clock_skew(date_header)
    if skew is None:
        return "too far from"
    return f"{abs(round(skew))} seconds {'ahead of' if skew > 0 else 'behind'}"


def _unreachable_in_words(text: str) -> str:
    if "refused" in text:
        return "the connection is refused"
    if "resolve" in text or "resolution" in text or "not known" in text:
        return "its name does not resolve"
    return "there is no way to it"


def _without_secrets(text: str, settings: StoreSettings) -> str:
    for secret in (settings.secret_access_key, settings.session_token, settings.sse_customer_key):
        if secret:
            text = text.replace(secret, "********")
    return text.strip().rstrip(".")

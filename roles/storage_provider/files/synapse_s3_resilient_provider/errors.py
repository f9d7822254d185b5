# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an exception of boto3 means: whether the store is away, and words for the log without a secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from botocore import exceptions
from synapse.api.errors import Codes, SynapseError

_MISSING = ("404", "NoSuchKey")
_DENIED = ("403", "AccessDenied", "Forbidden")
_THROTTLED = ("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "429")


class FetchTimeout(TimeoutError):
    """No first byte within fetch_timeout."""


class NoThread(Exception):
    """No thread of the pool became free within fetch_timeout, so that the store was not asked."""


class CircuitOpen(Exception):
    """The store failed repeatedly and is not asked for some seconds."""


class BrokenDownload(Exception):
    """A download that ended before its last byte."""


# The reason for each kind of error, and whether the store was away. The first that fits counts.
_REASONS: tuple[tuple[str, bool, tuple[type[BaseException], ...]], ...] = (
    ("circuit_open", True, (CircuitOpen,)),
    (
        "credentials",
        True,
        (
            exceptions.CredentialRetrievalError,
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.MetadataRetrievalError,
        ),
    ),
    ("timeout", True, (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError)),
    ("broken", True, (BrokenDownload, exceptions.IncompleteReadError, exceptions.ChecksumError)),
    ("no_file", False, (FileNotFoundError,)),
    ("no_thread", False, (NoThread,)),
    ("connection", True, (exceptions.ConnectionError, exceptions.HTTPClientError, OSError)),
)


# Reasons that are this host's, and tell nothing about the store.
_OF_THIS_HOST = ("no_file", "no_thread")


@dataclass(frozen=True)
class Problem:
    """`reason`: one word for the metrics. `away`: the store did not answer, or could not work. `words`: for the log."""

    reason: str
    away: bool
    words: str

    @property
    def is_of_the_store(self) -> bool:
        return self.reason not in _OF_THIS_HOST

    def for_client(self) -> SynapseError:
        """What Synapse answers the request with; the log has the details."""
        if self.away or self.reason == "no_thread":
            return SynapseError(503, "The media store is not available at the moment", Codes.UNKNOWN)
        return SynapseError(502, "The media store refused the request", Codes.UNKNOWN)


def is_missing(error: BaseException) -> bool:
    """Whether the store says that there is no such object; the bucket itself does not count."""
    return isinstance(error, exceptions.ClientError) and _code(error) in _MISSING


def problem_of(error: BaseException, secrets: list[str]) -> Problem:
    """Explains an exception of a request to S3."""
    # boto3's upload raises an error of its own that only quotes the real one.
    causes = list(_causes(error))
    refusal = next((cause for cause in causes if isinstance(cause, exceptions.ClientError)), None)
    words = _without(f"{type(causes[-1] if refusal is None else refusal).__name__}: {refusal or error}", secrets)
    if refusal is not None:
        return _refusal(refusal, words)
    for reason, away, kinds in _REASONS:
        if any(isinstance(cause, kinds) for cause in causes):
            return Problem(reason, away, words)
    return Problem("other", False, words)


def _refusal(error: exceptions.ClientError, words: str) -> Problem:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        return Problem("throttled", True, words)
    if status >= 500:
        return Problem("store_error", True, words)
    if code in _DENIED:
        hint = "If the object is missing: AWS answers 403 in place of 404 to keys that lack s3:ListBucket"
        return Problem("denied", False, f"{words}. {hint}")
    return Problem("refused", False, words)


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    seen = 0
    while found is not None and seen < 10:
        yield found
        found = found.__cause__ or found.__context__
        seen += 1


def _without(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "********")
    return " ".join(text.split())

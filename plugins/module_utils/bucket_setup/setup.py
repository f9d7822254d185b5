# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a bucket, and sets each part of it that is not as wanted."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
from typing import Any

from ..synapse_media.errors import StoreError
from ..synapse_media.s3.boto.client import CLIENT_EXCEPTIONS
from ..synapse_media.s3.boto.trial_objects import put_object, remove_object, unique_key
from ..synapse_media.s3.explain import error_code, error_status, explain, is_denied, is_refusal
from ..synapse_media.settings.store import StoreSettings
from .parts import PARTS, Part, State
from .wanted import Wanted

_ABSENT = ("NoSuchBucket", "404")
# The one region of AWS that is not to be named when a bucket is made in it.
_FIRST_REGION = "us-east-1"


@dataclasses.dataclass
class Outcome:
    """What was found and done. `before` and `after` have a value for each part that the store has."""

    existed: bool = True
    changed: bool = False
    before: dict[str, Any] = dataclasses.field(default_factory=dict)
    after: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: By the names of the parts: what the store answered, where it lacks what was left to the default.
    lacking: dict[str, str] = dataclasses.field(default_factory=dict)


class Lacking(StoreError):
    """The store does not have a part, or does not keep what it is told; `summary` says so in one sentence."""

    def __init__(self, message: str, code: str, summary: str) -> None:
        super().__init__(message, code)
        self.summary = summary


def send_md5(client: Any) -> None:
    """Sends the MD5 of each body: some stores want it where newer releases of botocore send a CRC32 instead."""
    client.meta.events.register("before-call.s3", _add_md5)


def _add_md5(params: dict[str, Any], **_others: Any) -> None:
    body = params.get("body")
    if isinstance(body, (bytes, bytearray)) and body:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        params["headers"].setdefault("Content-MD5", base64.b64encode(digest).decode())


def bucket_exists(client: Any, settings: StoreSettings) -> bool:
    """Raises StoreError if the store cannot be asked, or the bucket belongs to somebody else."""
    try:
        client.list_objects_v2(Bucket=settings.bucket, MaxKeys=1)
    except CLIENT_EXCEPTIONS as error:
        if error_code(error) in _ABSENT:
            return False
        raise explain(
            error,
            settings,
            f"looking for the bucket {settings.bucket!r}",
            permission="s3:ListBucket (or choose another name: AWS refuses as well where it is somebody else's bucket)",
        ) from error
    return True


def set_up(client: Any, settings: StoreSettings, wanted: Wanted, *, check_mode: bool) -> Outcome:
    """Makes the bucket if it is absent, and each part as wanted; in check mode only says what would be done.

    Raises StoreError at the first part that was asked for and that the store lacks or the keys may not set; parts that
    come after it stay as they were, and another run goes on there.
    """
    outcome = Outcome(existed=bucket_exists(client, settings))
    state = State(client, settings.bucket, settings.prefix, wanted, settings.endpoint_url is None, outcome.existed)
    if not outcome.existed:
        outcome.changed = True
        if not check_mode:
            _create(client, settings)
    for part in PARTS:
        if part.only_if_asked_for and not part.is_asked_for(wanted):
            continue
        # A bucket that check mode did not make can only be predicted.
        predict = check_mode and not outcome.existed
        try:
            _set_part(part, state, settings, outcome, check_mode=check_mode, predict=predict)
        except Lacking as error:
            if part.is_asked_for(wanted):
                raise
            if part.target(state, None) is not None:
                outcome.lacking[part.name] = error.summary
    return outcome


def is_public(unsigned_client: Any, settings: StoreSettings) -> bool:
    """Whether anyone may list the bucket, without keys."""
    try:
        unsigned_client.list_objects_v2(Bucket=settings.bucket, MaxKeys=1)
    except CLIENT_EXCEPTIONS:
        return False
    return True


def _create(client: Any, settings: StoreSettings) -> None:
    arguments: dict[str, Any] = {"Bucket": settings.bucket}
    # Other stores have their own words for it, and one region an endpoint.
    if settings.endpoint_url is None and settings.region_name not in (None, _FIRST_REGION):
        arguments["CreateBucketConfiguration"] = {"LocationConstraint": settings.region_name}
    try:
        client.create_bucket(**arguments)
    except CLIENT_EXCEPTIONS as error:
        raise explain(
            error, settings, f"creating the bucket {settings.bucket!r}", permission="s3:CreateBucket"
        ) from error


def _set_part(
    part: Part, state: State, settings: StoreSettings, outcome: Outcome, *, check_mode: bool, predict: bool
) -> None:
    current = None if predict else _ask(part, state, settings)
    target = part.target(state, copy.deepcopy(current))
    state.values[part.name] = current
    outcome.before[part.name] = outcome.after[part.name] = part.shown(current)
    if part.is_equal(current, target):
        return
    if not check_mode:
        worked = part.may_stop_uploads and _refusal_to_upload(state.client, settings) is None
        _write(part, state, settings, target)
        refusal = _refusal_to_upload(state.client, settings) if worked else None
        if refusal is not None:
            _take_back(part, state, settings, current, refusal)
    outcome.changed = True
    state.values[part.name] = target
    outcome.after[part.name] = part.shown(target)


def _ask(part: Part, state: State, settings: StoreSettings) -> Any:
    try:
        return part.read(state)
    except CLIENT_EXCEPTIONS as error:
        raise _refusal(error, part, settings, f"reading {part.title} of the bucket {settings.bucket!r}") from error


def _write(part: Part, state: State, settings: StoreSettings, target: Any) -> None:
    doing = f"setting {part.title} of the bucket {settings.bucket!r}"
    try:
        part.write(state, target)
    except CLIENT_EXCEPTIONS as error:
        raise _refusal(error, part, settings, doing) from error
    if not part.is_equal(_ask(part, state, settings), target):
        text = f"{_store(settings)} accepts {part.title} and does not keep it."
        raise Lacking(f"{text} Leave it out of the options.", "NotKept", text)


def _refusal(error: Exception, part: Part, settings: StoreSettings, doing: str) -> StoreError:
    told = explain(error, settings, doing, permission=f"{part.permissions} on the bucket")
    status = error_status(error)
    answered = is_refusal(error) and not is_denied(error) and error_code(error) not in _ABSENT
    if answered and (status == 501 or (400 <= status < 500 and status not in (401, 403, 429))):
        return Lacking(str(told), told.code, f"{_store(settings)} does not take {part.title} ({told.code}).")
    return told


def _store(settings: StoreSettings) -> str:
    return settings.endpoint_url or "AWS S3"


def _refusal_to_upload(client: Any, settings: StoreSettings) -> StoreError | None:
    """What the store says to an upload of a few bytes, of which nothing is left."""
    key = unique_key(settings)
    try:
        stored = put_object(client, settings, key, b"test")
        remove_object(client, settings, key, stored.get("VersionId"))
    except CLIENT_EXCEPTIONS as error:
        return explain(error, settings, f"an upload to the bucket {settings.bucket!r}")
    return None


def _take_back(part: Part, state: State, settings: StoreSettings, before: Any, refusal: StoreError) -> None:
    """Some stores take a setting and refuse every upload from then on. Raises Lacking once it is as before."""
    _write(part, state, settings, before)
    text = f"{_store(settings)} refuses uploads with {part.title}, which was taken back therefore ({refusal.code})."
    raise Lacking(f"{text} Leave it out of the options, or mend the store.", refusal.code, text)

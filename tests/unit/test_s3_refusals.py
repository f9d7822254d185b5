# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A refusal of one object fails that object only; a refusal of every object ends the run soon, with a message."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    MediaError,
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3 import retry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.error_classifier import (
    status_of_late_error,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import (
    Digest,
    MultipartUpload,
)
from s3_client import md5, put, with_s3
from scripted_store import Reply, Request, ScriptedStore, answer, done, error, scripted_store

PAGE = answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
HERE = answer(200, b"", 'ETag: "e"')


@pytest.fixture(autouse=True)
def quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.001)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def put_each(s3: Bucket, loop: Loop, keys: list[str]) -> dict[str, MediaError | None]:
    """Upload all at once; stop at the first StoreError, as a run does."""
    outcomes: dict[str, MediaError | None] = {}

    async def one(key: str) -> None:
        try:
            await s3.put(key, b"x", Digest(md5(b"x")))
        except RequestFailed as failure:
            outcomes[key] = failure
        else:
            outcomes[key] = None

    for task in [loop.start(one(key)) for key in keys]:
        await task
    return outcomes


def run(store: ScriptedStore, keys: list[str], concurrency: int = 4, **settings: str) -> dict[str, MediaError | None]:
    async def main(s3: Bucket, client: Client, loop: Loop) -> dict[str, MediaError | None]:
        return await put_each(s3, loop, keys)

    return with_s3(store.settings(**settings), main, concurrency=concurrency)


def names(count: int) -> list[str]:
    return [f"k{number:04}" for number in range(count)]


def refusing(refusal: Reply, is_refused: Callable[[str], bool]) -> Callable[[Request], Reply]:
    return lambda request: refusal if is_refused(request.target) else done()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (error(403, "InvalidObjectState"), "the object is in an archive"),
        (error(403, "AccessDenied"), "not allowed to .*AccessDenied: words of the store.*s3:PutObject"),
        (error(400, "KMS.DisabledException"), "KMS key .* cannot be used .*kms:Decrypt"),
        (error(400, "InvalidRequest"), "InvalidRequest: words of the store"),
        (error(409, "SomethingNew"), "SomethingNew"),
        (answer(403), "not allowed"),
        (error(404, "NoSuchKey"), "not in the bucket"),
    ],
)
def test_a_refused_object_fails_alone(refusal: bytes, words: str) -> None:
    with scripted_store(done()) as store:
        store.choose(refusing(refusal, lambda target: target.endswith("k0003")))
        outcomes = run(store, names(40), concurrency=1)
    assert [key for key, error in outcomes.items() if error] == ["k0003"]
    failure = outcomes["k0003"]
    assert isinstance(failure, RequestFailed) and failure.status in (400, 403, 404, 409)
    with pytest.raises(RequestFailed, match=words):
        raise failure
    assert len(store.requests) == 40


@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize("refusal", [error(403, "AccessDenied"), answer(403), error(409, "SomethingNew")])
def test_a_refusal_of_every_object_ends_the_run(refusal: bytes, concurrency: int) -> None:
    with (
        scripted_store(refusal) as store,
        pytest.raises(StoreError, match=r"^Uploading .* \d+ objects in a row") as ended,
    ):
        run(store, names(500), concurrency=concurrency)
    # Of many that are refused at the same time, any may be the one that is reported.
    counted = re.search(r"(\d+) objects in a row", str(ended.value))
    assert counted and 21 <= int(counted[1]) < 21 + concurrency
    assert 21 <= len(store.requests) <= 21 + 2 * concurrency
    assert "the-secret" not in str(ended.value)


def test_a_success_resets_the_count_of_refusals() -> None:
    def choose(request: Request) -> Reply:
        return done() if request.target.endswith("0") else error(403, "AccessDenied")

    with scripted_store(done()) as store:
        store.choose(choose)
        outcomes = run(store, names(200), concurrency=1)
    assert sum(error is not None for error in outcomes.values()) == 180


def test_fewer_objects_than_the_limit_all_fail_with_the_remedy() -> None:
    with scripted_store(error(403, "AccessDenied")) as store:
        outcomes = run(store, names(20))
    assert all("s3:PutObject" in str(error) for error in outcomes.values())
    assert len(outcomes) == len(store.requests) == 20


def test_archived_objects_never_end_a_run() -> None:
    with scripted_store(error(403, "InvalidObjectState")) as store:
        assert len(run(store, names(100))) == 100


def test_the_parts_of_one_upload_count_once() -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> int:
        failed = 0
        for number in range(50):
            try:
                await s3.upload_part("a", MultipartUpload("id", False, ""), number + 1, b"x", Digest(md5(b"x")))
            except RequestFailed:
                failed += 1
        return failed

    with scripted_store(error(403, "AccessDenied")) as store:
        assert with_s3(store.settings(), main) == 50


def test_each_operation_has_its_own_count() -> None:
    """Successful listings and HEAD requests say nothing about PUT requests."""

    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        for key in names(60):
            await s3.list_page("")
            await s3.head(key)
            with pytest.raises(RequestFailed):
                await s3.put(key, b"x", Digest(md5(b"x")))

    def choose(request: Request) -> Reply:
        return {"GET": PAGE, "HEAD": HERE, "PUT": error(403, "AccessDenied")}[request.method]

    with scripted_store(done()) as store:
        store.choose(choose)
        with pytest.raises(StoreError, match="s3:PutObject"):
            with_s3(store.settings(), main)
        assert [request.method for request in store.requests].count("PUT") == 21


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_head_has_no_error_document(status: int) -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        for key in names(60):
            with pytest.raises(RequestFailed, match=rf"HTTP {status}.*s3:GetObject.*synapse_s3_sse_customer_key"):
                await s3.head(key)

    with scripted_store(answer(status)) as store:
        with pytest.raises(StoreError, match=r"21 objects in a row"):
            with_s3(store.settings(), main)
        assert len(store.requests) == 21


@pytest.mark.parametrize("refusal", [error(403, "AccessDenied"), answer(403), error(501, "NotImplemented")])
def test_a_refused_listing_ends_the_run_at_once(refusal: bytes) -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        await s3.list_page("")

    with scripted_store(refusal) as store, pytest.raises(StoreError, match=r"^Listing the bucket failed"):
        with_s3(store.settings(), main)
    assert len(store.requests) == 1


CUSTOMER_KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("refusal", "settings", "words"),
    [
        (error(400, "InvalidArgument"), {"storage_class": "ONEZONE_IA"}, "synapse_s3_storage_class is ONEZONE_IA"),
        (error(400, "InvalidStorageClass"), {"storage_class": "ONEZONE_IA"}, "synapse_s3_storage_class is ONEZONE_IA"),
        (error(400, "InvalidStorageClass"), {}, "synapse_s3_storage_class"),
        (error(400, "InvalidRequest"), {"sse_customer_key": CUSTOMER_KEY}, "synapse_s3_sse_customer_key is set.*https"),
        (error(501, "NotImplemented"), {"sse_customer_key": CUSTOMER_KEY}, "synapse_s3_sse_customer_key is set"),
        (error(501, "NotImplemented"), {}, "does not offer this operation"),
        (answer(405), {}, "does not offer this operation"),
    ],
)
def test_a_setting_that_the_server_refuses_ends_the_run_after_a_few(
    refusal: bytes, settings: dict[str, str], words: str
) -> None:
    with scripted_store(refusal) as store, pytest.raises(StoreError, match=words) as ended:
        run(store, names(1500), concurrency=8, **settings)
    assert 6 <= len(store.requests) <= 6 + 2 * 8
    assert CUSTOMER_KEY not in str(ended.value)


def test_one_object_refused_for_a_setting_gives_the_same_message() -> None:
    with (
        scripted_store(error(400, "InvalidArgument")) as store,
        pytest.raises(RequestFailed, match="synapse_s3_storage_class is STANDARD_IA"),
    ):
        put(store.settings(storage_class="STANDARD_IA"))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503),
        ("SlowDownWrite", 503),
        ("KMS.ThrottlingException", 503),
        ("ServiceUnavailable", 503),
        ("InternalError", 500),
        ("OperationAborted", 500),
        ("RequestTimeout", 500),
        ("InvalidPart", 400),
        ("AccessDenied", 400),
        ("", 400),
    ],
)
def test_error_documents_in_a_200_response(code: str, status: int) -> None:
    assert status_of_late_error(code) == status

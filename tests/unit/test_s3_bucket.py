# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The S3 operations: their requests, and how their responses are read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3 import retry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.documents import (
    Listed,
    UnfinishedUpload,
    UploadsPage,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import (
    Digest,
    MultipartUpload,
    ObjectInfo,
)
from s3_client import md5, with_s3
from scripted_store import Request, answer, cut_after, done, error, reset_after, scripted_store

CUSTOMER_KEY = "0123456789abcdef0123456789abcdef"
SSE = "x-amz-server-side-encryption-customer-"


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.001)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def ask(store: Any, question: Callable[[Bucket], Coroutine[Any, Any, Any]], **others: str) -> Any:
    async def main(s3: Bucket, client: Client, loop: Loop) -> Any:
        return await question(s3)

    return with_s3(store.settings(**others), main)


def query_of(request: Request) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs(urlsplit(request.target).query, keep_blank_values=True).items()
    }


def listing(*keys: str, truncated: bool = False) -> bytes:
    entries = "".join(
        f"<Contents><Key>{quote_plus(key)}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>" for key in keys
    )
    return answer(
        200,
        (
            f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{str(truncated).lower()}</IsTruncated>"
            f"{entries}</ListBucketResult>"
        ).encode(),
    )


def listed(*keys: str) -> list[Listed]:
    return [Listed(key, 1, "e") for key in keys]


def test_a_page_is_requested_under_the_prefix() -> None:
    with scripted_store(listing("p/b c", "p/d+e", truncated=True)) as store:
        page = ask(store, lambda s3: s3.list_page("p/a ü+", 7), prefix="p/")
    assert page == (listed("p/b c", "p/d+e"), True)
    assert store.requests[0].target.startswith("/media?")
    assert query_of(store.requests[0]) == {
        "list-type": "2",
        "max-keys": "7",
        "prefix": "p/",
        "encoding-type": "url",
        "start-after": "p/a ü+",
    }


def test_the_order_is_that_of_utf_8() -> None:
    keys = ("a", "a-", "a/", "a0", "é", "\uffff", "\U00010000")
    with scripted_store(listing(*keys)) as store:
        assert ask(store, lambda s3: s3.list_page("")).objects == listed(*keys)


def test_repeated_keys_are_dropped() -> None:
    with scripted_store(listing("a", "b", "b", "c", "c")) as store:
        assert ask(store, lambda s3: s3.list_page("a")).objects == listed("b", "c")


@pytest.mark.parametrize("keys", [("b", "d", "c"), ("0", "b"), ("b", "c", "b")])
def test_unsorted_keys_are_requested_again_and_then_refused(keys: tuple[str, ...]) -> None:
    with scripted_store(listing(*keys), listing("b", "c")) as store:
        assert ask(store, lambda s3: s3.list_page("a")).objects == listed("b", "c")
    with scripted_store(listing(*keys)) as store, pytest.raises(RequestFailed, match="not list its keys in order"):
        ask(store, lambda s3: s3.list_page("a"))


def test_keys_of_another_prefix_are_refused() -> None:
    with scripted_store(listing("p/a", "q/b")) as store, pytest.raises(RequestFailed, match="under the prefix 'p/'"):
        ask(store, lambda s3: s3.list_page(""), prefix="p/")


def test_a_truncated_page_is_requested_again() -> None:
    whole = listing("a", "b")
    body = whole.partition(b"\r\n\r\n")[2]
    with scripted_store(answer(200, body[:-20]), answer(200, b"<html>"), cut_after(whole[:-9]), whole) as store:
        assert ask(store, lambda s3: s3.list_page("")).objects == listed("a", "b")


def test_a_page_without_progress_is_refused() -> None:
    with scripted_store(listing("a", truncated=True), listing("b")) as store:
        assert ask(store, lambda s3: s3.list_page("a")) == (listed("b"), False)


@pytest.mark.parametrize("reply", [answer(404, b"not found"), answer(200, b"<html>welcome</html>")])
def test_a_server_that_is_not_s3_ends_the_run(reply: bytes) -> None:
    with scripted_store(reply) as store, pytest.raises(StoreError, match="not as an S3 store does"):
        ask(store, lambda s3: s3.list_page(""))


def test_head() -> None:
    reply = b'HTTP/1.1 200 OK\r\nContent-Length: 42\r\nETag: "abc-2"\r\n'
    with scripted_store(reply + b"\r\n", b"HTTP/1.1 404 Not Found\r\nContent-Length: 90\r\n\r\n") as store:

        async def twice(s3: Bucket) -> tuple[ObjectInfo | None, ObjectInfo | None]:
            return await s3.head("a"), await s3.head("b")

        assert ask(store, twice) == (ObjectInfo(42, "abc-2", False, {}), None)
    assert store.requests[0].headers["x-amz-checksum-mode"] == "ENABLED"
    assert [request.connection for request in store.requests] == [1, 1]


@pytest.mark.parametrize(
    ("headers", "encrypted", "checksums"),
    [
        (["x-amz-checksum-sha256: YWJj"], False, {"sha256": "YWJj"}),
        (["X-Amz-Checksum-SHA256: YWJj", "x-amz-checksum-type: FULL_OBJECT"], False, {"sha256": "YWJj"}),
        (["x-amz-checksum-sha256: YWJj-3"], False, {}),
        (["x-amz-checksum-sha256: YWJj", "x-amz-checksum-type: COMPOSITE"], False, {}),
        (
            ["x-amz-checksum-crc32: AAAA", "x-amz-checksum-crc64nvme: BBBB", "x-amz-checksum-type: FULL_OBJECT"],
            False,
            {"crc32": "AAAA", "crc64nvme": "BBBB"},
        ),
        # Some servers return whatever checksum was sent with the upload.
        (["x-amz-checksum-crc32: AAAA"], False, {}),
        ([SSE + "algorithm: AES256"], True, {}),
        (["x-amz-server-side-encryption: aws:kms"], True, {}),
        (["x-amz-server-side-encryption: AES256"], False, {}),
    ],
)
def test_what_proves_an_object(headers: list[str], encrypted: bool, checksums: dict[str, str]) -> None:
    with scripted_store(answer(200, b"", "ETag: x", *headers)) as store:
        info = ask(store, lambda s3: s3.head("a"))
    assert (info.encrypted, info.checksums) == (encrypted, checksums)


def test_an_object_without_a_size_is_an_error() -> None:
    with scripted_store(b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\n", answer(200, b"", "ETag: y")) as store:
        assert ask(store, lambda s3: s3.head("a")).etag == "y"


def test_put() -> None:
    with scripted_store(done("abc")) as store:
        info = ask(store, lambda s3: s3.put("ü b/c", b"data", Digest(md5(b"data"))), storage_class="STANDARD_IA")
    assert info == ObjectInfo(4, "abc", False, {})
    request = store.requests[0]
    assert (request.method, request.target, request.body) == ("PUT", "/media/%C3%BC%20b/c", b"data")
    assert request.headers["content-md5"] == base64.b64encode(md5(b"data")).decode()
    assert request.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert request.headers["content-type"] == "application/octet-stream"
    assert "x-amz-security-token" not in request.headers


def test_a_put_into_a_missing_bucket_is_an_error() -> None:
    for reply in (error(404, "NoSuchKey"), error(412, "PreconditionFailed"), answer(304)):
        with scripted_store(reply) as store, pytest.raises(RequestFailed):
            ask(store, lambda s3: s3.put("a", b"x", Digest(md5(b"x"))))


COMPLETED = answer(200, b"<CompleteMultipartUploadResult><ETag>&quot;m-2&quot;</ETag></CompleteMultipartUploadResult>")
UPLOAD = MultipartUpload("i/d+1", False, "")


def created(*headers: str) -> bytes:
    body = b"<InitiateMultipartUploadResult><UploadId>i/d+1</UploadId></InitiateMultipartUploadResult>"
    return answer(200, body, *headers)


CREATED = created()


def test_the_customer_key_is_sent_where_it_is_needed() -> None:
    async def everything(s3: Bucket) -> None:
        await s3.put("a", b"x", Digest(md5(b"x")))
        await s3.head("a")
        await s3.get("a", lambda: lambda data: None)
        upload = await s3.create_multipart("a")
        await s3.upload_part("a", upload, 1, b"x", Digest(md5(b"x")))
        await s3.complete_multipart("a", upload, ["e"])
        await s3.abort_multipart("a", upload.upload_id)
        await s3.list_page("")

    encrypted = SSE + "algorithm: AES256"
    replies = (answer(200, b"", "ETag: x", encrypted), done(), done(), created(encrypted), done(), COMPLETED)
    with scripted_store(*replies, answer(204), listing()) as store:
        ask(store, everything, sse_customer_key=CUSTOMER_KEY, session_token="the-token")
    with_key, without = store.requests[:7], store.requests[7:]
    digest = base64.b64encode(hashlib.md5(CUSTOMER_KEY.encode()).digest()).decode()
    for request in with_key:
        assert request.headers[SSE + "algorithm"] == "AES256"
        assert base64.b64decode(request.headers[SSE + "key"]).decode() == CUSTOMER_KEY
        assert request.headers[SSE + "key-md5"] == digest
        assert f";{SSE}key;" in request.headers["authorization"]
    assert not [name for request in without for name in request.headers if name.startswith(SSE)]
    assert {request.headers["x-amz-security-token"] for request in store.requests} == {"the-token"}


def test_multipart() -> None:
    async def send(s3: Bucket) -> tuple[MultipartUpload, str, dict[str, int]]:
        upload = await s3.create_multipart("a")
        etags = [await s3.upload_part("a", upload, number, b"x", Digest(md5(b"x"))) for number in (1, 2)]
        return upload, await s3.complete_multipart("a", upload, etags), s3.requests

    with scripted_store(CREATED, done("1"), done("2"), COMPLETED) as store:
        upload, etag, counts = ask(store, send)
    assert (upload, etag) == (UPLOAD, "m-2")
    assert counts == {
        **dict.fromkeys(("list", "head", "put", "get", "abort_multipart", "list_uploads"), 0),
        "create_multipart": 1,
        "upload_part": 2,
        "complete_multipart": 1,
    }
    assert [query_of(request) for request in store.requests] == [
        {"uploads": ""},
        {"partNumber": "1", "uploadId": "i/d+1"},
        {"partNumber": "2", "uploadId": "i/d+1"},
        {"uploadId": "i/d+1"},
    ]
    completion = store.requests[3]
    assert b'<PartNumber>2</PartNumber><ETag>"2"</ETag>' in completion.body
    assert completion.headers["x-amz-content-sha256"] == hashlib.sha256(completion.body).hexdigest()


def complete(store: Any, etags: list[str]) -> str:
    etag: str = ask(store, lambda s3: s3.complete_multipart("a", UPLOAD, etags))
    return etag


def test_an_error_document_in_a_200_response_is_an_error() -> None:
    late = answer(200, b"<?xml?>\n   <Error><Code>InternalError</Code><Message>late</Message></Error>")
    with scripted_store(late, COMPLETED) as store:
        assert complete(store, ["e"]) == "m-2"
    with scripted_store(answer(200, b"<Error><Code>InvalidPart</Code><Message>late</Message></Error>")) as store:
        with pytest.raises(RequestFailed, match="InvalidPart"):
            complete(store, ["e"])
        assert len(store.requests) == 1


def test_a_completion_without_a_response_is_checked_by_head() -> None:
    with scripted_store(reset_after(b""), error(404, "NoSuchUpload")) as store:
        with pytest.raises(RequestFailed, match="NoSuchUpload") as failed:
            complete(store, ["e"])
        assert failed.value.status == 404


def test_aborting_a_missing_upload_is_no_error() -> None:
    with scripted_store(error(404, "NoSuchUpload")) as store:
        assert ask(store, lambda s3: s3.abort_multipart("a", "id")) is None


@pytest.mark.parametrize(
    ("headers", "archived"),
    [
        (["x-amz-storage-class: GLACIER"], "GLACIER"),
        (["x-amz-storage-class: DEEP_ARCHIVE", 'x-amz-restore: ongoing-request="false"'], "DEEP_ARCHIVE"),
        (["x-amz-storage-class: INTELLIGENT_TIERING"], ""),
        (["x-amz-storage-class: INTELLIGENT_TIERING", "x-amz-archive-status: ARCHIVE_ACCESS"], "ARCHIVE_ACCESS"),
        (["x-amz-storage-class: GLACIER_IR"], ""),
    ],
)
def test_an_archived_object(headers: list[str], archived: str) -> None:
    with scripted_store(answer(200, b"", "ETag: x", *headers)) as store:
        assert ask(store, lambda s3: s3.head("a")).archived == archived


def test_an_upload_that_replaces_nothing() -> None:
    with scripted_store(done("1"), error(412, "PreconditionFailed")) as store:

        async def twice(s3: Bucket) -> list[ObjectInfo | None]:
            return [await s3.put_if_absent("a", b"x", Digest(md5(b"x"))) for dummy in range(2)]

        assert ask(store, twice) == [ObjectInfo(1, "1", False, {}), None]
    assert [request.headers["if-none-match"] for request in store.requests] == ["*", "*"]


@pytest.mark.parametrize("operation", ["put", "part"])
def test_a_server_that_ignores_the_customer_key(operation: str) -> None:
    """It responds with 200 and stores the object unencrypted: only the missing response header shows it."""

    async def use(s3: Bucket) -> None:
        if operation == "put":
            await s3.put("a", b"x", Digest(md5(b"x")))
        else:
            await s3.upload_part("a", await s3.create_multipart("a"), 1, b"x", Digest(md5(b"x")))

    replies = (done(),) if operation == "put" else (CREATED, done())
    with scripted_store(*replies) as store, pytest.raises(StoreError, match="ignores customer keys") as raised:
        ask(store, use, sse_customer_key=CUSTOMER_KEY)
    assert CUSTOMER_KEY not in str(raised.value)
    assert [request.method for request in store.requests] == ["PUT"] if operation == "put" else ["POST", "PUT"]


def test_parts_with_a_checksum() -> None:
    async def send(s3: Bucket) -> MultipartUpload:
        upload = await s3.create_multipart("a", "crc64nvme")
        etag = await s3.upload_part("a", upload, 1, b"x", Digest(name="crc64nvme", checksum="AAAA"))
        await s3.complete_multipart("a", upload, [etag], ["AAAA"])
        return upload

    with scripted_store(created("x-amz-checksum-algorithm: CRC64NVME"), done("1"), COMPLETED) as store:
        assert ask(store, send) == MultipartUpload("i/d+1", False, "crc64nvme")
    begin, part, completion = store.requests
    assert begin.headers["x-amz-checksum-algorithm"] == "CRC64NVME"
    assert part.headers["x-amz-checksum-crc64nvme"] == "AAAA" and "content-md5" not in part.headers
    assert b'<ETag>"1"</ETag><ChecksumCRC64NVME>AAAA</ChecksumCRC64NVME>' in completion.body


@pytest.mark.parametrize(
    ("headers", "upload"),
    [
        ([], MultipartUpload("i/d+1", False, "")),
        (["x-amz-checksum-algorithm: CRC32"], MultipartUpload("i/d+1", False, "")),
        (["x-amz-server-side-encryption: aws:kms"], MultipartUpload("i/d+1", True, "")),
    ],
)
def test_the_response_that_starts_an_upload(headers: list[str], upload: MultipartUpload) -> None:
    with scripted_store(created(*headers)) as store:
        assert ask(store, lambda s3: s3.create_multipart("a", "crc64nvme")) == upload


UNFINISHED = (
    '<?xml version="1.0"?><ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<IsTruncated>{more}</IsTruncated><NextKeyMarker>a&amp;b</NextKeyMarker><NextUploadIdMarker>9</NextUploadIdMarker>"
    "<Upload><Key>p/a&amp;b</Key><UploadId>9</UploadId><Initiated>1970-01-02T00:00:01.123456789Z</Initiated></Upload>"
    "</ListMultipartUploadsResult>"
)


def test_unfinished_uploads() -> None:
    replies = [answer(200, UNFINISHED.format(more=more).encode()) for more in ("true", "false")]
    with scripted_store(*replies, error(404, "NoSuchUpload")) as store:

        async def three(s3: Bucket) -> list[UploadsPage]:
            return [await s3.list_uploads(), await s3.list_uploads("a&b", "9"), await s3.list_uploads()]

        first, second, none = ask(store, three, prefix="p/")
    uploads = [UnfinishedUpload("p/a&b", "9", 86401.0)]
    assert (first, second, none) == (
        UploadsPage(uploads, "a&b", "9"),
        UploadsPage(uploads, "", ""),
        UploadsPage([], "", ""),
    )
    assert query_of(store.requests[0]) == {"uploads": "", "prefix": "p/", "max-uploads": "1000"}
    assert query_of(store.requests[1])["key-marker"] == "a&b"
    assert query_of(store.requests[1])["upload-id-marker"] == "9"


@pytest.mark.parametrize(("echo", "kept"), [("AAAA", {"crc64nvme": "AAAA"}), ("BBBB", {}), (None, {})])
def test_an_upload_with_a_checksum(echo: str | None, kept: dict[str, str]) -> None:
    """Only a server that names the checksum has kept it."""
    headers = [] if echo is None else [f"x-amz-checksum-crc64nvme: {echo}"]
    with scripted_store(answer(200, b"", "ETag: x", *headers)) as store:
        info = ask(store, lambda s3: s3.put("a", b"x", Digest(name="crc64nvme", checksum="AAAA")))
    assert info.checksums == kept
    assert "content-md5" not in store.requests[0].headers

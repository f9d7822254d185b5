# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""XML documents of many servers, and documents damaged on the way."""

from __future__ import annotations

from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.documents import (
    Listed,
    completion_document,
    parse_completed,
    parse_listing,
    parse_upload_id,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.errors import (
    ResponseParserError,
)
from hypothesis import given
from hypothesis import strategies as st

KEYS = ["a b", "a+b", "a%2Fb", "&<>\"'", "ü/€/😀", "x&amp;y", "(~*)", "end"]


def entry(key: str, size: int = 3, etag: str = "&quot;abc&quot;") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{etag}</ETag>"
        f"<Size>{size}</Size><Owner><ID>1</ID><DisplayName>x</DisplayName></Owner><StorageClass>STANDARD</StorageClass>"
        "</Contents>"
    )


def listing(*entries: str, encoded: bool = True, truncated: str = "false", tail: bool = False) -> bytes:
    frame = f"<IsTruncated>{truncated}</IsTruncated>" + ("<EncodingType>url</EncodingType>" if encoded else "")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    body = "".join(entries)
    middle = body + frame if tail else frame + body
    return f"{head}<Name>b</Name><Prefix></Prefix>{middle}</ListBucketResult>\n".encode()


def keys_of(body: bytes) -> list[str]:
    return [listed.key for listed in parse_listing(body).objects]


@pytest.mark.parametrize("tail", [False, True])
def test_a_page(tail: bool) -> None:
    page = parse_listing(listing(entry("a", 1), entry("b", 22, '"d-2"'), truncated="true", tail=tail))
    assert page.objects == [Listed("a", 1, "abc", "STANDARD"), Listed("b", 22, "d-2", "STANDARD")]
    assert page.truncated is True


def test_a_server_without_etags() -> None:
    without = entry("a").replace("<ETag>&quot;abc&quot;</ETag>", "")
    assert parse_listing(listing(without)).objects == [Listed("a", 3, "", "STANDARD")]


def test_an_empty_bucket() -> None:
    assert parse_listing(listing()) == ([], False)


@pytest.mark.parametrize("encode", [quote_plus, quote, lambda key: quote(key, safe="/~")])
def test_keys_that_are_url_encoded(encode: object) -> None:
    assert keys_of(listing(*[entry(encode(key)) for key in KEYS])) == KEYS  # type: ignore[operator]


def test_keys_of_a_server_that_does_not_encode() -> None:
    keys = [key for key in KEYS if key != "a%2Fb"] + ["100%", "a+b"]
    assert keys_of(listing(*[entry(escape(key)) for key in keys], encoded=False)) == keys
    assert keys_of(listing(entry("a&#13;b&#x80;&#38;amp;"), encoded=False)) == ["a\rb\x80&amp;"]


def test_a_key_that_is_not_utf_8_does_not_break_the_page() -> None:
    assert keys_of(listing(entry("a%FF"), entry("b"))) == ["a\udcff", "b"]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=5))
def test_any_keys(keys: list[str]) -> None:
    assert keys_of(listing(*[entry(quote_plus(key)) for key in keys])) == keys


def test_every_truncated_page_is_refused() -> None:
    whole = listing(entry("a", 1), entry("b", 22), tail=True).rstrip()
    for length in range(len(whole)):
        with pytest.raises(ResponseParserError):
            parse_listing(whole[:length])
    assert len(parse_listing(whole).objects) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>welcome</body></html>",
        b"<Error><Code>InternalError</Code></Error>",
        listing(entry("")),
        listing(entry("a").replace("<Size>3</Size>", "")),
        listing(entry("a").replace("<Size>3</Size>", "<Size>-3</Size>")),
        listing(entry("a").replace("<Size>3</Size>", "<Size></Size>")),
        listing(entry("a").replace("<Key>a</Key>", "")),
        listing(entry("a").replace("</Key>", "")),
        listing(entry("a").replace("</Contents>", ""), entry("b")),
        listing(entry("a").replace("<Contents>", "")),
        listing(entry("a") + "</Contents>"),
        listing(entry("a"), truncated="perhaps"),
        listing(truncated="true"),
        listing(entry("a")).replace(b"<Key>a", b"<Key>\xff"),
        listing(entry("&#x110000;"), encoded=False),
    ],
)
def test_damaged_pages_are_refused(body: bytes) -> None:
    with pytest.raises(ResponseParserError):
        parse_listing(body)


def test_multipart_documents() -> None:
    assert parse_upload_id(b"<InitiateMultipartUploadResult><UploadId>a&amp;b</UploadId></Init>") == "a&b"
    assert (
        parse_completed(b"<CompleteMultipartUploadResult><ETag>&quot;x-2&quot;</ETag></CompleteMultipartUploadResult>")
        == "x-2"
    )
    document = completion_document(["one", "t<w>o"]).decode()
    assert '<Part><PartNumber>1</PartNumber><ETag>"one"</ETag></Part>' in document
    assert '<Part><PartNumber>2</PartNumber><ETag>"t&lt;w&gt;o"</ETag></Part>' in document


@pytest.mark.parametrize("body", [b"", b"\xff", b"<CompleteMultipartUploadResult><ETag>x</ETag>", b"<Error></Error>"])
def test_truncated_multipart_documents(body: bytes) -> None:
    with pytest.raises(ResponseParserError):
        parse_completed(body)
    with pytest.raises(ResponseParserError):
        parse_upload_id(body)

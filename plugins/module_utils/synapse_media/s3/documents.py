# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The XML documents of S3. Listings are parsed by hand: ElementTree takes half as long again a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from .errors import DisorderedListing
from .transport.errors import ResponseParserError

_UPLOAD_ID = re.compile(r"<UploadId>([^<]+)</UploadId>")
_ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z]+);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ETAG = re.compile(r"<ETag>([^<]*)</ETag>")
_LISTING_END = re.compile(r"</ListBucketResult\s*>\s*\Z")
_TRUNCATED = re.compile(r"<IsTruncated>\s*(true|false)\s*</IsTruncated>", re.IGNORECASE)
_URL_ENCODED = re.compile(r"<EncodingType>\s*url\s*</EncodingType>", re.IGNORECASE)


class Listed(NamedTuple):
    """One object of a listing; the ETag comes without quotes, the storage class is empty if the store names none.

    ``modified`` is the store's text, such as 2026-01-31T12:00:00.000Z, and empty unless it was asked for.
    """

    key: str
    size: int
    etag: str
    storage_class: str = ""
    modified: str = ""


class Page(NamedTuple):
    """``truncated`` tells that more keys follow."""

    objects: list[Listed]
    truncated: bool


class UnfinishedUpload(NamedTuple):
    """A multipart upload that is neither completed nor aborted; ``initiated`` in seconds since 1970."""

    key: str
    upload_id: str
    initiated: float


class UploadsPage(NamedTuple):
    """``next_key`` and ``next_id`` are where the following page begins; both are empty after the last."""

    uploads: list[UnfinishedUpload]
    next_key: str
    next_id: str


def parse_listing(body: bytes, *, dated: bool = False) -> Page:
    """With ``dated`` each object comes with its time.

    Raises ResponseParserError for a document that is cut short, garbled or something else.
    """
    text = _text(body)
    if "<ListBucketResult" not in text[:1000] or not _LISTING_END.search(text, max(0, len(text) - 1000)):
        raise ResponseParserError("the listing is not whole")
    head, *entries = text.split("<Contents>")
    # Stores differ in whether what is said of the page comes before or after its keys.
    tail = entries[-1].partition("</Contents>")[2] if entries else ""
    frame = head + tail
    truncated = _TRUNCATED.search(frame)
    if truncated is None or "</Contents>" in head:
        raise ResponseParserError("the listing does not say whether it is whole")
    encoded = _URL_ENCODED.search(frame) is not None
    try:
        objects = [_listed(entry, encoded, dated) for entry in entries]
    except ValueError as error:
        raise ResponseParserError("the listing is garbled") from error
    more = truncated[1].lower() == "true"
    if more and not objects:
        raise ResponseParserError("the listing announces more keys and holds none")
    return Page(objects, more)


def ordered(page: Page, start_after: str, prefix: str) -> Page:
    """Without repeated keys. Raises DisorderedListing if the page says nothing about the keys between its own."""
    objects: list[Listed] = []
    last = start_after
    for listed in page.objects:
        key = listed.key
        if key > last:
            if not key.startswith(prefix):
                raise DisorderedListing(
                    f"The store lists {key!r} under the prefix {prefix!r}. Look into the store's log; "
                    "an engine that trusts its listing cannot work with it."
                )
            objects.append(listed)
            last = key
        elif key != last:
            raise DisorderedListing(
                f"The store does not list its keys in order ({key!r} after {last!r}). Buckets of that kind, such as "
                "S3's directory buckets, cannot be used; else look into the store's log."
            )
    if page.truncated and not objects:
        raise ResponseParserError("the listing does not go on")
    return Page(objects, page.truncated)


def _listed(entry: str, encoded: bool, dated: bool) -> Listed:
    entry, end, rest = entry.partition("</Contents>")
    if not end or "</Contents>" in rest:
        raise ValueError
    key = _element(entry, "<Key>", "</Key>")
    size = _element(entry, "<Size>", "</Size>").strip()
    # The only one that a store may leave out: without it content is proven in other ways.
    etag = _element(entry, "<ETag>", "</ETag>") if "<ETag>" in entry else ""
    if not key or not (size.isascii() and size.isdigit()):
        raise ValueError
    if "&" in key:
        key = _unescape(key)
    if encoded:
        # Some stores encode every slash, and most keys hold nothing else that needs it.
        key = key.replace("%2F", "/")
        if "%" in key or "+" in key:
            key = unquote_plus(key, errors="surrogateescape")
    storage_class = _element(entry, "<StorageClass>", "</StorageClass>") if "<StorageClass>" in entry else ""
    modified = ""
    if dated and "<LastModified>" in entry:
        modified = _element(entry, "<LastModified>", "</LastModified>").strip()
    etag = etag.replace("&quot;", "").replace("&#34;", "").strip('" ')
    return Listed(key, int(size), etag, storage_class.strip(), modified)


def _element(entry: str, opening: str, closing: str) -> str:
    start = entry.find(opening)
    end = entry.find(closing, start)
    if start < 0 or end < 0:
        raise ValueError
    value = entry[start + len(opening) : end]
    if "<" in value:
        raise ValueError
    return value


def parse_upload_id(body: bytes) -> str:
    """The id of a multipart upload that was begun. Raises ResponseParserError if there is none."""
    found = _UPLOAD_ID.search(_text(body))
    if found is None:
        raise ResponseParserError("no upload id came")
    return _unescape(found[1])


def parse_completed(body: bytes) -> str:
    """The ETag of a completed upload, without quotes. Raises ResponseParserError if there is none."""
    text = _text(body)
    found = _ETAG.search(text)
    if found is None or "</CompleteMultipartUploadResult" not in text:
        raise ResponseParserError("no ETag came")
    return _unescape(found[1]).strip('" ')


def parse_uploads(body: bytes) -> UploadsPage:
    """A page of ListMultipartUploads, asked for once a run. Raises ResponseParserError for anything else."""
    # Late, because most of what imports this module never needs it.
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(body.decode("utf-8"))  # noqa: S314 - expat bounds expansion
        page = {_local_name(child): child for child in root}
        uploads = [_upload(child) for child in root if _local_name(child) == "Upload"]
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError, KeyError) as error:
        raise ResponseParserError("the list of unfinished uploads is garbled") from error
    if _local_name(root) != "ListMultipartUploadsResult":
        raise ResponseParserError("no list of unfinished uploads came")
    if "IsTruncated" not in page or (page["IsTruncated"].text or "").strip().lower() != "true":
        return UploadsPage(uploads, "", "")
    marks = [(page[name].text or "") if name in page else "" for name in ("NextKeyMarker", "NextUploadIdMarker")]
    return UploadsPage(uploads, *marks)


def _upload(element: Any) -> UnfinishedUpload:
    texts = {_local_name(child): child.text or "" for child in element}
    # Always in UTC; stores write different numbers of decimals.
    initiated = datetime.fromisoformat(texts["Initiated"].strip()[:19]).replace(tzinfo=timezone.utc)
    return UnfinishedUpload(texts["Key"], texts["UploadId"], initiated.timestamp())


def _local_name(element: Any) -> str:
    """Without the namespace, which some stores leave out."""
    return str(element.tag).rpartition("}")[2]


def completion_document(etags: Sequence[str], checksum: str = "", values: Sequence[str] = ()) -> bytes:
    """What CompleteMultipartUpload takes: the parts' ETags in their order, the first being part 1.

    ``checksum`` names the algorithm in S3's capitals, such as CRC64NVME, where each part has one of ``values``.
    """
    added = [f"<Checksum{checksum}>{value}</Checksum{checksum}>" for value in values] or [""] * len(etags)
    parts = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{_escape(etag)}"</ETag>{more}</Part>'
        for number, (etag, more) in enumerate(zip(etags, added), 1)
    )
    return (
        f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{parts}</CompleteMultipartUpload>'
    ).encode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unescape(text: str) -> str:
    return _ENTITY.sub(_entity, text)


def _entity(found: re.Match[str]) -> str:
    name = found[1]
    if name[0] != "#":
        return _ENTITIES.get(name, found[0])
    try:
        return chr(int(name[2:], 16) if name[1] in "xX" else int(name[1:]))
    except (ValueError, OverflowError) as error:
        raise ResponseParserError("the answer holds a character that is none") from error


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ResponseParserError("the answer is not UTF-8") from error

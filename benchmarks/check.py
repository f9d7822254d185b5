# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the S3 server of the benchmarks: correct responses to two independent clients, and its CPU time a request."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import history
from check_checksums import check_checksums, check_trailers, check_words
from check_helpers import client, code_of, digest, same
from check_slow_files import check_slow_files
from paths import ACCESS_KEY_ID, AWS, BUCKET, SECRET_ACCESS_KEY, need_tools
from s3_store import Store, load, running_store

BUDGET_US = 100.0
LISTING_BUDGET_US = 1000.0  # for a page of 1,000 keys: 1 microsecond a key
ODD_KEYS = ["a b", "a+b", "a&<b>\"'", "ünïcode/✓", "a/b/c", "a/b/d", "a/e", "z%2Fz", "tilde~", "new\nline"]


def check_objects(s3: Any) -> None:
    content = os.urandom(200_000)
    answer = s3.put_object(Bucket=BUCKET, Key="x", Body=content, Metadata={"mtime": "12"}, ContentType="image/png")
    same("PUT returns the MD5 as ETag", answer["ETag"], f'"{digest(content)}"')
    head = s3.head_object(Bucket=BUCKET, Key="x")
    same(
        "HEAD returns size, ETag, type and metadata",
        (head["ContentLength"], head["ETag"], head["ContentType"], head["Metadata"]),
        (len(content), answer["ETag"], "image/png", {"mtime": "12"}),
    )
    same("GET returns the bytes", s3.get_object(Bucket=BUCKET, Key="x")["Body"].read(), content)
    for asked, part in (("5-9", content[5:10]), ("199990-", content[-10:]), ("-7", content[-7:])):
        ranged = s3.get_object(Bucket=BUCKET, Key="x", Range=f"bytes={asked}")
        same(f"GET of the range {asked}", (ranged["Body"].read(), ranged["ContentLength"]), (part, len(part)))
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    same("an empty object", s3.get_object(Bucket=BUCKET, Key="empty")["Body"].read(), b"")
    s3.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": "x"})
    same("CopyObject", s3.get_object(Bucket=BUCKET, Key="copied")["Body"].read(), content)
    wrong = base64.b64encode(bytes(16)).decode()
    same("a wrong Content-MD5 is refused", code_of(s3.put_object, Key="y", Body=b"y", ContentMD5=wrong), "BadDigest")
    same("HEAD of a missing object", code_of(s3.head_object, Key="y"), "404")
    same("GET of a missing object", code_of(s3.get_object, Key="y"), "NoSuchKey")
    s3.delete_object(Bucket=BUCKET, Key="copied")
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "x"}, {"Key": "empty"}, {"Key": "none"}]})
    same("DELETE and DeleteObjects", s3.list_objects_v2(Bucket=BUCKET)["KeyCount"], 0)
    same("the bucket exists", [entry["Name"] for entry in s3.list_buckets()["Buckets"]], [BUCKET])
    s3.head_bucket(Bucket=BUCKET)
    s3.get_bucket_location(Bucket=BUCKET)


def check_listings(s3: Any) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    ordered = sorted(ODD_KEYS, key=str.encode)
    for name in ("list_objects_v2", "list_objects"):
        for size in (1, 3, 1000):
            pages = s3.get_paginator(name).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size})
            found = [(item["Key"], item["Size"], item["ETag"]) for page in pages for item in page.get("Contents", [])]
            wanted = [(key, len(key.encode()), f'"{digest(key.encode())}"') for key in ordered]
            same(f"{name}, {size} a page, keys in byte order", found, wanted)
            pages = s3.get_paginator(name).paginate(
                Bucket=BUCKET, Delimiter="/", Prefix="a", PaginationConfig={"PageSize": size}
            )
            both = [
                (item.get("Key") or item["Prefix"])
                for page in pages
                for item in [*page.get("Contents", []), *page.get("CommonPrefixes", [])]
            ]
            same(f"{name}, {size} a page, with prefix and delimiter", sorted(both), ["a b", "a&<b>\"'", "a+b", "a/"])
    after = s3.list_objects_v2(Bucket=BUCKET, StartAfter="a/b/c", Prefix="a/")
    same("start-after", [item["Key"] for item in after["Contents"]], ["a/b/d", "a/e"])
    for key in ODD_KEYS:
        s3.delete_object(Bucket=BUCKET, Key=key)


def check_multipart(s3: Any) -> None:
    parts = [os.urandom(5 << 20), os.urandom(5 << 20), b"the rest"]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", Metadata={"a": "b"})["UploadId"]
    place = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
    tags = [s3.upload_part(**place, PartNumber=n, Body=part)["ETag"] for n, part in enumerate(parts, 1)]
    same("UploadPart returns the MD5 as ETag", tags, [f'"{digest(part)}"' for part in parts])
    named = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    wrong = [named[0], {"PartNumber": 2, "ETag": tags[0]}, named[2]]
    same(
        "a wrong ETag of a part is refused",
        code_of(s3.complete_multipart_upload, Key="parts", UploadId=upload, MultipartUpload={"Parts": wrong}),
        "InvalidPart",
    )
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": named})
    composed = digest(b"".join(bytes.fromhex(digest(part)) for part in parts)) + "-3"
    same("CompleteMultipartUpload returns the composed ETag", done["ETag"], f'"{composed}"')
    read = s3.get_object(Bucket=BUCKET, Key="parts")
    same("its bytes and metadata", (read["Body"].read(), read["Metadata"]), (b"".join(parts), {"a": "b"}))
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="small")["UploadId"]
    place = {"Key": "small", "UploadId": upload}
    tags = [s3.upload_part(Bucket=BUCKET, **place, PartNumber=n, Body=b"small")["ETag"] for n in (1, 2)]
    named = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
    same(
        "a part of less than 5 MiB that is not the last is refused",
        code_of(s3.complete_multipart_upload, **place, MultipartUpload={"Parts": named}),
        "EntityTooSmall",
    )
    s3.abort_multipart_upload(Bucket=BUCKET, **place)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=upload)
    same("AbortMultipartUpload", code_of(s3.head_object, Key="aborted"), "404")


def check_conditions(s3: Any) -> None:
    once = {"Key": "once", "IfNoneMatch": "*"}
    s3.put_object(Bucket=BUCKET, **once, Body=b"first")
    same("PUT with If-None-Match: * of an object", code_of(s3.put_object, **once, Body=b"2"), "PreconditionFailed")
    same("the existing object stays", s3.get_object(Bucket=BUCKET, Key="once")["Body"].read(), b"first")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="once")["UploadId"]
    tag = s3.upload_part(Bucket=BUCKET, Key="once", UploadId=upload, PartNumber=1, Body=b"2")["ETag"]
    complete = {**once, "UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}
    same("CompleteMultipartUpload, too", code_of(s3.complete_multipart_upload, **complete), "PreconditionFailed")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="once", UploadId=upload)
    s3.delete_object(Bucket=BUCKET, Key="once")
    s3.put_object(Bucket=BUCKET, **once, Body=b"third")
    s3.delete_object(Bucket=BUCKET, Key="once")


def check_listing_of_uploads(s3: Any) -> None:
    made = [
        (key, s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"])
        for key in ("b/2", "a&b", "b/1", "b/1", "c", "b/\u00fc")
    ]
    wanted = sorted(made, key=lambda pair: pair[0].encode())
    for prefix, size in (("", 1), ("", 2), ("", 1000), ("b/", 1), ("b/", 1000), ("none", 1000)):
        pages = s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=BUCKET, Prefix=prefix, PaginationConfig={"PageSize": size}
        )
        found = [(item["Key"], item["UploadId"]) for page in pages for item in page.get("Uploads", [])]
        same(
            f"ListMultipartUploads below {prefix!r}, {size} a page",
            found,
            [pair for pair in wanted if pair[0].startswith(prefix)],
        )
    for key, upload in made:
        s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    same("none is left", s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [])


def check_aws_command(store: Store) -> None:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def aws(*words: str) -> str:
        command = [str(AWS), "--endpoint-url", store.endpoint_url, "s3", *words]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "tree" / "deep").mkdir(parents=True)
        (directory / "tree" / "deep" / "small").write_bytes(b"small")
        (directory / "tree" / "large").write_bytes(os.urandom(20 << 20))
        for path in ("deep/small", "large"):
            # S3 has whole seconds, so a file of this second would count as newer than its object.
            os.utime(directory / "tree" / path, (1767225600, 1767225600))
        aws("sync", str(directory / "tree"), f"s3://{BUCKET}/tree")
        same("aws s3 sync a second time moves nothing", aws("sync", str(directory / "tree"), f"s3://{BUCKET}/tree"), "")
        aws("cp", "--recursive", f"s3://{BUCKET}/tree", str(directory / "back"))
        for path in ("deep/small", "large"):
            back = (directory / "back" / path).read_bytes()
            same(f"aws s3 cp up and down: {path}", back == (directory / "tree" / path).read_bytes(), True)
        aws("rm", "--recursive", f"s3://{BUCKET}/tree")
    same("aws s3 rm", store.listing("tree"), {})


def check_history() -> None:
    wanted = [key for media in history.media(5003) for key in history.keys(*media)]
    with running_store(history=5003) as store:
        found = store.listing()
        same("the history's names, equal to history.py's, in byte order", list(found), sorted(wanted))
        same("the history's sizes", {kept.size for kept in found.values()}, {history.SIZE})


def check_cost() -> None:
    print("CPU time of the store a request (64 connections, no delay, bodies of 19,000 bytes, listings of 1,000 keys):")
    with running_store() as store:
        for kind, count in (("put", 20000), ("put-md5", 20000), ("head", 20000), ("get", 20000), ("list", 500)):
            before = store.zero()["cpu_seconds"]
            load(store, kind, 64, count)
            cost = (store.statistics()["cpu_seconds"] - before) / count * 1e6
            budget = LISTING_BUDGET_US if kind == "list" else BUDGET_US
            print(f"  {kind:8} {cost:7.1f} us")
            if cost > budget:
                sys.exit(f"check: a {kind} costs the store {cost:.0f} us, which is more than {budget:.0f} us.")


def main() -> None:
    need_tools()
    print("Answers:")
    with running_store(
        delay_ms=1, options=("--keep", "64M", "--hash", "64M", "--check-md5", "--verify-checksums")
    ) as store:
        s3 = client(store)
        check_objects(s3)
        check_listings(s3)
        check_multipart(s3)
        check_conditions(s3)
        check_listing_of_uploads(s3)
        check_checksums(s3)
        check_aws_command(store)
    check_words()
    check_slow_files()
    check_trailers()
    check_history()
    check_cost()


if __name__ == "__main__":
    main()

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks x-amz-checksum-* in the S3 server of the benchmarks: stored, composed, combined, and refused if wrong."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from awscrt import checksums
from check_helpers import client, code_of, same
from paths import ACCESS_KEY_ID, AWS, BUCKET, SECRET_ACCESS_KEY
from s3_store import Store, has_tls, make_certificate, running_store

COMPUTED: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda content: zlib.crc32(content).to_bytes(4, "big"),
    "CRC32C": lambda content: checksums.crc32c(content).to_bytes(4, "big"),
    "CRC64NVME": lambda content: checksums.crc64nvme(content).to_bytes(8, "big"),
    "SHA256": lambda content: hashlib.sha256(content).digest(),
}
COMBINATIONS = [
    ("CRC32", "FULL_OBJECT"),
    ("CRC32", "COMPOSITE"),
    ("CRC32C", "FULL_OBJECT"),
    ("CRC32C", "COMPOSITE"),
    ("CRC64NVME", "FULL_OBJECT"),
    ("SHA256", "COMPOSITE"),
]
LONG = 2 << 20  # more than the server verifies by default


def encoded(name: str, content: bytes) -> str:
    return base64.b64encode(COMPUTED[name](content)).decode()


def check_checksums(s3: Any) -> None:
    """With a server started with --verify-checksums."""
    for name in COMPUTED:
        _check_put(s3, name)
    for name, kind in COMBINATIONS:
        _check_multipart(s3, name, kind)
    for name, kind in (("CRC64NVME", "COMPOSITE"), ("SHA256", "FULL_OBJECT")):
        code = code_of(s3.create_multipart_upload, Key="x", ChecksumAlgorithm=name, ChecksumType=kind)
        same(f"{kind} of {name} is refused", code, "InvalidRequest")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="x", ChecksumAlgorithm="CRC64NVME")["UploadId"]
    part = {"Key": "x", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    code = code_of(s3.upload_part, **part, ChecksumCRC32=encoded("CRC32", b"x"))
    same("a part with another algorithm than its upload's is refused", code, "InvalidRequest")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="x", UploadId=upload)


def _check_put(s3: Any, name: str) -> None:
    field, content = f"Checksum{name}", os.urandom(LONG + 13)
    right = encoded(name, content)
    answer = s3.put_object(Bucket=BUCKET, Key="x", Body=content, ChecksumAlgorithm=name)
    same(f"PUT returns the {name}", (answer[field], answer["ChecksumType"]), (right, "FULL_OBJECT"))
    head = s3.head_object(Bucket=BUCKET, Key="x", ChecksumMode="ENABLED")
    same(f"HEAD returns the {name} if requested", (head[field], head["ChecksumType"]), (right, "FULL_OBJECT"))
    same("and not otherwise", s3.head_object(Bucket=BUCKET, Key="x").get(field), None)
    same(
        f"GET, compared by its {name}",
        s3.get_object(Bucket=BUCKET, Key="x", ChecksumMode="ENABLED")["Body"].read(),
        content,
    )
    (entry,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="x")["Contents"]
    same("the listing names it", (entry["ChecksumAlgorithm"], entry["ChecksumType"]), ([name], "FULL_OBJECT"))
    s3.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": "x"})
    copied = s3.head_object(Bucket=BUCKET, Key="copied", ChecksumMode="ENABLED")
    same("a copy keeps it", copied[field], right)
    for key in ("x", "copied"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    _refuses_wrong(s3, name, content)


def _refuses_wrong(s3: Any, name: str, content: bytes) -> None:
    wrong = {f"Checksum{name}": encoded(name, content + b"x")}
    same(f"a wrong {name} is refused", code_of(s3.put_object, Key="x", Body=content, **wrong), "BadDigest")
    malformed = {f"Checksum{name}": encoded(name, content)[:-4] + "?==="}
    same(f"a malformed {name}, too", code_of(s3.put_object, Key="x", Body=content, **malformed), "InvalidRequest")
    same("nothing was stored", code_of(s3.head_object, Key="x"), "404")


def _check_multipart(s3: Any, name: str, kind: str) -> None:
    field, what = f"Checksum{name}", f"multipart, {kind} {name}"
    parts = [os.urandom(5 << 20), os.urandom((5 << 20) + 7), b"the rest"]
    whole, sums = b"".join(parts), [encoded(name, part) for part in parts]
    created = s3.create_multipart_upload(Bucket=BUCKET, Key="x", ChecksumAlgorithm=name, ChecksumType=kind)
    same(f"{what}: Create returns it", (created["ChecksumAlgorithm"], created["ChecksumType"]), (name, kind))
    place = {"Key": "x", "UploadId": created["UploadId"]}
    named = []
    for number, (part, right) in enumerate(zip(parts, sums, strict=True), 1):
        answer = s3.upload_part(Bucket=BUCKET, **place, PartNumber=number, Body=part, ChecksumAlgorithm=name)
        same(f"{what}: UploadPart returns it", answer[field], right)
        named.append({"PartNumber": number, "ETag": answer["ETag"], field: right})
    code = code_of(s3.upload_part, **place, PartNumber=3, Body=b"the rest", **{field: sums[0]})
    same(f"{what}: a wrong one for a part is refused", code, "BadDigest")
    wrong = [named[0], {**named[1], field: sums[0]}, named[2]]
    same(f"{what}: a wrong one in Complete is refused", _code_of_complete(s3, place, wrong), "InvalidPart")
    if kind == "COMPOSITE":
        bare = [{key: part[key] for key in ("PartNumber", "ETag")} for part in named]
        same(f"{what}: none in Complete is refused", _code_of_complete(s3, place, bare), "InvalidRequest")
        right = base64.b64encode(COMPUTED[name](b"".join(COMPUTED[name](part) for part in parts))).decode() + "-3"
        told = {}
    else:
        right = encoded(name, whole)
        told = {field: right, "ChecksumType": kind, "MpuObjectSize": len(whole)}
        code = _code_of_complete(s3, place, named, **{**told, field: sums[0]})
        same(f"{what}: a wrong one for the object is refused", code, "BadDigest")
        code = _code_of_complete(s3, place, named, **{**told, "MpuObjectSize": 1})
        same(f"{what}: a wrong size is refused", code, "InvalidRequest")
    done = s3.complete_multipart_upload(Bucket=BUCKET, **place, MultipartUpload={"Parts": named}, **told)
    same(f"{what}: Complete returns it", (done[field], done["ChecksumType"]), (right, kind))
    head = s3.head_object(Bucket=BUCKET, Key="x", ChecksumMode="ENABLED")
    same(f"{what}: HEAD returns it", (head[field], head["ChecksumType"]), (right, kind))
    s3.delete_object(Bucket=BUCKET, Key="x")


def _code_of_complete(s3: Any, place: dict[str, Any], parts: list[dict[str, Any]], **more: Any) -> str:
    return code_of(s3.complete_multipart_upload, **place, MultipartUpload={"Parts": parts}, **more)


def check_words() -> None:
    """Without --verify-checksums bodies up to 1 MiB are verified; a longer one's checksum is stored as the client sent
    it.
    """
    with running_store() as store:
        s3 = client(store)
        for name in COMPUTED:
            _refuses_wrong(s3, name, os.urandom(1 << 20))
            wrong = encoded(name, b"")
            s3.put_object(Bucket=BUCKET, Key="x", Body=bytes(LONG), **{f"Checksum{name}": wrong})
            head = s3.head_object(Bucket=BUCKET, Key="x", ChecksumMode="ENABLED")
            same(f"{name} of a longer body: the client's checksum is stored", head[f"Checksum{name}"], wrong)
            s3.delete_object(Bucket=BUCKET, Key="x")
        # A client that tests whether the server verifies parts would do the same.
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="x", ChecksumAlgorithm="CRC64NVME")["UploadId"]
        part = {"Key": "x", "UploadId": upload, "PartNumber": 1, "Body": b"small"}
        code = code_of(s3.upload_part, **part, ChecksumCRC64NVME=encoded("CRC64NVME", b"other"))
        same("a wrong one for a small part is refused", code, "BadDigest")
        tags = [
            s3.upload_part(
                Bucket=BUCKET,
                **{**part, "PartNumber": number, "Body": bytes([number]) * LONG},
                ChecksumAlgorithm="CRC64NVME",
            )["ETag"]
            for number in (1, 2)
        ]
        same("two long parts of one size have different ETags", len(set(tags)), 2)
        for number, (content, wanted) in enumerate(((b"right", b"right"), (b"right", b"wrong")), 1):
            trailer = f"x-amz-checksum-crc64nvme:{encoded('CRC64NVME', wanted)}\r\n"
            status, body = _put_with_trailer(store, f"trailer-{number}", content, trailer)
            same(
                f"a trailer, {wanted!r}: {status}",
                (status, b"BadDigest" in body),
                (200, False) if number == 1 else (400, True),
            )
        status, body = _put_with_trailer(store, "trailer-3", b"right", "")
        same(
            "a trailer that is announced and missing is refused",
            (status, b"MalformedTrailerError" in body),
            (400, True),
        )


def _put_with_trailer(store: Store, key: str, content: bytes, trailer: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
    body = f"{len(content):x}\r\n".encode() + content + f"\r\n0\r\n{trailer}\r\n".encode()
    headers = {
        "Content-Encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(content)),
        "x-amz-trailer": "x-amz-checksum-crc64nvme",
    }
    connection.request("PUT", f"/{BUCKET}/{key}", body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def check_trailers() -> None:
    """Over TLS, boto3 and the aws command send their checksums as trailers."""
    if not has_tls():
        print("  trailers of boto3 and the aws command are not checked: built without TLS (Debian: libssl-dev)")
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        certificate = make_certificate(directory)
        options = ("--keep", "64M", "--hash", "64M", "--verify-checksums")
        with running_store(certificate=certificate, options=options) as store:
            s3 = client(store)
            for algorithm in COMPUTED:
                content = os.urandom(300_000)
                answer = s3.put_object(Bucket=BUCKET, Key="x", Body=content, ChecksumAlgorithm=algorithm)
                found = answer[f"Checksum{algorithm}"], s3.get_object(Bucket=BUCKET, Key="x")["Body"].read() == content
                same(f"PUT over TLS, {algorithm} in a trailer", found, (encoded(algorithm, content), True))
            large = directory / "large"
            large.write_bytes(os.urandom(20 << 20))
            _copy(store, large)
            head = s3.head_object(Bucket=BUCKET, Key="large", ChecksumMode="ENABLED")
            back = s3.get_object(Bucket=BUCKET, Key="large")["Body"].read() == large.read_bytes()
            algorithm = next(name for name in COMPUTED if f"Checksum{name}" in head)
            words = f"aws s3 cp over TLS keeps a checksum ({algorithm}, {head['ChecksumType']})"
            same(words, (head["ContentLength"], back), (20 << 20, True))


def _copy(store: Store, path: Path) -> None:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CA_BUNDLE": str(store.certificate),
    }
    command = [str(AWS), "--endpoint-url", store.endpoint_url, "s3", "cp", str(path), f"s3://{BUCKET}/large"]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

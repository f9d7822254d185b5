# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both providers deliver the same bytes, at the oldest and the newest release of Synapse and of upstream's."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import BUCKET, NEWEST, OLDEST, MakeHomeserver, Release
from homeserver import OFFICIAL, RESILIENT, Homeserver, media_key
from s3_server import S3Server

MEDIA = 1000
CLIENTS = 8
# Around the sizes at which the providers read differently, and the smallest.
SIZES = (1, 2, 16 * 1024, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 1 << 20, (1 << 20) + (1 << 16), 3_000_000)


def content_of(number: int) -> bytes:
    size = SIZES[number] if number < len(SIZES) else random.Random(number).randrange(1, 60_000)
    return random.Random(-number).randbytes(size)


@pytest.fixture(scope="module")
def contents(s3: S3Server) -> dict[str, str]:
    """The SHA-256 of every media in the bucket."""
    found = {f"Equal{number:019d}": content_of(number) for number in range(MEDIA)}

    def put(media_id: str) -> None:
        s3.client().put_object(Bucket=BUCKET, Key=media_key(media_id), Body=found[media_id])

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(put, found))
    return {media_id: hashlib.sha256(content).hexdigest() for media_id, content in found.items()}


def downloaded(homeserver: Homeserver, media_ids: list[str]) -> dict[str, str]:
    def get(media_id: str) -> str:
        status, content = homeserver.download(media_id)
        assert status == 200, (media_id, content)
        return hashlib.sha256(content).hexdigest()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return dict(zip(media_ids, pool.map(get, media_ids)))


@pytest.mark.parametrize("release", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_both_providers_store_and_deliver_the_same(
    release: Release, make_homeserver: MakeHomeserver, contents: dict[str, str], s3: S3Server
) -> None:
    homeserver = make_homeserver(release, OFFICIAL)
    with homeserver:
        pass
    homeserver.add_rows({media_id: len(content_of(number)) for number, media_id in enumerate(contents)})
    uploads: dict[str, bytes] = {}
    # With older releases of botocore the upload after an empty one waits for a minute; not with the resilient provider.
    for module, timeout in ((OFFICIAL, 150), (RESILIENT, 30)):
        homeserver.module = module
        with homeserver:
            token = homeserver.register(module.partition(".")[0])
            for size in (0, 10, 100_000, 9_000_000):
                content = random.Random(size).randbytes(size)
                status, media_id = homeserver.upload(token, content, timeout=timeout)
                assert status == 200, media_id
                uploads[media_id] = content
                stored = s3.client().get_object(Bucket=BUCKET, Key=media_key(media_id))["Body"].read()
                assert stored == content
            homeserver.remove_local_media()
            assert downloaded(homeserver, list(contents)) == contents
            # What the other one stored too.
            for media_id, content in uploads.items():
                assert homeserver.download(media_id) == (200, content)
            assert homeserver.local_files() == []

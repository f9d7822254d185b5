# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The purpose of both engines: media is moved to S3, the disk has less of it, every picture can be downloaded."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def manifest(homeserver):
    """Pictures uploaded through Synapse's client API, with their thumbnails, and media of other servers."""
    path = "/opt/test-tools/molecule-media.json"
    made = json.loads(homeserver.tool("media.py", "upload", path, "--count", "6", "--remote", "4"))
    assert len(made) == 10
    return path


@pytest.fixture(scope="module")
def before(homeserver, manifest):
    """The disk with all media still on it."""
    return homeserver.media


@pytest.fixture(scope="module")
def migrated(homeserver, before):
    """One run of the timer's service, started by systemd; the disk and the bucket after it."""
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    return homeserver.media, homeserver.bucket


def test_an_upload_is_in_the_bucket_at_once(homeserver, before):
    local = {path: size for path, size in before.items() if path.startswith("local_content/")}
    assert len(local) >= 6
    bucket = homeserver.bucket
    assert {path: bucket.get("molecule/" + path) for path in local} == local


def test_all_media_leaves_the_disk(before, migrated):
    assert len(before) > 12
    assert migrated[0] == {}


def test_the_bucket_has_every_file(before, migrated):
    bucket = migrated[1]
    assert {path: bucket.get("molecule/" + path) for path in before} == before


def test_every_picture_can_be_downloaded(homeserver, migrated, manifest):
    checked = json.loads(homeserver.tool("media.py", "check", manifest))
    assert checked["differing"] == []
    assert checked["pictures"] == 10
    assert checked["thumbnails"] >= 10


def test_media_that_is_local_again_is_moved_again(homeserver, migrated, before, manifest):
    """Synapse writes a file again when it needs the original for a thumbnail; upstream's list ignores it then."""
    path = sorted(path for path in before if path.startswith("local_content/"))[0]
    media = f"{homeserver.facts['media_store_path']}/{path}"
    stored = homeserver.object_path(f"molecule/{path}")
    user, group = homeserver.facts["user"], homeserver.facts["group"]
    homeserver.run("install", "-D", "-o", user, "-g", group, "-m", "0640", stored, media)
    homeserver.run("chown", "-R", f"{user}:{group}", homeserver.facts["media_store_path"])
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert not homeserver.host.file(media).exists


def test_a_second_run_changes_nothing(homeserver, migrated):
    before = homeserver.bucket
    summary = json.loads(homeserver.run("synapse-s3-migrate", "--json"))
    assert summary["changed"] is False
    assert homeserver.bucket == before


def test_the_media_store_itself_stays(homeserver, migrated):
    store = homeserver.host.file(homeserver.facts["media_store_path"])
    assert store.is_directory
    assert store.user == homeserver.facts["user"]

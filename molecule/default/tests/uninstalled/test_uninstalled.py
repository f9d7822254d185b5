# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uninstall restores the host as the operator had it before, file by file."""

from __future__ import annotations

import json


def test_every_file_is_as_before(homeserver):
    before = json.loads(homeserver.host.file("/opt/test-tools/before.json").content_string)
    after = json.loads(homeserver.run("/usr/bin/python3", "/opt/test-tools/snapshot.py"))
    assert {path: now for path, now in after.items() if before.get(path) != now} == {}
    assert sorted(set(before) - set(after)) == []


def test_no_file_of_ours_is_in_the_media_store(homeserver):
    assert [path for path in homeserver.disk if "synapse-s3" in path] == []


def test_systemd_knows_no_unit_of_ours(homeserver):
    for verb in (["list-units", "--all"], ["list-unit-files"]):
        listing = homeserver.run("systemctl", *verb, "--no-legend", "--no-pager")
        # Others have a unit matrix-synapse-s3-storage-provider-migrate.
        assert [word for word in listing.split() if word.startswith("synapse-s3")] == []


def test_synapse_runs_and_the_bucket_keeps_the_media(homeserver):
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"
    assert len(homeserver.bucket) > 12

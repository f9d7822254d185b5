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
    assert "synapse-s3" not in homeserver.run("systemctl", "list-units", "--all", "--no-legend", "--no-pager")
    assert "synapse-s3" not in homeserver.run("systemctl", "list-unit-files", "--no-legend", "--no-pager")


def test_synapse_runs_and_the_bucket_keeps_the_media(homeserver):
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"
    assert len(homeserver.bucket) > 12

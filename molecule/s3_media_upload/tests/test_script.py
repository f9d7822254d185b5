# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences with upstream's script: its list of media, its steps, and that a differing object stops it."""

from __future__ import annotations


def test_the_host_runs_upstreams_script(homeserver):
    assert "migrate:" in homeserver.host.file("/etc/synapse-s3/migrate.yml").content_string
    assert "offload:" not in homeserver.host.file("/etc/synapse-s3/migrate.yml").content_string
    assert homeserver.host.file("/var/lib/synapse-s3/cache.db").user == "synapse"


def test_a_truncated_object_never_costs_the_local_file(homeserver):
    homeserver.tool("media.py", "upload", "/opt/test-tools/molecule-truncated.json", "--count", "1")
    path, size = next(item for item in homeserver.media.items() if item[0].startswith("local_content/"))
    stored = homeserver.object_path(f"molecule/{path}")
    homeserver.run("cp", "--preserve", stored, "/opt/test-tools/kept-object")
    homeserver.run("truncate", "--size=10", stored)
    failed = homeserver.host.run("systemctl start synapse-s3-migrate.service")
    assert failed.rc != 0
    assert homeserver.disk[path] == size
    assert path in homeserver.run("journalctl", "--unit=synapse-s3-migrate.service", "--no-pager")

    homeserver.run("cp", "--preserve", "/opt/test-tools/kept-object", stored)
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}


def test_the_playbook_reports_the_steps_in_check_mode_and_runs_them(homeserver, play):
    homeserver.tool("media.py", "upload", "/opt/test-tools/molecule-play.json", "--count", "1")
    before = homeserver.media
    assert before
    checked = play("matrix_ops.synapse_s3.migrate", "--check")
    assert checked.status == 0, checked.output
    assert "Would be moved on" in checked.output
    assert "iB) to take off the disk" in checked.output
    assert homeserver.media == before
    moved = play("matrix_ops.synapse_s3.migrate")
    assert moved.status == 0, moved.output
    assert homeserver.media == {}

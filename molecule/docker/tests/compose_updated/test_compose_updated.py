# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Compose project under a unit in which Compose runs, and an update of the image of Synapse in it."""

from __future__ import annotations

import json

UNIT = "matrix-compose.service"
BASE = "docker.test/synapse:v1"
BUILT = "localhost/synapse-s3/synapse"


def inspected(homeserver, kind, name, template):
    return homeserver.run("docker", kind, "inspect", "--format", template, name).strip()


def test_the_unit_starts_what_it_started_before_the_collection(homeserver):
    shown = homeserver.run("systemctl", "show", "--property=ActiveState,ExecStart", UNIT)
    assert "ActiveState=active" in shown
    assert "argv[]=/usr/bin/docker-compose up ;" in shown


def test_the_start_with_an_earlier_base_was_said_in_the_journal_of_the_unit(homeserver):
    journal = homeserver.host.file("/opt/test-tools/journal-after-update").content_string
    assert f"{BASE} is another image now than the one that {BUILT}:" in journal
    assert "Run the playbook matrix_ops.synapse_s3.site." in journal


def test_status_said_it_before_the_playbook_ran_and_not_any_more(homeserver):
    before = json.loads(homeserver.host.file("/opt/test-tools/status-after-update.json").content_string)
    now = json.loads(homeserver.run("synapse-s3", "status", "--json"))
    assert [found["migrate"]["image"]["changed"] for found in (before, now)] == [True, False]
    assert ["image" in [reason["code"] for reason in found["reasons"]] for found in (before, now)] == [True, False]


def test_synapse_runs_an_image_of_the_new_base(homeserver):
    image = inspected(homeserver, "container", "synapse", "{{.Config.Image}}")
    template = '{{index .Config.Labels "updated"}} {{index .Config.Labels "matrix_ops.synapse_s3.base_id"}}'
    assert inspected(homeserver, "image", image, template).split() == [
        "again",
        inspected(homeserver, "image", BASE, "{{.Id}}"),
    ]
    assert homeserver.run("docker", "image", "ls", "--format", "{{.Repository}}").split().count(BUILT) == 1


def test_a_second_run_changes_nothing(play):
    result = play("matrix_ops.synapse_s3.site")
    assert (result.status, result.changed) == (0, 0), result.output


def test_the_media_still_opens(homeserver):
    assert '"differing": []' in homeserver.tool("media.py", "check", "/opt/test-tools/molecule-media.json")

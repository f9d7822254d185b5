# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from their storage provider to that of this collection, step by step: every picture opens at each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

SCENARIO = Path(__file__).parents[2]
CONFIG = "/matrix/synapse/config/homeserver.yaml"
SECRET = "core-of-the-secret-8fb2"
THEIR_PLAYBOOK = SCENARIO.parents[1] / "tests" / "homeserver" / "provision_mdad_again.yml"
CONTAINER = ("-e", f"@{SCENARIO / 'vars' / 'over.yml'}")
OURS = (*CONTAINER, "-e", "synapse_s3_storage_provider_enabled=true")
SITE = "matrix_ops.synapse_s3.site"
THEIRS_OFF = {"mdad_homeserver_provider_enabled": False}


def succeeded(result):
    assert result.status == 0, result.output[-6000:]
    return result


def all_pictures_open(homeserver):
    checked = json.loads(homeserver.tool("media.py", "check", "/opt/test-tools/molecule-media.json"))
    assert checked["differing"] == []
    assert checked["pictures"] == 10


def base_of_synapses_image(homeserver):
    template = '{{index .Config.Labels "matrix_ops.synapse_s3.base"}}'
    return homeserver.run("docker", "container", "inspect", "--format", template, "matrix-synapse").strip()


def their_playbook(play, **settings):
    succeeded(play(str(THEIR_PLAYBOOK), "-e", json.dumps(settings)))


@pytest.fixture(scope="module", autouse=True)
def taken_over(play):
    """While their storage provider is still on."""
    return succeeded(play(SITE, *OURS))


def test_the_image_is_built_from_theirs(homeserver, taken_over):
    assert base_of_synapses_image(homeserver) == "localhost/matrixdotorg/synapse:v1-customized"
    assert SECRET not in taken_over.output
    all_pictures_open(homeserver)


def test_their_entry_is_replaced_once_and_nobody_else_reads_it(homeserver):
    file = homeserver.host.file(CONFIG)
    # Theirs is kept as comments.
    entries = [line for line in file.content_string.splitlines() if re.match("[^#]*S3StorageProviderBackend", line)]
    assert entries == ["- module: synapse_s3_resilient_provider.ResilientS3StorageProviderBackend"]
    assert (file.user, file.mode) == ("matrix", 0o600)


@pytest.fixture(scope="module")
def theirs_off(homeserver, play, taken_over):
    """Their next run, with the operator's own entry in place of theirs: an image without the storage provider."""
    their_playbook(play, **THEIRS_OFF, entry_is_kept=True)


def test_media_opens_after_their_run(homeserver, theirs_off):
    assert "BEGIN ANSIBLE MANAGED BLOCK" not in homeserver.host.file(CONFIG).content_string
    all_pictures_open(homeserver)
    journal = homeserver.run("journalctl", "--unit", "matrix-synapse", "--output", "cat", "--no-pager")
    assert "the service names another image than localhost/matrixdotorg/synapse:v1-customized now" in journal


def test_the_job_goes_on_after_their_run(homeserver, theirs_off):
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}


@pytest.fixture(scope="module")
def settled(play, theirs_off):
    return succeeded(play(SITE, *OURS))


def test_the_image_is_built_from_the_one_without_the_storage_provider(homeserver, settled):
    assert base_of_synapses_image(homeserver) == "docker.io/matrixdotorg/synapse:v1"
    all_pictures_open(homeserver)


def test_the_job_runs_beside_synapse(homeserver, settled):
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    user = homeserver.run("/opt/synapse-s3/in-container", "--", "id", "-u")
    assert user == homeserver.run("id", "-u", "matrix")


def test_a_second_run_changes_nothing(play, settled):
    assert succeeded(play(SITE, *OURS)).changed == 0


def test_the_collection_can_be_removed_once_theirs_is_on_again(homeserver, play, settled):
    """Afterwards the host is as it was before the first run, which ../default/tests/uninstalled compares."""
    their_playbook(play)
    succeeded(play("matrix_ops.synapse_s3.uninstall", *CONTAINER, "-e", "synapse_s3_uninstall_confirm=true"))
    image = homeserver.run("docker", "container", "inspect", "--format", "{{.Config.Image}}", "matrix-synapse").strip()
    assert image == "localhost/matrixdotorg/synapse:v1-customized"
    assert "synapse-s3" not in homeserver.run("docker", "image", "ls", "--format", "{{.Repository}}")
    all_pictures_open(homeserver)

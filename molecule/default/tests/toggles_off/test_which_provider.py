# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each storage provider follows the other in one run with a restart; the uninstall after this removes both."""

from __future__ import annotations

import json

import pytest

OFFICIAL = '{"synapse_s3_storage_provider": "official"}'
# As an installation of an earlier release is upgraded, which names no storage provider.
DEFAULT = "{}"
OPTIONS = '{"synapse_s3_storage_provider_options": {"threadpool_size": 50}}'
MODULE = "synapse_s3_resilient_provider.ResilientS3StorageProviderBackend"


def started_at(homeserver):
    return homeserver.run("systemctl", "show", "matrix-synapse", "--property=ExecMainStartTimestampMonotonic")


def configuration(homeserver):
    # The first is the file with the list; others may be directories.
    return homeserver.host.file(homeserver.facts["config_paths"][0]).content_string


def assert_every_picture_opens(homeserver):
    checked = json.loads(homeserver.tool("media.py", "check", "/opt/test-tools/molecule-media.json"))
    assert (checked["differing"], checked["pictures"]) == ([], 10)


@pytest.fixture(scope="module")
def official(play, homeserver):
    made = play("matrix_ops.synapse_s3.site", "-e", OFFICIAL)
    assert made.status == 0, made.output
    assert MODULE not in configuration(homeserver)
    # What it extends stays what it extended, so that a later change installs nothing from an index.
    homeserver.run(homeserver.facts["python"], "-c", "import synapse_s3_resilient_provider")


def test_check_mode_shows_the_change_and_makes_none(play, homeserver, official):
    before = started_at(homeserver)
    shown = play("matrix_ops.synapse_s3.site", "--check", "--diff", "-e", OPTIONS)
    assert shown.status == 0, shown.output
    assert f"+- module: {MODULE}" in shown.output.replace("  ", "")
    assert "threadpool_size: 50" in shown.output
    assert (started_at(homeserver), MODULE in configuration(homeserver)) == (before, False)


def test_a_wrong_option_is_refused_before_anything_is_touched(play, homeserver, official):
    wrong = OPTIONS.replace("threadpool_size", "threadpol_size")
    refused = play("matrix_ops.synapse_s3.site", "-e", wrong)
    assert refused.status != 0
    assert "threadpool_size is the nearest" in " ".join(refused.output.split())
    assert refused.changed == 0


@pytest.mark.parametrize(
    "settings", [DEFAULT, OPTIONS, OFFICIAL], ids=["to the default", "with options", "to official again"]
)
def test_one_run_changes_it_and_a_second_one_nothing(settings, play, homeserver, official):
    before = started_at(homeserver)
    changed = play("matrix_ops.synapse_s3.site", "-e", settings)
    assert changed.status == 0, changed.output
    assert changed.changed > 0
    assert started_at(homeserver) != before
    assert (MODULE in configuration(homeserver)) == (settings != OFFICIAL)
    assert_every_picture_opens(homeserver)
    again = play("matrix_ops.synapse_s3.site", "-e", settings)
    assert (again.status, again.changed) == (0, 0), again.output

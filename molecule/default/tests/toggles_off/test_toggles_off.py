# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Off means removed; nothing else is changed. The scenario has turned the timer off, the tests turn off the rest."""

from __future__ import annotations

import json
import re

EVERYTHING_OFF = '{"synapse_s3_storage_provider_enabled": false, "synapse_s3_migrate_enabled": false}'
CONFIRMED = '{"synapse_s3_uninstall_confirm": true}'
PROVIDER = "/etc/synapse-s3/applied.json"
MIGRATE_OFF = '{"synapse_s3_migrate_enabled": false}'


def test_the_timer_is_removed_and_the_service_stays(homeserver):
    assert homeserver.run("systemctl", "list-timers", "--all", "--no-legend", "--no-pager").count("synapse-s3") == 0
    assert not homeserver.host.file("/etc/systemd/system/synapse-s3-migrate.timer").exists
    assert homeserver.host.file("/etc/systemd/system/synapse-s3-migrate.service").exists
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")


def test_another_location_is_refused(play_cases, homeserver):
    before = homeserver.bucket
    others = {
        "synapse_s3_prefix": "elsewhere",
        "synapse_s3_endpoint_url": "http://127.0.0.1:9001",
        "synapse_s3_sse_customer_key": "0123456789abcdef0123456789abcdef",
    }
    cases = {setting: {setting: value} for setting, value in others.items()}
    # A confirmation of another location, for example an old one, permits nothing.
    confirmed = "synapse_s3_confirm_location=http://127.0.0.1:9000/old"
    for setting, result in play_cases("matrix_ops.synapse_s3.site", cases, "-e", confirmed).items():
        assert (result.failed, result.changed) == (1, 0), setting
        assert setting in result.failures
        assert "synapse_s3_confirm_location" in result.failures
    assert homeserver.bucket == before


def test_only_the_migrate_job_is_removed(play, homeserver):
    off = play("matrix_ops.synapse_s3.site", "-e", MIGRATE_OFF)
    assert off.status == 0, off.output
    for path in (
        "/etc/systemd/system/synapse-s3-migrate.service",
        "/usr/local/bin/synapse-s3-migrate",
        "/usr/local/bin/synapse-s3-shell",
        "/usr/local/bin/synapse-s3",
        "/opt/synapse-s3",
        "/var/lib/synapse-s3",
        "/etc/synapse-s3/environment",
        "/srv/metrics/synapse-s3.prom",
    ):
        assert not homeserver.host.file(path).exists, path
    assert "matrix_ops.synapse_s3" in homeserver.host.file(homeserver.facts["config_paths"][0]).content_string
    assert play("matrix_ops.synapse_s3.site", "-e", MIGRATE_OFF).changed == 0


def test_a_removal_that_would_do_harm_is_refused(play_cases, homeserver):
    """Its entry cannot be removed where Synapse is not found, so its package must stay; or nobody has confirmed it."""
    homeserver.run("ln", "-sf", "/dev/null", "/run/systemd/system/masked-synapse.service")
    homeserver.run("systemctl", "daemon-reload")
    cases = {
        "mistyped": {"synapse_s3_synapse_service": "no-such-synapse.service", **json.loads(CONFIRMED)},
        "masked": {"synapse_s3_synapse_service": "masked-synapse.service", **json.loads(CONFIRMED)},
        "not confirmed": {},
    }
    refused = play_cases("matrix_ops.synapse_s3.site", cases, "-e", EVERYTHING_OFF)
    homeserver.run("rm", "/run/systemd/system/masked-synapse.service")
    homeserver.run("systemctl", "daemon-reload")
    assert {case: (result.failed, result.changed) for case, result in refused.items()} == dict.fromkeys(cases, (1, 0))
    said = {case: re.sub(r"\s+", " ", result.failures) for case, result in refused.items()}
    entry = homeserver.facts["config_paths"][0]
    assert f"Nothing was removed, because {entry} names the storage provider" in said["mistyped"]
    assert "systemctl unmask" in said["masked"]
    assert "synapse_s3_uninstall_confirm" in said["not confirmed"]
    homeserver.run(homeserver.facts["python"], "-c", "import s3_storage_provider")
    assert homeserver.host.file(PROVIDER).exists


def test_only_the_storage_provider_is_removed(play, homeserver):
    off = play("matrix_ops.synapse_s3.site", "-e", EVERYTHING_OFF, "-e", CONFIRMED)
    assert off.status == 0, off.output
    before = json.loads(homeserver.host.file("/opt/test-tools/before.json").content_string)
    path = homeserver.facts["config_paths"][0]
    assert homeserver.host.file(path).sha256sum == before[path][3]
    assert homeserver.host.run(f"{homeserver.facts['python']} -c 'import s3_storage_provider'").rc != 0
    assert homeserver.run("curl", "--silent", "--fail", homeserver.facts["url"] + "/health") == "OK"
    # Nothing is installed any more, so that no confirmation is needed.
    again = play("matrix_ops.synapse_s3.site", "-e", EVERYTHING_OFF)
    assert (again.status, again.changed) == (0, 0), again.output


def test_the_migrate_job_alone_downloads_nothing_in_its_second_run(play, homeserver):
    """Synapse's Python has no boto3 now, and the job's own virtualenv has it since the first run."""
    alone = '{"synapse_s3_storage_provider_enabled": false, "synapse_s3_migrate_delete_local": false}'
    first = play("matrix_ops.synapse_s3.site", "-e", alone)
    assert first.status == 0, first.output
    count = "journalctl --no-pager --output=cat | grep --count synapse-s3-probe-"
    before = homeserver.run("sh", "-c", count)
    again = play("matrix_ops.synapse_s3.site", "-e", alone)
    assert (again.status, again.changed) == (0, 0), again.output
    assert homeserver.run("sh", "-c", count) == before


def test_a_successful_restart_is_not_repeated_after_a_wrong_address(play, homeserver):
    wrong = '{"synapse_s3_synapse_url": "http://127.0.0.1:9", "synapse_s3_storage_provider_wait_timeout": 2}'
    failed = play("matrix_ops.synapse_s3.site", "-e", wrong)
    assert failed.status != 0
    said = re.sub(r"\s+", " ", failed.output)
    assert "matrix-synapse.service was restarted, and systemd calls it 'active'" in said
    assert "set synapse_s3_synapse_url" in said
    started = homeserver.run("systemctl", "show", "matrix-synapse", "--property=ExecMainStartTimestampMonotonic")
    assert play("matrix_ops.synapse_s3.site").status == 0
    shown = homeserver.run("systemctl", "show", "matrix-synapse", "--property=ExecMainStartTimestampMonotonic")
    assert shown == started


def started_at(homeserver):
    return homeserver.run("systemctl", "show", "matrix-synapse", "--property=ExecMainStartTimestampMonotonic")


def test_a_restart_is_held_back_until_it_is_allowed(play, homeserver):
    """Meanwhile nothing takes media off the disk, and the next run that may restart Synapse does."""
    changed = '{"synapse_s3_storage_provider_store_synchronous": false}'
    before = started_at(homeserver)
    held = play("matrix_ops.synapse_s3.site", "-e", changed, "-e", '{"synapse_s3_restart_synapse": false}')
    assert held.status == 0, held.output
    said = re.sub(r"\s+", " ", held.output)
    assert "A restart of Synapse is due" in said
    assert "systemctl restart matrix-synapse.service" in said
    assert started_at(homeserver) == before
    assert not homeserver.host.service("synapse-s3-migrate.timer").is_running
    again = play("matrix_ops.synapse_s3.site", "-e", changed, "-e", '{"synapse_s3_restart_synapse": false}')
    assert (again.status, again.changed) == (0, 0), again.output
    assert play("matrix_ops.synapse_s3.site", "-e", changed).status == 0
    assert started_at(homeserver) != before
    assert homeserver.host.service("synapse-s3-migrate.timer").is_running


def test_it_can_be_installed_again(play, homeserver):
    on = play("matrix_ops.synapse_s3.site")
    assert on.status == 0, on.output
    assert homeserver.host.service("synapse-s3-migrate.timer").is_running


def test_the_preflight_alone_changes_nothing(play, play_cases, homeserver):
    graces = {"wrong": {"synapse_s3_migrate_grace": "soon"}, "right": {"synapse_s3_migrate_grace": "2h"}}
    ended = play_cases("matrix_ops.synapse_s3.site", graces, "--tags", "preflight")
    assert (ended["wrong"].failed, ended["wrong"].changed) == (1, 0)
    assert "synapse_s3_migrate_grace" in ended["wrong"].failures
    assert (ended["right"].failed, ended["right"].changed) == (0, 0), ended["right"].failures
    configured = play("matrix_ops.synapse_s3.site", "--tags", "configure", "-e", json.dumps(graces["right"]))
    assert (configured.status, configured.changed) == (0, 1), configured.output


def test_uninstall_requires_confirmation_and_a_restart_of_synapse(play_cases, homeserver):
    cases = {"not confirmed": {}, "held": {"synapse_s3_restart_synapse": False, **json.loads(CONFIRMED)}}
    refused = play_cases("matrix_ops.synapse_s3.uninstall", cases)
    assert {case: (result.failed, result.changed) for case, result in refused.items()} == dict.fromkeys(cases, (1, 0))
    assert "synapse_s3_uninstall_confirm" in refused["not confirmed"].failures
    said = re.sub(r"\s+", " ", refused["not confirmed"].failures)
    assert re.search(r"\([1-9][0-9]* media, [0-9.]+ [KM]iB and their thumbnails, on this host\)", said), said
    assert "synapse_s3_restart_synapse" in refused["held"].failures
    assert homeserver.host.service("synapse-s3-migrate.timer").is_running

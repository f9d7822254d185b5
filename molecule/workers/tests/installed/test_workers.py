# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every process that serves media has the storage provider, and they are restarted one after the other."""

from __future__ import annotations

import json
import re

import pytest

MEDIA = ("matrix-synapse-worker@media1.service", "matrix-synapse-worker@media2.service")
OTHERS = ("matrix-synapse.service", "matrix-synapse-worker@generic1.service")
LIST = "/opt/test-tools/molecule-workers.json"
RESULT = "/opt/test-tools/download-loop.json"
DROP_IN = "/etc/matrix-synapse/conf.d/synapse-s3.yaml"
OF_MEDIA2 = "/etc/matrix-synapse/workers/media2.yaml"
ASYNCHRONOUS = '{"synapse_s3_storage_provider_store_synchronous": false}'


def pids(homeserver):
    """The process of each service."""
    show = ("systemctl", "show", "--value", "--property=MainPID")
    return {service: homeserver.run(*show, service).strip() for service in (*MEDIA, *OTHERS)}


def moment(homeserver, service, name):
    """A time of systemd's clock, in microseconds."""
    return int(homeserver.run("systemctl", "show", "--value", f"--property={name}TimestampMonotonic", service))


@pytest.fixture(scope="module")
def pictures(homeserver):
    """Pictures that are in the bucket alone."""
    homeserver.tool("media.py", "upload", LIST, "--count", "4", "--remote", "2")
    homeserver.run("systemctl", "start", "synapse-s3-migrate.service")
    assert homeserver.media == {}
    return LIST


def test_the_entry_is_in_the_one_file_that_all_processes_read(homeserver):
    found = homeserver.run(
        "grep", "--recursive", "--files-with-matches", "S3StorageProviderBackend", "/etc/matrix-synapse"
    )
    assert found.split() == [DROP_IN]


@pytest.mark.parametrize("worker", ["media1", "media2"])
def test_each_media_worker_serves_every_picture(homeserver, pictures, worker):
    checked = json.loads(homeserver.tool("media.py", "--facts", f"/opt/test-tools/{worker}.json", "check", pictures))
    assert checked["differing"] == []
    assert checked["pictures"] == 6


def test_the_migrate_job_checks_every_process_that_serves_media(homeserver):
    text = homeserver.host.file("/etc/synapse-s3/migrate.yml").content_string
    for name in ("media1", "media2"):
        assert f"/etc/matrix-synapse/workers/{name}.yaml" in text


def test_the_settings_of_boto3_are_given_to_the_media_workers_alone(homeserver):
    found = homeserver.run("find", "/etc/systemd/system", "-name", "synapse-s3.conf").split()
    assert sorted(found) == [f"/etc/systemd/system/{service}.d/synapse-s3.conf" for service in MEDIA]


def test_a_process_that_would_not_start_is_named_before_anything_changes(homeserver, play):
    before, block = pids(homeserver), homeserver.host.file(DROP_IN).content_string
    own = homeserver.host.file(OF_MEDIA2).content_string
    homeserver.run("sh", "-c", f"echo 'max_upload_size: many' >> {OF_MEDIA2}")
    try:
        refused = play("matrix_ops.synapse_s3.site", "-e", ASYNCHRONOUS)
    finally:
        homeserver.run("sed", "--in-place", "$d", OF_MEDIA2)
    assert homeserver.host.file(OF_MEDIA2).content_string == own
    assert refused.status != 0
    said = re.sub(r"\s+", " ", refused.output)
    assert f"{MEDIA[1]}: Synapse refuses the configuration with this change, so nothing was changed" in said
    assert homeserver.host.file(DROP_IN).content_string == block
    assert pids(homeserver) == before


def test_one_media_worker_serves_media_while_the_other_is_restarted(homeserver, play, pictures):
    before = pids(homeserver)
    command = ["/opt/test-tools/venv/bin/python", "/opt/test-tools/download_loop.py", pictures, RESULT]
    homeserver.run("systemd-run", "--unit=download-loop", "--collect", *command)
    changed = play("matrix_ops.synapse_s3.site", "-e", ASYNCHRONOUS)
    homeserver.run("systemctl", "stop", "download-loop")
    assert changed.status == 0, changed.output[-3000:]

    downloaded = json.loads(homeserver.host.file(RESULT).content_string)
    assert downloaded["failed"] == []
    assert downloaded["downloads"] > 100
    assert downloaded["cut"] <= len(MEDIA)

    after = pids(homeserver)
    assert "0" not in after.values()
    assert [service for service in after if after[service] != before[service]] == list(MEDIA)
    first, second = sorted(MEDIA, key=lambda service: moment(homeserver, service, "ActiveEnter"))
    assert moment(homeserver, second, "InactiveEnter") > moment(homeserver, first, "ActiveEnter")


def test_the_run_reports_which_processes_it_found(play):
    said = play("matrix_ops.synapse_s3.site", "--tags", "preflight")
    assert said.status == 0, said.output[-3000:]
    text = re.sub(r"\s+", " ", said.output)
    assert f"serve media: {', '.join(MEDIA)}" in text
    assert f"do not serve media: {', '.join(OTHERS)}" in text

# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret is in a process list, the journal, a playbook's output, or a file that others can read."""

from __future__ import annotations

import json

import pytest

CORE_OF_THE_SECRET = "core-of-the-secret-8fb2"
EVERYTHING_OFF = '{"synapse_s3_storage_provider_enabled": false, "synapse_s3_migrate_enabled": false}'
CONFIRMED = '{"synapse_s3_uninstall_confirm": true}'
ASYNCHRONOUS = '{"synapse_s3_storage_provider_store_synchronous": false}'


@pytest.fixture(scope="module")
def secrets(homeserver):
    return [
        CORE_OF_THE_SECRET,
        homeserver.facts["database"]["password"],
        homeserver.facts["registration_shared_secret"],
        *(user["access_token"] for user in homeserver.facts["users"].values()),
    ]


def test_the_secrets_are_where_they_are_needed(homeserver):
    """Otherwise the searches below would find nothing for the wrong reason."""
    assert CORE_OF_THE_SECRET in homeserver.host.file(homeserver.facts["config_paths"][0]).content_string
    assert CORE_OF_THE_SECRET in homeserver.host.file("/etc/synapse-s3/environment").content_string


def test_no_secret_in_a_process_list(homeserver, secrets):
    homeserver.tool("media.py", "upload", "/opt/test-tools/molecule-watched.json", "--count", "3")
    watcher = ["/usr/bin/python3", "/opt/test-tools/watch_processes.py"]
    watched = homeserver.run(*watcher, "systemctl", "start", "synapse-s3-migrate.service")
    assert "synapse_media" in watched, "the process list never showed the run"
    assert [secret for secret in secrets if secret in watched] == []


def test_no_secret_in_the_journal(homeserver, secrets):
    journal = homeserver.run("journalctl", "--no-pager", "--output=verbose")
    assert "synapse-s3-migrate" in journal
    assert [secret for secret in secrets if secret in journal] == []


def test_no_task_logs_its_data_in_the_journal(homeserver):
    """Each task logs its arguments; the program itself would add 400 KB if it were not copied as a file."""
    lines = homeserver.run("journalctl", "--no-pager", "--output=json", "--output-fields=SYSLOG_IDENTIFIER,MESSAGE")
    entries = [json.loads(line) for line in lines.splitlines()]
    tasks = [entry for entry in entries if str(entry.get("SYSLOG_IDENTIFIER")).startswith("ansible-")]
    assert len(tasks) > 50
    # journalctl shows null for a message that is too long.
    assert [entry for entry in tasks if entry["MESSAGE"] is None or len(entry["MESSAGE"]) > 8000] == []


def test_no_secret_in_a_file_that_others_can_read(homeserver, secrets):
    for secret in secrets:
        found = homeserver.host.run(
            "find /etc /opt /usr/local /var /root /home /srv /tmp -xdev -type f -perm /o=r -size -20M -print0"
            f" | xargs -0 grep --files-with-matches --fixed-strings -e '{secret}'"
        )
        assert found.stdout.split() == []


def test_no_secret_in_the_output_of_a_playbook(play, secrets):
    """All tasks that write a secret: off, and on again with a changed setting, with the highest verbosity."""
    off = play("matrix_ops.synapse_s3.site", "-vvv", "--diff", "-e", EVERYTHING_OFF, "-e", CONFIRMED)
    assert off.status == 0, off.output[-3000:]
    on = play("matrix_ops.synapse_s3.site", "-vvv", "--diff", "-e", ASYNCHRONOUS)
    assert on.status == 0, on.output[-3000:]
    again = play("matrix_ops.synapse_s3.site", "-vvv", "--diff")
    assert again.status == 0, again.output[-3000:]
    assert "secret_access_key: ********" in on.output, "the block's diff was not shown"
    for output in (off.output, on.output, again.output):
        assert [secret for secret in secrets if secret in output] == []

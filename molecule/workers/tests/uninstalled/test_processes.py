# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the removal every process of Synapse runs, and those that serve media still take uploads."""

from __future__ import annotations

import json

import pytest

PORTS = {"media1": 8085, "media2": 8086, "generic1": 8083}


@pytest.mark.parametrize("worker", sorted(PORTS))
def test_the_worker_runs_and_answers(homeserver, worker):
    assert homeserver.host.service(f"matrix-synapse-worker@{worker}").is_running
    assert homeserver.run("curl", "--silent", "--fail", f"http://127.0.0.1:{PORTS[worker]}/health") == "OK"


@pytest.mark.parametrize("worker", ["media1", "media2"])
def test_the_media_worker_works_without_the_storage_provider(homeserver, worker):
    facts, made = f"/opt/test-tools/{worker}.json", f"/opt/test-tools/after-{worker}.json"
    homeserver.tool("media.py", "--facts", facts, "upload", made, "--count", "1")
    assert json.loads(homeserver.tool("media.py", "--facts", facts, "check", made))["differing"] == []


def test_no_process_has_the_storage_provider_loaded(homeserver):
    homeserver.host.run_expect([1], "/opt/synapse/venv/bin/python -c 'import s3_storage_provider'")

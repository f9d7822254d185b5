# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The media tables of these tests equal those of the real Synapse on the provisioned host."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from homeserver_database import Cluster, PostgresqlDatabase

HOMESERVER = Path("/opt/test-tools/homeserver/facts.json")
COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_name IN ('local_media_repository', 'remote_media_cache') ORDER BY 1, 2
"""


@pytest.mark.skipif(not HOMESERVER.exists(), reason="needs the host of tests/homeserver/provision.yml")
def test_columns_equal_synapses(cluster: Cluster) -> None:
    ours = PostgresqlDatabase(cluster, "synapse_columns")
    database = json.loads(HOMESERVER.read_text())["database"]
    with closing(psycopg2.connect(**database)) as connection, connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        synapses = cursor.fetchall()
    assert ours.execute(COLUMNS) == synapses

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Downloads take turns with the threads, and neither a lack of threads nor a single object counts as a store away."""

from __future__ import annotations

import json
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conftest import BUCKET, NEWEST, MakeHomeserver
from downloads import download, download_at_once
from homeserver import RESILIENT, Homeserver, media_key
from s3_server import S3Server
from switchable_proxy import SILENT, SLOW, SLOW_RATE, SwitchableProxy

# The fewest that are allowed.
THREADS = 5
# Slow for longer than a download may wait for its first byte.
LARGE = {f"TurnsLarge{number:014d}": random.Random(number).randbytes(10 * SLOW_RATE) for number in range(THREADS)}
SMALL = {f"TurnsSmall{number:014d}": random.Random(-number).randbytes(1000) for number in range(30)}
# Runs in Synapse's Python: whether the circuit refuses after each failure.
CIRCUIT = """
import json, sys
from synapse_s3_resilient_provider.circuit import Circuit
def refusals(failures, keys):
    circuit = Circuit("test", failures, 60.0)
    found = []
    for key in keys:
        circuit.failed(key)
        found.append(circuit.refuses())
    return found
print(json.dumps([refusals(*case) for case in json.load(sys.stdin)]))
"""


def started(homeserver: Homeserver, s3: S3Server) -> Homeserver:
    for media_id, content in {**LARGE, **SMALL}.items():
        s3.client().put_object(Bucket=BUCKET, Key=media_key(media_id), Body=content)
    # The first start makes the database.
    with homeserver:
        pass
    homeserver.add_rows({media_id: len(content) for media_id, content in {**LARGE, **SMALL}.items()})
    homeserver.start()
    return homeserver


def test_as_many_downloads_as_threads_from_a_slow_store_hold_up_no_other(
    make_homeserver: MakeHomeserver, s3: S3Server, network: SwitchableProxy
) -> None:
    homeserver = started(make_homeserver(config={"threadpool_size": THREADS}), s3)
    network.switch(SLOW)
    with ThreadPoolExecutor(THREADS) as pool:
        large = [pool.submit(download, homeserver, media_id) for media_id in LARGE]
        time.sleep(2)
        media_id, content = next(iter(SMALL.items()))

        ended = download(homeserver, media_id)

        assert not [one for one in large if one.done()], "they were not slow"
        assert (ended.status, ended.content) == (200, content)
        assert ended.seconds < 5
        assert [one.result().content for one in large] == list(LARGE.values())


def test_downloads_that_get_no_thread_end_and_do_not_open_the_circuit(
    make_homeserver: MakeHomeserver, s3: S3Server, network: SwitchableProxy
) -> None:
    config = {"threadpool_size": THREADS, "fetch_timeout": 1, "read_timeout": 5, "circuit_failures": THREADS + 1}
    homeserver = started(make_homeserver(config=config), s3)
    network.switch(SILENT)

    ended, slowest_health = download_at_once(homeserver, list(SMALL))

    assert [one.status for one in ended] == [503] * len(SMALL)
    assert max(one.seconds for one in ended) < 5
    assert slowest_health < 1.0
    metrics = homeserver.metrics()
    errors = 'synapse_s3_provider_errors_total{operation="fetch",reason="%s"}'
    assert metrics[errors % "no_thread"] == len(SMALL) - THREADS
    assert metrics[errors % "timeout"] == THREADS
    assert metrics['synapse_s3_provider_circuit_open{operation="fetch"}'] == 0
    assert f"of {THREADS} (threadpool_size)" in homeserver.log.read_text()


def test_failures_of_a_single_object_do_not_open_the_circuit(tmp_path: Path) -> None:
    cases = [[3, ["one"] * 6], [3, ["one", "one", "two", "two"]], [3, ["one"] * 4 + ["two"]], [1, ["one"]]]
    answer = subprocess.run(
        [NEWEST.python, "-c", CIRCUIT],
        input=json.dumps(cases),
        env=Homeserver(tmp_path, NEWEST.python, RESILIENT, {}).environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(answer) == [
        [False] * 6,
        [False, False, True, True],
        [False] * 4 + [True],
        [True],
    ]

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""downloads: media of 100 MB through both storage providers of one Synapse."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import Bench, Run
from media import work_directory
from paths import ACCESS_KEY_ID, BUCKET, ROOT, SECRET_ACCESS_KEY, SYNAPSE
from results import Figure, Goal
from run_cost import Cost, RunFailed
from s3_store import Store, running_store

sys.path.append(str(ROOT / "tests" / "integration"))
sys.path.append(str(ROOT / "tests" / "provider"))

from homeserver import OFFICIAL, RESILIENT, Homeserver, media_key

SIZE = 100_000_000
CLIENTS = (1, 10, 50)
# So many downloads at least, one after the other, because one takes a tenth of a second.
FEWEST = 5
MEDIA_ID = "LargeMediaLargeMediaLarg"
# What one call discards at most.
_MOST = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")


def downloads(bench: Bench) -> list[Figure]:
    size = max(1 << 20, round(SIZE * bench.scale))
    figure = Figure(
        "downloads",
        f"media of {size} bytes that is in S3 alone, through Synapse, no delay to the store",
        {"size": size, "rounds": bench.rounds},
    )
    with work_directory(bench.below) as directory, running_store(options=("--keep", str(size))) as store:
        _put(store, size)
        homeservers = {name: _homeserver(directory / name, module, store) for name, module in _PROVIDERS.items()}
        try:
            for homeserver in homeservers.values():
                homeserver.start()
            contenders = [
                (_name(name, clients), _downloaded(homeserver, store, clients, size))
                for clients in CLIENTS
                for name, homeserver in homeservers.items()
            ]
            # Each once without a measurement: clients of boto3, threads and buffers are made then.
            for dummy, run in contenders[:2]:
                run()
            bench.interleaved(contenders, figure.add)
        finally:
            for homeserver in homeservers.values():
                homeserver.stop()
    for clients in CLIENTS:
        official, resilient = (figure.median(_name(name, clients)) for name in _PROVIDERS)
        figure.goals.append(
            Goal(f"rate: resilient / official, {clients}", official.seconds / resilient.seconds, 3.0, True)
        )
        count = _count(clients)
        figure.remarks.append(
            f"{clients} clients, {count} downloads: official {count * size / official.seconds / 1e6:.0f} MB/s, "
            f"resilient {count * size / resilient.seconds / 1e6:.0f} MB/s"
        )
    load = os.getloadavg()
    figure.remarks.append(f"load of the machine at the end: {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f}")
    return [figure]


_PROVIDERS = {"official": OFFICIAL, "resilient": RESILIENT}


def _name(provider: str, clients: int) -> str:
    return f"{provider}, {clients} clients"


def _count(clients: int) -> int:
    return max(FEWEST, clients)


def _put(store: Store, size: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
    content = (os.urandom(1 << 16) * (size // (1 << 16) + 1))[:size]
    connection.request("PUT", f"/{BUCKET}/{media_key(MEDIA_ID)}", content)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RunFailed(f"The store responded with {answer.status} to a PUT")


def _homeserver(directory: Path, module: str, store: Store) -> Homeserver:
    config = {
        "bucket": BUCKET,
        "endpoint_url": store.endpoint_url,
        "region_name": "us-east-1",
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
    }
    made = Homeserver(directory, str(SYNAPSE), module, config)
    # The first start makes the database.
    with made:
        pass
    made.add_rows({MEDIA_ID: store.listing()[media_key(MEDIA_ID)].size})
    return made


def _downloaded(homeserver: Homeserver, store: Store, clients: int, size: int) -> Run:
    def run() -> Cost:
        # Begins a new peak.
        Path(f"/proc/{homeserver.pid}/clear_refs").write_text("5")
        before, cpu = store.zero(), _cpu_seconds(homeserver.pid)
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            received = list(pool.map(lambda dummy: _download(homeserver), range(_count(clients))))
        seconds = time.monotonic() - began
        if min(received) < size or max(received) != min(received):
            raise RunFailed(f"{homeserver.module} delivered {sorted(set(received))} bytes")
        after = store.statistics()
        return Cost(
            seconds=seconds,
            cpu_seconds=_cpu_seconds(homeserver.pid) - cpu,
            peak_rss_mib=_peak_kib(homeserver.pid) / 1024,
            requests={kind: count for kind, count in after["requests"].items() if count},
            store_cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
            connections=after["most_connections"],
        )

    return run


def _download(homeserver: Homeserver) -> int:
    """The number of bytes of the body. The kernel discards them (MSG_TRUNC), so that a client costs next to nothing."""
    request = f"GET {homeserver.media_path(MEDIA_ID)} HTTP/1.1\r\nHost: provider.test\r\nConnection: close\r\n\r\n"
    buffer = bytearray(_MOST)
    with socket.create_connection(("127.0.0.1", homeserver.port), timeout=600) as client:
        client.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(4096)
            if not part:
                raise RunFailed(f"{homeserver.module}: {head!r}")
            head += part
        lines, dummy, body = head.partition(b"\r\n\r\n")
        if not lines.startswith(b"HTTP/1.1 200 "):
            raise RunFailed(f"{homeserver.module}: {lines!r}")
        received = len(body)
        while count := client.recv_into(buffer, _MOST, socket.MSG_TRUNC):
            received += count
    return received


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Name resolution, addresses and descriptors: everything before the first byte."""

from __future__ import annotations

import errno
import resource
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3 import client as client_module
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import Digest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport import resolver
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.connector import (
    ParallelConnect,
    drop,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.errors import (
    EndpointConnectionError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.limits import (
    allow_descriptors,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.transport.resolver import (
    Resolver,
    SocketAddress,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings
from s3_client import md5, put, with_s3
from scripted_store import ScriptedStore, cut_after, done, scripted_store


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(threads=1)
    yield loop
    loop.close()


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> list[str]:
    """Names looked up from now on; each has these addresses, or does not resolve if there are none."""
    asked: list[str] = []

    def look_up(host: str, port: int, **others: Any) -> list[Any]:
        asked.append(host)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (*addresses, *addresses)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_connections_are_spread_over_the_addresses_of_a_name(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, ("127.0.0.1", 1), ("127.0.0.2", 1))
    names = Resolver(loop, "store.example.org", 1)
    first, second = SocketAddress(socket.AF_INET, ("127.0.0.1", 1)), SocketAddress(socket.AF_INET, ("127.0.0.2", 1))
    assert [loop.run(names.addresses()) for dummy in range(3)] == [[second, first], [first, second], [second, first]]
    assert asked == ["store.example.org"]


def test_a_cached_address_is_used_while_names_do_not_resolve(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_KEPT_SECONDS", 0.0)
    names = Resolver(loop, "store.example.org", 1)
    answers(monkeypatch)
    with pytest.raises(EndpointConnectionError, match="does not resolve"):
        loop.run(names.addresses())
    answers(monkeypatch, ("127.0.0.1", 1))
    expected = loop.run(names.addresses())
    asked = answers(monkeypatch)
    assert loop.run(names.addresses()) == expected
    assert asked == ["store.example.org"]


def test_after_a_refused_connection_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        refusing = ("127.0.0.1", free.getsockname()[1])
    with scripted_store(done("x")) as store:
        answers(monkeypatch, ("127.0.0.1", store.port), refusing)
        assert put(store.settings(endpoint_url="http://store.example.org")) == "x"


IPV6, IPV4 = socket.AF_INET6, socket.AF_INET


def families(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, tuple[Any, ...]]) -> None:
    def look_up(host: str, port: int, **others: Any) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_families_alternate_and_one_that_works_comes_first(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    sixes = [SocketAddress(IPV6, (f"2001:db8::{number}", 1, 0, 0)) for number in range(3)]
    fours = [SocketAddress(IPV4, (f"192.0.2.{number}", 1)) for number in range(2)]
    families(monkeypatch, *sixes, *fours)
    names = Resolver(loop, "store.example.org", 1)
    assert loop.run(names.addresses()) == [sixes[1], fours[1], sixes[2], fours[0], sixes[0]]
    assert loop.run(names.addresses()) == [sixes[2], fours[0], sixes[0], fours[1], sixes[1]]
    names.prefer(IPV4)
    assert loop.run(names.addresses()) == [fours[1], sixes[0], fours[0], sixes[1], sixes[2]]


class SilentAddress:
    """An address that neither accepts nor refuses connections, as behind a router that drops packets."""

    def __init__(self, family: int, host: str) -> None:
        self._listener = socket.socket(family)
        self._listener.bind((host, 0))
        self._listener.listen(0)
        self.place = (family, self._listener.getsockname())
        # The backlog is full with these, so later connections get no response.
        self._waiting = [socket.socket(family) for dummy in range(4)]
        for link in self._waiting:
            link.setblocking(False)
            link.connect_ex(self.place[1])

    def close(self) -> None:
        for link in (*self._waiting, self._listener):
            link.close()


@pytest.fixture
def silent() -> Iterator[SilentAddress]:
    silent = (
        SilentAddress(IPV6, "::1") if socket.has_ipv6 and _has_ipv6_loopback() else SilentAddress(IPV4, "127.0.0.2")
    )
    yield silent
    silent.close()


def _has_ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=IPV6):
            return True
    except OSError:
        return False


def connect(loop: Loop, *places: tuple[int, Any], timeout: float = 10) -> Any:
    return loop.run(ParallelConnect(loop, [SocketAddress(*place) for place in places], timeout).run())


def test_an_address_that_does_not_respond_costs_a_moment(loop: Loop, silent: SilentAddress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = time.monotonic()
        connected = connect(loop, silent.place, (IPV4, listener.getsockname()))
        assert 0.2 <= time.monotonic() - begun < 5
        assert connected.link.socket.getpeername() == listener.getsockname()
        assert connected.family == IPV4
        drop(loop, connected.link)


def test_connection_attempts_that_are_no_longer_needed_are_closed(loop: Loop, silent: SilentAddress) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = connect(loop, silent.place, silent.place, (IPV4, listener.getsockname()))
        loop.run(_turns(loop))
        drop(loop, connected.link)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


async def _turns(loop: Loop) -> None:
    await loop.sleep(0.05)


def test_a_refused_connection_tries_the_next_address_at_once(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        refusing = (IPV4, free.getsockname())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = time.monotonic()
        connected = connect(loop, refusing, refusing, (IPV4, listener.getsockname()))
        assert time.monotonic() - begun < 0.2
        drop(loop, connected.link)
    with pytest.raises(ConnectionRefusedError):
        connect(loop, refusing, refusing)


def test_a_timeout_where_no_address_responds(loop: Loop, silent: SilentAddress) -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        connect(loop, silent.place, silent.place, timeout=0.3)
    assert 0.5 <= time.monotonic() - begun < 5


def test_later_connections_start_with_the_family_that_worked(
    monkeypatch: pytest.MonkeyPatch, silent: SilentAddress
) -> None:
    async def main(s3: Bucket, client: Client, loop: Loop) -> list[float]:
        seconds = []
        for number in range(3):
            begun = time.monotonic()
            await s3.put(f"{number}", b"x", Digest(md5(b"x")))
            seconds.append(time.monotonic() - begun)
        return seconds

    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with scripted_store(cut_after(done("x"))) as store:
        families(monkeypatch, silent.place, (IPV4, ("127.0.0.1", store.port)))
        seconds = with_s3(store.settings(endpoint_url="http://store.example.org"), main)
    assert seconds[0] >= 0.2
    if silent.place[0] == IPV6:
        assert max(seconds[1:]) < 0.2


def limited(limit: int, program: str) -> str:
    """Return what the program prints in a process with this limit of open files, which it cannot raise."""
    beginning = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))\n"
    return subprocess.run(
        [sys.executable, "-c", beginning + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])},
    ).stdout


PUT_MANY = """
    import socket
    from s3_client import Digest, md5, with_s3
    from scripted_store import done

    others = []

    async def main(s3, client, loop):
        for number in range(TAKEN):
            others.append(socket.socket())
        tasks = [loop.start(s3.put(f"{number}", b"x", Digest(md5(b"x")))) for number in range(200)]
        for task in tasks:
            await task
        print(client.concurrency, *client.warnings, sep="\\n")
        assert client.other_descriptors == LIMIT - client.concurrency

    with_s3(SETTINGS, main, concurrency=64)
"""


def put_many(store: ScriptedStore, limit: int, taken: int) -> list[str]:
    """Return the client's concurrency and its warnings, one a line, where `taken` descriptors are used elsewhere."""
    program = (
        PUT_MANY.replace("TAKEN", str(taken))
        .replace("LIMIT", str(limit))
        .replace("SETTINGS", f"StoreSettings(**{store_mapping(store)!r})")
    )
    importing = f"from {StoreSettings.__module__} import StoreSettings\n"
    return limited(limit, textwrap.dedent(importing + textwrap.dedent(program))).splitlines()


def store_mapping(store: ScriptedStore) -> dict[str, str]:
    settings = store.settings()
    return {
        "bucket": settings.bucket,
        "endpoint_url": store.endpoint_url,
        "region_name": "us-east-1",
        "access_key_id": "the-id",
        "secret_access_key": "the-secret",
    }


def test_few_descriptors_reduce_the_connections_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_store(done()) as store:
        concurrency, warning = put_many(store, 64, 0)
        assert store.most_at_once <= 32
        assert len(store.requests) == 200
    assert concurrency == "32"
    assert "64 files open" in warning and "32 of 64 connections" in warning and "LimitNOFILE" in warning


def test_running_out_of_descriptors_later_is_no_failure_of_the_server() -> None:
    with scripted_store(done()) as store:
        concurrency, warning = put_many(store, 256, 235)
        assert len(store.requests) == 200
    assert 5 <= int(concurrency) <= 16
    assert f"256 files open, so {concurrency} of 64 connections" in warning


def test_no_descriptor_at_all_ends_the_run_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*arguments: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(client_module, "PATIENCE_WITHOUT", 0.2)
    with scripted_store(done()) as store:
        monkeypatch.setattr(ParallelConnect, "_connect", refuse)
        with pytest.raises(ConfigurationError, match=r"files open, so there is none left.*LimitNOFILE"):
            put(store.settings())


@pytest.mark.parametrize(("soft", "hard", "expected"), [(256, 4096, 1536), (256, 1000, 1000), (4000, 4096, 4000)])
def test_the_limit_is_raised_for_the_connections(soft: int, hard: int, expected: int) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
        pytest.skip("this machine allows too few open files to try")
    # In a process of its own, because a hard limit cannot be raised again.
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        f"from {allow_descriptors.__module__} import allow_descriptors; allow_descriptors(1024);"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    ).stdout
    assert shown.split() == [str(expected), str(hard)]

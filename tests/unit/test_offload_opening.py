"""Names, addresses and descriptors: what comes before the first byte."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.transport import resolver
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.transport.descriptors import (
    allow_descriptors,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.transport.faults import (
    EndpointConnectionError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.transport.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.transport.resolver import (
    Place,
    Resolver,
)
from offload_client import put
from scripted_store import done, scripted_store


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(threads=1)
    yield loop
    loop.close()


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> list[str]:
    """Names asked for from now on; each has these addresses, and none where there are none."""
    asked: list[str] = []

    def look_up(host: str, port: int, **others: Any) -> list[Any]:
        asked.append(host)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (*addresses, *addresses)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_connections_spread_over_the_addresses_of_a_name(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, ("127.0.0.1", 1), ("127.0.0.2", 1))
    names = Resolver(loop, "store.example.org", 1)
    first, second = Place(socket.AF_INET, ("127.0.0.1", 1)), Place(socket.AF_INET, ("127.0.0.2", 1))
    assert [loop.run(names.places()) for dummy in range(3)] == [[second, first], [first, second], [second, first]]
    assert asked == ["store.example.org"]


def test_an_old_answer_serves_while_names_do_not_resolve(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_KEPT_SECONDS", 0.0)
    names = Resolver(loop, "store.example.org", 1)
    answers(monkeypatch)
    with pytest.raises(EndpointConnectionError, match="does not resolve"):
        loop.run(names.places())
    answers(monkeypatch, ("127.0.0.1", 1))
    expected = loop.run(names.places())
    asked = answers(monkeypatch)
    assert loop.run(names.places()) == expected
    assert asked == ["store.example.org"]


def test_an_address_that_refuses_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        refusing = ("127.0.0.1", free.getsockname()[1])
    with scripted_store(done("x")) as store:
        answers(monkeypatch, ("127.0.0.1", store.port), refusing)
        assert put(store.settings(endpoint_url="http://store.example.org")) == "x"


@pytest.mark.parametrize(("soft", "hard", "expected"), [(256, 4096, 1536), (256, 1000, 1000), (4000, 4096, 4000)])
def test_there_is_room_for_the_connections(soft: int, hard: int, expected: int) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
        pytest.skip("this machine allows too few open files to try")
    # In a process of its own: a hard limit cannot be raised again.
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

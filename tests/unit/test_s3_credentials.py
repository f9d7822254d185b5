# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of a role: found by boto3's chain, cached, and looked up once more when the server refuses them."""

from __future__ import annotations

from typing import Any, NamedTuple

import boto3
import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    RequestFailed,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.bucket import Bucket
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.client import Client
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.objects import Digest
from s3_client import md5, put, with_s3
from scripted_store import answer, done, error, scripted_store


class FrozenCredentials(NamedTuple):
    access_key: str
    secret_key: str
    token: str


class SessionWithKeys:
    """Replaces boto3's session: each new session finds the next keys."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def __call__(self) -> SessionWithKeys:
        return self

    def get_credentials(self) -> Any:
        name = self._found.pop(0) if self._found else None
        return name and FoundKeys(name)


class FoundKeys(NamedTuple):
    name: str

    def get_frozen_credentials(self) -> FrozenCredentials:
        return FrozenCredentials(f"id-{self.name}", f"secret-{self.name}", f"token-{self.name}")


@pytest.fixture
def without_keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return {"access_key_id": "", "secret_access_key": ""}


def use(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(boto3.session, "Session", SessionWithKeys(list(names)))


@pytest.mark.parametrize("refusal", [error(400, "ExpiredToken"), error(403, "AccessDenied"), answer(403), answer(400)])
def test_refused_role_keys_are_replaced_once(
    monkeypatch: pytest.MonkeyPatch, without_keys: dict[str, str], refusal: bytes
) -> None:
    use(monkeypatch, "old", "new")
    with scripted_store(refusal, done("x")) as store:
        assert put(store.settings(**without_keys)) == "x"
    assert [request.headers["x-amz-security-token"] for request in store.requests] == ["token-old", "token-new"]
    assert "Credential=id-new/" in store.requests[1].headers["authorization"]


def test_keys_that_are_refused_again_end_the_run(monkeypatch: pytest.MonkeyPatch, without_keys: dict[str, str]) -> None:
    use(monkeypatch, "old", "new", "newer")
    with scripted_store(error(400, "ExpiredToken")) as store, pytest.raises(StoreError, match="token"):
        put(store.settings(**without_keys))
    assert len(store.requests) == 2


def test_configured_keys_are_not_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    with scripted_store(error(403, "AccessDenied")) as store, pytest.raises(RequestFailed, match="not allowed"):
        put(store.settings())
    assert len(store.requests) == 1


def test_many_refused_objects_look_keys_up_once(monkeypatch: pytest.MonkeyPatch, without_keys: dict[str, str]) -> None:
    use(monkeypatch, "old", "new", *[f"newer-{number}" for number in range(20)])

    async def main(s3: Bucket, client: Client, loop: Loop) -> None:
        for number in range(10):
            with pytest.raises(RequestFailed, match="not allowed"):
                await s3.put(f"{number}", b"x", Digest(md5(b"x")))

    with scripted_store(error(403, "AccessDenied")) as store:
        with_s3(store.settings(**without_keys), main)
        assert {request.headers["x-amz-security-token"] for request in store.requests} == {"token-old", "token-new"}
        assert len(store.requests) == 11


def test_a_host_without_keys_gets_a_message(monkeypatch: pytest.MonkeyPatch, without_keys: dict[str, str]) -> None:
    use(monkeypatch)
    with scripted_store(done()) as store, pytest.raises(StoreError, match="no keys are set and this host has no role"):
        put(store.settings(**without_keys))
    assert store.requests == []

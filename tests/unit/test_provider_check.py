# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Synapse's configuration has a provider for the location of a run, and the message for each difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import SourceSettings
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.provider_check import (
    check_provider,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import Source, resolve
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

MODULE = "s3_storage_provider.S3StorageProviderBackend"
KEY = "0123456789abcdef0123456789abcdef"
DATABASE = {"name": "sqlite3", "args": {"database": "/srv/homeserver.db"}}
STORE = StoreSettings(bucket="media", prefix="example.org/", endpoint_url="https://s3.example.org")


def entry(module: str = MODULE, **changes: Any) -> dict[str, Any]:
    config = {"bucket": "media", "prefix": "example.org/", "endpoint_url": "https://s3.example.org", **changes}
    return {"module": module, "store_local": True, "config": {key: config[key] for key in config if config[key] != ...}}


def homeserver(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"server_name": "example.org", "media_storage_providers": list(entries), **changes}


Check = Callable[..., "str | None"]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Each process is a list of files, each file a mapping or its text."""

    def run(*processes: list[dict[str, Any] | str], store: StoreSettings = STORE) -> str | None:
        configs = []
        for number, files in enumerate(processes):
            paths = [tmp_path / f"{number}-{position}.yaml" for position in range(len(files))]
            for path, content in zip(paths, files):
                path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
            configs.append(tuple(map(str, paths)))
        settings = SourceSettings("/srv/media", synapse_configs=tuple(configs), database=DATABASE)
        return check_provider(resolve(settings, with_processes=True), store, delete_local=True)

    return run


def test_right_entry(check: Check) -> None:
    assert check([homeserver(entry())]) is None


def test_right_entry_among_others(check: Check) -> None:
    """Synapse asks its providers in turn."""
    others = [{"module": "file_system", "config": {"directory": "/backup"}}, entry(bucket="old")]
    assert check([homeserver(*others, entry())]) is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("https://S3.Example.ORG/", "https://s3.example.org"),
        ("https://s3.example.org:443", "https://s3.example.org"),
        ("http://s3.example.org:80/", "http://s3.example.org"),
        ("https://s3.example.org", "https://s3.example.org:443//"),
        ("http://[::1]:9000", "http://[::1]:9000/"),
        ("https://s3.example.org/path/", "https://s3.example.org/path"),
        (..., None),
        (None, None),
        ("", None),
        ("https://s3.eu-central-1.amazonaws.com", None),
        (..., "https://s3.amazonaws.com/"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
    ],
)
def test_same_endpoint_in_another_spelling(check: Check, theirs: Any, ours: str | None) -> None:
    store = StoreSettings(bucket="media", prefix="example.org/", endpoint_url=ours)
    assert check([homeserver(entry(endpoint_url=theirs))], store=store) is None


@pytest.mark.parametrize("prefix", [..., ""])
def test_absent_prefix_equals_an_empty_one(check: Check, prefix: Any) -> None:
    store = StoreSettings(bucket="media", endpoint_url="https://s3.example.org")
    assert check([homeserver(entry(prefix=prefix))], store=store) is None


def test_same_customer_key(check: Check) -> None:
    store = StoreSettings("media", "example.org/", "https://s3.example.org", sse_customer_key=KEY)
    assert check([homeserver(entry(sse_customer_key=KEY))], store=store) is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (homeserver(entry(bucket="medja")), "bucket is 'medja' there and 'media' here"),
        (homeserver(entry(bucket=123)), "bucket is 123 (no text: put it in quotes) there"),
        (homeserver(entry(prefix="example.org")), "prefix is 'example.org' there and 'example.org/' here"),
        (homeserver(entry(prefix=...)), "prefix is '' there and 'example.org/' here"),
        (homeserver(entry(prefix=None)), "prefix is null there"),
        (
            homeserver(entry(endpoint_url="https://s3.example.com")),
            "endpoint_url is https://s3.example.com there and https://s3.example.org here",
        ),
        (homeserver(entry(endpoint_url="http://s3.example.org")), "endpoint_url is http://s3.example.org there"),
        (homeserver(entry(endpoint_url=...)), "endpoint_url is that of AWS there"),
        (homeserver(entry(endpoint_url="https://s3.example.org:bad")), "endpoint_url is no URL there"),
        (homeserver(entry(sse_customer_key=KEY)), "sse_customer_key is set there only"),
        (homeserver(entry("s3_storage_provider.S3StorageProvider")), "other modules than " + MODULE),
        (homeserver(entry("enhanced.S3Backend")), "set provider_check to false"),
        (homeserver(), "has no entry in media_storage_providers"),
        ({"server_name": "example.org"}, "has no entry in media_storage_providers"),
        (homeserver(media_storage_providers=None), "no list of entries"),
        (homeserver(media_storage_providers={"module": MODULE}), "no list of entries"),
        (homeserver(media_storage_providers=[MODULE]), "no list of entries"),
        ({"media_store_providers": [entry()]}, "media_store_providers, which Synapse does not know"),
        ({"media_storage_provider": [entry()]}, "media_storage_provider, which Synapse does not know"),
        ({"media-storage-providers": [entry()]}, "media-storage-providers, which Synapse does not know"),
        (homeserver(entry(), enable_media_repo=False), "enable_media_repo is false in"),
    ],
)
def test_each_difference_is_named(check: Check, config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check([config])
    assert words in str(caught.value)
    assert str(caught.value).startswith("Synapse could not fetch what this run would delete: ")
    assert KEY not in str(caught.value)


def test_entry_that_is_commented_out(check: Check) -> None:
    text = "".join(f"#{line}\n" for line in yaml.safe_dump(homeserver(entry())).splitlines())
    with pytest.raises(ConfigurationError, match=r"is commented out \(.*0-0\.yaml, line \d+\)"):
        check([text, {"server_name": "example.org"}])


def test_other_customer_keys_are_not_shown(check: Check) -> None:
    other = "fedcba9876543210fedcba9876543210"
    store = StoreSettings("media", "example.org/", "https://s3.example.org", sse_customer_key=KEY)
    for theirs, words in ((..., "is set here only"), (other, "is another one there than here")):
        with pytest.raises(ConfigurationError, match="sse_customer_key " + words) as caught:
            check([homeserver(entry(sse_customer_key=theirs))], store=store)
        assert KEY not in str(caught.value) and other not in str(caught.value)


def test_password_in_an_endpoint_is_not_shown(check: Check) -> None:
    with pytest.raises(ConfigurationError, match=r"endpoint_url is https://s3\.example\.com there") as caught:
        check([homeserver(entry(endpoint_url="https://user:hidden@s3.example.com"))])
    assert "hidden" not in str(caught.value)


def test_a_later_file_replaces_the_whole_list(check: Check) -> None:
    assert check([homeserver(entry(bucket="old")), {"media_storage_providers": [entry()]}]) is None
    with pytest.raises(ConfigurationError, match=r"ignores the entry .*0-0\.yaml, because .*0-1\.yaml.*whole list"):
        check([homeserver(entry()), {"media_storage_providers": [{"module": "file_system"}]}])


def worker(*resources: str, **changes: Any) -> dict[str, Any]:
    listeners = [{"type": "http", "port": 8083, "resources": [{"names": list(resources)}]}]
    return {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": "worker1",
        "worker_listeners": listeners,
        **changes,
    }


def test_media_worker_in_place_of_the_main_process(check: Check) -> None:
    main = homeserver(entry(), enable_media_repo=False)
    assert check([main], [main, worker("media", enable_media_repo=True)]) is None
    assert check([main], [main, {"worker_app": "synapse.app.media_repository"}]) is None
    with pytest.raises(ConfigurationError, match=r"the worker worker1 ignores the entry .*1-1\.yaml.*whole list"):
        check([main], [main, worker("media", enable_media_repo=True, media_storage_providers=[entry(bucket="old")])])


def test_every_process_that_serves_media_needs_the_provider(check: Check) -> None:
    with pytest.raises(ConfigurationError, match="the worker worker1 has no entry"):
        check([homeserver(entry())], [worker("media")])
    with pytest.raises(ConfigurationError, match="the main process has no entry"):
        check([homeserver()], [homeserver(entry()), worker("client")])


@pytest.mark.parametrize("other", [worker("replication"), worker(), worker("media", enable_media_repo=False)])
def test_process_that_serves_no_media_is_ignored(check: Check, other: dict[str, Any]) -> None:
    assert check([homeserver(entry())], [other]) is None


def test_no_process_has_a_listener_for_media(check: Check) -> None:
    with pytest.raises(ConfigurationError, match=r"none of the processes .* has a listener for media"):
        check([worker("replication")])


def test_configuration_that_cannot_be_read(check: Check, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not valid YAML"):
        check(["media_storage_providers: ["])
    settings = SourceSettings("/srv/media", ("/nowhere.yaml",), database=DATABASE)
    with pytest.raises(ConfigurationError, match="does not exist"):
        resolve(settings, with_processes=True)


def test_without_other_processes_the_main_process_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(homeserver(entry())))
    source = resolve(SourceSettings("/srv/media", (str(path),), database=DATABASE), with_processes=True)
    assert check_provider(source, STORE, delete_local=True) is None
    assert [process.files for process in source.processes] == [(str(path),)]
    assert not resolve(SourceSettings("/srv/media", (str(path),), database=DATABASE)).processes


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(homeserver(entry(sse_customer_key=KEY, secret_access_key="hidden"))))
    source = resolve(SourceSettings("/srv/media", (str(path),), database=DATABASE), with_processes=True)
    assert KEY not in repr(source) and "hidden" not in repr(source)


def test_the_message_says_what_is_not_checked() -> None:
    unknown = Source("/srv/media")
    warning = check_provider(unknown, STORE, delete_local=True)
    assert warning and "configuration is not known" in warning and "homeserver_config" in warning
    off = check_provider(unknown, STORE, delete_local=True, enabled=False)
    assert off and "provider_check is false" in off
    assert check_provider(unknown, STORE, delete_local=True, enabled=False, rehearse=True) is None
    assert check_provider(unknown, STORE, delete_local=False) is None

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with a media store and Synapse's media tables, on which the module works as a user other than root."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from homeserver_database import HomeserverDatabase
from run_module import run_module
from s3_server import S3Server

DAY_MS = 86_400_000
DAY_SECONDS = 86_400


class Files(NamedTuple):
    """The files of one media, relative to the media store."""

    media_id: str
    paths: list[str]


def worker_account() -> pwd.struct_passwd:
    """Return Synapse's user where there is one, because the module refuses root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("synapse", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("neither of the users synapse and nobody exists")


def provider_entry(connection: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The entry in Synapse's configuration with this location; a change to None leaves a key out."""
    keys = ("bucket", "prefix", "endpoint_url", "sse_customer_key")
    config = {**{key: connection[key] for key in keys if connection.get(key)}, **changes}
    return {
        "module": "s3_storage_provider.S3StorageProviderBackend",
        "store_local": True,
        "config": {key: value for key, value in config.items() if value is not None},
    }


def synapse_config(connection: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a Synapse that reads its media from this location."""
    return {"server_name": "synapse.example", "media_storage_providers": [provider_entry(connection)]}


class MediaHost:
    def __init__(self, directory: Path, database: HomeserverDatabase, bucket: str) -> None:
        self.directory = directory
        self.database = database
        self.bucket = bucket
        self.account = worker_account()
        self.media_path = directory / "media_store"
        self.state_dir = directory / "state"
        self.config = directory / "homeserver.yaml"
        self._names = iter(range(1, 10_000))
        self.media_path.mkdir()
        for name in ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail"):
            (self.media_path / name).mkdir()
        content = {"media_store_path": str(self.media_path), "database": database.section()}
        self.config.write_text(yaml.safe_dump(content))
        self.own(self.media_path, *self.media_path.iterdir(), self.config)
        self.config.chmod(0o600)
        # Outside of the host's own files, which tests compare before and after.
        self._synapse = Path(tempfile.mkdtemp(prefix="synapse-"))
        self._synapse.chmod(0o755)
        atexit.register(shutil.rmtree, self._synapse)

    def fetches_from(self, connection: Mapping[str, Any]) -> list[list[str]]:
        """The synapse_configs of a Synapse that reads its media from this location."""
        path = self._synapse / "homeserver.yaml"
        path.write_text(yaml.safe_dump(synapse_config(connection)))
        self.own(path)
        path.chmod(0o600)
        return [[str(path)]]

    def own(self, *paths: Path) -> None:
        for path in paths:
            if os.geteuid() == 0:
                os.chown(path, self.account.pw_uid, self.account.pw_gid, follow_symlinks=False)

    def put(self, relative: str, content: bytes, age_days: float = 30) -> Path:
        """Write a file as Synapse would; it and its directories are as old as its media."""
        path = self.media_path / relative
        missing = [parent for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.own(path, *missing)
        then = time.time() - age_days * DAY_SECONDS
        for made in (path, *path.parents[: len(Path(relative).parents) - 1]):
            os.utime(made, (then, then))
        return path

    def add_local(self, *, age_days: float = 30, size: int = 1000, thumbnails: int = 1) -> Files:
        number = next(self._names)
        media_id = f"LoCal{number:019d}"
        self.database.add_local(media_id, size, age_ms(age_days))
        folder = f"{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}"
        paths = [f"local_content/{folder}"]
        paths += [f"local_thumbnails/{folder}/{32 * (n + 1)}-32-image-png-scale" for n in range(thumbnails)]
        for position, path in enumerate(paths):
            self.put(path, content_of(media_id, position, size), age_days)
        return Files(media_id, paths)

    def add_remote(
        self, *, origin: str = "remote.example", age_days: float = 30, size: int = 1000, thumbnails: int = 1
    ) -> Files:
        number = next(self._names)
        media_id, filesystem_id = f"media{number}", f"ReMote{number:018d}"
        self.database.add_remote(origin, media_id, filesystem_id, size, age_ms(age_days))
        return Files(
            media_id, self.put_remote(origin, filesystem_id, age_days=age_days, size=size, thumbnails=thumbnails)
        )

    def put_remote(
        self, origin: str, filesystem_id: str, *, age_days: float = 30, size: int = 1000, thumbnails: int = 1
    ) -> list[str]:
        folder = f"{origin}/{filesystem_id[:2]}/{filesystem_id[2:4]}/{filesystem_id[4:]}"
        paths = [f"remote_content/{folder}"]
        paths += [f"remote_thumbnail/{folder}/{32 * (n + 1)}-32-image-png-scale" for n in range(thumbnails)]
        for position, path in enumerate(paths):
            self.put(path, content_of(filesystem_id, position, size), age_days)
        return paths

    def on_disk(self) -> dict[str, bytes]:
        """Every file of Synapse's in the media store, without our mark file."""
        found = sorted(path for path in self.media_path.rglob("*") if path.is_file() and path.name != ".synapse-s3")
        return {str(path.relative_to(self.media_path)): path.read_bytes() for path in found}

    def everything(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Mode, owner, time and content of all files on the host, to compare before and after check mode."""
        return {
            str(path.relative_to(self.directory)): (
                path.lstat().st_mode,
                path.lstat().st_uid,
                path.lstat().st_mtime_ns if path.is_file() else 0,
                path.read_bytes() if path.is_file() and not path.is_symlink() else b"",
            )
            for path in sorted(self.directory.rglob("*"))
        }

    def run(
        self,
        command: str,
        *,
        check: bool = False,
        diff: bool = False,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        return run_module("s3_media_upload", self.arguments(command, **options), check, diff, environment=environment)

    def arguments(self, command: str, **options: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "command": command,
            "state_dir": str(self.state_dir),
            "homeserver_config": [str(self.config)],
            **options,
        }
        if arguments.get("delete"):
            arguments.setdefault("synapse_configs", self.fetches_from(arguments))
        return {name: value for name, value in arguments.items() if value is not None}

    def upload(self, s3: S3Server, *, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        environment = options.pop("environment", None)
        connection = s3.connection(options.pop("bucket", self.bucket), region_name="us-east-1")
        return self.run("upload", check=check, diff=diff, environment=environment, **{**connection, **options})


def age_ms(days: float) -> int:
    return int(time.time() * 1000 - days * DAY_MS)


def content_of(name: str, position: int, size: int) -> bytes:
    """Content that differs for every file, of the given size."""
    seed = f"{name}/{position}|".encode()
    return (seed * (size // len(seed) + 1))[:size]


@contextmanager
def shared_directory() -> Iterator[Path]:
    """A directory that the module's user can enter, unlike pytest's own directories when root runs the tests."""
    directory = Path(tempfile.mkdtemp(prefix="media-host-"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        account = worker_account()
        os.chown(directory, account.pw_uid, account.pw_gid)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=sys.exc_info()[0] is not None)

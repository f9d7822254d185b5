# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The compared programs: the engine, its peers with their best flags, and upstream's script."""

from __future__ import annotations

import compileall
import shutil
from pathlib import Path
from typing import Any

import yaml
from paths import (
    ACCESS_KEY_ID,
    AWS,
    AWSCRT,
    BUCKET,
    JUICEFS,
    PACKAGE,
    PYTHON,
    RCLONE,
    SCRIPT,
    SECRET_ACCESS_KEY,
    give_to_worker,
    s5cmd,
)
from s3_store import Store

# The fastest flags by the figure peer-flags; by default rclone sends a HEAD before and after each upload.
RCLONE_MOVE = ("--no-check-dest", "--s3-no-head", "--s3-no-check-bucket")
RCLONE_CHECK = ("--fast-list",)
# Into an empty directory nothing needs to be compared, and no directory of the bucket be listed by itself.
RCLONE_COPY = ("--no-check-dest", "--fast-list", "--s3-no-head-object", "--s3-no-check-bucket")
# As the collection sets it for upstream's script. The aws command saves work by it, too.
WITHOUT_CHECKSUMS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


def environment(store: Store, home: Path) -> dict[str, str]:
    """All environment variables of a measured program."""
    words = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "RCLONE_CONFIG": "",
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": store.endpoint_url,
        "RCLONE_S3_REGION": "us-east-1",
        "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    if store.certificate:
        words |= {"AWS_CA_BUNDLE": str(store.certificate), "RCLONE_CA_CERT": str(store.certificate)}
    return words


def s5cmd_move(store: Store, tree: Path, in_flight: int) -> list[str]:
    return [*_s5cmd(store, in_flight), "mv", f"{tree}/", f"s3://{BUCKET}/"]


def s5cmd_copy(store: Store, tree: Path, in_flight: int) -> list[str]:
    """From the bucket to the tree."""
    return [*_s5cmd(store, in_flight), "cp", f"s3://{BUCKET}/*", f"{tree}/"]


def _s5cmd(store: Store, in_flight: int) -> list[str]:
    return [str(s5cmd()), "--endpoint-url", store.endpoint_url, "--numworkers", str(in_flight), "--log", "error"]


def juicefs_move(store: Store, tree: Path, in_flight: int) -> list[str]:
    """Reads each object back and compares it before it removes the file: the one peer that proves anything."""
    return [
        *(str(JUICEFS), "sync", "--check-new", "--delete-src-after", "--threads", str(in_flight), "--quiet"),
        *("--no-https", f"{tree}/", f"minio://{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}@127.0.0.1:{store.port}/{BUCKET}/"),
    ]


def rclone(verb: str, source: Path, target: str, in_flight: int, flags: tuple[str, ...]) -> list[str]:
    return [str(RCLONE), verb, str(source), f":s3:{target}", *_rclone_flags(in_flight), *flags]


def rclone_copy(tree: Path, in_flight: int) -> list[str]:
    """From the bucket to the tree."""
    return [str(RCLONE), "copy", f":s3:{BUCKET}", str(tree), *_rclone_flags(in_flight), *RCLONE_COPY]


def _rclone_flags(in_flight: int) -> list[str]:
    return ["--transfers", str(in_flight), "--checkers", str(in_flight)]


def aws(store: Store, *words: str) -> list[str]:
    return [str(AWS), "--endpoint-url", store.endpoint_url, "s3", *words, "--only-show-errors"]


class Engine:
    """The collection's own engine, from a copy that does not change meanwhile, compiled like an installed package."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        packages = directory / "packages"
        shutil.copytree(PACKAGE, packages / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(packages, quiet=1)
        self.environment = {"PYTHONPATH": f"{packages}:{AWSCRT}"}

    def command(
        self,
        store: Store,
        tree: Path,
        database: dict[str, Any],
        *,
        verb: str = "offload",
        concurrency: int = 64,
        older_than: str = "1d",
    ) -> list[str]:
        """Write the configuration, and return the command that reads it."""
        state = self._directory / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        give_to_worker(state)
        config = self._directory / "offload.yml"
        s3: dict[str, Any] = {
            "bucket": BUCKET,
            "endpoint_url": store.endpoint_url,
            "region_name": "us-east-1",
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        }
        if store.certificate:
            s3["ca_bundle"] = str(store.certificate)
        content = {
            "media_path": str(tree),
            "database": {"name": database["name"], "args": database["args"]},
            "s3": s3,
            "offload": {"older_than": older_than, "concurrency": concurrency, "state_dir": str(state)},
        }
        config.write_text(yaml.safe_dump(content))
        config.chmod(0o600)
        give_to_worker(config)
        return [str(PYTHON), "-m", "synapse_media.cli", verb, "--config", str(config), "--json"]


class Script:
    """Upstream's s3_media_upload in a working directory of its own."""

    def __init__(self, directory: Path, arguments: dict[str, Any]) -> None:
        self.directory = directory / "script"
        self.directory.mkdir()
        give_to_worker(self.directory)
        settings = self.directory / "database.yaml"
        settings.write_text(yaml.safe_dump(arguments))
        give_to_worker(settings)

    def command(self, *steps: list[str]) -> list[str]:
        """One shell that runs the steps in turn."""
        settings = " ".join(f"{name}={value}" for name, value in WITHOUT_CHECKSUMS.items())
        lines = [" ".join((str(SCRIPT), "--no-progress", *step)) for step in steps]
        return ["/bin/sh", "-c", f"export {settings} && cd {self.directory} && " + " && ".join(lines)]

    @staticmethod
    def update_db() -> list[str]:
        return ["update-db", "1d"]

    @staticmethod
    def check_deleted(tree: Path) -> list[str]:
        return ["check-deleted", str(tree)]

    @staticmethod
    def upload(store: Store, tree: Path) -> list[str]:
        return ["upload", "--delete", "--endpoint-url", store.endpoint_url, str(tree), BUCKET]

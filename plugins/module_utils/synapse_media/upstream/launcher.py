# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs upstream's script in a child process and restricts what it may do.

The parent passes this file's text on standard input, since the child may run as a user who cannot read the package. So
it imports nothing of ours, and the parent imports its constants from here.
"""

from __future__ import annotations

import os
import runpy
import signal
import sqlite3
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The program for -c. Arguments, keys and this text come on standard input, because every user of the host can read
# argv.
BOOTSTRAP = (
    "import json, sys; job = json.loads(sys.stdin.readline()); names = {'__name__': 'launcher'}; "
    "exec(compile(job['launcher'], 's3_media_upload launcher', 'exec'), names); names['main'](job)"
)

# States of a planned file that matter here. The child records what it did, so the parent has it after a crash too.
ABSENT = "absent"
PROVEN = "proven"
UPLOADED = "uploaded"
DELETED = "deleted"

LEFT_ALONE = "left for the next run: it appeared or changed after the files were listed"
VANISHED = "the object was in the bucket a moment ago and is gone"
CHANGED = "was changed between its proof and its removal, so it was not removed"


class Plan:
    """The parent's list of files: a file is the planned one only while its size, time and inode are the same."""

    def __init__(self, path: str, root: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._root = root

    def state(self, relative: str) -> str | None:
        row = self._database.execute(
            "SELECT size, mtime_ns, inode, state FROM files WHERE path = ?", (relative,)
        ).fetchone()
        if row is None:
            return None
        try:
            status = os.lstat(f"{self._root}/{relative}")
        except OSError:
            return None
        unchanged = (status.st_size, status.st_mtime_ns, str(status.st_ino)) == row[:3]
        return str(row[3]) if unchanged else None

    def note(self, relative: str, state: str) -> None:
        self._database.execute("UPDATE files SET state = ? WHERE path = ?", (state, relative))


class GuardedClient:
    """The two calls that the script makes on its S3 client, restricted to the plan."""

    def __init__(self, client: Any, plan: Plan, prefix: str, deleting: bool) -> None:
        self._client = client
        self._plan = plan
        self._prefix = prefix
        self._deleting = deleting

    def head_object(self, **request: Any) -> Any:
        state = self._plan.state(request["Key"][len(self._prefix) :])
        if state is None or (self._deleting and state != PROVEN):
            # "Missing" makes the script call upload_file, which refuses the file by name; the script continues with the
            # next.
            raise _missing()
        if not self._deleting and state != ABSENT:
            # The parent has just seen it in the bucket, and nothing is deleted because of this response.
            return {}
        return self._client.head_object(**request)

    def upload_file(self, filename: str, bucket: str, key: str, **options: Any) -> None:
        relative = key[len(self._prefix) :]
        state = self._plan.state(relative)
        if self._deleting and state == PROVEN:
            raise RuntimeError(VANISHED)
        if self._deleting or state != ABSENT:
            raise RuntimeError(LEFT_ALONE)
        self._client.upload_file(filename, bucket, key, **options)
        self._plan.note(relative, UPLOADED)


def _missing() -> Exception:
    from botocore.exceptions import ClientError

    missing: Exception = ClientError({"Error": {"Code": "404", "Message": "not in the plan"}}, "HeadObject")
    return missing


def main(job: Mapping[str, Any]) -> None:
    _end_with_parent()
    root = job["root"]
    _keep_directories(root)
    _report_exact_sizes()
    if job["plan"]:
        plan = Plan(job["plan"], root)
        _guard_client(plan, job["prefix"], job["deleting"])
        _guard_removal(plan, root, job["deleting"])
    sys.argv = [job["script"], *job["arguments"]]
    runpy.run_path(job["script"], run_name="__main__")


def _end_with_parent() -> None:
    """A killed run must leave no script behind that continues to upload and delete.

    The parent keeps the other end of standard input open as long as it lives, however it ends.
    """

    def watch() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _keep_directories(root: str) -> None:
    """Synapse cannot create media_store again if it may not write to the parent directory, so removal stops there."""

    def removedirs(name: str) -> None:
        directory = Path(name)
        # Keep media_store and its top level: an empty top level still shows that this is a media store.
        while Path(root) in directory.parent.parents:
            directory.rmdir()
            directory = directory.parent

    _replace(os, "removedirs", removedirs)


def _report_exact_sizes() -> None:
    """The script's summary rounds (1.5M), and rounded counts cannot be checked or added up."""
    import humanize

    def naturalsize(value: int, **_: Any) -> str:
        return str(value)

    _replace(humanize, "naturalsize", naturalsize)


def _guard_client(plan: Plan, prefix: str, deleting: bool) -> None:
    import boto3

    make_client = boto3.client

    def client(*arguments: Any, **options: Any) -> GuardedClient:
        return GuardedClient(make_client(*arguments, **options), plan, prefix, deleting)

    _replace(boto3, "client", client)


def _guard_removal(plan: Plan, root: str, deleting: bool) -> None:
    """The last check: the script may unlink no file in the media store that is not proven to be in the bucket."""
    remove = os.remove

    def guarded(path: str, **options: Any) -> None:
        if not path.startswith(root + "/"):
            remove(path, **options)
            return
        relative = path[len(root) + 1 :]
        if not deleting or plan.state(relative) != PROVEN:
            raise RuntimeError(f"{path} {CHANGED}")
        remove(path, **options)
        plan.note(relative, DELETED)

    _replace(os, "remove", guarded)
    _replace(os, "unlink", guarded)


def _replace(module: Any, name: str, function: Any) -> None:
    setattr(module, name, function)

# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan keeps files, their order and states, and the launcher's guard reads them from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream import launcher
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.plan import (
    ABSENT,
    DELETED,
    PROVEN,
    UNKNOWN,
    UPLOADED,
    Plan,
    PlannedFile,
)


def planned(root: Path, path: str, media: int = 0, content: bytes = b"content") -> PlannedFile:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    status = file.stat()
    return PlannedFile(path, media, status.st_size, status.st_mtime_ns, str(status.st_ino))


def test_files_come_in_the_order_of_s3(tmp_path: Path) -> None:
    names = ["b", "a/b", "a-b", "a", "é", "\U0001f600", "\uffee", "B"]
    with Plan(tmp_path / "plan.db") as plan:
        plan.add(PlannedFile(name, 0, 1, 1, "1") for name in names)
        assert [file.path for file in plan.files(UNKNOWN)] == sorted(names, key=str.encode)


def test_states_may_change_while_files_are_read(tmp_path: Path) -> None:
    with Plan(tmp_path / "plan.db") as plan:
        plan.add(PlannedFile(f"f{number:05d}", number // 2, 10, 1, "1") for number in range(2500))
        seen = 0
        for file in plan.files(UNKNOWN):
            seen += 1
            plan.set_states([(file.path, ABSENT if seen % 5 else PROVEN)])
        assert seen == 2500
        assert plan.total(UNKNOWN).files == 0
        assert plan.total(ABSENT, PROVEN) == (1250, 2500, 25000)
        assert plan.total(PROVEN).files == 500


def test_the_plan_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "plan.db").write_bytes(b"left behind by a crash")
    (tmp_path / "plan.db-journal").write_bytes(b"left behind by a crash")
    with Plan(tmp_path / "plan.db") as plan:
        plan.add([PlannedFile("a", 0, 1, 1, str(2**64 - 1))])
        assert plan.contains("a") and not plan.contains("b")
    assert list(tmp_path.iterdir()) == []


def test_the_guard_knows_files_as_they_were_planned(tmp_path: Path) -> None:
    root = tmp_path / "root"
    kept, changed, replaced, gone = (planned(root, f"local_content/{name}") for name in ("a", "b", "c", "d"))
    with Plan(tmp_path / "plan.db") as plan:
        plan.add([kept, changed, replaced, gone])
        plan.set_states((file.path, PROVEN) for file in (kept, changed, replaced, gone))
        (root / changed.path).write_bytes(b"changed")
        other = root / "other"
        other.write_bytes(b"content")
        os.utime(other, ns=(replaced.mtime_ns, replaced.mtime_ns))
        other.replace(root / replaced.path)
        (root / gone.path).unlink()
        guard = launcher.Plan(str(plan.path), str(root))
        assert guard.state(kept.path) == PROVEN
        for file in (changed, replaced, gone):
            assert guard.state(file.path) is None
        assert guard.state("local_content/never planned") is None


@pytest.mark.parametrize("deleting", [False, True])
def test_the_guard_permits_planned_files_only(tmp_path: Path, deleting: bool) -> None:
    class Client:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def head_object(self, **request: str) -> dict[str, str]:
            self.calls.append(f"HEAD {request['Key']}")
            return {"ETag": "x"}

        def upload_file(self, filename: str, bucket: str, key: str, **options: object) -> None:
            self.calls.append(f"PUT {key}")

    root = tmp_path / "root"
    absent, proven = planned(root, "absent"), planned(root, "proven")
    with Plan(tmp_path / "plan.db") as plan:
        plan.add([absent, proven])
        plan.set_states([("absent", ABSENT), ("proven", PROVEN)])
        client = Client()
        guarded = launcher.GuardedClient(client, launcher.Plan(str(plan.path), str(root)), "p/", deleting)
        heads = {}
        for name in ("absent", "proven", "stranger"):
            try:
                heads[name] = guarded.head_object(Bucket="b", Key=f"p/{name}")
            except Exception as error:
                heads[name] = type(error).__name__
        uploads = {}
        for name in ("absent", "proven", "stranger"):
            try:
                guarded.upload_file(str(root / name), "b", f"p/{name}", ExtraArgs={})
                uploads[name] = "uploaded"
            except RuntimeError as error:
                uploads[name] = str(error)
        if deleting:
            assert heads == {"absent": "ClientError", "proven": {"ETag": "x"}, "stranger": "ClientError"}
            assert uploads == {
                "absent": launcher.LEFT_ALONE,
                "proven": launcher.VANISHED,
                "stranger": launcher.LEFT_ALONE,
            }
            assert client.calls == ["HEAD p/proven"]
        else:
            assert heads == {"absent": {"ETag": "x"}, "proven": {}, "stranger": "ClientError"}
            assert uploads == {
                "absent": "uploaded",
                "proven": launcher.LEFT_ALONE,
                "stranger": launcher.LEFT_ALONE,
            }
            assert client.calls == ["HEAD p/absent", "PUT p/absent"]
            assert plan.total(UPLOADED).files == 1
        assert plan.total(DELETED).files == 0

# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of the roles: byte for byte what earlier releases wrote, and a secret one shows nowhere."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from role_cases import ROLES, Cases

MODULE = "ansible_collections.matrix_ops.synapse_s3.plugins.modules.host_record"
FINGERPRINT = "8f2c" * 16
# Of each record of the roles one, with what YAML or JSON could change: order, numbers as text, letters beyond ASCII.
RECORDS: dict[str, dict[str, Any]] = {
    "applied": {"restarted_with": FINGERPRINT, "proven": "", "answered": FINGERPRINT},
    "synapse": {"service": None, "python": "/opt/s/bin/python", "config_paths": ["/etc/b.yaml", "/etc/a/ünï.yaml"]},
    "provider-packages": {"python": "/opt/s/bin/python", "packages": ["boto3", "six"]},
    "wheels": {"python": "3.10", "pip": "pip.whl", "packages": {"six": "1.17.0", "boto3": "1.0"}, "copies": {}},
    "empty": {"packages": []},
}


def module(path: Path, *, check: bool = False, diff: bool = True, **content: Any) -> tuple[dict[str, Any], str]:
    """The result of the module, and all that it has printed. Secrets are passed on the standard input."""
    internals = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": str(path.parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"path": str(path), **content, **internals}}),
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result: dict[str, Any] = json.loads(line)
    assert (done.returncode != 0) == bool(result.get("failed")), done.stderr
    return result, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_upgrade_changes_no_record_of_an_earlier_release(tmp_path: Path) -> None:
    """The tasks of earlier releases were: copy, with the content by to_nice_json(indent=2)."""
    path = f"{tmp_path}/{{{{ inventory_hostname }}}}.json"
    earlier = {"dest": path, "content": "{{ record | to_nice_json(indent=2) }}\n", "mode": "0644"}
    tasks = [
        {"name": "Write the record as earlier releases did", "ansible.builtin.copy": earlier},
        {
            "name": "Write the record",
            "matrix_ops.synapse_s3.host_record": {"path": path, "content": "{{ record }}"},
            "register": "written",
            "failed_when": "written is changed or written.msg is defined",
        },
        {"name": "Remove the record", "ansible.builtin.file": {"path": path, "state": "absent"}},
        {
            "name": "Write the record",
            "matrix_ops.synapse_s3.host_record": {"path": path, "content": "{{ record }}"},
            "register": "written",
            "failed_when": "written is not changed",
        },
        {
            "name": "Write the record as earlier releases did",
            "ansible.builtin.copy": earlier,
            "register": "written",
            "failed_when": "written is changed",
        },
    ]
    Cases(tmp_path).play(tasks, {name: {"record": record} for name, record in RECORDS.items()})
    written = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in RECORDS}
    assert written == RECORDS
    assert (tmp_path / "provider-packages.json").read_text() == (
        '{\n  "packages": [\n    "boto3",\n    "six"\n  ],\n  "python": "/opt/s/bin/python"\n}\n'
    )


def test_check_mode_and_diff_tell_what_is_written(folder: Path) -> None:
    path = folder / "record.json"
    predicted, _output = module(path, content=RECORDS["synapse"], check=True)
    assert predicted["changed"] and list(folder.iterdir()) == []
    written, _output = module(path, content=RECORDS["synapse"])
    assert (written["changed"], written["diff"]) == (True, predicted["diff"])
    assert [change["after"] for change in written["diff"]] == [
        path.read_text(),
        f"mode 0644, owner {os.geteuid()}, group {os.getegid()}\n",
    ]
    assert list(folder.iterdir()) == [path]
    for check in (True, False):
        again, _output = module(path, content=RECORDS["synapse"], check=check)
        assert not again["changed"] and "diff" not in again
    path.chmod(0o666)
    repaired, _output = module(path, content=RECORDS["synapse"])
    (change,) = repaired["diff"]
    assert change["before"].startswith("mode 0666,") and change["after"].startswith("mode 0644,")
    assert mode(path) == 0o644


def test_secret_content_is_for_its_owner_alone_and_in_no_output(folder: Path) -> None:
    path = folder / "applied.json"
    for content in (RECORDS["applied"], {**RECORDS["applied"], "proven": FINGERPRINT}):
        for check in (True, False):
            result, output = module(path, secret_content=content, check=check)
            assert result["changed"] and FINGERPRINT not in output
        assert json.loads(path.read_text()) == content
        assert mode(path) == 0o600
    path.chmod(0o644)
    assert module(path, secret_content=content)[0]["changed"]
    assert mode(path) == 0o600
    result, output = module(path, secret_content={"restarted_with": "removed"}, diff=False)
    assert result["changed"] and "diff" not in result and FINGERPRINT not in output


def test_a_failed_write_names_the_cause_and_leaves_what_was_there(folder: Path) -> None:
    path = folder / "record.json"
    path.mkdir()
    failed, _output = module(path, content={})
    assert f"{path} cannot be written (Is a directory). Make its directory writable" in failed["msg"]
    failed, _output = module(folder / "gone" / "record.json", content={})
    assert "(No such file or directory)" in failed["msg"]
    assert list(folder.iterdir()) == [path] and list(path.iterdir()) == []


def test_content_is_given_once(folder: Path) -> None:
    assert module(folder / "record.json")[0]["failed"]
    assert module(folder / "record.json", content={}, secret_content={})[0]["failed"]
    assert list(folder.iterdir()) == []


def test_the_roles_write_every_record_with_the_module() -> None:
    """A record that another module writes may be half written after a power cut."""
    tasks = [path for path in ROLES.glob("*/*/*.yml") if path.parent.name in ("tasks", "handlers")]
    text = "".join(path.read_text(encoding="utf-8") for path in tasks)
    assert text.count("matrix_ops.synapse_s3.host_record:") > 8
    assert "to_nice_json" not in text

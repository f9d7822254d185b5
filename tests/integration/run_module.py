# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of the collection as Ansible does, but without the seconds that a playbook takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

MODULES = "ansible_collections.matrix_ops.synapse_s3.plugins.modules"


def run_module_process(
    name: str,
    args: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run the module and return all its output, to search for what it must not contain. Secrets are passed on stdin."""
    with tempfile.TemporaryDirectory(prefix="module-") as scratch:
        internals = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": scratch}
        return subprocess.run(
            [python, "-m", f"{MODULES}.{name}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**args, **internals}}),
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def run_module(
    name: str,
    args: Mapping[str, Any],
    check: bool = False,
    diff: bool = False,
    *,
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
    timeout: float = 300,
) -> dict[str, Any]:
    """Return the module's result, with ``failed`` and ``msg``. A traceback instead of a result fails the test."""
    done = run_module_process(
        name, args, check=check, diff=diff, environment=environment, python=python, timeout=timeout
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 1, f"{name} exited {done.returncode} without a result:\n{done.stdout}\n{done.stderr}"
    result: dict[str, Any] = json.loads(lines[0])
    if "warnings" in result:
        result["warnings"] = [_text(warning) for warning in result["warnings"]]
    assert (done.returncode != 0) == bool(result.get("failed")), f"{name} exited {done.returncode} with {result}"
    return result


def _text(warning: Any) -> str:
    # Since 2.19 ansible-core passes a warning to the controller as an event, before as plain text.
    return warning if isinstance(warning, str) else str(warning["event"]["msg"])

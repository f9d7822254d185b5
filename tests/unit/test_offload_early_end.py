# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that ends while files are unlinked: the report counts them, and says where the result is unknown."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import StoreError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import engine
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.context import Context
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import Report
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.evidence import Proven
from local_tree import everything, put, walk_all
from test_offload_engine import Host

unlink_file = os.unlink


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_refusal_while_files_are_unlinked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        put(host.media_path, f"local_content/aa/bb/{number:03}")
    files = [Proven(file, file.identity) for file in walk_all(host.media_path)[0]]

    def unlink(name: Any, *, dir_fd: int | None = None) -> None:
        unlink_file(name, dir_fd=dir_fd)
        time.sleep(2e-3)

    async def remove_and_be_refused(context: Context) -> None:
        monkeypatch.setattr(os, "unlink", unlink)
        context.loop.start(context.removals.remove(files))
        await context.loop.sleep(0.05)
        raise StoreError("The store refuses the key. Correct it.", "InvalidAccessKeyId")

    monkeypatch.setattr(engine, "offload", remove_and_be_refused)
    with pytest.raises(StoreError) as caught:
        host.run()
    monkeypatch.undo()
    report: Report = caught.value.report  # type: ignore[attr-defined]
    gone = 100 - sum(not path.endswith("/") for path in everything(host.media_path))
    assert report.deleted.files == gone
    assert 0 < gone < 100
    assert report.changed
    # Something was moved, so the status is not "refused, nothing done".
    assert host.metric("exit_status") == 1


def test_unlinks_that_do_not_return_are_reported(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(context: Context) -> None:
        monkeypatch.setattr(context.removals, "finish", lambda: 2)

    monkeypatch.setattr(engine, "offload", hang)
    warnings = host.run().warnings
    assert [one for one in warnings if one.startswith("2 unlinks were still under way")], warnings

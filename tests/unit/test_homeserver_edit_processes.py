# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several processes that share files of one configuration get the entry once each, and lose nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import planned_access
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.flow_entry import unmarked
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.plan import Layout, Plan
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.several_processes import (
    ProcessLayout,
    plan_entries,
    plan_of,
    plan_removals,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.writer import apply_plans
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import read_merged
from homeserver_files import US, ConfigurationFiles, entry

SHARED = "server_name: example.org\nenable_media_repo: false\n"
WORKER = "worker_app: synapse.app.media_repository\nworker_name: {}\n"
DISK = f"{KEY}:\n  - module: file_system\n    config:\n      directory: /srv\n"


class Processes:
    """The files of several processes; each is a list of names below one directory."""

    def __init__(self, directory: Path, files: dict[str, str], **processes: list[str]) -> None:
        self.files = ConfigurationFiles(directory, files)
        self.directory = directory
        self.layouts = [
            ProcessLayout(name, Layout([str(directory / path) for path in paths]), serves_media=name != "main")
            for name, paths in processes.items()
        ]

    def put(self) -> list[Plan]:
        return self._apply(plan_entries(self.layouts, entry()))

    def remove(self) -> list[Plan]:
        return self._apply(plan_removals(self.layouts))

    @staticmethod
    def _apply(plans: list[Plan]) -> list[Plan]:
        apply_plans([(plan, planned_access(plan, US, holds_secret=True)) for plan in plans])
        return plans

    def providers(self, name: str) -> list[str]:
        layout = next(process.layout for process in self.layouts if process.name == name)
        return [unmarked(item)["module"] for item in read_merged(layout.paths).get(KEY) or []]

    def changed(self, plans: list[Plan]) -> list[str]:
        paths = [Path(change.path) for plan in plans for change in plan.changes]
        return [str(path.relative_to(self.directory)) for path in paths]


S3 = "s3_storage_provider.S3StorageProviderBackend"


def test_a_shared_file_gets_one_entry_for_all(tmp_path: Path) -> None:
    files = {"homeserver.yaml": SHARED, "1.yaml": WORKER.format("1"), "2.yaml": WORKER.format("2")}
    host = Processes(tmp_path, files, one=["homeserver.yaml", "1.yaml"], two=["homeserver.yaml", "2.yaml"])
    before = host.files.contents()
    assert host.changed(host.put()) == ["homeserver.yaml"]
    assert host.providers("one") == host.providers("two") == [S3]
    assert host.changed(host.put()) == []
    host.remove()
    assert host.files.contents() == before


def test_a_directory_that_all_read_gets_the_drop_in(tmp_path: Path) -> None:
    files = {"homeserver.yaml": SHARED, "conf.d/a.yaml": "a: 1\n", "w/1.yaml": WORKER.format("1")}
    host = Processes(tmp_path, files, one=["homeserver.yaml", "conf.d", "w/1.yaml"], main=["homeserver.yaml", "conf.d"])
    assert host.changed(host.put()) == ["conf.d/synapse-s3.yaml"]
    assert host.providers("one") == host.providers("main") == [S3]
    assert host.changed(host.put()) == []
    assert host.changed(host.remove()) == ["conf.d/synapse-s3.yaml"]
    assert not (tmp_path / "conf.d/synapse-s3.yaml").exists()


def test_a_worker_with_a_list_of_its_own_gets_an_entry_of_its_own(tmp_path: Path) -> None:
    files = {"homeserver.yaml": SHARED, "1.yaml": WORKER.format("1"), "2.yaml": WORKER.format("2") + DISK}
    host = Processes(tmp_path, files, one=["homeserver.yaml", "1.yaml"], two=["homeserver.yaml", "2.yaml"])
    before = host.files.contents()
    assert host.changed(host.put()) == ["homeserver.yaml", "2.yaml"]
    assert (host.providers("one"), host.providers("two")) == ([S3], ["file_system", S3])
    assert host.changed(host.put()) == []
    assert sorted(host.changed(host.remove())) == ["2.yaml", "homeserver.yaml"]
    assert host.files.contents() == before


def test_the_order_of_the_processes_does_not_matter(tmp_path: Path) -> None:
    files = {"homeserver.yaml": SHARED, "1.yaml": WORKER.format("1"), "2.yaml": WORKER.format("2") + DISK}
    host = Processes(tmp_path, files, two=["homeserver.yaml", "2.yaml"], one=["homeserver.yaml", "1.yaml"])
    assert sorted(host.changed(host.put())) == ["2.yaml", "homeserver.yaml"]
    assert (host.providers("one"), host.providers("two")) == ([S3], ["file_system", S3])
    assert host.changed(host.put()) == []


def test_a_worker_without_a_shared_file_gets_an_entry_of_its_own(tmp_path: Path) -> None:
    files = {"homeserver.yaml": SHARED, "1.yaml": WORKER.format("1"), "whole.yaml": SHARED + WORKER.format("2")}
    host = Processes(tmp_path, files, one=["homeserver.yaml", "1.yaml"], two=["whole.yaml"])
    assert host.changed(host.put()) == ["homeserver.yaml", "whole.yaml"]
    assert host.providers("one") == host.providers("two") == [S3]
    assert host.changed(host.put()) == []


def test_an_entry_that_is_not_needed_any_more_is_removed(tmp_path: Path) -> None:
    """A copy of the shared file's block, as a removed list of the worker's own may have left it."""
    files = {"homeserver.yaml": SHARED, "1.yaml": WORKER.format("1")}
    host = Processes(tmp_path, files, one=["homeserver.yaml", "1.yaml"], main=["homeserver.yaml"])
    host.put()
    shared, own = tmp_path / "homeserver.yaml", tmp_path / "1.yaml"
    own.write_text(files["1.yaml"] + shared.read_text().removeprefix(SHARED))
    assert host.providers("one") == [S3]
    assert host.changed(host.put()) == ["1.yaml"]
    assert own.read_text() == files["1.yaml"]
    assert host.providers("one") == [S3]


def test_an_entry_that_would_replace_the_list_of_another_process_is_refused(tmp_path: Path) -> None:
    """The second process reads its own list first, and then the file into which the entry of the first belongs."""
    files = {"a.yaml": "a: 1\n", "own.yaml": WORKER.format("2") + DISK, "shared.yaml": SHARED}
    host = Processes(tmp_path, files, one=["shared.yaml"], two=["own.yaml", "shared.yaml"])
    before = host.files.contents()
    with pytest.raises(ConfigurationError, match=r"^two reads media_storage_providers from other files"):
        host.put()
    assert host.files.contents() == before


def test_what_a_process_reads_is_validated_and_nothing_else(tmp_path: Path) -> None:
    files = {"homeserver.yaml": SHARED, "1.yaml": WORKER.format("1"), "whole.yaml": SHARED}
    host = Processes(tmp_path, files, one=["homeserver.yaml", "1.yaml"], main=["whole.yaml"])
    plans = plan_entries(host.layouts, entry())
    one, main = (plan_of(process, plans) for process in host.layouts)
    assert [Path(path).name for path in one.files] == ["homeserver.yaml", "1.yaml"]
    assert [Path(change.path).name for change in one.changes] == ["homeserver.yaml"]
    assert main.changes == []

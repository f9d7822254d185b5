# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of Synapse's files gets our block, and that it is never in two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import planned_access
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.plan import plan_entry, plan_removal
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.writer import apply_plan
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from homeserver_files import US, ConfigurationFiles, entry

LIST = f"{KEY}:\n  - module: file_system\n"
PATHS = ["homeserver.yaml", "conf.d"]
MAIN = "server_name: a\n"
OTHER = "report_stats: false\n"


def packaged(tmp_path: Path, **files: str) -> ConfigurationFiles:
    """Debian's layout; a file of conf.d is given by its name without .yaml."""
    named = {"homeserver.yaml": MAIN, "conf.d/server_name.yaml": OTHER}
    named.update({"homeserver.yaml" if name == "homeserver" else f"conf.d/{name}.yaml": files[name] for name in files})
    return ConfigurationFiles(tmp_path, named, PATHS)


def files_with_a_block(files: ConfigurationFiles) -> list[str]:
    return [name for name, content in files.contents().items() if b"# BEGIN ANSIBLE MANAGED BLOCK" in content]


def test_without_a_key_a_drop_in_is_written_and_removed_again(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    before = files.contents()
    plan = files.put()
    assert (plan.action, plan.file) == ("created", f"{tmp_path}/conf.d/synapse-s3.yaml")
    assert files_with_a_block(files) == ["conf.d/synapse-s3.yaml"]
    assert files.providers() == [entry().data()]
    assert files.put().changes == []
    assert files.remove().action == "removed"
    assert files.contents() == before


def test_the_drop_in_is_for_the_owner_and_the_group_of_synapse(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.put()
    status = (tmp_path / "conf.d/synapse-s3.yaml").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o640, os.geteuid(), US.gid)


def test_a_drop_in_with_settings_of_the_operator_loses_only_our_block(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.put()
    files.write(files.text("conf.d/synapse-s3.yaml") + "max_upload_size: 1M\n", "conf.d/synapse-s3.yaml")
    assert files.put().changes == []
    files.remove()
    assert files.text("conf.d/synapse-s3.yaml") == "max_upload_size: 1M\n"


def test_an_existing_file_of_that_name_is_extended_and_kept(tmp_path: Path) -> None:
    files = packaged(tmp_path, **{"synapse-s3": "# mine\nmax_upload_size: 1M\n"})
    before = files.contents()
    assert files.put().action == "inserted"
    files.remove()
    assert files.contents() == before


def test_the_last_file_with_the_key_counts(tmp_path: Path) -> None:
    files = packaged(tmp_path, homeserver=MAIN + LIST, a=LIST, b=LIST, c="x: 1\n")
    files.put()
    assert files_with_a_block(files) == ["conf.d/b.yaml"]
    assert [provider["module"] for provider in files.providers()] == ["file_system", PROVIDER_MODULE]


def test_a_key_in_the_main_file_wins_over_a_drop_in(tmp_path: Path) -> None:
    files = packaged(tmp_path, homeserver=MAIN + LIST)
    before = files.contents()
    files.put()
    assert files_with_a_block(files) == ["homeserver.yaml"]
    files.remove()
    assert files.contents() == before


def test_a_file_that_synapse_ignores_does_not_count(tmp_path: Path) -> None:
    files = packaged(tmp_path, z=f"- {KEY}\n", y="# nothing\n")
    assert files.put().file == f"{tmp_path}/conf.d/synapse-s3.yaml"


def test_the_block_moves_into_a_directory_that_was_added_later(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.paths = [f"{tmp_path}/homeserver.yaml"]
    assert files.put().action == "inserted"
    files.paths = [f"{tmp_path}/homeserver.yaml", f"{tmp_path}/conf.d"]
    plan = files.put()
    assert (plan.action, plan.file) == ("updated", f"{tmp_path}/conf.d/synapse-s3.yaml")
    assert files_with_a_block(files) == ["conf.d/synapse-s3.yaml"]
    assert files.text() == MAIN
    assert files.put().changes == []


def test_the_block_moves_to_a_list_that_was_added_later(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.put()
    files.write(MAIN + LIST)
    files.put()
    assert files_with_a_block(files) == ["homeserver.yaml"]
    assert not (tmp_path / "conf.d/synapse-s3.yaml").exists()
    files.write(LIST, "conf.d/a.yaml")
    files.put()
    assert files_with_a_block(files) == ["conf.d/a.yaml"]
    assert files.text() == MAIN + LIST


def test_a_block_copied_into_a_second_file_stays_in_one(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.put()
    files.write(MAIN + files.text("conf.d/synapse-s3.yaml"))
    files.put()
    assert files_with_a_block(files) == ["conf.d/synapse-s3.yaml"]
    assert files.text() == MAIN


def test_removal_takes_the_block_out_of_every_file(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.put()
    files.write(MAIN + files.text("conf.d/synapse-s3.yaml"))
    files.remove()
    assert files_with_a_block(files) == []
    assert files.text() == MAIN


def test_a_drop_in_does_not_change_the_path_of_the_signing_key(tmp_path: Path) -> None:
    # Synapse looks for its signing key in the last directory with a file; a drop-in in an empty one would change that.
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": MAIN, "conf.d/README": "no YAML\n"}, PATHS)
    plan = files.put(keys_directory=str(tmp_path))
    assert plan.file == f"{tmp_path}/homeserver.yaml"
    assert files.put(keys_directory=str(tmp_path)).changes == []
    assert files.put().changes == []


def test_a_drop_in_goes_into_an_empty_directory_where_the_key_path_is_set(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": MAIN, "conf.d/README": "no YAML\n"}, PATHS)
    assert files.put(keys_directory="/var/lib/synapse").file == f"{tmp_path}/conf.d/synapse-s3.yaml"


def test_the_last_directory_is_taken_unless_another_is_named(tmp_path: Path) -> None:
    files = ConfigurationFiles(
        tmp_path, {"main.yaml": MAIN, "a/a.yaml": OTHER, "b/b.yaml": OTHER}, ["main.yaml", "a", "b"]
    )
    assert files.put().file == f"{tmp_path}/b/synapse-s3.yaml"
    assert files.put(drop_in_directory=f"{tmp_path}/a").file == f"{tmp_path}/a/synapse-s3.yaml"
    assert files_with_a_block(files) == ["a/synapse-s3.yaml"]
    with pytest.raises(ConfigurationError, match="is none of the directories that Synapse reads"):
        files.put(drop_in_directory=f"{tmp_path}/c")


def test_the_files_are_listed_in_synapses_order(tmp_path: Path) -> None:
    files = packaged(tmp_path, zz="a: 1\n", a="a: 1\n")
    (tmp_path / "conf.d/folder.yaml").mkdir()
    plan = files.put()
    assert [Path(path).name for path in plan.files] == [
        "homeserver.yaml",
        "a.yaml",
        "server_name.yaml",
        "synapse-s3.yaml",
        "zz.yaml",
    ]
    assert [Path(path).name for path in files.remove().files][-2:] == ["server_name.yaml", "zz.yaml"]


def test_one_file_under_two_names_is_refused(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    (tmp_path / "conf.d/link.yaml").symlink_to(tmp_path / "homeserver.yaml")
    with pytest.raises(ConfigurationError, match="are the same file"):
        files.put()


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"real/homeserver.yaml": MAIN})
    (tmp_path / "homeserver.yaml").symlink_to("real/homeserver.yaml")
    files.put()
    assert (tmp_path / "homeserver.yaml").is_symlink()
    assert files.text("real/homeserver.yaml").startswith(MAIN + "# BEGIN")
    files.remove()
    assert files.text("real/homeserver.yaml") == MAIN


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"homeserver.yaml does not exist.*synapse_s3_synapse_config_paths"):
        ConfigurationFiles(tmp_path, {}).put()


def test_our_drop_in_alone_is_no_configuration(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"conf.d/a.yaml": MAIN}, ["conf.d"])
    files.put()
    (tmp_path / "conf.d/a.yaml").unlink()
    with pytest.raises(ConfigurationError, match="no file left but the one"):
        plan_entry(files.layout(), entry())


@pytest.mark.parametrize("state", ["put", "remove"])
def test_a_file_that_changed_since_it_was_read_is_left_alone(tmp_path: Path, state: str) -> None:
    files = packaged(tmp_path, homeserver=MAIN + LIST)
    if state == "remove":
        files.put()
    plan = plan_entry(files.layout(), entry()) if state == "put" else plan_removal(files.layout())
    files.write(files.text() + "new: 1\n")
    before = files.contents()
    with pytest.raises(ConfigurationError, match=r"changed by somebody else.*Run again"):
        apply_plan(plan, planned_access(plan, US, holds_secret=True))
    assert files.contents() == before


def test_a_drop_in_that_was_created_meanwhile_is_left_alone(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    plan = plan_entry(files.layout(), entry())
    files.write("new: 1\n", "conf.d/synapse-s3.yaml")
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        apply_plan(plan, planned_access(plan, US, holds_secret=True))
    assert files.text("conf.d/synapse-s3.yaml") == "new: 1\n"


def test_two_files_are_changed_together_or_not_at_all(tmp_path: Path) -> None:
    files = packaged(tmp_path)
    files.paths = [f"{tmp_path}/homeserver.yaml"]
    files.put()
    files.paths = [f"{tmp_path}/homeserver.yaml", f"{tmp_path}/conf.d"]
    plan = plan_entry(files.layout(), entry())
    assert len(plan.changes) == 2
    files.write(files.text() + "new: 1\n")
    before = files.contents()
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        apply_plan(plan, planned_access(plan, US, holds_secret=True))
    assert files.contents() == before

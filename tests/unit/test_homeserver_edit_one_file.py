# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our block in one file: its position, its form, and which files are refused with which message."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from homeserver_files import ConfigurationFiles, entry

OURS = """\
# BEGIN ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3
# Do not edit between these two markers: the next run of matrix_ops.synapse_s3 overwrites it.
media_storage_providers:
  - module: s3_storage_provider.S3StorageProviderBackend
    store_local: true
    store_remote: true
    store_synchronous: true
    config:
      bucket: 'media'
      prefix: 'synapse/'
      access_key_id: 'AKIA'
      secret_access_key: 's3cr:et#''"\\ü'
      storage_class: 'STANDARD'
# END ANSIBLE MANAGED BLOCK matrix_ops.synapse_s3
"""
BEGIN, _NOTE, _KEY, *ITEM, END = OURS.splitlines(keepends=True)


def homeserver(tmp_path: Path, text: str) -> ConfigurationFiles:
    return ConfigurationFiles(tmp_path, {"homeserver.yaml": text})


def test_without_a_key_the_block_is_appended(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "# top\nserver_name: a # b\n\n# end\n")
    plan = files.put()
    assert files.text() == "# top\nserver_name: a # b\n\n# end\n" + OURS
    assert (plan.action, plan.file) == ("inserted", f"{tmp_path}/homeserver.yaml")


def test_every_setting_of_the_provider_is_written(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put(
        entry(
            region_name="eu-1",
            endpoint_url="https://s3.example.org:9000",
            session_token="token",
            sse_customer_key="0123456789abcdef0123456789abcdef",
            storage_class="STANDARD_IA",
            addressing_style="virtual",
            ca_bundle="/etc/ca.pem",
            store_local=False,
            store_remote=False,
            store_synchronous=False,
        )
    )
    assert files.providers() == [
        {
            "module": PROVIDER_MODULE,
            "store_local": False,
            "store_remote": False,
            "store_synchronous": False,
            "config": {
                "bucket": "media",
                "prefix": "synapse/",
                "region_name": "eu-1",
                "endpoint_url": "https://s3.example.org:9000",
                "access_key_id": "AKIA",
                "secret_access_key": "s3cr:et#'\"\\ü",
                "session_token": "token",
                "sse_customer_key": "0123456789abcdef0123456789abcdef",
                "sse_customer_algo": "AES256",
                "storage_class": "STANDARD_IA",
            },
        }
    ]


def test_no_key_is_written_where_the_instance_has_a_role(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put(entry(secret="", access_key_id="", prefix=""))
    assert files.providers()[0]["config"] == {"bucket": "media", "storage_class": "STANDARD"}


@pytest.mark.parametrize(
    ("before", "line_of_begin"),
    [
        ("media_storage_providers:\n- module: one\nz: 1\n", 2),
        ("media_storage_providers:\n- module: one\n# after\n\nz: 1\n", 2),
        ("media_storage_providers:\n- module: one\n  config:\n    directory: /mnt # here\n\n# z\nz: 1\n", 4),
        ("media_storage_providers:\n- module: one\n- module: two\n\nz: 1\n", 3),
    ],
)
def test_the_entry_is_added_after_the_operators_last(tmp_path: Path, before: str, line_of_begin: int) -> None:
    files = homeserver(tmp_path, before)
    files.put()
    assert files.text().splitlines(keepends=True)[line_of_begin] == BEGIN
    start, end = files.text().index(BEGIN), files.text().index(END) + len(END)
    assert files.text()[:start] + files.text()[end:] == before
    assert [provider["module"] for provider in files.providers()][-1] == PROVIDER_MODULE


@pytest.mark.parametrize("indent", [0, 2, 4])
def test_the_entry_takes_the_indentation_of_the_list(tmp_path: Path, indent: int) -> None:
    dash = " " * indent + "- "
    files = homeserver(tmp_path, f"media_storage_providers:\n{dash}module: one\n")
    files.put()
    assert f"\n{dash}module: {PROVIDER_MODULE}\n" in files.text()
    assert f"\n{' ' * indent}{BEGIN}" in files.text()


@pytest.mark.parametrize("line", ["media_storage_providers: []", "media_storage_providers:  # none", f"{KEY}: null"])
def test_an_empty_key_is_kept_as_a_comment_and_restored(tmp_path: Path, line: str) -> None:
    files = homeserver(tmp_path, f"a: 1\n{line}\nb: 2\n")
    files.put()
    assert f"\n# was: {line}\n" in files.text()
    assert files.text().count(f"\n{KEY}:") == 1
    files.remove()
    assert files.text() == f"a: 1\n{line}\nb: 2\n"


def test_an_equal_s3_entry_is_taken_over_and_restored(tmp_path: Path) -> None:
    theirs = (
        f"{KEY}:\n  - module: first\n  # ours, by hand\n  - module: {PROVIDER_MODULE}\n    store_local: true\n"
        "    config:\n      bucket: media # the bucket\n      prefix: synapse/\n      threadpool_size: 20\n\n"
        "  - module: last\n"
    )
    files = homeserver(tmp_path, theirs)
    assert files.put().action == "adopted"
    assert [provider["module"] for provider in files.providers()] == ["first", PROVIDER_MODULE, "last"]
    assert files.providers()[1] == entry().data()
    assert files.put(entry(secret="other")).action == "updated"
    files.remove()
    assert files.text() == theirs


def test_an_s3_entry_without_a_bucket_is_taken_over(tmp_path: Path) -> None:
    files = homeserver(tmp_path, f"{KEY}:\n- module: {PROVIDER_MODULE}\n")
    assert files.put(entry(prefix="")).action == "adopted"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{KEY}: &a\n- module: one\n", "an alias, an anchor or a tag"),
        (f"x: &a []\n{KEY}: *a\n", "an alias, an anchor or a tag"),
        (f"{KEY}: !!seq []\n", "an alias, an anchor or a tag"),
        (f"{KEY}: &a\n", "an alias, an anchor or a tag"),
        (f"{KEY}: text\n", "is not a list"),
        (f"{KEY}: 0\n", "is not a list"),
        (f"{KEY}: {{}}\n", "is not a list"),
        (f"{KEY}:\n  module: one\n", "is not a list"),
        (f"{KEY}: []\na: 1\n{KEY}: []\n", f"has the key {KEY} 2 times"),
        (f"{KEY}:\n- module: {PROVIDER_MODULE}\n- module: {PROVIDER_MODULE}\n", "has 2 entries of"),
        (f"base: &b\n  {KEY}: []\n<<: *b\n", "through an alias or a merge key"),
        (f"? {KEY}\n: []\n", "does not stand at the beginning of its line"),
        ("- a\n", "is not a mapping"),
        ("words\n", "is not a mapping"),
        ("a: [1\n", "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML"),
        ("a: 2026-99-99\n", "is not valid YAML"),
        ("a: |\n  text", "end in a line end"),
        ("a: 1\nbackup_media_store_path: /mnt\n", "backup_media_store_path"),
    ],
)
def test_a_file_that_cannot_be_edited_is_refused_and_left_alone(tmp_path: Path, text: str, words: str) -> None:
    files = homeserver(tmp_path, text)
    with pytest.raises(ConfigurationError) as refusal:
        files.put()
    assert words in str(refusal.value)
    assert f"{tmp_path}/homeserver.yaml" in str(refusal.value)
    assert files.text() == text


def test_a_refusal_quotes_no_value(tmp_path: Path) -> None:
    for text in (
        "password: *s3cret\n",
        'password: "s3cret\n',
        "password: !s3cret x\n",
        "s3cret: %s3cret\n s3cret: -\n",
    ):
        files = homeserver(tmp_path, text)
        with pytest.raises(ConfigurationError) as refusal:
            files.put()
        assert "s3cret" not in str(refusal.value).replace(str(tmp_path), "")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    files = ConfigurationFiles(tmp_path, {"homeserver.yaml": "a: 1\n# Grüße\n".encode("latin-1")})
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        files.put()


def test_our_block_is_found_among_the_markers_of_others(tmp_path: Path) -> None:
    text = "# BEGIN ANSIBLE MANAGED BLOCK\na: 1\n# END ANSIBLE MANAGED BLOCK\n"
    files = homeserver(tmp_path, text)
    files.put()
    files.remove()
    assert files.text() == text


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(END, ""),
        lambda text: text.replace(BEGIN, ""),
        lambda text: text + OURS.replace(f"{KEY}:", "x:"),
        lambda text: text.replace(BEGIN, "@").replace(END, BEGIN).replace("@", END),
    ],
)
@pytest.mark.parametrize("state", ["put", "remove"])
def test_damaged_markers_are_refused(tmp_path: Path, damage: object, state: str) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(damage(files.text()))  # type: ignore[operator]
    before = files.text()
    with pytest.raises(ConfigurationError, match="are damaged"):
        getattr(files, state)()
    assert files.text() == before


@pytest.mark.parametrize("added", ["  - module: by_hand\n", "by_hand: 1\n"])
@pytest.mark.parametrize("state", ["put", "remove"])
def test_an_entry_added_between_the_markers_is_not_lost(tmp_path: Path, added: str, state: str) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(files.text().replace(END, added + END))
    before = files.text()
    with pytest.raises(ConfigurationError, match="changed by hand"):
        getattr(files, state)()
    assert files.text() == before


def test_a_value_changed_between_the_markers_is_corrected(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    right = files.text()
    files.write(right.replace("'STANDARD'", "STANDARD_IA"))
    assert files.put().action == "updated"
    assert files.text() == right


def test_entries_added_after_ours_stay_when_ours_is_removed(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(files.text() + "  # a disk\n  - module: file_system\nz: 1\n")
    files.put()
    assert sorted(provider["module"] for provider in files.providers()) == ["file_system", PROVIDER_MODULE]
    assert files.put().changes == []
    files.remove()
    assert files.text() == f"a: 1\n{KEY}:\n  # a disk\n  - module: file_system\nz: 1\n"


def test_additions_around_the_block_do_not_move_it(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(files.text() + "z: 1\n")
    assert files.put().changes == []
    files.remove()
    assert files.text() == "a: 1\nz: 1\n"

    files.write(f"{KEY}:\n- module: one\n")
    files.put()
    files.write(files.text() + "- module: two\n")
    assert files.put().changes == []
    assert files.put(entry(secret="new")).action == "updated"
    assert [provider["module"] for provider in files.providers()] == ["one", PROVIDER_MODULE, "two"]
    files.remove()
    assert files.text() == f"{KEY}:\n- module: one\n- module: two\n"


def test_a_key_of_the_operator_added_below_ours_receives_our_entry(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(files.text() + f"{KEY}:\n- module: one\n")
    assert files.put().action == "updated"
    assert [provider["module"] for provider in files.providers()] == ["one", PROVIDER_MODULE]
    assert files.text().count(f"\n{KEY}:") == 1
    files.remove()
    assert files.text() == f"a: 1\n{KEY}:\n- module: one\n"


def test_a_list_that_lost_its_other_entries_keeps_its_key(tmp_path: Path) -> None:
    files = homeserver(tmp_path, f"{KEY}:\n- module: one\nz: 1\n")
    files.put()
    files.write(files.text().replace("- module: one\n", "", 1))
    files.put()
    assert files.providers() == [entry().data()]
    assert files.put().changes == []
    files.remove()
    assert files.text() == f"{KEY}:\nz: 1\n"


def test_a_list_with_new_indentation_indents_the_block(tmp_path: Path) -> None:
    files = homeserver(tmp_path, f"{KEY}:\n- module: one\n")
    files.put()
    files.write(
        "".join(f"  {line}" if line != f"{KEY}:\n" else line for line in files.text().splitlines(keepends=True))
    )
    assert yaml.safe_load(files.text())[KEY] == files.providers()
    assert files.put().changes == []
    files.remove()
    assert files.text() == f"{KEY}:\n  - module: one\n"


def test_carriage_returns_and_a_missing_last_line_end_are_restored(tmp_path: Path) -> None:
    for text in (
        "a: 1\r\nb: 2\r\n",
        "a: 1\r\nb: 2",
        "\ufeffa: 1",
        f"{KEY}: []",
        f"\ufeff{KEY}: []",
        f"{KEY}:\r\n- a: 1",
    ):
        files = homeserver(tmp_path, text)
        files.put()
        assert ("\r\n" in files.text()) == ("\r\n" in text)
        assert files.text().count("\r\n") in (0, files.text().count("\n"))
        files.remove()
        assert files.text() == text


def test_a_line_that_was_appended_stays_whole(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1")
    files.put()
    files.write(files.text() + "z: 1\n")
    files.remove()
    assert files.text() == "a: 1\nz: 1\n"


def test_a_block_without_its_last_line_end_is_still_ours(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(files.text()[:-1])
    assert files.put().changes == []
    assert files.put(entry(secret="new")).action == "updated"
    files.remove()
    assert files.text() == "a: 1\n"


def test_removing_from_a_file_without_a_block_changes_nothing(tmp_path: Path) -> None:
    files = homeserver(tmp_path, f"{KEY}:\n- module: {PROVIDER_MODULE}\n")
    plan = files.remove()
    assert (plan.action, plan.changes, plan.file) == ("none", [], None)


def test_a_storage_class_that_the_provider_refuses_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="synapse_s3_storage_class is ONEZONE_IA"):
        entry(storage_class="ONEZONE_IA")

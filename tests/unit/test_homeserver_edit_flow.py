# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our entry in a list in brackets, and in a JSON file: added, changed and removed in its own position."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import planned_access
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.diff import diffs_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.plan import plan_entry, plan_removal
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from homeserver_files import US, ConfigurationFiles, entry, others

S3 = f"{{module: {PROVIDER_MODULE}, config: {{bucket: media, prefix: synapse/, secret_access_key: old-s3cret}}}}"
S3_JSON = json.dumps({"module": PROVIDER_MODULE, "config": {"bucket": "media", "prefix": "synapse/"}})
INSERTED = [
    "{}\n",
    "{ }",
    "{# nothing yet\n}\n",
    '{"server_name": "a"}\n',
    '{"server_name": "a", "listeners": [{"port": 8008}]}',
    '{\n  "server_name": "a",\n  "x": {"y": [1, 2]}\n}\n',
    "{server_name: a, # the name\n x: 1, # more\n}\n",
    "{server_name: a, x: }\n",
    "--- {server_name: a}\n...\n",
    "\ufeff{server_name: a}",
    "&all {server_name: a}\n",
    f'{{"{KEY}": []}}\n',
    f'{{"{KEY}": [ ], "z": 1}}\n',
    f'{{"{KEY}": null, "z": 1}}\n',
    f"{{{KEY}: , z: 1}}\n",
    f"{{{KEY}: ~}}\n",
    f'{{"{KEY}": [{{"module": "file_system"}}], "z": 1}}\n',
    f'{{\r\n\t"{KEY}": [\r\n    {{"module": "file_system"}}\r\n  ]\r\n}}\r\n'.replace("\t", " "),
    f"a: 1\n{KEY}: [{{module: one}}]\nz: 1\n",
    f"a: 1\n{KEY}: [{{module: one}}, ]  # comma\nz: 1\n",
    f"a: 1\n{KEY}: [ # first\n  {{module: one}}, # one\n  {{module: two}} # two\n  # last\n  ]\nz: 1\n",
    f"a: 1\n{KEY}: [{{module: one}}]",
    f"a: 1\n{KEY}:\n  [{{module: one}},\n   module: two]\n",
    f"a: 1\n{KEY}: [&one {{module: one}}, *one]\nb: *one\n",
]
ADOPTED = [
    f"{KEY}: [{S3}]\n",
    f"{KEY}: [{{module: one}}, {S3}, {{module: two}}] # S3\n",
    f"{KEY}: [\n  {{module: {PROVIDER_MODULE}, # S3\n"
    "   config: {bucket: media,\n    prefix: 'synapse/'}} # end\n]\nz: 1\n",
    f'{{"{KEY}": [{S3_JSON}]}}',
    f'{{"a": "ü\\u2028\\\\", "{KEY}": [{{"module": "x"}},\n {S3_JSON}\n], "z": 1}}\n',
]


def homeserver(tmp_path: Path, text: str) -> ConfigurationFiles:
    return ConfigurationFiles(tmp_path, {"homeserver.yaml": text})


@pytest.mark.parametrize("text", INSERTED + ADOPTED)
def test_the_entry_is_added_changed_and_removed_without_a_trace(tmp_path: Path, text: str) -> None:
    files = homeserver(tmp_path, text)
    theirs = [item for item in (yaml.safe_load(text) or {}).get(KEY) or [] if item.get("module") != PROVIDER_MODULE]
    plan = files.put()
    assert plan.action == ("adopted" if text in ADOPTED else "inserted")
    assert others(files.text()) == others(text)
    assert [item for item in files.providers() if item["module"] != PROVIDER_MODULE] == theirs
    assert files.providers().count(entry().data()) == 1
    assert files.put().changes == []
    assert files.put(entry(secret="another")).action == "updated"
    assert files.providers().count(entry(secret="another").data()) == 1
    assert files.remove().action == "removed"
    assert files.text() == text
    assert files.remove().changes == []


@pytest.mark.parametrize("text", [text for text in INSERTED + ADOPTED if text.startswith('{"') and "null" not in text])
def test_json_stays_json(tmp_path: Path, text: str) -> None:
    files = homeserver(tmp_path, text)
    files.put()
    assert [item["module"] for item in json.loads(files.text())[KEY]][-1:] == [PROVIDER_MODULE]
    assert "\n" not in files.text()[files.text().index(PROVIDER_MODULE) :].partition("managed_by")[0]


@pytest.mark.parametrize("text", INSERTED + ADOPTED)
def test_additions_beside_the_entry_stay_when_it_is_removed(tmp_path: Path, text: str) -> None:
    files = homeserver(tmp_path, text)
    files.put()
    files.write(re.sub(rf'({KEY}"? ?:\s+\[)', r'\1{"module": "more"}, ', files.text(), count=1))
    assert files.providers()[0] == {"module": "more"}
    assert files.put().changes == []
    files.remove()
    content = yaml.safe_load(files.text())
    theirs = [item["module"] for item in (yaml.safe_load(text) or {}).get(KEY) or []]
    assert [item["module"] for item in content[KEY]] == ["more", *theirs]
    assert others(files.text()) == others(text)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_entry_rewritten_by_another_program_is_still_ours(tmp_path: Path, indent: int | None) -> None:
    files = homeserver(tmp_path, f'{{"a": 1, "{KEY}": [{{"module": "one"}}], "z": 1}}')
    before = yaml.safe_load(files.text())
    files.put()
    files.write(json.dumps(json.loads(files.text()), indent=indent, sort_keys=True))
    assert files.put().changes == []
    files.put(entry(secret="another"))
    files.remove()
    assert yaml.safe_load(files.text()) == before


def test_an_entry_rewritten_as_lines_is_taken_over(tmp_path: Path) -> None:
    files = homeserver(tmp_path, '{"a": 1}')
    files.put()
    files.write(yaml.safe_dump(yaml.safe_load(files.text())))
    plan = files.put()
    assert (plan.action, list(plan.warnings)) == ("adopted", [])
    assert files.text().count(PROVIDER_MODULE) == 2
    assert files.put().changes == []


def test_a_list_rewritten_in_brackets_keeps_the_entry(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "a: 1\n")
    files.put()
    files.write(files.text().replace("a: 1\n", "") + f"{KEY}: [{{module: one}}]\n")
    assert files.put().action == "updated"
    assert [provider["module"] for provider in files.providers()] == ["one", PROVIDER_MODULE]
    assert files.put().changes == []
    files.remove()
    assert files.text() == f"{KEY}: [{{module: one}}]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{{{KEY}: [{S3}, {S3}]}}\n", "has 2 entries of"),
        (f'{{"{KEY}": [], "{KEY}": []}}\n', f"has the key {KEY} 2 times"),
        (f"{{{KEY}: {{}}}}\n", "is not a list"),
        (f"{{{KEY}: words}}\n", "is not a list"),
        (f"{{a: &l [], {KEY}: *l}}\n", "an alias, an anchor or a tag"),
        (f"{{{KEY}: &l [{{module: one}}]}}\n", "an alias, an anchor or a tag"),
        (f"{{a: &a {{{KEY}: []}}, <<: *a}}\n", "through an alias or a merge key"),
        (f"{{{KEY}}}\n", "cannot be edited"),
        (f"{KEY}: [&s3 {S3}]\nother: *s3\n", "cannot be edited"),
        (f"{KEY}: [{S3.replace('{bucket', '&c {bucket')}]\nother: *c\n", "cannot be edited"),
    ],
)
def test_a_file_that_cannot_be_edited_is_refused_and_left_alone(tmp_path: Path, text: str, words: str) -> None:
    files = homeserver(tmp_path, text)
    with pytest.raises(ConfigurationError) as refusal:
        files.put()
    assert words in str(refusal.value)
    assert f"{tmp_path}/homeserver.yaml" in str(refusal.value)
    assert files.text() == text


def test_a_mark_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    files = homeserver(tmp_path, "{a: 1}\n")
    files.put()
    files.write(files.text().replace('"added": "key"', '"added": "nothing"'))
    before = files.text()
    for change in (files.put, files.remove):
        with pytest.raises(ConfigurationError, match="was changed by hand"):
            change()
    assert files.text() == before


def test_comments_within_our_entry_are_refused(tmp_path: Path) -> None:
    files = homeserver(tmp_path, f"{KEY}: [{{module: one}}]\n")
    files.put()
    files.write(files.text().replace(', {"module"', ', # mine\n {"module"'))
    before = files.text()
    with pytest.raises(ConfigurationError, match="Move the comments"):
        files.remove()
    assert files.text() == before


def test_a_diff_shows_the_entry_without_secrets(tmp_path: Path) -> None:
    files = homeserver(tmp_path, f"{{operators: s3cret, {KEY}: [{S3}]}}\n")
    for wanted in (entry(secret="new-s3cret"), None):
        plan = plan_entry(files.layout(), wanted) if wanted else plan_removal(files.layout())
        (shown,) = diffs_of(plan, planned_access(plan, US, holds_secret=bool(wanted)))
        assert "s3cret" not in str(shown)
        assert "bucket: 'media'" in shown["before"]
        assert ("secret_access_key: ********  (changed)" in shown["after"]) == bool(wanted)
        files.put(entry(secret="new-s3cret"))

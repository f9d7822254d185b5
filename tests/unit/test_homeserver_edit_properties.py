# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any file of the operator is edited without loss and restored byte for byte, or refused."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import KEY, PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from homeserver_files import ConfigurationFiles, entry, others
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

COMMENTS = ["", "# a comment", "   # indented", "#\ttabs\tin it", "## Media ##", "# media_storage_providers:", "  "]
SETTINGS = [
    "server_name: example.org",
    "listeners:\n  - port: 8008\n    resources:\n      - names: [client]",
    "listeners:\n- port: 8008\n  # inside\n  type: http",
    "motd: |\n  first\n\n  # no comment\n  last",
    "motd: |+\n  kept\n\n",
    "motd: >-\n    folded\n    text\n",
    'quoted: "a # b: c\n  and on"',
    "single: 'it''s'",
    "plain: some words\n  going on here",
    "flow: {a: [1, 2], b: 'x'}",
    "flow: [\n  1,\n  2 ]",
    "empty:",
    "base: &base\n  a: 1\nderived:\n  <<: *base\n  b: 2",
    "when: 2026-11-20",
    "nan: .nan",
    "? complex\n: value",
    '"media_store_path": /var/lib/media # where it lies',
    "tagged: !!str 12",
    "unicode: 'Grüße 🐈\u2028'",
]
PROVIDERS = [
    None,
    "media_storage_providers:",
    "media_storage_providers: # none yet",
    "media_storage_providers: null",
    "media_storage_providers: ~  # none",
    "media_storage_providers: []",
    "media_storage_providers: [  ] # empty",
    "media_storage_providers: [\n]",
    '"media_storage_providers": []',
    "media_storage_providers:\n  - module: file_system\n    store_local: true\n    config:\n      directory: /mnt",
    "media_storage_providers:\n- module: file_system\n  config:\n    directory: /mnt   # a disk",
    "media_storage_providers:\n# before\n- module: file_system\n\n  # between\n  config: {directory: /mnt}\n  # after",
    "media_storage_providers:\n    -   module: file_system\n        note: |\n          text\n\n    -   module: other",
    "media_storage_providers:\n  -\n    module: file_system",
    "media_storage_providers:\n  - {module: file_system, config: {directory: /mnt}}",
    "media_storage_providers:\n  - &one\n    module: one\n  - *one",
    f"media_storage_providers:\n  - module: {PROVIDER_MODULE}\n    config:\n"
    "      bucket: media\n      prefix: synapse/",
    f"media_storage_providers:\n- module: first\n# ours\n- module: {PROVIDER_MODULE}\n  config:\n    bucket: media\n"
    "    prefix: 'synapse/'\n    secret_access_key: |-\n      old\n# end\n- module: last",
    f"media_storage_providers:\n  - module: first\n  # S3\n  -\n    # its module\n    module: {PROVIDER_MODULE}\n"
    "    config: {bucket: media,\n      prefix: synapse/}  # done",
    f"media_storage_providers:\n  - module: {PROVIDER_MODULE}\n    config: &s3\n"
    "      bucket: media\n      prefix: synapse/\nother: *s3",
    f"media_storage_providers:\n  - module: {PROVIDER_MODULE}\n    config: {{bucket: another}}",
    "media_storage_providers: [{module: file_system}]",
    "media_storage_providers: [{module: file_system},] # a disk",
    "media_storage_providers: [ # first\n  {module: one, config: {a: 'x # y'}}, # one\n  module: two\n  # last\n  ]",
    "media_storage_providers:\n  [{module: &m file_system}, {module: *m}]",
    f"media_storage_providers: [{{module: {PROVIDER_MODULE}, config: {{bucket: media, prefix: synapse/}}}}, module: x]",
    f"media_storage_providers: [&s3 {{module: {PROVIDER_MODULE}, config: {{bucket: media, prefix: synapse/}}}}]",
    "media_storage_providers: &list\n  - module: file_system",
    "media_storage_providers: !!seq\n  - module: file_system",
    "media_storage_providers: yes please",
    "media_storage_providers: {}",
    "media_storage_providers: []\nmedia_storage_providers: []",
]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a file of pieces that are each harmless, in any order and form."""
    pieces = draw(st.lists(st.sampled_from(SETTINGS + COMMENTS), max_size=6))
    providers = draw(st.sampled_from(PROVIDERS))
    if providers is not None:
        pieces.insert(draw(st.integers(0, len(pieces))), providers)
    text = "\n".join(pieces)
    indent = draw(st.sampled_from(["", "", "", "  "]))
    text = "\n".join(indent + line if line else line for line in text.split("\n"))
    text += draw(st.sampled_from(["\n", "\n", "", "\n\n", "\n# vim:ft=yaml\n", "\n# the end", "\n...\n", "\n   "]))
    text = (
        draw(st.sampled_from(["", "", "", "---\n", "# top\n---\n", "%YAML 1.1\n---\n", "\ufeff", "\ufeff---\n"])) + text
    )
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])))


def is_read(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), (dict, type(None)))
    except (yaml.YAMLError, ValueError):
        return False


def edited_and_restored_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        files = ConfigurationFiles(Path(directory), {"homeserver.yaml": text})
        before = files.contents()
        try:
            plan = files.put()
        except ConfigurationError as refusal:
            event("refused" if is_read(text) else "broken")
            assert str(refusal).startswith(f"{directory}/homeserver.yaml") or directory in str(refusal)
            assert files.contents() == before
            return
        event(plan.action)
        assert plan.action in ("inserted", "adopted")
        assert others(files.text()) == others(text)
        assert entry().data() in files.providers()
        assert theirs(files.text()) == theirs(text)

        written = files.contents()
        assert files.put().changes == []
        assert files.contents() == written

        assert files.put(entry(secret="another")).action == "updated"
        assert others(files.text()) == others(text)
        assert theirs(files.text()) == theirs(text)
        assert files.providers().count(entry(secret="another").data()) == 1

        assert files.remove().action == "removed"
        assert files.contents() == before
        assert files.remove().changes == []


def theirs(text: str) -> str:
    """Return the operator's entries, in a form that can be compared."""
    items = (yaml.safe_load(text) or {}).get(KEY) or []
    return repr([item for item in items if not isinstance(item, dict) or item.get("module") != PROVIDER_MODULE])


# The same examples in every run, so that a change fails only for files that it affects.
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_a_file_is_edited_without_loss_and_restored_or_refused(text: str) -> None:
    edited_and_restored_or_refused(text)


PLAIN = ["a", "server_name", "x-y", "8008", "it's", "http://x/#y", "ü", "a b", "-", "null", "yes", "1:30", "2026-11-20"]
SPACES = ["", "", " ", "  ", "\n", "\n  ", " # a comment\n", "\n# a, comment: {\n ", " ", "\n ", "\n", "\t"]


@st.composite
def flow_scalars(draw: st.DrawFn) -> str:
    word = draw(st.sampled_from(PLAIN))
    style = draw(st.sampled_from(["json", "single", "plain", "anchor", "tag", "alias", "number"]))
    if style == "plain":
        return word
    if style == "single":
        return "'" + word.replace("'", "''") + "'"
    if style in ("anchor", "alias", "tag"):
        return {"anchor": "&a 1", "alias": "*a", "tag": "!!str 12"}[style]
    return "1.5e3" if style == "number" else json.dumps(word + draw(st.sampled_from(["", "\\", '"', "\u2028", "🐈"])))


def joined(draw: st.DrawFn, items: list[str], opening: str, closing: str) -> str:
    """Return items between brackets, with anything that may be between them."""
    space = [draw(st.sampled_from(SPACES)) for _item in range(2 * len(items) + 2)]
    inside = "".join(
        f"{'' if number == 0 else ','}{space[2 * number]}{item}{space[2 * number + 1]}"
        for number, item in enumerate(items)
    )
    comma = draw(st.sampled_from(["", "", ","])) if items else ""
    return f"{opening}{inside}{comma}{space[-1]}{closing}"


@st.composite
def flow_pairs(draw: st.DrawFn) -> str:
    colon = draw(st.sampled_from([": ", ": ", ":\n  ", " : "]))
    return f"{draw(flow_scalars())}{colon}{draw(st.one_of(flow_scalars(), st.just('{}'), st.just('[1, {a: b}]')))}"


S3_ENTRIES = [
    f"{{module: {PROVIDER_MODULE}, config: {{bucket: media, prefix: synapse/}}}}",
    json.dumps({"module": PROVIDER_MODULE, "store_local": True, "config": {"bucket": "media", "prefix": "synapse/"}}),
    f"{{ module: '{PROVIDER_MODULE}' , # S3\n  config: {{bucket: media,\n prefix: synapse/}} }}",
]


@st.composite
def flow_files(draw: st.DrawFn) -> str:
    """Return a file in braces, or a list in brackets among lines, with comments, anchors, tabs, doubled keys, etc."""
    others_there = draw(
        st.lists(st.sampled_from(["{module: one}", '{"module": "two"}', "module: three", "&m {a: b}"]), max_size=3)
    )
    if draw(st.booleans()):
        others_there.insert(draw(st.integers(0, len(others_there))), draw(st.sampled_from(S3_ENTRIES)))
    providers = joined(draw, others_there, "[", "]")
    key = draw(st.sampled_from([KEY, f'"{KEY}"', f"'{KEY}'"]))
    if draw(st.booleans()):
        before, after = (draw(st.lists(st.sampled_from(SETTINGS + COMMENTS), max_size=2)) for _side in range(2))
        text = "\n".join([*before, f"{key}: {providers}", *after]) + draw(st.sampled_from(["\n", ""]))
    else:
        pairs = draw(st.lists(flow_pairs(), max_size=3))
        for _time in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
            value = draw(st.sampled_from([providers, providers, "[]", "null", "", "{}"]))
            pairs.insert(draw(st.integers(0, len(pairs))), f"{key}: {value}")
        if any("*a" in pair for pair in pairs):
            pairs.insert(0, "anchored: &a 1")
        text = joined(draw, pairs, draw(st.sampled_from(["{", "{", "&all {", "--- {"])), "}")
        text += draw(st.sampled_from(["\n", "", " # end\n", "\n...\n"]))
    return draw(st.sampled_from(["", "", "\ufeff", "# top\n"])) + text.replace(
        "\n", draw(st.sampled_from(["\n", "\r\n", "\r"]))
    )


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(flow_files())
def test_flow_style_is_edited_without_loss_and_restored_or_refused(text: str) -> None:
    edited_and_restored_or_refused(text)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abc"\\:{,ü', max_size=4), inner, max_size=3),
    max_leaves=8,
)
JSON_PROVIDERS = st.lists(
    st.sampled_from([{"module": "file_system", "config": {"directory": "/mnt"}}, {"module": "x"}]), max_size=2
)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.dictionaries(st.text('abcdefü_"', min_size=1, max_size=6), JSON_VALUES, max_size=4),
    providers=st.none() | JSON_PROVIDERS,
    s3=st.booleans(),
    indent=st.sampled_from([None, 2, 4]),
    end=st.sampled_from(["", "\n"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_json_is_edited_as_json_and_restored(
    content: dict[str, Any], providers: list[Any] | None, s3: bool, indent: int | None, end: str, newline: str
) -> None:
    if providers is not None:
        config = {"bucket": "media", "prefix": "synapse/"}
        content = {**content, KEY: [*providers, *([{"module": PROVIDER_MODULE, "config": config}] if s3 else [])]}
    text = (json.dumps(content, indent=indent, ensure_ascii=True) + end).replace("\n", newline)
    edited_and_restored_or_refused(text)
    with tempfile.TemporaryDirectory() as directory:
        files = ConfigurationFiles(Path(directory), {"homeserver.yaml": text})
        files.put()
        read = json.loads(files.text())
        assert {key: read[key] for key in read if key != KEY} == {key: content[key] for key in content if key != KEY}
        assert [item["module"] for item in read[KEY]].count(PROVIDER_MODULE) == 1


NASTY = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\"\\:#{}[],&*!|>%@`- \t\n\r\x85\u2028\ufeff"),
    max_size=20,
) | st.sampled_from(
    ["yes", "no", "null", "~", "0123", "1e3", "1:30", "2026-11-20", "=", "<<", "- a", "a: b", "*a", " "]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(secret=NASTY, bucket=st.sampled_from(["media", "0123", "1.5", "yes", "null", "2026-11-20"]))
def test_any_secret_is_read_back_unchanged_or_refused(secret: str, bucket: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        files = ConfigurationFiles(Path(directory), {"homeserver.yaml": "server_name: a\n"})
        try:
            files.put(entry(secret=secret, bucket=bucket))
        except ConfigurationError as refusal:
            event("refused")
            assert "synapse_s3_secret_access_key" in str(refusal)
            assert not secret.isprintable() or not secret
            return
        (provider,) = files.providers()
        assert provider["config"]["secret_access_key"] == secret
        assert provider["config"]["bucket"] == bucket

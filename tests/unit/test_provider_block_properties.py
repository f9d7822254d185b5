# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever the operator's file looks like: it is edited without loss and restored to the byte, or refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.provider_entry import PROVIDER_MODULE
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from provider_files import ConfigurationFiles, entry, others

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
    "media_storage_providers: &list\n  - module: file_system",
    "media_storage_providers: !!seq\n  - module: file_system",
    "media_storage_providers: yes please",
    "media_storage_providers: {}",
    "media_storage_providers: []\nmedia_storage_providers: []",
]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A file made of pieces that each are harmless, in any order and any clothing."""
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


# The same examples in every run: a test of a change must not fail for a file that the change did not touch.
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_a_file_is_edited_without_loss_and_restored_to_the_byte_or_refused(text: str) -> None:
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

        written = files.contents()
        assert files.put().changes == []
        assert files.contents() == written

        assert files.put(entry(secret="another")).action == "updated"
        assert others(files.text()) == others(text)
        assert files.providers().count(entry(secret="another").data()) == 1

        assert files.remove().action == "removed"
        assert files.contents() == before
        assert files.remove().changes == []


NASTY = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\"\\:#{}[],&*!|>%@`- \t\n\r\x85\u2028\ufeff"),
    max_size=20,
) | st.sampled_from(
    ["yes", "no", "null", "~", "0123", "1e3", "1:30", "2026-11-20", "=", "<<", "- a", "a: b", "*a", " "]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(secret=NASTY, bucket=st.sampled_from(["media", "0123", "1.5", "yes", "null", "2026-11-20"]))
def test_any_secret_comes_back_as_it_is_or_is_refused(secret: str, bucket: str) -> None:
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

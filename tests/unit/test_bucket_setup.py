# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is computed before a bucket is changed: lifecycle rules, policies, and options that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.bucket_setup import lifecycle, policy
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.bucket_setup.wanted import Grant, Wanted
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError


def ids(rules: list[dict[str, Any]]) -> list[str]:
    return [rule["ID"] for rule in rules]


def test_default_rules_are_for_our_prefix_only() -> None:
    rules = lifecycle.our_rules(Wanted(), "media/", versioned=True)
    assert ids(rules) == ["synapse-s3-abort-uploads", "synapse-s3-expire-noncurrent"]
    assert {rule["Filter"]["Prefix"] for rule in rules} == {"media/"}
    # No default rule may ever remove the newest version of an object.
    assert not any("Expiration" in rule or "Transitions" in rule for rule in rules)


@pytest.mark.parametrize(
    ("wanted", "versioned", "expected"),
    [
        (Wanted(), False, ["synapse-s3-abort-uploads"]),
        (Wanted(abort_uploads_days=0, expire_noncurrent_days=0), True, []),
        (Wanted(versioning="suspended"), True, ["synapse-s3-abort-uploads"]),
        (Wanted(expire_noncurrent_days=5), False, ["synapse-s3-abort-uploads", "synapse-s3-expire-noncurrent"]),
    ],
)
def test_rules_follow_the_options(wanted: Wanted, versioned: bool, expected: list[str]) -> None:
    assert ids(lifecycle.our_rules(wanted, "", versioned=versioned)) == expected


def test_expiration_is_for_the_trash_only() -> None:
    rules = lifecycle.our_rules(Wanted(trash_prefix="trash/", expire_trash_days=9), "media/", versioned=False)
    expiring = [rule for rule in rules if "Expiration" in rule]
    assert [rule["Filter"]["Prefix"] for rule in expiring] == ["trash/"]


def test_rules_of_others_stay_and_get_a_filter() -> None:
    theirs = {"ID": "theirs", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 1}}
    nameless = {"Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 1}}
    stale = {"ID": "synapse-s3-transition", "Status": "Enabled", "Filter": {"Prefix": ""}}
    ours = lifecycle.our_rules(Wanted(), "", versioned=False)
    merged = lifecycle.merged([theirs, stale, nameless], ours)
    assert merged[0] == {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}
    assert merged[1:] == [nameless, *ours]
    assert lifecycle.merged(merged, ours) == merged


def test_two_forms_of_one_rule_are_equal() -> None:
    one = {
        "ID": "a",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    other = {"ID": "a", "Status": "Enabled", "Prefix": "", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    assert lifecycle.in_one_form([one]) == lifecycle.in_one_form([other])
    assert lifecycle.in_one_form([one]) != lifecycle.in_one_form([{**one, "Filter": {"Prefix": "b"}}])
    by_tag = {**one, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}
    assert lifecycle.in_one_form([one]) != lifecycle.in_one_form([by_tag])


def test_least_privilege_has_no_delete() -> None:
    document = policy.least_privilege("media", "synapse/", delete=False)
    actions = [action for statement in document["Statement"] for action in statement["Action"]]
    assert not any("Delete" in action or "*" in action for action in actions)
    assert document["Statement"][1]["Resource"] == "arn:aws:s3:::media/synapse/*"
    deleting = policy.least_privilege("media", "", delete=True)["Statement"][1]
    assert [action for action in deleting["Action"] if "Delete" in action] == ["s3:DeleteObject"]
    assert deleting["Resource"] == "arn:aws:s3:::media/*"


def test_grants_replace_our_statements_alone() -> None:
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "x"}
    existing = {"Version": "2008-10-17", "Id": "kept", "Statement": theirs}
    first = policy.with_grants(existing, "media", "", [Grant("arn:one"), Grant("arn:two", delete=True)])
    assert (first["Version"], first["Id"], first["Statement"][0]) == ("2008-10-17", "kept", theirs)
    assert len({statement["Sid"] for statement in first["Statement"]}) == 5
    again = policy.with_grants(first, "media", "", [Grant("arn:two")])
    assert [statement.get("Principal") for statement in again["Statement"][1:]] == [{"AWS": "arn:two"}] * 2
    assert policy.with_grants(again, "media", "", [])["Statement"] == [theirs]


def test_two_forms_of_one_policy_are_equal() -> None:
    one = {"Statement": [{"Action": ["b", "a"], "Principal": {"AWS": ["arn"]}}]}
    other = {"Statement": {"Action": ["a", "b"], "Principal": {"AWS": "arn"}}}
    assert policy.comparable(one) == policy.comparable(other)
    assert policy.comparable(one) != policy.comparable({"Statement": {"Action": "a", "Principal": {"AWS": "arn"}}})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"abort_uploads_days": -1}, "abort_uploads_days"),
        ({"kms_key_id": "k", "encryption": "AES256"}, "kms_key_id"),
        ({"policy": {}, "grants": []}, "policy and grants"),
        ({"expire_trash_days": 5}, "trash_prefix"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Wanted(**options)

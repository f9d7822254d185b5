# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module bucket against real servers: what each keeps and lacks, what others set, and what keys may do then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import CONNECTION_ARGUMENTS
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.modules import bucket as bucket_module
from conftest import Endpoint
from rgw import Rgw

# What each of them lacks of the defaults, as it says.
LACKING = {
    "rgw": {"encryption"},
    "seaweedfs": {"public_access_block", "encryption"},
    "juicefs": {"public_access_block", "versioning", "encryption", "lifecycle"},
    "rclone": {"public_access_block", "versioning", "encryption", "lifecycle"},
}


class Call:
    """What the module's code needs of Ansible, without a process for each call: it runs more than a hundred times here.

    tests/integration/test_bucket_role.py runs the whole module, as Ansible does.
    """

    def __init__(self, options: dict[str, Any], check_mode: bool) -> None:
        arguments = {**CONNECTION_ARGUMENTS, **bucket_module.ARGUMENTS}
        assert not set(options) - set(arguments)
        self.params = {name: argument.get("default") for name, argument in arguments.items()} | options
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Bucket:
    """A bucket of the test's own, which the module is to make."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self.store = endpoint.store
        self.name = name
        self.client = endpoint.store.client(tls=endpoint.tls)
        self._connection = endpoint.store.connection(name, tls=endpoint.tls)

    def succeed(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        call: Any = Call({**self._connection, **options}, check)
        return {**bucket_module.run(call), "warnings": call.warnings}

    def refuse(self, **options: Any) -> str:
        with pytest.raises(MediaError) as refused:
            self.succeed(**options)
        return str(refused.value)

    def exists(self) -> bool:
        return self.name in {bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]}

    def rules(self) -> dict[str, dict[str, Any]]:
        answer = self.client.get_bucket_lifecycle_configuration(Bucket=self.name)
        return {rule["ID"]: rule for rule in answer["Rules"]}


@pytest.fixture
def made(endpoint: Endpoint, request: pytest.FixtureRequest) -> Bucket:
    number = abs(hash(request.node.name)) % 10**9
    return Bucket(endpoint, f"setup-{number}")


every_store = pytest.mark.parametrize("endpoint", list(LACKING), indirect=True)
on_rgw = pytest.mark.parametrize("endpoint", ["rgw"], indirect=True)


@every_store
def test_defaults(made: Bucket, request: pytest.FixtureRequest) -> None:
    store = request.node.callspec.params["endpoint"]
    predicted = made.succeed(check=True)
    assert (predicted["changed"], predicted["bucket"]["existed"]) == (True, False)
    assert not made.exists()
    first = made.succeed()
    assert first["changed"] is True
    assert set(first["bucket"]["lacking"]) == LACKING[store], first["bucket"]
    assert len(first["warnings"]) == len(LACKING[store])
    assert first["bucket"]["public"] is False
    second = made.succeed()
    assert (second["changed"], second["bucket"]["existed"]) == (False, True)
    assert second["diff"]["before"] == second["diff"]["after"]
    assert second["bucket"]["settings"] == first["bucket"]["settings"]
    # Nothing that was set keeps media out.
    made.client.put_object(Bucket=made.name, Key="local_content/aa/bb/cc", Body=b"a picture")
    assert made.client.get_object(Bucket=made.name, Key="local_content/aa/bb/cc")["Body"].read() == b"a picture"


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [("seaweedfs", {"encryption": "AES256"}), ("rgw", {"block_public_access": True})],
    indirect=["endpoint"],
)
def test_what_would_stop_uploads_is_taken_back(made: Bucket, asked: dict[str, Any]) -> None:
    before = made.succeed()["bucket"]["settings"]
    assert "refuses uploads" in made.refuse(**asked)
    assert made.succeed()["bucket"]["settings"] == before
    made.client.put_object(Bucket=made.name, Key="a", Body=b"a")


@pytest.mark.parametrize("endpoint", ["juicefs", "rclone"], indirect=True)
@pytest.mark.parametrize(
    "asked",
    [
        {"block_public_access": True},
        {"versioning": "enabled"},
        {"abort_uploads_days": 3},
        {"encryption": "AES256"},
        {"transition_class": "STANDARD_IA"},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_what_was_asked_for_and_is_lacking_is_an_error(made: Bucket, asked: dict[str, Any]) -> None:
    made.succeed()
    made.client.put_object(Bucket=made.name, Key="kept", Body=b"a")
    made.refuse(**asked)
    assert made.client.get_object(Bucket=made.name, Key="kept")["Body"].read() == b"a"


@on_rgw
def test_rules_of_others_stay(made: Bucket) -> None:
    made.client.create_bucket(Bucket=made.name)
    theirs = {"ID": "theirs", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 3}}
    made.client.put_bucket_lifecycle_configuration(Bucket=made.name, LifecycleConfiguration={"Rules": [theirs]})
    made.succeed(prefix="media/", transition_class="STANDARD_IA", trash_prefix="trash/", expire_trash_days=60)
    rules = made.rules()
    assert set(rules) == {
        "theirs",
        "synapse-s3-abort-uploads",
        "synapse-s3-expire-noncurrent",
        "synapse-s3-transition",
        "synapse-s3-expire-trash",
    }
    assert rules["theirs"]["Expiration"] == {"Days": 3}
    assert rules["theirs"].get("Filter", {}).get("Prefix", rules["theirs"].get("Prefix")) == "logs/"
    assert rules["synapse-s3-expire-trash"]["Filter"] == {"Prefix": "trash/"}
    assert rules["synapse-s3-abort-uploads"]["Filter"] == {"Prefix": "media/"}
    nothing: dict[str, Any] = {"abort_uploads_days": 0, "expire_noncurrent_days": 0}
    assert made.succeed(prefix="media/", check=True, **nothing)["changed"] is True
    assert len(made.rules()) == 5
    made.succeed(prefix="media/", **nothing)
    assert set(made.rules()) == {"theirs"}
    assert made.succeed(prefix="media/", **nothing)["changed"] is False


@on_rgw
def test_a_public_list_becomes_private(made: Bucket) -> None:
    made.client.create_bucket(Bucket=made.name, ACL="public-read")
    assert made.succeed(check=True)["bucket"]["public"] is True
    result = made.succeed()
    assert (result["changed"], result["bucket"]["public"]) == (True, False)
    assert result["bucket"]["settings"]["acl"] == "private"
    assert '"acl": "public"' in result["diff"]["before"]


@on_rgw
def test_suspended_versioning_stays_unless_asked_for(made: Bucket) -> None:
    made.succeed()
    made.succeed(versioning="suspended")
    assert made.succeed()["bucket"]["settings"]["versioning"] == "Suspended"
    assert made.succeed(versioning="enabled")["changed"] is True
    assert made.client.get_bucket_versioning(Bucket=made.name)["Status"] == "Enabled"


@on_rgw
def test_grants_give_the_least_privileges(made: Bucket) -> None:
    assert isinstance(made.store, Rgw)
    keys = made.store.make_user(f"granted-{made.name}")
    principal = f"arn:aws:iam:::user/granted-{made.name}"
    made.succeed(prefix="media/", grants=[{"principal": principal}])
    assert made.succeed(prefix="media/", grants=[{"principal": principal}])["changed"] is False
    client = made.store.client_of(keys["access_key_id"], keys["secret_access_key"])
    client.put_object(Bucket=made.name, Key="media/a", Body=b"a")
    assert client.get_object(Bucket=made.name, Key="media/a")["Body"].read() == b"a"
    assert client.list_objects_v2(Bucket=made.name)["KeyCount"] == 1
    for refused in (
        lambda: client.delete_object(Bucket=made.name, Key="media/a"),
        lambda: client.put_object(Bucket=made.name, Key="elsewhere", Body=b"a"),
        lambda: client.put_bucket_versioning(Bucket=made.name, VersioningConfiguration={"Status": "Suspended"}),
    ):
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            refused()
    made.succeed(prefix="media/", grants=[{"principal": principal, "delete": True}])
    client.delete_object(Bucket=made.name, Key="media/a")
    assert made.succeed(prefix="media/", grants=[])["changed"] is True
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.list_objects_v2(Bucket=made.name)


@on_rgw
def test_statements_of_others_stay(made: Bucket) -> None:
    assert isinstance(made.store, Rgw)
    made.store.make_user(f"other-{made.name}")
    made.succeed()
    theirs = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam:::user/other-{made.name}"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{made.name}/public/*",
    }
    document = {"Version": "2012-10-17", "Statement": [theirs]}
    made.succeed(policy=document)
    assert made.succeed(policy=document)["changed"] is False
    made.succeed(grants=[{"principal": f"arn:aws:iam:::user/other-{made.name}"}])
    made.succeed(grants=[])
    kept = json.loads(made.client.get_bucket_policy(Bucket=made.name)["Policy"])
    assert kept["Statement"] == [theirs]
    made.succeed(policy={})
    with pytest.raises(made.client.exceptions.ClientError, match="NoSuchBucketPolicy"):
        made.client.get_bucket_policy(Bucket=made.name)


@on_rgw
def test_cors_rules(made: Bucket) -> None:
    rule = {"allowed_origins": ["https://app.example.org"], "allowed_methods": ["GET"], "max_age_seconds": 60}
    made.succeed(cors_rules=[rule])
    assert made.succeed(cors_rules=[rule])["changed"] is False
    assert made.succeed()["changed"] is False
    assert len(made.client.get_bucket_cors(Bucket=made.name)["CORSRules"]) == 1
    made.succeed(cors_rules=[])
    with pytest.raises(made.client.exceptions.ClientError, match="NoSuchCORSConfiguration"):
        made.client.get_bucket_cors(Bucket=made.name)


@on_rgw
def test_keys_without_the_permission(made: Bucket) -> None:
    assert isinstance(made.store, Rgw)
    made.succeed()
    name = f"reader-{made.name}"
    keys = made.store.make_user(name)
    made.succeed(grants=[{"principal": f"arn:aws:iam:::user/{name}"}])
    said = made.refuse(**keys)
    assert "s3:GetBucketPublicAccessBlock" in said
    assert keys["secret_access_key"] not in said


@every_store
def test_removal(made: Bucket) -> None:
    assert made.succeed(state="absent")["changed"] is False
    made.succeed()
    for body in (b"one", b"two"):
        made.client.put_object(Bucket=made.name, Key="media/a", Body=body)
    assert "media/a" in made.refuse(state="absent")
    assert "media/a" in made.refuse(state="absent", confirm_name="another")
    assert made.client.get_object(Bucket=made.name, Key="media/a")["Body"].read() == b"two"
    assert made.succeed(state="absent", confirm_name=made.name, check=True)["changed"] is True
    assert made.exists()
    made.succeed(state="absent", confirm_name=made.name)
    assert not made.exists()
    assert made.succeed(state="absent", confirm_name=made.name)["changed"] is False


@on_rgw
def test_old_versions_keep_a_bucket(made: Bucket) -> None:
    made.succeed()
    made.client.put_object(Bucket=made.name, Key="media/a", Body=b"one")
    made.client.delete_object(Bucket=made.name, Key="media/a")
    assert "is not empty" in made.refuse(state="absent")
    assert [version["Key"] for version in made.client.list_object_versions(Bucket=made.name)["Versions"]] == ["media/a"]


@every_store
def test_empty_bucket_is_removed(made: Bucket) -> None:
    made.succeed()
    assert made.succeed(state="absent")["changed"] is True
    assert not made.exists()

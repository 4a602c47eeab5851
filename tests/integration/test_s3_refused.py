# SPDX-License-Identifier: Apache-2.0
"""What a server refuses object by object: left out by name, and the rest is
backed up and restored all the same."""

import json

import boto3
import pytest

from harness import witness
from harness.gate import Gate
from harness.minio import empty_bucket
from harness.stack import DEGRADED, FAILED


@pytest.fixture
def filled(s3, bucket):
    for key in ("a", "locked/one", "locked/two", "z"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 9,
                      Tagging="team=" + key.replace("/", "."))
    return bucket


class Role:
    """Temporary credentials that may do everything but what is denied."""

    statements = [{"Effect": "Allow", "Action": ["s3:*"],
                   "Resource": ["arn:aws:s3:::*"]}]

    def __init__(self, minio, *denied):
        statements = self.statements + [{"Effect": "Deny", "Action": [action],
                        "Resource": ["arn:aws:s3:::" + resource]}
                       for action, resource in denied]
        given = boto3.client(
            "sts", endpoint_url=minio.endpoint, region_name=minio.REGION,
            aws_access_key_id=minio.access_key,
            aws_secret_access_key=minio.secret_key).assume_role(
                RoleArn="arn:minio:iam:::role/test", RoleSessionName="test",
                Policy=json.dumps({"Version": "2012-10-17",
                                   "Statement": statements}))["Credentials"]
        self.endpoint = minio.endpoint
        self.access_key = given["AccessKeyId"]
        self.secret_key = given["SecretAccessKey"]
        self.token = given["SessionToken"]


def add_role(stack, minio, bucket, *denied):
    role = Role(minio, *denied)
    stack.add_bucket("up", role, bucket=bucket,
                     session_token_file=stack.secret("token", role.token))


def omitted(done):
    return {event["path"]: event["text"]
            for event in done.of_type("omission")}


def test_objects_that_may_not_be_read_are_left_out_by_name(
        stack, minio, filled):
    add_role(stack, minio, filled, ("s3:GetObject", filled + "/locked/*"))
    done = stack.run("backup-create", "--json")
    assert done.status == DEGRADED, str(done)
    left = omitted(done)
    assert sorted(left) == ["bucket/up/locked/one", "bucket/up/locked/two"]
    assert all("AccessDenied" in reason for reason in left.values())
    assert sorted(stack.entries("latest", "bucket/up/")) == [
        "bucket/up/a", "bucket/up/z"]


def test_what_was_refused_is_fetched_once_it_may_be(stack, minio, filled):
    add_role(stack, minio, filled, ("s3:GetObject", filled + "/locked/*"))
    stack.create(statuses=(DEGRADED,))
    add_role(stack, minio, filled)
    stack.create()
    assert "bucket/up/locked/one" in stack.entries("latest", "bucket/up/")


def test_a_bucket_that_refuses_every_object_fails(stack, minio, filled):
    add_role(stack, minio, filled, ("s3:GetObject", filled + "/*"))
    done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    assert "s3:GetObject" in done.err
    assert stack.snapshots() == []


def test_a_bucket_that_may_not_be_listed_fails(stack, minio, filled):
    add_role(stack, minio, filled, ("s3:ListBucket", filled))
    done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    assert stack.snapshots() == []


def test_tags_that_may_not_be_read_are_said_every_time(stack, minio, filled):
    add_role(stack, minio, filled,
             ("s3:GetObjectTagging", filled + "/locked/one"))
    for _ in range(2):
        done = stack.run("backup-create", "--json")
        assert done.status == DEGRADED, str(done)
        left = omitted(done)
        assert list(left) == ["bucket/up/locked/one"]
        assert "tags" in left["bucket/up/locked/one"]
    assert len(stack.entries("latest", "bucket/up/")) == 4


def test_an_object_that_the_server_fails_on_is_left_out(
        stack, minio, filled):
    def answer(method, path):
        if method == "GET" and path.startswith("/%s/locked/one" % filled):
            return 503, "SlowDownRead"
        return None

    with Gate(minio, answer) as gate:
        stack.add_bucket("up", gate, bucket=filled)
        done = stack.run("backup-create", "--json")
    assert done.status == DEGRADED, str(done)
    assert list(omitted(done)) == ["bucket/up/locked/one"]
    tried = [path for method, path in gate.requests if "locked/one" in path]
    assert len(tried) == 6


def test_a_server_that_fails_on_everything_fails_the_run(
        stack, minio, filled):
    broken = []

    def answer(method, path):
        if method == "GET" and path.startswith("/%s/locked/one" % filled):
            broken.append(True)
        return (403, "InvalidAccessKeyId") if broken else None

    with Gate(minio, answer) as gate:
        stack.add_bucket("up", gate, bucket=filled)
        done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    assert "InvalidAccessKeyId" in done.err
    assert stack.snapshots() == []


@pytest.mark.parametrize("status,code", [
    (400, "InvalidArgument"), (400, "XMinioInvalidObjectName"),
    (400, "KeyTooLongError"), (400, "NeverHeardOf"), (414, "")])
def test_a_key_that_the_target_refuses_is_left_out_in_its_words(
        stack, s3, minio, filled, status, code):
    def answer(method, path):
        if method == "PUT" and path.startswith("/%s/locked/one" % filled):
            return status, code
        return None

    before = witness.bucket(s3, filled)
    stack.add_bucket("up", minio, bucket=filled)
    stack.create()
    empty_bucket(s3, filled)
    with Gate(minio, answer) as gate:
        stack.add_bucket("up", gate, bucket=filled)
        done = stack.admin("backup-restore", "--json", "latest")
    assert done.status == DEGRADED, str(done)
    left = omitted(done)
    assert list(left) == ["bucket/up/locked/one"]
    assert (code or "414") in left["bucket/up/locked/one"]
    del before["locked/one"]
    assert not witness.differences(before, witness.bucket(s3, filled))


def test_a_target_that_refuses_every_key_fails(stack, s3, minio, filled):
    def answer(method, path):
        if method == "PUT" and path.startswith("/%s/" % filled):
            return 400, "InvalidArgument"
        return None

    stack.add_bucket("up", minio, bucket=filled)
    stack.create()
    empty_bucket(s3, filled)
    with Gate(minio, answer) as gate:
        stack.add_bucket("up", gate, bucket=filled)
        done = stack.admin("backup-restore", "latest")
    assert done.status == FAILED, str(done)
    assert "nothing was restored: 4 things" in done.err
    assert "bucket/up: nothing of it was restored" in done.err

# SPDX-License-Identifier: Apache-2.0
"""Retention and legal hold are recorded with an object, and given back only on
request."""

import datetime
import time

import pytest
from botocore.exceptions import ClientError
from harness.stack import DEGRADED


def soon(seconds):
    return datetime.datetime.now(datetime.timezone.utc).replace(
        microsecond=0) + datetime.timedelta(seconds=seconds)


@pytest.fixture
def locked(s3, bucket):
    """Makes buckets with object lock. What is in them nobody can remove, so
    they stay until the server goes."""
    def make(name):
        s3.create_bucket(Bucket="locked-%s-%s" % (name, bucket),
                         ObjectLockEnabledForBucket=True)
        return "locked-%s-%s" % (name, bucket)
    return make


@pytest.fixture
def filled(stack, s3, minio, locked):
    name = locked("from")
    s3.put_object(Bucket=name, Key="kept", Body=b"1",
                  ObjectLockMode="GOVERNANCE",
                  ObjectLockRetainUntilDate=soon(86400))
    s3.put_object(Bucket=name, Key="held", Body=b"2",
                  ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket=name, Key="free", Body=b"3")
    until = soon(2)
    s3.put_object(Bucket=name, Key="over", Body=b"4",
                  ObjectLockMode="GOVERNANCE",
                  ObjectLockRetainUntilDate=until)
    stack.add_bucket("up", minio, bucket_name=name)
    stack.create()
    while soon(0) <= until:
        time.sleep(0.1)
    return name


def locks(s3, bucket):
    seen = {}
    for key in ("kept", "held", "free", "over"):
        head = s3.head_object(Bucket=bucket, Key=key)
        seen[key] = (head.get("ObjectLockMode"),
                     head.get("ObjectLockRetainUntilDate"),
                     head.get("ObjectLockLegalHoldStatus") == "ON")
    return seen


def test_locks_come_back_on_request_and_as_far_as_they_are_not_over(
        stack, s3, filled, locked):
    before = locks(s3, filled)
    before["over"] = (None, None, False)
    to = locked("to")
    stack.restore("latest", "bucket/up", "--to", to, "--locks")
    assert locks(s3, to) == before
    stack.verify("latest")


def lock_of(s3, bucket, key, version):
    """Asked for by itself: not every server tells it with a version that is
    not the current one."""
    told = []
    for ask, name, field in (
            (s3.get_object_retention, "Retention", "RetainUntilDate"),
            (s3.get_object_legal_hold, "LegalHold", "Status")):
        try:
            told.append(ask(Bucket=bucket, Key=key,
                            VersionId=version)[name][field])
        except ClientError as error:
            assert error.response["Error"]["Code"] == \
                "NoSuchObjectLockConfiguration", error
            told.append(None)
    return tuple(told)


@pytest.mark.every_s3_server("object lock")
def test_each_version_has_its_own_lock(stack, s3, minio, locked):
    name, to = locked("versions"), locked("to")
    until = [soon(86400), soon(2 * 86400)]
    for number in range(2):
        s3.put_object(Bucket=name, Key="a", Body=b"%d" % number,
                      ObjectLockMode="GOVERNANCE",
                      ObjectLockRetainUntilDate=until[number])
    s3.put_object(Bucket=name, Key="a", Body=b"2",
                  ObjectLockLegalHoldStatus="ON")
    s3.delete_object(Bucket=name, Key="a")
    if minio.name != "minio":  # before the window of a Date that may be late
        time.sleep(2)
    stack.add_bucket("up", minio, bucket_name=name, versions="all")
    stack.create()
    stack.restore("latest", "bucket/up", "--to", to, "--locks")
    listed = s3.list_object_versions(Bucket=to)
    assert len(listed["DeleteMarkers"]) == 1
    told = {}
    for item in listed["Versions"]:
        answer = s3.get_object(Bucket=to, Key="a", VersionId=item["VersionId"])
        told[answer["Body"].read()] = lock_of(s3, to, "a", item["VersionId"])
    assert told == {b"0": (until[0], None), b"1": (until[1], None),
                    b"2": (None, "ON")}
    # Asked again, they are what they were.
    before = stack.entries()
    stack.add_bucket("up", minio, bucket_name=name, versions="all",
                     ask_each=True)
    assert stack.create()["known_chunks"] == 0
    assert stack.entries() == before


def test_without_a_request_nothing_is_locked(stack, s3, filled, locked):
    to = locked("to")
    stack.restore("latest", "bucket/up", "--to", to)
    assert set(locks(s3, to).values()) == {(None, None, False)}


def test_a_bucket_without_object_lock_is_named(
        stack, s3, minio, bucket, filled):
    done = stack.admin("backup-restore", "--json", "--to", bucket, "--locks",
                       "latest", "bucket/up")
    assert done.status == DEGRADED, str(done)
    assert {event["path"] for event in done.of_type("omission")} == {
        "bucket/up/kept", "bucket/up/held"}
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"1"


def test_a_new_lock_is_seen_by_asking_each(stack, s3, minio, filled, locked):
    until = soon(86400)
    s3.put_object_retention(
        Bucket=filled, Key="free",
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until})
    stack.add_bucket("up", minio, bucket_name=filled, ask_each=True)
    stack.create()
    to = locked("to")
    stack.restore("latest", "bucket/up", "--to", to, "--locks")
    assert locks(s3, to)["free"] == ("COMPLIANCE", until, False)

# SPDX-License-Identifier: Apache-2.0
"""A repository in a bucket with object lock, and somebody who would rather it
were not there."""

import datetime
import os
import subprocess

import pytest
from botocore.exceptions import ClientError
from harness.minio import remove_bucket
from harness.stack import COMPLETE, FAILED

DAYS = 30
BUCKET = "locked-repository"
LOCATION = "s3://%s/some/prefix" % BUCKET


def unlock(s3, version):
    s3.put_object_retention(
        Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"],
        BypassGovernanceRetention=True, Retention={})


def versions(s3):
    """Whatever is there, hidden or not."""
    return [item for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=BUCKET) for item in page.get("Versions", [])]


def markers(s3):
    return [item for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=BUCKET) for item in page.get("DeleteMarkers", [])]


def locked_until(s3, version):
    head = s3.head_object(Bucket=BUCKET, Key=version["Key"],
                          VersionId=version["VersionId"])
    return head.get("ObjectLockRetainUntilDate")


def name(version):
    return version["Key"][len("some/prefix/"):]


def in_days(days):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
        days=days)


@pytest.fixture
def bucket_with_lock(s3):
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    yield
    for version in versions(s3):
        unlock(s3, version)
    remove_bucket(s3, BUCKET)


@pytest.fixture
def host(stack, minio, bucket_with_lock):
    stack.use_bucket(minio, LOCATION,
                     object_lock={"mode": "governance", "days": DAYS})
    for path in (stack.key_file, stack.identity):
        os.unlink(path)
    stack.init()
    stack.files = stack.path("files")
    os.mkdir(stack.files)
    stack.add("files", "stack", paths=[stack.files])
    write(stack, "first")
    stack.create()
    return stack


def write(host, which):
    with open(os.path.join(host.files, which), "wb") as out:
        out.write(os.urandom(3 << 20))


def prune(host):
    result = host.run("backup-prune", "--json", "--keep-last", "1", "--grace",
                      "0")
    assert result.status == COMPLETE, str(result)
    return result.result


def test_what_is_stored_is_locked_and_what_says_who_works_is_not(host, s3):
    for version in versions(s3):
        until = locked_until(s3, version)
        if name(version).startswith(("sessions/", "tmp-")):
            assert until is None, version
        else:
            assert in_days(DAYS - 1) < until <= in_days(DAYS), version


def test_a_prune_renews_what_is_needed_and_tells_what_the_lock_keeps(host, s3):
    pack, = [v for v in versions(s3) if name(v).startswith("packs/")
             and v["Size"] > 1 << 20]
    index = [v for v in versions(s3) if name(v).startswith("index/")][0]
    soon = in_days(DAYS * 0.4).replace(microsecond=0)
    late = in_days(DAYS * 0.6).replace(microsecond=0)
    for version, until in ((pack, soon), (index, late)):
        s3.put_object_retention(
            Bucket=BUCKET, Key=version["Key"], BypassGovernanceRetention=True,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    assert prune(host)["renewed_objects"] == 1
    assert locked_until(s3, pack) > in_days(DAYS - 1)
    assert locked_until(s3, index) == late

    # Nobody needs the pack any more; the lock does not let it go.
    os.unlink(os.path.join(host.files, "first"))
    write(host, "second")
    host.create()
    told = prune(host)
    assert told["removed"] == 1 and told["freed_packs"] > 0
    assert told["locked_objects"] > 0
    assert told["locked_bytes"] >= pack["Size"]
    assert pack["Key"] in [v["Key"] for v in versions(s3)]
    people = host.run("backup-prune", "--keep-last", "1", "--grace", "0")
    assert "object lock" in people.out, str(people)

    # When it is over, the next prune takes it away for good.
    unlock(s3, pack)
    before = len(markers(s3))
    prune(host)
    assert pack["Key"] not in [v["Key"] for v in versions(s3)]
    assert len(markers(s3)) < before
    assert host.admin("backup-check", "--read-data").status == COMPLETE


def test_a_repository_is_read_as_it_was_before_an_attack(host, s3):
    before = host.snapshots()
    moment = max(v["LastModified"] for v in versions(s3))
    # Listings of MinIO tell milliseconds; what came in that one is old.
    as_of = (moment + datetime.timedelta(milliseconds=1)).isoformat()

    for version in versions(s3):
        with pytest.raises(ClientError) if locked_until(s3, version) \
                else open(os.devnull) as _:
            s3.delete_object(Bucket=BUCKET, Key=version["Key"],
                             VersionId=version["VersionId"])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            s3.put_object(Bucket=BUCKET, Key=item["Key"], Body=b"ransom",
                          ContentMD5="kH5xd2dtjvoCoZ8pzur4HQ==")
            s3.delete_object(Bucket=BUCKET, Key=item["Key"])

    assert host.run("backup-list").status == FAILED
    listed = host.run("backup-list", "--json", "--as-of", as_of)
    assert listed.status == COMPLETE, str(listed)
    assert [event["name"] for event in listed.events
            if event["type"] == "snapshot"] == before
    back = host.path("back")
    host.restore("latest", "--as-of", as_of, "--to", back)
    assert subprocess.run(["diff", "-r", host.files,
                           back + host.files]).returncode == 0
    verified = host.admin("backup-verify", "--json", "--as-of", as_of)
    assert verified.status == COMPLETE, str(verified)
    early = host.run("backup-list", "--as-of", "2020-01-01")
    assert early.status == FAILED and "at that time" in early.err, str(early)


def test_a_time_is_asked_of_buckets_with_versions_only(
        stack, minio, repository):
    result = stack.run("backup-list", "--as-of", "2026-01-01")
    assert result.status == FAILED and "--as-of" in result.err, str(result)
    stack.use_bucket(minio, repository)
    result = stack.run("backup-list", "--as-of", "2026-01-01")
    assert result.status == FAILED
    assert "keeps no versions" in result.err, str(result)
    stack.use_bucket(minio, repository,
                     object_lock={"mode": "governance", "days": DAYS})
    result = stack.run("backup-list")
    assert result.status == FAILED and "object_lock" in result.err

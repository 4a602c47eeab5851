# SPDX-License-Identifier: Apache-2.0
"""A repository in a bucket with object lock, and somebody who would rather it
were not there."""

import base64
import datetime
import hashlib
import os
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from harness.gate import Gate
from harness.minio import remove_bucket
from harness.stack import COMPLETE, DEGRADED, FAILED

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
    # versitygw takes no retention away.
    for version in versions(s3):
        s3.delete_object(Bucket=BUCKET, Key=version["Key"],
                         VersionId=version["VersionId"],
                         BypassGovernanceRetention=True)
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


def wait_for_a_second(s3):
    """Until what is there is older than whatever begins now."""
    newest = max(v["LastModified"] for v in versions(s3) + markers(s3))
    while datetime.datetime.now(datetime.timezone.utc) < \
            newest + datetime.timedelta(seconds=1):
        time.sleep(0.05)


@pytest.mark.every_s3_server("object lock")
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
    wait_for_a_second(s3)
    told = prune(host)
    assert told["locked_objects"] > 0
    assert told["locked_bytes"] >= pack["Size"]
    assert pack["Key"] in [v["Key"] for v in versions(s3)]
    people = host.run("backup-prune", "--keep-last", "1", "--grace", "0")
    assert "object lock" in people.out, str(people)

    # When it is over, the next prune takes it away for good.
    unlock(s3, pack)
    before = len(markers(s3))
    wait_for_a_second(s3)
    prune(host)
    assert pack["Key"] not in [v["Key"] for v in versions(s3)]
    assert len(markers(s3)) < before
    assert host.admin("backup-check", "--read-data").status == COMPLETE


@pytest.mark.every_s3_server("object lock")
def test_a_repository_is_read_as_it_was_before_an_attack(host, s3):
    before = host.snapshots()
    moment = max(v["LastModified"] for v in versions(s3))
    # Listings of MinIO tell milliseconds; what came in that one is old. Those
    # of versitygw tell seconds.
    is_fine = moment.microsecond != 0
    if not is_fine:
        wait_for_a_second(s3)
    as_of = (moment + datetime.timedelta(
        milliseconds=1 if is_fine else 999.999)).isoformat()

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


def test_no_run_takes_away_for_good_what_it_has_removed_itself(host, s3):
    pack, = [v for v in versions(s3) if name(v).startswith("packs/")
             and v["Size"] > 1 << 20]
    os.unlink(os.path.join(host.files, "first"))
    write(host, "second")
    host.create()
    for version in versions(s3):
        unlock(s3, version)
    wait_for_a_second(s3)
    told = prune(host)
    assert told["freed_packs"] > 0
    assert pack["Key"] in [v["Key"] for v in versions(s3)]
    wait_for_a_second(s3)
    assert prune(host)["purged_objects"] > 0
    assert pack["Key"] not in [v["Key"] for v in versions(s3)]


def test_what_nothing_needs_and_nobody_removed_yet_is_not_taken_away(host, s3):
    """Packs wait for the grace to be over: what is current is never deleted for
    good, locked or not."""
    pack, = [v for v in versions(s3) if name(v).startswith("packs/")
             and v["Size"] > 1 << 20]
    os.unlink(os.path.join(host.files, "first"))
    write(host, "second")
    host.create()
    for _ in range(2):
        for version in versions(s3):
            unlock(s3, version)
        wait_for_a_second(s3)
        done = host.run("backup-prune", "--json", "--keep-last", "1",
                        "--grace", "2d")
        assert done.status == COMPLETE, str(done)
        assert done.result["freed_packs"] == 0
        assert pack["Key"] in [v["Key"] for v in versions(s3)]
    assert host.admin("backup-check", "--read-data").status == COMPLETE


def test_what_was_removed_by_then_is_not_there_as_of_a_time(host, s3):
    first, = host.snapshots()
    write(host, "second")
    host.create()
    prune(host)
    now = host.snapshots()
    assert first not in now
    listed = host.run("backup-list", "--json", "--as-of", as_of(s3))
    assert listed.status == COMPLETE, str(listed)
    assert [event["name"] for event in listed.events
            if event["type"] == "snapshot"] == now
    for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    listed = host.run("backup-list", "--as-of", as_of(s3))
    assert listed.status == FAILED, str(listed)
    assert "at that time" in listed.err


def soon(s3, *folders):
    """Lets the locks of these objects be over soon."""
    chosen = [v for v in versions(s3) if name(v).startswith(folders)]
    for version in chosen:
        s3.put_object_retention(
            Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"],
            BypassGovernanceRetention=True,
            Retention={"Mode": "GOVERNANCE",
                       "RetainUntilDate": in_days(DAYS * 0.4)})
    return chosen


def is_long(s3, version):
    return locked_until(s3, version) > in_days(DAYS - 1)


def use(host, server):
    host.use_bucket(server, LOCATION,
                    object_lock={"mode": "governance", "days": DAYS})


@pytest.mark.parametrize("what", ["retention", "odd"])
def test_one_lock_that_cannot_be_renewed_does_not_keep_the_others_from_it(
        host, minio, s3, what):
    chosen = soon(s3, "packs/", "index/", "config")
    bad = [v for v in chosen if name(v).startswith("packs/")][0]

    def answer(method, path):
        if bad["Key"] in path and ("retention" in path if what == "retention"
                                   else method == "HEAD"):
            return 403, "AccessDenied"
        return None

    with Gate(minio, answer) as gate:
        use(host, gate)
        result = host.run("backup-prune", "--json", "--keep-last", "1")
    assert result.status == DEGRADED, str(result)
    assert result.result["state"] == "degraded"
    assert result.result["failed_locks"] == 1
    assert result.result["renewed_objects"] == len(chosen) - 1
    assert [event["path"] for event in result.of_type("omission")] == [
        name(bad)]
    assert [v for v in chosen if not is_long(s3, v)] == [bad]


def test_credentials_that_may_renew_nothing_fail_the_prune(host, minio, s3):
    for number in range(60):
        write(host, "more %d" % number)
        s3.put_object(
            Bucket=BUCKET, Key="some/prefix/packs/zz/%064d" % number,
            Body=b"1", ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=in_days(1))
    with Gate(minio, lambda method, path: (403, "AccessDenied")
              if "retention" in path else None) as gate:
        use(host, gate)
        result = host.run("backup-prune", "--keep-last", "1")
    assert result.status == FAILED, str(result)
    assert "renewing object locks" in result.err


def test_what_there_is_stays_locked_where_nothing_can_be_pruned(host, s3):
    write(host, "second")
    host.create()
    chosen = soon(s3, "packs/", "snapshots/", "index/")
    hidden = [v for v in chosen if name(v).startswith("snapshots/")][0]
    s3.delete_object(Bucket=BUCKET, Key=hidden["Key"])
    result = host.run("backup-prune", "--keep-last", "1", "--grace", "0")
    assert result.status == FAILED, str(result)
    assert "nothing was removed" in result.err
    assert "made longer all the same" in result.err
    assert not [v for v in chosen if not is_long(s3, v)]


def test_a_loss_that_is_acknowledged_is_not_taken_away_for_good(host, s3):
    """Who removed it may have been no friend, and the versions are all that is
    left."""
    write(host, "second")
    host.create()
    hidden = [v for v in versions(s3) if name(v).startswith("snapshots/")][0]
    s3.delete_object(Bucket=BUCKET, Key=hidden["Key"])
    for version in versions(s3):
        unlock(s3, version)
    wait_for_a_second(s3)
    done = host.run("backup-prune", "--json", "--keep-last", "1", "--grace",
                    "0", "--acknowledge")
    assert done.status == COMPLETE, str(done)
    assert done.result["purged_objects"] == 0
    assert hidden["VersionId"] in [v["VersionId"] for v in versions(s3)]


def test_a_misspelt_host_keeps_the_locks_and_not_those_of_what_was_removed(
        host, s3):
    chosen = soon(s3, "packs/")
    gone, kept = chosen[0], chosen[1:]
    s3.delete_object(Bucket=BUCKET, Key=gone["Key"])
    result = host.run("backup-prune", "--keep-last", "1", "--host", "nobody")
    assert result.status == FAILED, str(result)
    assert not is_long(s3, gone)
    assert not [v for v in kept if not is_long(s3, v)]


def test_whether_a_bucket_has_locks_need_not_be_asked(host, minio):
    with Gate(minio, lambda method, path: (403, "AccessDenied")
              if "object-lock" in path else None) as gate:
        use(host, gate)
        listed = host.run("backup-list")
    assert listed.status == COMPLETE, str(listed)


def as_of(s3):
    """Now, as far as listings tell."""
    moment = max(v["LastModified"] for v in versions(s3) + markers(s3))
    return (moment + datetime.timedelta(milliseconds=1)).isoformat()


def put_in_parts(s3, key, body):
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    part = s3.upload_part(Bucket=BUCKET, Key=key, PartNumber=1, Body=body,
                          UploadId=upload["UploadId"])
    s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


@pytest.mark.parametrize("in_parts", [True, False])
def test_of_versions_the_one_whose_bytes_are_its_name_is_read(
        host, s3, in_parts):
    """As if each upload had been begun before the time, and ended after it:
    AWS dates it by its beginning."""
    before = host.snapshots()
    for version in versions(s3):
        key, body = version["Key"], os.urandom(version["Size"])
        if name(version).startswith(("sessions/", "tmp-")):
            continue
        if in_parts:
            put_in_parts(s3, key, body)
        elif name(version) != "config":
            s3.put_object(
                Bucket=BUCKET, Key=key, Body=body, ContentMD5=base64.b64encode(
                    hashlib.md5(body).digest()).decode())
    assert host.run("backup-list").status != COMPLETE
    listed = host.run("backup-list", "--json", "--as-of", as_of(s3))
    assert listed.status == COMPLETE, str(listed)
    assert [event["name"] for event in listed.events
            if event["type"] == "snapshot"] == before
    back = host.path("back")
    host.restore("latest", "--as-of", as_of(s3), "--to", back)
    assert subprocess.run(["diff", "-r", host.files,
                           back + host.files]).returncode == 0


def test_a_verdict_as_of_a_time_proves_nothing_of_now(host, s3):
    verified = host.admin("backup-verify", "--as-of", as_of(s3))
    assert verified.status == COMPLETE, str(verified)
    assert "says nothing of what is there now" in verified.err
    listed = host.run("backup-list", "--json")
    snapshot, = [event for event in listed.events
                 if event["type"] == "snapshot"]
    assert not snapshot.get("proven_at"), snapshot


def test_an_archive_is_read_as_of_no_time(host, s3):
    archive = host.path("archive")
    done = host.admin("backup-archive", "latest", "--output", archive)
    assert done.status == COMPLETE, str(done)
    s3.upload_file(archive, BUCKET, "archives/one")
    for location in (archive, "s3://%s/archives/one" % BUCKET):
        listed = host.run("backup-list", "--repository", location,
                          "--identity-file", host.identity)
        assert listed.status == COMPLETE, str(listed)
        listed = host.run("backup-list", "--repository", location,
                          "--identity-file", host.identity, "--as-of",
                          as_of(s3))
        assert listed.status == FAILED, str(listed)


def test_a_repository_that_is_not_there_is_looked_for_where_storage_says(
        host):
    """And not with what the environment has, which here is nothing."""
    listed = host.run("backup-list", "--repository",
                      "s3://%s/nothing" % BUCKET)
    assert listed.status == FAILED, str(listed)
    assert "there is no repository here" in listed.err


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

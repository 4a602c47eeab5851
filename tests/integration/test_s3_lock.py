# SPDX-License-Identifier: Apache-2.0
"""Object lock, conditions, deletions of versions and uploads that nobody
finished, through the S3 client: against MinIO with boto3 as the witness, and
against answers that MinIO does not give."""

import hashlib
import time

import pytest

from test_s3 import (AUTH, CORRUPT, EXISTS, RETRY, UNSUPPORTED, Fake,
                     answer, error, hang_up, real, refused, tool)

real = real  # the fixture

LOCKED = "sys 423"
AWS_LOCKED = error(403, "AccessDenied",
                   "Access Denied because object protected by object lock.")


def good(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def at(when):
    return int(when.timestamp())


def soon():
    """A retention that the end of a test can wait for; MinIO asks for the
    future."""
    return int(time.time()) + 3600


@pytest.fixture
def lockable(real, s3, bucket):
    """A bucket with object lock, which is emptied although it is locked."""
    name = bucket + "-lock"
    good(real("bucket", "lockable", name))
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for item in page.get("Versions", []):
            where = {"Bucket": name, "Key": item["Key"],
                     "VersionId": item["VersionId"]}
            s3.put_object_legal_hold(LegalHold={"Status": "OFF"}, **where)
            s3.delete_object(BypassGovernanceRetention=True, **where)


# ---- object lock ----

def test_a_bucket_tells_its_lock_and_the_rule(real, s3, bucket, lockable):
    assert good(real("rule", bucket)) == "0 0 0 0\n"
    assert good(real("rule", lockable)) == "1 0 0 0\n"
    good(real("rule", lockable, "g", "3"))
    assert good(real("rule", lockable)) == "1 1 3 0\n"
    assert s3.get_object_lock_configuration(Bucket=lockable)[
        "ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
            "Mode": "GOVERNANCE", "Days": 3}
    good(real("rule", lockable, "-", "0"))
    assert good(real("rule", lockable)) == "1 0 0 0\n"
    assert s3.get_bucket_versioning(Bucket=lockable)["Status"] == "Enabled"


@pytest.mark.parametrize("given,expected", [
    (answer(200, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled"
            "</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE"
            "</Mode><Years>2</Years></DefaultRetention></Rule>"
            "</ObjectLockConfiguration>"), "1 2 0 2\n"),
    (error(501, "NotImplemented"), "0 0 0 0\n"),
    (error(404, "ObjectLockConfigurationNotFoundError"), "0 0 0 0\n")])
def test_a_server_without_object_lock_is_no_error(given, expected):
    with Fake(given) as fake:
        assert good(tool(fake.endpoint, "rule", "bucket")) == expected


def test_what_is_put_under_lock_is_kept(real, s3, lockable):
    until = soon()
    done = good(real("put", lockable, "a", stdin=b"x",
                     S3_TOOL_LOCK="g %d" % until))
    version = done.splitlines()[1]
    seen = s3.head_object(Bucket=lockable, Key="a")
    assert seen["VersionId"] == version
    assert seen["ObjectLockMode"] == "GOVERNANCE"
    assert at(seen["ObjectLockRetainUntilDate"]) == until
    assert good(real("lock", lockable, "a")) == "1 %d 0\n" % until
    message = refused(
        real("remove", lockable, "a", S3_TOOL_VERSION=version), AUTH)
    assert LOCKED in message and "object lock keeps" in message
    good(real("remove", lockable, "a"))
    assert good(real("get", lockable, "a", S3_TOOL_VERSION=version)) == "x"


def test_a_retention_grows_and_does_not_shrink(real, s3, lockable):
    version = s3.put_object(
        Bucket=lockable, Key="a", Body=b"x")["VersionId"]
    s3.put_object(Bucket=lockable, Key="a", Body=b"y")
    until = soon()
    old = {"S3_TOOL_VERSION": version}
    assert good(real("lock", lockable, "a", **old)) == "0 0 0\n"
    good(real("retain", lockable, "a", "g", str(until), **old))
    good(real("retain", lockable, "a", "g", str(until + 60), **old))
    assert good(real("lock", lockable, "a", **old)) == "1 %d 0\n" % (
        until + 60)
    message = refused(
        real("retain", lockable, "a", "g", str(until), **old), AUTH)
    assert LOCKED in message
    assert good(real("lock", lockable, "a")) == "0 0 0\n"


def test_a_legal_hold_keeps_until_it_is_lifted(real, s3, lockable):
    version = good(real("put", lockable, "a", stdin=b"x",
                        S3_TOOL_LOCK="- hold")).splitlines()[1]
    assert good(real("lock", lockable, "a")) == "0 0 1\n"
    one = {"S3_TOOL_VERSION": version}
    assert LOCKED in refused(real("remove", lockable, "a", **one), AUTH)
    good(real("hold", lockable, "a", "off", **one))
    assert good(real("lock", lockable, "a")) == "0 0 0\n"
    good(real("hold", lockable, "a", "on", **one))
    assert LOCKED in refused(real("remove", lockable, "a", **one), AUTH)
    good(real("hold", lockable, "a", "off", **one))
    good(real("remove", lockable, "a", **one))


def test_a_bucket_without_lock_takes_no_retention(real, s3, bucket):
    done = real("put", bucket, "a", stdin=b"x", S3_TOOL_LOCK="g %d" % soon())
    message = refused(done, UNSUPPORTED)
    assert LOCKED not in message and "ObjectLockConfiguration" in message


def test_locked_is_told_from_denied():
    with Fake(AWS_LOCKED, error(403, "AccessDenied", "Access Denied")) as fake:
        first = refused(tool(fake.endpoint, "remove", "bucket", "a"), AUTH)
        second = refused(tool(fake.endpoint, "remove", "bucket", "a"), AUTH)
    assert LOCKED in first and "sys 403" in second


def test_a_lock_that_is_none_is_refused():
    with Fake(answer(200, x_amz_object_lock_mode="FOREVER",
                     x_amz_object_lock_retain_until_date="2030-01-01")) as fake:
        message = refused(tool(fake.endpoint, "lock", "bucket", "a"), CORRUPT)
    assert "FOREVER" in message


# ---- many deletions ----

def test_versions_are_deleted_at_once_but_for_those_that_are_locked(
        real, s3, lockable):
    held = good(real("put", lockable, "held", stdin=b"x",
                     S3_TOOL_LOCK="g %d" % soon())).splitlines()[1]
    free = s3.put_object(Bucket=lockable, Key="free", Body=b"x")["VersionId"]
    odd = s3.put_object(Bucket=lockable, Key="o\x01", Body=b"x")["VersionId"]
    gone = "5e1a1c1b-71d2-4f4e-9f2f-3f5a3a3c9d10"
    words = ["held", held, "free", free, "o\x01", odd, "none", gone]
    kept = good(real("doom", lockable, *words, S3_TOOL_KEPT="1"))
    assert len(kept.splitlines()) == 1
    assert kept.startswith("held\t%s\t%d 423\t" % (held, AUTH))
    seen = s3.list_object_versions(Bucket=lockable)
    assert [item["Key"] for item in seen["Versions"]] == ["held"]
    assert "DeleteMarkers" not in seen
    assert LOCKED in refused(real("doom", lockable, "held", held), AUTH)


def refusal(key, code, message="for a test"):
    return ("<Error><Key>%s</Key><VersionId>1</VersionId><Code>%s</Code>"
            "<Message>%s</Message></Error>" % (key, code, message))


def test_each_refusal_of_many_is_told():
    body = ("<DeleteResult>" + refusal("a", "NoSuchVersion")
            + refusal("b", "AccessDenied") + refusal("c", "InternalError")
            + "</DeleteResult>")
    with Fake(answer(200, body)) as fake:
        done = good(tool(fake.endpoint, "doom", "bucket", "a", "1", "b", "1",
                         "c", "1", S3_TOOL_KEPT="1"))
        message = refused(
            tool(fake.endpoint, "doom", "bucket", "b", "1"), AUTH)
    assert [line.split("\t")[0] + line.split("\t")[2].split()[0]
            for line in done.splitlines()] == [
                "b%d" % AUTH, "c%d" % RETRY]
    assert "s3://bucket/b" in message and "AccessDenied" in message
    assert b"<VersionId>1</VersionId>" in fake.requests[0][3]


def test_many_deletions_that_fail_as_a_whole_under_status_200():
    with Fake(error(200, "SlowDown"), answer(200, "<DeleteResult/>")) as fake:
        good(tool(fake.endpoint, "doom", "bucket", "a", "1"))
    assert len(fake.requests) == 2


# ---- conditions ----

def test_minio_keeps_the_condition_and_nothing_stays_of_the_probe(
        real, s3, bucket, lockable):
    for name in (bucket, lockable):
        assert good(real("probe", name, "below/")) == "1\n"
        seen = s3.list_object_versions(Bucket=name)
        assert "Versions" not in seen and "DeleteMarkers" not in seen


def test_a_server_that_ignores_the_condition_is_found_out():
    with Fake(answer(200, ETag="\"x\"")) as fake:
        assert good(tool(fake.endpoint, "probe", "bucket")) == "0\n"
    puts = [r for r in fake.requests if r[0] == "PUT"]
    assert [r[2].get("if-none-match") for r in puts] == ["*", "*"]
    assert fake.requests[-1][0] == "DELETE"


def test_a_server_that_refuses_the_condition_keeps_none():
    with Fake(error(501, "NotImplemented")) as fake:
        assert good(tool(fake.endpoint, "probe", "bucket")) == "0\n"


def test_what_is_there_is_not_replaced(real, s3, bucket):
    done = real("put", bucket, "a", stdin=b"1", S3_TOOL_IF_ABSENT="1")
    assert good(done)
    message = refused(real("put", bucket, "a", stdin=b"2",
                           S3_TOOL_IF_ABSENT="1"), EXISTS)
    assert "sys 412" in message
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


@pytest.mark.parametrize("stored,code", [(b"mine", None), (b"other", EXISTS)])
def test_a_condition_that_our_own_first_try_broke(stored, code):
    etag = "\"%s\"" % hashlib.md5(stored).hexdigest()
    with Fake(hang_up, error(412, "PreconditionFailed"),
              answer(200, ETag=etag)) as fake:
        done = tool(fake.endpoint, "put", "bucket", "a", stdin=b"mine",
                    S3_TOOL_IF_ABSENT="1")
    assert [r[0] for r in fake.requests] == ["PUT", "PUT", "HEAD"]
    if code is None:
        assert good(done)
    else:
        refused(done, code)


# ---- uploads that nobody finished ----

def test_leftover_uploads_are_found_and_aborted(real, s3, bucket):
    keys = ["a/1", "a/1", "a/\u00fc +", "b"]
    begun = [(key, s3.create_multipart_upload(Bucket=bucket, Key=key)[
        "UploadId"]) for key in keys]

    def found(*words):
        return sorted(tuple(line.split("\t")) for line in
                      good(real("uploads", bucket, *words)).splitlines())

    assert found() == sorted(begun)
    assert found("a/") == sorted(begun[:3])
    for key, upload in begun[:3]:
        good(real("abort", bucket, key, upload))
    assert found() == [begun[3]]
    good(real("abort", bucket, *begun[0]))


def upload(key, name):
    return ("<Upload><Key>%s</Key><UploadId>%s</UploadId>"
            "<Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
            % (key, name))


def uploads_page(uploads, more=None):
    return answer(200, "<ListMultipartUploadsResult><IsTruncated>%s"
                  "</IsTruncated>%s%s</ListMultipartUploadsResult>" % (
                      "true" if more else "false",
                      "<NextKeyMarker>%s</NextKeyMarker><NextUploadIdMarker>%s"
                      "</NextUploadIdMarker>" % more if more else "", uploads))


def test_a_long_list_of_uploads_is_read_to_its_end():
    with Fake(uploads_page(upload("a", "1"), ("a", "1")),
              uploads_page(upload("a", "2") + upload("b", "3"))) as fake:
        done = good(tool(fake.endpoint, "uploads", "bucket"))
    assert done == "a\t1\na\t2\nb\t3\n"
    assert "key-marker=a" in fake.requests[1][1]
    assert "upload-id-marker=1" in fake.requests[1][1]


def test_a_list_of_uploads_that_turns_round_is_refused():
    with Fake(uploads_page(upload("a", "1"), ("a", "1"))) as fake:
        message = refused(tool(fake.endpoint, "uploads", "bucket"), CORRUPT)
    assert "repeats its marker" in message

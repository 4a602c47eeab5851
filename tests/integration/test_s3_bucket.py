# SPDX-License-Identifier: Apache-2.0
"""Buckets backed up, lost, restored and proven, with boto3 as the witness."""

import io
import os

import pytest

from harness import s3servers, witness
from harness.gate import Gate
from harness.minio import empty_bucket
from harness.stack import COMPLETE, DEGRADED, FAILED

AWKWARD = ["a b+c/\u00fc/\u00e9&x=1?#%41", "dir/", "e\u0301", "\u00e9", "A", "a",
           "a-b", "a.b", "*'() ~!$,;:@[]{}|\\^`\"<>", "\U0001f600",
           "x" * 255 + "/" + "y" * 255]


HARD = {"dir/": "keys that end in /",
        AWKWARD[-1]: "parts of a key of 255 bytes"}


def put_parts(s3, bucket, key, sizes, **options):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)
    parts = []
    for number, size in enumerate(sizes, 1):
        part = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload["UploadId"],
            PartNumber=number, Body=io.BytesIO(os.urandom(size)))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload["UploadId"],
        MultipartUpload={"Parts": parts})


def awkward(server):
    """Those of the keys that a server can hold."""
    return [key for key in AWKWARD
            if key not in HARD or s3servers.holds(server, HARD[key])]


def tagging(server, tags):
    return {"Tagging": tags} if s3servers.holds(server, "tags") else {}


def fill(s3, bucket, server):
    for key in awkward(server):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 7)
    s3.put_object(Bucket=bucket, Key="big", Body=io.BytesIO(os.urandom(20 << 20)))
    s3.put_object(
        Bucket=bucket, Key="rich", Body=b"<p>rich</p>",
        ContentType="text/html; charset=utf-8", CacheControl="max-age=60",
        ContentDisposition="attachment; filename=\"a b.html\"",
        ContentEncoding="identity", ContentLanguage="de-CH",
        Metadata={"owner": "somebody", "note": "two  spaces"},
        **tagging(server, "team=blue&kind=a%20b%2Bc"))
    put_parts(s3, bucket, "parts/even", [5 << 20, 5 << 20, 1234],
              ContentType="video/mp4", Metadata={"m": "1"},
              **tagging(server, "x=y"))
    # Without the sizes, parts like these are not found by trying.
    if s3servers.holds(server, "sizes of parts"):
        put_parts(s3, bucket, "parts/odd", [6 << 20, 5 << 20, 7 << 20, 99])
        put_parts(s3, bucket, "parts/sly", [(5 << 20) + 1, 5 << 20, 77])
    put_parts(s3, bucket, "parts/one", [3 << 20])
    # At the end: boto3 waits 30 s with a long body that follows an empty one.
    s3.put_object(Bucket=bucket, Key="empty")  # no Body: boto3 stalls on it


@pytest.fixture
def filled(stack, s3, minio, bucket):
    fill(s3, bucket, minio)
    stack.add_bucket("up", minio, bucket=bucket)
    return bucket


def seen(s3, bucket):
    return witness.bucket(s3, bucket)


@pytest.mark.every_s3_server
def test_a_bucket_comes_back_as_it_was(stack, s3, filled):
    before = seen(s3, filled)
    stack.create()
    empty_bucket(s3, filled)
    stack.restore()
    assert not witness.differences(before, seen(s3, filled))


def test_a_bucket_comes_back_under_another_name(stack, s3, filled):
    before = seen(s3, filled)
    stack.create()
    stack.restore("latest", "bucket/up", "--to", filled + "-again")
    assert not witness.differences(before, seen(s3, filled + "-again"))


def test_a_prefix_is_restored_alone(stack, s3, filled):
    stack.create()
    empty_bucket(s3, filled)
    stack.restore("latest", "bucket/up/parts/")
    keys = [item["Key"] for item in
            s3.list_objects_v2(Bucket=filled)["Contents"]]
    assert keys == ["parts/even", "parts/odd", "parts/one", "parts/sly"]


@pytest.mark.every_s3_server
def test_a_second_backup_fetches_only_what_changed(
        stack, s3, minio, filled):
    stack.create()
    s3.put_object(Bucket=filled, Key="a", Body=b"changed")
    s3.put_object(Bucket=filled, Key="new", Body=b"new")
    s3.delete_object(Bucket=filled, Key="A")
    result = stack.create()
    assert result["stored_bytes"] < 100000
    paths = stack.entries("latest", "bucket/up/")
    assert "bucket/up/new" in paths and "bucket/up/A" not in paths
    before = seen(s3, filled)
    empty_bucket(s3, filled)
    stack.restore()
    assert not witness.differences(before, seen(s3, filled))


def test_what_exists_is_not_overwritten_unless_asked(stack, s3, filled):
    stack.create()
    s3.put_object(Bucket=filled, Key="a", Body=b"newer")
    before = seen(s3, filled)
    done = stack.admin("backup-restore", "latest")
    assert done.status == FAILED
    assert "exists already" in done.err and "--overwrite" in done.err
    assert done.err.count("bucket/up: ") == 1
    assert not witness.differences(before, seen(s3, filled))
    stack.restore("latest", "--overwrite")
    assert s3.get_object(Bucket=filled, Key="a")["Body"].read() == b"a" * 7


@pytest.mark.every_s3_server
@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_a_server_keeps_what_it_holds_itself(stack, s3, filled):
    """The repository is a bucket beside the one that is backed up."""
    stack.create()
    s3.put_object(Bucket=filled, Key="new", Body=b"new")
    assert stack.create()["stored_bytes"] < 100000
    before = seen(s3, filled)
    assert stack.run("backup-prune", "--keep-last", "1", "--grace",
                     "0").status == COMPLETE
    check = stack.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)
    empty_bucket(s3, filled)
    stack.restore()
    assert not witness.differences(before, seen(s3, filled))


@pytest.mark.every_s3_server
def test_other_objects_in_the_bucket_are_left_alone(stack, s3, filled):
    stack.create()
    empty_bucket(s3, filled)
    s3.put_object(Bucket=filled, Key="stranger", Body=b"stays")
    stack.restore()
    assert s3.get_object(
        Bucket=filled, Key="stranger")["Body"].read() == b"stays"


def test_a_bucket_that_was_deleted_is_made_again(stack, s3, filled):
    before = seen(s3, filled)
    stack.create()
    empty_bucket(s3, filled)
    s3.delete_bucket(Bucket=filled)
    stack.restore()
    assert not witness.differences(before, seen(s3, filled))


@pytest.mark.every_s3_server
def test_a_missing_bucket_fails_and_is_named(stack, minio):
    stack.add_bucket("up", minio, bucket="no-such-bucket")
    done = stack.run("backup-create")
    assert done.status == FAILED
    assert "no-such-bucket" in done.err
    assert "check the bucket's name" in done.err
    assert done.err.count("bucket/up: ") == 1


@pytest.mark.every_s3_server
def test_wrong_credentials_fail_and_are_not_told(stack, s3, minio, filled):
    stack.add_bucket("up", minio, bucket=filled,
                     secret_key_file=stack.secret("wrong", "wrong-password"))
    done = stack.run("backup-create")
    assert done.status == FAILED
    assert "credentials" in done.err or "secret" in done.err
    assert "wrong-password" not in done.err
    assert stack.snapshots() == []


@pytest.mark.every_s3_server
def test_a_restore_is_proven_in_a_scratch_bucket(stack, s3, minio, filled):
    stack.add_bucket("up", minio, bucket=filled, scratch_bucket=True)
    stack.create()
    buckets = {item["Name"] for item in s3.list_buckets()["Buckets"]}
    result = stack.verify("latest").result
    assert result["objects"] == len(seen(s3, filled))
    assert buckets == {item["Name"]
                       for item in s3.list_buckets()["Buckets"]}


def test_a_live_bucket_is_compared(stack, s3, filled):
    stack.create()
    stack.verify("latest", "--live")
    s3.put_object(Bucket=filled, Key="a", Body=b"a" * 6 + b"b")
    done = stack.admin("backup-verify", "latest", "--live")
    assert done.status == FAILED
    assert "bucket/up/a" in done.out + done.err


def test_what_a_server_hides_is_left_out_by_name(stack, s3, minio, bucket):
    """MinIO takes "a/b" beside "a", and lists only one of them."""
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"below")
    stack.add_bucket("up", minio, bucket=bucket)
    stack.create()
    empty_bucket(s3, bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"above")
    done = stack.admin("backup-restore", "latest")
    assert done.status == DEGRADED, str(done)
    assert "bucket/up/a/b" in done.out + done.err
    assert "does not list it" in done.out + done.err
    s3.delete_object(Bucket=bucket, Key="a/b")


@pytest.mark.every_s3_server
def test_what_changes_during_a_backup_is_named(stack, s3, minio, bucket):
    listings = []

    def meanwhile(method, path):
        if method == "GET" and "list-type=2" in path:
            listings.append(path)
            if len(listings) == 2:
                s3.put_object(Bucket=bucket, Key="b", Body=b"other")
                s3.delete_object(Bucket=bucket, Key="c")
                for number in range(40):
                    s3.put_object(Bucket=bucket, Key="d%02d" % number,
                                  Body=b"")

    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    with Gate(minio, meanwhile) as gate:
        stack.add_bucket("up", gate, bucket=bucket)
        done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    told = [(event["path"], event["text"].split()[0])
            for event in done.of_type("message")
            if "while the bucket was backed up" in event["text"]]
    assert told[:3] == [("bucket/up/b", "changed"),
                        ("bucket/up/c", "vanished"),
                        ("bucket/up/d00", "appeared")]
    assert len(told) == 30
    assert any("40 objects appeared, 1 changed, 1 vanished" in event["text"]
               for event in done.of_type("message"))


def test_a_bucket_that_rests_is_not_said_to_change(stack, filled):
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert not [event for event in done.of_type("message")
                if "while" in event["text"]]


def fetched(gate, bucket):
    """The keys of the objects that were asked for since the last time."""
    keys = {path.split("?")[0][len(bucket) + 2:]
            for method, path in gate.requests
            if method == "GET" and path.startswith("/%s/" % bucket)}
    gate.requests.clear()
    return keys - {""}


def tag(s3, bucket, key, **tags):
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [
        {"Key": name, "Value": value} for name, value in tags.items()]})


def test_new_tags_alone_are_seen_by_the_next_backup(stack, s3, minio, bucket):
    for key in ("gets", "keeps", "loses", "none", "turns"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    tag(s3, bucket, "keeps", **{"a b": "c+d /=", "x": ""})
    tag(s3, bucket, "loses", a="1")
    tag(s3, bucket, "turns", a="1", b="2")
    with Gate(minio, lambda method, path: None) as gate:
        stack.add_bucket("up", gate, bucket=bucket)
        stack.create()
        assert len(fetched(gate, bucket)) == 5
        tag(s3, bucket, "gets", new="1")
        tag(s3, bucket, "turns", a="1", b="3")
        s3.delete_object_tagging(Bucket=bucket, Key="loses")
        stack.create()
        assert fetched(gate, bucket) == {"gets", "loses", "turns"}
        stack.create()
        assert fetched(gate, bucket) == set()
        before = seen(s3, bucket)
        empty_bucket(s3, bucket)
        stack.restore()
    assert not witness.differences(before, seen(s3, bucket))


def test_metadata_that_breaks_a_listing_does_not_break_a_backup(
        stack, s3, minio, bucket):
    """MinIO makes an element's name of what is no element's name."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"a", Metadata={"x&y": "1"})
    with Gate(minio, lambda method, path: None) as gate:
        stack.add_bucket("up", gate, bucket=bucket)
        stack.create()
        s3.put_object(Bucket=bucket, Key="b", Body=b"b")
        fetched(gate, bucket)
        stack.create()
        assert fetched(gate, bucket) == {"b"}
    assert sorted(stack.entries("latest", "bucket/up/")) == [
        "bucket/up/a", "bucket/up/b"]

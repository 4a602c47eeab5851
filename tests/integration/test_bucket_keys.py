# SPDX-License-Identifier: Apache-2.0
"""Keys are bytes: what a server can hold is backed up and comes back, and what
another cannot hold is named."""

import pytest
from harness.shelf import Shelf
from harness.stack import DEGRADED, FAILED

KEYS = [b"a", b"a/b", b"a//b", b"//", b"/", b"//x", b".", b"..", b"./x",
        b"../x", b"x/../y", b"x/./y", b"dir/", b"dir//", b"e\xcc\x81",
        b"\xc3\xa9", b"\x01", b"tab\there", b"line\nfeed", b"cr\rhere",
        b"\x7f", b"\xff\xfe", b"half\xc3", b"A", b"%41", b"a%2Fb", b"a b",
        b" ", b"a ", b"+", b"&<>\"'", b"a?b#c", b"\\", b"a\\b", b"*",
        b"\xf0\x9f\x98\x80", b"\xef\xbf\xbe", b"x" * 1024,
        b"\xc3\xa9" * 512, b"aws-chunked", b"CON", b"a:b", b"$(x)", b"~"]


def body(key):
    return b"of " + key


def fill(shelf, bucket="bucket"):
    for key in KEYS:
        shelf.put(bucket, key, body(key), {"content-type": "text/x"})


@pytest.fixture
def shelf():
    with Shelf() as server:
        fill(server)
        yield server


def test_every_key_comes_back(stack, shelf):
    stack.add_bucket("up", shelf, bucket_name="bucket")
    assert stack.create()["objects"] == len(KEYS)
    stack.restore("latest", "bucket/up", "--to", "other")
    back = shelf.buckets["other"]
    assert {key: item.body for key, item in back.items()} == {
        key: body(key) for key in KEYS}
    assert {item.headers["content-type"] for item in back.values()} == {
        "text/x"}
    shelf.asked()
    result = stack.create()
    counts = shelf.asked()
    assert not counts["GET", "object"] and not counts["HEAD", "object"]
    assert counts["GET", "list-type"] == 1
    assert result["objects"] == len(KEYS)
    stack.verify("latest", "--live")


def test_one_key_and_a_prefix_are_restored_alone(stack, shelf):
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    stack.restore("latest", "bucket/up/x/../y", "--to", "one")
    assert set(shelf.buckets["one"]) == {b"x/../y"}
    stack.restore("latest", "bucket/up/dir/", "--to", "some")
    assert set(shelf.buckets["some"]) == {b"dir/", b"dir//"}


def test_what_another_server_cannot_hold_is_named(
        stack, shelf, s3, minio, bucket):
    """MinIO keeps objects as files of a kind, and tells what it cannot."""
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    stack.add_bucket("up", minio, bucket_name=bucket)
    done = stack.admin("backup-restore", "--json", "latest")
    assert done.status == DEGRADED, str(done)
    named = {event["path"][len("bucket/up/"):]
             for event in done.of_type("omission")}
    held = {item["Key"] for item in
            s3.list_objects_v2(Bucket=bucket)["Contents"]}
    s3.delete_object(Bucket=bucket, Key="a/b")
    assert {"..", "x/../y", "a//b", "//", "%FF%FE", "a/b"} <= named
    # It writes "//x" as "x" where there is no such object.
    assert len(named) + len(held - {"x"}) == len(KEYS)
    for key in held - {"x"}:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body(
            key.encode())


def test_an_object_that_is_refused_does_not_keep_the_others(stack, shelf):
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    for status, code in ((403, "AccessDenied"), (400, "InvalidArgument")):
        to = "without-%d" % status
        shelf.refuse = lambda method, key: (
            (status, code) if method == "PUT" and key == b"dir/" else None)
        done = stack.admin("backup-restore", "--json", "--to", to,
                           "latest", "bucket/up")
        assert done.status == DEGRADED, str(done)
        omitted = done.of_type("omission")
        assert [event["path"] for event in omitted] == ["bucket/up/dir/"]
        assert code in omitted[0]["text"]
        assert set(shelf.buckets[to]) == set(KEYS) - {b"dir/"}


def test_a_bucket_that_takes_nothing_is_a_failure_soon(stack, shelf):
    for number in range(300):
        shelf.put("bucket", b"number %d" % number, b"")
    stack.add_bucket("up", shelf, bucket_name="bucket")
    stack.create()
    shelf.refuse = lambda method, key: (
        (403, "AccessDenied") if method == "PUT" else None)
    shelf.asked()
    done = stack.admin("backup-restore", "--json", "--to", "closed",
                       "latest", "bucket/up")
    assert done.status == FAILED, str(done)
    assert "took none of the first 50 objects" in str(done)
    assert shelf.asked()["PUT", "object"] < 250

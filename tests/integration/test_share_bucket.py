# SPDX-License-Identifier: Apache-2.0
"""Backups whose buckets several processes read, range by range of the keys."""

import os
import signal
import time

import pytest
from harness import shelf
from harness.proxy import Stall
from harness.shelf import Shelf
from harness.stack import COMPLETE, FAILED, Stack, finish, patience
from test_s3_bucket import fill
from test_share import Leader, chunks, comparable, elsewhere, end, runs
from test_share import share, share_all

SMALL = 160  # objects: some ranges of the least size


def name(number):
    return "small/%04d" % number


def put(s3, bucket, number, body):
    s3.put_object(Bucket=bucket, Key=name(number), Body=body * 500,
                  Metadata={"number": str(number)}, Tagging="n=%d" % number)


@pytest.fixture
def host(stack, s3, minio, bucket):
    fill(s3, bucket, minio)
    for number in range(SMALL):
        put(s3, bucket, number, b"%d first " % number)
    stack.bucket = bucket
    stack.add_bucket("up", minio, bucket=bucket)
    return stack


def alone(host, minio):
    """What a single process makes of the bucket, into a repository that knows
    nothing of it."""
    folder = host.path("alone")
    os.mkdir(folder)
    other = Stack(host.commands.tools, folder)
    other.write()
    other.init()
    other.add_bucket("up", minio, bucket=host.bucket)
    return told(other, other.create()["snapshot"])


def told(host, snapshot):
    entries = host.entries(snapshot)
    for event in entries.values():
        event.pop("stored_size", None)
    return comparable(entries)


def test_what_several_processes_fetch_is_what_one_fetches(host, minio):
    one = alone(host, minio)
    leader = Leader(host, "night")
    results = share_all(host, "night", 3)
    assert all(result["tasks"] > 0 for result in results), results
    assert sum(result["objects"] for result in results) == len(one)
    assert sum(result["left_pieces"] for result in results) == 0
    ended = end(host, "night")
    assert ended.status == COMPLETE, str(ended)
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    # It has fetched nothing that they had fetched.
    assert led.result["bytes"] > 20 << 20
    assert chunks(led.result) - sum(map(chunks, results)) < 30
    assert len(one) > SMALL
    assert told(host, ended.result["snapshot"]) == one
    assert runs(host) == []
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)


def test_what_changed_meanwhile_is_as_it_is_without_shares(host, s3, minio):
    leader = Leader(host, "changed", "--finish")
    assert share(host, "changed", "0/2").status == COMPLETE
    for number in range(0, SMALL, 3):
        put(s3, host.bucket, number, b"%d second " % number)
        s3.delete_object(Bucket=host.bucket, Key=name(number + 1))
        s3.put_object(Bucket=host.bucket, Key=name(number) + "-new",
                      Body=b"new")
    # Tags alone: no date and no ETag tells of them.
    s3.put_object_tagging(
        Bucket=host.bucket, Key=name(2),
        Tagging={"TagSet": [{"Key": "other", "Value": "tag"}]})
    one = alone(host, minio)
    assert share(host, "changed", "1/2").status == COMPLETE
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert told(host, led.result["snapshot"]) == one


def test_a_bucket_with_versions_is_as_it_was_at_the_moment(host, s3, minio):
    s3.put_bucket_versioning(
        Bucket=host.bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(0, SMALL, 2):
        put(s3, host.bucket, number, b"%d versioned " % number)
    one = alone(host, minio)
    leader = Leader(host, "exact", "--finish")
    # What comes within some milliseconds of the moment may be of it.
    time.sleep(0.3)
    for number in range(0, SMALL, 5):
        put(s3, host.bucket, number, b"%d later " % number)
        s3.delete_object(Bucket=host.bucket, Key=name(number + 1))
        put(s3, host.bucket, SMALL + number, b"later")
    results = share_all(host, "exact", 2)
    assert sum(result["objects"] for result in results) > SMALL / 2
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert told(host, led.result["snapshot"]) == one


def test_a_share_that_was_killed_at_a_bucket_is_run_again(host, minio):
    one = alone(host, minio)
    leader = Leader(host, "killed", "--finish")
    other = elsewhere(host, "other")
    with Stall(minio.port, 1 << 20) as stall:
        other.add_bucket("up", minio, bucket=host.bucket,
                         endpoint="http://127.0.0.1:%d" % stall.port)
        dying = other.start("backup-create", "--run", "killed", "--share",
                            "0/2", "--json")
        assert stall.has_stalled.wait(patience(60))
        os.killpg(dying.pid, signal.SIGKILL)
        finish(dying)
    assert share(host, "killed", "1/2").status == COMPLETE
    late = end(host, "killed", "--wait", "1s")
    assert late.status == FAILED
    assert "shares are missing: 0/2 " in late.message, str(late)
    again = share(host, "killed", "0/2")
    assert again.status == COMPLETE, str(again)
    assert again.result["known_tasks"] == 0
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert told(host, led.result["snapshot"]) == one


def test_what_the_last_snapshot_has_nobody_fetches(host, s3, minio):
    host.create()
    changed = range(0, SMALL, 4)
    for number in changed:
        put(s3, host.bucket, number, b"%d changed " % number)
    one = alone(host, minio)
    leader = Leader(host, "again", "--finish")
    results = share_all(host, "again", 2)
    assert sum(result["objects"] for result in results) == len(changed)
    led = leader.end()
    assert told(host, led.result["snapshot"]) == one
    # With nothing to fetch there is nothing to share.
    led = Leader(host, "nothing", "--finish").end()
    assert led.status == COMPLETE, str(led)
    assert led.result["new_chunks"] == 0
    assert told(host, led.result["snapshot"]) == one


def test_a_share_without_the_bucket_leaves_it_to_the_leader(host, minio):
    one = alone(host, minio)
    leader = Leader(host, "left", "--finish")
    other = elsewhere(host, "other")
    other.add_bucket("up", minio, bucket="another")
    wrong = share(other, "left", "0/1")
    assert wrong.status == FAILED, str(wrong)
    assert "need the same sources" in wrong.message, str(wrong)
    other.sources.clear()
    other.add("files", "stack", paths=[host.path("other")])
    left = share(other, "left", "0/1")
    assert left.status == COMPLETE, str(left)
    assert left.result["left_pieces"] == left.result["tasks"] > 0
    assert left.result["objects"] == 0
    assert any("the leader reads" in event["text"]
               for event in left.of_type("message")), str(left)
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert told(host, led.result["snapshot"]) == one


# ---- servers that are not like others ----

class Odd(Shelf):
    """Refuses listings with one of the parameters, if any; and has nothing
    behind a key that ends in a slash, as MinIO has not."""

    refused = None

    def _list(self, bucket, query):
        if self.refused in query:
            return self._error(400, "InvalidArgument")
        if query.get("start-after", "").endswith("/"):
            return 200, {}, (b"<ListBucketResult><KeyCount>0</KeyCount>"
                             b"<IsTruncated>false</IsTruncated>"
                             b"</ListBucketResult>")
        return super()._list(bucket, query)


@pytest.fixture
def odd(stack):
    with Odd() as server:
        for number in range(300):
            server.put("bucket", b"%04d/" % number + b"x" * (number % 9 == 0),
                       b"%d" % number)
        stack.bucket = "bucket"
        stack.add_bucket("up", server, bucket="bucket")
        yield server


def test_ranges_begin_where_every_server_begins(stack, odd):
    leader = Leader(stack, "slashes", "--finish")
    results = share_all(stack, "slashes", 2)
    assert sum(result["tasks"] for result in results) > 2
    assert sum(result["objects"] for result in results) == 300
    assert leader.end().status == COMPLETE


def test_a_server_without_tags_is_shared_too(stack, odd):
    odd.knows_tags = odd.has_tagging = False
    leader = Leader(stack, "tagless", "--finish")
    results = share_all(stack, "tagless", 2)
    assert sum(result["left_pieces"] for result in results) == 0
    assert sum(result["objects"] for result in results) == 300
    odd.asked()
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert odd.asked()["GET", "object"] == 0


@pytest.mark.parametrize("refused", ["start-after", "continuation-token"])
def test_a_range_whose_keys_are_refused_is_left_to_the_leader(
        stack, odd, refused, monkeypatch):
    one = alone(stack, odd)
    leader = Leader(stack, "refused")
    # Of what was fetched in front of the refusal nothing is handed in.
    monkeypatch.setattr(shelf, "PAGE", 20)
    odd.refused = refused
    results = [share(stack, "refused", "%d/2" % i) for i in range(2)]
    odd.refused = None
    for result in results:
        assert result.status == COMPLETE, str(result)
    left = sum(result.result["left_pieces"] for result in results)
    assert left > 2
    told_of = [event["text"] for result in results
               for event in result.of_type("message")
               if "the leader reads" in event["text"]]
    assert 0 < len(told_of) <= 2 and "for a test" in told_of[0], told_of
    ended = end(stack, "refused")
    assert ended.status == COMPLETE, str(ended)
    assert leader.end().status == COMPLETE
    assert told(stack, ended.result["snapshot"]) == one

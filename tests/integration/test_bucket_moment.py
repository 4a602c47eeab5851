# SPDX-License-Identifier: Apache-2.0
"""A bucket that keeps versions is backed up as it was at the moment of the
database, whatever is put, overwritten and deleted meanwhile."""

import datetime
import hashlib
import random
import re
import threading
import time

import pytest
from harness import witness
from harness.gate import Gate
from harness.minio import remove_bucket
from harness.stack import FAILED, patience

WORKERS = 3
NAMES = 8  # that each worker puts, overwrites and deletes


def versioned(s3, bucket):
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def content(s3, bucket):
    """The bytes of every object, by key."""
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
            for key in (item["Key"] for page in s3.get_paginator(
                "list_objects_v2").paginate(Bucket=bucket)
                for item in page.get("Contents", []))}


class Work(threading.Thread):
    """Somebody who uses the bucket. What was done, and between which times, is
    in the log: (key, bytes or None, began, ended)."""

    def __init__(self, number, minio, bucket, connection):
        super().__init__()
        self.number, self.bucket = number, bucket
        self.s3 = minio.client()
        self.connection = connection
        self.random = random.Random(number)
        self.log, self.failure = [], None
        self.stopped = threading.Event()
        self.named = []

    def run(self):
        try:
            while not self.stopped.is_set():
                self.change_object()
                self.change_row()
        except Exception as failure:  # told by the test
            self.failure = failure
        finally:
            self.connection.close()

    def _do(self, key, body):
        began = time.time()
        if body is None:
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        else:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        self.log.append((key, body, began, time.time()))

    def change_object(self):
        key = "w%d/%d" % (self.number, self.random.randrange(NAMES))
        gone = self.random.random() < 0.3
        self._do(key, None if gone else "%s %d" % (key, len(self.log)))

    def change_row(self):
        """As applications do it: first the object, then the row that names
        it; first the row goes, then the object."""
        if len(self.named) < 5 or self.random.random() < 0.5:
            key = "rows/w%d/%d" % (self.number, len(self.log))
            self._do(key, "of " + key)
            self.connection.execute(
                "INSERT INTO files VALUES (%s, %s)",
                (key, hashlib.md5(("of " + key).encode()).hexdigest()))
            self.named.append(key)
        else:
            key = self.named.pop(self.random.randrange(len(self.named)))
            self.connection.execute("DELETE FROM files WHERE key = %s",
                                    (key,))
            self._do(key, None)

    def has_done(self, count, age):
        """More than that, and most of it is that old."""
        log = self.log
        return (len(log) > count
                and log[len(log) * 2 // 3][3] < time.time() - age)


def lateness(server):
    """By how much the Date of its answers may be behind."""
    return 0 if server.name == "minio" else 1.5


def wait_for(condition):
    end = time.monotonic() + patience(120)
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def may_be(log, opened, closed):
    """What each key may hold, by what was acknowledged before the window and
    what was begun within it."""
    states = {}
    for key, body, began, ended in log:
        if began > closed:
            continue
        if ended < opened:
            states[key] = {body}
        else:
            states.setdefault(key, {None}).add(body)
    return states


def window_of(done):
    text = next(event["text"] for event in done.of_type("message")
                if "by the server's clock" in event["text"])
    return [datetime.datetime.strptime(
        word, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
        for word in re.findall(r"\d{4}-[^ ]+Z", text)]


@pytest.mark.every_s3_server("versions")
def test_the_bucket_is_of_the_moment_of_the_database(
        stack, postgres, database, s3, minio, bucket):
    versioned(s3, bucket)
    postgres.execute(database, "CREATE TABLE files (key text, md5 text)")
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("up", minio, bucket_name=bucket)
    workers = [Work(number, minio, bucket, postgres.connect(database))
               for number in range(WORKERS)]
    for worker in workers:
        worker.connection.autocommit = True
        worker.start()
    try:
        wait_for(lambda: all(worker.has_done(30, lateness(minio))
                             for worker in workers))
        done = stack.run("backup-create", "--json")
        after = {worker: len(worker.log) for worker in workers}
        wait_for(lambda: all(len(worker.log) > after[worker] + 10
                             for worker in workers))
    finally:
        for worker in workers:
            worker.stopped.set()
        for worker in workers:
            worker.join()
    assert [worker.failure for worker in workers] == [None] * WORKERS
    assert done.status == 0, str(done)
    opened, closed = window_of(done)
    assert closed - opened < patience(2) + lateness(minio)
    stack.restore("latest", "bucket/up", "--to", bucket + "-then")
    stack.restore("latest", "postgres/app/" + database, "--to",
                  database + "_then")
    then = content(s3, bucket + "-then")
    states = {}
    for worker in workers:
        # A date has milliseconds.
        states.update(may_be(worker.log, opened, closed + 0.001))
    wrong = {key: (then.get(key), allowed) for key, allowed in states.items()
             if then.get(key) not in allowed}
    assert not wrong
    assert not then.keys() - states.keys()
    # Few are in doubt, or the test proves little.
    sure = [key for key, allowed in states.items() if len(allowed) == 1]
    assert len(sure) > len(states) / 2
    with postgres.connect(database + "_then") as connection:
        rows = connection.execute("SELECT key, md5 FROM files").fetchall()
    assert rows
    assert [key for key, md5 in rows if hashlib.md5(
        then.get(key, "").encode()).hexdigest() != md5] == []


def test_a_date_that_is_behind_hides_nothing(stack, s3, minio, bucket):
    """Servers may make their Date by a timer, once a second; here it turns
    nine tenths of a second late."""
    versioned(s3, bucket)
    put = []

    def meddle(method, path):
        # So the backup asks for the time, at last when a second turned.
        if method == "HEAD" and path.split("?")[0].strip("/") == bucket:
            put.append("k%d" % len(put))
            s3.put_object(Bucket=bucket, Key=put[-1], Body=b"x")

    with Gate(minio, meddle, hidden={"server"}, late=0.9) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket)
        done = stack.create()
    assert put
    assert done["objects"] == len(put)


def test_what_is_not_current_any_more_is_fetched_all_the_same(
        stack, s3, minio, bucket):
    versioned(s3, bucket)
    for key in ("a", "b", "c", "gone"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"old " + key.encode(),
                      Metadata={"m": "old"}, Tagging="tag=old")
    s3.delete_object(Bucket=bucket, Key="gone")
    before = witness.bucket(s3, bucket)
    meddled = []

    def meddle(method, path):
        if method == "GET" and "versions" in path:
            meddled.append(path)
        # The second listing is that of the backup itself; by then the moment
        # may be less than the second ago that a date is in doubt.
        if len(meddled) == 2 and "versions" in path:
            time.sleep(1.5)
            s3.put_object(Bucket=bucket, Key="a", Body=b"new",
                          Tagging="tag=new")
            s3.delete_object(Bucket=bucket, Key="b")
            s3.put_object(Bucket=bucket, Key="d", Body=b"new")
            s3.put_object(Bucket=bucket, Key="gone", Body=b"new")

    with Gate(minio, meddle) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket)
        stack.create()
        assert len(meddled) == 2
        stack.restore("latest", "bucket/up", "--to", bucket + "-then")
        assert not witness.differences(
            before, witness.bucket(s3, bucket + "-then"))
        # The next one is of what was done meanwhile.
        gate.requests.clear()
        stack.create()
    fetched = {path.split("?")[0] for method, path in gate.requests
               if method == "GET" and path.startswith("/%s/" % bucket)}
    assert fetched - {"/%s/" % bucket} == {
        "/%s/%s" % (bucket, key) for key in ("a", "d", "gone")}
    stack.add_bucket("up", minio, bucket_name=bucket)
    stack.restore("latest", "bucket/up", "--to", bucket + "-now")
    assert not witness.differences(
        witness.bucket(s3, bucket), witness.bucket(s3, bucket + "-now"))


def test_an_unchanged_version_is_not_fetched_again(stack, s3, minio, bucket):
    s3.put_object(Bucket=bucket, Key="before", Body=b"without versions")
    versioned(s3, bucket)
    for number in range(5):
        s3.put_object(Bucket=bucket, Key="key %d" % number, Body=b"x")
    with Gate(minio, lambda method, path: None) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket)
        assert stack.create()["objects"] == 6
        gate.requests.clear()
        # The same bytes again are another version, with another date.
        s3.put_object(Bucket=bucket, Key="key 3", Body=b"x")
        assert stack.create()["objects"] == 6
    fetched = [path.split("?")[0] for method, path in gate.requests
               if method == "GET" and ("/key" in path or "/before" in path)]
    assert set(fetched) == {"/%s/key%%203" % bucket}


@pytest.mark.parametrize("status", ["Suspended", None])
def test_without_versions_a_snapshot_is_not_said_to_be_of_a_moment(
        stack, s3, minio, bucket, status):
    versioned(s3, bucket)
    if status is not None:
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": status})
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    stack.add_bucket("up", minio, bucket_name=bucket)
    done = stack.run("backup-create", "--json")
    assert done.status == 0, str(done)
    assert ("by the server's clock" in str(done)) == (status is None)


@pytest.fixture
def meddled(stack, s3, minio, bucket):
    """A backup during which something is done when the first object is
    fetched."""
    def run(do):
        versioned(s3, bucket)
        for key in ("a", "b"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        lock, done = threading.Lock(), []

        def meddle(method, path):
            if method == "GET" and path.split("?")[0] in (
                    "/%s/a" % bucket, "/%s/b" % bucket):
                with lock:
                    if not done:
                        done.append(do())

        with Gate(minio, meddle) as gate:
            stack.add_bucket("up", gate, bucket_name=bucket)
            result = stack.run("backup-create", "--json")
        assert done
        return result
    return run


def test_a_bucket_that_goes_away_is_no_backup_of_nothing(
        stack, meddled, s3, bucket):
    done = meddled(lambda: remove_bucket(s3, bucket))
    assert done.status == FAILED, str(done)
    assert "404" in str(done) and "s3://%s" % bucket in str(done), str(done)
    assert stack.snapshots() == []


def test_versions_that_are_suspended_meanwhile_are_told(meddled, s3, bucket):
    done = meddled(lambda: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}))
    assert done.status == 0, str(done)
    assert "does not any more" in str(done)

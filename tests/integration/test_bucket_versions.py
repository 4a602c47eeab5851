# SPDX-License-Identifier: Apache-2.0
"""Every version of every object, with `versions: all`: backed up, kept, listed,
restored as they followed one another, and proven."""

import base64
import datetime
import json
import os
import threading

import pytest
from harness.gate import Gate
from harness.minio import Minio
from harness.stack import COMPLETE, DEGRADED, FAILED, patience
from test_s3_refused import omitted

MANY = int(os.environ.get("BACKUP_TEST_VERSIONS", "70"))


def switch(s3, bucket, status="Enabled"):
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": status})


def history(s3, bucket, with_bytes=True):
    """Of each key what was put and deleted, the oldest first. boto3 sorts
    versions and markers apart, so dates put them together; MinIO's have
    milliseconds, and `put` waits for the next."""
    found = {}
    for page in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket):
        for item in page.get("Versions", []):
            found.setdefault(item["Key"], []).append(
                (item["LastModified"], item["VersionId"], item["ETag"]))
        for item in page.get("DeleteMarkers", []):
            found.setdefault(item["Key"], []).append(
                (item["LastModified"], item["VersionId"], None))

    def told(key, version, etag):
        if etag is None:
            return None
        if not with_bytes:
            return etag
        answer = s3.get_object(Bucket=bucket, Key=key, VersionId=version)
        return (answer["Body"].read(), answer["Metadata"],
                answer["ContentType"], answer.get("TagCount", 0))

    # Those of the same millisecond stand as they were listed, newest first.
    return {key: [told(key, version, etag) for _, version, etag in sorted(
        reversed(items), key=lambda item: item[0])]
        for key, items in found.items()}


class Past:
    """A bucket in which things happened."""

    def __init__(self, s3, bucket):
        self.s3, self.bucket = s3, bucket

    def put(self, key, body, **more):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def delete(self, key, **more):
        self.s3.delete_object(Bucket=self.bucket, Key=key, **more)

    def happen(self):
        self.put("before", b"without versions")
        self.put("stays", b"without versions")
        switch(self.s3, self.bucket)
        self.put("before", b"with versions", ContentType="text/x")
        self.put("a", b"first", Metadata={"m": "1"}, Tagging="t=1")
        self.put("a", b"second", Metadata={"m": "2"}, Tagging="t=2&u=3")
        self.put("a", b"third")
        self.put("a b", b"of a key with a space")
        self.put("a b", b"again")
        self.put("a!", b"one alone")
        self.put("again", b"put")
        self.delete("again")
        self.put("again", b"and put again")
        self.put("gone", b"1")
        self.put("gone", b"2")
        self.delete("gone")
        self.put("below/a\u00e4", b"x" * 300000)
        self.put("below/a\u00e4", b"y" * 300000)
        self.put("twice", b"the same")
        self.put("twice", b"the same")


@pytest.fixture
def past(stack, s3, minio, bucket):
    happened = Past(s3, bucket)
    happened.happen()
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    return happened


def entries(stack, path="bucket/up", snapshot="latest"):
    return [event for event in stack.run(
        "backup-list", "--json", snapshot, path).of_type("entry")]


def test_every_version_comes_back_as_it_followed_the_others(
        stack, s3, bucket, past):
    before = history(s3, bucket)
    result = stack.create()
    assert result["state"] == "complete"
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new") == before
    # Once more, and nothing is there twice.
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new") == before


def test_the_list_has_the_older_ones_behind_the_current_ones(stack, s3, past):
    stack.create()
    listed = entries(stack)
    current = [item["path"] for item in listed
               if item["kind"] == "bucket.object"]
    assert current == sorted("bucket/up/" + key for key in (
        "a", "a b", "a!", "again", "before", "below/a\u00e4", "stays",
        "twice"))
    older = [(item["path"].split(" #")[0], item["kind"])
             for item in listed[len(current):]]
    assert older == [("bucket/up@versions/" + key, "bucket." + kind)
                     for key, kind in (
        ("a", "version"), ("a", "version"), ("a ~b", "version"),
        ("again", "version"), ("again", "delete_marker"),
        ("before", "version"), ("below/a\u00e4", "version"),
        ("gone", "version"), ("gone", "version"),
        ("gone", "delete_marker"), ("twice", "version"))]
    first = next(item for item in listed
                 if item["path"].startswith("bucket/up@versions/a #"))
    assert stack.admin("backup-cat", "latest", first["path"]).out == "first"
    attrs = first["attributes"]
    assert attrs["metadata"] == {"m": "1"} and attrs["tags"] == {"t": "1"}
    assert {item["VersionId"] for item in s3.list_object_versions(
        Bucket=past.bucket, Prefix="a")["Versions"]} >= {attrs["version_id"]}


def fetched(gate, bucket):
    """GETs of the bytes of objects."""
    start = "/%s/" % bucket
    return sorted(path for method, path in gate.requests
                  if method == "GET" and path.startswith(start) and
                  path.split("?")[0] != start and "tagging" not in path)


def test_a_version_is_fetched_once_whatever_becomes_of_it(
        stack, s3, minio, bucket, past):
    with Gate(minio, lambda method, path: None) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket, versions="all")
        stack.create()
        assert len(fetched(gate, bucket)) == 8 + 9
        gate.requests.clear()
        second = stack.create()
        assert not fetched(gate, bucket)
        assert second["new_chunks"] == 0
        # What was current is older now, in three ways, and one goes the other
        # way.
        past.put("a", b"fourth")
        past.delete("stays")
        past.put("before", b"once more")
        marker = next(item for item in s3.list_object_versions(
            Bucket=bucket, Prefix="gone")["DeleteMarkers"])
        past.delete("gone", VersionId=marker["VersionId"])
        gate.requests.clear()
        stack.create()
    assert {path.split("?")[0] for path in fetched(gate, bucket)} == {
        "/%s/a" % bucket, "/%s/before" % bucket}
    stack.add_bucket("up", minio, bucket_name=bucket)
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new") == history(s3, bucket)


def test_older_ones_that_expired_do_not_make_others_new(
        stack, s3, minio, bucket, past):
    oldest = min((item for item in s3.list_object_versions(
        Bucket=bucket, Prefix="a")["Versions"] if item["Key"] == "a"),
        key=lambda item: item["LastModified"])
    with Gate(minio, lambda method, path: None) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket, versions="all")
        stack.create()
        past.delete("a", VersionId=oldest["VersionId"])
        gate.requests.clear()
        stack.create()
    assert not fetched(gate, bucket)
    stack.add_bucket("up", minio, bucket_name=bucket)
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new") == history(s3, bucket)


def test_many_versions_of_one_key(stack, s3, bucket, minio):
    """BACKUP_TEST_VERSIONS: how many (1,200 are more than a page of the
    listing, and a minute, for MinIO writes all of them each time)."""
    switch(s3, bucket)
    for number in range(MANY):
        s3.put_object(Bucket=bucket, Key="key", Body=b"%d" % (number // 2))
        if number == 7:
            s3.delete_object(Bucket=bucket, Key="key")
    s3.put_object(Bucket=bucket, Key="key2", Body=b"behind it")
    before = history(s3, bucket, with_bytes=False)
    assert len(before["key"]) == MANY + 1
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    assert stack.create()["objects"] == MANY + 1
    assert stack.create()["new_chunks"] == 0
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new", with_bytes=False) == before


def test_a_restore_that_was_stopped_goes_on_where_it_was(
        stack, s3, minio, bucket, past):
    before = history(s3, bucket)
    stack.create()
    s3.create_bucket(Bucket=bucket + "-new")
    switch(s3, bucket + "-new")
    new = Past(s3, bucket + "-new")
    new.put("a", b"first", Metadata={"m": "1"}, Tagging="t=1")
    new.put("a", b"second", Metadata={"m": "2"}, Tagging="t=2&u=3")
    new.put("gone", b"1")
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new") == before


def test_another_history_is_not_mixed_with_the_snapshots(
        stack, s3, minio, bucket, past):
    stack.create()
    s3.create_bucket(Bucket=bucket + "-new")
    switch(s3, bucket + "-new")
    new = Past(s3, bucket + "-new")
    new.put("a", b"of somebody else")
    there = history(s3, bucket + "-new")
    done = stack.admin("backup-restore", "--to", bucket + "-new", "latest",
                       "bucket/up")
    assert done.status == FAILED and "--overwrite" in done.message, str(done)
    assert history(s3, bucket + "-new") == there
    # On request it goes on top, once.
    want = history(s3, bucket)
    want["a"] = there["a"] + want["a"]
    for _ in range(2):
        stack.restore("latest", "bucket/up", "--overwrite", "--to",
                      bucket + "-new")
        assert history(s3, bucket + "-new") == want


def test_what_somebody_puts_between_is_seen_in_the_end(
        stack, s3, minio, bucket, past):
    stack.create()
    new = bucket + "-new"
    s3.create_bucket(Bucket=new)
    switch(s3, new)
    theirs = []

    def put_theirs(method, path):
        if method == "PUT" and path.split("?")[0] == "/%s/a" % new \
                and not theirs:
            theirs.append(path)
            s3.put_object(Bucket=new, Key="a", Body=b"somebody else's")

    with Gate(minio, put_theirs) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket, versions="all")
        done = stack.admin("backup-restore", "--json", "--to", new, "latest",
                           "bucket/up")
    assert done.status == DEGRADED and theirs, str(done)
    (path, reason), = omitted(done).items()
    assert path == "bucket/up/a" and "lists 4 versions" in reason, str(done)


def test_a_bucket_that_keeps_no_versions_gets_the_current_ones_and_says_so(
        stack, s3, bucket, past):
    stack.create()
    s3.create_bucket(Bucket=bucket + "-plain")
    done = stack.admin("backup-restore", "--to", bucket + "-plain", "latest",
                       "bucket/up")
    assert done.status == DEGRADED, str(done)
    assert "9 older versions and 2 delete markers" in str(done), str(done)
    keys = {item["Key"] for item in s3.list_objects_v2(
        Bucket=bucket + "-plain")["Contents"]}
    assert "a" in keys and "gone" not in keys and len(keys) == 8
    # Who asks for the current ones is given them, and lacks nothing.
    s3.create_bucket(Bucket=bucket + "-current")
    stack.restore("latest", "bucket/up/", "--to", bucket + "-current")
    assert len(s3.list_objects_v2(
        Bucket=bucket + "-current")["Contents"]) == 8


def test_one_key_is_its_current_version(stack, s3, bucket, past):
    stack.create()
    s3.create_bucket(Bucket=bucket + "-new")
    switch(s3, bucket + "-new")
    stack.restore("latest", "bucket/up/a", "--to", bucket + "-new")
    assert [item[0] for item in history(s3, bucket + "-new")["a"]] == [
        b"third"]


def test_a_prefix_or_a_key_comes_back_with_every_version_on_request(
        stack, s3, bucket, past):
    for key in ("c/b", "c b", "cd", "c/gone"):
        past.put(key, b"was")
        past.put(key, b"is")
    past.delete("c/gone")
    before = history(s3, bucket)
    stack.create()

    def restored(name, path, *options):
        stack.restore("latest", path, "--all-versions", "--to", name, *options)
        return history(s3, name)

    def of(*keys):
        return {key: before[key] for key in keys}

    names = [bucket + "-" + str(number) for number in range(4)]
    # By component, as the current ones: "a b" and "a!" are others.
    assert restored(names[0], "bucket/up/a") == of("a")
    assert restored(names[1], "bucket/up/c") == of("c/b", "c/gone")
    assert restored(names[2], "bucket/up/gone") == of("gone")
    assert restored(names[3], "bucket/up/") == before
    # What else is there stays, and is nothing to compare with; a second run
    # puts nothing.
    Past(s3, names[1]).put("c b", b"of somebody else")
    for _ in range(2):
        found = restored(names[1], "bucket/up/c/", "--overwrite")
        assert [item[0] for item in found.pop("c b")] == [b"of somebody else"]
        assert found == of("c/b", "c/gone")
    # A misspelt one is no restore that went well.
    done = stack.admin("backup-restore", "--all-versions", "--to", names[2],
                       "latest", "bucket/up/gon")
    assert done.status == FAILED and "bucket/up/gon" in done.message, str(done)


def test_every_version_of_a_part_is_refused_where_there_is_none(
        stack, s3, minio, bucket, past):
    stack.create()
    archive = stack.path("part.tar.zst.age")
    done = stack.admin("backup-archive", "latest", "bucket/up/below/",
                       "--output", archive)
    assert done.status == COMPLETE, str(done)
    done = stack.admin("backup-restore", "--repository", archive,
                       "--all-versions", "--to", bucket + "-new", "latest",
                       "bucket/up/below/")
    assert done.status == FAILED and "current versions" in done.message
    # A bucket that keeps none gets the current ones.
    s3.create_bucket(Bucket=bucket + "-plain")
    done = stack.admin("backup-restore", "--json", "--all-versions", "--to",
                       bucket + "-plain", "latest", "bucket/up/a")
    assert done.status == DEGRADED, str(done)
    assert list(omitted(done)) == ["bucket/up/a"], str(done)
    # A snapshot that has none.
    stack.add_bucket("up", minio, bucket_name=bucket)
    stack.create()
    done = stack.admin("backup-restore", "--all-versions", "--to",
                       bucket + "-new", "latest", "bucket/up/a")
    assert done.status == FAILED and "versions: all" in done.message, str(done)
    assert bucket + "-new" not in {
        item["Name"] for item in s3.list_buckets()["Buckets"]}


def test_a_version_is_read_by_its_id(stack, s3, bucket, past):
    stack.create()
    listed = s3.list_object_versions(Bucket=bucket)
    for item in listed["Versions"]:
        want = s3.get_object(Bucket=bucket, Key=item["Key"],
                             VersionId=item["VersionId"])["Body"].read()
        done = stack.admin("backup-cat", "--version-id", item["VersionId"],
                           "latest", "bucket/up/" + item["Key"])
        assert done.status == COMPLETE and done.out == want.decode(), item
    marker = next(item for item in listed["DeleteMarkers"])
    for key, version, word in (
            (marker["Key"], marker["VersionId"], "delete marker"),
            ("a b", marker["VersionId"], "bucket/up@versions/a ~b #"),
            ("a", "null", "no version 'null'")):
        done = stack.admin("backup-cat", "--version-id", version, "latest",
                           "bucket/up/" + key)
        assert done.status == FAILED and word in done.message, str(done)


def test_a_verification_proves_every_version(stack, s3, minio, bucket, past):
    stack.create()
    done = stack.admin("backup-verify", "latest")
    assert done.status == COMPLETE, str(done)
    assert "19 " in str(done), str(done)
    buckets = {item["Name"] for item in s3.list_buckets()["Buckets"]}
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all",
                     scratch_bucket=True)
    done = stack.admin("backup-verify", "latest")
    assert done.status == COMPLETE, str(done)
    assert "19 " in str(done), str(done)
    assert {item["Name"]
            for item in s3.list_buckets()["Buckets"]} == buckets
    # The live bucket is the same until something happens.
    done = stack.admin("backup-verify", "--live", "latest")
    assert done.status == COMPLETE, str(done)
    past.put("a", b"since")
    past.delete("twice")
    done = stack.admin("backup-verify", "--live", "latest")
    assert done.status == FAILED, str(done)
    assert "bucket/up@versions/a #" in str(done), str(done)


def test_an_archive_holds_every_version(stack, s3, bucket, past):
    before = history(s3, bucket)
    stack.create()
    archive = stack.path("all.tar.zst.age")
    done = stack.admin("backup-archive", "latest", "--output", archive)
    assert done.status == COMPLETE, str(done)
    done = stack.admin("backup-restore", "--repository", archive, "--to",
                       bucket + "-new", "latest", "bucket/up")
    assert done.status == COMPLETE, str(done)
    assert history(s3, bucket + "-new") == before


def test_suspended_versions_are_backed_up_and_are_of_no_moment(
        stack, s3, bucket, past):
    switch(s3, bucket, "Suspended")
    past.put("a", b"as null")
    past.put("a", b"as null, again")
    past.delete("again")
    before = history(s3, bucket)
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert "by the server's clock" not in str(done)
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert history(s3, bucket + "-new") == before


def test_a_bucket_without_versions_is_backed_up_as_ever_and_says_so(
        stack, s3, minio, bucket):
    Past(s3, bucket).put("a", b"a")
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert "the bucket keeps no versions" in str(done)
    stack.restore("latest", "bucket/up", "--to", bucket + "-new")
    assert s3.get_object(Bucket=bucket + "-new",
                         Key="a")["Body"].read() == b"a"


def test_what_is_overwritten_meanwhile_is_whole(stack, s3, minio, bucket):
    """A backup beside somebody who writes: each key has in the snapshot what
    it had until some time, and nothing between is missing."""
    switch(s3, bucket)
    keys = ["key %d" % number for number in range(4)]
    stopped, counts = threading.Event(), dict.fromkeys(keys, 0)

    def write():
        client = minio.client()
        while not stopped.is_set():
            for key in keys:
                client.put_object(Bucket=bucket, Key=key,
                                  Body=b"%d" % counts[key])
                counts[key] += 1

    stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        while min(counts.values()) < 20 and writer.is_alive():
            stopped.wait(0.01)
        done = stack.run("backup-create", "--json",
                         timeout=patience(100))
    finally:
        stopped.set()
        writer.join()
    assert done.status == COMPLETE, str(done)
    stack.restore("latest", "bucket/up", "--to", bucket + "-then")
    then = history(s3, bucket + "-then")
    assert set(then) == set(keys)
    for key in keys:
        bodies = [int(item[0]) for item in then[key]]
        assert len(bodies) >= 20
        assert bodies == list(range(len(bodies))), key


def test_signature_version_2_knows_no_versions(stack, minio, bucket):
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all",
                     signature="v2")
    done = stack.run("backup-create")
    assert done.status == FAILED and "versions: all" in done.message, str(done)


def test_the_snapshot_tells_how_many_there_are(stack, past):
    stack.create()
    shown = stack.run("backup-list", "--json", "latest")
    assert shown.status == COMPLETE
    text = json.dumps(shown.events)
    assert "bucket/up@versions/gone #" in text


# ---- what cannot be read, told or locked ----

def test_an_older_one_that_was_left_out_is_named_by_every_restore(
        stack, s3, minio, bucket, past):
    oldest = min((item for item in s3.list_object_versions(
        Bucket=bucket, Prefix="a")["Versions"] if item["Key"] == "a"),
        key=lambda item: item["LastModified"])["VersionId"]

    def refuse(method, path):
        if method == "GET" and "/a?" in path and oldest in path:
            return 403, "AccessDenied"
        return None

    with Gate(minio, refuse) as gate:
        stack.add_bucket("up", gate, bucket_name=bucket, versions="all")
        done = stack.run("backup-create", "--json")
    assert done.status == DEGRADED, str(done)
    left, = omitted(done)
    assert left.startswith("bucket/up@versions/a #"), left
    stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    done = stack.admin("backup-restore", "--json", "--to", bucket + "-new",
                       "latest", "bucket/up")
    assert done.status == DEGRADED and left in str(done), str(done)
    done = stack.admin("backup-restore", "--delete", "--to", bucket + "-new",
                       "latest", "bucket/up")
    assert done.status == FAILED and left in done.message, str(done)


class Encrypting(Minio):
    """Has a key of its own, under which ETags tell nothing of the bytes."""
    name = "minio-encrypting"

    def run(self, argv, **environment):
        super().run(argv, MINIO_KMS_SECRET_KEY="test:" + base64.b64encode(
            b"k" * 32).decode(), **environment)


@pytest.fixture
def encrypting(minio, tmp_path):
    server = Encrypting(str(tmp_path))
    yield server
    server.stop()


def test_an_etag_that_tells_nothing_proves_nothing(stack, encrypting):
    s3 = encrypting.client()

    def fill(bucket, **keys):
        s3.create_bucket(Bucket=bucket)
        switch(s3, bucket)
        for key, bodies in keys.items():
            for body in bodies:
                if body is None:
                    s3.delete_object(Bucket=bucket, Key=key)
                else:
                    s3.put_object(Bucket=bucket, Key=key, Body=body,
                                  ServerSideEncryption="aws:kms")

    def bodies(bucket):
        return {key: [item and item[0] for item in items]
                for key, items in history(s3, bucket).items()}

    def restore(bucket, *options):
        return stack.admin("backup-restore", "--json", "--to", bucket,
                           *options, "latest", "bucket/up")

    want = {"one": [b"good"], "two": [b"old!", b"new!"],
            "gone": [b"old!", None, b"new!"]}
    fill("from", **want)
    stack.add_bucket("up", encrypting, bucket_name="from", versions="all")
    stack.create()
    # One of the same size is not what was asked for: it is put on top ...
    fill("over", one=[b"good", b"bad!"])
    done = restore("over", "--overwrite")
    assert done.status == COMPLETE, str(done)
    assert bodies("over") == {**want, "one": [b"good", b"bad!", b"good"]}
    # ... or named.
    others = {"one": [b"bad!"], "two": [b"bad!"], "gone": [b"bad!", None]}
    fill("beside", **others)
    done = restore("beside")
    assert done.status == FAILED, str(done)
    assert {path.split(" #")[0] for path in omitted(done)} == {
        "bucket/up/one", "bucket/up@versions/two",
        "bucket/up@versions/gone"}, str(done)
    assert bodies("beside") == others
    # Each is known by its bytes, and a restore goes on where one was stopped.
    assert restore("new").status == COMPLETE
    for _ in range(2):
        done = restore("new")
        assert done.status == COMPLETE, str(done)
        assert bodies("new") == want
        s3.delete_object(Bucket="new", Key="two", VersionId=next(
            item["VersionId"] for item in s3.list_object_versions(
                Bucket="new", Prefix="two")["Versions"] if item["IsLatest"]))
    # In its own place its ETags are the same.
    done = restore("from")
    assert done.status == COMPLETE, str(done)


def test_a_second_restore_locks_the_current_ones_and_names_the_others(
        stack, s3, minio, bucket):
    until = datetime.datetime.now(datetime.timezone.utc).replace(
        microsecond=0) + datetime.timedelta(days=2)
    names = ["locked-%s-%s" % (which, bucket) for which in ("from", "to")]
    for name in names:
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    for body in (b"1", b"2"):
        s3.put_object(Bucket=names[0], Key="kept", Body=body,
                      ObjectLockMode="GOVERNANCE",
                      ObjectLockRetainUntilDate=until)
    stack.add_bucket("up", minio, bucket_name=names[0], versions="all")
    stack.create()
    stack.restore("latest", "bucket/up", "--to", names[1])
    done = stack.admin("backup-restore", "--json", "latest", "bucket/up",
                       "--to", names[1], "--locks")
    assert done.status == DEGRADED, str(done)
    left, = omitted(done)
    assert left.startswith("bucket/up@versions/kept #"), left
    head = s3.head_object(Bucket=names[1], Key="kept")
    assert head["ObjectLockRetainUntilDate"] == until
    for name in names:
        for version in s3.list_object_versions(Bucket=name)["Versions"]:
            s3.delete_object(Bucket=name, Key=version["Key"],
                             VersionId=version["VersionId"],
                             BypassGovernanceRetention=True)
        s3.delete_bucket(Bucket=name)

# SPDX-License-Identifier: Apache-2.0
"""What a server says of an object that cannot be right, or does not say at
all: named, and the rest is backed up and restored all the same."""

import datetime
import hashlib

import pytest
from harness.gate import Gate
from harness.shelf import Shelf
from harness.stack import COMPLETE, DEGRADED
from test_s3_refused import Role, omitted


@pytest.fixture
def shelf():
    with Shelf() as server:
        for name in "abc":
            server.put("bucket", name.encode(), name.encode() * 9)
        yield server


def change(shelf, key, body=None, etag=None, headers=None, bucket="bucket"):
    """Another body under the ETag that it had, or another ETag or header."""
    item = shelf.buckets[bucket][key]
    shelf.buckets[bucket][key] = item._replace(
        body=item.body if body is None else body,
        etag=item.etag if etag is None else etag,
        headers=item.headers if headers is None else headers)
    shelf.sorted.clear()


def backup(stack, shelf, *statuses):
    stack.add_bucket("up", shelf, bucket_name="bucket")
    done = stack.run("backup-create", "--json")
    assert done.status in statuses, str(done)
    return done


# ---- bytes that are not those of the ETag ----

@pytest.mark.parametrize("headers", [
    {}, {"x-amz-server-side-encryption": "AES256"}])
def test_bytes_that_rotted_on_the_server_are_named_every_time(
        stack, shelf, headers):
    change(shelf, b"b", body=b"bbbbXbbbb", headers=headers)
    for _ in range(2):
        done = backup(stack, shelf, DEGRADED)
        left = omitted(done)
        assert list(left) == ["bucket/up/b"]
        assert "not those that its ETag" in left["bucket/up/b"]
    stack.restore("latest", "bucket/up", "--to", "other",
                  statuses=(COMPLETE, DEGRADED))
    assert shelf.buckets["other"][b"b"].body == b"bbbbXbbbb"


@pytest.mark.parametrize("headers", [
    {"x-amz-server-side-encryption": "aws:kms"},
    {"x-amz-server-side-encryption-customer-algorithm": "AES256"}])
def test_an_etag_of_an_encrypted_object_tells_nothing(stack, shelf, headers):
    change(shelf, b"b", etag="0" * 32, headers=headers)
    backup(stack, shelf, COMPLETE)
    shelf.asked()
    backup(stack, shelf, COMPLETE)
    assert shelf.asked()["GET", "object"] == 0


def test_bytes_that_are_damaged_once_on_their_way_are_fetched_again(
        stack, shelf):
    good = shelf.buckets["bucket"][b"b"].body
    seen = []

    def refuse(method, key):
        if method == "GET" and key == b"b":
            seen.append(key)
            change(shelf, b"b", b"x" * 9 if len(seen) == 1 else good)

    shelf.refuse = refuse
    backup(stack, shelf, COMPLETE)
    assert len(seen) >= 2
    stack.restore("latest", "bucket/up", "--to", "other")
    assert shelf.buckets["other"][b"b"].body == good


class Mangling(Shelf):
    """Keeps something else of one object than it was sent."""

    def __init__(self, mangle):
        super().__init__()
        self.mangle = mangle

    def _object(self, method, bucket, key, headers, body):
        if method == "PUT" and (bucket, key) == ("other", b"b"):
            body = self.mangle(body)
        return super()._object(method, bucket, key, headers, body)


@pytest.mark.parametrize("mangle,words", [
    (lambda body: body[:-1], "has 8 bytes on the server instead of 9"),
    (lambda body: body[:-1] + b"?", "has the ETag")],
    ids=["shorter", "other"])
def test_an_object_that_did_not_arrive_as_it_was_sent_is_named(
        stack, mangle, words):
    with Mangling(mangle) as shelf:
        for name in "abc":
            shelf.put("bucket", name.encode(), name.encode() * 9)
        backup(stack, shelf, COMPLETE)
        done = stack.admin("backup-restore", "--json", "latest", "bucket/up",
                           "--to", "other")
        assert done.status == DEGRADED, str(done)
        assert list(omitted(done)) == ["bucket/up/b"]
        assert words in omitted(done)["bucket/up/b"]
        assert shelf.buckets["other"][b"c"].body == b"c" * 9


# ---- objects whose ETag tells nothing, on their way back ----

def test_a_second_restore_knows_by_the_bytes_what_is_there(stack, shelf):
    change(shelf, b"b", etag="0" * 32,
           headers={"x-amz-server-side-encryption": "aws:kms"})
    backup(stack, shelf, COMPLETE)
    stack.restore("latest", "bucket/up", "--to", "other")
    shelf.asked()
    stack.restore("latest", "bucket/up", "--to", "other")
    assert shelf.asked()["PUT", "object"] == 0
    change(shelf, b"b", body=b"z" * 9, etag=hashlib.md5(b"z" * 9).hexdigest(),
           bucket="other")
    done = stack.admin("backup-restore", "--json", "latest", "bucket/up",
                       "--to", "other")
    assert done.status == DEGRADED, str(done)
    assert "other bytes" in omitted(done)["bucket/up/b"]


def test_a_scratch_bucket_that_does_not_encrypt_proves_one_that_does(
        stack, shelf):
    change(shelf, b"b", etag="0" * 32,
           headers={"x-amz-server-side-encryption": "aws:kms"})
    backup(stack, shelf, COMPLETE)
    stack.add_bucket("up", shelf, bucket_name="bucket", scratch_bucket=True)
    verified = stack.verify("latest")
    assert verified.status == COMPLETE, str(verified)


# ---- tags ----

def test_tags_that_a_server_does_not_count_are_kept(stack, shelf):
    shelf.knows_tags = False
    shelf.put("bucket", b"t", b"tagged", tags={"team": "blue"})
    backup(stack, shelf, COMPLETE)
    shelf.knows_tags = True
    stack.restore("latest", "bucket/up", "--to", "other")
    assert shelf.buckets["other"][b"t"].tags == {"team": "blue"}
    assert shelf.buckets["other"][b"a"].tags == {}


def test_tags_that_nobody_may_read_are_said_once(stack, minio, s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"1", Tagging="team=blue")

    def answer(method, path):
        return (403, "AccessDenied") if "tagging" in path else None

    # As AWS does it for who may not read tags.
    with Gate(minio, answer, hidden={"x-amz-tagging-count"}) as gate:
        stack.add_bucket("up", gate, bucket=bucket)
        done = stack.run("backup-create", "--json")
    assert done.status == DEGRADED, str(done)
    left = omitted(done)
    assert list(left) == ["bucket/up"]
    assert "s3:GetObjectTagging" in left["bucket/up"]


def test_a_server_that_has_no_tags_is_asked_once(stack, shelf):
    shelf.knows_tags = False
    shelf.has_tagging = False
    for number in range(200):
        shelf.put("bucket", b"more %d" % number, b"1")
    backup(stack, shelf, COMPLETE)
    # Some are under way before the first is answered.
    assert shelf.asked()["GET", "tagging"] < 100


# ---- headers ----

def test_a_lock_that_nobody_understands_is_named(stack, shelf):
    change(shelf, b"b", headers={
        "x-amz-object-lock-mode": "SOMETHING",
        "x-amz-object-lock-retain-until-date": "tomorrow"})
    for _ in range(2):
        left = omitted(backup(stack, shelf, DEGRADED))
        assert list(left) == ["bucket/up/b"]
        assert "its lock cannot be read" in left["bucket/up/b"]
    assert sorted(stack.entries("latest", "bucket/up/")) == [
        "bucket/up/a", "bucket/up/b", "bucket/up/c"]


def test_no_header_is_dropped_however_many_there_are(stack, shelf):
    many = {"x-amz-meta-%d" % number: "1" for number in range(600)}
    change(shelf, b"b", headers=many)
    backup(stack, shelf, COMPLETE)
    stack.restore("latest", "bucket/up", "--to", "other")
    assert shelf.buckets["other"][b"b"].headers == many
    change(shelf, b"c", etag="1" * 32, headers={
        "x-amz-meta-%d" % number: "1" for number in range(1100)})
    left = omitted(backup(stack, shelf, DEGRADED))
    assert list(left) == ["bucket/up/c"]
    assert "headers" in left["bucket/up/c"]


# ---- what one may, and may not ----

def test_versions_that_may_be_listed_and_not_read_are_no_moment(
        stack, minio, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={
        "Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")

    def answer(method, path):
        return (403, "AccessDenied") if "versionId=" in path else None

    with Gate(minio, answer) as gate:
        stack.add_bucket("up", gate, bucket=bucket)
        done = stack.run("backup-create", "--json")
    assert done.status == COMPLETE, str(done)
    assert [event for event in done.of_type("message")
            if "s3:GetObjectVersion" in event["text"]], str(done)
    assert list(stack.entries("latest", "bucket/up/")) == ["bucket/up/a"]


class Below(Role):
    """May do everything below a prefix, and list nothing else."""

    def __init__(self, minio, bucket, prefix):
        self.statements = [
            {"Effect": "Allow", "Action": ["s3:*Object*"],
             "Resource": ["arn:aws:s3:::%s/%s*" % (bucket, prefix)]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"],
             "Resource": ["arn:aws:s3:::" + bucket],
             "Condition": {"StringLike": {"s3:prefix": [prefix + "*"]}}}]
        super().__init__(minio)


def test_rights_for_a_prefix_are_enough_for_it(stack, minio, s3, bucket):
    for key in ("in/a", "in/b", "out/c"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    role = Below(minio, bucket, "in/")
    refused = []

    def answer(method, path):
        if refused and method == "GET" and path.endswith("/in/b"):
            return 403, "AccessDenied"
        return None

    with Gate(minio, answer) as gate:
        gate.access_key, gate.secret_key = role.access_key, role.secret_key
        stack.add_bucket("up", gate, bucket=bucket, prefix="in/",
                         session_token_file=stack.secret("token", role.token))
        stack.create()
        assert sorted(stack.entries("latest", "bucket/up/")) == [
            "bucket/up/in/a", "bucket/up/in/b"]
        s3.put_object(Bucket=bucket, Key="in/b", Body=b"new")
        refused.append(True)
        done = stack.run("backup-create", "--json")
        assert done.status == DEGRADED, str(done)
        assert list(omitted(done)) == ["bucket/up/in/b"]
        for key in ("in/a", "in/b"):
            s3.delete_object(Bucket=bucket, Key=key)
        stack.admin("backup-restore", "latest", "bucket/up")
    assert s3.get_object(Bucket=bucket, Key="in/a")["Body"].read() == b"in/a"


# ---- locks of what is there already ----

def test_a_second_restore_sets_the_locks_of_what_is_there(
        stack, minio, s3, bucket):
    until = datetime.datetime.now(datetime.timezone.utc).replace(
        microsecond=0) + datetime.timedelta(days=2)
    names = ["locked-again-%s-%s" % (which, bucket) for which in ("from", "to")]
    for name in names:
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=names[0], Key="kept", Body=b"1",
                  ObjectLockMode="GOVERNANCE",
                  ObjectLockRetainUntilDate=until)
    s3.put_object(Bucket=names[0], Key="held", Body=b"2",
                  ObjectLockLegalHoldStatus="ON")
    stack.add_bucket("up", minio, bucket_name=names[0])
    stack.create()

    def locks():
        return {key: (head.get("ObjectLockMode"),
                      head.get("ObjectLockRetainUntilDate"),
                      head.get("ObjectLockLegalHoldStatus"))
                for key in ("kept", "held")
                for head in [s3.head_object(Bucket=names[1], Key=key)]}

    stack.restore("latest", "bucket/up", "--to", names[1])
    assert set(locks().values()) == {(None, None, None)}
    stack.restore("latest", "bucket/up", "--to", names[1], "--locks")
    assert locks() == {"kept": ("GOVERNANCE", until, None),
                       "held": (None, None, "ON")}
    versions = s3.list_object_versions(Bucket=names[1])["Versions"]
    assert len(versions) == 2
    for name in names:
        s3.put_object_legal_hold(Bucket=name, Key="held",
                                 LegalHold={"Status": "OFF"})
        for version in s3.list_object_versions(Bucket=name)["Versions"]:
            s3.delete_object(Bucket=name, Key=version["Key"],
                             VersionId=version["VersionId"],
                             BypassGovernanceRetention=True)
        s3.delete_bucket(Bucket=name)

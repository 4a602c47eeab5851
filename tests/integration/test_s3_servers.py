# SPDX-License-Identifier: Apache-2.0
"""What each S3 server can hold is what tests/s3servers.tsv and
libbackup-s3(7) say: asked of the servers by our client, and by boto3 for what
ours does not do. The answers are words:
    yes       it does
    refused   it says that it cannot
    error     it answers with an error of its own, as if that could pass
    ignored   it takes the request and does not do it
    hidden    it takes an object and does not list it
    altered   what comes back, or is listed, is not what was sent
An answer better than the table's fails as a worse one does: the table is for
people who choose a server."""

import datetime
import hashlib
import os
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from harness import s3servers
from harness.process import ServerMissing
from harness.shelf import Shelf
from harness.stack import DEGRADED
from test_s3 import (CORRUPT, NOTFOUND, RETRY, UNSUPPORTED,  # noqa: F401
                     fetched, real, refused, tool)

pytestmark = pytest.mark.every_s3_server
TABLE = s3servers.table()
PROBES = {}


def probe(what):
    def keep(function):
        PROBES[what] = function
        return function
    return keep


# ---- keys ----

def keys(what, *names):
    """Objects that only their keys make hard: there, read, and listed."""
    @probe(what)
    def run(real, s3, bucket):
        try:
            return held(real, bucket, names)
        finally:
            # What no listing has must be deleted by its name.
            for name in reversed(names):
                real("delete", bucket, name)


def held(real, bucket, names):
    for name in names:
        done = real("put", bucket, name, stdin=name)
        if b" sys 500:" in done.stderr:
            return "error"
        if done.returncode != 0:
            refused(done, UNSUPPORTED)
            return "refused"
    if any(real("get", bucket, name).stdout != name for name in names):
        return "altered"
    done = real("list", bucket)
    if done.returncode != 0:
        assert "cannot be trusted" in refused(done, CORRUPT)
        return "altered"
    listed = [line.split(b"\t")[0] for line in done.stdout.split(b"\n")[:-1]]
    if set(listed) - set(names):
        return "altered"
    return "yes" if listed == sorted(names) else "hidden"


keys("a key below another", b"a", b"a/b")
@probe("nothing below a key")
def nothing_below(real, s3, bucket):
    assert real("put", bucket, "a", stdin=b"x").returncode == 0
    done = real("get", bucket, "a/b")
    if b" sys 500:" in done.stderr:
        return "error"
    return "yes" if "sys 404" in refused(done, NOTFOUND) else "altered"


keys("keys that end in /", b"folder/", b"folder/b")
keys("keys with //", b"a//b", b"a/b")
keys("keys with . and ..", b"a/./b", b"a/../c")
keys("keys that begin with /", b"/a")
keys("twins in other case or form", b"A", b"a", b"e\xcc\x81", b"\xc3\xa9")
keys("punctuation and spaces", b"*'() ~!$,;:@[]{}|^`\"<> +%41&=?#", b"b\\c")
keys("control characters", b"a\x01b", b"a\x1fb")
keys("bytes that are not UTF-8", b"a\xff")
keys("parts of a key of 255 bytes", b"x" * 255 + b"/" + b"y" * 255)
keys("parts of a key over 255 bytes", b"x" * 300)
keys("keys of 1,024 bytes", b"/".join([b"x" * 127] * 8) + b"y")


# ---- what is said of an object ----

HEADERS = {"CacheControl": "max-age=60", "ContentType": "text/x-test",
           "ContentDisposition": "attachment; filename=\"a b\"",
           "ContentEncoding": "gzip", "ContentLanguage": "de-CH"}


@probe("system headers")
def system_headers(real, s3, bucket):
    done = real("put", bucket, "o", "cache-control=max-age=60",
                "content-type=text/x-test", "content-language=de-CH",
                "content-encoding=gzip",
                "content-disposition=attachment; filename=\"a b\"",
                stdin=b"x")
    assert done.returncode == 0, done.stderr
    seen = s3.head_object(Bucket=bucket, Key="o")
    return "yes" if HEADERS.items() <= seen.items() else "ignored"


@probe("user metadata")
def user_metadata(real, s3, bucket):
    done = real("put", bucket, "o", "x-amz-meta-some=thing  spaced",
                "x-amz-meta-long=" + "y" * 1900, stdin=b"x")
    assert done.returncode == 0, done.stderr
    return "yes" if s3.head_object(Bucket=bucket, Key="o")["Metadata"] == {
        "some": "thing  spaced", "long": "y" * 1900} else "altered"


@probe("tags")
def tags(real, s3, bucket):
    real("put", bucket, "o", stdin=b"x")
    done = real("tags", bucket, "o", "a b=c+d")
    if done.returncode != 0:
        refused(done, UNSUPPORTED)
        return "refused"
    return "yes" if real("tags", bucket, "o").stdout == b"a b=c+d\n" \
        else "altered"


@probe("tags with the object itself")
def tags_with_object(real, s3, bucket):
    done = real("put", bucket, "o", "x-amz-tagging=a%20b=c%2Bd", stdin=b"x")
    if done.returncode != 0:
        refused(done, UNSUPPORTED)
        return "refused"
    return "yes" if real("tags", bucket, "o").stdout == b"a b=c+d\n" \
        else "ignored"


# ---- versions and locks: boto3 ----

def is_refused(call, **arguments):
    """Whether a server says that it has no such thing."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (
            400, 501), error
        return True
    return False


@probe("versions")
def versions(real, s3, bucket):
    if is_refused(s3.put_bucket_versioning, Bucket=bucket,
                  VersioningConfiguration={"Status": "Enabled"}):
        return "refused"
    for body in (b"one", b"two"):
        assert real("put", bucket, "o", stdin=body).returncode == 0
    assert real("delete", bucket, "o").returncode == 0
    seen = s3.list_object_versions(Bucket=bucket)
    if len(seen.get("Versions", [])) != 2 or \
            len(seen.get("DeleteMarkers", [])) != 1:
        return "ignored"
    bodies = [s3.get_object(Bucket=bucket, Key="o", VersionId=item[
        "VersionId"])["Body"].read() for item in seen["Versions"]]
    return "yes" if bodies == [b"two", b"one"] else "altered"


@probe("dates of replaced versions")
def dates_of_replaced(real, s3, bucket):
    """As listed: the client itself goes by the names of such versions."""
    if is_refused(s3.put_bucket_versioning, Bucket=bucket,
                  VersioningConfiguration={"Status": "Enabled"}):
        return "refused"
    assert real("put", bucket, "o", stdin=b"one").returncode == 0
    before = s3.list_object_versions(Bucket=bucket)["Versions"]
    time.sleep(1.1)  # some date by whole seconds
    assert real("put", bucket, "o", stdin=b"two").returncode == 0
    after = s3.list_object_versions(Bucket=bucket)["Versions"]
    return "yes" if [item["LastModified"] for item in before] == [
        item["LastModified"] for item in after if not item["IsLatest"]
    ] else "altered"


@probe("locks of replaced versions")
def locks_of_replaced(real, s3, bucket):
    """Whether HEAD tells them."""
    name = bucket + "-replaced"
    if is_refused(s3.create_bucket, Bucket=name,
                  ObjectLockEnabledForBucket=True):
        return "refused"
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate":
            datetime.datetime.now(datetime.timezone.utc) +
            datetime.timedelta(seconds=60)}
    if is_refused(s3.put_object, Bucket=name, Key="o", Body=b"one", **lock):
        return "refused"
    version = s3.list_object_versions(Bucket=name)["Versions"][0]["VersionId"]
    s3.put_object(Bucket=name, Key="o", Body=b"two")
    head = s3.head_object(Bucket=name, Key="o", VersionId=version)
    s3.delete_object(Bucket=name, Key="o", VersionId=version,
                     BypassGovernanceRetention=True)
    return "yes" if "ObjectLockMode" in head else "ignored"


@probe("object lock")
def object_lock(real, s3, bucket):
    name = bucket + "-locked"
    if is_refused(s3.create_bucket, Bucket=name,
                  ObjectLockEnabledForBucket=True):
        return "refused"
    until = datetime.datetime.now(datetime.timezone.utc) + \
        datetime.timedelta(seconds=5)
    if is_refused(s3.put_object, Bucket=name, Key="o", Body=b"x",
                  ObjectLockMode="GOVERNANCE",
                  ObjectLockRetainUntilDate=until):
        return "refused"
    version = s3.list_object_versions(Bucket=name)["Versions"][0]
    try:
        s3.delete_object(Bucket=name, Key="o", VersionId=version["VersionId"])
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (
            400, 403), error
        s3.delete_object(Bucket=name, Key="o", VersionId=version["VersionId"],
                         BypassGovernanceRetention=True)
        return "yes"
    return "ignored"


# ---- ETags and parts ----

@probe("ETags of parts")
def etags_of_parts(real, s3, bucket):
    """What MD5 makes of the parts, as AWS does it."""
    sizes = [5 << 20, 5 << 20, 1000]
    data = os.urandom(sum(sizes))
    done = real("multipart", bucket, "o", *map(str, sizes), stdin=data)
    assert done.returncode == 0, done.stderr
    assert real("get", bucket, "o").stdout == data
    sums, at = b"", 0
    for size in sizes:
        sums += hashlib.md5(data[at:at + size]).digest()
        at += size
    return "yes" if done.stdout.decode().strip() == \
        hashlib.md5(sums).hexdigest() + "-3" else "altered"


@probe("sizes of parts")
def sizes_of_parts(real, s3, bucket):
    """HEAD ?partNumber=, by which an object goes back as it was cut."""
    data = bytes(6 << 20)
    done = real("multipart", bucket, "o", str(5 << 20), str(1 << 20),
                stdin=data)
    assert done.returncode == 0, done.stderr
    done = real("head", bucket, "o", "1")
    if done.returncode != 0:
        refused(done, UNSUPPORTED)
        return "refused"
    said = done.stdout.decode().splitlines()
    return "yes" if "x-amz-mp-parts-count: 2" in said and \
        "content-length: %d" % (5 << 20) in said else "ignored"


# ---- requests with conditions ----

def is_condition_held(real, bucket, first, *condition):
    if first:
        assert real("put", bucket, "o", stdin=b"one").returncode == 0
    done = real("put", bucket, "o", *condition, stdin=b"two")
    if done.returncode != 0:
        assert "sys 412" in refused(done, RETRY), done.stderr
        return "yes"
    return "ignored"


@probe("PUT only where nothing is")
def if_none_match(real, s3, bucket):
    return is_condition_held(real, bucket, True, "if-none-match=*")


@probe("PUT only over what was seen")
def if_match(real, s3, bucket):
    return is_condition_held(
        real, bucket, True, "if-match=\"%s\"" % hashlib.md5(b"x").hexdigest())


@probe("GET only of what was seen")
def get_if_match(real, s3, bucket):
    assert real("put", bucket, "o", stdin=b"one").returncode == 0
    done = real("get", bucket, "o", hashlib.md5(b"x").hexdigest())
    if done.returncode == 0:
        return "ignored"
    assert "sys 412" in refused(done, RETRY), done.stderr
    return "yes"


# ---- the rest ----

@probe("listings in order of bytes")
def listing_order(real, s3, bucket):
    names = sorted(b"%s/%d" % (first, number)
                   for first in (b"a", b"a-b", b"a.b", b"B", b"\xc3\xa9")
                   for number in range(210))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: s3.put_object(
            Bucket=bucket, Key=name.decode()), names))
    done = real("list", bucket)
    assert done.returncode == 0, done.stderr
    return "yes" if [line.split(b"\t")[0] for line in
                     done.stdout.splitlines()] == names else "altered"


@probe("tags in the listing")
def tags_in_listing(real, s3, bucket):
    """MinIO's own; else every object must be asked for its tags."""
    assert real("put", bucket, "o", stdin=b"x").returncode == 0
    real("tags", bucket, "o", "a=b")
    done = real("list", bucket, "", "tags")
    assert done.returncode == 0, done.stderr
    return "yes" if done.stdout.endswith(b"\ta=b\n") else "ignored"


@probe("links")
def links(real, s3, bucket):
    assert real("put", bucket, "o", stdin=b"one").returncode == 0
    done = real("link", bucket, "o", "60")
    assert done.returncode == 0, done.stderr
    url = done.stdout.decode().strip()
    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetched(url.replace("/o?", "/p?"))
    assert refusal.value.code == 403
    return "yes" if fetched(url) == b"one" else "altered"


@probe("many deleted at once")
def many_deleted(real, s3, bucket):
    names = ["n%d" % number for number in range(20)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name)
    done = real("delete", bucket, *names)
    if done.returncode != 0:
        refused(done, UNSUPPORTED)
        return "refused"
    return "yes" if real("list", bucket).stdout == b"" else "ignored"


# ---- the table ----

@pytest.mark.parametrize("what", PROBES)
def test_a_server_holds_what_the_table_says(real, s3, bucket, minio, what):
    assert PROBES[what](real, s3, bucket) == TABLE[what][minio.name]


def test_the_table_has_a_probe_for_each_line():
    assert list(TABLE) == list(PROBES)


@pytest.mark.parametrize("name", s3servers.KINDS)
def test_a_server_of_the_table_is_here(name):
    """So that one line says of each why nothing is said of it."""
    if os.environ.get("BACKUP_TEST_S3") and name not in s3servers.wanted():
        return  # somebody chose
    try:
        s3servers.find(name)
    except ServerMissing as missing:
        pytest.skip(str(missing))


# ---- what one server holds, given back to another ----

KEYS = [b"a", b"a/b", b"a//b", b"folder/", b"./x", b"x/../y", b"/lead",
        b"A", b"e\xcc\x81", b"\xc3\xa9", b"a b+c&=?#%41", b"bytes\xff",
        b"x" * 300, b"plain"]


def body(key):
    """All are of one length, so that no length tells them apart."""
    return hashlib.sha256(key).hexdigest().encode()


def test_what_a_server_does_not_hold_is_named(
        stack, real, s3, minio, bucket):
    with Shelf() as shelf:
        for key in KEYS:
            shelf.put("up", key, body(key))
        shelf.put("up", b"tagged", body(b"tagged"), tags={"a": "b"})
        stack.add_bucket("up", shelf)
        stack.create()
    stack.add_bucket("up", minio, bucket_name=bucket)
    done = stack.admin("backup-restore", "--json", "latest")
    assert done.status == DEGRADED, str(done)
    named = {event["path"] for event in done.of_type("omission")}
    assert ("bucket/up/tagged" in named) != s3servers.holds(minio, "tags")
    assert not {"bucket/up/" + name for name in ("plain", "A", "\u00e9")
                } & named
    listed = [item["Key"] for item in
              s3.list_objects_v2(Bucket=bucket)["Contents"]]
    for key in [*KEYS, b"tagged"]:
        name = key.decode(errors="replace")
        if name == "tagged" or (
                "bucket/up/" + name not in named and b"\xff" not in key):
            assert name in listed
            assert s3.get_object(Bucket=bucket, Key=name)[
                "Body"].read() == body(key), name
    real("delete", bucket, "a/b")  # MinIO hides it

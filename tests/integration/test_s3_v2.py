# SPDX-License-Identifier: Apache-2.0
"""Signature version 2, by libs3: what test_s3.py holds the client to, as far as
libs3 goes; what it does wrong without a word; and what it cannot do at all."""

import base64
import hashlib
import hmac
import os
import urllib.parse

import pytest

import test_s3
from harness import witness
from harness.minio import empty_bucket
from harness.stack import DEGRADED
from test_s3 import (AUTH, BODY, CORRUPT, EXISTS, INVALID, NOTFOUND, RETRY,
                     UNSUPPORTED, Fake, answer, contents, error, hang_up,
                     refused)

# What libs3 can name; the others of test_s3.KEYS hold spaces.
KEYS = [key for key in test_s3.KEYS
        if " " not in key and "\x01" not in key]


def tool(endpoint, *words, **more):
    return test_s3.tool(endpoint, *words, S3_TOOL_V2="1", **more)


def page(keys, truncated="false", send=None, kind="application/xml"):
    return answer(200, "<ListBucketResult xmlns=\"x\">"
                  "<IsTruncated>%s</IsTruncated>%s</ListBucketResult>"
                  % (truncated, "".join(map(contents, keys))),
                  send=send, Content_Type=kind)


END = (page([]), page([]))  # it is asked twice


def stored(data, **headers):
    """The answers to a PUT, and to the question whether it arrived."""
    return (answer(200), answer(
        200, Content_Length=str(len(data)),
        ETag="\"%s\"" % hashlib.md5(data).hexdigest(), **headers))


@pytest.fixture
def real(minio):
    def run(*words, **more):
        return tool(minio.endpoint, *words, key=minio.access_key,
                    secret=minio.secret_key, **more)
    return run


# ---- what is sent ----

def test_the_signature_is_of_version_2():
    with Fake(*stored(b"bytes", **{"x-amz-meta-b": "2",
                                   "x-amz-meta-a": "1 1"})) as fake:
        done = tool(fake.endpoint, "put", "bucket", "a/\u00fc(1)",
                    "content-type=text/plain", "x-amz-meta-b=2",
                    "x-amz-meta-a=1 1", stdin=b"bytes")
    assert done.returncode == 0, done.stderr
    command, path, headers, body = fake.requests[0]
    assert (command, body) == ("PUT", b"bytes")
    assert urllib.parse.unquote(path) == "/bucket/a/\u00fc(1)"
    md5 = base64.b64encode(hashlib.md5(b"bytes").digest()).decode()
    text = "PUT\n%s\ntext/plain\n\nx-amz-date:%s\nx-amz-meta-a:1 1\n" \
        "x-amz-meta-b:2\n%s" % (md5, headers["x-amz-date"], path)
    signature = base64.b64encode(hmac.new(
        b"secret", text.encode(), hashlib.sha1).digest()).decode()
    assert headers["authorization"] == "AWS key:" + signature
    assert headers["content-md5"] == md5


# ---- trying again ----

@pytest.mark.parametrize("first", [
    error(503, "SlowDown"), error(503, "ServiceUnavailable"),
    error(500, "InternalError"), error(400, "RequestTimeout"),
    error(409, "OperationAborted"), answer(429), answer(503),
    answer(502, "<html>no xml"), hang_up],
    ids=["SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout",
         "OperationAborted", "429", "503", "502", "reset"])
def test_what_may_pass_is_tried_again(first):
    with Fake(first, first, page(["a"]), *END) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"a\t1\te\n"
    assert len(fake.requests) == 5


def test_tries_are_bounded_and_the_reason_is_told():
    with Fake(error(503, "SlowDown", "reduce your rate")) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), RETRY)
    assert "SlowDown: reduce your rate (HTTP 503)" in message
    assert "s3://bucket" in message
    assert len(fake.requests) == 6


def test_a_code_that_libs3_does_not_know_is_told_by_its_message():
    with Fake(error(503, "XMinioServerNotInitialized", "not yet")) as fake:
        message = refused(tool(fake.endpoint, "get", "bucket", "k"), RETRY)
    assert "not yet" in message and "GET s3://bucket/k" in message
    assert len(fake.requests) == 6


@pytest.mark.parametrize("status,code,expected,hint", [
    (403, "InvalidAccessKeyId", AUTH, "AWS_ACCESS_KEY_ID"),
    (403, "SignatureDoesNotMatch", AUTH, "AWS_SECRET_ACCESS_KEY"),
    (403, "AccessDenied", AUTH, "permission"),
    (400, "ExpiredToken", AUTH, "temporary"),
    (403, "RequestTimeTooSkewed", AUTH, "clock"),
    (404, "NoSuchBucket", NOTFOUND, "name and the endpoint"),
    (409, "BucketNotEmpty", EXISTS, ""),
    (301, "PermanentRedirect", INVALID, "region"),
    (501, "NotImplemented", UNSUPPORTED, "")])
def test_what_will_not_pass_is_asked_once_and_explained(
        status, code, expected, hint):
    with Fake(error(status, code)) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), expected)
    assert code in message and hint in message
    assert "HTTP %d" % status in message
    assert len(fake.requests) == 1


def test_a_key_that_the_server_cannot_hold_is_told_apart():
    with Fake(error(400, "XMinioInvalidObjectName", "Object name contains "
                    "unsupported characters.")) as fake:
        message = refused(tool(fake.endpoint, "put", "bucket", "k"),
                          UNSUPPORTED)
    assert "XMinioInvalidObjectName" in message
    assert len(fake.requests) == 1


def test_a_server_that_is_not_there_is_named():
    with Fake(hang_up) as fake:
        endpoint = fake.endpoint
    message = refused(tool(endpoint, "list", "bucket"), RETRY)
    assert endpoint in message and "check that the server runs" in message


def test_a_server_that_falls_silent_is_given_up():
    def silent(handler):
        handler.send_response_only(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.flush()
        silence.wait(30)

    silence = test_s3.threading.Event()
    with Fake(silent, page(["a"]), *END) as fake:
        done = tool(fake.endpoint, "list", "bucket")
        silence.set()
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"a\t1\te\n"


# ---- bodies ----

def test_a_broken_download_goes_on_where_it_broke():
    with Fake(answer(200, BODY, send=100000, ETag="\"v1\""),
              answer(200, ETag="\"v1\"", Content_Length=str(len(BODY))),
              answer(206, BODY[100000:], send=50000, ETag="\"v1\""),
              answer(206, BODY[150000:], ETag="\"v1\"")) as fake:
        done = tool(fake.endpoint, "get", "bucket", "key")
    assert done.returncode == 0, done.stderr
    assert done.stdout == BODY
    assert [r[0] for r in fake.requests] == ["GET", "HEAD", "GET", "GET"]
    for request, place in zip(fake.requests[2:], (100000, 150000)):
        assert request[2]["range"] == "bytes=%d-" % place
        assert request[2]["if-match"] == "\"v1\""


def test_a_server_that_ignores_a_range_is_found_out():
    with Fake(answer(200, BODY, send=100000, ETag="\"v1\""),
              answer(200, ETag="\"v1\"", Content_Length=str(len(BODY))),
              answer(200, BODY, ETag="\"v1\"")) as fake:
        message = refused(tool(fake.endpoint, "get", "bucket", "key"), CORRUPT)
    assert "did not give the range" in message


def test_an_object_replaced_during_a_download_is_told_apart():
    with Fake(answer(200, BODY, send=100000, ETag="\"v1\""),
              answer(200, ETag="\"v2\"", Content_Length="7"),
              error(412, "PreconditionFailed")) as fake:
        message = refused(tool(fake.endpoint, "get", "bucket", "key"), RETRY)
    assert "sys 412" in message


def test_a_download_that_never_gets_anywhere_is_given_up():
    with Fake(answer(200, BODY, send=0, ETag="\"v1\"")) as fake:
        refused(tool(fake.endpoint, "get", "bucket", "key"), RETRY)
    assert len(fake.requests) == 6


def test_headers_that_libs3_cannot_read_are_no_answer():
    with Fake(answer(200, BODY, etag="\"v1\"")) as fake:
        message = refused(
            tool(fake.endpoint, "get", "bucket", "key"), UNSUPPORTED)
    assert "spelling" in message
    with Fake(answer(200, BODY, Content_Type="a" * 700,
                     ETag="\"v1\"")) as fake:
        message = refused(
            tool(fake.endpoint, "head", "bucket", "key"), UNSUPPORTED)
    assert "no room" in message


def test_an_upload_is_sent_again_from_its_beginning():
    with Fake(hang_up, error(503, "SlowDown"), *stored(BODY)) as fake:
        done = tool(fake.endpoint, "put", "bucket", "key", stdin=BODY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().strip() == hashlib.md5(BODY).hexdigest()
    assert [r[0] for r in fake.requests] == ["PUT", "PUT", "PUT", "HEAD"]
    assert fake.requests[2][3] == BODY


@pytest.mark.parametrize("there", [
    answer(404), stored(BODY[:-1])[1], stored(BODY[1:] + b"x")[1]],
    ids=["nothing", "less", "other"])
def test_an_upload_that_did_not_arrive_is_found_out(there):
    # libs3 takes an error without a document for success.
    with Fake(answer(503), there, *stored(BODY)) as fake:
        done = tool(fake.endpoint, "put", "bucket", "key", stdin=BODY)
    assert done.returncode == 0, done.stderr
    assert [r[0] for r in fake.requests] == ["PUT", "HEAD", "PUT", "HEAD"]
    with Fake(answer(503), there, answer(503), there, answer(503), there,
              answer(503), there, answer(503), there, answer(503),
              there) as fake:
        message = refused(
            tool(fake.endpoint, "put", "bucket", "key", stdin=BODY), RETRY)
    assert "not what is there afterwards" in message
    assert len(fake.requests) == 12


@pytest.mark.parametrize("there,what", [
    ({}, "m"), ({"x-amz-meta-m": "x"}, "m"),
    ({"x-amz-meta-m": "v", "Content-Type": "text/other"}, "content-type")])
def test_metadata_that_did_not_arrive_is_found_out(there, what):
    with Fake(*stored(BODY, **there)) as fake:
        message = refused(
            tool(fake.endpoint, "put", "bucket", "key", "x-amz-meta-m=v",
                 "content-type=text/plain", stdin=BODY), UNSUPPORTED)
    assert '"%s" is not on the server as it was sent' % what in message
    assert len(fake.requests) == 2


def test_a_bucket_that_was_not_made_is_found_out():
    with Fake(answer(503), error(404, "NoSuchBucket"), answer(200),
              answer(200, "<LocationConstraint/>")) as fake:
        done = tool(fake.endpoint, "bucket", "create", "bucket",
                    AWS_REGION="eu-west-1")
    assert done.returncode == 0, done.stderr
    assert [r[0] for r in fake.requests] == ["PUT", "GET", "PUT", "GET"]
    assert b"eu-west-1" in fake.requests[0][3]


# ---- listings ----

def asked_behind(fake):
    return [urllib.parse.parse_qs(urllib.parse.urlsplit(r[1]).query)
            .get("marker", [None])[0] for r in fake.requests]


def test_a_listing_that_breaks_off_goes_on_behind_its_last_key():
    whole = len(contents("a")) + len("<ListBucketResult xmlns=\"x\">"
                                     "<IsTruncated>false</IsTruncated>")
    with Fake(page(["a", "b", "c"], send=whole + 30), page(["b", "c"]),
              *END) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"a\t1\te\nb\t1\te\nc\t1\te\n"
    assert asked_behind(fake) == [None, "a", "c", "c"]


def test_one_empty_page_is_no_end():
    with Fake(page(["a"]), page([]), page(["b c"]), *END) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.stdout == b"a\t1\te\nb c\t1\te\n"
    assert asked_behind(fake) == [None, "a", "a", "b c", "b c"]


def test_a_listing_cut_before_its_first_key_is_asked_for_again():
    many = ["k%04d" % n for n in range(100)]
    with Fake(page(many, send=20), page(many), *END) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.stdout.decode().split() == \
        [word for key in many for word in (key, "1", "e")]
    assert len(fake.requests) == 4


@pytest.mark.parametrize("pages,expected,words", [
    ([page(["b", "a"])], CORRUPT, "out of order"),
    ([page(["a", "b"]), page(["b"])], CORRUPT, "repeat"),
    ([page([], kind="text/html")], CORRUPT, "no XML"),
    ([answer(200, "")], CORRUPT, "no XML"),
    ([page(["a\ufffdb"])], UNSUPPORTED, "cannot tell"),
    ([page(["a" * 1023])], UNSUPPORTED, "longer"),
    ([page(["a"], kind="text/html"), page([], kind="text/html")], CORRUPT,
     "no XML"),
], ids=lambda value: value.replace(" ", "_")
    if isinstance(value, str) else "")
def test_a_listing_that_cannot_be_trusted_is_refused(pages, expected, words):
    with Fake(*pages) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), expected)
    assert words in message


def test_dates_do_not_depend_on_where_one_is():
    zones = ("UTC", "America/New_York", "Asia/Kathmandu")
    for zone in zones:
        with Fake(page(["a"]), *END) as fake:
            done = tool(fake.endpoint, "list", "bucket", TZ=zone,
                        S3_TOOL_DATES="1")
        assert done.stdout == b"a\t1\te\t2026-01-01T00:00:00.000Z\n"


# ---- what is refused before anything is sent ----

@pytest.mark.parametrize("words,reason", [
    (["put", "b-1", "a b"], "writes a space"),
    (["get", "b-1", "a b"], "writes a space"),
    (["get", "b-1", "a/../b"], "folders"),
    (["delete", "b-1", "./b"], "folders"),
    (["put", "b-1", "a/."], "folders"),
    (["get", "b-1", "x" * 1025], "1,024 bytes"),
    (["put", "b-1", "k", "x-amz-tagging=a=b"], "x-amz-tagging"),
    (["put", "b-1", "k", "expires=Thu, 01 Jan 2032 00:00:00 GMT"], "expires"),
    (["put", "b-1", "k", "content-disposition=inline"], "disposition"),
    (["put", "b-1", "k", "content-type=" + "t" * 120], "too long"),
    (["put", "b-1", "k", "x-amz-meta-a="], "without a value"),
    (["put", "b-1", "k", "x-amz-meta-a= b"], "blanks"),
    (["put", "b-1", "k", "x-amz-meta-a=b\r\nx-amz-acl: public-read"],
     "line break"),
    (["put", "b-1", "k", "x-amz-meta-a=" + "v" * 2040], "too much metadata"),
    (["put", "b-1", "k"] + ["x-amz-meta-%d=v" % n for n in range(101)],
     "too much metadata"),
    (["tags", "b-1", "k"], "knows no tags"),
    (["tags", "b-1", "k", "a=b"], "knows no tags"),
    (["multipart", "b-1", "k", "0"], "uploads in parts"),
    (["link", "b-1", "k", "60"], "no links"),
    (["list", "b-1", "p" * 1024], "prefix"),
], ids=lambda value: "_".join(value)[:40] if isinstance(value, list) else "")
def test_what_libs3_cannot_do_is_named_and_not_sent(words, reason):
    with Fake(answer(200, ETag="\"x\"")) as fake:
        message = refused(tool(fake.endpoint, *words, stdin=b"x"), UNSUPPORTED)
    assert reason in message
    assert not fake.requests


def test_accounts_that_libs3_cannot_sign_for_are_refused():
    with Fake(answer(200)) as fake:
        for more, reason in ((dict(AWS_SESSION_TOKEN="t0ken"), "session"),
                             (dict(secret="s3cret" * 11), "secret keys"),
                             (dict(key="k" * 81), "access keys")):
            message = refused(tool(fake.endpoint, "list", "bucket", **more),
                              UNSUPPORTED)
            assert reason in message
            assert "t0ken" not in message and "s3cret" not in message
        assert not fake.requests


def test_versions_are_not_known_of(real, bucket):
    assert real("bucket", "versioning", bucket).stdout == b"3\n"
    assert "versions of objects" in refused(
        real("versions", bucket), UNSUPPORTED)


# ---- MinIO ----

def test_keys_come_back_as_they_are(real, s3, bucket):
    for key in KEYS:
        done = real("put", bucket, key, stdin=key.encode())
        assert done.returncode == 0, (key, done.stderr)
        etag = "\"%s\"" % done.stdout.decode().strip()
        assert s3.head_object(Bucket=bucket, Key=key)["ETag"] == etag
    listed = real("list", bucket).stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in listed] == \
        sorted(KEYS, key=lambda key: key.encode())
    for key in KEYS:
        assert real("get", bucket, key).stdout == key.encode()
        seen = s3.get_object(Bucket=bucket, Key=key)
        assert seen["Body"].read() == key.encode()
    assert real("delete", bucket, *KEYS).returncode == 0
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_long_listing_agrees_with_the_witness(real, s3, bucket):
    keys = sorted("%s %d" % ("abc"[n % 3], n) for n in range(1234))
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key)  # no Body: boto3 stalls on it
    listed = real("list", bucket).stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in listed] == keys
    listed = real("list", bucket, "b ").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in listed] == \
        [key for key in keys if key.startswith("b ")]


def test_headers_and_metadata_arrive_and_come_back(real, s3, bucket):
    done = real("put", bucket, "o", "content-type=text/x-test",
                "cache-control=max-age=1", "content-encoding=identity",
                "content-disposition=attachment; filename=\"a b.txt\"",
                "x-amz-meta-some=thing  spaced", "x-amz-meta-other=\u00fc",
                stdin=b"x")
    assert done.returncode == 0, done.stderr
    seen = s3.head_object(Bucket=bucket, Key="o")
    assert seen["ContentType"] == "text/x-test"
    assert seen["CacheControl"] == "max-age=1"
    assert seen["ContentEncoding"] == "identity"
    assert seen["ContentDisposition"] == "attachment; filename=\"a b.txt\""
    assert seen["Metadata"]["some"] == "thing  spaced"
    told = real("head", bucket, "o").stdout.decode()
    for line in ("content-type: text/x-test", "content-length: 1",
                 "x-amz-meta-some: thing  spaced"):
        assert line + "\n" in told


def test_buckets_are_made_and_removed(real, bucket):
    other = bucket + "-v2"
    assert "NoSuchBucket" in refused(real("bucket", "head", other), NOTFOUND)
    assert real("bucket", "create", other).returncode == 0
    assert real("bucket", "head", other).returncode == 0
    assert "BucketAlreadyOwnedByYou" in refused(
        real("bucket", "create", other), EXISTS)
    assert real("bucket", "delete", other).returncode == 0
    refused(real("bucket", "head", other), NOTFOUND)


def test_a_large_object_there_and_back(real, s3, bucket):
    data = os.urandom(20 << 20)
    assert real("put", bucket, "o", stdin=data).returncode == 0
    assert s3.get_object(Bucket=bucket, Key="o")["Body"].read() == data
    assert real("get", bucket, "o").stdout == data
    empty = real("put", bucket, "empty")
    assert empty.returncode == 0, empty.stderr
    assert real("get", bucket, "empty").stdout == b""


def test_wrong_credentials_are_told_apart(real, minio, bucket):
    done = tool(minio.endpoint, "list", bucket, key="nobody")
    assert "InvalidAccessKeyId" in refused(done, AUTH)
    done = tool(minio.endpoint, "list", bucket, key=minio.access_key,
                secret="wrong-secret")
    assert "SignatureDoesNotMatch" in refused(done, AUTH)
    assert b"wrong-secret" not in done.stderr
    assert "NoSuchBucket" in refused(real("list", "no-such-bucket"), NOTFOUND)
    assert "NoSuchKey" in refused(real("get", bucket, "nothing"), NOTFOUND)


# ---- buckets as sources ----

PLAIN = ["q/\u00fc/\u00e9&x=1?#%41+", "dir/", "e\u0301", "A", "a", "a-b",
         "x" * 255 + "/" + "y" * 255]


@pytest.fixture
def filled(stack, s3, minio, bucket):
    for key in PLAIN:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 7)
    s3.put_object(Bucket=bucket, Key="big", Body=os.urandom(20 << 20))
    s3.put_object(
        Bucket=bucket, Key="rich", Body=b"<p>rich</p>",
        ContentType="text/html; charset=utf-8",
        Metadata={"owner": "somebody", "note": "two  spaces"})
    # At the end: boto3 waits with a long body that follows an empty one.
    s3.put_object(Bucket=bucket, Key="empty")
    stack.add_bucket("up", minio, bucket=bucket, signature="v2")
    return bucket


def test_a_bucket_comes_back_as_it_was(stack, s3, filled):
    before = witness.bucket(s3, filled)
    done = stack.run("backup-create", "--json")
    assert done.status == DEGRADED, str(done)
    omission, = done.of_type("omission")
    assert omission["path"] == "bucket/up" and "tags" in str(omission)
    empty_bucket(s3, filled)
    stack.restore(statuses=(DEGRADED,))
    assert not witness.differences(before, witness.bucket(s3, filled))


def test_a_second_backup_fetches_only_what_changed(stack, s3, filled):
    stack.create(statuses=(DEGRADED,))
    s3.put_object(Bucket=filled, Key="a", Body=b"changed")
    s3.delete_object(Bucket=filled, Key="A")
    result = stack.create(statuses=(DEGRADED,))
    assert result["stored_bytes"] < 100000
    paths = stack.entries("latest", "bucket/up/")
    assert "bucket/up/a" in paths and "bucket/up/A" not in paths


def test_what_libs3_cannot_name_is_left_out_by_name(stack, s3, filled):
    s3.put_object(Bucket=filled, Key="two words", Body=b"x")
    done = stack.run("backup-create")
    assert done.status == DEGRADED, str(done)
    assert "bucket/up/two words" in done.err
    assert "writes a space" in done.err
    assert "bucket/up/a" in stack.entries("latest", "bucket/up/")

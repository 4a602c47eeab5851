# SPDX-License-Identifier: Apache-2.0
"""The S3 client against MinIO, with boto3 as the witness, and against a server
that misbehaves in every way that real ones were seen to."""

import email.utils
import hashlib
import http.server
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests",
                    "integration", "s3_tool")

AUTH, EXISTS, NOTFOUND, CORRUPT, RETRY = 6, 4, 3, 5, 7
UNSUPPORTED, INVALID = 9, 10


def tool(endpoint, *words, stdin=b"", key="key", secret="secret", **more):
    environment = dict(os.environ, AWS_ENDPOINT_URL=endpoint,
                       AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret,
                       no_proxy="*", **more)
    return subprocess.run([TOOL] + list(words), input=stdin,
                          env=environment, capture_output=True, timeout=60)


def refused(done, code):
    """The message of a call that failed with that code."""
    message = done.stderr.decode(errors="replace")
    assert done.returncode == 1, message
    assert message.startswith("code %d " % code), message
    return message


# ---- a server that misbehaves ----

class Fake:
    """Answers requests with the next of a list of answers; the last one is
    repeated. An answer is a function of the handler."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value
                           for name, value in self.headers.items()}
                fake.requests.append(
                    (self.command, self.path, headers, body))
                number = min(len(fake.requests), len(fake.answers)) - 1
                fake.answers[number](self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def answer(status, body=b"", send=None, **headers):
    """send: how many bytes really go out before the connection is closed."""
    if isinstance(body, str):
        body = body.encode()

    def run(handler):
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body if send is None else body[:send])
        if send is not None:
            handler.close_connection = True
            handler.wfile.flush()
            handler.connection.shutdown(2)
    return run


def error(status, code, message="for a test", **headers):
    return answer(status, "<?xml version=\"1.0\"?><Error><Code>%s</Code>"
                  "<Message>%s</Message></Error>" % (code, message),
                  **headers)


def hang_up(handler):
    handler.close_connection = True
    handler.connection.shutdown(2)


def contents(key):
    return ("<Contents><Key>%s</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            "</Contents>" % key)


def page(keys, truncated="false", token=None, count=None):
    return answer(200, "<ListBucketResult xmlns=\"x\">%s"
                  "<EncodingType>url</EncodingType><KeyCount>%d</KeyCount>"
                  "<IsTruncated>%s</IsTruncated>%s</ListBucketResult>"
                  % ("".join(map(contents, keys)),
                     len(keys) if count is None else count, truncated,
                     "" if token is None else
                     "<NextContinuationToken>%s</NextContinuationToken>"
                     % token))


# ---- trying again ----

@pytest.mark.parametrize("first", [
    error(503, "SlowDown"), error(500, "InternalError"), answer(429),
    error(400, "RequestTimeout"), answer(502, "<html>no xml</html>"), hang_up],
    ids=["SlowDown", "InternalError", "429", "RequestTimeout", "502", "reset"])
def test_what_may_pass_is_tried_again(first):
    with Fake(first, first, page(["a"])) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"a\t1\te\n"
    assert len(fake.requests) == 3


def test_tries_are_bounded_and_the_reason_is_told():
    with Fake(error(503, "SlowDown", "reduce your rate")) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), RETRY)
    assert "SlowDown: reduce your rate (HTTP 503)" in message
    assert "s3://bucket" in message
    assert len(fake.requests) == 6


def test_retry_after_is_honoured():
    with Fake(error(503, "SlowDown", Retry_After="1"), page([])) as fake:
        begin = time.monotonic()
        done = tool(fake.endpoint, "list", "bucket")
        took = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    assert took >= 1


def test_retry_after_may_be_a_date_of_the_servers_clock():
    far = time.time() - 86400
    dates = [email.utils.formatdate(far + more, usegmt=True)
             for more in (0, 1)]
    with Fake(error(503, "SlowDown", Date=dates[0], Retry_After=dates[1]),
              page([])) as fake:
        begin = time.monotonic()
        done = tool(fake.endpoint, "list", "bucket")
        took = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    assert took >= 1


@pytest.mark.parametrize("status,code,expected,hint", [
    (403, "InvalidAccessKeyId", AUTH, "AWS_ACCESS_KEY_ID"),
    (403, "SignatureDoesNotMatch", AUTH, "AWS_SECRET_ACCESS_KEY"),
    (403, "AccessDenied", AUTH, "permission"),
    (400, "ExpiredToken", AUTH, "temporary"),
    (404, "NoSuchBucket", NOTFOUND, "name and the endpoint"),
    (400, "AuthorizationHeaderMalformed", INVALID, "region"),
    (301, "PermanentRedirect", INVALID, "region"),
    (501, "NotImplemented", UNSUPPORTED, "")])
def test_what_will_not_pass_is_asked_once_and_explained(
        status, code, expected, hint):
    with Fake(error(status, code)) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), expected)
    assert code in message and hint in message
    assert len(fake.requests) == 1


@pytest.mark.parametrize("key,expected", [
    (b"plain", AUTH), ("\u00fc".encode(), AUTH), (b"\xff", UNSUPPORTED)],
    ids=["ascii", "utf8", "bytes"])
def test_a_signature_over_bytes_may_be_too_much_for_a_server(key, expected):
    with Fake(error(403, "SignatureDoesNotMatch")) as fake:
        refused(tool(fake.endpoint, "put", "bucket", key, stdin=b"x"),
                expected)


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

    silence = threading.Event()
    with Fake(silent, page(["a"])) as fake:
        done = tool(fake.endpoint, "list", "bucket")
        silence.set()
    assert done.returncode == 0, done.stderr
    assert len(fake.requests) == 2


def test_a_wrong_clock_is_set_by_the_server():
    later = email.utils.formatdate(time.time() + 7200, usegmt=True)
    with Fake(error(403, "RequestTimeTooSkewed", Date=later),
              page([])) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.returncode == 0, done.stderr
    first, second = [time.mktime(time.strptime(
        request[2]["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        for request in fake.requests]
    assert 7100 < second - first < 7300


def test_a_wrong_clock_is_seen_where_there_is_no_document():
    later = email.utils.formatdate(time.time() + 7200, usegmt=True)
    with Fake(answer(403, Date=later), answer(200)) as fake:
        done = tool(fake.endpoint, "head", "bucket", "key")
    assert done.returncode == 0, done.stderr
    with Fake(answer(403)) as fake:
        refused(tool(fake.endpoint, "head", "bucket", "key"), AUTH)
    assert len(fake.requests) == 1


def test_a_wrong_clock_that_stays_wrong_is_an_error():
    later = email.utils.formatdate(time.time() + 7200, usegmt=True)
    with Fake(error(403, "RequestTimeTooSkewed", Date=later)) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), AUTH)
    assert "clock" in message
    assert len(fake.requests) == 2


# ---- bodies ----

BODY = bytes(range(256)) * 1000


def test_a_broken_download_goes_on_where_it_broke():
    with Fake(answer(200, BODY, send=100000, ETag="\"v1\""),
              answer(206, BODY[100000:], send=50000, ETag="\"v1\"",
                     Content_Range="bytes 100000-255999/256000"),
              answer(206, BODY[150000:], ETag="\"v1\"",
                     Content_Range="bytes 150000-255999/256000")) as fake:
        done = tool(fake.endpoint, "get", "bucket", "key")
    assert done.returncode == 0, done.stderr
    assert done.stdout == BODY
    for request, place in zip(fake.requests[1:], (100000, 150000)):
        assert request[2]["range"] == "bytes=%d-" % place
        assert request[2]["if-match"] == "\"v1\""


def test_a_download_that_does_not_go_on_right_is_refused():
    with Fake(answer(200, BODY, send=100000, ETag="\"v1\""),
              answer(200, BODY, ETag="\"v1\"")) as fake:
        message = refused(tool(fake.endpoint, "get", "bucket", "key"), CORRUPT)
    assert "where the transfer broke" in message


def test_an_object_replaced_during_a_download_is_told_apart():
    with Fake(answer(200, BODY, send=100000, ETag="\"v1\""),
              error(412, "PreconditionFailed")) as fake:
        message = refused(tool(fake.endpoint, "get", "bucket", "key"), RETRY)
    assert "sys 412" in message


def test_a_download_that_never_gets_anywhere_is_given_up():
    with Fake(answer(200, BODY, send=0)) as fake:
        refused(tool(fake.endpoint, "get", "bucket", "key"), RETRY)
    assert len(fake.requests) == 6


def test_an_upload_is_sent_again_from_its_beginning():
    with Fake(hang_up, error(503, "SlowDown"),
              answer(200, ETag="\"x\"")) as fake:
        done = tool(fake.endpoint, "put", "bucket", "key", stdin=BODY)
    assert done.returncode == 0, done.stderr
    last = fake.requests[-1]
    assert last[3] == BODY
    assert last[2]["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()
    assert "content-md5" in last[2]


COMPLETE = ("<CompleteMultipartUploadResult><ETag>&quot;whole-1&quot;</ETag>"
            "</CompleteMultipartUploadResult>")
BEGUN = ("<InitiateMultipartUploadResult><UploadId>u1</UploadId>"
         "</InitiateMultipartUploadResult>")


def test_an_error_under_status_200_is_an_error():
    with Fake(answer(200, BEGUN), answer(200, ETag="\"p\""),
              error(200, "InternalError"), answer(200, COMPLETE)) as fake:
        done = tool(fake.endpoint, "multipart", "bucket", "key", "5",
                    stdin=b"12345")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"whole-1\n"
    assert len(fake.requests) == 4


def test_an_upload_without_a_name_is_none():
    with Fake(answer(200, BEGUN.replace("u1", "")), answer(404)) as fake:
        refused(tool(fake.endpoint, "multipart", "bucket", "key", "5",
                     stdin=b"12345"), CORRUPT)
    assert len(fake.requests) == 1


def test_a_put_that_failed_under_status_200_is_tried_again():
    with Fake(error(200, "InternalError"), answer(200, ETag="\"p\"")) as fake:
        done = tool(fake.endpoint, "put", "bucket", "key", stdin=b"x")
    assert done.returncode == 0, done.stderr
    assert len(fake.requests) == 2


def test_an_upload_that_fails_is_aborted_on_the_server():
    with Fake(answer(200, BEGUN), error(403, "AccessDenied"),
              answer(204)) as fake:
        refused(tool(fake.endpoint, "multipart", "bucket", "key", "5",
                     stdin=b"12345"), AUTH)
    assert fake.requests[-1][0] == "DELETE"
    assert "uploadId=u1" in fake.requests[-1][1]


def test_a_completion_whose_answer_was_lost_is_recognised():
    part = hashlib.md5(b"12345").digest()
    etag = hashlib.md5(part).hexdigest() + "-1"
    with Fake(answer(200, BEGUN), answer(200, ETag="\"p\""), hang_up,
              error(404, "NoSuchUpload"),
              answer(200, ETag="\"%s\"" % etag)) as fake:
        done = tool(fake.endpoint, "multipart", "bucket", "key", "5",
                    stdin=b"12345")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == etag + "\n"
    assert [r[0] for r in fake.requests][-1] == "HEAD"


def test_a_header_cannot_smuggle_another():
    with Fake(answer(200, ETag="\"x\"")) as fake:
        refused(tool(fake.endpoint, "put", "bucket", "key",
                     "x-amz-meta-a=b\r\nx-amz-acl: public-read"), UNSUPPORTED)
    assert not fake.requests


# ---- listings that cannot be trusted ----

@pytest.mark.parametrize("pages,words", [
    ([page(["b", "a"])], "out of order"),
    ([page(["a", "a"])], "repeated"),
    ([page(["a", "b"], "true", "t1"), page(["b"])], "repeated"),
    ([page(["a"], "true")], "no token"),
    ([page(["a"], "true", "t1"), page(["b"], "true", "t1")], "repeats its"),
    ([page(["a"], count=2)], "KeyCount"),
    ([page(["a"], "maybe")], "neither true nor false"),
    ([page([], "true", "t%d" % n) for n in range(120)], "empty"),
    ([page(["a%00b"])], "NUL"),
    ([page(["a%zz"])], "encoded wrongly"),
    ([answer(200, "<ListBucketResult></ListBucketResult>")], "IsTruncated"),
    ([answer(200, "")], "XML"),
    ([answer(200, "<html><p>captive portal</html>")], "XML"),
    ([answer(200, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")],
     "document type"),
    ([answer(200, "<a>" * 40 + "</a>" * 40)], "nested"),
], ids=lambda value: value.replace(" ", "_")
    if isinstance(value, str) else "")
def test_a_listing_that_cannot_be_trusted_is_refused(pages, words):
    with Fake(*pages) as fake:
        message = refused(tool(fake.endpoint, "list", "bucket"), CORRUPT)
    assert words in message


def test_a_listing_goes_on_past_an_empty_page():
    with Fake(page(["a"], "true", "t1"), page([], "true", "t2"),
              page(["b"])) as fake:
        done = tool(fake.endpoint, "list", "bucket")
    assert done.stdout == b"a\t1\te\nb\t1\te\n"
    assert "continuation-token=t2" in fake.requests[2][1]
    assert all("encoding-type=url" in r[1] for r in fake.requests)


def test_the_bucket_goes_into_the_host_name_where_that_is_wanted():
    with Fake(page([])) as fake:
        endpoint = fake.endpoint.replace("127.0.0.1", "localhost")
        done = tool(endpoint, "list", "bucket", S3_TOOL_VIRTUAL_HOST="1")
    assert done.returncode == 0, done.stderr
    command, path, headers, body = fake.requests[0]
    assert headers["host"].startswith("bucket.localhost:")
    assert path.startswith("/?")


# ---- MinIO ----

KEYS = ["a b+c/\u00fc/\u00e9&x=1?#%41", "dir/", "ctl\x01x", "e\u0301",
        "\u00e9", "A", "B", "a-b", "a.b", "*'() ~!$,;:@[]{}|\\^`\"<>",
        "\U0001f600", "x" * 255 + "/" + "y" * 255]


@pytest.fixture
def real(minio):
    def run(*words, **more):
        return tool(minio.endpoint, *words, key=minio.access_key,
                    secret=minio.secret_key, **more)
    run.server = minio.name
    return run


def fetched(url):
    """What somebody without keys gets from an address."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return answer.read()


def test_a_link_opens_one_object_for_a_while(real, s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        done = real("link", bucket, key, "60")
        assert done.returncode == 0, done.stderr
        assert fetched(done.stdout.decode().strip()) == key.encode()
    url = real("link", bucket, KEYS[5], "1").stdout.decode().strip()
    other = url.replace("/" + KEYS[5] + "?", "/" + KEYS[6] + "?")
    assert other != url
    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetched(other)
    assert refusal.value.code == 403
    time.sleep(2)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetched(url)
    assert refusal.value.code == 403
    for seconds in ("0", "604801"):
        assert "at most a week" in refused(
            real("link", bucket, KEYS[5], seconds), INVALID)


def test_keys_come_back_as_they_are(real, s3, bucket):
    for key in KEYS:
        done = real("put", bucket, key, stdin=key.encode())
        assert done.returncode == 0, (key, done.stderr)
    listed = real("list", bucket).stdout.decode()
    assert [line.split("\t")[0] for line in listed.splitlines()] == \
        sorted(KEYS, key=lambda key: key.encode())
    for key in KEYS:
        assert real("get", bucket, key).stdout == key.encode()
        seen = s3.get_object(Bucket=bucket, Key=key)
        assert seen["Body"].read() == key.encode()
    assert real("delete", bucket, *KEYS).returncode == 0


def test_a_long_listing_agrees_with_the_witness(real, s3, bucket):
    keys = sorted("%s/%d" % ("abc"[n % 3], n) for n in range(1234))
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key)  # no Body: boto3 stalls on an empty one
    listed = real("list", bucket).stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in listed] == keys
    listed = real("list", bucket, "b/").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in listed] == \
        [key for key in keys if key.startswith("b/")]


def test_headers_metadata_and_tags_arrive(real, s3, bucket):
    done = real("put", bucket, "o", "content-type=text/x-test",
                "cache-control=max-age=1", "content-language=de",
                "x-amz-meta-some=thing  spaced",
                "x-amz-tagging=a%20b=c%2Bd", stdin=b"x")
    assert done.returncode == 0, done.stderr
    seen = s3.head_object(Bucket=bucket, Key="o")
    assert seen["ContentType"] == "text/x-test"
    assert seen["CacheControl"] == "max-age=1"
    assert seen["ContentLanguage"] == "de"
    tags = s3.get_object_tagging(Bucket=bucket, Key="o")["TagSet"]
    assert tags == [{"Key": "a b", "Value": "c+d"}]
    assert real("tags", bucket, "o").stdout == b"a b=c+d\n"


def test_parts_make_the_etag_that_they_should(real, s3, bucket):
    sizes = [5 << 20, 6 << 20, 1000]
    data = os.urandom(sum(sizes))
    done = real("multipart", bucket, "o", *map(str, sizes), stdin=data)
    assert done.returncode == 0, done.stderr
    md5s, at = b"", 0
    for size in sizes:
        md5s += hashlib.md5(data[at:at + size]).digest()
        at += size
    etag = hashlib.md5(md5s).hexdigest() + "-3"
    assert done.stdout.decode().strip() == etag
    assert s3.head_object(Bucket=bucket, Key="o")["ETag"] == "\"%s\"" % etag
    assert real("get", bucket, "o").stdout == data


def test_many_are_deleted_at_once(real, s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key)  # no Body: boto3 stalls on an empty one
    done = real("delete", bucket, *KEYS)
    assert done.returncode == 0, done.stderr
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.every_s3_server
def test_wrong_credentials_are_told_apart(real, minio, bucket):
    done = tool(minio.endpoint, "list", bucket, key="nobody")
    assert "InvalidAccessKeyId" in refused(done, AUTH)
    done = tool(minio.endpoint, "list", bucket, key=minio.access_key,
                secret="wrong-secret")
    assert "SignatureDoesNotMatch" in refused(done, AUTH)
    assert b"wrong-secret" not in done.stderr
    assert "NoSuchBucket" in refused(real("list", "no-such-bucket"), NOTFOUND)

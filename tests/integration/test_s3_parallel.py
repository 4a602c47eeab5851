# SPDX-License-Identifier: Apache-2.0
"""Large objects over several connections at once."""

import hashlib
import os
import re
import threading

from test_s3 import (AUTH, BEGUN, CORRUPT, INVALID, Fake, answer, error, real,
                     refused, tool)

real = real  # the fixture

MIB = 1 << 20


def good(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- up ----

def test_parts_at_once_make_the_etag_of_parts_in_a_row(real, s3, bucket):
    sizes = [5 * MIB, 6 * MIB, 5 * MIB, 5 * MIB, 5 * MIB + 1, 77]
    data = os.urandom(sum(sizes))
    words = list(map(str, sizes))
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    row = good(real("multipart", bucket, "row", *words, stdin=data))
    once, version = good(real(
        "parts", bucket, "once", *words, stdin=data)).decode().splitlines()
    assert once == row.decode().strip()
    seen = s3.get_object(Bucket=bucket, Key="once")
    assert seen["ETag"] == "\"%s\"" % once
    assert seen["VersionId"] == version
    assert seen["Body"].read() == data


class Parts:
    """Takes an upload; answers the parts as it is told."""

    def __init__(self, part):
        self.part = part
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.ended = []

    def __call__(self, handler):
        query = handler.path.partition("?")[2]
        if query.startswith("uploads"):
            answer(200, BEGUN)(handler)
        elif "partNumber" in query:
            number = int(re.search("partNumber=([0-9]+)", query).group(1))
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            try:
                self.part(number)(handler)
            finally:
                with self.lock:
                    self.inside -= 1
        else:
            self.ended.append(handler.command)
            answer(204 if handler.command == "DELETE" else 200,
                   b"" if handler.command == "DELETE" else
                   "<CompleteMultipartUploadResult><ETag>e</ETag>"
                   "</CompleteMultipartUploadResult>")(handler)


def test_as_many_parts_as_connections_are_under_way():
    together = threading.Barrier(4, timeout=30)

    def part(number):
        if number <= 4:
            together.wait()
        return answer(200, ETag="\"p%d\"" % number)

    parts = Parts(part)
    with Fake(parts) as fake:
        done = tool(fake.endpoint, "parts", "bucket", "key", *"11111",
                    stdin=b"12345", S3_TOOL_STALL="60")
    assert good(done) == b"e\n"
    assert parts.most == 4 and parts.ended == ["POST"]
    bodies = {re.search("partNumber=([0-9]+)", r[1]).group(1): r[3]
              for r in fake.requests if "partNumber" in r[1]}
    assert bodies == {"%d" % n: b"%d" % n for n in range(1, 6)}
    body = fake.requests[-1][3].decode()
    assert re.findall("<ETag>(.*?)</ETag>", body) == [
        "\"p%d\"" % n for n in range(1, 6)]


def test_a_part_that_fails_aborts_the_upload():
    parts = Parts(lambda number: error(403, "AccessDenied") if number == 3
                  else answer(200, ETag="\"p\""))
    with Fake(parts) as fake:
        refused(tool(fake.endpoint, "parts", "bucket", "key", *"11111",
                     stdin=b"12345"), AUTH)
    assert parts.ended == ["DELETE"]
    assert fake.requests[-1][0] == "DELETE"


def test_a_part_that_fails_for_a_while_is_sent_again():
    failed = []

    def part(number):
        if number == 2 and len(failed) < 2:
            failed.append(number)
            return error(503, "SlowDown")
        return answer(200, ETag="\"p\"")

    parts = Parts(part)
    with Fake(parts) as fake:
        good(tool(fake.endpoint, "parts", "bucket", "key", *"111",
                  stdin=b"123"))
    assert parts.ended == ["POST"] and len(failed) == 2


def test_an_object_that_is_shorter_than_promised_is_not_completed():
    parts = Parts(lambda number: answer(200, ETag="\"p\""))
    with Fake(parts) as fake:
        refused(tool(fake.endpoint, "parts", "bucket", "key", "3", "3",
                     stdin=b"1234"), CORRUPT)
    assert parts.ended == ["DELETE"]


# ---- down ----

def test_ranges_at_once_give_the_object_in_order(real, s3, bucket):
    data = os.urandom(3 * MIB + 5)
    s3.put_object(Bucket=bucket, Key="a", Body=data)
    etag = hashlib.md5(data).hexdigest()
    done = real("ranges", bucket, "a", str(len(data)), "300000", etag)
    assert good(done) == data
    assert done.stderr.decode() == "begin \"%s\"\n" % etag
    s3.put_object(Bucket=bucket, Key="a", Body=data[::-1])
    done = real("ranges", bucket, "a", str(len(data)), "300000", etag)
    assert "sys 412" in refused_at_the_end(done)
    done = real("ranges", bucket, "a", str(len(data)), "300000")
    assert "may be of two" in refused(done, INVALID)


def ranges_of(data, spoil=None):
    def run(handler):
        first, last = map(int, re.fullmatch(
            "bytes=([0-9]+)-([0-9]+)", handler.headers["Range"]).groups())
        given = spoil(first, last) if spoil else None
        (given or answer(
            206, data[first:last + 1], ETag="\"e\"",
            Content_Range="bytes %d-%d/%d" % (first, last, len(data))))(handler)
    return run


BODY = bytes(range(256)) * 40


def test_a_range_that_breaks_goes_on():
    broken = []

    def spoil(first, last):
        if first == 2000 and not broken:
            broken.append(first)
            return answer(206, BODY[first:last + 1], send=500, ETag="\"e\"",
                          Content_Range="bytes %d-%d/10240" % (first, last))

    with Fake(ranges_of(BODY, spoil)) as fake:
        done = tool(fake.endpoint, "ranges", "bucket", "key", "10240", "1000",
                    "e")
    assert good(done) == BODY
    asked = [r[2]["range"] for r in fake.requests]
    assert "bytes=2500-2999" in asked and len(asked) == 12
    assert all(r[2]["if-match"] == "\"e\"" for r in fake.requests)


def refused_at_the_end(done):
    assert done.returncode == 1
    return done.stderr.decode().splitlines()[-1]


def test_a_range_that_is_another_is_refused():
    def spoil(first, last):
        if first == 2000:
            return answer(206, BODY[first:last], ETag="\"e\"",
                          Content_Range="bytes %d-%d/10240" % (
                              first, last - 1))

    with Fake(ranges_of(BODY, spoil)) as fake:
        message = refused_at_the_end(tool(
            fake.endpoint, "ranges", "bucket", "key", "10240", "1000", "e"))
    assert "999 bytes came where 1000" in message

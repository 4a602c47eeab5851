# SPDX-License-Identifier: Apache-2.0
"""Buckets that are missing, change underneath, or stop answering."""

import re
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from harness import witness
from harness.minio import remove_bucket
from harness.proxy import Proxy
from harness.stack import COMPLETE, DEGRADED, FAILED


@pytest.fixture
def uploads(stack, minio, s3, bucket):
    for number in range(20):
        s3.put_object(Bucket=bucket, Key="object %02d" % number,
                      Body=b"%d" % number * 1000)
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    return stack


def test_a_bucket_that_is_missing(uploads, minio):
    uploads.add_bucket("uploads", minio, bucket_name="no-such-bucket")
    result = uploads.run("backup-create")
    assert result.status == FAILED, str(result)
    assert "no-such-bucket" in result.err, str(result)
    assert uploads.snapshots() == []


def test_a_bucket_to_restore_into_that_is_missing(uploads, s3):
    uploads.create()
    before = s3.list_buckets()["Buckets"]
    result = uploads.admin("backup-restore", "latest", "--to",
                           "made-by-restore")
    assert result.status == COMPLETE, str(result)  # made, and filled
    assert len(witness.bucket(s3, "made-by-restore")) == 20
    remove_bucket(s3, "made-by-restore")
    assert s3.list_buckets()["Buckets"] == before


def test_a_wrong_secret_key(uploads, minio, bucket):
    uploads.add_bucket(
        "uploads", minio, bucket_name=bucket,
        secret_key_file=uploads.secret("wrong", "0123456789abcdef"))
    result = uploads.run("backup-create")
    assert result.status == FAILED, str(result)
    assert "bucket/uploads" in result.err, str(result)
    assert "0123456789abcdef" not in result.err
    assert uploads.snapshots() == []


def test_a_bucket_server_that_is_gone_in_the_middle_of_an_object(
        uploads, minio, s3, bucket):
    uploads.create()
    s3.put_object(Bucket=bucket, Key="big", Body=bytes(12 << 20))
    with Proxy(minio.port, cut_after=2 << 20) as proxy:
        uploads.add_bucket("uploads", minio, bucket_name=bucket,
                           endpoint="http://127.0.0.1:%d" % proxy.port)
        result = uploads.run("backup-create")
        assert proxy.was_cut
    assert result.status == FAILED, str(result)
    assert "bucket/uploads" in result.err, str(result)
    assert len(uploads.snapshots()) == 1
    uploads.add_bucket("uploads", minio, bucket_name=bucket)
    uploads.create()
    assert uploads.verify().result["objects"] == 21


class _Meddler(ThreadingHTTPServer):
    """Passes requests on; before a GET of an object it does something."""

    daemon_threads = True

    def __init__(self, endpoint, before_get):
        super().__init__(("127.0.0.1", 0), _MeddlerHandler)
        self.endpoint, self.before_get = endpoint, before_get
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server_port


class _MeddlerHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass(self):
        if self.command == "GET" and "?" not in self.path:
            self.server.before_get(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        request = urllib.request.Request(
            self.server.endpoint + self.path, method=self.command,
            data=self.rfile.read(length) if length else None,
            headers=dict(self.headers.items()))
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding",
                                    "connection"):
                self.send_header(name, value)
        size = answer.headers.get("Content-Length", str(len(body)))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass

    def log_message(self, *_):
        pass


def test_an_object_that_vanishes_between_listing_and_fetching(
        uploads, minio, s3, bucket):
    def vanish(path):
        if re.search(r"object(%20|\+)07", path):
            s3.delete_object(Bucket=bucket, Key="object 07")

    with _Meddler(minio.endpoint, vanish) as meddler:
        uploads.add_bucket("uploads", minio, bucket_name=bucket,
                           endpoint=meddler.url)
        result = uploads.run("backup-create", "--json")
        meddler.shutdown()
    # Gone for good: either the run says so by name, or it listed again and
    # the object is no part of what it promises.
    assert result.status in (COMPLETE, DEGRADED), str(result)
    assert "object 07" in result.out, str(result)
    assert result.result["objects"] == 19
    uploads.add_bucket("uploads", minio, bucket_name=bucket)
    assert "bucket/uploads/object 07" not in uploads.entries()
    assert "bucket/uploads/object 08" in uploads.entries()


def test_an_object_that_changes_between_listing_and_fetching(
        uploads, minio, s3, bucket):
    changed = []

    def change(path):
        if re.search(r"object(%20|\+)07", path) and not changed:
            changed.append(True)
            s3.put_object(Bucket=bucket, Key="object 07", Body=b"new" * 999)

    with _Meddler(minio.endpoint, change) as meddler:
        uploads.add_bucket("uploads", minio, bucket_name=bucket,
                           endpoint=meddler.url)
        result = uploads.run("backup-create", "--json")
        meddler.shutdown()
    assert changed and result.status in (COMPLETE, DEGRADED), str(result)
    uploads.add_bucket("uploads", minio, bucket_name=bucket)
    path = "bucket/uploads/object 07"
    if path in uploads.entries():
        read = uploads.admin("backup-cat", "latest", path)
        assert read.out == "new" * 999, str(read)
    else:
        assert result.status == DEGRADED and "object 07" in result.out

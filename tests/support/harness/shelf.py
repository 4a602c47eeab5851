# SPDX-License-Identifier: Apache-2.0
"""An S3 server that holds every key, in memory, and counts what it is asked:
the smallest that backups and restores of buckets need. Nobody's signature is
looked at."""

import asyncio
import bisect
import collections
import collections.abc
import email.utils
import hashlib
import re
import threading
import time
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000
KEPT = ("content-type", "cache-control", "content-disposition",
        "content-encoding", "content-language", "expires",
        "x-amz-website-redirect-location")

Object = collections.namedtuple("Object", "body etag headers tags modified")


def make(body=b"", headers=(), tags=(), modified=None):
    return Object(body, hashlib.md5(body).hexdigest(), dict(headers),
                  dict(tags), modified if modified is not None else time.time())


def _stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


class Numbered(collections.abc.Mapping):
    """Objects that nobody made: as many as one likes, in no memory. To be a
    bucket of a Shelf: `shelf.buckets[name]`, and `keys` is
    `shelf.sorted[name]`."""

    def __init__(self, count):
        self.keys = _Keys(count)
        self.modified = time.time() - 3600

    def __getitem__(self, key):
        number = self.keys.number(key)
        return make(b"%d" % number * 20, modified=self.modified)

    def __len__(self):
        return len(self.keys)

    def __iter__(self):
        return iter(self.keys)


class _Keys(collections.abc.Sequence):
    """Their keys, in order."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, at):
        if not 0 <= at < self.count:
            raise IndexError(at)
        return b"%04d/object %08d" % (at // 997, at)

    def number(self, key):
        number = int(key.rpartition(b" ")[2])
        if self[number] != key:
            raise KeyError(key)
        return number


class _Connection(asyncio.Protocol):
    def __init__(self, shelf):
        self.shelf, self.pending, self.needs = shelf, b"", 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.pending += data
        while len(self.pending) >= self.needs:
            end = self.pending.find(b"\r\n\r\n")
            if end < 0:
                return
            line, *rest = self.pending[:end].decode("latin-1").split("\r\n")
            headers = {}
            for header in rest:
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            length = int(headers.get("content-length", 0))
            if self.needs == 0 and "expect" in headers:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.needs = end + 4 + length
            if len(self.pending) < self.needs:
                return
            body = self.pending[end + 4:self.needs]
            self.pending, self.needs = self.pending[self.needs:], 0
            self.answer(line, headers, body)

    def answer(self, line, headers, body):
        method, target, _ = line.split(" ")
        status, answered, content = self.shelf.answer(
            method, target, headers, body)
        lines = ["HTTP/1.1 %d Whatever" % status,
                 "Date: " + email.utils.formatdate(
                     time.time() + self.shelf.ahead, usegmt=True)]
        breaks = answered.pop("breaks", False)
        if "Content-Length" not in answered and status != 204 and not breaks:
            lines.append("Content-Length: %d" % len(content))
        lines += ["%s: %s" % item for item in answered.items()]
        self.transport.write("\r\n".join(lines).encode("latin-1")
                             + b"\r\n\r\n"
                             + (b"" if method == "HEAD" else content))
        if breaks:
            self.transport.close()


class Shelf:
    """Looks like a Minio to a Stack. `buckets`: the objects of each, by the
    bytes of their keys. `refuse(method, key)` may answer a status and code,
    and a message."""

    def __init__(self, refuse=lambda method, key: None, knows_tags=True):
        self.access_key, self.secret_key = "someone", "something"
        self.refuse, self.knows_tags = refuse, knows_tags
        self.has_tagging = True
        self.begins_behind = True  # knows start-after,
        self.breaks_off = None     # but ends behind this key,
        self.always_breaks = False # or without it, too,
        self.empty_behind = None   # or at once, behind this and greater ones
        self.buckets, self.sorted = {}, {}
        self.counts = collections.Counter()
        self.uploads = {}
        self.begun = {}  # of uploads: key and date, where they are listed
        self.ahead = 0   # its clock, seconds
        self.parts = {}  # sizes, as it tells them, by key
        self.breaks = {} # bytes after which it hangs up, by key

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.endpoint = "http://127.0.0.1:%d" % self.port
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.server.close()
        self.loop.close()

    def asked(self):
        """How often each thing was asked for since the last time."""
        counts, self.counts = self.counts, collections.Counter()
        return counts

    def put(self, bucket, key, *args, **options):
        self.buckets.setdefault(bucket, {})[key] = make(*args, **options)
        self.sorted.pop(bucket, None)

    # ---- answers ----

    def answer(self, method, target, headers, body):
        split = urlsplit(target if not target.startswith("//")
                         else "http://x" + target)
        bucket, _, key = split.path[1:].partition("/")
        key = unquote_to_bytes(key)
        query = dict(parse_qsl(split.query, keep_blank_values=True,
                               encoding="latin-1"))
        what = next((name for name in ("list-type", "tagging", "versioning",
                                       "delete", "uploads", "uploadId")
                     if name in query), "object" if key else "bucket")
        self.counts[method, what] += 1
        refusal = self.refuse(method, key) if key else None
        if refusal is not None:
            return self._error(*refusal)
        if not key:
            return self._bucket(method, bucket, what, query, body)
        if bucket not in self.buckets:
            return self._error(404, "NoSuchBucket")
        if what == "tagging" and not self.has_tagging:
            return self._error(501, "NotImplemented")
        if what == "tagging":
            return self._tagging(method, bucket, key, body)
        if what in ("uploads", "uploadId"):
            return self._upload(method, bucket, key, query, headers, body)
        if "partNumber" in query and key in self.parts:
            sizes = self.parts[key]
            return 200, {
                "x-amz-mp-parts-count": str(len(sizes)), "Content-Length":
                str(sizes[int(query["partNumber"]) - 1])}, b""
        return self._object(method, bucket, key, headers, body)

    @staticmethod
    def _error(status, code, message="for a test"):
        return status, {}, ("<Error><Code>%s</Code><Message>%s</Message>"
                            "</Error>" % (code, message)).encode()

    def _bucket(self, method, bucket, what, query, body):
        if method == "PUT" and what == "bucket":
            self.buckets.setdefault(bucket, {})
            return 200, {}, b""
        if bucket not in self.buckets:
            return self._error(404, "NoSuchBucket")
        if what == "list-type":
            return self._list(bucket, query)
        if what == "delete":
            for key in re.findall(b"<Key>(.*?)</Key>", body, re.S):
                for entity, byte in ((b"lt", b"<"), (b"gt", b">"),
                                     (b"quot", b'"'), (b"apos", b"'"),
                                     (b"amp", b"&")):
                    key = key.replace(b"&%s;" % entity, byte)
                self._drop(bucket, key)
            return 200, {}, b"<DeleteResult/>"
        if what == "uploads":
            return 200, {}, ("<ListMultipartUploadsResult>%s<IsTruncated>false"
                             "</IsTruncated></ListMultipartUploadsResult>"
                             % "".join(
                                 "<Upload><Key>%s</Key><UploadId>%s</UploadId>"
                                 "<Initiated>%s</Initiated></Upload>" % (
                                     key, name, date)
                                 for name, (key, date) in self.begun.items()
                                 if name in self.uploads)).encode()
        if what == "versioning":
            return 200, {}, b"<VersioningConfiguration/>"
        return 200, {}, b""

    def _drop(self, bucket, key):
        if self.buckets[bucket].pop(key, None) is not None:
            self.sorted.pop(bucket, None)

    def _list(self, bucket, query):
        if bucket not in self.sorted:
            self.sorted[bucket] = sorted(self.buckets[bucket])
        keys = self.sorted[bucket]
        prefix = query.get("prefix", "").encode("latin-1")
        start = bisect.bisect_left(keys, prefix)
        if "continuation-token" in query:
            start = bisect.bisect_right(
                keys, bytes.fromhex(query["continuation-token"]))
        elif "start-after" in query and self.begins_behind:
            start = max(start, bisect.bisect_right(
                keys, query["start-after"].encode("latin-1")))
        page = []
        for at in range(start, min(start + PAGE, len(keys))):
            if not keys[at].startswith(prefix):
                break
            page.append(keys[at])
        more = (len(page) == PAGE and start + PAGE < len(keys)
                and keys[start + PAGE].startswith(prefix))
        behind = query.get("start-after", "").encode("latin-1")
        if self.empty_behind is not None and behind >= self.empty_behind:
            page, more = [], False
        if (behind or self.always_breaks) and self.breaks_off in page:
            page = page[:page.index(self.breaks_off) + 1]
            more = False
        text = ["<ListBucketResult><EncodingType>url</EncodingType>"
                "<KeyCount>%d</KeyCount><IsTruncated>%s</IsTruncated>" % (
                    len(page), "true" if more else "false")]
        if more:
            text.append("<NextContinuationToken>%s</NextContinuationToken>"
                        % page[-1].hex())
        objects = self.buckets[bucket]
        for key in page:
            item = objects[key]
            text.append(
                "<Contents><Key>%s</Key><Size>%d</Size><ETag>&quot;%s&quot;"
                "</ETag><LastModified>%s</LastModified></Contents>" % (
                    quote(key), len(item.body), item.etag,
                    _stamp(item.modified)))
        text.append("</ListBucketResult>")
        return 200, {}, "".join(text).encode()

    def _object(self, method, bucket, key, headers, body):
        objects = self.buckets[bucket]
        if method == "PUT":
            self.put(bucket, key, body, self._own(headers), parse_qsl(
                headers.get("x-amz-tagging", ""), keep_blank_values=True))
            return 200, {"ETag": '"%s"' % objects[key].etag}, b""
        if method == "DELETE":
            self._drop(bucket, key)
            return 204, {}, b""
        if key not in objects:
            return self._error(404, "NoSuchKey")
        item = objects[key]
        answered = {"ETag": '"%s"' % item.etag,
                    "Last-Modified": email.utils.formatdate(
                        item.modified, usegmt=True),
                    "Content-Length": str(len(item.body)), **item.headers}
        if item.tags and self.knows_tags:
            answered["x-amz-tagging-count"] = str(len(item.tags))
        if method == "GET" and key in self.breaks:
            del answered["Content-Length"]
            return 200, {**answered, "breaks": True}, \
                item.body[:self.breaks[key]]
        if method == "GET" and "range" in headers:
            return self._range(item.body, headers["range"], answered)
        return 200, answered, item.body

    def _range(self, body, wanted, answered):
        first, _, last = wanted[len("bytes="):].partition("-")
        if int(first) >= len(body):
            return self._error(416, "InvalidRange")
        part = body[int(first):int(last) + 1 if last else None]
        answered["Content-Length"] = str(len(part))
        answered["Content-Range"] = "bytes %s-%d/%d" % (
            first, int(first) + len(part) - 1, len(body))
        return 206, answered, part

    @staticmethod
    def _own(headers):
        return {name: value for name, value in headers.items()
                if name in KEPT or name.startswith("x-amz-meta-")}

    def _tagging(self, method, bucket, key, body):
        objects = self.buckets[bucket]
        if method == "PUT":
            pairs = re.findall("<Key>(.*?)</Key><Value>(.*?)</Value>",
                               body.decode())
            objects[key] = objects[key]._replace(tags=dict(pairs))
            return 200, {}, b""
        return 200, {}, (
            "<Tagging><TagSet>%s</TagSet></Tagging>" % "".join(
                "<Tag><Key>%s</Key><Value>%s</Value></Tag>" % (
                    escape(name), escape(value))
                for name, value in objects[key].tags.items())).encode()

    def _upload(self, method, bucket, key, query, headers, body):
        name = query.get("uploadId", "u%d" % len(self.uploads))
        if method == "POST" and "uploads" in query:
            self.uploads[name] = (headers, {})
            return 200, {}, (
                "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
                "</InitiateMultipartUploadResult>" % name).encode()
        if method == "PUT":
            self.uploads[name][1][int(query["partNumber"])] = body
            return 200, {"ETag": '"%s"' % hashlib.md5(body).hexdigest()}, b""
        headers, parts = self.uploads.pop(name)
        if method == "DELETE":
            return 204, {}, b""
        pieces = [parts[number] for number in sorted(parts)]
        etag = "%s-%d" % (hashlib.md5(b"".join(
            hashlib.md5(piece).digest() for piece in pieces)).hexdigest(),
            len(pieces))
        self.put(bucket, key, b"".join(pieces), self._own(headers))
        self.buckets[bucket][key] = self.buckets[bucket][key]._replace(
            etag=etag)
        return 200, {}, ("<CompleteMultipartUploadResult><ETag>&quot;%s&quot;"
                         "</ETag></CompleteMultipartUploadResult>"
                         % etag).encode()

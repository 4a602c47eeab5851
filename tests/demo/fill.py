# SPDX-License-Identifier: Apache-2.0
"""Fills the demonstration: a database, a bucket and a folder, always the same
for the same scale. `change` then does a day's work on them."""

import hashlib
import os
import random
import unicodedata
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
KIB, MIB = 1 << 10, 1 << 20

ROLES = ("demo_owner", "demo_reader", "demo writer")

# What has broken object tools before, as far as MinIO takes it.
AWKWARD_KEYS = [
    "awkward/with space.txt",
    "awkward/plus+plus.txt",
    "awkward/100%.txt",
    "awkward/%41 is not A.txt",
    "awkward/a&b=c;d.txt",
    "awkward/'single' \"double\".txt",
    "awkward/<xml>&amp;.txt",
    "awkward/question?mark#hash.txt",
    "awkward/tilde~star*bang!(x)[y]{z}.txt",
    "awkward/comma,colon:at@dollar$.txt",
    "awkward/backslash\\here.txt",
    "awkward/caf\u00e9.txt",
    "awkward/" + unicodedata.normalize("NFD", "cafe\u0301") + ".txt",
    "awkward/\u65e5\u672c\u8a9e/\U0001f5c4\ufe0f.bin",
    "awkward/control\u0001\u001f.txt",
    "awkward/newline\nin it.txt",
    "awkward/trailing space ",
    "awkward/UPPER.txt",
    "awkward/upper.txt",
    "awkward/folder/",
    "awkward/folder/child",
    "awkward/a",
    "awkward/a-b",
    "awkward/a.b/c",
    "awkward/a0",
    "awkward/.hidden",
    "awkward/...",
    "awkward/-dash",
    "awkward/" + "/".join(["n" * 200] * 4) + "/" + "e" * 80,
]

CONTENT_TYPES = ["text/plain; charset=utf-8", "image/png", "application/pdf",
                 "application/octet-stream", "application/x-odd+json"]


def _bytes(name, size):
    """The content of an object: half of them compress, half do not."""
    digest = hashlib.sha256(name.encode()).digest()
    if digest[0] % 2:
        return random.Random(digest).randbytes(size)
    line = b"%s: the quick brown fox\n" % digest.hex().encode()
    return (line * (size // len(line) + 1))[:size]


def _small_size(number):
    if number % 50 == 0:
        return 0
    return (number * number * 7919) % (48 * KIB) + number % 3


def _plan(scale):
    """Yields (key, size, part size or None)."""
    for key in AWKWARD_KEYS:
        yield key, 0 if key.endswith("/") else 100 + len(key), None
    big = [(40 * MIB, 16 * MIB), (40 * MIB, None), (23 * MIB + 1, 5 * MIB),
           (10 * MIB, 5 * MIB), (8 * MIB, None), (5 * MIB + 1, 5 * MIB)]
    for number, (size, part) in enumerate(big[:max(2, int(6 * scale))]):
        if scale < 1:
            size = min(size, 11 * MIB)
        yield "attachments/big/%d.bin" % number, size, part
    for number in range(max(50, int(3000 * scale)) - len(AWKWARD_KEYS) - 6):
        yield ("attachments/%02x/%06d.dat" % (number % 251, number),
               _small_size(number), None)


def _headers(key):
    number = hashlib.sha256(key.encode()).digest()[1]
    headers = {"ContentType": CONTENT_TYPES[number % len(CONTENT_TYPES)]}
    if number % 3 == 0:
        headers["Metadata"] = {"owner": "user-%d" % number,
                               "x-note": "one, two; three = %d" % number}
    if number % 4 == 0:
        headers["Tagging"] = "project=p%d&kind=demo%%20%%2B%%20more" % number
    if number % 5 == 0:
        headers["CacheControl"] = "max-age=%d" % number
        headers["ContentDisposition"] = 'attachment; filename="x y.bin"'
    if number % 7 == 0:
        headers["ContentLanguage"] = "de"
    return headers


def _put_in_parts(client, bucket, key, content, part_size, headers):
    upload = client.create_multipart_upload(Bucket=bucket, Key=key, **headers)
    parts = []
    for offset in range(0, len(content), part_size):
        number = len(parts) + 1
        part = client.upload_part(
            Bucket=bucket, Key=key, PartNumber=number,
            UploadId=upload["UploadId"],
            Body=content[offset:offset + part_size])
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload["UploadId"],
        MultipartUpload={"Parts": parts})


def _put(client, bucket, key, size, part_size, salt=""):
    content = _bytes(key + salt, size)
    headers = _headers(key)
    if part_size:
        _put_in_parts(client, bucket, key, content, part_size, headers)
    elif content:
        client.put_object(Bucket=bucket, Key=key, Body=content, **headers)
    else:
        # With an empty Body, boto3 awaits a "100 Continue" that never comes
        # and spoils the connection's next request.
        client.put_object(Bucket=bucket, Key=key, **headers)
    return key, size, hashlib.sha256(content).digest()


def fill_bucket(client, bucket, scale=1):
    """Answers (key, size, digest) of each object."""
    client.create_bucket(Bucket=bucket)
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(
            lambda item: _put(client, bucket, *item), _plan(scale)))


def fill_database(postgres, database, objects=(), scale=1):
    """The tables, their rows, and the attachments that name the objects."""
    postgres.create_database(database)
    with postgres.connect(database) as connection:
        connection.execute("SELECT set_config('demo.scale', %s, false)",
                           (str(scale),))
        _run(connection, "schema.sql")
        _run(connection, "data.sql")
        with connection.cursor().copy(
                "COPY app.attachment FROM STDIN") as copy:
            copy.set_types(["uuid", "int8", "text", "int8", "bytea"])
            tasks = max(1, int(120000 * scale))
            for number, (key, size, digest) in enumerate(objects):
                name = hashlib.md5(key.encode()).hexdigest()
                copy.write_row((name, 1 + number * 37 % tasks, key, size,
                                digest))
        _run(connection, "indexes.sql")
        connection.execute('ALTER DATABASE "%s" SET work_mem = \'8MB\''
                           % database)


def _run(connection, name):
    with open(os.path.join(HERE, name), encoding="utf-8") as script:
        connection.execute(script.read())


def drop_roles(postgres):
    for role in reversed(ROLES):
        postgres.execute("postgres", 'DROP ROLE IF EXISTS "%s"' % role)


def fill_folder(path):
    """A few files as a deployment has them, and a few odd ones."""
    os.makedirs(os.path.join(path, "etc", "empty folder"))
    _write(path, "etc/app.env", b"SECRET=hunter2\n", 0o600)
    _write(path, "compose.yaml", b"services: {}\n", 0o644)
    _write(path, "run.sh", b"#!/bin/sh\nexit 0\n", 0o755)
    _write(path, "setgid", b"", 0o2755)
    _write(path, "random.bin", _bytes("random 1", 3 * MIB + 17), 0o640)
    _write(path, "name with \u00fcml\u00e4ut\nand newline", b"odd\n", 0o644)
    _write(path, os.fsdecode(b"not utf-8 \xff\xfe"), b"odder\n", 0o644)
    os.chmod(os.path.join(path, "etc", "empty folder"), 0o1750)
    os.symlink("etc/app.env", os.path.join(path, "link"))
    os.symlink("/nowhere/at all", os.path.join(path, "dangling"))
    os.link(os.path.join(path, "random.bin"), os.path.join(path, "twin.bin"))
    with open(os.path.join(path, "sparse.img"), "wb") as out:
        out.truncate(64 * MIB)
        out.seek(32 * MIB)
        out.write(b"an island")
    try:
        os.setxattr(os.path.join(path, "compose.yaml"), "user.origin",
                    b"demo\x00binary")
    except OSError:
        pass  # not every file system has them
    os.utime(os.path.join(path, "run.sh"), ns=(10 ** 18, 10 ** 18 + 123456789))


def _write(path, name, content, mode):
    full = os.path.join(path, name)
    with open(full, "wb") as out:
        out.write(content)
    os.chmod(full, mode)


def change(postgres, database, client, bucket, path):
    """A day's work: one row of a hundred, a few objects, a file."""
    with postgres.connect(database) as connection:
        _run(connection, "change.sql")
    for number in range(10):
        key = "attachments/%02x/%06d.dat" % (number + 1, number + 1)
        _put(client, bucket, key, 10 * KIB + number, None, salt="changed")
        _put(client, bucket, "attachments/new/%d.dat" % number, 5 * KIB, None)
        client.delete_object(
            Bucket=bucket,
            Key="attachments/%02x/%06d.dat" % (number + 21, number + 21))
    _write(path, "etc/app.env", b"SECRET=hunter3\n", 0o600)
    os.unlink(os.path.join(path, "dangling"))

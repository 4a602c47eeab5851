# SPDX-License-Identifier: Apache-2.0
"""The forms of an export: what is encrypted how, on standard output, and in
parts that another command reads."""

import glob
import hashlib
import json
import os
import struct
import subprocess
import zipfile

import pytest
from harness.stack import COMPLETE, FAILED, USAGE
from test_export import MAP, everything, exporter, unpacked

assert exporter  # a fixture

WORDS = "correct horse"


@pytest.fixture
def password(exporter):
    return exporter.stack.secret("password", WORDS)


def of_plain(exporter):
    folder, _ = exporter.export("1", "plain")
    return {member: data for member, data in everything(folder).items()
            if member.startswith(("own/", "files/"))}


def extra_fields(member):
    """{id: data}"""
    found, rest = {}, member.extra
    while rest:
        kind, size = struct.unpack("<HH", rest[:4])
        found[kind], rest = rest[4:4 + size], rest[4 + size:]
    return found


def test_every_member_of_a_zip_is_encrypted_by_aes_256(exporter, password):
    output, _ = exporter.export("1", "a.zip", "--export-passphrase-file",
                                password)
    with zipfile.ZipFile(output) as archive:
        members = archive.infolist()
        assert "manifest.json" in archive.namelist()
    for member in members:
        assert member.flag_bits & 1 and member.compress_type == 99, member
        version, vendor, strength, method = struct.unpack(
            "<H2sBH", extra_fields(member)[0x9901])
        assert (vendor, strength) == (b"AE", 3), member
        assert version in (1, 2) and method in (0, 8), member


@pytest.mark.parametrize("form,command", [
    ("tar.zst", "zstd -qdc ../piped | tar x"),
    ("zip", "bsdtar --passphrase '%s' -xf ../piped" % WORDS)])
def test_standard_output_has_the_archive_and_nothing_else(
        exporter, password, form, command):
    expected = of_plain(exporter)
    sealed = ["--export-passphrase-file", password]
    for name, more in (("a", []), ("b", ["--json"])):
        done = exporter.run(
            "run", "--subject", "1", "--format", form, *more,
            *(sealed if form == "zip" else ["--no-encryption"]), "-",
            text=False)
        assert done.status == COMPLETE, str(done)
        with open(exporter.stack.path("piped"), "wb") as out:
            out.write(done.out)
        assert unpacked(exporter, name, command) == expected
        digest = hashlib.sha256(done.out).hexdigest()
        if not more:
            assert digest in done.err
            continue
        event = [json.loads(line) for line in done.err.splitlines()][-1]
        assert event["type"] == "result" and event["state"] == "complete"
        assert (event["sha256"], event["output"]) == (digest, "-")


def with_products(exporter):
    """What is looked up can be loaded again."""
    with open(exporter.map, "w") as out:
        out.write(MAP.replace("{lookup: [name]}",
                              "{lookup: [id, name, cost]}"))


def empty_copy(exporter, postgres, database):
    """A database of the same schema, without its rows."""
    target = database + "_target"
    postgres.create_database(target)
    schema = subprocess.run(
        [postgres.program("pg_dump"), "--schema-only", "-d",
         postgres.conninfo(database)], check=True, capture_output=True)
    path = exporter.stack.path("empty.sql")
    with open(path, "wb") as out:
        out.write(schema.stdout)
    postgres.psql(target, path)
    return target


def assert_loaded(done, postgres, database, target):
    assert done.status == COMPLETE, str(done)
    assert done.result["rows"] == 1 + 130 + 1
    question = "SELECT * FROM orders WHERE user_id = 1 ORDER BY id"
    assert postgres.execute(target, question) == \
        postgres.execute(database, question)


@pytest.mark.parametrize("form", ["zip", "tar.zst.age"])
def test_parts_that_are_encrypted_are_read_back(
        exporter, password, postgres, database, form):
    stack, size = exporter.stack, 64 * 1024
    with_products(exporter)
    recipient = subprocess.run(
        ["age-keygen", "-y", stack.identity], check=True,
        capture_output=True, text=True).stdout.strip()
    output, done = exporter.export(
        "1", "parts." + form, "--split", "64K",
        *(["--export-passphrase-file", password] if form == "zip"
          else ["-R", recipient]))
    parts = sorted(glob.glob(glob.escape(output) + ".*"))
    assert len(parts) >= 2 and not os.path.exists(output)
    assert parts == ["%s.%03d" % (output, n + 1) for n in range(len(parts))]
    sizes = [os.path.getsize(part) for part in parts]
    assert set(sizes[:-1]) == {size} and 0 < sizes[-1] <= size
    digest = hashlib.sha256()
    for part in parts:
        with open(part, "rb") as data:
            digest.update(data.read())
    assert digest.hexdigest() == done.result["sha256"]
    target = empty_copy(exporter, postgres, database)
    loaded = stack.run(
        "backup-import", "--json", "--database", target,
        *(["--export-passphrase-file", password] if form == "zip"
          else ["-i", stack.identity]), output)
    assert_loaded(loaded, postgres, database, target)
    os.remove(parts[1])
    assert stack.run("backup-import", "--dry-run", "--database", target,
                     *(["--export-passphrase-file", password]
                       if form == "zip" else ["-i", stack.identity]),
                     output).status not in (COMPLETE, 2)


def test_parts_in_a_bucket_are_read_where_they_are(
        exporter, password, postgres, database, minio, s3, bucket):
    def in_bucket():
        return {item["Key"]: item["Size"] for item in s3.list_objects_v2(
            Bucket=bucket, Prefix="exports/").get("Contents", [])}

    place = "s3://%s/exports/parts.zip" % bucket
    sealed = ("--export-passphrase-file", password)
    with_products(exporter)
    args = ("run", "--json", "--subject", "1", "--format", "zip", *sealed,
            "--split", "64K")
    done = exporter.run(*args, "--link", "3", place)
    assert done.status == USAGE and "that is not split" in done.err, str(done)
    assert not in_bucket()
    done = exporter.run(*args, place)
    assert done.status == COMPLETE, str(done)
    keys, sizes = map(list, zip(*sorted(in_bucket().items())))
    assert len(keys) >= 2
    assert keys == ["exports/parts.zip.%03d" % (n + 1)
                    for n in range(len(keys))]
    assert set(sizes[:-1]) == {64 * 1024} and 0 < sizes[-1] <= 64 * 1024
    digest = hashlib.sha256()
    for key in keys:
        digest.update(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert digest.hexdigest() == done.result["sha256"]

    def load(*args):
        return exporter.stack.run(
            "backup-import", "--json", "--database", target, *sealed, *args,
            place, env={"AWS_ENDPOINT_URL_S3": minio.endpoint,
                        "AWS_ACCESS_KEY_ID": minio.access_key,
                        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
                        "AWS_REGION": minio.REGION})

    target = empty_copy(exporter, postgres, database)
    assert_loaded(load(), postgres, database, target)
    s3.delete_object(Bucket=bucket, Key=keys[1])
    done = load("--dry-run")
    assert done.status == FAILED and "parts.zip" in done.err, str(done)

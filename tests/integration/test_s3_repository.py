# SPDX-License-Identifier: Apache-2.0
"""Repositories in buckets: s3://bucket/prefix wherever a folder does."""

import os
import shutil
import subprocess
import time

import pytest
from harness import s3servers
from harness.gate import Gate
from harness.shelf import Shelf
from harness.stack import COMPLETE, FAILED, Stack
from test_s3 import Fake, error

STORE_TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests",
                          "integration", "store_tool")


def split(location):
    return location[len("s3://"):].split("/", 1)


def keys(s3, location):
    bucket, prefix = split(location)
    return [item["Key"][len(prefix) + 1:]
            for page in s3.get_paginator("list_objects_v2").paginate(
                Bucket=bucket)
            for item in page.get("Contents", [])]


@pytest.fixture
def host(stack):
    """Something to back up."""
    stack.files = stack.path("files")
    os.mkdir(stack.files)
    for number in range(40):
        with open(os.path.join(stack.files, "f%d" % number), "wb") as out:
            out.write(os.urandom(100000))
    stack.add("files", "stack", paths=[stack.files])
    return stack


def assert_restores(host, *args):
    back = host.path("back")
    host.restore("latest", "--to", back, *args)
    assert subprocess.run(["diff", "-r", host.files,
                           back + host.files]).returncode == 0
    shutil.rmtree(back)


def assert_contract_holds(server, location, *left_out):
    done = subprocess.run([STORE_TOOL, location, *left_out],
                          capture_output=True,
                          env=dict(os.environ, no_proxy="*",
                                   AWS_ENDPOINT_URL=server.endpoint,
                                   AWS_ACCESS_KEY_ID=server.access_key,
                                   AWS_SECRET_ACCESS_KEY=server.secret_key))
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.every_s3_server
def test_every_case_of_the_stores_contract_holds(minio, repository):
    """No repository asks for what is below one of its objects, so a server
    that cannot answer that can hold one."""
    left_out = [] if s3servers.holds(minio, "nothing below a key") else [
        "nothing_is_below_an_object"]
    assert_contract_holds(minio, repository, *left_out)


def test_it_holds_where_conditions_are_ignored_without_a_word():
    with Shelf() as shelf:
        shelf.buckets["bucket"] = {}
        assert_contract_holds(shelf, "s3://bucket/some/prefix")


@pytest.mark.every_s3_server
@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_what_others_keep_below_the_prefix_is_nobodys(host, s3, repository):
    host.create()
    bucket, prefix = split(repository)
    foreign = ["README.TXT", "packs/Some File", "snapshots/%s" % ("A" * 64),
               "index/\u00fc", "checkpoints/tmp-1", "tmp-x"]
    for key in foreign:
        s3.put_object(Bucket=bucket, Key="%s/%s" % (prefix, key), Body=b"x")
    check = host.admin("backup-check", "--json", "--read-data")
    assert check.status == COMPLETE, str(check)
    assert not [key for key in foreign if key in check.out]
    assert host.run("backup-prune", "--keep-last", "1", "--grace",
                    "0").status == COMPLETE
    assert set(foreign) <= set(keys(s3, repository))


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_what_a_server_refuses_is_no_forgery(host, minio, repository):
    host.create()

    def answer(method, path):
        if method == "GET" and "/snapshots/" in path:
            return 403, "AccessDenied"
        return None

    with Gate(minio, answer) as gate:
        host.use_bucket(gate, repository)
        listed = host.run("backup-list")
    assert listed.status == FAILED, str(listed)
    assert "AccessDenied" in listed.err
    assert "forged" not in str(listed)


def test_of_two_who_make_a_repository_at_most_one_does(stack):
    """By a claim that each puts first, also where no condition helps."""
    def make():
        for path in (stack.key_file, stack.identity):
            if os.path.exists(path):
                os.unlink(path)
        return stack.run("backup-init", "--key-file", stack.key_file,
                         "--new-identity", stack.identity)

    with Shelf() as shelf:
        claim = b"some/prefix/tmp-new-0123456789abcdef"
        shelf.put("bucket", claim, b"tmp-new-0123456789abcdef")
        stack.use_bucket(shelf, "s3://bucket/some/prefix")
        done = make()
        assert done.status == FAILED, str(done)
        assert "somebody else is making the same" in done.err
        assert list(shelf.buckets["bucket"]) == [claim]
        # Nobody takes so long: it is of a run that was killed.
        shelf.put("bucket", claim, modified=time.time() - 16 * 60)
        done = make()
        assert done.status == COMPLETE, str(done)
        assert claim not in shelf.buckets["bucket"]


@pytest.mark.every_s3_server
@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_the_whole_life_of_a_repository(host, minio, s3, repository):
    host.create()
    again = host.run("backup-init", "--key-file", host.path("second.key"),
                     "--new-identity", host.path("second.txt"))
    assert again.status == FAILED
    assert "there is a repository already" in again.err

    os.unlink(os.path.join(host.files, "f0"))
    host.create()
    assert len(host.snapshots()) == 2
    assert host.run("backup-prune", "--keep-last", "1", "--grace",
                    "0").status == COMPLETE
    assert len(host.snapshots()) == 1
    assert_restores(host)
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)
    assert host.verify().result["is_proven"]
    assert host.admin("backup-key", "sheet", "-").status == COMPLETE
    # Nobody is at work, nothing unfinished is left, nothing means nothing.
    assert not [key for key in keys(s3, repository)
                if key.startswith(("tmp-", "sessions/", "reserve"))]

    archive = host.path("archive")
    result = host.admin("backup-archive", "latest", "--output", archive)
    assert result.status == COMPLETE, str(result)
    os.mkdir(host.path("other"))
    other = Stack(host.commands.tools, host.path("other"))
    other.use_bucket(minio, repository + "-other")
    other.init()
    result = other.run("backup-archive", "--import", archive,
                       "--identity-file", host.identity)
    assert result.status == COMPLETE, str(result)
    other.files = host.files
    assert_restores(other)


@pytest.mark.every_s3_server
@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_error_correction_makes_good_what_rots_in_a_bucket(
        host, s3, repository):
    host.options["error_correction"] = "10%"
    host.write()
    host.create()
    bucket, prefix = split(repository)
    name = [key for key in keys(s3, repository)
            if key.startswith("packs/")][0]
    key = "%s/%s" % (prefix, name)
    body = bytearray(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    body[len(body) // 2] ^= 255
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(body))
    assert host.admin("backup-check", "--read-data").status == FAILED
    host.admin("backup-check", "--read-data", "--repair")
    check = host.admin("backup-check", "--read-data")
    assert check.status == COMPLETE, str(check)
    assert_restores(host)


def test_what_is_wrong_with_a_bucket_is_told(stack, minio, repository):
    def told(*words, location=repository, **environment):
        result = stack.commands.run(
            "backup-list", "--repository", location, "--key-file",
            stack.key_file, env=dict(environment, no_proxy="*"))
        assert result.status == FAILED
        for word in words:
            assert word in result.err, str(result)

    good = {"AWS_ENDPOINT_URL": minio.endpoint,
            "AWS_ACCESS_KEY_ID": minio.access_key,
            "AWS_SECRET_ACCESS_KEY": minio.secret_key}
    told("there is no repository here", "backup-init", **good)
    told("there is no bucket 'nobody'", minio.endpoint,
         location="s3://nobody/x", **good)
    told("SignatureDoesNotMatch", "secret_key",
         **dict(good, AWS_SECRET_ACCESS_KEY="wrong"))
    told("AWS_ACCESS_KEY_ID", AWS_ENDPOINT_URL=minio.endpoint)
    told("'storage' of the configuration", location="s3://key:secret@b/x",
         **good)
    with Fake(error(403, "AccessDenied")) as fake:
        told("lack the permission", **dict(good,
                                           AWS_ENDPOINT_URL=fake.endpoint))

# SPDX-License-Identifier: Apache-2.0
"""Makes a golden repository and archive anew, with the commands of a build and
servers of its own (PostgreSQL, or MinIO):

    tests/support/python.sh tests/golden/make.py --tools build/tools grown

Everything in it, keys included, is made up and public. It is kept so that
later versions are known to read what this one wrote: once a version was
released, what is here is added to and not made again.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from harness.folder import Folder  # noqa: E402
from harness.minio import Minio  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.stack import Stack  # noqa: E402

# pylint: disable=wrong-import-position

ARCHIVE = "archive.tar.zst.age"
ROWS = """
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric);
INSERT INTO item SELECT n, 'item ' || md5(n::text), n * 1.25
    FROM generate_series(1, 3000) n;
CREATE TABLE empty (a int);
"""
CHANGE = """
UPDATE item SET price = price + 1 WHERE id % 97 = 5;
DELETE FROM item WHERE id % 211 = 7;
"""


def make_files(stack):
    top = stack.path("data")
    os.makedirs(os.path.join(top, "sub"))
    contents = {"text": b"a line\n", "empty": b"",
                "noise": random.Random(1).randbytes(20000),
                "sub/an odd n\u00e4me": b"odd\n"}
    for name, content in contents.items():
        with open(os.path.join(top, name), "wb") as out:
            out.write(content)
    os.symlink("text", os.path.join(top, "link"))
    os.link(os.path.join(top, "text"), os.path.join(top, "twin"))
    stack.add("files", "data", paths=[top])


def digests(stack, snapshot):
    """Size and SHA-256 of whatever backup-cat gives."""
    found = {}
    for path, entry in stack.entries(snapshot).items():
        found[path] = {"kind": entry["kind"]}
        result = stack.admin("backup-cat", snapshot, path, text=False)
        if "has no content" in result.err:
            continue
        assert result.status == 0, str(result)
        found[path].update(
            size=len(result.out),
            sha256=hashlib.sha256(result.out).hexdigest())
    return found


def make(stack, postgres):
    stack.options["error_correction"] = "10%"
    stack.write()
    stack.init("--new-identity", stack.identity)
    make_files(stack)
    postgres.create_database("shop")
    postgres.execute("shop", ROWS)
    stack.add_postgres("app", postgres, "shop")
    stack.create()
    postgres.execute("shop", CHANGE)
    postgres.execute("shop", "VACUUM item")
    stack.create("--tag", "monthly")
    archive = stack.path("archive.tar.zst.age")
    result = stack.admin("backup-archive", "--output", archive, "latest")
    assert result.status == 0, str(result)
    return {name: digests(stack, name) for name in stack.snapshots()}


def change(stack, args, run=None):
    result = (run or stack.admin)(*args)
    assert result.status == 0, str(result)
    return result


def write(stack, name, content):
    with open(stack.path("data", name), "wb") as out:
        out.write(content)


def make_grown(stack, postgres):
    """A repository that has been through everything: two hosts, of which one
    was revoked, a passphrase, a rotation, a proof, and a prune that is not
    done yet."""
    stack.options["error_correction"] = "10%"
    stack.write()
    stack.init("--new-identity", stack.identity)
    other = stack.path("other.key")
    passphrase = stack.secret("passphrase.txt", "correct horse battery staple")
    make_files(stack)
    change(stack, ("backup-key", "host", "other", "--key-file", other))
    change(stack, ("backup-key", "add", "--new-passphrase-file", passphrase))
    write(stack, "gone", random.Random(2).randbytes(5000))
    postgres.create_database("shop")
    postgres.execute("shop", ROWS.replace("3000", "2000"))
    stack.add_postgres("app", postgres, "shop")
    stack.create()                        # is removed by the prune
    os.remove(stack.path("data", "gone"))
    stack.create("--key-file", other, "--tag", "other")
    change(stack, ("backup-key", "rotate"))
    postgres.execute("shop", CHANGE)
    postgres.execute("shop", "VACUUM item")
    stack.create()
    change(stack, ("backup-key", "revoke", "other"))
    write(stack, "text", b"another line\n")
    stack.create()
    change(stack, ("backup-prune", "--keep-last", "2", "--keep-tag", "other"),
           stack.run)
    assert stack.verify().result["is_proven"]
    change(stack, ("backup-archive", "--output", stack.path(
        "archive.tar.zst.age"), "--archive-passphrase-file", passphrase,
        "latest", "files/data"))
    for folder in ("checkpoints", "condemned", "proofs", "parity"):
        assert os.listdir(os.path.join(stack.repository, folder)), folder
    return {name: digests(stack, name) for name in stack.snapshots()}


PEOPLE = """
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE note (id int PRIMARY KEY, owner int REFERENCES person, text text);
INSERT INTO person VALUES (1, 'somebody made up'), (2, 'somebody else');
INSERT INTO note VALUES (1, 1, 'goes'), (2, 2, 'stays'), (3, 1, 'goes, too');
"""
ERASE = """
DELETE FROM note WHERE owner = 1;
DELETE FROM person WHERE id = 1;
"""
MAP = """
version: 1
subject: {table: public.person, key: [id]}
edges:
  "public.note(owner) -> public.person(id)": own
tables: {}
"""


def make_erased(stack, postgres):
    """A repository with an entry in the ledger of erasures, and snapshots of
    before and after."""
    stack.options["error_correction"] = "10%"
    stack.write()
    stack.init("--new-identity", stack.identity)
    make_files(stack)
    postgres.create_database("club")
    postgres.execute("club", PEOPLE)
    stack.add_postgres("app", postgres, "club")
    stack.create()
    postgres.execute("club", ERASE)
    with open(stack.path("map.yaml"), "w") as out:
        out.write(MAP)
    change(stack, ("backup-export", "forget", "--map", stack.path("map.yaml"),
                   "--subject", "1"), stack.run)
    stack.create()
    archive = stack.path("archive.tar.zst.age")
    change(stack, ("backup-archive", "--output", archive, "latest"))
    assert os.listdir(os.path.join(stack.repository, "erasures"))
    return {name: digests(stack, name) for name in stack.snapshots()}


# Keys as people make them, and what may be said of an object.
OBJECTS = {
    "plain.txt": {"Body": b"plain\n", "ContentType": "text/plain"},
    "a/b c": {"Body": random.Random(4).randbytes(30000),
              "ContentType": "application/octet-stream",
              "Metadata": {"owner": "somebody made up", "n": "1"}},
    "b": {"Body": b"short\n", "CacheControl": "max-age=5",
          "ContentType": "text/plain", "ContentLanguage": "de"},
    "k\u00e4se.json": {"Body": b"{}\n", "ContentType": "application/json",
                      "Tagging": "kind=made%20up&x=1"},
    "x=1&y/+z": {"Body": b"odd\n", "ContentType": "text/x-odd"},
}


def make_mixed(stack, minio):
    """Objects of a bucket, what a command printed, files, and the archive of
    all that in parts."""
    stack.options["error_correction"] = "10%"
    stack.write()
    stack.init("--new-identity", stack.identity)
    make_files(stack)
    client = minio.client()
    client.create_bucket(Bucket="uploads")
    for key, said in OBJECTS.items():
        client.put_object(Bucket="uploads", Key=key, **said)
    stack.add_bucket("uploads", minio)
    stack.add("command", "count", run=["seq", "3000"], output="numbers.txt")
    stack.create()
    write(stack, "noise", random.Random(3).randbytes(70000))
    client.delete_object(Bucket="uploads", Key="plain.txt")
    stack.create("--tag", "second")
    archive = stack.path("archive.tar.zst.age")
    change(stack, ("backup-archive", "--split", "64K", "--output", archive,
                   "latest"))
    assert os.path.exists(archive + ".002")
    assert not os.path.exists(archive + ".003")
    return {name: digests(stack, name) for name in stack.snapshots()}


# What is made of each, with which server, and what is kept of it.
KINDS = {
    "first": (".", make, Postgres, (ARCHIVE,)),
    "grown": ("grown", make_grown, Postgres, (
        ARCHIVE, "other.key", "passphrase.txt")),
    "erased": ("erased", make_erased, Postgres, (ARCHIVE,)),
    "mixed": ("mixed", make_mixed, Minio, (
        ARCHIVE + ".001", ARCHIVE + ".002")),
}


def keep(stack, expected, here, more):
    os.makedirs(here, exist_ok=True)
    for name in ("repository", "host.key", "identity.txt", *more):
        path = os.path.join(here, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        if os.path.isdir(stack.path(name)):
            # A mebibyte of noise, which the next command puts back.
            shutil.copytree(stack.path(name), path,
                            ignore=shutil.ignore_patterns("reserve"))
        else:
            shutil.copyfile(stack.path(name), path)
    with open(os.path.join(here, "expected.json"), "w") as out:
        json.dump(expected, out, indent=1, sort_keys=True)
        out.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tools", required=True)
    parser.add_argument("kind", choices=KINDS)
    given = parser.parse_args()
    folder_name, make_it, server_of, more = KINDS[given.kind]
    with Folder("golden") as folder:
        server = server_of(folder.path)
        try:
            stack = Stack(given.tools, folder.path)
            keep(stack, make_it(stack, server),
                 os.path.join(HERE, folder_name), more)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

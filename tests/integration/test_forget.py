# SPDX-License-Identifier: Apache-2.0
"""Erasures: what is recorded of them, when, and who can tell whom one is
about."""

import glob
import hashlib
import hmac
import json
import os
import re
import struct
import subprocess

import pytest
from harness.stack import COMPLETE, FAILED, USAGE

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, number varchar(5) UNIQUE,
    name text UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users, what text);
CREATE INDEX ON orders (user_id);
INSERT INTO users VALUES (7, 'abcde', 'CANARY-seven'), (8, 'x', 'eight');
INSERT INTO orders VALUES (1, 7, 'CANARY-order'), (2, 8, 'tea');
"""

MAP = """
version: 1
subject: {table: public.users, key: [KEY]}
edges:
  "public.orders(user_id) -> public.users(id)": own
"""


class Forgetter:
    def __init__(self, stack, postgres, database):
        self.stack, self.postgres, self.database = stack, postgres, database
        self.write_map("id")

    def write_map(self, key):
        self.map = self.stack.path("map.yaml")
        with open(self.map, "w") as out:
            out.write(MAP.replace("KEY", key))

    def sql(self, text):
        path = self.stack.path("statement.sql")
        with open(path, "w") as out:
            out.write(text)
        self.postgres.psql(self.database, path)

    def erase(self, user):
        self.sql(f"DELETE FROM orders WHERE user_id = {user};"
                 f"DELETE FROM users WHERE id = {user};")

    def forget(self, *args, status=COMPLETE, map=None):
        done = self.stack.run("backup-export", "forget", "--json", "--map",
                              map or self.map, *args)
        assert done.status == status, str(done)
        return done

    def entries(self):
        folder = os.path.join(self.stack.repository, "erasures")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


@pytest.fixture
def forgetter(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    made = Forgetter(stack, postgres, database)
    made.sql(SCHEMA)
    stack.create()
    return made


def age(identity, data):
    return subprocess.run(["age", "-d", "-i", identity], input=data,
                          stdout=subprocess.PIPE, check=True).stdout


def test_an_erasure_is_recorded_once_the_subject_is_gone(forgetter):
    """And names nobody: the hash is one that only an administrator can make
    again, with nothing but age."""
    stack = forgetter.stack
    there = forgetter.forget("--subject", "7", status=FAILED)
    assert "still in public.users" in there.message, str(there)
    assert forgetter.entries() == []
    forgetter.erase(7)
    done = forgetter.forget("--subject", "0007", "--for", "ticket 5").result
    assert (done["entries"], done["snapshots"]) == (1, 1), done
    assert forgetter.entries() == [done["entry"]]
    path = os.path.join(stack.repository, "erasures", done["entry"])
    with open(path, "rb") as stored:
        entry = stored.read()
    copy = os.path.join(stack.repository, "copies/erasures", done["entry"])
    with open(copy, "rb") as stored:
        assert stored.read() == entry
    with open(stack.key_file) as lines:
        key = json.loads("".join(
            line for line in lines if not line.startswith("#")))
    host = stack.secret("metadata.txt", key["metadata_identity"])
    line = json.loads(age(host, entry).split(b"\n")[0])
    assert (line["source"], line["database"], line["table"]) == (
        "postgres/app", forgetter.database, "public.users")
    with open(forgetter.map, "rb") as text:
        map_text = text.read()
    assert line["map"] == hashlib.sha256(map_text).hexdigest()
    with pytest.raises(subprocess.CalledProcessError):
        age(host, line["sealed"].encode())
    document, = glob.glob(os.path.join(stack.repository, "keys", "*"))
    with open(document, "rb") as stored:
        admin = json.loads(age(stack.identity, stored.read()))
    data = stack.secret("data.txt", admin["data_identity"])
    key, text = age(data, line["sealed"].encode()).split(b"\n", 1)
    assert text == map_text
    assert line["hash"] == hmac.new(
        bytes.fromhex(key.decode()),
        b"public.users\0" + struct.pack("<Q", 1) + b"7",
        "sha256").hexdigest()
    found = found_by_hand(forgetter, [host, data], ["6", "7", "77", "8"])
    assert found == [["7", found[0][1], forgetter.database, line["map"]]]
    with open(stack.path("out", "maps", line["map"] + ".yaml"), "rb") as text:
        assert text.read() == map_text


def found_by_hand(forgetter, identities, keys):
    """What the script of libbackup-recovery(7) finds."""
    stack = forgetter.stack
    page = os.path.join(os.environ["top_srcdir"], "man", "libbackup-recovery.7")
    with open(page, encoding="utf-8") as text:
        found, = re.findall(r"(?ms)^(#!/bin/sh\n# recover-erasures.*?)^\.Ed$",
                            text.read())
    assert not re.search(r"\\[^e]", found), "roff that nobody would see"
    script = stack.secret("erasures.sh", found.replace("\\e", "\\"))
    os.mkdir(stack.path("out"))
    with open(stack.path("out", "identities.txt"), "w") as out:
        for identity in identities:
            with open(identity) as text:
                out.write(text.read())
    lines = stack.secret("keys.txt", "\n".join(keys))
    done = subprocess.run(
        ["sh", script, stack.repository, stack.path("out"), "postgres/app",
         "public.users", lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split(" ") for line in done.stdout.splitlines()]


def test_the_audit_file_tells_of_it_and_not_of_whom(forgetter):
    stack = forgetter.stack
    audit = stack.path("audit.log")
    forgetter.erase(7)
    done = forgetter.forget("--subject", "7", "--for", "ticket 5", "--audit",
                            audit).result
    with open(audit) as text:
        lines = [json.loads(line) for line in text]
    assert [(line["event"], line["for"], line["state"], line["sha256"])
            for line in lines] == [
        ("forget-begun", "ticket 5", None, None),
        ("forget-ended", "ticket 5", "complete", done["entry"])]
    assert all("\"7\"" not in json.dumps(line) for line in lines)
    assert stack.run("backup-export", "audit", "--audit",
                     audit).status == COMPLETE


def test_what_is_not_known_for_good_is_not_recorded(forgetter):
    forgetter.erase(7)
    wrong = forgetter.forget("--subject", "seven", status=FAILED)
    assert "public.users.id" in wrong.message, str(wrong)
    two = forgetter.forget("--subject", "7", "--subject", "8", status=FAILED)
    assert "1 column" in two.message, str(two)
    forgetter.write_map("number")
    longer = forgetter.forget("--subject", "abcdef", status=FAILED)
    assert "does not hold the value" in longer.message, str(longer)
    forgetter.forget("--subject", "abcde")
    forgetter.sql(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false);"
        "ALTER TABLE users ALTER name TYPE text COLLATE loose;")
    forgetter.write_map("name")
    loose = forgetter.forget("--subject", "CANARY", status=FAILED)
    assert "another unique column" in loose.message, str(loose)
    assert len(forgetter.entries()) == 1


def test_what_forget_needs(forgetter):
    stack = forgetter.stack
    forgetter.erase(7)
    forgetter.sql("CREATE TABLE later (id int PRIMARY KEY,"
                  " user_id bigint REFERENCES users);")
    unfit = forgetter.forget("--subject", "7", status=FAILED)
    assert "does not fit" in unfit.message, str(unfit)
    forgetter.sql("DROP TABLE later;")
    usage = stack.run("backup-export", "forget", "--map", forgetter.map)
    assert usage.status == USAGE and "--subject" in usage.err, str(usage)
    past = stack.run("backup-export", "forget", "--map", forgetter.map,
                     "--subject", "7", "--snapshot", "latest")
    assert past.status == USAGE and "live" in past.err, str(past)
    audit = forgetter.forget("--subject", "7", "--audit", "/nowhere/audit",
                             status=FAILED)
    assert "/nowhere/audit" in audit.message, str(audit)
    assert forgetter.entries() == []

# SPDX-License-Identifier: Apache-2.0
"""A part of a snapshot is verified as far as it can be restored: rows of a
table with the definitions of their database, and what has none of these is read
back, and the verdict says that this is less."""

import os

import pytest

from conftest import TOOLS
from harness.stack import COMPLETE, DEGRADED, FAILED, Stack

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE customer (id int PRIMARY KEY, mood mood,
    twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE sale (id int PRIMARY KEY, customer int REFERENCES customer)
    PARTITION BY RANGE (id);
CREATE TABLE "sale.old" PARTITION OF sale FOR VALUES FROM (0) TO (60);
CREATE TABLE sale_new PARTITION OF sale FOR VALUES FROM (60) TO (1000);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'no more'; END $$;
INSERT INTO customer SELECT n, 'glad' FROM generate_series(1, 20) n;
INSERT INTO sale SELECT n, n % 20 + 1 FROM generate_series(1, 100) n;
CREATE TRIGGER refuse BEFORE INSERT ON "sale.old" FOR EACH ROW
    EXECUTE FUNCTION refuse();
CREATE ROLE verify_part_owner;
ALTER TABLE sale_new OWNER TO verify_part_owner;
"""
DATABASE = "parts"
PATH = "postgres/app/" + DATABASE


class Shop:
    def __init__(self, postgres, folder):
        self.host = Stack(TOOLS, folder)
        self.host.write()
        self.host.init()
        postgres.create_database(DATABASE)
        postgres.execute(DATABASE, SHOP)
        self.host.add_postgres("app", postgres, DATABASE)
        self.files = self.host.path("data")
        os.makedirs(os.path.join(self.files, "sub"))
        for name in "one", "two", "sub/three":
            with open(os.path.join(self.files, name), "w") as out:
                out.write("of " + name)
        self.host.add("files", "data", paths=[self.files])
        self.host.create()

    def verify(self, *args, statuses=(COMPLETE,)):
        return self.lines(self.host.verify(*args, statuses=statuses), statuses)

    def archive(self, path):
        where = self.host.path("%s.age" % path.replace("/", "-"))
        done = self.host.admin("backup-archive", "--overwrite", "--output",
                               where, "latest", path)
        assert done.status == COMPLETE, str(done)
        return where

    def verify_archive(self, where, *args, statuses=(COMPLETE,)):
        done = self.host.commands.run(
            "backup-verify", "--json", "--repository", where,
            "--identity-file", self.host.identity, *args)
        return self.lines(done, statuses)

    def lines(self, done, statuses):
        assert done.status in statuses, str(done)
        self.result = done.result
        return lines_of(done)


def lines_of(done):
    return {line["name"]: (line["status"], line["what"])
            for line in done.of_type("check")}


@pytest.fixture(scope="module")
def shop(postgres, session_folder):
    folder = os.path.join(session_folder, "verify-part")
    os.mkdir(folder)
    yield Shop(postgres, folder)
    postgres.drop_database(DATABASE)
    postgres.execute("postgres", "DROP ROLE verify_part_owner")


def statuses(lines):
    return {status for status, _ in lines.values()}


# It is not only its rows that a table is called by, and a trigger keeps no row
# from coming back.
@pytest.mark.parametrize("table, rows", [
    ("public.customer", 20), ("public.sale=2Eold", 59)])
def test_rows_of_a_table_are_restored_and_compared(shop, table, rows):
    lines = shop.verify("latest", PATH + "/data/" + table)
    assert lines[PATH + "/data/" + table] == (
        "pass", "%d rows, row hash equal" % rows)
    assert lines[PATH + "/constraints"][0] == "skip"
    assert statuses(lines) == {"pass", "skip"}
    assert shop.result["rows"] == rows and not shop.result["is_whole"]


@pytest.mark.parametrize("name", ["schema.dump", "sequences.sql", "data"])
def test_what_cannot_be_restored_by_itself_is_read_back(shop, name):
    lines = shop.verify("latest", PATH + "/" + name)
    status, what = lines[PATH + "/" + name]
    assert status == "skip" and "read back and not restored" in what
    assert lines["postgres/app"][1].endswith("read back, digests equal")


def test_a_slash_behind_a_database_makes_it_no_less(shop):
    """As a shell completes it, or a habit."""
    lines = shop.verify("--level", "quick", "latest", PATH + "/")
    assert lines[PATH + "/database.json"][0] == "pass", sorted(lines)
    assert PATH + "/structure" not in lines
    whole = shop.verify("--level", "quick", "latest", "postgres/app/")
    assert "postgres/app/drop" in whole, sorted(whole)


def _imported(shop, archive, name):
    """A repository into which the archive was taken."""
    home = shop.host.path(name)
    os.mkdir(home)
    other = Stack(TOOLS, home)
    other.write()
    other.init()
    done = other.run("backup-archive", "--import", archive, "--json",
                     "--identity-file", shop.host.identity)
    assert done.status == DEGRADED, str(done)
    return other


def test_an_archive_of_a_table_is_read_back_wherever_it_is(shop):
    path = PATH + "/data/public.customer"
    where = shop.archive(path)
    lines = shop.verify_archive(where)
    assert statuses(lines) == {"pass", "skip"} and shop.result["rows"] == 20
    assert "the archive holds a part" in lines[path][1]
    other = _imported(shop, where, "table")
    done = other.verify(statuses=(DEGRADED,))
    assert done.result["is_proven"] and done.result["rows"] == 20
    # What is missing for another reason is missed.
    assert "postgres/app" in done.result["except"]
    # So it is where less is asked for, by a level or by a path.
    done = other.verify("latest", path)
    assert done.result["is_proven"] and done.result["rows"] == 20
    assert "the archive holds a part" in str(done.of_type("check"))
    _look_at_less_of(other)


def test_an_archive_of_a_database_has_no_structure_to_restore(shop):
    where = shop.archive(PATH)
    lines = shop.verify_archive(where, "--level", "quick")
    assert statuses(lines) == {"pass", "skip"}
    assert "the archive holds a part" in lines[PATH + "/structure"][1]
    _look_at_less_of(_imported(shop, where, "database"))


@pytest.mark.parametrize("roles", ["there", "gone", "left out"])
def test_an_archive_of_a_database_is_restored(shop, postgres, roles):
    """It has no roles: those that it needs are there, or it says how to do
    without."""
    where = shop.archive(PATH)
    copy = "parts_copy"
    owner = "verify_part_owner"
    if roles != "there":
        postgres.execute(DATABASE, "REASSIGN OWNED BY %s TO CURRENT_USER;"
                         "DROP ROLE %s" % (owner, owner))
    try:
        done = shop.host.run(
            "backup-restore", "--repository", where, "--identity-file",
            shop.host.identity, "latest", PATH, "--to", copy,
            *["--no-owner", "--no-privileges"] * (roles == "left out"))
        assert done.status == (
            FAILED if roles == "gone" else COMPLETE), str(done)
        assert ("no roles are made" in done.err) == (roles != "left out")
        assert (copy in postgres.databases()) == (roles != "gone")
        if roles == "gone":
            assert owner in done.err and "--no-owner" in done.err, str(done)
        else:
            assert postgres.execute(
                copy, "SELECT count(*) FROM sale") == [(100,)]
            postgres.drop_database(copy)
        # Nor has one of its tables, which needs none.
        done = shop.host.run(
            "backup-restore", "--repository", where, "--identity-file",
            shop.host.identity, "latest", PATH + "/data/public.customer")
        assert "no roles are made" not in done.err
    finally:
        if roles != "there":
            postgres.execute(DATABASE, "CREATE ROLE %s;"
                             "ALTER TABLE sale_new OWNER TO %s" % (
                                 owner, owner))


def _look_at_less_of(other):
    """With a level, and with a budget that is used up at once."""
    for args in ("--level", "quick"), ("--level", "sample"), ("--budget", "1s"):
        lines = lines_of(other.verify(*args, statuses=(DEGRADED,)))
        assert not {name for name, line in lines.items() if line[0] == "fail"}
        status, what = lines["postgres/app/structure"]
        assert status == "skip" and "the archive holds a part" in what


@pytest.mark.parametrize("name", ["one", "sub/three"])
def test_an_archive_of_a_file_is_restored_and_compared(shop, name):
    where = shop.archive("files/data%s/%s" % (shop.files, name))
    shop.verify_archive(where)
    assert shop.result["files"] == 1
    other = _imported(shop, where, name.replace("/", "-"))
    done = other.verify(statuses=(DEGRADED,))
    assert done.result["is_proven"] and done.result["files"] == 1, str(done)


def test_a_source_of_one_file_is_proven_from_an_archive_too(shop):
    host = _imported(shop, shop.archive("files/data%s/two" % shop.files), "new")
    host.add("files", "lone", paths=[os.path.join(shop.files, "one")])
    host.create()
    assert host.verify().result["files"] == 1
    where = host.path("lone.age")
    done = host.admin("backup-archive", "--output", where, "latest")
    assert done.status == COMPLETE, str(done)
    shop.host.identity, kept = host.identity, shop.host.identity
    try:
        shop.verify_archive(where)
    finally:
        shop.host.identity = kept
    assert shop.result["files"] == 1

# SPDX-License-Identifier: Apache-2.0
"""Parts of databases, and several at once."""

import os
from datetime import datetime

import pytest

from harness.stack import COMPLETE, FAILED


@pytest.fixture
def shop(stack, postgres, database):
    """A database, and another one of the same source."""
    other = database + "_other"
    postgres.create_database(other)
    postgres.execute(database, """
        CREATE TABLE parent (i serial PRIMARY KEY, v text UNIQUE);
        INSERT INTO parent (v) SELECT i::text FROM generate_series(1, 300) i;
        CREATE TABLE child (i int PRIMARY KEY,
            parent int NOT NULL REFERENCES parent);
        INSERT INTO child SELECT i, i FROM generate_series(1, 300) i;
        CREATE MATERIALIZED VIEW many AS SELECT count(*) AS n FROM child;
        CREATE INDEX ON child (parent);
        SELECT lo_from_bytea(4711, 'large')""")
    postgres.execute(other, "CREATE TABLE t AS SELECT 1 AS i")
    stack.add_postgres("app", postgres, database, databases=[database, other])
    stack.create()
    stack.other = other
    return stack


def restore(stack, *args, status=COMPLETE):
    done = stack.admin("backup-restore", "--json", *args)
    assert done.status == status, str(done)
    return done


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def objects(postgres, database):
    return postgres.execute(database, """
        SELECT c.relkind::text, c.relname FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'constraint', conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""")


def counts(postgres, database):
    return postgres.execute(
        database, "SELECT (SELECT count(*) FROM parent),"
        " (SELECT count(*) FROM child), (SELECT n FROM many),"
        " (SELECT count(*) FROM pg_largeobject_metadata),"
        " nextval('parent_i_seq')")[0]


def test_a_schema_alone_has_everything_but_rows(shop, postgres, database):
    twin = database + "_twin"
    done = restore(shop, "--schema-only", "--to", twin, "latest",
                   "postgres/app/" + database)
    assert (done.result["entries"], done.result["bytes"]) == (1, 0)
    assert objects(postgres, twin) == objects(postgres, database)
    assert counts(postgres, twin) == (0, 0, 0, 0, 1)
    assert counts(postgres, database) == (300, 300, 300, 1, 301)


def test_a_schema_alone_is_of_whole_databases(shop, postgres, database):
    path = "postgres/app/" + database
    for args in (("latest", path + "/data/public.child"),
                 ("--swap", "latest", path)):
        done = restore(shop, "--schema-only", *args, status=FAILED)
        assert "--schema-only" in done.err
    assert counts(postgres, database)[:2] == (300, 300)


def test_several_databases_come_back_at_once(shop, postgres, database):
    postgres.execute(database, "TRUNCATE parent, child")
    postgres.execute(shop.other, "DROP TABLE t")
    restore(shop, "--overwrite", "latest", "postgres/app")
    assert counts(postgres, database)[:2] == (300, 300)
    assert postgres.execute(shop.other, "SELECT i FROM t") == [(1,)]


def test_several_databases_are_swapped_at_once(shop, postgres, database):
    postgres.execute(shop.other, "DROP TABLE t")
    restore(shop, "--swap", "latest", "postgres/app")
    assert postgres.execute(shop.other, "SELECT i FROM t") == [(1,)]
    kept = [name for name in postgres.databases() if ".before-" in name
            and name.startswith(database)]
    assert len(kept) == 2


PG_DUMP = """#!/bin/sh
case "$*" in
*--version*) ;;
*)
	%(bin)s/psql -X -q -d "%(conninfo)s" -c "UPDATE t SET i = i + 1" || exit
	;;
esac
exec %(bin)s/pg_dump "$@"
"""


def test_all_snapshots_are_taken_before_any_schema_is_read(
        shop, postgres, database):
    """pg_dump takes its time, and meanwhile the other database goes on."""
    folder = shop.path("bin")
    os.mkdir(folder)
    for name in os.listdir(postgres.bindir):
        if name != "pg_dump":
            os.symlink(os.path.join(postgres.bindir, name),
                       os.path.join(folder, name))
    with open(os.path.join(folder, "pg_dump"), "w",
              opener=lambda p, f: os.open(p, f, 0o755)) as out:
        out.write(PG_DUMP % {"bin": postgres.bindir,
                             "conninfo": postgres.conninfo(shop.other)})
    shop.add_postgres("app", postgres, database, bindir=folder,
                      databases=[database, shop.other])
    shop.create()
    assert postgres.execute(shop.other, "SELECT i FROM t") == [(3,)]
    done = shop.admin("backup-cat", "latest", "postgres/app/%s/data/public.t"
                      % shop.other)
    assert done.out == "1\n", str(done)


def test_each_database_tells_its_moment(shop, postgres, database):
    postgres.execute(shop.other, "INSERT INTO t VALUES (2)")
    before = postgres.execute(
        "postgres", "SELECT clock_timestamp(), pg_current_wal_lsn()")[0]
    shop.create()
    done = shop.run("backup-list", "--json")
    told = done.of_type("snapshot")[-1]["sources"][0]["databases"]
    assert [t["name"] for t in told] == [database, shop.other], str(done)
    listed = shop.run("backup-list", "--long").out
    for t in told:
        assert datetime.fromisoformat(t["time"]) > before[0]
        assert lsn(t["lsn"]) >= lsn(before[1])
        assert "%s/%s  %s  %s\n" % (
            "postgres/app", t["name"], t["time"], t["lsn"]) in listed
    assert told[0]["time"] < told[1]["time"]

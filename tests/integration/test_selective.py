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


# ---- a part ----

PART = """
    CREATE SCHEMA "a b";
    CREATE SCHEMA app;
    CREATE EXTENSION pg_trgm;
    CREATE TYPE app.mood AS ENUM ('good', 'bad');
    CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
    CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RETURN NEW; END';
    CREATE SEQUENCE app.counter START 40;
    CREATE TABLE app.customer (i serial PRIMARY KEY, name text);
    CREATE TABLE app.item (
        i int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        n int DEFAULT nextval('app.counter'), s serial,
        mood app.mood NOT NULL DEFAULT 'bad', p app.positive,
        customer int REFERENCES app.customer, parent int REFERENCES app.item,
        v text CHECK (v <> 'x'));
    CREATE INDEX item_v ON app.item USING gin (v public.gin_trgm_ops);
    CREATE TRIGGER touch BEFORE UPDATE ON app.item
        FOR EACH ROW EXECUTE FUNCTION app.touch();
    CREATE TRIGGER touch BEFORE UPDATE ON app.customer
        FOR EACH ROW EXECUTE FUNCTION app.touch();
    CREATE POLICY own ON app.item USING (n < 90);
    ALTER TABLE app.item ENABLE ROW LEVEL SECURITY;
    COMMENT ON TABLE app.item IS 'an item';
    COMMENT ON COLUMN app.item.v IS 'a value';
    COMMENT ON INDEX app.item_v IS 'words';
    GRANT SELECT ON app.item TO PUBLIC;
    CREATE STATISTICS app.both ON n, i FROM app.item;
    INSERT INTO app.customer (name) SELECT i::text FROM generate_series(1, 9) i;
    INSERT INTO app.item (customer, parent, p, v)
        SELECT i, nullif(i - 1, 0), i, 'word ' || i FROM generate_series(1, 9) i;
    CREATE VIEW app.few AS SELECT * FROM app.item WHERE i < 4;
    CREATE MATERIALIZED VIEW app.count AS SELECT count(*) AS n FROM app.item;
    CREATE UNIQUE INDEX ON app.count (n);
    CREATE TABLE app.event (i int, at date, PRIMARY KEY (i, at))
        PARTITION BY RANGE (at);
    CREATE TABLE app.event_1 PARTITION OF app.event
        FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE "a b".c PARTITION OF app.event
        FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO app.event VALUES (1, '2026-01-05'), (2, '2026-02-05');
    CREATE TABLE app."b c" (i int);
    CREATE TABLE "a b"."c owner" (i int);
    CREATE PUBLICATION everything FOR TABLE app.item, app.customer;
    CREATE VIEW "a b".customers AS SELECT name FROM app.customer;
    SELECT lo_from_bytea(4712, 'large')"""

# Without what belongs to the whole database, or to others.
RELATIONS = """
    SELECT c.relkind::text, c.oid::regclass::text FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    ORDER BY 1, 2"""


@pytest.fixture
def parts(stack, postgres, database):
    postgres.execute(database, PART)
    stack.add_postgres("app", postgres, database)
    stack.create()
    stack.source = "postgres/app/" + database
    stack.twin = database + "_part"
    return stack


def part(stack, *names, args=(), status=COMPLETE):
    only = [arg for name in names for arg in ("--only", name)]
    return restore(stack, *only, *args, "--to", stack.twin, "latest",
                   stack.source, status=status)


def warnings(done):
    return [e["text"] for e in done.of_type("message")
            if e["level"] == "warning"]


def relations(postgres, database, *kinds):
    return [name for kind, name in postgres.execute(database, RELATIONS)
            if kind in kinds]


def test_a_table_comes_with_what_it_needs_and_what_belongs_to_it(
        parts, postgres, database):
    warned = warnings(part(parts, "app.item"))
    assert len(warned) == 1 and "item_customer_fkey" in warned[0], warned
    assert relations(postgres, parts.twin, "r", "v", "m") == ["app.item"]
    assert relations(postgres, parts.twin, "i") == ["app.item_pkey",
                                                    "app.item_v"]
    assert relations(postgres, parts.twin, "S") == [
        "app.counter", "app.item_i_seq", "app.item_s_seq"]
    for query in (
            "SELECT * FROM app.item ORDER BY i",
            "SELECT nextval('app.item_i_seq'), nextval('app.counter')",
            "SELECT pg_get_serial_sequence('app.item', 's')",
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgrelid = 'app.item'::regclass",
            "SELECT polname FROM pg_policy",
            "SELECT relrowsecurity, relacl::text FROM pg_class"
            " WHERE oid = 'app.item'::regclass",
            "SELECT stxname FROM pg_statistic_ext",
            "SELECT objsubid, description FROM pg_description"
            " WHERE objoid = 'app.item'::regclass ORDER BY 1",
            "SELECT obj_description('app.item_v'::regclass, 'pg_class')",
            "SELECT conname FROM pg_constraint WHERE conrelid ="
            " 'app.item'::regclass AND conname <> 'item_customer_fkey'"
            " ORDER BY 1"):
        assert postgres.execute(parts.twin, query) == postgres.execute(
            database, query), query
    for query in ("pg_publication", "pg_largeobject_metadata"):
        assert postgres.execute(
            parts.twin, "SELECT count(*) FROM " + query) == [(0,)]


def test_what_two_tables_share_comes_with_both(parts, postgres):
    assert warnings(part(parts, "app.item", "app.customer")) == []
    assert postgres.execute(
        parts.twin, "SELECT convalidated FROM pg_constraint"
        " WHERE conname = 'item_customer_fkey'") == [(True,)]
    assert relations(postgres, parts.twin, "r", "v", "m") == [
        "app.customer", "app.item"]


def test_a_view_comes_with_its_tables_and_their_rows(parts, postgres):
    part(parts, "app.few", "app.count")
    assert relations(postgres, parts.twin, "r", "v", "m") == [
        "app.count", "app.item", "app.few"]
    assert postgres.execute(parts.twin, "SELECT count(*), (SELECT n FROM"
                            " app.count) FROM app.few") == [(3, 9)]


def test_a_partitioned_table_comes_with_its_partitions(parts, postgres):
    part(parts, "app.event")
    assert postgres.execute(parts.twin, "SELECT i, tableoid::regclass::text"
                            " FROM app.event ORDER BY i") == [
        (1, "app.event_1"), (2, '"a b".c')]
    assert postgres.execute(
        parts.twin, "SELECT count(*) FROM pg_inherits") == [(4,)]


def test_a_partition_comes_alone(parts, postgres):
    warned = warnings(part(parts, '"a b".c'))
    assert len(warned) == 1 and "TABLE ATTACH" in warned[0], warned
    assert relations(postgres, parts.twin, "r", "p") == ['"a b".c']
    assert postgres.execute(
        parts.twin, 'SELECT i FROM "a b".c') == [(2,)]
    assert postgres.execute(
        parts.twin, "SELECT count(*) FROM pg_inherits") == [(0,)]


def test_a_schema_comes_whole(parts, postgres, database):
    part(parts, "app")
    # Its partition in another schema belongs to it.
    assert set(relations(postgres, database, *"rpvmSiI")) - set(
        relations(postgres, parts.twin, *"rpvmSiI")) == {
            '"a b".customers', '"a b"."c owner"'}
    assert postgres.execute(
        parts.twin, "SELECT count(*) FROM app.event") == [(2,)]


def test_a_part_without_rows(parts, postgres):
    part(parts, "app.item", args=("--schema-only",))
    assert postgres.execute(
        parts.twin, "SELECT count(*), nextval('app.counter') FROM app.item"
        ) == [(0, 40)]


def test_parts_that_cannot_be_had_are_told_first(parts, postgres, database):
    before = postgres.databases()
    for names, word in ((["app.nothing"], "nothing"), (["nowhere"], "nowhere"),
                        (["app.item.v"], "SCHEMA.TABLE"),
                        (["app.item", "app.none"], "none"),
                        (["app.b"], '"b"'), (['"a'], "SCHEMA")):
        done = part(parts, *names, status=FAILED)
        assert word in done.err, str(done)
    for args in (["--swap"], ["--overwrite"]):
        done = part(parts, "app.item", args=args, status=FAILED)
        assert "--only" in done.err, str(done)
    done = restore(parts, "--only", "app.item", "latest", parts.source,
                   status=FAILED)
    assert "--to" in done.err, str(done)
    assert postgres.databases() == before
    assert postgres.execute(
        database, "SELECT count(*) FROM app.item") == [(9,)]


# ---- rows alone ----

TRIGGERS = """
    CREATE TABLE seen (t text, what text);
    CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen VALUES (TG_TABLE_NAME, TG_OP);
        IF TG_OP = 'TRUNCATE' THEN RETURN NULL; END IF;
        NEW.v = NEW.v || ' meddled'; RETURN NEW; END $$;
    CREATE TABLE base (i int PRIMARY KEY);
    CREATE TABLE rows (i int PRIMARY KEY
        REFERENCES base DEFERRABLE INITIALLY DEFERRED, v text);
    CREATE TRIGGER "a trigger" BEFORE INSERT ON rows
        FOR EACH ROW EXECUTE FUNCTION meddle();
    CREATE TRIGGER always BEFORE INSERT ON rows
        FOR EACH ROW EXECUTE FUNCTION meddle();
    CREATE TRIGGER off BEFORE INSERT ON rows
        FOR EACH ROW EXECUTE FUNCTION meddle();
    CREATE TRIGGER gone AFTER TRUNCATE ON rows
        FOR EACH STATEMENT EXECUTE FUNCTION meddle();
    ALTER TABLE rows ENABLE ALWAYS TRIGGER always, DISABLE TRIGGER off;
    INSERT INTO base VALUES (1), (2);
    INSERT INTO rows VALUES (1, 'a'), (2, 'b')"""


def test_triggers_do_not_meddle_with_rows_that_come_back(
        stack, postgres, database):
    queries = ("SELECT * FROM rows ORDER BY i", "SELECT * FROM seen",
               "SELECT tgname, tgenabled::text FROM pg_trigger"
               " WHERE tgrelid = 'rows'::regclass AND NOT tgisinternal"
               " ORDER BY tgname")
    postgres.execute(database, TRIGGERS)
    stack.add_postgres("app", postgres, database)
    stack.create()
    path = "postgres/app/" + database
    twin = database + "_twin"
    before = [postgres.execute(database, query) for query in queries]
    restore(stack, "--to", twin, "latest", path)
    for name, args in ((database, ()), (twin, ("--to", twin))):
        postgres.execute(
            name, "UPDATE rows SET v = 'later'; TRUNCATE seen;"
            "INSERT INTO seen SELECT 'rows', 'INSERT'"
            " FROM generate_series(1, %d)" % len(before[1]))
        restore(stack, "--overwrite", *args, "latest",
                path + "/data/public.rows")
        assert [postgres.execute(name, query) for query in queries] == before
    # All of them, into tables that were made without.
    bare = database + "_bare"
    restore(stack, "--schema-only", "--to", bare, "latest", path)
    restore(stack, "--to", bare, "latest", path + "/data/")
    assert [postgres.execute(bare, query) for query in queries] == before
    # What refers to nothing is refused all the same.
    postgres.execute(database, "TRUNCATE rows; DELETE FROM base WHERE i = 2;"
                     "TRUNCATE seen")
    done = restore(stack, "latest", path + "/data/public.rows", status=FAILED)
    assert "rows_i_fkey" in done.err, str(done)
    assert postgres.execute(database, queries[0]) == []
    assert postgres.execute(database, queries[2]) == before[2]


def test_rows_of_a_partitioned_table_replace_those_of_its_partitions(
        stack, postgres, database):
    # Which partition a label hashes to differs from server to server, so
    # the rows are kept as those of the whole.
    postgres.execute(database, """
        CREATE TYPE label AS ENUM ('a', 'b', 'c');
        CREATE TABLE tree (l label, v text) PARTITION BY HASH (l);
        CREATE TABLE tree_0 PARTITION OF tree
            FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE tree_1 PARTITION OF tree
            FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO tree SELECT unnest(enum_range(NULL::label)), 'kept';
        CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN NEW.v := ''changed''; RETURN NEW; END';
        CREATE TRIGGER zero BEFORE INSERT ON tree_0
            FOR EACH ROW EXECUTE FUNCTION meddle();
        CREATE TRIGGER one BEFORE INSERT ON tree_1
            FOR EACH ROW EXECUTE FUNCTION meddle()""")
    stack.add_postgres("app", postgres, database)
    stack.create()
    rows = "postgres/app/%s/data/public.tree" % database
    kept = [(label, "kept") for label in "abc"]
    query = "SELECT l::text, v FROM tree ORDER BY l"
    done = restore(stack, "latest", rows, status=FAILED)
    assert "has rows" in done.err, str(done)
    restore(stack, "--overwrite", "latest", rows)
    assert postgres.execute(database, query) == kept
    postgres.execute(database, "TRUNCATE tree")
    restore(stack, "latest", rows)
    assert postgres.execute(database, query) == kept
    assert postgres.execute(
        database, "SELECT count(*) FROM pg_trigger WHERE tgname IN"
        " ('zero', 'one') AND tgenabled = 'O'") == [(2,)]


# ---- several databases ----

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

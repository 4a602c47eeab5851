# SPDX-License-Identifier: Apache-2.0
"""Rows, indexes and constraints go back from one queue: what waits for what,
and what a failure or a signal does to those that run beside it."""

import signal
import time

import pytest

from harness import witness
from harness.stack import FAILED, finish

from test_postgres import refused, same, settle


@pytest.fixture
def app(stack, postgres, database):
    stack.options["workers"] = 4
    stack.add_postgres("app", postgres, database)
    return stack


EVERY_KIND = """
    CREATE EXTENSION btree_gist;
    CREATE SCHEMA "a; b";
    CREATE TABLE account (id int PRIMARY KEY, email text, n int,
        CONSTRAINT "mail; box" UNIQUE (email) INCLUDE (n)
            WITH (fillfactor=70) DEFERRABLE INITIALLY DEFERRED,
        UNIQUE NULLS NOT DISTINCT (n, email));
    CREATE TABLE "a; b"."t
-- TOC entry 1 (class" (id int, account int REFERENCES account
            ON DELETE CASCADE DEFERRABLE,
        "Id,2" int, during int4range, body text, word tsvector,
        PRIMARY KEY (id, "Id,2"),
        EXCLUDE USING gist (id WITH =, during WITH &&),
        FOREIGN KEY (id, "Id,2") REFERENCES "a; b"."t
-- TOC entry 1 (class");
    ALTER TABLE "a; b"."t
-- TOC entry 1 (class" CLUSTER ON "t
-- TOC entry 1 (class_pkey";
    CREATE UNIQUE INDEX "identity" ON account (id, n);
    ALTER TABLE account ALTER n SET NOT NULL;
    ALTER TABLE account REPLICA IDENTITY USING INDEX "identity";
    CREATE INDEX lowered ON account (lower(email), (n % 7))
        WHERE email <> 'a;
-- TOC entry 2 (class';
    ALTER INDEX lowered ALTER COLUMN 2 SET STATISTICS 500;
    CREATE INDEX words ON "a; b"."t
-- TOC entry 1 (class" USING gin (word);
    COMMENT ON INDEX lowered IS 'an index';
    COMMENT ON CONSTRAINT "mail; box" ON account IS 'a constraint';
    INSERT INTO account SELECT i, i || '@x', i
        FROM generate_series(1, 5000) i;
    INSERT INTO "a; b"."t
-- TOC entry 1 (class" SELECT i, i % 5000 + 1, i, int4range(i, i + 1),
        md5(i::text), to_tsvector('simple', i || ' x')
        FROM generate_series(1, 20000) i;
    CREATE MATERIALIZED VIEW counted AS
        SELECT id, "Id,2", body FROM "a; b"."t
-- TOC entry 1 (class" GROUP BY id, "Id,2";
    CREATE UNIQUE INDEX ON counted (id);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''touched''; END';
    CREATE TRIGGER touched BEFORE INSERT ON account
        FOR EACH ROW EXECUTE FUNCTION touch();
"""


def test_every_kind_of_index_and_constraint_comes_back(
        app, postgres, database):
    postgres.execute(database, EVERY_KIND)
    app.create()
    before = witness.database(postgres, database)
    app.restore("--overwrite", "latest")
    same(before, witness.database(postgres, database))
    app.verify()


def test_a_tree_of_partitions_comes_back_with_its_indexes_attached(
        app, postgres, database):
    parts = "".join("""
        CREATE TABLE p{0} PARTITION OF p FOR VALUES IN ({0})
            PARTITION BY RANGE (id);
        CREATE TABLE p{0}_a PARTITION OF p{0} FOR VALUES FROM (0) TO (500);
        CREATE TABLE p{0}_b PARTITION OF p{0} FOR VALUES FROM (500) TO (1001);
        """.format(k) for k in range(6))
    postgres.execute(database, """
        CREATE TABLE parent (id int PRIMARY KEY);
        INSERT INTO parent SELECT generate_series(1, 1000);
        CREATE TABLE p (id int REFERENCES parent, k int, v text,
            PRIMARY KEY (id, k)) PARTITION BY LIST (k);
        %s
        CREATE INDEX ON p (v);
        CREATE INDEX ON p (k, v);
        CREATE INDEX ON p3_a (v, id);
        INSERT INTO p SELECT i, k, md5(i::text)
            FROM generate_series(1, 1000) i, generate_series(0, 5) k;
        CREATE TABLE child (id int, k int, FOREIGN KEY (id, k) REFERENCES p);
        INSERT INTO child SELECT id, k FROM p;
        CREATE TABLE other (id int, k int, FOREIGN KEY (id, k) REFERENCES p);
        """ % parts)
    app.create()
    before = witness.database(postgres, database)
    for _ in range(3):
        app.restore("--overwrite", "latest")
        same(before, witness.database(postgres, database))
        assert postgres.execute(
            database, "SELECT relname FROM pg_class c JOIN pg_index i"
            " ON c.oid = indexrelid WHERE NOT indisvalid") == []


def test_rows_of_a_table_come_back_frozen(app, postgres, database):
    """Nobody need vacuum them, nor write to every page that they are on."""
    postgres.execute(database, """
        CREATE TABLE large (id int PRIMARY KEY, body text);
        INSERT INTO large SELECT i, repeat(md5(i::text), 4)
            FROM generate_series(1, 20000) i;
        CREATE TABLE p (id int, body text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (30000);
        INSERT INTO p SELECT * FROM large""")
    app.create()
    before = witness.database(postgres, database)
    app.restore("--overwrite", "latest")
    same(before, witness.database(postgres, database))
    assert postgres.execute(
        database, "SELECT relname, relallvisible = relpages AND relpages > 0"
        " FROM pg_class WHERE relname IN ('large', 'p1') ORDER BY 1") == [
            ("large", True), ("p1", True)]


def test_rows_that_a_function_refuses_are_sent_once(app, postgres, database):
    postgres.execute(database, """
        CREATE FUNCTION fine(int) RETURNS bool LANGUAGE plpgsql
            AS 'BEGIN RETURN true; END';
        CREATE TABLE large (id int CHECK (public.fine(id)), body text);
        INSERT INTO large SELECT i, repeat(md5(i::text), 4)
            FROM generate_series(1, 20000) i;
        CREATE OR REPLACE FUNCTION fine(int) RETURNS bool LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''not such rows''; END'""")
    app.create()
    done = app.admin("backup-restore", "--to", database + "_back", "latest",
                     "postgres/app/" + database)
    assert done.status == FAILED and "not such rows" in done.err, str(done)
    with open(postgres.log) as log:
        assert log.read().count("ERROR:  not such rows") == 1


def test_who_may_not_empty_a_table_fills_it_all_the_same(
        app, postgres, database):
    postgres.execute(database, """
        CREATE ROLE scribe;
        CREATE TABLE large (id int PRIMARY KEY, body text);
        INSERT INTO large SELECT i, repeat(md5(i::text), 4)
            FROM generate_series(1, 20000) i;
        ALTER TABLE large OWNER TO scribe;
        REVOKE TRUNCATE ON large FROM scribe""")
    postgres.execute("postgres", "ALTER ROLE scribe CREATEDB")
    app.create()
    app.restore("--overwrite", "--role", "scribe", "latest")
    assert postgres.execute(
        database, "SELECT count(*), pg_get_userbyid(relowner),"
        " has_table_privilege('scribe', 'large', 'truncate')"
        " FROM large, pg_class WHERE relname = 'large' GROUP BY 2") == [
            (20000, "scribe", False)]


def test_a_foreign_key_that_does_not_hold_is_named(app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (id int CONSTRAINT its_parent REFERENCES parent);
        SET session_replication_role = replica;
        INSERT INTO child VALUES (42)""")
    postgres.execute(database, """
        CREATE TABLE parts (id int CONSTRAINT of_parts REFERENCES parent)
            PARTITION BY RANGE (id);
        CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100);
        COMMENT ON CONSTRAINT of_parts ON parts IS 'goes with it';
        CREATE INDEX ON child (id);
        SET session_replication_role = replica;
        INSERT INTO part VALUES (43)""")
    app.create()
    result = app.admin("backup-restore", "--to", "elsewhere", "latest")
    assert result.status == 3, str(result)
    for text in ("NOT VALID", "child its_parent", "(id)=(42)",
                 "parts of_parts", "(id)=(43)"):
        assert text in str(result), str(result)
    try:
        assert postgres.execute("elsewhere", """
            SELECT conname, convalidated FROM pg_constraint
            WHERE contype = 'f'""") == [("its_parent", False)]
        assert postgres.execute("elsewhere", """
            SELECT (SELECT id FROM child), (SELECT id FROM parts),
                   count(*) FROM pg_indexes WHERE tablename = 'child'
            """) == [(42, 43, 1)]
    finally:
        postgres.drop_database("elsewhere")


@pytest.mark.parametrize("view", ["", "CREATE MATERIALIZED VIEW v AS TABLE t"])
def test_a_database_is_in_use_before_its_statistics_are_complete(
        app, postgres, database, view):
    postgres.execute(database, "CREATE TABLE t AS"
                     " SELECT n FROM generate_series(1, 50000) n;" + view)
    app.create()
    result = app.admin("backup-restore", "--json", "--overwrite",
                       "latest").result
    assert 0 < result["ready_ms"] <= result["duration_ms"]
    assert postgres.execute(
        database, "SELECT array_length(histogram_bounds::text::int[], 1)"
        " FROM pg_stats WHERE tablename = 't'") == [(101,)]


# In the database it is made in it is fast, and in any other it is not.
SLOW = """
    CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN IF current_database() <> ''{0}'' THEN
            PERFORM pg_sleep(60); END IF; RETURN i; END';
    CREATE TABLE slowly (i int);
    INSERT INTO slowly VALUES (1);
    CREATE INDEX in_a_minute ON slowly (slow(i));
"""


def wait_for_index(postgres):
    until = time.monotonic() + 30
    while not postgres.execute(
            "postgres", "SELECT 1 FROM pg_stat_activity"
            " WHERE query LIKE 'CREATE INDEX in_a_minute%'"
            " AND state = 'active'"):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_signal_ends_an_index_that_is_being_built(app, postgres, database):
    postgres.execute(database, SLOW.format(database))
    app.create()
    running = app.start("backup-restore", "--identity-file", app.identity,
                        "--to", "elsewhere", "latest")
    wait_for_index(postgres)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    result = finish(running, timeout=60)
    assert result.status == 1, str(result)
    assert time.monotonic() - began < 10, str(result)
    settle(postgres)
    assert "elsewhere" not in postgres.databases()


def test_a_failure_ends_what_runs_beside_it(app, postgres, database):
    postgres.execute(database, SLOW.format(database) + """
        CREATE FUNCTION late(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
            'BEGIN IF current_database() <> ''%s'' THEN PERFORM pg_sleep(2);
                RAISE EXCEPTION ''too late''; END IF; RETURN i; END';
        CREATE TABLE fails (i int);
        INSERT INTO fails VALUES (1);
        CREATE INDEX that_fails ON fails (late(i));""" % database)
    app.create()
    began = time.monotonic()
    refused(app.admin("backup-restore", "--to", "elsewhere", "latest"),
            "that_fails", "too late")
    assert time.monotonic() - began < 30
    settle(postgres)
    assert "elsewhere" not in postgres.databases()

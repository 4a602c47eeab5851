# SPDX-License-Identifier: Apache-2.0
"""Text that stood in another order where the backup was made: it is told before
anything is touched, with the tables that may not take their rows back, and how these come back all the same."""

import pytest

from harness.stack import COMPLETE, FAILED

# Small letters come after large ones: "A" is in the first partition.
WORDS = """
CREATE COLLATION large_first (provider = icu, locale = 'de-u-kf-upper');
CREATE TABLE word (word text COLLATE large_first NOT NULL)
    PARTITION BY RANGE (word);
CREATE TABLE word_1 PARTITION OF word FOR VALUES FROM (MINVALUE) TO ('a');
CREATE TABLE word_2 PARTITION OF word FOR VALUES FROM ('a') TO (MAXVALUE);
CREATE TABLE other (word text COLLATE "sv-x-icu");
INSERT INTO word VALUES ('A'), ('a'), ('b');
INSERT INTO other VALUES ('ä')"""

# What the database answers that the backup is of, and no other.
OTHER_LIBRARY = """
ALTER FUNCTION pg_catalog.pg_collation_actual_version(oid) RENAME TO was;
CREATE FUNCTION pg_catalog.pg_collation_actual_version(oid)
    RETURNS text LANGUAGE sql STRICT AS 'SELECT ''1.2.3''::text'"""


@pytest.fixture
def words(stack, postgres, database):
    postgres.execute(database, WORDS)
    stack.add_postgres("app", postgres, database)
    return stack


def restore(host, database):
    return host.admin("backup-restore", "--to", database + "_back", "latest",
                      "postgres/app/" + database)


def test_another_version_of_a_library_is_told_first(words, postgres, database):
    words.create()
    done = restore(words, database)
    assert done.status == COMPLETE and "collation" not in done.err, str(done)
    postgres.drop_database(database + "_back")
    postgres.execute(database, OTHER_LIBRARY)
    words.create()
    done = restore(words, database)
    assert done.status == COMPLETE, str(done)
    told = [line for line in done.err.split("\n") if "collation" in line]
    assert len(told) == 2, str(done)
    swedish = next(line for line in told if '"sv-x-icu" was' in line)
    ours = next(line for line in told if "public.large_first was" in line)
    for line in told:
        assert "that of ICU 1.2.3, " in line and " here: " in line, line
        assert "no version" not in line, line
    assert "partitioned table (public.word)" in ours, ours
    assert "public.word" not in swedish, swedish
    assert done.err.index("collation") < done.err.index(
        "making the schema"), str(done)


def test_a_row_that_fits_no_partition_any_more(words, postgres, database):
    column = postgres.execute(database, """
        SELECT attname FROM pg_attribute
        WHERE attrelid = 'pg_collation'::regclass
        AND attname IN ('colliculocale', 'colllocale')""")[0][0]
    postgres.execute(database, """
        UPDATE pg_collation SET %s = 'de-u-kf-lower', collversion = '1.0'
        WHERE collname = 'large_first'""" % column)
    words.create()
    # "A" is of word_1 no more.
    done = restore(words, database)
    assert done.status == COMPLETE, str(done)
    assert ", with data from when it was 1.0, and is " in done.err, str(done)
    assert "partitioned table (public.word)" in done.err, str(done)
    told = [line for line in done.err.split("\n") if "were loaded" in line]
    assert len(told) == 1 and "public.word_1" in told[0] and (
        "through public.word:" in told[0]), str(done)
    assert postgres.execute(database + "_back", """
        SELECT tableoid::regclass::text, word FROM word ORDER BY 2""") == [
            ("word_2", "a"), ("word_2", "A"), ("word_2", "b")]
    swapped = words.admin("backup-restore", "--swap", "latest",
                          "postgres/app/" + database)
    assert swapped.status == COMPLETE, str(swapped)
    assert "2 partitions of public.word have the rows" in swapped.err, str(
        swapped)


def test_a_row_that_fits_nowhere_any_more(words, postgres, database):
    postgres.execute(database, """
        CREATE FUNCTION sort(n int) RETURNS int IMMUTABLE LANGUAGE sql
            AS 'SELECT n / 7';
        CREATE TABLE t (n int) PARTITION BY LIST (sort(n));
        CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
        INSERT INTO t VALUES (7);
        CREATE OR REPLACE FUNCTION sort(n int) RETURNS int IMMUTABLE
            LANGUAGE sql AS 'SELECT n / 2'""")
    words.create()
    done = restore(words, database)
    assert done.status == FAILED, str(done)
    assert 'no partition of relation "t" found for row' in done.err, str(done)
    assert [name for name in postgres.databases()
            if name.startswith(database + "_back")] == []


MOVING = """
CREATE FUNCTION sort(n int) RETURNS int IMMUTABLE LANGUAGE sql
    AS 'SELECT n % 3';
CREATE TABLE base (n int PRIMARY KEY);
CREATE TABLE heard (n int);
CREATE TABLE t (n int, pad text) PARTITION BY LIST (sort(n));
CREATE TABLE t_0 PARTITION OF t FOR VALUES IN (0);
CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1) PARTITION BY HASH (n);
CREATE TABLE t_1_0 PARTITION OF t_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_1_1 PARTITION OF t_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2);
INSERT INTO base SELECT generate_series(1, 48000);
INSERT INTO t SELECT n, repeat(md5(n::text), 5) FROM base;
CREATE INDEX ON t (pad);
ALTER TABLE t_0 ADD UNIQUE (n);
ALTER TABLE t_2 ADD FOREIGN KEY (n) REFERENCES base;
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO public.heard VALUES (NEW.n); RETURN NEW; END';
CREATE TRIGGER hear AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION hear();
CREATE OR REPLACE FUNCTION sort(n int) RETURNS int IMMUTABLE LANGUAGE sql
    AS 'SELECT CASE WHEN n % 3 = 0 AND n >= 40000 THEN 1 ELSE n % 3 END'"""


def test_a_partition_that_is_loaded_late_keeps_the_rows_of_others(words, postgres, database):
    """Each is large enough to be emptied and loaded whole; the first is t_0,
    and those that come later have some of its rows by then."""
    everything = "SELECT n, pad FROM t ORDER BY n"
    postgres.execute(database, MOVING)
    before = postgres.execute(database, everything)
    words.create()
    for options in (("-j", "1", "--to", database + "_back"), ("--swap",)):
        done = words.admin("backup-restore", *options, "latest",
                           "postgres/app/" + database)
        assert done.status == COMPLETE, str(done)
        assert done.err.count("were loaded through public.t:") == 1, str(done)
    for name in (database, database + "_back"):
        assert postgres.execute(name, everything) == before
        assert postgres.execute(name, """
            SELECT tableoid::regclass::text, n FROM t WHERE sort(n) <>
                substr(tableoid::regclass::text, 3, 1)::int""") == []
        assert postgres.execute(
            name, "SELECT count(*) FROM heard") == [(0,)]
        assert postgres.execute(
            name, "SELECT convalidated FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid = 't_2'::regclass") == [(True,)]


def test_hashes_of_labels_in_arrays_are_other_ones(words, postgres, database):
    """A label is hashed by a number that every server gives it anew."""
    postgres.execute(database, "CREATE TYPE label AS ENUM (%s)" % ", ".join(
        "'l%d'" % n for n in range(64)))
    postgres.execute(database, """
        CREATE TABLE h (l label[], n int) PARTITION BY HASH (l);
        CREATE TABLE h_0 PARTITION OF h
            FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE h_1 PARTITION OF h
            FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO h SELECT ARRAY[('l' || n)::label], n
            FROM generate_series(0, 63) n""")
    everything = "SELECT l::text, n FROM h ORDER BY n"
    before = postgres.execute(database, everything)
    words.create()
    done = words.admin("backup-restore", "--swap", "latest",
                       "postgres/app/" + database)
    assert done.status == COMPLETE, str(done)
    assert done.err.count("were loaded through public.h:") == 2, str(done)
    assert "2 partitions of public.h have the rows" in done.err, str(done)
    assert postgres.execute(database, everything) == before
    assert postgres.execute(database, """
        SELECT count(*) FROM h WHERE tableoid <> CASE WHEN
            satisfies_hash_partition('h'::regclass, 2, 0, l)
            THEN 'h_0'::regclass ELSE 'h_1'::regclass END""") == [(0,)]


# The large one is stored in the binary form, and the small ones as text.
UNEVEN = """
CREATE FUNCTION public.sort(n int) RETURNS int IMMUTABLE LANGUAGE sql
    AS 'SELECT CASE WHEN n <= 20000 THEN 1 ELSE 2 END';
CREATE FUNCTION public.hear(n int) RETURNS bool LANGUAGE sql
    AS 'SELECT true';
CREATE TABLE heard (n int);
CREATE TABLE t (n int CHECK (public.hear(n)), pad text)
    PARTITION BY LIST (public.sort(n));
CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2);
INSERT INTO t SELECT n, repeat(md5(n::text), 5)
    FROM generate_series(1, 20010) n;
CREATE OR REPLACE FUNCTION public.sort(n int) RETURNS int IMMUTABLE
    LANGUAGE sql AS 'SELECT CASE WHEN n < 20000 THEN 1 ELSE 2 END'"""
# A check that writes: something has other rows then than were loaded.
WRITES = """
CREATE OR REPLACE FUNCTION public.hear(n int) RETURNS bool LANGUAGE plpgsql
    AS $$BEGIN IF n = 20010 THEN %s; END IF; RETURN true; END$$"""


def swap(host, database):
    return host.admin("backup-restore", "--swap", "-j", "1", "latest",
                      "postgres/app/" + database)


def test_rows_that_moved_between_two_forms_are_counted(
        words, postgres, database):
    everything = "SELECT n, pad FROM t ORDER BY n"
    postgres.execute(database, UNEVEN)
    before = postgres.execute(database, everything)
    words.create()
    done = swap(words, database)
    assert done.status == COMPLETE, str(done)
    told = [line for line in done.err.split("\n") if "read back: " in line]
    assert "2 partitions of public.t have 20010 rows between them, as many" in (
        told[0]), str(done)
    assert "could not be compared" in told[0], str(done)
    assert "but for 20010 that could only be counted" in told[1], str(done)
    assert postgres.execute(database, everything) == before
    assert postgres.execute(database, "SELECT count(*) FROM t_2") == [(11,)]
    # One more than there were.
    postgres.execute(
        database, WRITES % "INSERT INTO public.t_1 VALUES (1, '')")
    postgres.execute(database, """
        CREATE OR REPLACE FUNCTION public.sort(n int) RETURNS int IMMUTABLE
            LANGUAGE sql AS 'SELECT CASE WHEN n < 19999 THEN 1 ELSE 2 END'""")
    words.create()
    done = swap(words, database)
    assert done.status == FAILED, str(done)
    assert "are still not those of the snapshot" in done.err, str(done)
    assert postgres.execute(database, everything) == before


def test_a_table_with_other_rows_fails_at_once(words, postgres, database):
    postgres.execute(database, UNEVEN)
    # What is read back after `heard` would fail as well.
    postgres.execute(database, WRITES % "INSERT INTO public.heard VALUES (n);"
                     " CREATE TABLE IF NOT EXISTS public.zz ()")
    words.create()
    done = swap(words, database)
    assert done.status == FAILED, str(done)
    assert "heard: the snapshot has 0 rows and the restored table " in (
        done.err), str(done)


def test_a_search_path_is_given_up_where_it_was_of_no_use(
        words, postgres, database):
    """Rows that a partition refuses with it as well; and a table after that,
    which needs it once more and is named for that too."""
    postgres.execute(database, UNEVEN)
    postgres.execute(database, """
        CREATE FUNCTION public.told() RETURNS bool LANGUAGE sql
            AS 'SELECT true';
        CREATE OR REPLACE FUNCTION public.hear(n int) RETURNS bool
            LANGUAGE plpgsql AS 'BEGIN RETURN told(); END';
        CREATE TABLE later (n int CHECK (public.hear(n)));
        INSERT INTO later VALUES (1)""")
    words.create()
    done = words.admin("backup-restore", "-j", "1", "--to", database + "_back",
                       "latest", "postgres/app/" + database)
    assert done.status == COMPLETE, str(done)
    told = [line for line in done.err.split("\n")
            if "counts on search_path" in line]
    for name in ("t_1", "t_2", "later"):
        assert any("/public.%s:" % name in line for line in told), str(done)

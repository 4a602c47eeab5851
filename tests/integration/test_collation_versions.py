# SPDX-License-Identifier: Apache-2.0
"""Text that stood in another order where the backup was made: it is told before
anything is touched, with the tables that may not take their rows back."""

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
    done = restore(words, database)
    assert done.status == FAILED, str(done)
    assert ", with data from when it was 1.0, and is " in done.err, str(done)
    assert "partitioned table (public.word)" in done.err, str(done)
    assert 'relation "word_1" violates partition constraint' in done.err, str(
        done)
    assert [name for name in postgres.databases()
            if name.startswith(database + "_back")] == []

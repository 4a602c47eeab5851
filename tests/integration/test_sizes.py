# SPDX-License-Identifier: Apache-2.0
"""More, and longer, than what most have. BACKUP_TEST_ALL: also what takes
minutes and gigabytes."""

import os

import pytest
from harness.stack import COMPLETE, FAILED

long = pytest.mark.skipif("BACKUP_TEST_ALL" not in os.environ,
                          reason="long: set BACKUP_TEST_ALL")


@pytest.fixture
def app(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    return stack


def test_a_table_of_toast_is_cut_as_small_as_its_values_are_long(
        app, postgres, database):
    # A row to a page, with 256 kB elsewhere: 40 pages of 10 MB.
    postgres.execute(database, """
        CREATE TABLE t (n int, pad text, long text);
        ALTER TABLE t ALTER pad SET STORAGE PLAIN,
            ALTER long SET STORAGE EXTERNAL;
        INSERT INTO t SELECT n, repeat('x', 5000), repeat(md5(n::text), 8192)
            FROM generate_series(1, 40) AS n""")
    (heap, whole), = postgres.execute(
        database, "SELECT pg_relation_size('t'), pg_table_size('t')")
    assert whole > 25 * heap
    result = app.run("backup-create", "--workers", "2", "--json")
    assert result.status == COMPLETE, str(result)
    entry = app.entries()["postgres/app/%s/data/public.t" % database]
    # Not 128, as of pages that have all of their rows in them.
    assert entry["attributes"]["range_pages"] == 2


@long
def test_a_text_of_more_than_a_message_holds_is_named_by_its_row(
        stack, postgres, database):
    app = stack
    app.add_postgres("app", postgres, database, copy="text")
    postgres.execute(database, """
        CREATE TABLE fine AS SELECT 1 AS n;
        CREATE TABLE huge (id int, data bytea);
        INSERT INTO huge VALUES (1, 'x'), (2, NULL);
        INSERT INTO huge SELECT 3, part || part || part || part || part || part
            FROM (SELECT decode(repeat('00', 100 << 20), 'hex') AS part) x""")
    result = app.run("backup-create")
    assert result.status == FAILED, str(result)
    for word in ("table public.huge", "ctid (0,3)", "1258291", "1 GB",
                 "'copy: binary'", "large object"):
        assert word in result.err, str(result)
    assert app.snapshots() == []
    postgres.execute(database, "DELETE FROM huge WHERE id = 3")
    app.create()


@long
def test_a_bytea_that_is_too_long_as_text_is_read_as_it_is(
        app, postgres, database):
    postgres.execute(database, """
        CREATE TABLE huge (id int, data bytea);
        INSERT INTO huge SELECT 3, part || part || part || part || part || part
            FROM (SELECT decode(repeat('00', 100 << 20), 'hex') AS part) x""")
    app.create()
    done = app.admin("backup-verify", "--live")
    assert done.status == COMPLETE, str(done)

# SPDX-License-Identifier: Apache-2.0
"""Databases that other people made: Pagila and Chinook."""

import os
import re

import pytest
from harness import witness


def _load(postgres, database, text, folder):
    path = os.path.join(folder, "sample.sql")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    postgres.psql(database, path)


def _round_trip(stack, postgres, database):
    before = witness.database(postgres, database)
    assert witness.row_total(before) > 10000
    stack.add_postgres("sample", postgres, database)
    stack.create()
    postgres.drop_database(database)
    stack.restore()
    assert not witness.differences(
        before, witness.database(postgres, database))
    assert stack.verify().result["is_proven"]


def test_pagila_comes_back(stack, postgres, database, sample_data):
    for name in ("pagila-schema.sql", "pagila-data.sql"):
        with open(os.path.join(sample_data, name), encoding="utf-8") as text:
            _load(postgres, database, text.read(), stack.folder)
    postgres.execute(
        database, "REFRESH MATERIALIZED VIEW public.rental_by_category")
    _round_trip(stack, postgres, database)


def test_chinook_comes_back(stack, postgres, database, sample_data):
    with open(os.path.join(sample_data, "chinook.sql"),
              encoding="utf-8") as text:
        tables = re.split(r"(?m)^\\c chinook;$", text.read())[1]
    _load(postgres, database, tables, stack.folder)
    _round_trip(stack, postgres, database)


def test_a_name_that_only_quoting_keeps_together_comes_back(
        stack, postgres, database):
    name = database + ' "odd" \\ näme\u2028$1'
    postgres.create_database(name)
    postgres.execute(name, 'CREATE TABLE "a/b%%.c" ("x""y" int);'
                     'INSERT INTO "a/b%%.c" SELECT generate_series(1, 99)')
    before = witness.database(postgres, name)
    stack.add_postgres("odd", postgres, name)
    stack.create()
    postgres.drop_database(name)
    stack.restore()
    assert not witness.differences(before, witness.database(postgres, name))


@pytest.mark.parametrize("statement", [
    "CREATE TABLE t AS SELECT n, n::float8 / 3 AS f FROM"
    " generate_series(1, 50000) AS n",
    "CREATE TABLE t (); INSERT INTO t SELECT FROM generate_series(1, 7)",
    "CREATE TABLE t (a int, b text, c date);"
    " INSERT INTO t VALUES (1, 'x', 'infinity'), (NULL, E'\\\\.', NULL),"
    " (3, E'\\\\N', '0044-03-15 BC')",
    "CREATE TABLE t (a int, gone text, b int);"
    " INSERT INTO t SELECT n, 'x', n FROM generate_series(1, 99) AS n;"
    " ALTER TABLE t DROP COLUMN gone",
    "CREATE TABLE t (v bytea);"
    " INSERT INTO t SELECT decode(repeat(md5(n::text), 90000), 'hex')"
    " FROM generate_series(1, 6) AS n",
    "CREATE TABLE p (a int); CREATE TABLE t (b int) INHERITS (p);"
    " INSERT INTO p VALUES (1); INSERT INTO t VALUES (2, 3)",
], ids=["floats", "no columns", "odd values", "a dropped column",
        "large values", "inheritance"])
def test_these_rows_come_back(stack, postgres, database, statement):
    postgres.execute(database, statement)
    before = witness.database(postgres, database)
    stack.add_postgres("app", postgres, database)
    stack.create()
    postgres.drop_database(database)
    stack.restore()
    assert not witness.differences(
        before, witness.database(postgres, database))

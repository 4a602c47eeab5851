# SPDX-License-Identifier: Apache-2.0
"""The rows of one subject, held against walks written by hand in SQL."""

import json
import os
import re
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests",
                    "integration", "walk_tool")


class Failed(Exception):
    """What the tool said when it failed."""


class Walk:
    """The tool, on one database with one map."""

    def __init__(self, postgres, database, map_path, **options):
        self.postgres, self.database = postgres, database
        self.conninfo = postgres.conninfo(database, **options)
        self.map_path = map_path
        self.omitted = []

    def run(self, what, *args):
        done = subprocess.run(
            [TOOL, what, self.conninfo, self.map_path, *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.omitted = re.findall(r"(?m)^omitted (.*)$", done.stderr)
        if done.returncode != 0:
            raise Failed(done.stderr)
        return done.stdout

    def rows(self, *key, what="rows"):
        """[(table, decided, row)]"""
        lines = [json.loads(line)
                 for line in self.run(what, *key).splitlines()]
        return [(x["table"], x["decided"], x["row"]) for x in lines]

    def places(self, *key):
        """{(leaf, ctid): decided}"""
        lines = [line.split("\t")
                 for line in self.run("places", *key).splitlines()]
        places = {(rel, tid): decided for rel, tid, decided in lines}
        assert len(places) == len(lines)
        return places

    def expected(self, sql_path, subject):
        """The same, by hand."""
        with open(os.path.join(HERE, sql_path), encoding="utf-8") as text:
            sql = text.read().replace(":subject", str(int(subject)))
        rows = self.postgres.execute(self.database, sql)
        places = {(str(rel), tid): decided for rel, tid, decided in rows}
        assert len(places) == len(rows), "the walk by hand is no set"
        return places


def _load_sample(postgres, database, folder, text):
    path = os.path.join(folder, "sample.sql")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    postgres.psql(database, path)


@pytest.fixture
def pagila(postgres, database, sample_data, tmp_path_of_test):
    for name in ("pagila-schema.sql", "pagila-data.sql"):
        with open(os.path.join(sample_data, name), encoding="utf-8") as text:
            _load_sample(postgres, database, tmp_path_of_test, text.read())
    return Walk(postgres, database, os.path.join(HERE, "maps/pagila.yaml"))


@pytest.fixture
def chinook(postgres, database, sample_data, tmp_path_of_test):
    with open(os.path.join(sample_data, "chinook.sql"),
              encoding="utf-8") as text:
        tables = re.split(r"(?m)^\\c chinook;$", text.read())[1]
    _load_sample(postgres, database, tmp_path_of_test, tables)
    return Walk(postgres, database, os.path.join(HERE, "maps/chinook.yaml"))


def test_pagila_s_customers_have_the_rows_that_sql_by_hand_finds(pagila):
    for customer in (1, 148, 599):
        found = pagila.places(customer)
        assert found == pagila.expected("maps/pagila.sql", customer)
        assert found
    payments = [row for table, _, row in pagila.rows(1)
                if table == "public.payment"]
    assert len(payments) == 32
    july = [p for p in payments if p["payment_date"].startswith("2022-07")]
    assert len(july) == 7
    assert [p["payment_date"] for p in payments] == sorted(
        p["payment_date"] for p in payments)


def test_chinook_s_customers_have_the_rows_that_sql_by_hand_finds(chinook):
    for customer in (1, 59):
        assert chinook.places(customer) == chinook.expected(
            "maps/chinook.sql", customer)
    employees = [row for table, _, row in chinook.rows(1)
                 if table == "public.employee"]
    assert employees == [{"first_name": "Jane", "last_name": "Peacock",
                          "email": "jane@chinookcorp.com"}]

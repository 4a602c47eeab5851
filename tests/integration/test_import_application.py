# SPDX-License-Identifier: Apache-2.0
"""An organisation of an application of 51 tables moves: out, in, and out
again."""

import json
import os

import pytest
from harness.stack import COMPLETE, FAILED

HERE = os.path.dirname(os.path.abspath(__file__))
MAP = os.path.join(HERE, "application/organisation.yaml")
TENANT = 2
PUBLIC = {"id", "tenant_id", "uid", "name"}
# What nobody knows of the guests of an organisation.
GUESTS = [
    option for column, sql in (
        ("email", "pg_catalog.gen_random_uuid()::text"), ("state", "'new'"),
        ("password_hash", "'none'"), ("created_at", "'2026-01-01'"))
    for option in ("--fill", "public.users.%s=%s" % (column, sql))]


def run_sql(postgres, database, *names):
    for name in names:
        postgres.psql(database, os.path.join(HERE, "application", name))


@pytest.fixture(scope="module")
def full(postgres):
    name = "application_import"
    postgres.create_database(name)
    run_sql(postgres, name, "schema.sql", "data.sql")
    yield name
    postgres.drop_database(name)


class Move:
    """An application with data, an empty one, and what lies between."""

    def __init__(self, postgres, full, empty, stack):
        self.postgres, self.stack = postgres, stack
        self.full, self.empty = full, empty
        run_sql(postgres, empty, "schema.sql")
        stack.add_postgres("old", postgres, full)
        stack.add_postgres("new", postgres, empty)

    def export(self, source, name, *args, status=COMPLETE):
        path = self.stack.path(name)
        done = self.stack.run(
            "backup-export", "run", "--source", source, "--map", MAP,
            "--subject", args[0] if args else str(TENANT), "--audit",
            self.stack.path("audit"), "--no-files", path)
        assert done.status == status, str(done)
        return Export(path)

    def load(self, path, *args, status=COMPLETE):
        done = self.stack.run(
            "backup-import", "--json", "--source", "postgres/new", *args,
            path)
        assert done.status == status, str(done)
        return done

    def sql(self, statement):
        return self.postgres.execute(self.empty, statement)


class Export:
    """The rows of an export in a folder."""

    def __init__(self, path):
        self.path = path
        with open(os.path.join(path, "manifest.json"),
                  encoding="utf-8") as text:
            self.manifest = json.load(text)
        self.tables = {}
        for table in self.manifest["tables"]:
            with open(os.path.join(path, table["file"]["name"]),
                      encoding="utf-8") as lines:
                self.tables[table["decision"], table["table"]] = [
                    json.loads(line) for line in lines]


@pytest.fixture
def move(postgres, full, database, stack):
    return Move(postgres, full, database, stack)


def test_an_organisation_of_an_application_moves_and_is_equal(move):
    first = move.export("postgres/old", "one")
    assert len(first.tables) > 45
    guests = first.tables["lookup", "public.users"]
    assert guests and all(set(row) == PUBLIC for row in guests)
    said = str(move.load(first.path, *GUESTS, status=FAILED))
    assert "public.messages(reply_to) -> public.messages(id): " in said
    assert "--null-missing" in said
    said = str(move.load(first.path, "--null-missing", status=FAILED))
    assert "email, state, password_hash, created_at; load these" in said
    done = move.load(first.path, "--null-missing", *GUESTS)
    lost = [row for row in first.tables["own", "public.messages"]
            if row["reply_to"] is not None and row["reply_to"] not in {
                other["id"]
                for other in first.tables["own", "public.messages"]}]
    assert lost and done.result["nulled"] == len(lost)
    for row in lost:
        row["reply_to"] = None
    assert done.result["rows"] == sum(map(len, first.tables.values()))
    second = move.export("postgres/new", "two")
    assert second.tables == first.tables

# SPDX-License-Identifier: Apache-2.0
"""Customers of Pagila and of Chinook, through the command: the rows that the
walk finds and that SQL by hand finds, as the schema says."""

import collections
import json
import os

import jsonschema
import pytest
from harness.stack import COMPLETE
from test_walk import chinook, pagila  # noqa: F401

Validator = jsonschema.Draft202012Validator


class Export:
    """A folder that was written, every line of it held against its schema."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = self.read("manifest.json")
        schemas = self.read("schema.json")["$defs"]
        for name in ("manifest.json", "subject.json"):
            self.validator(schemas.pop(name)).validate(self.read(name))
        self.rows = {}
        for table in self.manifest["tables"]:
            name = table["file"]["name"]
            with open(os.path.join(folder, name), encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            validator = self.validator(schemas.pop(name))
            for row in rows:
                validator.validate(row)
            assert table["rows"] == len(rows)
            self.rows[table["table"], table["decision"]] = rows
        assert set(schemas) == {"files.ndjson"}

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as text:
            return json.load(text)

    @staticmethod
    def validator(schema):
        Validator.check_schema(schema)
        return Validator(schema)


def by_hand(walk, sql, subject):
    """{(table, decision): rows}"""
    roots = dict(walk.postgres.execute(walk.database, """
        SELECT oid::text, coalesce(pg_partition_root(oid), oid)::regclass::text
        FROM pg_class WHERE relkind = 'r'"""))
    return collections.Counter(
        ("public." + roots[rel], decided)
        for (rel, _), decided in walk.expected(sql, subject).items())


@pytest.mark.parametrize("name, subjects", (
    ("pagila", (1, 148)), ("chinook", (1, 59))))
def test_customers_of_sample_databases_are_exported(
        request, stack, name, subjects):
    walk = request.getfixturevalue(name)
    stack.add_postgres("app", walk.postgres, walk.database)
    for subject in subjects:
        folder = stack.path("out%d" % subject)
        done = stack.run("backup-export", "run", "--json", "--map",
                         walk.map_path, "--subject", str(subject), folder)
        assert done.status == COMPLETE, str(done)
        made = Export(folder)
        expected = collections.defaultdict(list)
        for table, decided, row in walk.rows(subject):
            expected[table, decided].append(row)
        assert made.rows == expected
        assert {key: len(rows) for key, rows in made.rows.items()} == \
            by_hand(walk, "maps/%s.sql" % name, subject)
        assert done.result["rows"] == sum(map(len, made.rows.values())) > 50
        assert made.manifest["status"] == "complete"

# SPDX-License-Identifier: Apache-2.0
"""Customers of Pagila and Chinook, as the command exports them."""

import json
import os

import jsonschema
from harness.stack import COMPLETE
from test_export import manifest, rows
from test_subject_model import HERE, load_chinook, load_pagila
from test_walk import Walk


def counted(walk, subject):
    """{(table, decision): rows}, as the walk counts them."""
    lines = [line.split("\t")
             for line in walk.run("count", subject).splitlines()]
    return {(table, decision): int(count) for table, decision, count in lines}


def assert_exported(stack, postgres, database, name, subject):
    path = os.path.join(HERE, "maps", name + ".yaml")
    stack.add_postgres(name, postgres, database)
    folder = stack.path("out%s" % subject)
    done = stack.run("backup-export", "run", "--map", path, "--json",
                     "--subject", str(subject), folder)
    assert done.status == COMPLETE, str(done)
    told = manifest(folder)
    expected = counted(Walk(postgres, database, path), subject)
    assert len(expected) > 3
    assert {(table["table"], table["decision"]): table["rows"]
            for table in told["tables"]} == expected
    assert done.result["rows"] == sum(expected.values())
    with open(os.path.join(folder, "schema.json")) as text:
        schemas = json.load(text)["$defs"]
    lines = 0
    for table in told["tables"]:
        schema = schemas[table["file"]["name"]]
        jsonschema.Draft202012Validator.check_schema(schema)
        check = jsonschema.Draft202012Validator(schema)
        for row in rows(folder, table["file"]["name"]):
            check.validate(row)
            lines += 1
    assert lines == done.result["rows"]
    for name in ("subject.json", "manifest.json"):
        with open(os.path.join(folder, name)) as text:
            jsonschema.validate(json.load(text), schemas[name])


def test_customers_of_pagila_are_exported(stack, postgres, database,
                                          sample_data):
    load_pagila(postgres, database, sample_data)
    postgres.psql(database, os.path.join(sample_data, "pagila-data.sql"))
    for customer in (148, 1):
        assert_exported(stack, postgres, database, "pagila", customer)


def test_customers_of_chinook_are_exported(stack, postgres, database,
                                           sample_data, tmp_path_of_test):
    load_chinook(postgres, database, sample_data, tmp_path_of_test)
    for customer in (59, 1):
        assert_exported(stack, postgres, database, "chinook", customer)

# SPDX-License-Identifier: Apache-2.0
"""schema.json of an export: what it takes, and what it does not."""

import copy
import json
import os
import re

import jsonschema
import pytest
from harness.stack import COMPLETE

SCHEMA = """
CREATE TYPE size AS (amount numeric, number bigint);
CREATE TABLE people (
    id bigint PRIMARY KEY, balance numeric, age int, born date,
    seen timestamptz, counts bigint[], grid int[], days date[], words text[],
    weights numeric[], size size);
CREATE TABLE letters (
    id int PRIMARY KEY, writer bigint REFERENCES people,
    readers bigint[], total numeric);
INSERT INTO people VALUES
    (1, 1.50, 7, '2026-01-02', '2026-01-02 03:04:05.5+00',
     '{9007199254740993,NULL}', '{{1,2},{3,NULL}}', '{2026-01-02,infinity}',
     '{a,NULL}', '{1.50,NaN}',
     '(12345678901234567890.0123456789,9007199254740993)'),
    (2, 'NaN', NULL, 'infinity', 'infinity', '{}', NULL, '{-infinity}', '{}',
     '{}', NULL),
    (3, NULL, NULL, '0044-03-15 BC', '0044-03-15 12:00+00 BC', NULL, '{}',
     '{0044-03-15 BC}', NULL, NULL, NULL),
    (4, NULL, NULL, '12026-01-01', '12026-01-01 00:00+00', NULL, NULL, NULL,
     NULL, NULL, NULL);
INSERT INTO letters VALUES (1, 1, '{1,2,NULL}', 2.5), (2, 3, '{4,1}', NULL);
"""

MAP = """
version: 1
subject: {table: public.people, key: [id]}
edges:
  "public.letters(writer) -> public.people(id)": shared
references:
  - {from: public.letters, columns: [readers], to: public.people(id),
     array: true, shared: down}
"""

# What is no date and time in the sense of RFC 3339 is none, with whatever
# libraries are here.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.]\d+)?"
                    r"(Z|[+-]\d\d:\d\d)")
CHECKER = jsonschema.FormatChecker(formats=["date"])


@CHECKER.checks("date-time")
def is_moment(value):
    return not isinstance(value, str) or MOMENT.fullmatch(value) is not None


@pytest.fixture
def people(stack, postgres, database):
    """Exports people: {file: schema}, {file: lines}, texts of lines."""
    path = stack.path("map.yaml")
    with open(path, "w") as out:
        out.write(MAP)
    postgres.execute(database, SCHEMA)
    stack.add_postgres("app", postgres, database)

    def export(subject):
        folder = stack.path("out%d" % subject)
        done = stack.run("backup-export", "run", "--map", path, "--subject",
                         str(subject), folder)
        assert done.status == COMPLETE, str(done)
        with open(os.path.join(folder, "schema.json")) as text:
            schemas = json.load(text)["$defs"]
        texts = {}
        for name in schemas:
            if name.endswith(".ndjson") and name != "files.ndjson":
                with open(os.path.join(folder, name)) as text:
                    texts[name] = text.read().splitlines()
        with open(os.path.join(folder, "subject.json")) as text:
            texts["subject.json"] = [text.read()]
        return schemas, texts

    return export


def validator(schema):
    return jsonschema.Draft202012Validator(schema, format_checker=CHECKER)


OWN, SHARED = "own/public.people.ndjson", "shared/public.letters.ndjson"


def test_dates_that_json_has_no_form_for_are_as_the_schema_says(people):
    for subject in (1, 2, 3, 4):
        schemas, texts = people(subject)
        assert OWN in texts
        for name, lines in texts.items():
            jsonschema.Draft202012Validator.check_schema(schemas[name])
            for line in lines:
                validator(schemas[name]).validate(json.loads(line))
    row = json.loads(texts[OWN][0])
    assert row["born"] == "12026-01-01"


# What may not stand in a row, and the column that it stands in.
WRONG = [
    ("balance", 1.5), ("balance", "1,5"), ("id", 1), ("id", "one"),
    ("age", "7"), ("age", 7.5), ("born", "yesterday"), ("born", 20260102),
    ("born", "2026-13-02"), ("seen", "2026-01-02"),
    ("seen", "2026-01-02 03:04:05"), ("seen", "later"), ("words", "a"),
    ("words", [1]), ("words", [{}]), ("counts", [9007199254740993]),
    ("counts", ["x"]), ("counts", [["1"], [2]]), ("grid", [["1"]]),
    ("grid", [[1, 2.5]]), ("weights", [1.5]), ("days", ["someday"]),
    ("days", [["2026-01-02", 3]]),
]


def test_what_is_not_of_its_type_is_not_valid(people):
    schemas, texts = people(1)
    check = validator(schemas[OWN])
    row = json.loads(texts[OWN][0])
    check.validate(row)
    for column, value in WRONG:
        changed = {**row, column: value}
        with pytest.raises(jsonschema.ValidationError):
            check.validate(changed)
            pytest.fail("%s may be %r" % (column, value))
    for column in row:
        with pytest.raises(jsonschema.ValidationError, match="required"):
            check.validate({name: value for name, value in row.items()
                            if name != column})
    with pytest.raises(jsonschema.ValidationError, match="Additional"):
        check.validate({**row, "nickname": "x"})


def test_only_a_reference_to_somebody_may_be_a_made_up_name(people):
    schemas, texts = people(1)
    check = validator(schemas[SHARED])
    first, second = [json.loads(line) for line in texts[SHARED]]
    assert (first["writer"], first["readers"][0]) == ("self", "self")
    assert "self" in second["readers"] and second["writer"] != "3"
    for row in (first, second):
        check.validate(row)
        for column, value in (("total", "somebody"), ("total", 2.5),
                              ("id", "self"), ("readers", [1])):
            with pytest.raises(jsonschema.ValidationError):
                check.validate({**row, column: value})
                pytest.fail("%s may be %r" % (column, value))


def test_the_manifest_is_described_down_to_its_members(people, stack):
    schemas, _ = people(1)
    with open(stack.path("out1", "manifest.json")) as text:
        told = json.load(text)
    check = validator(schemas["manifest.json"])
    check.validate(told)
    for name in told:
        if name == "snapshot":
            continue
        with pytest.raises(jsonschema.ValidationError, match="required"):
            check.validate({key: told[key] for key in told if key != name})
    wrong = copy.deepcopy(told)
    wrong["tables"][0]["rows"] = "1"
    with pytest.raises(jsonschema.ValidationError):
        check.validate(wrong)
    wrong = {**told, "empty": [{"table": "public.letters"}]}
    with pytest.raises(jsonschema.ValidationError):
        check.validate(wrong)


def test_numbers_within_a_composite_value_have_all_their_digits(people):
    _, texts = people(1)
    assert '"size":{"amount":12345678901234567890.0123456789,' \
        '"number":9007199254740993}' in texts[OWN][0]

# SPDX-License-Identifier: Apache-2.0
"""A map held against a database: what it leaves undecided, what is gone."""

import json
import os
import re

import pytest
from test_subject_model import (HERE, load_chinook, load_pagila,
                                tool)

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, login text UNIQUE NOT NULL,
  country text, avatar_path text);
CREATE TABLE orders (id bigint PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users (id), product_id int);
CREATE INDEX ON orders (user_id);
CREATE TABLE products (id int PRIMARY KEY, name text);
ALTER TABLE orders ADD FOREIGN KEY (product_id) REFERENCES products (id);
CREATE TABLE blocks (id int PRIMARY KEY, why text,
  creator_id bigint REFERENCES users (id));
CREATE TABLE events (id int PRIMARY KEY, kind text, payload jsonb);
CREATE TABLE log (line text);
"""

USERS = "public.users(id)"
ORDERS = "public.orders(user_id) -> " + USERS
PRODUCTS = "public.orders(product_id) -> public.products(id)"
BLOCKS = "public.blocks(creator_id) -> " + USERS

EVENTS = "public.events((payload->>'user')::bigint) -> %s when" \
    " kind = 'user'" % USERS


def whole():
    """A map that decides everything."""
    return {
        "version": 1,
        "subject": {"table": "public.users", "key": ["id"]},
        "edges": {ORDERS: "own", PRODUCTS: {"lookup": ["name"]},
                  BLOCKS: {"actor": ["id", "why"]}},
        "references": [{"from": "public.events", "to": USERS,
                        "columns": ["(payload->>'user')::bigint"],
                        "when": "kind = 'user'", "own": "down"}],
        "files": [{"table": "public.users", "bucket": "uploads",
                   "key": "avatar_path", "when": "avatar_path <> ''"}],
        "tables": {
            "public.users": {"origin": "provided"},
            "public.orders": {"origin": "provided"},
            "public.events": {"origin": "observed"},
            "public.blocks": {"origin": "observed"},
            "public.log": {"skip": "no personal data"}}}


@pytest.fixture
def review(postgres, database, tmp_path_of_test):
    postgres.execute(database, SCHEMA)

    def run(chart, user=None):
        path = os.path.join(tmp_path_of_test, "map.yaml")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(chart, out, indent=1)
        options = {"user": user} if user else {}
        return json.loads(tool(
            "review", postgres.conninfo(database, **options), path))

    return run


def kinds(result, advice=False):
    return [(f["kind"], f["what"]) for f in result["findings"]
            if f["advice"] == advice]


def test_a_whole_map_has_no_findings(review):
    result = review(whole())
    assert kinds(result) == [] and result["failing"] == 0
    assert kinds(result, advice=True) == [
        ("no-index", BLOCKS), ("no-index", EVENTS)]
    assert result["reached"] == {
        "public.blocks": "actor", "public.events": "own",
        "public.log": "undecided", "public.orders": "own",
        "public.products": "lookup", "public.users": "own"}


def test_an_edge_without_a_decision_is_found(review):
    chart = whole()
    del chart["edges"][PRODUCTS]
    chart["edges"][BLOCKS] = "undecided"
    result = review(chart)
    assert kinds(result) == [
        ("edge-undecided", BLOCKS), ("edge-undecided", PRODUCTS),
        ("table-undecided", "public.blocks"),
        ("table-undecided", "public.products")]
    assert result["failing"] == 4
    messages = {f["what"]: f["message"] for f in result["findings"]}
    assert "{actor: [columns]}" in messages[BLOCKS]
    assert "{lookup: [columns]}" in messages[PRODUCTS]


def test_a_table_that_is_left_out_decides_its_edges(review):
    chart = whole()
    del chart["edges"][BLOCKS]
    chart["tables"]["public.blocks"] = {"skip": "only staff reads it"}
    assert kinds(review(chart)) == []


def test_a_table_that_is_left_out_and_reached_is_found(review):
    chart = whole()
    chart["tables"]["public.orders"] = {"skip": "no"}
    assert kinds(review(chart)) == [("skip-contradicted", "public.orders")]


def test_a_table_without_a_decision_is_found(review):
    chart = whole()
    del chart["tables"]["public.log"]
    del chart["references"]
    del chart["tables"]["public.events"]
    assert kinds(review(chart)) == [("table-undecided", "public.events"),
                                    ("table-undecided", "public.log")]


def test_what_was_renamed_is_found(review, postgres, database):
    postgres.execute(database, """
        ALTER TABLE users RENAME login TO username;
        ALTER TABLE orders RENAME user_id TO person_id;
        ALTER TABLE log RENAME TO logs;
        ALTER TABLE products RENAME name TO title""")
    chart = whole()
    chart["tables"]["public.users"]["columns"] = {"login": {"mask": True}}
    result = review(chart)
    assert kinds(result) == [
        ("column-gone", "public.products.name"),
        ("column-gone", "public.users.login"),
        ("edge-gone", ORDERS),
        ("edge-undecided", "public.orders(person_id) -> " + USERS),
        ("table-gone", "public.log"),
        ("table-undecided", "public.logs"),
        ("table-undecided", "public.orders"),
        ("table-undecided", "public.products")]
    messages = {(f["kind"], f["what"]): f["message"]
                for f in result["findings"]}
    assert "public.orders(person_id)" in messages["edge-gone", ORDERS]
    assert "public.logs" in messages["table-gone", "public.log"]


def test_an_edge_that_begins_nowhere_is_found(review):
    chart = whole()
    chart["edges"][BLOCKS] = {"own": "up"}
    chart["tables"]["public.blocks"] = {"origin": "observed"}
    found = kinds(review(chart))
    assert ("edge-unreached", BLOCKS) in found
    chart["edges"][BLOCKS] = "shared"
    chart["edges"][ORDERS] = {"shared": "down"}
    assert kinds(review(chart)) == []


@pytest.mark.parametrize("column,target", [
    ("editor_id bigint", None), ("\"userId\" bigint", "public.users"),
    ("\"UserUUID\" uuid", None), ("approved_by text", None),
    ("user_ids bigint[]", "public.users"), ("product int", "public.products"),
    ("photo_url text", "files"), ("attachment_key varchar(99)", "files"),
])
def test_a_column_like_a_reference_is_found(review, postgres, database,
                                            column, target):
    postgres.execute(database, "ALTER TABLE orders ADD " + column)
    name = column.split()[0].strip('"')
    result = review(whole())
    assert kinds(result) == [
        ("column-like-a-reference", "public.orders." + name)]
    message = result["findings"][0]["message"] + \
        result["findings"][-1]["message"]
    assert target is None or target in message
    chart = whole()
    chart["tables"]["public.orders"]["columns"] = {name: {"plain": True}}
    assert kinds(review(chart)) == []


def test_a_column_that_is_none_is_not(review, postgres, database):
    postgres.execute(database, """
        ALTER TABLE orders ADD paid bool, ADD by text, ADD id_card_text text,
          ADD valid boolean, ADD grid int, ADD created_at timestamptz,
          ADD hobby text, ADD monkey text, ADD posted_by_hand boolean""")
    assert kinds(review(whole())) == []


def test_a_type_and_id_pair_is_told(review, postgres, database):
    postgres.execute(database, "ALTER TABLE orders ADD owner_type text,"
                     " ADD owner_id bigint")
    result = review(whole())
    assert kinds(result) == [
        ("column-like-a-reference", "public.orders.owner_id")]
    assert "with the type beside it" in json.dumps(result["findings"])


def test_a_key_that_no_erasure_could_clear_is_told(
        review, postgres, database):
    postgres.execute(
        database, "ALTER TABLE blocks ALTER creator_id SET NOT NULL")
    assert ("erasure-open", BLOCKS) in kinds(review(whole()), advice=True)
    chart = whole()
    chart["edges"][BLOCKS]["erase"] = "delete"
    result = review(chart)
    assert kinds(result) == []
    assert {kind for kind, _ in kinds(result, advice=True)} == {"no-index"}


def test_an_index_that_is_advised_is_enough(review, postgres, database):
    result = review(whole())
    advice = [f["message"].split(": ", 1)[1] for f in result["findings"]
              if f["kind"] == "no-index"]
    assert advice == [
        "CREATE INDEX ON public.blocks (creator_id)",
        "CREATE INDEX ON public.events (((payload->>'user')::bigint))"
        " WHERE kind = 'user'"]
    for statement in advice:
        postgres.execute(database, statement)
    assert kinds(review(whole()), advice=True) == []
    chart = whole()
    chart["references"].append({
        "from": "public.users", "columns": ["country"],
        "to": "public.products(name)", "lookup": ["name"]})
    found = review(chart)["findings"]
    assert [f["message"].split(": ", 1)[1] for f in found] == [
        "CREATE INDEX ON public.products (name)"]


def advised(result):
    return [f["message"] for f in result["findings"]
            if f["kind"] == "no-index" and f["what"] not in (BLOCKS, EVENTS)]


def test_an_array_is_served_by_a_gin_index(review, postgres, database):
    postgres.execute(database, "ALTER TABLE events ADD people bigint[],"
                     " ADD small int[]")
    chart = whole()
    for column in ("people", "small"):
        chart["references"].append({"from": "public.events", "array": True,
                                    "columns": [column], "to": USERS,
                                    "own": "down"})
    people, small = advised(review(chart))
    assert "column of type bigint[], as public.users.id has it" in small
    statement = people.split(": ", 1)[1]
    assert statement == "CREATE INDEX ON public.events USING gin (people)"
    postgres.execute(database, statement)
    assert advised(review(chart)) == [small]


def test_a_reference_of_many_types_is_served_by_its_value(
        review, postgres, database):
    postgres.execute(database, "ALTER TABLE events ADD about_type text,"
                     " ADD about_id bigint")
    chart = whole()
    for name, target in (("user", USERS), ("order", "public.orders(id)")):
        chart["references"].append({
            "from": "public.events", "columns": ["about_id"], "to": target,
            "when": "about_type = '%s'" % name, "own": "down"})
        postgres.execute(database, "CREATE INDEX ON events (about_id)"
                         " WHERE about_type = '%s'" % name)
    statements = {text.split(": ", 1)[1] for text in advised(review(chart))}
    assert statements == {"CREATE INDEX ON public.events (about_id)"}
    postgres.execute(database, statements.pop())
    assert advised(review(chart)) == []


@pytest.mark.parametrize("change,word", [
    ({"columns": ["nonsense"]}, "nonsense"),
    ({"columns": ["payload"]}, "operator does not exist"),
    ({"columns": ["(payload->>'user')"]}, "operator does not exist"),
    ({"when": "kind"}, "boolean"),
    ({"when": "pg_sleep(1)"}, "boolean"),
    ({"columns": ["(WITH x AS (DELETE FROM public.log RETURNING 1)"
                  " SELECT 1::bigint FROM x)"]}, "WITH clause"),
    ({"columns": ["count(*)"]}, "aggregate"),
    ({"columns": ["generate_series(1, 2)"]}, "set-returning"),
])
def test_a_broken_reference_is_found_by_the_server(review, change, word):
    chart = whole()
    chart["references"][0].update(change)
    result = review(chart)
    assert [k for k, _ in kinds(result)] == ["reference-broken"]
    assert word in [f for f in result["findings"]
                    if not f["advice"]][0]["message"]


def test_trying_an_expression_runs_nothing(review, postgres, database):
    postgres.execute(database, """
        CREATE TABLE traces (n int);
        CREATE FUNCTION trace() RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.traces VALUES (1); PERFORM pg_sleep(600);
        RETURN 1; END $$""")
    chart = whole()
    chart["tables"]["public.traces"] = {"skip": "a test"}
    chart["references"][0]["columns"] = ["public.trace()"]
    assert kinds(review(chart)) == []
    assert postgres.execute(
        database, "SELECT count(*) FROM traces") == [(0,)]


def test_files_are_tried(review):
    chart = whole()
    chart["files"][0]["key"] = "id"
    chart["files"].append({"table": "public.users", "bucket": "b",
                           "prefix": "'u/' || nothing"})
    chart["tables"]["public.users"]["columns"] = {
        "avatar_path": {"plain": True}}
    result = review(chart)
    assert kinds(result) == [("reference-broken", "public.users")] * 2
    text = json.dumps(result["findings"])
    assert "gives no text" in text and "nothing" in text


def test_the_subject_must_be_one(review, postgres, database):
    chart = whole()
    chart["subject"]["key"] = ["country"]
    assert kinds(review(chart)) == [("subject-not-unique", "public.users")]
    chart["subject"]["key"] = ["login"]
    assert kinds(review(chart)) == []
    chart["subject"]["key"] = ["nobody"]
    assert ("subject-gone", "public.users") in kinds(review(chart))
    postgres.execute(database, "ALTER TABLE users RENAME TO people")
    assert ("subject-gone", "public.users") in kinds(review(whole()))


def test_a_table_that_cannot_be_read_is_found(review, postgres, database):
    role = database + "_reader"
    postgres.execute(database, """
        CREATE ROLE %s LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public
          TO %s; REVOKE SELECT ON products, log FROM %s;
        ALTER TABLE orders ENABLE ROW LEVEL SECURITY""" % ((role,) * 3))
    try:
        result = review(whole(), user=role)
        assert kinds(result) == [("table-unreadable", "public.orders"),
                                 ("table-unreadable", "public.products")]
        assert "row-level security" in result["findings"][-2]["message"]
    finally:
        postgres.execute(database, "DROP OWNED BY %s; DROP ROLE %s"
                         % (role, role))


def test_a_child_that_lacks_the_key_of_its_parent_is_found(
        review, postgres, database):
    postgres.execute(database,
                     "CREATE TABLE old_orders () INHERITS (orders)")
    chart = whole()
    found = [("partitions-disagree", PRODUCTS),
             ("partitions-disagree", ORDERS)]
    result = kinds(review(chart))
    assert [f for f in found if f not in result] == []
    chart["references"] += [
        {"from": "public.old_orders", "columns": ["user_id"], "to": USERS,
         "own": "down"},
        {"from": "public.old_orders", "columns": ["product_id"],
         "to": "public.products(id)", "lookup": ["name"]}]
    assert kinds(review(chart)) == []


def test_the_application_is_decided(postgres, database,
                                    tmp_path_of_test):
    """And is no longer where a decision is taken out, whichever touches what
    is the subject's."""
    folder = os.path.join(HERE, "application")
    postgres.psql(database, os.path.join(folder, "schema.sql"))
    path = os.path.join(tmp_path_of_test, "map.yaml")
    with open(os.path.join(folder, "map.yaml"), encoding="utf-8") as whole:
        text = whole.read()

    def look(chart):
        with open(path, "w", encoding="utf-8") as out:
            out.write(chart)
        return json.loads(tool("review", postgres.conninfo(database), path))

    before = look(text)
    assert kinds(before) == []
    edges = re.search(r"(?ms)^edges:\n(.*?)^\S", text).group(1)
    decisions = re.findall(r"(?m)^  \S.*\n(?:    .*\n)*", edges)
    decisions = [d for d in decisions if re.match(r"  \"(\S+?)\(", d)
                 and before["reached"][re.match(r"  \"(\S+?)\(", d).group(1)]
                 in ("own", "shared")]
    assert len(decisions) > 40
    for decision in decisions[::4]:
        assert look(text.replace(decision, ""))["failing"] > 0, decision


@pytest.mark.parametrize("name", ["pagila", "chinook"])
def test_the_maps_of_the_samples_are_whole(
        postgres, database, sample_data, tmp_path_of_test, name):
    if name == "pagila":
        load_pagila(postgres, database, sample_data)
    else:
        load_chinook(postgres, database, sample_data, tmp_path_of_test)
    assert kinds(json.loads(tool(
        "review", postgres.conninfo(database),
        os.path.join(HERE, "maps", name + ".yaml")))) == []


def test_partitions_that_disagree_are_told(postgres, database, sample_data,
                                           tmp_path_of_test):
    load_pagila(postgres, database, sample_data)
    key = "public.payment(customer_id) -> public.customer(customer_id)"
    path = os.path.join(tmp_path_of_test, "map.yaml")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"version": 1, "subject": {
            "table": "public.customer", "key": "customer_id"},
            "edges": {key: "own"},
            "tables": {"public.payment_p2022_07": {"skip": "x"}}}, out)
    result = json.loads(tool(
        "review", postgres.conninfo(database), path))
    assert ("partitions-disagree", key) in kinds(result, advice=True)
    assert ("table-gone", "public.payment_p2022_07") in kinds(result)
    assert "it is a partition of public.payment" in json.dumps(result)
    assert result["reached"]["public.payment"] == "own"


def example(name):
    """A part of the manual."""
    page = os.path.join(HERE, "..", "..", "man", "backup-export-map.5")
    with open(page, encoding="utf-8") as text:
        lines = text.read().split("\n")
    start = lines.index('.\\" example ' + name) + 1
    return "\n".join(lines[start:lines.index('.\\" end', start)]) + "\n"


def test_the_example_of_the_manual_is_whole(postgres, database,
                                            tmp_path_of_test):
    postgres.execute(database, example("schema"))
    path = os.path.join(tmp_path_of_test, "map.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(example("map"))
    result = json.loads(tool("review", postgres.conninfo(database), path))
    assert kinds(result) == []
    assert {kind for kind, _ in kinds(result, advice=True)} == {"no-index"}


def test_every_kind_of_finding_is_in_the_manual():
    folder = os.path.join(HERE, "..", "..")
    with open(os.path.join(folder, "man", "backup-export-map.5"),
              encoding="utf-8") as text:
        page = text.read()
    source = os.path.join(folder, "libbackup", "subject")
    found = set()
    for name in os.listdir(source):
        if name.startswith("review") and name.endswith(".c"):
            with open(os.path.join(source, name), encoding="utf-8") as text:
                found |= set(re.findall(
                    r'"((?:\w+-)+(?:undecided|gone|unreached|contradicted|'
                    r'reference|broken|disagree|unique|unreadable|index))"',
                    text.read()))
    assert len(found) > 12
    assert [kind for kind in sorted(found) if kind not in page] == []

# SPDX-License-Identifier: Apache-2.0
"""The catalogue as maps see it: tables with their partitions folded, and the
edges between them."""

import json
import os
import re
import subprocess

import pytest

TOOL = os.path.join(os.environ.get("top_builddir", "."), "tests",
                    "integration", "subject_tool")
HERE = os.path.dirname(os.path.abspath(__file__))


def tool(*args):
    result = subprocess.run([TOOL, *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def read(postgres, database):
    return json.loads(tool("model", postgres.conninfo(database)))


@pytest.fixture
def odd(postgres, database):
    postgres.psql(database, os.path.join(HERE, "odd_edges.sql"))
    return read(postgres, database)


def load_pagila(postgres, database, sample_data):
    postgres.psql(database, os.path.join(sample_data, "pagila-schema.sql"))


def load_chinook(postgres, database, sample_data, folder):
    with open(os.path.join(sample_data, "chinook.sql"),
              encoding="utf-8") as text:
        tables = re.split(r"(?m)^\\c chinook;$", text.read())[1]
    path = os.path.join(folder, "chinook.sql")
    with open(path, "w", encoding="utf-8") as out:
        out.write(tables)
    postgres.psql(database, path)


def test_the_tables_are_those_of_the_application(odd):
    assert list(odd["tables"]) == sorted(odd["tables"])
    assert set(odd["tables"]) == {
        "public." + name for name in (
            "account", "asset", "booking", "car", "elsewhere", "empty_tree",
            "message", "note", "person", "remark", "scratch", "tenant",
            "van", "visit")} | {
        '"Odd.Schema"."it\'s -> (a) ""table"""'}


def test_the_edges_are_folded_to_their_roots(odd):
    assert set(odd["edges"]) == {
        "public.person(manager) -> public.person(id)",
        "public.message(sender) -> public.person(id)",
        "public.message(receiver) -> public.person(login)",
        "public.account(tenant) -> public.tenant(id)",
        "public.booking(number, tenant) -> public.account(number, tenant)",
        "public.visit(person) -> public.person(id)",
        "public.visit(door) -> public.tenant(id)",
        "public.visit(account_number, account_tenant) ->"
        " public.account(number, tenant)",
        "public.remark(at, kind) -> public.visit(at, kind)",
        "public.note(at, kind) -> public.visit(at, kind)",
        "public.asset(holder) -> public.person(id)",
        "public.van(holder) -> public.person(id)",
        "public.scratch(person) -> public.person(id)",
        '"Odd.Schema"."it\'s -> (a) ""table"""("Person, or not") ->'
        ' public.person(id)',
        '"Odd.Schema"."it\'s -> (a) ""table"""("ü") ->'
        ' "Odd.Schema"."it\'s -> (a) ""table"""(order)'}
    edge = odd["edges"]["public.visit(person) -> public.person(id)"]
    assert edge["child"] == "public.visit"
    assert edge["parent"] == "public.person"


def test_partitions_and_children_that_disagree_are_told(odd):
    splits = {(s["edge"], s["inherited"]): (s["with"], s["without"])
              for s in odd["splits"]}
    assert splits == {
        ("public.visit(person) -> public.person(id)", False): (
            'public.visit_2024_a, "Odd.Schema"."visit b"',
            "public.visit_2025"),
        ("public.visit(door) -> public.tenant(id)", False): (
            '"Odd.Schema"."visit b"',
            "public.visit_2024_a, public.visit_2025"),
        ("public.asset(holder) -> public.person(id)", True): (
            "public.asset", "public.car")}


def test_every_leaf_is_found_at_any_depth(odd):
    assert odd["tables"]["public.visit"]["leaves"] == [
        '"public"."visit_2024_a"', '"Odd.Schema"."visit b"',
        '"public"."visit_2025"']
    assert odd["tables"]["public.person"]["leaves"] == ['"public"."person"']
    assert odd["tables"]["public.empty_tree"]["leaves"] == []
    assert odd["tables"]["public.car"]["parent"] == "public.asset"
    assert odd["tables"]["public.van"]["parent"] == "public.car"
    assert odd["tables"]["public.elsewhere"]["foreign"] is True
    assert odd["tables"]["public.visit"]["foreign"] is False


def test_keys_are_the_primary_ones(odd):
    keys = {name: table["key"] for name, table in odd["tables"].items()}
    assert keys["public.person"] == ["id"]
    assert keys["public.account"] == ["tenant", "number"]
    assert keys["public.visit"] == ["at", "kind"]
    assert keys["public.scratch"] == []


def test_columns_are_known_by_what_their_domains_are_made_of(odd):
    person = odd["tables"]["public.person"]
    columns = {c["name"]: c for c in person["columns"]}
    assert "gone" not in columns
    assert list(columns)[:3] == ["id", "login", "manager"]
    assert {name: c["kind"] for name, c in columns.items()} == {
        "id": 3, "login": 0, "manager": 3, "mail": 0, "mails": 0, "many": 0,
        "moods": 0, "home": 0, "homes": 0, "span": 0, "spans": 0, "score": 3,
        "born": 6, "seen": 8, "said": 7, "face": 5, "extra": 9, "flags": 1,
        "length": 2}
    assert {n for n, c in columns.items() if c["array"]} == {
        "mails", "many", "moods", "homes", "flags"}
    assert {n for n, c in columns.items() if c["composite"]} == {
        "home", "homes", "span", "spans"}
    assert {n for n, c in columns.items() if c["generated"]} == {"length"}
    assert {n for n, c in columns.items() if c["not_null"]} == {"id", "login"}
    assert columns["mail"]["oid"] == 25
    assert columns["mail"]["type"] == "public.work_email"
    assert columns["score"]["type"] == "numeric(10,2)"
    assert columns["login"]["comment"] == "what they type"
    assert person["comment"] == "who there is"


def test_an_edge_has_an_index_where_every_leaf_has_one(odd):
    indexed = {name for name, edge in odd["edges"].items()
               if edge["indexed"]}
    assert indexed == {
        "public.message(sender) -> public.person(id)",
        "public.booking(number, tenant) -> public.account(number, tenant)",
        "public.account(tenant) -> public.tenant(id)",
        "public.visit(person) -> public.person(id)"}
    assert {name for name, edge in odd["edges"].items()
            if edge["cascade"]} == {
        "public.message(sender) -> public.person(id)",
        "public.booking(number, tenant) -> public.account(number, tenant)"}


def test_temporary_tables_are_left_out(postgres, database):
    with postgres.connect(database) as connection:
        connection.execute("CREATE TEMP TABLE t (a int PRIMARY KEY)")
        assert read(postgres, database)["tables"] == {}


def test_pagila_is_seen_with_its_seventh_partition(postgres, database,
                                                   sample_data):
    load_pagila(postgres, database, sample_data)
    model = read(postgres, database)
    assert len(model["tables"]) == 15
    assert len(model["tables"]["public.payment"]["leaves"]) == 7
    assert {s["edge"] for s in model["splits"]} == {
        "public.payment(customer_id) -> public.customer(customer_id)",
        "public.payment(rental_id) -> public.rental(rental_id)",
        "public.payment(staff_id) -> public.staff(staff_id)"}
    assert {s["without"] for s in model["splits"]} == {
        "public.payment_p2022_07"}
    assert not any("payment_p" in name for name in model["edges"])


def test_chinook_is_seen(postgres, database, sample_data, tmp_path_of_test):
    load_chinook(postgres, database, sample_data, tmp_path_of_test)
    model = read(postgres, database)
    assert len(model["tables"]) == 11
    assert len(model["edges"]) == 11
    assert model["splits"] == []

# SPDX-License-Identifier: Apache-2.0
"""Maps that are proposed from the catalogue."""

import json
import os
import re

import pytest
from test_subject_model import HERE, load_chinook, load_pagila, tool

APPLICATION = """
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL,
  password_hash text, has_password boolean, avatar_path text,
  invited_by bigint REFERENCES users (id), plan_id int, external_ref text);
COMMENT ON TABLE users IS 'people: "quoted"';
CREATE TABLE plans (id int PRIMARY KEY, name text, price numeric);
ALTER TABLE users ADD FOREIGN KEY (plan_id) REFERENCES plans (id);
CREATE TABLE posts (id bigint PRIMARY KEY, body text, created_at timestamptz,
  user_id bigint NOT NULL REFERENCES users (id));
CREATE TABLE comments (id bigint PRIMARY KEY,
  post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
  user_id bigint NOT NULL REFERENCES users (id));
CREATE TABLE revisions (id bigint PRIMARY KEY,
  post_id bigint NOT NULL REFERENCES posts (id) ON DELETE CASCADE);
CREATE TABLE blocks (id bigint PRIMARY KEY, at timestamptz, why text,
  creator_id bigint NOT NULL REFERENCES users (id));
CREATE TABLE devices (id bigint PRIMARY KEY,
  user_id bigint REFERENCES users (id));
CREATE TABLE logins (id bigint PRIMARY KEY, user_id bigint, ip inet);
CREATE TABLE migrations (version int);
CREATE TABLE "Odd, one" ("it's, a UserId" bigint, "user id" bigint);
CREATE TABLE old_posts () INHERITS (posts);
"""


def propose(postgres, database, table, before=None):
    args = ["propose", postgres.conninfo(database), table]
    return tool(*args, *([before] if before else []))


def entry(text, name):
    """What stands behind a key, its comment, and what is below it."""
    lines = text.split("\n")
    at = [i for i, line in enumerate(lines)
          if line.strip().replace('"', "").startswith(
              name.replace('"', "") + ":")]
    assert len(at) == 1, (name, at)
    comment, i = [], at[0] - 1
    while lines[i].strip().startswith("#"):
        comment.insert(0, lines[i].strip("# "))
        i -= 1
    indent = len(lines[at[0]]) - len(lines[at[0]].lstrip())
    value = [lines[at[0]].strip().replace('"', "")[len(
        name.replace('"', "")) + 1:].strip()]
    for line in lines[at[0] + 1:]:
        if len(line) - len(line.lstrip()) <= indent:
            break
        value.append(line.strip())
    return " ".join(value).strip(), " ".join(comment)


@pytest.fixture
def application(postgres, database):
    postgres.execute(database, APPLICATION)
    return propose(postgres, database, "public.users")


def edge(text, child, parent="public.users(id)"):
    return entry(text, "public.%s -> %s" % (child, parent))


def test_what_the_catalogue_makes_plain_is_decided(application):
    assert edge(application, "posts(user_id)")[0] == "own"
    assert edge(application, "revisions(post_id)", "public.posts(id)") == (
        "own", "No index serves it: following it reads all of "
        "public.revisions. Deleted with the row that it refers to.")
    assert edge(application, "blocks(creator_id)")[0] == "actor: [id, at]"
    assert edge(application, "users(plan_id)", "public.plans(id)")[0] == \
        "lookup: [name]"
    assert "{omit: a credential}" in entry(application, "password_hash")[0]
    assert "has_password" not in application


def test_where_no_index_serves_is_said(postgres, database):
    postgres.execute(database, APPLICATION)
    postgres.execute(database, "CREATE INDEX ON revisions (post_id)")
    text = propose(postgres, database, "public.users")
    assert "all of public.revisions" not in text
    assert "No index" not in edge(text, "users(plan_id)",
                                  "public.plans(id)")[1]


def test_what_it_does_not_is_asked(application):
    for child, parent, question in (
            ("users(invited_by)", "public.users(id)", "among themselves"),
            ("devices(user_id)", "public.users(id)", "may be empty"),
            ("comments(post_id)", "public.posts(id)",
             "owner by another column")):
        value, comment = edge(application, child, parent)
        assert value == "undecided"
        assert question in comment and comment.endswith("?")
    assert entry(application, "avatar_path")[0] == "undecided"
    assert entry(application, "external_ref")[0] == "undecided"
    value, comment = entry(application, "public.migrations")
    assert value == "undecided" and "{skip: why}" in comment
    assert "    to: \"public.users(id)\"" in application
    assert "  - from: public.logins\n    columns: [user_id]" in application
    assert "  - from: public.old_posts\n    columns: [user_id]" in application


def review(postgres, database, path):
    return json.loads(tool("review", postgres.conninfo(database), path))


def test_a_proposal_leaves_nothing_but_what_it_calls_undecided(
        application, postgres, database, tmp_path_of_test):
    path = os.path.join(tmp_path_of_test, "map.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(application)
    found = review(postgres, database, path)["findings"]
    failing = [f for f in found if not f["advice"]]
    assert failing and all(f["line"] > 0 for f in failing), failing
    assert {f["kind"] for f in failing} == {
        "edge-undecided", "table-undecided", "column-undecided"}
    open_lines = [line for line in application.split("\n")
                  if re.search(r"\bundecided(: true)?$", line)
                  and not re.match(r"\s*(#|origin:)", line)]
    assert len(failing) == len(open_lines)


def test_a_proposal_from_a_proposal_is_the_same(
        application, postgres, database, tmp_path_of_test):
    path = os.path.join(tmp_path_of_test, "map.yaml")
    assert propose(postgres, database, "public.users") == application
    with open(path, "w", encoding="utf-8") as out:
        out.write(application)
    again = propose(postgres, database, "public.users", path)
    with open(path, "w", encoding="utf-8") as out:
        out.write(again)
    assert propose(postgres, database, "public.users", path) == again

    def lines(text):
        return sorted(line for line in text.split("\n")
                      if not line.strip().startswith("#"))

    assert lines(again) == lines(application)


KEPT = """
version: 1
subject: {table: public.users, key: [id], label: "Your: account"}
edges:
  public.posts(user_id) -> public.users(id): {skip: "not: ours, \\"ever\\"",
    erase: delete}
  public.devices(user_id) -> public.users(id): {shared: down, erase: clear}
  public.gone(a) -> public.users(id): own
references:
  - from: public.logins
    columns: ["(user_id + 0)"]
    to: public.users(id)
    when: ip IS NOT NULL
    own: down
    erase: keep
files:
  - {table: public.users, bucket: b, key: avatar_path, when: "id > 0",
     of: shared}
tables:
  public.migrations: {skip: "no people"}
  public.users:
    purpose: to let you in
    retention: a year
    origin: provided
    columns:
      email: {mask: true, label: E-mail}
      external_ref: {pseudonym: refs, origin: derived, values: {"1": one}}
      nothing: {plain: true}
"""


def test_decisions_that_were_made_are_kept(postgres, database,
                                           tmp_path_of_test):
    postgres.execute(database, APPLICATION)
    path = os.path.join(tmp_path_of_test, "map.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(KEPT)
    text = propose(postgres, database, "public.users", path)
    assert 'label: "Your: account"' in text
    assert edge(text, "posts(user_id)")[0] == \
        'skip: "not: ours, \\"ever\\"" erase: delete'
    assert edge(text, "devices(user_id)")[0] == \
        "shared: down erase: clear"
    assert "# Gone from the database: public.gone(a)" in text
    assert "# Gone from the table: nothing." in text
    for line in ("    columns: [\"(user_id + 0)\"]", "    when: ip IS NOT NULL",
                 "    own: down", "    erase: keep", "    erase: delete",
                 "    erase: clear", "    key: avatar_path", "    of: shared",
                 "    purpose: to let you in", "    retention: a year",
                 "    origin: provided", "        mask: true",
                 "        pseudonym: refs", "        origin: derived",
                 '          "1": one'):
        assert "\n" + line + "\n" in text, line
    assert entry(text, "public.migrations")[0].endswith("skip: no people")
    # Whom nothing leads to any more is asked about again.
    assert entry(text, "public.revisions")[0] == "undecided"


def test_what_was_left_out_keeps_its_edges_too(postgres, database,
                                               tmp_path_of_test):
    postgres.execute(database, APPLICATION)
    path = os.path.join(tmp_path_of_test, "map.yaml")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({
            "version": 1, "subject": {"table": "public.plans",
                                      "key": ["name"], "label": "Plan"},
            "edges": {"public.blocks(creator_id) -> public.users(id)":
                      {"skip": "by staff"}},
            "tables": {"public.blocks": {"skip": "of staff"},
                       "public.devices": {"skip": "of nobody"}}}, out)
    text = propose(postgres, database, "public.users", path)
    assert edge(text, "blocks(creator_id)")[0] == "skip: by staff"
    assert "public.devices(user_id)" not in text
    # That map is of another subject.
    assert "key: [id]" in text and "label: Plan\n" not in text


def test_odd_names_come_through(postgres, database):
    postgres.psql(database, os.path.join(HERE, "odd_edges.sql"))
    text = propose(postgres, database, "public.person")
    assert 'it\'s -> (a) \\"\\"table\\"\\"\\"(\\"Person, or not\\")' in text
    assert "followed in all of them" in text.replace("\n  #", "")
    text = propose(postgres, database,
                   '"Odd.Schema"."it\'s -> (a) ""table"""')
    assert "key: [order]" in text


def test_a_subject_that_is_not_there_is_refused(postgres, database):
    postgres.execute(database, APPLICATION)
    for table, word in (("users", "public.users"), ("public.x", "schema"),
                        ("public.migrations", "no primary key")):
        with pytest.raises(AssertionError, match=word):
            propose(postgres, database, table)


def test_pagila_and_chinook_are_proposed(postgres, database, sample_data,
                                         tmp_path_of_test):
    load_pagila(postgres, database, sample_data)
    text = propose(postgres, database, "public.customer")
    customer = "public.customer(customer_id)"
    assert edge(text, "rental(customer_id)", customer)[0] == "own"
    value, comment = edge(text, "payment(customer_id)", customer)
    assert value == "own" and "not on public.payment_p2022_07" in comment
    assert edge(text, "payment(rental_id)",
                "public.rental(rental_id)")[0] == "undecided"
    assert edge(text, "customer(address_id)",
                "public.address(address_id)")[0] == "undecided"
    assert "{omit: a credential}" not in text
    assert "public.film" in text and "store(manager" not in text
    chinook = database + "_chinook"
    postgres.create_database(chinook)
    load_chinook(postgres, chinook, sample_data, tmp_path_of_test)
    text = propose(postgres, chinook, "public.customer")
    assert edge(text, "invoice(customer_id)", customer)[0] == "own"
    assert edge(text, "invoice_line(invoice_id)",
                "public.invoice(invoice_id)")[0] == "own"
    assert edge(text, "invoice_line(track_id)",
                "public.track(track_id)")[0] == "lookup: [name]"

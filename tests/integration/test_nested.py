# SPDX-License-Identifier: Apache-2.0
"""subject.json: the rows of one person, each in the row that it came in by."""

import collections
import json
import os

import jsonschema
import pytest
from harness.stack import COMPLETE

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text, boss int REFERENCES users);
CREATE TABLE folders (
    id int PRIMARY KEY, owner int REFERENCES users,
    inside int REFERENCES folders);
CREATE TABLE pings (owner int REFERENCES users, what text);
CREATE TABLE wallets (id int PRIMARY KEY, owner int REFERENCES users,
                      card int);
CREATE TABLE cards (id int PRIMARY KEY, wallet int REFERENCES wallets);
ALTER TABLE wallets ADD FOREIGN KEY (card) REFERENCES cards;
CREATE TABLE letters (id int PRIMARY KEY, sent_by int REFERENCES users,
                      sent_to int REFERENCES users);
CREATE TABLE kinds (id int PRIMARY KEY, name text,
                    above int REFERENCES kinds);
CREATE TABLE tags (name text PRIMARY KEY, secret text);
CREATE TABLE "Odd ""name%" (
    "a b" int PRIMARY KEY, owner int REFERENCES users,
    kind int REFERENCES kinds, tags text[], body text);
CREATE TABLE scores (id int PRIMARY KEY, owner int REFERENCES users);
CREATE TABLE moves (id int PRIMARY KEY, score int REFERENCES scores);
CREATE TABLE things (id int PRIMARY KEY, owner int REFERENCES users);
CREATE TABLE parts (
    id int, thing int REFERENCES things, at date NOT NULL,
    PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts
    FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO users VALUES (1, 'self', 1), (2, 'other', NULL);
INSERT INTO folders SELECT n, CASE n WHEN 1 THEN 1 END, nullif(n - 1, 0)
    FROM generate_series(1, 40) n;
UPDATE folders SET inside = 3 WHERE id = 1;
INSERT INTO folders VALUES (99, 2, NULL);
INSERT INTO pings VALUES (1, 'one'), (1, 'one'), (2, 'other'), (1, 'two');
INSERT INTO wallets VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO cards VALUES (1, 1), (2, 1), (3, 3);
UPDATE wallets SET card = id;
INSERT INTO letters VALUES (1, 1, 2), (2, 2, 1), (3, 1, 1), (4, 2, 2);
INSERT INTO kinds SELECT n, 'kind' || n, nullif(n - 1, 0)
    FROM generate_series(1, 7) n;
UPDATE kinds SET above = 2 WHERE id = 1;
INSERT INTO tags VALUES ('a', 'x'), ('b', 'x'), ('c', 'x');
INSERT INTO "Odd ""name%" VALUES
    (1, 1, 1, '{b,a,b,zz}', 'short'), (2, 1, 7, NULL, repeat('x', 70000)),
    (3, 2, 3, '{c}', 'other');
INSERT INTO scores VALUES (1, 1), (2, 2);
INSERT INTO moves VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO things SELECT n, 1 + (n > 1200)::int
    FROM generate_series(1, 1300) n;
INSERT INTO parts
    SELECT n, ('{1,1101,1250}'::int[])[1 + n % 3], date '2026-01-01' + n % 60
    FROM generate_series(1, 2100) n;
"""

MAP = """
version: 1
subject: {table: public.users, key: [id]}
edges:
  "public.users(boss) -> public.users(id)": own
  "public.folders(owner) -> public.users(id)": own
  "public.folders(inside) -> public.folders(id)": own
  "public.pings(owner) -> public.users(id)": own
  "public.wallets(owner) -> public.users(id)": own
  "public.wallets(card) -> public.cards(id)": {own: up}
  "public.cards(wallet) -> public.wallets(id)": own
  "public.letters(sent_by) -> public.users(id)": own
  "public.letters(sent_to) -> public.users(id)": own
  "public.kinds(above) -> public.kinds(id)": {lookup: [id, name, above]}
  'public."Odd ""name%"(owner) -> public.users(id)': own
  'public."Odd ""name%"(kind) -> public.kinds(id)': {lookup: [id, name]}
  "public.scores(owner) -> public.users(id)": own
  "public.moves(score) -> public.scores(id)": own
  "public.things(owner) -> public.users(id)": own
  "public.parts(thing) -> public.things(id)": own
references:
  - {from: 'public."Odd ""name%"', columns: [tags], to: public.tags(name),
     array: true, lookup: [name]}
tables:
  public.users: {label: Account, origin: provided, columns: {name: {label: Name}}}
  public.folders: {origin: provided}
  public.pings: {origin: observed}
  public.wallets: {origin: provided}
  public.cards: {origin: provided}
  public.letters: {origin: provided}
  public.kinds: {origin: provided}
  public.tags: {origin: provided}
  'public."Odd ""name%"': {origin: provided}
  public.scores: {origin: derived}
  public.moves: {origin: observed}
  public.things: {origin: provided}
  public.parts: {origin: provided}
"""

ODD = 'public."Odd ""name%"'


class Core:
    """subject.json of an export, read and held against the other files."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        self.nodes = collections.defaultdict(dict)
        self.told = self.load("subject.json")
        self.subject = self.told["subject"]
        self.tables = self.told["tables"]
        nested = self.load("schema.json")["$defs"]["subject.json"]
        jsonschema.Draft202012Validator.check_schema(nested)
        jsonschema.validate(self.told, nested)
        self.node(self.subject, self.tables["own"].get(
            "public.users", {}).get("file"), 0)
        for table in self.tables["own"].values():
            assert len(self.nodes[table["file"]]) == table["here"]
            assert len(self.lines(table["file"])) == table["rows"]

    def load(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as text:
            return json.load(text)

    def lines(self, name):
        if name not in self.files:
            path = os.path.join(self.folder, name)
            with open(path, encoding="utf-8") as text:
                self.files[name] = [json.loads(line) for line in text]
        return self.files[name]

    def node(self, node, file, depth):
        """Each stands there once, and is what its line says."""
        if node["line"] is not None:
            self.data(node, file)
            assert node["line"] not in self.nodes[file]
            self.nodes[file][node["line"]] = node
        for group in node.get("lookups", {}).values():
            for each in group["rows"]:
                self.looked_up(each, group["file"])
        for group in node.get("owned", {}).values():
            assert group["file"] == \
                self.tables["own"][group["table"]]["file"]
            for each in group["rows"]:
                self.node(each, group["file"], depth + 1)

    def looked_up(self, node, file):
        self.data(node, file)
        for group in node.get("lookups", {}).values():
            for each in group["rows"]:
                self.looked_up(each, group["file"])

    def data(self, node, file):
        if node["row"] is not None:
            assert node["row"] == self.lines(file)[node["line"] - 1]

    def group(self, node, name, kind="owned"):
        group = node[kind][name]
        return [each["row"] for each in group["rows"]], group["more"]


@pytest.fixture
def nested(stack, postgres, database):
    path = stack.path("schema.sql")
    with open(path, "w") as out:
        out.write(SCHEMA)
    postgres.psql(database, path)
    stack.add_postgres("app", postgres, database)
    with open(stack.path("map.yaml"), "w") as out:
        out.write(MAP)

    def export(name, *args):
        done = stack.run("backup-export", "run", "--map",
                         stack.path("map.yaml"), "--subject", "1", *args,
                         stack.path(name))
        assert done.status == COMPLETE, str(done)
        return Core(stack.path(name))
    return export


def test_rows_stand_in_the_row_that_they_came_by(nested):
    core = nested("out")
    top = core.subject
    assert top["row"] == {"id": 1, "name": "self", "boss": 1}
    assert core.tables["own"]["public.users"]["label"] == "Account"
    assert core.tables["own"]["public.users"]["columns"] == {"name": "Name"}
    pings = "public.pings(owner) -> public.users(id)"
    assert sorted(row["what"] for row in core.group(top, pings)[0]) == [
        "one", "one", "two"]
    by, to = [core.group(top, "public.letters(%s) -> public.users(id)" % way)
              for way in ("sent_by", "sent_to")]
    assert [row["id"] for row in by[0] + to[0]] == [1, 3, 2]
    first, second = top["owned"]["public.wallets(owner) -> public.users(id)"][
        "rows"]
    of_card = "public.cards(wallet) -> public.wallets(id)"
    assert [row["id"] for row in core.group(first, of_card)[0]] == [1, 2]
    assert "owned" not in second
    assert nested("again").told == core.told
    with open(os.path.join(core.folder, "subject.json"), "rb") as one, \
            open(os.path.join(core.folder, "..", "again", "subject.json"),
                 "rb") as two:
        assert one.read() == two.read()


def test_what_is_looked_up_stands_where_it_is_referred_to(nested):
    core = nested("out")
    short, long = core.subject["owned"][
        ODD + "(owner) -> public.users(id)"]["rows"]
    of_kind = ODD + "(kind) -> public.kinds(id)"
    above = "public.kinds(above) -> public.kinds(id)"
    assert core.group(short, ODD + "(tags) -> public.tags(name)",
                      "lookups") == ([{"name": "a"}, {"name": "b"}], 0)
    kind = short["lookups"][of_kind]["rows"][0]
    assert kind["row"] == {"id": 1, "name": "kind1", "above": 2}
    again = kind["lookups"][above]["rows"][0]["lookups"][above]["rows"][0]
    assert again == {"line": 1, "row": None}
    assert long["row"] is None
    row = core.lines(core.tables["own"][ODD]["file"])[long["line"] - 1]
    assert row["a b"] == 2 and len(row["body"]) == 70000
    kind, names = long["lookups"][of_kind]["rows"][0], []
    while kind["row"] is not None:
        names.append(kind["row"]["name"])
        kind = kind["lookups"][above]["rows"][0]
    assert names == ["kind7", "kind6", "kind5", "kind4"]
    assert kind == {"line": 3, "row": None}


def test_what_is_not_shown_is_told_by_number(nested):
    core = nested("out")
    things = core.subject["owned"]["public.things(owner) -> public.users(id)"]
    assert (len(things["rows"]), things["more"]) == (1000, 200)
    of_parts = "public.parts(thing) -> public.things(id)"
    parts = things["rows"][0]["owned"][of_parts]
    here = [row["thing"] for row in core.lines(parts["file"])[:1000]]
    assert len(parts["rows"]) == here.count(1) > 0
    assert len(parts["rows"]) + parts["more"] == 700
    assert not any("owned" in thing for thing in things["rows"][1:])
    told = core.tables["own"]["public.parts"]
    assert told["here"] == here.count(1) and told["rows"] == 1400
    at, depth = core.subject["owned"][
        "public.folders(owner) -> public.users(id)"]["rows"][0], 1
    inside = "public.folders(inside) -> public.folders(id)"
    while at["owned"][inside]["rows"]:
        assert at["owned"][inside]["more"] == 0
        at, depth = at["owned"][inside]["rows"][0], depth + 1
    assert (depth, at["row"]["id"]) == (32, 32)
    assert at["owned"][inside]["more"] == 1


def test_rows_of_what_is_left_out_are_the_subjects(nested):
    core = nested("out", "--portability")
    assert "public.scores" not in core.tables["own"]
    assert core.group(core.subject, "public.moves(score) -> public.scores(id)"
                      ) == ([{"id": 1, "score": 1}, {"id": 2, "score": 1}], 0)


def test_a_subject_that_is_not_exported_is_none(stack, nested):
    with open(stack.path("map.yaml"), "w") as out:
        out.write(MAP.replace("{label: Account, origin: provided",
                              "{label: Account, origin: derived"))
    core = nested("out", "--portability")
    assert core.subject["line"] is core.subject["row"] is None
    things = core.subject["owned"]["public.things(owner) -> public.users(id)"]
    assert (len(things["rows"]), things["more"]) == (1000, 200)

# SPDX-License-Identifier: Apache-2.0
"""What an export cannot read: tables that the role may not read, with all that
is reached by way of them, and objects that the server does not give. It is
partial then, and names each of them."""

import json
import os

import pytest
from harness.stack import COMPLETE, DEGRADED, FAILED
from test_s3_refused import Role

SCHEMA = """
CREATE SCHEMA desk;
CREATE TABLE users (id int PRIMARY KEY, name text, avatar text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users,
    body text);
CREATE TABLE products (id int PRIMARY KEY, name text);
CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders,
    product_id int REFERENCES products, body text);
CREATE TABLE wishes (id int PRIMARY KEY, user_id int REFERENCES users,
    product_id int REFERENCES products, body text);
CREATE TABLE messages (id int PRIMARY KEY, author int REFERENCES users,
    reader int REFERENCES users, body text);
CREATE TABLE visits (id int, user_id int REFERENCES users, body text)
    PARTITION BY RANGE (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (50);
CREATE TABLE visits_2 PARTITION OF visits DEFAULT;
CREATE TABLE desk.calls (id int PRIMARY KEY, caller int, body text);
CREATE TABLE uploads (id int PRIMARY KEY, user_id int REFERENCES users,
    place text);
INSERT INTO users VALUES (1, 'Ada', 'a/1.png'), (2, 'Bob', 'a/2.png');
INSERT INTO orders SELECT n, 1, 'ORDERS' FROM generate_series(1, 9) n;
INSERT INTO products VALUES (1, 'Tea'), (2, 'Rum');
INSERT INTO items SELECT n, n, 1, 'ITEMS' FROM generate_series(1, 9) n;
INSERT INTO wishes VALUES (1, 1, 2, 'WISHES');
INSERT INTO messages VALUES (1, 1, 2, 'MESSAGES');
INSERT INTO visits VALUES (1, 1, 'VISITS'), (99, 1, 'VISITS');
INSERT INTO desk.calls VALUES (1, 1, 'CALLS');
INSERT INTO uploads VALUES (1, 1, 'u/1/'), (2, 2, 'u/2/');
"""

MAP = """
version: 1
subject: {table: public.users, key: [id]}
edges:
  "public.orders(user_id) -> public.users(id)": own
  "public.items(order_id) -> public.orders(id)": own
  "public.items(product_id) -> public.products(id)": {lookup: [id, name]}
  "public.wishes(user_id) -> public.users(id)": own
  "public.wishes(product_id) -> public.products(id)": {lookup: [id, name]}
  "public.messages(author) -> public.users(id)": shared
  "public.messages(reader) -> public.users(id)": shared
  "public.visits(user_id) -> public.users(id)": own
  "public.uploads(user_id) -> public.users(id)": own
references:
  - {from: desk.calls, columns: [caller], to: public.users(id), own: down}
files:
  - {table: public.users, bucket: up, key: avatar}
  - {table: public.uploads, bucket: up, prefix: place}
tables:
""" + "".join("  %s: {origin: provided}\n" % name for name in (
    "public.users", "public.orders", "public.items", "public.wishes",
    "public.messages", "public.visits", "desk.calls", "public.uploads"))

ALL = {"public.users", "public.orders", "public.items", "public.wishes",
       "public.messages", "public.visits", "desk.calls", "public.uploads",
       "public.products"}
MAY_NOT = "this role may not read it"
HIDES = "row-level security hides rows of it"


class Made:
    """An export in a folder."""

    def __init__(self, folder, done):
        with open(os.path.join(folder, "manifest.json")) as text:
            self.manifest = json.load(text)
        self.tables = {table["table"]: table["rows"]
                       for table in self.manifest["tables"]}
        self.omitted = {item["what"]: item["reason"]
                        for item in self.manifest["omitted"]}
        assert len(self.omitted) == len(self.manifest["omitted"])
        assert self.manifest["status"] == done.result["state"]
        assert done.result["omissions"] == len(self.omitted)
        assert {event["path"]: event["text"]
                for event in done.of_type("omission")} == self.omitted
        self.files = {}
        for top, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(top, name)
                with open(path, "rb") as data:
                    self.files[os.path.relpath(path, folder)] = data.read()
        index = self.files["index.html"].decode()
        assert all(what in index for what in self.omitted)


class Exporter:
    def __init__(self, stack, name, text):
        self.stack, self.name = stack, name
        self.map = stack.path("map.yaml")
        self.write(text)

    def write(self, text):
        with open(self.map, "w") as out:
            out.write(text)

    def run(self, action, *args):
        return self.stack.run(
            "backup-export", action, "--json", "--map", self.map, "--source",
            "postgres/app", *args)

    def start(self, *args, subject="1"):
        return self.run("run", "--subject", subject, "--overwrite", "--audit",
                        self.stack.path("audit"), *args,
                        self.stack.path("out"))

    def export(self, status, *args, **options):
        done = self.start(*args, **options)
        assert done.status == status, str(done)
        return Made(self.stack.path("out"), done)

    def audited(self):
        with open(self.stack.path("audit")) as lines:
            return json.loads(lines.readlines()[-1])["state"]


# ---- tables ----

@pytest.fixture(name="exporter")
def _exporter(stack, postgres, database):
    """As a role that may read everything, until a test takes it away."""
    role = database + "_clerk"
    with open(stack.path("schema.sql"), "w") as out:
        out.write(SCHEMA + """
            CREATE ROLE {0} LOGIN; GRANT USAGE ON SCHEMA desk TO {0};
            GRANT SELECT ON ALL TABLES IN SCHEMA public, desk TO {0};
            GRANT TEMPORARY ON DATABASE {1} TO {0};
            """.format(role, database))
    postgres.psql(database, stack.path("schema.sql"))
    stack.add("postgres", "app",
              conninfo=postgres.conninfo(database, user=role))
    yield Exporter(stack, role, MAP)
    postgres.execute(database, "DROP OWNED BY {0}; DROP ROLE {0}".format(role))


@pytest.fixture(name="sql")
def _sql(exporter, postgres, database):
    return lambda text: postgres.execute(
        database, text.replace("clerk", exporter.name))


def test_a_table_that_may_not_be_read_is_named_with_all_below_it(
        exporter, sql):
    whole = exporter.export(COMPLETE, "--no-files")
    assert set(whole.tables) == ALL and not whole.omitted
    sql("REVOKE SELECT ON orders FROM clerk")
    made = exporter.export(DEGRADED, "--no-files")
    assert exporter.audited() == "partial"
    assert made.tables == {
        name: {"public.products": 1}.get(name, rows)
        for name, rows in whole.tables.items()
        if name not in ("public.orders", "public.items")}
    assert set(made.omitted) == {"public.orders", "public.items",
                                 "public.products"}
    assert made.omitted["public.orders"].startswith(MAY_NOT)
    for name in ("public.items", "public.products"):
        assert "by way of public.orders" in made.omitted[name]
    everything = b"".join(made.files.values())
    assert b"WISHES" in everything and b"Rum" in everything
    assert b"ORDERS" not in everything and b"Tea" not in everything
    # One that is in between.
    sql("GRANT SELECT ON orders TO clerk; REVOKE SELECT ON items FROM clerk")
    made = exporter.export(DEGRADED, "--no-files")
    assert set(whole.tables) - set(made.tables) == {"public.items"}
    assert set(made.omitted) == {"public.items", "public.products"}
    assert made.tables["public.orders"] == 9
    # And one at the end.
    sql("GRANT SELECT ON items TO clerk; REVOKE SELECT ON products FROM clerk")
    made = exporter.export(DEGRADED, "--no-files")
    assert set(made.omitted) == {"public.products"}
    assert set(whole.tables) - set(made.tables) == {"public.products"}


@pytest.mark.parametrize("sql_text, name, why", (
    ("REVOKE SELECT ON visits_2 FROM clerk", "public.visits", MAY_NOT),
    ("REVOKE SELECT ON visits FROM clerk", "public.visits", MAY_NOT),
    ("REVOKE USAGE ON SCHEMA desk FROM clerk", "desk.calls", MAY_NOT),
    ("ALTER TABLE messages ENABLE ROW LEVEL SECURITY;"
     " CREATE POLICY p ON messages USING (id > 1)", "public.messages", HIDES),
    ("REVOKE SELECT ON uploads FROM clerk", "public.uploads", MAY_NOT)))
def test_one_alone_is_named_and_the_rest_is_there(
        exporter, sql, sql_text, name, why):
    sql(sql_text)
    made = exporter.export(DEGRADED, "--no-files")
    told, = made.omitted.items()
    assert told[0] == name and told[1].startswith(why)
    assert set(made.tables) == ALL - {name}
    mark = name.split(".")[1].upper().encode()
    assert mark not in b"".join(made.files.values())


def test_what_nothing_leads_to_or_is_left_out_is_not_missed(exporter, sql):
    sql("REVOKE SELECT ON orders, desk.calls, messages FROM clerk")
    exporter.write(MAP.replace(
        "  public.orders: {origin: provided}\n",
        "  public.orders: {skip: kept by law}\n").replace(
        "  desk.calls: {origin: provided}\n",
        "  desk.calls: {skip: nobody's}\n").replace(
        '"public.orders(user_id) -> public.users(id)": own',
        '"public.orders(user_id) -> public.users(id)": {skip: kept}').replace(
        '"public.items(order_id) -> public.orders(id)": own',
        '"public.items(order_id) -> public.orders(id)": {skip: kept}').replace(
        "  - {from: desk.calls, columns: [caller], to: public.users(id),"
        " own: down}\n",
        "  - {from: desk.calls, columns: [caller], to: public.users(id),"
        " skip: nobody's}\n").replace(
        '"public.items(product_id) -> public.products(id)":'
        ' {lookup: [id, name]}',
        '"public.items(product_id) -> public.products(id)": {skip: kept}')
        .replace("  public.items: {origin: provided}\n",
                 "  public.items: {skip: kept}\n"))
    made = exporter.export(DEGRADED, "--no-files")
    assert set(made.omitted) == {"public.messages"}
    sql("GRANT SELECT ON messages TO clerk")
    made = exporter.export(COMPLETE, "--no-files")
    assert not made.omitted


def test_a_subject_that_may_not_be_read_is_no_export(exporter, sql):
    sql("REVOKE SELECT ON users FROM clerk")
    done = exporter.start("--no-files")
    assert done.status == FAILED and "public.users" in done.out, str(done)
    assert "GRANT SELECT" in done.out
    assert not os.path.exists(exporter.stack.path("out"))


def test_what_is_not_to_be_partial_refuses(exporter, sql):
    sql("REVOKE SELECT ON orders FROM clerk")
    done = exporter.run("check")
    assert done.status == FAILED
    assert {(event["kind"], event["what"]) for event in done.of_type("finding")
            if event["level"] == "open"} == {("table-unreadable",
                                              "public.orders")}
    actions = (("explain", "--subject", "1", "public.wishes", "1"),
               ("forget", "--subject", "3"))
    for action in actions:
        done = exporter.run(*action)
        assert done.status == FAILED, str(done)
        assert "public.orders" in done.out and "GRANT SELECT" in done.out
    sql("GRANT SELECT ON orders TO clerk")
    for action in actions:
        done = exporter.run(*action)
        assert done.status == COMPLETE, str(done)


# ---- objects ----

@pytest.fixture(name="objects")
def _objects(exporter, postgres, database, minio, s3, bucket):
    for key in ("a/1.png", "a/2.png", "u/1/one", "u/1/two", "u/2/one"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    exporter.stack.add_bucket("up", minio, bucket=bucket)
    return exporter


HERS = {"files/up/a/1.png", "files/up/u/1/one", "files/up/u/1/two"}


def files(made):
    found = {name for name in made.files if name.startswith("files/")}
    listed = [json.loads(line)
              for line in made.files["files.ndjson"].splitlines()]
    assert {line["file"] for line in listed} == found
    assert made.manifest["objects"]["count"] == len(found)
    return found


def use_role(exporter, minio, bucket, *denied):
    role = Role(minio, *denied)
    exporter.stack.add_bucket(
        "up", role, bucket=bucket,
        session_token_file=exporter.stack.secret("token", role.token))


def test_objects_that_are_refused_are_named(objects, minio, bucket):
    assert files(objects.export(COMPLETE)) == HERS
    use_role(objects, minio, bucket,
             ("s3:GetObject", bucket + "/u/1/two"),
             ("s3:GetObject", bucket + "/a/*"))
    made = objects.export(DEGRADED)
    assert objects.audited() == "partial"
    assert files(made) == {"files/up/u/1/one"}
    assert set(made.omitted) == {"files/up/a/1.png", "files/up/u/1/two"}
    assert "public.users names it" in made.omitted["files/up/a/1.png"]
    assert "public.uploads names it" in made.omitted["files/up/u/1/two"]
    assert all("AccessDenied" in why for why in made.omitted.values())
    assert set(made.tables) == ALL


def test_a_prefix_that_cannot_be_listed_is_named(objects, minio, bucket):
    use_role(objects, minio, bucket, ("s3:ListBucket", bucket))
    made = objects.export(DEGRADED)
    assert files(made) == {"files/up/a/1.png"}
    (what, why), = made.omitted.items()
    assert what == "files/up/u/1/"
    assert "public.uploads" in why and "AccessDenied" in why


@pytest.mark.parametrize("name, value", (
    ("secret_key_file", "0123456789abcdef"), ("access_key_file", "nobody")))
def test_credentials_that_are_wrong_leave_every_object_out_by_name(
        objects, minio, bucket, name, value):
    objects.stack.add_bucket(
        "up", minio, bucket=bucket,
        **{name: objects.stack.secret("wrong", value)})
    made = objects.export(DEGRADED)
    assert files(made) == set()
    assert set(made.omitted) == {"files/up/a/1.png", "files/up/u/1/"}
    assert not any(value in why for why in made.omitted.values())
    assert set(made.tables) == ALL


def test_a_bucket_that_is_gone_leaves_every_object_out_by_name(
        objects, minio):
    objects.stack.add_bucket("up", minio, bucket="no-such-bucket")
    made = objects.export(DEGRADED)
    assert files(made) == set()
    assert set(made.omitted) == {"files/up/a/1.png", "files/up/u/1/"}

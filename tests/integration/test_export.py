# SPDX-License-Identifier: Apache-2.0
"""Exports of one person's data as the command writes them: what is in them,
what is not, in which form, and how they look in a browser."""

import csv
import hashlib
import json
import os
import pwd
import struct
import subprocess
import urllib.parse
import urllib.request
import zlib

import jsonschema
import pytest
from PIL import Image
from harness.stack import COMPLETE, DEGRADED, FAILED, USAGE, patience

SCHEMA = """
CREATE TYPE state AS ENUM ('a', 'b');
CREATE TABLE users (
    id bigint PRIMARY KEY, name text NOT NULL, secret text, born date,
    state state, phone text, rate float8, data jsonb, tags text[],
    seen timestamptz, picture bytea, avatar text, balance numeric(30, 10));
CREATE TABLE products (id int PRIMARY KEY, name text, cost numeric);
CREATE TABLE orders (
    id int PRIMARY KEY, user_id bigint NOT NULL REFERENCES users,
    product_id int REFERENCES products, note text);
CREATE INDEX ON orders (user_id);
CREATE TABLE messages (
    id int PRIMARY KEY, author bigint REFERENCES users,
    reader bigint REFERENCES users, body text);
CREATE INDEX ON messages (author);
CREATE INDEX ON messages (reader);
CREATE TABLE blocks (
    id int PRIMARY KEY, creator bigint REFERENCES users,
    target bigint REFERENCES users, made timestamptz);
CREATE INDEX ON blocks (creator);
CREATE TABLE settings (name text PRIMARY KEY, value text);
INSERT INTO users VALUES
    (1, 'Ada <script>alert(1)</script> & "Co"', 'CANARY-hash', '1990-02-03',
     'a', '+41 1', 0.1, '{"a": [1, 2.50], "b": null}', '{x,"y z",NULL}',
     '2026-11-20 12:00:00.5+01', '\\x00ff', 'users/1.png',
     12345678901234567890.0123456789),
    (2, 'CANARY-other', 'CANARY', NULL, 'b', 'CANARY', NULL, NULL, NULL, NULL,
     NULL, 'users/2.png', NULL),
    (9007199254740993, 'big', NULL, NULL, NULL, NULL, 'NaN', NULL, NULL,
     'infinity', NULL, 'users/missing.png', NULL);
INSERT INTO products VALUES (1, 'Tea', 3.50), (2, 'CANARY-product', 1);
INSERT INTO orders
    SELECT n, 1, 1, (SELECT string_agg(md5(n || '.' || k), '')
                     FROM generate_series(1, CASE WHEN n > 50 THEN 99 END) k)
    FROM generate_series(1, 130) n;
INSERT INTO orders VALUES (1000, 2, 2, 'CANARY-order'),
    (1001, 9007199254740993, NULL, 'one');
INSERT INTO messages VALUES (1, 1, 2, 'hello'), (2, 2, 1, 'hello back'),
    (3, 2, 9007199254740993, 'CANARY-message');
INSERT INTO blocks VALUES (1, 1, 2, '2026-01-01Z'), (2, 2, 1, '2026-01-02Z');
INSERT INTO settings VALUES ('CANARY-setting', 'x');
"""

MAP = """
version: 1
subject: {table: public.users, key: [id], label: Everything about you}
edges:
  "public.orders(user_id) -> public.users(id)": own
  "public.orders(product_id) -> public.products(id)": {lookup: [name]}
  "public.messages(author) -> public.users(id)": shared
  "public.messages(reader) -> public.users(id)": shared
  "public.blocks(creator) -> public.users(id)": {actor: [id, made]}
  "public.blocks(target) -> public.users(id)": {skip: who blocked you is theirs}
files:
  - {table: public.users, bucket: up, key: avatar, name: "'Portrait'"}
tables:
  public.users:
    label: Account
    purpose: running your account
    origin: provided
    columns:
      secret: {omit: a credential}
      phone: {mask: true}
      name: {label: Your name}
      state: {label: State, values: {a: active, b: blocked}}
  public.orders: {label: Orders, origin: provided, retention: ten years}
  public.messages: {label: Messages, origin: provided}
  public.blocks: {origin: derived}
  public.settings: {skip: holds nothing about people}
"""

def png(color, side=64):
    """A picture of one colour."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    lines = b"".join(b"\0" + bytes(color) * side for _ in range(side))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


RED = (250, 10, 10)
PICTURE = png(RED)


class Exporter:
    def __init__(self, stack):
        self.stack = stack
        self.map = stack.path("map.yaml")
        with open(self.map, "w") as out:
            out.write(MAP)

    def run(self, action, *args, **options):
        return self.stack.run(
            "backup-export", action, "--map", self.map, *args, **options)

    def export(self, subject, name, *args, status=COMPLETE):
        output = self.stack.path(name)
        done = self.run(
            "run", "--json", "--subject", subject, *args, output)
        assert done.status == status, str(done)
        return output, done


@pytest.fixture
def exporter(stack, postgres, database, minio, s3, bucket):
    path = stack.path("schema.sql")
    with open(path, "w") as out:
        out.write(SCHEMA)
    postgres.psql(database, path)
    for key in ("users/1.png", "users/2.png"):
        s3.put_object(Bucket=bucket, Key=key, Body=PICTURE,
                      ContentType="image/png")
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("up", minio, bucket=bucket)
    return Exporter(stack)


def rows(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def manifest(folder):
    with open(os.path.join(folder, "manifest.json")) as text:
        return json.load(text)


def everything(folder):
    """{name: bytes} of all that is in it."""
    found = {}
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as data:
                found[os.path.relpath(path, folder)] = data.read()
    return found


def test_an_export_holds_what_is_decided_and_nothing_else(exporter):
    folder, done = exporter.export("1", "out", "--csv")
    files = everything(folder)
    assert sorted(files) == [
        "actor/public.blocks.csv", "actor/public.blocks.ndjson",
        "files.ndjson", "files/up/users/1.png", "index.html",
        "lookup/public.products.csv", "lookup/public.products.ndjson",
        "manifest.json",
        "own/public.orders.csv", "own/public.orders.ndjson",
        "own/public.users.csv", "own/public.users.ndjson",
        "pages/own.public.orders.1.html", "schema.json",
        "shared/public.messages.csv", "shared/public.messages.ndjson",
        "subject.json"]
    for name, data in files.items():
        assert b"CANARY" not in data, name
    assert rows(folder, "own/public.users.ndjson") == [{
        "id": "1", "name": 'Ada <script>alert(1)</script> & "Co"',
        "born": "1990-02-03", "state": "a", "phone": "***", "rate": 0.1,
        "data": {"a": [1, 2.50], "b": None}, "tags": ["x", "y z", None],
        "seen": "2026-11-20T11:00:00.5Z", "picture": "AP8=",
        "avatar": "users/1.png",
        "balance": "12345678901234567890.0123456789"}]
    assert len(rows(folder, "own/public.orders.ndjson")) == 130
    assert rows(folder, "lookup/public.products.ndjson") == [{"name": "Tea"}]
    assert rows(folder, "actor/public.blocks.ndjson") == [
        {"id": 1, "made": "2026-01-01T00:00:00Z"}]
    sent, got = rows(folder, "shared/public.messages.ndjson")
    assert (sent["author"], got["reader"]) == ("self", "self")
    assert sent["reader"] == got["author"] and sent["reader"] != "2"
    assert done.result["rows"] == 1 + 130 + 1 + 1 + 2
    assert files["files/up/users/1.png"] == PICTURE
    line, = rows(folder, "files.ndjson")
    assert (line["file"], line["key"], line["name"]) == (
        "files/up/users/1.png", "users/1.png", "Portrait")


def test_the_manifest_accounts_for_every_file_and_every_exclusion(exporter):
    folder, done = exporter.export("1", "out", "--csv")
    told = manifest(folder)
    listed = [told["core"], told["schema"], told["index"],
              told["objects"]["list"], *told["pages"]]
    for table in told["tables"]:
        listed += [table["file"], table["csv"]]
    for line in rows(folder, "files.ndjson"):
        listed.append({"name": line["file"], "bytes": line["bytes"],
                       "sha256": line["sha256"]})
    for file in listed:
        with open(os.path.join(folder, file["name"]), "rb") as data:
            content = data.read()
        assert len(content) == file["bytes"]
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert {file["name"] for file in listed} | {"manifest.json"} == \
        set(everything(folder))
    assert told["status"] == "complete" and told["omitted"] == []
    assert {"kind": "column", "what": "public.users.secret",
            "reason": "a credential"} in told["excluded"]
    assert {"kind": "table", "what": "public.settings",
            "reason": "holds nothing about people"} in told["excluded"]
    assert any(item["kind"] == "edge" and "blocks(target)" in item["what"]
               for item in told["excluded"])
    with open(os.path.join(folder, "manifest.json"), "rb") as data:
        assert done.result["sha256"] == \
            hashlib.sha256(data.read()).hexdigest()
    with open(exporter.map, "rb") as data:
        assert told["map_sha256"] == hashlib.sha256(data.read()).hexdigest()


def test_the_manifest_says_what_was_replaced_and_what_refers(exporter):
    with open(exporter.map, "a") as text:
        text.write(
            "references:\n"
            "  - {from: public.orders, columns: [note], to: public.users(name),"
            " when: id > 5, own: down}\n"
            "  - {from: public.settings, columns: [value],"
            " to: public.users(name), skip: a test}\n")
    folder, _ = exporter.export("1", "out", "--no-files")
    told = manifest(folder)
    tables = {table["table"]: table for table in told["tables"]}
    replaced = {column["name"]: column["replaced"]
                for column in tables["public.users"]["columns"]}
    assert replaced["phone"] == "masked" and replaced["name"] is None
    assert tables["public.users"]["left_out"] == [
        {"name": "secret", "type": "text", "why": "omitted",
         "reason": "a credential"}]
    assert [(column["name"], column["why"])
            for column in tables["public.blocks"]["left_out"]] == [
        ("creator", "not given"), ("target", "not given")]
    assert {column["name"] for column in tables["public.messages"]["columns"]
            if column["names_others"]} == {"author", "reader"}
    assert tables["public.orders"]["retention"] == "ten years"
    reference, = told["references"]
    assert reference == {
        "edge": "public.orders(note) -> public.users(name) when id > 5",
        "from": "public.orders", "columns": ["note"], "to": "public.users",
        "to_columns": ["name"], "when": "id > 5", "array": False,
        "decision": "own"}


def test_the_manifest_tells_of_which_moment_it_is(
        exporter, postgres, database):
    def now():
        return postgres.execute(
            database, "SELECT pg_current_wal_lsn()::text")[0][0]

    before = now()
    folder, _ = exporter.export("1", "out", "--no-files")
    assert postgres.execute(
        database, "SELECT pg_lsn '%s' BETWEEN '%s' AND '%s'" % (
            manifest(folder)["lsn"], before, now())) == [(True,)]


def test_lines_are_as_the_schema_says(exporter):
    for subject in ("1", "9007199254740993"):
        folder, _ = exporter.export(
            subject, "out" + subject,
            status=COMPLETE if subject == "1" else DEGRADED)
        with open(os.path.join(folder, "schema.json")) as text:
            schemas = json.load(text)["$defs"]
        assert schemas
        for name in ("subject.json", "manifest.json"):
            with open(os.path.join(folder, name)) as text:
                whole = schemas.pop(name)
                jsonschema.Draft202012Validator.check_schema(whole)
                jsonschema.validate(json.load(text), whole)
        for name, schema in schemas.items():
            jsonschema.Draft202012Validator.check_schema(schema)
            for row in rows(folder, name):
                jsonschema.validate(row, schema)
    user, = rows(folder, "own/public.users.ndjson")
    assert user["id"] == "9007199254740993"
    assert (user["rate"], user["seen"]) == ("NaN", "infinity")


def test_a_page_that_was_changed_is_seen(exporter):
    folder, _ = exporter.export("1", "out")
    page = os.path.join(folder, "pages", "own.public.orders.1.html")
    arguments = ("backup-import", "--dry-run", "--database", "none", folder)
    with open(page, "a") as text:
        text.write("<!-- one more -->")
    done = exporter.stack.run(*arguments)
    assert done.status == FAILED and "orders.1.html is not" in done.err
    os.remove(page)
    done = exporter.stack.run(*arguments)
    assert done.status == FAILED and "orders.1.html is missing" in done.err


def test_csv_says_what_the_json_says(exporter):
    folder, _ = exporter.export("1", "out", "--csv")
    with open(os.path.join(folder, "own/public.users.csv"),
              encoding="utf-8", newline="") as text:
        read, = csv.DictReader(text)
    assert read["name"] == 'Ada <script>alert(1)</script> & "Co"'
    assert read["picture"] == "AP8="
    assert read["seen"] == "2026-11-20T11:00:00.5Z"
    assert json.loads(read["tags"]) == ["x", "y z", None]
    assert read["balance"] == "12345678901234567890.0123456789"


def test_an_object_that_is_missing_makes_it_partial(exporter):
    folder, done = exporter.export(
        "9007199254740993", "out", status=DEGRADED)
    told = manifest(folder)
    assert told["status"] == done.result["state"] == "partial"
    missing, = told["omitted"]
    assert missing["what"] == "files/up/users/missing.png"
    assert "public.users" in missing["reason"]
    assert not os.path.exists(os.path.join(folder, missing["what"]))


def test_portability_leaves_out_what_is_derived(exporter):
    folder, _ = exporter.export("1", "out", "--portability", "--no-files")
    told = manifest(folder)
    assert told["profile"] == "portability"
    assert [table["table"] for table in told["tables"]] == [
        "public.users", "public.orders", "public.messages",
        "public.products"]
    assert any(item["what"] == "public.blocks" and "derived" in
               item["reason"] for item in told["excluded"])


def unpacked(exporter, name, command):
    folder = exporter.stack.path(name)
    os.mkdir(folder)
    subprocess.run(command, cwd=folder, check=True, shell=True)
    return {member: data for member, data in everything(folder).items()
            if member.startswith(("own/", "files/"))}


def test_forms_hold_the_same(exporter):
    stack = exporter.stack
    folder, _ = exporter.export("1", "plain")
    expected = {member: data for member, data in everything(folder).items()
                if member.startswith(("own/", "files/"))}
    password = stack.secret("password", "correct horse")
    recipient = subprocess.run(
        ["age-keygen", "-y", stack.identity], check=True,
        capture_output=True, text=True).stdout.strip()
    exporter.export("1", "a.zip", "--export-passphrase-file", password)
    exporter.export("1", "b.tar.zst.age", "-R", recipient)
    exporter.export("1", "c.zip", "--no-encryption")
    exporter.export("1", "d.tar.zst", "--no-encryption", "--split", "64K")
    for name, command in (
            ("a", "bsdtar --passphrase 'correct horse' -xf ../a.zip"),
            ("b", "age -d -i ../identity.txt ../b.tar.zst.age |"
                  " zstd -d | tar x"),
            ("c", "bsdtar -xf ../c.zip"),
            ("d", "cat ../d.tar.zst.* | zstd -d | tar x")):
        assert unpacked(exporter, name, command) == expected, name
    wrong = subprocess.run(
        ["bsdtar", "--passphrase", "wrong", "-xOf", stack.path("a.zip")],
        capture_output=True)
    assert wrong.returncode != 0 and b"Ada" not in wrong.stdout


def test_what_is_not_encrypted_has_to_be_said(exporter):
    output = exporter.stack.path("x.zip")
    done = exporter.run("run", "--subject", "1", output)
    assert done.status == USAGE and "--no-encryption" in done.err
    assert not os.path.exists(output)


def test_nothing_undecided_is_exported(exporter, postgres, database):
    assert exporter.run("check").status == COMPLETE
    postgres.execute(database, "CREATE TABLE reviews (id int PRIMARY KEY,"
                     " user_id bigint REFERENCES users)")
    done = exporter.run("check", "--json")
    assert done.status == FAILED
    assert {event["kind"] for event in done.of_type("finding")
            if event["level"] == "open"} == {"edge-undecided",
                                             "table-undecided"}
    output = exporter.stack.path("out")
    done = exporter.run("run", "--subject", "1", output)
    assert done.status == FAILED and "reviews" in done.err
    assert not os.path.exists(output)
    postgres.execute(database, "DROP TABLE reviews;"
                     "ALTER TABLE users DROP COLUMN phone")
    done = exporter.run("check", "--json")
    assert done.status == FAILED
    assert [(event["kind"], event["what"])
            for event in done.of_type("finding")
            if event["level"] == "open"] == [
        ("column-gone", "public.users.phone")]
    done = exporter.run("run", "--subject", "1", output)
    assert done.status == FAILED and "phone" in done.err
    assert not os.path.exists(output)


def test_a_row_is_explained(exporter):
    done = exporter.run("explain", "--json", "--subject", "1",
                        "public.products", "1")
    assert done.status == COMPLETE, str(done)
    steps = done.of_type("step")
    assert [step["table"] for step in steps] == [
        "public.users", "public.orders", "public.products"]
    assert steps[-1]["row"] == "id=1"
    assert steps[-1]["edge"] == \
        "public.orders(product_id) -> public.products(id)"
    done = exporter.run("explain", "--subject", "1", "public.orders", "1000")
    assert done.status == FAILED and "not in the export" in done.err


def who_runs_this():
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "uid %d" % os.getuid()


def test_the_audit_tells_of_every_export_and_of_no_person(exporter):
    audit = exporter.stack.path("audit.log")
    _, first = exporter.export("1", "one", "--audit", audit, "--for", "desk")
    exporter.export("9007199254740993", "two", "--audit", audit,
                    status=DEGRADED)
    exporter.export("1", "one", "--audit", audit, status=FAILED)
    with open(audit) as text:
        lines = [json.loads(line) for line in text]
    assert [(line["event"], line["state"]) for line in lines] == [
        ("export-begun", None), ("export-ended", "complete"),
        ("export-begun", None), ("export-ended", "partial"),
        ("export-begun", None), ("export-ended", "failed")]
    assert lines[1]["sha256"] == first.result["sha256"]
    with open(exporter.map, "rb") as data:
        digest = hashlib.sha256(data.read()).hexdigest()
    assert {line["map_sha256"] for line in lines} == {digest}
    assert {line["user"] for line in lines} == {who_runs_this()}
    assert [line["for"] for line in lines[::2]] == [
        "desk", who_runs_this(), who_runs_this()]
    assert lines[0]["subject"] == lines[4]["subject"]
    assert lines[0]["subject"] != lines[2]["subject"]
    with open(audit) as text:
        content = text.read()
    for personal in ("9007199254740993", "Ada <", "CANARY", "users/1.png",
                     "+41 1"):
        assert personal not in content
    done = exporter.run("audit", "--audit", audit)
    assert done.status == COMPLETE and "6 lines" in done.out
    with open(audit, "r+") as text:
        text.write(text.read().replace("partial", "PARTIAL", 1))
    with open(audit) as text:
        changed = text.read().replace("complete", "COMPLETE", 1)
    with open(audit, "w") as text:
        text.write(changed)
    done = exporter.run("audit", "--audit", audit)
    assert done.status == FAILED and "line 3" in done.err
    exporter.export("1", "three", "--audit", audit, status=FAILED)
    assert not os.path.exists(exporter.stack.path("three"))


def test_an_export_goes_into_a_bucket_and_is_handed_over(
        exporter, s3, bucket):
    done = exporter.run(
        "run", "--json", "--subject", "1", "--format", "zip",
        "--no-encryption", "--link", "3",
        "s3://%s/exports/1.zip" % bucket)
    assert done.status == COMPLETE, str(done)
    asked = urllib.parse.parse_qs(
        urllib.parse.urlsplit(done.result["link"]).query)
    assert asked["X-Amz-Expires"] == [str(3 * 3600)]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(done.result["link"], timeout=30) as answer:
        given = answer.read()
    data = s3.get_object(Bucket=bucket, Key="exports/1.zip")["Body"].read()
    assert data == given
    assert hashlib.sha256(data).hexdigest() == done.result["sha256"]


# ---- in a browser ----

def chromium(folder, path, *args):
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
         "--user-data-dir=" + os.path.join(folder, "browser"),
         "--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000",
         "--window-size=1000,20000", *args, "file://" + path],
        capture_output=True, timeout=patience(120),
        env={"HOME": folder, "PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr.decode()
    return done


def browse(path, folder):
    """The page as a browser made it, and what it complained of."""
    done = chromium(folder, path, "--dump-dom")
    complaints = [line for line in done.stderr.decode().splitlines()
                  if "CONSOLE" in line]
    return done.stdout.decode(), complaints


def seen(path, folder):
    """How many red points are on it."""
    picture = os.path.join(folder, "page.png")
    chromium(folder, path, "--hide-scrollbars", "--screenshot=" + picture)
    with Image.open(picture) as image:
        return sum(count for count, color in
                   image.convert("RGB").getcolors(1 << 24) if color == RED)


def test_people_can_read_it_in_a_browser(exporter):
    folder, _ = exporter.export("1", "out")
    index = os.path.join(folder, "index.html")
    page, complaints = browse(index, exporter.stack.folder)
    assert not complaints
    assert "<title>Everything about you</title>" in page
    assert "<script" not in page
    assert "Ada &lt;script&gt;alert(1)&lt;/script&gt; &amp; \"Co\"" in page
    assert ">Your name</th>" in page and ">active</td>" in page
    assert page.count("<tr>") > 50
    assert '<img alt="" src="files/up/users/1.png">Portrait' in page
    assert "What for: running your account" in page
    assert "How long it is kept: ten years" in page
    assert 'href="pages/own.public.orders.1.html"' in page
    page, complaints = browse(
        os.path.join(folder, "pages", "own.public.orders.1.html"),
        exporter.stack.folder)
    assert not complaints and page.count("<tr>") == 131
    assert seen(index, exporter.stack.folder) == 64 * 64
    os.remove(os.path.join(folder, "files", "up", "users", "1.png"))
    assert seen(index, exporter.stack.folder) == 0

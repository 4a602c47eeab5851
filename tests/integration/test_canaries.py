# SPDX-License-Identifier: Apache-2.0
"""Nothing of anybody else is in an export, and nothing of the person is left
out: every text of every row says whose it is and whether it is to be seen,
and every byte of what the command writes is searched for it."""

import base64
import os
import re
import shutil
import subprocess

import pytest
from harness.stack import COMPLETE

HERE = os.path.dirname(os.path.abspath(__file__))
APPLICATION = os.path.join(HERE, "application")
SUBJECT = 8

# What map.yaml leaves out, masks or replaces of rows that are the person's.
REPLACED = {
    ("users", "password_hash"), ("users", "phone"), ("api_tokens", "token"),
    ("ticket_comments", "author_name"), ("invitations", "code"),
    ("messages", "sender_ip"), ("message_reactions", "user_name"),
    ("attachments", "uploader")}
# The text that it gives of rows that are not.
GIVEN = {
    ("regions", "name"), ("countries", "name"), ("cities", "name"),
    ("tenants", "name"), ("tenants", "plan"), ("products", "name"),
    ("categories", "name"), ("teams", "name")}
DERIVED = re.compile(r"SEEN\.recommendations\.|SEEN\.USERS\.NAME\.")
# Rows are found by these, and belong where they are because of them.
KEPT = {
    "code": "countries", "user_ref": "notes", "owner_type": "attachments",
    "kind": "events", "site": "visits", "currency": "payments",
    "user_email": "invoices"}

LEAVES = """
SELECT c.oid::int8, c.oid::regclass::text, c.relname, array_agg(a.attname::text
    || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    AND NOT a.attisdropped AND a.attgenerated = ''
WHERE n.nspname IN ('public', 'Odd Schema') AND c.relkind = 'r'
GROUP BY c.oid ORDER BY c.relname"""

# How a text gets into a column of each type; %s is the text.
PLANTED = {
    "text": "%s", "short_text": "%s", "json": "json_build_object('x', %s)",
    "jsonb": "coalesce({c}, '{{}}') || jsonb_build_object('x', %s)",
    "text[]": "ARRAY[%s]", "bytea": "convert_to(%s, 'UTF8')",
    "measure": "ROW(1, %s)::measure", "measure[]": "ARRAY[ROW(1, %s)::measure]"}


def plain(name):
    return re.sub("[^A-Za-z0-9]", "_", name)


def mark(table, column, decided):
    """What a text of such a row begins with."""
    if decided in ("own", "shared"):
        is_seen = (table, column) not in REPLACED
    else:
        is_seen = decided == "lookup" and (table, column) in GIVEN
    return "%s.%s.%s.%s." % ("SEEN" if is_seen else "HIDDEN", plain(table),
                             plain(column), decided)


class Application:
    """The application, with every text in it marked."""

    def __init__(self, postgres, database, folder):
        for name in ("schema.sql", "data.sql"):
            postgres.psql(database, os.path.join(APPLICATION, name))
        with open(os.path.join(APPLICATION, "walk.sql")) as text:
            self.walk = text.read().replace(":subject", str(SUBJECT))
        self.walked = {(int(rel), tid): decided for rel, tid, decided in
                       postgres.execute(database, self.walk)}
        self.leaves = [
            (rel, name, table,
             [column.split(" ", 1) for column in columns
              if column.split(" ", 1)[1] in PLANTED
              and not table.startswith(KEPT.get(column.split(" ")[0], "-"))])
            for rel, name, table, columns in
            postgres.execute(database, LEAVES)]
        path = os.path.join(folder, "mark.sql")
        with open(path, "w") as out:
            out.write("BEGIN; CREATE TEMP TABLE walked (rel, tid, decided)"
                      " AS " + self.walk + ";\n")
            for leaf in self.leaves:
                out.write(self.marking(*leaf))
            out.write("COMMIT; ANALYZE;\n")
        postgres.psql(database, path)

    @staticmethod
    def marking(rel, name, table, columns):
        changes = []
        for column, kind in columns:
            text = "CASE m.d %s END || m.place || '!'" % " ".join(
                "WHEN '%s' THEN '%s'" % (decided, mark(table, column, decided))
                for decided in ("own", "shared", "actor", "lookup", "none"))
            quoted = '"%s"' % column.replace('"', '""')
            changes.append("%s = %s" % (
                quoted, PLANTED[kind].format(c="t." + quoted)
                % ("(" + text + ")")))
        if not changes:
            return ""
        return """UPDATE ONLY %s t SET %s FROM (
            SELECT r.ctid AS tid, translate(r.ctid::text, ',()', '_') AS place,
            coalesce(w.decided, 'none') AS d FROM ONLY %s r
            LEFT JOIN walked w ON w.rel = r.tableoid AND w.tid = r.ctid) m
            WHERE m.tid = t.ctid;\n""" % (name, ",\n".join(changes), name)

    def expected(self):
        """{text: (decided, type)} of all that is to be seen."""
        found = {}
        for rel, _, table, columns in self.leaves:
            for (at, tid), decided in self.walked.items():
                if at != rel:
                    continue
                for column, kind in columns:
                    text = mark(table, column, decided)
                    if text.startswith("SEEN"):
                        text += tid.strip("()").replace(",", "_") + "!"
                        found[text] = decided, kind
                        if (table, column) == ("users", "name"):
                            found[text.upper()] = decided, kind
        return found


def fill(application, postgres, database, s3, bucket):
    """An object for every row that names one; returns the contents of those of
    the person, and of those of shared rows."""
    objects = []
    for table, column in (("users", "avatar_key"), ("uploads", "object_key"),
                          ("attachments", "file_key")):
        objects += [key for key, in postgres.execute(
            database, "SELECT %s FROM %s" % (column, table))]
    mine = {key: "SEEN.object.%s" % key for key in objects if ".own." in key}
    for n, key in postgres.execute(
            database, "SELECT id, object_key FROM uploads"):
        thumb = "thumbs/%d/small" % n
        objects.append(thumb)
        if key in mine:
            mine[thumb] = "SEEN.object.thumb.%d!" % n
    shared = {key: "SHARED.object.%s" % key
              for key in objects if ".shared." in key}
    assert mine and shared
    for key in objects:
        s3.put_object(Bucket=bucket, Key=key, Body=mine.get(
            key, shared.get(key, "HIDDEN.object!")).encode())
    return set(mine.values()), set(shared.values())


@pytest.fixture
def application(stack, postgres, database, minio, s3, bucket):
    made = Application(postgres, database, stack.folder)
    made.objects, made.shared_objects = fill(made, postgres, database, s3, bucket)
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("uploads", minio, bucket=bucket)
    return made


class Export:
    """Every byte of an export, by the kind of file."""

    def __init__(self, folder):
        self.files = {}
        for top, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(top, name)
                with open(path, "rb") as data:
                    self.files[os.path.relpath(path, folder)] = data.read()

    def text(self, *endings):
        return b"\n".join(data for name, data in self.files.items()
                          if name.endswith(endings)).decode("latin-1")

    def assert_nothing_of_others(self):
        for name, data in self.files.items():
            assert "HIDDEN" not in name.upper()
            found = re.search(
                rb".{0,99}((?i:hidden)|SECRET|CANARY-(?!%d!)|%s).{0,99}"
                % (SUBJECT, base64.b64encode(b"HIDDEN")), data, re.S)
            assert not found, (name, found.group())
            people = set(re.findall(rb"0{8}-0000-4000-8000-(0{10}\d\d)", data))
            assert people <= {b"%012d" % SUBJECT}, name

    def assert_has(self, expected, *endings):
        text = self.text(*endings)
        missing = [each for each, (_, kind) in expected.items() if (
            base64.b64encode(each.encode()).decode() if kind == "bytea"
            else each) not in text]
        assert not missing, (endings, len(missing), missing[:9])


def run(stack, *args, map_path=os.path.join(APPLICATION, "map.yaml")):
    done = stack.run("backup-export", "run", "--map", map_path, "--subject",
                     str(SUBJECT), *args)
    assert done.status == COMPLETE, str(done)


def export(stack, name, *args, **options):
    run(stack, *args, stack.path(name), **options)
    return Export(stack.path(name))


def unpacked(stack, name, command):
    folder = stack.path(name + ".d")
    os.mkdir(folder)
    subprocess.run(command, cwd=folder, check=True, shell=True)
    return Export(folder)


def test_what_is_the_persons_is_there_and_nothing_else(stack, application):
    expected = application.expected()
    tables = {text.split(".")[1].lower() for text in expected}
    assert len(tables) > 40 and len(expected) > 150, len(expected)
    made = export(stack, "access", "--csv")
    made.assert_nothing_of_others()
    made.assert_has(expected, ".ndjson")
    made.assert_has(expected, ".csv")
    made.assert_has({text: of for text, of in expected.items()
                     if of[1] != "bytea"}, ".html")
    made.assert_has({text: of for text, of in expected.items()
                     if of[0] in ("own", "lookup")}, "subject.json")
    assert {data.decode() for name, data in made.files.items()
            if name.startswith("files/")} == application.objects
    assert "SHARED.object" not in made.text("")


def test_files_of_shared_rows_are_given_where_the_map_says_so(
        stack, application):
    path = stack.path("map.yaml")
    with open(os.path.join(APPLICATION, "map.yaml")) as text, \
            open(path, "w") as out:
        out.write(text.read().replace(
            "{table: public.attachments, bucket: uploads, key: file_key}",
            "{table: public.attachments, bucket: uploads, key: file_key,"
            " of: shared}"))
    made = export(stack, "shared", map_path=path)
    made.assert_nothing_of_others()
    for folder, expected in (("files/", application.objects),
                             ("shared-files/", application.shared_objects)):
        assert {data.decode() for name, data in made.files.items()
                if name.startswith(folder)} == expected
    assert "yours and other people's" in made.text("index.html")


def test_portability_has_no_more_of_others_and_nothing_derived(
        stack, application):
    expected = application.expected()
    made = export(stack, "portability", "--portability", "--csv")
    made.assert_nothing_of_others()
    kept = {text: of for text, of in expected.items()
            if not DERIVED.match(text)}
    assert 0 < len(kept) < len(expected)
    made.assert_has(kept, ".ndjson")
    made.assert_has(kept, ".csv")
    for name, data in made.files.items():
        assert not re.search(DERIVED.pattern.encode(), data), name


def test_every_form_holds_that_and_nothing_else(stack, application):
    expected = application.expected()
    password = stack.secret("password", "correct horse")
    recipient = subprocess.run(
        ["age-keygen", "-y", stack.identity], check=True,
        capture_output=True, text=True).stdout.strip()
    for name, args, command in (
            ("a.zip", ["--export-passphrase-file", password],
             "bsdtar --passphrase 'correct horse' -xf ../a.zip"),
            ("b.zip", ["--no-encryption"], "bsdtar -xf ../b.zip"),
            ("c.tar.zst.age", ["-R", recipient],
             "age -d -i ../identity.txt ../c.tar.zst.age | zstd -qd | tar x"),
            ("d.tar.zst", ["--no-encryption", "--csv", "--portability"],
             "zstd -qdc ../d.tar.zst | tar x")):
        run(stack, *args, stack.path(name))
        made = unpacked(stack, name, command)
        made.assert_nothing_of_others()
        is_all = "--portability" not in args
        made.assert_has({text: of for text, of in expected.items()
                         if is_all or not DERIVED.match(text)}, ".ndjson")
        with open(stack.path(name), "rb") as data:
            assert b"HIDDEN" not in data.read()
        shutil.rmtree(stack.path(name + ".d"))

# SPDX-License-Identifier: Apache-2.0
"""Keys that rows name are those of objects in the same snapshot: when a backup
is made, and when it is verified. And what else a configuration asserts."""

import os
import time

import pytest
from harness.shelf import Shelf
from harness.stack import COMPLETE, DEGRADED, FAILED, Stack, patience

from conftest import TOOLS

# No two collations agree on their order, and not all of COPY's text is what it
# stands for.
ODD = ["a", "a/b", "a b", "a-b", "A", "B", "_", "a%2Fb", "%41", "100%", "tab\tx",
       "line\nfeed", "cr\rx", "\x01", "\x7f", "\\N", "a\\nb", "é", "e\u0301",
       "\ufffe", "\U0001f600", "\uffef", "'quote'", '"double"', "a.b", "a/",
       "a//b", "x" * 1024, "~"]


class Application:
    """A database that names objects, a bucket, and a backup host."""

    def __init__(self, folder, postgres, name, shelf):
        self.postgres, self.name, self.shelf = postgres, name, shelf
        self.path = "postgres/app/" + name
        self.stack = Stack(TOOLS, folder)
        self.stack.add_postgres("app", postgres, name)
        self.stack.add_bucket("uploads", shelf, bucket_name="bucket")
        self.stack.init()

    def sql(self, text, *args):
        return self.postgres.execute(self.name, text, *args)

    def table(self, name, *keys, kind="text"):
        """A table whose rows name these keys."""
        self.sql("CREATE TABLE %s (id serial PRIMARY KEY, key %s)"
                 % (name, kind))
        for key in keys:
            self.sql("INSERT INTO %s (key) VALUES (%%s)" % name, (key,))

    def object(self, key):
        self.shelf.put("bucket", key.encode(), b"of " + key.encode())

    def configure(self, references=(), assertions=()):
        """`references`: the table whose column is called key, or all that is
        said of one; `assertions`: of the database, unless they say what of."""
        named = []
        for options in references:
            if isinstance(options, str):
                options = {"column": "public.%s.key" % options}
            named.append({"bucket": "bucket/uploads", **{
                key: self.path + "/" + value if key in ("column", "table")
                else value for key, value in options.items()}})
        self.stack.options["references"] = named
        self.stack.options["assertions"] = [
            options if "source" in options
            else {"database": self.path, **options} for options in assertions]
        self.stack.write()

    def reference(self, name):
        return "%s/references/public.%s" % (self.path, name)

    def create(self, *args):
        return self.stack.run("backup-create", "--json", *args)

    def verify(self, *args):
        """The checks of a verification by name, and its exit status."""
        done = self.stack.admin("backup-verify", "--json", *args)
        assert done.status in (COMPLETE, FAILED, DEGRADED), str(done)
        checks = {}
        for check in done.of_type("check"):
            # What the backup left out comes once more, behind.
            checks.setdefault(check["name"], (check["status"], check["what"]))
        return done.status, checks

    def write(self, name, text, mode=0o600):
        path = self.stack.path(name)
        with open(path, "w", encoding="utf-8",
                  opener=lambda p, f: os.open(p, f, mode)) as out:
            out.write(text)
        return path


@pytest.fixture(scope="module", name="application")
def _application(session_folder, postgres):
    folder = os.path.join(session_folder, "references")
    os.mkdir(folder)
    postgres.create_database("naming")
    with Shelf() as shelf:
        made = Application(folder, postgres, "naming", shelf)
        made.table("odd", *ODD, None, "", "a")
        made.table("plain", "one", "two", "three")
        made.table("lacking", "one", "lost.pdf", "lost.pdf", "gone/a b")
        made.table("legacy", "one", "old", "older")
        made.table("numbers", "1", "one", "2")
        made.table("listed", '["one", "lost"]', '["two"]', "[]", kind="jsonb")
        made.sql("CREATE COLLATION loose (provider = icu,"
                 " locale = 'und-u-ks-level2', deterministic = false)")
        made.table("loosely", "one", "ONE", kind="text COLLATE loose")
        made.sql("CREATE TABLE many AS SELECT 'missing/' || n AS key"
                 " FROM generate_series(1, 5000) n")
        for key in {*ODD, "one", "two", "three", "thumbs/1", "thumbs/2"}:
            made.object(key)
        made.object("nobody's")
        shelf.put("bucket", b"no\xff text", b"")
        yield made
    postgres.drop_database("naming")


def messages(done, path):
    return [event["text"] for event in done.of_type("message")
            if event.get("path") == path]


def omissions(done):
    return {event["path"]: event["text"]
            for event in done.of_type("omission")}


# ---- references: one backup and one verification of many ----

@pytest.fixture(scope="module", name="looked")
def _looked(application):
    application.configure([
        "odd", "plain", "lacking", "loosely", "many",
        {"column": "public.legacy.key", "missing": 2},
        {"column": "public.numbers.key", "key": "key::int"},
        {"column": "public.listed.key",
         "key": "jsonb_array_elements_text(key)"},
        {"table": "public.odd", "key": "'thumbs/' || id",
         "where": "id < 3 -- and no more"}])
    done = application.create()
    done.long = application.stack.run("backup-list", "--long").out
    done.listed, = application.stack.run(
        "backup-list", "--json").of_type("snapshot")
    done.verdict, done.checks = application.verify()
    return done


@pytest.fixture(name="check")
def _check(application, looked):
    """What a verification says of a reference."""
    return lambda name: looked.checks[application.reference(name)]


def test_every_key_has_its_object(application, looked, check):
    text = "%d keys, each of an object in bucket/uploads" % len(ODD)
    assert messages(looked, application.reference("odd.key")) == [text]
    assert check("odd.key") == ("pass", text)


def test_a_missing_object_is_named_by_both(application, looked, check):
    assert looked.status == DEGRADED and looked.verdict == FAILED
    for key in ("lost.pdf", "gone/a b"):
        assert application.reference("lacking.key") in omissions(looked)[
            "bucket/uploads/" + key]
    assert check("lacking.key") == (
        "fail", "2 of 3 keys are of no object in bucket/uploads: 'gone/a b', "
        "'lost.pdf'")


def test_the_list_tells_how_many_keys_had_no_object(application, looked):
    bucket, = [source for source in looked.listed["sources"]
               if source["prefix"] == "bucket/uploads"]
    told = {one.pop("name"): one for one in bucket["references"]}
    # One of nine is not known, so neither is what no row names.
    assert len(told) == 8 and "objects_no_row_names" not in bucket
    name = application.reference("lacking.key")
    assert told[name] == {"keys": 3, "missing": 2, "accepted": 0}
    lines = [" ".join(line.split()) for line in looked.long.splitlines()]
    for line in (
            name + " 2 of 3 keys without an object",
            application.reference("legacy.key")
            + " 2 of 3 keys without an object, 2 accepted",
            application.reference("plain.key")
            + " 3 keys, none without an object"):
        assert line in lines, looked.long


def test_what_was_always_missing_can_be_accepted(looked, check):
    assert check("legacy.key") == (
        "pass", "2 of 3 keys are of no object in bucket/uploads (up to 2 "
        "accepted): 'old', 'older'")
    assert "bucket/uploads/old" not in omissions(looked)


def test_many_missing_objects_are_counted(application, looked, check):
    left_out = omissions(looked)
    assert len([path for path in left_out if "missing/" in path]) == 20
    assert left_out[application.reference("many.key")] == (
        "4980 keys more of no object in bucket/uploads; the first 20 are named")
    status, what = check("many.key")
    assert status == "fail" and what.endswith("'missing/1015' and 4980 more")


def test_expressions_make_keys(check):
    assert check("odd: 'thumbs/' || id") == (
        "pass", "2 keys, each of an object in bucket/uploads")
    assert check("listed.key") == (
        "fail", "1 of 3 keys is of no object in bucket/uploads: 'lost'")


def test_equal_texts_of_a_collation_are_different_keys(check):
    assert check("loosely.key") == (
        "fail", "1 of 2 keys is of no object in bucket/uploads: 'ONE'")


def test_what_fails_at_some_row_is_not_known(application, looked, check):
    """And costs no backup."""
    assert "invalid input syntax" in omissions(looked)[
        application.reference("numbers.key")]
    status, what = check("numbers.key")
    assert status == "fail" and "invalid input syntax" in what
    assert "line" in what
    assert looked.result["rows"] > 5000
    # What no row names is not known then.
    assert "bucket/uploads/references" not in looked.checks


@pytest.mark.parametrize("options, words", [
    ({"column": "public.odd.kye"}, '"kye" does not exist'),
    ({"column": "public.papers.key"}, '"public.papers" does not exist'),
    ({"column": "public.odd.key", "key": "'a' ||"}, "syntax error"),
    ({"column": "public.odd.key", "where": "nobody_knows(key)"},
     "does not exist")], ids=["column", "table", "syntax", "function"])
def test_what_cannot_be_asked_is_told_before_anything_is_read(
        application, options, words):
    application.configure(["plain", options])
    before = application.stack.snapshots()
    done = application.create()
    assert done.status == FAILED
    with open(application.stack.config, encoding="utf-8") as text:
        line = [number for number, line in enumerate(text, 1)
                if line.startswith("references:")][0]
    assert "backup.yaml:%d: the reference postgres/app/" % line in str(done)
    assert words in str(done)
    assert application.stack.snapshots() == before


def test_changes_during_a_backup_raise_no_alarm(application):
    """Rows and objects come while the objects are listed: after the moment of
    the database. A row whose object goes then is named."""
    application.configure(["plain"])
    shelf, listing = application.shelf, application.shelf._list

    def come(bucket, query):
        shelf._list = listing
        for number in range(9):
            application.object("new/%d" % number)
            application.sql("INSERT INTO plain (key) VALUES (%s)",
                            ("new/%d" % number,))
        return listing(bucket, query)

    shelf._list = come
    done = application.create()
    assert done.status == COMPLETE, str(done)
    assert messages(done, application.reference("plain.key")) == [
        "3 keys, each of an object in bucket/uploads"]
    unnamed = len(shelf.buckets["bucket"]) - 3
    text = "%d of %d objects are named by no row: " % (unnamed, unnamed + 3)
    assert [said for said in messages(done, "bucket/uploads")
            if said.startswith(text)]

    def go(bucket, query):
        shelf._list = listing
        application.sql("DELETE FROM plain WHERE key LIKE 'new/1'")
        shelf._drop("bucket", b"new/1")
        return listing(bucket, query)

    shelf._list = go
    done = application.create()
    assert set(omissions(done)) == {"bucket/uploads/new/1"}
    application.sql("DELETE FROM plain WHERE key LIKE 'new/%'")


def test_what_was_not_looked_at_is_told(application):
    application.configure(["plain"])
    name = application.reference("plain.key")
    done = application.create("bucket/uploads")
    assert done.status == COMPLETE
    assert messages(done, name) == [
        "not looked at: postgres/app is not part of this backup"]
    assert application.create().status == COMPLETE
    unnamed = len({*ODD} - {"one", "two", "three"}) + 4
    assert ("bucket/uploads/references  %d objects named by no row\n" % unnamed
            in application.stack.run("backup-list", "--long").out)
    _, checks = application.verify("latest", "bucket/uploads")
    assert checks[name] == ("skip", "its database was not restored")
    _, checks = application.verify("latest", "postgres/app", "--live")
    assert checks[name][0] == "skip"


# ---- assertions: one verification of many ----

SMOKE = """#!/bin/sh
[ "$(psql -AtXc 'SELECT count(*) FROM plain')" = 3 ] || exit 8
[ -z "$PGPASSWORD$BACKUP_PASSPHRASE$PGSERVICE" ] || exit 7
[ ${#BACKUP_SNAPSHOT} = 64 ] || exit 6
echo of "$BACKUP_SOURCE" "$PGDATABASE"
exit $1
"""

LOOK = """#!/bin/sh
grep here "${BACKUP_SCRATCH_DIRECTORY:?}$1/it"
"""

STUCK = """#!/bin/sh
echo begun
sh -c 'echo $$ > %s; exec sleep 600' &
wait
"""

SQL = {
    "none": "-- nobody\nSELECT * FROM plain WHERE id < 0;\n/* ; */\n"
            "SELECT 1 WHERE ';' = 'x';\n",
    "some": "SELECT 1 WHERE false;\nSELECT id, key FROM plain ORDER BY id;"
            "SELECT 1 WHERE false",
    "bad": "SELECT 'é' WHERE false;\n\nSELECT nowhere FROM plain;",
    "commits": "COMMIT; DELETE FROM plain",
    "ends": "COMMIT; SELECT 1 WHERE false",
    "change": "DELETE FROM plain",
    "nothing": "SET search_path = public;",
    "comment": "-- SELECT 1\n",
    "raises": "DO $$ BEGIN ASSERT 1 = 2, 'they differ'; END $$",
    "quiet": "DO $$ BEGIN ASSERT 1 = 1; END $$"}

QUERIES = {
    "three": {"query": "SELECT count(*) FROM plain", "expect": "3"},
    "four": {"query": "SELECT count(*) FROM plain", "expect": "4"},
    "rows": {"query": "SELECT id FROM plain", "expect": "4"},
    "columns": {"query": "SELECT 3, 4", "expect": "3"},
    "null": {"query": "SELECT NULL", "expect": "4"},
    "unasked": {"query": "DO 'BEGIN ASSERT 1 = 1; END'", "expect": "4"},
    "gone": {"query": "SELECT pg_terminate_backend(pg_backend_pid())"},
    "flood": {"query": "SELECT repeat('é', 500) "
                       "FROM generate_series(1, 100000)"},
    "slow": {"query": "SELECT pg_sleep(600)", "timeout": "1s"},
    "copy": {"query": "COPY plain TO STDOUT"}}

NOTHING = ("fail", "nothing is asked: no statement of it can give a row")

EXPECTED = {
    "none": ("pass", "no row"),
    "some": ("fail", "there must be no row, and there are 3 rows; the first: "
                     "id = 1, key = one"),
    "bad": ("fail", 'line 3: column "nowhere" does not exist'),
    "commits": ("fail", "cannot execute DELETE in a read-only transaction"),
    "ends": ("fail", "it ends the transaction that keeps it from changing "
                     "anything: leave out COMMIT and ROLLBACK"),
    "change": ("fail", "cannot execute DELETE in a read-only transaction"),
    "nothing": NOTHING,
    "comment": NOTHING,
    "raises": ("fail", "they differ; PL/pgSQL function inline_code_block line "
                       "1 at ASSERT"),
    "quiet": ("pass", "raises no error"),
    "three": ("pass", "the answer is '3'"),
    "four": ("fail", "the answer must be '4', and is '3'"),
    "rows": ("fail", "the answer must be one row of one column, and is 3 rows "
                     "of 1 column"),
    "columns": ("fail", "the answer must be one row of one column, and is 1 "
                        "row of 2 columns"),
    "null": ("fail", "the answer must be '4', and is NULL"),
    "unasked": ("fail", "the answer must be one row of one column, and is 0 "
                        "rows of 0 columns"),
    "gone": ("fail", "terminating connection due to administrator command"),
    "flood": ("fail", "there must be no row, and there are 1000 rows or more; "
                      "the first: repeat = " + 60 * "é"),
    "slow": ("fail", "a statement took longer than 1 s, and was stopped"),
    "copy": ("fail", "COPY is neither a row nor a value"),
    "smoke": ("pass", "exit status 0"),
    "status": ("fail", "smoke: exit status 5; its output ends: of postgres/app "
                       "naming"),
    "stuck": ("fail", "stuck: has not ended within 10 s, and is stopped; its "
                      "output ends: begun"),
    "files": ("pass", "exit status 0"),
    "elsewhere": ("skip", "its source was not restored into a place")}


@pytest.fixture(scope="module", name="asserted")
def _asserted(application):
    write, stack = application.write, application.stack
    data = stack.path("data")
    os.mkdir(data)
    write("data/it", "here\n")
    stack.add("files", "data", paths=[data])
    smoke = write("smoke", SMOKE, 0o700)
    look = write("look", LOOK, 0o700)
    runs = {
        "smoke": {"run": [smoke, "0"]},
        "status": {"run": [smoke, "5"]},
        "stuck": {"run": [write("stuck", STUCK % stack.path("left"), 0o700)],
                  "timeout": "10s"},
        "noisy": {"run": [write("noisy", "#!/bin/sh\nseq 100000; exit 1\n",
                                0o700)]},
        "files": {"source": "files/data", "run": [look, data]},
        "elsewhere": {"source": "bucket/uploads", "run": ["true"]}}
    application.configure(["plain"], [
        {"name": name, **options} for name, options in {
            **{name: {"sql": write(name + ".sql", text)}
               for name, text in SQL.items()}, **QUERIES, **runs}.items()])
    assert application.create("postgres/app", "files/data").status == COMPLETE
    yield application.verify()[1]
    stack.sources = [source for source in stack.sources
                     if source[0] != "files"]


@pytest.mark.parametrize("name", EXPECTED)
def test_an_assertion_holds_or_says_why_not(asserted, name):
    assert asserted["assertions/" + name] == EXPECTED[name]


def test_what_a_command_said_last_is_told(asserted):
    status, what = asserted["assertions/noisy"]
    assert status == "fail" and len(what) < 1200
    assert what.startswith("noisy: exit status 1; its output ends: ")
    assert what.endswith("\n99999\n100000")


def test_nothing_is_left_of_a_command_that_took_too_long(
        application, asserted):
    with open(application.stack.path("left"), encoding="ascii") as text:
        assert not is_alive(text.read().strip())


def test_a_bucket_that_the_snapshot_has_not_is_told(application, asserted):
    assert asserted[application.reference("plain.key")] == (
        "skip", "the snapshot does not hold bucket/uploads")


def test_what_cannot_be_run_is_told_first(application):
    for options, words in (
            ({"sql": "nowhere.sql"}, "No such file"),
            ({"sql": application.write("empty.sql", " ;\n")}, "is empty"),
            ({"run": ["/nowhere/at all"]}, "/nowhere/at all"),
            ({"run": ["no-such-program"]}, "no-such-program")):
        application.configure(assertions=[{"name": "x", **options}])
        done = application.stack.admin("backup-verify", "--json")
        assert done.status == FAILED
        assert "the assertion 'x'" in str(done) and words in str(done)
        assert not done.of_type("check")


def test_a_cancelled_verification_leaves_no_command(application, asserted):
    left = application.stack.path("left-by-cancel")
    application.configure(assertions=[{"name": "waits", "run": [
        "sh", "-c", "echo $$$$ > %s; exec sleep 600" % left]}])
    process = application.stack.start(
        "backup-verify", "--identity-file", application.stack.identity,
        "latest", "postgres/app")
    pid = wait_for_line(left)
    process.terminate()
    process.communicate(timeout=patience(60))
    assert not is_alive(pid)


def is_alive(pid):
    """What nobody waits for may be left as a zombie."""
    try:
        with open("/proc/%s/stat" % pid, encoding="ascii") as text:
            return text.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_line(path):
    end = time.monotonic() + patience(60)
    while time.monotonic() < end:
        if os.path.exists(path):
            with open(path, encoding="ascii") as text:
                found = text.read()
            if found.endswith("\n"):
                return found.strip()
        time.sleep(0.05)
    raise AssertionError("nothing wrote %s" % path)

# SPDX-License-Identifier: Apache-2.0
"""A command with a way back: what it breaks is put back, databases, objects
and files, and what it does well stays."""

import os
import shlex
import sys

import pytest

from harness.stack import COMPLETE, FAILED, USAGE
from test_s3_refused import Role

ACT_NOW = 4


class Guarded:
    """An application: a database, a bucket and a folder, and a guard."""

    def __init__(self, stack, postgres, database, s3, minio, bucket):
        self.stack, self.postgres, self.name = stack, postgres, database
        self.minio = minio
        self.s3, self.bucket = s3, bucket
        self.files = stack.path("app")
        os.mkdir(self.files)
        self.write("conf", "version 1")
        self.write("left", "alone")
        for key in ("one", "two", "three"):
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 50)
        self.sql("CREATE TABLE t (i int PRIMARY KEY, v text);"
                 "INSERT INTO t SELECT i, md5(i::text)"
                 " FROM generate_series(1, 500) i;"
                 "CREATE TABLE u (i int REFERENCES t)")
        stack.add_postgres("app", postgres, database)
        stack.add_bucket(bucket, minio)
        stack.add("files", "app", paths=[self.files])

    # ---- the application ----

    def sql(self, text, name=None):
        return self.postgres.execute(name or self.name, text)

    def write(self, name, text):
        with open(os.path.join(self.files, name), "w") as out:
            out.write(text)

    def read(self, name):
        with open(os.path.join(self.files, name)) as file:
            return file.read()

    def keys(self):
        return [o["Key"] for o in self.s3.list_objects_v2(
            Bucket=self.bucket).get("Contents", [])]

    def formers(self):
        return [name for name in self.postgres.databases()
                if name.startswith(self.name + ".")]

    # ---- the guard ----

    def script(self, *lines):
        """A migration: a shell script that stops at its first mistake."""
        psql = "psql -X -q -v ON_ERROR_STOP=1 %s -c" % shlex.quote(
            self.postgres.tcp_conninfo(self.name))
        path = self.stack.path("migrate")
        with open(path, "w") as out:
            out.write("#!/bin/sh\nset -e\n")
            out.write("export PGPASSWORD=%s\n" % shlex.quote(
                self.postgres.password))
            for line in lines:
                out.write(line.replace("SQL", psql).replace(
                    "FILES", self.files) + "\n")
        os.chmod(path, 0o755)
        return path

    def arguments(self, *options):
        return ("--identity-file", self.stack.identity, *options)

    def run(self, *options, command=None, **more):
        tail = ("--", *command) if command else ()
        return self.stack.run(
            "backup-guard", *self.arguments(*options), *tail, **more)

    def break_all(self, *more):
        """Half of a migration, in all three places."""
        return self.script(
            "SQL 'ALTER TABLE t ADD COLUMN w int NOT NULL DEFAULT 7'",
            "SQL 'DELETE FROM t WHERE i > 100'", "SQL 'DROP TABLE u'",
            "echo 'version 2' >FILES/conf", "rm FILES/left",
            "mkdir FILES/new; echo x >FILES/new/file", *more)

    def break_bucket(self):
        self.s3.delete_object(Bucket=self.bucket, Key="one")
        self.s3.put_object(Bucket=self.bucket, Key="two", Body=b"other")
        self.s3.put_object(Bucket=self.bucket, Key="four", Body=b"new")

    def break_bucket_line(self):
        """The same for a script."""
        return "%s -c %s" % (shlex.quote(sys.executable), shlex.quote(
            "import boto3; s3 = boto3.client('s3', endpoint_url=%r,"
            " region_name=%r, aws_access_key_id=%r,"
            " aws_secret_access_key=%r);"
            "s3.delete_object(Bucket=%r, Key='one');"
            "s3.put_object(Bucket=%r, Key='four', Body=b'new')" % (
                self.minio.endpoint, self.minio.REGION,
                self.minio.access_key, self.minio.secret_key,
                self.bucket, self.bucket)))

    def assert_as_it_was(self, snapshot, has_new=False):
        assert self.sql("SELECT count(*) FROM t") == [(500,)]
        assert self.keys() == ["one", "three", "two"]
        assert self.read("conf") == "version 1"
        for paths in [["postgres/app"], ["bucket/" + self.bucket]] if has_new \
                else [[]]:
            self.stack.verify("--live", snapshot, *paths)


@pytest.fixture
def guarded(stack, postgres, database, s3, minio, bucket):
    return Guarded(stack, postgres, database, s3, minio, bucket)


def ended(result, status):
    assert result.status == status, str(result)
    return result


def no_journal(guarded):
    done = ended(guarded.run("--resume"), FAILED)
    assert "nothing to be finished" in done.err


# ---- it goes well ----

def test_what_goes_well_stays_and_the_printed_lines_lead_back(guarded):
    path = guarded.break_all("echo said; echo snapshot $BACKUP_GUARD_SNAPSHOT")
    done = ended(guarded.run(command=[path]), COMPLETE)
    guarded.break_bucket()
    assert "said\n" in done.out and guarded.read("conf") == "version 2\n"
    assert guarded.sql("SELECT count(*) FROM t") == [(100,)]
    snapshot = [line.split()[1] for line in done.out.split("\n")
                if line.startswith("snapshot")][0]
    lines = done.out.split("run this in this order:\n")[1]
    words = [line.split()[0] for line in lines.strip().split("\n")]
    assert words == ["backup-create"] + ["backup-restore"] * 3, str(done)
    no_journal(guarded)

    # A copy that cannot be made keeps all the rest from being run.
    os.rename(guarded.files, guarded.files + "-away")
    assert follow(guarded, lines) != 0
    os.rename(guarded.files + "-away", guarded.files)
    assert guarded.sql("SELECT count(*) FROM t") == [(100,)]
    assert "four" in guarded.keys() and guarded.read("conf") == "version 2\n"

    assert follow(guarded, lines) == 0
    guarded.assert_as_it_was(snapshot, has_new=True)
    assert guarded.read("new/file") == "x\n"
    copy = guarded.stack.snapshots()[-1]
    assert "bucket/%s/four" % guarded.bucket in guarded.stack.entries(copy)


def follow(guarded, lines, said="/dev/null"):
    """What was printed, as somebody pastes it."""
    path = guarded.stack.path("pasted")
    with open(path, "w") as out:
        out.write("cd /\nunset BACKUP_STATE_DIR BACKUP_CACHE_DIR\n"
                  "export HOME=%s PATH=%s:$PATH\n%s" % (
            guarded.stack.commands.home, guarded.stack.commands.tools, lines))
    return os.system("sh %s >%s 2>&1" % (path, said))


def allow_omissions(guarded):
    """Of the folder and of the database something is in no snapshot."""
    guarded.stack.add("files", "app", paths=[
        guarded.files, guarded.stack.path("absent")])
    guarded.sql("CREATE FOREIGN DATA WRAPPER w;"
                "CREATE SERVER s FOREIGN DATA WRAPPER w;"
                "CREATE FOREIGN TABLE far (i int) SERVER s")


def test_the_printed_lines_go_on_where_something_may_be_lacking(guarded):
    allow_omissions(guarded)
    ended(guarded.run("--source", "files/app", command=["true"]), FAILED)
    done = ended(guarded.run("--json", "--allow-omissions",
                             command=[guarded.break_all()]), COMPLETE)
    guarded.break_bucket()
    (way,) = done.result["run"]
    said = guarded.stack.path("said")
    assert follow(guarded, way, said) == 0
    assert guarded.sql("SELECT count(*) FROM t") == [(500,)]
    assert guarded.keys() == ["one", "three", "two"]
    assert guarded.read("conf") == "version 1"
    with open(said) as file:
        assert file.read().count("look at what was named") == 3, way

    # Objects are deleted of which there is a copy, and of no others.
    copies = [line for line in way.split("\n") if "backup-create" in line]
    assert ["bucket/" in line for line in copies] == [False, True]
    assert copies[1].endswith(" &&") and "{" not in copies[1]

    # What fails still ends it.
    broken = guarded.break_all()
    os.rename(guarded.stack.key_file, guarded.stack.key_file + "-away")
    os.system(broken)
    assert follow(guarded, way) != 0
    assert guarded.read("conf") == "version 2\n"


def test_the_result_is_an_event(guarded):
    done = ended(guarded.run("--json", "--health", "exit 0",
                             command=["sh", "-c", "echo not among events"]),
                 COMPLETE)
    event = done.result
    assert event["state"] == "kept" and event["reason"] is None
    assert event["snapshot"] in guarded.stack.snapshots()
    (way,) = event["run"]
    assert [line.split()[0] for line in way.split("&&")] == [
        "backup-create"] + ["backup-restore"] * 3
    assert "not among events" in done.err


# ---- it fails ----

def test_a_migration_that_fails_half_way_is_put_back(guarded):
    path = guarded.break_all("SQL 'ALTER TABLE none ADD COLUMN x int'")
    done = ended(guarded.run("--json", command=[path]), FAILED)
    event = done.result
    assert event["state"] == "put-back" and "exit status" in event["reason"]
    guarded.assert_as_it_was(event["snapshot"], has_new=True)
    assert guarded.read("left") == "alone"

    # The failed state is there: the database beside, the files in a snapshot.
    (former,) = guarded.formers()
    assert event["former"] == ["postgres/app " + former]
    assert guarded.sql("SELECT count(*) FROM t", former) == [(100,)]
    assert "files/app%s/conf" % guarded.files in guarded.stack.entries(
        event["failed"])
    told = [e["path"] for e in done.of_type("message")
            if "created since" in e["text"]]
    assert "files/app%s/new/file" % guarded.files in told
    assert event["new_files"] == 2 and guarded.read("new/file") == "x\n"
    no_journal(guarded)


def test_what_the_command_leaves_at_work_is_ended(guarded):
    worker = ("trap 'echo asked >>%s' TERM; while sleep 0.1; do"
              " echo worker >FILES/conf; done" % guarded.stack.path("asked"))
    path = guarded.script("(%s) &" % worker, "exit 1")
    done = ended(guarded.run("--json", command=[path]), FAILED)
    guarded.assert_as_it_was(done.result["snapshot"])
    assert os.path.exists(guarded.stack.path("asked"))
    assert any("still at work" in e["text"] for e in done.of_type("message"))


def test_files_that_stay_are_counted_in_the_sentence(guarded):
    path = guarded.break_all("false")
    done = ended(guarded.run(command=[path]), FAILED)
    assert "put back; 2 things created since are still there" in done.out


def test_a_folder_that_is_gone_has_nothing_to_be_copied(guarded):
    path = guarded.script("rm -r FILES", "false")
    event = ended(guarded.run("--json", command=[path]), FAILED).result
    guarded.assert_as_it_was(event["snapshot"])


@pytest.mark.parametrize("how", ["mended", "given up"])
def test_without_a_copy_files_are_not_replaced(guarded, how):
    """Stopping the application takes the key away that a copy needs."""
    path = guarded.break_all("false")
    key, mended = guarded.stack.key_file, guarded.stack.path("mended")
    stop = "test -e %s || mv %s %s.away" % (mended, key, key)
    done = ended(guarded.run("--json", "--stop", stop, command=[path]),
                 ACT_NOW)
    assert done.result["state"] == "broken" and done.result["failed"] is None
    told = [e["text"] for e in done.of_type("message")
            if e["path"] == "files/app" and "NOT put back" in e["text"]]
    assert len(told) == 1 and "--without-copy" in told[0]
    assert guarded.read("conf") == "version 2\n"
    assert guarded.sql("SELECT count(*) FROM t") == [(500,)]

    open(mended, "w").close()
    options = ["--without-copy"] if how == "given up" else []
    if how == "mended":
        os.rename(key + ".away", key)
    event = ended(guarded.run("--json", "--resume", *options), FAILED).result
    assert event["state"] == "put-back"
    assert guarded.read("conf") == "version 1"
    if how == "mended":
        assert event["new_files"] == 2
        assert "files/app%s/conf" % guarded.files in guarded.stack.entries(
            event["failed"])
    else:
        assert event["new_files"] is None and event["failed"] is None
    no_journal(guarded)


def test_without_a_snapshot_to_go_back_to_nothing_is_stopped(guarded):
    away = guarded.stack.repository + "-away"
    stopped = guarded.stack.path("stopped")
    path = guarded.break_all("mv %s %s; false" % (
        guarded.stack.repository, away))
    done = ended(guarded.run("--json", "--stop", "touch " + stopped,
                             command=[path]), ACT_NOW)
    assert not os.path.exists(stopped) and done.result["state"] == "broken"
    os.rename(away, guarded.stack.repository)
    event = ended(guarded.run("--json", "--resume"), FAILED).result
    guarded.assert_as_it_was(event["snapshot"], has_new=True)


def test_printed_lines_have_what_the_environment_gave(guarded):
    path = guarded.script("false")
    journal = guarded.stack.path("home", "it's.json")
    del guarded.stack.options["repository"]
    guarded.stack.write()
    event = ended(guarded.run(
        "--json", "--no-restore", "--journal", "it's.json", command=[path],
        env={"BACKUP_REPOSITORY": guarded.stack.repository}), ACT_NOW).result
    (line,) = event["run"]
    words = shlex.split(line)
    assert words[words.index("--repository") + 1] == guarded.stack.repository
    assert words[words.index("--journal") + 1] == journal


def test_files_created_since_are_deleted_where_that_was_asked_for(guarded):
    outside = guarded.stack.path("outside")
    os.mkdir(outside)
    path = guarded.break_all(
        "touch %s/stays; ln -s %s FILES/link; false" % (outside, outside))
    event = ended(guarded.run("--json", "--delete-new", command=[path]),
                  FAILED).result
    assert sorted(os.listdir(guarded.files)) == ["conf", "left"]
    assert os.listdir(outside) == ["stays"] and event["new_files"] == 0
    guarded.assert_as_it_was(event["snapshot"])


def test_objects_are_put_back_and_new_ones_deleted(guarded, minio):
    event = ended(guarded.run(
        "--json", command=["python3", "-c", BREAK_BUCKET, minio.endpoint,
                           guarded.bucket, minio.access_key,
                           minio.secret_key]), FAILED).result
    guarded.assert_as_it_was(event["snapshot"])
    there = guarded.stack.entries(event["failed"], "bucket/" + guarded.bucket)
    assert "bucket/%s/four" % guarded.bucket in there


BREAK_BUCKET = """
import boto3, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
                  aws_access_key_id=sys.argv[3],
                  aws_secret_access_key=sys.argv[4])
s3.delete_object(Bucket=sys.argv[2], Key="one")
s3.put_object(Bucket=sys.argv[2], Key="two", Body=b"other")
s3.put_object(Bucket=sys.argv[2], Key="four", Body=b"new")
sys.exit(9)
"""


def test_a_database_that_is_dropped_comes_back(guarded):
    path = guarded.script(
        "psql -X -q %s -c 'DROP DATABASE %s'" % (
            shlex.quote(guarded.postgres.tcp_conninfo("postgres")),
            guarded.name), "false")
    event = ended(guarded.run("--json", command=[path]), FAILED).result
    guarded.assert_as_it_was(event["snapshot"])
    assert event["former"] == []


def test_a_health_check_that_fails_puts_back(guarded):
    path = guarded.break_all()
    health = 'test "$(cat %s/conf)" = "version 1"' % guarded.files
    event = ended(guarded.run(
        "--json", "--health", health, "--health-retries", "2",
        "--health-interval", "1s", "--delete-new", command=[path]),
        FAILED).result
    assert event["state"] == "put-back" and "tried 2" in event["reason"]
    guarded.assert_as_it_was(event["snapshot"])


def test_a_health_check_may_pass_after_some_tries(guarded):
    count = guarded.stack.path("tries")
    health = "echo >>%s; test $(wc -l <%s) -ge 4" % (count, count)
    done = ended(guarded.run(
        "--json", "--health", health, "--health-interval", "1s",
        command=["true"]), COMPLETE)
    assert done.result["state"] == "kept"
    with open(count) as file:
        assert len(file.read()) == 4


def test_what_the_snapshot_may_lack_does_not_make_it_broken(guarded):
    allow_omissions(guarded)
    started = guarded.stack.path("started")
    done = ended(guarded.run(
        "--json", "--allow-omissions", "--start", "touch " + started,
        command=[guarded.break_all("false")]), FAILED)
    assert done.result["state"] == "put-back" and os.path.exists(started)
    assert done.result["lacks"] == 2
    told = [e["path"] for e in done.of_type("omission")
            if "not in the snapshot" in e["text"]]
    assert len(told) == 2, str(done)
    assert guarded.sql("SELECT count(*) FROM t") == [(500,)]
    assert guarded.keys() == ["one", "three", "two"]
    assert guarded.read("conf") == "version 1"
    assert len(guarded.formers()) == 1
    no_journal(guarded)


def test_what_cannot_be_copied_elsewhere_does_not_keep_a_bucket_from_it(
        guarded):
    """What is new in a folder and in no copy is another matter."""
    allow_omissions(guarded)
    path = guarded.break_all(
        "cd FILES/new; %s -c 'import socket;"
        " socket.socket(socket.AF_UNIX).bind(\"held\")'"
        % shlex.quote(sys.executable), guarded.break_bucket_line(), "false")
    done = ended(guarded.run("--allow-omissions", command=[path]), FAILED)
    assert guarded.keys() == ["one", "three", "two"]
    assert "but for 2 things that the snapshot lacks, named above; " \
        "2 things created since are still there" in done.out


def lack_an_object(guarded):
    role = Role(guarded.minio, ("s3:GetObject", guarded.bucket + "/two"))
    guarded.stack.add_bucket(
        guarded.bucket, role,
        session_token_file=guarded.stack.secret("token", role.token))


def test_a_bucket_of_which_something_is_lacking_comes_back_but_for_that(
        guarded):
    lack_an_object(guarded)
    refused(guarded, "AccessDenied", "--allow-omissions")
    path = guarded.script(guarded.break_bucket_line(), "false")
    done = ended(guarded.run("--json", "--allow-omissions", command=[path]),
                 FAILED)
    event = done.result
    assert event["state"] == "put-back" and event["reason"], str(done)
    assert (event["lacks"], event["new_files"]) == (1, 1)
    # Nobody can tell whether the way back should have what it has not.
    assert guarded.keys() == ["four", "one", "three", "two"]
    no_journal(guarded)


def test_the_printed_lines_delete_nothing_where_the_snapshot_lacks_an_object(
        guarded):
    lack_an_object(guarded)
    done = ended(guarded.run("--json", "--allow-omissions",
                             command=["true"]), COMPLETE)
    (way,) = done.result["run"]
    guarded.break_bucket()
    assert "--delete" not in way
    assert follow(guarded, way) == 0
    assert guarded.keys() == ["four", "one", "three", "two"]


def test_the_application_is_stopped_and_started_around_it(guarded):
    log = guarded.stack.path("log")
    ended(guarded.run(
        "--stop", "echo stop >>" + log, "--start", "echo start >>" + log,
        "--health", "echo health >>" + log,
        command=["sh", "-c", "echo command >>%s; exit 3" % log]), FAILED)
    with open(log) as file:
        assert file.read().split() == [
            "health", "command", "stop", "start", "health"]


def test_a_command_that_takes_too_long_has_failed(guarded):
    event = ended(guarded.run("--json", "--timeout", "1s",
                              command=["sleep", "600"]), FAILED).result
    assert "1 s" in event["reason"] and event["state"] == "put-back"


# ---- nothing is put back ----

def test_where_that_was_asked_for_nothing_is_put_back_until_later(guarded):
    path = guarded.break_all("false")
    event = ended(guarded.run("--json", "--no-restore", command=[path]),
                  ACT_NOW).result
    assert event["state"] == "left" and guarded.read("conf") == "version 2\n"
    assert guarded.sql("SELECT count(*) FROM t") == [(100,)]
    refused = ended(guarded.run(command=["true"]), ACT_NOW)
    assert "--resume" in refused.err and "--forget" in refused.err
    (line,) = event["run"]
    assert line.endswith("--resume")
    back = ended(guarded.run("--json", "--resume"), FAILED).result
    assert back["state"] == "put-back"
    guarded.assert_as_it_was(event["snapshot"], has_new=True)
    no_journal(guarded)


def test_it_can_be_forgotten(guarded):
    path = guarded.break_all("false")
    ended(guarded.run("--no-restore", command=[path]), ACT_NOW)
    ended(guarded.run("--forget"), COMPLETE)
    assert guarded.sql("SELECT count(*) FROM t") == [(100,)]
    no_journal(guarded)


# ---- it is not even begun ----

def refused(guarded, *words, options=()):
    mark = guarded.stack.path("ran")
    done = ended(guarded.run(*options, command=["touch", mark]), FAILED)
    assert not os.path.exists(mark)
    for word in words:
        assert word in done.err, str(done)


def test_without_a_key_that_opens_contents_nothing_is_run(guarded):
    mark = guarded.stack.path("ran")
    done = ended(guarded.stack.run("backup-guard", "--", "touch", mark),
                 FAILED)
    assert "--identity-file" in done.err and not os.path.exists(mark)
    assert guarded.stack.snapshots() == []


def test_a_role_that_may_not_create_databases_is_refused(guarded):
    guarded.postgres.execute("postgres", "CREATE ROLE weak_guard LOGIN "
                             "SUPERUSER PASSWORD 'weak'")
    try:
        guarded.stack.add_postgres(
            "app", guarded.postgres, guarded.name,
            conninfo=guarded.postgres.tcp_conninfo(guarded.name)
            + " user=weak_guard",
            password_file=guarded.stack.secret("weak", "weak"))
        guarded.postgres.execute(
            "postgres", "ALTER ROLE weak_guard NOSUPERUSER;"
            "GRANT pg_read_all_data TO weak_guard")
        refused(guarded, "CREATEDB", "nothing is run",
                options=("--allow-omissions",))
    finally:
        guarded.postgres.execute("postgres", "DROP ROLE weak_guard")


def test_what_could_not_be_put_back_is_refused(guarded):
    guarded.stack.add("command", "dump", run=["echo", "x"], output="dump")
    refused(guarded, "'restore:'", "--source")
    ended(guarded.run("--source", "files/app", command=["true"]), COMPLETE)


def test_a_program_that_is_not_there_is_told_before_the_snapshot(guarded):
    done = ended(guarded.run(command=["no-such-program"]), FAILED)
    assert "no-such-program" in done.err and guarded.stack.snapshots() == []


def test_a_path_that_cannot_be_run_is_told_before_the_snapshot(guarded):
    path = guarded.stack.path("text")
    with open(path, "w") as out:
        out.write("no program\n")
    for name in (path, path + "-none", guarded.files):
        done = ended(guarded.run(command=[name]), FAILED)
        assert name in done.err and guarded.stack.snapshots() == []


def test_what_cannot_be_started_changes_nothing(guarded):
    stopped = guarded.stack.path("stopped")
    path = guarded.script()
    with open(path, "w") as out:
        out.write("#!/no/such/interpreter\n")
    done = ended(guarded.run("--stop", "touch " + stopped, command=[path]),
                 FAILED)
    assert "nothing was run" in done.err and not os.path.exists(stopped)
    assert guarded.formers() == []
    no_journal(guarded)


def test_wrong_uses_are_told(guarded):
    for options in (["--resume", "--forget"], []):
        ended(guarded.run(*options), USAGE)
    ended(guarded.run("--resume", command=["true"]), USAGE)
    done = ended(guarded.run("--timeout", "soon", command=["true"]), FAILED)
    assert "soon" in done.err

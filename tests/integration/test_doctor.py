# SPDX-License-Identifier: Apache-2.0
"""backup-doctor: a stack that is well gives no alarm, and each trouble that is
planted is found by its own name."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
import zipfile

import psycopg
import pytest
from harness.stack import (COMPLETE, DEGRADED, FAILED, USAGE, patience,
                           recipient_of)
from test_prune import _faked, small_disk  # noqa: F401

DAY = 86400


class Findings:
    """What was found, by its id."""

    def __init__(self, result):
        self.result = result
        self.all = result.of_type("finding")

    def of(self, name, subject=None):
        found = [finding for finding in self.all if finding["id"] == name
                 and subject in (None, finding["subject"])]
        assert found, "nothing was said of %s: %s" % (name, self.result)
        return found

    def statuses(self, name, subject=None):
        return {finding["status"] for finding in self.of(name, subject)}

    def worst(self, name, subject=None):
        order = ["ok", "note", "skipped", "warning", "error"]
        return max(self.statuses(name, subject), key=order.index)

    def seen(self, name, subject=None):
        return " ".join(finding["seen"] + " " + finding["advice"]
                        for finding in self.of(name, subject))

    def alarms(self):
        return sorted({finding["id"] for finding in self.all
                       if finding["status"] in ("warning", "error")})


def examine(stack, *args, status=None, **options):
    result = stack.run("backup-doctor", "--json", *args, **options)
    assert status is None or result.status == status, str(result)
    findings = Findings(result)
    expected = {"ok": COMPLETE, "note": COMPLETE, "skipped": COMPLETE,
                "warning": DEGRADED, "error": FAILED}
    assert result.status == max(
        (expected[finding["status"]] for finding in findings.all),
        key=[COMPLETE, DEGRADED, FAILED].index), str(result)
    for name in ("errors", "warnings", "notes", "ok", "skipped"):
        assert result.result[name] == len(
            [finding for finding in findings.all
             if finding["status"] == name.rstrip("s")
             or finding["status"] == name]), name
    return findings


@pytest.fixture
def second_key(stack):
    path = stack.path("second.txt")
    subprocess.run(["age-keygen", "-o", path], check=True,
                   stderr=subprocess.DEVNULL)
    result = stack.admin("backup-key", "add", recipient_of(path))
    assert result.status == COMPLETE, str(result)


@pytest.fixture
def whole(stack, second_key, postgres, database, minio, s3, bucket):
    """One of everything, backed up and proven."""
    postgres.execute(database, "CREATE TABLE users AS"
                     " SELECT generate_series(1, 100) AS id")
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"content")
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "file"), "w") as out:
        out.write("content\n")
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    stack.verify("latest", "files/data")
    stack.verify("--level", "quick")
    return stack


def test_a_stack_that_is_well_gives_no_alarm(whole, postgres, database):
    others = [name for name in postgres.databases() if name not in (
        database, "postgres") and not name.startswith("template")]
    whole.add_postgres("app", postgres, database,
                       databases=[database, *others])
    whole.verify()
    findings = examine(whole)
    assert findings.alarms() in ([], ["last-proof"]), str(findings.result)
    assert findings.worst("database-reachable") == "ok"
    assert findings.worst("bucket-reachable") == "ok"
    assert findings.worst("last-backup", "postgres/app") == "ok"
    assert findings.worst("administrators") == "ok"
    assert findings.worst("host-key") == "ok"
    assert findings.worst("role-tables") == "ok"
    assert "libpq" in findings.seen("versions")
    assert findings.worst("repository-writable") == "ok"
    names = {finding["id"] for finding in findings.all}
    assert len(names) > 50, names


def test_people_are_told_what_is_not_in_order_alone(stack):
    stack.add("files", "data", paths=[stack.folder])
    result = stack.run("backup-doctor")
    assert result.status == DEGRADED, str(result)
    assert "administrators" in result.out
    assert "> backup-key add" in result.out
    assert "host-key" not in result.out
    result = stack.run("backup-doctor", "--all")
    assert "host-key" in result.out


def test_a_configuration_that_cannot_be_read_is_the_first_finding(stack):
    with open(stack.config, "a") as out:
        out.write("retentoin: {}\n")
    findings = examine(stack, status=FAILED)
    assert findings.worst("configuration") == "error"
    assert "retention" in findings.seen("configuration")
    assert findings.worst("versions") == "ok"
    for unknown in ("key-file", "administrator-key", "paths", "tls"):
        assert findings.statuses(unknown) == {"skipped"}, unknown


def test_who_can_read_along_is_told(stack):
    for name, endpoint in {
            "near": "http://127.0.0.1:9000", "here": "http://LocalHost",
            "six": "http://[::1]:9000", "safe": "https://s3.example.com",
            "far": "http://minio.example.com:9000",
            "odd": "http://127.0.0.1.example.com",
            "compose": "http://minio:9000"}.items():
        stack.add("bucket", name, endpoint=endpoint,
                  access_key_file=stack.secret("access", "a"),
                  secret_key_file=stack.secret("secret", "b"))
    stack.options["repository"] = "s3://backups/x"
    stack.options["storage"] = {"endpoint": "http://minio.example.com"}
    stack.write()
    findings = examine(stack, "--offline")
    assert {finding["subject"]: finding["status"]
            for finding in findings.of("tls")} == {
        "bucket/far": "warning", "bucket/odd": "warning",
        "bucket/compose": "note", "repository": "warning"}
    del stack.options["repository"]
    stack.options["repositories"] = {
        "first": {"location": stack.repository},
        "second": {"location": "s3://backups/x"},
        "third": {"location": "s3://backups/y", "storage": {
            "endpoint": "https://s3.example.com"}}}
    stack.write()
    findings = examine(stack, "--offline")
    assert {finding["subject"] for finding in findings.of("tls")} == {
        "bucket/far", "bucket/odd", "bucket/compose", "repository/second"}


def test_secrets_that_others_can_read_are_named(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    os.chmod(stack.path("pg-password"), 0o644)
    findings = examine(stack, "--offline")
    assert findings.worst("secret-files") == "warning"
    assert "pg-password" in findings.seen("secret-files")
    assert postgres.password not in findings.result.out
    os.chmod(stack.key_file, 0o644)
    assert examine(stack, "--offline").worst("key-file") == "error"
    os.chmod(stack.key_file, 0o600)
    os.unlink(stack.path("pg-password"))
    findings = examine(stack, "--offline")
    assert findings.worst("secret-files") == "error"
    assert findings.worst("configuration") == "error"


def test_offline_asks_nobody(whole):
    findings = examine(whole, "--offline", status=COMPLETE)
    assert findings.statuses("database-reachable") == {"skipped"}
    assert findings.statuses("bucket-reachable") == {"skipped"}
    assert findings.statuses("repository-reachable") == {"skipped"}
    assert findings.statuses("paths") == {"ok"}


def test_what_is_named_and_not_there_is_found(stack):
    stack.add("files", "data", paths=[stack.path("nowhere")])
    stack.add("command", "redis", run=["no-such-program"], output="dump")
    findings = examine(stack, "--offline", status=FAILED)
    assert findings.worst("paths", "files/data") == "error"
    assert findings.worst("programs", "command/redis") == "error"
    os.chmod(stack.config, 0o666)
    assert examine(stack, "--offline").worst("configuration-mode") == "error"


# ---- the database ----

@pytest.fixture
def role(postgres, database):
    """A role that may connect, and no more."""
    name = "reader_%s" % database
    postgres.execute("postgres", "CREATE ROLE %s LOGIN PASSWORD '%s'"
                     % (name, postgres.password))
    yield name
    postgres.execute(database, "DROP OWNED BY %s" % name)
    postgres.execute("postgres", "DROP ROLE %s" % name)


def _as(stack, postgres, database, role, **options):
    stack.add_postgres("app", postgres, database, **{
        "conninfo": postgres.tcp_conninfo(database, user=role), **options})


def test_a_role_that_may_not_read_everything(stack, postgres, database, role):
    postgres.execute(database, "CREATE TABLE hidden (id int)")
    postgres.execute(database, "CREATE TABLE rows (id int);"
                     "ALTER TABLE rows ENABLE ROW LEVEL SECURITY")
    postgres.execute(database, "SELECT lo_create(4711)")
    postgres.execute(database, "GRANT SELECT ON rows TO %s" % role)
    _as(stack, postgres, database, role)
    findings = examine(stack, status=FAILED)
    assert findings.worst("database-reachable") == "ok"
    assert findings.worst("role") == "note"
    assert "public.hidden" in findings.seen("role-tables")
    assert "public.rows" not in findings.seen("role-tables")
    assert "public.rows" in findings.seen("role-row-security")
    assert findings.worst("role-large-objects") == "error"
    assert findings.worst("role-restore") == "note"
    postgres.execute("postgres", "GRANT pg_read_all_data TO %s" % role)
    postgres.execute("postgres", "ALTER ROLE %s BYPASSRLS" % role)
    findings = examine(stack)
    assert findings.worst("role-tables") == "ok"
    assert findings.worst("role-row-security") == "ok"
    assert findings.worst("role-large-objects") == "error"


def test_limits_of_the_role(stack, postgres, database, role):
    postgres.execute("postgres", "ALTER ROLE %s SET statement_timeout = '5s';"
                     "ALTER ROLE %s CONNECTION LIMIT 2;"
                     "ALTER ROLE %s VALID UNTIL 'tomorrow'"
                     % (role, role, role))
    _as(stack, postgres, database, role)
    findings = examine(stack)
    assert "statement_timeout=5s" in findings.seen("timeouts")
    assert findings.worst("connections") == "warning"
    assert findings.worst("role") == "warning"


def test_a_database_that_does_not_let_us_in(stack, postgres, database):
    stack.add_postgres("app", postgres, database,
                       password_file=stack.secret("wrong", "not-it"))
    findings = examine(stack, status=FAILED)
    assert findings.worst("database-reachable") == "error"
    assert "password" in findings.seen("database-reachable")
    assert findings.statuses("lock-table") == {"skipped"}
    assert findings.worst("repository-key") == "ok"


def test_databases_that_nobody_backs_up_are_named(stack, postgres, database):
    other = database + "_other"
    postgres.create_database(other)
    stack.add_postgres("app", postgres, database)
    findings = examine(stack)
    assert findings.worst("databases-covered") == "warning"
    assert other in findings.seen("databases-covered")
    stack.add_postgres("app", postgres, database,
                       databases=[database, other, "never_was"])
    findings = examine(stack, status=FAILED)
    assert other not in findings.seen("databases-covered")
    assert "never_was" in findings.seen("databases-present")
    stack.add_postgres("app", postgres, database)
    stack.add("postgres", "far", conninfo="host=127.0.0.1 port=1 user=x"
              " dbname=%s" % other, databases="all")
    stack.add_postgres("near", postgres, other + "_old")
    findings = examine(stack, status=FAILED)
    assert other in findings.seen("databases-covered", "postgres/app")
    stack.add_postgres("near", postgres, other)
    findings = examine(stack, status=FAILED)
    assert other not in findings.seen("databases-covered", "postgres/app")


def test_what_is_wrong_inside_of_a_database(stack, postgres, database):
    postgres.execute(database, "CREATE UNLOGGED TABLE passing (id int)")
    postgres.execute(database, "CREATE TABLE twice AS SELECT 1 AS id"
                     " FROM generate_series(1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres.execute(database, "CREATE UNIQUE INDEX CONCURRENTLY"
                         " twice_id ON twice (id)")
    postgres.execute(database, "CREATE COLLATION odd"
                     " (provider = icu, locale = 'de')")
    postgres.execute(database, "CREATE TABLE sorted (a text COLLATE odd)")
    postgres.execute(database, "UPDATE pg_collation SET collversion = '1.0'"
                     " WHERE collname = 'odd'")
    slot = "left_%s" % database
    postgres.execute(database, "SELECT pg_create_physical_replication_slot("
                     "'%s', true)" % slot)
    stack.add_postgres("app", postgres, database)
    try:
        findings = examine(stack)
    finally:
        postgres.execute(database, "SELECT pg_drop_replication_slot('%s')"
                         % slot)
    subject = "postgres/app/" + database
    assert findings.worst("unlogged-tables", subject) == "note"
    assert "twice_id" in findings.seen("invalid-indexes", subject)
    assert "odd" in findings.seen("collation-versions", subject)
    assert slot in findings.seen("replication-slots")
    assert findings.worst("replication-slots") == "warning"


def test_more_tables_than_locks(stack, postgres, database):
    """The server has room for 64 locks of each of 60 connections."""
    postgres.execute(database, "DO $$ BEGIN FOR i IN 1..1000 LOOP"
                     " EXECUTE format('CREATE TABLE t%s (id int)', i);"
                     " END LOOP; END $$")
    stack.add_postgres("app", postgres, database)
    findings = examine(stack, "--scratch-directory", "/proc")
    assert findings.worst("lock-table") == "warning"
    assert "1000 tables" in findings.seen("lock-table")
    assert findings.worst("scratch-room") == "warning"


def test_programs_of_another_place(stack, postgres, database):
    stack.add_postgres("app", postgres, database,
                       bindir=stack.path("nowhere"))
    assert examine(stack, "--offline").worst("paths") == "warning"


def test_a_server_that_says_nothing_keeps_no_check_from_being_made(
        stack, postgres, database):
    """It takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        stack.add("postgres", "dumb", conninfo="host=127.0.0.1 port=%d "
                  "dbname=x user=y connect_timeout=0" % port)
        stack.add_postgres("app", postgres, database)
        begun = time.monotonic()
        findings = examine(stack, "--time-limit", "2s", status=FAILED,
                           timeout=60)
        assert time.monotonic() - begun < 50
    assert "no answer within 2 seconds" in findings.seen(
        "database-reachable", "postgres/dumb")
    assert findings.statuses("lock-table", "postgres/dumb") == {"skipped"}
    assert findings.worst("database-reachable", "postgres/app") == "ok"
    assert findings.worst("lock-table", "postgres/app") == "ok"


def test_a_clock_that_is_wrong(stack, postgres, database, minio, bucket):
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    ahead = time.strftime("%Y-%m-%d %H:%M:%S",
                          time.gmtime(time.time() + 600))
    findings = examine(stack, env=_faked(ahead))
    assert findings.worst("database-clock") == "warning"
    assert findings.worst("bucket-clock") == "warning"
    assert "behind" in findings.seen("database-clock")


# ---- the bucket ----

def test_buckets_with_troubles(stack, minio, s3, bucket):
    stack.add_bucket("gone", minio, bucket_name=bucket + "-gone")
    stack.add_bucket("uploads", minio, bucket_name=bucket, versions="all")
    s3.create_multipart_upload(Bucket=bucket, Key="half")
    findings = examine(stack, status=FAILED)
    assert findings.worst("bucket-reachable", "bucket/gone") == "error"
    assert findings.statuses("bucket-list", "bucket/gone") == {"skipped"}
    assert findings.worst("bucket-versioning", "bucket/uploads") == "warning"
    assert findings.worst("bucket-uploads", "bucket/uploads") == "note"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={
        "Status": "Enabled"})
    findings = examine(stack)
    assert findings.worst("bucket-versioning", "bucket/uploads") == "ok"


def test_no_name_of_an_object_is_told(stack, minio, s3, bucket):
    s3.put_object(Bucket=bucket, Key="canary-object", Body=b"")
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    findings = examine(stack)
    assert findings.worst("bucket-read") == "ok"
    assert "canary-object" not in findings.result.out


# ---- the repository ----

def test_ages_go_by_the_configuration(stack):
    stack.options["verification"] = {"max_age": "2h"}
    stack.add("files", "data", paths=[stack.key_file])
    findings = examine(stack)
    assert "no snapshot has it" in findings.seen("last-backup")
    earlier = time.strftime("%Y-%m-%d %H:%M:%S",
                            time.gmtime(time.time() - DAY))
    stack.create(env=_faked(earlier))
    findings = examine(stack)
    assert findings.worst("last-backup") == "warning"
    assert "1 d" in findings.seen("last-backup")
    assert findings.worst("last-proof") == "warning"
    stack.options["assertions"] = [
        {"name": "never", "source": "files/data", "run": ["false"]}]
    stack.write()
    stack.verify(statuses=(FAILED,))
    del stack.options["assertions"]
    stack.add("files", "more", paths=[stack.config])
    findings = examine(stack)
    assert "no snapshot has it" in findings.seen("last-backup", "files/more")
    stack.create()
    assert examine(stack).worst("last-proof") == "error"
    stack.verify()
    findings = examine(stack)
    assert findings.statuses("last-backup") == {"ok"}
    assert findings.worst("last-proof") == "ok"


def test_the_age_of_a_proof_goes_by_how_often_one_is_made(stack):
    stack.add("files", "data", paths=[stack.key_file])
    stack.create()
    stack.verify()

    def after(days):
        later = time.strftime("%Y-%m-%d %H:%M:%S",
                              time.gmtime(time.time() + days * DAY))
        return examine(stack, env=_faked(later)).worst("last-proof")

    assert after(6) == "ok"
    assert after(8) == "warning"
    stack.options["verification"] = {"every": "14d"}
    stack.write()
    assert after(15) == "ok"
    assert after(17) == "warning"
    stack.options["jobs"] = {
        "nightly": {"verification": {"level": "quick"}},
        "weekly": {"verification": {"every": "30d"}}}
    stack.write()
    assert after(31) == "ok"
    assert after(33) == "warning"


def test_what_another_job_left_out_is_not_hidden(stack):
    """Each source by its own last backup; what was kept of a failure is
    none."""
    os.mkdir(stack.path("data"))
    os.mkfifo(stack.path("data", "pipe"))
    stack.add("files", "a", paths=[stack.path("gone"), stack.path("data")])
    stack.add("files", "b", paths=[stack.key_file])
    result = stack.create("files/a", statuses=(DEGRADED,))
    stack.create("files/b")
    findings = examine(stack)
    assert findings.worst("last-backup-whole") == "warning"
    assert result["snapshot"][:12] in findings.seen("last-backup-whole")
    os.mkdir(stack.path("gone"))
    stack.create("--tag", "guard-failed")
    findings = examine(stack)
    assert findings.worst("last-backup-whole") == "warning"
    stack.create()
    assert examine(stack).statuses("last-backup-whole") == {"ok"}


def test_a_key_that_was_revoked(stack):
    stack.add("files", "data", paths=[stack.config])
    result = stack.admin("backup-key", "--json", "show")
    host = [event for event in result.events
            if event["type"] == "host"][0]["name"]
    result = stack.admin("backup-key", "revoke", host)
    assert result.status == COMPLETE, str(result)
    findings = examine(stack, status=FAILED)
    assert findings.worst("host-key") == "error"
    assert "revoked" in findings.seen("host-key")


def test_a_repository_that_is_not_there(stack):
    stack.add("files", "data", paths=[stack.config])
    os.rename(stack.repository, stack.repository + ".away")
    findings = examine(stack, status=FAILED)
    assert findings.worst("repository-reachable") == "error"
    assert findings.statuses("last-backup") == {"skipped"}
    os.mkdir(stack.repository)
    findings = examine(stack, status=FAILED)
    assert "backup-init" in findings.seen("repository-reachable")


def test_a_snapshot_that_is_gone_is_missed(stack):
    stack.add("files", "data", paths=[stack.config])
    stack.create()
    name = stack.create()["snapshot"]
    for folder, _, names in os.walk(os.path.join(stack.repository,
                                                 "snapshots")):
        for found in names:
            if found == name:
                os.unlink(os.path.join(folder, found))
    findings = examine(stack, status=FAILED)
    assert findings.worst("repository-history") == "error"


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_a_repository_in_a_bucket(stack):
    stack.add("files", "data", paths=[stack.config])
    stack.create()
    findings = examine(stack)
    assert findings.statuses("repository-writable") == {"skipped"}
    assert findings.worst("object-lock") == "note"
    assert findings.worst("repository-clock") == "ok"
    findings = examine(stack, "--write")
    assert findings.worst("repository-writable") == "ok"
    assert findings.worst("repository-conditions") == "ok"
    stack.options["storage"]["object_lock"] = {
        "mode": "governance", "days": "30"}
    stack.write()
    findings = examine(stack, status=FAILED)
    assert findings.worst("object-lock") == "error"


def test_several_repositories_and_jobs(stack, second_key):
    """Each repository is looked at by its own name, and asked for what its
    jobs put there."""
    second = stack.path("second")
    key = stack.path("second.key")
    made = stack.commands.run(
        "backup-init", "--repository", second, "--key-file", key,
        "--recipient", recipient_of(stack.identity))
    assert made.status == COMPLETE, str(made)
    del stack.options["repository"]
    stack.options["repositories"] = {
        "local": {"location": stack.repository},
        "offsite": {"location": second, "key_file": key}}
    stack.options["jobs"] = {
        "nightly": {"sources": ["files/a"]},
        "weekly": {"sources": ["files/b"], "repositories": ["local"],
                   "hooks": {"before": [{"run": ["no-such-program"]}]}}}
    for name in "abc":
        stack.add("files", name, paths=[stack.key_file])
    stack.create("--job", "weekly")
    findings = examine(stack, status=FAILED)
    assert findings.worst("repository-key", "repository/local") == "ok"
    assert findings.worst("repository-key", "repository/offsite") == "ok"
    assert findings.worst("administrators", "repository/local") == "ok"
    assert findings.worst("administrators", "repository/offsite") == "warning"
    assert findings.statuses("last-backup", "files/b") == {"ok"}
    assert len(findings.of("last-backup", "files/a")) == 2
    assert "no job backs it up" in findings.seen("jobs", "files/c")
    assert findings.worst("programs", "job/weekly") == "error"


def test_what_waits_in_a_repository_is_told(stack):
    """What a prune leaves to the next one, and a backup that was killed."""
    os.mkdir(stack.path("data"))
    stack.add("files", "data", paths=[stack.path("data")])
    for _ in range(2):
        with open(stack.path("data", "new"), "wb") as out:
            out.write(os.urandom(1 << 20))
        stack.create()
    findings = examine(stack)
    assert findings.statuses("condemned") == {"ok"}
    assert findings.statuses("sessions") == {"ok"}
    pruned = stack.run("backup-prune", "--keep-last", "1")
    assert pruned.status == COMPLETE, str(pruned)
    stack.add("command", "slow", run=["sleep", "60"], output="dump")
    process = stack.start("backup-create", stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + patience(30)
        while "is at work" not in examine(stack).seen("sessions"):
            assert process.poll() is None and time.monotonic() < end
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    findings = examine(stack)
    assert findings.worst("condemned") == "note"
    assert "wait to be deleted" in findings.seen("condemned")
    assert "did not end well" in findings.seen("sessions")


def test_a_full_disk_is_found(small_disk):
    small_disk.create()
    findings = examine(small_disk)
    assert findings.worst("repository-room") == "error"
    assert "should have 256 MiB" in findings.seen("repository-room")
    assert "took 0 MiB" not in findings.seen("repository-room")


# ---- bundles ----

def _forms(secret):
    """As somebody would look for it."""
    raw = secret.encode()
    yield from (raw, raw[::-1], raw.hex().encode(), base64.b64encode(raw),
                raw[:len(raw) // 2], raw[len(raw) // 2:],
                urllib.parse.quote(secret, safe="").encode())


def _bundle(stack, *args, status=COMPLETE, **options):
    path = stack.path("bundle.zip")
    if os.path.exists(path):
        os.unlink(path)
    result = stack.run("backup-doctor", "--bundle", path, *args, **options)
    assert result.status == status, str(result)
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def test_a_bundle_holds_findings_and_no_secret(
        stack, postgres, database, minio, s3, bucket):
    """Of everything that is told in it nothing is anybody's."""
    role = "role_of_%s" % database
    table = "clients_of_miller"
    postgres.execute(database, "CREATE TABLE %s (id int)" % table)
    postgres.execute("postgres", "CREATE ROLE %s LOGIN PASSWORD '%s'"
                     % (role, postgres.password))
    _as(stack, postgres, database, role, databases=[database, "gone_for_good"])
    s3.put_object(Bucket=bucket, Key="canary-object", Body=b"")
    stack.add_bucket("attachments", minio, bucket_name=bucket)
    stack.add("command", "redis", run=["no-program", "argument-of-ours"],
              output="dump")
    stack.options["passphrase_file"] = stack.secret(
        "passphrase", "a passphrase of ours")
    stack.options["limits"] = {"upload": "10MiB"}
    stack.options["priority"] = "idle"
    stack.write()
    log = stack.path("log")
    with open(log, "w") as out:
        out.write("backup-create: connecting with password=%s to \"%s\"\n"
                  "cron: a line of somebody with %s in it\n"
                  "Nov 21 03:00:01 dbhost backup-create[7]: secret_key: %s\n"
                  % (postgres.password, database, table, minio.secret_key))
    try:
        files = _bundle(stack, "--log", log)
        shown = stack.run("backup-doctor", "--show", "--log", log)
    finally:
        postgres.execute("postgres", "DROP ROLE %s" % role)
    assert sorted(files) == ["README.txt", "configuration.json",
                             "findings.json", "log.txt", "runs.json",
                             "system.json"]
    everything = b"\n".join(files.values()) + shown.out.encode()
    with open(stack.key_file) as text:
        key = max(text.read().split(), key=len)
    for secret in (postgres.password, minio.secret_key, key,
                   "a passphrase of ours"):
        for form in _forms(secret):
            assert form not in everything, (form, files)
    for name in (database, role, table, bucket, "gone_for_good",
                 "canary-object", "argument-of-ours", "dbhost",
                 stack.folder, "attachments"):
        assert name.encode() not in everything, (name, files)
    findings = json.loads(files["findings.json"])
    assert "role-tables" in {finding["id"] for finding in findings
                             if finding["status"] == "error"}
    assert "PostgreSQL" in files["findings.json"].decode()
    shape = json.loads(files["configuration.json"])
    assert shape["key_file"].startswith("path-")
    assert shape["passphrase_file"] == "(a file)"
    assert shape["limits"] == {"upload": "10MiB"}
    assert shape["priority"] == "idle"
    assert shape["sources"][0]["conninfo"]["port"] == str(postgres.port)
    assert "somebody" not in files["log.txt"].decode()
    assert "backup-create; connecting" in files["log.txt"].decode()
    assert "==> findings.json <==" in shown.out


def test_what_hooks_and_files_say_is_in_no_bundle(stack):
    """Nothing tells it apart from words of ours: it is not told."""
    folder = stack.path("data of Mrs Huber")
    os.mkdir(folder)
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(folder)
        sock.bind("Anna Gruber IBAN DE12 3456, s: row")
        os.chdir(here)
        stack.options["hooks"] = {
            "before": [{"run": ["sh", "-c", "echo api token hookcanary "
                                            "customer Anna Gruber >&2"]}],
            "after": [{"run": ["sh", "-c", "echo 'row (4711, Anna, Gruber, "
                               "rowcanary)' >&2; exit 1"]}]}
        stack.options["metrics_file"] = stack.path("of Mrs Huber", "x.prom")
        stack.add("files", "data", paths=[folder])
        run = stack.run("backup-run")
    assert run.status == DEGRADED, str(run)
    for canary in ("hookcanary", "rowcanary", "Gruber"):
        assert canary in run.out + run.err, "%s: %s" % (canary, run)
    log = stack.path("log")
    with open(log, "w") as out:
        out.write(run.out + run.err + (
            "Nov 21 03:00:01 graf backup-create[7]: postgres/app: duplicate "
            "key value violates unique constraint \"a\" (Key (iban)="
            "(DE12 Anna Gruber) already exists.)\n"))
    files = _bundle(stack, "--log", log)
    everything = b"\n".join(files.values())
    for canary in ("canary", "Anna", "Gruber", "IBAN", "DE12", "3456", "4711",
                   "Huber", "customer", "graf"):
        assert canary.encode() not in everything, (canary, files)
    runs, = json.loads(files["runs.json"])
    errors = {step["name"]: step.get("error", "") for step in runs["steps"]}
    assert errors["before"] == ""
    assert errors["after"].endswith("; exit status 1"), errors
    assert "left out; " in errors["backup"], errors
    said = files["log.txt"].decode()
    assert "Nov 21 03:00:01 backup-create; duplicate key value" in said
    assert "exit status 1" in said


def test_a_bundle_of_a_configuration_that_cannot_be_read(stack):
    with open(stack.config, "a") as out:
        out.write("secrit_key: swordfish-of-ours\n")
    files = _bundle(stack)
    everything = b"\n".join(files.values())
    assert b"swordfish" not in everything and b"secrit" not in everything
    assert json.loads(files["configuration.json"])["(unknown keys)"] == 1


def test_a_bundle_replaces_nothing(stack):
    path = stack.path("bundle.zip")
    with open(path, "w") as out:
        out.write("mine")
    result = stack.run("backup-doctor", "--bundle", path)
    assert result.status == FAILED, str(result)
    with open(path) as text:
        assert text.read() == "mine"


def test_wrong_uses(stack):
    for args in (["operand"], ["--time-limit", "soon"], ["--nonsense"]):
        result = stack.run("backup-doctor", *args)
        assert result.status == USAGE, str(result)

# SPDX-License-Identifier: Apache-2.0
"""Who was erased since a snapshot was made does not come back with it."""

import os
import re
import signal
import time

import pytest
from harness.stack import COMPLETE, DEGRADED, FAILED, patience
from test_erase import dump, erase, make_keys_anew, rows

HERE = os.path.dirname(os.path.abspath(__file__))
NO_LEDGER = "an archive has no ledger of erasures"


class Application:
    """A database, perhaps a bucket, and a map."""

    def __init__(self, stack, postgres, database):
        self.stack, self.postgres, self.database = stack, postgres, database
        stack.add_postgres("app", postgres, database)

    def sql(self, text):
        return self.postgres.execute(self.database, text)

    def write_map(self, text, name="map.yaml"):
        self.map = self.stack.path(name)
        with open(self.map, "w") as out:
            out.write(text)
        return self.map

    def forget(self, subject, map_path=None):
        done = self.stack.run("backup-export", "forget", "--json", "--map",
                              map_path or self.map, "--subject", str(subject))
        assert done.status == COMPLETE, str(done)

    def restore(self, *args):
        return self.stack.admin("backup-restore", "--json", "--overwrite",
                                *args)

    def restored(self, *args):
        done = self.restore(*args)
        assert done.status == COMPLETE, str(done)
        return done.result["erasures"]


# ---- an application of every kind of edge ----

@pytest.fixture
def application(stack, postgres, database, minio, s3, bucket):
    made = Application(stack, postgres, database)
    made.map = os.path.join(HERE, "application/map.yaml")
    stack.add_bucket("uploads", minio, bucket=bucket)
    for part in ("schema.sql", "data.sql"):
        postgres.psql(database, os.path.join(HERE, "application", part))
    keys = [key for key, in made.sql(
        """SELECT avatar_key FROM users WHERE avatar_key IS NOT NULL
        UNION SELECT object_key FROM uploads
        UNION SELECT 'thumbs/' || id || '/' || n || '.png'
            FROM uploads, generate_series(1, 2) n
        UNION SELECT file_key FROM attachments""")]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"of " + key.encode())
    made.s3, made.bucket = s3, bucket
    return made


def objects(application):
    pages = application.s3.get_paginator("list_objects_v2").paginate(
        Bucket=application.bucket)
    return {item["Key"] for page in pages
            for item in page.get("Contents", [])}


def erase_in_application(application, person):
    """As an application would: its rows and its objects."""
    told = erase(application.postgres, application.database, application.map,
                 person)
    for what, name in told:
        name = name.split("/", 1)[1] if "/" in name else name
        for key in objects(application) if what == "object" else ():
            if key == name or (name.endswith("*") and
                               key.startswith(name[:-1])):
                application.s3.delete_object(
                    Bucket=application.bucket, Key=key)


def sorted_rows(application):
    return {table: sorted(lines) for table, lines in
            rows(application.postgres, application.database).items()}


def test_a_restore_of_an_older_snapshot_brings_nobody_back(application):
    stack = application.stack
    everything = objects(application)
    first = stack.create()["snapshot"]
    erase_in_application(application, 7)
    application.forget(7)
    expected, expected_objects = (
        sorted_rows(application), objects(application))
    assert expected_objects < everything
    second = stack.create()["snapshot"]

    told = application.restored(first)
    assert (told["recorded"], told["subjects"]) == (1, 1)
    assert told["objects"] == len(everything - expected_objects)
    text = dump(application.postgres, application.database)
    assert "CANARY-7!" not in text
    assert "0000-4000-8000-%012d" % 7 not in text
    assert "CANARY-8!" in text
    assert sorted_rows(application) == expected
    assert objects(application) == expected_objects
    statistics = application.sql("SELECT * FROM pg_stats")
    assert "CANARY-7!" not in repr(statistics)
    make_keys_anew(application.postgres, application.database)

    told = application.restored(second)
    assert (told["recorded"], told["subjects"], told["rows"]) == (0, 0, 0)
    assert sorted_rows(application) == expected


def test_who_came_back_since_stays_and_who_is_erased_later_goes(application):
    stack = application.stack
    first = stack.create()["snapshot"]
    erase_in_application(application, 7)
    application.forget(7)
    application.sql("""INSERT INTO users (id, tenant_id, uid, email, name,
        state, password_hash, created_at) VALUES (7, 1, gen_random_uuid(),
        'new', 'back again', 'new', 'x', now())""")
    second = stack.create()["snapshot"]
    erase_in_application(application, 13)
    application.forget(13)
    assert application.restored(second)["subjects"] == 1
    assert application.sql(
        "SELECT id, name FROM users WHERE id IN (7, 13)") == [
        (7, "back again")]
    assert application.restored(first)["subjects"] == 2
    assert application.sql("SELECT * FROM users WHERE id IN (7, 13)") == []
    text = dump(application.postgres, application.database)
    assert "CANARY-7!" not in text and "CANARY-13!" not in text
    done = stack.verify(first)
    checks = {event["name"]: event for event in done.of_type("check")}
    line = checks["postgres/app/%s/erasures" % application.database]
    assert line["status"] == "pass" and "2 subjects" in line["what"], line
    assert done.result["erasures"] == {"recorded": 2, "subjects": 2}
    path = "postgres/app/%s/data/public.users" % application.database
    assert checks[path]["status"] == "pass"


# ---- one thing at a time ----

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE likes (giver int REFERENCES users,
    taker int NOT NULL REFERENCES users);
INSERT INTO users VALUES (1, 'CANARY'), (2, 'Bob');
INSERT INTO likes VALUES (1, 2), (2, 1), (2, 2);
"""

MAP = """
version: 1
subject: {table: public.users, key: [id]}
edges:
  "public.likes(giver) -> public.users(id)": own
  "public.likes(taker) -> public.users(id)": {actor: [giver], erase: delete}
tables: {}
"""


@pytest.fixture
def small(stack, postgres, database):
    made = Application(stack, postgres, database)
    made.sql(SCHEMA)
    made.write_map(MAP)
    made.snapshot = stack.create()["snapshot"]
    made.sql("DELETE FROM likes WHERE giver = 1 OR taker = 1;"
             "DELETE FROM users WHERE id = 1")
    return made


def refused(small, *words):
    """The restore fails, says why, and what was there is there."""
    small.sql("CREATE TABLE is_as_it_was ()")
    done = small.restore(small.snapshot)
    assert done.status == FAILED, str(done)
    for word in words:
        assert word in str(done), str(done)
    assert [name for name in small.postgres.databases()
            if name.startswith(small.database + ".")] == []
    assert small.sql("SELECT * FROM users") == [(2, "Bob")]
    small.sql("DROP TABLE is_as_it_was")


def test_a_map_that_does_not_fit_the_past_keeps_it_from_being_ready(small):
    old = small.map
    small.sql("CREATE TABLE notes (owner int REFERENCES users)")
    small.write_map(MAP.replace("tables:", """\
  "public.notes(owner) -> public.users(id)": own
tables:"""), "new.yaml")
    small.forget(1)
    refused(small, "public.notes(owner)", "--map", "--without-erasures")
    verdict = small.stack.verify(small.snapshot, statuses=(FAILED,))
    assert any(event["name"].endswith("/erasures") and
               event["status"] == "fail"
               for event in verdict.of_type("check")), str(verdict)
    assert small.restored("--map", old, small.snapshot)["subjects"] == 1
    assert small.sql("SELECT * FROM users") == [(2, "Bob")]
    assert small.sql("SELECT * FROM likes") == [(2, 2)]
    told = small.restored("--without-erasures", small.snapshot)
    assert told["replayed"] is False
    assert len(small.sql("SELECT * FROM users")) == 2


def test_a_key_that_nobody_decided_keeps_it_from_being_ready(small):
    decided = small.map
    small.write_map(MAP.replace(", erase: delete", ""), "open.yaml")
    small.forget(1)
    refused(small, "public.likes(taker) -> public.users(id)",
            "erase: delete")
    assert small.restored("--map", decided, small.snapshot)["subjects"] == 1


def test_a_table_that_had_another_name_is_told_by_a_map(small):
    small.sql("ALTER TABLE users RENAME TO people")
    old = small.map
    small.write_map(MAP.replace("public.users", "public.people"), "new.yaml")
    small.forget(1)
    small.sql("ALTER TABLE people RENAME TO users")
    refused(small, "public.people", "--map")
    assert small.restored("--map", old, small.snapshot)["subjects"] == 1
    assert small.sql("SELECT * FROM users") == [(2, "Bob")]


def test_rows_of_one_table_do_not_bring_anybody_back(small):
    path = "postgres/app/%s/data/public.users" % small.database
    small.forget(1)
    small.sql("TRUNCATE users, likes")
    done = small.restore(small.snapshot, path)
    assert done.status == FAILED and "--without-erasures" in done.message, \
        str(done)
    assert small.sql("SELECT * FROM users") == []
    done = small.restore("--without-erasures", small.snapshot, path)
    assert done.status == COMPLETE, str(done)
    assert len(small.sql("SELECT * FROM users")) == 2


def test_a_replay_that_is_killed_leaves_no_database_that_is_called_ready(
        small):
    slow = small.stack.path("slow.yaml")
    with open(slow, "w") as out:
        out.write(MAP + """files:
  - {table: public.users, bucket: x,
     key: "pg_catalog.pg_sleep(600)::text || name"}
""")
    small.forget(1, slow)
    fast = small.map
    process = small.stack.start(
        "backup-restore", "--identity-file", small.stack.identity,
        "--overwrite", small.snapshot)
    end = time.monotonic() + patience(60)
    while not small.sql("SELECT 1 FROM pg_stat_activity WHERE"
                        " query LIKE '%pg_sleep(600)%' AND state = 'active'"
                        " AND datname LIKE '%.restoring-%'"):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert small.sql("SELECT * FROM users") == [(2, "Bob")]
    left, = [name for name in small.postgres.databases()
             if name.startswith(small.database + ".")]
    assert re.fullmatch(r".*\.restoring-[0-9a-f]{8}", left)
    assert small.postgres.execute(
        left, "SELECT count(*) FROM users") == [(2,)]
    small.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
              " WHERE datname LIKE '%.restoring-%'")
    assert small.restored("--map", fast, small.snapshot)["subjects"] == 1


def test_objects_whose_bucket_is_not_restored_are_named(
        small, minio, s3, bucket):
    s3.put_object(Bucket=bucket, Key="CANARY", Body=b"x")
    small.stack.add_bucket("up", minio, bucket=bucket)
    small.sql("INSERT INTO users VALUES (3, 'CANARY')")
    small.snapshot = small.stack.create()["snapshot"]
    small.sql("DELETE FROM users WHERE id = 3")
    small.write_map(MAP + "files:\n"
                    "  - {table: public.users, bucket: up, key: name}\n")
    small.forget(3)
    done = small.restore(small.snapshot, "postgres/app")
    assert done.status == COMPLETE, str(done)
    assert any("CANARY in bucket 'up'" in event["text"]
               for event in done.of_type("message")), str(done)
    done = small.restore(small.snapshot, "bucket/up")
    assert any("bucket 'up'" in event["text"] and "erased" in event["text"]
               for event in done.of_type("message")), str(done)
    small.restored(small.snapshot)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert told_of_no_ledger(
        small.restore(*archived(small), small.snapshot, "bucket/up"))


def test_no_version_of_an_object_of_who_was_erased_comes_back(
        small, minio, s3, bucket):
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"x", b"y"):
        s3.put_object(Bucket=bucket, Key="CANARY", Body=body)
        s3.put_object(Bucket=bucket, Key="CANARY of another", Body=body)
    small.stack.add_bucket("up", minio, bucket=bucket, versions="all")
    small.sql("INSERT INTO users VALUES (3, 'CANARY')")
    small.snapshot = small.stack.create()["snapshot"]
    small.sql("DELETE FROM users WHERE id = 3")
    s3.delete_object(Bucket=bucket, Key="CANARY")
    small.write_map(MAP + "files:\n"
                    "  - {table: public.users, bucket: up, key: name}\n")
    small.forget(3)
    assert small.restored(small.snapshot)["objects"] == 1
    listed = s3.list_object_versions(Bucket=bucket)
    assert "DeleteMarkers" not in listed
    assert [item["Key"] for item in listed["Versions"]] == [
        "CANARY of another"] * 2


def canary_in_versions(small, minio, s3, bucket, prefix=None):
    """Every version of what is in the bucket is backed up, and who is named
    CANARY erased since."""
    for body in (b"x", b"y"):
        s3.put_object(Bucket=bucket, Key="in/CANARY", Body=body)
    small.stack.add_bucket("up", minio, bucket_name=bucket, versions="all",
                           **({"prefix": prefix} if prefix else {}))
    small.sql("INSERT INTO users VALUES (3, 'in/CANARY')")
    small.snapshot = small.stack.create()["snapshot"]
    small.sql("DELETE FROM users WHERE id = 3")
    small.write_map(MAP + "files:\n"
                    "  - {table: public.users, bucket: up, key: name}\n")
    small.forget(3)


def test_what_the_snapshot_does_not_have_is_not_taken_back(
        small, minio, s3, bucket):
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="other/x", Body=body)
    canary_in_versions(small, minio, s3, bucket, prefix="other/")
    assert small.restored(small.snapshot)["objects"] == 0
    assert [item["Key"] for item in s3.list_object_versions(
        Bucket=bucket)["Versions"]] == ["in/CANARY"] * 2 + ["other/x"] * 2


def test_what_begins_so_and_is_in_the_snapshot_is_taken_back(
        small, minio, s3, bucket):
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("in/a b", "in/gone b", "in/gone"):
        for body in (b"1", b"2"):
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    for key in ("in/gone b", "in/gone"):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key="inn", Body=b"of another")
    small.stack.add_bucket("up", minio, bucket_name=bucket, versions="all")
    small.sql("INSERT INTO users VALUES (3, 'in')")
    small.snapshot = small.stack.create()["snapshot"]
    small.sql("DELETE FROM users WHERE id = 3")
    small.write_map(MAP + "files:\n  - {table: public.users, bucket: up,"
                    " prefix: \"name || '/'\"}\n")
    small.forget(3)
    s3.put_object(Bucket=bucket, Key="in/new", Body=b"since")
    small.restored(small.snapshot)
    listed = s3.list_object_versions(Bucket=bucket)
    assert "DeleteMarkers" not in listed, listed["DeleteMarkers"]
    assert [item["Key"] for item in listed["Versions"]] == ["in/new", "inn"]


def test_versions_that_are_locked_are_hidden_and_named(small, minio, s3,
                                                       bucket):
    name = "locked-replay-" + bucket
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    canary_in_versions(small, minio, s3, name)
    to = "locked-target-" + bucket
    s3.create_bucket(Bucket=to, ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(
        Bucket=to, ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
    small.stack.add_bucket("up", minio, bucket_name=to, versions="all")
    done = small.restore(small.snapshot)
    assert done.status == DEGRADED, str(done)
    assert [event["path"] for event in done.of_type("omission")] == [
        "bucket/up/in/CANARY"], str(done)
    listed = s3.list_object_versions(Bucket=to)
    assert len(listed["Versions"]) == 2
    assert [item["IsLatest"] for item in listed["DeleteMarkers"]] == [True]
    for bucket_name in (name, to):
        listed = s3.list_object_versions(Bucket=bucket_name)
        for item in listed["Versions"] + listed.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket_name, Key=item["Key"],
                             VersionId=item["VersionId"],
                             BypassGovernanceRetention=True)
        s3.delete_bucket(Bucket=bucket_name)


def archived(small):
    """Where the snapshot is in an archive."""
    archive = small.stack.path("one.tar.zst.age")
    done = small.stack.admin(
        "backup-archive", "-o", archive, small.snapshot)
    assert done.status == COMPLETE, str(done)
    return "--repository", archive


def told_of_no_ledger(done):
    assert done.status == COMPLETE, str(done)
    assert done.result["erasures"]["replayed"] is False
    return [event["level"] for event in done.of_type("message")
            if NO_LEDGER in event["text"]] == ["warning"]


def test_an_archive_has_no_ledger_and_says_so(small):
    where = archived(small)
    small.forget(1)
    assert told_of_no_ledger(small.restore(*where, small.snapshot))
    assert len(small.sql("SELECT * FROM users")) == 2
    done = small.restore("--without-erasures", *where, small.snapshot)
    assert not told_of_no_ledger(done)
    verdict = small.stack.verify(*where)
    line, = [event for event in verdict.of_type("check")
             if event["name"].endswith("/erasures")]
    assert line["status"] == "skip" and NO_LEDGER in line["what"], line
    told = verdict.result
    assert told["except"] == ["postgres/app/erasures"]
    assert told["is_proven"] and told["state"] == "complete"


def test_an_archive_without_databases_says_nothing_of_erasures(
        small, minio, s3, bucket):
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    small.stack.add_bucket("up", minio, bucket=bucket)
    small.snapshot = small.stack.create("bucket/up")["snapshot"]
    where = archived(small)
    assert not told_of_no_ledger(small.restore(*where, "latest"))
    assert "eras" not in small.stack.admin("backup-verify", *where).out


def test_an_entry_that_is_damaged_makes_the_restore_degraded(small):
    small.forget(1)
    small.stack.create()
    entries = [os.path.join(folder, name)
               for folder, _, names in os.walk(small.stack.repository)
               if os.path.basename(folder) == "erasures" for name in names]
    assert len(entries) >= 2
    for entry in entries:
        os.truncate(entry, 40)
    done = small.restore(small.snapshot)
    assert done.status == DEGRADED, str(done)
    assert any("may be back" in event["text"]
               for event in done.of_type("omission")), str(done)
    assert len(small.sql("SELECT * FROM users")) == 2


def test_an_entry_that_goes_at_once_is_missed_where_it_was_recorded(small):
    small.forget(1)
    for folder, _, names in os.walk(small.stack.repository):
        for name in names:
            if os.path.basename(folder) == "erasures":
                os.remove(os.path.join(folder, name))
    done = small.stack.run("backup-list", "--json")
    assert "erasure-missing" in str(done), str(done)
    assert "this machine has seen 1" in str(done), str(done)
    done = small.restore(small.snapshot)
    assert done.status == DEGRADED, str(done)
    assert any("1 entry of the erasure ledger is gone" in event["text"]
               for event in done.of_type("omission")), str(done)


def test_without_an_erasure_nothing_is_told(small):
    done = small.restore(small.snapshot)
    assert done.status == COMPLETE, str(done)
    assert "eras" not in "".join(
        event.get("text", "") for event in done.events)
    assert done.result["erasures"]["recorded"] == 0
    verdict = small.stack.verify(small.snapshot)
    assert not any(event["name"].endswith("/erasures")
                   for event in verdict.of_type("check"))

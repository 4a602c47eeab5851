# SPDX-License-Identifier: Apache-2.0
"""Backed up, destroyed, restored: the witnesses see what they saw before."""

import os
import shutil

import fill
import pytest
from harness import peak, witness
from harness.minio import empty_bucket
from harness.stack import COMPLETE, patience, recipient_of

SCALE = 0.02


@pytest.fixture
def application(postgres, database, minio, s3, bucket, stack):
    """The demonstration's application, small, with everything configured."""
    s3.delete_bucket(Bucket=bucket)
    objects = fill.fill_bucket(s3, bucket, SCALE)
    postgres.drop_database(database)
    fill.fill_database(postgres, database, objects, SCALE)
    stack.files = stack.path("stack")
    fill.fill_folder(stack.files)
    stack.dump = stack.path("dump.rdb")
    with open(stack.dump, "wb") as out:
        out.write(b"REDIS" + bytes(range(256)) * 300)
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    stack.add("files", "stack", paths=[stack.files])
    stack.add("command", "cache", run=["cat", stack.dump],
              restore=["dd", "status=none", "of=" + stack.dump],
              output="dump.rdb")
    yield stack
    for name in postgres.databases():
        if name in (database, database + "_copy"):
            postgres.drop_database(name)
    fill.drop_roles(postgres)


@pytest.mark.parametrize("stack", ["folder", "bucket"], indirect=True)
def test_a_database_comes_back_row_for_row(application, postgres, database):
    before = witness.database(postgres, database)
    application.create("postgres/app")
    postgres.drop_database(database)
    fill.drop_roles(postgres)
    application.restore("latest", "postgres/app")
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_a_bucket_comes_back_with_metadata_tags_and_etags(
        application, s3, bucket):
    before = witness.bucket(s3, bucket)
    application.create("bucket/uploads")
    empty_bucket(s3, bucket)
    application.restore("latest", "bucket/uploads")
    assert not witness.differences(before, witness.bucket(s3, bucket))


def test_a_folder_comes_back_with_modes_links_holes_and_xattrs(application):
    before = witness.folder(application.files)
    application.create("files/stack")
    shutil.rmtree(application.files)
    application.restore("latest", "files/stack")
    assert not witness.differences(
        before, witness.folder(application.files))


def test_a_commands_output_goes_back_into_its_restore_command(application):
    with open(application.dump, "rb") as content:
        before = content.read()
    application.create("command/cache")
    os.unlink(application.dump)
    application.restore("latest", "command/cache")
    with open(application.dump, "rb") as content:
        assert content.read() == before


def test_everything_comes_back_from_the_second_backup_and_is_proven(
        application, postgres, database, s3, bucket):
    first = application.create()
    fill.change(postgres, database, s3, bucket, application.files)
    second = application.create()
    assert 0 < second["stored_bytes"] < first["stored_bytes"]
    before = (witness.database(postgres, database),
              witness.bucket(s3, bucket), witness.folder(application.files))

    postgres.drop_database(database)
    fill.drop_roles(postgres)
    empty_bucket(s3, bucket)
    shutil.rmtree(application.files)
    application.restore()

    after = (witness.database(postgres, database),
             witness.bucket(s3, bucket), witness.folder(application.files))
    for one, other in zip(before, after):
        assert not witness.differences(one, other)
    for mode in ((), ("--live",)):
        verdict = application.verify(
            *mode, statuses=(COMPLETE,)).result
        assert verdict["is_proven"] and verdict["failed"] == 0
        assert verdict["rows"] >= witness.row_total(after[0])
        assert verdict["objects"] == len(after[1])


def test_an_older_snapshot_comes_back_as_it_was(
        application, postgres, database):
    before = witness.database(postgres, database)
    old = application.create("postgres/app")["snapshot"]
    postgres.execute(database, "TRUNCATE app.comment")
    application.create("postgres/app")
    postgres.drop_database(database)
    application.restore(old, "postgres/app")
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_a_backup_without_changes_adds_almost_nothing(application):
    first = application.create()
    again = application.create()
    assert again["stored_bytes"] < first["stored_bytes"] / 50


def test_a_database_goes_to_another_name_and_leaves_the_first_alone(
        application, postgres, database):
    before = witness.database(postgres, database)
    application.create("postgres/app")
    other = database + "_copy"
    application.restore("latest", "postgres/app", "--to", other)
    after = witness.database(postgres, other)
    for seen in (before, after):
        seen.pop("schema")  # it names the database
    assert not witness.differences(before, after)
    assert database in postgres.databases()


def test_a_bucket_goes_to_another_bucket(application, s3, bucket):
    application.create("bucket/uploads")
    other = bucket + "-copy"
    s3.create_bucket(Bucket=other)
    application.restore("latest", "bucket/uploads", "--to", other)
    assert not witness.differences(
        witness.bucket(s3, bucket), witness.bucket(s3, other))


def test_a_path_prefix_brings_back_those_objects_only(
        application, s3, bucket):
    before = witness.bucket(s3, bucket)
    application.create("bucket/uploads")
    empty_bucket(s3, bucket)
    application.restore("latest", "bucket/uploads/awkward/")
    wanted = {key: seen for key, seen in before.items()
              if key.startswith("awkward/")}
    assert not witness.differences(wanted, witness.bucket(s3, bucket))


def test_a_folder_goes_to_another_folder(application):
    application.create("files/stack")
    other = application.path("elsewhere")
    application.restore("latest", "files/stack", "--to", other)
    # The whole path is kept below the new place.
    found = [where for where, _, names in os.walk(other)
             if "compose.yaml" in names]
    assert len(found) == 1
    assert not witness.differences(
        witness.folder(application.files), witness.folder(found[0]))


def test_verify_leaves_nothing_behind_and_nothing_running(
        application, postgres, s3):
    application.create()
    seen = (postgres.databases(), s3.list_buckets()["Buckets"])
    application.verify(statuses=(COMPLETE,))
    assert (postgres.databases(), s3.list_buckets()["Buckets"]) == seen
    assert os.listdir(application.commands.env["TMPDIR"]) == []


def test_verify_live_sees_one_changed_row(application, postgres, database):
    application.create("postgres/app")
    postgres.execute(
        database, "UPDATE app.task SET title = 'x' WHERE id = 77")
    result = application.admin(
        "backup-verify", "--json", "--live", "latest", "postgres/app")
    assert result.status == 1, str(result)
    failed = [check["name"] for check in result.of_type("check")
              if check["status"] == "fail"]
    assert failed == ["postgres/app/%s/data/app.task" % database]


def test_verify_live_sees_one_changed_object(application, s3, bucket):
    application.create("bucket/uploads")
    s3.put_object(Bucket=bucket, Key="awkward/a", Body=b"other")
    result = application.admin(
        "backup-verify", "--json", "--live", "latest", "bucket/uploads")
    assert result.status == 1, str(result)
    failed = [check["name"] for check in result.of_type("check")
              if check["status"] == "fail"]
    assert failed == ["bucket/uploads/awkward/a"]


def test_cat_gives_the_bytes_of_one_entry(application):
    application.create("files/stack")
    path = [path for path in application.entries()
            if path.endswith("/random.bin")][0]
    result = application.admin("backup-cat", "latest", path, text=False)
    with open(os.path.join(application.files, "random.bin"), "rb") as content:
        assert result.status == COMPLETE and result.out == content.read()


BIG = 400000000


@pytest.fixture
def big(stack):
    """More than may be in memory; how much of it came back is in a file."""
    stack.options["workers"] = 2
    stack.counted = stack.path("counted")
    stack.add("command", "big", output="out",
              run=["head", "-c", str(BIG), "/dev/urandom"],
              restore=["sh", "-c", "wc -c >" + stack.counted])
    return stack


def run_small(stack, name, *args, out=os.devnull):
    """Runs a command, whose output goes into a file, in little memory."""
    _, most = peak.run(
        ["sh", "-c", 'exec "$@" >"$0"', out, *stack.commands.argv(
            name, "--config", stack.config, "--quiet", *args)],
        env=stack.commands.env)
    # A sanitizer keeps what was freed; it is also what makes tests patient.
    assert 1024 < most < 256 * 1024 * patience(1)


def test_memory_stays_small_whatever_the_size(big):
    archive, key = big.path("a.age"), ("--identity-file", big.identity)
    run_small(big, "backup-create")
    run_small(big, "backup-archive", *key, "-o", "-", "latest", out=archive)
    assert os.path.getsize(archive) > BIG
    run_small(big, "backup-verify", "--repository", archive, *key)


def test_memory_stays_small_without_a_repository(big):
    archive = big.path("a.age")
    run_small(big, "backup-create", "--archive", archive, "--recipient",
              recipient_of(big.identity))
    run_small(big, "backup-restore", "--repository", archive,
              "--identity-file", big.identity, "latest")
    with open(big.counted) as counted:
        assert int(counted.read()) == BIG


def test_a_long_row_is_in_memory_twice_at_most(stack, postgres, database):
    """Once as libpq has it, once as it gives it."""
    size = 96 << 20
    postgres.execute(database, "CREATE TABLE long AS SELECT n,"
                     " repeat('0123456789abcdef', n * %d) AS text"
                     " FROM generate_series(0, 1) n" % (size // 16))
    stack.options["workers"] = 1
    stack.add_postgres("app", postgres, database)
    _, most = peak.run(stack.commands.argv(
        "backup-create", "--config", stack.config, "--quiet"),
        env=stack.commands.env)
    assert size / 1024 < most < 2.7 * size / 1024 * patience(1)

    stack.restore("latest", "--to", database + "_back")
    assert [(0, 0), (1, size)] == postgres.execute(
        database + "_back", "SELECT n, length(text) FROM long ORDER BY n")

# SPDX-License-Identifier: Apache-2.0
"""The witnesses themselves: a witness that sees nothing proves nothing."""

import os

import fill
from harness import witness


def test_the_database_witness_sees_one_changed_row(postgres, database):
    postgres.execute(database, "CREATE TABLE t (a int, b text)")
    postgres.execute(
        database, "INSERT INTO t SELECT n, 'row ' || n"
        " FROM generate_series(1, 1000) AS n")
    before = witness.database(postgres, database)
    postgres.execute(database, "UPDATE t SET b = 'other' WHERE a = 500")
    lines = witness.differences(
        before, witness.database(postgres, database))
    assert len(lines) == 1 and lines[0].startswith("public.t was (1000,")


def test_the_database_witness_does_not_mind_the_order_of_rows(
        postgres, database):
    postgres.execute(database, "CREATE TABLE t AS"
                     " SELECT n AS a FROM generate_series(1, 1000) AS n")
    before = witness.database(postgres, database)
    postgres.execute(database, "CREATE TABLE u AS SELECT * FROM t;"
                     "TRUNCATE t;"
                     "INSERT INTO t SELECT * FROM u ORDER BY a DESC;"
                     "DROP TABLE u")
    assert not witness.differences(
        before, witness.database(postgres, database))


def test_the_bucket_witness_sees_bytes_metadata_and_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Metadata={"a": "1"})
    seen = [witness.bucket(s3, bucket)]
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", Metadata={"a": "1"})
    seen.append(witness.bucket(s3, bucket))
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", Metadata={"a": "2"})
    seen.append(witness.bucket(s3, bucket))
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={
        "TagSet": [{"Key": "t", "Value": "v"}]})
    seen.append(witness.bucket(s3, bucket))
    assert all(witness.differences(a, b) for a, b in zip(seen, seen[1:]))


def test_the_folder_witness_sees_a_changed_mode_and_a_cut_hardlink(
        tmp_path_of_test):
    fill.fill_folder(tmp_path_of_test)
    before = witness.folder(tmp_path_of_test)
    os.chmod(os.path.join(tmp_path_of_test, "run.sh"), 0o700)
    twin = os.path.join(tmp_path_of_test, "twin.bin")
    with open(twin, "rb") as old:
        content = old.read()
    info = os.stat(twin)
    os.unlink(twin)
    with open(twin, "wb") as new:
        new.write(content)
    os.chmod(twin, info.st_mode)
    os.utime(twin, ns=(info.st_atime_ns, info.st_mtime_ns))
    changed = witness.differences(before, witness.folder(tmp_path_of_test))
    assert [line.split(" was ")[0] for line in changed] == [
        "b'run.sh'", "b'twin.bin'"]


def test_the_demonstration_fills_the_same_rows_every_time(postgres, database):
    seen = []
    for number in range(2):
        name = "%s_%d" % (database, number)
        fill.fill_database(postgres, name, [("k", 1, b"d")], scale=0.01)
        seen.append(witness.database(postgres, name))
        postgres.drop_database(name)
        fill.drop_roles(postgres)
    for name in ("large objects", "app.document"):
        for witnessed in seen:
            witnessed.pop(name)  # object numbers are the server's to choose
    seen[1]["schema"] = seen[1]["schema"].replace(
        database + "_1", database + "_0")
    seen[1].pop("database"), seen[0].pop("database")
    assert not witness.differences(*seen)
    assert witness.row_total(seen[0]) > 10000

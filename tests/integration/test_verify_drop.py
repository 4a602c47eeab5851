# SPDX-License-Identifier: Apache-2.0
"""A snapshot of an application that has lost its data is whole, and restores,
and is not proven."""

import os

import pytest

from conftest import TOOLS
from harness.stack import COMPLETE, FAILED, Stack

DATABASE = "dropping"


class Nights:
    """Three good nights of a database and a folder."""

    def __init__(self, postgres, folder):
        self.postgres = postgres
        self.host = Stack(TOOLS, folder)
        self.host.write()
        self.host.init()
        self.files = self.host.path("data")
        os.mkdir(self.files)
        for number in range(20):
            with open(os.path.join(self.files, str(number)), "w") as out:
                out.write("file %d" % number)
        postgres.create_database(DATABASE)
        postgres.execute(DATABASE, """
            CREATE TABLE big AS SELECT generate_series(1, 300) AS n;
            CREATE TABLE queue AS SELECT generate_series(1, 8) AS n;
            CREATE TABLE old AS SELECT 1 AS n""")
        # Named as a part of every table's path is.
        self.host.add_postgres("data", postgres, DATABASE)
        self.host.add("files", "data", paths=[self.files])
        for _ in range(2):
            self.host.create()

    def night(self, sql=None):
        if sql:
            self.postgres.execute(DATABASE, sql)
        return self.host.create()["snapshot"]

    def verify(self, *args, statuses=(COMPLETE,)):
        """Lines about loss, as "status what" by name; and warnings."""
        done = self.host.verify("latest", *args, statuses=statuses)
        lines = {line["name"].removeprefix("postgres/data/" + DATABASE): "%s %s"
                 % (line["status"], line["what"])
                 for line in done.of_type("check")
                 if line["name"].endswith(("/drop", "/gone"))}
        failed = [line["name"] for line in done.of_type("check")
                  if line["status"] == "fail"]
        assert all(name.endswith("/drop") for name in failed), str(done)
        return lines, [event["text"] for event in done.of_type("message")
                       if event["level"] == "warning"]


@pytest.fixture(scope="module")
def nights(postgres, session_folder):
    folder = os.path.join(session_folder, "verify-drop")
    os.mkdir(folder)
    yield Nights(postgres, folder)
    postgres.drop_database(DATABASE)


def test_as_much_as_before_is_said_so(nights):
    nights.night("INSERT INTO big VALUES (0); DELETE FROM queue WHERE n > 5")
    lines, warnings = nights.verify("--max-drop", "10%")
    assert lines == {
        "postgres/data/drop":
            "pass no less than 2 snapshots had, but for at most 10%",
        "files/data/drop":
            "pass no less than 2 snapshots had, but for at most 10%"}
    assert not warnings


def test_a_loss_is_told_and_beyond_a_limit_is_no_proof(nights):
    nights.night("DELETE FROM big WHERE n % 3 > 0; DROP TABLE old;"
                 "DELETE FROM queue")
    lines, warnings = nights.verify()
    what = ("%d rows, %d rows in the snapshots before (median of 3): %d%% less")
    assert lines["/data/public.big/drop"] == "pass " + what % (101, 300, 67)
    assert lines["/gone"].endswith("not there any more: public.old")
    assert warnings == [what % (101, 300, 67), what % (101, 309, 68)]
    lines, _ = nights.verify("--max-drop", "60%", "postgres/data",
                             statuses=(FAILED,))
    for name, line in {"": what % (101, 309, 68),
                       "/data/public.big": what % (101, 300, 67)}.items():
        assert lines[name + "/drop"] == (
            "fail " + line + ", and at most 60% is allowed"), lines
    # It was never empty before.
    assert lines["/data/public.queue/drop"] == (
        "fail 0 rows, 8 rows in the snapshots before (median of 3): 100% less")
    assert nights.verify("--max-drop", "70%", "files/data")[0][
        "files/data/drop"].startswith("pass no less")


def test_rows_that_hold_less_are_seen_by_their_bytes(nights):
    nights.night("CREATE TABLE mail AS SELECT n, repeat('text', 50) AS body"
                 " FROM generate_series(1, 200) n; CREATE TABLE few AS"
                 " SELECT 1 AS n, repeat('text', 500) AS body")
    nights.night()
    nights.night("UPDATE mail SET body = ''; UPDATE few SET body = ''")
    lines, warnings = nights.verify("--max-drop", "60%", "postgres/data",
                                    statuses=(FAILED,))
    name = "/data/public.mail/drop"
    assert lines[name].startswith("fail ") and " bytes, " in lines[name]
    assert "(median of 2)" in lines[name], lines
    assert "/data/public.few/drop" not in lines
    lines, warnings = nights.verify("postgres/data")
    assert lines[name].startswith("pass ") and warnings
    nights.night("DROP TABLE mail, few")


def test_nothing_where_there_was_something_is_never_proven(nights):
    proven = nights.night("INSERT INTO big SELECT generate_series(1, 300)")
    nights.verify()
    empty = nights.night("TRUNCATE big")
    lines, _ = nights.verify(statuses=(FAILED,))
    assert lines["/drop"].startswith("fail 0 rows, "), lines
    listed = {event["name"]: event for event in nights.host.run(
        "backup-list", "--json").of_type("snapshot")}
    assert listed[proven]["proven"] and listed[empty]["proof_failed"]
    # The night after is as the night before.
    nights.night()
    lines, _ = nights.verify()
    assert "/drop" not in lines or lines["/drop"].startswith("pass")


def test_files_that_are_gone_are_seen(nights):
    for number in range(1, 20):
        os.unlink(os.path.join(nights.files, str(number)))
    nights.night()
    lines, warnings = nights.verify("files/data")
    assert lines["files/data/drop"].startswith("pass "), lines
    assert len(warnings) == 2 and "% less" in warnings[0]
    lines, _ = nights.verify("--max-drop", "50", "files/data",
                             statuses=(FAILED,))
    assert lines["files/data/drop"].startswith("fail "), lines

# SPDX-License-Identifier: Apache-2.0
"""Backups that several processes make, and the one that leads them ends."""

import os
import shutil
import signal
import threading
import time

import pytest
from harness.gate import Gate
from harness.stack import COMPLETE, DEGRADED, FAILED, finish, patience
from test_guard_killed import wait_for
from test_share import (Leader, elsewhere, end, host, runs, share, share_all)

__all__ = ["host"]  # a fixture


def test_without_its_leader_a_run_comes_to_nothing(host):
    host.create()
    leader = Leader(host, "gone")
    assert share(host, "gone", "0/2").status == COMPLETE
    leader.kill()
    for result in (share(host, "gone", "1/2", "--wait", "1s"),
                   end(host, "gone", "--wait", "1s")):
        assert result.status == FAILED, str(result)
        assert "leader" in result.message
        assert "new" in result.message and "--plan" in result.message
    assert len(host.snapshots()) == 1
    # A prune takes away what is left of it.
    assert len(runs(host)) == 2
    pruned = host.admin("backup-prune", "--json", "--keep-last", "1")
    assert pruned.status in (COMPLETE, DEGRADED), str(pruned)
    assert runs(host) == []
    # Another one takes its place, and its name.
    leader = Leader(host, "gone", "--finish")
    share_all(host, "gone", 2)
    assert leader.end().status == COMPLETE
    assert len(host.snapshots()) == 2
    assert runs(host) == []


def test_what_an_earlier_run_left_is_no_run(host):
    """As in a repository where nothing can be removed."""
    folder = os.path.join(host.repository, "runs")
    leader = Leader(host, "night")
    assert share(host, "night", "0/1").status == COMPLETE
    shutil.copytree(folder, host.path("kept"))
    elder = end(host, "night")
    assert elder.status == leader.end().status == COMPLETE
    shutil.copytree(host.path("kept"), folder, dirs_exist_ok=True)
    assert len(runs(host)) == 2
    for result in (share(host, "night", "0/1", "--wait", "1s"),
                   end(host, "night", "--wait", "1s")):
        assert result.status == FAILED, str(result)
        assert "there is no run night" in result.message, str(result)
    # Who comes before the leader waits for him.
    late = [host.start("backup-create", "--json", "--run", "night", *args)
            for args in (("--share", "0/1"), ("--finish",))]
    for process in late:
        while b"waiting for the plan" not in process.stdout.readline():
            assert process.poll() is None
    leader = Leader(host, "night")
    read, ended = map(finish, late)
    assert read.status == COMPLETE, str(read)
    assert read.result["known_tasks"] == 0
    assert ended.status == COMPLETE, str(ended)
    assert ended.result["snapshot"] == leader.end().result["snapshot"]
    assert ended.result["snapshot"] != elder.result["snapshot"]


def test_a_leader_that_was_killed_elsewhere_holds_no_moment(host, postgres):
    leader = Leader(host, "night")
    assert share(host, "night", "0/1").status == COMPLETE
    other = elsewhere(host, "other")
    other.add_postgres("app", postgres, host.database)
    again = share(other, "night", "0/1")
    assert again.status == COMPLETE, str(again)
    assert again.result["known_tasks"] == again.result["tasks"] > 0
    leader.kill()
    # For all that is known there he is at work.
    late = share(other, "night", "0/1")
    assert late.status == FAILED, str(late)
    assert "moment of this run is gone" in late.message, str(late)
    assert "begin again with a new --plan" in late.message


def has_moment(postgres, host):
    return postgres.execute(
        "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname ="
        " '%s' AND state = 'idle in transaction'" % host.database) != [(0,)]


@pytest.mark.parametrize("finishes", [False, True])
def test_a_share_with_nothing_left_waits_for_the_commit(
        host, postgres, minio, s3, bucket, finishes):
    """The moment is over then, and that is no failure."""
    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    host.add_bucket("up", minio, bucket=bucket)
    other = elsewhere(host, "other")
    other.add_postgres("app", postgres, host.database)
    other.add_bucket("up", minio, bucket=bucket)
    passes = threading.Event()
    passes.set()

    def answer(method, path):
        assert passes.wait(patience(60))

    with Gate(minio, answer) as gate:
        host.add_bucket("up", gate, bucket=bucket)
        leader = Leader(host, "late", *["--finish"] * finishes)
        assert has_moment(postgres, host)
        passes.clear()
        try:
            assert share(other, "late", "0/1").status == COMPLETE
            ending = None if finishes else host.start(
                "backup-create", "--json", "--run", "late", "--finish")
            wait_for(lambda: not has_moment(postgres, host),
                     "the leader does not commit")
            again = other.start("backup-create", "--json", "--run", "late",
                                "--share", "0/1", "--wait", "60s")
            time.sleep(1)
            assert again.poll() is None, finish(again)
        finally:
            passes.set()
        again = finish(again)
        assert again.status == COMPLETE, str(again)
        assert again.result["known_tasks"] == again.result["tasks"] > 0
        assert leader.end().status == COMPLETE
        if ending:
            assert finish(ending).status == COMPLETE


def test_shares_that_contradict_each_other_make_no_snapshot(host, postgres):
    """What a label of an enum is, no moment holds."""
    postgres.execute(host.database, "CREATE TABLE hues (c colour);"
                     "INSERT INTO hues VALUES ('red')")
    leader = Leader(host, "torn")
    share_all(host, "torn", 2)
    postgres.execute(host.database,
                     "ALTER TYPE colour RENAME VALUE 'red' TO 'blue'")
    assert share(host, "torn", "0/1").status == COMPLETE
    led = leader.end()
    assert led.status == FAILED, str(led)
    assert "two shares read other rows in one moment" in led.message, str(led)
    assert "public.hues: 1 rows and 1" in led.message
    assert not os.path.exists(os.path.join(host.repository, "snapshots"))


def test_a_leader_that_stops_says_so(host):
    leader = Leader(host, "stopped")
    assert share(host, "stopped", "2/3").status == COMPLETE
    waiting = host.start("backup-create", "--json", "--run", "stopped",
                         "--finish", "--wait", "1h")
    while b"waiting for shares" not in waiting.stdout.readline():
        assert waiting.poll() is None
    leader.process.send_signal(signal.SIGTERM)
    assert leader.end().status == FAILED
    told = finish(waiting)
    assert told.status == FAILED
    assert "its leader (host " in told.message, str(told)
    assert " has failed: " in told.message, str(told)
    late = share(host, "stopped", "0/3", "--wait", "1s")
    assert late.status == FAILED
    assert "there is no run stopped" in late.message
    assert not os.path.exists(os.path.join(host.repository, "snapshots"))


def test_a_leader_does_not_wait_for_ever(host):
    led = Leader(host, "limited", "--time-limit", "1s").end()
    assert led.status == FAILED
    assert "time limit (1 s) is over, and shares are missing: all of them" in (
        led.message), str(led)


def test_of_two_leaders_of_a_name_the_last_one_is_it(host):
    elder = Leader(host, "name")
    assert share(host, "name", "0/2").status == COMPLETE
    leader = Leader(host, "name", "--finish")
    told = elder.end()
    assert told.status == FAILED
    assert "another backup-create --plan of the same name" in told.message
    share_all(host, "name", 2)
    led = leader.end()
    assert led.status == COMPLETE, str(led)
    assert host.snapshots() == [led.result["snapshot"]]
    assert [name for name in runs(host) if not name.endswith(".end")] == []

# SPDX-License-Identifier: Apache-2.0
"""Backups that several processes make, and the one that leads them ends."""

import os
import signal

from harness.stack import COMPLETE, DEGRADED, FAILED, finish
from test_share import Leader, end, host, runs, share, share_all

__all__ = ["host"]  # a fixture


def test_without_its_leader_a_run_comes_to_nothing(host):
    host.create()
    leader = Leader(host, "gone")
    assert share(host, "gone", "0/2").status == COMPLETE
    leader.kill()
    for result in share(host, "gone", "1/2"), end(host, "gone"):
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

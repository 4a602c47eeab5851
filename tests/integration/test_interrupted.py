# SPDX-License-Identifier: Apache-2.0
"""Backups that are stopped, politely or not, and the one after."""

import fcntl
import os
import signal
import termios
import time

import pytest
from harness import witness
from harness.stack import COMPLETE, FAILED, finish

PATIENCE = 60


@pytest.fixture
def slow(stack):
    """A backup that has much to store and then hangs in its last source."""
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "old"), "wb") as out:
        out.write(os.urandom(1 << 20))
    stack.add("command", "a-lot", output="out",
              run=["head", "-c", "40000000", "/dev/urandom"])
    stack.add("command", "z-slow", output="out", run=["true"])
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    stack.add("command", "z-slow", output="out",
              run=["sh", "-c", "echo begun >%s; exec sleep 600"
                   % stack.path("begun")])
    return stack


def _start_and_wait(stack, **options):
    process = stack.start("backup-create", **options)
    end = time.monotonic() + PATIENCE
    while not os.path.exists(stack.path("begun")):
        assert process.poll() is None, str(finish(process))
        assert time.monotonic() < end, "it does not come to its last source"
        time.sleep(0.05)
    return process


def _goes_on(stack, before):
    """The next backup is clean, and every snapshot is whole."""
    stack.add("command", "z-slow", output="out", run=["true"])
    assert stack.snapshots() == before
    stack.create()
    names = stack.snapshots()
    assert len(names) == len(before) + 1
    for name in names:
        assert stack.admin("backup-verify", "--json", name).result[
            "is_proven"]


def _children_of(process):
    """Processes in the command's own session."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(pid)) == process.pid:
                with open("/proc/%s/stat" % pid) as stat:
                    if stat.read().rpartition(")")[2].split()[0] != "Z":
                        found.append(int(pid))
        except OSError:
            continue
    return found


def _kill_all(process):
    process.kill()
    process.communicate()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def test_kill_9_of_a_running_backup_and_a_clean_one_after(slow):
    before = slow.snapshots()
    _kill_all(_start_and_wait(slow))
    _goes_on(slow, before)


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4])
def test_kill_9_at_this_moment(slow, moment):
    before = slow.snapshots()
    process = slow.start("backup-create")
    time.sleep(moment)
    _kill_all(process)
    _goes_on(slow, before)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_backup_cleanly(slow, signum):
    before = slow.snapshots()
    process = _start_and_wait(slow)
    began = time.monotonic()
    process.send_signal(signum)
    result = finish(process, timeout=30)
    assert time.monotonic() - began < 30
    assert result.status not in (COMPLETE,), str(result)
    assert result.status in (FAILED, 128 + signum, -signum), str(result)
    assert result.err.strip(), "it says nothing"
    assert _children_of(process) == []
    _goes_on(slow, before)


def test_ctrl_c_on_a_terminal(slow):
    """The whole foreground group gets the signal, children included."""
    before = slow.snapshots()
    master, terminal = os.openpty()
    process = _start_and_wait(
        slow, stdin=terminal, stdout=terminal, stderr=terminal,
        preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0))
    os.close(terminal)
    os.write(master, b"\x03")
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:
        pass  # the last one has closed the terminal
    os.close(master)
    assert process.wait(30) in (FAILED, 130, -signal.SIGINT), shown
    # Something was drawn while it ran, and at its end a line says why.
    assert b"\r" in shown and b"backup-create: " in shown, shown
    assert _children_of(process) == []
    _goes_on(slow, before)


def test_an_interrupted_restore_leaves_no_half_database(
        stack, postgres, database):
    postgres.execute(database, "CREATE TABLE t AS SELECT n, md5(n::text)"
                     " FROM generate_series(1, 300000) AS n")
    stack.add_postgres("app", postgres, database)
    stack.create()
    before = witness.database(postgres, database)
    other = database + "_copy"
    for moment in (0.1, 0.3, 0.6):
        process = stack.start("backup-restore", "--identity-file",
                              stack.identity, "latest", "--to", other)
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        result = finish(process)
        if other in postgres.databases():
            # Whole, and with all of it but statistics.
            assert (result.status == COMPLETE or
                    "is in its place" in result.err), str(result)
            found = witness.database(postgres, other)
            assert found["public.t"] == before["public.t"]
            postgres.drop_database(other)
        else:
            # Where it had not begun, the signal alone ends it.
            assert result.status in (FAILED, -signal.SIGINT), str(result)
    stack.restore("latest", "--to", other)
    after = witness.database(postgres, other)
    assert before["public.t"] == after["public.t"]

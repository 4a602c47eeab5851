# SPDX-License-Identifier: Apache-2.0
"""The places that a verification restores into: made for it, on no network,
gone afterwards however it ends, and never the server that was backed up."""

import glob
import os
import signal
import time

import pytest
from harness.stack import COMPLETE, FAILED, finish, patience

@pytest.fixture
def host(stack, postgres, database):
    postgres.execute(database, "CREATE TABLE item AS SELECT n, md5(n::text) AS"
                     " t FROM generate_series(1, 1000) n")
    stack.add_postgres("app", postgres, database)
    stack.create()
    return stack


@pytest.fixture
def slow(host, postgres, database):
    """One of which the restore stops at an index, for as long as anybody
    waits."""
    postgres.execute(database, """
        CREATE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
            'BEGIN IF current_setting(''fsync'') = ''off'' AND
                current_setting(''listen_addresses'') = '''' THEN
                PERFORM pg_sleep(600); END IF; RETURN n; END';
        CREATE TABLE waits AS SELECT 1 AS n;
        CREATE INDEX slow_index ON waits (slow(n))""")
    host.create()
    return host


def _scratch(stack):
    return os.listdir(stack.commands.env["TMPDIR"])


def _servers(stack):
    """Processes that work in a scratch place."""
    found = []
    for cwd in glob.glob("/proc/[0-9]*/cwd"):
        try:
            if os.readlink(cwd).startswith(stack.commands.env["TMPDIR"]):
                found.append(int(cwd.split("/")[2]))
        except OSError:
            continue
    return found


def _wait(what, is_so):
    end = time.monotonic() + patience(60)
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def _start(stack):
    """A verification that is in the middle of its restore."""
    process = stack.start("backup-verify", "--identity-file", stack.identity)

    def is_at_work():
        assert process.poll() is None, str(finish(process))
        return any("CREATE INDEX" in _command(pid) for pid in _servers(stack))
    _wait("the restore does not come to its index", is_at_work)
    return process


def _command(pid):
    try:
        with open("/proc/%d/cmdline" % pid) as line:
            return line.read().replace("\0", " ")
    except OSError:
        return ""


@pytest.mark.parametrize("signum", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing_behind(slow, signum):
    process = _start(slow)
    process.send_signal(getattr(signal, signum))
    result = finish(process)
    assert result.status == FAILED, str(result)
    assert not _scratch(slow)
    _wait("a process of the server is left", lambda: not _servers(slow))


def test_what_a_killed_run_left_is_removed_by_the_next(
        slow, postgres, database):
    process = _start(slow)
    process.kill()
    process.communicate()
    left, = _scratch(slow)
    # Its server ends by itself.
    _wait("the server goes on without the command",
          lambda: not _servers(slow))
    postgres.execute(database, "DROP TABLE waits")
    slow.create()
    result = slow.verify()
    assert [event for event in result.of_type("message")
            if left in event["text"] and "is removed" in event["text"]]
    assert not _scratch(slow)


def test_one_that_is_at_work_is_left_alone(slow, postgres, database):
    process = _start(slow)
    try:
        used, = _scratch(slow)
        slow.verify(slow.snapshots()[0])
        assert _scratch(slow) == [used] and _servers(slow)
    finally:
        process.terminate()
        finish(process)
    assert not _scratch(slow)


def test_a_server_that_answers_for_the_scratch_server_is_not_touched(
        host, postgres, database):
    """However it comes to that: here by programs that were put in place."""
    before = postgres.databases()
    programs = host.path("programs")
    os.mkdir(programs)
    for name in os.listdir(postgres.bindir):
        os.symlink(os.path.join(postgres.bindir, name),
                   os.path.join(programs, name))
    os.unlink(os.path.join(programs, "postgres"))
    with open(os.path.join(programs, "postgres"), "w") as out:
        out.write('#!/bin/sh\n[ "$1" != -V ] && [ "$1" != --version ] || exec %s "$1"\n'
                  'while [ "$1" != -k ]; do shift; done\n'
                  "ln -s %s/.s.PGSQL.%d $2/.s.PGSQL.5432\n"
                  "exec sleep 600\n"
                  % (postgres.program("postgres"), postgres.home,
                     postgres.port))
    os.chmod(os.path.join(programs, "postgres"), 0o755)
    host.add_postgres("app", postgres, database, bindir=programs)
    result = host.admin("backup-verify")
    assert result.status == FAILED, str(result)
    assert "is not the scratch server" in result.err
    assert "nothing was done there" in result.err
    assert postgres.databases() == before
    assert not _scratch(host)

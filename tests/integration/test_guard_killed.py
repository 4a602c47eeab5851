# SPDX-License-Identifier: Apache-2.0
"""Whoever is killed in the middle, at whatever stage, can go on; signals do
what was said of them; and a restore that fails leaves what was there."""

import glob
import json
import os
import re
import shlex
import signal
import threading
import time

import psycopg
import pytest

from harness.stack import FAILED, finish, patience
from test_guard import ACT_NOW, Guarded, ended, guarded, no_journal

assert guarded and Guarded


def journal(guarded):
    (path,) = glob.glob(os.path.join(
        guarded.stack.commands.home, ".local/state/libbackup/guard/*.json"))
    with open(path) as file:
        return json.load(file)


def wait_for(what, why):
    until = time.monotonic() + patience(60)
    while not what():
        assert time.monotonic() < until, why
        time.sleep(0.05)


def start(guarded, *options, command):
    return guarded.stack.start(
        "backup-guard", *guarded.arguments(*options), "--", *command)


def gate(guarded, name):
    """Shell text that says that it was reached and then waits."""
    mark = guarded.stack.path(name)
    return mark, "touch %s; sleep 300" % mark


def kill(running):
    """What the command started does not die with it, and keeps the pipes."""
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    running.stderr.close()


def kill_at(guarded, mark, *options, command):
    running = start(guarded, *options, command=command)
    wait_for(lambda: os.path.exists(mark) or running.poll() is not None, mark)
    assert running.poll() is None, running.communicate()
    kill(running)
    return journal(guarded)


def resume(guarded, status=FAILED, *options):
    return ended(guarded.run("--json", "--resume", *options), status).result


# ---- killed ----

def test_killed_while_the_command_runs(guarded):
    mark, waiting = gate(guarded, "reached")
    path = guarded.break_all("exec python3 -c 'import time; open(\"%s\", \"w\")"
                             "; time.sleep(600)'" % mark)
    state = kill_at(guarded, mark, command=[path])
    assert state["stage"] == "command" and waiting
    assert state["snapshot"] in guarded.stack.snapshots()
    assert guarded.read("conf") == "version 2\n"
    again = ended(guarded.run(command=["true"]), ACT_NOW)
    assert "--resume" in again.err
    # What keeps it from being resumed is no end of it.
    secret = guarded.stack.secret("s3-access", guarded.minio.access_key)
    os.rename(secret, secret + "-away")
    for options in (), ("--json",):
        stuck = ended(guarded.run("--resume", *options), ACT_NOW)
        assert "not finished" in str(stuck) and guarded.read(
            "conf") == "version 2\n"
    os.rename(secret + "-away", secret)
    event = resume(guarded)
    assert event["state"] == "put-back"
    assert event["snapshot"] == state["snapshot"]
    guarded.assert_as_it_was(state["snapshot"], has_new=True)
    no_journal(guarded)


def test_what_outlives_the_guard_has_to_end_first(guarded):
    mark, waiting = gate(guarded, "reached")
    state = kill_at(guarded, mark, command=[
        "sh", "-c", "sh -c %s" % shlex.quote(waiting) + "; true"])
    done = ended(guarded.run("--resume"), ACT_NOW)
    assert "still at work" in done.err and str(state["group"]) in done.err
    os.killpg(state["group"], signal.SIGKILL)

    def is_gone():
        try:
            os.killpg(state["group"], 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(is_gone, "the group stays")
    assert resume(guarded)["state"] == "put-back"


def test_killed_while_the_snapshot_is_taken(guarded):
    guarded.sql("BEGIN")
    with guarded.postgres.connect(guarded.name) as held:
        held.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        running = start(guarded, command=["touch", guarded.stack.path("ran")])
        wait_for(lambda: glob.glob(os.path.join(
            guarded.stack.commands.home,
            ".local/state/libbackup/guard/*.json")), "there is no journal")
        kill(running)
    assert resume(guarded)["state"] == "untouched"
    assert not os.path.exists(guarded.stack.path("ran"))
    no_journal(guarded)


def test_killed_during_the_health_check_it_decides(guarded):
    mark, waiting = gate(guarded, "reached")
    path = guarded.script("echo 'version 2' >FILES/conf")
    health = 'grep -q 1 %s/conf || test -f %s-on || { %s; }' % (
        guarded.files, mark, waiting)
    state = kill_at(guarded, mark, "--health", health, command=[path])
    assert state["stage"] == "health"
    with open(mark + "-on", "w"):
        event = resume(guarded, 0)
    assert event["state"] == "kept" and len(event["run"]) == 1
    assert guarded.read("conf") == "version 2\n"


def test_killed_while_it_is_put_back(guarded):
    mark, waiting = gate(guarded, "reached")
    path = guarded.break_all("false")
    stop = "test -f %s || { %s; }" % (mark, waiting)
    state = kill_at(guarded, mark, "--stop", stop, command=[path])
    assert state["stage"] == "back"
    guarded.assert_as_it_was(resume(guarded)["snapshot"], has_new=True)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_swap(guarded, when):
    """The database is built, and dies with the guard; or has its place, and
    the journal does not know."""
    path = guarded.break_all("false")
    end = guarded.stack.path("may-end")  # not before it is killed
    running = start(guarded, "--start", "test -f %s || sleep 300" % end,
                    command=[path])

    def is_there():
        assert running.poll() is None, running.communicate()
        return any((".restor" if when == "before" else ".before-") in name
                   for name in guarded.formers())

    wait_for(is_there, "nothing is restored")
    kill(running)
    open(end, "w").close()
    event = resume(guarded)
    guarded.assert_as_it_was(event["snapshot"], has_new=True)
    names = guarded.formers()
    assert all(".before-" in name for name in names), names
    counts = {guarded.sql("SELECT count(*) FROM t", name)[0][0]
              for name in names}
    assert 100 in counts and sorted(
        "postgres/app " + name for name in names) == sorted(event["former"])


def test_killed_while_the_application_is_started(guarded):
    mark, waiting = gate(guarded, "reached")
    path = guarded.break_all("false")
    state = kill_at(guarded, mark, "--start",
                    "test -f %s || { %s; }" % (mark, waiting), command=[path])
    assert state["stage"] == "after"
    formers = guarded.formers()
    event = resume(guarded)
    assert event["state"] == "put-back"
    assert guarded.formers() == formers
    assert formers and sorted(event["former"]) == sorted(
        "postgres/app " + name for name in formers)


# ---- signals ----

def test_a_signal_while_the_command_runs_puts_back(guarded):
    mark, waiting = gate(guarded, "reached")
    path = guarded.break_all(waiting)
    running = start(guarded, "--json", command=[path])
    wait_for(lambda: os.path.exists(mark), "it does not run")
    running.send_signal(signal.SIGINT)
    done = ended(finish(running), FAILED)
    assert done.result["state"] == "put-back"
    guarded.assert_as_it_was(done.result["snapshot"], has_new=True)


def test_signals_while_it_is_put_back_change_nothing(guarded):
    mark, waiting = gate(guarded, "reached")
    path = guarded.break_all(waiting)
    running = start(guarded, "--json", command=[path])
    wait_for(lambda: os.path.exists(mark), "it does not run")
    running.send_signal(signal.SIGINT)
    while running.poll() is None:
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            running.send_signal(which)
        time.sleep(0.1)
    done = ended(finish(running), FAILED)
    assert done.result["state"] == "put-back"
    assert "putting back goes on" in done.err
    guarded.assert_as_it_was(done.result["snapshot"], has_new=True)


# ---- the restore fails ----

def test_a_database_that_cannot_be_swapped_keeps_its_place(guarded):
    """The role loses its right to rename what is there."""
    name = "guard_owner"
    guarded.postgres.execute(
        "postgres", "CREATE ROLE %s LOGIN SUPERUSER PASSWORD 'weak'" % name)
    try:
        guarded.stack.add_postgres(
            "app", guarded.postgres, guarded.name,
            conninfo=guarded.postgres.tcp_conninfo(guarded.name)
            + " user=" + name, password_file=guarded.stack.secret("w", "weak"))
        path = guarded.break_all(
            "SQL 'ALTER ROLE %s NOSUPERUSER'" % name, "false")
        done = ended(guarded.run("--json", command=[path]), ACT_NOW)
        event = done.result
        assert event["state"] == "broken" and event["former"] == []
        (line,) = event["run"]
        assert line.endswith("--resume")
        told = [e["text"] for e in done.of_type("message")
                if e["path"] == "postgres/app" and "NOT put back" in e["text"]]
        assert len(told) == 1 and "CREATEDB" in told[0]
        # The current one is there, under its name, and the rest is back.
        assert guarded.sql("SELECT count(*) FROM t") == [(100,)]
        assert guarded.read("conf") == "version 1"
        assert journal(guarded)["stage"] == "back"

        guarded.postgres.execute("postgres", "ALTER ROLE %s SUPERUSER" % name)
        guarded.write("conf", "by hand, since")
        assert os.system("unset BACKUP_STATE_DIR; PATH=%s:$PATH HOME=%s; "
                         "%s >/dev/null 2>&1" % (
            guarded.stack.commands.tools, guarded.stack.commands.home,
            line)) >> 8 == FAILED
        # What was back already is not touched once more.
        assert guarded.read("conf") == "by hand, since"
        assert guarded.sql("SELECT count(*) FROM t") == [(500,)]
        no_journal(guarded)
    finally:
        guarded.postgres.execute(
            "postgres", "REASSIGN OWNED BY %s TO postgres; DROP ROLE %s" % (
                name, name))


def test_an_application_that_is_not_well_although_all_is_back(guarded):
    well = guarded.stack.path("well")
    with open(well, "w"):
        pass
    event = ended(guarded.run(
        "--json", "--health", "test -f " + well, "--health-retries", "1",
        command=["rm", well]), ACT_NOW).result
    assert event["state"] == "broken"
    with open(well, "w"):
        pass
    assert resume(guarded)["state"] == "put-back"


def test_a_folder_in_the_place_of_a_file_is_told_and_mended(guarded):
    path = guarded.script("rm FILES/conf", "mkdir FILES/conf", "false")
    done = ended(guarded.run("--json", command=[path]), ACT_NOW)
    told = [e["text"] for e in done.of_type("message")
            if e["path"] == "files/app" and "NOT put back" in e["text"]]
    assert len(told) == 1 and "is a folder" in told[0]
    os.rmdir(os.path.join(guarded.files, "conf"))
    # What is written until somebody goes on is kept, too.
    guarded.write("since", "a day later")
    guarded.write("left", "a day later")
    event = resume(guarded)
    guarded.assert_as_it_was(event["snapshot"], has_new=True)
    assert event["new_files"] == 1 and event["failed"] != done.result["failed"]
    assert "files/app%s/since" % guarded.files in guarded.stack.entries(
        event["failed"])
    assert guarded.read("left") == "alone"


# ---- others at work ----

class Client(threading.Thread):
    """An application that is connected all the time."""

    def __init__(self, guarded):
        super().__init__()
        self.guarded, self.strange = guarded, []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                with self.guarded.postgres.connect(self.guarded.name) as it:
                    while not self.stopping.is_set():
                        it.execute("SELECT count(*) FROM t")
                        time.sleep(0.01)
            except psycopg.OperationalError as gone:
                if not re.search("terminat|closed|renamed|lost|does not exist",
                                 str(gone)):
                    self.strange.append(str(gone))


def test_an_application_that_stays_connected_is_no_obstacle(guarded):
    client = Client(guarded)
    client.start()
    try:
        path = guarded.script("SQL 'DELETE FROM t WHERE i > 100'", "false")
        event = ended(guarded.run("--json", command=[path]), FAILED).result
    finally:
        client.stopping.set()
        client.join()
    assert client.strange == []
    guarded.assert_as_it_was(event["snapshot"])

# SPDX-License-Identifier: Apache-2.0
"""Jobs that run by themselves: hooks, limits, overlap, several repositories,
and that whatever goes wrong is told."""

import datetime
import glob
import http.server
import json
import os
import signal
import threading
import time

import pytest

from harness.stack import (COMPLETE, DEGRADED, FAILED, USAGE, finish,
                           patience, recipient_of)


def shell(text, **options):
    return {"run": ["sh", "-c", text], **options}


class Jobs:
    """A stack with a folder as its source and two repositories, and a
    configuration that is written as a whole."""

    def __init__(self, stack):
        self.stack = stack
        self.data = stack.path("data")
        os.mkdir(self.data)
        with open(os.path.join(self.data, "a"), "w") as out:
            out.write("one\n")
        self.second = stack.path("second")
        self.second_key = stack.path("second.key")
        stack._expect(stack.commands.run(
            "backup-init", "--repository", self.second, "--key-file",
            self.second_key, "--recipient",
            recipient_of(stack.identity)), COMPLETE)
        self.sources = [{"files": "data", "paths": [self.data]}]

    def write(self, **top):
        config = {"repositories": {
            "local": {"location": self.stack.repository,
                      "key_file": self.stack.key_file},
            "second": {"location": self.second,
                       "key_file": self.second_key}},
            "sources": self.sources, **top}
        with open(self.stack.config, "w") as out:  # JSON is YAML
            json.dump({key: value for key, value in config.items()
                       if value is not None}, out)
        os.chmod(self.stack.config, 0o600)

    def run(self, *args, **options):
        return self.stack.run("backup-run", *args, **options)

    def result(self, *args, status=COMPLETE, **options):
        run = self.run("--json", *args, **options)
        assert run.status == status, str(run)
        return run.result

    @property
    def state(self):
        [path] = glob.glob(os.path.join(
            self.stack.commands.home, ".local/state/libbackup/jobs/*.json"))
        with open(path) as file:
            return json.load(file)

    def snapshots(self, name):
        run = self.stack.run("backup-list", "--json", "--repository", name)
        assert run.status == COMPLETE, str(run)
        return [event["name"] for event in run.of_type("snapshot")]

    def proofs(self, name):
        run = self.stack.run("backup-list", "--json", "--repository", name)
        return [event["proven"] for event in run.of_type("snapshot")
                if event["proven"]]

    def wait_for(self, path, process=None):
        until = time.monotonic() + patience(60)
        while not os.path.exists(path):
            assert process is None or process.poll() is None, "it ended"
            assert time.monotonic() < until, path
            time.sleep(0.02)


@pytest.fixture
def jobs(stack):
    return Jobs(stack)


def steps(result):
    return [(step["name"], step["repository"] or step["what"], step["state"])
            for step in result["steps"]]


def facts(path):
    with open(path) as file:
        return dict(line.rstrip("\n").split("=", 1) for line in file
                    if line.startswith("BACKUP_"))


def test_a_file_of_one_repository_is_the_job_default(
        stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    run = stack.run("backup-run", "--json")
    assert run.status == COMPLETE, str(run)
    assert run.result["job"] == "default"
    assert steps(run.result) == [("backup", "default", "complete")]
    assert run.result["repositories"][0]["snapshot"] == stack.snapshots()[0]
    created = [event for event in run.of_type("result")
               if event["command"] == "backup-create"]
    assert created[0]["job"] == "default"
    assert created[0]["step"] == "backup"


def test_a_job_goes_into_each_repository_and_looks_after_it(jobs):
    jobs.write(
        retention={"keep_last": 1},
        jobs={"nightly": {"prune": "after", "tags": ["nightly"],
                          "verification": {"every": "7d"}}})
    first = jobs.result("--identity-file", jobs.stack.identity)
    assert steps(first) == [
        ("backup", "local", "complete"), ("backup", "second", "complete"),
        ("prune", "local", "complete"), ("verify", "local", "complete"),
        ("prune", "second", "complete"), ("verify", "second", "complete")]
    assert all(it["last_proof"] for it in first["repositories"])
    # Both are proven since, whoever asks.
    again = jobs.result()
    assert [step[0] for step in steps(again)] == [
        "backup", "backup", "prune", "prune"]
    for name in ("local", "second"):
        assert jobs.snapshots(name)
    state = jobs.state
    assert state["state"] == state["previous"] == "complete"
    for it in state["repositories"]:
        # As the repository says, and not this machine.
        [proof] = jobs.proofs(it["name"])
        assert it["last_proof"][:19] == proof[:19]


def test_a_verification_without_a_key_is_told_each_time(jobs):
    jobs.write(jobs={"nightly": {"repositories": ["local"],
                                 "verification": {"every": "7d"}}})
    for _ in range(2):
        result = jobs.result(status=DEGRADED)
        assert steps(result) == [("backup", "local", "complete"),
                                 ("verify", "local", "degraded")]
        assert "nothing here opens contents" in result["error"]


def test_hooks_have_the_facts_in_their_environment(jobs):
    before, after, always = (jobs.stack.path(name) for name in "bac")
    jobs.write(jobs={"nightly": {"repositories": ["second", "local"], "hooks": {
        "before": [shell("env > %s" % before)],
        "after": [shell("echo to people; echo also >&2; env > %s" % after)],
        "always": [shell("env > %s" % always)],
        "failure": [shell("exit 9")]}}})
    run = jobs.run("--json")
    assert run.status == COMPLETE, str(run)
    assert [name for name, _, _ in steps(run.result)] == [
        "before", "backup", "backup", "after", "always"]
    told = [event["text"] for event in run.of_type("message")
            if (event["path"] or "").startswith("after")]
    assert told == ["to people", "also"]
    begun = facts(before)
    assert begun["BACKUP_STATE"] == "running"
    assert begun["BACKUP_HOOK"] == "before"
    assert begun["BACKUP_SNAPSHOT"] == ""
    assert "BACKUP_STATUS" not in begun
    done = facts(after)
    assert done["BACKUP_JOB"] == "nightly"
    assert done["BACKUP_STATE"] == "complete"
    assert done["BACKUP_STATUS"] == "0"
    assert done["BACKUP_REPOSITORY"] == "second"
    assert done["BACKUP_CONFIG"] == jobs.stack.config
    assert [done["BACKUP_SNAPSHOT"]] == jobs.snapshots("second")
    assert int(done["BACKUP_BYTES_STORED"]) > 0
    assert int(done["BACKUP_BYTES"]) == 4
    assert done["BACKUP_ERROR"] == done["BACKUP_STEP"] == ""
    assert facts(always)["BACKUP_HOOK"] == "always"


def test_a_hook_before_that_fails_ends_the_run(jobs):
    seen = jobs.stack.path("seen")
    jobs.write(jobs={"nightly": {"hooks": {
        "before": [shell("echo why not >&2; exit 7"), shell("exit 0")],
        "after": [shell("exit 0")],
        "always": [shell("echo resumed")],
        "failure": [shell("env > %s" % seen)]}}})
    result = jobs.result(status=FAILED)
    assert steps(result) == [
        ("before", "sh", "failed"), ("always", "sh", "complete"),
        ("failure", "sh", "complete")]
    assert result["failed_step"] == "before"
    assert "exit status 7: why not" in result["error"]
    assert jobs.snapshots("local") == []
    told = facts(seen)
    assert told["BACKUP_STEP"] == "before"
    assert told["BACKUP_STATE"] == "failed"
    assert told["BACKUP_STATUS"] == "1"
    assert "why not" in told["BACKUP_ERROR"]
    assert jobs.state["failures"] == 1
    assert jobs.state["repositories"][0]["last_success"] is None


@pytest.mark.parametrize("name", ["after", "always"])
def test_a_later_hook_that_fails_leaves_the_backup_degraded(jobs, name):
    jobs.write(jobs={"nightly": {"hooks": {
        name: [shell("exit 1")], "failure": [shell("exit 0")]}}})
    result = jobs.result(status=DEGRADED)
    assert steps(result)[-1] == (name, "sh", "degraded")
    assert len(jobs.snapshots("local")) == 1


def test_what_a_hook_says_last_is_told_without_its_end_of_line(jobs):
    jobs.write(jobs={"nightly": {"hooks": {"before": [
        shell("printf 'disk is away \\n\\n' >&2; exit 1")]}}})
    result = jobs.result(status=FAILED)
    assert result["error"].endswith("disk is away"), result["error"]


def test_a_hook_that_hangs_is_ended_with_what_it_started(jobs):
    pid = jobs.stack.path("pid")
    jobs.write(jobs={"nightly": {"hooks": {"before": [shell(
        "sleep 1000 & echo $! > %s; wait" % pid, timeout="1s")]}}})
    result = jobs.result(status=FAILED)
    assert "has not ended within 1 s" in result["error"]
    with open(pid) as file:
        child = int(file.read())
    until = time.monotonic() + patience(20)
    while os.path.exists("/proc/%d" % child):
        with open("/proc/%d/stat" % child) as file:
            if file.read().split(")")[1].split()[0] == "Z":
                break
        assert time.monotonic() < until
        time.sleep(0.05)


def hanging(jobs, **job):
    """A job whose source hangs once `begun` is there."""
    begun = jobs.stack.path("begun")
    jobs.sources = [{"command": "slow", "output": "x", "run": [
        "sh", "-c", "echo x; touch %s; exec sleep 1000" % begun]}]
    jobs.write(jobs={"nightly": {"repositories": ["local"], **job}})
    return begun


def test_a_run_that_hangs_is_ended_by_its_limit(jobs):
    seen = jobs.stack.path("seen")
    hanging(jobs, time_limit="%ds" % patience(2), hooks={
        "always": [shell("echo resumed")],
        "failure": [shell("env > %s" % seen)]})
    result = jobs.result(status=FAILED)
    assert steps(result)[0] == ("backup", "local", "failed")
    assert "the time limit of" in result["error"]
    assert [step[0] for step in steps(result)] == [
        "backup", "always", "failure"]
    assert "the time limit of" in facts(seen)["BACKUP_ERROR"]
    assert jobs.snapshots("local") == []


def test_a_second_run_says_who_runs_and_harms_nothing(jobs):
    begun = hanging(jobs)
    process = jobs.stack.start("backup-run", "--json")
    jobs.wait_for(begun, process)
    state = jobs.state
    assert state["state"] == "running"
    second = jobs.run("--json")
    assert second.status == FAILED, str(second)
    assert second.result["state"] == "overlapped"
    assert "process %d, since %s" % (
        process.pid, state["began"]) in second.result["error"]
    people = jobs.run()
    assert people.status == FAILED
    assert "nightly: overlapped" in people.out
    assert jobs.state == state
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert finish(process).status == FAILED
    assert jobs.state["state"] == "failed"
    assert "stopped on request" in jobs.state["error"]
    # The lock went with its holder.
    jobs.sources = [{"files": "data", "paths": [jobs.data]}]
    jobs.write(jobs={"nightly": {}})
    assert jobs.result()["previous"] == "failed"


def children_of(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        rest = text.rsplit(")", 1)[1].split()
        if int(rest[1]) == pid:
            found.append(int(path.split("/")[2]))
    return found


def test_a_backup_that_is_killed_is_told(jobs):
    begun = hanging(jobs, hooks={"failure": [shell("echo told")]})
    process = jobs.stack.start("backup-run", "--json")
    jobs.wait_for(begun, process)
    [child] = children_of(process.pid)
    os.kill(child, signal.SIGKILL)
    run = finish(process)
    assert run.status == FAILED, str(run)
    result = run.result
    assert result["state"] == "failed"
    assert result["steps"][0]["signal"] == signal.SIGKILL
    assert "ended by signal 9" in result["error"]
    assert steps(result)[-1] == ("failure", "sh", "complete")


def test_a_run_that_vanished_is_told_by_the_next(jobs):
    begun = hanging(jobs)
    process = jobs.stack.start("backup-run", "--json")
    jobs.wait_for(begun, process)
    process.kill()
    process.communicate(timeout=patience(60))
    assert jobs.state["state"] == "running"
    jobs.sources = [{"files": "data", "paths": [jobs.data]}]
    jobs.write(jobs={"nightly": {}})
    run = jobs.run("--json")
    assert run.status == COMPLETE, str(run)
    assert any("never said how it ended" in event["text"]
               for event in run.of_type("message"))
    assert run.result["previous"] == "failed"


def window(first, last):
    now = datetime.datetime.now(datetime.timezone.utc)
    return "-".join((now + datetime.timedelta(hours=hours)).strftime("%H:%M")
                    for hours in (first, last))


def test_a_job_begins_in_its_window_only(jobs):
    jobs.write(jobs={"nightly": {"window": window(2, 4)}})
    result = jobs.result(status=FAILED)
    assert result["state"] == "outside"
    assert "it is not the time" in result["error"]
    assert jobs.snapshots("local") == []
    jobs.result("--now")
    assert len(jobs.snapshots("local")) == 1
    jobs.write(jobs={"nightly": {"window": window(-2, 2)}})
    jobs.result()
    assert len(jobs.snapshots("local")) == 2


def test_a_missed_run_is_made_up_for_and_no_other(jobs):
    jobs.write(jobs={"nightly": {}})
    assert jobs.result("--if-missed", "1h")["state"] == "complete"
    assert jobs.result("--if-missed", "1h")["state"] == "not due"
    assert len(jobs.snapshots("local")) == 1
    # One repository that has none is enough.
    jobs.write(jobs={"nightly": {}}, repositories={
        "local": {"location": jobs.stack.repository,
                  "key_file": jobs.stack.key_file},
        "other": {"location": jobs.second, "key_file": jobs.second_key}})
    assert jobs.result("--if-missed", "1h")["state"] == "complete"
    time.sleep(1)
    assert jobs.result("--if-missed", "1s")["state"] == "complete"


@pytest.mark.parametrize("names", [["local"], ["local", "second"]])
def test_a_source_of_which_nothing_is_there_is_no_good_backup(jobs, names):
    """As where a disk is not mounted."""
    also = jobs.stack.path("also")
    jobs.sources.append({"files": "disk", "paths": [
        jobs.stack.path("disk"), also]})
    metrics = jobs.stack.path("backup.prom")
    jobs.write(metrics_file=metrics, jobs={"nightly": {
        "repositories": names, "prune": "after",
        "hooks": {"after": [{"run": ["touch", jobs.stack.path("after")]}]}}})
    for args in ([], ["--if-missed", "24h"]):
        result = jobs.result(*args, status=FAILED)
        assert steps(result) == [("backup", name, "failed")
                                 for name in names], result
        assert "nothing of files/disk is there" in result["error"]
        assert jobs.stack.path("disk") in result["error"]
        assert not any(it["last_success"] for it in result["repositories"])
    assert not os.path.exists(jobs.stack.path("after"))
    with open(metrics) as file:
        assert 'job_last_exit_status{backup_job="nightly"} 1' in file.read()
    # With a part of it the rest is named as left out.
    os.mkdir(also)
    assert jobs.result("--if-missed", "24h", status=DEGRADED)["state"] == (
        "degraded")
    assert jobs.result("--if-missed", "24h")["state"] == "not due"


def test_one_repository_that_fails_keeps_no_other_from_its_backup(jobs):
    os.rename(jobs.stack.repository, jobs.stack.repository + ".away")
    jobs.write(jobs={"nightly": {"hooks": {"after": [shell("exit 0")]}}})
    result = jobs.result(status=FAILED)
    assert steps(result) == [("backup", "local", "failed"),
                             ("backup", "second", "complete")]
    assert len(jobs.snapshots("second")) == 1
    second = jobs.state["repositories"][1]
    assert second["last_success"]
    os.rename(jobs.stack.repository + ".away", jobs.stack.repository)
    result = jobs.result()
    assert result["previous"] == "failed"
    assert jobs.state["failures"] == 0


def test_a_source_is_read_once_for_repositories_that_are_alike(jobs):
    third, key = jobs.stack.path("third"), jobs.stack.path("third.key")
    count = jobs.stack.path("count")
    jobs.sources = [{"command": "counted", "output": "x", "run": [
        "sh", "-c", "echo once >> %s; echo x" % count]}]
    jobs.write(repositories={
        "local": {"location": jobs.stack.repository,
                  "key_file": jobs.stack.key_file},
        "third": {"location": third, "key_file": key}},
        jobs={"nightly": {}})
    made = jobs.stack.run(
        "backup-init", "--like", "local", "--repository", "third",
        "--recipient", recipient_of(jobs.stack.identity))
    assert made.status == COMPLETE, str(made)
    result = jobs.result()
    assert steps(result) == [("backup", "local", "complete"),
                             ("backup", "third", "complete")]
    snapshots = [it["snapshot"] for it in result["repositories"]]
    assert all(snapshots) and snapshots[0] != snapshots[1]
    with open(count) as file:
        assert file.read() == "once\n"


def test_several_jobs_are_all_tried_and_the_worst_counts(jobs):
    jobs.sources.append({"files": "none", "paths": [jobs.stack.path("gone")]})
    jobs.write(jobs={
        "bad": {"sources": ["files/none"], "repositories": ["local"]},
        "good": {"sources": ["files/data"], "repositories": ["second"],
                 "tags": ["good"]}})
    run = jobs.run("--json")
    ends = {event["job"]: event["state"] for event in run.of_type("result")
            if event["command"] == "backup-run"}
    assert ends["good"] == "complete"
    assert ends["bad"] in ("failed", "degraded")
    assert run.status == (FAILED if ends["bad"] == "failed" else DEGRADED)
    one = jobs.run("good")
    assert one.status == COMPLETE, str(one)
    assert "good: complete" in one.out
    listed = jobs.stack.run(
        "backup-list", "--json", "--job", "good").of_type("snapshot")
    assert [it["tags"] for it in listed] == [["good"], ["good"]]
    wrong = jobs.run("good", "better")
    assert wrong.status == USAGE
    assert "there is no job 'better'" in wrong.err


def test_what_the_command_line_says_goes_to_each_command(jobs):
    jobs.write(jobs={"nightly": {"repositories": ["local"],
                                 "verification": {"every": "1d"}}})
    result = jobs.result("--identity-file", jobs.stack.identity,
                         "--workers", "1", "--repository", "local")
    assert steps(result)[-1] == ("verify", "local", "complete")


@pytest.fixture
def pings():
    """The paths that an HTTP server was asked for, and its address."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path.split("?")[0])
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield asked, "http://127.0.0.1:%d/ping" % server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_others_are_told_of_a_run(jobs, pings):
    asked, address = pings
    metrics = jobs.stack.path("backup.prom")
    jobs.write(metrics_file=metrics, jobs={"nightly": {
        "notifications": [{"ping": address}]}})
    jobs.result()
    assert asked == ["/ping/start", "/ping"] or asked == [
        "/ping/start", "/ping/0"], asked
    with open(metrics) as file:
        assert 'backup_job="nightly"' in file.read()
    os.rename(jobs.data, jobs.data + ".away")
    os.rename(jobs.stack.repository, jobs.stack.repository + ".away")
    del asked[:]
    jobs.result(status=FAILED)
    assert asked[0] == "/ping/start"
    assert asked[1] in ("/ping/fail", "/ping/1"), asked


def test_a_run_that_cannot_begin_has_failed_and_is_told(jobs, pings):
    asked, address = pings
    metrics, seen = jobs.stack.path("backup.prom"), jobs.stack.path("seen")
    jobs.write(repositories=None, metrics_file=metrics, jobs={"nightly": {
        "notifications": [{"ping": address}],
        "hooks": {"failure": [shell("env > %s" % seen)]}}})
    result = jobs.result(status=FAILED)
    assert result["state"] == "failed"
    assert "has no repository" in result["error"]
    assert asked in (["/ping/fail"], ["/ping/1"]), asked
    with open(metrics) as file:
        assert 'job_last_exit_status{backup_job="nightly"} 1' in file.read()
    assert "has no repository" in facts(seen)["BACKUP_ERROR"]
    assert jobs.state["failures"] == 1
    assert "has no repository" in jobs.state["error"]


LOST = {
    "password file": lambda jobs, top: top["sources"].append(
        {"postgres": "app", "conninfo": "dbname=x",
         "password_file": "lost.pw"}),
    "variable": lambda jobs, top: top["sources"].append(
        {"postgres": "app", "conninfo": "dbname=${LOST}"}),
    "place": lambda jobs, top: top["repositories"]["second"].update(
        location="${LOST}/second"),
    "key of a bucket": lambda jobs, top: top["repositories"][
        "second"].update(location="s3:b/p", storage={
            "access_key": "a", "secret_key_file": "lost.key"}),
    "passphrase": lambda jobs, top: top["repositories"]["local"].update(
        passphrase_file="lost"),
    "unknown key": lambda jobs, top: top["sources"][0].update(pathes=["/"]),
    "unknown source": lambda jobs, top: top["jobs"]["nightly"].update(
        sources=["files/other"]),
    "hook": lambda jobs, top: top["jobs"]["nightly"]["hooks"].update(
        before=[{"run": ["${LOST}"]}]),
    "another notification": lambda jobs, top: top["jobs"]["nightly"][
        "notifications"].insert(0, {"pign": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("what", [*LOST, "mode", "key option", "pgpassword"])
def test_a_file_that_cannot_be_loaded_fails_its_jobs_and_is_told(
        jobs, pings, what):
    asked, address = pings
    metrics, seen = jobs.stack.path("backup.prom"), jobs.stack.path("seen")
    top = {"metrics_file": metrics, "sources": list(jobs.sources),
           "repositories": {
               "local": {"location": jobs.stack.repository,
                         "key_file": jobs.stack.key_file},
               "second": {"location": jobs.second,
                          "key_file": jobs.second_key}},
           "jobs": {"nightly": {
               "notifications": [{"ping": address}],
               "hooks": {"failure": [shell("env > %s" % seen)]}}}}
    jobs.write(**top)
    jobs.result("nightly")
    before = jobs.state
    del asked[:]
    args, env = [], {}
    if what == "key option":
        args = ["--passphrase-file", jobs.stack.path("lost")]
    elif what == "pgpassword":
        top["sources"].append({"postgres": "app", "conninfo": "dbname=x"})
        env = {"PGPASSWORD_FILE": jobs.stack.path("lost")}
    elif what != "mode":
        LOST[what](jobs, top)
    jobs.write(**top)
    if what == "mode":
        os.chmod(jobs.stack.config, 0o644)
    run = jobs.run("--json", *args, "nightly", env=env)
    assert run.status == FAILED, str(run)
    assert run.result["state"] == "failed" and run.result["error"]
    assert run.result["error"] in run.err
    assert asked in (["/ping/fail"], ["/ping/1"]), asked
    assert facts(seen)["BACKUP_ERROR"] == run.result["error"]
    with open(metrics) as file:
        text = file.read()
    assert 'job_last_exit_status{backup_job="nightly"} 1' in text
    assert 'job_failures{backup_job="nightly"} 1' in text
    assert jobs.state["failures"] == 1
    assert jobs.state["error"] == run.result["error"]
    # What is known of the repositories outlives it.
    known = ("name", "location", "last_success", "last_complete")
    for old in before["repositories"]:
        assert {key: old[key] for key in known} in [
            {key: it[key] for key in known}
            for it in jobs.state["repositories"]], jobs.state
        assert ('backup_last_success_timestamp_seconds{backup_job="nightly",'
                'repository="%s"} 0' % old["name"]) not in text
    # Whoever asks for what there is not is no job that has failed.
    del asked[:]
    assert jobs.run("nihgtly", env=env, *args).status in (FAILED, USAGE)
    assert jobs.run("-r", "secnd", env=env, *args).status == FAILED
    assert asked == []


def test_a_notification_that_lacks_something_fails_no_run(jobs, pings):
    asked, address = pings
    metrics = jobs.stack.path("backup.prom")
    jobs.write(metrics_file=metrics, jobs={"nightly": {"notifications": [
        {"webhook": address, "headers_file": "lost.headers"},
        {"ping": "${LOST}/ping"}, {"mail": ["${LOST}"]},
        {"ping": address}]}})
    run = jobs.run("--json")
    assert run.status == COMPLETE, str(run)
    assert asked in (["/ping/start", "/ping"], ["/ping/start", "/ping/0"])
    told = "\n".join(event["text"] for event in run.of_type("message"))
    for kind in ("webhook", "ping", "mail"):
        assert "nobody was told by the %s of line" % kind in told, told
    assert "lost.headers" in told and "LOST is not set" in told
    with open(metrics) as file:
        text = file.read()
    assert 'job_untold_notifications{backup_job="nightly"} 0' not in text
    test = jobs.run("--json", "--notify-test")
    assert test.status == FAILED, str(test)
    assert [event["state"] for event in test.of_type("notification")] == [
        "failed", "failed", "failed", "taken"]


def test_what_cannot_be_remembered_keeps_no_backup_from_being_made(jobs):
    jobs.write(jobs={"nightly": {}})
    jobs.result()
    folder = os.path.join(
        jobs.stack.commands.home, ".local/state/libbackup/jobs")
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
        os.mkdir(os.path.join(folder, name))
    run = jobs.run("--json")
    assert run.status == COMPLETE, str(run)
    told = "\n".join(event["text"] for event in run.of_type("message"))
    assert "runs of this job are not kept apart" in told, told
    assert "what is remembered of this job is not used" in told, told
    assert "what became of this run is not remembered" in told, told
    assert len(jobs.snapshots("local")) == 2


def test_jobs_that_a_signal_keeps_from_beginning_are_named(jobs):
    mailer = jobs.stack.path("sendmail")
    with open(mailer, "w") as out:
        out.write("#!/bin/sh\ncat >/dev/null\nkill -TERM $PPID\n")
    os.chmod(mailer, 0o755)
    jobs.write(jobs={"first": {"notifications": [{
        "mail": ["root"], "sendmail": mailer, "on": ["success"]}]},
        "second": {}})
    for args in ([], ["first", "second"]):
        run = jobs.run("--json", *args)
        assert run.status == FAILED, str(run)
        assert [(event["job"], event["state"])
                for event in run.of_type("result")
                if event["command"] == "backup-run"] == [
                    ("first", "complete")]
        assert [event["text"] for event in run.of_type("message")
                if event.get("job") == "second"] == [
                    "the job 'second' was not begun: stopped on request"]


@pytest.mark.parametrize("has_names", [True, False])
def test_a_run_elsewhere_hides_no_failure(jobs, has_names):
    metrics = jobs.stack.path("backup.prom")
    local = {"location": jobs.stack.repository,
             "key_file": jobs.stack.key_file}
    top = {"repositories": {"local": local}} if has_names else {
        "repositories": None, "repository": local["location"],
        "key_file": local["key_file"]}
    jobs.write(metrics_file=metrics, jobs={"nightly": {}}, **top)
    os.rename(jobs.stack.repository, jobs.stack.repository + ".away")
    jobs.result(status=FAILED)
    with open(metrics) as file:
        known = file.read()
    [path] = glob.glob(os.path.join(
        jobs.stack.commands.home, ".local/state/libbackup/jobs/*.json"))
    with open(path) as file:
        state = file.read()
    args = ("--repository", jobs.second, "--key-file", jobs.second_key)
    result = jobs.result(*args)
    assert steps(result) == [("backup", jobs.second, "complete")]
    assert result["repositories"][0]["name"] == jobs.second
    assert result["previous"] == "none"
    with open(metrics) as file:
        assert file.read() == known
    with open(path) as file:
        assert file.read() == state
    # It has a memory of its own.
    assert jobs.result("--if-missed", "1h", *args)["state"] == "not due"
    os.rename(jobs.stack.repository + ".away", jobs.stack.repository)
    result = jobs.result("--repository", jobs.stack.repository)
    assert result["repositories"][0]["name"] == (
        "local" if has_names else "default")
    assert result["previous"] == "failed"


def test_a_repository_that_is_misspelt_is_no_run(jobs):
    jobs.write(jobs={"nightly": {"hooks": {"failure": [
        {"run": ["touch", jobs.stack.path("failed")]}]}}})
    jobs.result()
    before = jobs.state
    done = jobs.stack.run("backup-run", "--json", "--repository", "secnd")
    assert done.status == FAILED and "secnd" in done.err, str(done)
    assert jobs.state == before
    assert not os.path.exists(jobs.stack.path("failed"))


def test_a_run_into_one_repository_forgets_nothing_of_the_others(jobs):
    jobs.write(jobs={"nightly": {}})
    jobs.result()
    before = {it["name"]: it for it in jobs.state["repositories"]}
    result = jobs.result("--repository", "second")
    assert [it["name"] for it in result["repositories"]] == ["second"]
    after = {it["name"]: it for it in jobs.state["repositories"]}
    assert sorted(after) == ["local", "second"]
    assert after["local"]["state"] == "none"
    for name in ("last_success", "last_complete", "location"):
        assert after["local"][name] == before["local"][name]
    assert after["second"]["last_success"] > before["second"]["last_success"]
    assert jobs.result("--if-missed", "1h")["state"] == "not due"


def test_a_hook_has_no_passphrase(jobs):
    seen = jobs.stack.path("seen")
    jobs.write(jobs={"nightly": {"repositories": ["local"], "hooks": {
        "before": [shell("env > %s; exit 1" % seen)]}}})
    jobs.result(status=FAILED, env={"BACKUP_PASSPHRASE": "pass phrase 1"})
    with open(seen) as file:
        text = file.read()
    assert "BACKUP_HOOK=before" in text
    assert "BACKUP_PASSPHRASE" not in text and "pass phrase" not in text

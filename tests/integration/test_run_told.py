# SPDX-License-Identifier: Apache-2.0
"""Whole runs of backup-run, and what of them arrives: at a ping, a webhook, in
a mail, in the metrics and in the journal."""

import http.server
import json
import os
import re
import subprocess
import threading

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.stack import COMPLETE, FAILED

SCHEMA = os.path.join(os.environ["top_srcdir"], "tools", "monitoring",
                      "webhook.schema.json")
CANARY = "c4nary-passphrase"


class Told:
    """A job whose source is a folder, and everybody who is told of it."""

    def __init__(self, stack):
        self.stack = stack
        self.asked = []
        self.data = stack.path("data")
        self.mailer = stack.path("sendmail")
        self.metrics = stack.path("libbackup.prom")
        os.mkdir(self.data)
        self.fill("a", "one\n")
        with open(self.mailer, "w") as out:
            out.write('#!/bin/sh\ncat >>"$0.got"\n')
        os.chmod(self.mailer, 0o755)
        told = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.asked.append((self.path, body.decode()))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=[0.02],
                         daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def fill(self, name, text):
        with open(os.path.join(self.data, name), "w") as out:
            out.write(text)

    def configure(self, **job):
        with open(self.stack.config, "w") as out:
            json.dump({
                "repositories": {"local": {
                    "location": self.stack.repository,
                    "key_file": self.stack.key_file}},
                "sources": [{"files": "data", "paths": [self.data]}],
                "metrics_file": self.metrics,
                "notifications": [
                    {"ping": self.url + "/ping"},
                    {"webhook": self.url + "/hook"},
                    {"mail": ["root"], "sendmail": self.mailer}],
                "jobs": {"nightly": job, "weekly": {}}}, out)
        os.chmod(self.stack.config, 0o600)

    def run(self, status=COMPLETE):
        self.asked.clear()
        run = self.stack.run("backup-run", "nightly")
        assert run.status == status, str(run)
        return run

    def pings(self):
        return [(path.split("?")[0], body) for path, body in self.asked
                if path.startswith("/ping")]

    def hooks(self):
        with open(SCHEMA) as file:
            schema = json.load(file)
        bodies = [json.loads(body) for path, body in self.asked
                  if path == "/hook"]
        for body in bodies:
            jsonschema.validate(body, schema)
        return bodies

    def subjects(self):
        if not os.path.exists(self.mailer + ".got"):
            return []
        with open(self.mailer + ".got") as got:
            return re.findall("^Subject: .*: (.*)$", got.read(), re.M)

    def values(self, job="nightly"):
        with open(self.metrics) as file:
            return {sample.name.removeprefix("libbackup_"): sample.value
                    for family in text_string_to_metric_families(file.read())
                    for sample in family.samples
                    if sample.labels["backup_job"] == job}


@pytest.fixture
def told(stack):
    told = Told(stack)
    yield told
    told.server.shutdown()
    told.server.server_close()


def test_a_night_that_goes_well_a_bad_one_and_a_good_one_again(told):
    told.configure()
    told.run()
    (start, _), (end, body) = told.pings()
    assert (start, end) == ("/ping/start", "/ping")
    rids = {path.split("rid=")[1] for path, _ in told.asked
            if path.startswith("/ping")}
    assert len(rids) == 1
    snapshot = told.stack.snapshots()[0]
    assert "Repository local: snapshot %s" % snapshot in body, body
    hook, = told.hooks()
    assert hook["event"] == "success" and hook["run"] in rids
    assert hook["repositories"][0]["snapshot"] == snapshot
    assert told.subjects() == []
    first = told.values()
    assert first["job_last_exit_status"] == 0
    assert first["job_last_success_timestamp_seconds"] > 0
    assert first["backup_last_success_timestamp_seconds"] > 0
    assert first["snapshot_bytes"] > 0 and first["job_failures"] == 0
    assert told.values("weekly")["job_last_start_timestamp_seconds"] == 0

    os.rename(told.stack.repository, told.stack.repository + ".away")
    told.run(FAILED)
    assert [path for path, _ in told.pings()] == ["/ping/start", "/ping/fail"]
    hook, = told.hooks()
    assert hook["event"] == "failure" and hook["error"]
    assert [s["state"] for s in hook["steps"]] == ["failed"]
    assert told.subjects() == ["failed (exit status 1)"]
    second = told.values()
    assert second["job_last_exit_status"] == 1 and second["job_failures"] == 1
    for name in ("job_last_success_timestamp_seconds", "snapshot_bytes",
                 "backup_last_success_timestamp_seconds"):
        assert second[name] == first[name]
    assert second["job_last_end_timestamp_seconds"] > (
        first["job_last_end_timestamp_seconds"])

    os.rename(told.stack.repository + ".away", told.stack.repository)
    told.run()
    hook, = told.hooks()
    assert hook["event"] == "recovery"
    assert told.subjects() == ["failed (exit status 1)", "complete again"]
    third = told.values()
    assert third["job_failures"] == 0 and third["job_last_exit_status"] == 0
    assert third["backup_last_success_timestamp_seconds"] > (
        first["backup_last_success_timestamp_seconds"])


def test_who_cannot_be_told_fails_no_run(told):
    told.configure(notifications=[
        {"ping": "http://127.0.0.1:1/" + CANARY, "timeout": "1s"},
        {"mail": ["root"], "sendmail": "/nowhere/sendmail"}])
    run = told.run()
    assert CANARY not in run.out + run.err
    assert run.err.count("nobody was told by the ping") == 2, run.err
    assert run.err.count("there is no mailer") == 1, run.err
    assert told.values()["job_untold_notifications"] == 3


def test_a_hook_that_writes_a_secret_tells_it_to_nobody(told):
    told.configure(hooks={"before": [{"run": [
        "sh", "-c", "echo the address is %s/ping; exit 1" % told.url]}]})
    told.run(FAILED)
    bodies = [body for _, body in told.asked]
    assert any("the address is [secret]" in body for body in bodies), bodies
    with open(told.mailer + ".got") as got:
        bodies.append(got.read())
    for body in bodies:
        assert told.url not in body, body


def test_a_run_that_is_stopped_tells_so(told):
    told.configure(hooks={"before": [{"run": [
        "sh", "-c", "kill -TERM $PPID; sleep 60"]}]})
    told.run(FAILED)
    assert [path for path, _ in told.pings()] == ["/ping/start", "/ping/fail"]
    assert told.values()["job_last_exit_status"] == 1


def test_a_failed_run_is_an_error_in_the_journal(told):
    told.configure(notifications=[])
    os.rename(told.stack.repository, told.stack.repository + ".away")
    reading, writing = os.pipe()
    there = os.fstat(writing)
    with os.fdopen(reading) as out:
        with os.fdopen(writing) as err:
            done = subprocess.run(
                [os.path.join(os.environ["top_builddir"], "tools",
                              "backup-run"), "-c", told.stack.config,
                 "nightly"], stderr=err, stdout=subprocess.DEVNULL,
                timeout=60, env=dict(
                    os.environ, HOME=told.stack.commands.home,
                    JOURNAL_STREAM="%d:%d" % (there.st_dev, there.st_ino)))
        text = out.read()
    assert done.returncode == FAILED
    errors = [line for line in text.splitlines() if line.startswith("<3>")]
    assert len(errors) == 1, text
    assert errors[0].startswith("<3>backup-run: nightly: failed: backup: ")
    assert all(line.startswith("<") for line in text.splitlines()), text

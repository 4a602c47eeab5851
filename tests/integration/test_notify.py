# SPDX-License-Identifier: Apache-2.0
"""Who is told of a run: pings, webhooks and mail, by real servers and a real
mailer that write down what they get."""

import email
import email.policy
import hashlib
import hmac
import json
import os
import shutil
import socketserver
import ssl
import stat
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest

TOOL = os.path.join(os.environ["top_builddir"], "tests", "integration",
                    "notify_tool")
SCHEMA = os.path.join(os.environ["top_srcdir"], "tools", "monitoring",
                      "webhook.schema.json")
CANARY = "c4nary-in-the-address"
SECOND = 1000000
BEGAN = 1795000000 * SECOND

FAILED = {
    "job": "nightly", "host": "db1", "state": "failed", "exit_status": 1,
    "run_id": "0b3f5b1e-8f0e-4f57-9f0c-1f0f5a5f7a11",
    "began_us": BEGAN, "ended_us": BEGAN + 65 * SECOND,
    "error": "postgres/app: the server does not answer", "failures": 2,
    "log": "first line\nlast line\n",
    "steps": [
        {"name": "before", "what": "/usr/bin/true", "state": "complete",
         "exit_status": 0, "began_us": BEGAN, "ended_us": BEGAN + SECOND},
        {"name": "backup", "repository": "local", "state": "failed",
         "exit_status": 1, "error": "the server does not answer",
         "began_us": BEGAN + SECOND, "ended_us": BEGAN + 65 * SECOND}],
    "repositories": [{"name": "local", "location": "/srv/backup",
                      "state": "failed", "last_success_us": BEGAN - SECOND}]}
STARTED = {"job": "nightly", "host": "db1", "state": "running",
           "run_id": FAILED["run_id"], "began_us": BEGAN}
COMPLETE = dict(FAILED, state="complete", exit_status=0, error=None,
                failures=0, steps=[], repositories=[
                    {"name": "local", "location": "/srv/backup",
                     "state": "complete", "snapshot": "3f2a", "bytes": 5000000,
                     "stored_bytes": 70000, "entries": 1234,
                     "last_success_us": BEGAN + 60 * SECOND,
                     "last_complete_us": BEGAN + 60 * SECOND}])
DEGRADED = dict(COMPLETE, state="degraded", exit_status=3)


class Recorder:
    """An HTTP server that keeps what it is sent; `answers` are the statuses
    that it gives, the last one for ever."""

    def __init__(self, context=None):
        recorder = self
        self.requests = []
        self.answers = [200]
        self.location = None
        self.pause = threading.Event()
        self.pause.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                recorder.requests.append((self.path, self.headers, body))
                recorder.pause.wait(60)
                status = recorder.answers[0]
                if len(recorder.answers) > 1:
                    recorder.answers.pop(0)
                self.send_response(status)
                if recorder.location:
                    self.send_header("Location", recorder.location)
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = "%s://127.0.0.1:%d" % (
            "https" if context else "http", self.port)
        threading.Thread(target=self.server.serve_forever, args=[0.02],
                         daemon=True).start()

    def paths(self):
        return [path for path, _, _ in self.requests]

    def stop(self):
        self.pause.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def recorder():
    server = Recorder()
    yield server
    server.stop()


class Teller:
    def __init__(self, folder):
        self.folder = str(folder)
        self.config = os.path.join(self.folder, "backup.yaml")

    def configure(self, *notifications, mode=0o600):
        with open(self.config, "w") as out:
            json.dump({"repository": "/nowhere",
                       "notifications": list(notifications)}, out)
        os.chmod(self.config, mode)

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def run(self, report, **env):
        return subprocess.run(
            [TOOL, "notify", self.config], input=json.dumps(report),
            capture_output=True, text=True, timeout=120,
            env=dict(os.environ, no_proxy="*", **env))

    def tell(self, report, untold=0, **env):
        """What was said of it on standard error."""
        done = self.run(report, **env)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "%d\n" % untold, done.stderr
        assert done.stderr.count("\n") == untold, done.stderr
        return done.stderr

    def refused(self):
        done = self.run(STARTED)
        assert done.returncode == 1, done.stdout
        return done.stderr


@pytest.fixture
def teller(tmp_path):
    return Teller(tmp_path)


# ---- pings ----

def test_a_ping_says_start_success_and_failure(teller, recorder):
    teller.configure({"ping": recorder.url + "/" + CANARY})
    for report in (STARTED, COMPLETE, FAILED, DEGRADED):
        teller.tell(report)
    rid = "?rid=" + FAILED["run_id"]
    assert recorder.paths() == [
        "/" + CANARY + word + rid for word in ("/start", "", "/fail", "/fail")]
    body = recorder.requests[2][2].decode()
    assert body.startswith(
        "nightly on db1: failed (exit status 1)\n"
        "postgres/app: the server does not answer\n"), body
    assert "Step backup (local): failed, exit status 1, 1 min 4 s" in body
    assert body.endswith("first line\nlast line\n"), body
    assert "snapshot 3f2a, 4.8 MiB, 68 KiB added, 1,234 entries" in (
        recorder.requests[1][2].decode())


def test_a_ping_gives_the_exit_status_where_that_is_wanted(teller, recorder):
    teller.configure({"ping": recorder.url + "/x/", "exit_status": True})
    for report in (STARTED, COMPLETE, FAILED, DEGRADED):
        teller.tell(dict(report, run_id=None))
    assert recorder.paths() == ["/x/start", "/x/0", "/x/1", "/x/3"]


def test_a_query_stays_behind_the_path(teller, recorder):
    teller.configure({"ping": recorder.url + "/push/k?status=up"})
    teller.tell(FAILED)
    assert recorder.paths() == [
        "/push/k/fail?status=up&rid=" + FAILED["run_id"]]


def test_an_address_may_be_in_a_file_or_the_environment(teller, recorder):
    path = teller.write("ping", recorder.url + "/file\n")
    teller.configure({"ping_file": path}, {"ping": "${HC_URL}"}, mode=0o644)
    teller.tell(COMPLETE, HC_URL=recorder.url + "/environment")
    assert [path.split("?")[0] for path in recorder.paths()] == [
        "/file", "/environment"]


def test_an_address_that_others_may_read_is_refused(teller, recorder):
    teller.configure({"ping": recorder.url + "/" + CANARY}, mode=0o644)
    said = teller.refused()
    assert "chmod 600" in said and CANARY not in said
    assert recorder.requests == []


def test_only_the_last_lines_of_a_long_log_are_sent(teller, recorder):
    teller.configure({"ping": recorder.url})
    log = "".join("line %d \u00e4\n" % n for n in range(5000))
    teller.tell(dict(FAILED, log=log))
    body = recorder.requests[0][2]
    assert 9000 < len(body) <= 10000
    text = body.decode()
    assert text.endswith("line 4999 \u00e4\n")
    assert "The last lines:\nline " in text
    assert text.startswith("nightly on db1: failed")


def test_an_error_of_the_server_is_tried_again(teller, recorder):
    recorder.answers = [503, 429, 200]
    teller.configure({"ping": recorder.url})
    teller.tell(COMPLETE)
    assert len(recorder.requests) == 3


def test_what_does_not_go_through_is_told_without_the_address(
        teller, recorder):
    recorder.answers = [500]
    teller.configure({"ping": recorder.url + "/" + CANARY})
    said = teller.tell(COMPLETE, untold=1)
    assert "status 500" in said and "127.0.0.1" in said, said
    assert CANARY not in said
    assert len(recorder.requests) == 3


def test_an_address_that_is_not_there_is_tried_once(teller, recorder):
    recorder.answers = [404]
    teller.configure({"ping": recorder.url + "/" + CANARY})
    said = teller.tell(COMPLETE, untold=1)
    assert "there is no such address" in said and CANARY not in said
    assert len(recorder.requests) == 1


def test_nothing_follows_the_server_elsewhere(teller, recorder):
    other = Recorder()
    try:
        recorder.answers = [307]
        recorder.location = other.url + "/" + CANARY
        teller.configure({"ping": recorder.url})
        said = teller.tell(COMPLETE, untold=1)
        assert "moved" in said and CANARY not in said
        assert other.requests == []
    finally:
        other.stop()


def test_one_that_hangs_does_not_keep_the_next_from_being_told(
        teller, recorder):
    other = Recorder()
    try:
        other.pause.clear()
        teller.configure({"ping": other.url + "/" + CANARY, "timeout": "1s"},
                         {"ping": recorder.url})
        began = time.monotonic()
        said = teller.tell(FAILED, untold=1)
        # Three tries of a second each, and the pauses between them.
        assert time.monotonic() - began > 3
        assert "timed out" in said and "127.0.0.1" in said, said
        assert CANARY not in said
        assert len(other.requests) == 3
        assert len(recorder.requests) == 1
    finally:
        other.stop()


def test_a_server_that_is_not_there_is_told(teller, recorder):
    recorder.stop()
    teller.configure({"ping": recorder.url + "/" + CANARY})
    said = teller.tell(STARTED, untold=1)
    assert "127.0.0.1" in said and CANARY not in said


# ---- TLS ----

def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True,
                   capture_output=True, timeout=60)


@pytest.fixture
def tls(tmp_path):
    """A server whose certificate is its own authority."""
    openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
            "tls.key", "-out", "tls.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server = Recorder(context)
    server.ca_file = str(tmp_path / "tls.crt")
    yield server
    server.stop()


def test_a_certificate_that_nobody_vouches_for_is_refused(teller, tls):
    teller.configure({"ping": tls.url + "/" + CANARY},
                     {"webhook": tls.url + "/" + CANARY})
    said = teller.tell(FAILED, untold=2)
    assert "certificate" in said and "ca_file" in said, said
    assert CANARY not in said
    assert tls.requests == []


def test_a_certificate_of_another_host_is_refused(teller, tls):
    url = "https://localhost:%d/" % tls.port
    teller.configure({"ping": url + CANARY, "ca_file": tls.ca_file})
    said = teller.tell(FAILED, untold=1)
    assert "certificate" in said and CANARY not in said, said
    assert tls.requests == []


def test_an_authority_that_is_named_is_trusted(teller, tls):
    teller.configure({"ping": tls.url, "ca_file": tls.ca_file})
    teller.tell(FAILED)
    assert len(tls.requests) == 1


# ---- tests of it ----

def try_all(teller, *args, status=0, **config):
    """backup-run --notify-test --json; its events of notifications."""
    with open(teller.config) as file:
        before = json.load(file)
    with open(teller.config, "w") as out:
        json.dump({**before, **config}, out)
    done = subprocess.run(
        [os.path.join(os.environ["top_builddir"], "tools", "backup-run"),
         "--config", teller.config, "--notify-test", "--json", *args],
        capture_output=True, text=True, timeout=120, cwd=teller.folder,
        env=dict(os.environ, no_proxy="*", HOME=teller.folder,
                 XDG_STATE_HOME=os.path.join(teller.folder, "state"),
                 XDG_CACHE_HOME=os.path.join(teller.folder, "cache")))
    assert done.returncode == status, done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr
    *events, result = map(json.loads, done.stdout.splitlines())
    assert result["command"] == "backup-run"
    return events, result


def test_a_test_reaches_everybody_and_says_that_it_is_one(
        teller, recorder, smtp, mailer):
    metrics = os.path.join(teller.folder, "libbackup.prom")
    teller.configure(
        {"ping": recorder.url + "/" + CANARY, "exit_status": True},
        {"webhook": recorder.url + "/hook", "on": ["recovery"]},
        {"mail": ["ops@example.org"], "sendmail": mailer})
    events, result = try_all(teller, metrics_file=metrics)
    assert [event["state"] for event in events] == 3 * ["taken"], events
    assert [event["kind"] for event in events] == ["ping", "webhook", "mail"]
    assert (result["state"], result["taken"], result["failed"]) == (
        "complete", 3, 0)
    # The word that changes nothing at those who count pings.
    assert recorder.paths() == ["/" + CANARY + "/log", "/hook"]
    body = hook(recorder, 1)[1]
    assert (body["event"], body["state"], body["exit_status"]) == (
        "test", None, None)
    (_, mail), = smtp.mails
    assert "default on " in mail["Subject"]
    assert mail["Subject"].endswith(": TEST, nothing was run")
    for text in (recorder.requests[0][2].decode(), body["log"],
                 mail.get_content()):
        assert "This is a test" in text and "nothing was run" in text, text
    # Nothing of it is a run.
    assert not os.path.exists(metrics)
    assert not os.path.exists(os.path.join(teller.folder, "state"))


def test_a_test_that_somebody_does_not_get_has_failed(teller, recorder):
    recorder.answers = [403, 200]
    teller.configure({"ping": recorder.url + "/" + CANARY},
                     {"webhook": recorder.url},
                     {"mail": ["root"], "sendmail": "/nowhere/sendmail"})
    events, result = try_all(teller, status=1)
    assert [event["state"] for event in events] == [
        "failed", "taken", "failed"]
    assert "status 403" in events[0]["error"]
    assert "there is no mailer" in events[2]["error"]
    assert (result["state"], result["taken"], result["failed"]) == (
        "failed", 1, 2)


def test_a_test_is_not_sent_where_it_would_pass_for_a_good_run(
        teller, recorder):
    teller.configure({"ping": recorder.url + "/up", "on": ["success"]},
                     {"ping": recorder.url + "/down", "on": ["failure"]})
    events, result = try_all(teller, status=3)
    assert [event["state"] for event in events] == ["untested", "taken"]
    assert recorder.paths() == ["/down/log"]
    assert (result["state"], result["untested"]) == ("degraded", 1)


def test_what_jobs_share_is_tested_once(teller, recorder):
    teller.configure({"webhook": recorder.url + "/all"})
    jobs = {"a": {}, "b": {},
            "c": {"notifications": [{"webhook": recorder.url + "/c"}]}}
    try_all(teller, jobs=jobs, sources=[{"files": "a", "paths": ["/a"]}])
    assert recorder.paths() == ["/all", "/c"]
    try_all(teller, "c")
    assert recorder.paths() == ["/all", "/c", "/c"]


def test_where_nobody_would_be_told_the_test_has_failed(teller):
    teller.configure()
    done = subprocess.run(
        [os.path.join(os.environ["top_builddir"], "tools", "backup-run"),
         "--config", teller.config, "--notify-test"],
        capture_output=True, text=True, timeout=120, cwd=teller.folder)
    assert done.returncode == 1
    assert "nobody is told of anything" in done.stderr, done.stderr


# ---- webhooks ----

def hook(recorder, number=0):
    path, headers, body = recorder.requests[number]
    with open(SCHEMA) as schema:
        jsonschema.validate(json.loads(body), json.load(schema),
                            format_checker=jsonschema.FormatChecker())
    return headers, json.loads(body), body


def test_a_webhook_is_what_its_schema_says(teller, recorder):
    teller.configure({"webhook": recorder.url + "/hook", "on": [
        "start", "success", "failure", "degraded"]})
    for report in (STARTED, COMPLETE, FAILED, DEGRADED):
        teller.tell(report)
    events = [hook(recorder, n)[1]["event"] for n in range(4)]
    assert events == ["start", "success", "failure", "degraded"]
    headers, failed, _ = hook(recorder, 2)
    assert headers["Content-Type"] == "application/json"
    assert "Libbackup-Signature" not in headers
    assert failed["job"] == "nightly" and failed["host"] == "db1"
    assert failed["run"] == FAILED["run_id"]
    assert failed["state"] == "failed" and failed["exit_status"] == 1
    assert failed["steps"][1]["error"] == "the server does not answer"
    assert failed["log"] == FAILED["log"]
    complete = hook(recorder, 1)[1]["repositories"][0]
    assert complete["snapshot"] == "3f2a" and complete["bytes"] == 5000000


def test_the_schema_refuses_what_is_not_so(teller, recorder):
    teller.configure({"webhook": recorder.url})
    teller.tell(FAILED)
    body = hook(recorder)[1]
    with open(SCHEMA) as file:
        schema = json.load(file)
    for change in ({"event": "fire"}, {"secret": "x"}, {"steps": None},
                   {"began": 5}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(dict(body, **change), schema)


def test_a_webhook_is_signed_and_has_headers_of_a_file(teller, recorder):
    key = teller.write("key", "s3cr3t-key\n")
    headers = teller.write(
        "headers", "Authorization: Bearer t0ken\n\nX-Team: ops\n")
    teller.configure({"webhook": recorder.url, "headers_file": headers,
                      "signing_key_file": key})
    teller.tell(FAILED)
    headers, _, body = hook(recorder)
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["X-Team"] == "ops"
    assert headers["Libbackup-Signature"] == "sha256=" + hmac.new(
        b"s3cr3t-key", body, hashlib.sha256).hexdigest()


def test_headers_that_would_be_two_are_refused(teller, recorder):
    for text in ("no header\n", "A: b\rC: d\n", ": empty\n", "A b: c\n",
                 "A: \x01\n"):
        path = teller.write("headers", CANARY + "\n" + text)
        teller.configure({"webhook": recorder.url, "headers_file": path})
        said = teller.refused()
        assert "headers_file" in said and CANARY not in said, said


def test_names_are_text_in_json_whatever_they_hold(teller, recorder):
    teller.configure({"webhook": recorder.url})
    odd = 'a"},{\r\nHost: evil \u2028\u202e\x7f'
    teller.tell(dict(FAILED, job=odd, host=odd, error=odd, log=odd))
    body = hook(recorder)[1]
    assert body["job"] == odd.replace("\r", "%0D").replace("\x7f", "%7F")


# ---- secrets ----

def test_secrets_are_in_nothing_that_is_sent(
        teller, recorder, smtp, mailer):
    """Whatever a hook writes."""
    address = recorder.url + "/" + CANARY
    headers = teller.write("headers", "Authorization: Bearer t0ken-t0ken\n")
    secrets = {"passphrase": "pass phrase 1", "key": 'q"u\\ote-key',
               "s3": "s3-secret-key", "pg": "pg-password"}
    with open(teller.config, "w") as out:
        json.dump({
            "repositories": {
                "a": {"location": "s3://bucket",
                      "storage": {"access_key": "user",
                                  "secret_key": secrets["s3"]}},
                "b": {"location": "/b", "passphrase": secrets["passphrase"]}},
            "sources": [{"postgres": "app", "password": secrets["pg"]}],
            "notifications": [
                {"ping": address},
                {"webhook": recorder.url, "headers_file": headers,
                 "signing_key": secrets["key"]},
                {"mail": ["root"], "sendmail": mailer}]}, out)
    os.chmod(teller.config, 0o600)
    given = {"PGPASSWORD": "given pg-pass", "BACKUP_PASSPHRASE": "a phrase 2",
             "AWS_SECRET_ACCESS_KEY": "given s3-secret",
             "AWS_SESSION_TOKEN": "given t0ken"}
    log = " ".join([address, "t0ken-t0ken", *secrets.values(),
                    *given.values(), "the end"])
    step = dict(FAILED["steps"][1], error=log)
    teller.tell(dict(FAILED, error=log, log=log, steps=[step]), **given)
    ping, webhook = (request[2].decode() for request in recorder.requests)
    body = hook(recorder, 1)[1]
    clean = " ".join(["[secret]"] * 10 + ["the end"])
    assert body["error"] == body["log"] == clean
    assert body["steps"][0]["error"] == clean
    (_, mail), = smtp.mails
    for text in (ping, webhook, mail.get_content()):
        assert text.count("the end") == 3, text
        for secret in (CANARY, "t0ken", "s3-secret", "pg-pass", "phrase",
                       "ote-key"):
            assert secret not in text, text


# ---- when ----

def test_recovery_is_the_first_success_after_something_else(teller, recorder):
    teller.configure({"webhook": recorder.url, "on": ["recovery"]})
    for previous in ("none", "complete"):
        teller.tell(dict(COMPLETE, previous=previous))
    teller.tell(dict(FAILED, previous="failed"))
    assert recorder.requests == []
    for previous in ("failed", "degraded", "running"):
        teller.tell(dict(COMPLETE, previous=previous))
    assert [hook(recorder, n)[1]["event"] for n in range(3)] == 3 * [
        "recovery"]


def test_of_a_run_that_was_not_due_nobody_is_told(teller, recorder):
    teller.configure({"ping": recorder.url}, {"webhook": recorder.url})
    for state in ("outside", "not due", "overlapped"):
        teller.tell(dict(FAILED, state=state, exit_status=0))
    assert recorder.requests == []
    teller.tell(dict(FAILED, state="overlapped", exit_status=1))
    assert len(recorder.requests) == 2


def test_a_notification_that_makes_no_sense_is_refused(teller):
    url = "https://example.org/" + CANARY
    for notification, words in (
            ({"ping": url, "webhook": url}, "one of"),
            ({"on": ["failure"]}, "one of"),
            ({"ping": "ftp://example.org/" + CANARY}, "https://"),
            ({"ping": "https:///" + CANARY}, "https://"),
            ({"ping": url + "\r\nX: y"}, "no spaces"),
            ({"webhook": url + " y"}, "no spaces"),
            ({"ping": url, "on": []}, "'on' is empty"),
            ({"ping": url, "on": ["monday"]}, "'monday'"),
            ({"ping": url, "headers_file": "/dev/null"}, "headers"),
            ({"ping": url, "timeout": "1h"}, "5m"),
            ({"ping": url, "pings": "x"}, "did you mean 'ping'"),
            ({"webhook": url, "exit_status": True}, "'exit_status'"),
            ({"mail": []}, "'mail' has no address"),
            ({"mail": ["a@b\nBcc: c@d"]}, "'mail' needs"),
            ({"mail": ["a@b, c@d"]}, "'mail' needs"),
            ({"mail": ["-oQ/tmp"]}, "'mail' needs"),
            ({"mail": ["a@b"], "from": "x\ny"}, "'from' needs"),
            ({"mail": ["a@b"], "timeout": "1s"}, "'timeout'")):
        teller.configure(notification)
        said = teller.refused()
        assert words in said, said
        assert CANARY not in said, said


# ---- mail ----

class Smtp:
    """Takes mail as a server does, and keeps it."""

    def __init__(self):
        smtp = self
        self.mails = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.say("220 here")
                to = []
                for line in self.rfile:
                    word = line[:4].upper().strip()
                    if word == b"RCPT":
                        to.append(line.split(b"<")[1].split(b">")[0].decode())
                    if word == b"DATA":
                        self.say("354 go on")
                        smtp.mails.append((to, self.read_mail()))
                        to = []
                    self.say("221 bye" if word == b"QUIT" else "250 fine")
                    if word == b"QUIT":
                        return

            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def read_mail(self):
                lines = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line[1:] if line[:1] == b"." else line)
                return email.message_from_bytes(
                    b"".join(lines), policy=email.policy.default)

        self.server = socketserver.ThreadingTCPServer(
            ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=[0.02],
                         daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def smtp():
    server = Smtp()
    yield server
    server.stop()


@pytest.fixture
def mailer(teller, smtp):
    """msmtp under the name sendmail: a program as every system has one."""
    program = shutil.which("msmtp")
    assert program, "Debian has it in the package msmtp"
    rc = teller.write("msmtprc", "defaults\nhost 127.0.0.1\nport %d\n"
                      "account default\nfrom backup@db1\n" % smtp.port)
    return teller.write("sendmail", "#!/bin/sh\nexec %s -C %s \"$@\"\n"
                        % (program, rc), mode=0o700)


def test_mail_goes_out_by_the_mailer_of_the_system(teller, smtp, mailer):
    teller.configure({"mail": ["ops@example.org", "root"],
                      "from": "backup@example.org", "sendmail": mailer})
    teller.tell(dict(FAILED, log="a\n.\nFrom here\n" + 1200 * "\u00e4"))
    (to, mail), = smtp.mails
    assert to == ["ops@example.org", "root"]
    assert mail["Subject"] == "nightly on db1: failed (exit status 1)"
    assert mail["From"] == "backup@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith("nightly on db1: failed (exit status 1)\n")
    assert "postgres/app: the server does not answer" in text
    assert "\na\n.\nFrom here\n" in text
    assert text.count("\u00e4") == 1200
    assert max(map(len, mail.as_bytes().splitlines())) < 998


def test_mail_is_for_trouble_and_its_end(teller, smtp, mailer):
    teller.configure({"mail": ["root"], "sendmail": mailer})
    for report in (STARTED, COMPLETE, DEGRADED, FAILED,
                   dict(COMPLETE, previous="failed")):
        teller.tell(report)
    assert [mail["Subject"] for _, mail in smtp.mails] == [
        "nightly on db1: degraded", "nightly on db1: failed (exit status 1)",
        "nightly on db1: complete again"]


def test_no_name_makes_a_header(teller, smtp, mailer):
    odd = "x\r\nBcc: evil@example.org\r\n\r\n=?UTF-8?Q?y?= z\u00fc" + 90 * "l"
    teller.configure({"mail": ["root"], "sendmail": mailer})
    teller.tell(dict(FAILED, job=odd, host=odd))
    (to, mail), = smtp.mails
    assert to == ["root"]
    assert mail["Bcc"] is None
    assert mail["Subject"] == "%s on %s: failed (exit status 1)" % (
        2 * (odd.replace("\r", "%0D").replace("\n", " "),))
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_mailer_that_fails_is_told(teller):
    path = teller.write("sendmail", "#!/bin/sh\ncat >/dev/null\n"
                        "echo no route to anybody >&2\nexit 75\n", 0o700)
    teller.configure({"mail": ["root"], "sendmail": path})
    said = teller.tell(FAILED, untold=1)
    assert "exit status 75" in said and "no route to anybody" in said, said


def test_a_mailer_that_is_missing_is_told_before_the_run(teller):
    teller.configure({"mail": ["root"], "sendmail": "/nowhere/sendmail"})
    said = teller.tell(STARTED, untold=1)
    assert "/nowhere/sendmail" in said and "there is no mailer" in said, said


def test_a_mailer_gets_no_secret_among_its_arguments(teller):
    path = teller.write("sendmail", "#!/bin/sh\ncat >\"$0.in\"\n"
                        "echo \"$@\" >\"$0.args\"\n", 0o700)
    teller.configure({"mail": ["ops@example.org"], "sendmail": path})
    teller.tell(FAILED)
    with open(path + ".args") as args:
        assert args.read() == "-i -t\n"
    with open(path + ".in", "rb") as got:
        assert b"\r" not in got.read()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700

# SPDX-License-Identifier: Apache-2.0
"""backup-doctor: troubles of this machine, of a repository and of buckets."""

import os
import subprocess
import time

import pytest
from harness import gate
from harness import minio as minio_module
from harness.stack import COMPLETE, FAILED
from test_doctor import DAY, examine, second_key  # noqa: F401
from test_prune import _faked


def then(seconds):
    """It is so much later than it is."""
    return _faked(time.strftime("%Y-%m-%d %H:%M:%S",
                                time.gmtime(time.time() + seconds)))


# ---- this machine ----

@pytest.fixture
def disk(stack):
    """Places for 8 MiB, that can be changed, and that cannot."""
    path = stack.path("disk")
    os.mkdir(path)
    for name in ("small", "shut"):
        os.mkdir(os.path.join(path, name))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700",
                        "tmpfs", os.path.join(path, name)], check=True)
    os.mkdir(os.path.join(path, "shut", "place"))
    subprocess.run(["mount", "-o", "remount,ro", os.path.join(path, "shut")],
                   check=True)
    yield path
    for name in ("small", "shut"):
        subprocess.run(["umount", os.path.join(path, name)], check=True)


def test_a_monitor_that_sees_nothing_is_found(stack, disk):
    stack.add("files", "data", paths=[stack.key_file])

    def found(path, *args):
        stack.options["metrics_file"] = path
        stack.write()
        return examine(stack, "--offline", *args)

    assert found(stack.path("x.prom")).statuses("paths") == {"ok"}
    for path in (stack.path("nowhere", "x.prom"), stack.path("disk"),
                 os.path.join(disk, "shut", "place", "x.prom"),
                 os.path.join(stack.key_file, "x.prom")):
        findings = found(path)
        assert findings.statuses("paths") == {"warning"}, path
        assert path in findings.seen("paths"), path


def test_a_notification_to_nobody_is_found(stack, monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith(
            "_proxy")]:
        monkeypatch.delenv(name)
    stack.add("files", "data", paths=[stack.key_file])

    def found(*args, **told):
        stack.options["notifications"] = [told]
        stack.write()
        os.chmod(stack.config, 0o600)
        return examine(stack, *args)

    for address in ("http://localhost:1/x", "http://127.0.0.1:1/x",
                    "http://[::1]:1/x"):
        assert found(ping=address).statuses("notifications") == {"ok"}
    nobody = "https://user:swordfish@nobody.invalid/token"
    findings = found(webhook=nobody)
    assert findings.statuses("notifications") == {"warning"}
    assert "nobody.invalid" in findings.seen("notifications")
    assert "token" not in findings.seen("notifications")
    assert "swordfish" not in findings.seen("notifications")
    assert found("--offline", webhook=nobody).statuses(
        "notifications") == {"ok"}
    for told in ({"mail": ["ops@example.org"], "sendmail": "/no/mailer"},
                 {"ping": "https://localhost/", "ca_file": "/no/ca.pem"},
                 {"ping": "https://localhost/${LOST}"},
                 {"webhook": "https://localhost/", "headers_file": "lost"}):
        assert found("--offline", **told).statuses(
            "notifications") == {"warning"}, told


@pytest.mark.parametrize("name, variable", [
    ("state-directory", "BACKUP_STATE_DIR"),
    ("cache-directory", "BACKUP_CACHE_DIR")])
def test_places_that_nothing_can_be_kept_in(stack, disk, name, variable):
    stack.add("files", "data", paths=[stack.key_file])

    def found(path):
        return examine(stack, "--offline", env={variable: path})

    assert found(stack.path(name)).statuses(name) == {"ok"}
    for path, says in {
            os.path.join(disk, "small"): "MiB left",
            os.path.join(disk, "shut", "place"): "takes no files",
            os.path.join(disk, "shut", "nowhere"): "no place for",
            os.path.join(stack.key_file, "below"): "no place for"}.items():
        findings = found(path)
        assert findings.statuses(name) == {"warning"}, path
        assert says in findings.seen(name), path


def test_a_clock_that_was_never_set(stack):
    stack.add("files", "data", paths=[stack.key_file])
    assert examine(stack, "--offline").worst("clock") in ("ok", "note")
    findings = examine(stack, "--offline", status=FAILED,
                       env=_faked("2020-01-01 00:00:00"))
    assert findings.statuses("clock") == {"error"}


def test_a_key_that_opens_everything_on_a_host_that_backs_up(stack):
    stack.add("files", "data", paths=[stack.key_file])
    findings = examine(stack, "--offline")
    assert findings.statuses("administrator-key") == {"ok"}
    stack.options["identity_file"] = stack.identity
    stack.write()
    findings = examine(stack, "--offline", status=COMPLETE)
    assert findings.worst("administrator-key") == "note"
    os.chmod(stack.identity, 0o644)
    findings = examine(stack, "--offline", status=FAILED)
    assert findings.worst("administrator-key") == "error"


# ---- a repository ----

def test_a_repository_beside_what_it_backs_up(stack):
    stack.add("files", "data", paths=["/proc/version"])
    assert examine(stack).statuses("repository-disk") == {"ok"}
    stack.add("files", "more", paths=[stack.key_file])
    findings = examine(stack)
    assert findings.statuses("repository-disk") == {"note"}
    assert stack.key_file in findings.seen("repository-disk")


def _one_of(stack, *folder):
    path = os.path.join(stack.repository, *folder)
    return os.path.join(path, sorted(os.listdir(path))[0])


def test_what_opens_a_repository_is_stored_twice(stack, second_key):  # noqa: F811
    stack.add("files", "data", paths=[stack.key_file])
    findings = examine(stack)
    assert findings.statuses("repository-keys") == {"ok"}
    assert findings.statuses("administrators") == {"ok"}
    os.unlink(_one_of(stack, "copies", "keys"))
    findings = examine(stack)
    assert findings.worst("repository-keys") in ("warning", "error")
    stack.create()
    repaired = stack.run("backup-check", "--repair")
    assert repaired.status == COMPLETE, str(repaired)
    assert examine(stack).statuses("repository-keys") == {"ok"}


def test_a_roster_that_was_changed(stack, second_key):  # noqa: F811
    stack.add("files", "data", paths=[stack.key_file])
    for folder in (["roster"], ["copies", "roster"]):
        path = os.path.join(stack.repository, *folder)
        for name in os.listdir(path):
            with open(os.path.join(path, name), "r+b") as out:
                out.seek(-1, os.SEEK_END)
                last = out.read(1)
                out.seek(-1, os.SEEK_END)
                out.write(bytes([last[0] ^ 1]))
    findings = examine(stack, status=FAILED)
    assert {"repository-key", "repository-keys", "administrators"} & {
        finding["id"] for finding in findings.all
        if finding["status"] == "error"}


def test_keys_that_do_not_open_it(stack):
    stack.add("files", "data", paths=[stack.config])
    key = stack.options.pop("key_file")
    stack.write()
    findings = examine(stack, status=FAILED)
    assert findings.statuses("key-file") == {"note"}
    assert "no key is at hand" in findings.seen("repository-key")
    assert findings.statuses("host-key") == {"skipped"}
    stack.options["identity_file"] = stack.identity
    stack.write()
    findings = examine(stack)
    assert findings.statuses("repository-key") == {"ok"}
    assert findings.statuses("host-key") == {"note"}
    other = stack.path("other")
    made = stack.commands.run(
        "backup-init", "--repository", other, "--key-file",
        stack.path("other.key"), "--new-identity", stack.path("other.txt"))
    assert made.status == COMPLETE, str(made)
    del stack.options["identity_file"]
    stack.options["key_file"] = stack.path("other.key")
    stack.write()
    findings = examine(stack, status=FAILED)
    assert findings.statuses("repository-key") == {"error"}
    os.unlink(key)
    stack.options.update(key_file=key, identity_file=stack.identity)
    stack.write()
    findings = examine(stack, status=FAILED)
    assert findings.statuses("key-file") == {"error"}
    assert findings.statuses("host-key") == {"error"}
    assert "is not there" in findings.seen("host-key")


def test_a_backup_of_tomorrow(stack):
    stack.add("files", "data", paths=[stack.key_file])
    stack.create(env=then(DAY))
    findings = examine(stack)
    assert findings.statuses("last-backup") == {"warning"}
    assert "yet to come" in findings.seen("last-backup")


# ---- buckets ----

def test_a_bucket_that_has_little_or_allows_little(stack, minio, s3, bucket):
    refused = set()

    def answer(method, path):
        # Of an object "/bucket/key", of a bucket "/bucket/?what".
        is_object = path.split("?")[0].strip("/").count("/") > 0
        what = ("tags" if "tagging" in path else
                "%s %s" % (method, "object" if is_object else "bucket"))
        if what == "GET bucket" and "list-type" not in path:
            return None
        if what + " missing" in refused:
            return 501, "NotImplemented"
        return (403, "AccessDenied") if what in refused else None

    with gate.Gate(minio, answer) as strange:
        stack.add_bucket("uploads", strange, bucket_name=bucket)
        findings = examine(stack)
        assert findings.statuses("bucket-list") == {"note"}
        assert findings.statuses("bucket-read") == {"skipped"}
        assert findings.statuses("bucket-tags") == {"skipped"}
        assert "is off" in findings.seen("bucket-lock")
        s3.put_object(Bucket=bucket, Key="canary-object", Body=b"12")
        findings = examine(stack)
        for name in ("list", "read", "tags", "clock", "uploads"):
            assert findings.statuses("bucket-" + name) == {"ok"}, name
        for what, name, status in (
                ("tags", "bucket-tags", "error"),
                ("tags missing", "bucket-tags", "note"),
                ("HEAD object", "bucket-read", "error"),
                ("GET object", "bucket-read", "error"),
                ("GET bucket", "bucket-list", "error"),
                ("HEAD bucket", "bucket-reachable", "error")):
            refused.clear()
            refused.add(what)
            findings = examine(stack)
            assert findings.statuses(name) == {status}, what
            assert "canary-object" not in findings.result.out
            if status == "error":
                assert findings.seen(name)


def test_uploads_that_were_left_long_ago(
        stack, minio, s3, bucket, monkeypatch):
    """For its server it is the day after tomorrow."""
    ahead = time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                          time.gmtime(time.time() + 2 * DAY))

    pass_on = gate.forward

    def forward(*what):
        status, headers, data = pass_on(*what)
        return status, [(name, ahead if name.lower() == "date" else value)
                        for name, value in headers], data

    s3.create_multipart_upload(Bucket=bucket, Key="half")
    with monkeypatch.context() as patch:
        patch.setattr(gate, "forward", forward)
        with gate.Gate(minio, lambda *ignored: None) as strange:
            stack.add_bucket("uploads", strange, bucket_name=bucket)
            findings = examine(stack)
            assert findings.statuses("bucket-uploads") == {"warning"}
            assert findings.statuses("bucket-clock") == {"warning"}
            assert "ahead of" in findings.seen("bucket-clock")
            stack.add_bucket("uploads", strange, bucket_name=bucket,
                             abort_uploads="7d")
            findings = examine(stack)
            assert findings.statuses("bucket-uploads") == {"note"}
    stack.add_bucket("uploads", minio, bucket_name=bucket)
    findings = examine(stack)
    assert findings.statuses("bucket-uploads") == {"note"}
    assert findings.statuses("bucket-clock") == {"ok"}


@pytest.fixture
def repository(s3):
    """In a bucket that can lock."""
    s3.create_bucket(Bucket="doctor-locks", ObjectLockEnabledForBucket=True)
    yield "s3://doctor-locks/some/prefix"
    minio_module.remove_bucket(s3, "doctor-locks")


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_a_repository_in_a_bucket_with_rules_of_its_own(stack, minio, s3):
    stack.add("files", "data", paths=[stack.config])
    stack.create()
    lock = {"ObjectLockEnabled": "Enabled"}
    s3.put_object_lock_configuration(
        Bucket="doctor-locks", ObjectLockConfiguration={**lock, "Rule": {
            "DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}})
    try:
        findings = examine(stack)
    finally:
        s3.put_object_lock_configuration(
            Bucket="doctor-locks", ObjectLockConfiguration=lock)
    assert findings.statuses("object-lock") == {"warning"}
    assert "for 3 days by a rule" in findings.seen("object-lock")
    stack.add_bucket("same", minio, bucket_name="doctor-locks")
    findings = examine(stack)
    assert findings.statuses("object-lock") == {"note"}
    assert "is on" in findings.seen("bucket-lock")
    stack.options["storage"]["object_lock"] = {
        "mode": "governance", "days": "3"}
    stack.write()
    assert examine(stack).statuses("object-lock") == {"ok"}
    findings = examine(stack, env=then(30))
    assert findings.statuses("repository-clock") == {"note"}
    findings = examine(stack, env=then(600))
    assert findings.statuses("repository-clock") == {"warning"}


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_a_bucket_that_takes_nothing_or_everything(
        stack, minio, monkeypatch):
    """The second object of a name is said to be stored, too."""
    answers, refused = {}, []
    pass_on = gate.forward

    def forward(handler, *rest):
        if handler.command != "PUT":
            return pass_on(handler, *rest)
        if handler.path not in answers:
            answers[handler.path] = pass_on(handler, *rest)
        return answers[handler.path]

    def answer(method, path):
        return (403, "AccessDenied") if method in refused else None

    stack.add("files", "data", paths=[stack.config])
    monkeypatch.setattr(gate, "forward", forward)
    with gate.Gate(minio, answer) as strange:
        stack.options["storage"]["endpoint"] = strange.endpoint
        stack.write()
        findings = examine(stack, "--write")
        assert findings.statuses("repository-writable") == {"ok"}
        assert findings.statuses("repository-conditions") == {"note"}
        refused.append("PUT")
        findings = examine(stack, "--write", status=FAILED)
        assert findings.statuses("repository-writable") == {"error"}
        assert findings.statuses("repository-conditions") == {"error"}

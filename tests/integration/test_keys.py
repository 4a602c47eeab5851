# SPDX-License-Identifier: Apache-2.0
"""Who can read what: a backup host, an administrator, a thief, a stranger
with nothing but age and zstd."""

import os
import re
import subprocess

import pytest
from harness import witness
from harness.stack import COMPLETE, FAILED, Stack

SECRET = b"attack at dawn, bring the ladder\n" * 500


@pytest.fixture
def saved(stack):
    """One secret file in one snapshot."""
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "plan.txt"), "wb") as out:
        out.write(SECRET)
    stack.add("files", "plans", paths=[stack.path("data")])
    stack.create()
    stack.plan = [path for path in stack.entries()
                  if path.endswith("/plan.txt")][0]
    return stack


def _objects(stack):
    for where, _, names in os.walk(stack.repository):
        for name in names:
            yield os.path.join(where, name)


def test_a_host_key_lists_but_cannot_read_content(saved):
    result = saved.run("backup-cat", "latest", saved.plan, text=False)
    assert result.status == FAILED and SECRET[:20] not in result.out
    assert "identity" in result.err, str(result)
    assert saved.plan in saved.entries()


def test_a_host_key_cannot_restore(saved):
    result = saved.run("backup-restore", "latest", "files/plans", "--to",
                       saved.path("out"))
    assert result.status == FAILED, str(result)
    assert not any(SECRET[:20] in open(os.path.join(where, name), "rb").read()
                   for where, _, names in os.walk(saved.path("out"))
                   for name in names)


def test_age_with_the_host_key_opens_no_pack(saved):
    """Not a matter of what our commands allow: the key itself does not fit."""
    with open(saved.key_file) as text:
        keys = re.findall(r"AGE-SECRET-KEY-1[0-9A-Z]+", text.read())
    identity = saved.secret("stolen", "\n".join(keys))
    opened = 0
    for path in _objects(saved):
        result = subprocess.run(["age", "-d", "-i", identity, path],
                                capture_output=True)
        opened += result.returncode == 0
        assert SECRET[:20] not in _inflate(result.stdout)
    assert not keys or opened, "the host key is no age key at all"


def _inflate(data):
    return subprocess.run(["zstd", "-d", "-q", "-c"], input=data,
                          capture_output=True).stdout


def test_nothing_readable_is_in_the_repository(saved):
    for path in _objects(saved):
        with open(path, "rb") as content:
            stored = content.read()
        assert SECRET[:20] not in stored and b"plan.txt" not in stored


def _identities(stack):
    """The identities inside the repository's key documents, opened by age
    with the administrator's own identity."""
    found = []
    folder = os.path.join(stack.repository, "keys")
    for name in sorted(os.listdir(folder)):
        result = subprocess.run(
            ["age", "-d", "-i", stack.identity, os.path.join(folder, name)],
            capture_output=True, text=True)
        found += re.findall(r"AGE-SECRET-KEY-1[0-9A-Z]+", result.stdout)
    return found


def test_age_and_zstd_get_the_content_out_of_a_pack(saved):
    keys = _identities(saved)
    assert keys, "age opened no key document"
    identity = saved.secret("repository.txt", "\n".join(keys))
    contents = b""
    for path in _objects(saved):
        result = subprocess.run(["age", "-d", "-i", identity, path],
                                capture_output=True)
        if result.returncode == 0:
            contents += _inflate(result.stdout)
    assert SECRET in contents


def test_a_passphrase_opens_a_repository(tmp_path_of_test, stack):
    host = Stack(stack.commands.tools, os.path.join(tmp_path_of_test, "2"))
    os.makedirs(host.folder, exist_ok=True)
    passphrase = host.secret("passphrase", "correct horse battery")
    host.init("--passphrase-file", passphrase)
    os.mkdir(host.path("data"))
    with open(host.path("data", "f"), "wb") as out:
        out.write(SECRET)
    host.add("files", "plans", paths=[host.path("data")])
    host.create()
    path = [path for path in host.entries() if path.endswith("/f")][0]
    result = host.run("backup-cat", "--passphrase-file", passphrase, "latest",
                      path, text=False)
    assert result.status == COMPLETE and result.out == SECRET
    wrong = host.secret("wrong", "incorrect horse")
    result = host.run("backup-cat", "--passphrase-file", wrong, "latest",
                      path, text=False)
    assert result.status == FAILED and result.out == b""
    assert "the passphrase does not open repository" in result.err


def test_refuses_a_key_file_of_another_repository(saved, tmp_path_of_test):
    folder = os.path.join(tmp_path_of_test, "other")
    os.mkdir(folder)
    other = Stack(saved.commands.tools, folder)
    other.init()
    before = witness.tree(saved.repository)
    for name, *args in (("backup-create",), ("backup-list",),
                        ("backup-verify",)):
        result = saved.run(name, "--key-file", other.key_file, *args)
        assert result.status == FAILED, str(result)
        assert other.key_file in result.err, str(result)
    assert witness.tree(saved.repository) == before
    assert len(saved.snapshots()) == 1


def test_refuses_an_identity_that_opens_nothing(saved):
    stranger = saved.path("stranger.txt")
    subprocess.run(["age-keygen", "-o", stranger], check=True,
                   capture_output=True)
    result = saved.run("backup-restore", "--identity-file", stranger,
                       "latest", "--to", saved.path("out"), "files/plans")
    assert result.status == FAILED, str(result)
    assert stranger + " does not open repository" in result.err, str(result)


def test_refuses_to_init_over_a_repository_or_a_key(saved):
    before = witness.tree(saved.folder)
    for repository, key in ((saved.repository, saved.path("new.key")),
                            (saved.path("new"), saved.key_file)):
        result = saved.commands.run(
            "backup-init", "--repository", repository, "--key-file", key,
            "--new-identity", saved.path("new.txt"))
        assert result.status == FAILED, str(result)
        assert repository in result.err or key in result.err, str(result)
        assert re.search("already|exists", result.err), str(result)
    after = witness.tree(saved.folder)
    changed = [line for line in witness.differences(before, after)
               if "new.txt" not in line and "home" not in line]
    assert not changed


def test_secrets_stand_in_no_command_line_and_no_output(
        stack, postgres, database, minio, bucket):
    """Every process that a backup starts is looked at while it runs."""
    postgres.execute(database, "CREATE TABLE t AS"
                     " SELECT n FROM generate_series(1, 200000) AS n")
    stack.add_postgres("app", postgres, database)
    stack.add_bucket("b", minio, bucket_name=bucket)
    secrets = [postgres.password, minio.secret_key]
    process = stack.start("backup-create", "--json")
    lines = set()
    while process.poll() is None:
        lines |= _command_lines()
    out, err = process.communicate()
    assert process.returncode == COMPLETE, err
    assert any("backup-create" in line for line in lines)
    for secret in secrets:
        assert not [line for line in lines if secret in line]
        assert secret.encode() not in out + err


def _command_lines():
    lines = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, errors="replace") as text:
                lines.add(text.read())
        except OSError:
            continue
    return lines

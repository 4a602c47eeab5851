# SPDX-License-Identifier: Apache-2.0
"""Who can read what: a backup host, an administrator, a thief, a stranger
with nothing but age and zstd."""

import os
import re
import subprocess
import time

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


# ---- who may open, who may write ----

def _packs(stack):
    return {name: info["sha256"]
            for name, info in witness.folder(stack.repository).items()
            if name.startswith(b"packs/") and "sha256" in info}


def _key(stack, *args, identity=None, status=COMPLETE, json_output=True):
    result = stack.run(
        "backup-key", *(["--json"] if json_output else []),
        "--identity-file", identity or stack.identity, *args)
    assert result.status == status, str(result)
    return result


def _shows(stack, kind):
    return [event for event in _key(stack, "show").events
            if event.get("type") == kind]


def test_an_administrator_comes_and_goes_and_age_agrees(saved):
    packs = _packs(saved)
    second = saved.path("second.txt")
    made = subprocess.run(["age-keygen", "-o", second], check=True,
                          capture_output=True, text=True)
    recipient = re.search(r"age1[0-9a-z]+", made.stderr).group()
    _key(saved, "add", recipient, "--label", "second person")
    assert [event["label"] for event in _shows(saved, "administrator")] == [
        "", "second person"]
    document, = os.listdir(os.path.join(saved.repository, "keys"))
    for identity in (saved.identity, second):
        subprocess.run(["age", "-d", "-i", identity, os.path.join(
            saved.repository, "keys", document)], check=True,
            capture_output=True)
    result = saved.run("backup-cat", "-i", second, "latest", saved.plan,
                       text=False)
    assert result.out == SECRET
    removed = _key(saved, "remove", "second", json_output=False)
    assert "rotate" in removed.out
    result = saved.run("backup-cat", "-i", second, "latest", saved.plan)
    assert result.status == FAILED and second in result.err
    last = _key(saved, "remove", "age1", status=FAILED)
    assert "last administrator" in last.err
    assert _packs(saved) == packs


def test_a_passphrase_survives_a_rotation(saved):
    passphrase = saved.secret("passphrase", "correct horse battery")
    _key(saved, "add", "--new-passphrase-file", passphrase)
    before = _packs(saved)
    _key(saved, "rotate")
    assert _packs(saved) == before
    saved.create()
    for snapshot in saved.snapshots():
        result = saved.run("backup-cat", "--passphrase-file", passphrase,
                           snapshot, saved.plan, text=False)
        assert result.status == COMPLETE and result.out == SECRET


def test_a_lost_host_key_costs_a_new_key_and_nothing_else(saved):
    packs = _packs(saved)
    first, = saved.snapshots()
    name, = [event["name"] for event in _shows(saved, "host")]
    revoked = _key(saved, "revoke", name).events[-1]
    assert revoked["believed"] == 1
    result = saved.run("backup-create")
    assert result.status == FAILED and "revoked" in result.err, str(result)
    _key(saved, "rotate")
    result = saved.run("backup-list")
    assert result.status == FAILED and "revoked" in result.err, str(result)
    stolen = saved.key_file
    saved.key_file = saved.path("new.key")
    _key(saved, "host", name, "--key-file", saved.key_file)
    assert os.stat(saved.key_file).st_mode & 0o7777 == 0o600
    saved.options["key_file"] = saved.key_file
    saved.write()
    assert _packs(saved) == packs
    saved.create()
    assert saved.snapshots()[0] == first
    assert all(_packs(saved)[pack] == packs[pack] for pack in packs)
    for snapshot in saved.snapshots():
        assert saved.verify(snapshot).result["is_proven"]
    with open(stolen) as text:
        keys = re.findall(r"AGE-SECRET-KEY-1[0-9A-Z]+", text.read())
    identity = saved.secret("stolen", "\n".join(keys))
    newest = os.path.join(saved.repository, "snapshots",
                          saved.snapshots()[-1])
    assert subprocess.run(["age", "-d", "-i", identity, newest],
                          capture_output=True).returncode != 0


def test_a_key_file_that_is_lost_keeps_no_administrator_out(saved):
    """The configuration goes on naming it."""
    name, = [event["name"] for event in _shows(saved, "host")]
    os.unlink(saved.key_file)
    result = saved.run("backup-create")
    assert result.status == FAILED
    for words in (saved.key_file, "lost", "backup-key host"):
        assert words in result.err, str(result)
    # One that is named on the command line is meant.
    result = saved.run("backup-list", "-k", saved.path("no.key"),
                       "-i", saved.identity)
    assert result.status == FAILED and "no.key" in result.err, str(result)
    result = saved.run("backup-cat", "-i", saved.identity, "latest",
                       saved.plan, text=False)
    assert result.status == COMPLETE and result.out == SECRET, str(result)
    result = saved.run("backup-prune", "--keep-last", "1",
                       "-i", saved.identity)
    assert result.status == FAILED
    assert saved.key_file + ", is not there" in result.err, str(result)
    _key(saved, "revoke", name)
    _key(saved, "host", name, "--key-file", saved.key_file)
    saved.create()
    result = saved.run("backup-prune", "--keep-last", "1")
    assert result.status == FAILED
    assert "host %s --may-prune" % name in result.err, str(result)
    _key(saved, "revoke", name)
    os.unlink(saved.key_file)
    _key(saved, "host", name, "--key-file", saved.key_file, "--may-prune")
    assert saved.run("backup-prune", "--keep-last", "1").status == COMPLETE


def test_who_is_revoked_in_mid_backup_is_told(saved):
    began, go = saved.path("began"), saved.path("go")
    saved.add("command", "slow", output="out", run=[
        "sh", "-c", "echo some; touch %s; while [ ! -e %s ]; do sleep 0.02; "
        "done; echo more" % (began, go)])
    before = saved.snapshots()
    name, = [event["name"] for event in _shows(saved, "host")]
    backup = saved.start("backup-create")
    while not os.path.exists(began):
        assert backup.poll() is None
        time.sleep(0.02)
    _key(saved, "revoke", name)
    open(go, "w").close()
    _, err = backup.communicate(timeout=60)
    assert backup.returncode == FAILED
    assert b"revoked while the backup ran" in err, err
    result = saved.run("backup-check", "-i", saved.identity)
    assert result.status == COMPLETE, str(result)
    assert saved.snapshots() == before


def test_two_hosts_share_a_repository_over_a_rotation(saved):
    other = saved.path("db2.key")
    _key(saved, "host", "db2", "--key-file", other)
    saved.create("--key-file", other)
    _key(saved, "rotate")
    saved.create("--key-file", other)
    saved.create()
    assert len(saved.snapshots()) == 4
    assert {event["name"]: event["may_prune"]
            for event in _shows(saved, "host")}["db2"] is False
    for snapshot in saved.snapshots():
        assert saved.verify(snapshot).result["is_proven"]


def test_a_recovery_sheet_gives_the_identity_back(saved):
    sheet = saved.path("sheet.txt")
    _key(saved, "sheet", sheet)
    assert os.stat(sheet).st_mode & 0o7777 == 0o600
    with open(sheet) as paper:
        text = paper.read()
    assert max(map(len, text.splitlines())) <= 76
    assert len(text.splitlines()) <= 60, "it is no single page"
    back = saved.path("back.txt")
    result = saved.run("backup-key", "sheet", "--check", sheet, "--to", back)
    assert result.status == COMPLETE, str(result)
    with open(back) as a, open(saved.identity) as b:
        assert a.read().splitlines()[-1] == b.read().splitlines()[-1]
    result = saved.run("backup-cat", "-i", back, "latest", saved.plan,
                       text=False)
    assert result.out == SECRET
    assert "\nRepository  %s\n" % os.path.realpath(
        saved.repository) in text
    with open(os.path.join(saved.repository, "config")) as config:
        number = re.search("[0-9a-f]{32}", config.read()).group()
    assert "\nIts id      %s\n" % number in text
    # As a person types it, and with a mistake.
    lines = re.findall(r"(?m)^  [1-7] .*$", text)
    typed = saved.secret("typed", "\n".join(
        " ".join(line.lower().replace("0", "o").split()) for line in lines))
    assert saved.run("backup-key", "sheet", "--check",
                     typed).status == COMPLETE
    typed = saved.secret("typed", "\n".join(
        "".join(line.split()) for line in lines))
    assert saved.run("backup-key", "sheet", "--check",
                     typed).status == COMPLETE
    # What it says to do, where there is nothing but the sheet.
    commands = [line.split() for line in re.sub(
        r"\\\n", "", text).splitlines() if line.startswith("       backup-")]
    restore = [command for command in commands if "--to" in command
               and command[0] == "backup-restore"][0]
    source = saved.plan.split("/")[1]
    words = {"REPOSITORY": saved.repository, "identity.txt": back,
             "FOLDER": saved.path("folder"), "files/NAME": "files/" + source}
    result = saved.commands.run(*[words.get(word, word) for word in restore])
    assert result.status == COMPLETE, str(result)
    assert os.path.isdir(saved.path("folder"))
    result = saved.commands.run("backup-restore", "-r", saved.repository,
                                "-i", back, "latest")
    assert result.status == FAILED and "--to FOLDER" in result.err
    for number in range(7):
        wrong = lines[:]
        old = wrong[number][6]
        wrong[number] = "%s%s%s" % (
            wrong[number][:6], "2" if old != "2" else "3",
            wrong[number][7:])
        typed = saved.secret("typed", "\n".join(wrong))
        result = saved.run("backup-key", "sheet", "--check", typed)
        assert result.status == FAILED
        assert "line %d" % (number + 1) in result.err, str(result)
    # Without the numbers of the lines; without anything of a sheet.
    typed = saved.secret("typed", "\n".join(line[3:] for line in lines))
    result = saved.run("backup-key", "sheet", "--check", typed)
    assert result.status == FAILED and "have no numbers" in result.err
    typed = saved.secret("typed", "It was here somewhere.")
    result = saved.run("backup-key", "sheet", "--check", typed)
    assert result.status == FAILED and "is no recovery sheet" in result.err


def _by_hand(text):
    """The identity as the paper says how to put it together: lines 3 to 6
    without their last groups, no space anywhere, all in capitals."""
    lines = re.findall(r"(?m)^  [3-6] (.*)$", text)
    assert len(lines) == 4
    return "AGE-SECRET-KEY-1" + "".join(
        "".join(line.split()[:-1]) for line in lines).upper()


def _opened_by_age(stack, identity):
    """What age makes of the repository's keys, with nothing else at hand."""
    path = stack.secret("by-hand.txt", identity)
    keys = os.path.join(stack.repository, "keys")
    done = [subprocess.run(["age", "-d", "-i", path, os.path.join(keys, name)],
                           capture_output=True, check=False)
            for name in os.listdir(keys)]
    return b"".join(one.stdout for one in done if one.returncode == 0)


def test_paper_and_age_open_the_keys(saved):
    sheet = saved.path("sheet.txt")
    _key(saved, "sheet", sheet)
    with open(sheet) as paper:
        identity = _by_hand(paper.read())
    with open(saved.identity) as known:
        assert identity in known.read()
    inside = _opened_by_age(saved, identity)
    assert inside.count(b"AGE-SECRET-KEY-1") >= 2, inside
    assert _opened_by_age(saved, subprocess.run(
        ["age-keygen"], check=True, capture_output=True,
        text=True).stdout.splitlines()[-1]) == b""


def test_the_sheet_of_a_passphrase_opens_it_without_the_passphrase(saved):
    words = saved.secret("words", "correct horse battery")
    _key(saved, "add", "--new-passphrase-file", words)
    sheet = saved.path("sheet.txt")
    result = saved.run("backup-key", "sheet", sheet, "--passphrase-file", words)
    assert result.status == COMPLETE, str(result)
    with open(sheet) as paper:
        text = paper.read()
    assert "correct horse" not in text
    identity = _by_hand(text)
    with open(saved.identity) as known:
        assert identity not in known.read()
    inside = _opened_by_age(saved, identity)
    assert inside.count(b"AGE-SECRET-KEY-1") >= 2, inside
    back = saved.path("back.txt")
    result = saved.run("backup-key", "sheet", "--check", sheet, "--to", back)
    assert result.status == COMPLETE, str(result)
    result = saved.run("backup-cat", "-i", back, "latest", saved.plan,
                       text=False)
    assert result.out == SECRET, str(result)


def test_a_sheet_names_the_whole_path_of_a_repository(saved):
    sheet = saved.path("sheet.txt")
    result = saved.run(
        "backup-key", "sheet", sheet, "--identity-file", saved.identity,
        "--repository", os.path.relpath(
            saved.repository, saved.commands.home))
    assert result.status == COMPLETE, str(result)
    with open(sheet) as paper:
        assert "\nRepository  %s\n" % os.path.realpath(
            saved.repository) in paper.read()


def test_passphrases_are_told_apart(saved):
    for number in range(3):
        _key(saved, "add", "--new-passphrase-file", saved.secret(
            "words", "correct horse battery %d" % number))
    assert [event["label"] for event in _shows(saved, "administrator")] == [
        "", "passphrase", "passphrase 2", "passphrase 3"]
    _key(saved, "remove", "passphrase 2")
    _key(saved, "remove", "passphrase")
    assert [event["label"] for event in _shows(saved, "administrator")] == [
        "", "passphrase 3"]

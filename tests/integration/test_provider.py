# SPDX-License-Identifier: Apache-2.0
"""The one who has the store plays with it: deletes, replaces, swaps, replays,
truncates, puts back, forges. Each is found and named; what nobody touched is
never complained about."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest
from harness.stack import COMPLETE, DEGRADED, FAILED, finish


# Kinds of findings about which snapshots there are.
HISTORY = ("snapshot-damaged", "snapshot-forged", "snapshot-missing",
           "rolled-back", "snapshot-reordered", "snapshot-held-back",
           "record-damaged")


class Machine:
    """A machine with a memory of its own, and the keys of the stack or, as
    another host, a key of its own."""

    def __init__(self, stack, name, key_file=None):
        self.stack = stack
        self.key = ["--key-file", key_file] if key_file else []
        self.state = stack.path("state-" + name)
        self.env = {"BACKUP_STATE_DIR": self.state,
                    "BACKUP_CACHE_DIR": stack.path("cache-" + name)}

    def run(self, name, *args):
        return self.stack.run(name, *self.key, *args, env=self.env)

    def admin(self, name, *args):
        return self.stack.admin(name, *args, env=self.env)

    def start(self, name, *args):
        return self.stack.start(name, *self.key, *args, env=self.env)

    def create(self, status=COMPLETE):
        """A backup of data that differ; answers its name."""
        with open(self.stack.path("data", "file"), "ab") as out:
            out.write(os.urandom(1000))
        result = self.run("backup-create", "--json")
        assert result.status == status, str(result)
        return result.result["snapshot"]

    def list(self):
        """What is listed, and {(kind, name)} of what is wrong."""
        result = self.run("backup-list", "--json")
        found = result.of_type("finding")
        problems = {(event["kind"], os.path.basename(event["object"]))
                    for event in found if event["level"] != "note"}
        assert result.status == (DEGRADED if problems else COMPLETE), (
            str(result))
        assert result.result["problems"] == len(problems), str(result)
        for event in found:
            assert os.path.basename(event["object"]) in event["text"], event
        self.check(problems)
        return [event["name"] for event in result.of_type("snapshot")], problems

    def check(self, problems):
        """A check finds the same, and says what it does to whom."""
        result = self.run("backup-check", "--json")
        found = [event for event in result.of_type("finding")
                 if event["kind"] in HISTORY and event["level"] != "note"]
        assert {(event["kind"], os.path.basename(event["object"]))
                for event in found} == problems, str(result)
        for event in found:
            name = os.path.basename(event["object"])
            if name:
                assert name in {hurt["snapshot"]
                                for hurt in event["hurt"]}, event
        if problems:
            assert result.status == FAILED, str(result)
            assert result.result["hurt_snapshots"] >= len(
                {name for _, name in problems if name}), str(result)

    def forget(self):
        shutil.rmtree(self.state)


class Provider:
    """What can be done with the objects, and nothing but them."""

    def __init__(self, stack):
        self.stack = stack

    def path(self, name):
        return os.path.join(self.stack.repository, "snapshots", name)

    def delete(self, name):
        os.remove(self.path(name))

    def read(self, name):
        with open(self.path(name), "rb") as content:
            return content.read()

    def write(self, name, content):
        if os.path.exists(self.path(name)):
            os.chmod(self.path(name), 0o600)
        with open(self.path(name), "wb") as out:
            out.write(content)

    def add(self, content):
        name = hashlib.sha256(content).hexdigest()
        self.write(name, content)
        return name

    def save(self):
        """A copy of everything; answers where."""
        copy = self.stack.path("copy%d" % len(os.listdir(self.stack.folder)))
        shutil.copytree(self.stack.repository, copy)
        return copy

    def replay(self, copy):
        shutil.rmtree(self.stack.repository)
        shutil.copytree(copy, self.stack.repository)


@pytest.fixture
def provider(stack):
    os.mkdir(stack.path("data"))
    stack.add("files", "data", paths=[stack.path("data")])
    return Provider(stack)


@pytest.fixture
def a(stack, provider):
    return Machine(stack, "a")


@pytest.fixture
def b(stack, provider):
    key_file = stack.path("b.key")
    result = stack.admin("backup-key", "host", "b", "--key-file", key_file)
    assert result.status == COMPLETE, str(result)
    return Machine(stack, "b", key_file)


@pytest.fixture
def names(a, b):
    """Four snapshots, by two machines in turn; both have seen all."""
    made = [machine.create() for machine in (a, b, a, b)]
    assert a.list() == (made, set())
    assert b.list() == (made, set())
    return made


# ---- nothing happened ----

def test_what_nobody_touched_is_never_complained_about(a, b):
    for _ in range(4):
        running = [machine.start("backup-create", "--json")
                   for machine in (a, b, a, b)]
        for process in running:
            result = finish(process)
            assert result.status == COMPLETE, str(result)
            assert not result.of_type("finding"), str(result)
        for machine in (a, b):
            assert not machine.list()[1]
    assert len(a.list()[0]) == 16
    a.forget()
    assert not a.list()[1]


# ---- deleting ----

@pytest.mark.parametrize("which", range(3))
def test_one_that_was_deleted_is_missed_by_anybody(
        which, a, names, stack, provider):
    provider.delete(names[which])
    left = [name for name in names if name != names[which]]
    expected = (left, {("snapshot-missing", names[which])})
    assert a.list() == expected
    assert Machine(stack, "new").list() == expected
    # The newest is not in doubt.
    result = a.run("backup-list", "--json", "latest")
    assert result.status == COMPLETE, str(result)


def test_the_newest_is_missed_by_who_saw_it(a, b, names, stack, provider):
    provider.delete(names[3])
    expected = (names[:3], {("rolled-back", names[3])})
    for _ in range(2):  # looking is not forgetting
        assert a.list() == expected
        assert b.list() == expected
    # Who never saw it cannot know.
    assert Machine(stack, "new").list() == (names[:3], set())
    # Nor do new backups make it forgotten; they are made all the same.
    newer = a.create(status=DEGRADED)
    assert a.list() == (names[:3] + [newer], {("rolled-back", names[3])})


def test_the_newest_is_missed_by_who_made_it(a, provider):
    provider.delete(a.create())
    names, problems = a.list()
    assert not names
    assert {kind for kind, _ in problems} == {"rolled-back"}


def test_all_of_them_are_missed(a, names, provider):
    for name in names:
        provider.delete(name)
    assert a.list() == ([], {("rolled-back", names[3])} | {
        ("snapshot-missing", name) for name in names[:3]})
    result = a.run("backup-list", "--json", "latest")
    assert result.status == FAILED and names[3] in result.err, str(result)


# ---- other bytes ----

def test_bytes_of_another(a, names, provider):
    provider.write(names[1], provider.read(names[2]))
    assert a.list() == ([names[0], names[2], names[3]],
                        {("snapshot-damaged", names[1])})


def test_two_that_were_swapped(a, names, provider):
    first, last = provider.read(names[0]), provider.read(names[3])
    provider.write(names[0], last)
    provider.write(names[3], first)
    assert a.list() == (names[1:3], {("snapshot-damaged", names[0]),
                                     ("snapshot-damaged", names[3])})
    # What a repair puts back, nobody needs to give up.
    steps = a.run("backup-check", "--json").of_type("step")
    assert {(step["state"], os.path.basename(step["object"]))
            for step in steps if step["object"].startswith("snapshots/")} == {
                ("planned", names[0]), ("planned", names[3])}, steps
    # A refusal says all that is to be done.
    refused = a.admin("backup-restore", "latest")
    assert refused.status == FAILED
    assert refused.err.rstrip().endswith("--accept-loss"), str(refused)
    assert names[2][:12] in refused.err


def test_all_that_are_deleted_leave_a_trace(a, names, provider):
    for name in names:
        provider.delete(name)
    a.forget()
    result = a.run("backup-check")
    assert result.status == DEGRADED
    assert "or its snapshots were deleted" in result.out, str(result)
    # A new machine is told the same by a list and a restore.
    a.forget()
    result = a.run("backup-list", "--json")
    assert result.status == DEGRADED, str(result)
    problem, = result.of_type("finding")
    assert problem["kind"] == "no-snapshot", problem
    assert "or its snapshots were deleted" in problem["text"], problem
    result = a.run("backup-list", "latest")
    assert result.status == FAILED, str(result)
    assert "or its snapshots were deleted" in result.err, str(result)
    # The next backup tells it and ends it, as after a first that was cut off.
    result = a.run("backup-create")
    assert result.status == COMPLETE, str(result)
    assert "or its snapshots were deleted" in result.out + result.err
    assert not a.list()[1]


@pytest.mark.parametrize("size", (0, 1, 100, -1))
def test_one_that_was_truncated(size, a, names, provider):
    provider.write(names[2], provider.read(names[2])[:size])
    assert a.list() == (names[:2] + names[3:],
                        {("snapshot-damaged", names[2])})


# ---- an earlier state ----

def test_a_state_that_is_put_back(a, b, stack, provider):
    names = [a.create(), b.create()]
    earlier = provider.save()
    names += [a.create(), b.create()]
    a.list()
    later = provider.save()
    provider.replay(earlier)
    assert a.list() == (names[:2], {("rolled-back", names[3]),
                                    ("snapshot-missing", names[2])})
    # Without a memory it looks as it should.
    new = Machine(stack, "new")
    assert new.list() == (names[:2], set())
    # One later object gives it away to anybody.
    shutil.copy(os.path.join(later, "snapshots", names[3]),
                provider.path(names[3]))
    assert new.list() == (names[:2] + names[3:],
                          {("snapshot-missing", names[2])})
    provider.replay(later)
    assert a.list() == (names, set())
    assert new.list() == (names, set())


# ---- after a prune ----

def _prune(machine):
    result = machine.run("backup-prune", "--json", "--keep-last", "1")
    assert result.status == COMPLETE, str(result)


def _notes(machine):
    return {(event["kind"], os.path.basename(event["object"]))
            for event in machine.run("backup-list", "--json").of_type(
                "finding") if event["level"] == "note"}


def test_what_was_pruned_is_not_missed_and_does_not_return(
        a, names, stack, provider):
    away = Machine(stack, "away")
    away.list()  # and then it sees nothing for a while
    a.create()
    kept = {name: provider.read(name) for name in names}
    _prune(a)
    left = a.list()[0]
    assert len(left) < 5
    gone = [name for name in names if name not in left]
    for machine in (a, away, Machine(stack, "new")):
        assert machine.list() == (left, set())
    for name in gone:
        provider.write(name, kept[name])
    for machine in (a, away, Machine(stack, "other")):
        assert machine.list() == (left, set())
        assert _notes(machine) == {
            ("snapshot-returned", name) for name in gone}
    _prune(a)
    assert not _notes(a)


def test_the_state_before_a_prune_is_put_back(a, names, stack, provider):
    earlier = provider.save()
    a.create()
    _prune(a)
    a.list()
    later = provider.save()
    provider.replay(earlier)
    problems = a.list()[1]
    assert ("rolled-back", "checkpoints") in {
        (kind, name or "checkpoints") for kind, name in problems}, problems
    # Without a memory it is what it was.
    assert not Machine(stack, "new").list()[1]
    # A snapshot that knew the checkpoint gives it away.
    provider.replay(later)
    newest = a.create()
    for folder in ("checkpoints", "copies/checkpoints"):
        shutil.rmtree(os.path.join(stack.repository, folder))
        os.mkdir(os.path.join(stack.repository, folder))
    kinds = {kind for kind, _ in Machine(stack, "new").list()[1]}
    assert "record-damaged" in kinds, kinds
    result = a.run("backup-list", "latest")
    assert result.status == FAILED and newest[:12] in result.err, str(
        result)


# ---- forging ----

def _metadata(stack):
    """The identity that opens metadata, and the host's seed."""
    with open(stack.key_file) as lines:
        key = json.loads("".join(
            line for line in lines if not line.startswith("#")))
    return stack.secret("metadata", key["metadata_identity"]), bytes.fromhex(
        key["signing_seed"])


def _line_of(stack, identity, name):
    path = os.path.join(stack.repository, "snapshots", name)
    plain = subprocess.run(["age", "-d", "-i", identity, path], check=True,
                           stdout=subprocess.PIPE).stdout
    return json.loads(plain.split(b"\n")[0])


def _sign(stack, seed, message):
    # RFC 8410: what is before the 32 bytes of a private key.
    with open(stack.path("signer.der"), "wb") as out:
        out.write(bytes.fromhex("302e020100300506032b657004220420") + seed)
    with open(stack.path("message"), "wb") as out:
        out.write(message)
    key = ["-keyform", "DER", "-inkey", stack.path("signer.der")]
    signature = subprocess.run(
        ["openssl", "pkeyutl", "-sign", "-rawin", *key, "-in",
         stack.path("message")], check=True, stdout=subprocess.PIPE).stdout
    public = subprocess.run(
        ["openssl", "pkey", "-inform", "DER", "-in",
         stack.path("signer.der"), "-pubout", "-outform", "DER"],
        check=True, stdout=subprocess.PIPE).stdout[-32:]
    return signature.hex(), public.hex()


def _seal(stack, identity, line, seed):
    """The stored bytes of a snapshot that says `line`."""
    text = json.dumps(line, separators=(",", ":"), sort_keys=True).encode()
    signature, signer = _sign(
        stack, seed, b"libbackup snapshot v1\0" + text)
    plain = b"%s\n{\"signature\":\"%s\",\"signer\":\"%s\"}\n" % (
        text, signature.encode(), signer.encode())
    recipient = subprocess.run(
        ["age-keygen", "-y", identity], check=True,
        stdout=subprocess.PIPE).stdout.decode().strip()
    return subprocess.run(["age", "-r", recipient], input=plain, check=True,
                          stdout=subprocess.PIPE).stdout


def test_what_an_unknown_key_signed(a, names, stack, provider):
    identity, seed = _metadata(stack)
    line = _line_of(stack, identity, names[2])
    line["previous"], line["seen"] = names[2], [names[3]]
    line["sequence"] += 1
    line["time_us"] += 60000000
    forged = provider.add(_seal(stack, identity, line, b"\7" * 32))
    assert a.list() == (names, {("snapshot-forged", forged)})
    assert "latest" not in a.run("backup-restore", "latest").out
    provider.delete(forged)
    assert a.list() == (names, set())
    # The same by the host's own key would be good: the test can forge.
    line["time_us"] += 1000000
    made = provider.add(_seal(stack, identity, line, seed))
    assert a.list() == (names + [made], set())


def test_one_out_of_another_repository(a, names, stack, provider):
    identity, seed = _metadata(stack)
    line = _line_of(stack, identity, names[3])
    line["repository"] = "0" * 32
    foreign = provider.add(_seal(stack, identity, line, seed))
    assert a.list() == (names, {("snapshot-forged", foreign)})


def test_numbers_out_of_order(a, names, stack, provider):
    identity, seed = _metadata(stack)
    line = _line_of(stack, identity, names[2])
    line["previous"], line["seen"] = names[2], [names[3]]
    odd = provider.add(_seal(stack, identity, line, seed))
    assert a.list()[1] == {("snapshot-reordered", odd)}


def test_clocks_that_differ_by_hours_are_no_finding(a, names, stack, provider):
    identity, seed = _metadata(stack)
    before = _line_of(stack, identity, names[2])
    tips = [names[2]]
    for hours in (-9, 7, -20, 0):
        line = dict(before, previous=tips[0], seen=tips,
                    sequence=before["sequence"] + 1)
        for key in ("time_us", "finished_us"):
            line[key] += hours * 3600 * 1000000
        tips = [provider.add(_seal(stack, identity, line, seed))]
        before["sequence"] += 1
        assert not a.list()[1]


# ---- accepting it ----

@pytest.mark.parametrize("which", range(4))
def test_a_loss_that_is_accepted_ends_the_alarm(which, a, names, provider):
    provider.delete(names[which])
    assert a.list()[1]
    result = a.admin("backup-check", "--repair", "--accept-loss",
                     "--json")
    assert result.status in (COMPLETE, DEGRADED), str(result)
    left = [name for name in names if name != names[which]]
    assert a.list() == (left, set())
    a.create()
    assert not a.list()[1]


def test_all_that_is_given_up_is_named(a, names, provider):
    for name in names[1:3]:
        provider.delete(name)
    assert a.list()[1] == {("snapshot-missing", name) for name in names[1:3]}
    result = a.admin("backup-check", "--repair", "--accept-loss", "--json")
    assert result.status in (COMPLETE, DEGRADED), str(result)
    assert {os.path.basename(step["object"])
            for step in result.of_type("step")
            if step["object"].startswith("snapshots/")} == set(names[1:3])
    assert a.list() == ([names[0], names[3]], set())


def test_a_damaged_one_is_set_aside(a, names, provider):
    provider.write(names[3], b"x")
    a.admin("backup-check", "--repair", "--accept-loss",
                     "--json")
    assert a.list() == (names[:3], set())


# ---- what goes on all the same ----

def test_backups_and_restores_go_on(a, names, stack, provider):
    provider.delete(names[0])
    provider.write(names[2], b"x")
    result = a.run("backup-create", "--json")
    assert result.status == DEGRADED, str(result)
    assert result.result["problems"] == 2, str(result)
    assert result.result["omissions"] == 0, str(result)
    warnings = [event["text"] for event in result.of_type("message")
                if event["level"] == "warning"]
    for name in (names[0], names[2]):
        assert any(name in text for text in warnings), str(result)
    newest = result.result["snapshot"]
    # It holds everything.
    result = a.admin("backup-verify", "--json", newest)
    assert result.status == COMPLETE, str(result)
    assert result.result["is_proven"], str(result)
    assert names[0] in str(result.of_type("message")), str(result)
    result = a.admin("backup-restore", "latest", "files/data", "--to",
                     stack.path("out"))
    assert result.status == COMPLETE, str(result)
    assert "warning" in result.err and names[2] in result.err, str(result)


def test_latest_is_refused_where_it_may_be_another(a, names, stack, provider):
    provider.write(names[3], b"x")
    for name, *args in (("backup-restore", "--to", stack.path("out")),
                        ("backup-verify",)):
        result = a.admin(name, "latest", "files/data", *args)
        assert result.status == FAILED, str(result)
        assert names[2][:12] in result.err and names[3] in result.err, str(result)
    assert not os.path.exists(stack.path("out"))
    result = a.admin("backup-verify", "--json", names[2])
    assert result.status == COMPLETE, str(result)
    assert result.result["is_proven"], str(result)


def test_damage_of_an_earlier_entry_list_is_stored_again(
        a, names, stack, provider):
    """Whatever single pack is damaged: the next backup is made, and holds
    everything that is not in a pack of contents."""
    folder = os.path.join(stack.repository, "packs")
    identity, _ = _metadata(stack)
    packs = [os.path.join(where, name)
             for where, _, files in os.walk(folder) for name in files]
    lists = [path for path in packs if subprocess.run(
        ["age", "-d", "-i", identity, path], check=False,
        capture_output=True).returncode == 0]
    assert lists and len(lists) < len(packs)
    for path in lists:
        os.chmod(path, 0o600)
        with open(path, "r+b") as content:
            content.seek(os.path.getsize(path) // 2)
            byte = content.read(1)[0]
            content.seek(-1, os.SEEK_CUR)
            content.write(bytes([byte ^ 1]))
    newest = a.create(status=DEGRADED)
    result = a.admin("backup-verify", "--json", newest)
    assert result.status == COMPLETE, str(result)
    assert result.result["is_proven"], str(result)


def test_a_damaged_index_keeps_no_backup_from_being_made(
        a, names, stack, provider):
    folder = os.path.join(stack.repository, "index")
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o600)
        with open(os.path.join(folder, name), "r+b") as content:
            content.truncate(100)
    shutil.rmtree(a.env["BACKUP_CACHE_DIR"])
    newest = a.create(status=DEGRADED)
    result = a.admin("backup-verify", "--json", newest)
    assert result.status == COMPLETE, str(result)


def test_a_machine_without_a_memory_goes_on(a, names, stack):
    env = {"BACKUP_STATE_DIR": "/dev/null/none"}
    result = stack.run("backup-create", "--json", env=env)
    assert result.status == COMPLETE, str(result)
    told, = [event["text"] for event in result.of_type("message")
             if event["level"] == "warning"]
    assert "BACKUP_STATE_DIR" in told and "not remembered" in told, told
    result = stack.run("backup-prune", "--json", "--keep-last", "9", env=env)
    told, = [event["text"] for event in result.of_type("message")
             if event["level"] == "warning"]
    assert "BACKUP_STATE_DIR" in told and "not remembered" in told, told
    result = stack.run("backup-list", env=env)
    assert result.status == COMPLETE, str(result)
    assert "BACKUP_STATE_DIR" in result.err, str(result)

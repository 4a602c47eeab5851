# SPDX-License-Identifier: Apache-2.0
"""The age program opens what we seal, and we open what it seals."""

import os
import shutil
import subprocess

import pytest
from harness.terminal import age_with_passphrase

TOOL = os.path.join(
    os.environ.get("top_builddir", "."), "tests", "unit", "age_tool")
SEGMENT = 65536
SIZES = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT]
PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module", autouse=True)
def age_program():
    if "age" in os.environ.get("BACKUP_TEST_WAIVE", "").split(","):
        pytest.skip("no age: waived")
    for program in ("age", "age-keygen"):
        if shutil.which(program) is None:
            pytest.fail("there is no %s: install the package age" % program,
                        pytrace=False)


def run(*args, data=b""):
    done = subprocess.run(args, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return str(path)


def plain(size):
    return (b"0123456789abcdef!" * (size // 17 + 1))[:size]


def keygen(folder, name="key"):
    """age-keygen's identity file, and a file with its recipient."""
    identity = os.path.join(str(folder), name)
    run("age-keygen", "-o", identity)
    recipient = run("age-keygen", "-y", identity).decode()
    return identity, write(identity + ".pub", recipient)


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_we_seal(tmp_path, size):
    identity, recipient = keygen(tmp_path)
    sealed = run(TOOL, "seal", "recipient", recipient, data=plain(size))
    assert run("age", "-d", "-i", identity, data=sealed) == plain(size)


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_age_seals(tmp_path, size):
    identity, recipient = keygen(tmp_path)
    sealed = run("age", "-R", recipient, data=plain(size))
    assert run(TOOL, "open", "identity", identity, data=sealed) == plain(size)


def test_armor_goes_both_ways(tmp_path):
    identity, recipient = keygen(tmp_path)
    theirs = run("age", "-a", "-R", recipient, data=plain(1000))
    assert run(TOOL, "open", "identity", identity, data=theirs) == plain(1000)
    binary = run(TOOL, "dearmor", data=theirs)
    assert run(TOOL, "armor", data=binary) == theirs
    ours = run(TOOL, "armor", data=run(
        TOOL, "seal", "recipient", recipient, data=plain(1000)))
    assert run("age", "-d", "-i", identity, data=ours) == plain(1000)


def test_each_of_several_recipients_opens_it(tmp_path):
    keys = [keygen(tmp_path, name) for name in ("one", "two", "three")]
    texts = []
    for _, recipient in keys:
        with open(recipient, encoding="ascii") as file:
            texts.append(file.read())
    everybody = write(tmp_path / "everybody", "".join(texts))
    ours = run(TOOL, "seal", "recipient", everybody, data=b"hello")
    theirs = run("age", "-R", everybody, data=b"hello")
    for identity, _ in keys:
        assert run("age", "-d", "-i", identity, data=ours) == b"hello"
        assert run(TOOL, "open", "identity", identity, data=theirs) == b"hello"


def test_our_identity_is_one_that_age_takes(tmp_path):
    ours, recipient = run(TOOL, "keygen").decode().split()
    identity = write(tmp_path / "key", ours + "\n")
    assert run("age-keygen", "-y", identity).decode().strip() == recipient
    sealed = run("age", "-r", recipient, data=b"hello")
    assert run("age", "-d", "-i", identity, data=sealed) == b"hello"


def test_age_opens_our_file_with_a_passphrase(tmp_path):
    secret = write(tmp_path / "passphrase", PASSPHRASE + "\n")
    sealed, opened = str(tmp_path / "sealed"), str(tmp_path / "opened")
    with open(sealed, "wb") as file:
        file.write(run(TOOL, "seal", "passphrase", secret, data=plain(70000)))
    age_with_passphrase(["-d", "-o", opened, sealed], PASSPHRASE, 1)
    with open(opened, "rb") as file:
        assert file.read() == plain(70000)


def test_we_open_a_file_that_age_made_with_a_passphrase(tmp_path):
    secret = write(tmp_path / "passphrase", PASSPHRASE + "\n")
    source, sealed = str(tmp_path / "plain"), str(tmp_path / "sealed")
    with open(source, "wb") as file:
        file.write(plain(70000))
    age_with_passphrase(["-p", "-o", sealed, source], PASSPHRASE, 2)
    with open(sealed, "rb") as file:
        data = file.read()
    assert run(TOOL, "open", "passphrase", secret, data=data) == plain(70000)


def test_a_wrong_identity_opens_nothing(tmp_path):
    _, recipient = keygen(tmp_path, "right")
    wrong, _ = keygen(tmp_path, "wrong")
    sealed = run("age", "-R", recipient, data=b"hello")
    done = subprocess.run([TOOL, "open", "identity", wrong], input=sealed,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    assert done.returncode == 1 and done.stdout == b""
    assert b"no key" in done.stderr

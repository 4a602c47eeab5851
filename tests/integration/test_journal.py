# SPDX-License-Identifier: Apache-2.0
"""What the commands write to the journal has a priority each line."""

import os
import subprocess

import pytest

CREATE = os.path.join(os.environ["top_builddir"], "tools", "backup-create")


@pytest.fixture
def configured(tmp_path):
    """A configuration whose repository is not there."""
    path = tmp_path / "backup.yaml"
    path.write_text("repository: repository\n"
                    "sources: [{files: etc, paths: [/etc]}]\n")
    path.chmod(0o600)
    return str(path)


def said(config, stream, *more):
    """What backup-create says on a pipe; `stream` makes JOURNAL_STREAM of what
    that is."""
    reading, writing = os.pipe()
    there = os.fstat(writing)
    env = dict(os.environ, JOURNAL_STREAM=stream(there))
    with os.fdopen(reading) as out:
        with os.fdopen(writing) as err:
            done = subprocess.run([CREATE, "-c", config, *more], stderr=err,
                                  stdout=subprocess.DEVNULL, env=env,
                                  timeout=60)
        assert done.returncode in (1, 2)
        return out.read()


def journal(there):
    return "%d:%d" % (there.st_dev, there.st_ino)


def test_a_failure_is_an_error_in_the_journal(configured):
    text = said(configured, journal)
    opening, error = text.splitlines()
    assert opening.startswith("<6>backup-create: opening "), text
    assert error.startswith("<3>backup-create: "), text


def test_a_wrong_use_is_an_error_in_the_journal(configured):
    assert said(configured, journal, "--nonsense").startswith("<3>")


@pytest.mark.parametrize("stream", ["", "x", "1:1", "%d", "%d:"])
def test_what_is_no_journal_gets_no_prefix(configured, stream):
    def other(there):
        return stream.replace("%d", str(there.st_dev))

    assert said(configured, other).startswith("backup-create: ")

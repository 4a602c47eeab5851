# SPDX-License-Identifier: Apache-2.0
"""Configurations and command lines that are wrong, and sources that are."""

import os

import pytest
from harness import witness
from harness.stack import COMPLETE, FAILED, USAGE

COMMANDS = ["backup-init", "backup-create", "backup-list", "backup-restore",
            "backup-verify", "backup-cat"]


@pytest.fixture
def saved(stack):
    os.mkdir(stack.path("data"))
    with open(stack.path("data", "f"), "w") as out:
        out.write("content")
    stack.add("files", "data", paths=[stack.path("data")])
    stack.create()
    return stack


@pytest.mark.parametrize("line,words", [
    ("sourcs: []", ["sourcs", "sources"]),
    ("sources: [", []),
    ("\tworkers: 1", []),
    ("workers: many", ["workers", "number"]),
    ("- just a list", []),
], ids=["a misspelt key", "an open bracket", "a tab", "no number",
        "not a mapping"])
def test_a_configuration_that_does_not_parse(saved, line, words):
    with open(saved.config, "a") as out:
        out.write(line + "\n")
    with open(saved.config) as text:
        last = len(text.readlines())
    before = witness.tree(saved.repository)
    result = saved.run("backup-create")
    assert result.status in (FAILED, USAGE), str(result)
    # libyaml may notice an open bracket only at the end of the file.
    assert any("backup.yaml:%d" % number in result.err
               for number in (last, last + 1)), str(result)
    for word in words:
        assert word in result.err, str(result)
    assert witness.tree(saved.repository) == before


def test_a_configuration_that_is_not_there(saved):
    result = saved.commands.run("backup-create", "--config", "/no/such.yaml")
    assert result.status in (FAILED, USAGE), str(result)
    assert "/no/such.yaml" in result.err


def test_a_source_that_is_not_configured(saved):
    result = saved.run("backup-create", "files/dada")
    assert result.status in (FAILED, USAGE), str(result)
    assert "files/dada" in result.err, str(result)
    assert len(saved.snapshots()) == 1


def test_a_folder_that_is_missing_is_told_and_is_not_an_empty_folder(saved):
    saved.add("files", "data", paths=[saved.path("no such folder")])
    result = saved.run("backup-create")
    assert result.status != COMPLETE, str(result)
    assert "no such folder" in result.err, str(result)


def test_a_command_that_fails_is_not_a_backup_of_its_output(saved):
    saved.add("command", "dump", output="dump",
              run=["sh", "-c", "echo half of it; echo broken >&2; exit 3"])
    result = saved.run("backup-create")
    assert result.status == FAILED, str(result)
    assert "command/dump" in result.err and "3" in result.err, str(result)
    assert "broken" in result.err, str(result)
    assert len(saved.snapshots()) == 1


def test_a_program_that_does_not_exist(saved):
    saved.add("command", "dump", output="dump", run=["no-such-program"])
    result = saved.run("backup-create")
    assert result.status == FAILED, str(result)
    assert "no-such-program" in result.err, str(result)


def test_a_folder_to_restore_into_that_holds_other_files(saved):
    with open(saved.path("data", "f"), "w") as out:
        out.write("precious")
    result = saved.admin("backup-restore", "latest", "files/data")
    assert result.status == FAILED, str(result)
    assert "--overwrite" in result.err, str(result)
    with open(saved.path("data", "f")) as content:
        assert content.read() == "precious"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_version_of(saved, name):
    result = saved.commands.run(name, "--help")
    assert result.status == COMPLETE and "xample" in result.out, str(result)
    result = saved.commands.run(name, "--version")
    assert result.status == COMPLETE and name in result.out, str(result)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_of(saved, name):
    result = saved.commands.run(name, "--no-such-option")
    assert result.status == USAGE, str(result)
    assert "--no-such-option" in result.err, str(result)

# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the configuration says of a file what the commands say of
it, and of every example that is shown to people that it is right."""

import glob
import json
import os
import re

import jsonschema
import pytest
import yaml

SOURCE = os.environ.get("top_srcdir", ".")

with open(os.path.join(SOURCE, "tools/schema/backup.schema.json")) as file:
    VALIDATOR = jsonschema.Draft202012Validator(json.load(file))

FILES = "sources: [{files: etc, paths: [/etc]}]\n"


def complaints(text):
    return [error.message
            for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def examples():
    """The configurations of the manual page and of the README."""
    with open(os.path.join(SOURCE, "man/backup.yaml.5")) as page:
        for block in re.findall(r"\.Bd -literal.*?\n(.*?)\.Ed\n", page.read(),
                                re.S):
            if re.search(r"(?m)^[a-z_]+:", block):
                yield block.replace("\\&", "").replace("\\e", "\\")
    with open(os.path.join(SOURCE, "README.md")) as page:
        for block in re.findall(r"(?:\n    [^\n]*|\n)+", page.read()):
            text = re.sub(r"(?m)^    ", "", block)
            if re.search(r"(?m)^sources:", text):
                start = re.search(r"(?m)^[a-z_]+: *\S*$", text).start()
                yield text[start:].split("\nEOF")[0]


EXAMPLES = list(examples())


def tables():
    """The keys of each map, as the reader has them."""
    for path in glob.glob(os.path.join(SOURCE, "libbackup/base/config_*.c")):
        with open(path) as file:
            text = file.read()
        for name, body in re.findall(
                r"const struct config_field (\w+)\[\] = \{(.*?)\n?\s*"
                r"(?:END|\{NULL)", text, re.S):
            keys = set(re.findall(r'\{"(\w+)",\s*FIELD', body))
            if keys:  # else one of a reader's, made from such a table
                yield name, keys


def maps(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            yield set(schema["properties"])
        for value in schema.values():
            yield from maps(value)


def test_each_key_that_is_read_is_in_the_schema_and_on_a_page():
    pages = ""
    for name in ("backup.yaml.5", "libbackup-monitoring.7"):
        with open(os.path.join(SOURCE, "man", name)) as page:
            pages += page.read()
    found = dict(tables())
    assert len(found) > 15
    del found["kinds"]  # all kinds of sources, for what none of them has
    known = list(maps(VALIDATOR.schema))
    for name, keys in found.items():
        assert keys in known, (name, keys)
        assert not [key for key in keys
                    if not re.search(r"\b%s\b" % key, pages)], name


def test_there_are_examples():
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("text", EXAMPLES,
                         ids=[str(n) for n in range(len(EXAMPLES))])
def test_an_example_is_right(text):
    assert complaints(text) == []


WRONG = {
    "an unknown key": "colour: red\n" + FILES,
    "both forms": "repository: /a\nrepositories: {a: {location: /a}}\n",
    "a repository nowhere": "repositories: {a: {key_file: /a}}\n",
    "a name with a slash": "repositories: {a/b: {location: /a}}\n",
    "a job of no sources": FILES + "jobs: {n: {sources: []}}\n",
    "prune at any time": FILES + "jobs: {n: {prune: always}}\n",
    "half a window": "window: '22:00'\n",
    "a window of 25 hours": "window: 25:00-06:00\n",
    "a limit without a unit": "time_limit: '6'\n",
    "a hook of nothing": "hooks: {before: [{timeout: 5m}]}\n",
    "a hook that is a text": "hooks: {before: [sync]}\n",
    "many workers": "workers: 65\n",
    "two kinds": "sources: [{postgres: a, files: b, paths: [/a]}]\n",
    "no kind": "sources: [{paths: [/a]}]\n",
    "files without paths": "sources: [{files: a}]\n",
    "a command without output": "sources: [{command: a, run: [b]}]\n",
    "a lock without days": "storage: {object_lock: {mode: compliance}}\n",
    "a level that is none": "verification: {level: whole}\n",
    "a retention in words": "retention: {keep_daily: many}\n",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_the_commands_refuse_the_schema_refuses(stack, text):
    assert complaints(text)
    with open(stack.config, "w") as out:
        out.write(text)
    run = stack.run("backup-list")
    assert run.status == 1, str(run)
    assert re.search(r"backup\.yaml:\d+: ", run.err), str(run)


RIGHT = {
    "jobs": FILES + """
repositories:
  local: {location: local, retention: {keep_daily: 7, keep_within: 1y6m}}
  far: {location: "s3://b/c", storage: {endpoint: http://h, access_key: a,
        secret_key: b}, error_correction: 5%}
verification: {every: 7d, level: sample, max_drop: 20, heapallindexed: yes}
time_limit: 6h
jobs:
  all:
  nightly:
    sources: [files/etc]
    repositories: [far, local]
    prune: after
    window: 22:00-06:00
    hooks: {before: [{run: [sync], timeout: 1m30s}], always: []}
""",
    "variables": "repository: ${HOME}/r\ntime_limit: ${LIMIT:-6h}\n" + FILES,
    "lists that nobody has filled in": "repository: r\nsources:\njobs:\n",
    "a bucket": """
sources:
  - {bucket: b, bucket_name: c, virtual_host: yes, versions: all}
""",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_what_the_commands_take_the_schema_takes(stack, text):
    assert complaints(text) == []
    with open(stack.config, "w") as out:
        out.write(text)
    os.chmod(stack.config, 0o600)
    run = stack.run("backup-list", "--repository", "/nowhere/at/all")
    assert not re.search(r"backup\.yaml:\d+: ", run.err), str(run)

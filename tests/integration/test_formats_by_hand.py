# SPDX-License-Identifier: Apache-2.0
"""What formats/pack.md, index.md and delta.md say can be done with age, zstd,
od and awk is done with them, on a repository that was really written."""

import glob
import json
import os
import re
import subprocess

import pytest


def shell(script, folder, **variables):
    """What the recipe prints."""
    done = subprocess.run(
        ["sh", "-ec", script], cwd=folder, stdout=subprocess.PIPE, check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", **variables})
    return done.stdout


def opens(identity, path):
    return subprocess.run(["age", "-d", "-i", identity, path], check=False,
                          capture_output=True).returncode == 0


@pytest.fixture
def saved(stack):
    """A repository of two files, and its two identities as files."""
    os.mkdir(stack.path("data"))
    stack.contents = {"a.txt": b"hello\n" * 1000, "b.bin": os.urandom(70000)}
    for name, content in stack.contents.items():
        with open(stack.path("data", name), "wb") as out:
            out.write(content)
    stack.add("files", "src", paths=[stack.path("data")])
    stack.create()
    return with_identities(stack)


def with_identities(stack):
    with open(stack.key_file) as lines:
        key = json.loads("".join(
            line for line in lines if not line.startswith("#")))
    stack.metadata = stack.secret("metadata.txt", key["metadata_identity"])
    document, = glob.glob(os.path.join(stack.repository, "keys", "*"))
    opened = shell('age -d -i "$KEY" "$FILE"', stack.folder,
                   KEY=stack.identity, FILE=document)
    stack.data = stack.secret(
        "key.txt", json.loads(opened)["data_identity"])
    return stack


def packs(stack, identity):
    found = [path for path in glob.glob(
        os.path.join(stack.repository, "packs", "*", "*"))
        if opens(identity, path)]
    assert found
    return found


def listing(stack):
    """The lines of the entry list, as pack.md's first recipe gives them."""
    return [json.loads(line) for pack in packs(stack, stack.metadata)
            for line in shell('age -d -i "$KEY" "$PACK" | zstd -d',
                              stack.folder, KEY=stack.metadata,
                              PACK=pack).splitlines()]


def directory(stack, pack, identity):
    """[(id, stored length, length)] in the order of the frames."""
    recipe = '''
        age -d -i "$KEY" "$PACK" > payload
        n=$(tail -c 16 payload | od -An -tu4 -N4)
        tail -c $((40 * n + 16)) payload | head -c $((40 * n)) |
            od -An -v -w40 %s'''
    ids = shell(recipe % "-tx1", stack.folder, KEY=identity, PACK=pack)
    numbers = shell(recipe % "-tu4", stack.folder, KEY=identity, PACK=pack)
    return [("".join(a.split()[:32]), *map(int, b.split()[8:])) for a, b in
            zip(ids.decode().splitlines(), numbers.decode().splitlines())]


def test_files_come_back_with_age_zstd_and_od(saved):
    chunks = {}
    for pack in packs(saved, saved.data):
        plain = shell('age -d -i "$KEY" "$PACK" | zstd -d', saved.folder,
                      KEY=saved.data, PACK=pack)
        for name, _, length in directory(saved, pack, saved.data):
            chunks[name], plain = plain[:length], plain[length:]
        assert plain == b""
    found = {os.path.basename(entry["path"]):
             b"".join(chunks[name] for name, _ in entry["chunks"])
             for entry in listing(saved) if "chunks" in entry}
    assert found == saved.contents


def test_an_index_tells_where_every_chunk_lies(saved):
    index, = glob.glob(os.path.join(saved.repository, "index", "*"))
    out = shell('''
        age -d -i "$KEY" "$INDEX" > index
        P=$(od -An -v -j12 -N4 -tu4 index | tr -d ' ')
        C=$(od -An -v -j16 -N8 -tu8 index | tr -d ' ')
        od -An -v -j64 -N$((48 * P)) -w48 -tx1 index > packs
        od -An -v -j$((64 + 48 * P)) -N$((48 * C)) -w48 -tx1 index > ids
        od -An -v -j$((64 + 48 * P)) -N$((48 * C)) -w48 -tu4 index
        ''', saved.folder, KEY=saved.metadata, INDEX=index).decode()
    with open(saved.path("packs")) as lines:
        names = ["".join(line.split()[:32]) for line in lines]
    with open(saved.path("ids")) as lines:
        ids = ["".join(line.split()[:32]) for line in lines]
    numbers = [list(map(int, line.split()[8:])) for line in out.splitlines()]
    told = {(names[pack], name, stored, length) for name,
            (pack, _, stored, length) in zip(ids, numbers)}
    real = {(os.path.basename(pack), *chunk)
            for identity in (saved.data, saved.metadata)
            for pack in packs(saved, identity)
            for chunk in directory(saved, pack, identity)}
    assert told == real


def recipe(name):
    """The indented lines of a specification that mention a command."""
    path = os.path.join(os.environ["top_srcdir"], "formats", name)
    with open(path, encoding="utf-8") as page:
        found, = [block for block in re.findall(
            r"(?:^    .*\n)+", page.read(), re.M) if "awk" in block]
    return found


def frames(stack):
    """{(id, length of its content): content} of all packs with rows."""
    found = {}
    for pack in packs(stack, stack.data):
        plain = shell('age -d -i "$KEY" "$PACK" | zstd -d', stack.folder,
                      KEY=stack.data, PACK=pack)
        for name, _, length in directory(stack, pack, stack.data):
            found[name, length], plain = plain[:length], plain[length:]
        assert plain == b""
    return found


def test_a_difference_is_applied_with_awk(stack, postgres, database):
    postgres.execute(database, """
        CREATE TABLE t (n int, v text);
        INSERT INTO t SELECT n, E'=1 2\\n+3 ' || md5(n::text)
            FROM generate_series(1, 5000) n""")
    stack.add_postgres("app", postgres, database)
    stack.create()
    postgres.execute(database, """
        UPDATE t SET v = E'libbackup delta 1\\\\' WHERE n % 300 = 7;
        DELETE FROM t WHERE n BETWEEN 2000 AND 2010""")
    stack.create()
    with_identities(stack)
    found = frames(stack)
    chunks = [tuple(chunk) for entry in listing(stack)
              if entry.get("path", "").endswith("/data/public.t")
              for chunk in entry["chunks"]]
    (name, length), = [chunk for chunk in chunks if chunk not in found]
    delta, = [content for (other, _), content in found.items()
              if other == name]
    word, kind, version, base, base_length, whole = (
        delta.split(b"\n")[0].decode().split(" "))
    assert (word, kind, version, int(whole)) == (
        "libbackup", "delta", "1", length)
    for path, content in (("base", found[base, int(base_length)]),
                          ("delta", delta)):
        with open(stack.path(path), "wb") as out:
            out.write(content)
    shell(recipe("delta.md"), stack.folder)
    with postgres.connect(database) as connection:
        with connection.cursor().copy("COPY t TO STDOUT") as copy:
            expected = b"".join(copy)
    with open(stack.path("chunk"), "rb") as chunk:
        assert chunk.read() == expected

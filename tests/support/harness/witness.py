# SPDX-License-Identifier: Apache-2.0
"""What is really there, by other means than the library's own: SQL by
psycopg and pg_dump, objects by boto3, files by the file system. Each witness
answers a dict; two dicts that are equal are the proof, and `differences` says
where they are not."""

import hashlib
import os
import re
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError
from psycopg import sql

RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind, c.relispopulated FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'S')
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2"""

# Sums of the rows' digests: the same for the same rows in any order.
ROWS = """
    SELECT count(*),
        coalesce(sum(('x' || left(h, 15))::bit(60)::bigint), 0),
        coalesce(sum(('x' || right(h, 15))::bit(60)::bigint), 0)
    FROM (SELECT md5(t::text) AS h FROM ONLY {} AS t) AS hashed"""

VIEW = " (materialised view)"

ATTRIBUTES = ("ContentType", "ContentEncoding", "ContentDisposition",
              "ContentLanguage", "CacheControl", "Metadata", "ETag")


def rows(connection, table):
    return connection.execute(sql.SQL(ROWS).format(table)).fetchone()


def schema_dump(postgres, database):
    """pg_dump's own words; without the lines that are new every time."""
    dump = subprocess.run(
        [postgres.program("pg_dump"), "--schema-only",
         "-d", postgres.conninfo(database)],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", dump)


def copied(postgres, name, other):
    """Copies a schema by pg_dump and psql alone. What pg_dump writes of the
    copy is what it should write of what somebody else restored: some casts,
    and the order of columns that are inherited, are not what they were."""
    path = os.path.join(postgres.home, other + ".sql")
    with open(path, "w") as out:
        out.write(schema_dump(postgres, name))
    postgres.execute("postgres", sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(other)))
    postgres.psql(other, path)
    os.unlink(path)
    return other


def database(postgres, name):
    """Rows, sequences, large objects, settings and catalogue."""
    seen = {"schema": schema_dump(postgres, name)}
    with postgres.connect(name) as connection:
        for schema, table, kind, populated in connection.execute(RELATIONS):
            what = sql.Identifier(schema, table)
            label = "%s.%s" % (schema, table)
            if kind == "S":
                seen[label] = connection.execute(
                    sql.SQL("SELECT last_value, is_called FROM {}").format(
                        what)).fetchone()
            elif kind == "m":
                seen[label + VIEW] = populated and rows(connection, what)
            else:
                seen[label] = rows(connection, what)
        seen["large objects"] = connection.execute(
            "SELECT oid::bigint, md5(lo_get(oid)), lomacl::text"
            " FROM pg_largeobject_metadata ORDER BY 1").fetchall()
        seen["database"] = connection.execute(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype,"
            " datconnlimit, coalesce(datacl, acldefault('d', datdba))::text,"
            " pg_get_userbyid(datdba),"
            " shobj_description(oid, 'pg_database')"
            " FROM pg_database WHERE datname = %s", (name,)).fetchall()
        seen["database settings"] = connection.execute(
            "SELECT setrole::regrole::text, unnest(setconfig)"
            " FROM pg_db_role_setting s JOIN pg_database d"
            " ON d.oid = s.setdatabase WHERE datname = %s ORDER BY 1, 2",
            (name,)).fetchall()
    return seen


def row_total(seen):
    """How many rows of tables a database witness counted."""
    return sum(value[0] for label, value in seen.items()
               if isinstance(value, tuple) and len(value) == 3
               and not label.endswith(VIEW))


def _tags(client, bucket, key):
    """None where the server has no tags."""
    try:
        return client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotImplemented":
            raise
        return []


def _object(client, bucket, key):
    answer = client.get_object(Bucket=bucket, Key=key)
    digest = hashlib.sha256()
    for piece in answer["Body"].iter_chunks(1 << 20):
        digest.update(piece)
    tags = _tags(client, bucket, key)
    seen = {name: answer.get(name) for name in ATTRIBUTES}
    seen["sha256"] = digest.hexdigest()
    seen["size"] = answer["ContentLength"]
    seen["tags"] = sorted((tag["Key"], tag["Value"]) for tag in tags)
    return seen


def bucket(client, name):
    """Every object, its bytes and what is said of it."""
    keys = [item["Key"]
            for page in client.get_paginator("list_objects_v2").paginate(
                Bucket=name)
            for item in page.get("Contents", [])]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(keys, pool.map(
            lambda key: _object(client, name, key), keys)))


def _file(path, inodes):
    info = os.lstat(path)
    seen = {"mode": stat.filemode(info.st_mode), "uid": info.st_uid,
            "gid": info.st_gid}
    if not stat.S_ISDIR(info.st_mode):
        seen["mtime"] = info.st_mtime_ns
        seen["twins"] = inodes.setdefault(
            (info.st_dev, info.st_ino), os.path.basename(path))
    if stat.S_ISLNK(info.st_mode):
        seen["target"] = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        with open(path, "rb") as content:
            seen["sha256"] = hashlib.file_digest(
                content, "sha256").hexdigest()
        seen["size"] = info.st_size
        seen["has holes"] = info.st_blocks * 512 < info.st_size
    if not stat.S_ISLNK(info.st_mode):
        seen["xattrs"] = {name: os.getxattr(path, name)
                          for name in sorted(os.listxattr(path))}
    return seen


def folder(path):
    """Every file below a folder. Paths are bytes: names need not be text."""
    top = os.fsencode(path)
    seen, inodes = {}, {}
    for where, directories, files in os.walk(top):
        directories.sort()
        for name in sorted(directories + files):
            full = os.path.join(where, name)
            seen[os.path.relpath(full, top)] = _file(full, inodes)
    return seen


def tree(path):
    """Names, sizes and digests only: whether a repository is as it was."""
    return {name: (info["mode"], info.get("sha256"))
            for name, info in folder(path).items()}


def _shorten(value):
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "..."


def differences(before, after):
    """Lines that say what is not the same; none where all is."""
    lines = []
    for key in sorted(before.keys() | after.keys(), key=str):
        if key not in after:
            lines.append("%s is gone" % (key,))
        elif key not in before:
            lines.append("%s is new" % (key,))
        elif before[key] != after[key]:
            lines.append("%s was %s and is %s" % (
                key, _shorten(before[key]), _shorten(after[key])))
    return lines

# SPDX-License-Identifier: Apache-2.0
"""Kinds of damage to objects and files: how each is done. They are undone by
filling the place again, which takes no time."""

import os
import random
import shutil

from mutations.kinds import Kind

BODY = b"the bytes of an object"

OBJECT = {"Key": "a", "Body": BODY, "ContentType": "text/plain",
          "CacheControl": "no-store", "ContentDisposition": "inline",
          "Metadata": {"who": "me"}, "Tagging": "colour=red"}


def fill_bucket(s3, bucket):
    s3.put_object(Bucket=bucket, **OBJECT)
    for key in ("b", "folder/c"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def _put(**changed):
    def do(s3, bucket):
        s3.put_object(Bucket=bucket, **{**OBJECT, **changed})
    return do


def _remove(key):
    return lambda s3, bucket: s3.delete_object(Bucket=bucket, Key=key)


def _tag(*tags):
    return lambda s3, bucket: s3.put_object_tagging(
        Bucket=bucket, Key="a", Tagging={"TagSet": [
            {"Key": key, "Value": value} for key, value in tags]})


def _swap(s3, bucket):
    s3.put_object(Bucket=bucket, Key="b", Body=b"folder/c")
    s3.put_object(Bucket=bucket, Key="folder/c", Body=b"b")


OBJECTS = [Kind(*row, None) for row in (
    ("bytes of an object changed", "bucket/up/a content",
     _put(Body=BODY.replace(b"the", b"his"))),
    ("an object is shorter", "bucket/up/a size 22 3", _put(Body=b"the")),
    ("an object is empty", "bucket/up/a size 22 0", _put(Body=b"")),
    ("an object is missing", "bucket/up/folder/c not found",
     _remove("folder/c")),
    ("an object too many", "bucket/up/d not in the snapshot", _put(Key="d")),
    ("two objects swapped", "bucket/up/folder/c", _swap),
    ("an object under another name", "bucket/up/A not in the snapshot",
     _put(Key="A")),
    ("another content type", "bucket/up/a text/html",
     _put(ContentType="text/html")),
    ("other metadata", "bucket/up/a you", _put(Metadata={"who": "you"})),
    ("no metadata", "bucket/up/a who", _put(Metadata={})),
    ("another way to cache", "bucket/up/a no-store",
     _put(CacheControl="max-age=60")),
    ("another disposition", "bucket/up/a inline",
     _put(ContentDisposition="attachment")),
    ("another tag", "bucket/up/a blue", _tag(("colour", "blue"))),
    ("a tag too many", "bucket/up/a more",
     _tag(("colour", "red"), ("more", "1"))),
    ("no tag", "bucket/up/a red", _tag()),
)]


# ---- files ----

LARGE = 300000


def fill_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "empty"))
    path = os.path.join(folder, "file")
    for name in ("file", "other", "program"):
        with open(os.path.join(folder, name), "w") as out:
            out.write("what is in " + name)
    with open(os.path.join(folder, "large"), "wb") as out:
        out.write(random.Random(1).randbytes(LARGE))
    os.chmod(os.path.join(folder, "program"), 0o755)
    os.setxattr(path, "user.note", b"mine")
    os.symlink("file", os.path.join(folder, "link"))
    os.link(os.path.join(folder, "other"), os.path.join(folder, "twin"))
    os.mkfifo(os.path.join(folder, "pipe"))
    # Everything is filled again, so that its times are those that it had.
    for name in ("file", "other", "program", "large", "link", "pipe", "empty",
                 "."):
        os.utime(os.path.join(folder, name), (1, 1), follow_symlinks=False)


def _in(name, do):
    """Does something to one file, and leaves the folder's own time."""
    def damage(folder):
        do(os.path.join(folder, name))
        os.utime(folder, (1, 1))
    return damage


def _write(text):
    def do(path):
        with open(path, "w") as out:
            out.write(text)
        os.utime(path, (1, 1))
    return do


def _link(target):
    def do(path):
        os.unlink(path)
        os.symlink(target, path)
        os.utime(path, (1, 1), follow_symlinks=False)
    return do


def _be_a_folder(path):
    os.unlink(path)
    os.mkdir(path)


def _be_alone(path):
    shutil.copy2(path, path + "x")
    os.rename(path + "x", path)


FILES = [Kind(*row, None) for row in (
    ("bytes of a file changed", "/file content",
     _in("file", _write("what is in filE"))),
    ("a file is shorter", "/file size", _in("file", _write("what"))),
    ("a file is missing", "/program not found", _in("program", os.unlink)),
    ("a file too many", "/more not in the snapshot",
     _in("more", _write("new"))),
    ("another mode", "/program mode",
     _in("program", lambda path: os.chmod(path, 0o644))),
    ("a program of the owner's rights", "/program mode",
     _in("program", lambda path: os.chmod(path, 0o4755))),
    ("another time", "/file mtime",
     _in("file", lambda path: os.utime(path, (1, 2)))),
    ("another attribute", "/file xattr",
     _in("file", lambda path: os.setxattr(path, "user.note", b"yours"))),
    ("an attribute is gone", "/file xattr",
     _in("file", lambda path: os.removexattr(path, "user.note"))),
    ("a link elsewhere", "/link program", _in("link", _link("program"))),
    ("a link is a file", "/link kind",
     _in("link", lambda path: (os.unlink(path), _write("file")(path)))),
    ("a file is a folder", "/file kind", _in("file", _be_a_folder)),
    ("a second name is a copy", "/twin kind", _in("twin", _be_alone)),
    ("an empty folder is missing", "/empty not found",
     _in("empty", os.rmdir)),
    ("a pipe is missing", "/pipe not found", _in("pipe", os.unlink)),
)]

OWNERS = [Kind(*row, None) for row in (
    ("another owner", "/file uid",
     _in("file", lambda path: os.chown(path, 12345, -1))),
    ("another group", "/file gid",
     _in("file", lambda path: os.chown(path, -1, 12345))),
)]

if os.geteuid() == 0:
    FILES += OWNERS

# SPDX-License-Identifier: Apache-2.0
"""What a command did to files, by strace: in which order things were written,
synced, renamed and removed. What is not on disk when the power goes is lost, so
an order that is wrong is a loss that no other test shows."""

import os
import re
import shutil
import subprocess

CALLS = ("write,pwrite64,writev,fsync,fdatasync,syncfs,rename,renameat,"
         "renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,ftruncate")

_LINE = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(?P<rest>.*)$")
_CALL = re.compile(r"^(?P<name>\w+)\((?P<args>.*)\) += (?P<ret>-?\d+)")
_FD = re.compile(r"^(?:\d+|AT_FDCWD)<(?P<path>.*)>$")


class Call:
    """One system call: when it began and ended (numbers of lines), and on
    what."""

    def __init__(self, name, args, began, ended):
        self.name = name
        self.args = args
        self.began = began
        self.ended = ended
        self.paths = list(_paths(name, args))

    def __repr__(self):
        return "%s%s at %d" % (self.name, tuple(self.paths), self.ended)


def _split(args):
    """The arguments; no string of ours holds a comma or a quote."""
    return [arg.strip() for arg in args.split(", ")]


def _path_of(fd):
    match = _FD.match(fd)
    return match.group("path") if match else None


def _paths(name, args):
    """Absolute paths that a call names."""
    parts = _split(args)
    if name in ("write", "pwrite64", "writev", "fsync", "fdatasync", "syncfs",
                "ftruncate"):
        yield _path_of(parts[0])
    elif name in ("rename", "link", "unlink", "mkdir"):
        for part in parts[:2 if name in ("rename", "link") else 1]:
            yield part.strip('"')
    else:
        count = 2 if name in ("renameat", "renameat2", "linkat") else 1
        for i in range(count):
            folder = _path_of(parts[2 * i]) or ""
            yield os.path.join(folder, parts[2 * i + 1].strip('"'))


def parse(lines):
    """Calls that succeeded, in the order in which they ended."""
    began, calls = {}, []
    for number, line in enumerate(lines):
        match = _LINE.match(line)
        if not match:
            continue
        pid, rest = match.group("pid"), match.group("rest")
        start = number
        if rest.endswith("<unfinished ...>"):
            began[pid] = (number, rest[:-len("<unfinished ...>")].rstrip())
            continue
        resumed = _RESUMED.match(rest)
        if resumed:
            if pid not in began:
                continue
            start, first = began.pop(pid)
            rest = first + resumed.group("rest")
        call = _CALL.match(rest)
        if call and int(call.group("ret")) >= 0:
            calls.append(Call(call.group("name"), call.group("args"), start,
                              number))
    return calls


def run(commands, log, name, *args):
    """Runs a command under strace; its calls and what it said."""
    assert shutil.which("strace"), "strace is missing: ./bootstrap installs it"
    env = dict(commands.env)
    # Leaks cannot be looked for under another tracer.
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    done = subprocess.run(
        ["strace", "-f", "-y", "-s", "4", "-e", "trace=" + CALLS, "-o", log,
         *commands.argv(name, *args)], env=env, cwd=commands.home,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=600, text=True)
    with open(log, errors="backslashreplace") as file:
        return parse(file.read().split("\n")), done


class OrderError(AssertionError):
    """Something would not survive a loss of power."""


class Repository:
    """What a trace did to one repository."""

    def __init__(self, calls, folder):
        self.folder = os.path.realpath(folder)
        self.calls = [call for call in calls if any(
            path and self._is_inside(path) for path in call.paths)]

    def _is_inside(self, path):
        return path == self.folder or path.startswith(self.folder + "/")

    def _name(self, path):
        return os.path.relpath(path, self.folder)

    def placed(self, *folders):
        """(name, call) of each object that was renamed into one of these."""
        for call in self.calls:
            if call.name.startswith(("rename", "link")):
                name = self._name(call.paths[1])
                if not folders or name.split("/")[0] in folders:
                    yield name, call

    def removed(self, *folders):
        for call in self.calls:
            if call.name.startswith("unlink"):
                name = self._name(call.paths[0])
                if name.split("/")[0] in folders:
                    yield name, call

    def _synced(self, path, after):
        """When a file or folder was synced first after a line, or None."""
        for call in self.calls:
            if (call.name in ("fsync", "fdatasync") and call.began > after
                    and call.paths[0] == path):
                return call.ended
        return None

    def durable(self, call):
        """When a placed or removed object was on disk: all folders above it
        are synced. An error where that never happens."""
        path = call.paths[-1]
        ended = call.ended
        while path != self.folder:
            path = os.path.dirname(path)
            at = self._synced(path, call.ended)
            if at is None:
                raise OrderError("%r: %s is not synced after it"
                                 % (call, path))
            ended = max(ended, at)
        return ended

    def check_object(self, name, call):
        """Its bytes are on disk before it has its name, and the name then."""
        temp = call.paths[0]
        writes = [other for other in self.calls
                  if other.name in ("write", "pwrite64", "writev", "ftruncate")
                  and other.paths[0] == temp]
        if not writes:
            raise OrderError("%s: nothing was written to %s" % (name, temp))
        last = max(other.ended for other in writes)
        synced = self._synced(temp, last)
        if synced is None or synced >= call.began:
            raise OrderError("%s: renamed before its bytes were synced" % name)
        return self.durable(call)

    def check_order(self, first, then):
        """Every one of `first` is durable before any of `then` begins."""
        begins = min((call.began for _, call in then), default=None)
        for name, call in first:
            if begins is not None and self.durable(call) >= begins:
                raise OrderError("%s is not on disk when %s" % (
                    name, min(then, key=lambda pair: pair[1].began)))

# SPDX-License-Identifier: Apache-2.0
"""The commands on a pseudo terminal: the bar, and questions without echo."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

BIN = os.path.join(os.environ.get("top_builddir", "."), "tests", "tools")
LIMIT = 60
count = 0


def run(name, *args, columns=80, answers=(), fake="", term="xterm"):
    """Runs a command on a terminal; answers (bytes, None) are given to its
    questions, None being Ctrl-C. What it showed, and its exit status."""
    answers = list(answers)
    # The size must be there before the command looks.
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ,
                struct.pack("HHHH", 24, columns, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.setsid()
        # Whoever runs this in the background may have it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.closerange(3, 256)
        path = os.path.join(BIN, "fake-" + name)
        env = {"FAKE": fake, "TERM": term, "PATH": os.environ["PATH"],
               "LC_ALL": "C.UTF-8", "BACKUP_REPOSITORY": "/x"}
        env.update({k: v for k, v in os.environ.items()
                    if k.endswith("SAN_OPTIONS") or k.startswith("LD_")})
        try:
            os.execve(path, [path, *args], env)
        finally:
            os._exit(127)
    shown, end = b"", time.monotonic() + LIMIT
    mark = 0
    while time.monotonic() < end:
        if select.select([master], [], [], 0.05)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            shown += piece
        elif os.waitid(os.P_PID, pid,
                       os.WEXITED | os.WNOHANG | os.WNOWAIT):
            answers.clear()  # it ended; what it wrote is still to be read
        if answers and shown[mark:].rstrip().endswith(b":") and \
                not termios.tcgetattr(slave)[3] & termios.ECHO:
            mark = len(shown)
            answer = answers.pop(0)
            os.write(master, b"\x03" if answer is None else answer)
        if slave is not None and not answers:
            os.close(slave)
            slave = None
    if time.monotonic() >= end:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    os.close(master)
    return shown, os.waitstatus_to_exitcode(status)


def check(is_right, name, seen=b""):
    global count
    count += 1
    print("%sok %d - %s" % ("" if is_right else "not ", count, name))
    if not is_right:
        print("# " + repr(seen))


def bars(shown):
    return [bar for bar in re.findall(rb"\r([^\r\n]*)\x1b\[K", shown) if bar]


def main():
    for columns in (200, 100, 60, 30, 12, 2):
        shown, status = run("backup-create", columns=columns)
        drawn = bars(shown)
        check(status == 0 and drawn and
              all(len(bar) < columns for bar in drawn),
              "a bar does not wrap at %d columns" % columns, shown)
        check(b"\r\x1b[Ksnapshot" in shown,
              "  and is gone before the result", shown)
    shown, _ = run("backup-create", columns=100)
    check(re.search(rb"postgres/app  \[=+> +\]   40%  40.0 MiB of 100.0 MiB"
                    rb"  10.0 MiB/s  0:06 left", shown),
          "a bar has the phase, the part, the rate and the time left", shown)
    shown, _ = run("backup-create", term="dumb")
    check(not bars(shown) and b"backing up" in shown,
          "a dumb terminal gets lines", shown)
    shown, _ = run("backup-create", "--quiet")
    check(not bars(shown), "a quiet command draws no bar", shown)
    shown, _ = run("backup-create", "--json")
    check(not bars(shown), "events are not mixed with a bar", shown)

    asks = "passphrase no-file"
    shown, status = run("backup-list", answers=[b"right words\n"], fake=asks)
    check(status == 0 and b"NAME" in shown, "the right passphrase opens",
          shown)
    check(b"right words" not in shown, "  and is not shown", shown)
    shown, status = run("backup-list", answers=[b"wrong words\n"], fake=asks)
    check(status == 1 and b"wrong words" not in shown,
          "a wrong passphrase fails and is not shown", shown)
    shown, status = run("backup-list", answers=[None], fake=asks)
    # Not what it says then: Ctrl-C throws away output on its way too.
    check(status == 1 and b"NAME" not in shown,
          "Ctrl-C at the question stops", shown)

    new = ("backup-init", "-r", "place", "-k", "host.key")
    shown, status = run(*new, answers=[b"some words\n"] * 2, fake="no-file")
    check(status == 0 and b"The passphrase reads everything" in shown,
          "a new passphrase is asked for twice", shown)
    check(b"some words" not in shown, "  and is not shown", shown)
    shown, status = run(*new, answers=[b"some words\n", b"sone words\n"],
                        fake="no-file")
    check(status == 1 and b"differ" in shown,
          "two different new passphrases make nothing", shown)
    shown, status = run(*new, answers=[b"\n"], fake="no-file")
    check(status == 1 and b"protects nothing" in shown,
          "an empty new passphrase makes nothing", shown)
    print("1..%d" % count)


main()
sys.stdout.flush()

# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive us, and never run as root."""

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ServerMissing(Exception):
    """A server that a test needs cannot be had."""


def unprivileged_user():
    """The user that servers run as: ourselves, unless that is root."""
    if os.geteuid() != 0:
        return None
    for name in (os.environ.get("BACKUP_TEST_USER", ""), "postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerMissing("no unprivileged user to run PostgreSQL as")


def identity(user):
    """What subprocess needs to become `user` (None: stay who we are)."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _die_with_parent(signum):
    def before_exec():
        _libc.prctl(PR_SET_PDEATHSIG, signum)
    return before_exec


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A child with a log; stopped by `stop`, by `with`, or by our death."""

    def __init__(self, argv, log, env=None, user=None, cwd="/",
                 stop_signals=(signal.SIGTERM, signal.SIGKILL),
                 death_signal=signal.SIGKILL):
        self.log = log
        self._stop_signals = stop_signals
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, cwd=cwd, start_new_session=True,
                preexec_fn=_die_with_parent(death_signal), **identity(user))

    def is_running(self):
        return self.process.poll() is None

    def wait_until(self, is_ready, seconds=60):
        """Waits for a server to answer; says what it logged if it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.is_running():
                break
            if is_ready():
                return
            time.sleep(0.05)
        self.stop()
        with open(self.log, errors="replace") as log:
            tail = log.read()[-2000:]
        raise ServerMissing("%s did not start: %s"
                            % (self.process.args[0], tail))

    def stop(self):
        for signum in self._stop_signals:
            if not self.is_running():
                return
            self.process.send_signal(signum)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                pass
        self.process.wait()

# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal, of whom age asks a passphrase."""

import os
import pty
import select
import time

from harness.stack import patience

LIMIT = 60


def age_with_passphrase(args, passphrase, asked):
    """age asks at the terminal only: be one. `asked` times it waits."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.execvp("age", ["age", *args])
        finally:
            os._exit(127)
    seen = b""
    deadline = time.monotonic() + patience(LIMIT)
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                data = os.read(terminal, 1024)
            except OSError:
                break  # the child closed its side
            if not data:
                break
            seen += data
            if asked > 0 and b"passphrase" in seen and b": " in seen:
                os.write(terminal, passphrase.encode() + b"\n")
                asked -= 1
                seen = b""
        else:
            os.kill(child, 9)
    finally:
        status = os.waitpid(child, 0)[1]
        os.close(terminal)
    assert status == 0, seen

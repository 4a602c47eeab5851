# SPDX-License-Identifier: Apache-2.0
"""A temporary folder that is gone afterwards, whatever happens."""

import os
import subprocess
import tempfile

# A Unix socket's whole path must fit in 107 bytes.
LONGEST_BASE = 50

# Reads until this process is no more, then tidies up. In a session of its own
# it outlives Ctrl-C and even kill -9 of the process that it watches; servers
# may need a moment to die, hence the repetitions.
JANITOR = """
trap '' INT TERM HUP
read -r _
for i in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$1" 2>/dev/null && exit
	sleep 0.5
done
"""


def _base():
    base = os.environ.get("TMPDIR", "/tmp")
    return base if len(base) <= LONGEST_BASE else "/tmp"


class Folder:
    """Use with `with`. `path` may be entered, but not listed, by others: a
    server that runs as another user has its own folder in there."""

    def __init__(self, name="libbackup"):
        self.path = tempfile.mkdtemp(prefix=name + ".", dir=_base())
        os.chmod(self.path, 0o711)
        self._janitor = subprocess.Popen(
            ["/bin/sh", "-c", JANITOR, "sh", self.path],
            stdin=subprocess.PIPE, start_new_session=True, cwd="/")

    def keep(self):
        """Leaves the folder behind."""
        self._janitor.kill()
        self._janitor.wait()
        self._janitor.stdin.close()
        self._janitor = None

    def remove(self):
        if self._janitor:
            self._janitor.stdin.close()
            self._janitor.wait()
            self._janitor = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()

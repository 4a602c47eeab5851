# SPDX-License-Identifier: Apache-2.0
"""The memory of a program. It is run by a process of its own: what that reports
of its children is not mixed with the memory of this one, which a child has
until it runs."""

import subprocess
import sys

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def run(argv, **options):
    """Runs it to its end. Its output as lines, and the most KiB that were
    resident."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *argv], check=True,
                          capture_output=True, text=True, **options)
    *lines, most = done.stdout.splitlines()
    return lines, int(most)

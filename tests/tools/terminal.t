#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a person at a terminal sees; a pseudo terminal needs more than a shell.
exec python3 "${top_srcdir:-.}/tests/tools/terminal.py"

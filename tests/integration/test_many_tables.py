# SPDX-License-Identifier: Apache-2.0
"""A database of very many tables and large objects takes no more memory than
any other. BACKUP_TEST_TABLES says how many tables, with twice as many large
objects (100,000 take half an hour, and the server 3 GB of disk); it is not
tested without."""

import os
import threading
import time

import pytest
from harness.postgres import Postgres
from harness.stack import COMPLETE, finish

COUNT = int(os.environ.get("BACKUP_TEST_TABLES", "0"))
LIMIT = 256 << 20

pytestmark = pytest.mark.skipif(
    COUNT == 0, reason="long: set BACKUP_TEST_TABLES")

TABLES = """
DO $$ BEGIN FOR i IN 1..%d LOOP
    EXECUTE format('CREATE TABLE s%%s.account_%%s (id bigint PRIMARY KEY,'
        ' customer_name varchar(40) NOT NULL, made timestamptz DEFAULT now(),'
        ' amount numeric(12,2) CHECK (amount > 0), note text)', i %% 10, i);
    EXECUTE format('INSERT INTO s%%s.account_%%s VALUES (%%s, ''x'')',
        i %% 10, i, i);
    EXECUTE format('CREATE INDEX ON s%%s.account_%%s (customer_name)',
        i %% 10, i);
    IF i %% 500 = 0 THEN COMMIT; END IF;
END LOOP; END $$"""
OBJECTS = """
DO $$ BEGIN FOR i IN 1..%d LOOP
    PERFORM lo_from_bytea(0, i::text::bytea);
    IF i %% 5000 = 0 THEN COMMIT; END IF;
END LOOP; END $$"""


@pytest.fixture(scope="module")
def server(session_folder):
    home = os.path.join(session_folder, "many")
    os.mkdir(home, 0o711)
    server = Postgres(home, {"max_locks_per_transaction": str(
        max(64, COUNT // 5))})
    server.create_database("app")
    server.execute("app", "".join(
        "CREATE SCHEMA s%d;" % i for i in range(10)))
    server.execute("app", TABLES % COUNT)
    server.execute("app", OBJECTS % (2 * COUNT))
    yield server
    server.stop()


def most(process):
    """How much a command itself has resident at most. It is told by the kernel
    as long as the command runs, so the last moment is not in it."""
    most = [0]

    def watch():
        while process.poll() is None:
            try:
                with open("/proc/%d/status" % process.pid) as status:
                    for line in status:
                        if line.startswith("VmHWM:"):
                            most[0] = max(most[0],
                                          int(line.split()[1]) << 10)
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    return most, watcher


def run(stack, name, *args):
    process = stack.start(name, *args)
    figure, watcher = most(process)
    began = time.monotonic()
    result = finish(process, timeout=7200)
    watcher.join()
    print("%s: %d MiB, %d s" % (name, figure[0] >> 20,
                                time.monotonic() - began))
    assert result.status == COMPLETE, str(result)
    assert 0 < figure[0] < LIMIT, "%s: %d MiB" % (name, figure[0] >> 20)


def test_memory_is_bounded_however_many_tables_there_are(stack, server):
    stack.add_postgres("app", server, "app")
    run(stack, "backup-create")
    run(stack, "backup-create")
    identity = ("--identity-file", stack.identity)
    run(stack, "backup-restore", *identity, "--to", "app_back", "latest",
        "postgres/app/app")
    assert server.execute("app_back", """
        SELECT count(*) FILTER (WHERE relkind = 'r'),
            count(*) FILTER (WHERE relkind = 'i') FROM pg_class
        WHERE relname LIKE 'account%'""") == [(COUNT, 2 * COUNT)]
    assert server.execute(
        "app_back", "SELECT count(*) FROM pg_largeobject_metadata") == [
            (2 * COUNT,)]
    server.drop_database("app_back")
    run(stack, "backup-verify", *identity, "--live")

# SPDX-License-Identifier: Apache-2.0
"""A backup that several hosts make: each with a network, a folder and a cache
of its own, over a repository in a bucket."""

import contextlib
import os
import shutil
import subprocess

import pytest
from harness.proxy import Proxy
from harness.stack import COMPLETE, Commands, Stack, finish
from test_share import TABLES, CHANGES, Leader, assert_same, end

HOSTS = 3


class Inside(Commands):
    """Commands in a network namespace."""

    namespace = None

    def argv(self, name, *args):
        return ["ip", "netns", "exec", self.namespace,
                *super().argv(name, *args)]


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)


@pytest.fixture
def networks():
    """Namespaces, each with a cable to this one: (name, our end's address)."""
    made = []
    if shutil.which("ip") is None:
        pytest.skip("no network namespaces: iproute2 is not here")
    try:
        for i in range(HOSTS):
            name = "bkp%d-%d" % (os.getpid(), i)
            # Of a range for tests between networks (RFC 2544).
            ours, theirs = ("198.18.%d.%d" % (os.getpid() % 250, 4 * i + n)
                            for n in (1, 2))
            ip("netns", "add", name)
            made.append((name, ours))
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0",
               "netns", name)
            ip("addr", "add", ours + "/30", "dev", name)
            ip("link", "set", name, "up")
            ip("-n", name, "addr", "add", theirs + "/30", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
    except subprocess.CalledProcessError as problem:
        remove(made)
        pytest.skip("no network namespaces: " + problem.stderr.strip())
    yield made
    remove(made)


def remove(networks):
    for name, _ in networks:
        subprocess.run(["ip", "netns", "del", name])


class Behind:
    """A server as it is seen through a proxy at another address."""

    def __init__(self, server, address, port):
        self._server = server
        self.endpoint = "http://%s:%d" % (address, port)
        self.address = address
        self.port = port

    def __getattr__(self, name):
        return getattr(self._server, name)

    def tcp_conninfo(self, database):
        return self._server.conninfo(
            database, host=self.address, port=self.port)


def make_host(stack, network, postgres, minio, database, open_proxies):
    """A host that reaches the servers by its cable and nothing else."""
    name, address = network
    folder = stack.path(name)
    os.mkdir(folder)
    host = Stack(stack.commands.tools, folder)
    host.commands = Inside(host.commands.tools, host.path("home"))
    host.commands.namespace = name
    host.key_file = host.options["key_file"] = stack.key_file
    servers = [Behind(server, address, open_proxies.enter_context(
        Proxy(server.port, host=address)).port) for server in
        (postgres, minio)]
    host.add_postgres("app", servers[0], database)
    host.use_bucket(servers[1], stack.repository)
    return host


@pytest.mark.parametrize("stack", ["bucket"], indirect=True)
def test_hosts_that_share_nothing_make_one_backup(stack, networks, postgres,
                                                  minio, database):
    postgres.execute(database, TABLES)
    stack.add_postgres("app", postgres, database)
    one = stack.create()["snapshot"]
    with contextlib.ExitStack() as proxies:
        hosts = [make_host(stack, network, postgres, minio, database, proxies)
                 for network in networks]
        # They may begin before there is anything to do.
        running = [host.start("backup-create", "--json", "--run", "fleet",
                              "--share", "%d/%d" % (i, HOSTS), "--wait", "5m")
                   for i, host in enumerate(hosts)]
        leader = Leader(stack, "fleet")
        postgres.execute(database, CHANGES)
        ended = [finish(process) for process in running]
        for result in ended:
            assert result.status == COMPLETE, str(result)
            assert result.result["rows"] > 0
        done = end(hosts[0], "fleet")
        assert done.status == COMPLETE, str(done)
        led = leader.end()
        assert led.status == COMPLETE, str(led)
        assert led.result["snapshot"] == done.result["snapshot"]
        # A host in a namespace reaches nothing but its cable.
        refused = subprocess.run(
            ["ip", "netns", "exec", networks[0][0], "pg_isready", "-h",
             "127.0.0.1", "-p", str(postgres.port)])
        assert refused.returncode != 0
    assert_same(stack, one, led.result["snapshot"])
    check = stack.run("backup-check")
    assert check.status == COMPLETE, str(check)

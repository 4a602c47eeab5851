# SPDX-License-Identifier: Apache-2.0
"""Throwaway S3 servers beside MinIO, and what each of all can hold."""

import csv
import os
import shutil

from .minio import Minio, S3Server, find_minio
from .process import ServerMissing, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "..", "..", "s3servers.tsv")


def find(name):
    """The program of a server."""
    if name == "minio":
        return find_minio()
    path = shutil.which(os.environ.get(name.upper()) or name)
    if path is None:
        raise ServerMissing("there is no %s here (./bootstrap s3 %s builds "
                            "it)" % (name, name))
    return path


class Versitygw(S3Server):
    """Files in folders, attributes of files as attributes of objects."""

    name = "versitygw"
    health = "/health"

    def start(self):
        for folder in ("data", "versions", "iam"):
            os.makedirs(os.path.join(self.home, folder), exist_ok=True)
        self.port = free_port()
        self.run(
            [find(self.name), "--quiet", "--port", "127.0.0.1:%d" % self.port,
             "--health", self.health, "--region", self.REGION,
             "--iam-dir", os.path.join(self.home, "iam"),
             "posix", "--versioning-dir", os.path.join(self.home, "versions"),
             os.path.join(self.home, "data")],
            ROOT_ACCESS_KEY=self.access_key, ROOT_SECRET_KEY=self.secret_key)


class S3Proxy(S3Server):
    """What S3 asks for, translated for other stores: here, again, files."""

    name = "s3proxy"
    health = "/healthz"

    CONFIG = """
s3proxy.endpoint=http://127.0.0.1:{port}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={access_key}
s3proxy.credential={secret_key}
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={home}/data
"""
    QUIET = """<configuration><root level="WARN"/></configuration>"""

    def start(self):
        os.makedirs(os.path.join(self.home, "data"), exist_ok=True)
        self.port = free_port()
        config = self._write("s3proxy.conf", self.CONFIG.format(
            home=self.home, port=self.port, access_key=self.access_key,
            secret_key=self.secret_key))
        quiet = self._write("logback.xml", self.QUIET)
        self.run([find(self.name), "--properties", config],
                 JAVA_OPTIONS="-Xmx1g -Dlogback.configurationFile=" + quiet)

    def _write(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as to:
            to.write(text)
        return path


KINDS = {"minio": Minio, "versitygw": Versitygw, "s3proxy": S3Proxy}


def wanted(*what):
    """The servers that tests about S3 run against: those that BACKUP_TEST_S3
    names ("minio s3proxy"; "usual" is MinIO alone), or all that are here; of
    them those that hold all of `what`."""
    return [name for name in _chosen()
            if all(table()[one].get(name) == "yes" for one in what)]


def _chosen():
    names = os.environ.get("BACKUP_TEST_S3", "").split()
    if names == ["usual"]:
        return ["minio"]
    if names:
        return names
    return ["minio"] + [name for name in KINDS
                        if name != "minio" and is_here(name)]


def is_here(name):
    try:
        return bool(find(name))
    except ServerMissing:
        return False


def holds(server, what):
    return table()[what][server.name] == "yes"


def table():
    """What tests/s3servers.tsv says: {capability: {server: answer}}."""
    with open(TABLE, newline="") as lines:
        return {row["what"]: row for row in
                csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}

# SPDX-License-Identifier: Apache-2.0
"""Throwaway S3 servers: what they have in common, and MinIO."""

import os
import secrets
import shutil
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .process import Server, ServerMissing, free_port


def find_minio():
    name = os.environ.get("MINIO") or "minio"
    path = shutil.which(name)
    if path is None:
        raise ServerMissing("there is no MinIO server here (%s)" % name)
    return path


class S3Server:
    """What tests ask of a server, whoever made it."""

    REGION = "us-east-1"
    name = None
    health = None       # a path that answers once it is ready
    health_port = None  # where that is not the server's own
    certificates = None

    def __init__(self, folder):
        self.home = os.path.join(folder, self.name)
        os.mkdir(self.home, 0o700)
        self.make_keys()
        self.start()

    def make_keys(self):
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_urlsafe(24)

    def run(self, argv, **environment):
        """Starts the program, and waits until it answers at self.port."""
        self.server = Server(
            argv, os.path.join(self.home, "log"),
            env={"PATH": os.environ["PATH"], "HOME": self.home,
                 "LC_ALL": "C.UTF-8", **environment})
        self.server.wait_until(self._is_ready)

    @property
    def endpoint(self):
        return "%s://127.0.0.1:%d" % (
            "https" if self.certificates else "http", self.port)

    def _is_ready(self):
        url = self.endpoint
        if self.health_port is not None:
            url = "http://127.0.0.1:%d" % self.health_port
        try:
            urllib.request.urlopen(
                url + self.health, timeout=2, context=self._trust()).close()
            return True
        except (urllib.error.URLError, OSError):
            return False

    @property
    def ca_file(self):
        return os.path.join(self.certificates, "ca.crt")

    def _trust(self):
        if self.certificates is None:
            return None
        return ssl.create_default_context(cafile=self.ca_file)

    def stop(self):
        self.server.stop()

    def client(self):
        """An S3 client that is not ours."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=self.REGION,
            verify=self.ca_file if self.certificates else None,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"},
                          max_pool_connections=16,
                          retries={"max_attempts": 2}))


class Minio(S3Server):
    name = "minio"
    health = "/minio/health/ready"

    def __init__(self, folder, certificates=None):
        """`certificates`: a folder with public.crt, private.key and ca.crt;
        the server then speaks TLS."""
        self.certificates = certificates
        self._program = find_minio()
        super().__init__(folder)

    def start(self):
        self.port = free_port()
        options = ["--certs-dir", self.certificates] \
            if self.certificates else []
        self.run(
            [self._program, "server", "--quiet", "--anonymous",
             *options,
             "--address", "127.0.0.1:%d" % self.port,
             "--console-address", "127.0.0.1:%d" % free_port(),
             os.path.join(self.home, "data")],
            MINIO_ROOT_USER=self.access_key,
            MINIO_ROOT_PASSWORD=self.secret_key,
            MINIO_BROWSER="off",
            MINIO_UPDATE="off",
            MINIO_CALLHOME_ENABLE="off")


def _everything(client, bucket):
    """Every version and marker, as what deletes it is told."""
    try:
        for page in client.get_paginator("list_object_versions").paginate(
                Bucket=bucket):
            items = page.get("Versions", []) + page.get("DeleteMarkers", [])
            for item in sorted(items, key=lambda item: item["Key"]):
                yield {"Key": item["Key"], "VersionId": item["VersionId"]}
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotImplemented":
            raise
        for page in client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket):
            for item in page.get("Contents", []):
                yield {"Key": item["Key"]}


def empty_bucket(client, bucket):
    """Removes every object and every version, one by one: a request for many
    is XML, which cannot hold every key. Versions of one key go one after
    another: versitygw loses one that is deleted beside another."""
    def remove(items):
        for item in items:
            client.delete_object(Bucket=bucket, **item)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, [list(items) for _, items in groupby(
            _everything(client, bucket), lambda item: item["Key"])]))


def remove_bucket(client, bucket):
    try:
        empty_bucket(client, bucket)
    except client.exceptions.NoSuchBucket:
        return
    client.delete_bucket(Bucket=bucket)

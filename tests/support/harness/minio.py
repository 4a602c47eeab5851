# SPDX-License-Identifier: Apache-2.0
"""A throwaway MinIO server."""

import os
import secrets
import shutil
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from .process import Server, ServerMissing, free_port


def find_minio():
    name = os.environ.get("MINIO") or "minio"
    path = shutil.which(name)
    if path is None:
        raise ServerMissing("there is no MinIO server here (%s)" % name)
    return path


class Minio:
    REGION = "us-east-1"

    def __init__(self, folder, certificates=None):
        """`certificates`: a folder with public.crt, private.key and ca.crt;
        the server then speaks TLS."""
        self.certificates = certificates
        self.home = os.path.join(folder, "minio")
        os.mkdir(self.home, 0o700)
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_urlsafe(24)
        self._program = find_minio()
        self.start()

    def start(self):
        self.port = free_port()
        self.endpoint = "%s://127.0.0.1:%d" % (
            "https" if self.certificates else "http", self.port)
        options = ["--certs-dir", self.certificates] \
            if self.certificates else []
        env = {
            "PATH": os.environ["PATH"],
            "HOME": self.home,
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
        }
        self.server = Server(
            [self._program, "server", "--quiet", "--anonymous",
             *options,
             "--address", "127.0.0.1:%d" % self.port,
             "--console-address", "127.0.0.1:%d" % free_port(),
             os.path.join(self.home, "data")],
            os.path.join(self.home, "log"), env=env)
        self.server.wait_until(self._is_ready)

    def _is_ready(self):
        try:
            urllib.request.urlopen(
                self.endpoint + "/minio/health/ready", timeout=2,
                context=self._trust()).close()
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


def empty_bucket(client, bucket):
    """Removes every object and every version, one by one: a request for many
    is XML, which cannot hold every key."""
    def remove(item):
        client.delete_object(Bucket=bucket, Key=item["Key"],
                             VersionId=item["VersionId"])

    with ThreadPoolExecutor(8) as pool:
        for page in client.get_paginator("list_object_versions").paginate(
                Bucket=bucket):
            for kind in ("Versions", "DeleteMarkers"):
                list(pool.map(remove, page.get(kind, [])))


def remove_bucket(client, bucket):
    try:
        empty_bucket(client, bucket)
    except client.exceptions.NoSuchBucket:
        return
    client.delete_bucket(Bucket=bucket)

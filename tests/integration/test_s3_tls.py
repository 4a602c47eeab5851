# SPDX-License-Identifier: Apache-2.0
"""A server whose certificate is of an authority of one's own."""

import os
import subprocess

import pytest

from harness.minio import Minio, empty_bucket
from harness.stack import DEGRADED, FAILED


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True,
                   capture_output=True, timeout=60)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=" + name, "-keyout", name + ".key", "-out", name + ".crt")


@pytest.fixture(scope="module")
def certificates(session_folder):
    """As MinIO wants them; "other" is an authority that signed nothing."""
    folder = os.path.join(session_folder, "certificates")
    os.mkdir(folder)
    make_authority(folder, "ca")
    make_authority(folder, "other")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=minio",
            "-keyout", "private.key", "-out", "request")
    with open(os.path.join(folder, "extensions"), "w") as out:
        out.write("subjectAltName=IP:127.0.0.1\n")
    openssl(folder, "x509", "-req", "-in", "request", "-CA", "ca.crt",
            "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile",
            "extensions", "-out", "public.crt")
    return folder


@pytest.fixture(scope="module")
def server(minio, certificates, session_folder):
    """`minio` only so that a missing server is told in the usual way."""
    folder = os.path.join(session_folder, "tls")
    os.mkdir(folder)
    server = Minio(folder, certificates)
    yield server
    server.stop()


@pytest.fixture
def filled(server):
    client = server.client()
    client.create_bucket(Bucket="secure")
    client.put_object(Bucket="secure", Key="key", Body=b"bytes")
    yield client
    empty_bucket(client, "secure")
    client.delete_bucket(Bucket="secure")


def test_a_named_authority_is_trusted(stack, server, filled):
    stack.add_bucket("secure", server, ca_file=server.ca_file)
    stack.create()
    empty_bucket(filled, "secure")
    stack.restore()
    assert filled.get_object(
        Bucket="secure", Key="key")["Body"].read() == b"bytes"


def test_the_environment_may_name_the_authority(stack, server, filled):
    stack.add_bucket("secure", server)
    stack.create(env={"AWS_CA_BUNDLE": server.ca_file})


def refused(stack, server, *words):
    done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    for word in (server.endpoint, "ca_file") + words:
        assert word in done.err, done.err
    assert stack.snapshots() == []


def test_an_unknown_authority_is_refused_with_what_to_do(
        stack, server, filled):
    stack.add_bucket("secure", server)
    refused(stack, server, "certificate")


def test_another_authority_is_refused(stack, server, certificates, filled):
    stack.add_bucket("secure", server,
                     ca_file=os.path.join(certificates, "other.crt"))
    refused(stack, server, "certificate")


def test_a_name_that_the_certificate_has_not_is_refused(
        stack, server, filled):
    class Elsewhere:
        endpoint = server.endpoint.replace("127.0.0.1", "localhost")
        access_key = server.access_key
        secret_key = server.secret_key

    stack.add_bucket("secure", Elsewhere, ca_file=server.ca_file)
    refused(stack, Elsewhere, "localhost")


def test_a_missing_file_of_authorities_is_named(stack, server, filled):
    stack.add_bucket("secure", server, ca_file=stack.path("gone.crt"))
    refused(stack, server, "gone.crt")


def test_an_endpoint_that_speaks_no_tls_is_told(stack, minio):
    class Wrong:
        endpoint = minio.endpoint.replace("http:", "https:")
        access_key = minio.access_key
        secret_key = minio.secret_key

    stack.add_bucket("secure", Wrong)
    done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    assert Wrong.endpoint in done.err and "http://" in done.err


def test_what_cannot_verify_speaks_only_where_that_is_accepted(
        stack, server, filled):
    stack.add_bucket("secure", server, signature="v2")
    done = stack.run("backup-create")
    assert done.status == FAILED, str(done)
    for word in (server.endpoint, "does not verify", "accept_unverified_tls"):
        assert word in done.err, done.err
    assert stack.snapshots() == []
    stack.sources[-1][2]["accept_unverified_tls"] = True
    stack.write()
    stack.create(statuses=(DEGRADED,))

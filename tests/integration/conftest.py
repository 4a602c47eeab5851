# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: servers for the whole session, and a database,
a bucket and a backup host of its own for each test."""

import itertools
import os
import signal
import sys

import pytest
from botocore.exceptions import ClientError

from harness import minio as minio_module
from harness import postgres as postgres_module
from harness import s3servers
from harness.folder import Folder
from harness.process import ServerMissing
from harness.stack import Stack

TOOLS = os.path.join(os.environ.get("top_builddir", "."), "tools")
WAIVED = os.environ.get("BACKUP_TEST_WAIVE", "").split(",")
DATA = os.environ.get("BACKUP_TEST_DATA") or os.path.join(
    os.environ.get("top_srcdir", "."), "..", "shared", "data")

SERVERS = postgres_module.installed()

_number = itertools.count(1)


def pytest_configure(config):
    """A terminated run ends as a failed one does: everything is put away."""
    def stop(signum, frame):
        sys.exit(128 + signum)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    # Shells have it ignored in what they run behind them, and the commands
    # that a test interrupts would inherit that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The commands look there for programs of the server's own version.
    os.environ["PATH"] = os.pathsep.join(
        [os.environ["PATH"], *filter(None, SERVERS.values())])


def pytest_generate_tests(metafunc):
    """A test of `every_server` runs against each version that is here."""
    if (len(SERVERS) > 1 and "postgres" in metafunc.fixturenames
            and metafunc.definition.get_closest_marker("every_server")):
        metafunc.parametrize("postgres", SERVERS, indirect=True,
                             scope="session")
    every = metafunc.definition.get_closest_marker("every_s3_server")
    if "minio" in metafunc.fixturenames and every:
        metafunc.parametrize("minio", s3servers.wanted(*every.args),
                             indirect=True, scope="session")


def _server(name, start):
    """A server that is missing is an error, unless it was waived by name."""
    if name in WAIVED:
        pytest.skip("no %s: waived" % name)
    try:
        return start()
    except ServerMissing as missing:
        problem = str(missing)
    pytest.fail("%s (./bootstrap check --without %s would do without)"
                % (problem, name), pytrace=False)


@pytest.fixture(scope="session")
def session_folder():
    with Folder("libbackup-test") as folder:
        yield folder.path


def _start_postgres(folder, major):
    if major is not None and SERVERS[major] is None:
        raise ServerMissing("there is no PostgreSQL %d here" % major)
    home = os.path.join(folder, "server%s" % (major or ""))
    os.mkdir(home, 0o711)
    return postgres_module.Postgres(home, bindir=SERVERS.get(major))


@pytest.fixture(scope="session")
def postgres_servers(session_folder):
    """Starts a server of a major version where it does not run yet."""
    running = {}

    def server(major):
        if major not in running:
            running[major] = _server(
                "postgres", lambda: _start_postgres(session_folder, major))
        return running[major]

    yield server
    for started in running.values():
        started.stop()


@pytest.fixture(scope="session")
def postgres(request, postgres_servers):
    """The usual server, or the one of the version that a test runs against."""
    return postgres_servers(
        getattr(request, "param", next(iter(SERVERS), None)))


@pytest.fixture(scope="session")
def s3_servers(session_folder):
    """Starts an S3 server where it does not run yet."""
    running = {}

    def server(name):
        if name not in running:
            running[name] = _server(
                name, lambda: s3servers.KINDS[name](session_folder))
        return running[name]

    yield server
    for started in running.values():
        started.stop()


@pytest.fixture(scope="session")
def minio(request, s3_servers):
    """MinIO, or the S3 server that a test of `every_s3_server` runs against."""
    return s3_servers(getattr(request, "param", "minio"))


@pytest.fixture(scope="session")
def s3(minio):
    """boto3's client: the witness."""
    return minio.client()


@pytest.fixture
def database(postgres):
    """The name of an empty database. What a test makes of it is dropped, and
    so is every other database that begins with that name."""
    name = "db%d" % next(_number)
    postgres.create_database(name)
    yield name
    for other in postgres.databases():
        if other.startswith(name) and not other[len(name):][:1].isdigit():
            postgres.drop_database(other)


@pytest.fixture
def bucket(s3, minio):
    """The name of an empty bucket; as with `database`."""
    name = "bucket-%d" % next(_number)
    s3.create_bucket(Bucket=name)
    yield name
    for other in s3.list_buckets()["Buckets"]:
        if (other["Name"] + "-").startswith(name + "-"):
            try:
                minio_module.remove_bucket(s3, other["Name"])
            except ClientError:
                # Those that keep files leave folders behind.
                if minio.name == "minio":
                    raise


@pytest.fixture
def stack(request, tmp_path_of_test):
    """A backup host with a repository and no sources. A test that is
    parametrised with "bucket" has the repository in one."""
    host = Stack(TOOLS, tmp_path_of_test)
    host.write()
    if getattr(request, "param", "folder") == "bucket":
        host.use_bucket(request.getfixturevalue("minio"),
                        request.getfixturevalue("repository"))
    host.init()
    return host


@pytest.fixture
def repository(s3):
    """Where a repository may be made in a bucket of its own."""
    name = "repository-%d" % next(_number)
    s3.create_bucket(Bucket=name)
    yield "s3://%s/some/prefix" % name
    minio_module.remove_bucket(s3, name)


@pytest.fixture
def tmp_path_of_test(session_folder):
    path = os.path.join(session_folder, "test-%d" % next(_number))
    os.mkdir(path)
    return path


@pytest.fixture(scope="session")
def sample_data():
    """The folder of the sample databases, which a plain clone has not."""
    if not os.path.isdir(DATA):
        pytest.skip("no sample databases: set BACKUP_TEST_DATA")
    return DATA

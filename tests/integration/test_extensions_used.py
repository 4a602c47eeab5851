# SPDX-License-Identifier: Apache-2.0
"""Extensions as applications use them: types in tables, indexes of their
operator classes, rows of users in their tables, other schemas, old versions.
What is not PostgreSQL's own is tried on the first server here that has it."""

import pytest
from conftest import SERVERS
from harness import witness
from harness.stack import DEGRADED

# Those that come with PostgreSQL are created here, the rest by their own test.
OWN = """
    CREATE SCHEMA ext; CREATE SCHEMA "Odd one";
    CREATE EXTENSION pg_trgm SCHEMA ext VERSION '1.5';
    CREATE EXTENSION hstore SCHEMA "Odd one" VERSION '1.4';
    CREATE EXTENSION citext SCHEMA ext;
    CREATE EXTENSION ltree SCHEMA ext;
    CREATE EXTENSION "uuid-ossp" SCHEMA ext;
    CREATE EXTENSION pgcrypto SCHEMA ext;
    CREATE EXTENSION btree_gist SCHEMA ext;
    CREATE EXTENSION postgres_fdw;
    COMMENT ON EXTENSION pg_trgm IS 'what the application says of it';

    CREATE DOMAIN address AS ext.citext CHECK (VALUE ~ '@');
    CREATE TYPE place AS (path ext.ltree, tags "Odd one".hstore);
    CREATE TABLE person (
        id uuid PRIMARY KEY DEFAULT ext.uuid_generate_v4(),
        mail address UNIQUE,
        name text,
        secret bytea,
        tags "Odd one".hstore,
        at ext.ltree,
        also ext.ltree[],
        lives place,
        nick ext.citext DEFAULT 'NoBody'::ext.citext,
        key ext.citext GENERATED ALWAYS AS (nick) STORED);
    CREATE INDEX ON person USING gin (name ext.gin_trgm_ops);
    CREATE INDEX ON person USING gist (name ext.gist_trgm_ops (siglen = 32));
    CREATE INDEX ON person USING gin (tags);
    CREATE INDEX ON person USING gist (tags "Odd one".gist_hstore_ops);
    CREATE INDEX ON person USING gist (at ext.gist_ltree_ops (siglen = 100));
    CREATE INDEX ON person USING gist (also);
    CREATE INDEX ON person (nick);
    CREATE INDEX ON person (ext.digest(name, 'sha256'::text));
    INSERT INTO person
        SELECT ext.uuid_generate_v5(ext.uuid_ns_dns(), n::text),
            'User' || n || '@Example.org', 'name ' || md5(n::text),
            ext.digest(n::text, 'sha256'),
            "Odd one".hstore(ARRAY['n', n::text, 'a=>"b"', NULL]),
            ('top.n' || n % 7 || '.x' || n)::ext.ltree,
            ARRAY['a.b', 'c' || n]::ext.ltree[],
            ROW('p.q'::ext.ltree, '"k"=>NULL'::"Odd one".hstore)::place,
            'Nick' || n
        FROM generate_series(1, 500) AS n;
    CREATE TABLE booking (room int, during tsrange,
        EXCLUDE USING gist (room WITH =, during WITH &&));
    INSERT INTO booking SELECT n, tsrange('2026-01-01', '2026-01-02')
        FROM generate_series(1, 50) AS n;
    CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host 'nowhere', dbname 'x');
    CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'u');
    CREATE FOREIGN TABLE elsewhere (n int) SERVER far"""

QUERIES = (
    "SELECT count(*) FROM person"
    " WHERE mail OPERATOR(ext.=) 'USER7@EXAMPLE.ORG'::ext.citext",
    "SELECT count(*) FROM person WHERE at OPERATOR(ext.<@) 'top.n3'",
    "SELECT count(*) FROM person WHERE tags OPERATOR(\"Odd one\".?) 'n'",
    "SELECT count(*) FROM person"
    " WHERE name OPERATOR(ext.%) ('name ' || md5('1'))",
)


@pytest.fixture
def app(stack, postgres, database):
    stack.add_postgres("app", postgres, database)
    return stack


@pytest.fixture
def server_with(stack, postgres_servers):
    """A database on a server that has an extension, which may be none."""
    made = []

    def find(extension):
        for major in SERVERS or [None]:
            server = postgres_servers(major)
            if server.execute(
                    "postgres", "SELECT 1 FROM pg_available_extensions"
                    " WHERE name = %s", (extension,)):
                made.append((server, "with_" + extension))
                server.create_database(made[0][1])
                stack.add_postgres("app", server, made[0][1])
                return made[0]
        pytest.skip("no server here has the extension %s" % extension)

    yield find
    for server, name in made:
        for tail in ("", "_back"):
            server.drop_database(name + tail)


def versions(postgres, database):
    return dict(postgres.execute(
        database, "SELECT extname, extversion FROM pg_extension"))


def there_and_back(app, postgres, database, statuses=(0,)):
    """Backs up, proves, restores beside; what is different in rows and in
    pg_dump's words fails."""
    app.create(statuses=statuses)
    app.verify(statuses=statuses)
    other = database + "_back"
    result = app.admin("backup-restore", "--to", other, "latest",
                       "postgres/app/" + database)
    assert result.status in statuses, str(result)
    before, after = (witness.database(postgres, name)
                     for name in (database, other))
    assert not witness.differences(before, after)
    return other, result.err


def test_what_comes_with_postgresql_is_used_and_comes_back(
        app, postgres, database):
    postgres.execute(database, OWN)
    other, told = there_and_back(app, postgres, database, (DEGRADED,))
    for query in QUERIES:
        ours = postgres.execute(database, query)
        assert ours > [(0,)] and ours == postgres.execute(other, query)
    assert postgres.execute(other, "SELECT extname, nspname FROM pg_extension"
                            " JOIN pg_namespace n ON n.oid = extnamespace"
                            " WHERE extname IN ('hstore', 'pg_trgm')"
                            " ORDER BY 1") == [
        ("hstore", "Odd one"), ("pg_trgm", "ext")]
    # The newest is made, and that it is another one is said.
    for name, old in (("hstore", "1.4"), ("pg_trgm", "1.5")):
        assert versions(postgres, database)[name] == old
        now = versions(postgres, other)[name]
        assert now != old
        assert any(name in line and now in line and old in line
                   for line in told.splitlines()), told


def test_vectors_and_their_indexes_come_back(stack, server_with):
    postgres, database = server_with("vector")
    postgres.execute(database, """
        CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext;
        CREATE TABLE item (id int PRIMARY KEY, e ext.vector(8),
            pair ext.vector[]);
        INSERT INTO item SELECT n,
            (SELECT array_agg(sin(n * k))::real[]::ext.vector
                FROM generate_series(1, 8) AS k),
            ARRAY['[1,2]', NULL]::ext.vector[]
            FROM generate_series(1, 500) AS n;
        CREATE INDEX near ON item USING hnsw (e ext.vector_l2_ops)
            WITH (m = 8, ef_construction = 32);
        CREATE INDEX ON item USING ivfflat (e ext.vector_cosine_ops)
            WITH (lists = 5)""")
    other, _ = there_and_back(stack, postgres, database)
    nearest = ("SELECT id FROM item ORDER BY"
               " e OPERATOR(ext.<->) (SELECT e FROM item WHERE id = 7) LIMIT 1")
    assert postgres.execute(other, nearest) == [(7,)]


def test_places_and_the_users_own_reference_systems_come_back(
        stack, server_with):
    postgres, database = server_with("postgis")
    postgres.execute(database, """
        CREATE EXTENSION postgis;
        INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext,
            proj4text) VALUES (990001, 'mine', 1, 'LOCAL_CS["mine"]', '');
        CREATE TABLE spot (id int PRIMARY KEY, at geometry(Point, 4326),
            area geography(Polygon, 4326), own geometry(PointZM, 990001),
            box box3d, img geometry[]);
        INSERT INTO spot SELECT n, ST_SetSRID(ST_MakePoint(n, n / 2.0), 4326),
            ST_Buffer(ST_SetSRID(ST_MakePoint(n, n / 2.0), 4326)::geography,
                10),
            ST_SetSRID(ST_MakePoint(n, 1, 2, 3), 990001),
            'BOX3D(0 0 0,1 1 1)', ARRAY[ST_MakePoint(1, n)]
            FROM generate_series(1, 80) AS n;
        CREATE INDEX ON spot USING gist (at);
        CREATE INDEX ON spot USING spgist (at);
        CREATE INDEX ON spot USING brin (at);
        CREATE INDEX ON spot USING gist (area)""")
    other, _ = there_and_back(stack, postgres, database)
    assert postgres.execute(
        other, "SELECT auth_name FROM spatial_ref_sys WHERE srid = 990001"
    ) == [("mine",)]
    total = "SELECT count(*) FROM spatial_ref_sys"
    assert postgres.execute(database, total) == postgres.execute(other, total)

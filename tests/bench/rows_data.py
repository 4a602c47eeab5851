# SPDX-License-Identifier: Apache-2.0
"""The database that backups are timed with: what an application keeps, as
text, jsonb, uuids, numbers, arrays and files of bytes beside the table, with
its indexes and foreign keys. 1.2 GB as COPY text at scale 1, and the same
every time."""

import subprocess

# Each number below is of rows at scale 1.
STATEMENTS = """
SELECT setseed(0.2026);
SET max_parallel_workers_per_gather = 0;

-- Words as rare and as common as words are, and sentences of them.
CREATE TEMP TABLE word AS
SELECT n, substr(translate(md5(n::text), '0123456789', 'ghijklmnop'), 1,
	2 + n % 9) AS word FROM generate_series(0, 2999) n;
CREATE TEMP TABLE sentence AS
SELECT s AS n, string_agg(word, ' ') || '.' AS text
FROM (SELECT s, (3000 * power(random(), 2))::int % 3000 AS n
	FROM generate_series(0, 59999) s, generate_series(1, 9)) pick
JOIN word USING (n) GROUP BY s;
CREATE UNIQUE INDEX ON sentence (n);
ANALYZE sentence;

CREATE TABLE users (
	id bigint NOT NULL, key uuid NOT NULL, name text NOT NULL,
	email text NOT NULL, settings jsonb NOT NULL, roles text[] NOT NULL,
	balance numeric(14, 2) NOT NULL, made timestamptz NOT NULL);
INSERT INTO users
SELECT n, md5('u' || n)::uuid, 'User ' || n, 'user' || n || '@example.org',
	jsonb_build_object('theme', n % 5, 'quota', n / 7.0),
	CASE n % 3 WHEN 0 THEN ARRAY['admin', 'reader'] ELSE ARRAY['reader'] END,
	random() * 10000, '2025-01-01Z'::timestamptz + n * interval '1 minute'
FROM generate_series(1, {users}) n;

CREATE TABLE messages (
	id bigint NOT NULL, user_id bigint NOT NULL, thread uuid NOT NULL,
	body text NOT NULL, sent timestamptz NOT NULL, is_read bool NOT NULL);
INSERT INTO messages
SELECT p.n, 1 + p.user_id, md5('t' || p.n / 12)::uuid,
	a.text || ' ' || b.text || ' ' || c.text,
	'2025-02-01Z'::timestamptz + p.n * interval '7.3 seconds', p.n % 4 > 0
FROM (SELECT n, (random() * ({users} - 1))::int AS user_id,
		(random() * 59999)::int AS a, (random() * 59999)::int AS b,
		(random() * 59999)::int AS c
	FROM generate_series(1, {messages}) n) p
JOIN sentence a ON a.n = p.a JOIN sentence b ON b.n = p.b
JOIN sentence c ON c.n = p.c ORDER BY p.n;

CREATE TABLE events (
	id bigint NOT NULL, user_id bigint NOT NULL, payload jsonb NOT NULL,
	happened timestamptz NOT NULL);
INSERT INTO events
SELECT n, 1 + n % {users}, jsonb_build_object('kind', (ARRAY['view',
		'click', 'login', 'purchase'])[1 + (random() * 3)::int],
	'session', md5('s' || n / 5), 'took', round(random()::numeric * 900, 3),
	'path', '/a/' || n % 977 || '/' || (random() * 1e6)::int, 'ok', n % 9 > 0,
	'device', jsonb_build_object('os', n % 6, 'size', jsonb_build_array(
		320 * (1 + n % 4), 480 * (1 + n % 3))), 'tags',
	jsonb_build_array('t' || n % 31, 't' || n % 17)),
	'2025-02-01Z'::timestamptz + n * interval '11.7 seconds'
FROM generate_series(1, {events}) n;

CREATE TABLE metrics (
	id bigint NOT NULL, device int NOT NULL, taken timestamptz NOT NULL,
	value numeric NOT NULL, reading double precision NOT NULL,
	buckets int[] NOT NULL);
INSERT INTO metrics
SELECT n, n % 5000, '2025-03-01Z'::timestamptz + n * interval '1.9 seconds',
	round((random() * 1e5)::numeric, 4), random() * 100, ARRAY[n % 7, n % 13,
	(random() * 100)::int, (random() * 1000)::int, n % 101]
FROM generate_series(1, {metrics}) n;

-- Files do not compress, as pictures do not; one of thirty is there twice.
CREATE TABLE files (
	id bigint NOT NULL, user_id bigint NOT NULL, name text NOT NULL,
	content bytea NOT NULL);
ALTER TABLE files ALTER content SET STORAGE external;
INSERT INTO files
SELECT n, 1 + n % {users}, 'picture ' || n || '.jpeg', (SELECT
	string_agg(sha512((f || '-' || i)::bytea), ''::bytea)
	FROM generate_series(1, 150 + f * 7919 % 900) i)
FROM (SELECT n, CASE WHEN n % 30 = 0 THEN n - 1 ELSE n END AS f
	FROM generate_series(1, {files}) n) numbers;

ALTER TABLE users ADD PRIMARY KEY (id);
ALTER TABLE messages ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE metrics ADD PRIMARY KEY (id);
ALTER TABLE files ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX ON users (email);
CREATE INDEX ON messages (thread);
CREATE INDEX ON messages (user_id, sent);
CREATE INDEX ON events USING gin (payload jsonb_path_ops);
CREATE INDEX ON metrics (device, taken);
ALTER TABLE messages ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE events ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE files ADD FOREIGN KEY (user_id) REFERENCES users;
"""

ROWS = {"users": 200000, "messages": 1200000, "events": 700000,
        "metrics": 1900000, "files": 5400}

# What changes of a row, by table; files are not edited.
CHANGES = {
    "users": "balance = balance + 1",
    "messages": "body = 'Edited: ' || body",
    "events": "payload = payload || '{\"edited\": %d}'",
    "metrics": "value = value + 1",
}


def fill(postgres, name, scale):
    postgres.create_database(name)
    rows = {table: max(1, int(count * scale))
            for table, count in ROWS.items()}
    with postgres.connect(name) as connection:
        connection.execute(STATEMENTS.format(**rows))
        connection.execute("VACUUM ANALYZE")


def fill_pgbench(postgres, name, scale):
    """One table that has nearly everything, at scale 1 of 1 GB."""
    postgres.create_database(name)
    subprocess.run(
        ["pgbench", "-i", "-q", "-s", str(max(1, int(100 * scale))),
         postgres.conninfo(name)], check=True,
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    postgres.execute(name, "CHECKPOINT")


def change(postgres, name, number, is_recent):
    """One row of a hundred of every table but the files, at random places; or
    where `is_recent` one of ten of the newest tenth."""
    where = "abs(hashint8(id)::bigint) %% 100 = %d" % number
    if is_recent:
        where = ("abs(hashint8(id)::bigint) %% 10 = %d AND"
                 " id > (SELECT max(id) * 0.9 FROM {table})" % (number % 10))
    with postgres.connect(name) as connection:
        for table, change_of in CHANGES.items():
            connection.execute("UPDATE %s SET %s WHERE %s" % (
                table, change_of.replace("%d", str(number)),
                where.replace("{table}", table)))
            connection.execute("VACUUM " + table)

-- SPDX-License-Identifier: Apache-2.0
--
-- About a million rows, made by the server itself and the same every time.
-- demo.scale multiplies them.

SET search_path = app, public;
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.2026);

CREATE FUNCTION pg_temp.scaled(n integer) RETURNS integer
	LANGUAGE sql STABLE AS
	$$ SELECT greatest(1, (n * current_setting('demo.scale')::numeric))::int $$;

-- A number below n that looks random and is not.
CREATE FUNCTION pg_temp.pick(seed bigint, n bigint) RETURNS bigint
	LANGUAGE sql IMMUTABLE AS
	$$ SELECT (hashint8(seed)::bigint & 2147483647) % n $$;

CREATE FUNCTION pg_temp.words(seed bigint, n integer) RETURNS text
	LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg((ARRAY['backup', 'Restore', 'größer', '日本語',
		'proof', E'back\\slash', E'tab\there', E'line\nend', 'naïve',
		'"quoted"', 'Ελλάδα', '🗄️', 'comma,', 'semi;', 'null', '\N',
		'table', 'object', 'the', 'of'])[1 + pg_temp.pick(seed + i * 31, 20)],
		' ' ORDER BY i)
	FROM generate_series(1, n) AS i $$;

CREATE FUNCTION pg_temp.uuid(kind text, n bigint) RETURNS uuid
	LANGUAGE sql IMMUTABLE AS $$ SELECT md5(kind || n)::uuid $$;

INSERT INTO organisation
SELECT pg_temp.uuid('organisation', n), 'Organisation ' || n,
	CASE n % 3 WHEN 0 THEN 'team' ELSE 'free' END,
	jsonb_build_object('theme', n % 5, 'limits', jsonb_build_array(n, n / 7.0),
		'odd key "' || n || '"', NULL),
	'2025-01-01Z'::timestamptz + n * interval '1 hour'
FROM generate_series(1, pg_temp.scaled(500)) AS n;

INSERT INTO account (organisation_id, email, given_name, family_name,
	password_hash, roles, birthday, created_at)
SELECT pg_temp.uuid('organisation', 1 + n % pg_temp.scaled(500)),
	'User' || n || '@example.org', CASE WHEN n % 17 > 0 THEN 'Ada' || n END,
	CASE n % 4 WHEN 0 THEN 'Łukasiewicz' WHEN 1 THEN '' ELSE 'Smith' END,
	decode(md5(n::text) || md5('b' || n), 'hex'),
	CASE n % 5 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['admin', NULL, 'a "b" {c}']
		ELSE ARRAY['reader'] END,
	CASE WHEN n % 9 > 0 THEN '1950-01-01'::date + n % 20000 END,
	'2025-02-01Z'::timestamptz + n * interval '1 minute'
FROM generate_series(1, pg_temp.scaled(20000)) AS n;

INSERT INTO login
SELECT pg_temp.uuid('login', n), 1 + pg_temp.pick(n, pg_temp.scaled(20000)),
	CASE WHEN n % 3 = 0 THEN ('2001:db8::' || to_hex(n % 65536))::inet
		ELSE '10.0.0.0'::inet + n END,
	CASE WHEN n % 2 = 0
		THEN ('08:00:2b:00:' || to_hex(n % 90 + 10) || ':01')::macaddr END,
	tstzrange('2026-01-01Z'::timestamptz + n * interval '1 second',
		CASE WHEN n % 10 > 0 THEN '2026-06-01Z'::timestamptz END, '[)'),
	decode(md5('t' || n), 'hex')
FROM generate_series(1, pg_temp.scaled(40000)) AS n;

INSERT INTO project (organisation_id, parent_id, title, budget, archived)
SELECT pg_temp.uuid('organisation', 1 + n % pg_temp.scaled(500)),
	CASE WHEN n > 10 THEN n / 2 END, pg_temp.words(n, 3),
	CASE WHEN n % 3 > 0 THEN ROW(n * 1.2345, 'EUR')::app.money END, n % 11 = 0
FROM generate_series(1, pg_temp.scaled(4000)) AS n;

INSERT INTO membership
SELECT 1 + n % pg_temp.scaled(4000), 1 + pg_temp.pick(n, pg_temp.scaled(20000)),
	'2025-06-01'::date + n % 100
FROM generate_series(1, pg_temp.scaled(50000)) AS n
ON CONFLICT DO NOTHING;

INSERT INTO task (project_id, assignee_id, title, body, state, labels,
	estimate, position, extra, updated_at)
SELECT 1 + n % pg_temp.scaled(4000),
	CASE WHEN n % 5 > 0 THEN 1 + pg_temp.pick(n, pg_temp.scaled(20000)) END,
	pg_temp.words(n, 4), CASE WHEN n % 6 > 0 THEN pg_temp.words(n, 12) END,
	(enum_range(NULL::app.task_state))[1 + n % 4],
	CASE WHEN n % 2 = 0 THEN ARRAY['label ' || n % 50, 'x'] ELSE '{}' END,
	n % 1000 * interval '1 hour 3 seconds',
	CASE n % 10000 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity'
		ELSE sqrt(n) END,
	CASE WHEN n % 4 = 0
		THEN jsonb_build_object('n', n, 'deep', jsonb_build_object('a',
			ARRAY[n, n * 2], 'u', 'é' || n)) END,
	'2026-01-01Z'::timestamptz + n * interval '1.000001 second'
FROM generate_series(1, pg_temp.scaled(120000)) AS n;

INSERT INTO comment (task_id, author_id, body, reactions, written_at)
SELECT 1 + pg_temp.pick(n, pg_temp.scaled(120000)),
	1 + pg_temp.pick(-n, pg_temp.scaled(20000)),
	CASE WHEN n % 20000 = 0 THEN repeat(md5(n::text), 3000)
		ELSE pg_temp.words(n, 8) END,
	CASE WHEN n % 7 = 0 THEN jsonb_build_object('👍', n % 12) END,
	'2026-01-02Z'::timestamptz + n * interval '3 seconds'
FROM generate_series(1, pg_temp.scaled(200000)) AS n;

INSERT INTO event (account_id, kind, payload, happened_at)
SELECT 1 + pg_temp.pick(n, pg_temp.scaled(20000)),
	(ARRAY['view', 'edit', 'share', 'export'])[1 + n % 4],
	jsonb_build_object('n', n, 'path', '/p/' || n % 4000, 'ms', n % 977 / 10.0,
		'flags', jsonb_build_array(n % 2 = 0, NULL, n % 3)),
	'2025-12-20Z'::timestamptz + n * interval '20 seconds'
		/ current_setting('demo.scale')::numeric
FROM generate_series(1, pg_temp.scaled(420000)) AS n;

INSERT INTO "Billing & more"."Invoice"
SELECT 'INV-' || lpad(n::text, 7, '0'),
	pg_temp.uuid('organisation', 1 + n % pg_temp.scaled(500)),
	'2025-01-01'::date + n % 365, 0.19,
	CASE WHEN n % 100 = 0
		THEN xmlparse(CONTENT '<note n="' || n || '">ä &amp; b</note>') END
FROM generate_series(1, pg_temp.scaled(30000)) AS n;

INSERT INTO "Billing & more".line
SELECT 'INV-' || lpad((1 + n / 4)::text, 7, '0'), n % 4,
	n % 13 + 0.125, n % 9999 / 100.0
FROM generate_series(1, pg_temp.scaled(30000) * 4 - 4) AS n;

INSERT INTO document
SELECT n, lo_from_bytea(0, decode(repeat(md5(n::text), 1 + n * 97), 'hex')),
	'Document ' || n
FROM generate_series(1, 40) AS n;
SELECT lo_create(0);

INSERT INTO cache SELECT 'key ' || n, decode(md5(n::text), 'hex')
FROM generate_series(1, 1000) AS n;

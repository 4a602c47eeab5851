-- SPDX-License-Identifier: Apache-2.0
-- Forty people. What belongs to person n says "CANARY-n!"; what belongs to
-- nobody who asks says "CANARY-0!". Where several people share a row its text
-- names nobody, and the columns that do name somebody are left out, masked or
-- replaced by map.yaml.
CREATE FUNCTION pg_temp.canary(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$SELECT 'CANARY-' || $1 || '!'$$;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO regions VALUES (1, 'North', 'CANARY-0!'), (2, 'South', NULL);
INSERT INTO countries VALUES ('AA', 'Aland', 1), ('BB', 'Bland', 1),
    ('CC', 'Cland', 2);
INSERT INTO cities SELECT n, 'City ' || n, 'CANARY-0!',
    (ARRAY['AA', 'BB', 'CC'])[1 + n % 3] FROM generate_series(1, 9) n;
INSERT INTO addresses SELECT n, pg_temp.canary(n),
    CASE WHEN n % 5 > 0 THEN 1 + n % 9 END FROM generate_series(1, 40) n;
INSERT INTO tenants SELECT n, 'Tenant ' || n, 'plan ' || n, 'CANARY-0!'
    FROM generate_series(1, 4) n;
INSERT INTO users (id, tenant_id, uid, email, name, state, phone,
    password_hash, address_id, invited_by, avatar_key, created_at)
SELECT n, 1 + n % 4,
    ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
    pg_temp.canary(n) || '@example.org', pg_temp.canary(n),
    (ARRAY['new', 'active', 'it''s, [complicated]'])[1 + n % 3]::account_state,
    'SECRET-' || n, 'SECRET-' || n,
    CASE WHEN n % 6 > 0 THEN n END, nullif(n / 2, 0),
    CASE WHEN n % 3 > 0 THEN 'avatars/' || n || '.png' END,
    timestamptz '2025-01-01 00:00+00' + n * interval '1 day'
FROM generate_series(1, 40) n;
INSERT INTO memberships SELECT n, t, pg_temp.canary(n)
    FROM generate_series(1, 40) n, generate_series(1, 4) t
    WHERE t = 1 + n % 4 OR t = 1 + n % 3;
INSERT INTO categories SELECT n, 'Category ' || n, nullif(n / 2, 0)
    FROM generate_series(1, 15) n;
INSERT INTO products SELECT n, 'Product ' || n, n * 1.5, 'CANARY-0!',
    1 + n % 15 FROM generate_series(1, 50) n;
INSERT INTO orders SELECT 1 + u % 4, u * 10 + n, u, pg_temp.canary(u),
    timestamp '2025-06-01 12:00' + n * interval '100 days'
    FROM generate_series(1, 40) u, generate_series(1, u % 4) n;
-- The same number in another tenant is another order.
INSERT INTO orders SELECT 1 + (u + 1) % 4, u * 10 + n, u + 1,
    pg_temp.canary(u + 1), timestamp '2026-01-01'
    FROM generate_series(1, 39) u, generate_series(1, u % 4) n;
INSERT INTO order_lines SELECT o.tenant_id, o.id, n, 1 + (o.id * n) % 50,
    o.note FROM orders o, generate_series(1, 1 + o.id % 3) n;
INSERT INTO invoices SELECT u * 10 + n, u * 1000.10 + n,
    pg_temp.canary(u) || '@example.org'
    FROM generate_series(1, 40) u, generate_series(1, u % 3) n;
INSERT INTO payments SELECT row_number() OVER (ORDER BY tenant_id, id),
    tenant_id, id, (ARRAY['EUR', 'USD', 'JPY'])[1 + id % 3],
    placed_at::date, note FROM orders;
INSERT INTO events SELECT n, 'user',
    jsonb_build_object('user_id', (1 + n % 40)::text, 'what',
        pg_temp.canary(1 + n % 40)) FROM generate_series(1, 200) n;
INSERT INTO events SELECT 1000 + n, 'system', '{"user_id": "nobody"}'
    FROM generate_series(1, 20) n;
INSERT INTO visits SELECT n, (ARRAY['app', 'web'])[1 + n % 2], 1 + n % 37,
    pg_temp.canary(1 + n % 37) FROM generate_series(1, 300) n;
INSERT INTO documents SELECT n, n, pg_temp.canary(n)
    FROM generate_series(1, 40) n;
INSERT INTO contracts SELECT n, 1 + n % 40, pg_temp.canary(1 + n % 40),
    date '2026-01-01' + n FROM generate_series(20, 80) n;
INSERT INTO blocks SELECT n, n, 1 + (n * 7) % 40, pg_temp.canary(n),
    '2026-02-01 10:00+00' FROM generate_series(1, 40) n;
INSERT INTO tickets SELECT n, 1 + n % 40,
    CASE WHEN n % 4 > 0 THEN 1 + (n * 3) % 5 END, pg_temp.canary(1 + n % 40),
    '2026-03-01 00:00:00.25+00' FROM generate_series(1, 90) n;
INSERT INTO ticket_comments SELECT n, 1 + n % 90, 1 + (n * 11) % 40,
    pg_temp.canary(1 + (n * 11) % 40), 'comment ' || n
    FROM generate_series(1, 250) n;
INSERT INTO follows SELECT a, b FROM generate_series(1, 40) a,
    generate_series(1, 40) b WHERE (a * b) % 7 = 1 AND a <> b;
INSERT INTO invitations SELECT n, 1 + n % 40,
    CASE WHEN n % 2 = 0 THEN 1 + n % 40 END, pg_temp.canary(1 + n % 40)
    FROM generate_series(1, 60) n;
INSERT INTO conversations SELECT n, 'TALK-' || n || '!', 1 + n % 40
    FROM generate_series(1, 30) n;
INSERT INTO conversation_members SELECT c, u, pg_temp.canary(u)
    FROM generate_series(1, 30) c, generate_series(1, 40) u
    WHERE (c * u) % 11 = 3 OR u = c;
INSERT INTO messages SELECT row_number() OVER (ORDER BY c, u, n), c, u,
    'message in TALK-' || c || '!', pg_temp.canary(u), NULL
    FROM (SELECT m.conversation_id c, m.user_id u, n
        FROM conversation_members m, generate_series(1, 2) n) x;
UPDATE messages SET reply_to = id - 1 WHERE id % 3 = 0;
INSERT INTO message_reactions SELECT m.id, 1 + (m.id * 13) % 40,
    pg_temp.canary(1 + (m.id * 13) % 40), 'x' FROM messages m;
INSERT INTO groups SELECT g, 'Group ' || g, ARRAY(
    SELECT uid FROM users WHERE id % 8 = g % 8 ORDER BY id) || NULL::uuid
    FROM generate_series(1, 12) g;
INSERT INTO attachments SELECT n, 'User', n, 'attached/u' || n,
    pg_temp.canary(n) FROM generate_series(1, 40) n;
INSERT INTO attachments SELECT 100 + n, 'Message', n, 'attached/m' || n,
    pg_temp.canary(0) FROM generate_series(1, 60) n;
INSERT INTO notes SELECT n, (1 + n % 40)::text, pg_temp.canary(1 + n % 40)
    FROM generate_series(1, 80) n;
INSERT INTO notes VALUES (500, 'n/a', 'CANARY-0!'), (501, NULL, 'CANARY-0!');
INSERT INTO sessions SELECT
    ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid,
    1 + n % 45, pg_temp.canary(1 + n % 45) FROM generate_series(1, 90) n;
INSERT INTO wallets SELECT n, n, NULL, pg_temp.canary(n)
    FROM generate_series(1, 40) n;
INSERT INTO cards SELECT n, 1 + n % 40, pg_temp.canary(1 + n % 40)
    FROM generate_series(1, 100) n;
UPDATE wallets w SET current_card_id =
    (SELECT max(id) FROM cards WHERE wallet_id = w.id);
INSERT INTO plans SELECT n, 1 + n % 40, NULL, pg_temp.canary(1 + n % 40)
    FROM generate_series(1, 60) n;
INSERT INTO steps SELECT n, 1 + n % 60, pg_temp.canary(1 + (1 + n % 60) % 40)
    FROM generate_series(1, 120) n;
INSERT INTO tasks SELECT n, 1 + n % 120, s.text
    FROM generate_series(1, 200) n JOIN steps s ON s.id = 1 + n % 120;
UPDATE plans p SET last_task_id = (SELECT max(t.id) FROM tasks t
    JOIN steps s ON s.id = t.step_id WHERE s.plan_id = p.id);
INSERT INTO folders SELECT u, u, NULL, pg_temp.canary(u)
    FROM generate_series(1, 40) u;
INSERT INTO folders SELECT d * 100 + u, NULL,
    CASE d WHEN 1 THEN u ELSE (d - 1) * 100 + u END, pg_temp.canary(u)
    FROM generate_series(1, 40) u, generate_series(1, 6) d
    WHERE d <= u % 7 ORDER BY d;
INSERT INTO folder_files SELECT id, name, convert_to(name, 'UTF8')
    FROM folders;
INSERT INTO teams SELECT n, 'Team ' || n, NULL, 'CANARY-0!'
    FROM generate_series(1, 5) n;
INSERT INTO employees SELECT n, n * 2, 1 + n % 5, n * 1000
    FROM generate_series(1, 20) n;
UPDATE teams SET lead_id = id;
INSERT INTO profiles SELECT n, 'active', '{new,"it''s, [complicated]",NULL}',
    pg_temp.canary(n), daterange('2026-01-01', NULL),
    ROW (n * 1.25, 'a "quoted", unit')::measure,
    ARRAY[ROW (1, 'kg')::measure, NULL], decode('00ff5c', 'hex'),
    CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN 1.10 ELSE 1e30 + n END,
    ARRAY[1.5, NULL], jsonb_build_object('a', ARRAY[n, NULL], 'b', E'x\ny'),
    E'{"kept":\n  1.10, "kept": 2}', ARRAY['a', NULL, '', 'NULL', E'q"\\\n'],
    '[0:1][1:2]={{1,2},{3,4}}', '0044-03-15 BC', 'infinity',
    '1 day 02:03:04.5', '10.0.0.1/8', -0.0, 9007199254740993, n % 2 = 0
    FROM generate_series(1, 40) n;
INSERT INTO log_lines SELECT 1 + n % 40, pg_temp.canary(1 + n % 40)
    FROM generate_series(1, 80) n, generate_series(1, 2);
INSERT INTO "Odd Schema"."Odd.Table ""x""" SELECT n, 1 + n % 40,
    pg_temp.canary(1 + n % 40), E'a\\b\tc' FROM generate_series(1, 80) n;
INSERT INTO preferences SELECT n, pg_temp.canary(n)
    FROM generate_series(1, 40) n;
INSERT INTO api_tokens SELECT n, 1 + n % 40, 'SECRET-' || n,
    pg_temp.canary(1 + n % 40) FROM generate_series(1, 60) n;
INSERT INTO uploads SELECT n, 1 + n % 40,
    'u/' || 1 + n % 40 || '/' || n || '.txt', pg_temp.canary(1 + n % 40)
    FROM generate_series(1, 60) n;
INSERT INTO devices SELECT n, CASE WHEN n % 9 > 0 THEN 1 + n % 40 END,
    pg_temp.canary(CASE WHEN n % 9 > 0 THEN 1 + n % 40 ELSE 0 END)
    FROM generate_series(1, 100) n;
INSERT INTO device_pings SELECT n, 1 + n % 100, d.name
    FROM generate_series(1, 400) n JOIN devices d ON d.id = 1 + n % 100;
INSERT INTO recommendations SELECT u, n, pg_temp.canary(u)
    FROM generate_series(1, 40) u, generate_series(1, 3) n;
INSERT INTO audit_log SELECT n, 1 + n % 40, 'CANARY-0!'
    FROM generate_series(1, 100) n;
INSERT INTO schema_migrations SELECT generate_series(1, 9);
INSERT INTO feature_flags VALUES ('CANARY-0!', true);
COMMIT;
ANALYZE;

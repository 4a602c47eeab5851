-- SPDX-License-Identifier: Apache-2.0
--
-- A day's work: about one row of a hundred is changed, added or removed.

SET search_path = app, public;

UPDATE task SET title = title || ' (changed)', state = 'done'
	WHERE id % 100 = 7;
UPDATE comment SET body = 'Edited: ' || body WHERE id % 100 = 13;
UPDATE account SET given_name = 'Grace' WHERE id % 100 = 21;
INSERT INTO event (account_id, kind, payload, happened_at)
	SELECT 1 + id % 100, 'view', '{"day": 2}',
		'2026-03-30Z'::timestamptz + id * interval '1 second'
	FROM event WHERE id % 100 = 3;
DELETE FROM event WHERE id % 100 = 50;
INSERT INTO "empty" VALUES (1, NULL), (NULL, DEFAULT), (3, '');
SELECT nextval('ticket_number');
SELECT lo_put(large_object, 100, '\xdeadbeef') FROM document WHERE id = 7;
SELECT lo_unlink(large_object) FROM document WHERE id = 8;
DELETE FROM document WHERE id = 8;
REFRESH MATERIALIZED VIEW task_count;

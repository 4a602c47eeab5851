# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a restore: each kind of damage as it is done to what
is there, how it is undone, and what backup-verify has to say of it.

A kind of damage to a database is SQL; {db} is its name. `says` is what one of
the lines that fail has to hold: the name of the thing, and where there is more
to say, that. All of its words, in this order."""

from collections import namedtuple

Kind = namedtuple("Kind", "name says do undo")


def _kinds(text):
    """name | says | SQL that damages | SQL that undoes it"""
    kinds = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, says, do, undo = (part.strip() for part in line.split(" | "))
            kinds.append(Kind(name, says, do, undo))
    return kinds


ROWS = _kinds("""
a row is lost | data/public.log_a rows 20 19 | DELETE FROM log_a WHERE at = 7 | INSERT INTO log_a VALUES (7, 'a 7')
a row is there twice | data/public.log_a rows 20 21 | INSERT INTO log_a VALUES (7, 'a 7') | DELETE FROM log_a WHERE ctid = (SELECT max(ctid) FROM log_a WHERE at = 7)
one row for another | data/public.log_a rowhash | UPDATE log_a SET at = 8, line = 'a 8' WHERE at = 7 | UPDATE log_a SET at = 7, line = 'a 7' WHERE ctid = (SELECT max(ctid) FROM log_a WHERE at = 8)
a row that was not there | data/public.log_a rows 20 21 | INSERT INTO log_a VALUES (99, 'new') | DELETE FROM log_a WHERE at = 99
a table is empty | data/public.log_a rows 20 0 | TRUNCATE log_a | INSERT INTO log_a SELECT n, 'a ' || n FROM generate_series(1, 20) n
rows of two tables swapped | data/public.log_a rowhash | UPDATE log_a SET line = 'b 7' WHERE at = 7; UPDATE log_b SET line = 'a 7' WHERE at = 7 | UPDATE log_a SET line = 'a 7' WHERE at = 7; UPDATE log_b SET line = 'b 7' WHERE at = 7
a value changed | data/public.customer rowhash | UPDATE customer SET note = 'nota' WHERE id = 7 | UPDATE customer SET note = 'note' WHERE id = 7
values of two rows swapped | data/public.customer rowhash | UPDATE customer SET name = 'customer ' || (15 - id) WHERE id IN (7, 8) | UPDATE customer SET name = 'customer ' || id WHERE id IN (7, 8)
values of two columns swapped | data/public.customer rowhash | UPDATE customer SET note = nick, nick = note WHERE id = 7 | UPDATE customer SET note = nick, nick = note WHERE id = 7
null became empty | data/public.customer rowhash | UPDATE customer SET note = '' WHERE id = 7 | UPDATE customer SET note = 'note' WHERE id = 7
a value became null | data/public.customer rowhash | UPDATE customer SET note = NULL WHERE id = 7 | UPDATE customer SET note = 'note' WHERE id = 7
a space more | data/public.customer rowhash | UPDATE customer SET nick = 'nick ' WHERE id = 7 | UPDATE customer SET nick = 'nick' WHERE id = 7
another scale | data/public.customer rowhash | UPDATE customer SET amount = 1.50 WHERE id = 7 | UPDATE customer SET amount = 1.5 WHERE id = 7
a negative zero | data/public.customer rowhash | UPDATE customer SET score = '-0' WHERE id = 7 | UPDATE customer SET score = 0 WHERE id = 7
a microsecond | data/public.customer rowhash | UPDATE customer SET born = born + interval '1 microsecond' WHERE id = 7 | UPDATE customer SET born = born - interval '1 microsecond' WHERE id = 7
a label of an enum in one row | data/public.customer rowhash | UPDATE customer SET feels = 'sad' WHERE id = 7 | UPDATE customer SET feels = 'well' WHERE id = 7
a row in another partition | data/public.event rowhash | UPDATE event SET day = '2026-05-05' WHERE what = 'old' | UPDATE event SET day = '2025-05-05' WHERE what = 'old'
a table is missing | data/public.log_a not found | ALTER TABLE log_a RENAME TO log_c | ALTER TABLE log_c RENAME TO log_a
a table too many | data/public.more not in the snapshot | CREATE TABLE more () | DROP TABLE more
a table in another schema | data/public.log_a not found | ALTER TABLE log_a SET SCHEMA shop | ALTER TABLE shop.log_a SET SCHEMA public
""")

LARGE_OBJECTS = _kinds("""
a large object changed | largeobjects/4711 content | SELECT lo_put(4711, 0, 'A') | SELECT lo_put(4711, 0, 'a')
a large object is longer | largeobjects/4711 size 14 15 | SELECT lo_put(4711, 14, '!') | SELECT lo_truncate(lo_open(4711, 131072), 14)
a large object is missing | largeobjects/4712 not found | SELECT lo_unlink(4712) | SELECT lo_from_bytea(4712, 'another')
a large object too many | largeobjects/4713 not in the snapshot | SELECT lo_create(4713) | SELECT lo_unlink(4713)
a large object of another owner | largeobjects/4711 owner mut_owner | ALTER LARGE OBJECT 4711 OWNER TO postgres | ALTER LARGE OBJECT 4711 OWNER TO mut_owner
a large object granted | largeobjects/4712 acl | GRANT SELECT ON LARGE OBJECT 4712 TO mut_reader | SELECT lo_unlink(4712); SELECT lo_from_bytea(4712, 'another')
""")

TABLES = _kinds("""
a column of another name | data/public.log_a columns born | ALTER TABLE log_a RENAME line TO born | ALTER TABLE log_a RENAME born TO line
a column too many | log_a extra | ALTER TABLE log_a ADD extra int | ALTER TABLE log_a DROP extra
columns in another order | log_a line at | DROP TABLE log_a; CREATE TABLE log_a (line text, at int); INSERT INTO log_a SELECT 'a ' || n, n FROM generate_series(1, 20) n | DROP TABLE log_a; CREATE TABLE log_a (at int, line text); INSERT INTO log_a SELECT n, 'a ' || n FROM generate_series(1, 20) n
a column of another type | at bigint | ALTER TABLE log_a ALTER at TYPE bigint | ALTER TABLE log_a ALTER at TYPE int
a shorter column | nick varying(41) | ALTER TABLE customer ALTER nick TYPE varchar(41) | ALTER TABLE customer ALTER nick TYPE varchar(40)
another collation | note posix | ALTER TABLE customer ALTER note TYPE text COLLATE posix | ALTER TABLE customer ALTER note TYPE text COLLATE plain
a default changed | 'somebody' | ALTER TABLE customer ALTER name SET DEFAULT 'somebody' | ALTER TABLE customer ALTER name SET DEFAULT 'nobody'
a default is gone | 'nobody' | ALTER TABLE customer ALTER name DROP DEFAULT | ALTER TABLE customer ALTER name SET DEFAULT 'nobody'
a column may be null | name NOT NULL | ALTER TABLE customer ALTER name DROP NOT NULL | ALTER TABLE customer ALTER name SET NOT NULL
a column is not generated any more | loud GENERATED | ALTER TABLE customer ALTER loud DROP EXPRESSION | ALTER TABLE customer DROP loud; ALTER TABLE customer DROP score, DROP amount, DROP born; ALTER TABLE customer ADD loud text GENERATED ALWAYS AS (name || '!') STORED, ADD score float8 DEFAULT 0, ADD amount numeric DEFAULT 1.5, ADD born timestamptz DEFAULT '2026-01-01 12:00:00.123456+00'; ALTER TABLE customer ALTER score DROP DEFAULT, ALTER amount DROP DEFAULT, ALTER born DROP DEFAULT
an identity is gone | invoice_id_seq | ALTER TABLE invoice ALTER id DROP IDENTITY | ALTER TABLE invoice ALTER id ADD GENERATED BY DEFAULT AS IDENTITY; SELECT setval('invoice_id_seq', 50)
an identity is stricter | GENERATED ALWAYS | ALTER TABLE invoice ALTER id SET GENERATED ALWAYS | ALTER TABLE invoice ALTER id SET GENERATED BY DEFAULT
a storage setting | fillfactor | ALTER TABLE log_a SET (fillfactor = 50) | ALTER TABLE log_a RESET (fillfactor)
a table is not logged | UNLOGGED log_a | ALTER TABLE log_a SET UNLOGGED | ALTER TABLE log_a SET LOGGED
another replica identity | REPLICA IDENTITY FULL | ALTER TABLE log_a REPLICA IDENTITY FULL | ALTER TABLE log_a REPLICA IDENTITY DEFAULT
a target of statistics | STATISTICS 500 | ALTER TABLE log_a ALTER at SET STATISTICS 500 | ALTER TABLE log_a ALTER at SET STATISTICS -1
a table of another owner | log_a mut_owner | ALTER TABLE log_a OWNER TO mut_owner | ALTER TABLE log_a OWNER TO postgres
a comment changed | 'who pays' | COMMENT ON TABLE customer IS 'who owes' | COMMENT ON TABLE customer IS 'who pays'
a comment is gone | comments COLUMN customer.note is missing | COMMENT ON COLUMN customer.note IS NULL | COMMENT ON COLUMN customer.note IS 'what is said'
a partition is detached | event_2025 | ALTER TABLE event DETACH PARTITION event_2025 | ALTER TABLE event ATTACH PARTITION event_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
another bound of a partition | event_2026 2028 | ALTER TABLE event DETACH PARTITION event_2026; ALTER TABLE event ATTACH PARTITION event_2026 FOR VALUES FROM ('2026-01-01') TO ('2028-01-01') | ALTER TABLE event DETACH PARTITION event_2026; ALTER TABLE event ATTACH PARTITION event_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
""")

CONSTRAINTS = _kinds("""
an index is missing | of_customer_index | DROP INDEX of_customer_index | CREATE INDEX of_customer_index ON invoice (customer)
an index is not valid | of_customer_index | UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'of_customer_index'::regclass | UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'of_customer_index'::regclass
an index of another column | of_customer_index total | DROP INDEX of_customer_index; CREATE INDEX of_customer_index ON invoice (total) | DROP INDEX of_customer_index; CREATE INDEX of_customer_index ON invoice (customer)
an index too many | another_index | CREATE INDEX another_index ON invoice (total) | DROP INDEX another_index
a unique constraint is gone | one_email | ALTER TABLE customer DROP CONSTRAINT one_email | ALTER TABLE customer ADD CONSTRAINT one_email UNIQUE (email)
a unique constraint is but an index | one_email | ALTER TABLE customer DROP CONSTRAINT one_email; CREATE INDEX one_email ON customer (email) | DROP INDEX one_email; ALTER TABLE customer ADD CONSTRAINT one_email UNIQUE (email)
a foreign key is missing | of_customer | ALTER TABLE invoice DROP CONSTRAINT of_customer | ALTER TABLE invoice ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customer ON DELETE CASCADE
a foreign key is not valid | of_customer NOT VALID | ALTER TABLE invoice DROP CONSTRAINT of_customer; ALTER TABLE invoice ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customer ON DELETE CASCADE NOT VALID | ALTER TABLE invoice VALIDATE CONSTRAINT of_customer
a foreign key that does something else | of_customer CASCADE | ALTER TABLE invoice DROP CONSTRAINT of_customer; ALTER TABLE invoice ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customer | ALTER TABLE invoice DROP CONSTRAINT of_customer; ALTER TABLE invoice ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customer ON DELETE CASCADE
a check is missing | has_name | ALTER TABLE customer DROP CONSTRAINT has_name | ALTER TABLE customer ADD CONSTRAINT has_name CHECK (name <> '')
a check changed | customer '' 'x' | ALTER TABLE customer DROP CONSTRAINT has_name; ALTER TABLE customer ADD CONSTRAINT has_name CHECK (name <> 'x') | ALTER TABLE customer DROP CONSTRAINT has_name; ALTER TABLE customer ADD CONSTRAINT has_name CHECK (name <> '')
an exclusion is gone | no_overlap | ALTER TABLE invoice DROP CONSTRAINT no_overlap | ALTER TABLE invoice ADD CONSTRAINT no_overlap EXCLUDE USING gist (day WITH &&)
a sequence is behind | ticket 4200 | SELECT setval('ticket', 4100) | SELECT setval('ticket', 4200)
a sequence is ahead | ticket 4200 | SELECT setval('ticket', 4201) | SELECT setval('ticket', 4200)
a sequence was not called | ticket true | SELECT setval('ticket', 4200, false) | SELECT setval('ticket', 4200)
a sequence with another step | INCREMENT BY 2 | ALTER SEQUENCE ticket INCREMENT 2 | ALTER SEQUENCE ticket INCREMENT 1
""")

CODE = _kinds("""
a label of an enum renamed | mood proud vain | ALTER TYPE mood RENAME VALUE 'proud' TO 'vain' | ALTER TYPE mood RENAME VALUE 'vain' TO 'proud'
labels of an enum in another order | mood sad glad | UPDATE pg_enum SET enumsortorder = 9 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'sad'; UPDATE pg_enum SET enumsortorder = 1 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'glad'; UPDATE pg_enum SET enumsortorder = 3 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'sad' | UPDATE pg_enum SET enumsortorder = 9 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'glad'; UPDATE pg_enum SET enumsortorder = 1 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'sad'; UPDATE pg_enum SET enumsortorder = 3 WHERE enumtypid = 'mood'::regtype AND enumlabel = 'glad'
a type with another field | address town place | ALTER TYPE address RENAME ATTRIBUTE town TO place | ALTER TYPE address RENAME ATTRIBUTE place TO town
fields of a type in another order | address street zip | DROP TYPE address; CREATE TYPE address AS (zip text, street text, town text) | DROP TYPE address; CREATE TYPE address AS (street text, zip text, town text)
a check of a domain is gone | not_below | ALTER DOMAIN price DROP CONSTRAINT not_below | ALTER DOMAIN price ADD CONSTRAINT not_below CHECK (VALUE >= 0)
a view changed | debtor sum avg | CREATE OR REPLACE VIEW debtor AS SELECT customer, avg(total) AS owes FROM invoice GROUP BY customer | CREATE OR REPLACE VIEW debtor AS SELECT customer, sum(total) AS owes FROM invoice GROUP BY customer
a view is missing | debtor | ALTER VIEW debtor RENAME TO creditor | ALTER VIEW creditor RENAME TO debtor
a materialised view is empty | best populated | REFRESH MATERIALIZED VIEW best WITH NO DATA | REFRESH MATERIALIZED VIEW best
an index of a materialised view | best_customer | DROP INDEX best_customer | CREATE INDEX best_customer ON best (customer)
a function changed | tax 0.19 0.16 | CREATE OR REPLACE FUNCTION tax(x numeric) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT x * 0.16' | CREATE OR REPLACE FUNCTION tax(x numeric) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT x * 0.19'
a function in another order | steps PERFORM 1 PERFORM 3 | CREATE OR REPLACE FUNCTION steps() RETURNS void LANGUAGE plpgsql AS E'\\nBEGIN\\n    PERFORM 3;\\n    PERFORM 2;\\n    PERFORM 1;\\nEND ' | CREATE OR REPLACE FUNCTION steps() RETURNS void LANGUAGE plpgsql AS E'\\nBEGIN\\n    PERFORM 1;\\n    PERFORM 2;\\n    PERFORM 3;\\nEND '
a function with other rights | tax SECURITY DEFINER | ALTER FUNCTION tax SECURITY DEFINER | ALTER FUNCTION tax SECURITY INVOKER
a function is missing | tax | ALTER FUNCTION tax RENAME TO levy | ALTER FUNCTION levy RENAME TO tax
an aggregate is missing | total(integer) | DROP AGGREGATE total (int) | CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0')
a trigger is missing | touched | DROP TRIGGER touched ON invoice | CREATE TRIGGER touched BEFORE UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION touch()
a trigger is disabled | DISABLE TRIGGER touched | ALTER TABLE invoice DISABLE TRIGGER touched | ALTER TABLE invoice ENABLE TRIGGER touched
an event trigger is enabled | watcher DISABLE | ALTER EVENT TRIGGER watcher ENABLE | ALTER EVENT TRIGGER watcher DISABLE
a rule is missing | no_loss | DROP RULE no_loss ON log_b | CREATE RULE no_loss AS ON DELETE TO log_b DO INSTEAD NOTHING
a policy is gone | own_rows | DROP POLICY own_rows ON customer | CREATE POLICY own_rows ON customer FOR SELECT TO mut_reader USING (name = CURRENT_USER)
a policy is wider | own_rows true | ALTER POLICY own_rows ON customer USING (true) | ALTER POLICY own_rows ON customer USING (name = CURRENT_USER)
policies do not count | policies customer is missing | ALTER TABLE customer DISABLE ROW LEVEL SECURITY | ALTER TABLE customer ENABLE ROW LEVEL SECURITY
an extension is missing | pg_trgm is missing | DROP EXTENSION pg_trgm | CREATE EXTENSION pg_trgm VERSION '1.4'
an extension in another schema | pg_trgm shop | ALTER EXTENSION pg_trgm SET SCHEMA shop | ALTER EXTENSION pg_trgm SET SCHEMA public
statistics of columns together | together | DROP STATISTICS together | CREATE STATISTICS together (dependencies) ON customer, total FROM invoice
a publication lacks a table | sent invoice | ALTER PUBLICATION sent DROP TABLE invoice | ALTER PUBLICATION sent ADD TABLE invoice
a server elsewhere | db.example.org | ALTER SERVER elsewhere OPTIONS (SET host 'db2.example.org') | ALTER SERVER elsewhere OPTIONS (SET host 'db.example.org')
a schema too many | another_schema | CREATE SCHEMA another_schema | DROP SCHEMA another_schema
""")

RIGHTS = _kinds("""
a grant is gone | grants TABLE customer is missing | REVOKE SELECT ON customer FROM mut_reader; GRANT UPDATE (note) ON customer TO mut_reader | GRANT SELECT ON customer TO mut_reader
a grant too many | DELETE customer mut_reader | GRANT DELETE ON customer TO mut_reader | REVOKE DELETE ON customer FROM mut_reader
a grant to everybody | grants TABLE invoice is there and was not | GRANT SELECT ON invoice TO PUBLIC | REVOKE SELECT ON invoice FROM PUBLIC
a grant that may be passed on | WITH GRANT OPTION | GRANT SELECT ON customer TO mut_reader WITH GRANT OPTION | REVOKE GRANT OPTION FOR SELECT ON customer FROM mut_reader
a grant of a column is gone | grants COLUMN customer.note is missing | REVOKE UPDATE (note) ON customer FROM mut_reader | GRANT UPDATE (note) ON customer TO mut_reader
a grant of a schema is gone | grants SCHEMA shop is missing | REVOKE USAGE ON SCHEMA shop FROM mut_reader | GRANT USAGE ON SCHEMA shop TO mut_reader
a function that not everybody may call | FUNCTION tax | REVOKE EXECUTE ON FUNCTION tax FROM PUBLIC | GRANT EXECUTE ON FUNCTION tax TO PUBLIC
what is granted of new tables | grants DEFAULT PRIVILEGES FOR TABLES is missing | ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM mut_reader | ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO mut_reader
a schema of another owner | shop mut_owner | ALTER SCHEMA shop OWNER TO postgres | ALTER SCHEMA shop OWNER TO mut_owner
a function of another owner | tax mut_owner | ALTER FUNCTION tax OWNER TO mut_owner | ALTER FUNCTION tax OWNER TO postgres
a role may do more | mut_reader CREATEDB | ALTER ROLE mut_reader CREATEDB | ALTER ROLE mut_reader NOCREATEDB
a role may not log in | mut_owner LOGIN | ALTER ROLE mut_owner NOLOGIN | ALTER ROLE mut_owner LOGIN
a role is missing | mut_idle | DROP ROLE mut_idle | CREATE ROLE mut_idle
a role too many | mut_new | CREATE ROLE mut_new | DROP ROLE mut_new
a role is no member any more | mut_reader mut_owner | REVOKE mut_reader FROM mut_owner | GRANT mut_reader TO mut_owner
a setting of a role | mut_reader work_mem | ALTER ROLE mut_reader SET work_mem = '9MB' | ALTER ROLE mut_reader RESET work_mem
""")

DATABASES = _kinds("""
a setting of the database | settings[work_mem] 7MB 8MB | ALTER DATABASE {db} SET work_mem = '8MB' | ALTER DATABASE {db} SET work_mem = '7MB'
a setting of the database is gone | work_mem | ALTER DATABASE {db} RESET work_mem | ALTER DATABASE {db} SET work_mem = '7MB'
a setting of a role in the database | search_path | ALTER ROLE mut_reader IN DATABASE {db} SET search_path = shop | ALTER ROLE mut_reader IN DATABASE {db} RESET search_path
a database of another owner | owner mut_owner | ALTER DATABASE {db} OWNER TO mut_owner | ALTER DATABASE {db} OWNER TO postgres
a grant of the database | mut_reader | GRANT CREATE ON DATABASE {db} TO mut_reader | REVOKE CREATE ON DATABASE {db} FROM mut_reader
connections of the database | connection_limit | ALTER DATABASE {db} CONNECTION LIMIT 7 | ALTER DATABASE {db} CONNECTION LIMIT -1
a comment of the database | comment everything | COMMENT ON DATABASE {db} IS NULL | COMMENT ON DATABASE {db} IS 'everything'
another locale | collate | UPDATE pg_database SET datcollate = 'C' WHERE datname = '{db}' | UPDATE pg_database SET datcollate = 'C.UTF-8' WHERE datname = '{db}'
another encoding | encoding | UPDATE pg_database SET encoding = 0 WHERE datname = '{db}' | UPDATE pg_database SET encoding = 6 WHERE datname = '{db}'
""")

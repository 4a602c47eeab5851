-- SPDX-License-Identifier: Apache-2.0
-- One of everything that PostgreSQL 15 can define, in the order of its list of
-- CREATE commands as far as one thing does not need another; each kind with
-- the options that it has. Loaded by psql; test_everything.py looks whether a
-- kind is missing. Security labels need a module that no package has.
SET client_min_messages = error;
SELECT current_setting('server_version_num')::int >= 150000 AS is_15 \gset
CREATE EXTENSION IF NOT EXISTS postgres_fdw SCHEMA public;
CREATE SCHEMA every;
CREATE SCHEMA aside AUTHORIZATION every_owner;
SET search_path = every;

-- ACCESS METHOD
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD tree_too TYPE INDEX HANDLER bthandler;

-- COLLATION, CONVERSION
CREATE COLLATION by_number (provider = icu, locale = 'en-u-kn-true');
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',
    deterministic = false);
CREATE COLLATION plain (provider = libc, locale = 'C');
CREATE COLLATION like_plain FROM "C";
CREATE CONVERSION to_latin FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE DEFAULT CONVERSION from_latin FOR 'LATIN1' TO 'UTF8'
    FROM iso8859_1_to_utf8;

-- TYPE: shell, enum, composite, range, base; DOMAIN
CREATE TYPE shell;
CREATE TYPE colour AS ENUM ('red', 'it''s green', 'blue');
ALTER TYPE colour ADD VALUE 'violet' AFTER 'blue';
ALTER TYPE colour RENAME VALUE 'red' TO 'dark red';
CREATE TYPE no_value AS ENUM ();
CREATE TYPE pair AS (a int, b text COLLATE plain);
CREATE TYPE no_field AS ();
ALTER TYPE pair ADD ATTRIBUTE c numeric(8, 2);
ALTER TYPE pair DROP ATTRIBUTE a;
CREATE FUNCTION gap(a timestamp, b timestamp) RETURNS float8
    LANGUAGE sql IMMUTABLE STRICT
    RETURN extract(epoch FROM a - b);
CREATE TYPE period AS RANGE (subtype = timestamp, subtype_diff = gap,
    multirange_type_name = periods);
CREATE TYPE words AS RANGE (subtype = text, collation = "C",
    subtype_opclass = text_pattern_ops);
CREATE TYPE number;
CREATE FUNCTION number_in(cstring) RETURNS number
    LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION number_out(number) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE FUNCTION number_recv(internal) RETURNS number
    LANGUAGE internal IMMUTABLE STRICT AS 'int4recv';
CREATE FUNCTION number_send(number) RETURNS bytea
    LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
CREATE TYPE number (input = number_in, output = number_out,
    receive = number_recv, send = number_send, like = int4,
    category = 'N', default = '7', delimiter = ';');
CREATE DOMAIN positive AS int DEFAULT 3 NOT NULL
    CONSTRAINT above_zero CHECK (VALUE > 0);
ALTER DOMAIN positive ADD CONSTRAINT below CHECK (VALUE < 10000) NOT VALID;
CREATE DOMAIN short AS varchar(5) COLLATE by_number;
CREATE DOMAIN positives AS positive[] CHECK (cardinality(VALUE) < 9);
CREATE DOMAIN shorter AS short CHECK (length(VALUE) < 4);

-- FUNCTION, PROCEDURE
CREATE FUNCTION options(a int, b text DEFAULT 'it''s', VARIADIC c int[] = '{}',
    OUT d int, OUT e text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT LEAKPROOF SECURITY DEFINER PARALLEL SAFE
    COST 7 ROWS 3 SET search_path = every, pg_temp
    SET work_mem FROM CURRENT AS $f$
BEGIN
	d := a; e := $$quoted '$$ || b; RETURN NEXT;
END $f$;
CREATE FUNCTION returns_table(n int) RETURNS TABLE (i int, t text)
    LANGUAGE sql BEGIN ATOMIC
	SELECT s, repeat('x', s) FROM generate_series(1, n) AS s;
	SELECT 2, 'y';
    END;
CREATE FUNCTION anything(a anyelement, b anyarray) RETURNS anyelement
    LANGUAGE sql IMMUTABLE AS 'SELECT a';
CREATE FUNCTION my_rank() RETURNS bigint LANGUAGE internal WINDOW
    AS 'window_rank';
CREATE FUNCTION with_support(int, int) RETURNS SETOF int
    LANGUAGE internal IMMUTABLE STRICT AS 'generate_series_int4';
ALTER FUNCTION with_support SUPPORT generate_series_int4_support;
CREATE PROCEDURE proceed(INOUT a int, b text = NULL)
    LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC'
    AS 'BEGIN a := a + 1; COMMIT; END';
CREATE PROCEDURE atomic(x int) LANGUAGE sql BEGIN ATOMIC SELECT x; END;
ALTER FUNCTION anything DEPENDS ON EXTENSION plpgsql;

-- AGGREGATE
CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0',
    combinefunc = int4pl, msfunc = int4pl, minvfunc = int4mi, mstype = int,
    minitcond = '0', parallel = safe, sspace = 16);
CREATE AGGREGATE at_most (int) (sfunc = int4larger, stype = int,
    sortop = operator(pg_catalog.>));
CREATE AGGREGATE middle (float8 ORDER BY anyelement) (
    sfunc = ordered_set_transition, stype = internal,
    finalfunc = percentile_disc_final, finalfunc_extra);
CREATE AGGREGATE my_place (VARIADIC "any" ORDER BY VARIADIC "any") (
    sfunc = ordered_set_transition_multi, stype = internal,
    finalfunc = rank_final, finalfunc_extra, hypothetical);

-- CAST
CREATE FUNCTION to_number(int) RETURNS number
    LANGUAGE internal IMMUTABLE STRICT AS 'int4abs';
CREATE CAST (int AS number) WITH FUNCTION to_number(int) AS ASSIGNMENT;
CREATE CAST (number AS int) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (pair AS colour) WITH INOUT;

-- OPERATOR, OPERATOR FAMILY, OPERATOR CLASS
CREATE FUNCTION less(number, number) RETURNS bool
    LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
CREATE FUNCTION less_same(number, number) RETURNS bool
    LANGUAGE internal IMMUTABLE STRICT AS 'int4le';
CREATE FUNCTION same(number, number) RETURNS bool
    LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION differs(number, number) RETURNS bool
    LANGUAGE internal IMMUTABLE STRICT AS 'int4ne';
CREATE FUNCTION more_same(number, number) RETURNS bool
    LANGUAGE internal IMMUTABLE STRICT AS 'int4ge';
CREATE FUNCTION more(number, number) RETURNS bool
    LANGUAGE internal IMMUTABLE STRICT AS 'int4gt';
CREATE FUNCTION compared(number, number) RETURNS int
    LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE FUNCTION hashed(number) RETURNS int
    LANGUAGE internal IMMUTABLE STRICT AS 'hashint4';
CREATE FUNCTION negative(number) RETURNS number
    LANGUAGE internal IMMUTABLE STRICT AS 'int4um';
CREATE OPERATOR < (leftarg = number, rightarg = number, function = less,
    commutator = >, negator = >=, restrict = scalarltsel,
    join = scalarltjoinsel);
CREATE OPERATOR <= (leftarg = number, rightarg = number, function = less_same,
    commutator = >=, negator = >, restrict = scalarlesel,
    join = scalarlejoinsel);
CREATE OPERATOR = (leftarg = number, rightarg = number, function = same,
    commutator = =, negator = <>, restrict = eqsel, join = eqjoinsel,
    hashes, merges);
CREATE OPERATOR <> (leftarg = number, rightarg = number, function = differs,
    commutator = <>, negator = =, restrict = neqsel, join = neqjoinsel);
CREATE OPERATOR >= (leftarg = number, rightarg = number, function = more_same,
    commutator = <=, negator = <, restrict = scalargesel,
    join = scalargejoinsel);
CREATE OPERATOR > (leftarg = number, rightarg = number, function = more,
    commutator = <, negator = <=, restrict = scalargtsel,
    join = scalargtjoinsel);
CREATE OPERATOR -~ (rightarg = number, function = negative);
CREATE OPERATOR FAMILY loose USING btree;
ALTER OPERATOR FAMILY loose USING btree ADD
    OPERATOR 1 < (number, number), OPERATOR 2 <= (number, number),
    OPERATOR 3 = (number, number), OPERATOR 4 >= (number, number),
    OPERATOR 5 > (number, number), FUNCTION 1 compared(number, number);
CREATE OPERATOR CLASS number_ops DEFAULT FOR TYPE number USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 compared(number, number);
CREATE OPERATOR CLASS number_hash DEFAULT FOR TYPE number USING hash AS
    OPERATOR 1 =, FUNCTION 1 hashed(number);
CREATE OPERATOR CLASS tree_ops DEFAULT FOR TYPE bigint USING tree_too AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 btint8cmp(bigint, bigint);
CREATE OPERATOR CLASS spread_ops FOR TYPE point USING gist AS
    OPERATOR 15 <-> (point, point) FOR ORDER BY pg_catalog.float_ops,
    OPERATOR 11 |>> (point, point),
    FUNCTION 1 gist_point_consistent(internal, point, smallint, oid, internal),
    FUNCTION 2 gist_box_union(internal, internal),
    FUNCTION 3 gist_point_compress(internal),
    FUNCTION 5 gist_box_penalty(internal, internal, internal),
    FUNCTION 6 gist_box_picksplit(internal, internal),
    FUNCTION 7 gist_box_same(box, box, internal),
    FUNCTION 8 (point, point) gist_point_distance(internal, point, smallint,
	oid, internal),
    STORAGE box;

-- LANGUAGE, TRANSFORM. Those of another language's own handler pg_dump takes
-- for an extension.
CREATE FUNCTION pl_too_call() RETURNS language_handler
    LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION pl_too_inline(internal) RETURNS void
    LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION pl_too_check(oid) RETURNS void
    LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE pl_too HANDLER pl_too_call INLINE pl_too_inline
    VALIDATOR pl_too_check;
CREATE FUNCTION in_pl_too() RETURNS int LANGUAGE pl_too
    AS 'BEGIN RETURN 1; END';
CREATE TRANSFORM FOR int LANGUAGE pl_too (
    FROM SQL WITH FUNCTION prsd_lextype(internal),
    TO SQL WITH FUNCTION int4recv(internal));
CREATE FUNCTION transformed(int) RETURNS int TRANSFORM FOR TYPE int
    LANGUAGE pl_too AS 'BEGIN RETURN 1; END';

-- TEXT SEARCH
CREATE TEXT SEARCH TEMPLATE template (init = dsimple_init,
    lexize = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY dictionary (template = every.template,
    stopwords = 'english', accept = 'false');
CREATE TEXT SEARCH PARSER parser (start = prsd_start, gettoken = prsd_nexttoken,
    end = prsd_end, headline = prsd_headline, lextypes = prsd_lextype);
CREATE TEXT SEARCH CONFIGURATION configuration (parser = parser);
ALTER TEXT SEARCH CONFIGURATION configuration ADD MAPPING FOR asciiword, word
    WITH dictionary, english_stem;

-- SEQUENCE
CREATE SEQUENCE by_three AS smallint INCREMENT BY -3 MINVALUE -100 MAXVALUE 5
    START WITH 2 CACHE 4 CYCLE;
SELECT nextval('by_three');
CREATE SEQUENCE unused;
\if :is_15
CREATE UNLOGGED SEQUENCE unlogged_sequence;
SELECT nextval('unlogged_sequence');
\endif

-- TABLE
CREATE TABLE root (
    id bigint GENERATED ALWAYS AS IDENTITY
	(SEQUENCE NAME root_ids START 10 INCREMENT 10 CACHE 3),
    by_default int GENERATED BY DEFAULT AS IDENTITY,
    serial smallserial,
    code text COLLATE by_number DEFAULT 'a' || 'b' NOT NULL,
    colour colour, pair pair, pairs pair[], period period, periods periods,
    words words, number number DEFAULT '8', numbers number[],
    positive positive, shorter shorter,
    twice int GENERATED ALWAYS AS ((positive::int) * 2) STORED,
    packed text COMPRESSION pglz, outside text, main bytea,
    CONSTRAINT root_key PRIMARY KEY (id) INCLUDE (code)
	WITH (fillfactor = 80),
    CONSTRAINT code_once UNIQUE (code, by_default)
	DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT serial_once UNIQUE (serial) DEFERRABLE,
    CONSTRAINT no_inherit CHECK (id > 0) NO INHERIT,
    CONSTRAINT apart EXCLUDE USING gist (period WITH &&)
	WHERE (positive::int > 5) DEFERRABLE
) WITH (fillfactor = 70, autovacuum_enabled = false, parallel_workers = 2,
    toast.autovacuum_enabled = false, toast_tuple_target = 512);
ALTER TABLE root ALTER outside SET STORAGE EXTERNAL,
    ALTER main SET STORAGE MAIN, ALTER code SET STATISTICS 77,
    ALTER code SET (n_distinct = -0.5, n_distinct_inherited = 9);
INSERT INTO root (by_default, code, colour, pair, pairs, period, periods,
    words, number, numbers, positive, shorter, packed, outside, main)
SELECT n, 'c' || n, (enum_range(NULL::colour))[1 + n % 4], ROW('b', n)::pair,
    ARRAY[ROW(NULL, 1.5)::pair, NULL],
    period(timestamp '2026-01-01' + n * interval '1 h',
	timestamp '2026-01-01 01:00' + n * interval '1 h'),
    periods(period('2026-01-01', '2026-01-02')), words('a', 'b'),
    n::text::number, ARRAY[n, 2]::text[]::number[], n, 'abc',
    repeat('packed', 1000), repeat('outside', 1000), '\x00ff'
FROM generate_series(1, 50) AS n;
CREATE TABLE uses (
    id bigint REFERENCES root ON DELETE CASCADE ON UPDATE SET DEFAULT
	DEFERRABLE INITIALLY DEFERRED,
    code text, by_default int,
    CONSTRAINT loosely FOREIGN KEY (id) REFERENCES root NOT VALID);
INSERT INTO uses SELECT id FROM root;
\if :is_15
ALTER TABLE uses ADD COLUMN one int, ADD COLUMN two int,
    ADD UNIQUE NULLS NOT DISTINCT (one, id);
CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b));
ALTER TABLE uses ADD FOREIGN KEY (one, two) REFERENCES pairs
    MATCH SIMPLE ON DELETE SET NULL (two);
\endif
CREATE TABLE strict_pairs (a int, b int, UNIQUE (a, b));
ALTER TABLE uses ADD COLUMN a int, ADD COLUMN b int,
    ADD FOREIGN KEY (a, b) REFERENCES strict_pairs (a, b) MATCH FULL;
CREATE TABLE of_type OF pair (b WITH OPTIONS DEFAULT 'x',
    PRIMARY KEY (b));
INSERT INTO of_type VALUES ('typed', 1);
CREATE TABLE like_root (LIKE root INCLUDING ALL, more int);
CREATE UNLOGGED TABLE unlogged (n int);
INSERT INTO unlogged VALUES (1);
CREATE TABLE in_heap_too (n int) USING heap_too;
INSERT INTO in_heap_too VALUES (5);
CREATE TABLE as_query WITH (fillfactor = 50) AS
    SELECT n, n::text AS t FROM generate_series(1, 20) AS n;
CREATE TABLE father (a int, kept text);
CREATE TABLE mother (a int DEFAULT 5, b int CHECK (b < 100));
CREATE TABLE child (c int, CHECK (c IS NOT NULL)) INHERITS (father, mother);
ALTER TABLE child ALTER a SET DEFAULT 9;
INSERT INTO child (kept, b, c) VALUES ('k', 1, 2);
INSERT INTO father VALUES (1, 'f');
CREATE TABLE joined (c int, a int, b int, kept text,
    CHECK (b < 100) NO INHERIT);
ALTER TABLE joined DROP CONSTRAINT joined_b_check,
    ADD CONSTRAINT mother_b_check CHECK (b < 100), INHERIT mother;
ALTER TABLE root REPLICA IDENTITY USING INDEX root_key;
ALTER TABLE child REPLICA IDENTITY NOTHING;
ALTER TABLE uses REPLICA IDENTITY FULL;

-- Partitions of every kind
CREATE TABLE by_range (k int, at date NOT NULL, v text DEFAULT 'p')
    PARTITION BY RANGE (k, (at + 1));
CREATE TABLE range_low PARTITION OF by_range
    FOR VALUES FROM (MINVALUE, MINVALUE) TO (10, '2026-01-01');
CREATE TABLE range_high PARTITION OF by_range (v DEFAULT 'high',
	CONSTRAINT only_here CHECK (k > 0))
    FOR VALUES FROM (10, '2026-01-01') TO (MAXVALUE, MAXVALUE)
    WITH (fillfactor = 90);
CREATE TABLE by_list (k text COLLATE "C", v int) PARTITION BY LIST (k);
CREATE TABLE list_some PARTITION OF by_list FOR VALUES IN ('it''s', NULL);
CREATE TABLE list_rest PARTITION OF by_list DEFAULT PARTITION BY HASH (v);
CREATE TABLE list_rest_0 PARTITION OF list_rest
    FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE list_rest_1 (v int, gone int, k text COLLATE "C");
ALTER TABLE list_rest_1 DROP COLUMN gone;
ALTER TABLE list_rest ATTACH PARTITION list_rest_1
    FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE by_class (n number) PARTITION BY LIST (n number_ops);
CREATE TABLE class_one PARTITION OF by_class FOR VALUES IN ('1');
CREATE TABLE no_leaf (n int) PARTITION BY RANGE (n);
CREATE UNLOGGED TABLE loose_leaf PARTITION OF by_class DEFAULT;
INSERT INTO by_range SELECT n, date '2025-12-20' + n
    FROM generate_series(1, 30) AS n;
INSERT INTO by_list SELECT 'k' || n, n FROM generate_series(1, 30) AS n;
INSERT INTO by_list VALUES (NULL, 1), ('it''s', 2);
INSERT INTO by_class VALUES ('1'), ('2');

-- INDEX
CREATE INDEX plain_index ON root (code text_pattern_ops DESC NULLS LAST,
    (lower(code)) COLLATE "C", id ASC NULLS FIRST) INCLUDE (serial)
    WITH (fillfactor = 60, deduplicate_items = off)
    WHERE colour <> 'blue';
CREATE UNIQUE INDEX by_expression ON root ((serial + 1), code);
CREATE INDEX by_hash ON root USING hash (code);
CREATE INDEX by_gin ON root USING gin (to_tsvector('configuration', code))
    WITH (fastupdate = off, gin_pending_list_limit = 128);
CREATE INDEX by_gist ON root USING gist (period)
    WITH (buffering = on);
CREATE INDEX by_spgist ON root USING spgist (code);
CREATE INDEX by_brin ON root USING brin (id int8_minmax_multi_ops
    (values_per_range = 16)) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX by_number ON root (number);
ALTER INDEX by_expression ALTER COLUMN 1 SET STATISTICS 33;
CREATE UNIQUE INDEX every_part ON by_list (k, v);
CREATE INDEX only_root ON ONLY by_range (v);
CREATE INDEX low_part ON range_low (v);
ALTER INDEX only_root ATTACH PARTITION low_part;
ALTER TABLE as_query ADD CONSTRAINT taken UNIQUE (n);
ALTER TABLE as_query CLUSTER ON taken;
\if :is_15
CREATE UNIQUE INDEX nulls_once ON uses (two) NULLS NOT DISTINCT
    WHERE two IS NOT NULL;
\endif

-- STATISTICS
CREATE STATISTICS of_all ON code, serial, colour FROM root;
CREATE STATISTICS of_kinds (ndistinct, mcv) ON code, (serial % 7) FROM root;
CREATE STATISTICS of_expression ON (length(code)) FROM root;
ALTER STATISTICS of_all SET STATISTICS 55;

-- VIEW, MATERIALIZED VIEW
CREATE VIEW seen (i, name) WITH (security_barrier = true) AS
    SELECT id, code FROM root WHERE serial > 3;
CREATE VIEW checked AS SELECT * FROM strict_pairs WHERE a > 0
    WITH LOCAL CHECK OPTION;
CREATE VIEW checked_too AS SELECT * FROM checked WHERE b > 0
    WITH CASCADED CHECK OPTION;
ALTER VIEW checked ALTER COLUMN a SET DEFAULT 4;
CREATE RECURSIVE VIEW steps (n) AS
    VALUES (1) UNION ALL SELECT n + 1 FROM steps WHERE n < 9;
CREATE VIEW of_much AS
    WITH RECURSIVE t(a, b) AS (SELECT 1, 2 UNION SELECT a + 1, b FROM t
	WHERE a < 3) SEARCH DEPTH FIRST BY a SET turn CYCLE b SET is_cycle
	USING path
    SELECT is_cycle, rank() OVER w, sum(a) FILTER (WHERE a > 1) OVER (w ROWS
	BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)
    FROM t WINDOW w AS (PARTITION BY b ORDER BY a) ORDER BY turn;
CREATE VIEW of_groups AS SELECT a, b, grouping(a), count(*) FROM strict_pairs
    GROUP BY GROUPING SETS (ROLLUP (a, b), CUBE (a), ());
CREATE VIEW of_array AS SELECT id FROM root WHERE code::varchar(9) = ANY
    (ARRAY['a', 'b']::varchar[]) AND colour IN ('blue', 'it''s green');
CREATE VIEW of_xml AS SELECT x.* FROM (VALUES ('<r><a>1</a></r>'::xml))
    AS d (x_), LATERAL xmltable('/r' PASSING d.x_ COLUMNS a int PATH 'a',
	n FOR ORDINALITY) AS x;
CREATE VIEW of_function AS SELECT * FROM ROWS FROM (returns_table(2),
    generate_series(1, 3)) WITH ORDINALITY AS f (a, b, c, d);
CREATE VIEW of_sample AS SELECT * FROM ONLY father
    TABLESAMPLE bernoulli (50) REPEATABLE (3);
\if :is_15
CREATE VIEW invoked WITH (security_invoker = true) AS TABLE father;
\endif
CREATE MATERIALIZED VIEW filled USING heap_too WITH (fillfactor = 60) AS
    SELECT colour, count(*) AS n FROM root GROUP BY colour;
CREATE UNIQUE INDEX ON filled (colour);
ALTER MATERIALIZED VIEW filled ALTER n SET STATISTICS 44;
CREATE MATERIALIZED VIEW before_it AS SELECT sum(n) FROM filled;
CREATE MATERIALIZED VIEW never AS SELECT 1 AS n WITH NO DATA;

-- RULE, TRIGGER
CREATE RULE instead AS ON INSERT TO seen DO INSTEAD
    INSERT INTO father VALUES (new.i, new.name) RETURNING a::bigint, kept;
CREATE RULE also AS ON UPDATE TO father WHERE old.a <> new.a DO ALSO
    (SELECT 1; UPDATE father SET kept = old.kept WHERE a = new.a - 1);
CREATE RULE noticed AS ON UPDATE TO mother DO NOTIFY changed, 'mother';
CREATE RULE not_so AS ON DELETE TO father DO INSTEAD NOTHING;
ALTER TABLE father DISABLE RULE not_so, ENABLE REPLICA RULE also;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN coalesce(new, old); END';
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OF code, serial ON root
    FOR EACH ROW WHEN (new.serial > 2)
    EXECUTE FUNCTION touch('it''s', E'back\\slash', '');
CREATE TRIGGER after_all AFTER UPDATE ON root
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION touch();
CREATE TRIGGER emptied BEFORE TRUNCATE ON root EXECUTE FUNCTION touch();
CREATE TRIGGER instead_of INSTEAD OF DELETE ON seen
    FOR EACH ROW EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON root FROM uses
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER on_parts AFTER INSERT ON by_range
    FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE range_low DISABLE TRIGGER on_parts;
ALTER TABLE root DISABLE TRIGGER before_row, ENABLE REPLICA TRIGGER after_all,
    ENABLE ALWAYS TRIGGER emptied;

-- POLICY
CREATE POLICY for_all ON strict_pairs USING (a > 0);
CREATE POLICY for_insert ON strict_pairs AS RESTRICTIVE FOR INSERT
    TO every_owner, every_reader WITH CHECK (b IN (1, 2));
CREATE POLICY for_update ON strict_pairs FOR UPDATE TO CURRENT_USER
    USING (a = 1) WITH CHECK (a = 2);
CREATE POLICY for_delete ON strict_pairs FOR DELETE USING (true);
CREATE POLICY for_select ON strict_pairs FOR SELECT USING (b > 0);
ALTER TABLE strict_pairs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
INSERT INTO strict_pairs VALUES (1, 1), (-1, -1);

-- FOREIGN DATA WRAPPER, SERVER, USER MAPPING, FOREIGN TABLE
CREATE FOREIGN DATA WRAPPER nothing NO HANDLER NO VALIDATOR
    OPTIONS (debug 'true');
CREATE FOREIGN DATA WRAPPER far HANDLER public.postgres_fdw_handler
    VALIDATOR public.postgres_fdw_validator;
CREATE SERVER elsewhere TYPE 'it''s' VERSION '1.0' FOREIGN DATA WRAPPER far
    OPTIONS (host 'nowhere.invalid', fetch_size '7');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'u');
CREATE USER MAPPING FOR every_owner SERVER elsewhere
    OPTIONS (user 'o', password 'every secret');
CREATE FOREIGN TABLE remote (
    n int OPTIONS (column_name 'the n') NOT NULL DEFAULT 3 CHECK (n > 0),
    t text COLLATE plain, twice int GENERATED ALWAYS AS (n * 2) STORED)
    SERVER elsewhere OPTIONS (schema_name 's', table_name 't');
CREATE TABLE half_remote (n int) PARTITION BY LIST (n);
CREATE FOREIGN TABLE remote_part PARTITION OF half_remote FOR VALUES IN (1)
    SERVER elsewhere;
CREATE TABLE local_part PARTITION OF half_remote FOR VALUES IN (2);
INSERT INTO half_remote VALUES (2);

-- PUBLICATION, SUBSCRIPTION
CREATE PUBLICATION all_tables FOR ALL TABLES WITH (publish = 'insert, truncate');
CREATE PUBLICATION one_table FOR TABLE ONLY father, by_range
    WITH (publish_via_partition_root = true, publish = 'insert');
CREATE PUBLICATION no_table;
\if :is_15
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA aside, TABLE father;
CREATE PUBLICATION of_columns FOR TABLE mother (b) WHERE (b > 5)
    WITH (publish = 'insert');
\endif
CREATE SUBSCRIPTION every_subscription
    CONNECTION 'host=nowhere.invalid password=hidden'
    PUBLICATION one, "the other" WITH (connect = false, slot_name = 'a_slot',
	binary = true, synchronous_commit = 'remote_apply', streaming = true);

-- EVENT TRIGGER
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN END';
CREATE EVENT TRIGGER at_start ON ddl_command_start
    WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION watch();
CREATE EVENT TRIGGER at_drop ON sql_drop EXECUTE FUNCTION watch();
CREATE EVENT TRIGGER at_rewrite ON table_rewrite EXECUTE FUNCTION watch();
ALTER EVENT TRIGGER at_drop DISABLE;
ALTER EVENT TRIGGER at_rewrite ENABLE ALWAYS;

-- Owners, privileges, default privileges
ALTER TABLE father OWNER TO every_owner;
ALTER TYPE pair OWNER TO every_owner;
ALTER FUNCTION gap OWNER TO every_owner;
ALTER LANGUAGE pl_too OWNER TO every_owner;
GRANT USAGE ON SCHEMA every TO every_reader, every_owner;
GRANT ALL ON TABLE root TO every_owner WITH GRANT OPTION;
SET ROLE every_owner;
GRANT SELECT (id), UPDATE (code), REFERENCES (id) ON root TO every_reader;
RESET ROLE;
GRANT SELECT ON seen, by_range TO PUBLIC;
REVOKE ALL ON TABLE child FROM every_owner, postgres;
GRANT USAGE ON SEQUENCE by_three TO every_reader;
REVOKE ALL ON ROUTINE gap, proceed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION total(int) TO every_reader WITH GRANT OPTION;
REVOKE USAGE ON TYPE colour FROM PUBLIC;
REVOKE USAGE ON DOMAIN positive FROM PUBLIC;
GRANT USAGE ON LANGUAGE pl_too TO every_reader;
GRANT USAGE ON FOREIGN DATA WRAPPER far TO every_owner;
GRANT USAGE ON FOREIGN SERVER elsewhere TO every_reader WITH GRANT OPTION;
REVOKE USAGE ON LANGUAGE sql FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO every_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA aside GRANT SELECT ON TABLES TO every_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE every_owner
    GRANT USAGE ON SEQUENCES TO every_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE every_owner
    REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE every_owner REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE every_owner
    GRANT CREATE ON SCHEMAS TO every_reader;
CREATE TABLE aside.by_default (n int);

-- Large objects
SELECT lo_from_bytea(5150, 'every large object');
GRANT SELECT ON LARGE OBJECT 5150 TO every_reader;
ALTER LARGE OBJECT 5150 OWNER TO every_owner;

-- What is there, without what comes along with something else.
CREATE VIEW every_object (class, id, part) AS
    SELECT 'pg_class'::regclass, oid, 0 FROM pg_class
	WHERE relkind NOT IN ('t', 'c') AND relnamespace = 'every'::regnamespace
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum
	FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
	WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND attnum > 0
	AND NOT attisdropped AND relnamespace = 'every'::regnamespace
    UNION ALL SELECT 'pg_type'::regclass, oid, 0 FROM pg_type
	WHERE typnamespace = 'every'::regnamespace AND typtype <> 'm'
	AND typcategory <> 'A'
	AND coalesce((SELECT relkind = 'c' FROM pg_class AS c
	    WHERE c.oid = typrelid), true)
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint
	WHERE connamespace = 'every'::regnamespace AND conparentid = 0
	AND conislocal AND contype NOT IN ('n', 't')
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0 FROM pg_proc
	WHERE pronamespace = 'every'::regnamespace AND NOT EXISTS (
	    -- the constructors of ranges
	    SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass
	    AND objid = pg_proc.oid AND deptype = 'i')
    UNION ALL SELECT 'pg_trigger'::regclass, oid, 0 FROM pg_trigger
	WHERE NOT tgisinternal AND tgparentid = 0
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0 FROM pg_rewrite
	WHERE rulename <> '_RETURN' AND oid >= 16384
    UNION ALL SELECT 'pg_subscription'::regclass, s.oid, 0
	FROM pg_subscription AS s JOIN pg_database AS d
	    ON d.oid = subdbid AND datname = current_database()
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0 FROM pg_namespace
	WHERE oid >= 16384 AND nspname NOT LIKE 'pg\_%'
    UNION ALL SELECT 'pg_largeobject'::regclass, oid, 0
	FROM pg_largeobject_metadata
    UNION ALL SELECT class, id, 0 FROM (
	SELECT 'pg_am'::regclass, oid FROM pg_am
	UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast
	UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation
	UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
	UNION ALL SELECT 'pg_default_acl'::regclass, oid FROM pg_default_acl
	UNION ALL SELECT 'pg_event_trigger'::regclass, oid
	    FROM pg_event_trigger
	UNION ALL SELECT 'pg_extension'::regclass, oid FROM pg_extension
	UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid
	    FROM pg_foreign_data_wrapper
	UNION ALL SELECT 'pg_foreign_server'::regclass, oid
	    FROM pg_foreign_server
	UNION ALL SELECT 'pg_user_mapping'::regclass, oid FROM pg_user_mapping
	UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language
	UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator
	UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass
	UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
	UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy
	UNION ALL SELECT 'pg_publication'::regclass, oid FROM pg_publication
	UNION ALL SELECT 'pg_statistic_ext'::regclass, oid
	    FROM pg_statistic_ext
	UNION ALL SELECT 'pg_transform'::regclass, oid FROM pg_transform
	UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config
	UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
	UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser
	UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template
    ) AS plain (class, id) WHERE id >= 16384 AND NOT EXISTS (
	SELECT FROM pg_depend WHERE classid = class AND objid = id
	AND deptype IN ('e', 'i'));

-- A comment on everything that can have one.
DO $$
DECLARE
	o record;
	kind text;
BEGIN
	FOR o IN SELECT i.type, i.identity FROM every_object,
	    pg_identify_object(class, id, part) AS i
	    WHERE i.type NOT IN ('user mapping', 'default acl') LOOP
		kind := CASE
		WHEN o.type LIKE '% column' THEN 'column'
		WHEN o.type LIKE '% constraint' THEN 'constraint'
		WHEN o.type = 'foreign-data wrapper' THEN 'foreign data wrapper'
		WHEN o.type = 'statistics object' THEN 'statistics'
		WHEN o.type = 'composite type' THEN 'type'
		ELSE o.type END;
		o.identity := replace(o.identity, ' on ', CASE o.type
		    WHEN 'domain constraint' THEN ' on domain '
		    WHEN 'transform' THEN ' ' ELSE ' on ' END);
		EXECUTE format('COMMENT ON %s %s IS %L', kind, o.identity,
		    'it''s the ' || o.type || E' \\ of\nall: ' || o.identity);
	END LOOP;
END $$;

-- SPDX-License-Identifier: Apache-2.0
-- Every kind of edge between tables that PostgreSQL has, and names that only
-- quoting keeps together.
CREATE SCHEMA "Odd.Schema";
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN work_email AS email;
CREATE DOMAIN emails AS text[];
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE place AS (street text, number int);

CREATE TABLE person (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login text NOT NULL UNIQUE,
  manager bigint REFERENCES person (id) ON DELETE SET NULL,
  mail work_email, mails emails, many email[], moods mood[], home place,
  homes place[], span int4range, spans nummultirange,
  score numeric(10, 2), born date, seen timestamptz, said timestamp,
  face bytea, extra jsonb, flags boolean[],
  length int GENERATED ALWAYS AS (length(login)) STORED,
  gone int
);
ALTER TABLE person DROP COLUMN gone;
COMMENT ON TABLE person IS 'who there is';
COMMENT ON COLUMN person.login IS 'what they type';

-- two references to one table, one of them by a key that is not primary
CREATE TABLE message (
  id bigint PRIMARY KEY,
  sender bigint NOT NULL REFERENCES person (id) ON DELETE CASCADE,
  receiver text REFERENCES person (login)
);
CREATE INDEX ON message (sender) WHERE sender IS NOT NULL;
CREATE INDEX ON message (receiver) WHERE id > 10;

-- composite keys, declared in another order; the same columns twice
CREATE TABLE tenant (id int PRIMARY KEY);
CREATE TABLE account (
  tenant int REFERENCES tenant (id), number int, owner bigint,
  PRIMARY KEY (tenant, number));
CREATE TABLE booking (
  id int, number int, tenant int,
  FOREIGN KEY (number, tenant) REFERENCES account (number, tenant),
  CONSTRAINT again FOREIGN KEY (tenant, number)
    REFERENCES account (tenant, number) ON DELETE CASCADE);
CREATE INDEX ON booking (number, tenant, id);

-- partitions of partitions; one leaf carries a foreign key that others lack
CREATE TABLE visit (
  at date NOT NULL, kind text NOT NULL, person bigint, account_tenant int,
  account_number int, door int) PARTITION BY RANGE (at);
CREATE TABLE visit_2024 PARTITION OF visit
  FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (kind);
CREATE TABLE visit_2024_a (door int, person bigint, kind text NOT NULL,
  at date NOT NULL, account_tenant int, account_number int);
ALTER TABLE visit_2024 ATTACH PARTITION visit_2024_a FOR VALUES IN ('a');
CREATE TABLE "Odd.Schema"."visit b" PARTITION OF visit_2024
  FOR VALUES IN ('b');
CREATE TABLE visit_2025 PARTITION OF visit
  FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
ALTER TABLE visit_2024 ADD FOREIGN KEY (person) REFERENCES person (id);
ALTER TABLE visit ADD FOREIGN KEY (account_tenant, account_number)
  REFERENCES account (tenant, number);
ALTER TABLE "Odd.Schema"."visit b" ADD FOREIGN KEY (door)
  REFERENCES tenant (id);
CREATE INDEX ON visit (person);
ALTER TABLE visit ADD PRIMARY KEY (at, kind);

-- references to a partitioned table, and to a partition alone
CREATE TABLE remark (id int PRIMARY KEY, at date, kind text,
  FOREIGN KEY (at, kind) REFERENCES visit (at, kind));
CREATE TABLE note (at date, kind text,
  FOREIGN KEY (at, kind) REFERENCES visit_2025 (at, kind));

-- inheritance: the child lacks the foreign key, the grandchild has it
CREATE TABLE asset (id int PRIMARY KEY, holder bigint REFERENCES person (id));
CREATE TABLE car (wheels int) INHERITS (asset);
CREATE TABLE van (load int) INHERITS (car);
ALTER TABLE van ADD FOREIGN KEY (holder) REFERENCES person (id);

-- names
CREATE TABLE "Odd.Schema"."it's -> (a) ""table""" (
  "order" int PRIMARY KEY, "Person, or not" bigint REFERENCES person (id),
  "ü" int REFERENCES "Odd.Schema"."it's -> (a) ""table""" ("order"));

-- no key at all, unlogged; temporary and foreign tables
CREATE UNLOGGED TABLE scratch (person bigint REFERENCES person (id));
CREATE TABLE empty_tree (id int) PARTITION BY RANGE (id);
CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE elsewhere (id int, person bigint) SERVER files
  OPTIONS (filename '/dev/null');

-- SPDX-License-Identifier: Apache-2.0
-- An application whose tables refer to each other in every way that has been
-- seen. data.sql fills it, map.yaml decides about it, walk.sql is the walk of
-- that map written by hand.
CREATE TYPE account_state AS ENUM ('new', 'active', 'it''s, [complicated]');
CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 80);
CREATE TYPE measure AS (amount numeric(10, 3), unit text);
CREATE SCHEMA "Odd Schema";

-- Lookups that chain.
CREATE TABLE regions (id int PRIMARY KEY, name text NOT NULL, secret text);
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL,
    region_id int NOT NULL REFERENCES regions);
CREATE TABLE cities (id int PRIMARY KEY, name text NOT NULL, mayor text,
    country_code char(2) NOT NULL REFERENCES countries);
CREATE TABLE addresses (id int PRIMARY KEY, line text NOT NULL,
    city_id int REFERENCES cities);

-- Organisations and people.
CREATE TABLE tenants (id int PRIMARY KEY, name text NOT NULL, plan text,
    billing_contact text);
CREATE TABLE users (
    id bigint PRIMARY KEY,
    tenant_id int NOT NULL REFERENCES tenants,
    uid uuid NOT NULL UNIQUE,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    name_upper text GENERATED ALWAYS AS (upper(name)) STORED,
    state account_state NOT NULL,
    phone text,
    password_hash text NOT NULL,
    address_id int REFERENCES addresses,
    invited_by bigint REFERENCES users,
    avatar_key text,
    created_at timestamptz NOT NULL,
    UNIQUE (tenant_id, id));
CREATE TABLE memberships (user_id bigint REFERENCES users,
    tenant_id int REFERENCES tenants, role text NOT NULL,
    PRIMARY KEY (user_id, tenant_id));

-- Composite keys, a key that is not the primary one.
CREATE TABLE categories (id int PRIMARY KEY, name text NOT NULL,
    parent_id int REFERENCES categories);
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL,
    price numeric(12, 2), supplier_note text,
    category_id int REFERENCES categories);
CREATE TABLE orders (tenant_id int, id int, user_id bigint NOT NULL,
    note text, placed_at timestamp NOT NULL, PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id));
CREATE INDEX ON orders (user_id);
CREATE TABLE order_lines (tenant_id int, order_id int, line int,
    product_id int NOT NULL REFERENCES products, remark text,
    PRIMARY KEY (tenant_id, order_id, line),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders);
CREATE TABLE invoices (id int PRIMARY KEY, total numeric NOT NULL,
    user_email text NOT NULL REFERENCES users (email) ON UPDATE CASCADE);

-- Partitions: by range and, below it, by list; by hash; by list, where one
-- does not agree with the other.
CREATE TABLE payments (id int, tenant_id int NOT NULL, order_id int NOT NULL,
    currency text NOT NULL, paid_at date NOT NULL, card text,
    PRIMARY KEY (paid_at, currency, id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders)
    PARTITION BY RANGE (paid_at);
CREATE TABLE payments_2025 PARTITION OF payments
    FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (currency);
CREATE TABLE payments_2025_eur PARTITION OF payments_2025
    FOR VALUES IN ('EUR');
CREATE TABLE payments_2025_rest PARTITION OF payments_2025 DEFAULT;
CREATE TABLE payments_2026 PARTITION OF payments
    FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE events (id int PRIMARY KEY, kind text NOT NULL,
    payload jsonb NOT NULL) PARTITION BY HASH (id);
CREATE TABLE events_0 PARTITION OF events
    FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE events_1 PARTITION OF events
    FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE events_2 PARTITION OF events
    FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE visits (id int, site text, user_id bigint, page text)
    PARTITION BY LIST (site);
CREATE TABLE visits_app PARTITION OF visits FOR VALUES IN ('app');
CREATE TABLE visits_web (
    note text, page text, id int, user_id bigint REFERENCES users, site text);
ALTER TABLE visits_web DROP COLUMN note;
ALTER TABLE visits ATTACH PARTITION visits_web FOR VALUES IN ('web');

-- Plain inheritance.
CREATE TABLE documents (id int PRIMARY KEY,
    user_id bigint REFERENCES users, title text);
CREATE TABLE contracts (signed_on date, PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES users) INHERITS (documents);

-- Several references to people from one table.
CREATE TABLE blocks (id int PRIMARY KEY, user_id bigint NOT NULL
    REFERENCES users, blocked_by bigint NOT NULL REFERENCES users,
    reason text, created_at timestamptz NOT NULL);
CREATE TABLE tickets (id int PRIMARY KEY, opened_by bigint NOT NULL
    REFERENCES users, resolved_by bigint REFERENCES users, subject text,
    resolved_at timestamptz);
CREATE TABLE ticket_comments (id int PRIMARY KEY, ticket_id int NOT NULL
    REFERENCES tickets ON DELETE CASCADE, author_id bigint NOT NULL
    REFERENCES users, author_name text, body text);
CREATE TABLE follows (follower_id bigint REFERENCES users,
    followed_id bigint REFERENCES users, PRIMARY KEY (follower_id,
    followed_id));
CREATE TABLE invitations (id int PRIMARY KEY, sent_by bigint NOT NULL
    REFERENCES users, accepted_by bigint REFERENCES users, code text);

-- What several people share.
CREATE TABLE conversations (id int PRIMARY KEY, title text,
    created_by bigint REFERENCES users);
CREATE TABLE conversation_members (conversation_id int REFERENCES
    conversations, user_id bigint REFERENCES users, nickname text,
    PRIMARY KEY (conversation_id, user_id));
CREATE TABLE messages (id int PRIMARY KEY, conversation_id int NOT NULL
    REFERENCES conversations, sender_id bigint NOT NULL REFERENCES users,
    body text, sender_ip text, reply_to int REFERENCES messages);
CREATE TABLE message_reactions (message_id int REFERENCES messages,
    user_id bigint REFERENCES users, user_name text, emoji text,
    PRIMARY KEY (message_id, user_id));
CREATE TABLE groups (id int PRIMARY KEY, name text,
    member_uids uuid[] NOT NULL);

-- References that are no foreign keys.
CREATE TABLE attachments (id int PRIMARY KEY, owner_type text NOT NULL,
    owner_id bigint NOT NULL, file_key text, uploader text);
CREATE TABLE notes (id int PRIMARY KEY, user_ref text, body text);
CREATE TABLE sessions (token uuid PRIMARY KEY, user_id bigint, agent text);

-- Cycles of two and of three tables, and of one.
CREATE TABLE wallets (id int PRIMARY KEY, user_id bigint NOT NULL
    REFERENCES users, current_card_id int, label text);
CREATE TABLE cards (id int PRIMARY KEY, wallet_id int NOT NULL
    REFERENCES wallets, holder text);
ALTER TABLE wallets ADD FOREIGN KEY (current_card_id) REFERENCES cards
    DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE plans (id int PRIMARY KEY, user_id bigint NOT NULL
    REFERENCES users, last_task_id int, goal text);
CREATE TABLE steps (id int PRIMARY KEY, plan_id int NOT NULL
    REFERENCES plans, text text);
CREATE TABLE tasks (id int PRIMARY KEY, step_id int NOT NULL
    REFERENCES steps, text text);
ALTER TABLE plans ADD FOREIGN KEY (last_task_id) REFERENCES tasks;
CREATE TABLE folders (id int PRIMARY KEY, user_id bigint REFERENCES users,
    parent_id int REFERENCES folders, name text);
CREATE TABLE folder_files (folder_id int NOT NULL REFERENCES folders,
    name text, content bytea, PRIMARY KEY (folder_id, name));
CREATE TABLE teams (id int PRIMARY KEY, name text, lead_id int, secret text);
CREATE TABLE employees (id int PRIMARY KEY, user_id bigint UNIQUE
    REFERENCES users, team_id int REFERENCES teams, salary money);
ALTER TABLE teams ADD FOREIGN KEY (lead_id) REFERENCES employees
    DEFERRABLE;

-- Types, names, and no key at all.
CREATE TABLE profiles (
    user_id bigint PRIMARY KEY REFERENCES users,
    state account_state, states account_state[], motto short_text,
    active daterange, size measure, sizes measure[], picture bytea,
    balance numeric, ratios numeric(8, 3)[], extra jsonb, raw json,
    words text[], grid int[], born date, seen timestamptz, free interval,
    home inet, score float8, big bigint, is_public boolean,
    search tsvector GENERATED ALWAYS AS
        (to_tsvector('simple', coalesce(motto::text, ''))) STORED);
CREATE TABLE log_lines (user_id bigint REFERENCES users, line text);
CREATE TABLE "Odd Schema"."Odd.Table ""x""" (
    "select" int PRIMARY KEY, "Us""er.Id" bigint REFERENCES users,
    "Größe" text, "a,b" text);

-- Simple children.
CREATE TABLE preferences (user_id bigint PRIMARY KEY REFERENCES users,
    theme text);
CREATE TABLE api_tokens (id int PRIMARY KEY, user_id bigint NOT NULL
    REFERENCES users, token text NOT NULL, label text);
CREATE TABLE uploads (id int PRIMARY KEY, user_id bigint NOT NULL
    REFERENCES users, object_key text NOT NULL, title text);
CREATE TABLE devices (id int PRIMARY KEY, user_id bigint REFERENCES users,
    name text);
CREATE TABLE device_pings (id int PRIMARY KEY, device_id int NOT NULL
    REFERENCES devices, place text);
CREATE TABLE recommendations (user_id bigint REFERENCES users, rank int,
    why text, PRIMARY KEY (user_id, rank));

-- Not to be exported.
CREATE TABLE audit_log (id int PRIMARY KEY, user_id bigint REFERENCES users,
    what text);
CREATE TABLE schema_migrations (version int PRIMARY KEY);
CREATE TABLE feature_flags (name text PRIMARY KEY, is_on boolean);

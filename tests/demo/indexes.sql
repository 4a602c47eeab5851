-- SPDX-License-Identifier: Apache-2.0
--
-- What an application has around its rows: indexes, foreign keys, views,
-- functions, triggers, row security, roles, grants and comments.

SET search_path = app, public;

ALTER TABLE account ADD UNIQUE (email);
ALTER TABLE login ADD PRIMARY KEY (id);
CREATE INDEX ON login USING gist (valid);
CREATE INDEX ON task (project_id, state) INCLUDE (title) WHERE state <> 'done';
CREATE INDEX ON task USING gin (labels);
CREATE INDEX task_title_trgm ON task USING gin (title gin_trgm_ops);
CREATE INDEX ON comment (task_id);
CREATE INDEX ON comment (lower(left(body, 20)));
CREATE INDEX ON event (happened_at);
CREATE INDEX event_payload ON event USING gin (payload jsonb_path_ops);
CREATE INDEX ON event USING brin (id);

ALTER TABLE account ADD FOREIGN KEY (organisation_id)
	REFERENCES organisation ON DELETE CASCADE;
ALTER TABLE login ADD FOREIGN KEY (account_id) REFERENCES account
	ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE project ADD FOREIGN KEY (organisation_id) REFERENCES organisation,
	ADD FOREIGN KEY (parent_id) REFERENCES project;
ALTER TABLE membership ADD FOREIGN KEY (project_id) REFERENCES project,
	ADD FOREIGN KEY (account_id) REFERENCES account;
ALTER TABLE task ADD FOREIGN KEY (project_id) REFERENCES project,
	ADD FOREIGN KEY (assignee_id) REFERENCES account ON DELETE SET NULL;
ALTER TABLE comment ADD FOREIGN KEY (task_id) REFERENCES task,
	ADD FOREIGN KEY (author_id) REFERENCES account;
ALTER TABLE attachment ADD FOREIGN KEY (task_id) REFERENCES task;
ALTER TABLE event ADD FOREIGN KEY (account_id) REFERENCES account;
ALTER TABLE "Billing & more"."Invoice"
	ADD FOREIGN KEY (organisation_id) REFERENCES organisation;
ALTER TABLE "Billing & more".line
	ADD FOREIGN KEY (invoice) REFERENCES "Billing & more"."Invoice";

CREATE VIEW open_task AS
	SELECT t.id, t.title, a.display_name FROM task t
	LEFT JOIN account a ON a.id = t.assignee_id WHERE t.state = 'open';
CREATE MATERIALIZED VIEW task_count AS
	SELECT project_id, state, count(*) AS tasks FROM task
	GROUP BY project_id, state;
CREATE UNIQUE INDEX ON task_count (project_id, state);
CREATE MATERIALIZED VIEW never_filled AS SELECT 1 AS one WITH NO DATA;

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.updated_at := NEW.updated_at + interval '1 microsecond';
	RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON task
	FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'comments are final'; END $$;
CREATE TRIGGER refuse_deletion BEFORE DELETE ON comment
	FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE comment DISABLE TRIGGER refuse_deletion;

ALTER TABLE login ENABLE ROW LEVEL SECURITY;
ALTER TABLE login FORCE ROW LEVEL SECURITY;
CREATE POLICY own_logins ON login USING (account_id = 1);

CREATE ROLE demo_owner;
CREATE ROLE demo_reader;
CREATE ROLE "demo writer" IN ROLE demo_reader;
COMMENT ON ROLE demo_reader IS 'May look, may not touch';
GRANT USAGE ON SCHEMA app TO demo_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO demo_reader;
GRANT INSERT, UPDATE (title, body) ON task TO "demo writer";
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO demo_reader;
ALTER TABLE project OWNER TO demo_owner;
COMMENT ON INDEX event_payload IS 'finds events by what is in them';

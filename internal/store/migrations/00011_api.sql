-- +goose Up
-- Answers to requests that came with an idempotency key, for those that send
-- them again. status 0: it is, or was, being worked on.
CREATE TABLE replays (
	tenant TEXT    NOT NULL DEFAULT 'default',
	key    TEXT    NOT NULL,                -- who, what and the key they chose
	sum    TEXT    NOT NULL,                -- SHA-256 of the request's body
	at     INTEGER NOT NULL,
	status INTEGER NOT NULL,
	header TEXT    NOT NULL,
	body   TEXT    NOT NULL,
	PRIMARY KEY (tenant, key)
) STRICT;
CREATE INDEX replays_at ON replays (at);

CREATE INDEX runs_code ON runs (tenant, code, id) WHERE code <> '';

-- A revoked token keeps its name, and a new one may have the same.
DROP INDEX tokens_name;
CREATE INDEX tokens_person ON tokens (person, name);

-- +goose Up
-- A timeline is read in the order in which things happened: what a run did
-- before its case was opened is written down later.
CREATE INDEX case_timeline_at ON case_timeline (case_id, at, n);

-- Protections that a person has set aside for one action, until it is taken.
CREATE TABLE overrides (
	id     INTEGER NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL DEFAULT 'default',
	until  INTEGER NOT NULL,
	body   TEXT    NOT NULL                 -- guard.Override
) STRICT;

-- +goose Up
-- How far the index of words has come: every alert up to a number is in it.
CREATE TABLE search_state (
	name TEXT    NOT NULL PRIMARY KEY,
	upto INTEGER NOT NULL
) STRICT;
INSERT INTO search_state (name, upto) VALUES ('alerts', 0);

-- Records that changed after, and are indexed again.
CREATE TABLE search_wanted (
	kind TEXT    NOT NULL,
	id   INTEGER NOT NULL,
	PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
INSERT INTO search_wanted (kind, id) SELECT 'case', id FROM cases;

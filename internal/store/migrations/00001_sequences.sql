-- +goose Up
CREATE TABLE sequences (
	name TEXT    NOT NULL PRIMARY KEY,
	next INTEGER NOT NULL
) STRICT;

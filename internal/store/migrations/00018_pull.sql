-- +goose Up
-- What sources that are asked have given already: asked again for a time that
-- is over, they give the same records once more, which must not count twice.
CREATE TABLE source_seen (
	tenant TEXT    NOT NULL,
	source TEXT    NOT NULL,
	mark   TEXT    NOT NULL,                -- a hash of the record's key
	last   INTEGER NOT NULL,                -- when it was given last
	PRIMARY KEY (tenant, source, mark)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_seen_last ON source_seen (tenant, source, last);

-- Large parts of what came in that are kept beside the database, such as mails.
CREATE TABLE alert_blobs (
	alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
	hash     TEXT    NOT NULL,
	PRIMARY KEY (alert_id, hash)
) STRICT, WITHOUT ROWID;

-- +goose Up
-- What people must know until its cause is gone. Of one kind and subject one is
-- open at most; raised again it only counts.
CREATE TABLE alarms (
	id       INTEGER NOT NULL PRIMARY KEY,
	tenant   TEXT    NOT NULL DEFAULT 'default',
	kind     TEXT    NOT NULL,
	subject  TEXT    NOT NULL DEFAULT '',   -- what it is about: a source, a run, a rule; '': the installation
	message  TEXT    NOT NULL,
	since    INTEGER NOT NULL,
	last     INTEGER NOT NULL,              -- when it was raised last
	times    INTEGER NOT NULL,              -- how often since
	ended    INTEGER NOT NULL DEFAULT 0,
	seen_by  TEXT    NOT NULL DEFAULT '',   -- who acknowledged it
	seen_at  INTEGER NOT NULL DEFAULT 0,
	note     TEXT    NOT NULL DEFAULT ''    -- what they said
) STRICT;
CREATE UNIQUE INDEX alarms_open ON alarms (tenant, kind, subject) WHERE ended = 0;
CREATE INDEX alarms_tenant ON alarms (tenant, since, id);
CREATE INDEX alarms_ended ON alarms (ended, id) WHERE ended > 0;

-- How much came by a source, a row for each minute in which anything did, and
-- one for each hour in which anything could have.
CREATE TABLE source_counts (
	tenant     TEXT    NOT NULL DEFAULT 'default',
	source     TEXT    NOT NULL,
	span       INTEGER NOT NULL,            -- seconds: 60 or 3600
	at         INTEGER NOT NULL,            -- when the span begins
	received   INTEGER NOT NULL,            -- events; each is one of the next four
	accepted   INTEGER NOT NULL,
	duplicates INTEGER NOT NULL,
	skipped    INTEGER NOT NULL,
	unread     INTEGER NOT NULL,
	refused    INTEGER NOT NULL,            -- turned away or lost: not among those received
	bytes      INTEGER NOT NULL,
	peak       INTEGER NOT NULL,            -- the most received in one minute of it
	listened   INTEGER NOT NULL DEFAULT 0,  -- minutes of it in which something could have come
	PRIMARY KEY (tenant, source, span, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_counts_at ON source_counts (span, at);

-- What sources say they sent, beside what came.
CREATE TABLE source_checks (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	source  TEXT    NOT NULL,
	begins  INTEGER NOT NULL,
	ends    INTEGER NOT NULL,
	told    INTEGER NOT NULL,
	came    INTEGER NOT NULL,
	checked INTEGER NOT NULL,
	told_by TEXT    NOT NULL DEFAULT '',    -- how it is known: asked, or who reported it
	PRIMARY KEY (tenant, source, begins, ends)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_checks_checked ON source_checks (checked);

-- +goose Up
-- How much an alert deserves attention. score is -1 where none was worked out;
-- ready is when people could see the alert, 0 while it waits for what is looked
-- up for it. The reasons are in its content.
ALTER TABLE alerts ADD COLUMN score INTEGER NOT NULL DEFAULT -1;
ALTER TABLE alerts ADD COLUMN band TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET ready = received;
CREATE INDEX alerts_queue ON alerts (tenant, score, id) WHERE status = 'new';
CREATE INDEX alerts_waiting ON alerts (tenant, received, id) WHERE ready = 0;

-- Alerts that wait for what is looked up for them.
CREATE TABLE alert_waits (
	alert_id INTEGER NOT NULL PRIMARY KEY REFERENCES alerts (id) ON DELETE CASCADE,
	tenant   TEXT    NOT NULL DEFAULT 'default',
	began    INTEGER NOT NULL,
	deadline INTEGER NOT NULL,
	body     TEXT    NOT NULL               -- the playbooks and their runs
) STRICT;
CREATE INDEX alert_waits_deadline ON alert_waits (deadline, alert_id);

-- What people have decided and the score has not learnt yet.
CREATE TABLE decisions (
	seq      INTEGER NOT NULL PRIMARY KEY,
	tenant   TEXT    NOT NULL DEFAULT 'default',
	alert_id INTEGER NOT NULL DEFAULT 0,
	case_id  INTEGER NOT NULL DEFAULT 0,
	status   TEXT    NOT NULL,              -- closed, or what it was opened again to
	verdict  TEXT    NOT NULL DEFAULT '',
	at       INTEGER NOT NULL,
	who      TEXT    NOT NULL
) STRICT;

-- How people decided about alerts of a detection: one row for an alert closed by
-- itself, one for a case, however many alerts of the detection it holds.
CREATE TABLE detection_history (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	source   TEXT    NOT NULL,
	rule     TEXT    NOT NULL,
	subject  TEXT    NOT NULL,              -- A-… or C-…
	verdict  TEXT    NOT NULL,
	at       INTEGER NOT NULL,
	who      TEXT    NOT NULL,
	PRIMARY KEY (tenant, source, rule, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX detection_history_subject ON detection_history (tenant, subject);
CREATE INDEX detection_history_at ON detection_history (at);

-- The same for what came together in an alert. pair is a hash.
CREATE TABLE decided_pairs (
	pair     INTEGER NOT NULL,
	tenant   TEXT    NOT NULL DEFAULT 'default',
	subject  TEXT    NOT NULL,
	verdict  TEXT    NOT NULL,
	at       INTEGER NOT NULL,
	PRIMARY KEY (pair, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX decided_pairs_at ON decided_pairs (at);
CREATE INDEX decided_pairs_subject ON decided_pairs (tenant, subject);

-- Rules that close alerts by themselves.
CREATE TABLE closing_rules (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	rule     TEXT    NOT NULL,
	salt     BLOB    NOT NULL,              -- the key by which its sample is drawn
	stopped  INTEGER NOT NULL DEFAULT 0,    -- when; 0: it works
	why      TEXT    NOT NULL DEFAULT '',
	started  INTEGER NOT NULL,              -- when it was last started; decisions before do not count
	who      TEXT    NOT NULL DEFAULT '',   -- who started it
	PRIMARY KEY (tenant, rule)
) STRICT, WITHOUT ROWID;

-- What they did: alerts that they closed, and those of the sample.
CREATE TABLE closings (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	rule     TEXT    NOT NULL,
	alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
	at       INTEGER NOT NULL,
	sampled  INTEGER NOT NULL,              -- 1: left to a person
	decided  INTEGER NOT NULL DEFAULT 0,    -- when a person had a word
	verdict  TEXT    NOT NULL DEFAULT '',   -- theirs
	disagree INTEGER NOT NULL DEFAULT 0,
	who      TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (tenant, rule, alert_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX closings_alert ON closings (alert_id);
CREATE INDEX closings_at ON closings (tenant, rule, at, alert_id);
CREATE INDEX closings_decided ON closings (tenant, rule, decided) WHERE decided > 0;

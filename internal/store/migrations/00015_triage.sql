-- What triage makes of an alert: which rule of which rule set decided, the
-- sentence that says so, the alert that it is folded into, and how many are
-- folded into it. The row holds how it stands now, alert_history how it came to.
ALTER TABLE alerts ADD COLUMN rule TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN rules_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN into_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN verdict TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN changes INTEGER NOT NULL DEFAULT 0; -- rows of alert_history
CREATE INDEX alerts_into ON alerts (into_id, received, id) WHERE into_id > 0;

-- What became of an alert after it came in. An alert that nobody has touched has
-- no rows: its own says it all.
CREATE TABLE alert_history (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
	n        INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	by_whom  TEXT    NOT NULL,              -- rule:…, person:…, playbook:…, system:…
	status   TEXT    NOT NULL,              -- from then on
	rule     TEXT    NOT NULL DEFAULT '',
	rules_no INTEGER NOT NULL DEFAULT 0,
	outcome  TEXT    NOT NULL,
	verdict  TEXT    NOT NULL DEFAULT '',
	into_ref TEXT    NOT NULL DEFAULT '',   -- A-… or C-…
	PRIMARY KEY (alert_id, n)
) STRICT, WITHOUT ROWID;

-- Rule sets that were in force. no is what alerts remember.
CREATE TABLE triage_rules (
	no     INTEGER NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL DEFAULT 'default',
	hash   TEXT    NOT NULL,                -- SHA-256 of the text
	name   TEXT    NOT NULL DEFAULT '',
	body   TEXT    NOT NULL,                -- the file, as it was
	loaded INTEGER NOT NULL                 -- when it came into force first
) STRICT;
CREATE UNIQUE INDEX triage_rules_hash ON triage_rules (tenant, hash);

-- Storms: more alerts of one kind a minute than anybody can look at.
CREATE TABLE storms (
	id       INTEGER NOT NULL PRIMARY KEY,
	tenant   TEXT    NOT NULL DEFAULT 'default',
	storm    TEXT    NOT NULL,              -- the rule that told it
	hold     TEXT    NOT NULL,              -- what its alerts share
	subject  TEXT    NOT NULL,              -- the same for people
	case_id  INTEGER NOT NULL,
	alert_id INTEGER NOT NULL,              -- the alert that the others are folded into
	began    INTEGER NOT NULL,
	ended    INTEGER NOT NULL DEFAULT 0,    -- 0: it goes on
	body     TEXT    NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX storms_open ON storms (id) WHERE ended = 0;
CREATE INDEX storms_tenant ON storms (tenant, id);

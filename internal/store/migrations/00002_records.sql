-- What every table holds to: times are microseconds UTC (0 or NULL: none), texts
-- named *_json or body are JSON, tenant is part of every lookup.

CREATE TABLE alerts (
	id           INTEGER NOT NULL PRIMARY KEY,
	tenant       TEXT    NOT NULL DEFAULT 'default',
	source       TEXT    NOT NULL,
	identity_key TEXT    NOT NULL,
	group_key    TEXT    NOT NULL DEFAULT '',
	title        TEXT    NOT NULL,
	severity     INTEGER NOT NULL,
	category     TEXT    NOT NULL DEFAULT '',
	status       TEXT    NOT NULL,
	at           INTEGER NOT NULL,
	received     INTEGER NOT NULL,
	first_seen   INTEGER NOT NULL,
	last_seen    INTEGER NOT NULL,
	seen         INTEGER NOT NULL DEFAULT 1, -- how often it was reported
	mapping      TEXT    NOT NULL DEFAULT '',
	mapping_no   INTEGER NOT NULL DEFAULT 0,
	error        TEXT    NOT NULL DEFAULT '',
	body         TEXT    NOT NULL,           -- the parts that nothing searches by
	raw          TEXT
) STRICT;
CREATE UNIQUE INDEX alerts_identity ON alerts (tenant, source, identity_key);
CREATE INDEX alerts_received ON alerts (tenant, received, id);
CREATE INDEX alerts_status ON alerts (tenant, status, severity, received, id);
CREATE INDEX alerts_source ON alerts (tenant, source, received, id);
CREATE INDEX alerts_group ON alerts (tenant, group_key, received, id) WHERE group_key <> '';
CREATE INDEX alerts_error ON alerts (tenant, received, id) WHERE error <> '';

CREATE TABLE alert_observables (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	type     TEXT    NOT NULL,
	value    TEXT    NOT NULL,
	received INTEGER NOT NULL,
	alert_id INTEGER NOT NULL,
	role     TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (tenant, type, value, received, alert_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE cases (
	id           INTEGER NOT NULL PRIMARY KEY,
	tenant       TEXT    NOT NULL DEFAULT 'default',
	title        TEXT    NOT NULL,
	category     TEXT    NOT NULL DEFAULT '',
	severity     INTEGER NOT NULL,
	status       TEXT    NOT NULL,
	verdict      TEXT    NOT NULL DEFAULT '',
	owner        TEXT    NOT NULL DEFAULT '',
	tlp          TEXT    NOT NULL DEFAULT '',
	pap          TEXT    NOT NULL DEFAULT '',
	group_key    TEXT    NOT NULL DEFAULT '',
	opened       INTEGER NOT NULL,
	updated      INTEGER NOT NULL,
	closed       INTEGER NOT NULL DEFAULT 0,
	version      INTEGER NOT NULL,
	alerts       INTEGER NOT NULL DEFAULT 0,
	observables  INTEGER NOT NULL DEFAULT 0,
	tasks        INTEGER NOT NULL DEFAULT 0,
	open_tasks   INTEGER NOT NULL DEFAULT 0,
	notes        INTEGER NOT NULL DEFAULT 0,
	evidence     INTEGER NOT NULL DEFAULT 0,
	entries      INTEGER NOT NULL DEFAULT 0,
	body         TEXT    NOT NULL            -- description, summary, reason, fields
) STRICT;
CREATE INDEX cases_opened ON cases (tenant, opened, id);
CREATE INDEX cases_updated ON cases (tenant, updated, id);
CREATE INDEX cases_status_opened ON cases (tenant, status, severity, opened, id);
CREATE INDEX cases_status_updated ON cases (tenant, status, severity, updated, id);
CREATE INDEX cases_owner_opened ON cases (tenant, owner, status, opened, id);
CREATE INDEX cases_owner_updated ON cases (tenant, owner, status, updated, id);
CREATE INDEX cases_group ON cases (tenant, group_key, status, id) WHERE group_key <> '';
CREATE INDEX cases_closed ON cases (closed, id) WHERE closed > 0;

CREATE TABLE case_tags (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	tag     TEXT    NOT NULL,
	case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	PRIMARY KEY (tenant, tag, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_tags_case ON case_tags (case_id, tag);

CREATE TABLE case_alerts (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	case_id  INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	alert_id INTEGER NOT NULL REFERENCES alerts (id),
	added    INTEGER NOT NULL,
	PRIMARY KEY (case_id, alert_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_alerts_alert ON case_alerts (alert_id, case_id);

CREATE TABLE case_observables (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	type    TEXT    NOT NULL,
	value   TEXT    NOT NULL,
	role    TEXT    NOT NULL DEFAULT '',
	verdict TEXT    NOT NULL DEFAULT '',
	score   INTEGER NOT NULL DEFAULT 0,
	note    TEXT    NOT NULL DEFAULT '',
	added   INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	PRIMARY KEY (case_id, type, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_observables_value ON case_observables (tenant, type, value, case_id);

CREATE TABLE case_tasks (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	case_id  INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	n        INTEGER NOT NULL,
	call_key TEXT,
	title    TEXT    NOT NULL,
	assignee TEXT    NOT NULL DEFAULT '',
	due      INTEGER NOT NULL DEFAULT 0,
	done     INTEGER NOT NULL DEFAULT 0,
	body     TEXT    NOT NULL,
	PRIMARY KEY (case_id, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX case_tasks_key ON case_tasks (case_id, call_key) WHERE call_key IS NOT NULL;
CREATE INDEX case_tasks_open ON case_tasks (tenant, assignee, due, case_id, n) WHERE done = 0;

CREATE TABLE case_notes (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	case_id  INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	n        INTEGER NOT NULL,
	call_key TEXT,
	created  INTEGER NOT NULL,
	edited   INTEGER NOT NULL DEFAULT 0,
	by_json  TEXT    NOT NULL,
	text     TEXT    NOT NULL,
	PRIMARY KEY (case_id, n)
) STRICT;
CREATE UNIQUE INDEX case_notes_key ON case_notes (case_id, call_key) WHERE call_key IS NOT NULL;

CREATE TABLE case_evidence (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	n       INTEGER NOT NULL,
	hash    TEXT    NOT NULL DEFAULT '',
	body    TEXT    NOT NULL,
	PRIMARY KEY (case_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_evidence_hash ON case_evidence (hash) WHERE hash <> '';

CREATE TABLE case_timeline (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
	n       INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	kind    TEXT    NOT NULL,
	body    TEXT    NOT NULL,
	PRIMARY KEY (case_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
	id         INTEGER NOT NULL PRIMARY KEY,
	tenant     TEXT    NOT NULL DEFAULT 'default',
	state      TEXT    NOT NULL,            -- open, taken, undone, failed
	run_id     INTEGER NOT NULL,
	act        INTEGER NOT NULL,
	case_id    INTEGER NOT NULL DEFAULT 0,
	playbook   TEXT    NOT NULL DEFAULT '',
	version    INTEGER NOT NULL DEFAULT 0,
	connection TEXT    NOT NULL DEFAULT '',
	action     TEXT    NOT NULL DEFAULT '', -- what takes it back
	entered    INTEGER NOT NULL,
	due        INTEGER NOT NULL DEFAULT 0,  -- 0: never by itself
	taken_run  INTEGER NOT NULL DEFAULT 0,
	taken_by   TEXT    NOT NULL DEFAULT '',
	taken_at   INTEGER NOT NULL DEFAULT 0,
	why        TEXT    NOT NULL DEFAULT '', -- wrong, no longer needed, its time was over …
	ended      INTEGER NOT NULL DEFAULT 0,
	problem    TEXT    NOT NULL DEFAULT '', -- of the last try
	tries      INTEGER NOT NULL DEFAULT 0,
	owed       INTEGER NOT NULL DEFAULT 0,  -- ended while others held its target: still to be undone
	body       TEXT    NOT NULL             -- run.UndoEntry
) STRICT;
CREATE INDEX ledger_due ON ledger (due, id) WHERE state = 'open' AND due > 0;
CREATE INDEX ledger_taken ON ledger (id) WHERE state = 'taken';
CREATE INDEX ledger_run ON ledger (run_id, id);
CREATE INDEX ledger_case ON ledger (case_id, id) WHERE case_id > 0;
CREATE INDEX ledger_tenant ON ledger (tenant, id);
CREATE INDEX ledger_state ON ledger (tenant, state, id);
CREATE INDEX ledger_playbook ON ledger (tenant, playbook, id);
CREATE INDEX ledger_over ON ledger (ended, id) WHERE state = 'undone' AND owed = 0;

-- What an entry acts on. hold is connection, action and object: entries with the
-- same hold share the target. live: the entry is not over, its share counts.
CREATE TABLE ledger_targets (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	entry_id INTEGER NOT NULL REFERENCES ledger (id) ON DELETE CASCADE,
	kind     TEXT    NOT NULL,
	value    TEXT    NOT NULL,
	hold     TEXT    NOT NULL,
	live     INTEGER NOT NULL DEFAULT 1,
	PRIMARY KEY (entry_id, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_targets_live ON ledger_targets (tenant, hold, entry_id) WHERE live = 1;
CREATE INDEX ledger_targets_value ON ledger_targets (tenant, value, entry_id);

CREATE TABLE questions (
	id       INTEGER NOT NULL PRIMARY KEY,
	tenant   TEXT    NOT NULL DEFAULT 'default',
	run_id   INTEGER NOT NULL,
	act      INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	kind     TEXT    NOT NULL,
	state    TEXT    NOT NULL,              -- open, closed
	playbook TEXT    NOT NULL DEFAULT '',
	run_by   TEXT    NOT NULL DEFAULT '',
	case_id  INTEGER NOT NULL DEFAULT 0,
	alert_id INTEGER NOT NULL DEFAULT 0,
	severity INTEGER NOT NULL DEFAULT 0,
	asked    INTEGER NOT NULL,
	until    INTEGER NOT NULL DEFAULT 0,
	ended    INTEGER NOT NULL DEFAULT 0,
	body     TEXT    NOT NULL               -- run.Question
) STRICT;
CREATE UNIQUE INDEX questions_place ON questions (run_id, act, n);
CREATE INDEX questions_tenant ON questions (tenant, id);
CREATE INDEX questions_state ON questions (tenant, state, id);
CREATE INDEX questions_run ON questions (run_id, id);
CREATE INDEX questions_case ON questions (case_id, id) WHERE case_id > 0;
CREATE INDEX questions_ended ON questions (ended, id) WHERE ended > 0;

CREATE TABLE answers (
	tenant      TEXT    NOT NULL DEFAULT 'default',
	question_id INTEGER NOT NULL REFERENCES questions (id) ON DELETE CASCADE,
	person      TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	body        TEXT    NOT NULL,           -- run.Answer
	PRIMARY KEY (question_id, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE playbooks (
	tenant     TEXT    NOT NULL DEFAULT 'default',
	slug       TEXT    NOT NULL,
	title      TEXT    NOT NULL DEFAULT '',
	draft      TEXT,                        -- its text, NULL where there is none
	draft_by   TEXT    NOT NULL DEFAULT '',
	draft_at   INTEGER NOT NULL DEFAULT 0,
	version    INTEGER NOT NULL DEFAULT 0,  -- grows with each change: the ETag
	latest     INTEGER NOT NULL DEFAULT 0,  -- the last version made
	published  INTEGER NOT NULL DEFAULT 0,  -- the version in force, 0: none
	PRIMARY KEY (tenant, slug)
) STRICT, WITHOUT ROWID;

CREATE TABLE playbook_versions (
	tenant     TEXT    NOT NULL DEFAULT 'default',
	slug       TEXT    NOT NULL,
	version    INTEGER NOT NULL,
	language   INTEGER NOT NULL,
	hash       TEXT    NOT NULL,            -- of the plan
	title      TEXT    NOT NULL DEFAULT '',
	source     TEXT    NOT NULL,
	signatures TEXT    NOT NULL,            -- the actions it was compiled against, JSON
	made_by    TEXT    NOT NULL,
	made_at    INTEGER NOT NULL,
	note       TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (tenant, slug, version)
) STRICT;
CREATE INDEX playbook_versions_hash ON playbook_versions (hash);

-- Plans that runs are pinned to and that are no published version: drafts, and
-- the one-step plans of undos.
CREATE TABLE plans (
	hash   TEXT    NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL DEFAULT 'default',
	body   TEXT    NOT NULL,
	made   INTEGER NOT NULL
) STRICT;

CREATE TABLE connections (
	tenant    TEXT    NOT NULL DEFAULT 'default',
	name      TEXT    NOT NULL,
	connector TEXT    NOT NULL,
	config    TEXT    NOT NULL,
	version   INTEGER NOT NULL,
	created   INTEGER NOT NULL,
	updated   INTEGER NOT NULL,
	PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE connection_secrets (
	tenant     TEXT    NOT NULL DEFAULT 'default',
	connection TEXT    NOT NULL,
	field      TEXT    NOT NULL,
	sealed     BLOB    NOT NULL,
	key_id     TEXT    NOT NULL,
	updated    INTEGER NOT NULL,
	PRIMARY KEY (tenant, connection, field),
	FOREIGN KEY (tenant, connection) REFERENCES connections (tenant, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	list    TEXT    NOT NULL,
	value   TEXT    NOT NULL,
	note    TEXT    NOT NULL DEFAULT '',
	added   INTEGER NOT NULL,
	by_whom TEXT    NOT NULL DEFAULT '',
	expires INTEGER NOT NULL DEFAULT 0,     -- 0: never
	PRIMARY KEY (tenant, list, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX lists_expires ON lists (expires) WHERE expires > 0;

CREATE TABLE indicators (
	id         INTEGER NOT NULL PRIMARY KEY,
	tenant     TEXT    NOT NULL DEFAULT 'default',
	type       TEXT    NOT NULL,
	value      TEXT    NOT NULL,
	body       TEXT    NOT NULL             -- intel.Indicator
) STRICT;
CREATE UNIQUE INDEX indicators_value ON indicators (tenant, type, value);
CREATE INDEX indicators_tenant ON indicators (tenant, id);

CREATE TABLE people (
	tenant   TEXT    NOT NULL DEFAULT 'default',
	name     TEXT    NOT NULL,
	title    TEXT    NOT NULL DEFAULT '',
	roles    TEXT    NOT NULL DEFAULT '[]',
	groups   TEXT    NOT NULL DEFAULT '[]',
	password TEXT    NOT NULL DEFAULT '',   -- argon2id, in the PHC format
	disabled INTEGER NOT NULL DEFAULT 0,
	created  INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
	hash    TEXT    NOT NULL PRIMARY KEY,
	tenant  TEXT    NOT NULL DEFAULT 'default',
	person  TEXT    NOT NULL,
	opened  INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	body    TEXT    NOT NULL                -- auth.Session
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_person ON sessions (person);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE tokens (
	id        INTEGER NOT NULL PRIMARY KEY,
	tenant    TEXT    NOT NULL DEFAULT 'default',
	hash      TEXT    NOT NULL UNIQUE,
	name      TEXT    NOT NULL,
	person    TEXT    NOT NULL,
	created   INTEGER NOT NULL,
	body      TEXT    NOT NULL              -- auth.Token
) STRICT;
CREATE UNIQUE INDEX tokens_name ON tokens (person, name);

-- What an action holds of the guard's limits.
CREATE TABLE reservations (
	run_id INTEGER NOT NULL,
	act    INTEGER NOT NULL,
	tenant TEXT    NOT NULL DEFAULT 'default',
	at     INTEGER NOT NULL,
	spent  INTEGER NOT NULL DEFAULT 0,      -- when it was last called, 0: it waits
	body   TEXT    NOT NULL,                -- guard.Reservation
	PRIMARY KEY (run_id, act)
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_at ON reservations (at);
CREATE INDEX reservations_spent ON reservations (spent, at);

CREATE TABLE switches (
	tenant TEXT    NOT NULL DEFAULT 'default',
	scope  TEXT    NOT NULL,                -- all, connector, capability, playbook
	name   TEXT    NOT NULL DEFAULT '',
	by_whom TEXT   NOT NULL,
	at     INTEGER NOT NULL,
	reason TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (tenant, scope, name)
) STRICT, WITHOUT ROWID;

-- The audit log: body is what the hash was made of, the other columns only find
-- it.
CREATE TABLE audit (
	seq    INTEGER NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL DEFAULT 'default',
	at     INTEGER NOT NULL,
	who    TEXT    NOT NULL,
	act    TEXT    NOT NULL,
	object TEXT    NOT NULL DEFAULT '',
	body   TEXT    NOT NULL,
	hash   BLOB    NOT NULL
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE INDEX audit_who ON audit (tenant, who, seq);
CREATE INDEX audit_object ON audit (tenant, object, seq);

CREATE TABLE source_cursors (
	tenant  TEXT    NOT NULL DEFAULT 'default',
	source  TEXT    NOT NULL,
	cursor  TEXT    NOT NULL,               -- what the source needs to go on, JSON
	updated INTEGER NOT NULL,
	PRIMARY KEY (tenant, source)
) STRICT, WITHOUT ROWID;

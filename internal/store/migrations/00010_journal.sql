
-- Events of runs, in append order. There is no index by run on purpose: a
-- record names the one before it, so a history is read backwards by its keys.
CREATE TABLE journal (
	seq    INTEGER NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL,
	run    INTEGER NOT NULL,
	prev   INTEGER NOT NULL,
	data   BLOB    NOT NULL
) STRICT;

-- checkpoint: where recovery begins. end: the highest seq ever given out when
-- records were last removed.
CREATE TABLE journal_marks (
	name TEXT    NOT NULL PRIMARY KEY,
	seq  INTEGER NOT NULL
) STRICT;

-- What starts a run once only.
CREATE TABLE run_keys (
	tenant TEXT    NOT NULL,
	key    TEXT    NOT NULL,
	run    INTEGER NOT NULL,
	PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_keys_run ON run_keys (run);

-- States of runs that wait outside memory, or hold the checkpoint back.
CREATE TABLE run_snapshots (
	run    INTEGER NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL,
	seq    INTEGER NOT NULL,
	wake   INTEGER NOT NULL,
	active INTEGER NOT NULL,
	state  BLOB    NOT NULL
) STRICT;
CREATE INDEX run_snapshots_wake ON run_snapshots (wake, run) WHERE wake > 0;
CREATE INDEX run_snapshots_active ON run_snapshots (run) WHERE active = 1;

-- What one run has to tell another.
CREATE TABLE run_mail (
	id     INTEGER NOT NULL PRIMARY KEY,
	tenant TEXT    NOT NULL,
	run    INTEGER NOT NULL,
	data   BLOB    NOT NULL
) STRICT;

-- When the calls of a rated step left.
CREATE TABLE run_rates (
	key    TEXT NOT NULL PRIMARY KEY,
	tenant TEXT NOT NULL,
	times  BLOB NOT NULL
) STRICT;

-- What lists show of runs. Derived from the journal.
CREATE TABLE runs (
	id        INTEGER NOT NULL PRIMARY KEY,
	tenant    TEXT    NOT NULL,
	playbook  TEXT    NOT NULL,
	version   INTEGER NOT NULL,
	plan      TEXT    NOT NULL,
	status    TEXT    NOT NULL,
	waiting   TEXT    NOT NULL,
	paused    INTEGER NOT NULL,
	case_id   INTEGER NOT NULL,
	alert_id  INTEGER NOT NULL,
	parent    INTEGER NOT NULL,
	retries   INTEGER NOT NULL,
	undoes    INTEGER NOT NULL,
	by_whom   TEXT    NOT NULL,
	severity  INTEGER NOT NULL,
	test      INTEGER NOT NULL,
	started   INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	code      TEXT    NOT NULL,
	message   TEXT    NOT NULL,
	step      TEXT    NOT NULL,
	last      INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_status ON runs (tenant, status, id);
CREATE INDEX runs_playbook ON runs (tenant, playbook, id);
CREATE INDEX runs_case ON runs (case_id, id) WHERE case_id > 0;
CREATE INDEX runs_alert ON runs (alert_id, id) WHERE alert_id > 0;
CREATE INDEX runs_parent ON runs (parent, id) WHERE parent > 0;
CREATE INDEX runs_ended ON runs (ended, id) WHERE ended > 0;

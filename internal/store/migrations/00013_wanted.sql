-- +goose Up
-- What somebody wants back, and has not got back yet: entries with the same
-- number were asked for together and are taken newest first, one after the other.
ALTER TABLE ledger ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN wanted_by TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN wanted_why TEXT NOT NULL DEFAULT '';
CREATE INDEX ledger_wanted ON ledger (wanted, id) WHERE wanted > 0;

-- +goose Up
-- What nothing searches by, packed: see alertcontent.go. The rows of before are
-- packed by the step's second half, packOldAlerts.
ALTER TABLE alerts ADD COLUMN content BLOB;

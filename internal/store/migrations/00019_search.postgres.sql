-- +goose Up
-- The words of alerts and cases, by the number of the record.
CREATE TABLE search_alerts (rowid BIGINT NOT NULL PRIMARY KEY, words TSVECTOR NOT NULL);
CREATE INDEX search_alerts_words ON search_alerts USING gin (words);
CREATE TABLE search_cases (rowid BIGINT NOT NULL PRIMARY KEY, words TSVECTOR NOT NULL);
CREATE INDEX search_cases_words ON search_cases USING gin (words);

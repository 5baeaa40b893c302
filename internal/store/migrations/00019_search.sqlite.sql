-- +goose Up
-- The words of alerts and cases, by the number of the record. The texts
-- themselves are not kept twice.
CREATE VIRTUAL TABLE search_alerts USING fts5 (words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0");
CREATE VIRTUAL TABLE search_cases USING fts5 (words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0");

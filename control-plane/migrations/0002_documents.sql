-- Overrides, incidents, windows of downgraded consistency, events: whatever is looked up by name and listed by number.
CREATE TABLE documents (
    kind VARCHAR(16) NOT NULL,
    id VARCHAR(96) NOT NULL,
    number BIGINT NOT NULL,
    ended SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX documents_by_number ON documents (kind, ended, number);

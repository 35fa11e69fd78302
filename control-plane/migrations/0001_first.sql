-- Bodies are JSON; the columns beside them are what is searched by.
CREATE TABLE operations (
    number BIGINT NOT NULL PRIMARY KEY,
    id VARCHAR(64) NOT NULL UNIQUE,
    epoch BIGINT NOT NULL,
    state VARCHAR(16) NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX operations_by_state ON operations (state, number);
CREATE TABLE operation_events (
    operation VARCHAR(64) NOT NULL,
    sequence BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (operation, sequence)
);
CREATE TABLE desired (
    node VARCHAR(64) NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
CREATE TABLE nodes (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
CREATE TABLE tokens (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    hash CHAR(64) NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    hash CHAR(64) NOT NULL,
    body TEXT NOT NULL
);

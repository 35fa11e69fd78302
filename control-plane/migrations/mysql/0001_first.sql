-- The tables of the SQLite store, in MySQL's words. MySQL commits each statement by itself, so each does nothing when it
-- is run again after a death half way.
CREATE TABLE IF NOT EXISTS operations (
    number BIGINT NOT NULL PRIMARY KEY,
    id VARCHAR(64) NOT NULL UNIQUE,
    epoch BIGINT NOT NULL,
    state VARCHAR(16) NOT NULL,
    body LONGTEXT NOT NULL,
    KEY operations_by_state (state, number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS operation_events (
    operation VARCHAR(64) NOT NULL,
    sequence BIGINT NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (operation, sequence)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS desired (
    node VARCHAR(64) NOT NULL PRIMARY KEY,
    body LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS nodes (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    body LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS tokens (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    hash CHAR(64) NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    body LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    hash CHAR(64) NOT NULL,
    body LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
-- Held by whoever appends to the audit: numbers and hashes follow one another.
CREATE TABLE IF NOT EXISTS audit_lock (
    one SMALLINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
INSERT IGNORE INTO audit_lock (one) VALUES (1);

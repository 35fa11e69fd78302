-- One row: which replica leads, and until when unless it says so again.
CREATE TABLE IF NOT EXISTS leader (
    one SMALLINT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    address VARCHAR(255) NOT NULL,
    epoch BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO leader (one, name, address, epoch, until_ms) VALUES (1, '', '', 0, 0);

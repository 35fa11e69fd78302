-- One row: which replica leads, and until when unless it says so again.
CREATE TABLE leader (
    one SMALLINT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    address VARCHAR(255) NOT NULL,
    epoch BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
);
INSERT INTO leader (one, name, address, epoch, until_ms) VALUES (1, '', '', 0, 0);

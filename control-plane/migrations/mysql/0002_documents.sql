CREATE TABLE IF NOT EXISTS documents (
    kind VARCHAR(16) NOT NULL,
    id VARCHAR(96) NOT NULL,
    number BIGINT NOT NULL,
    ended SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (kind, id),
    KEY documents_by_number (kind, ended, number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

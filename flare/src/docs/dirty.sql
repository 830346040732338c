-- A table for dirty records; on MySQL write `offset` in backticks instead of double quotes.
CREATE TABLE IF NOT EXISTS dirty (
    job VARCHAR(200) NOT NULL,
    stage VARCHAR(20) NOT NULL,
    operator VARCHAR(200) NOT NULL,
    subtask INTEGER NOT NULL,
    kind VARCHAR(40) NOT NULL,
    causes TEXT NOT NULL,
    source VARCHAR(200) NOT NULL,
    split VARCHAR(1000) NOT NULL,
    "offset" BIGINT NOT NULL,
    event_time TIMESTAMP NULL,
    rejected_at TIMESTAMP NOT NULL,
    attempt INTEGER NOT NULL,
    raw TEXT NOT NULL,
    raw_base64 BOOLEAN NOT NULL,
    raw_truncated BOOLEAN NOT NULL
);

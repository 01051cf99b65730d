-- Version 1. Plain SQL that SQLite and PostgreSQL both take: BIGINT and BYTEA are only names to
-- SQLite. A statement ends with a semicolon at the end of its line; nothing else may.

-- The network, and what else names the whole database.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Admission log (protocol.md section 9). position counts from 0 without holes; hash is the chain
-- after this entry.
CREATE TABLE admission_log (
    position BIGINT PRIMARY KEY,
    message_id BYTEA NOT NULL UNIQUE,
    recv_ms BIGINT NOT NULL,
    verdict BIGINT NOT NULL,
    rules BIGINT NOT NULL,
    net_tag BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

-- The exact bytes of the message at that position. Apart from the log, so that old messages can
-- be archived while their ids stay known.
CREATE TABLE messages (
    position BIGINT PRIMARY KEY,
    data BYTEA NOT NULL
);

-- Operator log: COSE_Sign1 bytes.
CREATE TABLE operator_log (
    position BIGINT PRIMARY KEY,
    event_id BYTEA NOT NULL UNIQUE,
    data BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

-- Centre of a scoring cell in 10^-6 degree, fixed when the first hello that names it is admitted.
CREATE TABLE centres (
    cell BIGINT PRIMARY KEY,
    lat_e6 BIGINT NOT NULL,
    lon_e6 BIGINT NOT NULL,
    position BIGINT NOT NULL
);

CREATE INDEX centres_by_position ON centres (position);

-- What was refused without an entry: a count per verdict, and the newest few as samples.
CREATE TABLE refused_counts (
    verdict BIGINT PRIMARY KEY,
    refused BIGINT NOT NULL
);

CREATE TABLE refused_samples (
    verdict BIGINT NOT NULL,
    place BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    recv_ms BIGINT NOT NULL,
    device BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (verdict, place)
);

-- Closed epochs. *_first and *_last are half-open ranges of positions.
CREATE TABLE epochs (
    epoch BIGINT PRIMARY KEY,
    rules BIGINT NOT NULL,
    admission_first BIGINT NOT NULL,
    admission_last BIGINT NOT NULL,
    operator_first BIGINT NOT NULL,
    operator_last BIGINT NOT NULL,
    manifest_hash BYTEA NOT NULL,
    manifest BYTEA NOT NULL,
    closing BYTEA NOT NULL,
    outcome BYTEA NOT NULL,
    attestation BYTEA NOT NULL
);

-- Version 2. The highest login counter of every id (protocol.md section 7): a password that was
-- overheard is worth nothing.
CREATE TABLE logins (
    device BYTEA PRIMARY KEY,
    counter BIGINT NOT NULL
);

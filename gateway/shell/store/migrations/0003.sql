-- Version 3. Entropy (spec/coverage.md section 1), and what an epoch says of coverage.

-- The signed commitment to the chain of a day, made once: exact bytes.
CREATE TABLE entropy_commits (
    day BIGINT PRIMARY KEY,
    data BYTEA NOT NULL
);

-- Every link that was published. What is not here was not.
CREATE TABLE entropy_links (
    slot BIGINT PRIMARY KEY,
    chain BYTEA NOT NULL,
    external BYTEA NOT NULL
);

-- The encoded coverage table; NULL in epochs that closed before there was one.
ALTER TABLE epochs ADD COLUMN coverage BYTEA;

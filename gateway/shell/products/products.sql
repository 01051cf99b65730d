-- Cell products and what they are made from. Everything here is taken from the admission log and
-- its messages and can be thrown away at any time. A statement ends with a semicolon at the end
-- of its line.

-- One row: of which network, how far into its log, the chain hash there, how far protocol time had
-- come there (products that were due are made), and the newest close that lies behind.
CREATE TABLE progress (
    version INTEGER NOT NULL,
    network BLOB NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    reached_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL
);

-- Registered stations: the hello that counts, when one was heard (to the hour), and how its sensors
-- stand (CBOR).
CREATE TABLE stations (
    device BLOB PRIMARY KEY,
    cell INTEGER NOT NULL,
    declared TEXT NOT NULL,
    order_seq INTEGER NOT NULL,
    order_id BLOB NOT NULL,
    last_ms INTEGER NOT NULL,
    standings BLOB NOT NULL
) WITHOUT ROWID;

-- Where a station said it was, and what it promised there. to_ms: null while it still does.
CREATE TABLE members (
    device BLOB NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER,
    path INTEGER NOT NULL,
    declared TEXT NOT NULL,
    PRIMARY KEY (device, from_ms)
) WITHOUT ROWID;
CREATE INDEX members_by_path ON members (path);

-- Boots without a time: the first mapping that came, and messages that wait for one.
CREATE TABLE boots (
    device BLOB NOT NULL,
    boot INTEGER NOT NULL,
    utc_at_boot_ms INTEGER NOT NULL,
    PRIMARY KEY (device, boot)
) WITHOUT ROWID;
CREATE TABLE unmapped (
    position INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    boot INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    recv_ms INTEGER NOT NULL
);
CREATE INDEX unmapped_by_boot ON unmapped (device, boot);

-- Samples (CBOR) that wait for the release of their window.
CREATE TABLE pending (
    due_ms INTEGER NOT NULL,
    device BLOB NOT NULL,
    start_ms INTEGER NOT NULL,
    position INTEGER NOT NULL,
    path INTEGER NOT NULL,
    samples BLOB NOT NULL,
    PRIMARY KEY (due_ms, device, start_ms, position)
) WITHOUT ROWID;

-- Ten minutes of one station, all quantities (CBOR).
CREATE TABLE windows (
    device BLOB NOT NULL,
    start_ms INTEGER NOT NULL,
    path INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (device, start_ms)
);
CREATE INDEX windows_by_place ON windows (start_ms, path);

-- Base cells whose product of a period is to be made, and when.
CREATE TABLE touched (
    due_ms INTEGER NOT NULL,
    period_ms INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    cell INTEGER NOT NULL,
    PRIMARY KEY (due_ms, period_ms, start_ms, cell)
) WITHOUT ROWID;

-- Every revision of every product.
CREATE TABLE products (
    cell INTEGER NOT NULL,
    period_ms INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    mean INTEGER,
    spread INTEGER,
    error INTEGER,
    stations INTEGER NOT NULL,
    expected INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    late INTEGER NOT NULL,
    coverage INTEGER NOT NULL,
    flag INTEGER NOT NULL,
    PRIMARY KEY (cell, period_ms, quantity, start_ms, revision)
) WITHOUT ROWID;

-- Which cells and quantities have products at all, and from when to when.
CREATE TABLE known (
    cell INTEGER NOT NULL,
    period_ms INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (cell, period_ms, quantity)
) WITHOUT ROWID;

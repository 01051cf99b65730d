-- What the API looks things up by. Everything here is taken from the admission log and its
-- messages and can be thrown away at any time. A statement ends with a semicolon at the end of
-- its line.

-- One row: of which network, how far into its log, and the chain hash there.
CREATE TABLE progress (
    version INTEGER NOT NULL,
    network BLOB NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    newest_recv_ms INTEGER NOT NULL
);

-- cell: of resolution 7, as a signed integer; order_seq and order_id: of the hello that counts.
CREATE TABLE stations (
    device BLOB PRIMARY KEY,
    cell INTEGER,
    registered_ms INTEGER,
    firmware TEXT,
    declared TEXT NOT NULL,
    order_seq INTEGER NOT NULL,
    order_id BLOB NOT NULL,
    last_ms INTEGER NOT NULL,
    last_kind INTEGER NOT NULL,
    messages INTEGER NOT NULL
);
CREATE INDEX stations_by_cell ON stations (cell, device);

-- Delivered seqs of each device, merged.
CREATE TABLE spans (
    device BLOB NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (device, first)
) WITHOUT ROWID;

-- Readings messages. last_ms: UTC of the newest sample, null while the boot is not mapped.
CREATE TABLE readings (
    position INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    message_id BLOB NOT NULL,
    recv_ms INTEGER NOT NULL,
    boot INTEGER,
    time_ms INTEGER NOT NULL,
    newest_age_ms INTEGER NOT NULL,
    oldest_age_ms INTEGER NOT NULL,
    last_ms INTEGER
);
CREATE INDEX readings_by_time ON readings (device, last_ms, position);
CREATE INDEX readings_by_arrival ON readings (device, position);
CREATE INDEX readings_by_boot ON readings (device, boot) WHERE boot IS NOT NULL;

-- The best mapping of each boot that had no time of its own.
CREATE TABLE clocks (
    device BLOB NOT NULL,
    boot INTEGER NOT NULL,
    uncertainty_ms INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    utc_at_boot_ms INTEGER NOT NULL,
    PRIMARY KEY (device, boot)
) WITHOUT ROWID;

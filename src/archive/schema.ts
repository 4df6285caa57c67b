/** The tables of an archive's index (docs/archive-format.md), and how older ones become these. */

/** `myta`, so that `file` and we can tell an index from any other database. */
export const APPLICATION_ID = 0x6d797461;

/** The format's version: goes up when an older reader would misread a newer archive. */
export const FORMAT_VERSION = 3;

/** Older formats that are read as they are, and brought up to date where the index is written anew. */
export const OLDEST_VERSION = 1;

/** Where the clock of the capture was set: archives of format 1 may lack it, and have no steps that anybody knows of. */
export const CLOCK_STEPS = `
  CREATE TABLE IF NOT EXISTS clock_steps (
    packet INTEGER PRIMARY KEY,
    before_at INTEGER NOT NULL,
    at INTEGER NOT NULL,
    jump INTEGER NOT NULL,
    offset INTEGER NOT NULL
  ) STRICT;
`;

/** What makes an index of version i one of version i + 1. */
export const UPGRADES: Readonly<Record<number, string>> = {
  1: `
    ALTER TABLE archive ADD COLUMN partial TEXT;
    ALTER TABLE archive ADD COLUMN copies INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE segments ADD COLUMN link_type INTEGER NOT NULL DEFAULT 0;
    UPDATE segments SET link_type = (SELECT link_type FROM archive);
  `,
  2: `
    ALTER TABLE archive ADD COLUMN flooded INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE archive ADD COLUMN flooded_data INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE archive ADD COLUMN idle_ns INTEGER;
    ALTER TABLE archive ADD COLUMN half_open_ns INTEGER;
    ALTER TABLE archive ADD COLUMN most_half_open INTEGER;
    ALTER TABLE archive ADD COLUMN most_flows INTEGER;
    ALTER TABLE sessions ADD COLUMN ended TEXT NOT NULL DEFAULT 'open';
    CREATE TABLE gaps (from_at INTEGER PRIMARY KEY, to_at INTEGER) STRICT;
  `,
};

export const SCHEMA = `
  CREATE TABLE archive (
    codec TEXT NOT NULL,
    link_type INTEGER NOT NULL,
    origin_sec INTEGER NOT NULL,
    server_ports TEXT NOT NULL,
    filter TEXT,
    iface TEXT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    packets INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    commands INTEGER NOT NULL,
    uncounted INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    dropped_by_disk INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    repaired TEXT,
    partial TEXT,
    copies INTEGER NOT NULL,
    flooded INTEGER NOT NULL,
    flooded_data INTEGER NOT NULL,
    idle_ns INTEGER,
    half_open_ns INTEGER,
    most_half_open INTEGER,
    most_flows INTEGER
  ) STRICT;
  CREATE TABLE segments (
    number INTEGER PRIMARY KEY,
    octets INTEGER NOT NULL,
    link_type INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    first_packet INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    client_port INTEGER NOT NULL,
    server TEXT NOT NULL,
    server_port INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    first_packet INTEGER NOT NULL,
    last_packet INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    client_octets INTEGER NOT NULL,
    server_octets INTEGER NOT NULL,
    coverage TEXT NOT NULL,
    user TEXT,
    schema TEXT,
    tls INTEGER NOT NULL,
    compressed INTEGER NOT NULL,
    commands INTEGER,
    ended TEXT NOT NULL
  ) STRICT;
  CREATE TABLE gaps (from_at INTEGER PRIMARY KEY, to_at INTEGER) STRICT;
  CREATE TABLE session_blocks (
    session INTEGER NOT NULL,
    first_block INTEGER NOT NULL,
    blocks BLOB NOT NULL,
    PRIMARY KEY (session, first_block)
  ) STRICT, WITHOUT ROWID;
`;

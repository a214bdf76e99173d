-- Tables for SessionClusterStore dbd, in SQLite 3.24 or later. Apply once:
--
--     sqlite3 /var/lib/httpd/sessions.sqlite < sqlite3.sql
--     chown www-data: /var/lib/httpd /var/lib/httpd/sessions.sqlite
--
--     DBDriver sqlite3
--     DBDParams /var/lib/httpd/sessions.sqlite
--     SessionClusterStore dbd
--
-- SQLite is for the servers of one host: all must see the same file on a local disk. Whom httpd runs as must be able to
-- write to the file and to its directory. Nobody else needs to read it: what it holds is sealed, but tells who was
-- there when.
--
-- Other tables than sc_*: replace "sc_" everywhere by, say, "shop_", and write SessionClusterStore dbd prefix=shop
--
-- All times are milliseconds since 1970. To start afresh with httpd stopped: drop the tables and apply this file again.

-- Readers do not wait for writers, nor writers for readers. Kept in the file.
PRAGMA journal_mode = WAL;

-- Sessions (kind R) and the marks of those that have ended (kind T).
CREATE TABLE sc_session (
    id TEXT NOT NULL PRIMARY KEY,          -- digest of the session's id, in hex
    kind TEXT NOT NULL,
    reason INTEGER NOT NULL,               -- why it ended, or would end by its deadline
    created INTEGER NOT NULL,
    born_deadline INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    idle INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    ends_line INTEGER NOT NULL,            -- of a mark: whether other sessions end by it
    node INTEGER NOT NULL,                 -- of a mark: where it was put
    ended_at INTEGER NOT NULL,             -- of a mark: when; of a session whose place is taken: by which
    kept_until INTEGER NOT NULL,           -- then the row is removed
    sealed TEXT NOT NULL                   -- base64; nobody but the holder of the session id can open it
);
CREATE INDEX sc_session_kept_until ON sc_session (kept_until);

-- What happened, for all servers to read in this order. No position is left out.
CREATE TABLE sc_log (
    position INTEGER NOT NULL PRIMARY KEY,
    written_at INTEGER NOT NULL,
    entry TEXT NOT NULL
);

-- Scopes, such as all sessions of a user, that were ended or refreshed as a whole.
CREATE TABLE sc_mark (
    scope TEXT NOT NULL PRIMARY KEY,
    stamp INTEGER NOT NULL,
    kept_until INTEGER NOT NULL
);

-- What the servers say of themselves.
CREATE TABLE sc_node (
    id TEXT NOT NULL PRIMARY KEY,
    word TEXT NOT NULL,
    said_at INTEGER NOT NULL
);

-- One row, which every writer to the log changes first: so that they come one after the other.
CREATE TABLE sc_state (
    one INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,              -- of these tables
    id TEXT NOT NULL,                      -- drawn when they are first used
    last INTEGER NOT NULL,                 -- position in the log
    trimmed INTEGER NOT NULL,              -- up to here the log was removed
    highest INTEGER NOT NULL               -- stamp of all marks so far
);
INSERT INTO sc_state (one, version, id, last, trimmed, highest) VALUES (1, 1, '', 0, 0, 0);

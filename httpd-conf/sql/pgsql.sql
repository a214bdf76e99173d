-- Tables for SessionClusterStore dbd, in PostgreSQL 10 or later. Apply once, as the user whom httpd shall be:
--
--     CREATE ROLE httpd LOGIN PASSWORD 'a password';
--     CREATE DATABASE sessions OWNER httpd;
--     psql -U httpd sessions < pgsql.sql
--
--     DBDriver pgsql
--     DBDParams "host=10.0.0.5 user=httpd password=... dbname=sessions connect_timeout=2 tcp_user_timeout=5000"
--     DBDMax 16
--     SessionClusterStore dbd
--
-- All servers must speak to the same database server. With synchronous_commit or fsync off, logins and logouts of the
-- last moment may be lost when it fails; all servers notice that it was started again and ask it about each session.
--
-- Other tables than sc_*: replace "sc_" everywhere by, say, "shop_", and write SessionClusterStore dbd prefix=shop
--
-- All times are milliseconds since 1970. To start afresh with httpd stopped: drop the tables and apply this file again.

-- Sessions (kind R) and the marks of those that have ended (kind T).
CREATE TABLE sc_session (
    id VARCHAR(64) NOT NULL PRIMARY KEY,   -- digest of the session's id, in hex
    kind VARCHAR(1) NOT NULL,
    reason SMALLINT NOT NULL,              -- why it ended, or would end by its deadline
    created BIGINT NOT NULL,
    born_deadline BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    idle BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    ends_line SMALLINT NOT NULL,           -- of a mark: whether other sessions end by it
    node INTEGER NOT NULL,                 -- of a mark: where it was put
    ended_at BIGINT NOT NULL,              -- of a mark: when; of a session whose place is taken: by which
    kept_until BIGINT NOT NULL,            -- then the row is removed
    sealed TEXT NOT NULL                   -- base64; nobody but the holder of the session id can open it
);
CREATE INDEX sc_session_kept_until ON sc_session (kept_until);

-- What happened, for all servers to read in this order. No position is left out.
CREATE TABLE sc_log (
    position BIGINT NOT NULL PRIMARY KEY,
    written_at BIGINT NOT NULL,
    entry VARCHAR(255) NOT NULL
);

-- Scopes, such as all sessions of a user, that were ended or refreshed as a whole.
CREATE TABLE sc_mark (
    scope VARCHAR(64) NOT NULL PRIMARY KEY,
    stamp BIGINT NOT NULL,
    kept_until BIGINT NOT NULL
);

-- What the servers say of themselves.
CREATE TABLE sc_node (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    word TEXT NOT NULL,
    said_at BIGINT NOT NULL
);

-- Empty after a crash and on a standby that takes over: commits may then be lost that had been confirmed.
CREATE UNLOGGED TABLE sc_instance (
    one SMALLINT NOT NULL PRIMARY KEY,
    token VARCHAR(64) NOT NULL
);

-- One row, which every writer to the log changes first: so that they come one after the other. Changed so often that
-- its page must have room for many dead versions.
CREATE TABLE sc_state (
    one SMALLINT NOT NULL PRIMARY KEY,
    version SMALLINT NOT NULL,             -- of these tables
    id VARCHAR(64) NOT NULL,               -- drawn when they are first used
    last BIGINT NOT NULL,                  -- position in the log
    trimmed BIGINT NOT NULL,               -- up to here the log was removed
    highest BIGINT NOT NULL                -- stamp of all marks so far
) WITH (fillfactor = 10);
INSERT INTO sc_state (one, version, id, last, trimmed, highest) VALUES (1, 1, '', 0, 0, 0);

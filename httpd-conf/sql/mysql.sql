-- Tables for SessionClusterStore dbd, in MariaDB from 10.3 or MySQL from 5.7. Apply once, in a database of their own:
--
--     CREATE DATABASE sessions;
--     CREATE USER httpd IDENTIFIED BY 'a password';
--     GRANT SELECT, INSERT, UPDATE, DELETE ON sessions.* TO httpd;
--     mariadb sessions < mysql.sql
--
--     DBDriver mysql
--     DBDParams "host=10.0.0.5 user=httpd pass=... dbname=sessions"
--     DBDMax 16
--     SessionClusterStore dbd
--
-- All servers must speak to the same database server. With innodb_flush_log_at_trx_commit other than 1, logins and
-- logouts of the last second are lost when the machine fails; all servers then notice that it was started again and ask
-- it about each session. Records of more than max_allowed_packet (16 MB if nothing else is said) cannot be stored.
--
-- Other tables than sc_*: replace "sc_" everywhere by, say, "shop_", and write SessionClusterStore dbd prefix=shop
--
-- All times are milliseconds since 1970. To start afresh with httpd stopped: drop the tables and apply this file again.

-- Sessions (kind R) and the marks of those that have ended (kind T).
CREATE TABLE sc_session (
    id VARCHAR(64) NOT NULL PRIMARY KEY COMMENT 'digest of the session id, in hex',
    kind VARCHAR(1) NOT NULL,
    reason SMALLINT NOT NULL COMMENT 'why it ended, or would end by its deadline',
    created BIGINT NOT NULL,
    born_deadline BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    idle BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    ends_line SMALLINT NOT NULL COMMENT 'of a mark: whether other sessions end by it',
    node INTEGER NOT NULL COMMENT 'of a mark: where it was put',
    ended_at BIGINT NOT NULL COMMENT 'of a mark: when; of a session whose place is taken: by which',
    kept_until BIGINT NOT NULL COMMENT 'then the row is removed',
    sealed MEDIUMTEXT NOT NULL COMMENT 'base64; nobody but the holder of the session id can open it',
    KEY sc_session_kept_until (kept_until)
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- What happened, for all servers to read in this order. No position is left out.
CREATE TABLE sc_log (
    position BIGINT NOT NULL PRIMARY KEY,
    written_at BIGINT NOT NULL,
    entry VARCHAR(255) NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Scopes, such as all sessions of a user, that were ended or refreshed as a whole.
CREATE TABLE sc_mark (
    scope VARCHAR(64) NOT NULL PRIMARY KEY,
    stamp BIGINT NOT NULL,
    kept_until BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- What the servers say of themselves.
CREATE TABLE sc_node (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    word TEXT NOT NULL,
    said_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- In memory, so that it is empty when the database server was started again: it may have lost what it had confirmed.
CREATE TABLE sc_instance (
    one SMALLINT NOT NULL PRIMARY KEY,
    token VARCHAR(64) NOT NULL
) ENGINE=MEMORY DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- One row, which every writer to the log changes first: so that they come one after the other.
CREATE TABLE sc_state (
    one SMALLINT NOT NULL PRIMARY KEY,
    version SMALLINT NOT NULL COMMENT 'of these tables',
    id VARCHAR(64) NOT NULL COMMENT 'drawn when they are first used',
    last BIGINT NOT NULL COMMENT 'position in the log',
    trimmed BIGINT NOT NULL COMMENT 'up to here the log was removed',
    highest BIGINT NOT NULL COMMENT 'stamp of all marks so far'
) ENGINE=InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
INSERT INTO sc_state (one, version, id, last, trimmed, highest) VALUES (1, 1, '', 0, 0, 0);

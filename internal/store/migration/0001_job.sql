-- Numbers of jobs and lists are small integers. A row that belongs to part k of
-- job or list n has the key n*2^24+k, so that the rows of one job lie together,
-- are found by a range of the primary key, and need no secondary index.

-- A frozen list, shared by all jobs that ran over the same content and order.
CREATE TABLE list (
	num      INTEGER PRIMARY KEY AUTOINCREMENT,
	hash     BLOB    NOT NULL,
	len      INTEGER NOT NULL,
	recipe   BLOB,              -- how to compute the list; NULL: it is in list_chunk
	buckets  INTEGER NOT NULL,  -- of list_lookup; a power of two, or 0 for none
	refs     INTEGER NOT NULL,  -- jobs that use it
	bytes    INTEGER NOT NULL,
	writer   TEXT               -- owner that is still writing it; NULL: the list is whole
) STRICT;
CREATE UNIQUE INDEX list_hash ON list (hash) WHERE writer IS NULL;
CREATE INDEX list_writer ON list (num) WHERE writer IS NOT NULL;

CREATE TABLE list_chunk  (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE list_lookup (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

CREATE TABLE job (
	num        INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT    NOT NULL UNIQUE,
	state      TEXT    NOT NULL,
	gone       INTEGER NOT NULL DEFAULT 0,  -- 1: being deleted, not shown any more
	why        TEXT    NOT NULL,
	created    INTEGER NOT NULL,            -- times are nanoseconds of the Unix era; 0: not yet
	started    INTEGER NOT NULL,
	finished   INTEGER NOT NULL,
	touched    INTEGER NOT NULL,            -- last write of its owner
	user       TEXT    NOT NULL,
	command    TEXT    NOT NULL,
	owner      TEXT,                        -- JSON; NULL once the state is final
	duplicates INTEGER NOT NULL,
	list       INTEGER NOT NULL,
	targets    INTEGER NOT NULL,
	segments   INTEGER NOT NULL,            -- rows in segment
	located    INTEGER NOT NULL,            -- rows in locator; 0: look through the segments
	bytes      INTEGER NOT NULL,            -- of results, with the large bodies that this job stored first
	counts     TEXT    NOT NULL,            -- JSON, see tally
	spill      TEXT    NOT NULL DEFAULT '', -- file with the results that could not be stored
	spilled    INTEGER NOT NULL DEFAULT 0,
	spec       BLOB    NOT NULL             -- JSON of muster.JobSpec
) STRICT;
CREATE INDEX job_open ON job (num) WHERE owner IS NOT NULL OR gone = 1;

-- Up to 1,000 results each; see segment.go for the columns.
CREATE TABLE segment (
	id       INTEGER PRIMARY KEY,
	count    INTEGER NOT NULL,
	outcomes INTEGER NOT NULL,  -- bit o is set when a result has outcome o
	refs     BLOB    NOT NULL,  -- numbers of the large bodies
	head     BLOB    NOT NULL,
	rest     BLOB    NOT NULL,
	bodies   BLOB    NOT NULL
) STRICT;

-- Where the result of a target is; written when the job ends.
CREATE TABLE locator (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

-- Targets that an attempt which must not be repeated may have reached.
CREATE TABLE reservation (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

-- Bodies over 1 KiB, once each.
CREATE TABLE body (
	num  INTEGER PRIMARY KEY AUTOINCREMENT,
	hash BLOB    NOT NULL UNIQUE,  -- first 16 bytes of SHA-256
	refs INTEGER NOT NULL          -- segments that name it
) STRICT;
CREATE TABLE body_data (num INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

package store

// All SQL of the package. Keys of parts are num<<24|k, see migration/0001_job.sql.
const (
	sqlBegin       = `BEGIN IMMEDIATE`
	sqlCommit      = `COMMIT`
	sqlRollback    = `ROLLBACK`
	sqlSyncNormal  = `PRAGMA synchronous = NORMAL`
	sqlSyncFull    = `PRAGMA synchronous = FULL`
	sqlVersion     = `PRAGMA user_version`
	sqlSetVersion  = `PRAGMA user_version = %d`
	sqlCountTables = `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'`

	sqlFindList    = `SELECT num, len FROM list WHERE hash = ? AND writer IS NULL`
	sqlInsertList  = `INSERT INTO list (hash, len, recipe, buckets, refs, bytes, writer) VALUES (?, ?, ?, ?, 0, 0, ?)`
	sqlSealList    = `UPDATE list SET writer = NULL, bytes = ? WHERE num = ?`
	sqlUseList     = `UPDATE list SET refs = refs + 1 WHERE num = ?`
	sqlInsertChunk = `INSERT INTO list_chunk (id, data) VALUES (?, ?)`
	sqlInsertHash  = `INSERT INTO list_lookup (id, data) VALUES (?, ?)`
	sqlList        = `SELECT hash, len, recipe, buckets FROM list WHERE num = ?`
	sqlChunk       = `SELECT data FROM list_chunk WHERE id = ?`

	jobColumns = `num, id, state, why, created, started, finished, touched, user, command, owner, duplicates,
		list, targets, segments, located, bytes, counts, spill, spilled, spec`
	sqlJobs      = `SELECT ` + jobColumns + ` FROM job WHERE `
	sqlJobsOrder = ` ORDER BY num DESC LIMIT ?`
	sqlInsertJob = `INSERT INTO job (id, state, why, created, started, finished, touched, user, command, owner,
		duplicates, list, targets, segments, located, bytes, counts, spec)
		VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?)`
	sqlProgress  = `UPDATE job SET segments = ?, bytes = ?, counts = ? WHERE num = ?`
	sqlTouch     = `UPDATE job SET touched = ? WHERE num = ? AND owner = ? AND gone = 0`
	sqlFinishJob = `UPDATE job SET state = ?, why = ?, started = ?, finished = ?, touched = ?, owner = NULL,
		duplicates = ?, located = ?, bytes = ?, counts = ?, spill = ?, spilled = ? WHERE num = ? AND owner = ? AND gone = 0`

	sqlInsertSegment = `INSERT INTO segment (id, count, outcomes, refs, head, rest, bodies) VALUES (?, ?, ?, ?, ?, ?, ?)`
	sqlHeads         = `SELECT id, count, outcomes, head FROM segment WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`
	sqlHead          = `SELECT head FROM segment WHERE id = ?`
	sqlRest          = `SELECT refs, rest FROM segment WHERE id = ?`
	sqlRestBodies    = `SELECT refs, rest, bodies FROM segment WHERE id = ?`
	sqlInsertLocator = `INSERT INTO locator (id, data) VALUES (?, ?)`
	sqlLocator       = `SELECT data FROM locator WHERE id = ?`

	sqlUseBody    = `INSERT INTO body (hash, refs) VALUES (?, 1) ON CONFLICT (hash) DO UPDATE SET refs = refs + 1 RETURNING num, refs`
	sqlInsertBody = `INSERT INTO body_data (num, data) VALUES (?, ?)`
	sqlBody       = `SELECT data FROM body_data WHERE num = ?`

	sqlReserve           = `INSERT INTO reservation (id, data) VALUES (?, ?)`
	sqlDeleteReservation = `DELETE FROM reservation WHERE id >= ? AND id < ?`
	sqlReservations      = `SELECT id, data FROM reservation WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`

	sqlLookup   = `SELECT data FROM list_lookup WHERE id = ?`
	sqlClaim    = `UPDATE job SET owner = ? WHERE num = ? AND owner = ? AND gone = 0`
	sqlRelease  = `UPDATE job SET owner = ?, touched = ? WHERE num = ? AND owner = ? AND gone = 0`
	sqlFinished = `SELECT num, id, finished, spill FROM job WHERE owner IS NULL AND gone = 0 ORDER BY num`
	sqlHidden   = `SELECT num, id FROM job WHERE gone = 1`
	sqlUnsealed = `SELECT num, writer FROM list WHERE writer IS NOT NULL`
	sqlPageSize = `PRAGMA page_size`

	sqlHideJob            = `UPDATE job SET gone = 1 WHERE num = ? AND owner IS ?`
	sqlDeleteJob          = `DELETE FROM job WHERE num = ? RETURNING list`
	sqlSegmentRefs        = `SELECT id, refs FROM segment WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`
	sqlDeleteSegments     = `DELETE FROM segment WHERE id >= ? AND id < ?`
	sqlDeleteLocators     = `DELETE FROM locator WHERE id IN (SELECT id FROM locator WHERE id >= ? AND id < ? LIMIT ?)`
	sqlDeleteReservations = `DELETE FROM reservation WHERE id IN (SELECT id FROM reservation WHERE id >= ? AND id < ? LIMIT ?)`
	sqlDeleteChunks       = `DELETE FROM list_chunk WHERE id IN (SELECT id FROM list_chunk WHERE id >= ? AND id < ? LIMIT ?)`
	sqlDeleteHashes       = `DELETE FROM list_lookup WHERE id IN (SELECT id FROM list_lookup WHERE id >= ? AND id < ? LIMIT ?)`
	sqlDeleteList         = `DELETE FROM list WHERE num = ? AND writer IS NOT NULL`
	sqlLeaveList          = `UPDATE list SET refs = refs - 1 WHERE num = ? RETURNING refs`
	sqlUnsealList         = `UPDATE list SET writer = '' WHERE num = ?`
	sqlLeaveBody          = `UPDATE body SET refs = refs - 1 WHERE num = ? RETURNING refs`
	sqlDeleteBody         = `DELETE FROM body WHERE num = ?`
	sqlDeleteBodyData     = `DELETE FROM body_data WHERE num = ?`
	sqlFreePages          = `PRAGMA freelist_count`
	sqlShrink             = `PRAGMA incremental_vacuum(1024)`
	sqlPageCount          = `PRAGMA page_count`
)

const partBits = 24

// partKey returns the key of part k of job or list num.
func partKey(num int64, k int) int64 { return num<<partBits | int64(k) }

// maxParts is how many parts a job or list can have.
const maxParts = 1 << partBits

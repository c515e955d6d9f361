package store

import (
	"time"

	"github.com/musterhq/muster"
)

// A segment holds the results of one write, at most segmentRows of them, in
// three packed parts, so that a reader opens only what it needs:
//
//	head    index, outcome, failure and code of every row: filters, ledgers, locators
//	rest    every other column and the table of bodies
//	bodies  blocks of up to blockSize with the small bodies, packed one by one
//	refs    not packed: numbers of the rows in table body that hold the large ones
//
// head is a version byte, the number of rows, and four columns; rest is the
// columns named below, each with its length before it. Bodies that are equal
// are stored once per segment, large ones once per database.
type segment struct {
	count    int
	outcomes int64 // bit o is set when a row has outcome o
	refs     []byte
	head     []byte
	rest     []byte
	bodies   []byte
}

const (
	segmentVersion = 1
	// segmentRows is the most rows of a segment.
	segmentRows = 1000
	// segmentText is the size of the columns after which a segment is closed early.
	segmentText = 4 << 20
	// segmentBodies is the same for small bodies.
	segmentBodies = 2 << 20
	// smallBody is the longest body that is kept inside the segment.
	smallBody = 1 << 10
	// blockSize is the least unit of reading a body: large enough to compress, small
	// enough that one body costs well under a millisecond.
	blockSize = 64 << 10
)

// The columns of rest.
const (
	colStrings    = iota // dictionary: length and bytes of each string
	colShapes            // dictionary: number of names and their string numbers
	colStatus            // string number, 0 for ""
	colReason            // string number
	colDetail            // string number
	colFlags             // flag bits
	colAddress           // kind, bytes, zone, port
	colStarted           // microseconds after the row before
	colResolve           // durations, microseconds
	colConnect           //
	colTLS               //
	colFirstByte         //
	colTotal             //
	colAttempts          //
	colFieldShape        // shape number, 0 for none
	colFieldValue        // tagged values in the order of the shape
	colHeadShape         // shape number, 0 for none
	colHeadValue         // length and bytes
	colBody              // 0 for none, 1 for the next of colBodies, n+2 for number n
	colBodies            // length<<1, or large bodies: length<<1 | 1
	colBlocks            // raw length and packed length of each block
	numColumns
)

// The flag bits of a row.
const (
	flagStarted = 1 << iota
	flagTruncated
	flagTransient
	flagSent
	flagPushback
)

// The kinds of an address.
const (
	addrNone = iota
	addrV4
	addrV6
	addrV6Zone
)

// The tags of a field's value.
const (
	tagNil = iota
	tagFalse
	tagTrue
	tagInt   // a float64 without fraction, as a signed number
	tagFloat // eight bytes
	tagString
)

// maxExactInt bounds the integers that a float64 tells apart.
const maxExactInt = 1 << 53

// micros returns d in microseconds, rounded up so that a phase that happened is not 0.
func micros(d time.Duration) uint64 {
	if d > 0 {
		d += time.Microsecond - 1
	}
	return uint64(d / time.Microsecond)
}

func fromMicros(v uint64) time.Duration { return time.Duration(int64(v)) * time.Microsecond }

// outcomeMask returns the bits of the given outcomes; none means all.
func outcomeMask(os []muster.Outcome) int64 {
	if len(os) == 0 {
		return -1
	}
	m := int64(0)
	for _, o := range os {
		m |= 1 << o
	}
	return m
}

package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/musterhq/muster"
)

// spillLine is what is read back of a line of a spill file: everything but the headers.
type spillLine struct {
	Kind     string          `json:"kind"`
	Index    int             `json:"index"`
	Address  string          `json:"address"`
	Outcome  muster.Outcome  `json:"outcome"`
	Failure  muster.Failure  `json:"failure"`
	Reason   string          `json:"reason"`
	Detail   string          `json:"detail"`
	Status   string          `json:"status"`
	Code     int             `json:"code"`
	Timings  spillTimings    `json:"timings"`
	Started  time.Time       `json:"started"`
	Cut      bool            `json:"truncated"`
	Attempts int             `json:"attempts"`
	Fields   json.RawMessage `json:"fields"`
	Body     string          `json:"body"`
	Base64   []byte          `json:"body_b64"`
	Indexes  []int           `json:"indexes"`
}

// spillTimings are milliseconds.
type spillTimings struct {
	Resolve   float64 `json:"resolve"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"first_byte"`
	Total     float64 `json:"total"`
}

func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func (l *spillLine) result() muster.Result {
	r := muster.Result{
		Index: l.Index, Outcome: l.Outcome, Failure: l.Failure, Reason: l.Reason, Detail: l.Detail, Status: l.Status,
		Code: l.Code, Attempts: l.Attempts, Fields: readFields(l.Fields), Body: []byte(l.Body),
	}
	if len(l.Base64) > 0 {
		r.Body = l.Base64
	}
	t := &l.Timings
	r.Timings = muster.Timings{
		Resolve: fromMillis(t.Resolve), Connect: fromMillis(t.Connect), TLS: fromMillis(t.TLS),
		FirstByte: fromMillis(t.FirstByte), Total: fromMillis(t.Total),
	}
	r.Started, r.Truncated = l.Started, l.Cut
	// An address that does not parse was none.
	r.Address, _ = netip.ParseAddrPort(l.Address)
	return r
}

// readFields reads a JSON object in its order; values that no field can have are left out.
func readFields(b json.RawMessage) []muster.Field {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var fs []muster.Field
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fs
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return fs
		}
		switch v.(type) {
		case nil, bool, float64, string:
			fs = append(fs, muster.Field{Name: name.(string), Value: v})
		}
	}
	return fs
}

// maxLine bounds a line of a spill file.
const maxLine = 1 << 30

// readSpill writes the results of a spill file to the job and notes its reservations.
// The last line may be cut short: its writer died.
func (r *Recorder) readSpill(ctx context.Context, path string, reserved []uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var l spillLine
		if err := json.Unmarshal(line, &l); err != nil {
			continue // another program's line, or half of one: the rest is worth having
		}
		switch l.Kind {
		case kindReserve:
			for _, i := range l.Indexes {
				setBit(reserved, i, r.targets)
			}
		case "result":
			res := l.result()
			if r.check(&res) != nil {
				continue
			}
			if err := r.Write(ctx, []muster.Result{res}); err != nil {
				return err
			}
			if ok, _, err := r.Health(); !ok {
				return err
			}
		}
	}
}

// readLine returns the next whole line; what follows the last newline is no line.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxLine {
			return nil, errCorrupt
		}
	}
}

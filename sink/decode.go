package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/musterhq/muster"
)

// line is a result as [AppendResult] writes it.
type line struct {
	Kind      string             `json:"kind"`
	Target    string             `json:"target"`
	Address   string             `json:"address"`
	Index     int                `json:"index"`
	Outcome   muster.Outcome     `json:"outcome"`
	Failure   muster.Failure     `json:"failure"`
	Reason    string             `json:"reason"`
	Detail    string             `json:"detail"`
	Status    string             `json:"status"`
	Code      int                `json:"code"`
	MS        float64            `json:"ms"`
	Timings   map[string]float64 `json:"timings"`
	Attempts  int                `json:"attempts"`
	Started   time.Time          `json:"started"`
	Fields    json.RawMessage    `json:"fields"`
	Headers   json.RawMessage    `json:"headers"`
	Body      *string            `json:"body"`
	BodyB64   []byte             `json:"body_b64"`
	Truncated bool               `json:"truncated"`
}

// DecodeResult reads a line of [AppendResult] back. What it wrote comes back as it was, except
// that times are rounded to what the line holds, bytes in texts that were not UTF-8 are
// lost, and headers of one name stand together. Unknown keys are ignored. A line that is
// no result is an error of kind invalid.
func DecodeResult(b []byte) (muster.Result, error) {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return muster.Result{}, muster.Errorf(muster.KindInvalid, "read result: %w", err)
	}
	if l.Kind != "result" {
		return muster.Result{}, muster.Errorf(muster.KindInvalid, `read result: kind is %q: want "result"`, l.Kind)
	}
	r, err := l.result()
	if err != nil {
		return muster.Result{}, muster.Errorf(muster.KindInvalid, "read result of %q: %w", l.Target, err)
	}
	return r, nil
}

func (l *line) result() (r muster.Result, err error) {
	r = muster.Result{
		Index: l.Index, Target: l.Target, Outcome: l.Outcome, Failure: l.Failure, Reason: l.Reason, Detail: l.Detail,
		Status: l.Status, Code: l.Code, Started: l.Started.UTC(), Attempts: l.Attempts, Body: l.BodyB64, Truncated: l.Truncated,
	}
	if l.Outcome == 0 || l.Index < 0 {
		return r, fmt.Errorf("index %d, outcome %q: want an index and an outcome", l.Index, l.Outcome)
	}
	if r.Address, err = muster.ParseAddress(l.Address); err != nil {
		return r, err
	}
	if l.Body != nil && l.BodyB64 == nil && *l.Body != "" {
		r.Body = []byte(*l.Body)
	}
	if len(r.Body) == 0 {
		r.Body = nil
	}
	if r.Timings, err = l.timings(); err != nil {
		return r, err
	}
	if r.Fields, err = decodeFields(l.Fields); err != nil {
		return r, fmt.Errorf("fields: %w", err)
	}
	if r.Header, err = decodeHeaders(l.Headers); err != nil {
		return r, fmt.Errorf("headers: %w", err)
	}
	return r, nil
}

func (l *line) timings() (t muster.Timings, err error) {
	for _, phase := range [...]struct {
		to *time.Duration
		ms float64
	}{
		{&t.Total, l.MS},
		{&t.Resolve, l.Timings["resolve"]},
		{&t.Connect, l.Timings["connect"]},
		{&t.TLS, l.Timings["tls"]},
		{&t.FirstByte, l.Timings["first_byte"]},
	} {
		const longest = float64(math.MaxInt64 / int64(time.Millisecond))
		if phase.ms < 0 || phase.ms >= longest {
			return t, fmt.Errorf("%v ms: want milliseconds", phase.ms)
		}
		// Split, so that long times keep their microseconds.
		whole, frac := math.Modf(phase.ms)
		*phase.to = time.Duration(whole)*time.Millisecond + time.Duration(math.Round(frac*1000))*time.Microsecond
	}
	return t, nil
}

// decodeFields reads an object in its order, which is that of the action's rules.
func decodeFields(b json.RawMessage) (fields []muster.Field, err error) {
	err = members(b, func(name string, value json.RawMessage) error {
		f := muster.Field{Name: name}
		if err := json.Unmarshal(value, &f.Value); err != nil {
			return err
		}
		switch f.Value.(type) {
		case nil, string, float64, bool:
		default:
			return fmt.Errorf("%q is neither text, number, boolean nor null", name)
		}
		fields = append(fields, f)
		return nil
	})
	return fields, err
}

func decodeHeaders(b json.RawMessage) (header []muster.HeaderField, err error) {
	err = members(b, func(name string, value json.RawMessage) error {
		var values []string
		if len(value) > 0 && value[0] != '[' {
			value = json.RawMessage("[" + string(value) + "]")
		}
		if err := json.Unmarshal(value, &values); err != nil {
			return err
		}
		for _, v := range values {
			header = append(header, muster.HeaderField{Name: name, Value: v})
		}
		return nil
	})
	return header, err
}

// members calls f for the members of an object in their order.
func members(b json.RawMessage, f func(name string, value json.RawMessage) error) error {
	if len(b) == 0 || string(b) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("want an object: %w", err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := f(name.(string), value); err != nil {
			return err
		}
	}
	return nil
}

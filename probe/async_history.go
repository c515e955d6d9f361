package probe

import (
	"strconv"
	"time"
)

// maxHistory bounds how many polls of one job are kept: ten thousand jobs may be under way.
const maxHistory = 128

// jobHistory is how a job went on. When it is full every other entry goes, so that it stays even.
type jobHistory struct {
	entries []jobEntry
	stride  int // one in so many polls is kept; 0 is all
	skipped int
}

type jobEntry struct {
	at       time.Duration
	progress any
	fault    string // of a poll that failed
}

// add takes a poll down.
func (h *jobHistory) add(at time.Duration, progress any, fault string) {
	if h.skipped++; h.skipped < h.stride {
		return
	}
	h.skipped = 0
	if len(h.entries) == maxHistory {
		for i := range maxHistory / 2 {
			h.entries[i] = h.entries[2*i]
		}
		h.entries = h.entries[:maxHistory/2]
		h.stride = max(2*h.stride, 2)
	}
	h.entries = append(h.entries, jobEntry{at, progress, fault})
}

// text returns the history as compact JSON.
func (h *jobHistory) text() string {
	b := []byte{'['}
	for i, e := range h.entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendInt(b, e.at.Milliseconds(), 10)
		b = append(b, ',')
		b = appendProgress(b, e.progress)
		if e.fault != "" {
			b = append(b, ',')
			b = append(b, quoteJSON(e.fault)...)
		}
		b = append(b, ']')
	}
	return string(append(b, ']'))
}

func appendProgress(b []byte, v any) []byte {
	switch v := v.(type) {
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return append(b, quoteJSON(v)...)
	}
	return append(b, "null"...)
}

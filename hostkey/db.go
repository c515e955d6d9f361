package hostkey

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/musterhq/muster"
)

// DB is what known_hosts files say. It is safe for concurrent use; the zero value knows nothing.
type DB struct {
	files   []string
	entries []entry
	plain   map[string]int32 // name to its first entry, by number + 1

	sets [3]set // lines that a map cannot find, by marker

	mu    sync.Mutex
	found map[string][]int32 // names to the hashed lines that were found for them
}

// set holds the lines with patterns and the hashed ones.
type set struct {
	patterns []pattern
	hashed   []hashed
}

// Load reads known_hosts files. Files that do not exist are empty.
func Load(files ...string) (*DB, error) {
	d := &DB{plain: map[string]int32{}, found: map[string][]int32{}}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, muster.Errorf(muster.KindInvalid, "read the known hosts: %w", err)
		}
		d.read(f, string(text))
	}
	return d, nil
}

// read takes the lines of one file.
func (d *DB) read(file, text string) {
	d.files = append(d.files, file)
	n := int32(0)
	for line := range strings.Lines(text) {
		n++
		if p, ok := parseLine(line); ok {
			d.add(p, entry{kind: p.kind, key: p.key, file: int32(len(d.files) - 1), line: n})
		}
	}
}

// add indexes one line.
func (d *DB) add(p parsed, e entry) {
	if strings.HasPrefix(p.names, "|1|") {
		if h, ok := parseHashed(p.names); ok {
			h.entry = d.push(e)
			d.sets[p.marker].hashed = append(d.sets[p.marker].hashed, h)
		}
		return
	}
	if p.marker != known || strings.ContainsAny(p.names, "*?!") {
		s := &d.sets[p.marker]
		s.patterns = append(s.patterns, pattern{strings.Split(strings.ToLower(p.names), ","), d.push(e)})
		return
	}
	for name := range strings.SplitSeq(p.names, ",") {
		if name != "" {
			name = strings.ToLower(name)
			e.next = d.plain[name]
			d.plain[name] = d.push(e) + 1
		}
	}
}

func (d *DB) push(e entry) int32 {
	d.entries = append(d.entries, e)
	return int32(len(d.entries) - 1)
}

// known returns the keys that name may have.
func (d *DB) known(name string) []*entry {
	var found []*entry
	for i := d.plain[name]; i > 0; i = d.entries[i-1].next {
		found = append(found, &d.entries[i-1])
	}
	found = d.byPattern(found, known, name)
	if len(found) > 0 || len(d.sets[known].hashed) == 0 {
		return found
	}
	return d.byHash(found, name)
}

// marked returns the keys that lines with a marker give to name.
func (d *DB) marked(m marker, name string) []*entry {
	found := d.byPattern(nil, m, name)
	for i := range d.sets[m].hashed {
		if h := &d.sets[m].hashed[i]; h.matches(name) {
			found = append(found, &d.entries[h.entry])
		}
	}
	return found
}

func (d *DB) byPattern(found []*entry, m marker, name string) []*entry {
	for i := range d.sets[m].patterns {
		if p := &d.sets[m].patterns[i]; p.matches(name) {
			found = append(found, &d.entries[p.entry])
		}
	}
	return found
}

// byHash tries all hashed lines, and remembers what it found.
func (d *DB) byHash(found []*entry, name string) []*entry {
	d.mu.Lock()
	numbers, ok := d.found[name]
	d.mu.Unlock()
	if !ok {
		for i := range d.sets[known].hashed {
			if h := &d.sets[known].hashed[i]; h.matches(name) {
				numbers = append(numbers, h.entry)
			}
		}
		d.remember(name, numbers)
	}
	for _, n := range numbers {
		found = append(found, &d.entries[n])
	}
	return found
}

// maxFound bounds the names that are remembered: what is beyond is tried again.
const maxFound = 200_000

func (d *DB) remember(name string, numbers []int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.found) < maxFound {
		d.found[name] = numbers
	}
}

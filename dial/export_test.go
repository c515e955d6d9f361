package dial

// CachedNames returns how many answers r keeps.
func CachedNames(r *Resolver) int {
	n := 0
	for i := range r.cache.shards {
		s := &r.cache.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// ParsePortRange is parsePortRange.
var ParsePortRange = parsePortRange

// Exhausted makes b believe that the system refused a descriptor that it had given out.
func Exhausted(b *Budget) { b.exhausted() }

// NoteShort plays a shortage of ports or kernel memory with the given number of sockets open.
func (d *Dialer) NoteShort(open int, why string) { d.state().scarce.note(open, why) }

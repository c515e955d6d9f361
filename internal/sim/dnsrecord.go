package sim

import (
	"encoding/binary"
)

// records writes the records of one type that every name has into a section,
// whose count is at an offset of the header. It reports whether there are any.
func (a *answering) records(q *query, section int, qtype uint16) bool {
	if qtype == typeANY {
		return a.records(q, section, typeA) && a.records(q, section, typeTXT)
	}
	self := []byte{0xc0, dnsHeader} // a pointer to the name of the question
	h := hashName(q.name) ^ mix(a.script.seed)
	var data [3][]byte // room on the stack for the few that there are
	all := data[:0]
	switch qtype {
	case typeA:
		all = append(all, []byte{10, byte(h >> 16), byte(h >> 8), byte(h)})
		if h>>24&3 == 0 {
			all = append(all, []byte{10, byte(h >> 48), byte(h >> 40), byte(h >> 32)})
		}
	case typeAAAA:
		all = append(all, binary.BigEndian.AppendUint64([]byte{0xfd, 0, 0, 0, 0, 0, 0, 0}, h))
	case typeNS:
		all = append(all, under("ns1"), under("ns2"))
	case typePTR:
		all = append(all, under("host"))
	case typeMX:
		all = append(all, append([]byte{0, 10}, under("mail")...))
	case typeSRV:
		all = append(all, append([]byte{0, 0, 0, 0, 0x1f, 0x90}, under("host")...))
	case typeSOA:
		all = append(all, soa(h))
	case typeTXT:
		all = a.texts(all)
	}
	for _, d := range all {
		a.record(section, self, qtype, classIN, dnsTTL, d)
	}
	return len(all) > 0
}

// under is a name below that of the question.
func under(label string) []byte {
	return append(append([]byte{byte(len(label))}, label...), 0xc0, dnsHeader)
}

// soa is a start of authority whose serial number follows from the name.
func soa(h uint64) []byte {
	b := append(under("ns1"), under("hostmaster")...)
	b = binary.BigEndian.AppendUint32(b, 2026000000+uint32(h%1000000))
	for _, seconds := range [...]uint32{3600, 600, 86400, dnsTTL} {
		b = binary.BigEndian.AppendUint32(b, seconds)
	}
	return b
}

// texts are the TXT records: who answers, and as much more as an oversized answer needs.
func (a *answering) texts(all [][]byte) [][]byte {
	who := appendHostname(nil, a.ep)
	if a.version != "" {
		who = append(append(who, ' '), a.version...)
	}
	all = append(all, append([]byte{byte(len(who))}, who...))
	if a.b.Kind != Oversized {
		return all
	}
	for size := min(a.b.Size, maxPacket-512); size > 0; size -= 255 + 13 {
		all = append(all, append([]byte{255}, fillerBody[:255]...))
	}
	return all
}

// record writes one record and counts it.
func (a *answering) record(section int, name []byte, rtype, class uint16, ttl uint32, data []byte) {
	count := a.out[section:]
	binary.BigEndian.PutUint16(count, binary.BigEndian.Uint16(count)+1)
	a.out = append(a.out, name...)
	a.out = binary.BigEndian.AppendUint16(a.out, rtype)
	a.out = binary.BigEndian.AppendUint16(a.out, class)
	a.out = binary.BigEndian.AppendUint32(a.out, ttl)
	a.out = binary.BigEndian.AppendUint16(a.out, uint16(len(data)))
	a.out = append(a.out, data...)
}

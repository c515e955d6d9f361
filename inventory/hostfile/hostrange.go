package hostfile

import (
	"fmt"
	"strconv"
	"strings"
)

// maxHosts bounds what one pattern of an Ansible inventory may stand for.
const maxHosts = 4_000_000

// expandPattern splits host:port off a pattern of an Ansible inventory and
// expands its ranges, such as web[01:50:2].example.com and db-[a:f]. The
// offset in an error counts bytes into the pattern.
func expandPattern(pattern string) (hosts []string, port string, err error) {
	host, port := splitPattern(pattern)
	if port == "" && strings.HasSuffix(host, ":") && strings.Count(withoutBrackets(host), ":") == 1 {
		return nil, "", &patternError{len(pattern) - 1, "a colon without a port after it"}
	}
	hosts = []string{""}
	for rest := host; ; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			return appendTails(hosts, []string{rest}), port, nil
		}
		offset := len(host) - len(rest) + open
		length := strings.IndexByte(rest[open:], ']')
		if length < 0 {
			return nil, "", &patternError{offset, "the bracket is not closed"}
		}
		tails, problem := hostRange(rest[open+1:open+length], maxHosts/len(hosts))
		if problem != "" {
			return nil, "", &patternError{offset, problem}
		}
		for i := range tails {
			tails[i] = rest[:open] + tails[i]
		}
		hosts = appendTails(hosts, tails)
		rest = rest[open+length+1:]
	}
}

// patternError is a defect at an offset of a host pattern.
type patternError struct {
	offset int
	msg    string
}

func (e *patternError) Error() string { return e.msg }

// splitPattern takes the port off [address]:port and host:port; an address with
// more colons has none.
func splitPattern(pattern string) (host, port string) {
	i := strings.LastIndexByte(pattern, ':')
	if i < 0 || strings.IndexByte(pattern[i:], ']') >= 0 {
		return pattern, ""
	}
	port = pattern[i+1:]
	if _, err := strconv.ParseUint(port, 10, 32); err != nil {
		return pattern, ""
	}
	host = pattern[:i]
	if len(host) > 2 && host[0] == '[' && strings.IndexByte(host, ']') == len(host)-1 {
		if strings.Count(host, ":") > 2 || strings.Contains(host, "::") || !strings.Contains(host, ":") {
			return host[1 : len(host)-1], port
		}
	}
	if strings.ContainsRune(withoutBrackets(host), ':') {
		return pattern, ""
	}
	return host, port
}

// withoutBrackets cuts what stands in brackets out of s.
func withoutBrackets(s string) string {
	var b strings.Builder
	depth := 0
	for _, r := range s {
		switch {
		case r == '[':
			depth++
		case r == ']' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func appendTails(heads, tails []string) []string {
	if len(heads) == 1 && heads[0] == "" {
		return tails
	}
	all := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			all = append(all, head+tail)
		}
	}
	return all
}

// hostRange expands begin:end or begin:end:step, numbers or single letters, to
// at most limit texts.
func hostRange(text string, limit int) (values []string, problem string) {
	parts := strings.Split(text, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return nil, fmt.Sprintf("the range [%s] must be [begin:end] or [begin:end:step]", shorten(text))
	}
	step := 1
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return nil, fmt.Sprintf("the step of [%s] must be a number from 1", shorten(text))
		}
		step = n
	}
	begin, end := parts[0], parts[1]
	if begin == "" {
		begin = "0"
	}
	if end == "" {
		return nil, fmt.Sprintf("the range [%s] has no end", shorten(text))
	}
	if isLetter(begin) && isLetter(end) {
		values, problem = letterRange(text, begin, end, step)
		if len(values) > limit {
			return nil, tooManyHosts()
		}
		return values, problem
	}
	return numberRange(text, begin, end, step, limit)
}

func tooManyHosts() string {
	return fmt.Sprintf("the pattern stands for more than %d hosts: use -w or lines for large ranges", maxHosts)
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func isLetter(s string) bool { return len(s) == 1 && strings.Contains(letters, s) }

func letterRange(text, begin, end string, step int) (values []string, problem string) {
	from, to := strings.Index(letters, begin), strings.Index(letters, end)
	if from > to {
		return nil, fmt.Sprintf("the range [%s] ends before it begins", shorten(text))
	}
	for i := from; i <= to; i += min(step, len(letters)) {
		values = append(values, letters[i:i+1])
	}
	return values, ""
}

func numberRange(text, begin, end string, step, limit int) (values []string, problem string) {
	from, err1 := strconv.ParseUint(begin, 10, 62)
	to, err2 := strconv.ParseUint(end, 10, 62)
	switch {
	case err1 != nil || err2 != nil:
		return nil, fmt.Sprintf("the range [%s] is neither of numbers nor of single letters", shorten(text))
	case from > to:
		return nil, fmt.Sprintf("the range [%s] ends before it begins", shorten(text))
	case begin[0] == '0' && len(begin) > 1 && len(begin) != len(end):
		return nil, fmt.Sprintf("the ends of the range [%s] must be equally wide", shorten(text))
	case (to-from)/uint64(step) >= uint64(limit):
		return nil, tooManyHosts()
	}
	width := 0
	if begin[0] == '0' && len(begin) > 1 {
		width = len(begin)
	}
	for i := from; i <= to; i += uint64(step) {
		values = append(values, fmt.Sprintf("%0*d", width, i))
	}
	return values, ""
}

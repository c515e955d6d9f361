package probe

import (
	"cmp"
	"crypto/tls"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// tcpProber is a compiled [TCP]. It is immutable but for its pools.
type tcpProber struct {
	env    Env
	spec   TCP
	at     locator
	tls    *tls.Config
	sni    *vars.Template
	steps  []tcpStep
	names  []string // of the fields that the steps catch
	until  string   // without its value
	delim  string
	length int
	idle   time.Duration
	limit  int
}

// tcpStep is a compiled [Step].
type tcpStep struct {
	act    tcpAct
	text   []sendTemplate // to send
	re     *regexp.Regexp
	raw    bool
	bytes  string
	next   bool // bytes come next
	fields []tcpField
	reason string // of an answer that does not meet the expectation
}

type tcpAct uint8

const (
	actSend tcpAct = iota
	actExpect
	actStartTLS
)

// sendTemplate is a compiled piece of what is sent.
type sendTemplate struct {
	text *vars.Template // nil for a reference
	ref  string
}

type tcpField struct {
	name  string
	value []sendTemplate
}

func compileTCP(s TCP, env Env) (muster.Prober, error) {
	p, err := newTCP(s, env)
	if err != nil {
		return nil, err
	}
	return p.swept(), nil
}

func newTCP(s TCP, env Env) (*tcpProber, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	p := &tcpProber{
		env: env.withDefaults(s.Safe()), spec: s, names: s.fieldNames(),
		idle: idleOr(s.IdleTimeout, env), limit: int(cmp.Or(s.BodyLimit, DefaultBodyLimit)),
	}
	c := streamCompiler{parser: vars.Parser{Secret: env.Secret}}
	p.at.port = c.parse("port", s.Port)
	p.sni = c.parse("tls server_name", s.TLS.ServerName)
	p.tls = c.tls(s.TLS)
	for i := range s.Steps {
		p.steps = append(p.steps, c.step(i+1, &s.Steps[i]))
	}
	p.until = s.until()
	switch p.until {
	case untilNone, untilClose, untilIdle:
	default:
		p.delim, p.length, _ = s.untilValue() // validated
		p.until = untilDelim
		if p.length > 0 {
			p.until = untilLen
		}
	}
	return p, c.err()
}

// idleOr is the silence that ends an answer: by default early enough to be told from an attempt that runs out of time.
func idleOr(d muster.Duration, env Env) time.Duration {
	return cmp.Or(time.Duration(d), min(DefaultIdle, env.withDefaults(true).Timeout/2))
}

func (c *streamCompiler) step(n int, s *Step) tcpStep {
	what := "step " + strconv.Itoa(n)
	switch {
	case s.StartTLS:
		return tcpStep{act: actStartTLS}
	case s.Send != "":
		return tcpStep{act: actSend, text: c.sendTemplates(what+": send", s.Send)}
	case s.Hex != "":
		text, _ := hexBytes(s.Hex) // validated
		return tcpStep{act: actSend, text: c.sendTemplates(what+": hex", Escape(text))}
	case s.ExpectBytes != "":
		text, _ := fixedBytes(s.ExpectBytes) // validated
		return tcpStep{act: actExpect, bytes: text, next: s.Next, reason: "expect " + brief(strconv.QuoteToASCII(text))}
	}
	st := tcpStep{act: actExpect, re: regexp.MustCompile(s.Expect), raw: s.Raw, next: s.Next, reason: "expect " + brief(s.Expect)}
	for _, f := range s.Fields {
		st.fields = append(st.fields, tcpField{f.Name, c.sendTemplates(what+": field "+f.Name, f.Value)})
	}
	return st
}

// brief keeps a reason short: results are grouped by it.
func brief(s string) string {
	const most = 60
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func (c *streamCompiler) sendTemplates(what, text string) []sendTemplate {
	parts, err := splitSend(text)
	c.add(err)
	var ts []sendTemplate
	for _, part := range parts {
		if part.ref != "" {
			ts = append(ts, sendTemplate{ref: part.ref})
		} else if part.text != "" {
			ts = append(ts, sendTemplate{text: c.parse(what, part.text)})
		}
	}
	return ts
}

// pieces is an expanded [sendTemplate] list: texts with references between them.
type pieces []sendPart

// expandPieces expands the templates, or what may be shown of them.
func expandPieces(ts []sendTemplate, t *muster.Target, redact bool) (pieces, error) {
	ps := make(pieces, 0, len(ts))
	for _, st := range ts {
		if st.text == nil {
			ps = append(ps, sendPart{ref: st.ref})
			continue
		}
		b, err := expand(nil, st.text, t, redact)
		if err != nil {
			return nil, err
		}
		ps = append(ps, sendPart{text: string(b)})
	}
	return ps, nil
}

// appendTo appends the text, with what was caught in place of the references.
func (ps pieces) appendTo(dst []byte, caught func(ref string) []byte) []byte {
	for _, part := range ps {
		if part.ref != "" {
			dst = append(dst, caught(part.ref)...)
			continue
		}
		dst = append(dst, part.text...)
	}
	return dst
}

// script is what is done with one target: the steps' texts and fields, expanded before anything is sent.
type script struct {
	endpoint
	sni    string
	texts  []pieces
	fields [][]pieces
}

func (p *tcpProber) script(t *muster.Target, redact bool) (*script, *defect) {
	e, d := p.at.locate(t)
	if d != nil {
		return nil, d
	}
	s := &script{endpoint: e}
	if s.sni, d = e.sni(p.sni, t); d != nil {
		return nil, d
	}
	for i := range p.steps {
		st := &p.steps[i]
		text, err := expandPieces(st.text, t, redact)
		if err != nil {
			return nil, expansionDefect(err)
		}
		s.texts = append(s.texts, text)
		var values []pieces
		for _, f := range st.fields {
			value, err := expandPieces(f.value, t, redact)
			if err != nil {
				return nil, expansionDefect(err)
			}
			values = append(values, value)
		}
		s.fields = append(s.fields, values)
	}
	return s, nil
}

// Check reports why t would end invalid.
func (p *tcpProber) Check(t *muster.Target) error {
	if _, d := p.script(t, false); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the steps as they would be done.
func (p *tcpProber) Preview(t *muster.Target) (string, error) {
	s, d := p.script(t, true)
	if d != nil {
		return "", d.err
	}
	var b strings.Builder
	b.WriteString("# tcp " + s.endpoint.String())
	if p.spec.Secure {
		b.WriteString(" over TLS for " + s.sni)
	}
	b.WriteByte('\n')
	for i := range p.steps {
		switch st := &p.steps[i]; {
		case st.act == actStartTLS:
			b.WriteString("starttls for " + s.sni)
		case st.act == actSend:
			b.WriteString("send     " + strconv.QuoteToGraphic(string(s.texts[i].appendTo(nil, func(ref string) []byte { return []byte("${" + ref + "}") }))))
		default:
			b.WriteString(strings.Replace(st.reason, "expect ", "expect   ", 1))
		}
		b.WriteByte('\n')
	}
	if p.until != untilNone {
		b.WriteString("read     until " + p.spec.until() + "\n")
	}
	return b.String(), nil
}

package sink

import "github.com/musterhq/muster"

// Colorizer colours text for a terminal. The zero value leaves text as it is. It is a
// value and may be used concurrently.
type Colorizer struct {
	on bool
}

// NewColorizer decides about colours by the usual rules, the first that says something
// winning: choice ("always" or "never"; "auto" or "" says nothing); NO_COLOR not empty: none;
// CLICOLOR_FORCE not empty and not 0: colours; CLICOLOR=0: none; TERM=dumb: none; else colours
// where the output is a terminal. getenv is [os.Getenv] or a stand-in.
func NewColorizer(choice string, getenv func(string) string, terminal bool) (Colorizer, error) {
	switch choice {
	case "always":
		return Colorizer{true}, nil
	case "never":
		return Colorizer{}, nil
	case "auto", "":
	default:
		return Colorizer{}, muster.Errorf(muster.KindInvalid, "color %q: want auto, always or never", choice)
	}
	force := getenv("CLICOLOR_FORCE")
	switch {
	case getenv("NO_COLOR") != "":
		return Colorizer{}, nil
	case force != "" && force != "0":
		return Colorizer{true}, nil
	case getenv("CLICOLOR") == "0", getenv("TERM") == "dumb":
		return Colorizer{}, nil
	}
	return Colorizer{terminal}, nil
}

// On reports whether there are colours.
func (c Colorizer) On() bool { return c.on }

// style is a "select graphic rendition" of ECMA-48.
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// styleOf is the colour of an outcome.
func styleOf(o muster.Outcome) style {
	switch o {
	case muster.OK:
		return green
	case muster.Unexpected, muster.Canceled, muster.NotAttempted:
		return yellow
	}
	return red
}

func (c Colorizer) open(dst []byte, s style) []byte {
	if !c.on || s == plain {
		return dst
	}
	return append(append(append(dst, "\x1b["...), s...), 'm')
}

func (c Colorizer) close(dst []byte, s style) []byte {
	if !c.on || s == plain {
		return dst
	}
	return append(dst, "\x1b[0m"...)
}

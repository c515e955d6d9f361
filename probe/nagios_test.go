package probe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// TestNagios takes the examples of the plugin guidelines and what real plugins print.
func TestNagios(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":            "output=",
		"DISK OK":     "output=DISK OK",
		"OK\r\n":      "output=OK",
		"PING OK|":    "output=PING OK",
		"OK | a=1":    "output=OK perf.a=1",
		"OK|a=1;2;3;": "output=OK perf.a=1 perf.a.warn=2 perf.a.crit=3",
		"OK - load average: 0.01|load1=0.010;5.000;10.000;0; load5=.5": "output=OK - load average: 0.01 perf.load1=0.01 perf.load1.warn=5 perf.load1.crit=10 perf.load1.min=0 perf.load5=0.5",
		"x|time=0.0052s;;;0.0;10 size=1520B;;;0":                       "output=x perf.time=0.0052 perf.time.uom=s perf.time.min=0 perf.time.max=10 perf.size=1520 perf.size.uom=B perf.size.min=0",
		"x|'C:\\ Label:  Serial'=5GB":                                  `output=x perf.C:\ Label:  Serial=5 perf.C:\ Label:  Serial.uom=GB`,
		"x|'it''s'=1 b=2":                                              "output=x perf.it's=1 perf.b=2",
		"x|rta=U;1;2 pl=100%":                                          "output=x perf.rta=<nil> perf.rta.warn=1 perf.rta.crit=2 perf.pl=100 perf.pl.uom=%",
		"x|a=1;@10:20;~:5;;":                                           "output=x perf.a=1 perf.a.warn=@10:20 perf.a.crit=~:5",
		"x|a=1;10:":                                                    "output=x perf.a=1 perf.a.warn=10:",
		"x|a=-1.5e3c b=+2":                                             "output=x perf.a=-1500 perf.a.uom=c perf.b=2",
		"x|a=1 a=2":                                                    "output=x perf.a=1",
		"x|a b=1 =5 c=,5 d=1,5 e='f' g=1.2.3 h=1":                      "output=x perf.b=1 perf.h=1",
		"x|'open=1 b=2":                                                "output=x perf.b=2",
		"DISK OK - free: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB (69%);\n/home 69357 MB (27%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n": "output=DISK OK - free: / 3326 MB (56%); perf./=2643 perf./.uom=MB perf./.warn=5948 perf./.crit=5958 perf./.min=0 perf./.max=5968" +
			" perf./boot=68 perf./boot.uom=MB perf./boot.warn=88 perf./boot.crit=93 perf./boot.min=0 perf./boot.max=98 perf./home=69357 perf./home.uom=MB perf./home.warn=253404 perf./home.crit=253409 perf./home.min=0 perf./home.max=253414",
	} {
		var got []string
		for _, f := range nagiosFields([]byte(in)) {
			got = append(got, fmt.Sprintf("%s=%v", f.Name, f.Value))
		}
		if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
			t.Errorf("%q (-want +got):\n%s", in, d)
		}
	}
}

// TestNagiosRoundTrip writes metrics by the guidelines and reads them back.
func TestNagiosRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z/][a-zA-Z ='/_.-]{0,12}`), 0, 8, rapid.ID[string]).Draw(t, "labels")
		perf, want := "", []muster.Field{{Name: "output", Value: "OK"}}
		for _, label := range labels {
			m := metric{label: label, value: float64(rapid.IntRange(-1e6, 1e6).Draw(t, "value")) / 64, uom: rapid.SampledFrom([]string{"", "s", "%", "MB", "c"}).Draw(t, "uom")}
			m.bounds[0] = rapid.SampledFrom([]string{"", "10:20", "~:5", "@1:2"}).Draw(t, "warn")
			want = m.appendTo(want)
			perf += fmt.Sprintf(" '%s'=%v%s;%s", strings.ReplaceAll(label, "'", "''"), m.value, m.uom, m.bounds[0])
		}
		if d := cmp.Diff(want, nagiosFields([]byte("OK|"+perf))); d != "" {
			t.Fatalf("%s (-want +got):\n%s", perf, d)
		}
	})
}

// FuzzPerfdata looks for output that breaks the parser, or fields that cannot be told apart.
func FuzzPerfdata(f *testing.F) {
	for _, s := range []string{"OK", "OK|a=1;2;3;4;5", "x|'a''b'=1s '=", "a|b=U\nc|'d e'=1e5%;@1:2", "|=|'", "|a=1e999 b=--1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		fields := nagiosFields(out)
		if len(fields) > 1+6*maxPerfdata {
			t.Errorf("%d fields", len(fields))
		}
		for i, x := range fields {
			switch x.Value.(type) {
			case nil, float64, string:
			default:
				t.Errorf("%s is a %T", x.Name, x.Value)
			}
			if i > 0 && (!strings.HasPrefix(x.Name, "perf.") || x.Name == "perf.") {
				t.Errorf("a field named %q", x.Name)
			}
		}
	})
}

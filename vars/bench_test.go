package vars

import "testing"

func BenchmarkAppend(b *testing.B) {
	for name, text := range map[string]string{
		"static":      "http://example/status",
		"two":         "http://{{.host}}/racks/{{.rack}}",
		"two_escaped": "http://{{.host}}/racks/{{.rack | pathescape}}",
		"port":        "http://{{.host}}:{{.port}}/",
		"general":     `http://{{.host}}:{{.nope | default "80"}}/{{if .env}}{{.env}}{{end}}`,
	} {
		b.Run(name, func(b *testing.B) {
			tpl, err := Parse("url", text)
			if err != nil {
				b.Fatal(err)
			}
			tg, dst := web(), make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = tpl.Append(dst[:0], tg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("url", "http://{{.host}}/racks/{{.rack | pathescape}}"); err != nil {
			b.Fatal(err)
		}
	}
}

package probe

// upgrade is how a protocol goes over to TLS.
type upgrade struct {
	port  uint16
	steps []Step
}

// upgrades returns the protocols that are known, each with the dialogue that ends right before the handshake.
func upgrades() map[string]upgrade {
	return map[string]upgrade{
		"smtp": {25, []Step{
			{Expect: "^220 "},
			{Send: `EHLO muster\r\n`},
			{Expect: "^250 "},
			{Send: `STARTTLS\r\n`},
			{Expect: "^220 "},
		}},
		"imap": {143, []Step{{Expect: `^\* OK`}, {Send: `a1 STARTTLS\r\n`}, {Expect: "^a1 OK"}}},
		"pop3": {110, []Step{{Expect: `^\+OK`}, {Send: `STLS\r\n`}, {Expect: `^\+OK`}}},
		"ftp":  {21, []Step{{Expect: "^220 "}, {Send: `AUTH TLS\r\n`}, {Expect: "^234"}}},
		// SSLRequest; S agrees.
		"postgres": {5432, []Step{{Hex: "00 00 00 08 04 d2 16 2f"}, {Expect: "^S", Raw: true}}},
		// ExtendedRequest 1.3.6.1.4.1.1466.20037; an ExtendedResponse with success agrees.
		"ldap": {389, []Step{
			{Hex: "30 1d 02 01 01 77 18 80 16 31 2e 33 2e 36 2e 31 2e 34 2e 31 2e 31 34 36 36 2e 32 30 30 33 37"},
			{Expect: `(?s)\x0a\x01\x00\x04.*$`, Raw: true},
		}},
		// The greeting, then an SSLRequest, which is not answered.
		"mysql": {3306, []Step{
			{Expect: `(?s)^...\x00\x0a.*$`, Raw: true},
			{Hex: "20 00 00 01 01 8a 08 00 00 00 00 01 21" + " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		}},
		"xmpp": {5222, []Step{
			{Send: `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{{.host}}' version='1.0'>`},
			{Expect: `(?s)<starttls.*</stream:features>`, Raw: true},
			{Send: `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`},
			{Expect: `<proceed[^>]*>`, Raw: true},
		}},
	}
}

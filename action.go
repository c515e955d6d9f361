package muster

import "encoding/json"

// Action is what is done to one target. It can be written as JSON or YAML and
// holds no secret, only references to them.
type Action struct {
	// Probe names the protocol: "http".
	Probe string `json:"probe"`
	// With holds the probe's parameters; package probe defines and decodes them.
	With json.RawMessage `json:"with,omitempty"`
	// Expect is the condition an answer must meet (package extract); "" asks
	// for the protocol's own idea of success.
	Expect string `json:"expect,omitempty"`
	// Extract names the fields to take from the answer, in order.
	Extract []Extract `json:"extract,omitempty"`
}

// Extract is one field rule; package extract defines the rule's syntax.
type Extract struct {
	Name string `json:"name"`
	Rule string `json:"rule"`
}

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
	// Checks are further conditions, each with a name: the first one that an answer does not
	// meet is the reason why it is not ok.
	Checks []Check `json:"checks,omitempty"`
	// Extract names the fields to take from the answer, in order.
	Extract []Extract `json:"extract,omitempty"`
}

// Check is a condition with a name. Exactly one of Expect and CEL is given.
type Check struct {
	// Name is the reason of the answers that do not meet the condition.
	Name string `json:"name"`
	// Expect is a condition as in [Action].
	Expect string `json:"expect,omitempty"`
	// CEL is one in the Common Expression Language over body, the answer's body as JSON. An answer that
	// is no JSON does not meet it.
	CEL string `json:"cel,omitempty"`
}

// Extract is one field rule; package extract defines the rule's syntax.
type Extract struct {
	Name string `json:"name"`
	Rule string `json:"rule"`
}

package muster

import "log/slog"

// Secret is a resolved secret in memory. Everything that prints, logs or encodes it shows
// "[redacted]"; only Reveal gives the value. Stored specs hold references
// (env:NAME, file:PATH) instead.
type Secret struct{ value string }

const redacted = "[redacted]"

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value, for the one place that sends it.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns the redaction mark.
func (s Secret) String() string { return redacted }

// GoString returns the redaction mark.
func (s Secret) GoString() string { return redacted }

// LogValue returns the redaction mark.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns the redaction mark.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

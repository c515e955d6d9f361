// Package archtest holds the tree to its rules: which package stands on which floor, which
// outside module belongs to whom, who may open a socket, and that the acceptance
// table names tests that exist. It has no code of its own, only tests.
package archtest

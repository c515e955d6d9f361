// Package nodeset is an algebra of node names written as ClusterShell writes
// them: web[01-20],db[1-3]!web13 stands for 22 names without listing them.
//
// # Language
//
//	web[1-20]          a range; several ranges: web[1-5,9]; a step: web[0-10/2]
//	web[001-010]       zero padding is part of the name: web001 is not web1
//	r[1-4]n[1-8].lan   any number of brackets, anywhere, digits beside them too
//	a,b  a b           union (white space is a union as well)
//	a!b  a&b  a^b      difference, intersection, symmetric difference
//	@rack  @src:rack   the nodes of a group; @*, @src:* all nodes of a source;
//	                   @@src the names of the groups of a source
//	web*  web?         the nodes among all known ones which match
//
// Operators have no precedence: a set is read from left to right. Group names
// and wildcards need a [Resolver]; without one they are errors. An index has at
// most 18 digits and a name at most 32 indexes; other digits are ordinary text.
//
// Three additions make every name writable:
//
//   - a backslash takes the special meaning from the next byte: \[ \@ \* \,
//   - brackets which hold an IP address are that address: [::1]:[80-89]
//   - after scheme://host the path, the query and the fragment are literal up to
//     white space, so https://web[1-3]:8443/a,b?c=[1] is three names
//
// # Names and order
//
// Any non-empty string is a name. Its runs of digits are its axes (not those
// in an IP address in brackets or behind the host of a URL); names which agree in the rest
// share a pattern. Sets are ordered by pattern and then axis by axis: shorter
// runs of digits first, then by value. This is ClusterShell's order, except that
// an irregular n-dimensional set is walked in plain lexicographic order.
//
// # Differences from ClusterShell 1.9
//
//   - white space separates names instead of being part of one
//   - a set of negative indexes is written with the sign in the name: n[-2-1] is n-[1-2],n[0-1]
//   - an irregular n-dimensional set may be covered by other, equally exact,
//     rectangles than ClusterShell's; one dimension and regular grids are equal
//   - ranges cost nothing: n[1-999999999999] is one interval, not a trillion names
package nodeset

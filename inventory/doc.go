// Package inventory turns what a user names (sets, groups, files, earlier runs)
// into a job's frozen list of targets.
//
//	list, err := inventory.Freeze(ctx, inventory.Query{Sets: []string{"web[01-40]:8080,10.0.0.0/24"}})
//
// # Targets
//
// Terms of a -w expression are separated by white space or commas.
//
//	web1  web1:8080  10.0.0.1  [::1]:443        one host, its port
//	https://web1:8443/health?x=1,2              a URL, literal up to white space
//	web1/health                                 a path without a scheme
//	web[01-40,50-60/2].example.com              ranges, steps and zero padding, anywhere in
//	127.1.[0-255].[1-250]:8080                  the host; in every bracket ascending
//	https://web[1-9]:8443/health                also in a URL's host
//	127.0.0.1:[8001-8050]                       and as ports, one port after the other
//	10.0.0.0/16  10.0.0.0/16:9100               a prefix
//	2001:db8::/120  [2001:db8::/120]:443        the same in IPv6, at most 2^40 addresses
//	10.0.0.1-10.0.3.255                         both addresses and all between
//	@web  @racks:r1  @rack[1-3]                 groups, from a source of groups
//	@*  @racks:*  web*  db?                     all nodes of groups, those that match
//	@last  @last:failed  @last~2:refused        targets of earlier runs: all, not_ok, an outcome, a
//	@261120-183441-k3fz:reason="status 503"     failure, or a reason
//	a!b  a&b  a^b                               without, common, in one of both
//
// Something that parses as a prefix is a prefix before it is a path. An IPv4 prefix
// shorter than /31 leaves out its network and broadcast address, as fping -g
// does; /31, /32 and IPv6 prefixes stand for all their addresses. Brackets that hold an
// IP address are that address.
//
// Operators have no precedence and go from left to right, as in ClusterShell. To
// the right of ! and & a term matches each target that agrees in all it says:
// web1 matches every scheme, port and path of web1.
//
// Names are in lower case and without a final dot; international names stay
// readable. A user or password in a URL is refused.
//
// # Identity
//
// A target's id is its row's own, else its canonical address: default ports are
// dropped, so http://h:80 is http://h/. A target that occurs again is dropped and
// counted; the first one's labels stand. The same id with two addresses makes
// the second one invalid. Rows of --each have the id address#row and are never merged.
//
// Groups that a target came from are in its label "group", separated by commas.
//
// # Cost
//
// Ranges are never expanded: duplicates between them are found by arithmetic, and
// 10.0.0.0/8 takes about a kilobyte. Everything else goes to a spool, an unlinked
// temporary file once it exceeds 1 MiB; a target costs some 30 bytes of memory while the
// list is being made and 4 afterwards. A selector that looks at hosts or ids of a
// range, and ranges that overlap in more than 2^18 pieces, spell the range out.
package inventory

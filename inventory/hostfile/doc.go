// Package hostfile reads target rows from the files, streams and URLs that name
// a fleet, one row at a time, with the line and column of everything that is wrong.
//
// A [Reader] names the input; [Reader.Rows] yields its rows. What a row means
// as targets is decided by package inventory.
//
// # Formats
//
// The format is [Reader.Format], else it follows from the file's extension,
// else from the content.
//
//	lines          -w expressions, one or more a line; # starts a comment at the
//	               start of a line or after white space
//	csv tsv        a header row, then one row a target; ; separates too when the
//	               header has no comma; lines that start with # are comments
//	json yaml      a list of texts or of objects, or any document with a JSONPath
//	jsonl          one object or text a line
//	ansible-ini    groups, :children, :vars, ranges, variables
//	ansible-yaml   the same as YAML
//	ansible-json   what ansible-inventory --list prints
//	prometheus-sd  file_sd and http_sd: [{targets, labels}], JSON or YAML
//	cms            a paginated query: result[].<projection>, hasmore, next.url
//
// # Columns
//
// CSV columns and the keys of JSON and YAML objects mean the same:
//
//	address target url host ip name   the target, the first of these that is there
//	id, or name beside another        the row's id
//	port                              joined to the target
//	group groups                      separated by commas, semicolons or white space
//	off                               true, yes, on or 1 switches the row off
//	NA                                any value but false, no, off or 0 switches the row off
//	label.X labels.X                  the label X
//	var.X vars.X                      the variable X
//	any other                         a label and a variable of that name
//
// An empty CSV cell is an absent one, so a template that needs it fails for
// that target instead of sending a hole. Nested JSON values are variables that
// hold compact JSON text. Objects named labels and vars, and lists named groups,
// hold what their names say.
//
// Rows of [Reader.Each] (many requests to one server) have no address: every
// column is a variable, id or name is the row's id, else its number from 1.
// A list of plain texts gives the variable "value". Identical rows are kept.
//
// # Ansible
//
// Variables follow Ansible's order: the host's own win over its groups', a deeper
// group's over a shallower one's, then the higher ansible_group_priority, then
// the later name; all comes last. ansible_host and ansible_port make the target,
// the alias its id, ansible_user also the variable "user". Passwords
// (ansible_password and its kind) and vaulted values are left out: muster takes
// secrets by reference only. The folders group_vars and host_vars are not read.
//
// # Groups
//
// [Groups] answers what @name means, from muster's groups.d and ClusterShell's
// groups.conf.
//
// # Limits
//
// lines, csv, jsonl, json lists and prometheus-sd JSON lists stream: a million rows cost
// no memory to speak of. The rest is loaded, up to [MaxDocument] bytes ([MaxYAML] for YAML).
package hostfile

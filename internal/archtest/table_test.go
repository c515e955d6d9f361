package archtest

// module is the path that all packages of the tree share.
const module = "github.com/musterhq/muster"

// floors lists every package, lowest first. A package may import those that stand
// before it, never one on its own line or after it.
var floors = [][]string{
	{"", "nodeset", "permute"}, // F0: vocabulary and pure sets; imports nothing of the module
	{"strictyaml"},             // F1, in the order in which one may use the other
	{"vars"},
	{"extract"},
	{"dial"},
	{"sshconfig"},
	{"hostkey"},
	{"probe"},
	{"action"},
	{"blackbox"},
	{"fanout"},
	{"inventory/hostfile"},
	{"inventory"},
	{"rollup"},
	{"sink"},
	{"internal/execute"}, // the one executor
	{"internal/store"},   // F2
	{"internal/sim"},     // F5
	{"internal/cli"},
	{"cmd/muster"}, // F6
}

// aside lists packages that stand beside the building: nothing may import them.
var aside = []string{"internal/archtest", "internal/actionschema", "bench", "bench/netpool"}

// owners says which one package imports an outside module, and why it is there.
var owners = map[string]struct{ pkgs, why string }{
	"github.com/expr-lang/expr": {"extract", "conditions over answers"},

	"golang.org/x/oauth2":                      {"probe", "tokens of OAuth 2.0"},
	"github.com/coder/websocket":               {"probe", "WebSocket"},
	"golang.org/x/text":                        {"probe", "charsets of answers"},
	"github.com/andybalholm/brotli":            {"probe", "brotli bodies"},
	"cel.dev/cel-go":                           {"extract", "conditions in the Common Expression Language"},
	"github.com/goccy/go-yaml":                 {"inventory/hostfile internal/cli strictyaml", "YAML with positions: inventories, the defaults file, actions, modules"},
	"modernc.org/sqlite":                       {"internal/store", "the embedded database"},
	"github.com/klauspost/compress":            {"internal/store", "zstd for stored results"},
	"github.com/spf13/cobra":                   {"internal/cli", "commands, help, completion"},
	"github.com/spf13/pflag":                   {"internal/cli", "flags of cobra"},
	"golang.org/x/term":                        {"internal/cli", "terminal size, passwords without echo"},
	"golang.org/x/net":                         {"dial probe", "IDN host names; HTTP/2 errors"},
	"golang.org/x/sys":                         {"dial hostkey probe internal/sim", "epoll and raw sockets, file locks"},
	"golang.org/x/crypto":                      {"bench bench/netpool hostkey probe internal/sim", "SSH"},
	"github.com/google/go-cmp":                 {"", "tests"},
	"github.com/rogpeppe/go-internal":          {"", "tests"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"", "tests"},
	"github.com/miekg/dns":                     {"probe", "DNS messages and their text"},
	"google.golang.org/grpc":                   {"", "tests"},
	"github.com/quic-go/quic-go":               {"probe", "HTTP/3, in programs built with the tag http3"},
	"go.uber.org/goleak":                       {"", "tests"},
	"pgregory.net/rapid":                       {"", "tests"},
	"github.com/pkg/sftp":                      {"probe internal/sim", "SFTP"},
}

// dialers may open sockets; all others go through package dial. sim is the peer of
// the tests, bench holds the floors that muster is measured against.
var dialers = []string{"dial", "internal/sim", "bench", "bench/netpool"}

// maxLines is the size beyond which a file tells more than one story.
const maxLines = 400

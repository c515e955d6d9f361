package blackbox

import (
	"github.com/musterhq/muster"
)

// config is the file. The names of types and keys are the exporter's.
type config struct {
	Modules map[string]module `json:"modules"`
}

type module struct {
	Prober    string          `json:"prober"`
	Timeout   muster.Duration `json:"timeout"`
	HTTP      httpProbe       `json:"http"`
	TCP       tcpProbe        `json:"tcp"`
	ICMP      icmpProbe       `json:"icmp"`
	DNS       dnsProbe        `json:"dns"`
	GRPC      grpcProbe       `json:"grpc"`
	Unix      unixProbe       `json:"unix"`
	Websocket websocketProbe  `json:"websocket"`
}

// family chooses among a name's addresses.
type family struct {
	Preferred protocol `json:"preferred_ip_protocol"`
	Fallback  *bool    `json:"ip_protocol_fallback"`
}

type httpProbe struct {
	httpClient
	family
	ValidStatusCodes  []int             `json:"valid_status_codes"`
	ValidHTTPVersions []string          `json:"valid_http_versions"`
	SkipResolve       bool              `json:"skip_resolve_phase_with_proxy"`
	NoFollowRedirects *bool             `json:"no_follow_redirects"`
	FailIfSSL         bool              `json:"fail_if_ssl"`
	FailIfNotSSL      bool              `json:"fail_if_not_ssl"`
	Method            string            `json:"method"`
	Headers           map[string]string `json:"headers"`
	BodyMatches       []pattern         `json:"fail_if_body_matches_regexp"`
	BodyNotMatches    []pattern         `json:"fail_if_body_not_matches_regexp"`
	JSONMatchesCEL    celText           `json:"fail_if_body_json_matches_cel"`
	JSONNotMatchesCEL celText           `json:"fail_if_body_json_not_matches_cel"`
	HeaderMatches     []headerMatch     `json:"fail_if_header_matches"`
	HeaderNotMatches  []headerMatch     `json:"fail_if_header_not_matches"`
	Body              string            `json:"body"`
	BodyFile          string            `json:"body_file"`
	Compression       string            `json:"compression"`
	BodySizeLimit     size              `json:"body_size_limit"`
	EnableHTTP3       bool              `json:"enable_http3"`
}

// httpClient is what Prometheus's programs have in common.
type httpClient struct {
	BasicAuth       *basicAuth            `json:"basic_auth"`
	Authorization   *authorization        `json:"authorization"`
	OAuth2          *oauth2               `json:"oauth2"`
	BearerToken     string                `json:"bearer_token"`
	BearerTokenFile string                `json:"bearer_token_file"`
	TLS             tlsConfig             `json:"tls_config"`
	FollowRedirects *bool                 `json:"follow_redirects"`
	EnableHTTP2     *bool                 `json:"enable_http2"`
	HTTPHeaders     map[string]headerFrom `json:"http_headers"`
	proxy
}

type proxy struct {
	URL             string              `json:"proxy_url"`
	No              string              `json:"no_proxy"`
	FromEnvironment bool                `json:"proxy_from_environment"`
	ConnectHeader   map[string][]string `json:"proxy_connect_header"`
}

type headerFrom struct {
	Values  []string `json:"values"`
	Secrets []string `json:"secrets"`
	Files   []string `json:"files"`
}

type basicAuth struct {
	Username     string `json:"username"`
	UsernameFile string `json:"username_file"`
	Password     string `json:"password"`
	PasswordFile string `json:"password_file"`
}

type authorization struct {
	Type            string `json:"type"`
	Credentials     string `json:"credentials"`
	CredentialsFile string `json:"credentials_file"`
}

type oauth2 struct {
	ClientID         string            `json:"client_id"`
	ClientSecret     string            `json:"client_secret"`
	ClientSecretFile string            `json:"client_secret_file"`
	Scopes           []string          `json:"scopes"`
	TokenURL         string            `json:"token_url"`
	EndpointParams   map[string]string `json:"endpoint_params"`
	TLS              tlsConfig         `json:"tls_config"`
	proxy
}

type tlsConfig struct {
	Insecure   bool       `json:"insecure_skip_verify"`
	CAFile     string     `json:"ca_file"`
	CertFile   string     `json:"cert_file"`
	KeyFile    string     `json:"key_file"`
	ServerName string     `json:"server_name"`
	Min        tlsVersion `json:"min_version"`
	Max        tlsVersion `json:"max_version"`
}

type headerMatch struct {
	Header       string  `json:"header"`
	Regexp       pattern `json:"regexp"`
	AllowMissing bool    `json:"allow_missing"`
}

type tcpProbe struct {
	family
	Source        string          `json:"source_ip_address"`
	QueryResponse []queryResponse `json:"query_response"`
	TLS           bool            `json:"tls"`
	TLSConfig     tlsConfig       `json:"tls_config"`
}

type queryResponse struct {
	Expect      *pattern `json:"expect"`
	ExpectBytes string   `json:"expect_bytes"`
	Labels      []label  `json:"labels"`
	Send        string   `json:"send"`
	StartTLS    bool     `json:"starttls"`
}

type label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type unixProbe struct {
	QueryResponse []queryResponse `json:"query_response"`
	TLS           bool            `json:"tls"`
	TLSConfig     tlsConfig       `json:"tls_config"`
}

type icmpProbe struct {
	family
	Source       string `json:"source_ip_address"`
	PayloadSize  int    `json:"payload_size"`
	DontFragment bool   `json:"dont_fragment"`
	TTL          *int   `json:"ttl"`
}

type dnsProbe struct {
	family
	DNSOverTLS         bool      `json:"dns_over_tls"`
	TLSConfig          tlsConfig `json:"tls_config"`
	Source             string    `json:"source_ip_address"`
	Transport          string    `json:"transport_protocol"`
	QueryClass         string    `json:"query_class"`
	QueryName          string    `json:"query_name"`
	QueryType          string    `json:"query_type"`
	Recursion          *bool     `json:"recursion_desired"`
	ValidRcodes        []string  `json:"valid_rcodes"`
	ValidateAnswer     rrRules   `json:"validate_answer_rrs"`
	ValidateAuthority  rrRules   `json:"validate_authority_rrs"`
	ValidateAdditional rrRules   `json:"validate_additional_rrs"`
}

type rrRules struct {
	Matches     []pattern `json:"fail_if_matches_regexp"`
	AllMatch    []pattern `json:"fail_if_all_match_regexp"`
	NotMatches  []pattern `json:"fail_if_not_matches_regexp"`
	NoneMatches []pattern `json:"fail_if_none_matches_regexp"`
}

type grpcProbe struct {
	family
	Service   string              `json:"service"`
	TLS       bool                `json:"tls"`
	TLSConfig tlsConfig           `json:"tls_config"`
	Metadata  map[string][]string `json:"metadata"`
}

type websocketProbe struct {
	family
	HTTP          httpClient               `json:"http_config"`
	Headers       map[string]messageHeader `json:"headers"`
	QueryResponse []queryResponse          `json:"query_response"`
}

package sim

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// checked asks the health service of an address.
func checked(t testing.TB, s *Server, service Service, name string, limit time.Duration) (grpc_health_v1.HealthCheckResponse_ServingStatus, error) {
	t.Helper()
	creds := insecure.NewCredentials()
	if service == GRPCTLS {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(s.CA())
		creds = credentials.NewClientTLSFromCert(pool, "")
	}
	conn, err := grpc.NewClient("passthrough:///"+at(s, service, "127.5.6.7"), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	reply, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
	return reply.GetStatus(), err
}

func TestHealth(t *testing.T) {
	t.Parallel()
	const patience = 20 * time.Second
	cases := map[string]struct {
		status grpc_health_v1.HealthCheckResponse_ServingStatus
		code   codes.Code
		text   string
		limit  time.Duration
	}{
		"ok":             {1, codes.OK, "", patience},
		"slow:10ms":      {1, codes.OK, "", patience},
		"drip:1ms":       {1, codes.OK, "", patience},
		"flaky:0":        {1, codes.OK, "", patience},
		"oversized:100k": {1, codes.OK, "", patience},
		"status:2":       {2, codes.OK, "", patience},
		"status:503":     {2, codes.OK, "", patience},
		"warmup(1,0)":    {0, codes.OK, "", patience},
		"status:7":       {0, codes.PermissionDenied, "", patience},
		"status:14":      {0, codes.Unavailable, "", patience},
		"oversized:8M":   {0, codes.ResourceExhausted, "larger than max", patience},
		"endless":        {0, codes.ResourceExhausted, "larger than max", patience},
		"garbage":        {0, codes.Unavailable, "", patience},
		"conflict":       {0, codes.Unavailable, "", patience},
		"reset:accept":   {0, codes.Unavailable, "", patience},
		"reset":          {0, codes.Unavailable, "", patience},
		"reset:body":     {0, codes.Unavailable, "", patience},
		"close-early":    {0, codes.Unavailable, "", patience},
		"close-before":   {0, codes.Unavailable, "", patience},
		"hang":           {0, codes.DeadlineExceeded, "", 50 * time.Millisecond},
		"hang-body":      {0, codes.DeadlineExceeded, "", 50 * time.Millisecond},
		"hang:handshake": {0, codes.DeadlineExceeded, "", 50 * time.Millisecond},
	}
	for behaviour, want := range cases {
		for _, service := range []Service{GRPC, GRPCTLS} {
			t.Run(behaviour+"/"+string(service), func(t *testing.T) {
				t.Parallel()
				s := serviceOf(t, service, behaviour)
				got, err := checked(t, s, service, "", want.limit)
				if got != want.status || status.Code(err) != want.code || err != nil && !strings.Contains(err.Error(), want.text) {
					t.Errorf("%v, %v", got, err)
				}
				eventually(t, s, "the end of the connection", func(st Stats) bool { return st.Open == 0 })
			})
		}
	}
}

func TestHealthOfServices(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, GRPC, "ok")
	if got, err := checked(t, s, GRPC, "pay.Ledger", time.Minute); got != 1 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := checked(t, s, GRPC, "unknown.Ledger", time.Minute); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
	if st := s.Stats(); st.Requests != 2 || st.ByProfile["ok"] != 2 || st.BytesSent == 0 {
		t.Errorf("stats: %+v", st)
	}
	a := answering{script: &script{}, b: &Behaviour{}}
	for path, want := range map[string]int{"/grpc.health.v1.Health/Watch": codeUnimplemented, checkPath: codeInvalidArgument} {
		if _, code := a.health(path, []byte{0, 0, 0, 0, 9}); code != want {
			t.Errorf("%s: code %d", path, code)
		}
	}
}

func FuzzCheckedService(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 3, 0x0a, 1, 'x'})
	f.Add([]byte{0, 0, 0, 0, 2, 0x0a, 0x80})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if name, ok := checkedService(frame); ok && len(name) > len(frame) {
			t.Errorf("%x names %x", frame, name)
		}
	})
}

package cli

import (
	"strings"
	"testing"
)

func TestCommandLineHidesSecrets(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--cookie", "sid=S3CRET"},
		{"--cookie=sid=S3CRET"},
		{"--cookie", "S3CRET"},
		{"-H", "Authorization: Bearer S3CRET"},
		{"-HX-Auth-Token: S3CRET"},
		{"-kH", "X-Session-Id:S3CRET"},
		{"--header", "X-Password: S3CRET"},
		{"--header=X-Api_Key:\nS3CRET\nS3CRET"},
		{"-H", "apikey: S3CRET"},
		{"-H", "X-Amz-Credential: S3CRET"},
		{"-H", "X-Hub-Signature: S3CRET"},
		{"-H", "X-AccessKey: S3CRET"},
		{"-w", "http://user:S3CRET@web1,http://a:S3CRET@b"},
		{"http://S3CRET@web1/"},
		{"--hostfile=https://user:S3CRET@cms/hosts"},
		{"--proxy", "http://user:S3C,S3CRET@proxy:3128"},
	} {
		got := commandLine(append([]string{"run", "http", "/"}, args...))
		if strings.Contains(got, "S3C") || !strings.HasPrefix(got, "run http / ") {
			t.Errorf("%q is kept as %s", args, got)
		}
	}
}

func TestCommandLineKeepsTheRest(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`-H 'Authorization: {{secret "env:T"}}'`:  {"-H", `Authorization: {{secret "env:T"}}`},
		"-H 'X-Rack: r1' -H 'Accept: text/plain'": {"-H", "X-Rack: r1", "-H", "Accept: text/plain"},
		"-u admin:env:PW --token=env:TOKEN":       {"-u", "admin:env:PW", "--token=env:TOKEN"},
		"-w '@all,http://web[1-9]/a@b'":           {"-w", "@all,http://web[1-9]/a@b"},
		`--cookie 'sid={{secret "file:/x"}}' GET`: {"--cookie", `sid={{secret "file:/x"}}`, "GET"},
	} {
		if got := commandLine(args); got != want {
			t.Errorf("%q is kept as %s, want %s", args, got, want)
		}
	}
}

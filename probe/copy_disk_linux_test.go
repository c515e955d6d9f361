package probe

import (
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster"
)

func TestCopyToFullDisk(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, sftpServer)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a file system that fills up: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	source := plant(t, map[string]string{"644 big": strings.Repeat("x", 1<<20)})
	r := s.copying(t, Copy{Sources: []string{source + "/big"}, Dest: disk + "/big"}).Probe(t.Context(), s.target)
	if r.Outcome != muster.Unexpected || r.Reason != "no space left" {
		t.Errorf("%v %q %q", r.Outcome, r.Reason, r.Detail)
	}
	if left := grown(t, disk); len(left) != 0 {
		t.Errorf("left: %d files", len(left))
	}
}

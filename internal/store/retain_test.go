package store

import (
	"os"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

func TestRetainByAgeAndNumber(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	now := time.Unix(1_800_000_000, 0)
	cfg.Now = func() time.Time { return now }
	s := openTest(t, cfg)
	running := begin(t, s, testJob(0), 10)
	write(t, running, results(0, 5))
	for i := 1; i <= 6; i++ {
		record(t, s, testJob(i), 10)
		now = now.Add(24 * time.Hour)
	}
	left := func() (ids string) {
		js, err := s.Jobs(t.Context(), Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range js {
			ids += j.ID[12:13]
		}
		return ids
	}
	for _, c := range []struct {
		limits Retention
		want   string
	}{
		{Retention{}, "6543210"},
		{Retention{Age: 4*24*time.Hour + time.Hour}, "65430"},
		{Retention{Age: -1, Jobs: 2}, "650"},
		{Retention{Age: -1, Bytes: -1}, "650"},
		{Retention{Bytes: 1}, "0"},
	} {
		if _, err := s.Retain(t.Context(), c.limits); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.limits, got, c.want)
		}
	}
	write(t, running, results(5, 10))
	finish(t, running, testJob(0))
	if err := (&Retention{Jobs: -1}).Validate(); muster.KindOf(err) != muster.KindInvalid {
		t.Errorf("jobs -1: %v", err)
	}
}

// The file itself becomes smaller, not only its content.
func TestRetainBySize(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	for i := range 6 {
		job := testJob(i)
		r := begin(t, s, job, 10_000)
		rs := distinctResults(10_000)
		for from := 0; from < len(rs); from += 1000 {
			write(t, r, rs[from:from+1000])
		}
		finish(t, r, job)
	}
	before, err := s.used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.Retain(t.Context(), Retention{Bytes: before / 2})
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(gone) < 2 || len(gone) > 4 || gone[0] != testJob(0).ID || after > before/2 {
		t.Errorf("deleted %v: %d bytes, then %d", gone, before, after)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(cfg.Path)
	if err != nil || st.Size() > after+after/10 {
		t.Errorf("file of %d bytes for %d: %v", st.Size(), after, err)
	}
}

// A deletion that was cut short is completed by the next Retain.
func TestRetainSweeps(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	record(t, s, testJob(1), 3000)
	record(t, s, testJob(2), 10)
	j, err := s.job(t.Context(), testJob(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(t.Context(), false, func(x *tx) error {
		if _, err := x.exec(sqlHideJob, j.num, nil); err != nil {
			return err
		}
		_, err := x.exec(sqlInsertList, []byte("half a list"), 7, nil, 1, `{"host":"`+thisHost()+`","boot":"another"}`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Job(t.Context(), testJob(1).ID); muster.KindOf(err) != muster.KindNotFound {
		t.Errorf("hidden job: %v", err)
	}
	if _, err := s.Retain(t.Context(), Retention{}); err != nil {
		t.Fatal(err)
	}
	if jobs, lists, segments := count(t, s, "job"), count(t, s, "list"), count(t, s, "segment"); jobs != 1 || lists != 1 || segments != 1 {
		t.Errorf("%d jobs, %d lists, %d segments", jobs, lists, segments)
	}
}

func TestDeleteRefusesARunningJob(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	record(t, s, testJob(1), 1)
	r := begin(t, s, testJob(2), 1)
	if err := s.Delete(t.Context(), testJob(1).ID, "last"); muster.KindOf(err) != muster.KindConflict {
		t.Errorf("delete: %v", err)
	}
	write(t, r, results(0, 1))
	finish(t, r, testJob(2))
	if n := count(t, s, "job"); n != 2 {
		t.Errorf("%d jobs", n)
	}
}

package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
)

const maxRules = 16 << 20 // bytes of a posted script

func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Stats()) })
	mux.HandleFunc("GET /hits", s.adminHits)
	mux.HandleFunc("GET /hits/{addr}", s.adminHit)
	mux.HandleFunc("GET /hits.csv", s.adminCSV)
	mux.HandleFunc("GET /rules", s.adminRules)
	mux.HandleFunc("POST /rules", s.adminSetRules)
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

// writeJSON answers; a client that leaves meanwhile has nobody to tell.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// adminHits lists the addresses with more than ?over requests.
func (s *Server) adminHits(w http.ResponseWriter, r *http.Request) {
	over := uint64(0)
	if text := r.FormValue("over"); text != "" {
		var err error
		if over, err = strconv.ParseUint(text, 10, 32); err != nil {
			http.Error(w, fmt.Sprintf("over %q is not a whole number", text), http.StatusBadRequest)
			return
		}
	}
	list := []Hits{}
	for h := range s.EachHits {
		if uint64(h.Requests) > over {
			list = append(list, h)
		}
	}
	writeJSON(w, list)
}

// adminHit tells of one address, on the first listener's port if none is named.
func (s *Server) adminHit(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("addr")
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			http.Error(w, fmt.Sprintf("%q is neither an address nor address:port", text), http.StatusBadRequest)
			return
		}
		ap = netip.AddrPortFrom(addr, s.Addr().Port())
	}
	writeJSON(w, s.Hits(ap))
}

func (s *Server) adminCSV(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "addr,port,requests,connections,open,peak_open,bytes_sent")
	for h := range s.EachHits {
		_, err := fmt.Fprintf(out, "%s,%d,%d,%d,%d,%d,%d\n", h.Addr.Addr(), h.Addr.Port(),
			h.Requests, h.Connections, h.Open, h.PeakOpen, h.BytesSent)
		if err != nil {
			return
		}
	}
	_ = out.Flush() // the reader has left
}

func (s *Server) adminRules(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	rules := s.rules
	s.mu.Unlock()
	for _, r := range rules {
		if _, err := fmt.Fprintln(w, r); err != nil {
			return
		}
	}
}

func (s *Server) adminSetRules(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRules))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rules, err := ParseRules(string(text))
	if err == nil {
		err = s.SetRules(rules)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

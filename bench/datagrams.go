package main

import "strconv"

// datagramClients send n targets one datagram each, or one DNS question.
func datagramClients(kind string, n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		targets, err := targetRange(n)
		if err != nil {
			return nil, err
		}
		port := strconv.Itoa(s.port)
		floor := []string{t.packets, "-p", port, "-n", strconv.Itoa(n)}
		action := []string{"udp", "-d", `ping\n`}
		if kind == "dns" {
			floor = append(floor, "-q")
			action = []string{"dns", "node.example"}
		}
		cs := []client{{name: "floor (C sendmmsg)", args: floor}}
		if t.muster == "" {
			return cs, nil
		}
		run := append(append([]string{t.muster, "run"}, action...), "-w", targets+":"+port, "-q", "--json", "--tries", "3")
		return append(cs,
			client{name: "muster --no-save", state: true, args: append(run[:len(run):len(run)], "--no-save")},
			client{name: "muster", state: true, args: run},
		), nil
	}
}

package config

// NotSeen says in words what can go on on a bus without the guard's noticing, whatever is configured. Check, the status
// and the documentation say the same.
func NotSeen(bus string) []string {
	if bus != BusROS2 {
		return nil
	}
	return []string{
		"secured participants (SROS2, DDS Security): their topics and data are hidden from a guard without keys",
		"shared memory between two Fast DDS processes on one computer: what is put in there is on no wire. What they publish does reach the guard",
		"a forged datagram that goes to another node and not to the guard: the base may follow it, and only its motion tells",
	}
}

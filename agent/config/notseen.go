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
		"whoever announces himself to the base alone, or sends it a forged datagram: the base may follow him, and only its motion tells",
	}
}

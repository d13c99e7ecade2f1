package interlock

// triggerTable is the one place that says what each trigger is, put together from the tables of its parts. It is never written to.
var triggerTable = table(sensing(), commanding(), ownAffairs(), acting())

// table puts tables together, each trigger from the one that has it.
func table(parts ...[NumTriggers]Info) [NumTriggers]Info {
	var out [NumTriggers]Info
	for i := range parts {
		for t := range NumTriggers {
			if parts[i][t].Code != "" {
				out[t] = parts[i][t]
			}
		}
	}
	return out
}

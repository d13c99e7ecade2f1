// Package doors is a subject for the driver's test of guard clauses.
package doors

// Open counts the doors that are open, up to the first below zero.
func Open(doors []int) int {
	n := 0
	for _, d := range doors {
		if d < 0 {
			break
		}
		n += d
	}
	return n
}

// Locked has a case without a test.
func Locked(who string, hour int) bool {
	switch {
	case hour >= 22:
		return true
	case who == "":
		return true
	}
	return false
}

// Named is a switch over a value.
func Named(n int) string {
	name := "many"
	switch n {
	case 1:
		return "one"
	}
	if n == 0 {
		name = "none"
	}
	return name
}

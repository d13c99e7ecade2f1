package config

import "strings"

// closest returns the known word that the given one was probably meant to be, or "".
func closest(word string, known []string) string {
	best, limit := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < limit && d < len(k) {
			best, limit = k, d
		}
	}
	if best != "" || len(word) < 4 {
		return best
	}
	// Often the unit is missing or another: max_speed, max_speed_kmh.
	stem := word
	if i := strings.LastIndexByte(word, '_'); i > 3 {
		stem = word[:i]
	}
	for _, k := range known {
		if strings.HasPrefix(k, word+"_") || strings.HasPrefix(k, stem+"_") || strings.HasPrefix(k, stem) && len(stem) > 5 {
			return k
		}
	}
	return ""
}

// distance counts the letters to insert, delete, change or swap with their neighbour to make b of a.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	var before, last, row [65]int
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1) //nolint:gosec // j > 1
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

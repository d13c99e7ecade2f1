package order

import "strings"

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	// maxName is the longest name in bytes.
	maxName = 64
)

// IsRobotID reports whether s names one robot: manufacturer, slash, serial number, each 1 to 64 of A-Z, a-z, 0-9 and
// "_.:-", the characters of a VDA 5050 serial number.
func IsRobotID(s string) bool {
	manufacturer, serial, ok := strings.Cut(s, "/")
	return ok && isWord(manufacturer, "_.:-") && isWord(serial, "_.:-")
}

// isGroup reports whether s names a group of robots: "group:" and 1 to 64 of a-z, 0-9 and "._-".
func isGroup(s string) bool {
	name, ok := strings.CutPrefix(s, "group:")
	return ok && isName(name, "._-")
}

// isName reports whether s is 1 to 64 lower-case letters, digits or extra characters.
func isName(s, extra string) bool { return of(s, lower+digits+extra, 1, maxName) }

// isWord reports whether s is 1 to 64 letters, digits or extra characters.
func isWord(s, extra string) bool { return of(s, lower+upper+digits+extra, 1, maxName) }

// isHex reports whether s is from shortest to longest lower-case hexadecimal digits, an even number of them.
func isHex(s string, shortest, longest int) bool {
	return len(s)%2 == 0 && of(s, digits+"abcdef", shortest, longest)
}

// isKeyID reports whether s has the form of a key id.
func isKeyID(s string) bool {
	hash, ok := strings.CutPrefix(s, "SHA256:")
	return ok && of(hash, lower+upper+digits+"+/", 43, 43)
}

// isBootID reports whether s has the form of a lower-case UUID.
func isBootID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for _, i := range []int{8, 13, 18, 23} {
		if s[i] != '-' {
			return false
		}
	}
	return isHex(strings.ReplaceAll(s, "-", ""), 32, 32)
}

func of(s, alphabet string, shortest, longest int) bool {
	if len(s) < shortest || len(s) > longest {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	if len(s) > maxName {
		return s[:maxName] + "..."
	}
	return s
}

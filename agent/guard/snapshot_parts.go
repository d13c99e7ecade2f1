package guard

import "strconv"

// SnapshotPart names the part of a snapshot that holds the byte at offset, for people who look for a difference.
func SnapshotPart(b []byte, offset int) string {
	names := []string{"fence", "machine", "gate", "ladder", "standstill", "loop", "clock", "overrides", "follow", "fall", "posture"}
	at := 2
	for i := 0; at+4 <= len(b); i++ {
		n := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16 | int(b[at+3])<<24
		if i >= len(names)+64 || n > len(b)-at-4 {
			break
		}
		if offset < at+4+n {
			if i < len(names) {
				return names[i] + " byte " + strconv.Itoa(offset-at-4)
			}
			return "heartbeat, watch or channel " + strconv.Itoa(i-len(names)) + " byte " + strconv.Itoa(offset-at-4)
		}
		at += 4 + n
	}
	return "core, byte " + strconv.Itoa(offset)
}

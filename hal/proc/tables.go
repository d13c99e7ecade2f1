package proc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxTable bounds how much of one table is read, about 200 000 sockets.
const maxTable = 32 << 20

// fromTables looks for a connection in /proc/net/tcp and tcp6. It reads them whole, so it is for kernels that answer no
// questions only. These tables know no cookie: a socket is known by its inode.
func fromTables(root string, local, remote netip.AddrPort) (Socket, bool, error) {
	names := []string{"tcp6"}
	if local.Addr().Is4() {
		// A socket of IPv6 may have a connection of IPv4.
		names = []string{"tcp", "tcp6"}
	}
	for _, name := range names {
		s, ok, err := fromTable(root+"/net/"+name, local, remote)
		if err != nil || ok {
			return s, ok, err
		}
	}
	return Socket{}, false, nil
}

func fromTable(path string, local, remote netip.AddrPort) (Socket, bool, error) {
	var found Socket
	ok := false
	err := eachInTable(path, func(s *Socket) {
		if !ok && s.Local == local && s.Remote == remote {
			found, ok = *s, true
		}
	})
	return found, ok, err
}

// parseLine reads one line: "sl: local remote state queues timer retransmits uid timeout inode …".
func parseLine(line string) (Socket, error) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return Socket{}, fmt.Errorf("expected at least 10 fields, found %q", printable(line))
	}
	var s Socket
	var err error
	if s.Local, err = parseEnd(f[1]); err != nil {
		return Socket{}, err
	}
	if s.Remote, err = parseEnd(f[2]); err != nil {
		return Socket{}, err
	}
	state, err := strconv.ParseUint(f[3], 16, 8)
	if err != nil {
		return Socket{}, fmt.Errorf("state: %w", err)
	}
	uid, err := strconv.ParseUint(f[7], 10, 32)
	if err != nil {
		return Socket{}, fmt.Errorf("uid: %w", err)
	}
	inode, err := strconv.ParseUint(f[9], 10, 32)
	if err != nil {
		return Socket{}, fmt.Errorf("inode: %w", err)
	}
	s.State, s.UID, s.Inode = uint8(state), uint32(uid), uint32(inode)
	return s, nil
}

// parseEnd reads "0100007F:1F90": words of 32 bits in the computer's own order, and the port.
func parseEnd(text string) (netip.AddrPort, error) {
	address, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("expected 8 or 32 hexadecimal digits and a port, found %q", printable(text))
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port: %w", err)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), nil
}

package rtps

import (
	"fmt"
	"net/netip"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// lowestPort is the lowest port that we send to. No participant hears on a privileged port, and many a service there
// answers whatever comes.
const lowestPort = 1024

// sendable tells whether we send to an address that somebody at source announces. Anybody could otherwise aim what we send
// at a third: the reflection that DDS implementations are known for. So the address has to be the announcement's own source
// (or one of this computer, if that is), or, if the operator has named both source and address in Config.Peers, another one of a computer with several.
func (p *Participant) sendable(a netip.AddrPort, source netip.Addr) bool {
	ip := a.Addr()
	if a.Port() < lowestPort || ip.IsMulticast() || ip.IsUnspecified() || ip.Is4() != p.cfg.Host.Is4() {
		return false
	}
	return ip == source.WithZone("") || p.sameComputer(ip, source) || p.peers[ip] && p.peers[source]
}

// reachable is the first of the addresses that we send to.
func (p *Participant) reachable(l *wire.Locators, source netip.Addr) (netip.AddrPort, bool) {
	for _, a := range l.Slice() {
		if a = unmap(a); p.sendable(a, source) {
			if zone := source.Zone(); zone != "" && a.Addr().IsLinkLocalUnicast() {
				a = netip.AddrPortFrom(a.Addr().WithZone(zone), a.Port())
			}
			return a, true
		}
	}
	return netip.AddrPort{}, false
}

// suspect says in words which address nobody has reason to announce, "" if there is none. A computer with several
// interfaces announces the private addresses of them all; those are passed over without a word.
func (p *Participant) suspect(source netip.Addr, lists ...*wire.Locators) string {
	for _, l := range lists {
		for _, a := range l.Slice() {
			a = unmap(a)
			ip := a.Addr()
			inside := ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLoopback() || ip == source.WithZone("")
			if !inside || a.Port() < lowestPort {
				return fmt.Sprintf("it asks to send to %s; only its own address %s is sent to, at ports from %d", a, source, lowestPort)
			}
		}
	}
	return ""
}

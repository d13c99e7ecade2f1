package agent

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
)

// users says who may talk to the guard. Root and the guard's own account may do everything that a tool or a role may.
type users struct {
	own   uint32
	root  uint32 // 0; a test that runs as root makes it another
	roles map[contract.Role]uint32

	mu    sync.Mutex
	rates map[uint32]*budget
}

// guest is a program that has connected.
type guest struct {
	uid uint32
	pid int32
	// tools is true for who may send orders and ask for the status without being a role.
	tools bool
	// roles are those that he may take.
	roles map[contract.Role]bool
}

// Connections that an account of a role may make: one in 50 ms, a few at once. Whoever comes more often is closed unread.
const (
	connectRate  = 20
	connectBurst = 40
)

// newUsers looks the accounts up. One that does not exist leaves its role to root and the guard's own account: a typing
// error must not keep a robot unguarded.
func newUsers(u *config.Users, log zerolog.Logger) *users {
	out := &users{own: uint32(os.Getuid()), roles: map[contract.Role]uint32{}, rates: map[uint32]*budget{}} //nolint:gosec // a uid has 32 bits
	if u == nil {
		return out
	}
	for role, name := range map[contract.Role]string{contract.Steward: u.Steward, contract.Courier: u.Courier} {
		uid, err := lookup(name)
		if err != nil {
			log.Error().Err(err).Str("role", string(role)).Msg("users: only root and the guard's own account may take this role")
			continue
		}
		out.roles[role] = uid
	}
	return out
}

func lookup(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("account %q: expected a numeric uid, found %q", name, u.Uid)
	}
	return uint32(uid), nil
}

// others is true if an account besides root and the guard's own may connect.
func (u *users) others() bool {
	for _, uid := range u.roles {
		if uid != u.own && uid != 0 {
			return true
		}
	}
	return false
}

// admit asks the kernel who is there, before anything is read.
func (u *users) admit(conn *net.UnixConn) (guest, error) {
	cred, err := peerOf(conn)
	if err != nil {
		return guest{}, err
	}
	who := guest{uid: cred.Uid, pid: cred.Pid, roles: map[contract.Role]bool{}}
	who.tools = cred.Uid == u.root || cred.Uid == u.own
	for _, role := range []contract.Role{contract.Steward, contract.Courier} {
		uid, named := u.roles[role]
		who.roles[role] = who.tools || named && uid == cred.Uid
	}
	if !who.roles[contract.Steward] && !who.roles[contract.Courier] {
		return who, fmt.Errorf("expected uid 0, %d or a role's account, found uid %d (pid %d)", u.own, cred.Uid, cred.Pid)
	}
	if !who.tools && !u.mayConnect(cred.Uid) {
		return who, fmt.Errorf("uid %d (pid %d) connects too often", cred.Uid, cred.Pid)
	}
	return who, nil
}

func (u *users) mayConnect(uid uint32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := u.rates[uid]
	if b == nil {
		b = newBudget(connectRate, connectBurst)
		u.rates[uid] = b
	}
	return b.take(time.Now(), 1)
}

// budget is a leaky bucket: rate a second, burst at once.
type budget struct {
	rate, burst, have float64
	at                time.Time
}

func newBudget(rate, burst float64) *budget { return &budget{rate: rate, burst: burst, have: burst} }

// take uses n up if that much is left. Time comes in; its monotonic part decides.
func (b *budget) take(now time.Time, n float64) bool {
	if !b.at.IsZero() {
		b.have = min(b.burst, b.have+max(0, now.Sub(b.at).Seconds())*b.rate)
	}
	b.at = now
	if b.have < n {
		return false
	}
	b.have -= n
	return true
}

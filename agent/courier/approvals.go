package courier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent/config"
	holder "github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/tpm"
)

const (
	// approvalDir is the folder of approved states below the courier's state.
	approvalDir = "approvals"
	// approvalExt ends the names of its files.
	approvalExt = ".dsse.json"
	// maxApprovalFiles bounds the folder, with what is no approval for this robot.
	maxApprovalFiles = 2 * tpm.MaxApprovals
	// maxApprovals bounds the approvals that came over the network and wait for the worker.
	maxApprovals = 4
)

// kept is an approval that the robot keeps, and the name of its file.
type kept struct {
	name string
	*holder.Approval
}

// pcrReader reads PCRs, as [tpm.TPM.ReadPCRs] does.
type pcrReader func(pcrs []int) (map[int][sha256.Size]byte, error)

// readApprovals reads the approvals in the folder, the newest first. A file that is none for this robot is told and passed over: it must
// not keep the others from counting. What the disk does not give is told as well, and the first such error returned: it may be the one
// that counts.
func readApprovals(dir string, by tpm.Approver) (out []*kept, faults []string, unread error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, []string{err.Error()}, err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), approvalExt) {
			continue
		}
		envelope, err := readBounded(filepath.Join(dir, e.Name()), holder.MaxApproval)
		if errors.Is(err, os.ErrNotExist) {
			continue // somebody has just removed it
		}
		var a *holder.Approval
		if err != nil {
			unread = cmp.Or(unread, err)
		} else {
			a, err = holder.OpenApproval(envelope, by)
		}
		if err != nil {
			faults = append(faults, e.Name()+": "+err.Error())
			continue
		}
		out = append(out, &kept{e.Name(), a})
	}
	newestFirst(out)
	return out, faults, unread
}

func newestFirst(list []*kept) {
	slices.SortStableFunc(list, func(a, b *kept) int { return b.Issued.Compare(a.Issued) })
}

// choose takes each state once, and of more than a key takes those that the computer is in now and then the newest. Only for that it
// asks the TPM.
func choose(all []*kept, read pcrReader) (use, rest []*kept, err error) {
	seen := map[string]bool{}
	var pcrs []int
	for _, k := range all {
		if id := k.ID(); seen[id] {
			rest = append(rest, k)
		} else {
			seen[id] = true
			use = append(use, k)
		}
		for n := range k.State.PCRs {
			pcrs = append(pcrs, n)
		}
	}
	if len(use) <= tpm.MaxApprovals {
		return use, rest, nil
	}
	values, err := read(pcrs)
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(use, func(a, b *kept) int { return rank(a, values) - rank(b, values) })
	return use[:tpm.MaxApprovals], append(rest, use[tpm.MaxApprovals:]...), nil
}

// rank is 0 for an approval of the state that there is, and 1 for any other.
func rank(k *kept, values map[int][sha256.Size]byte) int {
	if k.State.Matches(values) {
		return 0
	}
	return 1
}

// readBounded reads a file of at most limit bytes; of a larger one so much that it is seen to be too large.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // our own folder
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// KeepApproval checks a signed approval and keeps it, durably, for the robot that the deployment describes. It changes no key: one
// that counts for another robot, or is signed by somebody else than the deployment's approver, is refused. Whoever calls it is the user
// that owns the courier's state: the courier could not read another's file.
func KeepApproval(c *config.Courier, envelope []byte) (*holder.Approval, error) {
	var s unix.Stat_t
	if err := unix.Stat(c.StateDir, &s); err == nil && int(s.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("courier.state_dir: %s belongs to user %d, and this is user %d: expected the courier's user, who has to read the file (sudo -u robowarden-courier)",
			c.StateDir, s.Uid, os.Geteuid())
	}
	a, _, err := keep(c, envelope, func(pcrs []int) (map[int][sha256.Size]byte, error) {
		t, err := tpm.Open(c.TPM)
		if err != nil {
			return nil, err
		}
		defer func() { _ = t.Close() }()
		return t.ReadPCRs(pcrs)
	})
	return a, err
}

// keep keeps an approval and says whether it is news: a state that is kept already is not written again, however it is encoded. What is
// one too many then goes, but never one for the state that the computer is in.
func keep(c *config.Courier, envelope []byte, read pcrReader) (a *holder.Approval, news bool, err error) {
	if c.BoundKey == nil {
		return nil, false, errors.New("courier.bound_key: is missing: the key works in whatever state")
	}
	by, err := approverOf(c.BoundKey)
	if err != nil {
		return nil, false, err
	}
	if a, err = holder.OpenApproval(envelope, by); err != nil {
		return nil, false, err
	}
	dir := filepath.Join(c.StateDir, approvalDir)
	all, faults, unread := readApprovals(dir, by)
	id := a.ID()
	for _, k := range all {
		if k.ID() == id && !k.Issued.Before(a.Issued) {
			return a, false, nil
		}
	}
	fresh := &kept{id + approvalExt, a}
	all = append([]*kept{fresh}, all...)
	newestFirst(all)
	use, rest, err := choose(all, read)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("approval: %d are kept, and the TPM does not say which one counts now: %w", len(all)-1, err)
	case !slices.Contains(use, fresh):
		return nil, false, fmt.Errorf("approval: is older than the %d that are kept: sign it anew if it is to count", len(use))
	}
	if err := makeDir(c.StateDir, dir); err != nil {
		return nil, false, err
	}
	if err := replaceFile(dir, fresh.name, envelope); err != nil {
		return nil, false, err
	}
	for _, k := range rest {
		if k.name != fresh.name {
			_ = os.Remove(filepath.Join(dir, k.name))
		}
	}
	for n := len(use) + len(faults); unread == nil && n > maxApprovalFiles; n-- {
		name, _, _ := strings.Cut(faults[0], ": ")
		faults = faults[1:]
		_ = os.Remove(filepath.Join(dir, name))
	}
	return a, true, nil
}

// makeDir makes a folder in the state's, durably.
func makeDir(state, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(state)
}

// approval takes an approved state that came over the network: again with each connection, if it is retained.
func (l *loop) approval(envelope []byte) {
	for _, waiting := range l.approvals {
		if string(waiting) == string(envelope) {
			return
		}
	}
	switch {
	case len(envelope) > holder.MaxApproval, len(l.approvals) == maxApprovals:
		l.note(KindCarried, Carried{Topic: TopicApproval, Digest: fingerprint(envelope), Reason: "not-carried"})
	default:
		l.approvals = append(l.approvals, envelope)
	}
}

// keepApproval has the worker keep the first approval that waits, as soon as it has room, and looks what that changes. A forged one costs a
// signature's check.
func (l *loop) keepApproval(ctx context.Context) {
	if l.keeping || len(l.approvals) == 0 {
		return
	}
	cfg, envelope, id := l.c.cfg, l.approvals[0], l.identity.Load()
	read := func(pcrs []int) (map[int][sha256.Size]byte, error) {
		if id == nil || id.tpm == nil {
			return nil, errors.New("the TPM is not open")
		}
		return id.tpm.ReadPCRs(pcrs)
	}
	l.keeping = l.try(func() func() {
		a, news, err := keep(cfg, envelope, read)
		return func() {
			l.keeping = false
			l.keptApproval(ctx, envelope, a, news, err)
		}
	})
	if l.keeping {
		l.approvals = l.approvals[1:]
	}
}

// keptApproval notes what became of an approval: of refusals each once in a row, and nothing of one that was kept before.
func (l *loop) keptApproval(ctx context.Context, envelope []byte, a *holder.Approval, news bool, err error) {
	c := Carried{Topic: TopicApproval, Digest: fingerprint(envelope), Accepted: err == nil}
	switch {
	case err != nil && err.Error() == l.approvalRefused:
	case err != nil:
		l.approvalRefused, c.Reason = err.Error(), "approval-refused"
		l.log.Warn().Err(err).Msg("an approval is not kept")
		l.note(KindCarried, c)
	case news:
		l.approvalRefused = ""
		l.log.Info().Str("reason", clip(a.Reason)).Msg("state approved")
		l.note(KindCarried, c)
		l.look(ctx)
	}
}

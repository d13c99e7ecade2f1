package artifact_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/robowarden/robowarden/attest/artifact"
)

// plainVerity is the format's description taken word by word: the whole file, level by level.
func plainVerity(data []byte) [sha256.Size]byte {
	hashes := func(level []byte) (out []byte) {
		for len(level) > 0 {
			block := make([]byte, 4096)
			level = level[copy(block, level):]
			sum := sha256.Sum256(block)
			out = append(out, sum[:]...)
		}
		return out
	}
	root := make([]byte, sha256.Size)
	if len(data) > 0 {
		root = hashes(data)
		for len(root) > sha256.Size {
			root = hashes(root)
		}
	}
	d := append([]byte{1, 1, 12, 0, 0, 0, 0, 0}, binary.LittleEndian.AppendUint64(nil, uint64(len(data)))...)
	d = append(d, root...)
	return sha256.Sum256(append(d, make([]byte, 256-len(d))...))
}

// TestVerity compares files of every kind of tree, written in pieces of any length, with the plain computation. What a kernel says
// of such files is compared in test/machine.
func TestVerity(t *testing.T) {
	var none artifact.Verity
	if got := none.Sum(); hex.EncodeToString(got[:]) != "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95" {
		t.Errorf("the empty file: %x", got)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	const block, node = 4096, 128 * 4096
	sizes := []int{1, block - 1, block, block + 1, 2 * block, node - 1, node, node + 1, 2 * node, 3*node + 5, node + r.IntN(node)}
	for _, size := range append(sizes, 128*node, 128*node+1) {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(r.Uint32())
			if i == 1<<20 { // The rest of a large one repeats: chance is slow.
				copy(data[i:], bytes.Repeat(data[:i], size/i))
				break
			}
		}
		var v artifact.Verity
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(3*block))
			if k, err := v.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		want := plainVerity(data)
		if got := v.Sum(); got != want {
			t.Errorf("%d bytes: %x, expected %x", size, got, want)
		}
		data[r.IntN(size)] ^= 1
		if plainVerity(data) == want {
			t.Errorf("%d bytes: one changed bit changes nothing", size)
		}
	}
}

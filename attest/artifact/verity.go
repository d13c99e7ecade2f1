package artifact

import (
	"crypto/sha256"
	"encoding/binary"
)

// verityBlock is the block size of the trees that the slots ask the kernel for.
const verityBlock = 4096

// Verity computes the digest by which fs-verity of Linux names a file's content, with SHA-256, blocks of 4096 bytes and no salt:
// what FS_IOC_MEASURE_VERITY answers (Documentation/filesystems/fsverity.rst, "File digest computation"). So what the kernel
// says can be compared with bytes that were verified without it. The zero value is the empty file's.
type Verity struct {
	size uint64
	// block is the data block that is not full yet.
	block []byte
	// levels are the hashes of the blocks below, the data's first.
	levels []level
}

// level is one level of the tree: the block that is not full yet, and how many hashes have come in all, and the first of them.
type level struct {
	block []byte
	count uint64
	first [sha256.Size]byte
}

// Write implements io.Writer; it does not fail.
func (v *Verity) Write(b []byte) (int, error) {
	n := len(b)
	v.size += uint64(n)
	for len(b) > 0 {
		if len(v.block) == 0 && len(b) >= verityBlock {
			v.push(0, sha256.Sum256(b[:verityBlock]))
			b = b[verityBlock:]
			continue
		}
		take := min(verityBlock-len(v.block), len(b))
		v.block, b = append(v.block, b[:take]...), b[take:]
		if len(v.block) == verityBlock {
			v.push(0, sha256.Sum256(v.block))
			v.block = v.block[:0]
		}
	}
	return n, nil
}

// push adds a hash to a level. A full block of hashes is hashed into the level above.
func (v *Verity) push(i int, sum [sha256.Size]byte) {
	if i == len(v.levels) {
		v.levels = append(v.levels, level{first: sum, block: make([]byte, 0, verityBlock)})
	}
	l := &v.levels[i]
	l.count++
	if l.block = append(l.block, sum[:]...); len(l.block) == verityBlock {
		up := sha256.Sum256(l.block)
		l.block = l.block[:0]
		v.push(i+1, up)
	}
}

// Sum ends the file and returns its digest; nothing may be written after it.
func (v *Verity) Sum() [sha256.Size]byte {
	var root [sha256.Size]byte // An empty file has no tree: its root is zeros.
	if len(v.block) > 0 {
		v.push(0, padded(v.block))
	}
	for i := 0; i < len(v.levels); i++ {
		if v.levels[i].count == 1 {
			root = v.levels[i].first
			break
		}
		if len(v.levels[i].block) > 0 {
			v.push(i+1, padded(v.levels[i].block))
		}
	}
	// struct fsverity_descriptor of <linux/fsverity.h>, without a signature.
	var d [256]byte
	d[0], d[1], d[2] = 1, 1, 12 // Version, SHA-256, log2 of the block size; no salt.
	binary.LittleEndian.PutUint64(d[8:], v.size)
	copy(d[16:], root[:])
	return sha256.Sum256(d[:])
}

// padded is the hash of a block that ends early: the rest of it is zeros.
func padded(b []byte) [sha256.Size]byte {
	var block [verityBlock]byte
	copy(block[:], b)
	return sha256.Sum256(block[:])
}

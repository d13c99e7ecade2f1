package artifact

import (
	"crypto/x509"
	"testing"
)

// FuzzTimestamp feeds the reader of tokens, which others than the signer write.
func FuzzTimestamp(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x00})
	f.Add([]byte("0\x80\x06\t*\x86H\x86\xf7\r\x01\a\x02\xa0\x80"))
	trust := &Trust{Timestamps: []*x509.Certificate{}}
	f.Fuzz(func(t *testing.T, der []byte) {
		if at, err := trust.timestamp(der, []byte("signature")); err == nil {
			t.Errorf("accepted without a trusted authority: %v", at)
		}
	})
}

package fabricfake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// tokenLen is how long a token is before it is encoded: when it expires, and a hash that
// only the service can make, so that it need not remember tokens.
const tokenLen = 8 + sha256.Size

// token returns what lets an instance ask until a time since the world's beginning.
func (s *localServices) token(i *Instance, until time.Duration) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, tokenLen), uint64(until))
	return base64.URLEncoding.EncodeToString(append(b, s.sign("token", i, b)...))
}

// checkToken reports whether a token is one of the instance's that has not expired, and for
// how many seconds more it holds, rounded up.
func (s *localServices) checkToken(token string, i *Instance, now time.Duration) (left int, ok bool) {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) != tokenLen || !hmac.Equal(b[8:], s.sign("token", i, b[:8])) {
		return 0, false
	}
	until := time.Duration(binary.BigEndian.Uint64(b))
	if now >= until {
		return 0, false
	}
	return int((until - now + time.Second - 1) / time.Second), true
}

// sign returns a hash of something about an instance that the world's seed is the key of.
func (s *localServices) sign(purpose string, i *Instance, about []byte) []byte {
	key := binary.BigEndian.AppendUint64(nil, s.region.world.Seed())
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose + "/" + i.ID() + "/"))
	h.Write(about)
	return h.Sum(nil)
}

package certfake

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// ValidationRecord is the CNAME that proves control of a domain. Put it into the
// domain's public zone and leave it there.
type ValidationRecord struct {
	Domain string // without wildcard: example.com
	Name   string // _3639ac514e785e898d2646601fa951d5.example.com.
	Value  string // _98d2646601fa951d53639ac514e785e8.mhbtsbpdnt.acm-validations.aws.
}

// validationDomain is where the values point to.
const validationDomain = "acm-validations.aws."

// recordFor returns the record of a domain. It depends on the world's seed and the
// domain alone, as ACM's depends on the account: it is the same in every region and for
// every later request.
func recordFor(seed uint64, domain string) ValidationRecord {
	name, value, label := digest(seed, "name", domain), digest(seed, "value", domain), digest(seed, "label", domain)
	letters := make([]byte, 10)
	for i := range letters {
		letters[i] = 'a' + label[i]%26
	}
	return ValidationRecord{
		Domain: domain,
		Name:   "_" + hex.EncodeToString(name[:16]) + "." + domain + ".",
		Value:  "_" + hex.EncodeToString(value[:16]) + "." + string(letters) + "." + validationDomain,
	}
}

// digest returns 32 bytes that depend on the seed and the words alone: what would
// otherwise be drawn at random.
func digest(seed uint64, words ...string) [sha256.Size]byte {
	b := binary.BigEndian.AppendUint64(nil, seed)
	for _, word := range words {
		b = binary.BigEndian.AppendUint64(b, uint64(len(word)))
		b = append(b, word...)
	}
	return sha256.Sum256(b)
}

// maxChain is how many CNAMEs in a row ACM follows (user guide, page dns-validation).
const maxChain = 5

// aliasOf returns the name that a CNAME leads to, or "" if there is none.
type aliasOf func(name string) (target string, err error)

// proves reports whether the record, or a chain of CNAMEs that begins at its name,
// leads to its value. The value may lack its underscore; the name may not.
func proves(r ValidationRecord, lookup aliasOf) (bool, error) {
	name := r.Name
	for range maxChain {
		target, err := lookup(name)
		if err != nil || target == "" {
			return false, err
		}
		target = strings.ToLower(target)
		if target == r.Value || "_"+target == r.Value {
			return true, nil
		}
		name = target
	}
	return false, nil
}

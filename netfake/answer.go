package netfake

import (
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// answer is a message that answers a query, read up to its question.
type answer struct {
	header dnsmessage.Header
	rest   dnsmessage.Parser
}

// read takes a message for the query's answer if it says that it is one, and repeats its
// number and its question.
func (q *query) read(b []byte) (*answer, error) {
	a := new(answer)
	var err error
	if a.header, err = a.rest.Start(b); err != nil {
		return nil, errUnreadableAnswer
	}
	asked, err := a.rest.Question()
	if err != nil {
		return nil, errUnreadableAnswer
	}
	want := q.question()
	same := asked.Type == want.Type && asked.Class == want.Class && strings.EqualFold(asked.Name.String(), want.Name.String())
	if !a.header.Response || a.header.ID != q.id || !same {
		return nil, errInvalidAnswer
	}
	return a, nil
}

// alone says what is wrong with an answer to more than one question.
func (a *answer) alone() error {
	if a.rest.SkipQuestion() != dnsmessage.ErrSectionDone {
		return errInvalidAnswer
	}
	return nil
}

// judge returns the answer's records from the first of the type that was asked for on.
// errNameError ends the search; after any other error the next server is asked.
func (a *answer) judge(t dnsmessage.Type) ([]dnsmessage.Resource, error) {
	code, additional := a.code()
	if code == dnsmessage.RCodeNameError {
		return nil, errNameError
	}
	records, err := a.rest.AllAnswers()
	referral := len(records) == 0 && !additional && !a.header.Authoritative && !a.header.RecursionAvailable
	switch {
	case err != nil:
		return nil, errUnreadableAnswer
	case code == dnsmessage.RCodeServerFailure:
		return nil, errServerFailure
	case code != dnsmessage.RCodeSuccess:
		return nil, errMisbehaving
	case referral:
		return nil, errLameReferral
	}
	first := slices.IndexFunc(records, func(r dnsmessage.Resource) bool { return r.Header.Type == t })
	if first < 0 {
		return nil, errNameError
	}
	return records[first:], nil
}

// code returns the response code with the bits that EDNS adds to it, and whether there
// is an additional section.
func (a *answer) code() (code dnsmessage.RCode, additional bool) {
	p := a.rest // a copy: its place in the message is its own
	p.SkipAllAnswers()
	p.SkipAllAuthorities()
	for {
		h, err := p.AdditionalHeader()
		switch {
		case err != nil:
			return a.header.RCode, additional
		case h.Type == dnsmessage.TypeOPT:
			return h.ExtendedRCode(a.header.RCode), true
		case p.SkipAdditional() != nil:
			return a.header.RCode, true
		}
		additional = true
	}
}

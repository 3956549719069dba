package dnsfake

import "fmt"

// apiError is a refusal with the code and the text of the Route 53 API.
type apiError struct {
	code    string
	message string
}

// Error returns "dnsfake: InvalidChangeBatch: [RRSet with …]".
func (e *apiError) Error() string {
	if e.code == invalidChangeBatch {
		return fmt.Sprintf("dnsfake: %s: [%s]", e.code, e.message)
	}
	return fmt.Sprintf("dnsfake: %s: %s", e.code, e.message)
}

// The codes of the API that the package uses.
const (
	invalidChangeBatch = "InvalidChangeBatch"
	invalidInput       = "InvalidInput"
)

func changeError(format string, args ...any) error {
	return &apiError{invalidChangeBatch, fmt.Sprintf(format, args...)}
}

func inputError(format string, args ...any) error {
	return &apiError{invalidInput, fmt.Sprintf(format, args...)}
}

package lbfake

import "fmt"

// APIError is a refusal by the service that is imitated. It is what a test fails with
// when it asks for something that the real API would refuse.
type APIError struct {
	Code    string // as the real API gives it: "DuplicateListener"
	Message string // what was wrong, with the offending value
}

// Error returns "lbfake: code: message".
func (e *APIError) Error() string { return "lbfake: " + e.Code + ": " + e.Message }

// The codes of the API that the package uses. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/CommonErrors.html
// and the pages of the single actions.
const (
	codeValidation       = "ValidationError"
	codeSubnet           = "InvalidSubnet"
	codeConfiguration    = "InvalidConfigurationRequest"
	codeDuplicateName    = "DuplicateLoadBalancerName"
	codeDuplicateGroup   = "DuplicateTargetGroupName"
	codeDuplicatePort    = "DuplicateListener"
	codePriorityInUse    = "PriorityInUse"
	codeTooManyRules     = "TooManyRules"
	codeTooManyListeners = "TooManyListeners"
	codeTooManyCerts     = "TooManyCertificates"
	codeCertificate      = "UnsupportedCertificate"
	codeCertNotFound     = "CertificateNotFound"
	codeAction           = "InvalidLoadBalancerAction"
	codeAssociation      = "TargetGroupAssociationLimit"
	codeGroupNotFound    = "TargetGroupNotFound"
	codeInvalidTarget    = "InvalidTarget"
)

// refuse returns an APIError.
func refuse(code, format string, args ...any) error {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

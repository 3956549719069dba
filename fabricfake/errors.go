package fabricfake

import "fmt"

// APIError is a refusal by the service that is imitated. It is what a test fails with
// when it asks for something that the real API would refuse.
type APIError struct {
	Code    string // as the real API gives it: "InvalidSubnet.Conflict"
	Message string // what was wrong, with the offending value
}

// Error returns "fabricfake: code: message".
func (e *APIError) Error() string { return "fabricfake: " + e.Code + ": " + e.Message }

// The codes that the API answers with. Source, unless another is given:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
const (
	codeParameterValue = "InvalidParameterValue"
	codeVPCNotFound    = "InvalidVpcID.NotFound"
	codeSubnetNotFound = "InvalidSubnetID.NotFound"
	codeVPCRange       = "InvalidVpcRange" // older clients print InvalidVpc.Range
	codeCIDRLimit      = "CidrLimitExceeded"
	codeSubnetRange    = "InvalidSubnet.Range"
	codeSubnetConflict = "InvalidSubnet.Conflict"
	codeAddressInUse   = "InvalidIPAddress.InUse"
	codeNoFreeAddress  = "InsufficientFreeAddressesInSubnet"

	codeNotPermitted       = "OperationNotPermitted"
	codeInterfaceNotFound  = "InvalidNetworkInterfaceID.NotFound"
	codeInterfaceInUse     = "InvalidNetworkInterface.InUse"
	codeAttachmentNotFound = "InvalidAttachmentID.NotFound"
	codeAttachmentLimit    = "AttachmentLimitExceeded"
	codeInstanceNotFound   = "InvalidInstanceID.NotFound"
	codeInstanceState      = "IncorrectInstanceState"
	codeParameterMix       = "InvalidParameterCombination"

	codeGroupDuplicate      = "InvalidGroup.Duplicate"
	codeGroupReserved       = "InvalidGroup.Reserved"
	codeGroupNotFound       = "InvalidGroup.NotFound"
	codePermissionDuplicate = "InvalidPermission.Duplicate"
	codePermissionNotFound  = "InvalidPermission.NotFound"
	codeGroupRuleLimit      = "RulesPerSecurityGroupLimitExceeded"

	codeACLNotFound      = "InvalidNetworkAclID.NotFound"
	codeACLEntryExists   = "NetworkAclEntryAlreadyExists"
	codeACLEntryNotFound = "InvalidNetworkAclEntry.NotFound"
	codeACLEntryLimit    = "NetworkAclEntryLimitExceeded"

	codeAlreadyAssociated = "Resource.AlreadyAssociated"
	codeDependency        = "DependencyViolation"
	codeCannotDelete      = "CannotDelete"

	codeRouteExists   = "RouteAlreadyExists"
	codeRouteNotFound = "InvalidRoute.NotFound"
	codeRouteLimit    = "RouteLimitExceeded"
)

// checkName refuses a thing without a name: traces and failures would not tell which.
func checkName(kind, name string) error {
	if name == "" {
		return refuse(codeParameterValue, "the %s has no name", kind)
	}
	return nil
}

// refuse returns an APIError.
func refuse(code, format string, args ...any) error {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

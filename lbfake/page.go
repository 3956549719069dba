package lbfake

import (
	"fmt"
	"net/http"
	"strconv"
)

// The statuses that only a load balancer gives. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
const (
	statusClientClosed = 460 // in the access log only: there is nobody to tell
	statusForwardedFor = 463
)

// serverHeader is the Server header of what the load balancer itself answers.
const serverHeader = "awselb/2.0"

// statusLine returns a status with its text: "502 Bad Gateway".
func statusLine(status int) string {
	switch status {
	case http.StatusServiceUnavailable:
		return "503 Service Temporarily Unavailable"
	case http.StatusGatewayTimeout:
		return "504 Gateway Time-out"
	case http.StatusRequestTimeout:
		return "408 Request Time-out"
	case http.StatusMethodNotAllowed:
		return "405 Not Allowed"
	}
	if text := http.StatusText(status); text != "" {
		return strconv.Itoa(status) + " " + text
	}
	return strconv.Itoa(status)
}

// page returns the body that goes with a status. Its length is 162 bytes for a 503,
// 122 for a 502 and 134 for a 301, as captures of the real service have it.
func page(status int) string {
	line := statusLine(status)
	return fmt.Sprintf("<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n</body>\r\n</html>\r\n", line, line)
}

// writePage answers with a page of the load balancer's own.
func writePage(w http.ResponseWriter, status int) {
	writeGenerated(w, status, "text/html", page(status))
}

// writeGenerated answers in the load balancer's own name.
func writeGenerated(w http.ResponseWriter, status int, contentType, body string) {
	h := w.Header()
	h.Set("Server", serverHeader)
	h["Content-Type"] = nil
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write([]byte(body))
}

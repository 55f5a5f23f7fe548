// CoreDNS with the plugins that AKS LocalDNS needs, and no other: the full program takes five times as long to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
)

func init() {
	dnsserver.Directives = []string{"bind", "errors", "cache", "forward"}
}

func main() {
	coremain.Run()
}

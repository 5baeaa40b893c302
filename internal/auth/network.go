package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"riposte/internal/fault"
)

// Network is a range of addresses, or one address.
type Network struct{ netip.Prefix }

// UnmarshalText reads 10.0.0.0/8, 2001:db8::/32 or a single address;
// fault.Invalid otherwise.
func (n *Network) UnmarshalText(text []byte) error {
	s := string(text)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is no network; expected one such as 10.0.0.0/8 or 2001:db8::/32, or an address: %w", s, fault.Invalid)
	}
	if p.Masked() != p {
		return fmt.Errorf("%q has bits beyond its length; expected %s, or %s for the one address: %w", s, p.Masked(), p.Addr(), fault.Invalid)
	}
	n.Prefix = p
	return nil
}

// MarshalText writes the range, and a single address as one.
func (n Network) MarshalText() ([]byte, error) {
	if n.IsSingleIP() {
		return []byte(n.Addr().String()), nil
	}
	return []byte(n.String()), nil
}

// Networks is a list of ranges.
type Networks []Network

// Contain tells whether an address is in one of them.
func (n Networks) Contain(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsValid() && slices.ContainsFunc(n, func(one Network) bool { return one.Contains(a) })
}

// Sender is the address that a request comes from. What X-Forwarded-For says
// (all its lines, in order) counts only as far as each proxy that says it is a
// trusted one: everybody can send the header. The zero Addr: a trusted proxy
// says something that is no address.
func (n Networks) Sender(peer netip.Addr, forwarded []string) netip.Addr {
	peer = peer.Unmap().WithZone("")
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0 && n.Contain(peer); i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" && len(hops) == 1 {
			return peer // it says nothing: the proxy itself asks
		}
		peer = hopAddr(hop)
	}
	return peer
}

// hopAddr reads an address, which some proxies write with a port.
func hopAddr(s string) netip.Addr {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

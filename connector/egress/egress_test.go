package egress

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"riposte/internal/fault"
)

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, address, says string }{
		{"loopback", "127.0.0.1:80", "this machine"},
		{"any loopback", "127.8.9.1:80", "this machine"},
		{"loopback of IPv6", "[::1]:80", "this machine"},
		{"loopback mapped into IPv6", "[::ffff:127.0.0.1]:80", "this machine"},
		{"loopback in NAT64", "[64:ff9b::7f00:1]:80", "this machine"},
		{"loopback in 6to4", "[2002:7f00:1::]:80", "this machine"},
		{"loopback in the old form", "[::127.0.0.1]:80", "this machine"},
		{"loopback in Teredo", "[2001:0:1::80ff:fffe]:80", "this machine"},
		{"metadata", "169.254.169.254:80", "metadata"},
		{"metadata mapped", "[::ffff:169.254.169.254]:80", "metadata"},
		{"metadata of one cloud", "100.100.100.200:80", "metadata"},
		{"metadata of another", "[fd00:ec2::254]:80", "metadata"},
		{"link-local with zone", "[fe80::1%eth0]:80", "link-local"},
		{"private", "10.1.2.3:443", "private"},
		{"private, middle", "172.31.255.255:443", "private"},
		{"private, small", "192.168.0.1:443", "private"},
		{"carrier", "100.64.0.1:443", "private"},
		{"unique local", "[fd12::1]:443", "private"},
		{"unspecified", "0.0.0.0:80", "no server"},
		{"unspecified of IPv6", "[::]:80", "no server"},
		{"this network", "0.1.2.3:80", "no server"},
		{"multicast", "224.0.0.1:80", "no server"},
		{"multicast of IPv6", "[ff02::1]:80", "no server"},
		{"broadcast", "255.255.255.255:80", "no server"},
		{"not resolved", "localhost:80", "no resolved"},
	}
	p := &Policy{Hosts: []string{"*"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := p.Address("tcp", tt.address)
			if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want a refusal with %q", err, tt.says)
			}
		})
	}
}

func TestAddressesThatAreAllowed(t *testing.T) {
	t.Parallel()
	all := &Policy{Hosts: []string{"*"}, AllowPrivate: true, AllowLoopback: true, AllowLinkLocal: true}
	for _, a := range []string{"127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "169.254.169.254:80", "203.0.113.9:443"} {
		if err := all.Address("tcp4", a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	plain := &Policy{Hosts: []string{"*"}}
	for _, a := range []string{"8.8.8.8:53", "[2606:4700::1111]:443", "172.32.0.1:80", "[64:ff9b::808:808]:80"} {
		if err := plain.Address("tcp", a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"0.0.0.0:80", "224.0.0.1:80"} {
		if all.Address("tcp", a) == nil {
			t.Errorf("%s is allowed", a)
		}
	}
}

func TestHostPatterns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		hosts   []string
		url     string
		allowed bool
	}{
		{"the name itself", []string{"api.example.com"}, "https://api.example.com/a", true},
		{"in other letters, with a dot", []string{"api.example.com"}, "https://API.example.com./a", true},
		{"below a star", []string{"*.example.com"}, "https://eu.api.example.com", true},
		{"the star is not the name", []string{"*.example.com"}, "https://example.com", false},
		{"a name that only ends alike", []string{"*.example.com"}, "https://evilexample.com", false},
		{"a name that begins alike", []string{"api.example.com"}, "https://api.example.com.evil.test", false},
		{"user info does not fool it", []string{"api.example.com"}, "https://api.example.com@evil.test/", false},
		{"a port of the list", []string{"api.example.com:8443"}, "https://api.example.com:8443", true},
		{"another port", []string{"api.example.com:8443"}, "https://api.example.com", false},
		{"the port of the scheme", []string{"api.example.com:443"}, "https://api.example.com", true},
		{"another host", []string{"api.example.com"}, "https://example.org", false},
		{"another scheme", []string{"*"}, "ftp://example.org", false},
		{"a file", []string{"*"}, "file:///etc/passwd", false},
		{"loopback by number", []string{"*"}, "http://127.0.0.1/", false},
		{"loopback as one number", []string{"*"}, "http://2130706433/", false},
		{"loopback in hexadecimal", []string{"*"}, "http://0x7f.0x1/", false},
		{"loopback in short", []string{"*"}, "http://127.1/", false},
		{"an address", []string{"203.0.113.9"}, "http://203.0.113.9/", true},
		{"an address of IPv6", []string{"2001:db9::1"}, "http://[2001:db9::1]/", true},
		{"an address of IPv6 with a port", []string{"[2001:db9::1]:8443"}, "https://[2001:db9::1]:8443/", true},
		{"an address of IPv6 with another port", []string{"[2001:db9::1]:8443"}, "https://[2001:db9::1]/", false},
		{"no list", nil, "https://example.com", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			err = (&Policy{Hosts: tt.hosts}).URL(u)
			if (err == nil) != tt.allowed {
				t.Errorf("error %v, want allowed %v", err, tt.allowed)
			}
		})
	}
}

# shellcheck shell=bash
# BIND with a response policy zone: a DNS sinkhole.

install_bind() { apt_need bind9 bind9-utils bind9-dnsutils; }

up_bind() {
  local d=$LAB_DIR/bind a k
  a=$(addr bind)
  need_cmd named bind
  mkdir -p "$d/run" "$d/log"
  [ -s "$d/soar.key" ] || tsig-keygen -a hmac-sha256 soar >"$d/soar.key"
  k=$(sed -n 's/.*secret "\(.*\)".*/\1/p' "$d/soar.key")
  if [ ! -e "$d/rpz.zone" ]; then
    printf '$TTL 5\n@ SOA localhost. root.localhost. 1 1h 15m 30d 5\n  NS localhost.\n' >"$d/rpz.zone"
    printf '$TTL 5\n@ SOA ns root 1 1h 15m 30d 5\n  NS ns\n  A 203.0.113.66\nns A 127.0.0.1\n* A 203.0.113.66\n' >"$d/bad.zone"
  fi
  cat >"$d/named.conf" <<EOF
include "$d/soar.key";
options {
  directory "$d";
  pid-file "$d/run/named.own";
  session-keyfile "$d/run/session.key";
  managed-keys-directory "$d";
  listen-on port 10053 { $a; };
  listen-on-v6 { none; };
  query-source address 127.0.0.1;
  recursion yes;
  allow-query { 127.0.0.0/8; };
  forward only;
  forwarders { };
  dnssec-validation no;
  empty-zones-enable no;
  response-policy { zone "rpz.soar" policy given max-policy-ttl 5; } qname-wait-recurse no recursive-only no min-update-interval 0;
};
controls { };
statistics-channels { inet $a port 18053 allow { 127.0.0.0/8; }; };
zone "." { type primary; file "$d/empty.zone"; };
zone "rpz.soar" { type primary; file "$d/rpz.zone"; allow-update { key soar; }; allow-transfer { key soar; }; };
zone "invoice-update.example" { type primary; file "$d/bad.zone"; };
EOF
  printf '$TTL 5\n@ SOA localhost. root.localhost. 1 1h 15m 30d 5\n  NS localhost.\nlocalhost. A 127.0.0.1\n' >"$d/empty.zone"
  spawn bind named named -g -n 1 -c "$d/named.conf"
  wait_for bind DNS dig_up
  envfile bind <<EOF
LAB_DNS_ADDR=$a:10053
LAB_DNS_STATS_URL=http://$a:18053/json/v1/server
LAB_DNS_RPZ_ZONE=rpz.soar
LAB_DNS_TSIG_NAME=soar
LAB_DNS_TSIG_ALG=hmac-sha256
LAB_DNS_TSIG_SECRET=$k
LAB_DNS_BAD_DOMAIN=invoice-update.example
EOF
}

dig_lab() { dig +tries=1 +time=2 -p 10053 "@$(addr bind)" "$@"; }
dig_up() { dig_lab +noall +comments SOA rpz.soar | grep -q NOERROR; }
dig_status() { dig_lab +noall +comments "$1" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'; }

bind_update() { # lines of nsupdate
  printf 'server %s 10053\nzone rpz.soar\n%s\nsend\n' "$(addr bind)" "$1" | nsupdate -k "$LAB_DIR/bind/soar.key"
}

check_bind() {
  local h=login.invoice-update.example
  [ "$(dig_lab +short $h)" = 203.0.113.66 ] ||
    { fail bind "$h does not resolve before the sinkhole"; return 1; }
  bind_update "update add invoice-update.example.rpz.soar 5 CNAME .
update add *.invoice-update.example.rpz.soar 5 CNAME ." || { fail bind "TSIG update"; return 1; }
  sinkholed() { [ "$(dig_status "$h")" = NXDOMAIN ]; }
  released() { [ "$(dig_lab +short "$h")" = 203.0.113.66 ]; }
  retry 8 sinkholed || { fail bind "$h still resolves: $(dig_status "$h")"; return 1; }
  bind_update "update delete invoice-update.example.rpz.soar CNAME
update delete *.invoice-update.example.rpz.soar CNAME"
  retry 8 released || { fail bind "$h not released"; return 1; }
  pass bind "domain sinkholed by a TSIG update (NXDOMAIN), then released"
}

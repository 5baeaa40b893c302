# shellcheck shell=bash
# HAProxy: an edge with a blocklist map.

install_haproxy() { apt_need haproxy curl socat; }

up_haproxy() {
  local d=$LAB_DIR/haproxy a
  a=$(addr haproxy)
  need_cmd haproxy haproxy
  mkdir -p "$d/run"
  touch "$d/blocked.map"
  cat >"$d/haproxy.cfg" <<EOF
global
  stats socket $d/run/admin.sock mode 600 level admin
  stats socket ipv4@$a:19999 level admin
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend web
  bind $a:18080
  http-request deny deny_status 403 if { src,map_ip($d/blocked.map) -m found }
  http-request return status 200 content-type text/plain string ok
EOF
  spawn haproxy haproxy haproxy -db -f "$d/haproxy.cfg"
  wait_for haproxy HTTP curl -sS "http://$a:18080/"
  envfile haproxy <<EOF
LAB_HAPROXY_URL=http://$a:18080
LAB_HAPROXY_ADMIN_ADDR=$a:19999
LAB_HAPROXY_ADMIN_SOCKET=$d/run/admin.sock
LAB_HAPROXY_MAP=$d/blocked.map
EOF
}

haproxy_admin() { printf '%s\n' "$1" | socat - "UNIX-CONNECT:$LAB_DIR/haproxy/run/admin.sock"; }
check_haproxy() {
  local m=$LAB_DIR/haproxy/blocked.map
  ha_is() { [ "$(curl -s -o /dev/null -w '%{http_code}' --interface 127.0.0.99 "http://$(addr haproxy):18080/")" = "$1" ]; }
  ha_is 200 || { fail haproxy "not open before"; return 1; }
  haproxy_admin "add map $m 127.0.0.99 soar" >/dev/null
  ha_is 403 || { fail haproxy "not blocked"; return 1; }
  haproxy_admin "del map $m 127.0.0.99" >/dev/null
  ha_is 200 || { fail haproxy "not released"; return 1; }
  pass haproxy "source blocked by a run-time map entry, then released"
}

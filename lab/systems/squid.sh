# shellcheck shell=bash
# Squid: a proxy with a blocklist file.

install_squid() { apt_need squid curl; }

up_squid() {
  local d=$LAB_DIR/squid a
  a=$(addr squid)
  need_cmd squid squid
  mkdir -p "$d/run" "$d/log"
  touch "$d/blocked.txt"
  cat >"$d/squid.conf" <<EOF
http_port $a:13128
pid_filename $d/run/squid.own
cache_log $d/log/cache.log
access_log stdio:$d/log/access.log
coredump_dir $d
cache deny all
pinger_enable off
workers 1
shutdown_lifetime 0 seconds
cache_effective_user proxy
acl blocked dstdomain "$d/blocked.txt"
acl lab dst 127.0.0.0/8
http_access deny blocked
http_access allow lab
http_access deny all
EOF
  printf '.blocked.invalid\n' >"$d/blocked.txt"
  chown -R proxy "$d/log" "$d/run" "$d/blocked.txt"
  spawn squid squid squid -N -f "$d/squid.conf" -n "lab$LAB_NS"
  wait_for squid proxy port_open "$a" 13128
  envfile squid <<EOF
LAB_SQUID_PROXY=http://$a:13128
LAB_SQUID_BLOCKLIST=$d/blocked.txt
LAB_SQUID_PID_FILE=$d/run/squid.pid
EOF
}

squid_code() { curl -s -o /dev/null -w '%{http_code}' -x "http://$(addr squid):13128" "$1"; }

squid_reload() {
  local pid _
  read -r pid _ <"$LAB_DIR/squid/run/squid.pid" && kill -HUP "$pid"
}

check_squid() {
  local f=$LAB_DIR/squid/blocked.txt u
  is_up nginx || up nginx >/dev/null
  u=http://$(addr nginx):18081/feodo.csv
  squid_is() { [ "$(squid_code "$u")" = "$1" ]; }
  retry 5 squid_is 200 || { fail squid "not allowed before"; return 1; }
  printf '.blocked.invalid\n%s\n' "$(addr nginx)" >"$f"
  squid_reload
  retry 10 squid_is 403 || { fail squid "not blocked"; return 1; }
  printf '.blocked.invalid\n' >"$f"
  squid_reload
  retry 10 squid_is 200 || { fail squid "not released"; return 1; }
  pass squid "destination blocked (403) by the list, then released"
}

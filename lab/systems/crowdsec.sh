# shellcheck shell=bash
# CrowdSec: log lines to alerts and decisions.

install_crowdsec() {
  # a non-empty file keeps the package from registering with the vendor's service
  mkdir -p /etc/crowdsec
  [ -s /etc/crowdsec/online_api_credentials.yaml ] || printf 'url: http://127.0.0.1:9/\nlogin: none\npassword: none\n' >/etc/crowdsec/online_api_credentials.yaml
  apt_need crowdsec curl jq
}

up_crowdsec() {
  local d=$LAB_DIR/crowdsec a x
  a=$(addr crowdsec)
  need_cmd crowdsec crowdsec
  mkdir -p "$d/etc" "$d/data" "$d/log" "$d/run" "$d/etc/notifications"
  for x in parsers scenarios postoverflows collections; do
    [ ! -d "/etc/crowdsec/$x" ] || [ -d "$d/etc/$x" ] || cp -a "/etc/crowdsec/$x" "$d/etc/"
  done
  [ -e "$d/etc/patterns" ] || cp -r /etc/crowdsec/patterns "$d/etc/"
  cp -n /var/lib/crowdsec/data/*.{txt,mmdb,regex} "$d/data/" 2>/dev/null
  [ -e "$d/etc/profiles.yaml" ] || cp /etc/crowdsec/profiles.yaml "$d/etc/"
  printf 'simulation: false\n' >"$d/etc/simulation.yaml"
  touch "$d/auth.log" "$d/web.log"
  cat >"$d/etc/acquis.yaml" <<EOF
filenames: [$d/auth.log]
labels: {type: syslog}
---
filenames: [$d/web.log]
labels: {type: nginx}
EOF
  touch "$d/etc/local.yaml" "$d/etc/console.yaml"
  cat >"$d/config.yaml" <<EOF
common: {daemonize: false, log_media: stdout, log_level: info, working_dir: $d}
config_paths:
  config_dir: $d/etc/
  data_dir: $d/data/
  simulation_path: $d/etc/simulation.yaml
  hub_dir: /usr/share/crowdsec/hub/
  index_path: /usr/share/crowdsec/hub/.index.json
  notification_dir: $d/etc/notifications/
  plugin_dir: $d/plugins/
crowdsec_service: {acquisition_path: $d/etc/acquis.yaml, parser_routines: 1}
cscli: {output: json, color: no}
db_config: {type: sqlite, db_path: $d/data/crowdsec.db, use_wal: true, flush: {max_items: 5000, max_age: 7d}}
plugin_config: {user: nobody, group: nogroup}
api:
  client: {insecure_skip_verify: false, credentials_path: $d/etc/local.yaml}
  server:
    log_level: info
    listen_uri: $a:18080
    profiles_path: $d/etc/profiles.yaml
    console_path: $d/etc/console.yaml
    trusted_ips: [127.0.0.0/8]
prometheus: {enabled: true, level: full, listen_addr: $a, listen_port: 16060}
EOF
  if [ ! -e "$d/seeded" ]; then
    printf 'url: http://%s:18080\n' "$a" >"$d/etc/local.yaml"
    crowdsec_register >"$d/log/seed.log" 2>&1 || gave_up crowdsec "registration failed"
    printf 'url: http://%s:18080\nlogin: lab\npassword: %s\n' "$a" "$LAB_PASSWORD" >"$d/etc/local.yaml"
    touch "$d/seeded"
  fi
  spawn crowdsec crowdsec crowdsec -c "$d/config.yaml"
  wait_for crowdsec "local API" curl -fsS -H "X-Api-Key: $LAB_PASSWORD" "http://$a:18080/v1/decisions"
  wait_for crowdsec "log reader" grep -q 'Starting processing data' "$d/log/crowdsec.log"
  envfile crowdsec <<EOF
LAB_CROWDSEC_URL=http://$a:18080
LAB_CROWDSEC_BOUNCER_KEY=$LAB_PASSWORD
LAB_CROWDSEC_MACHINE=soar
LAB_CROWDSEC_PASSWORD=$LAB_PASSWORD
LAB_CROWDSEC_AUTH_LOG=$d/auth.log
LAB_CROWDSEC_WEB_LOG=$d/web.log
EOF
}

crowdsec_register() {
  cscli_lab machines add lab --password "$LAB_PASSWORD" --force -f "$LAB_DIR/crowdsec/etc/local.yaml" &&
    cscli_lab machines add soar --password "$LAB_PASSWORD" --force -f /dev/null &&
    cscli_lab bouncers add soar --key "$LAB_PASSWORD"
}

cscli_lab() { cscli -c "$LAB_DIR/crowdsec/config.yaml" "$@"; }

crowdsec_decided() { # address
  curl -sS -H "X-Api-Key: $LAB_PASSWORD" "http://$(addr crowdsec):18080/v1/decisions?ip=$1" | grep -q "\"$1\""
}

crowdsec_token() { # a session of the machine soar
  curl -sS "http://$(addr crowdsec):18080/v1/watchers/login" \
    -d "{\"machine_id\":\"soar\",\"password\":\"$LAB_PASSWORD\",\"scenarios\":[]}" | jq -r .token
}

crowdsec_failed_logins() { # address user count first-pid   what an SSH server writes when a password is wrong
  local i
  for i in $(seq "$3"); do
    printf '%s web1 sshd[%s%s]: Failed password for %s from %s port 4%s22 ssh2\n' \
      "$(date '+%b %e %H:%M:%S')" "$4" "$i" "$2" "$1" "$i"
  done >>"$LAB_DIR/crowdsec/auth.log"
}

check_crowdsec() {
  local u n jwt ip=198.51.100.$((RANDOM % 200 + 20))
  u=http://$(addr crowdsec):18080
  for n in 1 2 3; do # the reader starts at the end of the file: what is written too early is not seen
    crowdsec_failed_logins "$ip" root 8 "10$n"
    retry 5 crowdsec_decided "$ip" && break
  done
  crowdsec_decided "$ip" || { fail crowdsec "no decision for $ip after failed SSH log-ins"; return 1; }
  jwt=$(crowdsec_token)
  curl -sS -H "Authorization: Bearer $jwt" "$u/v1/alerts?ip=$ip" | jq -e '.[0].scenario=="crowdsecurity/ssh-bf"' >/dev/null ||
    { fail crowdsec "no alert"; return 1; }
  curl -sS -X DELETE -H "Authorization: Bearer $jwt" "$u/v1/decisions?ip=$ip" | grep -q nbDeleted ||
    { fail crowdsec "decision not deleted"; return 1; }
  crowdsec_decided "$ip" && { fail crowdsec "decision still there"; return 1; }
  pass crowdsec "failed SSH log-ins gave an alert and a decision; decision removed through the API"
}

# shellcheck shell=bash
# Sagan: Suricata-style rules over syslog, EVE JSON out.

install_sagan() { apt_need sagan sagan-rules jq; }

up_sagan() {
  local d=$LAB_DIR/sagan
  need_cmd sagan sagan
  mkdir -p "$d/log" "$d/run/ipc" "$d/rules"
  (
    cd /etc/sagan-rules &&
      cp -n classification.config reference.config gen-msg.map protocol.map normalization.rulebase \
        sagan-ignore-list.txt "$d/rules/" 2>/dev/null
  )
  # LAB_SAGAN_RULES and LAB_SAGAN_RULEBASE name rules and field names of the
  # caller's, LAB_SAGAN_HOST is what an alert says where a line names no target.
  [ -z "${LAB_SAGAN_RULEBASE:-}" ] || cp "$LAB_SAGAN_RULEBASE" "$d/rules/normalization.rulebase"
  if [ -n "${LAB_SAGAN_RULES:-}" ]; then cp "$LAB_SAGAN_RULES" "$d/rules/lab.rules"; else cat >"$d/rules/lab.rules"; fi <<'EOF'
alert any any any -> any any (msg:"[LAB] SSH failed password"; content:"Failed password"; program:sshd; parse_src_ip:1; parse_port; classtype:unsuccessful-user; priority:2; sid:9000001; rev:1;)
alert any any any -> any any (msg:"[LAB] Beacon to known bad host"; content:"invoice-update.example"; parse_src_ip:1; classtype:trojan-activity; priority:1; sid:9000002; rev:1;)
EOF
  sed -e "s#FIFO: .*#FIFO: \"$d/run/sagan.fifo\"#" -e "s#RULE_PATH: .*#RULE_PATH: \"$d/rules\"#" \
    -e "s#LOCKFILE: .*#LOCKFILE: \"$d/run/sagan.own\"#" -e "s#LOG_PATH: .*#LOG_PATH: \"$d/log\"#" \
    -e "s#ipc-directory: .*#ipc-directory: $d/run/ipc#" -e 's#max-threads: .*#max-threads: 4#' \
    -e "s#default-host: .*#default-host: ${LAB_SAGAN_HOST:-127.0.0.1}#" \
    -e '/- eve-log:/,/enabled:/s/enabled: .*/enabled: yes/' -e '/^rules-files:/,$d' /etc/sagan.yaml >"$d/sagan.yaml"
  printf 'rules-files:\n  - %s/rules/lab.rules\n' "$d" >>"$d/sagan.yaml"
  [ -p "$d/run/sagan.fifo" ] || mkfifo "$d/run/sagan.fifo"
  touch "$d/log/eve.json"
  spawn sagan sagan sagan -u root -f "$d/sagan.yaml" -l "$d/log/sagan-own.log"
  spawn sagan holder bash -c "exec sleep infinity 3<>'$d/run/sagan.fifo'"
  wait_for sagan "rules" grep -rqs 'Sagan processing threads\|Attempting to open syslog FIFO\|Successfully opened FIFO' "$d/log"
  envfile sagan <<EOF
LAB_SAGAN_FIFO=$d/run/sagan.fifo
LAB_EVE_JSON=$d/log/eve.json
EOF
}

sagan_log() { # host program message
  printf '%s|authpriv|notice|notice|00|%s|%s|%s| %s\n' "$1" "$(date +%F)" "$(date +%T)" "$2" "$3" \
    >"$LAB_DIR/sagan/run/sagan.fifo"
}

sagan_seen() { # port   in an alert, or anywhere should this version write no port
  local eve=$LAB_DIR/sagan/log/eve.json
  jq -e --argjson port "$1" 'select(.event_type == "alert" and .alert.signature_id == 9000001
    and .src_port == $port and .src_ip == "198.51.100.10")' "$eve" >/dev/null 2>&1 || grep -q "$1" "$eve"
}

check_sagan() {
  local p=$((RANDOM % 20000 + 20000))
  sagan_log 203.0.113.10 sshd "Failed password for root from 198.51.100.10 port $p ssh2"
  retry 15 sagan_seen "$p" || { fail sagan "no EVE alert"; return 1; }
  pass sagan "syslog line matched a local rule, EVE JSON alert written"
}

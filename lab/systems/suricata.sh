# shellcheck shell=bash
# Suricata: works only where the package exists.

install_suricata() { apt_need suricata jq && install_firewall; }

up_suricata() {
  local d=$LAB_DIR/suricata
  need_cmd suricata suricata
  mkdir -p "$d/log" "$d/run" "$d/pcap"
  printf 'alert http any any -> any any (msg:"LAB beacon"; flow:established,to_server; http.uri; content:"/lab-beacon"; classtype:trojan-activity; sid:9100001; rev:1;)\n' >"$d/lab.rules"
  touch "$d/log/eve.json"
  envfile suricata <<EOF
LAB_SURICATA_RULES=$d/lab.rules
LAB_EVE_JSON=$d/log/eve.json
EOF
}

check_suricata() { # capture real traffic between two namespaces, then read the capture
  local d=$LAB_DIR/suricata
  is_up firewall || up firewall >/dev/null
  fw_pcap "$d/pcap/lab.pcap" || return 1
  suricata -r "$d/pcap/lab.pcap" -S "$d/lab.rules" -l "$d/log" -k none >"$d/log/suricata.log" 2>&1
  jq -e 'select(.event_type=="alert" and .alert.signature_id==9100001)' "$d/log/eve.json" >/dev/null ||
    { fail suricata "no alert"; return 1; }
  pass suricata "captured request gave an alert in eve.json"
}

# shellcheck shell=bash
# The attack that make-samples plays: what the machines of a small network log
# while somebody scans it, guesses a password, gets in, and makes two
# workstations call home. Lines only; which tool reads them is make-samples' work.
#
#   192.0.2.0/24     own: fw1 .1, web1 .10, proxy1 .20, mail1 .25,
#                    ws-17 .117 (alice), ws-23 .123 (bob), ws-31 .131 (carol)
#   198.51.100.0/24  attackers
#   203.0.113.0/24   a control server (.66) and one more attacker (.45)

line() { # host program message: one log line, to whatever reads it
  printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

scan() { # attacker target
  local port
  for port in 21 22 23 25 80 110 143 443 445 1433 3306 3389 5432 8080; do
    line fw1 kernel "FW-DROP IN=eth0 SRC=$1 DST=$2 PROTO=TCP SPT=4$((port % 1000 + 1000)) DPT=$port WINDOW=1024 SYN"
  done
}

guess() { # attacker target user...: one failed password each; a user of nobody begins with a hyphen
  local from=$1 to=$2 user n=0
  shift 2
  for user in "$@"; do
    n=$((n + 1))
    case $user in
      -*) line "$to" sshd "Failed password for invalid user ${user#-} from $from port $((40100 + n)) ssh2" ;;
      *) line "$to" sshd "Failed password for $user from $from port $((40100 + n)) ssh2" ;;
    esac
  done
}

web() { # attacker method uri status agent
  line web1 nginx "$1 - - [$(date '+%d/%b/%Y:%H:%M:%S %z')] \"$2 $3 HTTP/1.1\" $4 612 \"-\" \"$5\""
}

attack_web() { # attacker
  local n path tool='Mozilla/5.0 zgrab/0.x'
  for path in /.env /.git/config /wp-config.php.bak /backup.sql /admin.php /phpinfo.php /server-status /.aws/credentials \
    /config.json /db.sqlite /old/ /test.php /shell.php /cgi-bin/status; do
    web "$1" GET "$path" 404 "$tool"
  done
  for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    web "$1" GET "/shop?id=$n%27+UNION+SELECT+null,$n,password+FROM+users--+" 200 "sqlmap/1.7"
  done
  for n in 1 2 3 4 5; do
    web "$1" GET "/static/..%2f..%2f..%2f..%2fetc/passwd?v=$n" 400 "$tool"
  done
}

download() { # address host user
  line proxy1 squid "$1 $3 GET http://login.invoice-update.example/dropper.bin -> 203.0.113.66 200 48128"
  line "$2" clamd "$1 $2 $3: /home/$3/Downloads/dropper.bin sha256 $DROPPER_SHA256 Lab.Eicar.Test FOUND"
}

beacon() { # address user
  line proxy1 squid "$1 $2 CONNECT 203.0.113.66:443 -> 203.0.113.66 200 312"
}

DROPPER_SHA256=275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f # of the EICAR test file

# The phases, in order. What lies between them is make-samples' clock.
phase_scan() {
  scan 198.51.100.23 192.0.2.10
  scan 203.0.113.45 192.0.2.25
  guess 192.0.2.131 mail1 carol # a person who mistyped a password
}

phase_guess() {
  local last
  guess 198.51.100.23 web1 root -admin -oracle bob alice alice alice
  guess 198.51.100.77 mail1 root -test -postgres -git carol bob
  guess 203.0.113.45 web1 root root root root root root
  for last in 131 132 133 134 135 136 137; do # one botnet, six guesses each
    guess "198.51.100.$last" web1 root -admin -user -ubuntu -pi -guest
  done
}

phase_enter() {
  line web1 sshd "Accepted password for alice from 198.51.100.23 port 40222 ssh2"
  line web1 sudo "alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/sbin/useradd -m -G sudo support"
}

phase_web() {
  attack_web 198.51.100.77
  attack_web 198.51.100.88
}

phase_malware() {
  download 192.0.2.117 ws-17 alice
  beacon 192.0.2.117 alice
  line proxy1 squid "192.0.2.131 carol GET http://download.anydesk.example/AnyDesk.exe -> 203.0.113.80 200 5242880"
  download 192.0.2.123 ws-23 bob
}

phase_beacons() {
  beacon 192.0.2.117 alice
  beacon 192.0.2.123 bob
}

phase_lateral() {
  guess 192.0.2.117 mail1 bob bob bob bob bob bob
  line mail1 sshd "Accepted password for bob from 192.0.2.117 port 40377 ssh2"
}

# What appliances report by themselves, as RFC 5424 messages. The identifier is
# the appliance's own; an appliance that sends to two relays sends it twice.
appliance() { # pri host app msgid data message
  printf '<%s>1 %s %s.lab.test %s - %s %s %s\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "$2" "$3" "$4" "$5" "$6"
}

report_cef() { # pri host id name severity extension
  appliance "$1" "$2" cef - - "CEF:0|Lab|Sensor|1.0|$3|$4|$5|$6"
}

appliances_scan() {
  appliance 132 fw1 firewall SCAN '[event@32473 id="fw-1001" src="198.51.100.23" dst="192.0.2.10" action="drop" ports="14"]' 'port scan refused'
  appliance 132 fw1 firewall SCAN '[event@32473 id="fw-1002" src="203.0.113.45" dst="192.0.2.25" action="drop" ports="14"]' 'port scan refused'
  report_cef 134 ids1 110 'Port scan' 4 'src=198.51.100.23 dst=192.0.2.10 externalId=ids-2001'
}

appliances_enter() {
  appliance 84 dir1 directory LOCKOUT '[event@32473 id="dir-3001" user="bob" src="198.51.100.77" host="mail1"]' 'account close to lock-out after 4 wrong passwords'
  appliance 82 dir1 directory LOGIN '[event@32473 id="dir-3002" user="alice" src="198.51.100.23" host="web1"]' 'log-in from an address never seen for this user'
  appliance 82 dir1 directory GROUP '[event@32473 id="dir-3003" user="alice" group="sudo" member="support"]' 'member added to an administrative group'
}

appliances_web() {
  local n
  for n in 1 2 3; do
    report_cef 131 waf1 201 'SQL injection' 7 "src=198.51.100.77 dst=192.0.2.10 request=/shop?id=$n externalId=waf-40$n"
    report_cef 131 waf1 202 'Path traversal' 6 "src=198.51.100.88 dst=192.0.2.10 request=/static externalId=waf-41$n"
  done
}

appliances_malware() {
  appliance 129 edr1 endpoint MALWARE "[event@32473 id=\"edr-5001\" host=\"ws-17\" ip=\"192.0.2.117\" user=\"alice\" sha256=\"$DROPPER_SHA256\" file=\"dropper.bin\"]" 'malware found and still running'
  appliance 129 edr1 endpoint MALWARE "[event@32473 id=\"edr-5002\" host=\"ws-23\" ip=\"192.0.2.123\" user=\"bob\" sha256=\"$DROPPER_SHA256\" file=\"dropper.bin\"]" 'malware found, quarantined'
  report_cef 129 ids1 300 'Beacon to a known control server' 9 'src=192.0.2.117 dst=203.0.113.66 dhost=login.invoice-update.example externalId=ids-2002'
  report_cef 129 ids1 300 'Beacon to a known control server' 9 'src=192.0.2.123 dst=203.0.113.66 dhost=login.invoice-update.example externalId=ids-2003'
}

appliances_lateral() {
  report_cef 131 ids1 120 'SSH brute force inside' 7 'src=192.0.2.117 dst=192.0.2.25 suser=bob externalId=ids-2004'
  appliance 82 dir1 directory LOGIN '[event@32473 id="dir-3004" user="bob" src="192.0.2.117" host="mail1"]' 'log-in from an address never seen for this user'
  appliance 84 fw1 firewall POLICY '[event@32473 id="fw-1003" src="192.0.2.131" dst="203.0.113.80" user="carol" action="allow"]' 'remote access tool downloaded'
  appliance 86 vpn1 vpn LOGIN '[event@32473 id="vpn-7001" user="carol" src="203.0.113.12"]' 'log-in'
  appliance 86 vpn1 vpn LOGIN '[event@32473 id="vpn-7002" user="alice" src="198.51.100.23"]' 'log-in from a country never seen for this user'
}

appliances_mail() {
  local user
  for user in alice bob carol; do
    appliance 84 mail1 gateway PHISH "[event@32473 id=\"gw-600-$user\" sender=\"billing@invoice-update.example\" recipient=\"$user@lab.test\" url=\"http://login.invoice-update.example/verify?id=88213\" message_id=\"phish-88213@invoice-update.example\"]" 'message with a link to a known bad host delivered'
  done
}

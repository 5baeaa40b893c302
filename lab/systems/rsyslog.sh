# shellcheck shell=bash
# rsyslog as receiver and sender.

install_rsyslog() { apt_need rsyslog rsyslog-gnutls openssl; }

rsyslog_tls() {
  printf 'global(workDirectory="%s" defaultNetstreamDriverCAFile="%s" defaultNetstreamDriverCertFile="%s" defaultNetstreamDriverKeyFile="%s")\n' \
    "$1" "$CA/ca.crt" "$LAB_DIR/rsyslog/tls.crt" "$LAB_DIR/rsyslog/tls.key"
}

up_rsyslog() { # the receiver; senders are started by `lab send`
  local d=$LAB_DIR/rsyslog a
  a=$(addr rsyslog)
  need_cmd rsyslogd rsyslog
  mkdir -p "$d/run" "$d/log" "$d/work"
  cert_for rsyslog syslog.lab.test
  {
    rsyslog_tls "$d/work"
    cat <<EOF
module(load="imudp")
module(load="imptcp")
module(load="imtcp" streamdriver.name="gtls" streamdriver.mode="1" streamdriver.authmode="anon")
module(load="mmpstrucdata")
template(name="line" type="string" string="%inputname% %rawmsg%\n")
template(name="time" type="string" string="%timereported:::date-rfc3339%")
template(name="json" type="list") { property(name="\$!") constant(value="\n") }
ruleset(name="store") {
  action(type="omfile" file="$d/log/received.log" template="line")
  action(type="mmpstrucdata")
  set \$!sd = \$!rfc5424-sd;
  unset \$!rfc5424-sd;
  set \$!timestamp = exec_template("time");
  set \$!host = \$hostname;
  set \$!app = \$app-name;
  set \$!msgid = \$msgid;
  set \$!facility = \$syslogfacility-text;
  set \$!severity = \$syslogseverity-text;
  set \$!input = \$inputname;
  set \$!message = \$msg;
  action(type="omfile" file="$d/log/received.jsonl" template="json")
}
input(type="imudp" address="$a" port="10514" ruleset="store")
input(type="imptcp" address="$a" port="10514" ruleset="store")
input(type="imtcp" address="$a" port="16514" ruleset="store")
EOF
  } >"$d/receiver.conf"
  touch "$d/log/received.log" "$d/log/received.jsonl"
  spawn rsyslog receiver rsyslogd -n -f "$d/receiver.conf" -i "$d/run/receiver.own"
  wait_for rsyslog "TLS port" port_open "$a" 16514
  wait_for rsyslog "TCP port" port_open "$a" 10514
  envfile rsyslog <<EOF
LAB_SYSLOG_UDP_ADDR=$a:10514
LAB_SYSLOG_TCP_ADDR=$a:10514
LAB_SYSLOG_TLS_ADDR=$a:16514
LAB_SYSLOG_RECEIVED=$d/log/received.log
LAB_SYSLOG_RECEIVED_JSON=$d/log/received.jsonl
LAB_CA_FILE=$CA/ca.crt
EOF
}

rsyslog_send() { # udp|tcp|tls host:port file   sends every line of the file as one message, as it is
  local d=$LAB_DIR/rsyslog proto=$1 host=${2%:*} port=${2##*:} file=$3 w tls='' n
  w=$(mktemp -d "$d/send.XXXXXX") || return 1
  # An action queue keeps messages while the far end is away; octet counting is what RFC 5425 asks for.
  [ "$proto" = udp ] || tls='tcp_framing="octet-counted"'
  [ "$proto" = tls ] && tls="$tls streamDriver=\"gtls\" streamDriverMode=\"1\" streamDriverAuthMode=\"${LAB_SYSLOG_AUTH:-x509/certvalid}\""
  {
    rsyslog_tls "$w"
    cat <<EOF
module(load="imfile" pollingInterval="1")
template(name="asis" type="string" string="%msg%")
input(type="imfile" file="$w/in.log" tag="lab" ruleset="out" addMetadata="off")
ruleset(name="out") {
  action(type="omfwd" target="$host" port="$port" protocol="$([ "$proto" = udp ] && echo udp || echo tcp)" template="asis" $tls action.resumeRetryCount="10" action.resumeInterval="1")
  action(type="omfile" file="$w/sent.log" template="asis")
}
EOF
  } >"$w/sender.conf"
  cp "$file" "$w/in.log"
  rsyslogd -n -f "$w/sender.conf" -i "$w/pid" >>"$d/log/sender.log" 2>&1 9>&- &
  n=$!
  retry 10 test -s "$w/sent.log"
  sleep 0.5
  kill "$n" 2>/dev/null
  wait "$n" 2>/dev/null
  rm -rf "$w"
}

sample_rfc5424() { printf '<132>1 %s fw1.lab.test sshd 812 ID47 [lab@32473 id="%s" src="198.51.100.10"] Failed password for root from 198.51.100.10 port 40022 ssh2\n' "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "$1"; }
sample_cef() { printf '<134>1 %s fw1.lab.test cef - - - CEF:0|Lab|Sensor|1.0|100|Beacon to known bad host|8|src=203.0.113.130 dst=203.0.113.66 dhost=login.invoice-update.example externalId=%s\n' "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "$1"; }

rsyslog_received() { # count text
  [ "$(grep -c -- "$2" "$LAB_DIR/rsyslog/log/received.log")" -eq "$1" ]
}

check_rsyslog() {
  local p a t f
  a=$(addr rsyslog)
  f=$(mktemp)
  for p in udp tcp tls; do
    t="$p-$RANDOM$RANDOM"
    sample_rfc5424 "$t" >"$f"
    sample_cef "$t" >>"$f"
    rsyslog_send $p "$a:$([ $p = tls ] && echo 16514 || echo 10514)" "$f"
    retry 5 rsyslog_received 2 "$t" || { rm -f "$f"; fail rsyslog "not both messages arrived over $p"; return 1; }
  done
  rm -f "$f"
  pass rsyslog "RFC 5424 and CEF messages delivered over UDP, TCP and TLS"
}

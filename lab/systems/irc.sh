# shellcheck shell=bash
# ngIRCd: a chat room.

install_irc() { apt_need ngircd openssl; }

up_irc() {
  local d=$LAB_DIR/irc a
  a=$(addr irc)
  need_cmd ngircd irc
  cert_for irc irc.lab.test
  mkdir -p "$d/log"
  cat >"$d/ngircd.conf" <<EOF
[Global]
  Name = irc.lab.test
  AdminInfo1 = lab
  AdminInfo2 = lab
  AdminEMail = soc@lab.test
  Info = lab
  MotdPhrase = lab
  Listen = $a
  Ports = 16667
  ServerUID = irc
  ServerGID = irc
[Options]
  DNS = no
  Ident = no
  PAM = no
[SSL]
  CertFile = $d/tls.crt
  KeyFile = $d/tls.key
  Ports = 16697
[Channel]
  Name = #soc
  Modes = +P
EOF
  chmod 644 "$d/tls.key"
  spawn irc ngircd ngircd -n -f "$d/ngircd.conf"
  wait_for irc IRC port_open "$a" 16667
  envfile irc <<EOF
LAB_IRC_ADDR=$a:16667
LAB_IRCS_ADDR=$a:16697
LAB_IRC_CHANNEL=#soc
LAB_CA_FILE=$CA/ca.crt
EOF
}

check_irc() {
  local out
  exec 4<>"/dev/tcp/$(addr irc)/16667" || { fail irc "no connection"; return 1; }
  printf 'NICK soarbot\r\nUSER soar 0 * :soar\r\n' >&4
  out=$(timeout 5 sed '/ 001 /q' <&4)
  printf 'JOIN #soc\r\nPRIVMSG #soc :case 1 opened\r\nPING done\r\n' >&4
  out=$(timeout 5 sed '/PONG.*done/q' <&4)
  printf 'QUIT\r\n' >&4
  exec 4>&-
  grep -q 'JOIN.*#soc' <<<"$out" || { fail irc "no JOIN"; return 1; }
  pass irc "joined a channel and posted"
}

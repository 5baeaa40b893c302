# shellcheck shell=bash
# smtp-sink: accepts every message into a file.

install_smtp() { apt_need postfix curl; }

up_smtp() {
  local d=$LAB_DIR/smtp a
  a=$(addr smtp)
  need_cmd smtp-sink smtp
  mkdir -p "$d/mail" "$d/run"
  chown nobody "$d/mail"
  spawn smtp sink smtp-sink -u nobody -c -d "$d/mail/%Y%m%d-%H%M%S." "$a:10025" 64
  wait_for smtp "SMTP greeting" port_open "$a" 10025
  envfile smtp <<EOF
LAB_SMTP_ADDR=$a:10025
LAB_SMTP_DROP_DIR=$d/mail
EOF
}

check_smtp() {
  local t="lab-$RANDOM$RANDOM"
  printf 'From: soar@lab.test\r\nTo: oncall@lab.test\r\nSubject: %s\r\n\r\nhello\r\n' "$t" |
    curl -sS "smtp://$(addr smtp):10025" --mail-from soar@lab.test --mail-rcpt oncall@lab.test -T - ||
      { fail smtp "not accepted"; return 1; }
  retry 5 grep -rqs "Subject: $t" "$LAB_DIR/smtp/mail" ||
    { fail smtp "not in the drop directory"; return 1; }
  pass smtp "notification accepted and written to the drop directory"
}

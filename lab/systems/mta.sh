# shellcheck shell=bash
# Postfix in front of dovecot: SMTP in, LMTP out.

install_mta() { apt_need postfix curl && install_dovecot; }

up_mta() {
  local d=$LAB_DIR/mta a
  a=$(addr mta)
  need_cmd postfix mta
  is_up dovecot || up dovecot
  mkdir -p "$d/etc" "$d/queue" "$d/data" "$d/log"
  chown postfix "$d/data"
  cat >"$d/etc/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $d/queue
data_directory = $d/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = 127.0.0.1
meta_directory = /etc/postfix
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mx.lab.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = lab.test
virtual_transport = lmtp:inet:$(addr dovecot):10024
default_transport = error:the lab does not send mail outside
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
maillog_file = $d/log/mail.log
maillog_file_prefixes = $d
EOF
  cat >"$d/etc/master.cf" <<EOF
$a:10587 inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
error     unix - - n - - error
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
proxymap  unix - - n - - proxymap
tlsmgr    unix - - n 1000? 1 tlsmgr
showq     unix n - n - - showq
postlog   unix-dgram n - n - 1 postlogd
EOF
  postfix -c "$d/etc" check >>"$d/log/check.log" 2>&1 || true
  spawn mta master /usr/lib/postfix/sbin/master -c "$d/etc" -d
  wait_for mta SMTP port_open "$a" 10587
  envfile mta <<EOF
LAB_MTA_ADDR=$a:10587
LAB_MTA_DOMAIN=lab.test
EOF
}

check_mta() {
  local t="lab-$RANDOM$RANDOM"
  printf 'From: bob@lab.test\r\nTo: soc@lab.test\r\nMessage-ID: <%s@lab.test>\r\nSubject: %s\r\n\r\nhello\r\n' "$t" "$t" |
    curl -sS "smtp://$(addr mta):10587" --mail-from bob@lab.test --mail-rcpt soc@lab.test -T - ||
      { fail mta "not accepted"; return 1; }
  mta_arrived() { imap soc INBOX "SEARCH HEADER Message-ID \"$t@lab.test\"" | grep -q 'SEARCH [0-9]'; }
  retry 10 mta_arrived || { fail mta "message did not reach the mailbox"; return 1; }
  pass mta "SMTP submission delivered over LMTP to an IMAP mailbox"
}

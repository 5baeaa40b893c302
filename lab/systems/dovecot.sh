# shellcheck shell=bash
# Dovecot: mailboxes with a reported phishing message.

MAIL_USERS="alice bob carol soc quarantine"

install_dovecot() { apt_need dovecot-imapd dovecot-lmtpd dovecot-sieve dovecot-managesieved openssl curl; }

up_dovecot() {
  local d=$LAB_DIR/dovecot a u
  a=$(addr dovecot)
  need_cmd dovecot dovecot
  mkdir -p "$d/mail" "$d/run/dovecot" "$d/log"
  cert_for dovecot imap.lab.test
  : >"$d/passwd.new"
  for u in $MAIL_USERS; do
    printf '%s:{PLAIN}%s:8:8::%s::\n' "$u" "$LAB_PASSWORD" "$d/mail/$u" >>"$d/passwd.new"
  done
  mv "$d/passwd.new" "$d/passwd"
  printf 'soar:{PLAIN}%s\n' "$LAB_PASSWORD" >"$d/master"
  cat >"$d/dovecot.conf" <<EOF
base_dir = $d/run/dovecot
state_dir = $d/run/dovecot
instance_name = lab
log_path = $d/log/dovecot.log
listen = $a
protocols = imap lmtp sieve
ssl = yes
ssl_cert = <$d/tls.crt
ssl_key = <$d/tls.key
disable_plaintext_auth = no
auth_username_format = %Ln
auth_master_user_separator = *
first_valid_uid = 8
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = $d/master
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = $d/passwd
}
userdb {
  driver = passwd-file
  args = $d/passwd
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Quarantine {
    auto = create
  }
  mailbox Junk {
    auto = create
    special_use = \\Junk
  }
}
protocol lda {
  mail_plugins = sieve
}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/active.sieve
}
service imap-login {
  inet_listener imap {
    port = 10143
  }
  inet_listener imaps {
    port = 10993
    ssl = yes
  }
}
service managesieve-login {
  inet_listener sieve {
    port = 14190
  }
}
service lmtp {
  inet_listener lmtp {
    port = 10024
  }
}
doveadm_api_key = $LAB_PASSWORD
service doveadm {
  inet_listener http {
    port = 18080
  }
}
EOF
  chmod 644 "$d/passwd" "$d/master" "$d/tls.key"
  chown -R mail:mail "$d/mail"
  spawn dovecot dovecot dovecot -F -c "$d/dovecot.conf"
  wait_for dovecot IMAP port_open "$a" 10143
  if [ ! -e "$d/seeded" ]; then
    for u in alice bob carol; do
      phish_eml "$u" | dovecot_deliver "$u" || die "dovecot: delivery to $u failed"
    done
    report_eml alice | dovecot_deliver soc || die "dovecot: delivery to soc failed"
    touch "$d/seeded"
  fi
  envfile dovecot <<EOF
LAB_IMAP_ADDR=$a:10143
LAB_IMAPS_ADDR=$a:10993
LAB_LMTP_ADDR=$a:10024
LAB_SIEVE_ADDR=$a:14190
LAB_DOVEADM_URL=http://$a:18080/doveadm/v1
LAB_DOVEADM_API_KEY=$LAB_PASSWORD
LAB_IMAP_USERS=${MAIL_USERS// /,}
LAB_IMAP_PASSWORD=$LAB_PASSWORD
LAB_IMAP_MASTER_USER=soar
LAB_IMAP_MASTER_SEPARATOR=*
LAB_IMAP_REPORT_MAILBOX=soc
LAB_IMAP_PHISH_MESSAGE_ID=phish-88213@invoice-update.example
LAB_CA_FILE=$CA/ca.crt
EOF
}

dovecot_deliver() { /usr/lib/dovecot/dovecot-lda -c "$LAB_DIR/dovecot/dovecot.conf" -d "$1"; }

imap() { # user mailbox command
  curl -sS --cacert "$CA/ca.crt" -u "$1*soar:$LAB_PASSWORD" "imaps://$(addr dovecot):10993/$2" -X "$3" | tr -d '\r'
}

check_dovecot() {
  local u uid hits=0 id=phish-88213@invoice-update.example
  imap soc INBOX 'SEARCH HEADER Subject "phish report"' | grep -q 'SEARCH [0-9]' ||
    { fail dovecot "no report in the SOC mailbox"; return 1; }
  for u in alice bob carol; do
    uid=$(imap "$u" INBOX "UID SEARCH HEADER Message-ID \"$id\"" | sed -n 's/^\* SEARCH \([0-9]*\).*/\1/p')
    [ -n "$uid" ] || continue
    hits=$((hits + 1))
    imap "$u" INBOX "UID MOVE $uid Quarantine" >/dev/null ||
      { fail dovecot "MOVE for $u"; return 1; }
    imap "$u" Quarantine "SEARCH HEADER Message-ID \"$id\"" | grep -q 'SEARCH [0-9]' ||
      { fail dovecot "nothing quarantined for $u"; return 1; }
  done
  [ $hits -eq 3 ] ||
    { fail dovecot "message found in $hits of 3 mailboxes (run: lab reset dovecot)"; return 1; }
  for u in alice bob carol; do # purge through the administration API
    curl -sS -H "Authorization: X-Dovecot-API $(printf %s "$LAB_PASSWORD" | base64)" -H 'Content-Type: application/json' \
      "http://$(addr dovecot):18080/doveadm/v1" -d "[[\"expunge\",{\"user\":\"$u\",\"query\":[\"mailbox\",\"Quarantine\",\"header\",\"Message-ID\",\"$id\"]},\"t\"]]" |
      grep -q doveadmResponse || { fail dovecot "purge for $u"; return 1; }
    imap "$u" Quarantine "SEARCH HEADER Message-ID \"$id\"" | grep -q 'SEARCH [0-9]' && { fail dovecot "still there for $u"; return 1; }
  done
  for u in alice bob carol; do phish_eml "$u" | dovecot_deliver "$u"; done
  pass dovecot "reported message found in 3 mailboxes, quarantined, purged"
}

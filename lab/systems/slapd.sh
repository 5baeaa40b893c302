# shellcheck shell=bash
# OpenLDAP: people, groups, lock-out policy.

install_slapd() { apt_need slapd ldap-utils openssl; }

up_slapd() {
  local d=$LAB_DIR/slapd a u h
  a=$(addr slapd)
  need_cmd slapd slapd
  mkdir -p "$d/db" "$d/run" "$d/log"
  cert_for slapd ldap.lab.test
  cat >"$d/slapd.conf" <<EOF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
pidfile $d/run/slapd.own
argsfile $d/run/slapd.args
TLSCACertificateFile $CA/ca.crt
TLSCertificateFile $d/tls.crt
TLSCertificateKeyFile $d/tls.key
database mdb
maxsize 67108864
suffix "dc=lab,dc=test"
rootdn "cn=admin,dc=lab,dc=test"
rootpw $LAB_PASSWORD
directory $d/db
index objectClass,uid,member eq
access to attrs=userPassword by self write by anonymous auth by * none
access to * by users read by * none
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default "cn=default,ou=policies,dc=lab,dc=test"
ppolicy_use_lockout
EOF
  if [ ! -e "$d/seeded" ]; then
    { # people, groups, and a policy that allows locking without a limit of wrong passwords
      printf 'dn: dc=lab,dc=test\nobjectClass: dcObject\nobjectClass: organization\no: Lab\ndc: lab\n\n'
      for u in people groups policies; do printf 'dn: ou=%s,dc=lab,dc=test\nobjectClass: organizationalUnit\nou: %s\n\n' $u $u; done
      printf 'dn: cn=default,ou=policies,dc=lab,dc=test\nobjectClass: person\nobjectClass: pwdPolicy\ncn: default\nsn: default\npwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxFailure: 0\n\n'
      h=$(slappasswd -s "$LAB_PASSWORD")
      for u in alice bob carol soar; do
        printf 'dn: uid=%s,ou=people,dc=lab,dc=test\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: Lab\nmail: %s@lab.test\nuserPassword: %s\n\n' $u $u $u $u "$h"
      done
      printf 'dn: cn=finance,ou=groups,dc=lab,dc=test\nobjectClass: groupOfNames\ncn: finance\nmember: uid=alice,ou=people,dc=lab,dc=test\nmember: uid=bob,ou=people,dc=lab,dc=test\n\n'
      printf 'dn: cn=vpn,ou=groups,dc=lab,dc=test\nobjectClass: groupOfNames\ncn: vpn\nmember: uid=alice,ou=people,dc=lab,dc=test\nmember: uid=carol,ou=people,dc=lab,dc=test\n\n'
    } >"$d/seed.ldif"
  fi
  spawn slapd slapd slapd -d 0 -f "$d/slapd.conf" -h "ldap://$a:10389 ldaps://$a:10636"
  wait_for slapd LDAP ldapwhoami -x -H "ldap://$a:10389"
  if [ ! -e "$d/seeded" ]; then
    ldapadd -x -H "ldap://$a:10389" -D cn=admin,dc=lab,dc=test -w "$LAB_PASSWORD" -f "$d/seed.ldif" >"$d/log/seed.log" 2>&1 ||
      { cat "$d/log/seed.log" >&2; die "slapd: seeding failed"; }
    touch "$d/seeded"
  fi
  envfile slapd <<EOF
LAB_LDAP_URL=ldap://$a:10389
LAB_LDAPS_URL=ldaps://$a:10636
LAB_LDAP_BASE=dc=lab,dc=test
LAB_LDAP_BIND_DN=cn=admin,dc=lab,dc=test
LAB_LDAP_BIND_PASSWORD=$LAB_PASSWORD
LAB_LDAP_USERS=alice,bob,carol
LAB_LDAP_USER_PASSWORD=$LAB_PASSWORD
LAB_CA_FILE=$CA/ca.crt
EOF
}

ldap_admin() { # tool args...
  local t=$1
  shift
  LDAPTLS_CACERT=$CA/ca.crt "$t" -x -H "ldaps://$(addr slapd):10636" -D cn=admin,dc=lab,dc=test -w "$LAB_PASSWORD" "$@"
}

ldap_login() { ldapwhoami -x -H "ldap://$(addr slapd):10389" -D "$1" -w "$2" >/dev/null 2>&1; }

ldap_modify() { # dn lines...   one change
  local dn=$1
  shift
  { printf 'dn: %s\nchangetype: modify\n' "$dn"; printf '%s\n' "$@"; } | ldap_admin ldapmodify >/dev/null
}

check_slapd() {
  local u=uid=alice,ou=people,dc=lab,dc=test vpn=cn=vpn,ou=groups,dc=lab,dc=test
  ldap_login $u "$LAB_PASSWORD" || { fail slapd "alice cannot log in"; return 1; }
  ldap_modify $u "replace: pwdAccountLockedTime" "pwdAccountLockedTime: 000001010000Z" ||
    { fail slapd "disable"; return 1; }
  ldap_login $u "$LAB_PASSWORD" && { fail slapd "disabled account still logs in"; return 1; }
  ldap_modify $u "delete: pwdAccountLockedTime" ||
    { fail slapd "enable"; return 1; }
  ldap_login $u "$LAB_PASSWORD" || { fail slapd "enabled account cannot log in"; return 1; }
  ldap_admin ldappasswd -s Reset-1234 $u >/dev/null && ldap_login $u Reset-1234 && ! ldap_login $u "$LAB_PASSWORD" ||
    { fail slapd "password reset"; return 1; }
  ldap_admin ldappasswd -s "$LAB_PASSWORD" $u >/dev/null
  ldap_modify $vpn "delete: member" "member: $u" ||
    { fail slapd "group removal"; return 1; }
  ldap_admin ldapsearch -LLL -b $u -s base memberOf | grep -q cn=vpn && { fail slapd "still member of vpn"; return 1; }
  ldap_modify $vpn "add: member" "member: $u"
  ldap_admin ldapsearch -LLL -b $u -s base memberOf | grep -q cn=vpn ||
    { fail slapd "not back in vpn"; return 1; }
  pass slapd "account locked and unlocked, password reset, group membership removed and restored"
}

# shellcheck shell=bash
# Samba as an Active Directory domain controller.

install_samba-ad() { apt_need samba samba-ad-dc samba-ad-provision python3-samba winbind ldap-utils openssl; }

up_samba-ad() {
  local d=$LAB_DIR/samba-ad a u g
  a=$(addr samba-ad)
  need_cmd samba samba-ad
  mkdir -p "$d/run" "$d/log"
  cert_for samba-ad dc1.ad.lab.test
  chmod 600 "$d/tls.key"
  [ -e "$d/seeded" ] || seed_load samba-ad
  if [ ! -e "$d/seeded" ]; then
    rm -rf "$d/dc"
    : >"$d/empty.conf"
    samba-tool domain provision --configfile="$d/empty.conf" --realm=AD.LAB.TEST --domain=LAB --server-role=dc --dns-backend=SAMBA_INTERNAL \
      --host-name=dc1 --host-ip="$a" --adminpass="$LAB_PASSWORD" --targetdir="$d/dc" \
      --option="interfaces=$a/8" --option='bind interfaces only=yes' >"$d/log/provision.log" 2>&1 ||
      { tail -n 5 "$d/log/provision.log" >&2; die "samba-ad: provisioning failed"; }
    cat >"$d/smb.conf" <<EOF
[global]
  workgroup = LAB
  realm = AD.LAB.TEST
  netbios name = DC1
  server role = active directory domain controller
  server services = rpc, ldap, cldap, kdc, dns
  interfaces = $a/8
  bind interfaces only = yes
  private dir = $d/dc/private
  lock directory = $d/dc
  state directory = $d/dc/state
  cache directory = $d/dc/cache
  binddns dir = $d/dc/bind-dns
  ncalrpc dir = $d/run/ncalrpc
  pid directory = $d/run/samba
  winbindd socket directory = $d/run/winbindd
  ntp signd socket directory = $d/run/ntp
  nbt client socket address = $a
  allow dns updates = disabled
  dns forwarder =
  load printers = no
  log file = $d/log/samba.%m
  tls enabled = yes
  tls keyfile = $d/tls.key
  tls certfile = $d/tls.crt
  tls cafile = $CA/ca.crt
EOF
    mkdir -p "$d/run/samba" "$d/run/winbindd" "$d/run/ntp"
    local st=(samba-tool)
    "${st[@]}" domain passwordsettings set -s "$d/smb.conf" --complexity=off --min-pwd-age=0 --history-length=0 >"$d/log/seed.log" 2>&1
    for u in alice bob carol; do
      "${st[@]}" user create -s "$d/smb.conf" "$u" "$LAB_PASSWORD" --given-name="$u" --surname=Lab --mail-address="$u@lab.test" >>"$d/log/seed.log" 2>&1
    done
    for g in Finance VPN; do "${st[@]}" group add -s "$d/smb.conf" "$g" >>"$d/log/seed.log" 2>&1; done
    "${st[@]}" group addmembers -s "$d/smb.conf" VPN alice,carol >>"$d/log/seed.log" 2>&1
    "${st[@]}" group addmembers -s "$d/smb.conf" Finance alice,bob >>"$d/log/seed.log" 2>&1 || die "samba-ad: seeding failed"
    "${st[@]}" computer create -s "$d/smb.conf" WS01 >>"$d/log/seed.log" 2>&1
    touch "$d/seeded"
    seed_save samba-ad dc smb.conf seeded
  fi
  mkdir -p "$d/run/samba" "$d/run/winbindd" "$d/run/ntp"
  spawn samba-ad samba samba -F -s "$d/smb.conf" --debug-stdout
  wait_for samba-ad LDAPS samba_search -s base -b DC=ad,DC=lab,DC=test dn
  envfile samba-ad <<EOF
LAB_AD_LDAPS_URL=ldaps://$a:636
LAB_AD_LDAP_URL=ldap://$a:389
LAB_AD_BASE=DC=ad,DC=lab,DC=test
LAB_AD_REALM=AD.LAB.TEST
LAB_AD_BIND_DN=CN=Administrator,CN=Users,DC=ad,DC=lab,DC=test
LAB_AD_BIND_PASSWORD=$LAB_PASSWORD
LAB_AD_USERS=alice,bob,carol
LAB_AD_USER_PASSWORD=$LAB_PASSWORD
LAB_AD_TLS_NAME=dc1.ad.lab.test
LAB_CA_FILE=$CA/ca.crt
EOF
}

samba_ldap() {
  local t=$1
  shift
  LDAPTLS_CACERT=$CA/ca.crt "$t" -x -H "ldaps://$(addr samba-ad)" -D CN=Administrator,CN=Users,DC=ad,DC=lab,DC=test \
    -w "$LAB_PASSWORD" "$@"
}

samba_search() { samba_ldap ldapsearch -LLL "$@"; }

samba_login() { # user password   a base search, since the server does not know "who am I"
  LDAPTLS_CACERT=$CA/ca.crt ldapsearch -LLL -x -H "ldaps://$(addr samba-ad)" -D "$1@ad.lab.test" -w "$2" \
    -s base -b '' dnsHostName >/dev/null 2>&1
}

samba_modify() { # dn lines...   one change
  local dn=$1
  shift
  { printf 'dn: %s\nchangetype: modify\n' "$dn"; printf '%s\n' "$@"; } | samba_ldap ldapmodify >/dev/null
}

samba_password() { # dn password
  samba_modify "$1" "replace: unicodePwd" "unicodePwd:: $(printf '"%s"' "$2" | iconv -t UTF-16LE | base64 -w0)"
}

check_samba-ad() {
  local u uac new=Reset-1234 vpn=CN=VPN,CN=Users,DC=ad,DC=lab,DC=test
  u=$(samba_search -b DC=ad,DC=lab,DC=test '(sAMAccountName=alice)' dn | sed -n 's/^dn: //p')
  uac=$(samba_search -s base -b "$u" userAccountControl | sed -n 's/^userAccountControl: //p')
  samba_login alice "$LAB_PASSWORD" || { fail samba-ad "alice cannot log in"; return 1; }
  samba_modify "$u" "replace: userAccountControl" "userAccountControl: $((uac | 2))" ||
    { fail samba-ad "disable"; return 1; }
  samba_login alice "$LAB_PASSWORD" && { fail samba-ad "disabled account still logs in"; return 1; }
  samba_modify "$u" "replace: userAccountControl" "userAccountControl: $((uac & ~2))"
  samba_login alice "$LAB_PASSWORD" || { fail samba-ad "enabled account cannot log in"; return 1; }
  samba_password "$u" $new && samba_login alice $new || { fail samba-ad "password reset"; return 1; }
  samba_password "$u" "$LAB_PASSWORD"
  samba_modify $vpn "delete: member" "member: $u" ||
    { fail samba-ad "group removal"; return 1; }
  samba_search -s base -b "$u" memberOf | grep -q CN=VPN && { fail samba-ad "still in VPN"; return 1; }
  samba_modify $vpn "add: member" "member: $u"
  samba_search -s base -b "$u" memberOf | grep -q CN=VPN ||
    { fail samba-ad "not back in VPN"; return 1; }
  pass samba-ad "userAccountControl disable and enable, unicodePwd reset, group removal, memberOf read back"
}

# shellcheck shell=bash
# ClamAV with a local signature.

EICAR_HEX=58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a
eicar() { printf '%s' "$EICAR_HEX" | sed 's/../\\x&/g' | xargs -0 printf '%b'; }

install_clamd() { apt_need clamav-daemon clamdscan netcat-openbsd; }

up_clamd() {
  local d=$LAB_DIR/clamd a
  a=$(addr clamd)
  need_cmd clamd clamd
  mkdir -p "$d/db" "$d/run" "$d/log"
  [ -s "$d/db/lab.ndb" ] || printf 'Lab.Eicar.Test:0:*:%s\n' "$EICAR_HEX" >"$d/db/lab.ndb"
  cat >"$d/clamd.conf" <<EOF
Foreground yes
DatabaseDirectory $d/db
LocalSocket $d/run/clamd.sock
TCPSocket 13310
TCPAddr $a
LogFile $d/log/clamd-own.log
TemporaryDirectory /tmp
MaxThreads 4
EOF
  spawn clamd clamd clamd -c "$d/clamd.conf"
  wait_for clamd PONG clam_ping
  envfile clamd <<EOF
LAB_CLAMD_ADDR=$a:13310
LAB_CLAMD_SOCKET=$d/run/clamd.sock
LAB_CLAMD_EICAR_NAME=Lab.Eicar.Test.UNOFFICIAL
EOF
}

clam_ping() { printf 'zPING\0' | nc -w 2 -N "$(addr clamd)" 13310 | tr -d '\0' | grep -q PONG; }
clam_instream() { # file
  local n
  n=$(stat -c %s "$1")
  {
    printf 'zINSTREAM\0'
    # shellcheck disable=SC2059
    printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((n >> 24)) $((n >> 16 & 255)) $((n >> 8 & 255)) $((n & 255)))"
    cat "$1"
    printf '\0\0\0\0'
  } | nc -w 5 -N "$(addr clamd)" 13310 | tr '\0' '\n'
}

check_clamd() {
  local f
  f=$(mktemp)
  eicar >"$f"
  clam_instream "$f" | grep -q 'Lab.Eicar.Test.*FOUND' ||
    { rm -f "$f"; fail clamd "EICAR not found"; return 1; }
  printf 'nothing here' >"$f"
  clam_instream "$f" | grep -q ': OK' || { rm -f "$f"; fail clamd "clean file not OK"; return 1; }
  rm -f "$f"
  pass clamd "INSTREAM finds EICAR by a local signature, clean file passes"
}

# shellcheck shell=bash
# What several systems share: addresses, env files, certificates, seeds.

addr() { # system -> its loopback address
  local i=10 s
  case $1 in
    bind | temporal) # only accept an address that the loopback interface itself carries
      printf 127.0.0.1
      return
      ;;
  esac
  for s in $ALL; do
    i=$((i + 1))
    [ "$s" != "$1" ] || printf '%s.%s' "$LAB_NET" "$i"
  done
}

envfile() { # system, KEY=value lines on standard input
  mkdir -p "$LAB_DIR/$1"
  cat >"$LAB_DIR/$1/env"
}

ensure_ca() {
  [ -s "$CA/ca.crt" ] && return 0
  mkdir -p "$CA"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj '/CN=Lab CA' \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$CA/ca.key" -out "$CA/ca.crt" 2>/dev/null || die "no lab CA"
}

cert_for() { # system host-name -> $LAB_DIR/<system>/tls.{crt,key}
  local d=$LAB_DIR/$1
  ensure_ca
  [ -s "$d/tls.crt" ] && return 0
  mkdir -p "$d"
  cat >"$d/tls.ext" <<EOF
subjectAltName=IP:$(addr "$1"),DNS:$2,DNS:localhost
extendedKeyUsage=serverAuth,clientAuth
basicConstraints=CA:FALSE
EOF
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
    -keyout "$d/tls.key" -out "$d/tls.csr" 2>/dev/null || die "no key for $1"
  openssl x509 -req -in "$d/tls.csr" -CA "$CA/ca.crt" -CAkey "$CA/ca.key" -CAcreateserial -days 825 \
    -extfile "$d/tls.ext" -out "$d/tls.crt" 2>/dev/null || die "no certificate for $1"
}

# A first set-up that takes long is kept, so that `reset` and a new `up` are
# quick. It holds only for the same address, password and directory.
seed_file() { # system
  local key
  key=$(printf '%s' "$(addr "$1") $LAB_PASSWORD $LAB_DIR" | cksum | cut -d' ' -f1)
  printf '%s/seed/%s-%s.tar' "$LAB_DIR" "$1" "$key"
}

seed_save() { # system path...
  local f
  f=$(seed_file "$1")
  mkdir -p "$LAB_DIR/seed"
  tar --xattrs --xattrs-include='*' --acls -C "$LAB_DIR/$1" -cf "$f.new" "${@:2}" && mv "$f.new" "$f"
}

seed_load() { # system
  local f
  f=$(seed_file "$1")
  [ -s "$f" ] && tar --xattrs --xattrs-include='*' --acls -C "$LAB_DIR/$1" -xpf "$f"
}

as_user() { # user command...
  local u=$1
  shift
  setpriv --reuid "$u" --regid "$u" --init-groups -- "$@"
}

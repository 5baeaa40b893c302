# shellcheck shell=bash
# Installing: Debian packages, Go modules, npm packages. Each function prints
# why it could not and returns 1.

POLICY=/usr/sbin/policy-rc.d

apt_missing() { # package...: those that are not installed
  local p
  for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' || printf '%s\n' "$p"
  done
}

apt_candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

apt_update() { apt-get -q update >"$LAB_DIR/apt.log" 2>&1; }

apt_install() { # package...: without letting packages start services of their own
  local made='' rc
  if [ ! -e $POLICY ]; then
    printf '#!/bin/sh\nexit 101\n' >$POLICY
    chmod +x $POLICY
    made=1
  fi
  apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install "$@" </dev/null >>"$LAB_DIR/apt.log" 2>&1
  rc=$?
  [ -z "$made" ] || rm -f $POLICY
  return $rc
}

apt_need() { # package...
  local p missing updated=''
  mapfile -t missing < <(apt_missing "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  for p in "${missing[@]}"; do
    apt_candidate "$p" && continue
    [ -n "$updated" ] || apt_update
    updated=1
    apt_candidate "$p" || {
      say "lab: no package $p in the configured Debian suites"
      return 1
    }
  done
  apt_install "${missing[@]}" && return 0
  # Package lists of another day name files that the mirror no longer has.
  [ -z "$updated" ] && apt_update && apt_install "${missing[@]}" && return 0
  tail -n 5 "$LAB_DIR/apt.log" >&2
  say "lab: could not install ${missing[*]}"
  return 1
}

# The last arguments are module replacements that the program itself uses.
go_need() { # name package version tags [old=new...]
  local b=$LAB_DIR/build/$1 n=$1 pkg=$2 ver=$3 tags=$4
  [ -x "$BIN/$n" ] && return 0
  command -v go >/dev/null || {
    say "lab: go is needed to build $n"
    return 1
  }
  shift 4
  mkdir -p "$b" "$BIN"
  (cd "$b" && go_build "$n" "$pkg" "$ver" "$tags" "$@") >"$LAB_DIR/build-$n.log" 2>&1 || {
    tail -n 5 "$LAB_DIR/build-$n.log" >&2
    say "lab: $n does not build"
    return 1
  }
}

go_build() { # the same arguments, in a module of its own
  local n=$1 pkg=$2 ver=$3 tags=$4 r
  shift 4
  [ -f go.mod ] || go mod init "lab.test/$n" || return 1
  for r in "$@"; do go mod edit -replace "$r" || return 1; done
  # Under another name first, so that an interrupted build leaves nothing behind.
  go get "$pkg@$ver" &&
    go build -trimpath -ldflags '-s -w' -tags "$tags" -o "$BIN/$n.new" "$pkg" &&
    mv "$BIN/$n.new" "$BIN/$n"
}

npm_need() { # package version
  [ -d "$LAB_DIR/npm/node_modules/$1" ] && return 0
  command -v npm >/dev/null || {
    say "lab: npm is needed for $1"
    return 1
  }
  mkdir -p "$LAB_DIR/npm"
  npm install --prefix "$LAB_DIR/npm" --no-audit --no-fund --silent "$1@$2" >"$LAB_DIR/npm.log" 2>&1 || {
    tail -n 5 "$LAB_DIR/npm.log" >&2
    say "lab: npm package $1 does not install"
    return 1
  }
}

need_cmd() { # command system
  command -v "$1" >/dev/null || die "$2 is not installed; run: lab install $2"
}

# shellcheck shell=bash
# Processes: started as session leaders, known by pid and start time, stopped
# as groups.

started_at() { # pid -> start time in clock ticks, to tell a reused pid
  local s
  s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  s=${s##*) }
  # shellcheck disable=SC2086 # the fields are split on purpose
  set -- $s
  [ "$1" != Z ] || return 1 # ended, its parent has not collected it
  printf '%s' "${20}"
}

alive() { # pidfile
  local pid at
  [ -s "$1" ] || return 1
  read -r pid at <"$1"
  [ "$(started_at "$pid")" = "$at" ]
}

has_processes() { ls "$LAB_DIR/$1"/run/*.pid >/dev/null 2>&1; } # system

spawn() { # system process command...   starts a session leader, writes its pid file
  local d=$LAB_DIR/$1/run p=$2 log=$LAB_DIR/$1/log/$2.log pid
  shift 2
  mkdir -p "$d" "$(dirname "$log")"
  alive "$d/$p.pid" && return 0
  [ ! -e "$log" ] || mv "$log" "$log.1" # the log of the run before is kept
  setsid "$@" </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  disown
  printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$d/$p.pid"
}

stop_pidfile() { # pidfile
  local pid _
  if alive "$1"; then
    read -r pid _ <"$1"
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null
    retry 10 ended "$1" || say "lab: $1 did not stop in 10 seconds, killing it"
    # what is left of its own process group
    kill -KILL -- "-$pid" 2>/dev/null
  fi
  rm -f "$1"
}

ended() { ! alive "$1"; }

stop_all() { # system
  local f
  for f in "$LAB_DIR/$1"/run/*.pid; do
    if [ -e "$f" ]; then stop_pidfile "$f"; fi
  done
}

is_up() { # system: every process it started still runs, and there is at least one
  local f n=0
  for f in "$LAB_DIR/$1"/run/*.pid; do
    [ -e "$f" ] || continue
    alive "$f" || return 1
    n=$((n + 1))
  done
  [ "$n" -gt 0 ]
}

wait_for() { # system what command...
  local n=$1 what=$2 end=$((SECONDS + LAB_WAIT)) f
  shift 2
  until "$@" >/dev/null 2>&1; do
    for f in "$LAB_DIR/$n"/run/*.pid; do
      [ ! -e "$f" ] || alive "$f" || gave_up "$n" "$(basename "$f" .pid) stopped while waiting for $what"
    done
    [ $SECONDS -lt $end ] || gave_up "$n" "no $what in ${LAB_WAIT}s"
    sleep 0.1
  done
}

gave_up() { # system why
  tail -n 15 "$LAB_DIR/$1"/log/*.log >&2
  die "$1: $2"
}

retry() { # seconds command...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

port_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# Proportional share of all processes of a session, so that memory shared by
# workers counts once.
memory_kb() { # session leader
  local p
  for p in $(pgrep -s "$1"); do cat "/proc/$p/smaps_rollup" 2>/dev/null; done | awk '/^Pss:/ { s += $2 } END { print s + 0 }'
}

status() {
  local s f pid _ kb state processes
  for s in $ALL; do
    [ -d "$LAB_DIR/$s" ] || continue
    kb=0 processes='' state=down
    [ ! -e "$LAB_DIR/$s/up" ] || state=up
    for f in "$LAB_DIR/$s"/run/*.pid; do
      [ -e "$f" ] || continue
      if alive "$f"; then
        read -r pid _ <"$f"
        processes="$processes $(basename "$f" .pid)=$pid"
        kb=$((kb + $(memory_kb "$pid")))
      else
        processes="$processes $(basename "$f" .pid)=dead"
        [ $state = down ] || state=broken
      fi
    done
    printf '%-11s %-6s %4d MiB %s\n' "$s" "$state" $((kb / 1024)) "$processes"
  done
}

# shellcheck shell=bash
# NATS with JetStream.

install_nats() { apt_need nats-server; }

up_nats() {
  local d=$LAB_DIR/nats a
  a=$(addr nats)
  need_cmd nats-server nats
  mkdir -p "$d/data"
  spawn nats nats nats-server -a "$a" -p 14222 -m 18222 -js -sd "$d/data" --user soar --pass "$LAB_PASSWORD"
  wait_for nats monitor curl -fsS "http://$a:18222/healthz"
  envfile nats <<EOF
LAB_NATS_URL=nats://soar:$LAB_PASSWORD@$a:14222
LAB_NATS_MONITOR=http://$a:18222
EOF
}

check_nats() {
  local out
  exec 4<>"/dev/tcp/$(addr nats)/14222" || { fail nats "no connection"; return 1; }
  printf 'CONNECT {"user":"soar","pass":"%s","verbose":false}\r\nSUB lab 1\r\nPUB lab 5\r\nhello\r\nPING\r\n' "$LAB_PASSWORD" >&4
  out=$(timeout 5 sed '/^PONG/q' <&4)
  exec 4>&-
  grep -q '^MSG lab 1 5' <<<"$out" || { fail nats "no message"; return 1; }
  pass nats "published and received"
}

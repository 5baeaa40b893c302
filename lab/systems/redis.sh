# shellcheck shell=bash
# Redis.

install_redis() { apt_need redis-server redis-tools; }

up_redis() {
  local d=$LAB_DIR/redis a
  a=$(addr redis)
  need_cmd redis-server redis
  mkdir -p "$d/data"
  spawn redis redis redis-server --bind "$a" --port 16379 --dir "$d/data" --requirepass "$LAB_PASSWORD" --save '' --daemonize no
  wait_for redis PONG redis_cli ping
  envfile redis <<EOF
LAB_REDIS_URL=redis://:$LAB_PASSWORD@$a:16379/0
EOF
}

redis_cli() { redis-cli -h "$(addr redis)" -p 16379 --no-auth-warning -a "$LAB_PASSWORD" "$@" | grep -v '^(error)'; }

check_redis() {
  redis_cli set lab 1 EX 5 | grep -q OK || { fail redis "set"; return 1; }
  [ "$(redis_cli get lab)" = 1 ] || { fail redis "get"; return 1; }
  pass redis "set and get"
}

# shellcheck shell=bash
# PostgreSQL.

install_postgres() { apt_need postgresql postgresql-client; }

up_postgres() {
  local d=$LAB_DIR/postgres a b p
  a=$(addr postgres)
  b=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1)
  [ -x "$b/postgres" ] || die "postgres is not installed; run: lab install postgres"
  mkdir -p "$d/run" "$d/log"
  as_user postgres test -x "$d" ||
    die "postgres: the user postgres cannot enter $d; set LAB_DIR to a directory that others may enter"
  if [ ! -e "$d/seeded" ]; then
    rm -rf "$d/data"
    mkdir -p "$d/data" "$d/sock"
    chown postgres:postgres "$d/data" "$d/sock"
    chmod 700 "$d/data"
    p=$(mktemp)
    printf '%s\n' "$LAB_PASSWORD" >"$p"
    chmod 644 "$p"
    as_user postgres "$b/initdb" -D "$d/data" -U soar --pwfile="$p" -A scram-sha-256 -E UTF8 \
      --locale=C.UTF-8 --no-sync >"$d/log/initdb.log" 2>&1 || gave_up postgres "initdb failed"
    rm -f "$p"
    touch "$d/seeded"
  fi
  spawn postgres postgres setpriv --reuid postgres --regid postgres --init-groups "$b/postgres" -D "$d/data" \
    -h "$a" -p 15432 -k "$d/sock" -c fsync=off -c max_connections=200 -c shared_buffers=128MB
  wait_for postgres SQL pg psql -Atqc 'select 1' postgres
  pg psql -Atqc "select 1 from pg_database where datname='soar'" postgres | grep -q 1 || pg createdb soar
  envfile postgres <<EOF
LAB_POSTGRES_URL=postgres://soar:$LAB_PASSWORD@$a:15432/soar?sslmode=disable
PGHOST=$a
PGPORT=15432
PGUSER=soar
PGPASSWORD=$LAB_PASSWORD
PGDATABASE=soar
EOF
}

pg() { # tool args...
  PGHOST=$(addr postgres) PGPORT=15432 PGUSER=soar PGPASSWORD=$LAB_PASSWORD "$@"
}

check_postgres() {
  local sql="create temp table t(j jsonb); insert into t values ('{\"a\":1}'); select j->>'a' from t"
  [ "$(pg psql -Atqc "$sql" soar)" = 1 ] || { fail postgres "query"; return 1; }
  pass postgres "write and read over TCP with a password"
}

# shellcheck shell=bash
# Gitea: issues and webhooks, API only.

install_gitea() { # the module has no built web front end: API and git only
  local static=$LAB_DIR/build/gitea-static m x
  go_need gitea code.gitea.io/gitea v1.26.0 sqlite,sqlite_unlock_notify \
    github.com/nektos/act=gitea.com/gitea/act@v0.261.10 \
    github.com/urfave/cli/v3=github.com/urfave/cli/v3@v3.4.1 \
    go.yaml.in/yaml/v4=go.yaml.in/yaml/v4@v4.0.0-rc.3 \
    github.com/jaytaylor/html2text=github.com/Necoro/html2text@v0.0.0-20250804200300-7bf1ce1c7347 || return 1
  if [ ! -d "$static/templates" ]; then # what the server reads at run time
    m=$(cd "$LAB_DIR/build/gitea" && go list -m -f '{{.Dir}}' code.gitea.io/gitea) || return 1
    mkdir -p "$static.new"
    for x in options public templates; do cp -r "$m/$x" "$static.new/" || return 1; done
    chmod -R u+w,a+rX "$static.new"
    mv "$static.new" "$static"
  fi
  apt_need git curl jq
}

up_gitea() {
  local d=$LAB_DIR/gitea a
  a=$(addr gitea)
  [ -x "$BIN/gitea" ] || die "gitea is not installed; run: lab install gitea"
  mkdir -p "$d/data" "$d/conf" "$d/log"
  cat >"$d/conf/app.ini" <<EOF
RUN_MODE = prod
RUN_USER = nobody
WORK_PATH = $d
[server]
HTTP_ADDR = $a
HTTP_PORT = 18080
ROOT_URL = http://$a:18080/
STATIC_ROOT_PATH = $LAB_DIR/build/gitea-static
APP_DATA_PATH = $d/data
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = $d/data/gitea.db
[repository]
ROOT = $d/data/repos
[security]
INSTALL_LOCK = true
SECRET_KEY = lab-lab-lab-lab-lab
[service]
DISABLE_REGISTRATION = true
[log]
MODE = console
LEVEL = warn
[indexer]
ISSUE_INDEXER_TYPE = db
[cron]
ENABLED = false
EOF
  [ -e "$d/seeded" ] || seed_load gitea
  chown nobody "$d"
  chown -R nobody "$d/data" "$d/conf"
  local r=(setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$d" "$BIN/gitea" --config "$d/conf/app.ini" --work-path "$d")
  if [ ! -e "$d/seeded" ]; then
    {
      "${r[@]}" migrate &&
        "${r[@]}" admin user create --admin --username soar --password "$LAB_PASSWORD" --email soar@lab.test \
          --must-change-password=false
    } >"$d/log/seed.log" 2>&1 || gave_up gitea "seeding failed"
    "${r[@]}" admin user generate-access-token --username soar --token-name lab --scopes all --raw \
      2>>"$d/log/seed.log" | tail -n 1 >"$d/token"
    touch "$d/seeded"
    seed_save gitea data token seeded
  fi
  spawn gitea gitea "${r[@]}" web
  wait_for gitea API curl -fsS "http://$a:18080/api/v1/version"
  envfile gitea <<EOF
LAB_GITEA_URL=http://$a:18080
LAB_GITEA_USER=soar
LAB_GITEA_PASSWORD=$LAB_PASSWORD
LAB_GITEA_TOKEN=$(cat "$d/token")
EOF
}

gt_call() {
  curl -fsS -H "Authorization: token $(cat "$LAB_DIR/gitea/token")" -H 'Content-Type: application/json' "$@"
}

check_gitea() {
  local u n repo=ir$RANDOM$RANDOM
  u=http://$(addr gitea):18080/api/v1
  gt_call "$u/user/repos" -d "{\"name\":\"$repo\",\"auto_init\":true}" >/dev/null ||
    { fail gitea "no repository"; return 1; }
  n=$(gt_call "$u/repos/soar/$repo/issues" -d '{"title":"Phishing 88213","body":"from the SOAR"}' | jq -r .number)
  gt_call "$u/repos/soar/$repo/issues/$n/comments" -d '{"body":"evidence"}' >/dev/null &&
    gt_call -X PATCH "$u/repos/soar/$repo/issues/$n" -d '{"state":"closed"}' | jq -e '.state=="closed"' >/dev/null ||
    { fail gitea "issue"; return 1; }
  gt_call -X DELETE "$u/repos/soar/$repo"
  pass gitea "issue made, commented, closed"
}

# shellcheck shell=bash
# Request Tracker: tickets by REST2.

install_rt() { apt_need request-tracker5 rt5-db-sqlite rt5-standalone libdbd-sqlite3-perl curl jq; }

up_rt() {
  local d=$LAB_DIR/rt a
  a=$(addr rt)
  [ -x /usr/share/request-tracker5/libexec/rt-server ] || die "rt is not installed; run: lab install rt"
  mkdir -p "$d/conf.d" "$d/log" "$d/mason/data" "$d/mason/sessions"
  cat >"$d/RT_SiteConfig.pm" <<EOF
Set(\$rtname, 'lab');
Set(\$Organization, 'lab.test');
Set(\$DatabaseType, 'SQLite');
Set(\$DatabaseName, '$d/rt.sqlite');
Set(\$WebDomain, '$a');
Set(\$WebPort, 18080);
Set(\$WebBaseURL, 'http://$a:18080');
Set(\$LogToSTDERR, 'warning');
Set(\$LogToSyslog, undef);
Set(\$MailCommand, 'testfile');
Set(\$CorrespondAddress, 'rt\@lab.test');
Set(\$CommentAddress, 'rt-comment\@lab.test');
1;
EOF
  [ -e "$d/seeded" ] || seed_load rt
  local e=(env "RT_SITE_CONFIG=$d/RT_SiteConfig.pm" "RT_SITE_CONFIG_DIR=$d/conf.d")
  if [ ! -e "$d/seeded" ]; then
    rm -f "$d/rt.sqlite"
    "${e[@]}" rt-setup-database-5 --action init --skip-create >"$d/log/setup.log" 2>&1 || { tail -n 5 "$d/log/setup.log" >&2; die "rt: database set-up failed"; }
    "${e[@]}" perl -I/usr/share/request-tracker5/lib -MRT=-init -e 'my $u = RT::User->new(RT->SystemUser); $u->Load("root"); my ($ok, $m) = $u->SetPassword($ARGV[0]); die $m unless $ok;' "$LAB_PASSWORD" >>"$d/log/setup.log" 2>&1 ||
      { tail -n 5 "$d/log/setup.log" >&2; die "rt: password not set"; }
    touch "$d/seeded"
    seed_save rt rt.sqlite seeded
  fi
  spawn rt server "${e[@]}" /usr/share/request-tracker5/libexec/rt-server --server Starlet --max-workers 2 --host "$a" --port 18080
  wait_for rt "REST2" curl -fsS -u "root:$LAB_PASSWORD" "http://$a:18080/REST/2.0/rt"
  envfile rt <<EOF
LAB_RT_URL=http://$a:18080
LAB_RT_REST2=http://$a:18080/REST/2.0
LAB_RT_USER=root
LAB_RT_PASSWORD=$LAB_PASSWORD
LAB_RT_QUEUE=General
EOF
}

check_rt() {
  local u n
  u=http://$(addr rt):18080/REST/2.0
  rt_call() { curl -fsS -u "root:$LAB_PASSWORD" -H 'Content-Type: application/json' "$@"; }
  n=$(rt_call "$u/ticket" -d '{"Queue":"General","Subject":"Phishing 88213","Content":"From the SOAR","Priority":"50"}' | jq -r .id)
  [ "${n:-null}" != null ] || { fail rt "ticket not made"; return 1; }
  rt_call "$u/ticket/$n/comment" -d '{"Content":"evidence attached","ContentType":"text/plain"}' >/dev/null ||
    { fail rt "comment"; return 1; }
  rt_call -X PUT "$u/ticket/$n" -d '{"Status":"resolved"}' >/dev/null
  [ "$(rt_call "$u/ticket/$n" | jq -r .Status)" = resolved ] ||
    { fail rt "not resolved"; return 1; }
  rt_call "$u/tickets?query=Subject='Phishing%2088213'" | jq -e '.count>0' >/dev/null ||
    { fail rt "search"; return 1; }
  pass rt "ticket made, commented, resolved, found by search"
}

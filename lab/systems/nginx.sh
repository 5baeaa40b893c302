# shellcheck shell=bash
# nginx: threat intelligence feeds as static files.

install_nginx() { apt_need nginx-light curl jq openssl; }

up_nginx() {
  local d=$LAB_DIR/nginx a w t o
  a=$(addr nginx)
  w=$d/www
  need_cmd nginx nginx
  cert_for nginx feeds.lab.test
  mkdir -p "$w/taxii2/api/collections" "$w/misp" "$d/tmp" "$d/log" "$d/run"
  if [ ! -e "$d/seeded" ]; then
    t=2026-01-05T09:00:00.000Z
    printf '# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n"1","2026-01-05 09:00:00","http://login.invoice-update.example/verify","online","2026-01-05","phishing","invoice","","lab"\n"2","2026-01-05 09:00:00","http://203.0.113.66/dropper.bin","offline","2026-01-04","malware_download","elf","","lab"\n' >"$w/urlhaus.csv"
    printf '# first_seen_utc,dst_ip,dst_port,c2_status,last_online,malware\n"2026-01-05 09:00:00","203.0.113.66","443","online","2026-01-05","LabBot"\n"2026-01-05 09:00:00","198.51.100.66","8080","offline","2026-01-04","LabBot"\n' >"$w/feodo.csv"
    printf '{"type":"bundle","id":"bundle--11111111-1111-4111-8111-111111111111","objects":[{"type":"indicator","spec_version":"2.1","id":"indicator--22222222-2222-4222-8222-222222222222","created":"%s","modified":"%s","name":"Phishing host","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = '"'invoice-update.example'"']","pattern_type":"stix","valid_from":"%s"}]}\n' $t $t $t >"$w/bundle.json"
    printf '{"title":"Lab feeds","default":"http://%s:18081/taxii2/api/","api_roots":["http://%s:18081/taxii2/api/"]}\n' "$a" "$a" >"$w/taxii2/discovery.json"
    printf '{"title":"Lab","versions":["application/taxii+json;version=2.1"],"max_content_length":10485760}\n' >"$w/taxii2/api/root.json"
    printf '{"collections":[{"id":"33333333-3333-4333-8333-333333333333","title":"Indicators","can_read":true,"can_write":false,"media_types":["application/stix+json;version=2.1"]}]}\n' >"$w/taxii2/api/collections/list.json"
    o=$(jq -c '{more:false,objects:.objects}' "$w/bundle.json")
    printf '%s\n' "$o" >"$w/taxii2/api/collections/objects.json"
    printf '{"44444444-4444-4444-8444-444444444444":{"info":"Lab feed","date":"2026-01-05","timestamp":"1767603600","threat_level_id":"2","analysis":"2","Orgc":{"name":"Lab","uuid":"55555555-5555-4555-8555-555555555555"},"Tag":[]}}\n' >"$w/misp/manifest.json"
    printf '{"Event":{"uuid":"44444444-4444-4444-8444-444444444444","info":"Lab feed","date":"2026-01-05","timestamp":"1767603600","Attribute":[{"uuid":"66666666-6666-4666-8666-666666666666","type":"domain","category":"Network activity","to_ids":true,"value":"invoice-update.example"}]}}\n' >"$w/misp/44444444-4444-4444-8444-444444444444.json"
    printf 'soar:{PLAIN}%s\n' "$LAB_PASSWORD" >"$d/htpasswd"
    touch "$d/seeded"
  fi
  cat >"$d/nginx.conf" <<EOF
daemon off;
user root;
worker_processes 1;
pid $d/run/nginx.own;
error_log $d/log/error.log;
events { worker_connections 64; }
http {
  access_log $d/log/access.log;
  client_body_temp_path $d/tmp/b; proxy_temp_path $d/tmp/p; fastcgi_temp_path $d/tmp/f; uwsgi_temp_path $d/tmp/u; scgi_temp_path $d/tmp/s;
  types { text/csv csv; application/json json; }
  server {
    listen $a:18081;
    listen $a:18444 ssl;
    ssl_certificate $d/tls.crt;
    ssl_certificate_key $d/tls.key;
    root $w;
    location / { autoindex off; }
    location /taxii2/ {
      auth_basic taxii;
      auth_basic_user_file $d/htpasswd;
      types { }
      default_type "application/taxii+json;version=2.1";
      location = /taxii2/ { try_files /taxii2/discovery.json =404; }
      location = /taxii2/api/ { try_files /taxii2/api/root.json =404; }
      location = /taxii2/api/collections/ { try_files /taxii2/api/collections/list.json =404; }
      location = /taxii2/api/collections/33333333-3333-4333-8333-333333333333/objects/ { try_files /taxii2/api/collections/objects.json =404; }
    }
  }
}
EOF
  spawn nginx nginx nginx -p "$d" -e "$d/log/error.log" -c "$d/nginx.conf"
  wait_for nginx HTTP curl -fsS "http://$a:18081/feodo.csv"
  envfile nginx <<EOF
LAB_FEED_URLHAUS=http://$a:18081/urlhaus.csv
LAB_FEED_FEODO=http://$a:18081/feodo.csv
LAB_FEED_STIX=http://$a:18081/bundle.json
LAB_FEED_MISP=http://$a:18081/misp/
LAB_FEED_TLS_URL=https://$a:18444/
LAB_TAXII_DISCOVERY=http://$a:18081/taxii2/
LAB_TAXII_USER=soar
LAB_TAXII_PASSWORD=$LAB_PASSWORD
LAB_TAXII_COLLECTION=33333333-3333-4333-8333-333333333333
LAB_FEED_DIR=$w
LAB_CA_FILE=$CA/ca.crt
EOF
}

check_nginx() {
  local u e
  u=http://$(addr nginx):18081
  e=$(curl -fsSI "$u/feodo.csv" | tr -d '\r' | sed -n 's/^ETag: //p')
  [ "$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $e" "$u/feodo.csv")" = 304 ] ||
    { fail nginx "no conditional answer"; return 1; }
  [ "$(curl -s -o /dev/null -w '%{http_code}' "$u/taxii2/")" = 401 ] ||
    { fail nginx "TAXII without password"; return 1; }
  curl -fsS -u "soar:$LAB_PASSWORD" -H 'Accept: application/taxii+json;version=2.1' "$u/taxii2/api/collections/33333333-3333-4333-8333-333333333333/objects/" | jq -e '.objects[0].type=="indicator"' >/dev/null ||
    { fail nginx "no STIX objects"; return 1; }
  curl -fsS --cacert "$CA/ca.crt" "https://$(addr nginx):18444/urlhaus.csv" | grep -q invoice-update ||
    { fail nginx "HTTPS"; return 1; }
  pass nginx "CSV feeds with ETag, HTTPS, STIX objects by TAXII paths with a password"
}

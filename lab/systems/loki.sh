# shellcheck shell=bash
# Loki: log search.

install_loki() { # about 15 minutes of compiling on 2 cores
  go_need loki github.com/grafana/loki/v3/cmd/loki v3.7.8 '' \
    github.com/Azure/azure-sdk-for-go=github.com/Azure/azure-sdk-for-go@v68.0.0+incompatible \
    github.com/Azure/azure-storage-blob-go=github.com/MasslessParticle/azure-storage-blob-go@v0.14.1-0.20240322194317-344980fda573 \
    github.com/gocql/gocql=github.com/grafana/gocql@v0.0.0-20200605141915-ba5dc39ece85 \
    github.com/hashicorp/memberlist=github.com/grafana/memberlist@v0.3.1-0.20251126142931-6f9f62ab6f86 \
    github.com/grafana/regexp=github.com/grafana/regexp@v0.0.0-20240518133315-a468a5bfb3bc \
    github.com/influxdata/go-syslog/v3=github.com/leodido/go-syslog/v4@v4.3.0 \
    github.com/thanos-io/objstore=github.com/grafana/objstore@v0.0.0-20250728171719-b5d3b766d1b0 &&
    apt_need curl jq
}

up_loki() {
  local d=$LAB_DIR/loki a
  a=$(addr loki)
  [ -x "$BIN/loki" ] || die "loki is not installed; run: lab install loki"
  mkdir -p "$d/data"
  cat >"$d/loki.yaml" <<EOF
auth_enabled: false
server: {http_listen_address: $a, http_listen_port: 13100, grpc_listen_address: $a, grpc_listen_port: 19095, log_level: warn}
common:
  instance_addr: $a
  path_prefix: $d/data
  storage: {filesystem: {chunks_directory: $d/data/chunks, rules_directory: $d/data/rules}}
  replication_factor: 1
  ring: {instance_addr: $a, kvstore: {store: inmemory}}
schema_config: {configs: [{from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]}
analytics: {reporting_enabled: false}
ingester: {lifecycler: {min_ready_duration: 0s}}
EOF
  spawn loki loki "$BIN/loki" -config.file="$d/loki.yaml"
  wait_for loki ready curl -fsS "http://$a:13100/ready"
  envfile loki <<EOF
LAB_LOKI_URL=http://$a:13100
EOF
}

loki_found() { # text
  curl -fsS -G "http://$(addr loki):13100/loki/api/v1/query_range" --data-urlencode "query={job=\"lab\"} |= \"$1\"" |
    jq -e '.data.result|length>0' >/dev/null
}

check_loki() {
  local u t=lab$RANDOM$RANDOM
  u=http://$(addr loki):13100/loki/api/v1
  curl -fsS -H 'Content-Type: application/json' "$u/push" \
    -d "{\"streams\":[{\"stream\":{\"job\":\"lab\"},\"values\":[[\"$(date +%s%N)\",\"$t src=198.51.100.10 Failed password\"]]}]}" ||
    { fail loki "push"; return 1; }
  retry 10 loki_found "$t" || { fail loki "not found"; return 1; }
  pass loki "log line pushed and found by a query"
}

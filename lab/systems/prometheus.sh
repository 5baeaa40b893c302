# shellcheck shell=bash
# Prometheus.

install_prometheus() { apt_need prometheus curl; }

up_prometheus() {
  local d=$LAB_DIR/prometheus a
  a=$(addr prometheus)
  need_cmd prometheus prometheus
  mkdir -p "$d/data"
  [ -e "$d/prometheus.yml" ] || cat >"$d/prometheus.yml" <<EOF
global: {scrape_interval: 1s}
scrape_configs:
- job_name: lab
  static_configs: [{targets: ["$a:19090"]}]
EOF
  spawn prometheus prometheus prometheus --config.file="$d/prometheus.yml" \
    --storage.tsdb.path="$d/data" --web.listen-address="$a:19090" --web.enable-lifecycle
  wait_for prometheus ready curl -fsS "http://$a:19090/-/ready"
  envfile prometheus <<EOF
LAB_PROMETHEUS_URL=http://$a:19090
LAB_PROMETHEUS_CONFIG=$d/prometheus.yml
EOF
}
prometheus_up() { curl -fsS "http://$(addr prometheus):19090/api/v1/query?query=up" | grep -q '"1"'; }

check_prometheus() {
  retry 10 prometheus_up || { fail prometheus "no sample"; return 1; }
  pass prometheus "scraped and queried"
}

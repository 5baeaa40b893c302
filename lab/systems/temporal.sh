# shellcheck shell=bash
# Temporal development server.

install_temporal() {
  go_need temporal github.com/temporalio/cli/cmd/temporal "${LAB_TEMPORAL_VERSION:-v1.5.1}" ''
}

up_temporal() {
  local d=$LAB_DIR/temporal a
  a=$(addr temporal)
  [ -x "$BIN/temporal" ] || die "temporal is not installed; run: lab install temporal"
  mkdir -p "$d"
  spawn temporal server env HOME="$d" "$BIN/temporal" server start-dev --headless --ip "$a" --port 17233 \
    --http-port 17243 --metrics-port 17245 --db-filename "$d/temporal.db" --log-level error
  wait_for temporal "a healthy cluster" temporal_cli operator cluster health
  wait_for temporal "a started workflow" temporal_probe
  envfile temporal <<EOF
LAB_TEMPORAL_ADDR=$a:17233
LAB_TEMPORAL_NAMESPACE=default
LAB_TEMPORAL_HTTP=http://$a:17243
EOF
}

temporal_cli() { HOME=$LAB_DIR/temporal "$BIN/temporal" "$@" --address "$(addr temporal):17233" --command-timeout 5s; }

# The port opens long before the server can start a workflow.
temporal_probe() {
  temporal_cli workflow start --type Probe --task-queue lab --workflow-id lab-probe &&
    temporal_cli workflow terminate -w lab-probe
}

check_temporal() {
  local id=lab-$RANDOM$RANDOM
  temporal_cli workflow start --type Lab --task-queue lab --workflow-id "$id" >/dev/null &&
    temporal_cli workflow describe -w "$id" -o json | grep -q STATUS_RUNNING &&
    temporal_cli workflow terminate -w "$id" >/dev/null || { fail temporal "workflow"; return 1; }
  pass temporal "workflow started, described, terminated"
}

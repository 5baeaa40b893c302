# shellcheck shell=bash
# Toxiproxy: faults between two ends.

install_toxiproxy() {
  go_need toxiproxy-server github.com/Shopify/toxiproxy/v2/cmd/server "${LAB_TOXIPROXY_VERSION:-v2.5.0}" '' &&
    apt_need curl
}

up_toxiproxy() {
  local a
  a=$(addr toxiproxy)
  [ -x "$BIN/toxiproxy-server" ] || die "toxiproxy is not installed; run: lab install toxiproxy"
  spawn toxiproxy toxiproxy "$BIN/toxiproxy-server" -host "$a" -port 18474
  wait_for toxiproxy API curl -fsS "http://$a:18474/version"
  envfile toxiproxy <<EOF
LAB_TOXIPROXY_URL=http://$a:18474
LAB_TOXIPROXY_LISTEN_IP=$a
EOF
}

check_toxiproxy() { # delay its own API by 300 ms
  local a u t
  a=$(addr toxiproxy)
  u=http://$a:18474
  curl -sS -X DELETE "$u/proxies/self" >/dev/null
  curl -fsS "$u/proxies" -d "{\"name\":\"self\",\"listen\":\"$a:18475\",\"upstream\":\"$a:18474\"}" >/dev/null &&
    curl -fsS "$u/proxies/self/toxics" -d '{"type":"latency","attributes":{"latency":300}}' >/dev/null ||
    { fail toxiproxy "no proxy"; return 1; }
  t=$(curl -s -o /dev/null -w '%{time_total}' "http://$a:18475/version")
  curl -sS -X DELETE "$u/proxies/self"
  awk -v t="$t" 'BEGIN { exit !(t >= 0.3) }' || { fail toxiproxy "answer after ${t}s"; return 1; }
  pass toxiproxy "answer delayed to ${t}s"
}

# shellcheck shell=bash
# nftables between network namespaces, reached over SSH.

# attacker 198.51.100.10 --- fw --- victim 203.0.113.10
#                             |---- endpoint 203.0.113.130
#                             `---- mgmt 203.0.113.194   (the only way in: SSH relays on loopback)

FW_NODES="fw attacker victim endpoint mgmt"
ns() { ip netns exec "$LAB_NS-$1" "${@:2}"; }

install_firewall() { apt_need tcpdump nftables iproute2 openssh-server openssh-client socat netcat-openbsd curl procps python3; }

fw_link() { # node gateway address length
  ip link add "$1" netns "$LAB_NS-fw" type veth peer name eth0 netns "$LAB_NS-$1" || return 1
  ns fw ip addr add "$2/$4" dev "$1"
  ns fw ip link set "$1" up
  ns "$1" ip addr add "$3/$4" dev eth0
  ns "$1" ip link set eth0 up
  ns "$1" ip route add default via "$2"
}

fw_rules() {
  cat <<'EOF'
table inet soar
delete table inet soar
table inet soar {
  set blocked4 { type ipv4_addr; flags interval, timeout; }
  set blocked6 { type ipv6_addr; flags interval, timeout; }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip saddr @blocked4 meta l4proto tcp counter reject with tcp reset
    ip saddr @blocked4 counter reject with icmpx admin-prohibited
    ip daddr @blocked4 counter reject with icmpx admin-prohibited
    ip6 saddr @blocked6 counter reject with icmpx admin-prohibited
    ip6 daddr @blocked6 counter reject with icmpx admin-prohibited
  }
}
EOF
}

fw_sshd() { # node address
  local d=$LAB_DIR/firewall
  cat >"$d/sshd-$1.conf" <<EOF
ListenAddress $2
Port 22
HostKey $d/host_key
PidFile none
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile $d/id_ed25519.pub
StrictModes no
UseDNS no
EOF
  spawn firewall "sshd-$1" ip netns exec "$LAB_NS-$1" /usr/sbin/sshd -D -e -f "$d/sshd-$1.conf"
}

up_firewall() {
  local d=$LAB_DIR/firewall a n
  a=$(addr firewall)
  need_cmd nft firewall
  need_cmd sshd firewall
  need_cmd socat firewall
  mkdir -p "$d/run" "$d/log" "$d/www" /run/sshd
  [ -s "$d/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$d/id_ed25519" || die "no SSH key"
  [ -s "$d/host_key" ] || ssh-keygen -q -t ed25519 -N '' -C lab-host -f "$d/host_key" || die "no host key"
  printf 'crown jewels\n' >"$d/www/index.html"
  if [ ! -e "/run/netns/$LAB_NS-mgmt" ]; then
    for n in $FW_NODES; do
      [ -e "/run/netns/$LAB_NS-$n" ] || ip netns add "$LAB_NS-$n" || die "cannot make network namespaces (root needed)"
      printf '%s\n' "$LAB_NS-$n" >>"$d/netns"
      ns "$n" ip link set lo up
    done
    fw_link attacker 198.51.100.1 198.51.100.10 24 &&
      fw_link victim 203.0.113.1 203.0.113.10 25 &&
      fw_link endpoint 203.0.113.129 203.0.113.130 26 &&
      fw_link mgmt 203.0.113.193 203.0.113.194 26 || die "cannot make links"
    ns fw sysctl -qw net.ipv4.ip_forward=1
    fw_rules | ns fw nft -f - || die "nftables does not load"
  fi
  fw_sshd fw 203.0.113.193
  fw_sshd endpoint 203.0.113.130
  spawn firewall www-victim ip netns exec "$LAB_NS-victim" python3 -u -m http.server -b 203.0.113.10 -d "$d/www" 80
  spawn firewall www-endpoint ip netns exec "$LAB_NS-endpoint" python3 -u -m http.server -b 203.0.113.130 -d "$d/www" 8080
  spawn firewall relay-fw socat "TCP-LISTEN:10221,bind=$a,reuseaddr,fork" "EXEC:ip netns exec $LAB_NS-mgmt nc 203.0.113.193 22"
  spawn firewall relay-endpoint socat "TCP-LISTEN:10222,bind=$a,reuseaddr,fork" "EXEC:ip netns exec $LAB_NS-mgmt nc 203.0.113.130 22"
  {
    printf '[%s]:10221 %s\n' "$a" "$(cut -d' ' -f1,2 "$d/host_key.pub")"
    printf '[%s]:10222 %s\n' "$a" "$(cut -d' ' -f1,2 "$d/host_key.pub")"
  } >"$d/known_hosts"
  wait_for firewall "SSH to the firewall" fw_ssh fw true
  wait_for firewall "SSH to the endpoint" fw_ssh endpoint true
  wait_for firewall "web server of the victim" fw_get
  envfile firewall <<EOF
LAB_FW_SSH_ADDR=$a:10221
LAB_ENDPOINT_SSH_ADDR=$a:10222
LAB_SSH_USER=root
LAB_SSH_KEY_FILE=$d/id_ed25519
LAB_SSH_KNOWN_HOSTS=$d/known_hosts
LAB_FW_NFT_TABLE=inet_soar
LAB_FW_NFT_SET=blocked4
LAB_FW_ATTACKER_IP=198.51.100.10
LAB_FW_ATTACKER_TO_VICTIM_URL=http://203.0.113.10/
LAB_FW_ATTACKER_TO_ENDPOINT_URL=http://203.0.113.130:8080/
LAB_FW_MGMT_IP=203.0.113.194
LAB_NS=$LAB_NS
EOF
}

down_firewall() {
  local n p
  stop_all firewall
  while read -r n; do
    [ -e "/run/netns/$n" ] || continue
    for p in $(ip netns pids "$n"); do kill "$p" 2>/dev/null; done
    ip netns del "$n"
  done < <(sort -u "$LAB_DIR/firewall/netns" 2>/dev/null)
  rm -f "$LAB_DIR/firewall/netns"
}

fw_ssh() { # fw|endpoint command...
  local d=$LAB_DIR/firewall p=10221
  [ "$1" = fw ] || p=10222
  shift
  ssh -n -q -i "$d/id_ed25519" -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile="$d/known_hosts" -o ConnectTimeout=5 -p $p "root@$(addr firewall)" "$@"
}
fw_get() { ns attacker curl -fsS -m 2 http://203.0.113.10/ >/dev/null 2>&1; }
fw_get_endpoint() { ns attacker curl -fsS -m 2 http://203.0.113.130:8080/ >/dev/null 2>&1; }

fw_pcap() { # file: a capture of a request of the attacker to the victim, taken on the firewall
  local t
  rm -f "$1"
  ns fw timeout 10 tcpdump -q --immediate-mode -Z root -i victim -w "$1" -c 10 tcp port 80 2>/dev/null 9>&- &
  t=$!
  retry 5 test -s "$1"
  ns attacker curl -s -m 2 -o /dev/null http://203.0.113.10/lab-beacon # 10 packets and more
  wait $t
  [ "$(tcpdump -nr "$1" 2>/dev/null | wc -l)" -gt 5 ]
}

check_firewall() {
  fw_get || { fail firewall "attacker cannot reach the victim before the block"; return 1; }
  fw_ssh fw nft add element inet soar blocked4 '{ 198.51.100.10 timeout 1h }' ||
    { fail firewall "block over SSH"; return 1; }
  fw_get && { fail firewall "attacker still reaches the victim"; return 1; }
  fw_ssh fw nft -j list set inet soar blocked4 | grep -q 198.51.100.10 ||
    { fail firewall "set does not list the address"; return 1; }
  # the end of a block is another one: a slow machine may look late, never too early
  fw_ssh fw nft delete element inet soar blocked4 '{ 198.51.100.10 }' &&
    fw_ssh fw nft add element inet soar blocked4 '{ 198.51.100.10 timeout 2s }' ||
    { fail firewall "block with a time limit"; return 1; }
  retry 15 fw_get || { fail firewall "block did not expire"; return 1; }
  fw_ssh fw nft add element inet soar blocked4 '{ 198.51.100.0/24 timeout 1h }' && ! fw_get &&
    fw_ssh fw nft delete element inet soar blocked4 '{ 198.51.100.0/24 }' && fw_get ||
      { fail firewall "block and unblock of a network"; return 1; }
  fw_get_endpoint || { fail firewall "endpoint not reachable before isolation"; return 1; }
  fw_ssh endpoint "nft -f - <<'X'
table inet isolation
delete table inet isolation
table inet isolation {
  chain in { type filter hook input priority -10; policy drop; iif lo accept; ip saddr 203.0.113.194 accept; }
  chain out { type filter hook output priority -10; policy drop; oif lo accept; ip daddr 203.0.113.194 accept; }
}
X" || { fail firewall "isolation over SSH"; return 1; }
  fw_get_endpoint && { fail firewall "isolated endpoint still reachable"; return 1; }
  fw_ssh endpoint true || { fail firewall "management lost after isolation"; return 1; }
  fw_ssh endpoint nft delete table inet isolation && fw_get_endpoint ||
    { fail firewall "release"; return 1; }
  pass firewall "address blocked (connection refused), TTL expired, network blocked and unblocked; endpoint isolated with management kept, released"
}

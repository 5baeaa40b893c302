# shellcheck shell=bash
# YARA with a local rule; nothing runs.

install_yara() { apt_need yara; }

up_yara() {
  local d=$LAB_DIR/yara
  need_cmd yara yara
  mkdir -p "$d"
  cat >"$d/lab.yar" <<'EOF'
rule lab_eicar {
  meta: severity = "high"
  strings: $a = "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
  condition: $a
}
EOF
  eicar >"$d/sample"
  envfile yara <<EOF
LAB_YARA_RULES=$d/lab.yar
LAB_YARA_SAMPLE=$d/sample
EOF
}

check_yara() {
  yara -m "$LAB_DIR/yara/lab.yar" "$LAB_DIR/yara/sample" | grep -q 'lab_eicar .*high' || { fail yara "no match"; return 1; }
  pass yara "rule matches the sample"
}

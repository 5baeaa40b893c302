# shellcheck shell=bash
# oidc-provider from npm: single sign-on.

install_oidc() { npm_need oidc-provider 9 && apt_need curl jq openssl; }

up_oidc() {
  local d=$LAB_DIR/oidc a
  a=$(addr oidc)
  [ -d "$LAB_DIR/npm/node_modules/oidc-provider" ] || die "oidc is not installed; run: lab install oidc"
  mkdir -p "$d"
  cat >"$d/server.mjs" <<'EOF'
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
const require = createRequire(process.env.LAB_NPM + '/');
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const { ISSUER, HOST, PORT, CLIENT_ID, CLIENT_SECRET, REDIRECTS } = process.env;
const groups = { alice: ['soc-analyst'], bob: ['soc-manager', 'soc-analyst'], carol: ['finance'] };
const provider = new Provider(ISSUER, {
  clients: [{ client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: REDIRECTS.split(','),
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] }],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
  pkce: { required: () => false },
  cookies: { keys: ['lab'] },
  findAccount: (ctx, id) => (groups[id] ? { accountId: id, claims: () => ({ sub: id, name: id, preferred_username: id,
    email: id + '@lab.test', email_verified: true, groups: groups[id] }) } : undefined),
});
provider.listen(Number(PORT), HOST);
EOF
  spawn oidc provider env ISSUER="http://$a:15556" HOST="$a" PORT=15556 CLIENT_ID=soar CLIENT_SECRET="$LAB_PASSWORD" \
    REDIRECTS="${LAB_OIDC_REDIRECT:-http://127.0.0.1:8080/auth/callback,http://127.0.0.1:5173/auth/callback}" \
    LAB_NPM="$LAB_DIR/npm" NODE_ENV=development node "$d/server.mjs"
  wait_for oidc discovery curl -fsS "http://$a:15556/.well-known/openid-configuration"
  envfile oidc <<EOF
LAB_OIDC_ISSUER=http://$a:15556
LAB_OIDC_CLIENT_ID=soar
LAB_OIDC_CLIENT_SECRET=$LAB_PASSWORD
LAB_OIDC_REDIRECT=${LAB_OIDC_REDIRECT:-http://127.0.0.1:8080/auth/callback}
LAB_OIDC_USERS=alice,bob,carol
LAB_OIDC_PASSWORD=any
EOF
}

check_oidc() { # the whole authorization code flow, with the login and consent forms posted
  local i r=http://127.0.0.1:8080/auth/callback jar loc out tok
  i=http://$(addr oidc):15556
  jar=$(mktemp)
  oidc_step() { curl -sS -o /dev/null -b "$jar" -c "$jar" -w '%{redirect_url}' "$@"; }
  loc=$(oidc_step "$i/auth?client_id=soar&response_type=code&scope=openid%20profile%20email%20groups&redirect_uri=$r&state=s1&nonce=n1")
  loc=$(oidc_step "$loc" -d prompt=login -d login=alice -d password=any)
  loc=$(oidc_step "$loc")
  loc=$(oidc_step "$loc" -d prompt=consent)
  loc=$(oidc_step "$loc")
  rm -f "$jar"
  out=$(sed -n 's/.*[?&]code=\([^&]*\).*/\1/p' <<<"$loc")
  [ -n "$out" ] || { fail oidc "no code in: $loc"; return 1; }
  tok=$(curl -sS -u "soar:$LAB_PASSWORD" "$i/token" -d grant_type=authorization_code -d "code=$out" --data-urlencode "redirect_uri=$r" | jq -r .id_token)
  jq -Rr 'split(".")[1] | gsub("-";"+") | gsub("_";"/") | @base64d' <<<"$tok" 2>/dev/null | jq -e '.sub=="alice" and (.groups|index("soc-analyst")!=null) and .nonce=="n1"' >/dev/null ||
    { fail oidc "bad ID token"; return 1; }
  pass oidc "authorization code flow gave an ID token with sub and groups"
}

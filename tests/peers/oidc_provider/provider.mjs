// A real OpenID provider for tests: `node provider.mjs` with its set-up as JSON in OIDC_PEER.
//
// {"port", "client": {metadata of the one client}, "accounts": {login: {claims}}}
// Sign-in and consent are the package's own development pages: any password is right. Accounts change
// while it runs: PUT /test/accounts/LOGIN with claims, DELETE to remove one.
import { generateKeyPairSync } from 'node:crypto';

import Provider from 'oidc-provider';

const { port, client, accounts } = JSON.parse(process.env.OIDC_PEER);
const issuer = `http://127.0.0.1:${port}`;

const key = (kind, options, alg) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig',
});

const provider = new Provider(issuer, {
  clients: [client],
  jwks: {
    keys: [
      key('rsa', { modulusLength: 2048 }, 'RS256'),
      key('ec', { namedCurve: 'P-256' }, 'ES256'),
    ],
  },
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  conformIdTokenClaims: false,
  rotateRefreshToken: true,
  pkce: { required: () => true },
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_, login) => {
    const claims = accounts[login];
    return claims && { accountId: login, claims: () => ({ sub: login, ...claims }) };
  },
  // The package refuses to call loopback addresses, which is where tests live.
  fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }),
  cookies: { keys: ['only for tests'] },
});

provider.use(async (context, next) => {
  const login = context.path.match(/^\/test\/accounts\/([^/]+)$/)?.[1];
  if (!login) return next();
  if (context.method === 'DELETE') {
    delete accounts[login];
  } else {
    const parts = [];
    for await (const part of context.req) parts.push(part);
    accounts[login] = JSON.parse(Buffer.concat(parts).toString());
  }
  context.body = 'done';
});

provider.listen(port, '127.0.0.1', () => console.log('ready'));

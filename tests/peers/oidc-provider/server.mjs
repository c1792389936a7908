// A real OpenID provider for the tests of sign-in. It listens on a free port of this machine and says which on its
// first line. With ISSUER it is that one, and speaks TLS with what is in CERTIFICATE_FILE and KEY_FILE. People sign in
// by `login_hint`, without a page: what is tested is the node, and what the provider does with the node's requests. It
// ends with its standard input.
//
// POST /test/rotate    new keys from now on; what the old ones signed is worth nothing any more

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import Provider from 'oidc-provider';

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

function client(id, secret, method) {
  return {
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: method,
    // For native clients the port of a loopback address is free (RFC 8252, section 7.3).
    application_type: 'native',
    redirect_uris: ['openid', 'google'].map((name) => `http://127.0.0.1/auth/${name}/callback`),
  };
}

function newProvider(issuer) {
  return new Provider(issuer, {
    clients: [
      client('conclave', 'canary-client-secret', 'client_secret_basic'),
      client('another', 'another-client-secret', 'client_secret_basic'),
    ],
    jwks: { keys: [newKey()] },
    cookies: { keys: ['for tests alone'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 60, IdToken: 60, Interaction: 60, Session: 60 },
  });
}

async function interact(provider, request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (params.login_hint === 'nobody') {
    return provider.interactionFinished(request, response, { error: 'access_denied' });
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

function tls({ CERTIFICATE_FILE, KEY_FILE }) {
  return { cert: readFileSync(CERTIFICATE_FILE), key: readFileSync(KEY_FILE) };
}

const { ISSUER } = process.env;
const server = ISSUER ? createTlsServer(tls(process.env)) : createServer();
server.listen(0, '127.0.0.1', () => {
  const address = `${ISSUER ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
  const issuer = ISSUER ?? address;
  let provider = newProvider(issuer);
  server.on('request', (request, response) => {
    if (request.url === '/test/rotate') {
      provider = newProvider(issuer);
      response.end();
    } else if (request.url.startsWith('/interaction/')) {
      interact(provider, request, response).catch((error) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    } else {
      provider.callback()(request, response);
    }
  });
  process.stdout.write(`${address}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));

import { once } from 'node:events'
import { createServer } from 'node:http'

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'

import { toNodeListener } from './node-listener.ts'
import { createDevTokenHandler, createTokenVerifier, issueToken } from './token.ts'

const SECRET = 'a secret that is long enough for HS256'
const VERIFY = createTokenVerifier({ keys: { secret: SECRET }, audience: ['app'] })

function requestWith(token: string): Request {
  return new Request('http://backend/upload', { headers: { authorization: `Bearer ${token}` } })
}

test('an issued token is accepted and tells user and claims', async () => {
  const token = await issueToken({
    secret: SECRET,
    userId: 'ann',
    audience: 'app',
    ttlSeconds: 60,
    claims: { role: 'editor' },
  })
  await expect(VERIFY(requestWith(token))).resolves.toMatchObject({ userId: 'ann', claims: { role: 'editor' } })
})

test.each([
  ['expired', 'auth-expired', { ttlSeconds: -120 }],
  ['for another audience', 'auth-audience', { audience: 'other' }],
  ['signed with another secret', 'auth-bad-token', { secret: 'x'.repeat(32) }],
])('a token that is %s is refused as %s', async (_name, code, change) => {
  const token = await issueToken({ secret: SECRET, userId: 'ann', audience: 'app', ttlSeconds: 60, ...change })
  await expect(VERIFY(requestWith(token))).rejects.toMatchObject({ code })
})

test('a request without a token is refused as auth-missing', async () => {
  await expect(VERIFY(new Request('http://backend/upload'))).rejects.toMatchObject({ code: 'auth-missing' })
})

test('an unsigned token is refused', async () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = `${part({ alg: 'none' })}.${part({ sub: 'ann', exp: 4e9, aud: 'app' })}.`
  await expect(VERIFY(requestWith(token))).rejects.toMatchObject({ code: 'auth-bad-token' })
})

test('tokens signed with a key of a JWKS address are accepted; an address that does not answer is said so', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] }
  const server = createServer(toNodeListener(async () => Response.json(keys))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const jwksUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/jwks`
  const token = await new SignJWT({ sub: 'ann' })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setExpirationTime('1m')
    .sign(privateKey)

  const verify = createTokenVerifier({ keys: { jwksUrl } })
  await expect(verify(requestWith(token))).resolves.toMatchObject({ userId: 'ann' })

  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  const lost = createTokenVerifier({ keys: { jwksUrl } })
  await expect(lost(requestWith(token))).rejects.toMatchObject({ code: 'jwks-unavailable' })
})

test('the development handler issues a token for the user asked for, to any page', async () => {
  const handle = createDevTokenHandler({ secret: SECRET, audience: 'app', ttlSeconds: 60 })
  const headers = { origin: 'http://localhost:5173' }

  const answer = await handle(new Request('http://backend/token?user=ann', { headers }))
  const body: { token: string; user_id: string } = await answer.json()

  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  expect(body.user_id).toBe('ann')
  await expect(VERIFY(requestWith(body.token))).resolves.toMatchObject({ userId: 'ann' })
  expect((await handle(new Request('http://backend/token'))).status).toBe(400)
})

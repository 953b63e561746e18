import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLines, openStage, SECRET, send, type Stage } from './protocol.test-parts.ts'

type Signer = { readonly jwk: JWK; readonly sign: (claims: JWTPayload, kid?: string) => Promise<string> }

async function makeSigner(alg: string, ownKid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = { ...(await exportJWK(publicKey)), alg, ...(ownKid === undefined ? {} : { kid: ownKid }) }
  return {
    jwk,
    sign: (claims, kid = ownKid) =>
      new SignJWT(claims).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(privateKey),
  }
}

const valid = (): JWTPayload & { readonly iat: number; readonly exp: number } => {
  const now = Math.floor(Date.now() / 1000)
  return { sub: 'ann', aud: 'tests', iat: now, exp: now + 300 }
}

const withSecret = (claims: object, secret = SECRET, alg = 'HS256'): Promise<string> =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg }).sign(Buffer.from(secret))

let stage: Stage
let named: Signer
let unnamed: Signer
const keyServer = { keys: [] as JWK[], isDown: false }
const listener = createServer((_request, response) => {
  if (keyServer.isDown) response.writeHead(503).end()
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: keyServer.keys }))
})

beforeAll(async () => {
  ;[named, unnamed] = [await makeSigner('ES256', 'static'), await makeSigner('ES256')]
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const jwksUrls = [`http://127.0.0.1:${(listener.address() as AddressInfo).port}/keys`]
  const keys = [named.jwk, unnamed.jwk].map((jwk) => ({ ...jwk, kty: String(jwk.kty) }))
  stage = await openStage({
    tables: `CREATE TABLE notes (id text PRIMARY KEY, owner text)`,
    syncConfig: `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE owner IN auth.parameter('owners')
`,
    settings: {
      auth: { secret: SECRET, keys, jwksUrls, jwksPrivate: true, audience: ['tests'] },
      limits: { bucketsMax: 3 },
    },
  })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  listener.close()
})

/** What becomes of a request with this token: 200, or the code of the refusal behind its status. */
async function statusWith(token: string): Promise<string> {
  const { status, json } = await send(stage.url, 'GET', '/write-checkpoint2.json', { authorization: `Token ${token}` })
  return status === 200 ? '200' : `${status} ${(json() as { error: { code: string } }).error.code}`
}

describe('a token', () => {
  const now = Math.floor(Date.now() / 1000)

  test.each<[what: string, claims: object, outcome: string]>([
    ['no sub', { sub: undefined }, '401 PSYNC_S2101'],
    ['no iat', { iat: undefined }, '401 PSYNC_S2101'],
    ['no exp', { exp: undefined }, '401 PSYNC_S2101'],
    ['no aud', { aud: undefined }, '401 PSYNC_S2105'],
    ['a foreign aud', { aud: ['others'] }, '401 PSYNC_S2105'],
    ['an end a minute ago', { iat: now - 400, exp: now - 61 }, '401 PSYNC_S2103'],
    ['a life of more than a day', { exp: now + 86_500 }, '401 PSYNC_S2104'],
    ['parameters that are no object', { parameters: 'x' }, '401 PSYNC_S2101'],
    ['parameters that are a list', { parameters: [1] }, '401 PSYNC_S2101'],
    ['a start in the far future', { nbf: now + 300 }, '401 PSYNC_S2101'],
    ['one good aud among others', { aud: ['others', 'tests'] }, '200'],
    ['parameters', { parameters: { a: 1 } }, '200'],
  ])('[protocol 67] with %s', async (_what, claims, outcome) => {
    expect(await statusWith(await withSecret({ ...valid(), ...claims }))).toBe(outcome)
  })

  test('[protocol 67] without a signature, of another secret, or signed by the text of a public key, is refused', async () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const publicText = JSON.stringify(named.jwk)
    const byPublicKey = new SignJWT(valid())
      .setProtectedHeader({ alg: 'HS256', kid: 'static' })
      .sign(Buffer.from(publicText))
    for (const token of [
      `${part({ alg: 'none' })}.${part(valid())}.`,
      await withSecret(valid(), 'another secret'),
      await withSecret(valid(), SECRET, 'HS512'),
      await byPublicKey,
    ]) {
      expect(await statusWith(token)).toBe('401 PSYNC_S2101')
    }
  })

  test('[protocol 68] is verified by the key of its kid and no other, and else by keys without one', async () => {
    expect(await statusWith(await named.sign(valid()))).toBe('200')
    expect(await statusWith(await unnamed.sign(valid()))).toBe('200')
    expect(await statusWith(await unnamed.sign(valid(), 'unheard-of'))).toBe('200')
    expect(await statusWith(await unnamed.sign(valid(), 'static'))).toBe('401 PSYNC_S2101')
  })

  test('[protocol 65, 66] that runs out ends its stream in good order, with 0 as the last word', async () => {
    const claims = valid()
    await using stream = await openLines(stage.url, await withSecret({ ...claims, exp: claims.iat + 2 }), {})
    const seen: number[] = []
    const kinds: string[] = []
    for (let line = await stream.next(); line !== undefined; line = await stream.next()) {
      kinds.push(line.kind)
      if (line.kind === 'token_expires_in') seen.push(line.json.token_expires_in)
    }
    expect(kinds.slice(-2)).toEqual(['stream_end', 'token_expires_in'])
    expect(seen.at(-1)).toBe(0)
    for (const seconds of seen) expect(Number.isInteger(seconds) && seconds >= 0).toBe(true)
  })
})

describe('a key server', () => {
  test('[protocol 69] cannot bring in shared secrets', async () => {
    const k = Buffer.from('known to who runs the key server').toString('base64url')
    keyServer.keys = [{ kty: 'oct', alg: 'HS256', kid: 'shared', k }]
    const forged = new SignJWT(valid())
      .setProtectedHeader({ alg: 'HS256', kid: 'shared' })
      .sign(Buffer.from(k, 'base64url'))
    expect(await statusWith(await forged)).toBe('401 PSYNC_S2101')
  })

  test('[protocol 70] that has another key now is asked again as soon as its rate limit allows', async () => {
    for (const kid of ['first', 'second']) {
      const signer = await makeSigner('ES256', kid)
      keyServer.keys = [signer.jwk]
      const token = await signer.sign(valid())
      await expect.poll(() => statusWith(token), { timeout: 20_000, interval: 500 }).toBe('200')
    }
  })

  test('[protocol 71] that is down takes no key away, and its outage is no fault of a token', async () => {
    const signer = await makeSigner('ES256', 'kept')
    keyServer.keys = [signer.jwk]
    const token = await signer.sign(valid())
    await expect.poll(() => statusWith(token), { timeout: 20_000, interval: 500 }).toBe('200')
    keyServer.isDown = true
    for (let round = 0; round < 3; round++) expect(await statusWith(token)).toBe('200')
  })
})

test('[protocol 28] a failure before the first line is an HTTP error, with its code', async () => {
  const token = await withSecret({ ...valid(), owners: ['a', 'b', 'c', 'd', 'e'] })
  const headers = { authorization: `Token ${token}`, 'accept-encoding': 'gzip' }
  const { status, headers: answered, text } = await send(stage.url, 'POST', '/sync/stream', headers)
  expect(status).toBe(500)
  expect(answered).not.toHaveProperty('content-encoding')
  expect(JSON.parse(text)).toMatchObject({ error: { code: 'PSYNC_S2305', status: 500 } })
})

import { generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { type AddressInfo, isIPv6, type LookupFunction } from 'node:net'
import { HeadwaterError, type JsonObject } from '@headwater/protocol'
import { CompactSign, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Jwk } from './keys.ts'
import { supabaseJwksUrl } from './supabase.ts'
import { type AuthOptions, createTokenVerifier } from './token.ts'

const SECRET = 'a shared secret of some length, as text: ä'
const NOW_MS = 1_800_000_000_000
const NOW = NOW_MS / 1000

describe('a token signed with the shared secret', () => {
  test('is verified, and its claims are handed on', async () => {
    const claims = { sub: 'u1', iat: NOW, exp: NOW + 300, aud: 'app', parameters: { team: 7 } }
    expect(await verify(await sign(claims))).toEqual({
      kind: 'verified',
      user: { userId: 'u1', claims, expiresAtMs: (NOW + 300) * 1000 },
    })
  })

  test.each([
    ['u1', 'u1'],
    [12, '12'],
    [1.5, '1.5'],
    [true, '1'],
    [false, '0'],
    [null, 'null'],
  ])('may have the subject %j, which is the user id %s', async (sub, userId) => {
    expect(await verify(await sign({ ...valid(), sub }))).toMatchObject({ user: { userId } })
  })

  test('keeps integers that a number cannot hold, also as the subject', async () => {
    const payload = `{"sub":9007199254740993,"team":9007199254740995,"iat":${NOW},"exp":${NOW + 300},"aud":"app"}`
    const token = await new CompactSign(new TextEncoder().encode(payload))
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(SECRET))
    expect(await verify(token)).toMatchObject({
      user: { userId: '9007199254740993', claims: { team: 9007199254740995n } },
    })
  })

  test.each<[what: string, claims: object, code: string]>([
    ['no subject', { sub: undefined }, 'auth-bad-token'],
    ['a subject that is no scalar', { sub: { id: 1 } }, 'auth-bad-token'],
    ['no time of issue', { iat: undefined }, 'auth-bad-token'],
    ['no expiry', { exp: undefined }, 'auth-bad-token'],
    ['an expiry that is no number', { exp: 'soon' }, 'auth-bad-token'],
    ['a time of issue that is no number', { iat: null }, 'auth-bad-token'],
    ['a start that is no number', { nbf: 'now' }, 'auth-bad-token'],
    ['a start more than a minute ahead', { nbf: NOW + 61 }, 'auth-bad-token'],
    ['parameters that are no object', { parameters: ['a'] }, 'auth-bad-token'],
    ['parameters that are text', { parameters: 'a' }, 'auth-bad-token'],
    ['an expiry exactly a minute ago', { iat: NOW - 100, exp: NOW - 60 }, 'auth-expired'],
    ['no audience', { aud: undefined }, 'auth-audience'],
    ['a foreign audience', { aud: 'other' }, 'auth-audience'],
    ['an audience that is no text', { aud: [5] }, 'auth-audience'],
    ['a lifetime above a day', { exp: NOW + 86_401 }, 'auth-lifetime'],
    [
      'a life of more than a day from now, whenever it was issued',
      { iat: NOW + 900, exp: NOW + 86_461 },
      'auth-lifetime',
    ],
  ])('[protocol 67] is refused with %s', async (_what, claims, code) => {
    expect(await verify(await sign({ ...valid(), ...claims }))).toMatchObject({ kind: 'refused', code })
  })

  test.each<[what: string, claims: object]>([
    ['an expiry 59 s ago', { exp: NOW - 59 }],
    ['a time of issue in the future', { iat: NOW + 200 }],
    ['a start within the next minute', { nbf: NOW + 60 }],
    ['a lifetime of a day', { exp: NOW + 86_400 }],
    ['a lifetime of a day by a clock that is a minute fast', { iat: NOW + 60, exp: NOW + 86_460 }],
    ['one accepted audience among others', { aud: ['other', 'app'] }],
    ['parameters that are null', { parameters: null }],
  ])('is accepted with %s', async (_what, claims) => {
    expect(await verify(await sign({ ...valid(), ...claims }))).toMatchObject({ kind: 'verified' })
  })

  test('[protocol 67] that was accepted helps no other one with the same header', async () => {
    const verifier = open({ secret: SECRET })
    const token = await sign(valid())
    expect(await verifier.verify(token)).toMatchObject({ kind: 'verified' })
    const [header = '', payload = ''] = token.split('.')
    const bad = [`${token}.x`, `${token}.x.y`, header, `${header}.`, `${header}..`, `${header}.${payload}.`]
    for (const other of [...bad, await sign(valid(), 'another secret')]) {
      expect(await verifier.verify(other)).toMatchObject({ kind: 'refused', code: 'auth-bad-token' })
    }
  })

  test('[protocol 67] that was accepted before is refused when it has expired', async () => {
    const clock = fakeClock()
    const verifier = open({ secret: SECRET, nowMs: clock.read })
    const token = await sign(valid())
    expect(await verifier.verify(token)).toMatchObject({ kind: 'verified' })
    clock.pass(359_000)
    expect(await verifier.verify(token)).toMatchObject({ kind: 'verified' })
    clock.pass(1_000)
    expect(await verifier.verify(token)).toMatchObject({ code: 'auth-expired' })
  })

  test('needs no audience where none is set', async () => {
    const verifier = open({ secret: SECRET, audience: [] })
    expect(await verifier.verify(await sign({ ...valid(), aud: undefined }))).toMatchObject({ kind: 'verified' })
  })

  test('[protocol 67] is refused when signed with another secret, cut, or no token at all', async () => {
    const token = await sign(valid())
    for (const bad of [await sign(valid(), 'another secret'), token.slice(0, -2), 'abc', 'a.b.c', '', `${token}.x`]) {
      expect(await verify(bad)).toMatchObject({ kind: 'refused', code: 'auth-bad-token' })
    }
  })

  test('[protocol 67] is refused with the algorithm "none", and with HS512, which the secret is not for', async () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    expect(await verify(`${part({ alg: 'none' })}.${part(valid())}.`)).toMatchObject({ code: 'auth-bad-token' })
    const hs512 = await new SignJWT(valid()).setProtectedHeader({ alg: 'HS512' }).sign(Buffer.from(SECRET))
    expect(await verify(hs512)).toMatchObject({ code: 'auth-bad-token' })
  })

  test('says nothing to its sender about what is accepted here; the log gets that', async () => {
    const result = await verify(await sign({ ...valid(), aud: 'other' }))
    expect(result).toMatchObject({ details: { audienceAccepted: ['app'], claims: { aud: 'other' } } })
    expect(result).toMatchObject({ message: expect.not.stringContaining('app') })
  })
})

describe('static keys', () => {
  test.each(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])('verify %s', async (alg) => {
    const signer = await makeSigner(alg)
    const verifier = open({ keys: [signer.jwk] })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ kind: 'verified' })
  })

  test('on the curve Ed448 verify, and nothing that was changed', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed448')
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ alg: 'EdDSA' })}.${part(valid())}`
    const signature = signBytes(null, Buffer.from(signed), privateKey).toString('base64url')
    const jwk = { ...publicKey.export({ format: 'jwk' }), kty: 'OKP' }
    const verifier = open({ keys: [jwk] })
    expect(await verifier.verify(`${signed}.${signature}`)).toMatchObject({ kind: 'verified' })
    const other = `${part({ alg: 'EdDSA' })}.${part({ ...valid(), sub: 'u2' })}`
    expect(await verifier.verify(`${other}.${signature}`)).toMatchObject({ code: 'auth-bad-token' })
    const critical = `${part({ alg: 'EdDSA', crit: ['x'], x: 1 })}.${part(valid())}`
    const again = signBytes(null, Buffer.from(critical), privateKey).toString('base64url')
    expect(await verifier.verify(`${critical}.${again}`)).toMatchObject({ code: 'auth-bad-token' })
  })

  test('the RSA-PSS family is not accepted', async () => {
    const signer = await makeSigner('PS256')
    const token = await signer.sign(valid())
    expect(await open({ keys: [{ ...signer.jwk, alg: undefined }] }).verify(token)).toMatchObject({
      code: 'auth-bad-token',
    })
  })

  test('[protocol 68] a token whose kid is of a key for another algorithm is refused, whatever other keys there are', async () => {
    const [named, wildcard] = [await makeSigner('ES256', 'one'), await makeSigner('RS256')]
    const verifier = open({ keys: [wildcard.jwk, named.jwk] })
    expect(await verifier.verify(await wildcard.sign(valid(), 'one'))).toMatchObject({
      code: 'auth-bad-token',
      message: 'Unexpected token algorithm',
    })
  })

  test('of a shared secret verify the algorithm they are for', async () => {
    const jwk = { kty: 'oct', alg: 'HS384', k: Buffer.from(SECRET).toString('base64url') }
    const token = await new SignJWT(valid()).setProtectedHeader({ alg: 'HS384' }).sign(Buffer.from(SECRET))
    expect(await open({ keys: [jwk] }).verify(token)).toMatchObject({ kind: 'verified' })
    expect(await open({ keys: [jwk] }).verify(await sign(valid()))).toMatchObject({ code: 'auth-bad-token' })
  })

  test('[protocol 68] the key with the kid of the token is used and no other', async () => {
    const [named, wildcard] = [await makeSigner('ES256', 'one'), await makeSigner('ES256')]
    const verifier = open({ keys: [wildcard.jwk, named.jwk] })
    expect(await verifier.verify(await named.sign(valid()))).toMatchObject({ kind: 'verified' })
    // Signed with the wildcard key, but naming the other one.
    expect(await verifier.verify(await wildcard.sign(valid(), 'one'))).toMatchObject({ code: 'auth-bad-token' })
  })

  test('[protocol 68] keys without kid are tried for a token whose kid is unknown', async () => {
    const [first, second] = [await makeSigner('ES256'), await makeSigner('ES256')]
    const verifier = open({ keys: [first.jwk, second.jwk] })
    expect(await verifier.verify(await second.sign(valid(), 'unknown'))).toMatchObject({ kind: 'verified' })
  })

  test('[protocol 67] a public key is never taken for a shared secret', async () => {
    const { jwk, publicText } = await makeSigner('RS256', 'one')
    const forged = await new SignJWT(valid())
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(Buffer.from(publicText))
    expect(await open({ keys: [jwk] }).verify(forged)).toMatchObject({ kind: 'refused', code: 'auth-bad-token' })
  })

  test.each<[what: string, options: Partial<AuthOptions>, message: RegExp]>([
    ['of an unknown type', { keys: [{ kty: 'XYZ' }] }, /auth\.keys\[0\].*XYZ/],
    ['on an unknown curve', { keys: [{ kty: 'EC', crv: 'secp256k1' }] }, /secp256k1/],
    ['without their numbers', { keys: [{ kty: 'RSA', kid: 'a' }] }, /auth\.keys\[0\]/],
    ['whose alg does not fit', { keys: [{ kty: 'oct', alg: 'RS256', k: 'YQ' }] }, /HS256/],
  ])('%s are refused at the start', (_what, options, message) => {
    expect(() => open(options)).toThrow(message)
  })
})

describe('a JWKS URL', () => {
  test('that is not http or https is refused at the start', () => {
    for (const url of ['file:///etc/passwd', 'not a url']) {
      expect(() => open({ jwksUrls: [url] })).toThrow(expect.objectContaining({ code: 'jwks-settings' }))
    }
  })

  test('is fetched once for many tokens, also when they come together', async () => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [signer.jwk])
    const verifier = open({ jwksUrls: [server.url] })
    const token = await signer.sign(valid())
    await Promise.all([verifier.verify(token), verifier.verify(token), verifier.verify(token)])
    expect(await verifier.verify(token)).toMatchObject({ kind: 'verified' })
    expect(server.hits()).toBe(1)
  })

  test('[protocol 70] is asked again for a kid that is not known, so that a new key works at once', async () => {
    const [before, after] = [await makeSigner('ES256', 'one'), await makeSigner('ES256', 'two')]
    let served = [before.jwk]
    const clock = fakeClock()
    const server = await serveKeys(() => served)
    const verifier = open({ jwksUrls: [server.url], nowMs: clock.read })
    const token = await before.sign(valid())
    expect(await verifier.verify(token)).toMatchObject({ kind: 'verified' })
    served = [after.jwk]
    clock.pass(1_000)
    expect(await verifier.verify(await after.sign(valid()))).toMatchObject({ kind: 'verified' })
    // That it was good once does not help it.
    expect(await verifier.verify(token)).toMatchObject({ kind: 'refused' })
  })

  test('is not fetched without end by tokens with invented kids', async () => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [signer.jwk])
    const clock = fakeClock()
    const verifier = open({ jwksUrls: [server.url], nowMs: clock.read })
    for (let second = 0; second < 60; second++) {
      expect(await verifier.verify(await signer.sign(valid(), `invented-${second}`))).toMatchObject({
        code: 'auth-bad-token',
      })
      clock.pass(1_000)
    }
    expect(server.hits()).toBeLessThan(10)
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ kind: 'verified' })
  })

  test('[protocol 69] cannot provide shared secrets, nor keys that are not for signatures', async () => {
    const secret = { kty: 'oct', alg: 'HS256', k: Buffer.from(SECRET).toString('base64url') }
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [secret, { ...signer.jwk, use: 'enc' }])
    const verifier = open({ jwksUrls: [server.url] })
    expect(await verifier.verify(await sign(valid()))).toMatchObject({ code: 'auth-bad-token' })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ code: 'auth-bad-token' })
  })

  test('with one unusable key still provides the others', async () => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [{ kty: 'EC', crv: 'odd' }, signer.jwk])
    expect(await open({ jwksUrls: [server.url] }).verify(await signer.sign(valid()))).toMatchObject({
      kind: 'verified',
    })
  })

  test.each<[what: string, answer: Answer]>([
    ['an error', { status: 500, body: 'no' }],
    ['no JSON', { status: 200, body: '<html>' }],
    ['no key set', { status: 200, body: '{"keys": 5}' }],
    ['far too much', { status: 200, body: 'x'.repeat(2_000_000) }],
  ])('that answers %s is an outage of the key server, not a bad token', async (_what, answer) => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serve(() => answer)
    const verifier = open({ jwksUrls: [server.url] })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ code: 'jwks-unavailable' })
    // What no key server could have signed is a bad token all the same.
    expect(await verifier.verify(await sign(valid()))).toMatchObject({ code: 'auth-bad-token' })
  })

  test('that nobody listens on is an outage too', async () => {
    const signer = await makeSigner('ES256', 'one')
    const verifier = open({ jwksUrls: ['http://127.0.0.1:1/keys'] })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ code: 'jwks-unavailable' })
  })

  test('that hangs holds a request for three seconds and no longer', async () => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serve(() => new Promise(() => undefined))
    const startedMs = performance.now()
    expect(await open({ jwksUrls: [server.url] }).verify(await signer.sign(valid()))).toMatchObject({
      code: 'jwks-unavailable',
    })
    expect(performance.now() - startedMs).toBeLessThan(4_500)
  }, 10_000)

  test('[protocol 71] that goes down is survived for an hour, and picked up again when it is back', async () => {
    const signer = await makeSigner('ES256', 'one')
    let isDown = false
    const server = await serve(() =>
      isDown ? { status: 503, body: '' } : { status: 200, body: JSON.stringify({ keys: [signer.jwk] }) },
    )
    const clock = fakeClock()
    const verifier = open({ jwksUrls: [server.url], nowMs: clock.read })
    const check = async (): Promise<unknown> => {
      const nowSeconds = clock.read() / 1000
      const result = await verifier.verify(await signer.sign({ ...valid(), iat: nowSeconds, exp: nowSeconds + 300 }))
      return result.kind === 'verified' ? result.kind : result.code
    }
    expect(await check()).toBe('verified')
    isDown = true
    clock.pass(59 * 60_000)
    expect(await check()).toBe('verified')
    clock.pass(60_000)
    expect(await check()).toBe('jwks-unavailable')
    isDown = false
    clock.pass(60_000)
    expect(await check()).toBe('verified')
  })

  test('[protocol 70] is refreshed in the background after five minutes of use', async () => {
    const [before, after] = [await makeSigner('ES256', 'one'), await makeSigner('ES256', 'one')]
    let served = [before.jwk]
    const server = await serveKeys(() => served)
    const clock = fakeClock()
    const verifier = open({ jwksUrls: [server.url], nowMs: clock.read })
    await verifier.verify(await before.sign(valid()))
    served = [after.jwk]
    clock.pass(301_000)
    await verifier.verify(await before.sign(valid()))
    await expect.poll(() => server.hits()).toBe(2)
    await expect.poll(async () => (await verifier.verify(await after.sign(valid()))).kind).toBe('verified')
  })
})

describe('the address of a key server', () => {
  test.each([
    'http://127.0.0.1:1/',
    'http://[::1]:1/',
    'http://169.254.169.254/latest',
    'http://2130706433/',
    'http://0x7f.1/',
  ])('%s is not public, and nothing is sent there', async (url) => {
    const signer = await makeSigner('ES256', 'one')
    const verifier = open({ jwksUrls: [url], jwksPrivate: false })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ code: 'jwks-address-refused' })
  })

  test.each<[what: string, addresses: readonly string[]]>([
    ['a private address', ['127.0.0.1']],
    ['a public address and a private one', ['1.1.1.1', '127.0.0.1']],
    ['a private address in a form of IPv6', ['::ffff:127.0.0.1']],
  ])('by a name that stands for %s is refused', async (_what, addresses) => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [signer.jwk])
    const url = server.url.replace('127.0.0.1', 'keys.example')
    const verifier = open({ jwksUrls: [url], jwksPrivate: false, resolve: resolveTo(() => addresses) })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ code: 'jwks-address-refused' })
    expect(server.hits()).toBe(0)
  })

  test('is looked up once for each fetch: what was checked is what is connected to', async () => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [signer.jwk])
    let lookups = 0
    const resolve = resolveTo(() => {
      lookups += 1
      return ['127.0.0.1']
    })
    const verifier = open({ jwksUrls: [server.url.replace('127.0.0.1', 'keys.example')], resolve })
    expect(await verifier.verify(await signer.sign(valid()))).toMatchObject({ kind: 'verified' })
    expect([lookups, server.hits()]).toEqual([1, 1])
  })

  test('does not change by a redirect', async () => {
    const signer = await makeSigner('ES256', 'one')
    const keys = await serveKeys(() => [signer.jwk])
    const server = await serve(() => ({ status: 302, body: '', location: keys.url }))
    expect(await open({ jwksUrls: [server.url] }).verify(await signer.sign(valid()))).toMatchObject({
      code: 'jwks-unavailable',
    })
    expect([server.hits(), keys.hits()]).toEqual([1, 0])
  })
})

describe('tokens of Supabase', () => {
  const secret = 'the secret of the project'
  const claims = { sub: 'u1', aud: 'authenticated', iat: NOW, exp: NOW + 606_000 }

  test('signed with the secret of the project have their own audience and may live for a week', async () => {
    const verifier = open({ supabase: { secret } })
    expect(await verifier.verify(await sign(claims, secret))).toMatchObject({ kind: 'verified' })
    expect(await verifier.verify(await sign({ ...claims, aud: 'app' }, secret))).toMatchObject({
      code: 'auth-audience',
    })
    expect(await verifier.verify(await sign({ ...claims, exp: NOW + 606_001 }, secret))).toMatchObject({
      code: 'auth-lifetime',
    })
  })

  test('signed with the keys of the project too, and nobody else’s tokens may', async () => {
    const signer = await makeSigner('ES256', 'one')
    const server = await serveKeys(() => [signer.jwk])
    const verifier = open({ secret: SECRET, supabase: { jwksUrl: server.url } })
    expect(await verifier.verify(await signer.sign(claims))).toMatchObject({ kind: 'verified' })
    expect(await verifier.verify(await sign(claims))).toMatchObject({ code: 'auth-audience' })
    expect(await verifier.verify(await sign(valid()))).toMatchObject({ kind: 'verified' })
  })

  test('that no key fits get a hint into the log', async () => {
    const result = await open({ supabase: { secret } }).verify(await sign(claims, 'another'))
    expect(result).toMatchObject({ code: 'auth-bad-token', details: { hint: expect.stringContaining('Supabase') } })
  })

  test.each([
    [
      'postgresql://u:p@db.abcdef.supabase.co:5432/postgres',
      'https://abcdef.supabase.co/auth/v1/.well-known/jwks.json',
    ],
    ['postgresql://u:p@db.abcdef.supabase.co.evil.example/postgres', undefined],
    ['postgresql://u:p@localhost/postgres', undefined],
  ])('have their keys by the URL of the database: %s', (databaseUrl, jwksUrl) => {
    expect(supabaseJwksUrl(databaseUrl)).toBe(jwksUrl)
  })
})

type Answer = { readonly status: number; readonly body: string; readonly location?: string }

function valid(): JWTPayload & JsonObject {
  return { sub: 'u1', iat: NOW, exp: NOW + 300, aud: 'app' }
}

function open(options: Partial<AuthOptions>): ReturnType<typeof createTokenVerifier> {
  const stop = new AbortController()
  onTestFinished(() => {
    stop.abort()
  })
  const log = { warn: () => undefined }
  return createTokenVerifier({
    audience: ['app'],
    jwksPrivate: true,
    nowMs: () => NOW_MS,
    log,
    signal: stop.signal,
    ...options,
  })
}

function verify(token: string): ReturnType<ReturnType<typeof createTokenVerifier>['verify']> {
  return open({ secret: SECRET }).verify(token)
}

function sign(claims: object, secret = SECRET): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret))
}

async function makeSigner(
  alg: string,
  kid?: string,
): Promise<{
  jwk: Jwk
  publicText: string
  sign: (claims: object, kidClaimed?: string) => Promise<string>
}> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const exported = await exportJWK(publicKey)
  if (exported.kty === undefined) throw new HeadwaterError('internal', 'no key type')
  return {
    jwk: { ...exported, kty: exported.kty, ...(kid === undefined ? {} : { kid }) },
    publicText: JSON.stringify(exported),
    sign: (claims, kidClaimed = kid) =>
      new SignJWT({ ...claims })
        .setProtectedHeader(kidClaimed === undefined ? { alg } : { alg, kid: kidClaimed })
        .sign(privateKey),
  }
}

function fakeClock(): { read: () => number; pass: (ms: number) => void } {
  let nowMs = NOW_MS
  return {
    read: () => nowMs,
    pass: (ms) => {
      nowMs += ms
    },
  }
}

function resolveTo(addresses: () => readonly string[]): LookupFunction {
  return (_host, options, callback) => {
    const found = addresses().map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
    if (options.all === true) callback(null, found)
    else callback(null, found[0]?.address ?? '', found[0]?.family)
  }
}

function serveKeys(keys: () => readonly object[]): ReturnType<typeof serve> {
  return serve(() => ({ status: 200, body: JSON.stringify({ keys: keys() }) }))
}

async function serve(answer: () => Answer | Promise<Answer>): Promise<{ url: string; hits: () => number }> {
  let hits = 0
  const server = createServer((_request, response) => {
    hits += 1
    void Promise.resolve(answer()).then(({ status, body, location }) =>
      response.writeHead(status, location === undefined ? {} : { location }).end(body),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/jwks`, hits: () => hits }
}

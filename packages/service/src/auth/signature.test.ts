import { createHmac, createSecretKey, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import { readSigned } from './signature.ts'

const SECRET = createSecretKey('a secret for tests, long enough for HS256', 'utf8')
const PAYLOAD = '{"sub":"ann"}'

function part(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function signed(alg: string, signature: (text: string) => string): string {
  const text = `${part(JSON.stringify({ alg }))}.${part(PAYLOAD)}`
  return `${text}.${signature(text)}`
}

const withSecret = (hash: string) => (text: string) => createHmac(hash, SECRET).update(text).digest('base64url')
const withRsa = (key: KeyObject) => (text: string) => createSign('RSA-SHA256').update(text).sign(key, 'base64url')

test.each([
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
])('%s with the right secret gives the payload', async (algorithm, hash) => {
  const payload = await readSigned(signed(algorithm, withSecret(hash)), algorithm, SECRET)
  expect(Buffer.from(payload ?? []).toString()).toBe(PAYLOAD)
})

test('another hash, a cut signature, or other characters around it do not', async () => {
  const good = signed('HS256', withSecret('sha256'))
  const bad = [
    signed('HS256', withSecret('sha384')),
    good.slice(0, -1),
    `${good}.`,
    ` ${good}`,
    good.replace('.', '..'),
    good.slice(0, good.lastIndexOf('.') + 1),
  ]
  for (const token of bad) expect(await readSigned(token, 'HS256', SECRET)).toBeUndefined()
})

test('a key of another kind than the algorithm’s verifies nothing', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const token = signed('RS256', withRsa(privateKey))
  expect(await readSigned(token, 'RS256', publicKey)).toBeDefined()
  for (const algorithm of ['HS256', 'ES256', 'EdDSA']) {
    expect(await readSigned(token, algorithm, publicKey)).toBeUndefined()
  }
  expect(await readSigned(token, 'RS256', SECRET)).toBeUndefined()
  // As a secret, everybody knows a public key.
  const text = publicKey.export({ type: 'spki', format: 'pem' })
  const forged = signed('HS256', (signing) => createHmac('sha256', text).update(signing).digest('base64url'))
  expect(await readSigned(forged, 'HS256', publicKey)).toBeUndefined()
})

test('what a header declares critical is understood by nobody here, so that nothing is verified', async () => {
  for (const header of [
    { crit: ['b64'], b64: true },
    { crit: ['b64'], b64: false },
    { crit: ['exp'], exp: 1 },
  ]) {
    const text = `${part(JSON.stringify({ alg: 'HS256', ...header }))}.${part(PAYLOAD)}`
    const token = `${text}.${withSecret('sha256')(text)}`
    expect(await readSigned(token, 'HS256', SECRET)).toBeUndefined()
  }
})

test('an RSA key of less than 2048 bits verifies nothing', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  expect(await readSigned(signed('RS256', withRsa(privateKey)), 'RS256', publicKey)).toBeUndefined()
})

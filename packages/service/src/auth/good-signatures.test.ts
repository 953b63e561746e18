import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { expect, onTestFinished, test, vi } from 'vitest'
import { GoodSignatures } from './good-signatures.ts'

const SECRET = createSecretKey('a secret for tests, long enough for HS256', 'utf8')

test('a good token is verified once, and gives the same payload whenever it is shown', async () => {
  const verifications = countVerifications()
  const signatures = new GoodSignatures()
  const token = signWithSecret('{"sub":"änn"}')
  for (let n = 0; n < 3; n++) {
    expect(textOf(await signatures.read(token, 'HS256', SECRET))).toBe('{"sub":"änn"}')
  }
  expect(verifications()).toBe(1)
})

test('so is one that was signed with a private key', async () => {
  const verifications = countVerifications()
  const signatures = new GoodSignatures()
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const text = `${part('{"alg":"EdDSA"}')}.${part('{"sub":"ann"}')}`
  const token = `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
  for (let n = 0; n < 3; n++) expect(textOf(await signatures.read(token, 'EdDSA', publicKey))).toBe('{"sub":"ann"}')
  expect(verifications()).toBe(1)
})

test('what was good with one key is verified again with every other one, be it made of the same secret', async () => {
  const verifications = countVerifications()
  const signatures = new GoodSignatures()
  const token = signWithSecret('{"sub":"ann"}')
  await signatures.read(token, 'HS256', SECRET)
  expect(await signatures.read(token, 'HS256', createSecretKey('another secret', 'utf8'))).toBeUndefined()
  const same = createSecretKey(SECRET.export())
  expect(textOf(await signatures.read(token, 'HS256', same))).toBe('{"sub":"ann"}')
  expect(verifications()).toBe(3)
})

test('nor does it mean anything for another algorithm, or for a token that differs in one character', async () => {
  const signatures = new GoodSignatures()
  const token = signWithSecret('{"sub":"ann"}')
  await signatures.read(token, 'HS256', SECRET)
  expect(await signatures.read(token, 'HS512', SECRET)).toBeUndefined()
  const [header = '', , signature = ''] = token.split('.')
  for (const other of [`${header}.${part('{"sub":"bob"}')}.${signature}`, `${token}.`, `${token}A`, ` ${token}`]) {
    expect(await signatures.read(other, 'HS256', SECRET)).toBeUndefined()
  }
})

test('a token that is refused is verified every time', async () => {
  const verifications = countVerifications()
  const signatures = new GoodSignatures()
  const token = `${signWithSecret('{"sub":"ann"}').slice(0, -6)}AAAAAA`
  for (let n = 0; n < 3; n++) expect(await signatures.read(token, 'HS256', SECRET)).toBeUndefined()
  expect(verifications()).toBe(3)
})

test('no more tokens are remembered than may be: the one that was not shown for longest is verified again', async () => {
  const signatures = new GoodSignatures(10)
  const tokens = Array.from({ length: 20 }, (_, n) => signWithSecret(`{"sub":"user-${n}"}`))
  for (const token of tokens) await signatures.read(token, 'HS256', SECRET)
  const verifications = countVerifications()
  await signatures.read(tokens.at(-1) ?? '', 'HS256', SECRET)
  expect(verifications()).toBe(0)
  await signatures.read(tokens[0] ?? '', 'HS256', SECRET)
  expect(verifications()).toBe(1)
})

function signWithSecret(payload: string, key: KeyObject = SECRET): string {
  const text = `${part('{"alg":"HS256"}')}.${part(payload)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

function part(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function textOf(payload: Uint8Array | undefined): string {
  return Buffer.from(payload ?? []).toString()
}

function countVerifications(): () => number {
  const verify = vi.spyOn(crypto.subtle, 'verify')
  onTestFinished(() => verify.mockRestore())
  return () => verify.mock.calls.length
}

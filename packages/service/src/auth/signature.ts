import { createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { compactVerify, decodeProtectedHeader } from 'jose'

const verifyBytes = promisify<null, Buffer, KeyObject, Buffer, boolean>(verify)

const HMAC_HASHES = new Map([
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
])

/** The payload of a token in its compact form; undefined when it was not signed with this key and algorithm. */
export async function readSigned(token: string, algorithm: string, key: KeyObject): Promise<Uint8Array | undefined> {
  try {
    const hmacHash = HMAC_HASHES.get(algorithm)
    if (hmacHash !== undefined) return readSignedBySecret(token, hmacHash, key)
    if (key.asymmetricKeyType === 'ed448') return await readSignedByEd448(token, key)
    return (await compactVerify(token, key, { algorithms: [algorithm] })).payload
  } catch {
    return undefined
  }
}

/** Here and now: the library would have another thread do it, which costs many times as much as doing it. */
function readSignedBySecret(token: string, hash: string, key: KeyObject): Uint8Array | undefined {
  const parts = splitToken(token)
  if (parts === undefined) return undefined
  const expected = Buffer.from(createHmac(hash, key).update(parts.signed).digest('base64url'))
  const given = Buffer.from(parts.signature)
  return given.length === expected.length && timingSafeEqual(given, expected) ? parts.payload : undefined
}

/** The library knows one of the two curves of EdDSA only. */
async function readSignedByEd448(token: string, key: KeyObject): Promise<Uint8Array | undefined> {
  const parts = splitToken(token)
  if (parts === undefined) return undefined
  const isGood = await verifyBytes(null, Buffer.from(parts.signed), key, Buffer.from(parts.signature, 'base64url'))
  return isGood ? parts.payload : undefined
}

type TokenParts = { readonly signed: string; readonly signature: string; readonly payload: Uint8Array }

/** Undefined for what is no token in its compact form, or not to be accepted. Throws for a header that is no JSON. */
function splitToken(token: string): TokenParts | undefined {
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined
  // What a header declares critical must be understood, and nothing of that kind is.
  if (decodeProtectedHeader(token).crit !== undefined) return undefined
  return { signed: `${header}.${payload}`, signature, payload: Buffer.from(payload, 'base64url') }
}

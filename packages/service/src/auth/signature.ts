import { type KeyObject, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { compactVerify, decodeProtectedHeader } from 'jose'

const verifyBytes = promisify<null, Buffer, KeyObject, Buffer, boolean>(verify)

/** The payload of a token in its compact form; undefined when it was not signed with this key and algorithm. */
export async function readSigned(token: string, algorithm: string, key: KeyObject): Promise<Uint8Array | undefined> {
  try {
    // What a header declares critical must be understood, and nothing of that kind is.
    if (decodeProtectedHeader(token).crit !== undefined) return undefined
    if (key.asymmetricKeyType === 'ed448') return await readSignedByEd448(token, key)
    return (await compactVerify(token, key, { algorithms: [algorithm] })).payload
  } catch {
    return undefined
  }
}

/** The library knows one of the two curves of EdDSA only. */
async function readSignedByEd448(token: string, key: KeyObject): Promise<Uint8Array | undefined> {
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined
  const signed = Buffer.from(`${header}.${payload}`)
  const isGood = await verifyBytes(null, signed, key, Buffer.from(signature, 'base64url'))
  return isGood ? Buffer.from(payload, 'base64url') : undefined
}

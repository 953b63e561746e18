import { lookup as resolveName } from 'node:dns'
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { HeadwaterError } from '@headwater/protocol'
import { isPrivateAddress } from './private-addresses.ts'

/** A document of a key server is never so long. */
const BODY_BYTES_MAX = 1024 * 1024

export type FetchOptions = {
  /** May the server be in a private network? */
  readonly mayBePrivate: boolean
  readonly signal: AbortSignal
  /** How names become addresses; the system's way unless a test says otherwise. */
  readonly resolve?: LookupFunction
}

/**
 * The text behind a URL of a key server. The connection goes to the very address that was checked, so that a name
 * cannot stand for another one the next moment, and no redirect is followed. Throws `jwks-address-refused`, and plain
 * errors for everything else that is wrong.
 */
export async function fetchKeys(url: URL, { mayBePrivate, signal, resolve }: FetchOptions): Promise<string> {
  const host = url.hostname.replaceAll(/^\[|\]$/g, '')
  // An address is connected to without a lookup.
  if (isIP(host) !== 0 && !mayBePrivate && isPrivateAddress(host)) throw refused(url, host)
  const lookup = mayBePrivate ? (resolve ?? resolveName) : checked(url, resolve ?? resolveName)
  const response = await open(url, { signal, lookup, headers: { accept: 'application/json' }, agent: false })
  const text = await readBounded(response)
  const status = response.statusCode ?? 0
  if (status < 200 || status > 299) throw new Error(`the answer has status ${status}`)
  return text
}

type Lookup = LookupFunction | typeof resolveName

function open(
  url: URL,
  options: { signal: AbortSignal; lookup: Lookup; headers: { accept: string }; agent: false },
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = url.protocol === 'https:' ? requestTls(url, options) : requestPlain(url, options)
  request.once('response', resolve).once('error', reject).end()
  return promise
}

/** Refuses a name as soon as one of its addresses is private: which one is taken is for others to decide. */
function checked(url: URL, resolve: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, '')
        return
      }
      const found = Array.isArray(addresses) ? addresses : [{ address: addresses, family: isIP(addresses) }]
      const problem = found.find(({ address }) => isPrivateAddress(address))
      const [first] = found
      if (problem !== undefined || first === undefined) {
        callback(refused(url, problem?.address ?? 'none'), '')
      } else if (options.all === true) {
        callback(null, found)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}

function refused(url: URL, address: string): HeadwaterError {
  return new HeadwaterError(
    'jwks-address-refused',
    `Cannot fetch keys from ${url.href}: its address ${address} is not public. Set auth.jwksPrivate to true if the key ` +
      'server is in your own network.',
  )
}

async function readBounded(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response) {
    const buffer: Buffer = piece
    bytes += buffer.length
    // Leaving the loop closes the connection.
    if (bytes > BODY_BYTES_MAX) throw new Error(`the answer is longer than ${BODY_BYTES_MAX} bytes`)
    pieces.push(buffer)
  }
  return Buffer.concat(pieces).toString()
}

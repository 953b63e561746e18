import { HeadwaterError, type RequestObject } from '@headwater/protocol'
import { readAuthorization } from '../auth/authorization-header.ts'
import { refuse, type VerifiedUser } from '../auth/claims.ts'
import { tellCode, tellError } from './error-response.ts'
import { findRevoked } from './authorize.ts'
import { formatError } from './error-text.ts'
import type { HttpParts } from './http-parts.ts'
import { logFailure } from './log-failure.ts'
import { noteRefusal } from './refusal.ts'
import { type ClientFrame, RSOCKET_ERROR, type RsocketError } from './rsocket-frame.ts'
import { decodeMetadata, findEncoding } from './rsocket-payload.ts'
import type { PayloadEncoding } from './unreadable.ts'

/** Who is at the other end of a connection, and how it encodes what it sends. */
export type RsocketClient = {
  readonly user: VerifiedUser
  readonly userAgent: string | undefined
  readonly metadataEncoding: PayloadEncoding
  readonly dataEncoding: PayloadEncoding
}

/** `text` is for the client. */
export type SetupRefusal = { readonly kind: 'refused'; readonly error: RsocketError; readonly text: string }

export type SetupFrame = Extract<ClientFrame, { readonly kind: 'setup' }>
export type RequestFrame = Extract<ClientFrame, { readonly kind: 'request-stream' }>

type SetupParts = Pick<HttpParts, 'verify' | 'revocations' | 'log' | 'metrics'>

/** The first frame of a connection, if it can be one. */
export function readFirstFrame(frame: ClientFrame): SetupFrame | SetupRefusal {
  if (frame.kind === 'resume') return refuseSetup(RSOCKET_ERROR.rejectedResume, 'Connections cannot be resumed here')
  if (frame.kind !== 'setup') {
    return refuseSetup(
      RSOCKET_ERROR.unsupportedSetup,
      `The first frame must be SETUP${frame.kind === 'malformed' ? `: ${frame.problem}` : ''}`,
    )
  }
  if (frame.majorVersion !== 1) {
    return refuseSetup(RSOCKET_ERROR.unsupportedSetup, `RSocket ${frame.majorVersion} is not served, only 1.0`)
  }
  if (frame.wantsResume || frame.wantsLease) {
    const what = frame.wantsResume ? 'resumption' : 'leases'
    return refuseSetup(RSOCKET_ERROR.rejectedSetup, `Connections with ${what} are not served`)
  }
  return frame
}

/** Verifies the token of a SETUP; `userAgent` is that of the HTTP request before. Never rejects; logs what is refused. */
export async function acceptSetup(
  parts: SetupParts,
  frame: SetupFrame,
  userAgent: string | undefined,
): Promise<{ readonly kind: 'accepted'; readonly client: RsocketClient } | SetupRefusal> {
  try {
    const { metadataEncoding, dataEncoding } = readEncodings(frame)
    if (frame.metadata === undefined) {
      return refuseToken(parts, refuse('auth-bad-token', 'The setup has no metadata, which should have the token'))
    }
    const metadata = decodeMetadata(frame.metadata, metadataEncoding, 'metadata of the setup')
    const token = readAuthorization(textOf(metadata, 'token'))
    if (token === undefined) return refuseToken(parts, refuse('auth-missing', 'The setup has no token'))
    const result = await parts.verify(token)
    if (result.kind === 'refused') return refuseToken(parts, result)
    const revoked = findRevoked(parts.revocations, result.user, undefined)
    if (revoked !== undefined) return refuseToken(parts, revoked)
    const client = { user: result.user, userAgent: textOf(metadata, 'user_agent') ?? userAgent }
    return { kind: 'accepted', client: { ...client, metadataEncoding, dataEncoding } }
  } catch (error) {
    logFailure(parts.log, error, { transport: 'websocket' })
    return refuseSetup(RSOCKET_ERROR.rejectedSetup, formatError(tellError(error)))
  }
}

/** As many connections are open as may be, of this user or of all, or this user sends too many requests. */
export function refuseConnection(error: unknown): SetupRefusal {
  return refuseSetup(RSOCKET_ERROR.rejectedSetup, formatError(tellError(error)))
}

/** What is asked for. Throws `bad-request`, `request-too-large`. */
export function readPath({ metadata }: RequestFrame, { metadataEncoding }: RsocketClient): string | undefined {
  if (metadata === undefined) throw new HeadwaterError('bad-request', 'Cannot read the request: it has no metadata')
  return textOf(decodeMetadata(metadata, metadataEncoding, 'metadata of the request'), 'path')
}

/** Throws `unsupported-media-type`. */
function readEncodings({
  metadataType,
  dataType,
}: SetupFrame): Pick<RsocketClient, 'metadataEncoding' | 'dataEncoding'> {
  const [metadataEncoding, dataEncoding] = [findEncoding(metadataType), findEncoding(dataType)]
  if (metadataEncoding !== undefined && dataEncoding !== undefined) return { metadataEncoding, dataEncoding }
  throw new HeadwaterError(
    'unsupported-media-type',
    `Cannot read the setup: expected application/json or application/bson, got ${JSON.stringify(metadataType)} for ` +
      `metadata and ${JSON.stringify(dataType)} for data`,
  )
}

function textOf(fields: RequestObject, name: string): string | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === 'string' ? value : undefined
}

function refuseToken(parts: SetupParts, refusal: Parameters<typeof noteRefusal>[1]): SetupRefusal {
  noteRefusal(parts, refusal)
  return refuseSetup(RSOCKET_ERROR.rejectedSetup, formatError(tellCode(refusal.code, refusal.message)))
}

function refuseSetup(error: RsocketError, text: string): SetupRefusal {
  return { kind: 'refused', error, text }
}

import { toTokenHolder } from '../auth/revocation.ts'
import type { RevocationWatch } from '../auth/revocations.ts'
import type { StreamsEnd } from '../sync/stream-end.ts'
import { findRevoked } from './authorize.ts'
import { tellCode, tellError, tellNotFound, type ToldError } from './error-response.ts'
import { formatError, formatInterruption } from './error-text.ts'
import type { CloseReason } from './goodbyes.ts'
import type { HttpParts } from './http-parts.ts'
import { logFailure } from './log-failure.ts'
import { noteRefusal } from './refusal.ts'
import {
  type ClientFrame,
  decodeClientFrame,
  encodeComplete,
  encodeError,
  encodeKeepalive,
  RSOCKET_ERROR,
  type RsocketError,
} from './rsocket-frame.ts'
import { readData } from './rsocket-payload.ts'
import {
  acceptSetup,
  readFirstFrame,
  readPath,
  refuseConnection,
  type RequestFrame,
  type RsocketClient,
  type SetupFrame,
} from './rsocket-setup.ts'
import { type Opening, RsocketStream, type StreamSocket } from './rsocket-stream.ts'
import type { Claim } from './shared-room.ts'
import type { StreamPlace } from './stream-places.ts'
import type { SyncStreams } from './sync-streams.ts'

/** Streams of one connection at once; clients use one. */
const STREAMS_MAX = 16

/** Frames that may arrive while the token is verified: clients send their requests without waiting for it. */
const KEPT_FRAMES_MAX = 2 * STREAMS_MAX

/** Answers that wait for a client that asks and does not read. A well-behaved one is owed a few dozen bytes. */
const ANSWER_BYTES_MAX = 64 * 1024

/** A client has so long to introduce itself and to have its token verified. */
const SETUP_TIMEOUT_MS = 15_000

/** How long a client may be silent is what it says itself, within these bounds. */
const LIFETIME_MIN_MS = 1_000
const LIFETIME_MAX_MS = 600_000

/** A stream tells the end of its token itself; a client that keeps the connection for longer loses it. */
const TOKEN_GRACE_MS = 60_000

/** Streams say by themselves that the token was revoked, and then the connection is of no use. */
const REVOKED_GRACE_MS = 1_000

/** Timers cannot run for longer. */
const TIMER_MAX_MS = 0x7fffffff

const STREAM_PATH = '/sync/stream'
const PATH_CHARS_MAX = 100

/** What the signal of a stream is aborted with when its client does not want it any more, or is gone. */
const CANCELLED = Symbol('cancelled')

export type RsocketSocket = StreamSocket & {
  /** Stops and starts taking messages from the client; some may still arrive in between. */
  readonly pause: () => void
  /** The client is known from now on. */
  readonly identified: (userId: string) => void
  readonly resume: () => void
  /** Says goodbye after everything that was sent. */
  readonly close: (reason: CloseReason) => void
  /** Says nothing, and drops what waits to be sent. */
  readonly cutOff: (reason: CloseReason) => void
}

export type ConnectionParts = Pick<
  HttpParts,
  'verify' | 'revocations' | 'nowMs' | 'log' | 'metrics' | 'limits' | 'turns'
> & {
  readonly streams: SyncStreams
  /** Of the HTTP request before. */
  readonly userAgent: string | undefined
}

/** `new`, then `verifying` after SETUP, then `open`; `closed` from everywhere, for good. */
type State =
  | { readonly at: 'new' }
  | { readonly at: 'verifying'; readonly kept: Uint8Array[] }
  | { readonly at: 'open'; readonly client: RsocketClient }
  | { readonly at: 'closed' }

type ActiveStream = {
  readonly stream: RsocketStream
  readonly abort: AbortController
  /** Of its request. */
  readonly memory: Claim
}

/** One RSocket connection: the client says once who it is, and then asks for streams. */
export class RsocketConnection {
  readonly #parts: ConnectionParts
  readonly #socket: RsocketSocket
  #state: State = { at: 'new' }
  readonly #active = new Map<number, ActiveStream>()
  /** Places that this connection holds: as many as it has streams, but one at least while it is open. */
  readonly #places: StreamPlace[] = []
  /** Runs out when the client says nothing. */
  #silence: NodeJS.Timeout
  #tokenEnd: NodeJS.Timeout | undefined
  #revocation: RevocationWatch | undefined
  /** Sent since there last was room. */
  #answerBytes = 0
  #isStopping = false

  constructor(parts: ConnectionParts, socket: RsocketSocket) {
    this.#parts = parts
    this.#socket = socket
    this.#silence = startTimer(SETUP_TIMEOUT_MS, () => this.#close('setup-timeout'))
  }

  /** Takes one binary message, which it may keep. */
  receive(message: Uint8Array): void {
    const state = this.#state
    switch (state.at) {
      case 'new':
        this.#begin(decodeClientFrame(message))
        break
      case 'verifying':
        this.#keep(state.kept, message)
        break
      case 'open':
        this.#silence.refresh()
        this.#handle(decodeClientFrame(message), state.client)
        break
      case 'closed':
        break
    }
  }

  /** So many bytes are sent because the client asked for them, and not as payload. */
  noteAnswer(bytes: number): void {
    this.#answerBytes += bytes
    if (this.#answerBytes > ANSWER_BYTES_MAX) this.#leave('slow-client', this.#socket.cutOff)
  }

  /** The client has read nearly everything. */
  noteRoom(): void {
    this.#answerBytes = 0
  }

  /** Ends every stream in good order, and then the connection. */
  stop(end: StreamsEnd): void {
    this.#isStopping = true
    for (const { abort } of this.#active.values()) abort.abort(end)
    if (this.#active.size === 0) this.#close('stopping')
  }

  /** The socket is closed, whoever did it: everything that the connection holds is given back. */
  closed(): void {
    this.#state = { at: 'closed' }
    clearTimeout(this.#silence)
    clearTimeout(this.#tokenEnd)
    this.#revocation?.close()
    for (const { abort } of this.#active.values()) abort.abort(CANCELLED)
    this.#giveBackPlaces()
  }

  #begin(frame: ClientFrame): void {
    const first = readFirstFrame(frame)
    if (first.kind === 'refused') {
      this.#refuse(first.error, first.text, 'setup-refused')
      return
    }
    this.#state = { at: 'verifying', kept: [] }
    this.#socket.pause()
    void this.#setUp(first)
  }

  /** The boundary of a setup: never rejects. */
  async #setUp(frame: SetupFrame): Promise<void> {
    const result = await acceptSetup(this.#parts, frame, this.#parts.userAgent)
    if (this.#state.at !== 'verifying') return
    this.#socket.resume()
    if (result.kind === 'refused') {
      this.#refuse(result.error, result.text, 'setup-refused')
      return
    }
    const { client } = result
    try {
      await this.#takePlace(client).granted()
    } catch (failure) {
      const { error, text } = refuseConnection(failure)
      this.#refuse(error, text, 'too-many-connections')
      return
    }
    if (this.#state.at !== 'verifying') return
    this.#socket.identified(client.user.userId)
    const { kept } = this.#state
    this.#state = { at: 'open', client }
    this.#startTimers(frame, client)
    for (const message of kept) this.receive(message)
  }

  /** Throws the code of the limit that is reached. */
  #takePlace({ user }: RsocketClient): StreamPlace {
    const place = this.#parts.streams.places.open(user.userId)
    place.hold(1)
    this.#places.push(place)
    return place
  }

  #startTimers({ lifetimeMs }: SetupFrame, { user }: RsocketClient): void {
    clearTimeout(this.#silence)
    this.#silence = startTimer(Math.min(Math.max(lifetimeMs, LIFETIME_MIN_MS), LIFETIME_MAX_MS), () =>
      // It is gone or hangs; a goodbye would wait for it.
      this.#leave('silent-client', this.#socket.cutOff),
    )
    const tokenEndMs = user.expiresAtMs + TOKEN_GRACE_MS - this.#parts.nowMs()
    this.#tokenEnd = startTimer(Math.min(Math.max(tokenEndMs, 0), TIMER_MAX_MS), () => this.#close('token-ended'))
    this.#revocation = this.#parts.revocations.watch(toTokenHolder(user, undefined))
    this.#revocation.listen(() => {
      clearTimeout(this.#tokenEnd)
      this.#tokenEnd = startTimer(REVOKED_GRACE_MS, () => this.#close('token-revoked'))
    })
  }

  #keep(kept: Uint8Array[], message: Uint8Array): void {
    const keptBytes = kept.reduce((sum, { length }) => sum + length, message.length)
    if (kept.length >= KEPT_FRAMES_MAX || keptBytes > this.#parts.limits.requestBytesMax) {
      this.#refuseFrame('more came before the token was verified than is kept')
      return
    }
    kept.push(message)
  }

  #handle(frame: ClientFrame, client: RsocketClient): void {
    switch (frame.kind) {
      case 'request-stream':
        this.#request(frame, client)
        break
      case 'request-n':
        this.#active.get(frame.streamId)?.stream.addCredit(frame.credit)
        break
      case 'keepalive':
        if (frame.mustRespond) this.#answer(encodeKeepalive(frame.data))
        break
      case 'cancel':
        this.#active.get(frame.streamId)?.abort.abort(CANCELLED)
        break
      case 'error':
        if (frame.streamId === 0) this.#close('client-left')
        else this.#active.get(frame.streamId)?.abort.abort(CANCELLED)
        break
      case 'setup':
      case 'resume':
        this.#refuseFrame('the connection is set up already')
        break
      case 'malformed':
        this.#refuseFrame(frame.problem)
        break
      case 'ignored':
        break
    }
  }

  /** The boundary of a request: whatever fails is told on its stream, and logged. */
  #request(frame: RequestFrame, client: RsocketClient): void {
    const { streamId } = frame
    if (this.#active.has(streamId)) {
      this.#refuseFrame(`stream ${streamId} is open already`)
      return
    }
    try {
      const refused = this.#findRefusal(frame, client)
      if (refused === undefined) this.#start(frame, client)
      else this.#answerError(streamId, formatError(refused))
    } catch (error) {
      this.#giveBackPlaces()
      logFailure(this.#parts.log, error, { transport: 'websocket' })
      this.#answerError(streamId, formatError(tellError(error)))
    }
  }

  /** Throws `bad-request`, `request-too-large`. */
  #findRefusal(frame: RequestFrame, client: RsocketClient): ToldError | undefined {
    if (this.#isStopping) return tellCode('shutting-down')
    if (this.#active.size >= STREAMS_MAX) {
      return tellCode('too-many-connections', `A connection can have ${STREAMS_MAX} sync streams at once`)
    }
    const path = readPath(frame, client)
    return path === STREAM_PATH ? undefined : tellNotFound(JSON.stringify(path ?? '').slice(0, PATH_CHARS_MAX))
  }

  /** Throws the code of the limit that is reached. */
  #start(frame: RequestFrame, client: RsocketClient): void {
    const { streamId, credit, data } = frame
    const { requests, frames } = this.#parts.streams
    const { userId } = client.user
    requests.count(userId)
    requests.countBytes(userId, data.length)
    const place = this.#active.size >= this.#places.length ? this.#takePlace(client) : undefined
    const memory = requests.memory.open(userId)
    memory.hold(data.length)
    const abort = new AbortController()
    const stream = new RsocketStream(streamId, credit, { socket: this.#socket, frames }, abort.signal)
    const active = { stream, abort, memory }
    this.#active.set(streamId, active)
    void this.#serve(streamId, active, this.#open(data, client, { ...active, place }))
  }

  /** Throws `bad-request`, `request-too-large`, and the code of the limit that is reached. */
  async #open(
    data: Uint8Array,
    client: RsocketClient,
    { place, abort, memory }: ActiveStream & { readonly place: StreamPlace | undefined },
  ): Promise<Opening> {
    await place?.granted()
    const { user, userAgent, dataEncoding } = client
    const { request, keptBytes } = await readData(data, dataEncoding, this.#parts.turns.begin(user.userId))
    if (abort.signal.aborted) return { kind: 'refused', refused: tellCode('shutting-down') }
    const revoked = findRevoked(this.#parts.revocations, user, request.clientId)
    if (revoked !== undefined) {
      noteRefusal(this.#parts, revoked)
      return { kind: 'refused', refused: tellCode(revoked.code, revoked.message) }
    }
    memory.hold(keptBytes)
    const opened = this.#parts.streams.open(
      { request, user, format: 'bson', keepaliveMs: Infinity },
      {
        transport: 'websocket',
        userAgent,
        signal: abort.signal,
        cutOff: () => this.#leave('token-revoked', this.#socket.cutOff),
      },
    )
    return { kind: 'opened', opened }
  }

  /** From its request to its end. Never rejects. */
  async #serve(streamId: number, active: ActiveStream, opening: Promise<Opening>): Promise<void> {
    const { refused, error, hasSent } = await active.stream.send(opening)
    this.#active.delete(streamId)
    active.memory.release()
    this.#giveBackPlaces()
    if (this.#state.at === 'closed' || active.abort.signal.reason === CANCELLED) return
    if (error !== undefined) {
      logFailure(this.#parts.log, error, { transport: 'websocket', path: STREAM_PATH })
      const failure = tellError(error)
      this.#answerError(streamId, hasSent ? formatInterruption(failure) : formatError(failure))
    } else if (hasSent) {
      this.#answer(encodeComplete(streamId))
    } else {
      // Clients that saw no line would wait for ever after a normal end.
      const why = refused ?? tellCode(this.#isStopping ? 'shutting-down' : 'no-sync-config')
      this.#answerError(streamId, formatError(why))
    }
    if (this.#isStopping && this.#active.size === 0) this.#close('stopping')
  }

  #giveBackPlaces(): void {
    const needed = Math.max(this.#active.size, this.#state.at === 'closed' ? 0 : 1)
    for (const place of this.#places.splice(needed)) place.release()
  }

  #answerError(streamId: number, text: string): void {
    this.#answer(encodeError(streamId, RSOCKET_ERROR.applicationError, text))
  }

  #answer(frame: Uint8Array): void {
    this.#socket.send(frame)
    this.noteAnswer(frame.length)
  }

  #refuseFrame(problem: string): void {
    const text = formatError(tellCode('bad-request', `Cannot go on with this connection: ${problem}`))
    this.#refuse(RSOCKET_ERROR.connectionError, text, 'protocol-error')
  }

  /** Tells why the whole connection ends. */
  #refuse(error: RsocketError, text: string, reason: CloseReason): void {
    this.#socket.send(encodeError(0, error, text))
    this.#close(reason)
  }

  #close(reason: CloseReason): void {
    this.#leave(reason, this.#socket.close)
  }

  #leave(reason: CloseReason, leave: (reason: CloseReason) => void): void {
    if (this.#state.at === 'closed') return
    this.closed()
    leave(reason)
  }
}

function startTimer(delayMs: number, onTimeout: () => void): NodeJS.Timeout {
  return setTimeout(onTimeout, delayMs).unref()
}

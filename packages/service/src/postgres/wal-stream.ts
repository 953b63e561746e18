import type { Readable } from 'node:stream'
import { setImmediate, setTimeout as pause } from 'node:timers/promises'
import { HeadwaterError } from '@headwater/protocol'
import { QUERY_TIMEOUT_MS, type Session } from './connection.ts'
import { formatLsn, type Lsn, LSN_ZERO } from './lsn.ts'
import { COALESCE_MS, FIRST_PACE, isBusy, isSteady, LARGE_READ_BYTES, stepReadPace } from './read-pace.ts'
import { quoteIdentifier, quoteLiteral, toSourceError } from './source-error.ts'
import {
  encodeStandbyStatus,
  KEEPALIVE,
  readKeepalive,
  readServerEnd,
  X_LOG_DATA,
  X_LOG_DATA_HEADER,
} from './stream-protocol.ts'

/**
 * What has arrived since the last read: pgoutput messages one after the other, each behind its length.
 *
 *     length:int32  message  length:int32  message …   up to `end`
 */
export type WalBytes = {
  readonly bytes: Buffer
  readonly end: number
  /** Everything before this position that concerns us is in here or came earlier. From keepalives; else 0. */
  readonly sentUpTo: Lsn
}

export type WalStreamOptions = {
  readonly slot: string
  readonly publication: string
  /** Where to start; 0: where the slot stands. */
  readonly from: Lsn
  /** The server's wal_sender_timeout; 0 when it has none. */
  readonly senderTimeoutMs: number
  readonly now: () => number
}

export type WalStream = AsyncDisposable & {
  /** Waits for data. Undefined when `signal` aborted. Throws `source-…` errors when the connection is lost. */
  readonly read: (signal: AbortSignal) => Promise<WalBytes | undefined>
  /** True when `read` would return at once. */
  readonly hasData: () => boolean
  /** Gives what a busy server is sending the time to arrive; returns at once when it has sent little. */
  readonly waitForMore: () => Promise<void>
  /** Everything up to here is durable; reported to the server by and by. Never moves back. */
  readonly acknowledge: (durable: Lsn) => void
  readonly readPositions: () => WalPositions
  /** Asks the server to say how far it has read its log; soon `serverEnd` knows. */
  readonly askPosition: () => void
}

export type WalPositions = {
  readonly serverEnd: Lsn
  readonly acknowledged: Lsn
  readonly bytesReceived: number
  readonly lastHeardAtMs: number
}

/** Unread bytes above which the socket is paused, and below which it goes on. */
const BUFFER_MAX_BYTES = 8 * 1024 * 1024
const STATUS_INTERVAL_MS = 10_000
/** Postgres' own default. A server that has none still answers, and a dead connection must be noticed all the same. */
const SENDER_TIMEOUT_MS = 60_000
const ARENA_BYTES_MIN = 64 * 1024

/** Memory outside of the heap makes V8 collect garbage, so little data does not take an arena each time. */
const ROOM_BYTES_MIN = 8 * 1024

/** Starts streaming on a replication session, which it owns from then on. */
export async function openWalStream(session: Session, options: WalStreamOptions): Promise<WalStream> {
  const { client } = session
  const command =
    `START_REPLICATION SLOT ${quoteIdentifier(options.slot)} LOGICAL ${formatLsn(options.from)} ` +
    `(proto_version '1', publication_names ${quoteLiteral(quoteIdentifier(options.publication))}, messages 'true')`
  const { promise: started, resolve } = Promise.withResolvers<void>()
  client.connection.once('replicationStart', resolve)
  const stream = createStream(session, options)
  const ended = client.query(command).then(
    () => stream.fail(new HeadwaterError('source-unreachable', 'Cannot read on: the server ended the stream.')),
    (error: unknown) => {
      const translated = toSourceError(error, session.source)
      stream.fail(translated)
      throw translated
    },
  )
  ended.catch(() => undefined)
  try {
    using _ = session.expectAnswer(QUERY_TIMEOUT_MS)
    await Promise.race([started, ended, session.lost])
  } catch (error) {
    client.connection.off('replicationStart', resolve)
    stream.detach()
    throw error
  }
  stream.start()
  return stream
}

type StartableStream = WalStream & {
  readonly start: () => void
  readonly detach: () => void
  readonly fail: (error: HeadwaterError) => void
}

function createStream(session: Session, options: WalStreamOptions): StartableStream {
  const { now } = options
  const senderTimeoutMs = options.senderTimeoutMs === 0 ? SENDER_TIMEOUT_MS : options.senderTimeoutMs
  const { connection } = session.client
  const socket: Readable = connection.stream
  let arena: Buffer = Buffer.allocUnsafe(ARENA_BYTES_MIN)
  let end = 0
  let sentUpTo = LSN_ZERO
  let serverEnd = LSN_ZERO
  let acknowledged = options.from
  let bytesReceived = 0
  let lastHeardAtMs = now()
  let pace = FIRST_PACE
  let wasLarge = false
  let isFull = false
  let resumeTimer: NodeJS.Timeout | undefined
  let statusTimer: NodeJS.Timeout | undefined
  let failure: HeadwaterError | undefined
  let wake: (() => void) | undefined

  const sendStatus = (isReplyWanted: boolean): void => {
    sendCopyData(session, encodeStandbyStatus(acknowledged, now(), isReplyWanted))
  }

  const fail = (error: HeadwaterError): void => {
    failure ??= error
    clearInterval(statusTimer)
    clearTimeout(resumeTimer)
    wake?.()
  }

  const mustWait = (): boolean => end === 0 && sentUpTo === LSN_ZERO && failure === undefined

  const append = (chunk: Buffer): void => {
    const length = chunk.length - X_LOG_DATA_HEADER
    if (end + 4 + length > arena.length) {
      const larger = Buffer.allocUnsafe(Math.max(ARENA_BYTES_MIN, arena.length * 2, end + 4 + length))
      arena.copy(larger, 0, 0, end)
      arena = larger
    }
    arena.writeUInt32BE(length, end)
    chunk.copy(arena, end + 4, X_LOG_DATA_HEADER)
    end += 4 + length
  }

  const onCopyData = ({ chunk }: { readonly chunk: Buffer }): void => {
    if (chunk[0] === X_LOG_DATA) {
      append(chunk)
      serverEnd = later(serverEnd, readServerEnd(chunk))
    } else if (chunk[0] === KEEPALIVE) {
      const keepalive = readKeepalive(chunk)
      serverEnd = later(serverEnd, keepalive.serverEnd)
      sentUpTo = later(sentUpTo, keepalive.serverEnd)
      if (keepalive.isReplyRequested) sendStatus(false)
    }
  }

  const onData = (data: Buffer): void => {
    bytesReceived += data.length
    lastHeardAtMs = now()
    pace = stepReadPace(pace, performance.now())
    wasLarge = data.length >= LARGE_READ_BYTES
    if (end >= BUFFER_MAX_BYTES) {
      isFull = true
      socket.pause()
    } else if (isBusy(pace) && !wasLarge && resumeTimer === undefined) {
      socket.pause()
      resumeTimer = setTimeout(() => {
        resumeTimer = undefined
        if (!isFull) socket.resume()
      }, COALESCE_MS)
    }
    wake?.()
  }

  /** Runs whatever storage does, so that a slow disk never looks like a dead consumer. */
  const onStatusDue = (): void => {
    const silentMs = now() - lastHeardAtMs
    if (!isFull && silentMs > 2 * senderTimeoutMs) {
      fail(
        new HeadwaterError(
          'source-unreachable',
          `Cannot read on: nothing was heard from the server for ${Math.round(silentMs / 1000)} s, so the connection is dead.`,
        ),
      )
      session.destroy()
      return
    }
    sendStatus(silentMs > senderTimeoutMs / 2)
  }

  connection.on('copyData', onCopyData)
  session.lost.catch((error: unknown) => fail(toSourceError(error, session.source)))

  const detach = (): void => {
    connection.off('copyData', onCopyData)
    socket.off('data', onData)
  }

  return {
    fail,
    detach,
    start: () => {
      // After the driver's own listener: by then the messages of this piece of data are in the arena.
      socket.on('data', onData)
      statusTimer = setInterval(onStatusDue, Math.min(STATUS_INTERVAL_MS, senderTimeoutMs / 3))
      wake?.()
    },
    hasData: () => end > 0 || sentUpTo > LSN_ZERO,
    waitForMore: async () => {
      if (!(isSteady(pace) || wasLarge) || end > 0) return
      if (resumeTimer !== undefined) await pause(COALESCE_MS)
      // Sockets are read before this comes back.
      await setImmediate()
    },
    read: async (signal) => {
      while (mustWait() && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        const stopWaiting = (): void => resolve()
        wake = stopWaiting
        signal.addEventListener('abort', stopWaiting, { once: true })
        await promise
        signal.removeEventListener('abort', stopWaiting)
        wake = undefined
      }
      if (signal.aborted) return undefined
      if (failure !== undefined) throw failure
      const taken: WalBytes = { bytes: arena, end, sentUpTo }
      arena = roomBehind(taken)
      end = 0
      sentUpTo = LSN_ZERO
      if (isFull) {
        isFull = false
        if (resumeTimer === undefined) socket.resume()
      }
      return taken
    },
    acknowledge: (durable) => {
      acknowledged = later(acknowledged, durable)
    },
    readPositions: () => ({ serverEnd, acknowledged, bytesReceived, lastHeardAtMs }),
    askPosition: () => sendStatus(true),
    [Symbol.asyncDispose]: async () => {
      const isAlive = failure === undefined
      fail(new HeadwaterError('source-unreachable', 'Cannot read on: the stream was closed.'))
      if (isAlive) sendStatus(false)
      detach()
      socket.resume()
      if (isAlive) await sayGoodbye(session)
      await session[Symbol.asyncDispose]()
    },
  }
}

/** For as much as came last time: the rest of that arena, or a new one. */
function roomBehind({ bytes, end }: WalBytes): Buffer {
  if (bytes.length - end >= Math.max(ROOM_BYTES_MIN, end)) return bytes.subarray(end)
  return Buffer.allocUnsafe(Math.max(ARENA_BYTES_MIN, Math.min(end, BUFFER_MAX_BYTES)))
}

/** CopyDone and Terminate. */
const GOODBYE = Buffer.from('63000000045800000004', 'hex')
const GOODBYE_MAX_MS = 1_000

/** Lets the server give the slot free at once, instead of when it notices that nobody reads. */
async function sayGoodbye(session: Session): Promise<void> {
  const { stream } = session.client.connection
  if (!stream.writable) return
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.once('close', () => resolve())
  const timer = setTimeout(resolve, GOODBYE_MAX_MS)
  stream.end(GOODBYE)
  await promise
  clearTimeout(timer)
}

/** The driver can send copy data, but its types do not say so. */
function sendCopyData(session: Session, message: Buffer): void {
  const frame = Buffer.allocUnsafe(5 + message.length)
  frame[0] = 0x64
  frame.writeUInt32BE(4 + message.length, 1)
  message.copy(frame, 5)
  const { stream } = session.client.connection
  if (stream.writable) stream.write(frame)
}

function later(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}

import { decodeBsonLine, decodeLine, HeadwaterError, splitBson, splitNdjson } from '@headwater/protocol'
import type { Line, Operation, OperationBatch, UnknownLine } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { DataLine } from '../store/data.ts'
import type { OpenStream } from './service-client.ts'

/** What comes off a stream: several data lines at once, or one line of another kind. */
export type StreamItem =
  | { readonly kind: 'data'; readonly lines: readonly DataLine[] }
  | { readonly kind: 'line'; readonly line: Line | UnknownLine }

/** How much data is taken into one transaction. */
export type BatchLimits = { readonly characters: number; readonly delayMs: number }

export const BATCH_LIMITS: BatchLimits = { characters: 4 * 1024 * 1024, delayMs: 50 }

/** The service speaks every 20 s at least; after twice that, and a little, nobody is there. */
export const SILENCE_MAX_MS = 45_000

/** Reads a response line by line. Data lines that come close together are handed on together. */
export function readStream(
  stream: OpenStream,
  parts: { readonly clock: Clock; readonly signal: AbortSignal; readonly limits?: BatchLimits },
): AsyncGenerator<StreamItem, void, undefined> {
  const chunks = readChunks(stream.body, parts)
  const items = stream.format === 'bson' ? readBson(chunks) : readNdjson(chunks)
  return inBatches(items, { clock: parts.clock, limits: parts.limits ?? BATCH_LIMITS })
}

type SingleItem = { readonly kind: 'datum'; readonly line: DataLine } | Extract<StreamItem, { kind: 'line' }>

async function* readNdjson(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SingleItem, void, undefined> {
  for await (const text of splitNdjson(chunks)) {
    const bucket = bucketOfDataLine(text)
    if (bucket !== undefined) yield { kind: 'datum', line: { bucket, text } }
    else yield toItem(decodeLine(text))
  }
}

async function* readBson(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SingleItem, void, undefined> {
  for await (const bytes of splitBson(chunks)) yield toItem(decodeBsonLine(bytes))
}

function toItem(line: Line | UnknownLine): SingleItem {
  return line.kind === 'data'
    ? { kind: 'datum', line: { bucket: line.batch.bucket, text: formatDataLine(line.batch) } }
    : { kind: 'line', line }
}

const DATA_LINE = /^\{"data":\{"bucket":("(?:[^"\\]|\\.)*"),/

/** The bucket of a data line as services write it, without reading the rest; undefined for any other line. */
function bucketOfDataLine(text: string): string | undefined {
  const name = DATA_LINE.exec(text)?.[1]
  if (name === undefined) return undefined
  const bucket: unknown = JSON.parse(name)
  return typeof bucket === 'string' ? bucket : undefined
}

function formatDataLine(batch: OperationBatch): string {
  return JSON.stringify({ data: { bucket: batch.bucket, data: batch.operations.map(formatOperation) } })
}

function formatOperation(operation: Operation): object {
  const { checksum } = operation
  const shared = { op_id: String(operation.opId), op: operation.kind.toUpperCase(), checksum }
  if (operation.kind === 'move' || operation.kind === 'clear') return shared
  const row = { ...shared, object_type: operation.type, object_id: operation.id, subkey: operation.subkey }
  return operation.kind === 'put' ? { ...row, data: operation.data } : row
}

/**
 * Hands data on when it is enough, when it has waited long enough, or when something else comes. The next line is
 * already being fetched while the one before is dealt with.
 */
async function* inBatches(
  items: AsyncGenerator<SingleItem, void, undefined>,
  parts: { readonly clock: Clock; readonly limits: BatchLimits },
): AsyncGenerator<StreamItem, void, undefined> {
  const { limits } = parts
  let lines: DataLine[] = []
  let characters = 0
  let next = items.next()
  // Whoever awaits it hears of a failure; until then it must not count as unhandled.
  next.catch(() => undefined)
  for (;;) {
    let result: Awaited<typeof next> | 'late'
    try {
      result = lines.length === 0 ? await next : await within(next, limits.delayMs, parts)
    } catch (error) {
      // What came before it broke is whole, and need not come again.
      if (lines.length > 0) yield { kind: 'data', lines }
      throw error
    }
    if (result === 'late') {
      yield { kind: 'data', lines }
      lines = []
      characters = 0
      continue
    }
    if (result.done) break
    next = items.next()
    next.catch(() => undefined)
    if (result.value.kind === 'datum') {
      lines.push(result.value.line)
      characters += result.value.line.text.length
      if (characters < limits.characters) continue
    }
    if (lines.length > 0) yield { kind: 'data', lines }
    lines = []
    characters = 0
    if (result.value.kind === 'line') yield result.value
  }
  if (lines.length > 0) yield { kind: 'data', lines }
}

async function within<T>(promise: Promise<T>, limitMs: number, parts: { readonly clock: Clock }): Promise<T | 'late'> {
  const done = new AbortController()
  const limit = parts.clock.wait(limitMs, done.signal).then(() => 'late' as const)
  try {
    return await Promise.race([promise, limit])
  } finally {
    done.abort()
  }
}

/**
 * Ends when `signal` aborts; some environments do not cancel a body by the signal of its request. Throws
 * `sync-interrupted` after a long silence: of bytes, since a huge row on a slow line takes as long as it takes.
 */
async function* readChunks(
  body: ReadableStream<Uint8Array>,
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = parts
  const reader = body.getReader()
  const cancel = () => {
    reader.cancel().catch(() => undefined)
  }
  signal.addEventListener('abort', cancel, { once: true })
  try {
    for (;;) {
      const result = await within(reader.read(), SILENCE_MAX_MS, parts)
      if (result === 'late') throw silence()
      if (result.done) return
      yield result.value
    }
  } finally {
    signal.removeEventListener('abort', cancel)
    cancel()
  }
}

function silence(): HeadwaterError {
  return new HeadwaterError(
    'sync-interrupted',
    `Cannot go on: the service has said nothing for ${SILENCE_MAX_MS / 1000} seconds`,
  )
}

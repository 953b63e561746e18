import { encodeBson } from './bson.ts'
import { type CheckpointLine, encodeCheckpointLine } from './encode-checkpoint-line.ts'
import type { Line } from './line.ts'
import { escapeLineEnds } from './ndjson.ts'
import type { JsonObject } from './request.ts'

/** How lines are framed: JSON texts ended by a line feed, or BSON documents back to back. */
export type LineFormat = 'ndjson' | 'bson'

/** Every line but those with operations, which `encodeDataLine` assembles from bytes that are encoded already. */
export type ControlLine = Exclude<Line, { readonly kind: 'data' }>

/** One whole line: ends with a line feed in `ndjson`, is one document in `bson`. */
export function encodeLine(line: ControlLine, format: LineFormat): Uint8Array {
  if (line.kind === 'checkpoint' || line.kind === 'checkpoint-diff') return encodeAtOnce(line, format)
  const wire = toWire(line)
  return format === 'bson' ? encodeBson(wire) : utf8.encode(`${escapeLineEnds(JSON.stringify(wire))}\n`)
}

function encodeAtOnce(line: CheckpointLine, format: LineFormat): Uint8Array {
  const steps = encodeCheckpointLine(line, format)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return joined(step.value)
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only, ...others] = pieces
  if (only !== undefined && others.length === 0) return only
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

const utf8 = new TextEncoder()

function toWire(line: Exclude<ControlLine, CheckpointLine>): JsonObject {
  switch (line.kind) {
    case 'checkpoint-complete':
      return { checkpoint_complete: { last_op_id: `${line.lastOpId}` } }
    case 'partial-checkpoint-complete':
      return { partial_checkpoint_complete: { last_op_id: `${line.lastOpId}`, priority: line.priority } }
    case 'token-expires-in':
      return { token_expires_in: line.seconds }
    case 'stream-error':
      return { stream_error: { code: line.code, message: line.message, ...retryAfterToWire(line) } }
    case 'stream-end':
      return { stream_end: { reason: line.reason.replaceAll('-', '_'), ...retryAfterToWire(line) } }
  }
}

function retryAfterToWire({ retryAfterMs }: { readonly retryAfterMs?: number }): JsonObject {
  return retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }
}

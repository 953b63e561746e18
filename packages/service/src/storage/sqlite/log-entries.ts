import { type LogEntry, NO_TARGET } from '../compact.ts'
import type { Run } from './run.ts'

/**
 * The operations of a run as compaction looks at them. Reads no more of their JSON than it must: what stands where is
 * said in `formatOperation`. Throws a RangeError when the bytes are not what that writes.
 */
export function readEntries(run: Run): LogEntry[] {
  const { opIds, sums, ends, targets } = run.index
  const payload = Buffer.from(run.payload.buffer, run.payload.byteOffset, run.payload.byteLength)
  const entries: LogEntry[] = []
  let from = 0
  let sumBefore = 0
  for (let n = 0; n < opIds.length; n++) {
    const opId = opIds[n] ?? 0
    const sum = sums[n] ?? 0
    const checksum = (sum - sumBefore) >>> 0
    const kindAt = from + OP_ID_FRAME + String(opId).length
    const kind = KINDS.get(payload[kindAt])
    if (kind === undefined) throw new RangeError('A stored operation is of no known kind')
    entries.push(
      kind === 'move' || kind === 'clear'
        ? { kind, opId, checksum, target: targets?.[n] ?? NO_TARGET }
        : { kind, opId, checksum, row: readRow(payload, kindAt + TYPE_FRAME[kind]) },
    )
    from = ends[n] ?? from
    sumBefore = sum
  }
  return entries
}

/** By the first letter, which tells them apart. */
const KINDS: ReadonlyMap<number | undefined, LogEntry['kind']> = new Map([
  [0x50, 'put'],
  [0x52, 'remove'],
  [0x4d, 'move'],
  [0x43, 'clear'],
])

const OP_ID_HEAD = '{"op_id":"'
/** What stands around the op id, before the kind. */
const OP_ID_FRAME = OP_ID_HEAD.length + '","op":"'.length
/** From the kind to the type. */
const TYPE_FRAME = { put: 'PUT","object_type":"'.length, remove: 'REMOVE","object_type":"'.length }
const ID_FRAME = '","object_id":"'.length
const CHECKSUM_FRAME = '","checksum":'.length
const SUBKEY_FRAME = ',"subkey":"'.length

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/** Type, id and subkey as they are written, with what stands between type and id: no other three read like that. */
function readRow(payload: Buffer, typeAt: number): string {
  const idEnd = endOfText(payload, endOfText(payload, typeAt) + ID_FRAME)
  const subkeyAt = payload.indexOf(COMMA, idEnd + CHECKSUM_FRAME) + SUBKEY_FRAME
  const subkeyEnd = endOfText(payload, subkeyAt)
  return payload.toString('latin1', typeAt, idEnd) + payload.toString('latin1', subkeyAt - 1, subkeyEnd)
}

/**
 * May the row, as `readEntries` names it, be put into its bucket once more? If its key is one of those that begin so and
 * go on with its id: see `Delta.soleSources`.
 */
export function isOfSoleSource(row: string, soleSources: ReadonlySet<string>): boolean {
  const idFrom = endOfName(row, 0) + ID_FRAME
  const idEnd = endOfName(row, idFrom)
  const key = row.slice(idEnd + 1)
  const identityFrom = key.indexOf(':') + 1
  return soleSources.has(key.slice(0, identityFrom)) && key.slice(identityFrom) === row.slice(idFrom, idEnd)
}

/** As `endOfText`; the end of the row where there is none. */
function endOfName(row: string, from: number): number {
  let at = from
  while (at < row.length && row[at] !== '"') at += row[at] === '\\' ? 2 : 1
  return at
}

/** The JSON of operation `n` of a run, with another op id. */
export function renumber(run: Run, n: number, opId: number): string {
  const { opIds, ends } = run.index
  const from = ends[n - 1] ?? 0
  // Without the comma.
  const json = Buffer.from(run.payload.subarray(from, (ends[n] ?? from) - 1)).toString()
  return `${OP_ID_HEAD}${opId}${json.slice(OP_ID_HEAD.length + String(opIds[n]).length)}`
}

/** Where the quote stands that ends a JSON text. */
function endOfText(payload: Buffer, from: number): number {
  let at = from
  for (;;) {
    const byte = payload[at]
    if (byte === QUOTE) return at
    if (byte === undefined) throw new RangeError('A stored operation ends too early')
    at += byte === BACKSLASH ? 2 : 1
  }
}

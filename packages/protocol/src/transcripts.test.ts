import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeBson, encodeBson } from './bson.ts'
import {
  addChecksums,
  type Checksum,
  CHECKSUM_ZERO,
  subtractChecksums,
  toChecksum,
  toSignedChecksum,
} from './checksum.ts'
import { decodeBsonLine, decodeLine } from './decode-line.ts'
import { decodeSyncRequest } from './decode-request.ts'
import { encodeBsonElements, encodeDataLine } from './encode-data-line.ts'
import { encodeLine } from './encode-line.ts'
import { encodeOperation, type OperationFormat } from './encode-operation.ts'
import { encodeSyncRequest } from './encode-request.ts'
import type { BucketEntry, Line, OperationBatch } from './line.ts'
import { OP_ID_ZERO } from './op-id.ts'
import type { BucketName, Operation } from './operation.ts'
import type { RequestObject } from './request.ts'

type Transcript = { readonly name: string; readonly requests: string[]; readonly lines: string[] }

const transcripts = readTranscripts()
const NESTED = 'a client that wants nested data'
const lines = transcripts.filter(({ name }) => name !== NESTED).flatMap(({ lines }) => lines)

describe('a recorded line', () => {
  test.each(lines)('is the same text after decoding and encoding: %s', (text) => {
    // Some services write the absent data of a REMOVE as null; leaving it out says the same.
    expect(encodeAnyLine(known(text), 'ndjson').toString()).toBe(`${text.replaceAll(',"data":null}', '}')}\n`)
  })

  test.each(lines)('means the same in BSON: %s', (text) => {
    const line = known(text)
    const bytes = encodeAnyLine(line, 'bson')
    expect(decodeBsonLine(bytes)).toEqual(line)
    expect(withoutNulls(decodeBson(bytes))).toEqual(withoutNulls(JSON.parse(text)))
  })
})

test('[protocol 27] nested data is the stored text to the byte, so that large integers and 1.0 survive', () => {
  const subkeys = ['3b3ea1ed-dc99-533a-9095-3202cde353eb', '3af91ba3-1fe5-50a9-9690-0abc4315e7cd']
  const first = known(
    `{"data":{"bucket":"by_user[\\"u1\\"]","after":"0","has_more":false,"data":[{"op_id":"80","op":"PUT","object_type":"measurements","object_id":"9007199254740993","checksum":2091594546,"subkey":"${subkeys[0]}","data":"{\\"id\\":\\"9007199254740993\\",\\"v\\":1.0,\\"n\\":9007199254740993,\\"flag\\":1,\\"note\\":null}"},{"op_id":"81","op":"REMOVE","object_type":"measurements","object_id":"7","checksum":1532183718,"subkey":"${subkeys[1]}"}],"next_after":"81"}}`,
  )
  const recorded = transcripts.find(({ name }) => name === NESTED)?.lines[1]
  expect(encodeAnyLine(first, 'ndjson-nested').toString()).toBe(`${recorded}\n`)
})

describe('a recorded request', () => {
  const requests = transcripts.flatMap(({ requests }) => requests)

  test.each(requests.filter((text) => text.includes('client_id')))(
    'is the same after decoding and encoding: %s',
    (text) => {
      const again = JSON.stringify(encodeSyncRequest(decodeSyncRequest(JSON.parse(text))))
      expect(again).toBe(text.replaceAll('"parameters":null', '"parameters":{}'))
    },
  )

  test.each(requests)('means the same in BSON: %s', (text) => {
    const json = JSON.parse(text)
    expect(decodeSyncRequest(decodeBson(encodeBson(json)))).toEqual(decodeSyncRequest(json))
  })

  test('of the oldest clients asks for nested data and the default streams', () => {
    expect(decodeSyncRequest({ buckets: [], include_checksum: true })).toEqual({
      buckets: [],
      clientId: undefined,
      parameters: {},
      appMetadata: {},
      rawData: false,
      includeDefaults: true,
      namesStreams: false,
      subscriptions: [],
    })
  })
})

describe('checksums', () => {
  const vectors: readonly (readonly [text: string, checksum: number, signed: number])[] = [
    ['put.test.t1.{"id":"t1","description":"Test 1"}', 920318466, 920318466],
    ['put.test.t1.{"id":"t1","description":"sync"}', 3073684892, -1221282404],
    ['put.lists.L1.{"id":"L1","name":"Groceries","owner_id":"u1"}', 3687929421, -607037875],
    ['put.lists.L2.{"id":"L2","name":"Zoë 🛒","owner_id":"u1"}', 1172772216, 1172772216],
    [
      'put.measurements.9007199254740993.{"id":"9007199254740993","v":1.0,"n":9007199254740993,"flag":1,"note":null}',
      2091594546,
      2091594546,
    ],
    ['put.a.b.c.{}', 2192435702, -2102531594],
    ['delete.02d285ac-4f96-5124-8fba-c6d1df992dd1', 222637849, 222637849],
    ['delete.', 3472646803, -822320493],
  ]

  test.each(vectors)(
    '[protocol 57] the text %s has its recorded sum, unsigned and signed',
    (text, checksum, signed) => {
      expect(sha256Checksum(text)).toBe(checksum)
      expect(toSignedChecksum(toChecksum(checksum))).toBe(signed)
      expect(toChecksum(signed)).toBe(checksum)
    },
  )

  const [v1, v3, v4, v7] = [920318466, 3687929421, 1172772216, 222637849]
  test.each([
    [[v3], 3687929421, -607037875],
    [[v3, v4], 565734341, 565734341],
    [[v3, v4, v1], 1486052807, 1486052807],
    [[v3, v3, v7, v7], 3526167244, -768800052],
  ])('[protocol 33, 57] %j add up modulo 2^32 and go over the wire signed', (parts, sum, signed) => {
    const total = parts.map(toChecksum).reduce(addChecksums, CHECKSUM_ZERO)
    expect(total).toBe(sum)
    expect(toSignedChecksum(total)).toBe(signed)
    expect(parts.map(toChecksum).reduce(subtractChecksums, total)).toBe(0)
  })

  test('every recorded PUT and REMOVE has the sum of its content', () => {
    for (const operation of operationsOf(lines)) {
      if (operation.kind === 'put') {
        expect(sha256Checksum(`put.${operation.type}.${operation.id}.${operation.data}`)).toBe(operation.checksum)
      } else if (operation.kind === 'remove') {
        expect(sha256Checksum(`delete.${operation.subkey}`)).toBe(operation.checksum)
      }
    }
  })

  test.each(transcripts.filter(({ name }) => name !== NESTED))(
    'of the buckets are met at every completion of: $name',
    ({ lines }) => {
      expect(followSums(lines)).toEqual([])
    },
  )
})

test('[protocol 25] recorded BSON documents are reproduced to the byte', () => {
  const documents: readonly (readonly [text: string, hex: string])[] = [
    ['{"token_expires_in":60}', '1b00000010746f6b656e5f657870697265735f696e003c00000000'],
    [
      '{"checkpoint_complete":{"last_op_id":"10"}}',
      '3200000003636865636b706f696e745f636f6d706c6574650018000000026c6173745f6f705f696400030000003130000000',
    ],
    [
      '{"checkpoint_diff":{"last_op_id":"22","write_checkpoint":"1","removed_buckets":[],"updated_buckets":[]}}',
      '7200000003636865636b706f696e745f64696666005c000000026c6173745f6f705f6964000300000032320002777269' +
        '74655f636865636b706f696e74000200000031000472656d6f7665645f6275636b657473000500000000047570646174' +
        '65645f6275636b65747300050000000000' +
        '00',
    ],
  ]
  for (const [text, hex] of documents) {
    expect(encodeAnyLine(known(text), 'bson').toString('hex')).toBe(hex)
    expect(decodeBsonLine(Buffer.from(hex, 'hex'))).toEqual(known(text))
  }
})

function readTranscripts(): readonly Transcript[] {
  const text = readFileSync(join(import.meta.dirname, '../fixtures/transcripts.txt'), 'utf8')
  const found: Transcript[] = []
  for (const line of text.split('\n')) {
    const rest = line.slice(2)
    if (line.startsWith('= ')) found.push({ name: rest, requests: [], lines: [] })
    else if (line.startsWith('> ')) found.at(-1)?.requests.push(rest)
    else if (line.startsWith('< ')) found.at(-1)?.lines.push(rest)
  }
  return found
}

function known(text: string): Line {
  const line = decodeLine(text)
  if (line.kind === 'unknown') throw new Error(`unknown line ${line.wireKind}`)
  return line
}

function encodeAnyLine(line: Line, format: OperationFormat): Buffer {
  if (line.kind === 'data') return encodeBatch(line.batch, format)
  return Buffer.from(encodeLine(line, format === 'bson' ? 'bson' : 'ndjson'))
}

function encodeBatch(batch: OperationBatch, format: OperationFormat): Buffer {
  const encoded = batch.operations.map((operation) => Buffer.from(encodeOperation(operation, format)))
  const comma = Buffer.from(',')
  const body =
    format === 'bson'
      ? [encodeBsonElements(encoded, 0)]
      : encoded.flatMap((bytes, index) => (index === 0 ? [bytes] : [comma, bytes]))
  return Buffer.concat(encodeDataLine(batch, { body }, format))
}

function withoutNulls(value: RequestObject): unknown {
  return JSON.parse(JSON.stringify(value, (_key, item) => (item === null ? undefined : item)))
}

function sha256Checksum(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE(0)
}

function operationsOf(lines: readonly string[]): readonly Operation[] {
  return lines.map(known).flatMap((line) => (line.kind === 'data' ? line.batch.operations : []))
}

/**
 * Adds up what arrives, as a client does, and compares at every full completion: the buckets that differ.
 * Buckets whose beginning is not in the transcript are left out.
 */
function followSums(lines: readonly string[]): readonly BucketName[] {
  const sums = new Map<BucketName, Checksum>()
  const announced = new Map<BucketName, BucketEntry>()
  const mismatches: BucketName[] = []
  for (const line of lines.map(known)) {
    if (line.kind === 'checkpoint') {
      announced.clear()
      for (const entry of line.checkpoint.buckets) announced.set(entry.bucket, entry)
    } else if (line.kind === 'checkpoint-diff') {
      for (const entry of line.diff.updatedBuckets) announced.set(entry.bucket, entry)
    } else if (line.kind === 'data') {
      const { bucket, after, operations } = line.batch
      if (after === OP_ID_ZERO) sums.set(bucket, CHECKSUM_ZERO)
      for (const { kind, checksum } of operations) {
        const before = kind === 'clear' ? CHECKSUM_ZERO : sums.get(bucket)
        if (before !== undefined) sums.set(bucket, addChecksums(before, checksum))
      }
    } else if (line.kind === 'checkpoint-complete') {
      for (const [bucket, sum] of sums) {
        const entry = announced.get(bucket)
        if (entry !== undefined && entry.checksum !== sum) mismatches.push(bucket)
      }
    }
  }
  return mismatches
}

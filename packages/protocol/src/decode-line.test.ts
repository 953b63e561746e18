import { describe, expect, test } from 'vitest'
import { decodeBsonLine, decodeLine } from './decode-line.ts'
import { encodeLine } from './encode-line.ts'
import { encodeOperation } from './encode-operation.ts'
import { toChecksum } from './checksum.ts'
import { toOpId } from './op-id.ts'
import { toBucketName } from './operation.ts'

describe('a line', () => {
  test('[protocol 88] of a kind this version does not know is told apart, not refused', () => {
    expect(decodeLine('{"from_the_future":{"x":1}}')).toEqual({ kind: 'unknown', wireKind: 'from_the_future' })
  })

  test.each([
    { kind: 'stream-error', code: 'PSYNC_S2305', message: 'too many', retryAfterMs: 1500 },
    { kind: 'stream-error', code: 'PSYNC_S2103', message: '' },
    { kind: 'stream-end', reason: 'config-changed', retryAfterMs: 0 },
    { kind: 'stream-end', reason: 'token-expired' },
    { kind: 'stream-end', reason: 'token-revoked' },
    { kind: 'stream-end', reason: 'shutdown', retryAfterMs: 5250 },
  ] as const)('that says why nothing follows is read back as it was written: %o', (line) => {
    expect(decodeLine(new TextDecoder().decode(encodeLine(line, 'ndjson')))).toEqual(line)
    expect(decodeBsonLine(encodeLine(line, 'bson'))).toEqual(line)
  })

  test('that says why nothing follows may say little, or what this version does not know', () => {
    expect(decodeLine('{"stream_error":{}}')).toEqual({ kind: 'stream-error', code: '', message: '' })
    expect(decodeLine('{"stream_end":{"reason":"moved","to":"there"}}')).toEqual({
      kind: 'stream-end',
      reason: 'other',
    })
  })

  test('[protocol 91] may leave out what old services do not send: priorities, subscriptions, streams', () => {
    const line = decodeLine('{"checkpoint":{"last_op_id":"3","buckets":[{"bucket":"a","checksum":5}],"future":1}}')
    expect(line).toEqual({
      kind: 'checkpoint',
      checkpoint: {
        lastOpId: 3n,
        writeCheckpoint: undefined,
        buckets: [{ bucket: 'a', checksum: 5, count: 0, priority: 3, subscriptions: [] }],
        streams: [],
      },
    })
  })

  test('of a checkpoint may tell figures, before the buckets', () => {
    const stream = { name: 's', isDefault: true, errors: [{ subscription: 1, message: 'no', buckets: 9 }], buckets: 2 }
    const checkpoint = { lastOpId: toOpId(3n), writeCheckpoint: undefined, buckets: [], streams: [stream] } as const
    const line = { kind: 'checkpoint', checkpoint: { ...checkpoint, limits: { buckets: 2, bucketsMax: 10 } } } as const
    const text = new TextDecoder().decode(encodeLine(line, 'ndjson'))
    expect(text).toBe(
      '{"checkpoint":{"last_op_id":"3","limits":{"buckets":2,"buckets_max":10},"buckets":[],"streams":[{"name":"s","is_default":true,"errors":[{"subscription":1,"message":"no","buckets":9}],"buckets":2}]}}\n',
    )
    expect(decodeLine(text)).toEqual(line)
    expect(decodeBsonLine(encodeLine(line, 'bson'))).toEqual(line)
  })

  test.each(['5', '[]', '{}', '{"buckets":2}', '{"buckets":"2","buckets_max":10}', 'null'])(
    'of a checkpoint is read although what it calls limits is something else: %s',
    (limits) => {
      const stream =
        '{"name":"s","is_default":true,"errors":[{"subscription":0,"message":"no","buckets":[]}],"buckets":1.5}'
      const text = `{"checkpoint":{"last_op_id":"3","buckets":[],"streams":[${stream}],"limits":${limits}}}`
      const streams = [{ name: 's', isDefault: true, errors: [{ subscription: 0, message: 'no' }] }]
      expect(decodeLine(text)).toEqual({
        kind: 'checkpoint',
        checkpoint: { lastOpId: 3n, writeCheckpoint: undefined, buckets: [], streams },
      })
    },
  )

  test('of data may leave its positions out: the last operation then says where it ends', () => {
    const batchOf = (operations: string): unknown => decodeLine(`{"data":{"bucket":"a","data":[${operations}]}}`)
    const clear = '{"op_id":"7","op":"CLEAR","checksum":1}'
    expect(batchOf(clear)).toMatchObject({ batch: { bucket: 'a', after: 0n, nextAfter: 7n, hasMore: false } })
    expect(batchOf('')).toMatchObject({ batch: { after: 0n, nextAfter: 0n, hasMore: false, operations: [] } })
  })

  test('[protocol 90] may have sums signed or unsigned', () => {
    const sumOf = (checksum: number): unknown =>
      decodeLine(
        `{"data":{"bucket":"a","after":"0","has_more":false,"data":[{"op_id":"1","op":"CLEAR","checksum":${checksum}}],"next_after":"1"}}`,
      )
    expect(sumOf(-1)).toEqual(sumOf(4294967295))
  })

  test.each([
    ['not JSON', '{"data"'],
    ['not an object', '[]'],
    ['without a key', '{}'],
    ['with two keys', '{"token_expires_in":1,"data":{}}'],
    ['a checkpoint without buckets', '{"checkpoint":{"last_op_id":"1"}}'],
    ['a diff without removed buckets', '{"checkpoint_diff":{"last_op_id":"1","updated_buckets":[]}}'],
    ['a sum with a fraction', '{"checkpoint":{"last_op_id":"1","buckets":[{"bucket":"a","checksum":1.5}]}}'],
    ['an operation of an unknown kind', '{"data":{"bucket":"a","data":[{"op_id":"1","op":"JUMP","checksum":1}]}}'],
  ])('that is malformed is refused: %s', (_case, text) => {
    expect(() => decodeLine(text)).toThrow(expect.objectContaining({ code: 'bad-line' }))
  })

  test('with a reason that is neither default nor sub is refused', () => {
    const bucket = '{"bucket":"a","checksum":1,"subscriptions":[{"other":0}]}'
    expect(() => decodeLine(`{"checkpoint":{"last_op_id":"1","buckets":[${bucket}]}}`)).toThrow(
      /subscriptions\[0\]\.sub/,
    )
  })
})

describe('characters that some readers take for the end of a line', () => {
  const unusual = 'a\u0085b\u2028c\u2029d'

  test('[protocol 24] are escaped in names and messages of a checkpoint', () => {
    const line = {
      kind: 'checkpoint',
      checkpoint: {
        lastOpId: toOpId(1n),
        writeCheckpoint: undefined,
        buckets: [{ bucket: toBucketName(unusual), checksum: toChecksum(1), count: 1, priority: 3, subscriptions: [] }],
        streams: [{ name: unusual, isDefault: true, errors: [{ subscription: 'default', message: unusual }] }],
      },
    } as const
    const text = new TextDecoder().decode(encodeLine(line, 'ndjson'))
    expect(text).not.toMatch(/[\u0085\u2028\u2029]/)
    expect(decodeLine(text.trimEnd())).toEqual(line)
    expect(decodeBsonLine(encodeLine(line, 'bson'))).toEqual(line)
  })

  test('[protocol 24] are escaped in operations, in strings and in nested data, and decode to the same', () => {
    const data = JSON.stringify({ id: '1', text: unusual })
    const operation = {
      kind: 'put',
      opId: toOpId(1n),
      checksum: toChecksum(1),
      type: 'notes',
      id: '1',
      subkey: unusual,
      data,
    } as const
    const quoted = new TextDecoder().decode(encodeOperation(operation, 'ndjson'))
    const nested = new TextDecoder().decode(encodeOperation(operation, 'ndjson-nested'))
    expect(quoted + nested).not.toMatch(/[\u0085\u2028\u2029]/)
    expect(JSON.parse(quoted)).toMatchObject({ subkey: unusual, data })
    expect(JSON.parse(nested)).toMatchObject({ data: JSON.parse(data) })
  })

  test('do not come into nested data as line feeds between tokens either', () => {
    const operation = {
      kind: 'put',
      opId: toOpId(1n),
      checksum: toChecksum(1),
      type: 'notes',
      id: '1',
      subkey: '1',
      data: '{\n"id":\r\n"1"}',
    } as const
    expect(new TextDecoder().decode(encodeOperation(operation, 'ndjson-nested'))).not.toMatch(/[\r\n]/)
  })
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BsonRequestSplitter, decodeBson, encodeBson } from './bson.ts'
import { decodeSyncRequest, SyncRequestDecoder } from './decode-request.ts'
import { HeadwaterError } from './errors.ts'
import type { JsonValue } from './request.ts'
import type { RequestPart } from './request-parts.ts'

const odd = fc.constantFrom<JsonValue>(null, 5, 'a', true, [], {}, [{ a: [1] }], { buckets: [1], subscriptions: [{}] })
const text = fc.string({ unit: 'grapheme' }).filter((chars) => !chars.includes('\0'))
const position = fc.record({ name: fc.oneof(text, odd), after: fc.constantFrom('', '7', 'x') })
const subscription = fc.record({ stream: fc.oneof(text, odd), parameters: odd }, { requiredKeys: [] })
const request = fc.record(
  {
    buckets: fc.oneof(fc.array(fc.oneof(position, odd)), odd),
    streams: fc.oneof(
      fc.record({ subscriptions: fc.oneof(fc.array(subscription), odd), include_defaults: odd }, { requiredKeys: [] }),
      odd,
    ),
    client_id: odd,
    later: odd,
  },
  { requiredKeys: [] },
)

describe('a request in BSON, in parts', () => {
  test('is what it is in one piece', () => {
    fc.assert(
      fc.property(request, (value) => {
        const bytes = encodeBson(JSON.parse(JSON.stringify(value)))
        expect(outcomeOf(() => readParts(bytes))).toEqual(outcomeOf(() => decodeSyncRequest(decodeBson(bytes))))
      }),
    )
  })

  test('is refused as in one piece, whatever is wrong with it', () => {
    fc.assert(
      fc.property(request, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = encodeBson(JSON.parse(JSON.stringify(value)))
        bytes[at % bytes.length] = byte
        expect(outcomeOf(() => readParts(bytes))).toEqual(outcomeOf(() => decodeSyncRequest(decodeBson(bytes))))
      }),
    )
  })

  test('comes in parts of some kilobytes', () => {
    const buckets = Array.from({ length: 5_000 }, (_, at) => ({ name: `a["${at}"]`, after: String(at) }))
    const splitter = new BsonRequestSplitter()
    const parts: RequestPart[] = Array.from(splitter.split(encodeBson({ client_id: 'c', buckets })))
    expect(parts.length).toBeGreaterThan(10)
    expect(Math.max(...parts.map(({ bytes }) => bytes))).toBeLessThan(17_000)
    expect(parts.flatMap(({ elements }) => elements)).toEqual(buckets)
    expect(splitter.end()).toEqual({ client_id: 'c', buckets: [] })
  })

  test.each([
    ['a field', { parameters: { a: Array.from({ length: 400_000 }, () => 1) } }, 'more with "parameters"'],
    ['fields of streams', { streams: { a: 'x'.repeat(600_000), b: 'x'.repeat(600_000) } }, 'more with "b"'],
    ['an element', { buckets: ['x'.repeat(1_100_000)] }, 'each element of buckets, got more'],
  ])('with %s beyond all measure is refused before it is read', (_what, value, said) => {
    expect(() => readParts(encodeBson(value))).toThrow(
      expect.objectContaining({ code: 'request-too-large', message: expect.stringContaining(said) }),
    )
  })
})

function readParts(bytes: Uint8Array): unknown {
  const splitter = new BsonRequestSplitter()
  const decoder = new SyncRequestDecoder()
  for (const part of splitter.split(bytes)) decoder.add(part)
  return decoder.finish(splitter.end())
}

function outcomeOf(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error
    return error.code === 'bad-bson' ? error.code : error.message
  }
}

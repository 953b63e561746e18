import { decodeSyncRequest, HeadwaterError, SyncRequestDecoder } from '@headwater/protocol'
import { type Random, readSeed, seededRandom } from '@headwater/testkit'
import { describe, expect, test } from 'vitest'
import { EvaluationError } from '../values/value.ts'
import { parseRequestJson } from './request-json.ts'
import { RequestSplitter } from './split-request.ts'

/** What is read from it, or what is said of it. */
type Outcome = { readonly value: unknown } | { readonly error: string }

describe('a request in pieces', () => {
  const seed = readSeed(process.env)
  const random = seededRandom(seed)

  test(`is read as in one piece, wherever it is cut (seed ${seed})`, () => {
    for (let round = 0; round < 2_000; round++) {
      const bytes = Buffer.from(randomRequest(random))
      expect(readPieces(cut(bytes, random)), `seed ${seed}: ${show(bytes)}`).toEqual(readWhole(bytes))
    }
  })

  test(`is read as in one piece, whatever is wrong with it (seed ${seed})`, () => {
    const outcomes = new Set<string>()
    for (let round = 0; round < 4_000; round++) {
      const bytes = damage(Buffer.from(randomRequest(random)), random)
      const whole = readWhole(bytes)
      expect(readPieces(cut(bytes, random)), `seed ${seed}: ${show(bytes)}`).toEqual(whole)
      outcomes.add('error' in whole ? whole.error.slice(0, 20) : 'read')
    }
    expect(outcomes).toEqual(new Set(['read', 'no JSON', 'Cannot read the sync']))
  })
})

describe('a long request', () => {
  const seed = readSeed(process.env)
  const random = seededRandom(seed)

  test(`comes in parts of some kilobytes, and is read as in one piece (seed ${seed})`, () => {
    const buckets = Array.from({ length: 5_000 }, (_, at) => ({
      name: `${random.text(20)}[${12345678901234567890n + BigInt(at)}]`,
      after: String(at),
    }))
    const subscriptions = Array.from({ length: 3_000 }, (_, at) => ({ stream: `s${at}`, parameters: { a: [at, {}] } }))
    const bytes = Buffer.from(
      JSON.stringify({ client_id: 'ü', buckets, streams: { subscriptions }, later: [] }, null, 1),
    )
    const splitter = new RequestSplitter()
    const sizes = Array.from(cut(bytes, random, 70_000)).flatMap((piece) =>
      Array.from(splitter.split(piece), (part) => part.bytes),
    )
    expect(sizes.length).toBeGreaterThan(20)
    expect(Math.max(...sizes)).toBeLessThan(17_000)
    expect(splitter.end()).toEqual({ client_id: 'ü', buckets: [], streams: { subscriptions: [] }, later: [] })
    expect(readPieces(cut(bytes, random, 70_000))).toEqual(readWhole(bytes))
  })

  test('has the index of each element that is wrong', () => {
    const buckets = Array.from({ length: 20_000 }, (_, at) => ({ name: 'a', after: at === 12_345 ? 5 : '5' }))
    expect(readPieces([Buffer.from(JSON.stringify({ buckets }))])).toEqual({
      error: 'Cannot read the sync request: buckets[12345].after: expected decimal digits as text, got 5',
    })
  })

  test.each([
    ['nothing before a comma', `[${' '.repeat(20_000)},{"name":"a","after":"1"}]`],
    ['nothing after a comma', `[{"name":"a","after":"1"}${' '.repeat(20_000)},]`],
    ['nothing between commas', `[{"name":"a","after":"1"}${' '.repeat(20_000)},${' '.repeat(20_000)},1]`],
    ['two elements without a comma', `[{"name":"a","after":"1"}${' '.repeat(20_000)}{}]`],
    ['a bracket of the other kind at its end', `[{"name":"a","after":"1"}}`],
    ['no end', `[{"name":"a","after":"1"}${' '.repeat(20_000)},`],
    ['a string without an end', `[{"name":"a${' '.repeat(20_000)}`],
    ['a byte order mark inside', `[{"name":"a","after":"1"}${' '.repeat(20_000)},\u{feff}{}]`],
  ])('with %s is not JSON', (_what, buckets) => {
    expect(readPieces([Buffer.from(`{"buckets":${buckets}}`)])).toEqual({ error: 'no JSON' })
  })

  test('may begin with a byte order mark', () => {
    expect(readPieces([Buffer.from('\u{feff}{"client_id":"c"}')])).toMatchObject({ value: { clientId: 'c' } })
  })

  test.each([
    ['parameters', { client_id: 'c', parameters: { a: 'x'.repeat(1_100_000) } }, 'more with "parameters"'],
    ['fields nobody knows', { x: 'y'.repeat(600_000), '"z"': 'z'.repeat(600_000) }, 'more with "\\"z\\""'],
    ['a name of a field', { ['x'.repeat(1_100_000)]: 1 }, 'buckets and streams.subscriptions, got more'],
    ['a position', { buckets: [{ name: 'x'.repeat(1_100_000), after: '1' }] }, 'each element of buckets, got more'],
    [
      'a subscription',
      { streams: { subscriptions: [1, { a: 'x'.repeat(1_100_000) }] } },
      'each element of streams.subscriptions, got more',
    ],
  ])('with %s beyond all measure is refused, saying which', (_what, request, said) => {
    const piece = Buffer.from(JSON.stringify(request))
    expect(() => Array.from(new RequestSplitter().split(piece))).toThrow(
      expect.objectContaining({ code: 'request-too-large', message: expect.stringContaining(said) }),
    )
  })
})

function readWhole(bytes: Uint8Array): Outcome {
  return outcomeOf(() => decodeSyncRequest(parseRequestJson(new TextDecoder().decode(bytes))))
}

function readPieces(pieces: Iterable<Uint8Array>): Outcome {
  return outcomeOf(() => {
    const splitter = new RequestSplitter()
    const decoder = new SyncRequestDecoder()
    for (const piece of pieces) for (const part of splitter.split(piece)) decoder.add(part)
    return decoder.finish(splitter.end())
  })
}

function outcomeOf(read: () => unknown): Outcome {
  try {
    return { value: read() }
  } catch (error) {
    if (error instanceof EvaluationError) return { error: 'no JSON' }
    if (error instanceof HeadwaterError) return { error: error.message }
    throw error
  }
}

function show(bytes: Uint8Array): string {
  return String(bytes).replaceAll(/ {100,}/g, '␣')
}

function* cut(
  bytes: Uint8Array,
  random: Random,
  lengthMax = bytes.length > 10_000 ? 20_000 : 40,
): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length;) {
    const to = from + random.between(1, lengthMax)
    yield bytes.slice(from, to)
    from = to
  }
}

function damage(bytes: Buffer, random: Random): Buffer {
  const at = random.integer(bytes.length)
  switch (random.integer(3)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    default:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(random.pick(['[', ']', '{', '}', ',', ':', '"', '\\', '1', 'é'])),
        bytes.subarray(at),
      ])
  }
}

/** With keys that stand twice, escapes in them, and all kinds of values where others are expected. */
function randomRequest(random: Random): string {
  // As long as a part, once in a while.
  const space = (): string => (random.chance(0.01) ? ' '.repeat(17_000) : random.pick(['', '', '', ' ', '\n\t', '   ']))
  const list = (make: () => string): string => Array.from({ length: random.integer(4) }, make).join(',')
  const pair = (key: string, value: string): string =>
    `${space()}${spell(key, random)}${space()}:${space()}${value}${space()}`
  const array = (make: () => string): string => `[${list(() => space() + make() + space()) || space()}]`
  const object = (make: () => string): string => `{${list(make) || space()}}`
  const odd = (): string =>
    random.pick([
      'null',
      '5',
      'true',
      '"a"',
      '{}',
      '[]',
      '[[1,{"a":"]"}]]',
      '{"buckets":[1],"subscriptions":[{}]}',
      '12345678901234567890',
    ])
  const mostly = (make: () => string): string => (random.chance(0.1) ? odd() : make())
  const text = (): string => JSON.stringify(random.text(random.integer(6)) + random.pick(['', '"', '\\', '}]']))
  const position = (): string =>
    `{${pair('name', text())},${pair(
      'after',
      mostly(() => `"${random.integer(99)}"`),
    )}}`
  const subscription = (): string =>
    `{${pair('stream', mostly(text))},${pair(
      'parameters',
      mostly(() => object(() => pair('a', odd()))),
    )}}`
  const stream = (): string =>
    random.chance(0.7)
      ? pair(
          'subscriptions',
          mostly(() => array(() => mostly(subscription))),
        )
      : pair(random.pick(['include_defaults', 'buckets', 'streams']), odd())
  const field = (): string => {
    switch (random.integer(4)) {
      case 0:
        return pair(
          'buckets',
          mostly(() => array(() => mostly(position))),
        )
      case 1:
        return pair(
          'streams',
          mostly(() => object(stream)),
        )
      default:
        return pair(random.pick(['client_id', 'parameters', 'app_metadata', 'raw_data', 'subscriptions', 'ü']), odd())
    }
  }
  return space() + mostly(() => object(field)) + space()
}

/** A key as it may be written: each of its characters may be escaped. */
function spell(key: string, random: Random): string {
  if (random.chance(0.7)) return JSON.stringify(key)
  const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `"${Array.from(key, (char) => (random.chance(0.5) ? escape(char) : char)).join('')}"`
}

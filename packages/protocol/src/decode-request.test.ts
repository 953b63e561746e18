import { describe, expect, test } from 'vitest'
import { decodeSyncRequest } from './decode-request.ts'

describe('a sync request', () => {
  test('[protocol 7] may be empty, or nothing at all: everything is optional', () => {
    const empty = {
      buckets: [],
      clientId: undefined,
      parameters: {},
      appMetadata: {},
      rawData: false,
      includeDefaults: true,
      namesStreams: false,
      subscriptions: [],
    }
    expect(decodeSyncRequest({})).toEqual(empty)
    expect(decodeSyncRequest(undefined)).toEqual(empty)
    expect(
      decodeSyncRequest({
        buckets: null,
        client_id: null,
        parameters: null,
        app_metadata: null,
        raw_data: null,
        streams: null,
      }),
    ).toEqual(empty)
  })

  test('[protocol 6] may have fields that this version does not know', () => {
    const request = { only: ['a'], future: { x: 1 }, buckets: [{ name: 'a', after: '5', checksum: 3 }] }
    expect(decodeSyncRequest(request).buckets).toEqual([{ name: 'a', after: 5n }])
  })

  test('[protocol 8] holds positions up to the greatest signed 64-bit number; the empty text is 0', () => {
    const positions = [
      { name: 'a', after: '9223372036854775807' },
      { name: 'b', after: '' },
    ]
    expect(decodeSyncRequest({ buckets: positions }).buckets.map(({ after }) => after)).toEqual([
      9223372036854775807n,
      0n,
    ])
  })

  test('holds subscriptions whose parameters and priority may be null or missing', () => {
    const subscriptions = [
      { stream: 'a', parameters: null, override_priority: null },
      { stream: 'a', parameters: { id: 1 }, override_priority: 0 },
      { stream: 'b' },
    ]
    expect(decodeSyncRequest({ streams: { include_defaults: false, subscriptions } })).toMatchObject({
      includeDefaults: false,
      subscriptions: [
        { stream: 'a', parameters: {}, overridePriority: undefined },
        { stream: 'a', parameters: { id: 1 }, overridePriority: 0 },
        { stream: 'b', parameters: {}, overridePriority: undefined },
      ],
    })
  })

  test.each([
    ['a position as a number', { buckets: [{ name: 'a', after: 5 }] }, 'buckets[0].after'],
    ['a negative position', { buckets: [{ name: 'a', after: '-1' }] }, 'buckets[0].after'],
    ['a position beyond 64 bits', { buckets: [{ name: 'a', after: '9223372036854775808' }] }, 'buckets[0].after'],
    ['a bucket without a name', { buckets: [{ after: '1' }] }, 'buckets[0].name'],
    ['buckets that are no array', { buckets: {} }, 'buckets'],
    ['a client id that is no text', { client_id: 1 }, 'client_id'],
    ['parameters that are no object', { parameters: [1] }, 'parameters'],
    ['metadata that is no text', { app_metadata: { version: 1 } }, 'app_metadata.version'],
    ['raw_data that is no boolean', { raw_data: 'yes' }, 'raw_data'],
    ['streams without subscriptions', { streams: {} }, 'streams.subscriptions'],
    ['a subscription without a stream', { streams: { subscriptions: [{}] } }, 'streams.subscriptions[0].stream'],
    ['a negative priority', subscriptionWith({ override_priority: -1 }), 'override_priority'],
    ['a priority with a fraction', subscriptionWith({ override_priority: 1.5 }), 'override_priority'],
    ['a huge priority', subscriptionWith({ override_priority: 2147483647 }), 'override_priority'],
    ['something that is no object', [], 'request'],
  ])('is refused with %s, naming the field', (_case, request, field) => {
    expect(() => decodeSyncRequest(request)).toThrow(
      expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(field) }),
    )
  })

  test('is refused with all its problems at once, the first ten of them in words', () => {
    const buckets = Array.from({ length: 14 }, (_, index) => ({ name: `b${index}`, after: index }))
    expect(() => decodeSyncRequest({ buckets, client_id: 7 })).toThrow(/buckets\[0\].*buckets\[9\].*and 5 more/)
  })
})

function subscriptionWith(fields: object): object {
  return { streams: { subscriptions: [{ stream: 'a', parameters: {}, ...fields }] } }
}

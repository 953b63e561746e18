import { expect, test } from 'vitest'
import { decodeMarker, type Marker } from './marker.ts'

const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

test.each<Marker>([
  { kind: 'canary', slot: 's' },
  { kind: 'chunk', slot: 's', chunk: 'c1' },
  { kind: 'remove-table', slot: 's', relationOid: 16384 },
  { kind: 'write-checkpoints', slot: 's', entries: [['user', '123']] },
])('a marker is read as it was written: %o', (marker) => {
  expect(decodeMarker(encode(marker), 's')).toEqual(marker)
})

test.each([
  ['of another service', encode({ kind: 'canary', slot: 'other' })],
  ['of a later version', encode({ kind: 'new', slot: 's' })],
  ['that is no JSON', Buffer.from('hello')],
  ['with entries that are no numbers', encode({ kind: 'write-checkpoints', slot: 's', entries: [['u', 'x']] })],
  ['that is nothing', encode(null)],
])('a message %s is passed over', (_, content) => {
  expect(decodeMarker(content, 's')).toBeUndefined()
})

import { decodeBson, encodeBson } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { DocumentCutter } from './cut-documents.ts'
import { SharedFrames } from './shared-frames.ts'

const CHUNK = Buffer.concat([encodeBson({ a: 1 }), encodeBson({ b: 2 })])
const HEADER_BYTES = 6

test('streams that are handed the same chunk send the same frames, which were made once', () => {
  const shared = new SharedFrames()
  const first = shared.cut(new DocumentCutter(), CHUNK, 1)
  expect(first.map(documentOf)).toEqual([{ a: 1 }, { b: 2 }])
  expect(shared.cut(new DocumentCutter(), CHUNK, 1)).toBe(first)
})

test('a stream of another id has frames of its own', () => {
  const shared = new SharedFrames()
  shared.cut(new DocumentCutter(), CHUNK, 1)
  const other = shared.cut(new DocumentCutter(), CHUNK, 3)
  expect(other.map((frame) => Buffer.from(frame).readUInt32BE(0))).toEqual([3, 3])
})

test('a chunk that goes on in the middle of a document, or ends there, is not taken for another', () => {
  const shared = new SharedFrames()
  const [start, rest] = [CHUNK.subarray(0, 20), CHUNK.subarray(20)]
  const [one, two] = [new DocumentCutter(), new DocumentCutter()]
  expect(shared.cut(one, start, 1).map(documentOf)).toEqual([{ a: 1 }])
  expect(shared.cut(two, start, 1).map(documentOf)).toEqual([{ a: 1 }])
  expect(shared.cut(one, rest, 1).map(documentOf)).toEqual([{ b: 2 }])
  expect(shared.cut(two, rest, 1).map(documentOf)).toEqual([{ b: 2 }])
})

function documentOf(frame: Uint8Array): unknown {
  return decodeBson(frame.subarray(HEADER_BYTES))
}

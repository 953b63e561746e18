import { encodeBson } from '@headwater/protocol'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DocumentCutter } from './cut-documents.ts'

test('documents come out whole and in order, wherever the chunks end', () => {
  const documents = fc.array(fc.string().map((text) => Buffer.from(encodeBson({ text }))))
  fc.assert(
    fc.property(documents, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (written, sizes) => {
      const bytes = Buffer.concat(written)
      const cutter = new DocumentCutter()
      const found: Buffer[] = []
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1
        for (const pieces of cutter.cut(bytes.subarray(at, at + size))) found.push(Buffer.concat(pieces))
        at += size
      }
      expect(found).toEqual(written)
    }),
  )
})

test('a document inside a chunk is not copied', () => {
  const chunk = Buffer.from(encodeBson({ a: 1 }))
  const [pieces] = new DocumentCutter().cut(chunk)
  expect(pieces?.[0]?.buffer).toBe(chunk.buffer)
})

test('what cannot be a document is an error', () => {
  expect(() => new DocumentCutter().cut(Buffer.from([4, 0, 0, 0, 0]))).toThrow(RangeError)
})

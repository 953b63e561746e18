import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeBson } from './bson.ts'
import { splitBson, splitNdjson } from './split-lines.ts'

describe('splitNdjson', () => {
  test('yields the same lines wherever the stream is cut into chunks', async () => {
    const lines = fc.array(fc.string({ unit: 'binary', minLength: 1 }).filter((line) => !line.includes('\n')))
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 1, max: 9 }), async (wanted, size) => {
        const bytes = new TextEncoder().encode(wanted.map((line) => `${line}\n`).join(''))
        expect(await collect(splitNdjson(inChunks(bytes, size)))).toEqual(wanted)
      }),
    )
  })

  test('passes over empty lines', async () => {
    expect(await collect(splitNdjson(inChunks(utf8('\n{}\n\n{}\n'), 3)))).toEqual(['{}', '{}'])
  })

  test('[protocol 89] fails when the stream ends inside a line', async () => {
    await expect(collect(splitNdjson(inChunks(utf8('{}\n{"data"'), 4)))).rejects.toMatchObject({
      code: 'truncated-stream',
    })
  })

  test('fails on a line longer than its bound instead of keeping it', async () => {
    await expect(collect(splitNdjson(inChunks(utf8('x'.repeat(100)), 10), 50))).rejects.toMatchObject({
      code: 'bad-line',
    })
    await expect(collect(splitNdjson(inChunks(utf8(`${'x'.repeat(100)}\n`), 1000), 50))).rejects.toMatchObject({
      code: 'bad-line',
    })
  })

  test('fails on bytes that are not UTF-8', async () => {
    const bytes = Uint8Array.of(0x22, 0xff, 0x22, 0x0a)
    await expect(collect(splitNdjson(inChunks(bytes, 10)))).rejects.toMatchObject({ code: 'bad-line' })
  })
})

describe('splitBson', () => {
  test('yields the same documents wherever the stream is cut into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.string())),
        fc.integer({ min: 1, max: 9 }),
        async (values, size) => {
          const documents = values.map((value) => encodeBson({ value: JSON.stringify(value) }))
          const bytes = Uint8Array.from(documents.flatMap((document) => [...document]))
          expect(await collect(splitBson(inChunks(bytes, size)))).toEqual(documents)
        },
      ),
    )
  })

  test('[protocol 89] fails when the stream ends inside a document or its length', async () => {
    const bytes = encodeBson({ token_expires_in: 60 })
    for (const length of [2, bytes.length - 1]) {
      await expect(collect(splitBson(inChunks(bytes.subarray(0, length), 4)))).rejects.toMatchObject({
        code: 'truncated-stream',
      })
    }
  })

  test.each([[4], [-1], [1001]])('refuses a length of %i before reading on', async (length) => {
    const bytes = new Uint8Array(16)
    new DataView(bytes.buffer).setInt32(0, length, true)
    await expect(collect(splitBson(inChunks(bytes, 16), 1000))).rejects.toMatchObject({ code: 'bad-line' })
  })
})

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}

import { expect, test } from 'vitest'
import {
  begin,
  bucket,
  deltaAt,
  opId,
  type OpenStorage,
  put,
  readAll,
  readOf,
  readPages,
  remove,
} from './example-data.contract.ts'
import type { BucketStorage } from './storage.ts'

export function readContract(open: OpenStorage): void {
  test('operations of a bucket are read in order, between two positions', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, { operations: [put('a', '1'), put('b', '2'), remove('a', '1')] }))
    await storage.append(deltaAt(20, { operations: [put('a', '4')] }))

    const all = await readAll(storage, 'a')
    expect(all.map((operation) => [operation.op_id, operation.op, operation.object_id])).toEqual([
      ['1', 'PUT', '1'],
      ['3', 'REMOVE', '1'],
      ['4', 'PUT', '4'],
    ])
    const part = await storage.readBucket(readOf('a', { after: 1, upTo: 3 }))
    expect([part.count, part.nextAfter, part.hasMore]).toEqual([1, 3n, false])
    const nothing = await storage.readBucket(readOf('a', { after: 4, upTo: 4 }))
    expect([nothing.count, nothing.body.length, nothing.nextAfter, nothing.hasMore]).toEqual([0, 0, 4n, false])
    expect((await storage.readBucket(readOf('nowhere'))).count).toBe(0)
  })

  test('sums and counts are right at every op id', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const operations = Array.from({ length: 50 }, (_, n) => put(n % 3 === 0 ? 'a' : 'b', String(n), n * 123_456_789))
    for (let n = 0; n < 50; n += 5) await storage.append(deltaAt(10 + n, { operations: operations.slice(n, n + 5) }))
    const expected = (name: string, upTo: number) => {
      const mine = operations.slice(0, upTo).filter((operation) => operation.bucket === bucket(name))
      return { count: mine.length, checksum: mine.reduce((sum, { checksum }) => (sum + checksum) >>> 0, 0) }
    }

    for (const reopen of [false, true]) {
      const reader = reopen ? await opened.reopen() : storage
      for (let upTo = 0; upTo <= 50; upTo++) {
        const sums = await reader.readSums([bucket('b'), bucket('nowhere'), bucket('a')], opId(upTo))
        expect(sums).toEqual([expected('b', upTo), { count: 0, checksum: 0 }, expected('a', upTo)])
      }
    }
  })

  test('a read stops at its limits and says that there is more', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(
      deltaAt(10, {
        operations: [
          put('a', '1'),
          put('a', '2'),
          { ...put('a', '3'), data: JSON.stringify({ id: '3', v: 'x'.repeat(10_000) }) },
        ],
      }),
    )

    const two = await storage.readBucket(readOf('a', { operationsMax: 2 }))
    expect([two.count, two.nextAfter, two.hasMore]).toEqual([2, 2n, true])
    const one = await storage.readBucket(readOf('a', { bytesMax: 1 }))
    expect([one.count, one.hasMore]).toEqual([1, true])
    const large = await storage.readBucket(readOf('a', { after: 2, bytesMax: 1 }))
    expect([large.count, large.hasMore]).toEqual([1, false])
    const bounded = await storage.readBucket(readOf('a', { upTo: 2, operationsMax: 2 }))
    expect(bounded.hasMore).toBe(false)
  })

  test('thousands of operations of one commit come back whole, in every format', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    const awkward = 'quote " backslash \\ line \u2028 emoji 🛒 \n end'
    const operations = Array.from({ length: 3000 }, (_, n) => ({
      ...put('big', `id-${n}`, n),
      data: JSON.stringify({ id: `id-${n}`, n: 2 ** 52, text: `${awkward} ${n}` }),
    }))
    await storage.append(deltaAt(10, { operations: [put('big', 'first'), put('small', 'x')] }))
    await storage.append(deltaAt(20, { operations }))
    await storage.append(deltaAt(30, { operations: [put('big', 'last')] }))

    for (const reopen of [false, true]) {
      const reader = reopen ? await opened.reopen() : storage
      const back = await readAll(reader, 'big')
      expect(back.map(({ object_id }) => object_id)).toEqual(['first', ...operations.map(({ id }) => id), 'last'])
      expect(back[1000]?.data).toBe(operations[999]?.data)
      const nested = await readAll(reader, 'big', 'ndjson-nested')
      expect(nested[1000]?.data).toEqual(JSON.parse(operations[999]?.data ?? ''))
      expect(await countBson(reader, 'big')).toBe(3002)
    }
  })
}

async function countBson(storage: BucketStorage, name: string): Promise<number> {
  let count = 0
  for await (const page of readPages(storage, name, 'bson')) {
    const body = Buffer.concat(page.body)
    let at = 0
    for (let n = 0; n < page.count; n++) {
      const key = `\u0003${n}\0`
      expect(body.toString('latin1', at, at + key.length)).toBe(key)
      at += key.length
      at += body.readInt32LE(at)
      expect(body[at - 1]).toBe(0)
    }
    expect(at).toBe(body.length)
    count += page.count
  }
  return count
}

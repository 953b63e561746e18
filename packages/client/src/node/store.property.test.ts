import { toBucketName, toChecksum, toOpId } from '@headwater/protocol'
import type { BucketEntry } from '@headwater/protocol'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { column } from '../schema/column.ts'
import { applySchema } from '../schema/migrate.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { SqlDatabase } from '../sqlite/sql-database.ts'
import { prepareLayout } from '../store/layout.ts'
import { SyncStore } from '../store/sync-store.ts'
import { createNodeDriver } from './node-driver.ts'
import { dataLine, put, remove, sumOf } from '../sync/scripted-service.test-parts.ts'
import type { WireOperation } from '../sync/scripted-service.test-parts.ts'

const schema = new Schema({ a: new Table({ v: column.integer }), b: new Table({ v: column.integer }) })

const BUCKETS = ['x', 'y', 'z'] as const
const PRIORITIES = { x: 0, y: 1, z: 3 } as const
type Bucket = (typeof BUCKETS)[number]

/** What happens, in order: rows change on the service, it compacts, a bucket comes or goes, the device syncs. */
type Happening =
  | { kind: 'write'; bucket: Bucket; type: 'a' | 'b'; id: string; subkey: string; removed: boolean }
  | { kind: 'compact'; bucket: Bucket; clear: boolean }
  | { kind: 'grant'; bucket: Bucket; granted: boolean }
  | { kind: 'sync'; lineSize: number; partials: boolean; restart: boolean; cut: number | null }

const bucket = fc.constantFrom(...BUCKETS)
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      bucket,
      type: fc.constantFrom('a', 'a', 'a', 'b'),
      id: fc.constantFrom('1', '2'),
      subkey: fc.constantFrom('s', 's', 's', 't'),
      removed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), bucket, clear: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('grant' as const), bucket, granted: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('sync' as const),
      lineSize: fc.integer({ min: 1, max: 5 }),
      partials: fc.boolean(),
      restart: fc.boolean(),
      cut: fc.option(fc.integer({ min: 0, max: 3 })),
    }),
  },
)

test('after every completed checkpoint the tables show the newest operation of each row over all buckets', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (happenings) => {
      const sql = new SqlDatabase(createNodeDriver({ path: ':memory:', readersMax: 0 }), () => {})
      await sql.open(prepareLayout)
      await sql.writeLock((session) => applySchema(session, schema))
      const store = new SyncStore({ sql, clock: systemClock, readSchema: () => schema })
      const service = new Service()
      for (const each of [
        ...happenings,
        { kind: 'sync', lineSize: 2, partials: true, restart: true, cut: null } as const,
      ]) {
        if (each.kind === 'sync') {
          const completed = await sync(store, service, each)
          if (completed) expect(await readShown(sql)).toEqual(service.expectedRows())
        } else service.apply(each)
      }
      await sql.close(new Error('closed'))
    }),
    { numRuns: 200 },
  )
}, 60_000)

/** One round of a stream, possibly cut off. Returns whether it came to the end. */
async function sync(store: SyncStore, service: Service, how: Extract<Happening, { kind: 'sync' }>): Promise<boolean> {
  const { buckets } = await store.prepareRequest([])
  const after = new Map(buckets.map((entry) => [String(entry.name), Number(entry.after)]))
  const entries = service.entries()
  if (how.restart) await store.announceAll(entries, [])
  else {
    const removed = [...service.announced].filter((name) => !service.granted.has(name))
    await store.announceChanged(entries, removed.map(toBucketName))
  }
  service.announced = new Set(service.granted)
  let linesLeft = how.cut ?? Infinity
  for (const name of BUCKETS) {
    if (!service.granted.has(name)) continue
    const missing = service.history(name).filter((operation) => Number(operation.op_id) > (after.get(name) ?? 0))
    for (let at = 0; at < missing.length; at += how.lineSize) {
      if (linesLeft <= 0) return false
      linesLeft -= 1
      const text = JSON.stringify(dataLine(name, missing.slice(at, at + how.lineSize)))
      const { counts } = await store.storeData([{ bucket: name, text }])
      expect(counts).toEqual([Math.min(how.lineSize, missing.length - at)])
    }
    if (how.partials && name !== 'z') await complete(store, service, PRIORITIES[name])
  }
  await complete(store, service, undefined)
  return true
}

async function complete(store: SyncStore, service: Service, priority: number | undefined): Promise<void> {
  const lastOpId = toOpId(BigInt(service.lastOpId))
  const outcome = await store.complete({ lastOpId, writeCheckpoint: undefined, priority }, undefined)
  expect(outcome.kind).toBe('published')
}

async function readShown(sql: SqlDatabase): Promise<string[]> {
  return sql.readLock(async (context) => {
    const rows = await context.getAll<{ row: string }>(
      `SELECT 'a/' || id || '=' || v AS row FROM a UNION ALL SELECT 'b/' || id || '=' || v FROM b ORDER BY 1`,
    )
    return rows.map(({ row }) => row)
  })
}

class Service {
  lastOpId = 0
  announced: ReadonlySet<Bucket> = new Set()
  readonly granted = new Set<Bucket>(BUCKETS)
  readonly #histories = new Map<Bucket, WireOperation[]>(BUCKETS.map((name) => [name, []]))

  history(bucket: Bucket): WireOperation[] {
    return this.#histories.get(bucket) ?? []
  }

  apply(happening: Exclude<Happening, { kind: 'sync' }>): void {
    switch (happening.kind) {
      case 'write': {
        const { bucket, type, id, subkey, removed } = happening
        this.lastOpId += 1
        const value = { v: this.lastOpId }
        const operation = removed
          ? remove(this.lastOpId, type, id, subkey)
          : put(this.lastOpId, type, id, value, subkey)
        this.history(bucket).push(operation)
        return
      }
      case 'compact':
        this.#histories.set(happening.bucket, compact(this.history(happening.bucket), happening.clear))
        return
      case 'grant':
        if (happening.granted) this.granted.add(happening.bucket)
        else this.granted.delete(happening.bucket)
    }
  }

  entries(): BucketEntry[] {
    return [...this.granted].map((bucket) => ({
      bucket: toBucketName(bucket),
      checksum: toChecksum(sumOf(this.history(bucket))),
      count: this.history(bucket).length,
      priority: PRIORITIES[bucket],
      subscriptions: [],
    }))
  }

  /** Straight from the definition: replay every bucket, then take the newest of each row. */
  expectedRows(): string[] {
    const newest = new Map<string, number>()
    for (const bucket of this.granted) {
      const held = new Map<string, { row: string; opId: number }>()
      for (const { op, op_id, object_type, object_id, subkey } of this.history(bucket)) {
        const key = `${object_type}/${object_id}/${subkey}`
        if (op === 'CLEAR') held.clear()
        if (op === 'PUT') held.set(key, { row: `${object_type}/${object_id}`, opId: Number(op_id) })
        if (op === 'REMOVE') held.delete(key)
      }
      for (const { row, opId } of held.values()) newest.set(row, Math.max(opId, newest.get(row) ?? 0))
    }
    return [...newest].map(([row, opId]) => `${row}=${opId}`).sort()
  }
}

/** What a service does with operations that were replaced: first they move, then a run of them at the start is cleared. */
function compact(history: readonly WireOperation[], clear: boolean): WireOperation[] {
  const seen = new Set<string>()
  const moved = [...history].reverse().map((operation): WireOperation => {
    const { op, op_id, checksum, object_type, object_id, subkey } = operation
    if (op === 'MOVE' || op === 'CLEAR') return operation
    const key = `${object_type}/${object_id}/${subkey}`
    if (seen.has(key)) return { op: 'MOVE', op_id, checksum }
    seen.add(key)
    return operation
  })
  moved.reverse()
  const keptFrom = moved.findIndex(({ op }) => op === 'PUT')
  const dead = moved.slice(0, keptFrom === -1 ? moved.length : keptFrom)
  const last = dead.at(-1)
  if (!clear || dead.length < 2 || last === undefined) return moved
  return [{ op: 'CLEAR', op_id: last.op_id, checksum: sumOf(dead) }, ...moved.slice(dead.length)]
}

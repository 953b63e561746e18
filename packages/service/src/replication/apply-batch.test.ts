import { toBucketName } from '@headwater/protocol'
import { loadPlan, type TextRow } from '@headwater/sync-config'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CatalogTable } from '../postgres/catalog.ts'
import type { RowMessage } from '../postgres/pgoutput.ts'
import type { DeltaOperation, RowKey, RowState, RowStates } from '../storage/delta.ts'
import { createTypeCatalog } from '../postgres/type-catalog.ts'
import { applyRowChanges, type RowEffects } from './apply-batch.ts'
import { type ReplicatedTable, toReplicatedTable } from './replicated-table.ts'
import { compilePlan } from './replication.test-parts.ts'
import { addMessage, keysToRead, type RowChanges } from './row-changes.ts'

const OID = 16384

function tableOf(config: string, overrides: Partial<CatalogTable> = {}): ReplicatedTable {
  const column = (name: string, isKey: boolean): CatalogTable['columns'][number] => ({
    name,
    typeOid: 25,
    typeModifier: -1,
    isKey,
    isToastable: true,
    hasMissingDefault: false,
  })
  const catalog: CatalogTable = {
    oid: OID,
    schema: 'public',
    name: 'todos',
    kind: 'r',
    persistence: 'permanent',
    isPartition: false,
    identity: 'default',
    columns: [column('id', true), column('owner', false), column('title', false)],
    primaryKey: ['id'],
    isHiddenByRowSecurity: false,
    maySelect: true,
    mayUseSchema: true,
    isOwner: true,
    isPublished: true,
    rowFilter: undefined,
    rowsEstimated: 0,
    toastTupleTarget: 2_032,
    ...overrides,
  }
  const table = toReplicatedTable(
    catalog,
    createTypeCatalog(),
    loadPlan(compilePlan(config), { generation: 1, bucketsMax: 10 }),
  )
  if (table === undefined) throw new Error('the plan does not read the table')
  return table
}

const OWNED = `config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM todos WHERE owner = auth.user_id()`

const TODOS = tableOf(OWNED)

const NOTHING: RowStates = new Map()

function insert(...row: TextRow): RowMessage {
  return { kind: 'insert', relationOid: OID, row, rowBytes: 100 }
}

function update(...row: TextRow): RowMessage {
  return { kind: 'update', relationOid: OID, old: undefined, oldKind: undefined, row, rowBytes: 100 }
}

function rename(oldId: string, ...row: TextRow): RowMessage {
  return { kind: 'update', relationOid: OID, old: [oldId, null, null], oldKind: 'key', row, rowBytes: 100 }
}

function remove(id: string): RowMessage {
  return { kind: 'delete', relationOid: OID, old: [id, null, null], oldKind: 'key' }
}

function apply(messages: readonly RowMessage[], before: RowStates = NOTHING, table = TODOS): RowEffects {
  const changes: RowChanges = new Map()
  for (const message of messages) addMessage(changes, new Set(), table, message)
  return applyRowChanges(changes, before, new Map(), 0)
}

/** States after the effects. */
function after(effects: RowEffects, before: RowStates = NOTHING): RowStates {
  const states = new Map<RowKey, RowState>(before)
  for (const { row, after: state } of effects.rowStates) {
    if (state === undefined) states.delete(row)
    else states.set(row, state)
  }
  return states
}

function summarize(operation: DeltaOperation): string {
  const owner = /\["(.*)"\]/.exec(operation.bucket)?.[1] ?? operation.bucket
  const title = operation.kind === 'put' ? ` ${(JSON.parse(operation.data) as { title: string }).title}` : ''
  return `${operation.kind} ${owner}/${operation.id}${title}`
}

const stored = after(apply([insert('1', 'ann', 'one'), insert('2', 'ann', 'two')]))

test('a new row is put, under a name of the row that stays', () => {
  const { operations } = apply([insert('1', 'ann', 'one')])
  expect(operations).toMatchObject([
    { kind: 'put', type: 'todos', id: '1', subkey: '16384:1', data: '{"id":"1","owner":"ann","title":"one"}' },
  ])
})

test('a row that moves to another bucket is removed from the first one', () => {
  expect(apply([update('1', 'bob', 'one')], stored).operations.map(summarize)).toEqual([
    'remove ann/1',
    'put bob/1 one',
  ])
})

test('a row that stays the same gives nothing, not even a new state', () => {
  const effects = apply([update('1', 'ann', 'one')], stored)
  expect(effects).toEqual({ operations: [], lookups: [], rowStates: [], rowErrors: [], incomplete: [] })
})

test('of several changes of a row only the last one is seen', () => {
  const effects = apply(
    [
      update('1', 'bob', 'x'),
      remove('1'),
      insert('1', 'ann', 'y'),
      update('1', 'ann', 'z'),
      insert('3', 'ann', 'n'),
      remove('3'),
    ],
    stored,
  )
  expect(effects.operations.map(summarize)).toEqual(['put ann/1 z'])
})

test('a row that is deleted is removed, and one that was never there is not', () => {
  expect(apply([remove('1'), remove('9')], stored).operations.map(summarize)).toEqual(['remove ann/1'])
})

test('a row whose key changes is removed under the old one', () => {
  expect(apply([rename('1', '5', 'ann', 'one')], stored).operations.map(summarize)).toEqual([
    'remove ann/1',
    'put ann/5 one',
  ])
})

test('rows that no bucket wants leave no state', () => {
  expect(apply([insert('1', null, 'one')]).rowStates).toEqual([])
  expect(after(apply([update('1', null, 'one')], stored), stored).has('16384:1' as RowKey)).toBe(false)
})

describe('values that the stream leaves out because they did not change', () => {
  const large = 'x'.repeat(3_000)
  const withLarge = after(apply([{ kind: 'insert', relationOid: OID, row: ['1', 'ann', large], rowBytes: 3_020 }]))

  test('are taken from what was stored of the row', () => {
    const { operations } = apply([update('1', 'bob', undefined)], withLarge)
    expect(operations.map(summarize)).toEqual(['remove ann/1', `put bob/1 ${large}`])
    expect(
      after(apply([update('1', 'bob', undefined)], withLarge), withLarge).get('16384:1' as RowKey)?.toasted,
    ).toEqual({
      owner: 'bob',
      title: large,
    })
  })

  test('follow the row when its key changes', () => {
    expect(apply([rename('1', '2', 'ann', undefined)], withLarge).operations.map(summarize)).toEqual([
      'remove ann/1',
      `put ann/2 ${large}`,
    ])
  })

  test('follow two rows that swap their keys', () => {
    const other = 'y'.repeat(3_000)
    const two = after(
      apply([{ kind: 'insert', relationOid: OID, row: ['2', 'ann', other], rowBytes: 3_020 }]),
      withLarge,
    )
    const { operations } = apply(
      [rename('1', 'x', 'ann', undefined), rename('2', '1', 'ann', undefined), rename('x', '2', 'ann', undefined)],
      two,
    )
    expect(operations.map(summarize).sort()).toEqual([`put ann/1 ${other}`, `put ann/2 ${large}`])
  })

  test('are taken from the change before in the same batch', () => {
    expect(apply([insert('7', 'ann', 'seven'), update('7', 'bob', undefined)]).operations.map(summarize)).toEqual([
      'put bob/7 seven',
    ])
  })

  test('make the row incomplete when nobody knows them, and leave it as it is', () => {
    const effects = apply([update('1', 'bob', undefined)], stored)
    expect(effects.operations).toEqual([])
    expect(effects.rowStates).toEqual([])
    expect(effects.incomplete).toMatchObject([{ key: '16384:1', row: ['1', 'bob', undefined] }])
  })

  test('are not kept of rows that are too short to be stored out of line', () => {
    expect(stored.get('16384:1' as RowKey)?.toasted).toEqual({})
  })
})

test('a row that is deleted takes its lookup entries with it', () => {
  const table = tableOf(
    OWNED.replace('SELECT * FROM todos', 'SELECT * FROM lists WHERE id IN (SELECT title FROM todos').concat(')'),
  )
  const before = after(apply([insert('1', 'ann', 'groceries')], NOTHING, table))
  const { lookups } = apply([remove('1')], before, table)
  expect(lookups).toEqual([{ row: '16384:1', before: before.get('16384:1' as RowKey)?.lookups, after: [] }])
  expect(lookups[0]?.before).toHaveLength(1)
})

test('a row that takes the key of an incomplete one takes none of its values', () => {
  const big = after(apply([{ kind: 'insert', relationOid: OID, row: ['1', 'ann', 'one'], rowBytes: 5_000 }]))
  const changes: RowChanges = new Map()
  for (const message of [remove('2'), rename('1', '2', 'ann', undefined)])
    addMessage(changes, new Set(), TODOS, message)
  const incomplete = new Map([['16384:2' as RowKey, ['2', undefined, 'of another row']]])
  const effects = applyRowChanges(changes, big, incomplete, 0)
  expect(effects.operations.map(summarize)).toEqual(['remove ann/1', 'put ann/2 one'])
})

test('a row in thousands of buckets is compared without comparing each with each', () => {
  const memberships = Array.from({ length: 20_000 }, (_, n) => ({
    bucket: toBucketName(`b${n}`),
    type: 'todos',
    id: '1',
    dataHash: 'h',
  }))
  const many = new Map([['16384:1' as RowKey, { memberships, lookups: [], toasted: {} }]])
  const { operations } = apply([update('1', 'ann', 'one')], many)
  expect(operations).toHaveLength(20_001)
})

test('applying a batch in two halves ends with the same states as applying it whole', () => {
  const id = fc.constantFrom('1', '2', '3')
  const owner = fc.constantFrom('ann', 'bob', null)
  const message = fc.oneof(
    fc.tuple(id, owner, fc.constantFrom('p', 'q')).map((row) => insert(...row)),
    fc.tuple(id, owner, fc.constantFrom('p', 'q')).map((row) => update(...row)),
    id.map(remove),
  )
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), fc.nat(12), (messages, cut) => {
      const whole = after(apply(messages))
      const first = after(apply(messages.slice(0, cut)))
      const second = after(apply(messages.slice(cut), first), first)
      expect(second).toEqual(whole)
    }),
  )
})

test('every key whose state is needed is asked for, the old names of renamed rows too', () => {
  const changes: RowChanges = new Map()
  for (const message of [rename('1', '2', 'ann', undefined), insert('3', 'ann', 'x')])
    addMessage(changes, new Set(), TODOS, message)
  expect([...keysToRead(changes)].sort()).toEqual(['16384:1', '16384:2', '16384:3'])
})

import type { RowOutcome, TextRow } from '@headwater/sync-config'
import type {
  DeltaOperation,
  LookupChange,
  Membership,
  RowError,
  RowKey,
  RowState,
  RowStateChange,
  RowStates,
  StoredLookup,
} from '../storage/delta.ts'
import { dataHash, putChecksum, removeChecksum } from './operation-checksum.ts'
import type { ReplicatedTable } from './replicated-table.ts'
import { type RowChange, type RowChanges, fillRow } from './row-changes.ts'

/** What a set of row changes does to buckets; the part of a `Delta` that follows from rows. */
export type RowEffects = {
  readonly operations: readonly DeltaOperation[]
  readonly lookups: readonly LookupChange[]
  readonly rowStates: readonly RowStateChange[]
  readonly rowErrors: readonly RowError[]
  /** Rows of which a needed value is neither in the stream nor stored: left as they are until a copy brings them. */
  readonly incomplete: readonly IncompleteRow[]
}

export type IncompleteRow = { readonly key: RowKey; readonly table: ReplicatedTable; readonly row: TextRow }

/** Rows that wait for a copy, with what the stream has told of them. */
export type IncompleteRows = ReadonlyMap<RowKey, TextRow>

/**
 * Decides what the changes of rows take out of buckets and put into them, given what is stored of each row.
 * Nothing is emitted for data that stays the same. `before` must hold the state of every key of `keysToRead`.
 */
export function applyRowChanges(
  changes: RowChanges,
  before: RowStates,
  incomplete: IncompleteRows,
  nowMs: number,
): RowEffects {
  const effects: MutableEffects = { operations: [], lookups: [], rowStates: [], rowErrors: [], incomplete: [] }
  for (const [key, change] of changes) {
    const state = before.get(key)
    if (change.after === undefined) {
      if (state !== undefined) removeRow(effects, key, state)
      continue
    }
    const row = completeRow(change, change.after, before, incomplete)
    if (row === undefined) effects.incomplete.push({ key, table: change.table, row: change.after })
    else changeRow(effects, { key, change, row, state, nowMs })
  }
  return effects
}

/** Takes rows out of every bucket they are in. */
export function removeRows(states: RowStates): RowEffects {
  const effects: MutableEffects = { operations: [], lookups: [], rowStates: [], rowErrors: [], incomplete: [] }
  for (const [key, state] of states) removeRow(effects, key, state)
  return effects
}

type MutableEffects = {
  readonly operations: DeltaOperation[]
  readonly lookups: LookupChange[]
  readonly rowStates: RowStateChange[]
  readonly rowErrors: RowError[]
  readonly incomplete: IncompleteRow[]
}

type ChangedRow = {
  readonly key: RowKey
  readonly change: RowChange
  /** Complete. */
  readonly row: TextRow
  readonly state: RowState | undefined
  readonly nowMs: number
}

const NO_MEMBERSHIPS: readonly Membership[] = []
const NO_LOOKUPS: readonly StoredLookup[] = []
const NO_VALUES: RowState['toasted'] = {}

/** The row with every needed value, or undefined when one cannot be found. */
export function completeRow(
  change: RowChange,
  row: TextRow,
  before: RowStates,
  incomplete: IncompleteRows,
): TextRow | undefined {
  const { needed } = change.table
  if (isComplete(row, needed)) return row
  const toasted = before.get(change.fillFrom)?.toasted
  const partial = incomplete.get(change.fillFrom)
  const stored = change.table.source.columns.map(({ name }) => toasted?.[name])
  const filled = fillRow(partial === undefined ? row : fillRow(row, partial), stored)
  return isComplete(filled, needed) ? filled : undefined
}

function isComplete(row: TextRow, needed: readonly boolean[]): boolean {
  for (let position = 0; position < needed.length; position += 1) {
    if (needed[position] === true && row[position] === undefined) return false
  }
  return true
}

function removeRow(effects: MutableEffects, key: RowKey, state: RowState): void {
  for (const membership of state.memberships) effects.operations.push(removeOperation(key, membership))
  if (state.lookups.length > 0) effects.lookups.push({ row: key, before: state.lookups, after: NO_LOOKUPS })
  effects.rowStates.push({ row: key, after: undefined })
}

function changeRow(effects: MutableEffects, changed: ChangedRow): void {
  const { key, change, row, state } = changed
  const outcome = change.table.program.evaluate(row)
  for (const error of outcome.errors) {
    effects.rowErrors.push({ table: change.table.label, row: key, atMs: changed.nowMs, ...error })
  }
  const had = state?.memberships ?? NO_MEMBERSHIPS
  const hadLookups = state?.lookups ?? NO_LOOKUPS
  const memberships = changeMemberships(effects, key, had, outcome)
  const lookups = outcome.lookups
  const areLookupsSame = hasSameLookups(hadLookups, lookups)
  if (!areLookupsSame) effects.lookups.push({ row: key, before: hadLookups, after: lookups })

  // A value that was left out is out of line, however short the rest.
  const toasted = keepToasted(change.table, row, row === change.after ? change.rowBytes : Infinity)
  const isEmpty = memberships.length === 0 && lookups.length === 0 && toasted === NO_VALUES
  if (isEmpty) {
    if (state !== undefined) effects.rowStates.push({ row: key, after: undefined })
    return
  }
  const isSame = state !== undefined && memberships === had && areLookupsSame && hasSameValues(state.toasted, toasted)
  if (!isSame) effects.rowStates.push({ row: key, after: { memberships, lookups, toasted } })
}

/** Emits what changed; returns `had` itself when nothing did. */
function changeMemberships(
  effects: MutableEffects,
  key: RowKey,
  had: readonly Membership[],
  outcome: RowOutcome,
): readonly Membership[] {
  const objects = outcome.objects.length > 1 ? lastOfEach(outcome.objects) : outcome.objects
  const old = had.length > FEW ? indexMemberships(had) : undefined
  const memberships: Membership[] = []
  const puts: DeltaOperation[] = []
  let kept = 0
  for (const object of objects) {
    const { bucket, type, id, data } = object
    const before = old === undefined ? had.find((one) => isSameObject(one, object)) : old.get(objectName(object))
    const hash = dataHash(data)
    if (before !== undefined) kept += 1
    if (before?.dataHash === hash) {
      memberships.push(before)
      continue
    }
    memberships.push({ bucket, type, id, dataHash: hash })
    puts.push({
      kind: 'put',
      bucket,
      row: key,
      type,
      id,
      subkey: key,
      data,
      checksum: putChecksum(type, id, key, hash),
    })
  }
  if (kept < had.length) removeOthers(effects, key, had, memberships)
  for (const put of puts) effects.operations.push(put)
  return puts.length === 0 && kept === had.length ? had : memberships
}

function removeOthers(
  effects: MutableEffects,
  key: RowKey,
  had: readonly Membership[],
  memberships: readonly Membership[],
): void {
  const now = memberships.length > FEW ? indexMemberships(memberships) : undefined
  for (const one of had) {
    const isKept = now === undefined ? memberships.some((other) => isSameObject(one, other)) : now.has(objectName(one))
    if (!isKept) effects.operations.push(removeOperation(key, one))
  }
}

/** Above this many memberships of a row an index pays. */
const FEW = 8

type ObjectName = { readonly bucket: string; readonly type: string; readonly id: string }

function isSameObject(a: ObjectName, b: ObjectName): boolean {
  return a.bucket === b.bucket && a.id === b.id && a.type === b.type
}

function objectName(object: ObjectName): string {
  return JSON.stringify([object.bucket, object.type, object.id])
}

function indexMemberships(memberships: readonly Membership[]): ReadonlyMap<string, Membership> {
  return new Map(memberships.map((membership) => [objectName(membership), membership]))
}

/** Two queries may put one object into one bucket; the later one counts. */
function lastOfEach(objects: RowOutcome['objects']): RowOutcome['objects'] {
  const byName = new Map(objects.map((object) => [objectName(object), object]))
  return byName.size === objects.length ? objects : [...byName.values()]
}

function removeOperation(key: RowKey, membership: Membership): DeltaOperation {
  const { bucket, type, id } = membership
  return { kind: 'remove', bucket, row: key, type, id, subkey: key, checksum: removeChecksum(type, id, key) }
}

function hasSameLookups(a: readonly StoredLookup[], b: readonly StoredLookup[]): boolean {
  return (
    a.length === b.length && a.every((one, index) => one.key === b[index]?.key && one.outputs === b[index]?.outputs)
  )
}

/** Values shorter than this are never stored out of line: a pointer would not be smaller. */
const TOASTED_CHARACTERS_MIN = 2

/** The values that a later update may leave out because they did not change. */
function keepToasted(table: ReplicatedTable, row: TextRow, rowBytes: number): RowState['toasted'] {
  const { columns, rowBytesMin } = table.toast
  if (columns.length === 0 || rowBytes < rowBytesMin) return NO_VALUES
  const kept: { [column: string]: string } = {}
  let count = 0
  for (const { position, name } of columns) {
    const value = row[position]
    if (typeof value === 'string' && value.length >= TOASTED_CHARACTERS_MIN) {
      kept[name] = value
      count += 1
    }
  }
  return count === 0 ? NO_VALUES : kept
}

function hasSameValues(a: RowState['toasted'], b: RowState['toasted']): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}

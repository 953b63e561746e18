import type { JsonObject } from '@headwater/protocol'

import type { UploadEntry, WriteKind } from './upload-request.ts'

/** Who sent the upload, as the token says. */
export type Uploader = { readonly userId: string; readonly claims: JsonObject }

/** A row of Postgres as `pg` reads it. */
export type Row = Readonly<Record<string, unknown>>

/** Reads inside the transaction of the upload: what it sees is what holds when the write is committed, or nearly so. */
export type Query = (sql: string, parameters?: readonly unknown[]) => Promise<readonly Row[]>

/** A write that somebody asks for. */
export type ProposedWrite = Uploader &
  Pick<UploadEntry, 'op' | 'id' | 'data'> & {
    /** The row as it is now, locked until the end of the transaction. Undefined when there is none yet (PUT only). */
    readonly existingRow: Row | undefined
    readonly query: Query
  }

/** True, or the reason why not, in words that the user of the app may read. */
export type Verdict = true | string

export type MayWrite = (write: ProposedWrite) => Verdict | Promise<Verdict>

/** Which writes clients may make to one table. A table without a rule takes none. */
export type TableRule = {
  /** Default: `public`. */
  readonly schema?: string
  /** Name in Postgres. Default: the client's name. */
  readonly table?: string
  /** Default: `id`. */
  readonly idColumn?: string
  /** Columns that clients may set. Default: all but the id and those that Postgres generates. */
  readonly columns?: readonly string[]
  /** Default: all three. */
  readonly operations?: readonly WriteKind[]
  /** `'everyone'`: any user may write any row of the table. */
  readonly mayWrite: 'everyone' | MayWrite
}

/** The rule for rows that belong to one user: `column` holds the user's id, and nobody can give a row away. */
export function ownedBy(column: string): MayWrite {
  return ({ userId, op, data, existingRow }) => {
    if (existingRow !== undefined && !isUser(existingRow[column], userId)) return 'The row belongs to another user'
    const named = data[column]
    const mustName = op === 'PUT' && existingRow === undefined
    if (named === undefined && !mustName) return true
    return isUser(named, userId) || `Column "${column}" must hold the id of the user who writes`
  }
}

function isUser(value: unknown, userId: string): boolean {
  return (typeof value === 'string' || typeof value === 'number') && String(value) === userId
}

export type RejectionCode =
  | 'table-not-writable'
  | 'column-not-writable'
  | 'operation-not-allowed'
  | 'refused-by-rule'
  | 'refused-by-database'
  | 'transaction-refused'

/** Why one entry was not applied. Sending it again would not help. */
export type Rejection = { readonly opId: number; readonly code: RejectionCode; readonly message: string }

/** What can be said of an entry without asking the database for rows. */
export function findFormalFault(
  entry: UploadEntry,
  rule: TableRule | undefined,
  writable: ReadonlySet<string>,
): Rejection | undefined {
  const { opId, op, type } = entry
  if (rule === undefined) {
    const message = `Cannot write to table "${type}": clients may not write to it, or it does not exist`
    return { opId, code: 'table-not-writable', message }
  }
  if (rule.operations !== undefined && !rule.operations.includes(op)) {
    return { opId, code: 'operation-not-allowed', message: `Cannot ${op} a row of "${type}": clients may not` }
  }
  const column = op === 'DELETE' ? undefined : Object.keys(entry.data).find((name) => !writable.has(name))
  if (column === undefined) return undefined
  const message = `Cannot set column "${column}" of "${type}": clients may not write it, or it does not exist`
  return { opId, code: 'column-not-writable', message }
}

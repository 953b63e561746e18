import type { JsonObject } from '@headwater/protocol'

export const UpdateType = { PUT: 'PUT', PATCH: 'PATCH', DELETE: 'DELETE' } as const
export type UpdateType = (typeof UpdateType)[keyof typeof UpdateType]

export type UploadQueueStats = {
  readonly count: number
  /** Bytes, estimated; null unless asked for. */
  readonly size: number | null
}

export type CrudEntryJson = {
  readonly op_id: number
  readonly op: UpdateType
  readonly type: string
  readonly id: string
  readonly tx_id?: number | undefined
  readonly data?: JsonObject | undefined
  readonly old?: JsonObject | undefined
  readonly metadata?: string | undefined
}

/** One queued write. */
export class CrudEntry {
  /** Position in the queue; later writes have greater ones. */
  readonly clientId: number
  readonly id: string
  readonly op: UpdateType
  /** PUT: the columns that are not null. PATCH: the columns that changed. DELETE: undefined. */
  readonly opData: JsonObject | undefined
  readonly previousValues: JsonObject | undefined
  /** The synced name of the table. */
  readonly table: string
  readonly transactionId: number | undefined
  readonly metadata: string | undefined

  constructor(json: CrudEntryJson) {
    this.clientId = json.op_id
    this.id = json.id
    this.op = json.op
    this.opData = json.data
    this.previousValues = json.old
    this.table = json.type
    this.transactionId = json.tx_id
    this.metadata = json.metadata
  }

  /** Reads a row of `ps_crud`. */
  static fromRow(row: { readonly id: number; readonly data: string; readonly tx_id?: number | null }): CrudEntry {
    const payload: Omit<CrudEntryJson, 'op_id' | 'tx_id'> = JSON.parse(row.data, keepDigits)
    return new CrudEntry({ ...payload, op_id: row.id, tx_id: row.tx_id ?? undefined })
  }

  toJSON(): CrudEntryJson {
    return {
      op_id: this.clientId,
      op: this.op,
      type: this.table,
      id: this.id,
      tx_id: this.transactionId,
      data: this.opData,
      old: this.previousValues,
      metadata: this.metadata,
    }
  }

  equals(other: CrudEntry): boolean {
    return JSON.stringify(this.toComparisonArray()) === JSON.stringify(other.toComparisonArray())
  }

  toComparisonArray(): unknown[] {
    return [
      this.transactionId,
      this.clientId,
      this.op,
      this.table,
      this.id,
      this.opData,
      this.previousValues,
      this.metadata,
    ]
  }
}

/** A whole number that JavaScript would round becomes a text of its digits, which backends read as exactly that number. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source
  return source !== undefined && /^-?\d+$/.test(source) ? source : value
}

/** Entries from the head of the queue. */
export type CrudBatch = {
  readonly crud: readonly CrudEntry[]
  readonly haveMore: boolean
  /** Takes the entries, and all before them, off the queue. */
  readonly complete: (writeCheckpoint?: string) => Promise<void>
}

/** All entries of one local transaction. */
export type CrudTransaction = CrudBatch & { readonly transactionId: number | undefined }

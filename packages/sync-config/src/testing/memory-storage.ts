import type { BucketName } from '@headwater/protocol'
import type {
  LoadedPlan,
  LookupKey,
  LookupOutputs,
  Request,
  Resolution,
  RowOutcome,
  SourceTable,
  TableProgram,
  TextRow,
} from '../types.ts'

/** Text of the `[type, id]` of an object. */
type ObjectKey = string

type StoredRow = { readonly table: SourceTable; readonly outcome: RowOutcome }

/**
 * For tests: buckets and lookup entries as a storage keeps them, made of nothing but what evaluating rows says. A row
 * is named by its table and a key of the caller's choice; putting it again replaces it.
 */
export class MemoryStorage {
  readonly #plan: LoadedPlan
  readonly #programs = new Map<string, TableProgram | undefined>()
  readonly #rows = new Map<string, StoredRow>()
  #lookups: Map<LookupKey, LookupOutputs[]> | undefined

  constructor(plan: LoadedPlan) {
    this.#plan = plan
  }

  /** Returns what the row gave. */
  put(table: SourceTable, key: string, row: TextRow): RowOutcome {
    const outcome = this.#programFor(table)?.evaluate(row) ?? { objects: [], lookups: [], errors: [] }
    this.#rows.delete(nameOf(table, key))
    this.#rows.set(nameOf(table, key), { table, outcome })
    this.#lookups = undefined
    return outcome
  }

  remove(table: SourceTable, key: string): void {
    this.#rows.delete(nameOf(table, key))
    this.#lookups = undefined
  }

  outcomes(): readonly StoredRow[] {
    return [...this.#rows.values()]
  }

  /** What each bucket holds: data by object. An object that two rows make has the data of the one that was put last. */
  buckets(): ReadonlyMap<BucketName, ReadonlyMap<ObjectKey, string>> {
    const buckets = new Map<BucketName, Map<ObjectKey, string>>()
    for (const { bucket, type, id, data } of this.outcomes().flatMap(({ outcome }) => outcome.objects)) {
      const objects = buckets.get(bucket) ?? new Map<ObjectKey, string>()
      objects.set(JSON.stringify([type, id]), data)
      buckets.set(bucket, objects)
    }
    return buckets
  }

  lookups(): ReadonlyMap<LookupKey, readonly LookupOutputs[]> {
    if (this.#lookups === undefined) {
      this.#lookups = new Map()
      for (const { key, outputs } of this.outcomes().flatMap(({ outcome }) => outcome.lookups)) {
        this.#lookups.set(key, [...(this.#lookups.get(key) ?? []), outputs])
      }
    }
    return this.#lookups
  }

  readonly readLookups = (keys: readonly LookupKey[]): Promise<readonly (readonly LookupOutputs[])[]> =>
    Promise.resolve(keys.map((key) => this.lookups().get(key) ?? []))

  resolve(request: Request): Promise<Resolution> {
    return this.#plan.resolve(request, this.readLookups)
  }

  /** Objects in any of the buckets, as sorted texts `type/id data`; each once. */
  objectsIn(names: readonly BucketName[]): readonly string[] {
    const buckets = this.buckets()
    const texts = names.flatMap((name) => [...(buckets.get(name) ?? [])].map(([key, data]) => printObject(key, data)))
    return [...new Set(texts)].toSorted()
  }

  /** What a device with this request holds. */
  async rowsFor(request: Request): Promise<readonly string[]> {
    const { buckets } = await this.resolve(request)
    return this.objectsIn(buckets.map(({ bucket }) => bucket))
  }

  #programFor(table: SourceTable): TableProgram | undefined {
    const name = JSON.stringify([table.schema, table.name])
    if (!this.#programs.has(name)) this.#programs.set(name, this.#plan.forTable(table))
    return this.#programs.get(name)
  }
}

/** `type/id data`. */
export function printObject(key: ObjectKey, data: string): string {
  const [type, id] = JSON.parse(key) as readonly [string, string]
  return `${type}/${id} ${data}`
}

function nameOf({ schema, name }: SourceTable, key: string): string {
  return JSON.stringify([schema, name, key])
}

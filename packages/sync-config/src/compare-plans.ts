import { type JsonObject } from '@headwater/protocol'
import { partText, type PlanBody, readPlanBody } from './plan.ts'
import { sha256Hex } from './hash.ts'
import type { LookupId, Plan, TablePattern } from './types.ts'

/** Parts of two plans: in both, in the second alone, in the first alone. */
export type Compared<Part> = {
  readonly kept: readonly Part[]
  readonly added: readonly Part[]
  readonly removed: readonly Part[]
}

/**
 * What another plan changes. Parts are equal when they do the same, however their queries were written: then buckets
 * keep their names and entries their keys, and what is stored of them stays valid.
 */
export type PlanChanges = {
  /** By `hash`, which is what their names carry. */
  readonly buckets: Compared<{ readonly hash: string; readonly name: string }>
  readonly lookups: Compared<LookupId>
  /** Hashes of single queries: of a bucket that is added some may be old. */
  readonly evaluators: Compared<string>
  /** Tables whose rows have to be read again: those that feed what is added. */
  readonly tables: readonly TablePattern[]
}

/** Throws `bad-plan` for a plan that another version made. */
export function comparePlans(before: Plan, after: Plan): PlanChanges {
  const old = readParts(readPlanBody(before))
  const next = readParts(readPlanBody(after))
  const buckets = compare(old.buckets, next.buckets)
  const lookups = compare(old.lookups, next.lookups)
  const fed = [...buckets.added, ...lookups.added].flatMap(({ tables }) => tables)
  return {
    buckets: mapParts(buckets, ({ hash, name }) => ({ hash, name })),
    lookups: mapParts(lookups, ({ id }) => id),
    evaluators: mapParts(compare(old.evaluators, next.evaluators), (hash) => hash),
    tables: [...new Map(fed.map((table) => [partText(table), table])).values()],
  }
}

type Parts = {
  readonly buckets: ReadonlyMap<
    string,
    { readonly hash: string; readonly name: string; readonly tables: readonly TablePattern[] }
  >
  readonly lookups: ReadonlyMap<string, { readonly id: LookupId; readonly tables: readonly TablePattern[] }>
  readonly evaluators: ReadonlyMap<string, string>
}

function readParts({ values, evaluators, lookups, buckets }: PlanBody): Parts {
  const hashOf = (part: JsonObject): string => sha256Hex(partText([part, { values }]))
  const tablesOf = (indexes: readonly number[]): readonly TablePattern[] =>
    indexes.flatMap((index) => evaluators[index]?.table ?? [])
  return {
    buckets: new Map(buckets.map(({ hash, name, evaluators: used }) => [hash, { hash, name, tables: tablesOf(used) }])),
    lookups: new Map(lookups.map(({ id, table }) => [id, { id, tables: [table] }])),
    evaluators: new Map(evaluators.map(hashOf).map((hash) => [hash, hash])),
  }
}

function compare<Part>(before: ReadonlyMap<string, Part>, after: ReadonlyMap<string, Part>): Compared<Part> {
  return {
    kept: [...after].flatMap(([key, part]) => (before.has(key) ? [part] : [])),
    added: [...after].flatMap(([key, part]) => (before.has(key) ? [] : [part])),
    removed: [...before].flatMap(([key, part]) => (after.has(key) ? [] : [part])),
  }
}

function mapParts<Part, Shown>({ kept, added, removed }: Compared<Part>, show: (part: Part) => Shown): Compared<Shown> {
  return { kept: kept.map(show), added: added.map(show), removed: removed.map(show) }
}

/** How a sync config stands: by itself, by its tables at the source, and by what replication has done for it. */
import {
  checkPlanAgainstTables,
  describePlan,
  type Diagnostic,
  matchesTable,
  type Plan,
  type SourceTable,
  type TablePattern,
} from '@headwater/sync-config'
import type { ConfigConnection, ConfigTable, ReplicationError, SyncConfigStatus } from './http/operator.ts'
import type { SourceReport } from './postgres/check-source.ts'
import { formatLsn } from './postgres/lsn.ts'
import type { SlotState } from './postgres/slot.ts'
import { budgetUsed, levelOf } from './postgres/slot-budget.ts'
import type { SourceProblem } from './postgres/source-problems.ts'
import type { ReplicationStatus } from './replication/status.ts'
import type { CopyProgress, RowError } from './storage/delta.ts'
import type { StorageFigures } from './storage/storage.ts'

export type CheckedConfig = {
  readonly content: string
  readonly plan: Plan
  readonly diagnostics: readonly Diagnostic[]
}

/** What is known of a config. */
export type ConfigFacts = {
  readonly config: CheckedConfig
  readonly slot: string
  readonly source: SourceReport
  readonly replication: ReplicationStatus
  readonly stored: Pick<StorageFigures, 'checkpoint' | 'copies'>
  /** Of rows that this config could not place; none where it does not run. */
  readonly rowErrors: readonly RowError[]
}

export function describeStatus(facts: ConfigFacts): SyncConfigStatus {
  const { config, source } = facts
  const { content, plan, diagnostics } = config
  const tables = describeTables(facts)
  const missing = isReached(source) ? checkPlanAgainstTables(plan, source.tables) : []
  return {
    connections: [describeConnection(facts, tables)],
    errors: unique([
      ...toErrors(content, [...diagnostics, ...missing]),
      ...source.problems.flatMap(toProblem),
      ...budgetErrors(source.slot),
      ...tables.flatMap(({ errors }) => errors),
    ]),
  }
}

function isReached({ serverVersion }: SourceReport): boolean {
  return serverVersion > 0
}

function describeConnection(facts: ConfigFacts, tables: readonly ConfigTable[]): ConfigConnection {
  const { source, replication, stored } = facts
  const { connection, counts } = replication
  const { slot } = source
  const lastLsn =
    connection?.acknowledged ?? (stored.checkpoint === undefined ? undefined : formatLsn(stored.checkpoint.lsn))
  const lagBytes = slot?.lagBytes ?? connection?.lagBytes
  return {
    id: 'default',
    tag: 'default',
    slot_name: facts.slot,
    initial_replication_done: stored.checkpoint !== undefined,
    ...(lastLsn === undefined ? {} : { last_lsn: lastLsn }),
    ...(connection === undefined ? {} : { last_keepalive_ts: toTime(connection.lastHeardAtMs) }),
    ...(counts.lastShownAtMs === undefined ? {} : { last_checkpoint_ts: toTime(counts.lastShownAtMs) }),
    ...(lagBytes === undefined ? {} : { replication_lag_bytes: lagBytes }),
    ...(slot === undefined ? {} : { wal_status: slot.walStatus, retained_wal_size: slot.retainedBytes }),
    ...(slot?.safeBytes === undefined ? {} : { safe_wal_size: slot.safeBytes }),
    ...(slot?.budgetBytes === undefined ? {} : { max_slot_wal_keep_size: slot.budgetBytes }),
    tables,
  }
}

function describeTables(facts: ConfigFacts): readonly ConfigTable[] {
  const { config, source, stored } = facts
  const { dataTables, lookupTables } = describePlan(config.plan)
  const copies = new Map(stored.copies.map((copy) => [copy.table, copy]))
  return config.plan.tables.flatMap((pattern) => {
    const isPattern = pattern.isWildcard || pattern.isSchemaWildcard
    return findTables(pattern, source).map((table) => {
      const label = `${table.schema}.${table.name}`
      return {
        schema: table.schema,
        name: table.name,
        ...(isPattern ? { pattern: `${pattern.schema}.${pattern.name}` } : {}),
        replication_id: table.identity,
        data_queries: dataTables.some((data) => matchesTable(data, table)),
        parameter_queries: lookupTables.some((lookup) => matchesTable(lookup, table)),
        ...describeCopy(copies.get(label)),
        errors: unique([...table.errors, ...errorsOf(label, facts)]),
      }
    })
  })
}

type FoundTable = Pick<SourceTable, 'schema' | 'name' | 'identity'> & Pick<ConfigTable, 'errors'>

/** What a pattern names; a name without a pattern is there in any case. */
function findTables(pattern: TablePattern, source: SourceReport): readonly FoundTable[] {
  const matching = source.tables.filter((table) => matchesTable(pattern, table))
  if (matching.length > 0 || pattern.isWildcard || pattern.isSchemaWildcard) {
    return matching.map((table) => ({ ...table, errors: [] }))
  }
  const message = `Table ${pattern.schema}.${pattern.name} does not exist, or cannot be replicated`
  return [{ ...pattern, identity: [], errors: isReached(source) ? [{ level: 'warning', message }] : [] }]
}

function describeCopy(copy: CopyProgress | undefined): Pick<ConfigTable, 'snapshot'> {
  if (copy === undefined) return {}
  const { done, rowsCopied, rowsEstimated } = copy
  return { snapshot: { done, rows_copied: rowsCopied, rows_estimated: rowsEstimated } }
}

function errorsOf(label: string, { source, rowErrors }: ConfigFacts): readonly ReplicationError[] {
  return [
    ...source.problems.filter(({ table }) => table === label).flatMap(toProblem),
    ...rowErrors
      .filter(({ table }) => table === label)
      .map(({ definition, message, atMs }) => ({
        level: 'warning' as const,
        message: `A row of ${label} is left out of "${definition}": ${message}`,
        ts: toTime(atMs),
      })),
  ]
}

/** What the service mends by itself is none. */
function toProblem({ severity, message, remedy }: SourceProblem): readonly ReplicationError[] {
  if (severity === 'automatic') return []
  return [{ level: severity === 'error' ? 'fatal' : 'warning', message: `${message}. ${remedy}` }]
}

function budgetErrors(slot: SlotState | undefined): readonly ReplicationError[] {
  if (slot?.walStatus === 'lost') {
    return [
      { level: 'fatal', message: 'Postgres has dropped the log that the slot needs. Everything is copied again.' },
    ]
  }
  const used = slot === undefined ? undefined : budgetUsed(slot)
  if (used === undefined || levelOf(used, 'ample') === 'ample') return []
  const message =
    `${Math.round(used * 100)} % of the log that Postgres keeps for the slot at most (max_slot_wal_keep_size) is used. ` +
    'When it is used up everything is copied again: raise it, and see whether the service is behind or a transaction is open for long.'
  return [{ level: 'warning', message }]
}

export function toErrors(content: string, diagnostics: readonly Diagnostic[]): readonly ReplicationError[] {
  const lines = content.split('\n')
  const starts: number[] = [0]
  for (const line of lines) starts.push((starts.at(-1) ?? 0) + line.length + 1)
  return diagnostics.map(({ severity, message, line, column }) => {
    const start = (starts[line - 1] ?? 0) + column - 1
    const end = (starts[line - 1] ?? 0) + (lines[line - 1]?.length ?? column)
    return {
      level: severity === 'error' ? 'fatal' : 'warning',
      message,
      location: { start_offset: start, end_offset: Math.max(start, end) },
    }
  })
}

export function unique(errors: readonly ReplicationError[]): readonly ReplicationError[] {
  return [...new Map(errors.map((error) => [JSON.stringify(error), error])).values()]
}

function toTime(atMs: number): string {
  return new Date(atMs).toISOString()
}

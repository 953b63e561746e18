/** What operators may ask, gathered from the rooms that know it. */
import { HeadwaterError } from '@headwater/protocol'
import {
  checkPlanAgainstTables,
  compileSyncConfig,
  describePlan,
  type Diagnostic,
  matchesTable,
  type Plan,
  type SourceTable,
  type TablePattern,
} from '@headwater/sync-config'
import type { Revocations } from './auth/revocations.ts'
import type { ServiceSettings } from './config/options.ts'
import type {
  ConfigTable,
  DeployedConfig,
  DescribedConfig,
  Operator,
  OperatorDiagnostics,
  ReplicationError,
  SyncConfigStatus,
} from './http/operator.ts'
import { describeSchema } from './operator-schema.ts'
import { checkSource, type SourceReport } from './postgres/check-source.ts'
import type { ReplicationStatus } from './replication/status.ts'
import type { BucketStorage } from './storage/storage.ts'

export type OperatorParts = {
  readonly settings: ServiceSettings
  readonly storage: Pick<BucketStorage, 'readHead' | 'readStatus' | 'compact'>
  readonly readReplication: () => ReplicationStatus
  /** The config that is served, or will be. */
  readonly readConfig: () => { readonly content: string; readonly plan: Plan }
  /** Serves another config; throws what is wrong with it. */
  readonly replace: (content: string) => Promise<void>
  readonly reprocess: () => Promise<void>
  readonly revocations: Pick<Revocations, 'add' | 'expiryMs'>
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

const CONNECTION = { id: 'default', tag: 'default' } as const

const EVERY_TABLE: TablePattern = { schema: '%', isSchemaWildcard: true, name: '%', isWildcard: true }

/** A source that is silent for so long is worth a word, and for so long a loud one. */
const SILENT_WARNING_MS = 5 * 60_000
const SILENT_FATAL_MS = 15 * 60_000

export function createOperator(parts: OperatorParts): Operator {
  const { settings, storage } = parts
  const { slot, publication, url } = settings.source
  const look = (tables: readonly TablePattern[]): Promise<SourceReport> =>
    checkSource(url, { publication, slot, tables })
  const isActive = async (): Promise<boolean> => (await storage.readHead()) !== undefined
  const requireActive = async (): Promise<void> => {
    if (!(await isActive())) throw new HeadwaterError('no-active-sync-config', 'No sync config serves clients yet.')
  }

  return {
    tokens: settings.api.tokens,
    readDiagnostics: ({ withContent }) => readDiagnostics(parts, look, withContent),
    readSchema: async () => {
      const { tables, serverVersion, problems } = await look([EVERY_TABLE])
      if (serverVersion === 0) {
        throw new HeadwaterError('source-unreachable', problems[0]?.message ?? 'The source does not answer.')
      }
      return describeSchema(tables)
    },
    validate: async (content) => {
      const result = compileSyncConfig(content)
      if (result.kind === 'refused') return { connections: [], errors: toErrors(content, result.diagnostics) }
      return describeStatus(parts, { content, plan: result.plan, diagnostics: result.diagnostics }, look)
    },
    readCurrent: async () => {
      await requireActive()
      return { current: describeDeployed(slot, parts.readConfig().content), next: null }
    },
    deploy: async (content) => {
      if (settings.syncConfig.path !== undefined) {
        throw new HeadwaterError(
          'sync-config-from-file',
          `Cannot deploy: the sync config comes from ${settings.syncConfig.path}. Change that file and start the service again.`,
        )
      }
      await parts.replace(content)
      return { slot_name: slot }
    },
    reprocess: async () => {
      // While the first copy runs nothing is served, so this comes before the other refusal.
      if (isDeploying(parts.readReplication())) {
        throw new HeadwaterError('sync-config-deploying', 'Cannot build anew: the first copy has not ended yet.')
      }
      await requireActive()
      await parts.reprocess()
      return { slot_name: slot }
    },
    revoke: async (revocation) => {
      await parts.revocations.add([revocation], 'operator')
      const { userId, clientId, tokenId, issuedBeforeMs } = revocation
      return {
        user_id: userId,
        ...(clientId === undefined ? {} : { client_id: clientId }),
        ...(tokenId === undefined ? {} : { token_id: tokenId }),
        issued_before: new Date(issuedBeforeMs).toISOString(),
        expires_at: new Date(parts.revocations.expiryMs(revocation)).toISOString(),
      }
    },
    compact: async () => {
      const { moved, cleared, bytesFreed } = await storage.compact()
      return { moved, cleared, bytes_freed: bytesFreed }
    },
    describe: describeConfig,
  }
}

type Look = (tables: readonly TablePattern[]) => Promise<SourceReport>

type Checked = {
  readonly content: string
  readonly plan: Plan
  readonly diagnostics: readonly Diagnostic[]
}

async function readDiagnostics(parts: OperatorParts, look: Look, withContent: boolean): Promise<OperatorDiagnostics> {
  const { content, plan } = parts.readConfig()
  const replication = parts.readReplication()
  const { phase } = replication
  const result = compileSyncConfig(content)
  const status = await describeStatus(parts, { content, plan, diagnostics: result.diagnostics }, look)
  const { rowErrors } = await parts.storage.readStatus()
  const errors: ReplicationError[] = [
    ...status.errors,
    ...rowErrors.map(({ table, definition, message, atMs }) => ({
      level: 'warning' as const,
      message: `A row of ${table} is left out of "${definition}": ${message}`,
      ts: new Date(atMs).toISOString(),
    })),
    ...silenceOf(replication, parts.nowMs()),
  ]
  const full: SyncConfigStatus = { ...status, errors: unique(errors), ...(withContent ? { content } : {}) }
  const uri = withoutPassword(parts.settings.source.url)
  const connected = phase.kind === 'running'
  const failure: ReplicationError[] =
    phase.kind === 'waiting' || phase.kind === 'failed' ? [{ level: 'fatal', message: phase.message }] : []
  const connections = [{ id: CONNECTION.id, postgres_uri: uri, uri, connected, errors: failure }]
  return (await parts.storage.readHead()) === undefined
    ? { connections, deploying_sync_rules: full }
    : { connections, active_sync_rules: full }
}

/** What is to be said of a config by itself, by its tables at the source, and by how replication stands. */
async function describeStatus(parts: OperatorParts, checked: Checked, look: Look): Promise<SyncConfigStatus> {
  const { content, plan, diagnostics } = checked
  const { tables, problems, slot, serverVersion } = await look(plan.tables)
  const { connection } = parts.readReplication()
  const { checkpoint } = await parts.storage.readStatus()
  const missing = serverVersion === 0 ? [] : checkPlanAgainstTables(plan, tables)
  const source = problems
    .filter(({ severity }) => severity !== 'automatic')
    .map(({ severity, message, remedy }) => ({
      level: severity === 'error' ? ('fatal' as const) : ('warning' as const),
      message: `${message}. ${remedy}`,
    }))
  return {
    connections: [
      {
        ...CONNECTION,
        slot_name: parts.settings.source.slot,
        initial_replication_done: checkpoint !== undefined,
        ...(connection === undefined
          ? {}
          : {
              last_lsn: connection.acknowledged,
              last_keepalive_ts: new Date(connection.lastHeardAtMs).toISOString(),
              replication_lag_bytes: connection.lagBytes,
            }),
        ...(slot === undefined ? {} : { wal_status: slot.walStatus }),
        ...(slot?.safeBytes === undefined ? {} : { safe_wal_size: slot.safeBytes }),
        tables: describeTables(plan, tables),
      },
    ],
    errors: unique([...toErrors(content, [...diagnostics, ...missing]), ...source]),
  }
}

function describeTables(plan: Plan, tables: readonly SourceTable[]): readonly ConfigTable[] {
  const { dataTables, lookupTables } = describePlan(plan)
  return plan.tables.flatMap((pattern) => {
    const isPattern = pattern.isWildcard || pattern.isSchemaWildcard
    const label = `${pattern.schema}.${pattern.name}`
    const matching = tables.filter((table) => matchesTable(pattern, table))
    const errors = [{ level: 'warning' as const, message: `Table ${label} does not exist, or cannot be replicated` }]
    const found: readonly (Pick<SourceTable, 'schema' | 'name' | 'identity'> & Pick<ConfigTable, 'errors'>)[] =
      matching.length > 0 || isPattern
        ? matching.map((table) => ({ ...table, errors: [] }))
        : [{ ...pattern, identity: [], errors }]
    return found.map((table) => ({
      schema: table.schema,
      name: table.name,
      ...(isPattern ? { pattern: label } : {}),
      replication_id: table.identity,
      data_queries: dataTables.some((data) => matchesTable(data, table)),
      parameter_queries: lookupTables.some((lookup) => matchesTable(lookup, table)),
      errors: table.errors,
    }))
  })
}

function describeConfig(content: string): DescribedConfig {
  const result = compileSyncConfig(content)
  if (result.kind === 'refused') {
    return {
      valid: false,
      errors: result.diagnostics.map(({ line, column, message }) => `${line}:${column}: ${message}`),
    }
  }
  const { streams, dataTables, lookupTables, outputs } = describePlan(result.plan)
  const labelOf = ({ schema, name }: TablePattern): string => `${schema}.${name}`
  return {
    valid: true,
    bucket_definitions: streams.map(({ name, isDefault, priority }) => ({ name, is_default: isDefault, priority })),
    source_tables: result.plan.tables.map(labelOf),
    data_tables: [
      {
        from: dataTables.map(labelOf),
        decided_by: lookupTables.map(labelOf),
        on_client: outputs.map((name) => name ?? '(as at the source)'),
      },
    ],
  }
}

function describeDeployed(slot: string, content: string): DeployedConfig {
  const described = describeConfig(content)
  const { valid, bucket_definitions, source_tables, data_tables } = described.valid
    ? described
    : { valid: false, bucket_definitions: [], source_tables: [], data_tables: [] }
  return { slot_name: slot, content, valid, bucket_definitions, source_tables, data_tables }
}

function isDeploying({ phase, connection }: ReplicationStatus): boolean {
  if (phase.kind === 'connecting') return true
  return connection?.copies.some(({ mode, isDone }) => mode === 'first' && !isDone) ?? false
}

function silenceOf({ connection }: ReplicationStatus, nowMs: number): readonly ReplicationError[] {
  if (connection === undefined) return []
  const silentMs = nowMs - connection.lastHeardAtMs
  if (silentMs < SILENT_WARNING_MS) return []
  const level = silentMs < SILENT_FATAL_MS ? 'warning' : 'fatal'
  return [{ level, message: `The source was last heard ${Math.round(silentMs / 60_000)} minutes ago` }]
}

function toErrors(content: string, diagnostics: readonly Diagnostic[]): readonly ReplicationError[] {
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

function unique(errors: readonly ReplicationError[]): readonly ReplicationError[] {
  return [...new Map(errors.map((error) => [JSON.stringify(error), error])).values()]
}

function withoutPassword(databaseUrl: string): string {
  const url = URL.parse(databaseUrl)
  if (url === null) return ''
  url.password = ''
  url.search = ''
  return url.href
}

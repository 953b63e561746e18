/** What operators may ask, gathered from the rooms that know it. */
import { HeadwaterError } from '@headwater/protocol'
import { compileSyncConfig, type Plan, type TablePattern } from '@headwater/sync-config'
import { createAskedCompactions } from './asked-compactions.ts'
import type { Revocations } from './auth/revocations.ts'
import type { ServiceSettings } from './config/options.ts'
import type { Operator, OperatorDiagnostics, ReplicationError, SyncConfigStatus } from './http/operator.ts'
import { describeConfig, describeDeployed } from './operator-config.ts'
import { describeSchema } from './operator-schema.ts'
import { describeStatus, toErrors, unique } from './operator-status.ts'
import type { Log } from './observe/log.ts'
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
  readonly log: Pick<Log, 'warn'>
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
      const { plan, diagnostics } = result
      return describeStatus({
        config: { content, plan, diagnostics },
        slot,
        source: await look(plan.tables),
        replication: parts.readReplication(),
        stored: await storage.readStatus(),
        rowErrors: [],
      })
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
    ...createAskedCompactions(parts),
    describe: describeConfig,
  }
}

type Look = (tables: readonly TablePattern[]) => Promise<SourceReport>

async function readDiagnostics(parts: OperatorParts, look: Look, withContent: boolean): Promise<OperatorDiagnostics> {
  const { content, plan } = parts.readConfig()
  const replication = parts.readReplication()
  const { phase } = replication
  const { diagnostics } = compileSyncConfig(content)
  const stored = await parts.storage.readStatus()
  const status = describeStatus({
    config: { content, plan, diagnostics },
    slot: parts.settings.source.slot,
    source: await look(plan.tables),
    replication,
    stored,
    rowErrors: stored.rowErrors,
  })
  const isActive = (await parts.storage.readHead()) !== undefined
  const errors: ReplicationError[] = [
    ...status.errors,
    ...(isActive ? [] : [NO_CHECKPOINT]),
    ...silenceOf(replication, parts.nowMs()),
  ]
  const full: SyncConfigStatus = { ...status, errors: unique(errors), ...(withContent ? { content } : {}) }
  const uri = withoutPassword(parts.settings.source.url)
  const connected = phase.kind === 'running'
  const failure: ReplicationError[] =
    phase.kind === 'waiting' || phase.kind === 'failed' ? [{ level: 'fatal', message: phase.message }] : []
  const connections = [{ id: CONNECTION.id, postgres_uri: uri, uri, connected, errors: failure }]
  return isActive ? { connections, active_sync_rules: full } : { connections, deploying_sync_rules: full }
}

function isDeploying({ phase, connection }: ReplicationStatus): boolean {
  if (phase.kind === 'connecting') return true
  return connection?.copies.some(({ mode, isDone }) => mode === 'first' && !isDone) ?? false
}

const NO_CHECKPOINT: ReplicationError = {
  level: 'warning',
  message: 'There is no checkpoint yet: clients are served when the first copy ends',
}

function silenceOf({ connection }: ReplicationStatus, nowMs: number): readonly ReplicationError[] {
  if (connection === undefined) return []
  const silentMs = nowMs - connection.lastHeardAtMs
  if (silentMs < SILENT_WARNING_MS) return []
  const level = silentMs < SILENT_FATAL_MS ? 'warning' : 'fatal'
  return [{ level, message: `The source was last heard ${Math.round(silentMs / 60_000)} minutes ago` }]
}

function withoutPassword(databaseUrl: string): string {
  const url = URL.parse(databaseUrl)
  if (url === null) return ''
  url.password = ''
  url.search = ''
  return url.href
}
